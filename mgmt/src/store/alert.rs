//! Alerts of the fast path, kept beyond its restarts.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, SqlitePool};
use wardline_control::{Alert, AlertState};

use super::{Database, StoreError, device};
use crate::time::Time;

/// Alerts that are kept; the oldest that have ended make room.
const KEPT: i64 = 100_000;
/// Seconds by which the beginning of one alert may seem to move.
const SAME_S: i64 = 60;

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// Its number here, never used again.
    pub id: i64,
    /// Its number in the fast path.
    pub number: i64,
    /// The device, see [`device::key_text`].
    pub device: String,
    /// `open` or `ended`.
    pub state: String,
    /// The gravest of what is wrong.
    pub kind: String,
    /// How grave it is.
    pub score_percent: u8,
    /// What is wrong, JSON list.
    pub reasons: String,
    /// First observation.
    pub began: Time,
    /// Last one.
    pub last: Time,
    /// Observations.
    pub observations: i64,
    /// The alert here that it belongs to.
    pub part_of: Option<i64>,
    /// When somebody accepted it.
    pub accepted: Option<Time>,
    /// Who did.
    pub accepted_by: Option<String>,
    /// Why.
    pub accepted_reason: Option<String>,
}

const COLUMNS: &str = "id, number, device, state, kind, score_percent, reasons, began_us, \
    last_us, observations, accepted_us, accepted_by, accepted_reason, \
    (SELECT max(whole.id) FROM alert whole WHERE whole.number = alert.part_of) AS whole";

fn alert(row: &SqliteRow) -> Result<AlertRow, sqlx::Error> {
    let accepted: Option<i64> = row.try_get("accepted_us")?;
    Ok(AlertRow {
        id: row.try_get("id")?,
        number: row.try_get("number")?,
        device: row.try_get("device")?,
        state: row.try_get("state")?,
        kind: row.try_get("kind")?,
        score_percent: row.try_get("score_percent")?,
        reasons: row.try_get("reasons")?,
        began: Time::from_us(row.try_get("began_us")?),
        last: Time::from_us(row.try_get("last_us")?),
        observations: row.try_get("observations")?,
        part_of: row.try_get("whole")?,
        accepted: accepted.map(Time::from_us),
        accepted_by: row.try_get("accepted_by")?,
        accepted_reason: row.try_get("accepted_reason")?,
    })
}

/// Which alerts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertFilter {
    /// In this state.
    pub state: Option<&'static str>,
    /// Of this kind.
    pub kind: Option<String>,
    /// About this device.
    pub device: Option<String>,
    /// Whether somebody accepted it.
    pub accepted: Option<bool>,
    /// At least as grave.
    pub score_min: Option<u8>,
    /// Observed since.
    pub since: Option<Time>,
    /// Begun before.
    pub until: Option<Time>,
}

/// At most `limit` alerts before a number, newest first.
///
/// # Errors
/// When the database fails.
#[tracing::instrument(name = "store list alert", skip_all)]
pub async fn list(
    db: &Database,
    filter: &AlertFilter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<AlertRow>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
    query.push(COLUMNS).push(" FROM alert WHERE id < ");
    query.push_bind(before.unwrap_or(i64::MAX));
    if let Some(state) = filter.state {
        query.push(" AND state = ").push_bind(state);
    }
    for (column, value) in [("kind", &filter.kind), ("device", &filter.device)] {
        if let Some(value) = value {
            query.push(" AND ").push(column).push(" = ");
            query.push_bind(value.clone());
        }
    }
    if let Some(since) = filter.since {
        query.push(" AND last_us >= ").push_bind(since.us());
    }
    if let Some(until) = filter.until {
        query.push(" AND began_us < ").push_bind(until.us());
    }
    if let Some(least) = filter.score_min {
        query
            .push(" AND score_percent >= ")
            .push_bind(i64::from(least));
    }
    match filter.accepted {
        Some(true) => drop(query.push(" AND accepted_us IS NOT NULL")),
        Some(false) => drop(query.push(" AND accepted_us IS NULL")),
        None => {}
    }
    query.push(" ORDER BY id DESC LIMIT ");
    query.push_bind(i64::from(limit));
    let rows = query.build().fetch_all(db.read()).await?;
    Ok(rows.iter().map(alert).collect::<Result<_, _>>()?)
}

/// One alert.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &mut SqliteConnection, id: i64) -> Result<Option<AlertRow>, StoreError> {
    let row = sqlx::query(super::sql(format!(
        "SELECT {COLUMNS} FROM alert WHERE id = ?1"
    )))
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(row.as_ref().map(alert).transpose()?)
}

/// What became of an alert that was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It is new.
    Raised,
    /// Something of it is another.
    Changed,
    /// It is over.
    Ended,
    /// It had ended, and goes on.
    Resumed,
}

impl News {
    /// As events name it.
    pub const fn event(self) -> &'static str {
        match self {
            Self::Raised => "alert-raised",
            Self::Changed => "alert-changed",
            Self::Ended => "alert-ended",
            Self::Resumed => "alert-resumed",
        }
    }
}

