//! The audit log, record by record, for whoever only reads.

use std::path::Path;

use futures::{Stream, TryStreamExt as _};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

use super::StoreError;
use crate::audit::Line;

/// Opens the log in a state directory for reading; works beside a running service.
///
/// # Errors
/// When there is none, or it cannot be read.
pub async fn open(state: &Path) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(state.join("wardline.db"))
        .create_if_missing(false)
        .read_only(true);
    let pool = SqlitePoolOptions::new().max_connections(1);
    Ok(pool.connect_with(options).await?)
}

/// All records in the order of their numbers.
pub fn stream(pool: &SqlitePool) -> impl Stream<Item = Result<Line, StoreError>> + Unpin + '_ {
    sqlx::query_as("SELECT body, hash, signature FROM audit ORDER BY seq")
        .fetch(pool)
        .map_ok(|(body, hash, signature): (String, String, String)| Line {
            body,
            hash,
            signature,
        })
        .map_err(StoreError::from)
}
