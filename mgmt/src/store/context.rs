//! What others say of devices, each for a time.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::StoreError;
use crate::time::Time;

/// What one source says of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextRow {
    /// Key of the device.
    pub device: String,
    /// Who says so.
    pub source: String,
    /// What is said.
    pub said: Said,
    /// When it was so.
    pub observed: Time,
    /// From then on it does not count any more.
    pub expires: Time,
    /// Who brought it here.
    pub who: String,
}

/// What can be said; what is absent is not spoken of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// Who is logged in.
    pub user: Option<String>,
    /// How well kept it is.
    pub health: Option<String>,
    /// Where it is.
    pub location: Option<String>,
    /// How confidential the data is that it handles.
    pub data_sensitivity: Option<String>,
}

fn row(row: &SqliteRow) -> Result<ContextRow, sqlx::Error> {
    Ok(ContextRow {
        device: row.try_get("device")?,
        source: row.try_get("source")?,
        said: Said {
            user: row.try_get("user")?,
            health: row.try_get("health")?,
            location: row.try_get("location")?,
            data_sensitivity: row.try_get("data_sensitivity")?,
        },
        observed: Time::from_us(row.try_get("observed_us")?),
        expires: Time::from_us(row.try_get("expires_us")?),
        who: row.try_get("who")?,
    })
}

/// What counts now of a device, or of all.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: &mut SqliteConnection,
    device: Option<&str>,
) -> Result<Vec<ContextRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM context WHERE (?1 IS NULL OR device = ?1) AND expires_us > ?2 \
         ORDER BY device, source",
    );
    let rows = rows.bind(device).bind(Time::now().us()).fetch_all(db);
    Ok(rows.await?.iter().map(row).collect::<Result<_, _>>()?)
}

/// How many there are that count.
///
/// # Errors
/// When the database fails.
pub async fn count(db: &mut SqliteConnection) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar("SELECT count(*) FROM context WHERE expires_us > ?1");
    Ok(count.bind(Time::now().us()).fetch_one(db).await?)
}

/// Keeps what a source says, in place of what it said before.
///
/// # Errors
/// When the database fails.
pub async fn write(db: &mut SqliteConnection, row: &ContextRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT OR REPLACE INTO context (device, source, user, health, location, \
         data_sensitivity, observed_us, expires_us, who) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
    .bind(&row.device)
    .bind(&row.source)
    .bind(&row.said.user)
    .bind(&row.said.health)
    .bind(&row.said.location)
    .bind(&row.said.data_sensitivity)
    .bind(row.observed.us())
    .bind(row.expires.us())
    .bind(&row.who)
    .execute(db)
    .await?;
    Ok(())
}

/// Removes what a source, or all of them, say of a device.
///
/// # Errors
/// When the database fails.
pub async fn delete(
    db: &mut SqliteConnection,
    device: &str,
    source: Option<&str>,
) -> Result<(), StoreError> {
    let delete =
        sqlx::query("DELETE FROM context WHERE device = ?1 AND (?2 IS NULL OR source = ?2)");
    delete.bind(device).bind(source).execute(db).await?;
    Ok(())
}

/// Removes what does not count any more.
///
/// # Errors
/// When the database fails.
pub async fn forget(db: &mut SqliteConnection) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM context WHERE expires_us <= ?1");
    delete.bind(Time::now().us()).execute(db).await?;
    Ok(())
}
