//! People: local users with a password, and those an identity provider vouches for.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::Role;
use crate::store::{Database, StoreError, sql};
use crate::time::Time;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Number in the database.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// As people call them.
    pub display_name: String,
    /// What they may do.
    pub role: Role,
    /// PHC string; absent for users of an identity provider.
    pub password: Option<String>,
    /// Whether they are kept out.
    pub disabled: bool,
    /// When the user was made.
    pub created: Time,
    /// Their last login.
    pub last_login: Option<Time>,
    /// Rises with each change by people.
    pub revision: i64,
}

/// Who somebody is to the identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// The user, as the provider numbers them.
    pub subject: &'a str,
}

/// A user to be.
#[derive(Debug, Clone, Copy)]
pub struct NewUser<'a> {
    /// Unique name.
    pub name: &'a str,
    /// As people call them.
    pub display_name: &'a str,
    /// What they may do.
    pub role: Role,
    /// PHC string of a local user.
    pub password: Option<&'a str>,
    /// Of a user of an identity provider.
    pub identity: Option<Identity<'a>>,
}

const COLUMNS: &str =
    "id, name, display_name, role, password, disabled, created_us, last_login_us, revision";

fn row(row: &SqliteRow) -> Result<UserRow, sqlx::Error> {
    let role: String = row.try_get("role")?;
    Ok(UserRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        display_name: row.try_get("display_name")?,
        role: Role::from_name(&role)
            .ok_or_else(|| sqlx::Error::Decode(format!("no role `{role}`").into()))?,
        password: row.try_get("password")?,
        disabled: row.try_get("disabled")?,
        created: Time::from_us(row.try_get("created_us")?),
        last_login: row
            .try_get::<Option<i64>, _>("last_login_us")?
            .map(Time::from_us),
        revision: row.try_get("revision")?,
    })
}

/// At most `limit` users whose names come after `after`, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(db: &Database, after: &str, limit: u32) -> Result<Vec<UserRow>, StoreError> {
    let found = sqlx::query(sql(format!(
        "SELECT {COLUMNS} FROM user WHERE name > ?1 ORDER BY name LIMIT ?2"
    )))
    .bind(after)
    .bind(limit)
    .fetch_all(db.read())
    .await?;
    Ok(found.iter().map(row).collect::<Result<_, _>>()?)
}

/// The user of a name.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &mut SqliteConnection, name: &str) -> Result<Option<UserRow>, StoreError> {
    let found = sqlx::query(sql(format!("SELECT {COLUMNS} FROM user WHERE name = ?1")))
        .bind(name)
        .fetch_optional(db)
        .await?;
    Ok(found.as_ref().map(row).transpose()?)
}

/// The user that an identity provider vouches for.
///
/// # Errors
/// When the database fails.
pub async fn find_identity(
    db: &mut SqliteConnection,
    identity: Identity<'_>,
) -> Result<Option<UserRow>, StoreError> {
    let found = sqlx::query(sql(format!(
        "SELECT {COLUMNS} FROM user WHERE issuer = ?1 AND subject = ?2"
    )))
    .bind(identity.issuer)
    .bind(identity.subject)
    .fetch_optional(db)
    .await?;
    Ok(found.as_ref().map(row).transpose()?)
}

/// Makes a user.
///
/// # Errors
/// When the name is taken, or the database fails.
pub async fn create(db: &mut SqliteConnection, new: &NewUser<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO user (name, display_name, role, password, created_us, issuer, subject) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(new.name)
    .bind(new.display_name)
    .bind(new.role.name())
    .bind(new.password)
    .bind(Time::now().us())
    .bind(new.identity.map(|identity| identity.issuer))
    .bind(new.identity.map(|identity| identity.subject))
    .execute(db)
    .await?;
    Ok(())
}

/// Keeps name to be shown, role and whether they are kept out; the revision rises.
///
/// # Errors
/// When the database fails.
pub async fn write(db: &mut SqliteConnection, user: &UserRow) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE user SET display_name = ?2, role = ?3, disabled = ?4, revision = revision + 1 \
         WHERE id = ?1",
    )
    .bind(user.id)
    .bind(&user.display_name)
    .bind(user.role.name())
    .bind(user.disabled)
    .execute(db)
    .await?;
    Ok(())
}

/// Exchanges a password.
///
/// # Errors
/// When the database fails.
pub async fn write_password(
    db: &mut SqliteConnection,
    user: i64,
    phc: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE user SET password = ?2, failures = 0 WHERE id = ?1")
        .bind(user)
        .bind(phc)
        .execute(db)
        .await?;
    Ok(())
}

/// Remembers that a user logged in, and forgets the wrong passwords before.
///
/// # Errors
/// When the database fails.
pub async fn write_login(db: &mut SqliteConnection, user: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE user SET last_login_us = ?2, failures = 0 WHERE id = ?1")
        .bind(user)
        .bind(Time::now().us())
        .execute(db)
        .await?;
    Ok(())
}

/// Removes a user with all sessions.
///
/// # Errors
/// When the database fails.
pub async fn delete(db: &mut SqliteConnection, user: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM user WHERE id = ?1")
        .bind(user)
        .execute(db)
        .await?;
    Ok(())
}

/// Whether there is an administrator who can come in without an identity provider.
///
/// # Errors
/// When the database fails.
pub async fn has_administrator(db: &mut SqliteConnection) -> Result<bool, StoreError> {
    let found: Option<(i64,)> = sqlx::query_as(
        "SELECT id FROM user WHERE role = ?1 AND disabled = 0 AND password IS NOT NULL LIMIT 1",
    )
    .bind(Role::Administrator.name())
    .fetch_optional(db)
    .await?;
    Ok(found.is_some())
}

/// Remembers failures of a user over a restart; nothing happens where there is no such user.
///
/// # Errors
/// When the database fails.
pub async fn write_failures(
    db: &Database,
    name: &str,
    count: u32,
    last: Time,
) -> Result<(), StoreError> {
    let mut change = db.begin().await?;
    sqlx::query("UPDATE user SET failures = ?2, failed_us = ?3 WHERE name = ?1")
        .bind(name)
        .bind(count)
        .bind(last.us())
        .execute(&mut *change)
        .await?;
    change.commit().await?;
    Ok(())
}

/// The users with most failures, as many as are worth remembering: name, count, the last one.
///
/// # Errors
/// When the database fails.
pub async fn failures(db: &Database) -> Result<Vec<(String, u32, Time)>, StoreError> {
    let found: Vec<(String, u32, i64)> = sqlx::query_as(
        "SELECT name, failures, failed_us FROM user WHERE failures > 0 \
         ORDER BY failures DESC LIMIT 1000",
    )
    .fetch_all(db.read())
    .await?;
    let found = found.into_iter();
    Ok(found
        .map(|(name, count, us)| (name, count, Time::from_us(us)))
        .collect())
}
