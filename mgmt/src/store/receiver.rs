//! Receivers, how far each is, and the log of alerts that they read.

use serde_json::Value as Json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::{Database, StoreError, sql};
use crate::secret::Secret;
use crate::time::Time;

/// Events of alerts that are kept; a receiver further behind loses the oldest.
const KEPT: i64 = 20_000;

/// A receiver.
#[derive(Debug, Clone)]
pub struct ReceiverRow {
    /// Its number, never used again.
    pub id: i64,
    /// How people call it.
    pub name: String,
    /// Whether it is told.
    pub enabled: bool,
    /// Of what, JSON list.
    pub subjects: String,
    /// Where and how, JSON.
    pub target: String,
    /// What it takes to be believed there.
    pub secret: Option<Secret>,
    /// How far it is.
    pub place: Place,
    /// How it went.
    pub health: Health,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Time,
    /// Rises with each change by somebody.
    pub revision: i64,
}

/// How far a receiver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Number of the last event of an alert that is done with.
    pub alerts: i64,
    /// Number of the last audit record that is done with.
    pub audit: i64,
}

/// How it went with a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Messages that it took.
    pub sent: i64,
    /// Messages that were lost to it.
    pub dropped: i64,
    /// When it took one last.
    pub success: Option<Time>,
    /// When one failed last.
    pub failure: Option<Time>,
    /// Why.
    pub error: Option<String>,
}

/// What somebody wants of a receiver.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// See [`ReceiverRow::name`].
    pub name: String,
    /// See [`ReceiverRow::enabled`].
    pub enabled: bool,
    /// See [`ReceiverRow::subjects`].
    pub subjects: String,
    /// See [`ReceiverRow::target`].
    pub target: String,
    /// See [`ReceiverRow::secret`].
    pub secret: Option<Secret>,
}

/// What happened to an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertEvent {
    /// Its number.
    pub id: i64,
    /// When.
    pub time: Time,
    /// Such as `alert-raised`.
    pub event: String,
    /// The alert as it was then.
    pub alert: Json,
}

const COLUMNS: &str = "id, name, enabled, subjects, target, secret, alert_place, audit_place, \
    sent, dropped, success_us, error_us, error, created_by, created_us, revision";

fn receiver(row: &SqliteRow) -> Result<ReceiverRow, sqlx::Error> {
    let secret: Option<String> = row.try_get("secret")?;
    let time = |us: Option<i64>| us.map(Time::from_us);
    Ok(ReceiverRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        enabled: row.try_get("enabled")?,
        subjects: row.try_get("subjects")?,
        target: row.try_get("target")?,
        secret: secret.map(Secret::from_outside),
        place: Place {
            alerts: row.try_get("alert_place")?,
            audit: row.try_get("audit_place")?,
        },
        health: Health {
            sent: row.try_get("sent")?,
            dropped: row.try_get("dropped")?,
            success: time(row.try_get("success_us")?),
            failure: time(row.try_get("error_us")?),
            error: row.try_get("error")?,
        },
        created_by: row.try_get("created_by")?,
        created: Time::from_us(row.try_get("created_us")?),
        revision: row.try_get("revision")?,
    })
}

/// At most `limit` receivers whose numbers come after `after`.
///
/// # Errors
/// When the database fails.
#[tracing::instrument(name = "store list receiver", skip_all)]
pub async fn list(db: &Database, after: i64, limit: u32) -> Result<Vec<ReceiverRow>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM receiver WHERE id > ?1 ORDER BY id LIMIT ?2");
    let rows = sqlx::query(sql(query))
        .bind(after)
        .bind(limit)
        .fetch_all(db.read())
        .await?;
    Ok(rows.iter().map(receiver).collect::<Result<_, _>>()?)
}

/// One receiver.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &mut SqliteConnection, id: i64) -> Result<Option<ReceiverRow>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM receiver WHERE id = ?1");
    let row = sqlx::query(sql(query)).bind(id).fetch_optional(db).await?;
    Ok(row.as_ref().map(receiver).transpose()?)
}

/// How many there are.
///
/// # Errors
/// When the database fails.
pub async fn count(db: &mut SqliteConnection) -> Result<i64, StoreError> {
    let query = "SELECT count(*) FROM receiver";
    Ok(sqlx::query_scalar(query).fetch_one(db).await?)
}

/// Makes a receiver, which is told of what happens from now on.
///
/// # Errors
/// When the name is taken, or the database fails.
pub async fn create(
    db: &mut SqliteConnection,
    wanted: &Wanted,
    by: &str,
) -> Result<i64, StoreError> {
    let (id,) = sqlx::query_as(
        "INSERT INTO receiver (name, enabled, subjects, target, secret, alert_place, \
           audit_place, created_by, created_us) VALUES (?1, ?2, ?3, ?4, ?5, \
           (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'alert_event'), \
           (SELECT coalesce(max(seq), 0) FROM audit), ?6, ?7) RETURNING id",
    )
    .bind(&wanted.name)
    .bind(wanted.enabled)
    .bind(&wanted.subjects)
    .bind(&wanted.target)
    .bind(wanted.secret.as_ref().map(Secret::reveal))
    .bind(by)
    .bind(Time::now().us())
    .fetch_one(db)
    .await?;
    Ok(id)
}

