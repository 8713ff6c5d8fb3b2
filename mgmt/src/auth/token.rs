//! Tokens of programs: random, with a role, scopes and an end; kept as digests.

use std::net::IpAddr;

use super::{Principal, Role};
use crate::secret::Secret;
use crate::store::{Change, Store, StoreError};
use crate::time::Time;

/// What tokens begin with, so that scanners for leaked secrets know them.
pub const PREFIX: &str = "wardline_";

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

/// Makes a token and gives it out, this once.
///
/// # Errors
/// When the name is taken or it could not be kept.
pub async fn create(change: &mut Change, new: &NewToken<'_>) -> Result<Secret, StoreError> {
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
    .bind(Time::now().us())
    .bind(new.expires.us())
    .execute(change.db())
    .await?;
    Ok(token)
}

/// Who holds a token, if it is one of ours and has not ended.
///
/// # Errors
/// When the store cannot be read.
pub async fn find(
    store: &Store,
    token: &Secret,
    address: Option<IpAddr>,
) -> Result<Option<Principal>, StoreError> {
    let found: Option<(String, String, String)> = sqlx::query_as(
        "SELECT name, role, scopes FROM token WHERE digest = ?1 AND expires_us > ?2",
    )
    .bind(token.digest())
    .bind(Time::now().us())
    .fetch_optional(store.main.read())
    .await?;
    Ok(found.and_then(|(name, role, scopes)| {
        let scopes: Vec<String> = serde_json::from_str(&scopes).ok()?;
        Some(Principal {
            who: format!("token:{name}"),
            role: Role::from_name(&role)?,
            scopes: Some(scopes).filter(|scopes| !scopes.is_empty()),
            session: None,
            address,
        })
    }))
}
