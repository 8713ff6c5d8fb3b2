//! Flow history: conversations by device, peer, service, verdict and five minutes, and over all
//! time who talks to whom.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::{Database, StoreError};

/// Seconds of one record.
pub const BUCKET_S: i64 = 300;

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The device, as in `/devices/{key}`.
    pub device: String,
    /// Address of the other end; a MAC address or empty where there is none.
    pub peer: String,
    /// Who began, over what.
    pub service: Service,
    /// What was decided.
    pub verdict: Verdict,
}

/// Who began, over what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Service {
    /// Whether the device sent the first packet.
    pub by_device: bool,
    /// IP protocol number; 0 if not IP.
    pub protocol: u8,
    /// Port of whoever did not begin; `type << 8 | code` of ICMP; EtherType if not IP.
    pub port: u16,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// `forward`, `would-drop` or `drop`.
    pub action: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// What was carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Conversations begun, or refused.
    pub conversations: u64,
    /// Frames from the device.
    pub frames_sent: u64,
    /// Bytes from the device.
    pub bytes_sent: u64,
    /// Frames to the device.
    pub frames_got: u64,
    /// Bytes to the device.
    pub bytes_got: u64,
}

impl Sums {
    /// And these.
    pub fn add(&mut self, more: &Self) {
        self.conversations += more.conversations;
        self.frames_sent += more.frames_sent;
        self.bytes_sent += more.bytes_sent;
        self.frames_got += more.frames_got;
        self.bytes_got += more.bytes_got;
    }
}

/// Begin of the five minutes that an instant (seconds since the epoch) lies in.
pub const fn bucket(time_s: i64) -> i64 {
    time_s - time_s.rem_euclid(BUCKET_S)
}

/// Adds observations of one bucket, in one transaction.
///
/// # Errors
/// When the database fails; nothing was added then.
pub async fn add(
    db: &Database,
    bucket_s: i64,
    observations: &HashMap<Subject, Sums>,
    lost: u64,
) -> Result<(), StoreError> {
    let mut transaction = db.begin().await?;
    for (subject, sums) in observations {
        let ids = intern(&mut transaction, subject).await?;
        add_one(&mut transaction, bucket_s, ids, sums).await?;
    }
    if lost > 0 {
        sqlx::query(
            "INSERT INTO gap (bucket_s, lost) VALUES (?1, ?2) \
             ON CONFLICT DO UPDATE SET lost = lost + ?2",
        )
        .bind(bucket_s)
        .bind(number(lost))
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Device, peer, service, verdict.
type Ids = [i64; 4];

async fn intern(db: &mut SqliteConnection, subject: &Subject) -> Result<Ids, StoreError> {
    // An update that changes nothing, so that the id comes back either way.
    let (device,): (i64,) = sqlx::query_as(
        "INSERT INTO device (key) VALUES (?1) ON CONFLICT DO UPDATE SET key = key RETURNING id",
    )
    .bind(&subject.device)
    .fetch_one(&mut *db)
    .await?;
    let (peer,): (i64,) = sqlx::query_as(
        "INSERT INTO peer (address) VALUES (?1) \
         ON CONFLICT DO UPDATE SET address = address RETURNING id",
    )
    .bind(&subject.peer)
    .fetch_one(&mut *db)
    .await?;
    let (service,): (i64,) = sqlx::query_as(
        "INSERT INTO service (initiator, protocol, port) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET port = port RETURNING id",
    )
    .bind(initiator(subject.service.by_device))
    .bind(i64::from(subject.service.protocol))
    .bind(i64::from(subject.service.port))
    .fetch_one(&mut *db)
    .await?;
    let (verdict,): (i64,) = sqlx::query_as(
        "INSERT INTO verdict (action, reason) VALUES (?1, ?2) \
         ON CONFLICT DO UPDATE SET reason = reason RETURNING id",
    )
    .bind(subject.verdict.action)
    .bind(subject.verdict.reason)
    .fetch_one(db)
    .await?;
    Ok([device, peer, service, verdict])
}

async fn add_one(
    db: &mut SqliteConnection,
    bucket_s: i64,
    [device, peer, service, verdict]: Ids,
    sums: &Sums,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO flow (bucket_s, device, peer, service, verdict, conversations, frames_sent, \
           bytes_sent, frames_got, bytes_got) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT DO UPDATE SET conversations = conversations + ?6, \
           frames_sent = frames_sent + ?7, bytes_sent = bytes_sent + ?8, \
           frames_got = frames_got + ?9, bytes_got = bytes_got + ?10",
    )
    .bind(bucket_s)
    .bind(device)
    .bind(peer)
    .bind(service)
    .bind(verdict)
    .bind(number(sums.conversations))
    .bind(number(sums.frames_sent))
    .bind(number(sums.bytes_sent))
    .bind(number(sums.frames_got))
    .bind(number(sums.bytes_got))
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "INSERT INTO edge (device, peer, service, verdict, conversations, bytes_sent, bytes_got, \
           first_s, last_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) \
         ON CONFLICT DO UPDATE SET conversations = conversations + ?5, \
           bytes_sent = bytes_sent + ?6, bytes_got = bytes_got + ?7, last_s = max(last_s, ?8)",
    )
    .bind(device)
    .bind(peer)
    .bind(service)
    .bind(verdict)
    .bind(number(sums.conversations))
    .bind(number(sums.bytes_sent))
    .bind(number(sums.bytes_got))
    .bind(bucket_s)
    .execute(db)
    .await?;
    Ok(())
}

