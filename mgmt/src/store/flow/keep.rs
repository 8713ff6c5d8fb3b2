//! What is let go of, and how much there is.

use crate::store::{Database, StoreError};

/// Edges that are let go of at a time.
const EDGES: i64 = 1_000;

/// Removes one bucket that is older than `oldest_s`, or else edges that no record is left of; true
/// when there was anything.
///
/// # Errors
/// When the database fails.
pub async fn forget(db: &Database, oldest_s: i64) -> Result<bool, StoreError> {
    let mut transaction = db.begin().await?;
    let mut removed = sqlx::query(
        "DELETE FROM flow WHERE bucket_s = (SELECT min(bucket_s) FROM flow) AND bucket_s < ?1",
    )
    .bind(oldest_s)
    .execute(&mut *transaction)
    .await?;
    if removed.rows_affected() == 0 {
        removed = sqlx::query(
            "DELETE FROM edge WHERE id IN (SELECT id FROM edge WHERE last_s < \
               coalesce((SELECT min(bucket_s) FROM flow), ?1) AND last_s < ?1 LIMIT ?2)",
        )
        .bind(oldest_s)
        .bind(EDGES)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(removed.rows_affected() > 0)
}

/// The oldest five minutes that are kept, in seconds since the epoch.
///
/// # Errors
/// When the database fails.
pub async fn oldest(db: &Database) -> Result<Option<i64>, StoreError> {
    let (oldest,): (Option<i64>,) = sqlx::query_as("SELECT min(bucket_s) FROM flow")
        .fetch_one(db.read())
        .await?;
    Ok(oldest)
}

/// Bytes in use of the database, free pages left out.
///
/// # Errors
/// When the database fails.
pub async fn size(db: &Database) -> Result<u64, StoreError> {
    let mut pages = [0_i64; 3];
    for (value, pragma) in pages.iter_mut().zip([
        "PRAGMA page_count",
        "PRAGMA freelist_count",
        "PRAGMA page_size",
    ]) {
        (*value,) = sqlx::query_as(pragma).fetch_one(db.read()).await?;
    }
    let [all, free, size] = pages;
    Ok(u64::try_from((all - free) * size).unwrap_or(0))
}
