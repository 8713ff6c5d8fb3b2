//! The networks of the hospital.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::StoreError;
use crate::time::Time;

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkRow {
    /// Its number, never used again.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// VLAN tag; absent: any.
    pub vlan: Option<u16>,
    /// Its subnets; none: any.
    pub subnets: Vec<String>,
    /// What it is for.
    pub purpose: String,
    /// When it was written down.
    pub created: Time,
    /// Rises with each change.
    pub revision: i64,
}

fn network(row: &SqliteRow) -> Result<NetworkRow, sqlx::Error> {
    let subnets: String = row.try_get("subnets")?;
    Ok(NetworkRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        vlan: row.try_get("vlan")?,
        subnets: serde_json::from_str(&subnets).unwrap_or_default(),
        purpose: row.try_get("purpose")?,
        created: Time::from_us(row.try_get("created_us")?),
        revision: row.try_get("revision")?,
    })
}

/// At most `limit` networks behind a name.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: &mut SqliteConnection,
    after: &str,
    limit: u32,
) -> Result<Vec<NetworkRow>, StoreError> {
    let rows = sqlx::query("SELECT * FROM network WHERE name > ?1 ORDER BY name LIMIT ?2");
    let rows = rows.bind(after.to_owned()).bind(i64::from(limit));
    let rows = rows.fetch_all(db).await?;
    Ok(rows.iter().map(network).collect::<Result<_, _>>()?)
}

/// One network.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &mut SqliteConnection, id: i64) -> Result<Option<NetworkRow>, StoreError> {
    let row = sqlx::query("SELECT * FROM network WHERE id = ?1").bind(id);
    let row = row.fetch_optional(db).await?;
    Ok(row.as_ref().map(network).transpose()?)
}

/// How many there are.
///
/// # Errors
/// When the database fails.
pub async fn count(db: &mut SqliteConnection) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar("SELECT count(*) FROM network");
    Ok(count.fetch_one(db).await?)
}

/// Makes one; its number.
///
/// # Errors
/// [`StoreError::Taken`] when another has its name; when the database fails.
pub async fn insert(db: &mut SqliteConnection, new: &NetworkRow) -> Result<i64, StoreError> {
    let done = sqlx::query(
        "INSERT INTO network (name, vlan, subnets, purpose, created_us) VALUES (?1, ?2, ?3, ?4, ?5)",
    );
    let subnets = serde_json::to_string(&new.subnets).unwrap_or_default();
    let done = done.bind(&new.name).bind(new.vlan).bind(subnets);
    let done = done.bind(&new.purpose).bind(Time::now().us());
    Ok(done.execute(db).await?.last_insert_rowid())
}

/// Replaces everything that one is; its revision rises.
///
/// # Errors
/// As [`insert`].
pub async fn write(db: &mut SqliteConnection, id: i64, new: &NetworkRow) -> Result<(), StoreError> {
    let done = sqlx::query(
        "UPDATE network SET name = ?2, vlan = ?3, subnets = ?4, purpose = ?5, \
         revision = revision + 1 WHERE id = ?1",
    );
    let subnets = serde_json::to_string(&new.subnets).unwrap_or_default();
    let done = done.bind(id).bind(&new.name).bind(new.vlan);
    done.bind(subnets).bind(&new.purpose).execute(db).await?;
    Ok(())
}

/// Removes one.
///
/// # Errors
/// When the database fails.
pub async fn delete(db: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM network WHERE id = ?1");
    delete.bind(id).execute(db).await?;
    Ok(())
}