/// SQLite's integers end at 2⁶³.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

const fn initiator(by_device: bool) -> &'static str {
    if by_device { "device" } else { "peer" }
}

/// Which records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowFilter {
    /// Of this device.
    pub device: Option<String>,
    /// With this peer.
    pub peer: Option<String>,
    /// Begun by the device, or by the peer.
    pub by_device: Option<bool>,
    /// With this IP protocol.
    pub protocol: Option<u8>,
    /// With this service port.
    pub port: Option<u16>,
    /// With this action.
    pub action: Option<String>,
    /// For this reason.
    pub reason: Option<String>,
    /// Not before, in seconds since the epoch.
    pub since_s: Option<i64>,
    /// Before, in seconds since the epoch.
    pub until_s: Option<i64>,
}

/// Where a page ended: bucket (or 0), device, peer, service, verdict.
pub type FlowPlace = [i64; 5];

/// A record as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRow {
    /// Where it stands in the list.
    pub place: FlowPlace,
    /// The device.
    pub device: String,
    /// The other end.
    pub peer: String,
    /// Whether the device began.
    pub by_device: bool,
    /// IP protocol number.
    pub protocol: u8,
    /// Service port.
    pub port: u16,
    /// `forward`, `would-drop` or `drop`.
    pub action: String,
    /// Why.
    pub reason: String,
    /// What was carried; frames are not kept of edges.
    pub sums: Sums,
    /// First and last five minutes, in seconds since the epoch.
    pub span_s: [i64; 2],
}

/// At most `limit` records behind a place, newest first.
///
/// # Errors
/// When the database fails.
#[tracing::instrument(name = "store list flow", skip_all)]
pub async fn history(
    db: &Database,
    filter: &FlowFilter,
    after: Option<&FlowPlace>,
    limit: u32,
) -> Result<Vec<FlowRow>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT f.bucket_s, f.device, f.peer, f.service, f.verdict, d.key, p.address, \
         s.initiator, s.protocol, s.port, v.action, v.reason, f.conversations, f.frames_sent, \
         f.bytes_sent, f.frames_got, f.bytes_got, f.bucket_s AS first_s, f.bucket_s AS last_s \
         FROM flow f JOIN device d ON d.id = f.device JOIN peer p ON p.id = f.peer \
         JOIN service s ON s.id = f.service JOIN verdict v ON v.id = f.verdict WHERE 1",
    );
    restrict(&mut query, filter);
    if let Some(since) = filter.since_s {
        query.push(" AND f.bucket_s >= ").push_bind(bucket(since));
    }
    if let Some(until) = filter.until_s {
        query.push(" AND f.bucket_s < ").push_bind(until);
    }
    if let Some(place) = after {
        query.push(" AND (f.bucket_s, f.device, f.peer, f.service, f.verdict) < (");
        tuple(&mut query, place);
    }
    query.push(
        " ORDER BY f.bucket_s DESC, f.device DESC, f.peer DESC, f.service DESC, f.verdict DESC \
         LIMIT ",
    );
    query.push_bind(i64::from(limit));
    let rows = query.build().fetch_all(db.read()).await?;
    Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
}

