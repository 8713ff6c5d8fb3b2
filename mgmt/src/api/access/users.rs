//! People.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{check_name, check_password, taken};
use crate::Shared;
use crate::api::page::{self, Page};
use crate::api::problem::{Code, FieldError, Problem};
use crate::api::request::{Body, Checked, IfMatch, Path, Query, etag, text};
use crate::auth::password::unfit;
use crate::auth::user::{self as users, NewUser, UserRow};
use crate::auth::{Principal, Role, session, setup};
use crate::secret::Secret;
use crate::store::{Change, Record, StoreError};
use crate::time::Time;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_users, create_user))
        .routes(routes!(read_user, update_user, delete_user))
        .routes(routes!(set_user_password))
}

/// Somebody who may log in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct User {
    /// Name to log in with.
    pub name: String,
    /// As people call them.
    pub display_name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they are kept out.
    pub disabled: bool,
    /// Who vouches for them.
    pub source: Source,
    /// When the user was made.
    pub created: Time,
    /// The last login.
    pub last_login: Option<Time>,
}

/// Who vouches for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// This appliance, by a password.
    Local,
    /// The identity provider, which also says what they may do.
    IdentityProvider,
}

/// Somebody to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserCreate {
    /// Name to log in with.
    #[schema(pattern = "^[a-z0-9][a-z0-9._@-]{0,63}$")]
    pub name: String,
    /// As people call them.
    #[serde(default)]
    #[schema(max_length = 128)]
    pub display_name: String,
    /// What they may do.
    pub role: Role,
    /// 12 to 128 characters, not easily guessed.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 128)]
    pub password: Secret,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for UserCreate {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_name("name", &self.name, &mut errors);
        text("display_name", Some(&self.display_name), 128, &mut errors);
        check_password("password", &self.password, &self.name, &mut errors);
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// What changes of a user. What is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserUpdate {
    /// As people call them.
    #[schema(max_length = 128)]
    pub display_name: Option<String>,
    /// What they may do; the identity provider says so for its own users.
    pub role: Option<Role>,
    /// Whether they are kept out; ends their sessions.
    pub disabled: Option<bool>,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for UserUpdate {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        text(
            "display_name",
            self.display_name.as_deref(),
            128,
            &mut errors,
        );
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// A password for somebody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordSet {
    /// 12 to 128 characters, not easily guessed.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 128)]
    pub password: Secret,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for PasswordSet {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        // Nobody's name is empty: whether it is the user's is seen when the user is known.
        check_password("password", &self.password, "", &mut errors);
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// Which users.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before
    pub cursor: Option<String>,
}

/// The users, by name
#[utoipa::path(get, path = "/users", tag = "users", params(UserQuery),
    responses((status = 200, description = "A page of users", body = Page<User>)))]
async fn list_users(
    State(app): State<Shared>,
    Query(query): Query<UserQuery>,
) -> Result<Json<Page<User>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let after = after.unwrap_or_default();
    let found = users::list(&app.store.main, &after, limit + 1).await?;
    let page = Page::new(found, limit, |row| row.name.clone());
    Ok(Json(page.map(user)))
}

/// Make a user
#[utoipa::path(post, path = "/users", tag = "users", request_body = UserCreate,
    responses((status = 201, description = "The user", body = User,
        headers(("ETag" = String, description = "Its revision")))))]
async fn create_user(
    State(app): State<Shared>,
    principal: Principal,
    Body(new): Body<UserCreate>,
) -> Result<(StatusCode, HeaderMap, Json<User>), Problem> {
    let phc = app.login.hasher.hash(new.password).await?;
    let mut change = app.store.change(principal.actor()).await?;
    let row = NewUser {
        name: &new.name,
        display_name: &new.display_name,
        role: new.role,
        password: Some(&phc),
        identity: None,
    };
    let made = users::create(change.db(), &row).await;
    made.map_err(|error| taken("user", &new.name, error))?;
    let row = existing(&mut change, &new.name).await?;
    let record = Record::new("create_user", format!("user/{}", row.name)).because(new.reason);
    commit(&app, change, record.after(&described(&row))).await?;
    Ok((StatusCode::CREATED, etag(row.revision), Json(user(row))))
}

/// One user
#[utoipa::path(get, path = "/users/{name}", tag = "users",
    params(("name" = String, Path, description = "Name of the user")),
    responses((status = 200, description = "The user", body = User,
        headers(("ETag" = String, description = "Its revision")))))]
async fn read_user(
    State(app): State<Shared>,
    Path(name): Path<String>,
) -> Result<(HeaderMap, Json<User>), Problem> {
    let mut db = app.store.main.read().acquire().await?;
    let row = users::find(&mut db, &name).await?;
    let row = row.ok_or_else(|| Problem::not_found("user", &name))?;
    Ok((etag(row.revision), Json(user(row))))
}

