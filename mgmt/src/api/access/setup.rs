//! The first start.

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::users::{User, described, user};
use super::{check_name, check_password};
use crate::Shared;
use crate::api::problem::{Code, FieldError, Problem};
use crate::api::request::{Body, Checked, text};
use crate::auth::login::Login;
use crate::auth::throttle::network;
use crate::auth::user::NewUser;
use crate::auth::{Role, setup, user as users};
use crate::secret::Secret;
use crate::store::{Actor, Record};

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(read_setup, create_first_administrator))
}

/// Whether the appliance waits for its first administrator.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Setup {
    /// It does: `POST /setup` makes one.
    pub open: bool,
}

/// The first administrator.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstAdministrator {
    /// The setup code, from the console, from the file `setup-code` in the state directory, or
    /// from `wardline-mgmt setup-code`.
    #[schema(value_type = String, format = Password, max_length = 64)]
    pub code: Secret,
    /// Name to log in with.
    #[schema(pattern = "^[a-z0-9][a-z0-9._@-]{0,63}$")]
    pub name: String,
    /// As people call them.
    #[serde(default)]
    #[schema(max_length = 128)]
    pub display_name: String,
    /// 12 to 128 characters, not easily guessed.
    #[schema(value_type = String, format = Password, min_length = 12, max_length = 128)]
    pub password: Secret,
}

impl Checked for FirstAdministrator {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.code.reveal().chars().count() > 64 {
            errors.push(FieldError::new("code", "at most 64 characters"));
        }
        check_name("name", &self.name, &mut errors);
        text("display_name", Some(&self.display_name), 128, &mut errors);
        check_password("password", &self.password, &self.name, &mut errors);
        errors
    }
}

/// Whether the appliance waits for its first administrator
#[utoipa::path(get, path = "/setup", tag = "setup",
    responses((status = 200, description = "Whether it does", body = Setup)))]
async fn read_setup(State(app): State<Shared>) -> Result<Json<Setup>, Problem> {
    let mut db = app.store.main.read().acquire().await?;
    let open = setup::is_open(&mut db).await?;
    Ok(Json(Setup { open }))
}

/// Make the first administrator
///
/// The code ends with it. Wrong codes make the next attempt wait.
#[utoipa::path(post, path = "/setup", tag = "setup", request_body = FirstAdministrator,
    responses((status = 201, description = "The administrator", body = User),
        (status = 403, description = "The code is wrong", body = Problem,
            content_type = "application/problem+json")))]
async fn create_first_administrator(
    State(app): State<Shared>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Body(first): Body<FirstAdministrator>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let address = Some(from.ip().to_canonical());
    // No user's name has a space in it.
    let key = format!("setup from {}", network(address));
    let attempt = Login::attempt(&app, &key, address)?;
    let mut db = app.store.main.read().acquire().await?;
    if !setup::is_open(&mut db).await? {
        attempt.succeeded();
        return Err(done());
    }
    if !setup::matches(&mut db, &first.code).await? {
        let detail = "The setup code is wrong. The console shows it; so does the file `setup-code` \
                      in the state directory.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    drop(db);
    let phc = app.login.hasher.hash(first.password).await?;
    let who = format!("user:{}", first.name);
    let mut change = app.store.change(Actor { who, address }).await?;
    // Somebody else may have come first.
    if !setup::is_open(change.db()).await? || !setup::matches(change.db(), &first.code).await? {
        return Err(done());
    }
    let new = NewUser {
        name: &first.name,
        display_name: &first.display_name,
        role: Role::Administrator,
        password: Some(&phc),
        identity: None,
    };
    let made = users::create(change.db(), &new).await;
    made.map_err(|error| super::taken("user", &first.name, error))?;
    setup::close(change.db()).await?;
    let row = users::find(change.db(), &first.name).await?;
    let row = row.ok_or_else(|| Problem::not_found("user", &first.name))?;
    let record = Record::new("create_first_administrator", format!("user/{}", row.name));
    change.commit(record.after(&described(&row))).await?;
    setup::remove_file(&app.config.state.dir);
    attempt.succeeded();
    Ok((StatusCode::CREATED, Json(user(row))))
}

fn done() -> Problem {
    Problem::new(Code::Conflict, "There is an administrator already.")
}