/// At most `limit` edges of the map behind a place.
///
/// # Errors
/// When the database fails.
#[tracing::instrument(name = "store list edge", skip_all)]
pub async fn edges(
    db: &Database,
    filter: &FlowFilter,
    after: Option<&FlowPlace>,
    limit: u32,
) -> Result<Vec<FlowRow>, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT 0 AS bucket_s, f.device, f.peer, f.service, f.verdict, d.key, p.address, \
         s.initiator, s.protocol, s.port, v.action, v.reason, f.conversations, \
         0 AS frames_sent, f.bytes_sent, 0 AS frames_got, f.bytes_got, f.first_s, f.last_s \
         FROM edge f JOIN device d ON d.id = f.device JOIN peer p ON p.id = f.peer \
         JOIN service s ON s.id = f.service JOIN verdict v ON v.id = f.verdict WHERE 1",
    );
    restrict(&mut query, filter);
    if let Some(since) = filter.since_s {
        query.push(" AND f.last_s >= ").push_bind(bucket(since));
    }
    if let Some(place) = after {
        query.push(" AND (0, f.device, f.peer, f.service, f.verdict) > (");
        tuple(&mut query, place);
    }
    query.push(" ORDER BY f.device, f.peer, f.service, f.verdict LIMIT ");
    query.push_bind(i64::from(limit));
    let rows = query.build().fetch_all(db.read()).await?;
    Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
}

/// Conditions on what records are about. Names become numbers first, so that an index by number
/// is used.
fn restrict(query: &mut QueryBuilder<Sqlite>, filter: &FlowFilter) {
    if let Some(device) = &filter.device {
        query.push(" AND f.device = (SELECT id FROM device WHERE key = ");
        query.push_bind(device.clone()).push(")");
    }
    if let Some(peer) = &filter.peer {
        query.push(" AND f.peer = (SELECT id FROM peer WHERE address = ");
        query.push_bind(peer.clone()).push(")");
    }
    if filter.by_device.is_some() || filter.protocol.is_some() || filter.port.is_some() {
        query.push(" AND f.service IN (SELECT id FROM service WHERE 1");
        if let Some(by_device) = filter.by_device {
            query
                .push(" AND initiator = ")
                .push_bind(initiator(by_device));
        }
        if let Some(protocol) = filter.protocol {
            query
                .push(" AND protocol = ")
                .push_bind(i64::from(protocol));
        }
        if let Some(port) = filter.port {
            query.push(" AND port = ").push_bind(i64::from(port));
        }
        query.push(")");
    }
    if filter.action.is_some() || filter.reason.is_some() {
        query.push(" AND f.verdict IN (SELECT id FROM verdict WHERE 1");
        for (column, value) in [("action", &filter.action), ("reason", &filter.reason)] {
            if let Some(value) = value {
                query
                    .push(" AND ")
                    .push(column)
                    .push(" = ")
                    .push_bind(value.clone());
            }
        }
        query.push(")");
    }
}

fn tuple(query: &mut QueryBuilder<Sqlite>, place: &FlowPlace) {
    for (i, part) in place.iter().enumerate() {
        if i > 0 {
            query.push(", ");
        }
        query.push_bind(*part);
    }
    query.push(")");
}

fn row(row: &SqliteRow) -> Result<FlowRow, sqlx::Error> {
    let count = |column: &str| {
        row.try_get::<i64, _>(column)
            .map(|n| u64::try_from(n).unwrap_or(0))
    };
    Ok(FlowRow {
        place: [
            row.try_get("bucket_s")?,
            row.try_get("device")?,
            row.try_get("peer")?,
            row.try_get("service")?,
            row.try_get("verdict")?,
        ],
        device: row.try_get("key")?,
        peer: row.try_get("address")?,
        by_device: row.try_get::<String, _>("initiator")? == "device",
        protocol: row.try_get("protocol")?,
        port: row.try_get("port")?,
        action: row.try_get("action")?,
        reason: row.try_get("reason")?,
        sums: Sums {
            conversations: count("conversations")?,
            frames_sent: count("frames_sent")?,
            bytes_sent: count("bytes_sent")?,
            frames_got: count("frames_got")?,
            bytes_got: count("bytes_got")?,
        },
        span_s: [row.try_get("first_s")?, row.try_get("last_s")?],
    })
}

/// Removes one bucket that is older than `oldest_s`, if there is one; true when there was.
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
