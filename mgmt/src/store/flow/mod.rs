//! Flow history: who talks to whom over what with which verdict is an edge, and each five minutes
//! in which something went over an edge are a record.
//!
//! Records have the number of their edge in place of its texts, which keeps ten million of them
//! small enough for the memory of an appliance; whatever is asked for is first asked of the edges.

mod keep;
mod read;

use std::collections::HashMap;

use sqlx::SqliteConnection;

pub use keep::{forget, oldest, size};
pub use read::{
    Carried, Edge, EdgeRow, FILE_PATIENCE, FlowFilter, FlowPlace, FlowRow, PAGE_PATIENCE, devices,
    edges, every_edge, history, peers, services, verdicts,
};

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
    let (edge,): (i64,) = sqlx::query_as(
        "INSERT INTO edge (device, peer, service, verdict, conversations, bytes_sent, bytes_got, \
           first_s, last_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) \
         ON CONFLICT DO UPDATE SET conversations = conversations + ?5, \
           bytes_sent = bytes_sent + ?6, bytes_got = bytes_got + ?7, \
           first_s = min(first_s, ?8), last_s = max(last_s, ?8) RETURNING id",
    )
    .bind(device)
    .bind(peer)
    .bind(service)
    .bind(verdict)
    .bind(number(sums.conversations))
    .bind(number(sums.bytes_sent))
    .bind(number(sums.bytes_got))
    .bind(bucket_s)
    .fetch_one(&mut *db)
    .await?;
    sqlx::query(
        "INSERT INTO flow (edge, bucket_s, conversations, frames_sent, bytes_sent, frames_got, \
           bytes_got) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT DO UPDATE SET conversations = conversations + ?3, \
           frames_sent = frames_sent + ?4, bytes_sent = bytes_sent + ?5, \
           frames_got = frames_got + ?6, bytes_got = bytes_got + ?7",
    )
    .bind(edge)
    .bind(bucket_s)
    .bind(number(sums.conversations))
    .bind(number(sums.frames_sent))
    .bind(number(sums.bytes_sent))
    .bind(number(sums.frames_got))
    .bind(number(sums.bytes_got))
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
