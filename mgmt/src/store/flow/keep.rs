//! What is let go of, and how much there is.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use crate::store::{Database, StoreError};

/// Edges that are let go of at a time.
const EDGES: i64 = 1_000;

/// Removes one bucket that is older than `oldest_s`, or else edges that no record is left of, with
/// the addresses that only they had; true when there was anything.
///
/// # Errors
/// When the database fails.
pub async fn forget(db: &Database, oldest_s: i64) -> Result<bool, StoreError> {
    let mut transaction = db.begin().await?;
    let removed = sqlx::query(
        "DELETE FROM flow WHERE bucket_s = (SELECT min(bucket_s) FROM flow) AND bucket_s < ?1",
    )
    .bind(oldest_s)
    .execute(&mut *transaction)
    .await?;
    let mut any = removed.rows_affected() > 0;
    if !any {
        any = forget_edges(&mut transaction, oldest_s).await?;
    }
    sqlx::query("DELETE FROM gap WHERE bucket_s < ?1")
        .bind(oldest_s)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(any)
}

async fn forget_edges(db: &mut SqliteConnection, oldest_s: i64) -> Result<bool, StoreError> {
    let peers: Vec<(i64,)> = sqlx::query_as(
        "DELETE FROM edge WHERE id IN (SELECT id FROM edge WHERE last_s < \
           coalesce((SELECT min(bucket_s) FROM flow), ?1) AND last_s < ?1 LIMIT ?2) \
         RETURNING peer",
    )
    .bind(oldest_s)
    .bind(EDGES)
    .fetch_all(&mut *db)
    .await?;
    let any = !peers.is_empty();
    for (peer,) in peers.into_iter().collect::<BTreeSet<_>>() {
        sqlx::query(
            "DELETE FROM peer WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM edge WHERE peer = ?1)",
        )
        .bind(peer)
        .execute(&mut *db)
        .await?;
    }
    Ok(any)
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::{
        BUCKET_S, FlowFilter, PAGE_PATIENCE, Service, Subject, Sums, Verdict, add, history, peers,
    };
    use super::*;
    use crate::store::Store;

    fn subject(peer: &str) -> HashMap<Subject, Sums> {
        let subject = Subject {
            device: "00-09-fb-00-00-01".to_owned(),
            peer: peer.to_owned(),
            service: Service {
                by_device: true,
                protocol: 6,
                port: 104,
            },
            verdict: Verdict {
                action: "forward",
                reason: "allowed",
            },
        };
        HashMap::from([(subject, Sums::default())])
    }

    #[tokio::test]
    async fn what_is_too_old_goes_with_the_edges_and_addresses_nobody_needs() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).await.expect("a store");
        let db = &store.history;
        for (number, peer) in ["10.0.0.1", "10.0.0.2", "10.0.0.1"].iter().enumerate() {
            let bucket = number as i64 * BUCKET_S;
            add(db, bucket, &subject(peer), 1).await.expect("added");
        }
        while forget(db, 2 * BUCKET_S).await.expect("forgotten") {}
        let left = history(db, &FlowFilter::default(), None, 10, PAGE_PATIENCE).await;
        let left: Vec<_> = left.expect("read").iter().map(|row| row.bucket_s).collect();
        assert_eq!(left, [2 * BUCKET_S]);
        let addresses = peers(db).await.expect("read");
        assert_eq!(addresses.len(), 1);
        assert_eq!(addresses[0].1, "10.0.0.1");
        assert_eq!(oldest(db).await.expect("read"), Some(2 * BUCKET_S));
        let (gaps,): (i64,) = sqlx::query_as("SELECT count(*) FROM gap")
            .fetch_one(db.read())
            .await
            .expect("read");
        assert_eq!(gaps, 1);
        store.close().await;
    }
}
