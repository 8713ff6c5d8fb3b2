//! The steps from an empty file to this version's tables; each is taken once, in a transaction.

use sqlx::SqlitePool;

use super::StoreError;
use crate::time::Time;

/// One step: its name, never used again, and what it does.
pub(super) type Step = (&'static str, &'static str);

macro_rules! step {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../migrations/", $name, ".sql")),
        )
    };
}

/// Of the main database.
pub(super) const MAIN: &[Step] = &[
    step!("main-0001-foundation"),
    step!("main-0002-access"),
    step!("main-0002-policies"),
    step!("main-0003-inventory"),
    step!("main-0007-audit"),
    step!("main-0010-out"),
];

/// Of the flow history.
pub(super) const HISTORY: &[Step] = &[step!("history-0001-foundation")];

/// Takes the steps that were not taken yet.
pub(super) async fn run(pool: &SqlitePool, steps: &[Step]) -> Result<(), StoreError> {
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS migration \
         (name TEXT PRIMARY KEY, applied_us INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    )
    .execute(pool)
    .await?;
    let taken = taken(pool, steps).await?;
    for (name, text) in steps {
        if taken.iter().any(|known| known == name) {
            continue;
        }
        let mut step = pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(*text).execute(&mut *step).await?;
        sqlx::query("INSERT INTO migration (name, applied_us) VALUES (?1, ?2)")
            .bind(*name)
            .bind(Time::now().us())
            .execute(&mut *step)
            .await?;
        step.commit().await?;
    }
    Ok(())
}

/// The steps that were taken.
///
/// # Errors
/// When there are some that only a newer version knows, or none are recorded.
pub(super) async fn taken(pool: &SqlitePool, steps: &[Step]) -> Result<Vec<String>, StoreError> {
    let taken: Vec<String> = sqlx::query_scalar("SELECT name FROM migration")
        .fetch_all(pool)
        .await?;
    let unknown = taken
        .iter()
        .find(|name| steps.iter().all(|step| step.0 != name.as_str()));
    match unknown {
        Some(unknown) => Err(StoreError::Newer(unknown.clone())),
        None => Ok(taken),
    }
}