/// Keeps an alert as the fast path shows it; what people said of it stays. Answers with its number
/// here and what is new, if anything is.
///
/// # Errors
/// When the database fails.
pub async fn write(
    db: &mut SqliteConnection,
    shown: &Alert,
) -> Result<Option<(i64, News)>, StoreError> {
    let text = serde_json::to_string(&shown.reasons)
        .map_err(|e| StoreError::Other(sqlx::Error::Encode(Box::new(e))))?;
    let number = i64::try_from(shown.id).unwrap_or(i64::MAX);
    let began = Time::from_contract(shown.began_us);
    let device = device::key_text(&shown.device);
    let row = sqlx::query(super::sql(format!(
        "SELECT {COLUMNS} FROM alert WHERE number = ?1 AND device = ?2 \
           AND began_us BETWEEN ?3 AND ?4 ORDER BY id DESC LIMIT 1"
    )))
    .bind(number)
    .bind(&device)
    .bind(began.plus_s(-SAME_S).us())
    .bind(began.plus_s(SAME_S).us())
    .fetch_optional(&mut *db)
    .await?;
    let before = row.as_ref().map(alert).transpose()?;
    let news = match &before {
        None => Some(News::Raised),
        Some(before) => news(before, shown, &text),
    };
    let Some(news) = news else { return Ok(None) };
    let observations = i64::try_from(shown.observations).unwrap_or(i64::MAX);
    let (id,) = sqlx::query_as(
        "INSERT INTO alert (id, number, device, state, kind, score_percent, reasons, began_us, \
           last_us, observations, part_of) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
         ON CONFLICT (id) DO UPDATE SET state = ?4, kind = ?5, score_percent = ?6, reasons = ?7, \
           last_us = ?9, observations = ?10, part_of = ?11 RETURNING id",
    )
    .bind(before.map(|before| before.id))
    .bind(number)
    .bind(device)
    .bind(device::word(&shown.state))
    .bind(&shown.kind)
    .bind(i64::from(shown.score_percent))
    .bind(text)
    .bind(began.us())
    .bind(Time::from_contract(shown.last_us).us())
    .bind(observations)
    .bind(shown.part_of.and_then(|whole| i64::try_from(whole).ok()))
    .fetch_one(db)
    .await?;
    Ok(Some((id, news)))
}

fn news(before: &AlertRow, shown: &Alert, reasons: &str) -> Option<News> {
    match (before.state.as_str(), shown.state) {
        ("open", AlertState::Ended) => return Some(News::Ended),
        ("ended", AlertState::Open) => return Some(News::Resumed),
        _ => {}
    }
    let same = before.kind == shown.kind
        && before.score_percent == shown.score_percent
        && before.reasons == reasons
        && before.last == Time::from_contract(shown.last_us);
    (!same).then_some(News::Changed)
}

/// Alerts that are open here: number here, number in the fast path, device.
///
/// # Errors
/// When the database fails.
pub async fn open(db: &SqlitePool) -> Result<Vec<(i64, i64, String)>, StoreError> {
    let rows = sqlx::query_as("SELECT id, number, device FROM alert WHERE state = 'open'")
        .fetch_all(db)
        .await?;
    Ok(rows)
}

/// The fast path knows an alert no more.
///
/// # Errors
/// When the database fails.
pub async fn end(db: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE alert SET state = 'ended' WHERE id = ?1")
        .bind(id)
        .execute(db)
        .await?;
    Ok(())
}

/// Lets the oldest go that have ended.
///
/// # Errors
/// When the database fails.
pub async fn prune(db: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM alert WHERE id <= (SELECT max(id) FROM alert) - ?1 AND state = 'ended'",
    )
    .bind(KEPT)
    .execute(db)
    .await?;
    Ok(())
}

/// Whether what the fast path shows is this alert: it counts anew when it lost its memory.
pub fn is_shown(row: &AlertRow, shown: &Alert) -> bool {
    let began = Time::from_contract(shown.began_us);
    i64::try_from(shown.id) == Ok(row.number)
        && device::key_text(&shown.device) == row.device
        && (row.began.plus_s(-SAME_S)..=row.began.plus_s(SAME_S)).contains(&began)
}

/// Somebody accepted an alert: what it is about is usual from now on. Whether nobody had before.
///
/// # Errors
/// When the database fails.
pub async fn accept(
    db: &mut SqliteConnection,
    id: i64,
    who: &str,
    reason: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE alert SET accepted_us = ?2, accepted_by = ?3, accepted_reason = ?4, \
         state = 'ended' WHERE id = ?1 AND accepted_us IS NULL",
    );
    let done = done.bind(id).bind(Time::now().us()).bind(who).bind(reason);
    Ok(done.execute(db).await?.rows_affected() > 0)
}

/// The newest alert with a number of the fast path that nobody accepted yet.
///
/// # Errors
/// When the database fails.
pub async fn not_accepted(db: &SqlitePool, number: u64) -> Result<Option<i64>, StoreError> {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let found: Option<(i64, Option<i64>)> = sqlx::query_as(
        "SELECT id, accepted_us FROM alert WHERE number = ?1 ORDER BY id DESC LIMIT 1",
    )
    .bind(number)
    .fetch_optional(db)
    .await?;
    Ok(found
        .filter(|(_, accepted)| accepted.is_none())
        .map(|(id, _)| id))
}