/// Changes what is wanted of a receiver; its revision rises. What it newly wants to be told of, it
/// is told of from now on.
///
/// # Errors
/// When the name is taken, or the database fails.
pub async fn update(
    db: &mut SqliteConnection,
    id: i64,
    wanted: &Wanted,
    (alerts, audit): (bool, bool),
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE receiver SET name = ?2, enabled = ?3, subjects = ?4, target = ?5, secret = ?6, \
           alert_place = CASE WHEN ?7 THEN (SELECT coalesce(max(seq), 0) FROM sqlite_sequence \
             WHERE name = 'alert_event') ELSE alert_place END, \
           audit_place = CASE WHEN ?8 THEN (SELECT coalesce(max(seq), 0) FROM audit) \
             ELSE audit_place END, \
           revision = revision + 1 WHERE id = ?1",
    )
    .bind(id)
    .bind(&wanted.name)
    .bind(wanted.enabled)
    .bind(&wanted.subjects)
    .bind(&wanted.target)
    .bind(wanted.secret.as_ref().map(Secret::reveal))
    .bind(alerts)
    .bind(audit)
    .execute(db)
    .await?;
    Ok(())
}

/// Removes a receiver.
///
/// # Errors
/// When the database fails.
pub async fn delete(db: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM receiver WHERE id = ?1")
        .bind(id)
        .execute(db)
        .await?;
    Ok(())
}

/// Keeps how far a receiver is, and how it went since it was kept last: `sent` and `dropped` are
/// added up.
///
/// # Errors
/// When the database fails.
pub async fn advance(
    db: &Database,
    id: i64,
    place: Place,
    since: &Health,
) -> Result<(), StoreError> {
    let mut transaction = db.begin().await?;
    sqlx::query(
        "UPDATE receiver SET alert_place = max(alert_place, ?2), \
           audit_place = max(audit_place, ?3), sent = sent + ?4, dropped = dropped + ?5, \
           success_us = coalesce(?6, success_us), error_us = coalesce(?7, error_us), \
           error = coalesce(?8, error) WHERE id = ?1",
    )
    .bind(id)
    .bind(place.alerts)
    .bind(place.audit)
    .bind(since.sent)
    .bind(since.dropped)
    .bind(since.success.map(Time::us))
    .bind(since.failure.map(Time::us))
    .bind(&since.error)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// How many alert events and audit records lie behind a place.
///
/// # Errors
/// When the database fails.
pub async fn behind(db: &Database, place: Place) -> Result<Place, StoreError> {
    let (alerts, audit): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM alert_event WHERE id > ?1), \
           (SELECT coalesce(max(seq), 0) FROM audit) - ?2",
    )
    .bind(place.alerts)
    .bind(place.audit)
    .fetch_one(db.read())
    .await?;
    Ok(Place { alerts, audit })
}

/// Writes down what happened to an alert, in the transaction that made it happen.
///
/// # Errors
/// When the database fails.
pub async fn append(
    db: &mut SqliteConnection,
    event: &str,
    alert: &Json,
) -> Result<(), StoreError> {
    let (id,): (i64,) = sqlx::query_as(
        "INSERT INTO alert_event (time_us, event, alert) VALUES (?1, ?2, ?3) RETURNING id",
    )
    .bind(Time::now().us())
    .bind(event)
    .bind(alert.to_string())
    .fetch_one(&mut *db)
    .await?;
    sqlx::query("DELETE FROM alert_event WHERE id <= ?1")
        .bind(id - KEPT)
        .execute(db)
        .await?;
    Ok(())
}

/// At most `limit` events of alerts behind a number, in their order.
///
/// # Errors
/// When the database fails.
pub async fn alert_events(
    db: &Database,
    after: i64,
    limit: u32,
) -> Result<Vec<AlertEvent>, StoreError> {
    let rows: Vec<(i64, i64, String, String)> = sqlx::query_as(
        "SELECT id, time_us, event, alert FROM alert_event WHERE id > ?1 ORDER BY id LIMIT ?2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(db.read())
    .await?;
    let event = |(id, time_us, event, alert): (i64, i64, String, String)| AlertEvent {
        id,
        time: Time::from_us(time_us),
        event,
        alert: serde_json::from_str(&alert).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(event).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn the_log_of_alerts_is_bounded_and_numbers_are_not_used_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).await.expect("a store");
        let mut db = store.main.begin().await.expect("a transaction");
        sqlx::query(
            "INSERT INTO alert_event (id, time_us, event, alert) VALUES (1, 0, 'alert-raised', \
             '{}'), (5, 0, 'alert-raised', '{}'), (?1, 0, 'alert-raised', '{}')",
        )
        .bind(KEPT + 2)
        .execute(&mut *db)
        .await
        .expect("kept");
        append(&mut db, "alert-ended", &Json::Null)
            .await
            .expect("kept");
        db.commit().await.expect("kept");
        let events = alert_events(&store.main, 0, 10).await.expect("read");
        let numbers: Vec<_> = events.iter().map(|event| event.id).collect();
        assert_eq!(numbers, [5, KEPT + 2, KEPT + 3]);
    }
}
