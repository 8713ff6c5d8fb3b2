//! Sessions of people: a random cookie, kept as its digest, that ends when it is not used or has
//! grown old.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use sqlx::SqliteConnection;

use super::{Principal, Role};
use crate::Shared;
use crate::config::Sessions;
use crate::secret::Secret;
use crate::store::{Change, Database, StoreError};
use crate::time::Time;

/// Name of the cookie; browsers take this prefix from its own host over TLS only.
pub const COOKIE: &str = "__Host-wardline";
/// Header in which a browser proves that one of our own pages asks.
pub const CSRF_HEADER: &str = "x-wardline-csrf";

/// Sessions that one user may have; the oldest make room.
const EACH: i64 = 32;
/// How exactly the last use is known, in seconds; a write for each request would be too many.
const USED_EVERY_S: i64 = 60;
/// What [`csrf`] is made for.
const CSRF: &str = "wardline csrf";

/// A session as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its number.
    pub id: i64,
    /// SHA-256 of the cookie.
    pub digest: String,
    /// Name of the user.
    pub user: String,
    /// When the user logged in.
    pub created: Time,
    /// When it was used last, to the minute.
    pub used: Time,
    /// Where the login came from.
    pub address: String,
}

/// Begins a session and gives out its cookie, this once.
///
/// # Errors
/// When it could not be kept.
pub async fn create(
    change: &mut Change,
    user: i64,
    lifetimes: &Sessions,
) -> Result<Secret, StoreError> {
    let cookie = Secret::random("").map_err(|e| StoreError::Other(sqlx::Error::Io(e)))?;
    let address = change.actor().address;
    let address = address.map_or_else(String::new, |address| address.to_string());
    let now = Time::now();
    let (oldest, idlest) = limits(lifetimes, now);
    sqlx::query("DELETE FROM session WHERE created_us <= ?1 OR used_us <= ?2")
        .bind(oldest.us())
        .bind(idlest.us())
        .execute(change.db())
        .await?;
    sqlx::query(
        "INSERT INTO session (digest, user, created_us, used_us, address) \
         VALUES (?1, ?2, ?3, ?3, ?4)",
    )
    .bind(cookie.digest())
    .bind(user)
    .bind(now.us())
    .bind(address)
    .execute(change.db())
    .await?;
    sqlx::query(
        "DELETE FROM session WHERE user = ?1 AND id NOT IN \
         (SELECT id FROM session WHERE user = ?1 ORDER BY id DESC LIMIT ?2)",
    )
    .bind(user)
    .bind(EACH)
    .execute(change.db())
    .await?;
    Ok(cookie)
}

/// Who holds a cookie, if its session has not ended. Counts as a use of it.
///
/// # Errors
/// When the store cannot be read.
pub async fn find(
    app: &Shared,
    cookie: &Secret,
    address: Option<IpAddr>,
) -> Result<Option<Principal>, StoreError> {
    let now = Time::now();
    let (oldest, idlest) = limits(&app.config.sessions, now);
    let digest = cookie.digest();
    let found: Option<(String, String, i64)> = sqlx::query_as(
        "SELECT user.name, user.role, session.used_us FROM session \
         JOIN user ON user.id = session.user WHERE session.digest = ?1 AND user.disabled = 0 \
         AND session.created_us > ?2 AND session.used_us > ?3",
    )
    .bind(&digest)
    .bind(oldest.us())
    .bind(idlest.us())
    .fetch_optional(app.store.main.read())
    .await?;
    let Some((name, role, used_us)) = found else {
        return Ok(None);
    };
    if used_us < now.plus_s(-USED_EVERY_S).us() {
        let (kept, digest) = (app.clone(), digest.clone());
        let write = async move { write_use(&kept.store.main, &digest, now).await };
        app.login.write_apart(write);
    }
    Ok(Role::from_name(&role).map(|role| Principal {
        who: format!("user:{name}"),
        role,
        scopes: None,
        session: Some(digest),
        address,
    }))
}

