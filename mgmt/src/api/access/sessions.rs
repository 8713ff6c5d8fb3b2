//! Sessions of people.

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{begin_session, check_presented, cookie_headers, user_name};
use crate::Shared;
use crate::api::page::{self, Page};
use crate::api::problem::{Code, FieldError, Problem};
use crate::api::request::{Body, Checked, Path, Query};
use crate::auth::login::Login;
use crate::auth::session;
use crate::auth::user as users;
use crate::auth::{Principal, Role};
use crate::secret::Secret;
use crate::store::{Actor, Record};
use crate::time::Time;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(create_session, read_session, delete_session))
        .routes(routes!(list_sessions))
        .routes(routes!(delete_other_session))
}

/// Name and password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionCreate {
    /// Name of the user.
    #[schema(max_length = 64)]
    pub name: String,
    /// Password of the user.
    #[schema(value_type = String, format = Password, max_length = 128)]
    pub password: Secret,
}

impl Checked for SessionCreate {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.name.chars().count() > 64 {
            errors.push(FieldError::new("name", "at most 64 characters"));
        }
        check_presented("password", &self.password, &mut errors);
        errors
    }
}

/// The session that a cookie stands for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CurrentSession {
    /// Name of the user.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// What to send as `X-Wardline-CSRF` with each change.
    pub csrf: String,
    /// Minutes without a request after which the session ends.
    pub idle_minutes: u32,
    /// When it ends at the latest.
    pub ends: Time,
}

/// A session, as it is listed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Session {
    /// Its number.
    pub id: i64,
    /// Name of the user.
    pub user: String,
    /// When the user logged in.
    pub created: Time,
    /// When it was used last, to the minute.
    pub used: Time,
    /// When it ends at the latest.
    pub ends: Time,
    /// Where the login came from.
    pub address: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Which sessions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// Of this user
    pub user: Option<String>,
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same parameters
    pub cursor: Option<String>,
}

/// Log in
///
/// Sets the cookie `__Host-wardline`. Wrong passwords make the next attempt wait, for the user
/// and for the address they come from.
#[utoipa::path(post, path = "/session", tag = "sessions", request_body = SessionCreate,
    responses((status = 204, description = "The cookie is set",
            headers(("Set-Cookie" = String, description = "The session's cookie"))),
        (status = 401, description = "The name or the password is wrong", body = Problem,
            content_type = "application/problem+json")))]
async fn create_session(
    State(app): State<Shared>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(login): Body<SessionCreate>,
) -> Result<(StatusCode, HeaderMap), Problem> {
    let address = Some(from.ip().to_canonical());
    let attempt = Login::attempt(&app, &login.name, address)?;
    let mut db = app.store.main.read().acquire().await?;
    let row = users::find(&mut db, &login.name).await?;
    drop(db);
    // Whoever is not there, is kept out or has no password takes as long as a wrong password.
    let row = row.filter(|row| !row.disabled);
    let phc = row.as_ref().and_then(|row| row.password.clone());
    let right = app.login.hasher.verify(login.password, phc).await?;
    let Some(row) = row.filter(|_| right) else {
        return Err(wrong());
    };
    let actor = Actor {
        who: format!("user:{}", row.name),
        address,
    };
    let mut change = app.store.change(actor).await?;
    // As it was hashed: it may have been exchanged, or the user disabled, in the meantime.
    let now = users::find(change.db(), &row.name).await?;
    let now = now.filter(|now| !now.disabled && now.password == row.password);
    let now = now.ok_or_else(wrong)?;
    let before = session::cookie(&headers);
    let (record, headers) = begin_session(&app, &mut change, &now, before.as_ref()).await?;
    change.commit(record).await?;
    attempt.succeeded();
    Ok((StatusCode::NO_CONTENT, headers))
}

/// The session that asks, and what its changes need
#[utoipa::path(get, path = "/session", tag = "sessions",
    responses((status = 200, description = "The session", body = CurrentSession),
        (status = 404, description = "Programs have no session", body = Problem,
            content_type = "application/problem+json")))]
