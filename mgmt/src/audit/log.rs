//! Reads the records that are kept, in portions: nobody who reads slowly holds the database.

use futures::{Stream, StreamExt as _, stream};
use sqlx::{Row as _, SqlitePool};

use super::{Body, Line, Verdict, Verifier};
use crate::store::StoreError;

/// Records read at a time.
const PORTION: i64 = 64;

/// A row of the table: the record with its proof, and what lists ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    seq: i64,
    time_us: i64,
    who: String,
    operation: String,
    subject: String,
    line: Line,
}

/// Number of the newest record, 0 when there is none.
///
/// # Errors
/// When the database fails.
pub async fn newest(db: &SqlitePool) -> Result<i64, StoreError> {
    let newest: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM audit")
        .fetch_one(db)
        .await?;
    Ok(newest.unwrap_or(0))
}

/// The records behind number `after` up to number `until`, in their order. Ends after an error.
pub fn lines(
    db: SqlitePool,
    after: i64,
    until: i64,
) -> impl Stream<Item = Result<Line, StoreError>> + Send {
    let portions = stream::try_unfold((db, after), move |(db, after)| async move {
        let rows = portion(&db, after, until, PORTION).await?;
        let last = rows.last().map(|row| row.seq);
        Ok::<_, StoreError>(last.map(|last| (rows, (db, last))))
    });
    portions.flat_map(|portion| {
        let items: Vec<_> = match portion {
            Ok(rows) => rows.into_iter().map(|row| Ok(row.line)).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(items)
    })
}

/// Gives every record to a verifier. What cannot be read is a finding, not an error.
pub async fn verify(db: &SqlitePool, mut verifier: Verifier) -> Verdict {
    let (mut after, mut wanted) = (0, PORTION);
    loop {
        match portion(db, after, i64::MAX, wanted).await {
            Ok(rows) if rows.is_empty() => return verifier.finish(),
            Ok(rows) => {
                for row in &rows {
                    take(&mut verifier, row);
                    after = row.seq;
                }
            }
            // One by one, so that the last record before the damage is known.
            Err(_) if wanted > 1 => wanted = 1,
            Err(error) => {
                let what = format!("what follows it cannot be read: {error}");
                verifier.find(after, &what);
                return verifier.finish();
            }
        }
    }
}

fn take(verifier: &mut Verifier, row: &Row) {
    let Some(body) = verifier.take(&row.line) else {
        return;
    };
    let Body {
        seq,
        time,
        who,
        operation,
        subject,
        ..
    } = body;
    let told = (seq, time.us(), &who, &operation, &subject);
    let listed = (row.seq, row.time_us, &row.who, &row.operation, &row.subject);
    if told != listed {
        verifier.find(seq, "is listed under other words than its text has");
    }
}

#[tracing::instrument(name = "store list audit", skip_all)]
async fn portion(
    db: &SqlitePool,
    after: i64,
    until: i64,
    limit: i64,
) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query(
        "SELECT seq, time_us, who, operation, subject, body, hash, signature FROM audit \
         WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
    )
    .bind(after)
    .bind(until)
    .bind(limit)
    .fetch_all(db)
    .await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        Ok(Row {
            seq: row.try_get("seq")?,
            time_us: row.try_get("time_us")?,
            who: row.try_get("who")?,
            operation: row.try_get("operation")?,
            subject: row.try_get("subject")?,
            line: Line {
                body: row.try_get("body")?,
                hash: row.try_get("hash")?,
                signature: row.try_get("signature")?,
            },
        })
    };
    let rows: Result<Vec<_>, sqlx::Error> = rows.iter().map(read).collect();
    Ok(rows?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Actor, Record, Store};
    use futures::TryStreamExt as _;

    async fn with_records(count: usize) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).await.expect("a store");
        for number in 0..count {
            let change = store.change(Actor::system()).await.expect("a change");
            let record = Record::new("update_device", format!("device/{number}"));
            change.commit(record).await.expect("kept");
        }
        (dir, store)
    }

    #[tokio::test]
    async fn all_records_are_read_whatever_their_number() {
        let count = usize::try_from(PORTION).expect("small") + 3;
        let (dir, store) = with_records(count).await;
        let db = store.main.read().clone();
        let newest = newest(&db).await.expect("read");
        let read: Vec<Line> = lines(db.clone(), 0, newest)
            .try_collect()
            .await
            .expect("all");
        assert_eq!(read.len(), count);
        let rest: Vec<Line> = lines(db.clone(), 2, 4).try_collect().await.expect("some");
        assert_eq!(rest, read[2..4]);
        let verifier = Verifier::beside(dir.path()).expect("a key");
        let verdict = verify(&db, verifier).await;
        assert_eq!((verdict.records, verdict.last), (count as u64, newest));
        assert_eq!(verdict.findings, []);
    }

    #[tokio::test]
    async fn a_record_that_hides_from_lists_is_found() {
        let (dir, store) = with_records(3).await;
        let mut change = store.main.begin().await.expect("a transaction");
        sqlx::query("UPDATE audit SET who = 'user:otto' WHERE seq = 2")
            .execute(&mut *change)
            .await
            .expect("altered");
        change.commit().await.expect("kept");
        let verifier = Verifier::beside(dir.path()).expect("a key");
        let findings = verify(store.main.read(), verifier).await.findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].seq, 2);
    }
}
