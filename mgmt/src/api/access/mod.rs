//! Who comes in and what they may do: the first administrator, users, sessions, tokens,
//! certificates of programs, and login through an identity provider.

mod certificates;
mod login;
mod me;
mod sessions;
mod setup;
mod tokens;
mod users;

use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use utoipa_axum::router::OpenApiRouter;

use super::problem::{Code, FieldError, Problem};
use crate::auth::password::unfit;
use crate::auth::user::UserRow;
use crate::auth::{session, unfit_name};
use crate::secret::Secret;
use crate::store::{Change, Record};
use crate::{App, Shared};

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(certificates::operations())
        .merge(login::operations())
        .merge(me::operations())
        .merge(sessions::operations())
        .merge(setup::operations())
        .merge(tokens::operations())
        .merge(users::operations())
}

/// Complains of a text that is no name.
fn check_name(field: &str, name: &str, errors: &mut Vec<FieldError>) {
    errors.extend(unfit_name(name).map(|why| FieldError::new(field, why)));
}

/// Complains of a text that the user `name` may not have as password.
fn check_password(field: &str, password: &Secret, name: &str, errors: &mut Vec<FieldError>) {
    errors.extend(unfit(password, name).map(|why| FieldError::new(field, why)));
}

/// Complains of what is too long to be anybody's password, before it is hashed.
fn check_presented(field: &str, password: &Secret, errors: &mut Vec<FieldError>) {
    if password.reveal().chars().count() > crate::auth::password::LONGEST {
        errors.push(FieldError::new(field, "at most 128 characters"));
    }
}

/// Begins a session of a user in a change under way, in place of the one the browser had: the
/// record, and the headers with the cookie.
async fn begin_session(
    app: &App,
    change: &mut Change,
    user: &UserRow,
    before: Option<&Secret>,
) -> Result<(Record, HeaderMap), Problem> {
    if let Some(before) = before {
        session::end_digest(change.db(), &before.digest()).await?;
    }
    crate::auth::user::write_login(change.db(), user.id).await?;
    let cookie = session::create(change, user.id, &app.config.sessions).await?;
    let record = Record::new("create_session", format!("user/{}", user.name));
    Ok((record, cookie_headers(Some(&cookie))?))
}

/// The header that gives a browser its cookie, or takes it away.
fn cookie_headers(cookie: Option<&Secret>) -> Result<HeaderMap, Problem> {
    let value = session::set_cookie(cookie)
        .ok_or_else(|| Problem::new(Code::Internal, "The log of the appliance says more."))?;
    Ok(HeaderMap::from_iter([(SET_COOKIE, value)]))
}

/// The name of the user behind a principal; nobody, if it is a program.
fn user_name(who: &str) -> Option<&str> {
    who.strip_prefix("user:")
}

/// A name that is taken is said to be so in our words, not in the database's.
fn taken(what: &str, name: &str, error: crate::store::StoreError) -> Problem {
    match error {
        crate::store::StoreError::Taken(_) => Problem::new(
            Code::Conflict,
            format!("There is a {what} `{name}` already."),
        ),
        error => error.into(),
    }
}
