//! Versions of the policy, and the one that is wanted in force.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};
use wardline_control::PolicyFormat;

use super::{Database, StoreError, device};
use crate::policy::Document;
use crate::time::Time;

/// A version, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// Its number, never used again.
    pub number: i64,
    /// Name in the document.
    pub name: String,
    /// How it is written.
    pub format: PolicyFormat,
    /// As the fast path would have computed it when the version was made.
    pub content_id: String,
    /// SHA-256 of what it says, whichever way it is written.
    pub document_digest: String,
    /// Who made it in which way: `api`, `edit` or `fastpath`.
    pub origin: String,
    /// The version it was made from.
    pub parent: Option<i64>,
    /// Devices it lists.
    pub devices: i64,
    /// Bytes of the text.
    pub bytes: i64,
    /// When it was made.
    pub created: Time,
    /// By whom.
    pub created_by: String,
    /// Why.
    pub reason: Option<String>,
}

/// The version that is wanted in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Which one.
    pub number: i64,
    /// Whether it is to stay; otherwise it is on trial.
    pub confirmed: bool,
    /// What comes back when a trial is not confirmed.
    pub fallback: Option<i64>,
    /// Since when it is wanted.
    pub since: Time,
    /// Who wants it.
    pub who: String,
}

/// What the wanted version says of a device, beside what the fast path shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// MAC address and VLAN.
    pub key: String,
    /// Name in the policy; absent when it is not listed.
    pub name: Option<String>,
    /// Wanted mode.
    pub mode: String,
    /// Wanted role.
    pub role: Option<String>,
    /// Who answers for the mode.
    pub owner: Option<String>,
    /// Since when it is in its mode.
    pub since: Option<Time>,
    /// What the fast path showed last; absent when it never saw the device.
    pub shown_mode: Option<String>,
    /// The role it showed.
    pub shown_role: Option<String>,
    /// Whether the two differ. A release (break-glass) is no difference.
    pub differs: bool,
}

const COLUMNS: &str = "number, name, format, content_id, document_digest, origin, parent, devices, bytes, \
    created_us, created_by, reason";

fn version(row: &SqliteRow) -> Result<VersionRow, sqlx::Error> {
    let format: String = row.try_get("format")?;
    Ok(VersionRow {
        number: row.try_get("number")?,
        name: row.try_get("name")?,
        format: match format.as_str() {
            "json" => PolicyFormat::Json,
            _ => PolicyFormat::Toml,
        },
        content_id: row.try_get("content_id")?,
        document_digest: row.try_get("document_digest")?,
        origin: row.try_get("origin")?,
        parent: row.try_get("parent")?,
        devices: row.try_get("devices")?,
        bytes: row.try_get("bytes")?,
        created: Time::from_us(row.try_get("created_us")?),
        created_by: row.try_get("created_by")?,
        reason: row.try_get("reason")?,
    })
}

/// Where a new version comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source<'a> {
    /// `api`, `edit` or `fastpath`.
    pub origin: &'static str,
    /// The version it was made from.
    pub parent: Option<i64>,
    /// By whom.
    pub who: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
}

/// Keeps a new version.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    db: &mut SqliteConnection,
    document: &Document,
    source: &Source<'_>,
) -> Result<VersionRow, StoreError> {
    let row = sqlx::query(super::sql(format!(
        "INSERT INTO policy_version (name, format, content_id, text_digest, document_digest, \
           origin, parent, devices, bytes, created_us, created_by, reason) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) RETURNING {COLUMNS}"
    )))
    .bind(&document.parsed.name)
    .bind(device::word(&document.format))
    .bind(&document.content_id)
    .bind(&document.text_digest)
    .bind(&document.document_digest)
    .bind(source.origin)
    .bind(source.parent)
    .bind(i64::try_from(document.parsed.devices.len()).unwrap_or(i64::MAX))
    .bind(i64::try_from(document.text.len()).unwrap_or(i64::MAX))
    .bind(Time::now().us())
    .bind(source.who)
    .bind(source.reason)
    .fetch_one(&mut *db)
    .await?;
    let version = version(&row)?;
    sqlx::query("INSERT INTO policy_text (number, gzip) VALUES (?1, ?2)")
        .bind(version.number)
        .bind(&document.gzip)
        .execute(db)
        .await?;
    Ok(version)
}

