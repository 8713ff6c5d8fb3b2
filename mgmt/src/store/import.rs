//! Lists of assets that were uploaded, and what each of their rows would do.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::{Database, StoreError};
use crate::inventory::plan::Outcome;
use crate::time::Time;

/// Lists that are kept, the newest.
const KEPT: i64 = 10;
/// Rows that are written by one statement.
const AT_ONCE: usize = 500;

/// A list that was uploaded, without its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// Its number, never used again.
    pub id: i64,
    /// Who uploaded it.
    pub created_by: String,
    /// When.
    pub created: Time,
    /// When it was applied, and by whom; absent: not yet.
    pub applied: Option<(Time, String)>,
    /// What was counted, JSON.
    pub summary: String,
}

/// Keeps a list with what its rows would do; the oldest ones are forgotten.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    db: &mut SqliteConnection,
    who: &str,
    summary: &str,
    rows: &str,
    outcomes: &[Outcome],
) -> Result<i64, StoreError> {
    let done = sqlx::query(
        "INSERT INTO asset_import (created_by, created_us, summary, rows) VALUES (?1, ?2, ?3, ?4)",
    );
    let done = done.bind(who).bind(Time::now().us()).bind(summary);
    let id = done.bind(rows).execute(&mut *db).await?.last_insert_rowid();
    for some in outcomes.chunks(AT_ONCE) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO asset_import_row (import, line, status, outcome) ",
        );
        query.push_values(some, |mut row, outcome| {
            row.push_bind(id)
                .push_bind(i64::from(outcome.line))
                .push_bind(outcome.status.name())
                .push_bind(serde_json::to_string(outcome).unwrap_or_default());
        });
        query.build().execute(&mut *db).await?;
    }
    let forget = sqlx::query(
        "DELETE FROM asset_import WHERE id NOT IN \
         (SELECT id FROM asset_import ORDER BY id DESC LIMIT ?1)",
    );
    forget.bind(KEPT).execute(db).await?;
    Ok(id)
}

/// The lists that are kept, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(db: &Database) -> Result<Vec<ImportRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, created_by, created_us, applied_us, applied_by, summary FROM asset_import \
         ORDER BY id DESC",
    );
    let rows = rows.fetch_all(db.read()).await?;
    Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
}

/// One list.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &mut SqliteConnection, id: i64) -> Result<Option<ImportRow>, StoreError> {
    let found = sqlx::query(
        "SELECT id, created_by, created_us, applied_us, applied_by, summary FROM asset_import \
         WHERE id = ?1",
    );
    let found = found.bind(id).fetch_optional(db).await?;
    Ok(found.as_ref().map(row).transpose()?)
}

fn row(row: &SqliteRow) -> Result<ImportRow, sqlx::Error> {
    let at: Option<i64> = row.try_get("applied_us")?;
    let by: Option<String> = row.try_get("applied_by")?;
    Ok(ImportRow {
        id: row.try_get("id")?,
        created_by: row.try_get("created_by")?,
        created: Time::from_us(row.try_get("created_us")?),
        applied: at.map(Time::from_us).zip(by),
        summary: row.try_get("summary")?,
    })
}

/// The rows of a list as they were read, JSON.
///
/// # Errors
/// When the database fails.
pub async fn rows(db: &mut SqliteConnection, id: i64) -> Result<String, StoreError> {
    let rows = sqlx::query_scalar("SELECT rows FROM asset_import WHERE id = ?1");
    Ok(rows.bind(id).fetch_one(db).await?)
}

/// What at most `limit` rows behind a line would do, each JSON.
///
/// # Errors
/// When the database fails.
pub async fn outcomes(
    db: &mut SqliteConnection,
    id: i64,
    status: Option<&str>,
    after: u32,
    limit: u32,
) -> Result<Vec<String>, StoreError> {
    let outcomes = sqlx::query_scalar(
        "SELECT outcome FROM asset_import_row WHERE import = ?1 AND line > ?2 \
         AND (?3 IS NULL OR status = ?3) ORDER BY line LIMIT ?4",
    );
    let outcomes = outcomes.bind(id).bind(i64::from(after)).bind(status);
    Ok(outcomes.bind(i64::from(limit)).fetch_all(db).await?)
}

/// Marks a list as applied.
///
/// # Errors
/// When the database fails.
pub async fn applied(db: &mut SqliteConnection, id: i64, who: &str) -> Result<(), StoreError> {
    let mark =
        sqlx::query("UPDATE asset_import SET applied_us = ?2, applied_by = ?3 WHERE id = ?1");
    let mark = mark.bind(id).bind(Time::now().us()).bind(who);
    mark.execute(db).await?;
    Ok(())
}
