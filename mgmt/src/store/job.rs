//! Jobs: what takes longer than a request.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, SqlitePool};

use super::{Database, StoreError};
use crate::time::Time;

/// Jobs that are kept; the oldest that have ended make room.
const KEPT: i64 = 1_000;

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its number, never used again.
    pub id: i64,
    /// What is done.
    pub kind: String,
    /// What it is done to.
    pub subject: String,
    /// `queued`, `running`, `done` or `failed`.
    pub state: String,
    /// How far it is.
    pub percent: u8,
    /// What it does now, or how it ended.
    pub message: String,
    /// What came out, JSON.
    pub result: Option<String>,
    /// Who asked for it.
    pub created_by: String,
    /// When it was asked for.
    pub created: Time,
    /// When it began.
    pub started: Option<Time>,
    /// When it ended.
    pub finished: Option<Time>,
}

const COLUMNS: &str = "id, kind, subject, state, percent, message, result, created_by, \
    created_us, started_us, finished_us";

fn job(row: &SqliteRow) -> Result<JobRow, sqlx::Error> {
    let time = |us: Option<i64>| us.map(Time::from_us);
    Ok(JobRow {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        subject: row.try_get("subject")?,
        state: row.try_get("state")?,
        percent: row.try_get("percent")?,
        message: row.try_get("message")?,
        result: row.try_get("result")?,
        created_by: row.try_get("created_by")?,
        created: Time::from_us(row.try_get("created_us")?),
        started: time(row.try_get("started_us")?),
        finished: time(row.try_get("finished_us")?),
    })
}

/// Which jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobFilter {
    /// In this state.
    pub state: Option<&'static str>,
    /// Of this kind.
    pub kind: Option<String>,
}

/// Keeps a job that waits for its turn; the oldest make room.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    db: &mut SqliteConnection,
    kind: &str,
    subject: &str,
    who: &str,
) -> Result<JobRow, StoreError> {
    let row = sqlx::query(super::sql(format!(
        "INSERT INTO job (kind, subject, state, created_by, created_us) \
         VALUES (?1, ?2, 'queued', ?3, ?4) RETURNING {COLUMNS}"
    )))
    .bind(kind)
    .bind(subject)
    .bind(who)
    .bind(Time::now().us())
    .fetch_one(&mut *db)
    .await?;
    let job = job(&row)?;
    sqlx::query("DELETE FROM job WHERE id <= ?1 AND state IN ('done', 'failed')")
        .bind(job.id - KEPT)
        .execute(db)
        .await?;
    Ok(job)
}

/// At most `limit` jobs before a number, newest first.
///
/// # Errors
/// When the database fails.
#[tracing::instrument(name = "store list job", skip_all)]
pub async fn list(
    db: &Database,
    filter: &JobFilter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<JobRow>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(COLUMNS).push(" FROM job WHERE id < ");
    query.push_bind(before.unwrap_or(i64::MAX));
    if let Some(state) = filter.state {
        query.push(" AND state = ").push_bind(state);
    }
    if let Some(kind) = &filter.kind {
        query.push(" AND kind = ").push_bind(kind.clone());
    }
    query.push(" ORDER BY id DESC LIMIT ");
    query.push_bind(i64::from(limit));
    let rows = query.build().fetch_all(db.read()).await?;
    Ok(rows.iter().map(job).collect::<Result<_, _>>()?)
}

/// One job.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &SqlitePool, id: i64) -> Result<Option<JobRow>, StoreError> {
    let row = sqlx::query(super::sql(format!(
        "SELECT {COLUMNS} FROM job WHERE id = ?1"
    )))
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(row.as_ref().map(job).transpose()?)
}

/// Keeps where a job stands.
///
/// # Errors
/// When the database fails.
pub async fn update(db: &Database, job: &JobRow) -> Result<(), StoreError> {
    let mut transaction = db.begin().await?;
    sqlx::query(
        "UPDATE job SET state = ?2, percent = ?3, message = ?4, result = ?5, started_us = ?6, \
         finished_us = ?7 WHERE id = ?1",
    )
    .bind(job.id)
    .bind(&job.state)
    .bind(i64::from(job.percent))
    .bind(&job.message)
    .bind(&job.result)
    .bind(job.started.map(Time::us))
    .bind(job.finished.map(Time::us))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Marks as failed what the process before did not finish.
///
/// # Errors
/// When the database fails.
pub async fn fail_unfinished(db: &Database) -> Result<u64, StoreError> {
    let mut transaction = db.begin().await?;
    let done = sqlx::query(
        "UPDATE job SET state = 'failed', finished_us = ?1, \
         message = 'the management process ended before the job did' \
         WHERE state IN ('queued', 'running')",
    )
    .bind(Time::now().us())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(done.rows_affected())
}