/// At most `limit` versions before a number, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: &Database,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<VersionRow>, StoreError> {
    let rows = sqlx::query(super::sql(format!(
        "SELECT {COLUMNS} FROM policy_version WHERE number < ?1 ORDER BY number DESC LIMIT ?2"
    )))
    .bind(before.unwrap_or(i64::MAX))
    .bind(i64::from(limit))
    .fetch_all(db.read())
    .await?;
    Ok(rows.iter().map(version).collect::<Result<_, _>>()?)
}

/// One version.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &SqlitePool, number: i64) -> Result<Option<VersionRow>, StoreError> {
    let row = sqlx::query(super::sql(format!(
        "SELECT {COLUMNS} FROM policy_version WHERE number = ?1"
    )))
    .bind(number)
    .fetch_optional(db)
    .await?;
    Ok(row.as_ref().map(version).transpose()?)
}

/// The compressed text of a version.
///
/// # Errors
/// When the database fails, or there is no such version.
pub async fn gzip(db: &SqlitePool, number: i64) -> Result<Vec<u8>, StoreError> {
    let (gzip,) = sqlx::query_as("SELECT gzip FROM policy_text WHERE number = ?1")
        .bind(number)
        .fetch_one(db)
        .await?;
    Ok(gzip)
}

/// By which digest a version is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By<'a> {
    /// Of the text, to the byte.
    Text(&'a str),
    /// Of what it says.
    Document(&'a str),
}

/// The version with a digest, and the digest of what it says: the wanted one if it has it, or else
/// the newest.
///
/// # Errors
/// When the database fails.
pub async fn known(db: &SqlitePool, by: By<'_>) -> Result<Option<(i64, String)>, StoreError> {
    let (column, digest) = match by {
        By::Text(digest) => ("text_digest", digest),
        By::Document(digest) => ("document_digest", digest),
    };
    let found = sqlx::query_as(super::sql(format!(
        "SELECT v.number, v.document_digest FROM policy_version v LEFT JOIN policy_desired d ON d.number = v.number \
         WHERE v.{column} = ?1 ORDER BY d.number IS NULL, v.number DESC LIMIT 1"
    )))
    .bind(digest)
    .fetch_optional(db)
    .await?;
    Ok(found)
}

/// Number of the newest version.
///
/// # Errors
/// When the database fails.
pub async fn newest(db: &SqlitePool) -> Result<Option<i64>, StoreError> {
    let (number,) = sqlx::query_as("SELECT max(number) FROM policy_version")
        .fetch_one(db)
        .await?;
    Ok(number)
}

/// The version that is wanted; none before there was any.
///
/// # Errors
/// When the database fails.
pub async fn desired(db: &SqlitePool) -> Result<Option<Desired>, StoreError> {
    let row = sqlx::query("SELECT number, confirmed, fallback, since_us, who FROM policy_desired")
        .fetch_optional(db)
        .await?;
    let read = |row: SqliteRow| {
        Ok::<_, sqlx::Error>(Desired {
            number: row.try_get("number")?,
            confirmed: row.try_get("confirmed")?,
            fallback: row.try_get("fallback")?,
            since: Time::from_us(row.try_get("since_us")?),
            who: row.try_get("who")?,
        })
    };
    Ok(row.map(read).transpose()?)
}

/// Makes a version the wanted one; `document` is what it says.
///
/// # Errors
/// When the database fails.
pub async fn want(
    db: &mut SqliteConnection,
    desired: &Desired,
    document: &Document,
) -> Result<(), StoreError> {
    let defaults = &document.parsed.defaults;
    sqlx::query(
        "INSERT OR REPLACE INTO policy_desired (only, number, confirmed, fallback, since_us, who, \
           unlisted_mode, unlisted_role) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(desired.number)
    .bind(desired.confirmed)
    .bind(desired.fallback)
    .bind(desired.since.us())
    .bind(&desired.who)
    .bind(device::word(&defaults.unlisted_mode))
    .bind(&defaults.unlisted_role)
    .execute(&mut *db)
    .await?;
    sqlx::query("DELETE FROM policy_device")
        .execute(&mut *db)
        .await?;
    // One statement for ten thousand devices takes a fraction of as many statements.
    sqlx::query(
        "INSERT INTO policy_device (key, name, role, mode, owner, since) \
         SELECT value ->> 'key', value ->> 'name', value ->> 'role', value ->> 'mode', \
           value ->> 'owner', value ->> 'since' FROM json_each(?1)",
    )
    .bind(listed(document).to_string())
    .execute(db)
    .await?;
    Ok(())
}

fn listed(document: &Document) -> serde_json::Value {
    let default_mode = document.parsed.defaults.mode;
    let devices = document.parsed.devices.iter().map(|listed| {
        let key = wardline_policy::DeviceKey {
            mac: listed.mac,
            vlan: listed.vlan.0,
        };
        serde_json::json!({
            "key": device::key_text(&key),
            "name": listed.name,
            "role": listed.role,
            "mode": listed.mode.unwrap_or(default_mode),
            "owner": listed.owner,
            "since": listed.since.map(|since| since.unix_s),
        })
    });
    devices.collect()
}

/// A trial was confirmed.
///
/// # Errors
/// When the database fails.
pub async fn confirm(db: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("UPDATE policy_desired SET confirmed = 1, fallback = NULL")
        .execute(db)
        .await?;
    Ok(())
}

/// No version is wanted any more.
///
/// # Errors
/// When the database fails.
pub async fn want_none(db: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM policy_desired")
        .execute(&mut *db)
        .await?;
    sqlx::query("DELETE FROM policy_device").execute(db).await?;
    Ok(())
}

/// Wanted and shown, of every device that is listed or was seen. A device that is not listed has
/// the mode and role of those that are not; while no version is wanted, what is shown is right.
const STEPS: &str = "SELECT k.key AS key, p.name AS name, \
      coalesce(p.mode, w.unlisted_mode, d.mode, 'observe') AS mode, \
      CASE WHEN w.only IS NULL THEN d.policy_role WHEN p.key IS NULL THEN w.unlisted_role \
        ELSE p.role END AS role, \
      p.owner AS owner, p.since AS since, d.mode AS shown_mode, d.policy_role AS shown_role \
    FROM k LEFT JOIN policy_device p ON p.key = k.key LEFT JOIN device d ON d.key = k.key \
      LEFT JOIN policy_desired w ON w.only = 1";

const DIFFERS: &str = "(shown_mode IS NOT NULL AND shown_mode <> 'break-glass' \
    AND (shown_mode <> mode OR shown_role IS NOT role))";

fn step(row: &SqliteRow) -> Result<StepRow, sqlx::Error> {
    let since: Option<i64> = row.try_get("since")?;
    Ok(StepRow {
        key: row.try_get("key")?,
        name: row.try_get("name")?,
        mode: row.try_get("mode")?,
        role: row.try_get("role")?,
        owner: row.try_get("owner")?,
        since: since.map(|s| Time::from_us(0).plus_s(s)),
        shown_mode: row.try_get("shown_mode")?,
        shown_role: row.try_get("shown_role")?,
        differs: row.try_get("differs")?,
    })
}

/// At most `limit` devices behind a key; only those that differ, if so wanted.
///
/// # Errors
/// When the database fails.
pub async fn steps(
    db: &SqlitePool,
    after: Option<&str>,
    differs: Option<bool>,
    limit: u32,
) -> Result<Vec<StepRow>, StoreError> {
    let rows = sqlx::query(super::sql(format!(
        "WITH k AS (SELECT key FROM policy_device WHERE key > ?1 \
           UNION SELECT key FROM device WHERE key > ?1), \
         s AS ({STEPS}) \
         SELECT *, {DIFFERS} AS differs FROM s WHERE ?2 IS NULL OR differs = ?2 \
         ORDER BY key LIMIT ?3"
    )))
    .bind(after.unwrap_or_default())
    .bind(differs)
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    Ok(rows.iter().map(step).collect::<Result<_, _>>()?)
}

/// One device; none if it is neither listed nor was seen.
///
/// # Errors
/// When the database fails.
pub async fn step_of(db: &SqlitePool, key: &str) -> Result<Option<StepRow>, StoreError> {
    let row = sqlx::query(super::sql(format!(
        "WITH k AS (SELECT key FROM policy_device WHERE key = ?1 \
           UNION SELECT key FROM device WHERE key = ?1), \
         s AS ({STEPS}) SELECT *, {DIFFERS} AS differs FROM s"
    )))
    .bind(key)
    .fetch_optional(db)
    .await?;
    Ok(row.as_ref().map(step).transpose()?)
}

/// Devices that the wanted version lists, and those that are not as wanted.
///
/// # Errors
/// When the database fails.
pub async fn counts(db: &SqlitePool) -> Result<(i64, i64), StoreError> {
    let counts = sqlx::query_as(super::sql(format!(
        "WITH k AS (SELECT key FROM policy_device UNION SELECT key FROM device), s AS ({STEPS}) \
         SELECT (SELECT count(*) FROM policy_device), (SELECT count(*) FROM s WHERE {DIFFERS})"
    )))
    .fetch_one(db)
    .await?;
    Ok(counts)
}
