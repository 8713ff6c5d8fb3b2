//! Where the log goes on after a start: behind the record that the head kept apart names, or a new
//! record says that it does not. Without it the next change would put a new head in place of the old
//! one, and nothing would tell that the end was cut off.

use serde_json::json;
use sqlx::{SqliteConnection, SqlitePool};

use super::{Body, Head, log};
use crate::store::{Record, StoreError};

/// The end is not the one that the head names.
const CUT: &str = "audit_log_cut";
/// There is no head that this appliance signed.
const HEADLESS: &str = "audit_head_missing";
/// A copy was put in place on purpose.
const RESTORED: &str = "restore_backup";

/// The record of a restore: it names the end that the log had before.
pub(crate) fn restored(head: Option<&Head>, reason: Option<String>) -> Record {
    let record = Record::new(RESTORED, "system").because(reason);
    match head {
        Some(head) => record.before(&named(head)),
        None => record,
    }
}

/// What has to be written down about a log that is opened again; nothing when it ends where the head
/// (read before the log) says, or behind it, which is what a crash leaves.
///
/// # Errors
/// When the database fails.
pub(crate) async fn resumed(
    db: &SqlitePool,
    head: Option<&Head>,
) -> Result<Option<Record>, StoreError> {
    let newest = log::newest(db).await?;
    let end = json!({ "seq": newest });
    let Some(head) = head else {
        return Ok((newest > 0).then(|| Record::new(HEADLESS, "system").after(&end)));
    };
    let mut db = db.acquire().await?;
    if hash_of(&mut db, head.seq).await?.as_ref() == Some(&head.hash) {
        return Ok(None);
    }
    let record = Record::new(CUT, "system").before(&named(head));
    Ok(Some(record.after(&end)))
}

async fn hash_of(db: &mut SqliteConnection, seq: i64) -> Result<Option<String>, StoreError> {
    let hash = sqlx::query_scalar("SELECT hash FROM audit WHERE seq = ?1").bind(seq);
    Ok(hash.fetch_optional(db).await?)
}

fn named(head: &Head) -> serde_json::Value {
    json!({ "seq": head.seq, "hash": head.hash })
}

/// What a record says about the records before it.
pub(super) enum Gap {
    /// Some were taken away, or may have been: it will stay so.
    Unexplained(String),
    /// Some are not there since a copy was put in place.
    Restored(String),
}

/// Whether a record says that the log does not go on from where it ended.
pub(super) fn gap(body: &Body) -> Option<Gap> {
    let ended = body
        .before
        .as_ref()
        .and_then(|before| before["seq"].as_i64());
    match body.operation.as_str() {
        CUT => Some(Gap::Unexplained(format!(
            "the log went on here although it had ended with another record {}",
            ended.unwrap_or_default()
        ))),
        HEADLESS => Some(Gap::Unexplained(
            "the log went on here without a head kept apart: whether its end was cut off before \
             cannot be told"
                .to_owned(),
        )),
        RESTORED => {
            let lost = ended.filter(|ended| *ended >= body.seq)?;
            Some(Gap::Restored(format!(
                "a backup was restored; the records from {} to {lost} that were written before it \
                 are not in this log",
                body.seq
            )))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Verdict, Verifier};
    use super::*;
    use crate::store::{Actor, Store};

    async fn changed(store: &Store) {
        let change = store.change(Actor::system()).await.expect("begun");
        let record = Record::new("update_device", "device/1");
        change.commit(record).await.expect("kept");
    }

    async fn verdict(dir: &std::path::Path, store: &Store) -> Verdict {
        let verifier = Verifier::beside(dir).expect("a key");
        log::verify(store.main.read(), verifier).await
    }

    /// A log of five records, to which something is done while nobody has it open.
    async fn after(
        done: impl AsyncFnOnce(&std::path::Path, &Store),
        restart: impl AsyncFnOnce(&std::path::Path) -> Store,
    ) -> Verdict {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).await.expect("a store");
        for _ in 0..5 {
            changed(&store).await;
        }
        assert_eq!(verdict(dir.path(), &store).await.findings, []);
        done(dir.path(), &store).await;
        store.close().await;
        drop(store);
        let store = restart(dir.path()).await;
        changed(&store).await;
        changed(&store).await;
        let verdict = verdict(dir.path(), &store).await;
        store.close().await;
        verdict
    }

    async fn started(dir: &std::path::Path) -> Store {
        Store::open(dir).await.expect("a store")
    }

    async fn cut(_: &std::path::Path, store: &Store) {
        let mut db = store.main.begin().await.expect("begun");
        let cut = sqlx::query("DELETE FROM audit WHERE seq > 3");
        cut.execute(&mut *db).await.expect("cut");
        db.commit().await.expect("kept");
    }

    #[tokio::test]
    async fn an_end_that_was_cut_off_stays_known() {
        let found = after(cut, started).await.findings;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].seq, 4);
        assert!(
            found[0].what.contains("ended with another record 5"),
            "{found:?}"
        );
    }

    #[tokio::test]
    async fn a_head_that_was_taken_away_stays_known() {
        for text in [None, Some("{}")] {
            let take_away = async |dir: &std::path::Path, _: &Store| match text {
                None => std::fs::remove_file(dir.join("audit.head")).expect("removed"),
                Some(text) => std::fs::write(dir.join("audit.head"), text).expect("written"),
            };
            let found = after(take_away, started).await.findings;
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].what.contains("without a head"), "{found:?}");
        }
    }

    #[tokio::test]
    async fn a_restore_says_what_it_lost_and_is_no_finding() {
        let restore = async |dir: &std::path::Path| {
            let restored = Store::open_restored(dir, Some("tested".to_owned())).await;
            restored.expect("a store")
        };
        let verdict = after(cut, restore).await;
        assert_eq!(verdict.findings, []);
        assert_eq!(verdict.notes.len(), 1, "{verdict:?}");
        assert!(verdict.notes[0].what.contains("from 4 to 5"), "{verdict:?}");
    }

    #[tokio::test]
    async fn a_head_that_lags_is_what_a_crash_leaves() {
        let lag = async |dir: &std::path::Path, store: &Store| {
            let head = std::fs::read(dir.join("audit.head")).expect("read");
            changed(store).await;
            std::fs::write(dir.join("audit.head"), head).expect("written");
        };
        let verdict = after(lag, started).await;
        assert_eq!((verdict.findings, verdict.notes), (vec![], vec![]));
    }
}
