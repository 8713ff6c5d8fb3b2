//! Tokens of programs: random, with a role, scopes and an end; kept as digests.

use std::net::IpAddr;

use sqlx::SqliteConnection;

use super::{Gate, Principal, Role};
use crate::Shared;
use crate::secret::Secret;
use crate::store::{Change, Database, StoreError};
use crate::time::Time;

/// What tokens begin with, so that scanners for leaked secrets know them.
pub const PREFIX: &str = "wardline_";
/// Days that a token may hold.
pub const LONGEST_DAYS: i64 = 365;
/// Scopes that a token may be narrowed to.
pub const MOST_SCOPES: usize = 32;

/// How exactly the last use is known, in seconds.
const USED_EVERY_S: i64 = 60;
/// Who may write these decides who comes in: that is no narrower than no scope at all.
const WHOLE: [&str; 2] = ["users:write", "certificates:write"];

/// What is asked for.
#[derive(Debug, Clone)]
pub struct NewToken<'a> {
    /// Unique name.
    pub name: &'a str,
    /// What it may do.
    pub role: Role,
    /// What it is narrowed to; empty: whatever the role may.
    pub scopes: &'a [String],
    /// When it ends.
    pub expires: Time,
}

/// A token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Unique name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What it is narrowed to; empty: whatever the role may.
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

/// A token as the audit log has it.
pub fn described(new: &NewToken<'_>) -> serde_json::Value {
    serde_json::json!({
        "role": new.role,
        "scopes": new.scopes,
        "expires": new.expires,
    })
}

/// What keeps a text from being a scope, if anything does.
pub fn unfit_scope(gate: &Gate, scope: &str) -> Option<String> {
    if WHOLE.contains(&scope) {
        return Some("gives as much as no scopes at all: leave the scopes out".to_owned());
    }
    let parts = scope.split_once(':');
    let known = parts.is_some_and(|(tag, right)| {
        matches!(right, "read" | "write") && (tag == "*" || gate.has_tag(tag))
    });
    let expected = "TAG:read or TAG:write, where TAG is a tag of the API's description or `*`";
    (!known).then(|| expected.to_owned())
}

/// Makes a token and gives it out, this once. One of the same name that has ended makes room.
///
/// # Errors
/// When the name is taken or it could not be kept.
pub async fn create(change: &mut Change, new: &NewToken<'_>) -> Result<Secret, StoreError> {
    let now = Time::now();
    sqlx::query("DELETE FROM token WHERE name = ?1 AND expires_us <= ?2")
        .bind(new.name)
        .bind(now.us())
        .execute(change.db())
        .await?;
    let token = Secret::random(PREFIX).map_err(|e| StoreError::Other(sqlx::Error::Io(e)))?;
    let who = change.actor().who.clone();
    let scopes = serde_json::to_string(new.scopes)
        .map_err(|e| StoreError::Other(sqlx::Error::Encode(Box::new(e))))?;
    sqlx::query(
        "INSERT INTO token (name, digest, role, scopes, created_by, created_us, expires_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(new.name)
    .bind(token.digest())
    .bind(new.role.name())
    .bind(scopes)
    .bind(who)
    .bind(now.us())
    .bind(new.expires.us())
    .execute(change.db())
    .await?;
    Ok(token)
}

/// Who holds a token, if it is one of ours and has not ended. Counts as a use of it.
///
/// # Errors
/// When the store cannot be read.
pub async fn find(
    app: &Shared,
    token: &Secret,
    address: Option<IpAddr>,
) -> Result<Option<Principal>, StoreError> {
    let now = Time::now();
    let found: Option<(String, String, String, i64)> = sqlx::query_as(
        "SELECT name, role, scopes, coalesce(used_us, 0) FROM token \
         WHERE digest = ?1 AND expires_us > ?2",
    )
    .bind(token.digest())
    .bind(now.us())
    .fetch_optional(app.store.main.read())
    .await?;
    let Some((name, role, scopes, used_us)) = found else {
        return Ok(None);
    };
    if used_us < now.plus_s(-USED_EVERY_S).us() {
        let (kept, name) = (app.clone(), name.clone());
        let write = async move { write_use(&kept.store.main, &name, now).await };
        app.login.write_apart(write);
    }
    let scopes: Option<Vec<String>> = serde_json::from_str(&scopes).ok();
    Ok(Role::from_name(&role)
        .zip(scopes)
        .map(|(role, scopes)| Principal {
            who: format!("token:{name}"),
            role,
            scopes: Some(scopes).filter(|scopes| !scopes.is_empty()),
            session: None,
            address,
        }))
}

/// At most `limit` tokens whose names come after `after`, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(db: &Database, after: &str, limit: u32) -> Result<Vec<TokenRow>, StoreError> {
    type Found = (String, String, String, String, i64, i64, Option<i64>);
    let found: Vec<Found> = sqlx::query_as(
        "SELECT name, role, scopes, created_by, created_us, expires_us, used_us FROM token \
         WHERE name > ?1 ORDER BY name LIMIT ?2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(db.read())
    .await?;
    let rows = found
        .into_iter()
        .map(|(name, role, scopes, by, created, expires, used)| {
            let role = Role::from_name(&role).ok_or_else(|| format!("no role `{role}`"))?;
            Ok(TokenRow {
                name,
                role,
                scopes: serde_json::from_str(&scopes)?,
                created_by: by,
                created: Time::from_us(created),
                expires: Time::from_us(expires),
                used: used.map(Time::from_us),
            })
        });
    let rows: Result<_, Box<dyn std::error::Error + Send + Sync>> = rows.collect();
    Ok(rows.map_err(sqlx::Error::Decode)?)
}

/// When the token of a name ends.
///
/// # Errors
/// When the database fails.
pub async fn end_of(db: &mut SqliteConnection, name: &str) -> Result<Option<Time>, StoreError> {
    let found: Option<(i64,)> = sqlx::query_as("SELECT expires_us FROM token WHERE name = ?1")
        .bind(name)
        .fetch_optional(db)
        .await?;
    Ok(found.map(|(us,)| Time::from_us(us)))
}

/// Removes a token. Whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(db: &mut SqliteConnection, name: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM token WHERE name = ?1")
        .bind(name)
        .execute(db)
        .await?;
    Ok(done.rows_affected() > 0)
}

async fn write_use(db: &Database, name: &str, now: Time) -> Result<(), StoreError> {
    let mut change = db.begin().await?;
    sqlx::query("UPDATE token SET used_us = ?2 WHERE name = ?1")
        .bind(name)
        .bind(now.us())
        .execute(&mut *change)
        .await?;
    change.commit().await?;
    Ok(())
}