/// Sessions that have not ended, from number `after` on; of one user, or of all.
///
/// # Errors
/// When the database fails.
pub async fn list(
    app: &Shared,
    user: Option<&str>,
    after: i64,
    limit: u32,
) -> Result<Vec<SessionRow>, StoreError> {
    let (oldest, idlest) = limits(&app.config.sessions, Time::now());
    let found: Vec<(i64, String, String, i64, i64, String)> = sqlx::query_as(
        "SELECT session.id, digest, user.name, session.created_us, used_us, address \
         FROM session JOIN user ON user.id = session.user \
         WHERE session.id > ?1 AND (?2 IS NULL OR user.name = ?2) \
         AND session.created_us > ?3 AND used_us > ?4 ORDER BY session.id LIMIT ?5",
    )
    .bind(after)
    .bind(user)
    .bind(oldest.us())
    .bind(idlest.us())
    .bind(limit)
    .fetch_all(app.store.main.read())
    .await?;
    let found = found.into_iter();
    Ok(found
        .map(|(id, digest, user, created, used, address)| SessionRow {
            id,
            digest,
            user,
            created: Time::from_us(created),
            used: Time::from_us(used),
            address,
        })
        .collect())
}

/// When the session of a cookie began, by the cookie's digest.
///
/// # Errors
/// When the database fails.
pub async fn created(db: &Database, digest: &str) -> Result<Option<Time>, StoreError> {
    let found: Option<(i64,)> = sqlx::query_as("SELECT created_us FROM session WHERE digest = ?1")
        .bind(digest)
        .fetch_optional(db.read())
        .await?;
    Ok(found.map(|(us,)| Time::from_us(us)))
}

/// The user of a session, by its number.
///
/// # Errors
/// When the database fails.
pub async fn user_of(db: &mut SqliteConnection, id: i64) -> Result<Option<String>, StoreError> {
    let found: Option<(String,)> = sqlx::query_as(
        "SELECT user.name FROM session JOIN user ON user.id = session.user WHERE session.id = ?1",
    )
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(found.map(|(name,)| name))
}

/// Ends the session of a number.
///
/// # Errors
/// When the database fails.
pub async fn end(db: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM session WHERE id = ?1")
        .bind(id)
        .execute(db)
        .await?;
    Ok(())
}

/// Ends the session of a cookie, by the cookie's digest. Whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn end_digest(db: &mut SqliteConnection, digest: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM session WHERE digest = ?1")
        .bind(digest)
        .execute(db)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends all sessions of a user.
///
/// # Errors
/// When the database fails.
pub async fn end_all(db: &mut SqliteConnection, user: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM session WHERE user = ?1")
        .bind(user)
        .execute(db)
        .await?;
    Ok(())
}

/// When a session ends at the latest.
pub fn end_of(created: Time, lifetimes: &Sessions) -> Time {
    created.plus_s(i64::from(lifetimes.hours) * 3_600)
}

/// The cookie of a request.
pub fn cookie(headers: &HeaderMap) -> Option<Secret> {
    let jar = CookieJar::from_headers(headers);
    jar.get(COOKIE)
        .map(|cookie| Secret::from_outside(cookie.value()))
}

/// The `Set-Cookie` that begins a session, or ends it where there is no secret.
pub fn set_cookie(secret: Option<&Secret>) -> Option<HeaderValue> {
    let mut cookie = Cookie::build((COOKIE, secret.map_or("", Secret::reveal).to_owned()))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .build();
    if secret.is_none() {
        cookie.make_removal();
    }
    header(&cookie)
}

/// A cookie as a header that logs do not show.
pub(super) fn header(cookie: &Cookie<'_>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&cookie.to_string()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What a page of ours sends along with each change.
pub fn csrf(cookie: &Secret) -> Secret {
    cookie.derive(CSRF)
}

/// Whether it is what [`csrf`] gave.
pub fn is_csrf(cookie: &Secret, text: &str) -> bool {
    cookie.derives(CSRF, text)
}

/// Before which a session began, or was used last, that has ended.
fn limits(lifetimes: &Sessions, now: Time) -> (Time, Time) {
    (
        now.plus_s(-i64::from(lifetimes.hours) * 3_600),
        now.plus_s(-i64::from(lifetimes.idle_minutes) * 60),
    )
}

async fn write_use(db: &Database, digest: &str, now: Time) -> Result<(), StoreError> {
    let mut change = db.begin().await?;
    sqlx::query("UPDATE session SET used_us = ?2 WHERE digest = ?1")
        .bind(digest)
        .bind(now.us())
        .execute(&mut *change)
        .await?;
    change.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_for_our_own_pages_only() {
        let secret = Secret::from_outside("abc");
        let begin = set_cookie(Some(&secret)).expect("a header");
        assert_eq!(
            begin,
            "__Host-wardline=abc; HttpOnly; SameSite=Strict; Secure; Path=/"
        );
        assert!(begin.is_sensitive());
        let end = set_cookie(None).expect("a header");
        let end = end.to_str().expect("text");
        assert!(end.contains("Max-Age=0") && end.contains("Secure"), "{end}");
    }
}
