//! Whoever asks.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::users::{existing, require_password};
use super::{begin_session, check_password, check_presented, user_name};
use crate::Shared;
use crate::api::problem::{Code, FieldError, Problem};
use crate::api::request::{Body, Checked};
use crate::auth::login::Login;
use crate::auth::password::unfit;
use crate::auth::user as users;
use crate::auth::{Principal, Role, session};
use crate::secret::Secret;
use crate::store::Record;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(read_me))
        .routes(routes!(change_my_password))
}

/// Whoever asks.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Me {
    /// As the audit log has it: `user:NAME`, `token:NAME` or `certificate:NAME`.
    pub who: String,
    /// What it may do.
    pub role: Role,
    /// What a token is narrowed to; absent: whatever the role may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// As people call them; absent for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// Another password for oneself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password until now.
    #[schema(value_type = String, format = Password, max_length = 128)]
    pub current: Secret,
    /// 12 to 128 characters, not easily guessed.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 128)]
    pub password: Secret,
}

impl Checked for PasswordChange {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_presented("current", &self.current, &mut errors);
        // Nobody's name is empty: whether it is the user's is seen when the user is known.
        check_password("password", &self.password, "", &mut errors);
        errors
    }
}

/// Who am I, and what may I do?
#[utoipa::path(get, path = "/me", tag = "me",
    responses((status = 200, description = "Whoever asks", body = Me)))]
async fn read_me(State(app): State<Shared>, principal: Principal) -> Result<Json<Me>, Problem> {
    let mut display_name = None;
    if let Some(name) = user_name(&principal.who) {
        let mut db = app.store.main.read().acquire().await?;
        display_name = users::find(&mut db, name)
            .await?
            .map(|row| row.display_name);
    }
    Ok(Json(Me {
        who: principal.who,
        role: principal.role,
        scopes: principal.scopes,
        display_name,
    }))
}

/// Give oneself another password
///
/// Ends all other sessions; this one goes on with another cookie. Wrong passwords make the next
/// attempt wait.
#[utoipa::path(put, path = "/me/password", tag = "me", request_body = PasswordChange,
    responses((status = 204, description = "The password is exchanged",
        headers(("Set-Cookie" = String, description = "The session's other cookie")))))]
async fn change_my_password(
    State(app): State<Shared>,
    principal: Principal,
    Body(change): Body<PasswordChange>,
) -> Result<(StatusCode, HeaderMap), Problem> {
    let name = user_name(&principal.who).ok_or_else(|| {
        Problem::new(
            Code::Conflict,
            "Programs have no password; log in as a user.",
        )
    })?;
    let wrong = |field: &str, why: &str| {
        let errors = vec![FieldError::new(field, why)];
        Problem::new(Code::InvalidBody, "See `errors`.").with(errors)
    };
    if let Some(why) = unfit(&change.password, name) {
        return Err(wrong("password", &why));
    }
    let mut db = app.store.main.read().acquire().await?;
    let row = users::find(&mut db, name).await?;
    let row = row.ok_or_else(|| Problem::not_found("user", name))?;
    drop(db);
    require_password(&row)?;
    let attempt = Login::attempt(&app, name, principal.address)?;
    let known = row.password;
    let right = app.login.hasher.verify(change.current, known.clone());
    if !right.await? {
        return Err(wrong("current", "this is not the password"));
    }
    attempt.succeeded();
    let phc = app.login.hasher.hash(change.password).await?;
    let mut transaction = app.store.change(principal.actor()).await?;
    let row = existing(&mut transaction, name).await?;
    if row.password != known {
        let detail = "The password was exchanged meanwhile; log in again.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    users::write_password(transaction.db(), row.id, &phc).await?;
    session::end_all(transaction.db(), row.id).await?;
    let (_, headers) = begin_session(&app, &mut transaction, &row, None).await?;
    let record = Record::new("change_my_password", format!("user/{name}"));
    transaction.commit(record).await?;
    Ok((StatusCode::NO_CONTENT, headers))
}
