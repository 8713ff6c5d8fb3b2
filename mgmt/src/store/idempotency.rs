//! Answers to requests that came with an `Idempotency-Key`, so that each is done once.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::StoreError;
use crate::time::Time;

/// Seconds for which an answer is kept.
const KEPT_S: i64 = 24 * 3_600;
/// Answers that are kept for one user or program.
const KEPT: i64 = 1_000;

/// A request that came with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Digest of what was asked.
    pub request: String,
    /// What was answered; absent: it is under way, or nobody knows any more.
    pub answer: Option<Answer>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, JSON.
    pub headers: String,
    /// Body.
    pub body: Vec<u8>,
}

/// Writes down that a request begins, unless one with its key is known: then that one. What is too
/// old or too much is forgotten.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    db: &mut SqliteConnection,
    (who, key): (&str, &str),
    request: &str,
) -> Result<Option<Known>, StoreError> {
    let now = Time::now();
    let forget = sqlx::query("DELETE FROM idempotency WHERE created_us < ?1");
    let forget = forget.bind(now.plus_s(-KEPT_S).us());
    forget.execute(&mut *db).await?;
    if let Some(known) = find(db, (who, key)).await? {
        return Ok(Some(known));
    }
    let insert = sqlx::query(
        "INSERT INTO idempotency (who, key, request, created_us) VALUES (?1, ?2, ?3, ?4)",
    );
    let insert = insert.bind(who).bind(key).bind(request).bind(now.us());
    insert.execute(&mut *db).await?;
    let forget = sqlx::query(
        "DELETE FROM idempotency WHERE who = ?1 AND key IN (SELECT key FROM idempotency \
         WHERE who = ?1 ORDER BY created_us DESC LIMIT -1 OFFSET ?2)",
    );
    forget.bind(who).bind(KEPT).execute(db).await?;
    Ok(None)
}

/// The request of this key.
///
/// # Errors
/// When the database fails.
pub async fn find(
    db: &mut SqliteConnection,
    (who, key): (&str, &str),
) -> Result<Option<Known>, StoreError> {
    let row = sqlx::query(
        "SELECT request, status, headers, body FROM idempotency WHERE who = ?1 AND key = ?2",
    );
    let row = row.bind(who).bind(key).fetch_optional(db).await?;
    Ok(row.as_ref().map(known).transpose()?)
}

fn known(row: &SqliteRow) -> Result<Known, sqlx::Error> {
    let status: Option<u16> = row.try_get("status")?;
    let answer = match status {
        Some(status) => Some(Answer {
            status,
            headers: row.try_get("headers")?,
            body: row.try_get("body")?,
        }),
        None => None,
    };
    Ok(Known {
        request: row.try_get("request")?,
        answer,
    })
}

/// Keeps what was answered.
///
/// # Errors
/// When the database fails.
pub async fn finish(
    db: &mut SqliteConnection,
    (who, key): (&str, &str),
    answer: &Answer,
) -> Result<(), StoreError> {
    let update = sqlx::query(
        "UPDATE idempotency SET status = ?3, headers = ?4, body = ?5 WHERE who = ?1 AND key = ?2",
    );
    let update = update.bind(who).bind(key).bind(i64::from(answer.status));
    let update = update.bind(&answer.headers).bind(&answer.body);
    update.execute(db).await?;
    Ok(())
}

/// Forgets a request that did nothing.
///
/// # Errors
/// When the database fails.
pub async fn forget(db: &mut SqliteConnection, (who, key): (&str, &str)) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM idempotency WHERE who = ?1 AND key = ?2");
    delete.bind(who).bind(key).execute(db).await?;
    Ok(())
}
