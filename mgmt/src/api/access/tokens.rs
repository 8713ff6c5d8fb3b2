//! Tokens of programs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{check_name, taken};
use crate::Shared;
use crate::api::page::{self, Page};
use crate::api::problem::{Code, FieldError, Problem};
use crate::api::request::{Body, Checked, Path, Query, text};
use crate::auth::token::{self, LONGEST_DAYS, MOST_SCOPES, NewToken, TokenRow};
use crate::auth::{Principal, Role};
use crate::store::{Change, Record};
use crate::time::Time;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_tokens, create_token))
        .routes(routes!(delete_token))
}

/// A token, without itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Token {
    /// Unique name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What it is narrowed to, such as `devices:read`; empty: whatever the role may.
    pub scopes: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Time,
    /// When it ends.
    pub expires: Time,
    /// When it was used last, to the minute.
    pub used: Option<Time>,
}

/// A token, given out this once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TokenCreated {
    /// Unique name.
    pub name: String,
    /// What to send as `Authorization: Bearer …`. It is not kept and cannot be shown again.
    pub token: String,
    /// When it ends.
    pub expires: Time,
}

/// A token to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenCreate {
    /// Unique name.
    #[schema(pattern = "^[a-z0-9][a-z0-9._@-]{0,63}$")]
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What it is narrowed to: `TAG:read` or `TAG:write`, where TAG is a tag of this description
    /// or `*`; `write` includes `read`. Left out: whatever the role may.
    #[serde(default)]
    #[schema(max_items = 32)]
    pub scopes: Vec<String>,
    /// When it ends, at most 365 days from now.
    pub expires: Time,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for TokenCreate {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_name("name", &self.name, &mut errors);
        if self.scopes.len() > MOST_SCOPES {
            errors.push(FieldError::new("scopes", format!("at most {MOST_SCOPES}")));
        }
        let now = Time::now();
        if self.expires <= now || self.expires > now.plus_s(LONGEST_DAYS * 86_400) {
            let message = format!("in the future, at most {LONGEST_DAYS} days from now");
            errors.push(FieldError::new("expires", message));
        }
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// Which tokens.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TokenQuery {
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before
    pub cursor: Option<String>,
}

/// The tokens, by name
#[utoipa::path(get, path = "/tokens", tag = "tokens", params(TokenQuery),
    responses((status = 200, description = "A page of tokens", body = Page<Token>)))]
async fn list_tokens(
    State(app): State<Shared>,
    Query(query): Query<TokenQuery>,
) -> Result<Json<Page<Token>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let after = after.unwrap_or_default();
    let found = token::list(&app.store.main, &after, limit + 1).await?;
    let page = Page::new(found, limit, |row| row.name.clone());
    Ok(Json(page.map(shown)))
}

/// Make a token
///
/// The answer is the only one that shows it. A token makes none that may do more, or for longer,
/// than itself.
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = TokenCreate,
    responses((status = 201, description = "The token", body = TokenCreated)))]
async fn create_token(
    State(app): State<Shared>,
    principal: Principal,
    Body(new): Body<TokenCreate>,
) -> Result<(StatusCode, Json<TokenCreated>), Problem> {
    check_scopes(&app, &new.scopes)?;
    let mut change = app.store.change(principal.actor()).await?;
    require_within(&mut change, &principal, &new).await?;
    let wanted = NewToken {
        name: &new.name,
        role: new.role,
        scopes: &new.scopes,
        expires: new.expires,
    };
    let made = token::create(&mut change, &wanted).await;
    let secret = made.map_err(|error| taken("token", &new.name, error))?;
    let record = Record::new("create_token", format!("token/{}", new.name))
        .because(new.reason.as_deref())
        .after(&token::described(&wanted));
    change.commit(record).await?;
    let created = TokenCreated {
        token: secret.reveal().to_owned(),
        expires: new.expires,
        name: new.name,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Remove a token
///
/// It is refused from then on.
#[utoipa::path(delete, path = "/tokens/{name}", tag = "tokens",
    params(("name" = String, Path, description = "Name of the token")),
    responses((status = 204, description = "The token is removed")))]
async fn delete_token(
    State(app): State<Shared>,
    principal: Principal,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    if !token::delete(change.db(), &name).await? {
        return Err(Problem::not_found("token", &name));
    }
    let record = Record::new("delete_token", format!("token/{name}"));
    change.commit(record).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn check_scopes(app: &Shared, scopes: &[String]) -> Result<(), Problem> {
    let wrong = scopes.iter().enumerate().filter_map(|(place, scope)| {
        let why = token::unfit_scope(&app.gate, scope)?;
        Some(FieldError::new(format!("scopes[{place}]"), why))
    });
    let wrong: Vec<_> = wrong.collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Problem::new(Code::InvalidBody, "Some scopes cannot be so; see `errors`.").with(wrong))
}

/// Nobody gives what they do not have.
async fn require_within(
    change: &mut Change,
    principal: &Principal,
    new: &TokenCreate,
) -> Result<(), Problem> {
    let within = |scope: &String| {
        let (tag, right) = scope.split_once(':').unwrap_or((scope, ""));
        principal.in_scope(tag, right)
    };
    let narrowed = principal.scopes.is_some();
    if narrowed && (new.scopes.is_empty() || !new.scopes.iter().all(within)) {
        let detail = "A token makes none with scopes that it does not have itself.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    if let Some(name) = principal.who.strip_prefix("token:") {
        let end = token::end_of(change.db(), name).await?;
        if end.is_none_or(|end| new.expires > end) {
            let detail = "A token makes none that holds longer than itself.";
            return Err(Problem::new(Code::Forbidden, detail));
        }
    }
    Ok(())
}

fn shown(row: TokenRow) -> Token {
    Token {
        name: row.name,
        role: row.role,
        scopes: row.scopes,
        created_by: row.created_by,
        created: row.created,
        expires: row.expires,
        used: row.used,
    }
}
