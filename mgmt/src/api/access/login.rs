//! Login through an identity provider.

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::begin_session;
use super::users::described;
use crate::Shared;
use crate::api::problem::{Code, Problem};
use crate::api::request::Query;
use crate::auth::oidc::{self, Answer, Provider, Vouched};
use crate::auth::user::{self as users, Identity, NewUser, UserRow};
use crate::auth::{session, unfit_name};
use crate::secret::Secret;
use crate::store::{Actor, Change, Record};

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(read_login))
        .routes(routes!(begin_oidc_login))
        .routes(routes!(finish_oidc_login))
}

/// How one can log in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LoginMethods {
    /// With name and password: `POST /session`.
    pub password: bool,
    /// Through an identity provider: `GET /login/oidc`.
    pub oidc: bool,
}

/// What the identity provider sends the browser back with.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OidcAnswer {
    /// The code to be exchanged for tokens
    #[param(value_type = Option<String>)]
    pub code: Option<Secret>,
    /// The state that was sent along
    pub state: Option<String>,
    /// Why there is no code
    pub error: Option<String>,
    /// Who answers
    pub iss: Option<String>,
}

/// How one can log in
#[utoipa::path(get, path = "/login", tag = "login",
    responses((status = 200, description = "The ways there are", body = LoginMethods)))]
async fn read_login(State(app): State<Shared>) -> Json<LoginMethods> {
    Json(LoginMethods {
        password: true,
        oidc: app.login.provider.is_some(),
    })
}

/// Go to the identity provider
///
/// For browsers: it answers with a redirect and a cookie that holds for ten minutes.
#[utoipa::path(get, path = "/login/oidc", tag = "login",
    responses((status = 303, description = "To the provider",
            headers(("Location" = String, description = "Its page"))),
        (status = 404, description = "No provider is configured", body = Problem,
            content_type = "application/problem+json")))]
async fn begin_oidc_login(State(app): State<Shared>) -> Result<(StatusCode, HeaderMap), Problem> {
    let (url, cookie) = provider(&app)?.leave().await?;
    redirect(&url, [Some(cookie)])
}

/// Come back from the identity provider
///
/// For browsers: it begins a session and answers with a redirect to the first page.
#[utoipa::path(get, path = "/login/oidc/callback", tag = "login", params(OidcAnswer),
    responses((status = 303, description = "To the first page",
            headers(("Set-Cookie" = String, description = "The session's cookie"))),
        (status = 403, description = "Not let in, or without a role here", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "No provider is configured", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "The name belongs to another user", body = Problem,
            content_type = "application/problem+json")))]
async fn finish_oidc_login(
    State(app): State<Shared>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(answer): Query<OidcAnswer>,
) -> Result<(StatusCode, HeaderMap), Problem> {
    let provider = provider(&app)?;
    let address = Some(from.ip().to_canonical());
    let answer = Answer {
        code: answer.code,
        state: answer.state,
        error: answer.error,
        issuer: answer.iss,
    };
    let vouched = provider.come_back(&headers, answer).await?;
    let actor = Actor {
        who: format!("user:{}", vouched.name),
        address,
    };
    let mut change = app.store.change(actor).await?;
    let (row, known) = taken_in(&mut change, provider.issuer(), &vouched).await?;
    let before = session::cookie(&headers);
    let (login, headers) = begin_session(&app, &mut change, &row, before.as_ref()).await?;
    change.commit_all(known.into_iter().chain([login])).await?;
    let cookie = headers.get(SET_COOKIE).cloned();
    redirect("/", [cookie, oidc::forget()])
}

fn provider(app: &Shared) -> Result<&Provider, Problem> {
    app.login.provider.as_ref().ok_or_else(|| {
        Problem::new(
            Code::NotFound,
            "No identity provider is configured (`oidc`).",
        )
    })
}

/// The user that the provider vouches for, made or brought up to what it says; the record of that,
/// if anything changed.
async fn taken_in(
    change: &mut Change,
    issuer: &str,
    vouched: &Vouched,
) -> Result<(UserRow, Option<Record>), Problem> {
    let identity = Identity {
        issuer,
        subject: &vouched.subject,
    };
    if let Some(before) = users::find_identity(change.db(), identity).await? {
        return updated(change, before, vouched).await;
    }
    if unfit_name(&vouched.name).is_some() {
        let detail = "The name that the identity provider gives you cannot be a name here: small \
                      letters, digits, `.`, `_`, `@` and `-`, at most 64.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let new = NewUser {
        name: &vouched.name,
        display_name: &vouched.display_name,
        role: vouched.role,
        password: None,
        identity: Some(identity),
    };
    let made = users::create(change.db(), &new).await;
    made.map_err(|error| super::taken("user", &vouched.name, error))?;
    let row = super::users::existing(change, &vouched.name).await?;
    let record = Record::new("finish_oidc_login", format!("user/{}", row.name));
    Ok((row.clone(), Some(record.after(&described(&row)))))
}

async fn updated(
    change: &mut Change,
    before: UserRow,
    vouched: &Vouched,
) -> Result<(UserRow, Option<Record>), Problem> {
    if before.disabled {
        let detail = "You are kept out here. Ask your administrator.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let mut row = before.clone();
    row.role = vouched.role;
    row.display_name.clone_from(&vouched.display_name);
    if row == before {
        return Ok((row, None));
    }
    users::write(change.db(), &row).await?;
    let record = Record::new("finish_oidc_login", format!("user/{}", row.name))
        .before(&described(&before))
        .after(&described(&row));
    Ok((row, Some(record)))
}

fn redirect<const N: usize>(
    to: &str,
    cookies: [Option<HeaderValue>; N],
) -> Result<(StatusCode, HeaderMap), Problem> {
    let mut headers = HeaderMap::new();
    let to = HeaderValue::from_str(to)
        .map_err(|_| Problem::new(Code::Internal, "The log of the appliance says more."))?;
    headers.insert(LOCATION, to);
    for cookie in cookies.into_iter().flatten() {
        headers.append(SET_COOKIE, cookie);
    }
    Ok((StatusCode::SEE_OTHER, headers))
}