/// Change a user
///
/// The last administrator with a password can be neither disabled nor given another role.
#[utoipa::path(patch, path = "/users/{name}", tag = "users", request_body = UserUpdate,
    params(("name" = String, Path, description = "Name of the user"), IfMatch),
    responses((status = 200, description = "As it is now", body = User,
        headers(("ETag" = String, description = "Its revision")))))]
async fn update_user(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(name): Path<String>,
    Body(update): Body<UserUpdate>,
) -> Result<(HeaderMap, Json<User>), Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let before = existing(&mut change, &name).await?;
    if_match.require(before.revision)?;
    if before.password.is_none() && update.role.is_some_and(|role| role != before.role) {
        let detail = "The identity provider says what this user may do; change it there.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    let mut row = before.clone();
    row.display_name = update.display_name.unwrap_or(row.display_name);
    row.role = update.role.unwrap_or(row.role);
    row.disabled = update.disabled.unwrap_or(row.disabled);
    users::write(change.db(), &row).await?;
    require_administrator(&mut change, &before).await?;
    if row.disabled {
        session::end_all(change.db(), row.id).await?;
    }
    let record = Record::new("update_user", format!("user/{name}"))
        .because(update.reason)
        .before(&described(&before))
        .after(&described(&row));
    commit(&app, change, record).await?;
    row.revision += 1;
    Ok((etag(row.revision), Json(user(row))))
}

/// Remove a user
///
/// Ends their sessions. What they did stays in the audit log. The last administrator with a
/// password cannot be removed.
#[utoipa::path(delete, path = "/users/{name}", tag = "users",
    params(("name" = String, Path, description = "Name of the user"), IfMatch),
    responses((status = 204, description = "The user is removed")))]
async fn delete_user(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let row = existing(&mut change, &name).await?;
    if_match.require(row.revision)?;
    users::delete(change.db(), row.id).await?;
    require_administrator(&mut change, &row).await?;
    let record = Record::new("delete_user", format!("user/{name}"));
    change.commit(record.before(&described(&row))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a user another password
///
/// Ends their sessions.
#[utoipa::path(put, path = "/users/{name}/password", tag = "users", request_body = PasswordSet,
    params(("name" = String, Path, description = "Name of the user")),
    responses((status = 204, description = "The password is exchanged")))]
async fn set_user_password(
    State(app): State<Shared>,
    principal: Principal,
    Path(name): Path<String>,
    Body(set): Body<PasswordSet>,
) -> Result<StatusCode, Problem> {
    if let Some(why) = unfit(&set.password, &name) {
        let errors = vec![FieldError::new("password", why)];
        return Err(Problem::new(Code::InvalidBody, "See `errors`.").with(errors));
    }
    let phc = app.login.hasher.hash(set.password).await?;
    let mut change = app.store.change(principal.actor()).await?;
    let row = existing(&mut change, &name).await?;
    require_password(&row)?;
    users::write_password(change.db(), row.id, &phc).await?;
    session::end_all(change.db(), row.id).await?;
    let record = Record::new("set_user_password", format!("user/{name}"));
    change.commit(record.because(set.reason)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A user without a password logs in elsewhere, and is not given one here.
pub(super) fn require_password(row: &UserRow) -> Result<(), Problem> {
    if row.password.is_some() {
        return Ok(());
    }
    let detail = "The identity provider vouches for this user; there is no password here.";
    Err(Problem::new(Code::Conflict, detail))
}

pub(super) async fn existing(change: &mut Change, name: &str) -> Result<UserRow, Problem> {
    let row = users::find(change.db(), name).await?;
    row.ok_or_else(|| Problem::not_found("user", name))
}

/// Somebody must be left who can let others in, also when the identity provider is away.
async fn require_administrator(change: &mut Change, before: &UserRow) -> Result<(), Problem> {
    let counted =
        before.role == Role::Administrator && before.password.is_some() && !before.disabled;
    if !counted || users::has_administrator(change.db()).await? {
        return Ok(());
    }
    let detail = "This is the last administrator with a password; make another one first.";
    Err(Problem::new(Code::Conflict, detail))
}

/// Commits, and ends the setup if there is an administrator now: one may also come by a token or
/// from the identity provider.
async fn commit(app: &Shared, mut change: Change, record: Record) -> Result<(), StoreError> {
    let closed = setup::close(change.db()).await?;
    change.commit(record).await?;
    if closed {
        setup::remove_file(&app.config.state.dir);
    }
    Ok(())
}

pub(super) fn user(row: UserRow) -> User {
    User {
        name: row.name,
        display_name: row.display_name,
        role: row.role,
        disabled: row.disabled,
        source: match row.password {
            Some(_) => Source::Local,
            None => Source::IdentityProvider,
        },
        created: row.created,
        last_login: row.last_login,
    }
}

/// A user as the audit log has it.
pub(super) fn described(row: &UserRow) -> serde_json::Value {
    serde_json::json!({
        "display_name": row.display_name,
        "role": row.role,
        "disabled": row.disabled,
    })
}