async fn read_session(
    State(app): State<Shared>,
    headers: HeaderMap,
    principal: Principal,
) -> Result<Json<CurrentSession>, Problem> {
    let cookie = session::cookie(&headers).filter(|_| principal.session.is_some());
    let (Some(cookie), Some(user)) = (cookie, user_name(&principal.who)) else {
        return Err(none());
    };
    let created = session::created(&app.store.main, &cookie.digest()).await?;
    let lifetimes = &app.config.sessions;
    Ok(Json(CurrentSession {
        user: user.to_owned(),
        role: principal.role,
        csrf: session::csrf(&cookie).reveal().to_owned(),
        idle_minutes: lifetimes.idle_minutes,
        ends: session::end_of(created.ok_or_else(none)?, lifetimes),
    }))
}

/// Log out
#[utoipa::path(delete, path = "/session", tag = "sessions",
    responses((status = 204, description = "The session has ended",
            headers(("Set-Cookie" = String, description = "Takes the cookie away"))),
        (status = 404, description = "Programs have no session", body = Problem,
            content_type = "application/problem+json")))]
async fn delete_session(
    State(app): State<Shared>,
    principal: Principal,
) -> Result<(StatusCode, HeaderMap), Problem> {
    let digest = principal.session.as_deref().ok_or_else(none)?;
    let mut change = app.store.change(principal.actor()).await?;
    if session::end_digest(change.db(), digest).await? {
        let user = user_name(&principal.who).unwrap_or_default();
        let record = Record::new("delete_session", format!("user/{user}"));
        change.commit(record).await?;
    }
    Ok((StatusCode::NO_CONTENT, cookie_headers(None)?))
}

/// The sessions there are
///
/// Administrators see those of all users, others their own.
#[utoipa::path(get, path = "/sessions", tag = "sessions", params(SessionQuery),
    responses((status = 200, description = "A page of sessions", body = Page<Session>)))]
async fn list_sessions(
    State(app): State<Shared>,
    principal: Principal,
    Query(query): Query<SessionQuery>,
) -> Result<Json<Page<Session>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after: Option<i64> = page::decode(query.cursor.as_deref())?;
    let own = user_name(&principal.who).unwrap_or_default();
    let user = match principal.role {
        Role::Administrator => query.user.as_deref(),
        _ if query.user.as_deref().is_some_and(|user| user != own) => {
            return Ok(Json(Page::new(Vec::new(), limit, |_| ())));
        }
        _ => Some(own),
    };
    let found = session::list(&app, user, after.unwrap_or_default(), limit + 1).await?;
    let page = Page::new(found, limit, |row| row.id);
    let current = principal.session.as_deref();
    Ok(Json(page.map(|row| Session {
        id: row.id,
        ends: session::end_of(row.created, &app.config.sessions),
        current: current == Some(row.digest.as_str()),
        user: row.user,
        created: row.created,
        used: row.used,
        address: row.address,
    })))
}

/// End a session
///
/// Administrators end anybody's, others their own.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "sessions",
    params(("id" = i64, Path, description = "Number of the session")),
    responses((status = 204, description = "The session has ended")))]
async fn delete_other_session(
    State(app): State<Shared>,
    principal: Principal,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let own = user_name(&principal.who);
    let user = session::user_of(change.db(), id).await?;
    let user =
        user.filter(|user| principal.role == Role::Administrator || Some(user.as_str()) == own);
    let user = user.ok_or_else(|| Problem::not_found("session", &id.to_string()))?;
    session::end(change.db(), id).await?;
    let record = Record::new("delete_other_session", format!("user/{user}"));
    change.commit(record).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn wrong() -> Problem {
    Problem::new(Code::Unauthenticated, "The name or the password is wrong.")
}

fn none() -> Problem {
    Problem::new(
        Code::NotFound,
        "There is no session: you did not come with its cookie.",
    )
}
