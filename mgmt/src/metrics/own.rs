//! What this process keeps and does.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::series::{Series, flag, float, label};
use crate::Shared;
use crate::out::Subject;
use crate::store::{Database, StoreError, receiver};
use crate::time::Time;

/// States of a job.
const STATES: [&str; 4] = ["queued", "running", "done", "failed"];

/// As it is at one moment.
#[derive(Debug)]
pub(super) struct Own {
    started: Time,
    listeners: usize,
    connections: u64,
    databases: [(&'static str, u64); 2],
    devices: u64,
    alerts_open: u64,
    audit_records: u64,
    jobs: [(&'static str, u64); 4],
    receivers: Vec<Told>,
}

/// A receiver.
#[derive(Debug)]
struct Told {
    name: String,
    up: bool,
    sent: u64,
    dropped: u64,
    queued: u64,
}

impl Own {
    pub async fn gather(app: &Shared) -> Result<Self, StoreError> {
        let main = &app.store.main;
        let mut jobs = STATES.map(|state| (state, 0));
        for (state, count) in &mut jobs {
            *count = of_state(main, state).await?;
        }
        Ok(Self {
            started: app.started,
            listeners: app.live.listeners(),
            connections: app.fastpath.connections(),
            databases: [
                ("main", size(main.path())),
                ("history", size(app.store.history.path())),
            ],
            devices: count(main, "SELECT count(*) FROM device").await?,
            alerts_open: count(main, "SELECT count(*) FROM alert WHERE state = 'open'").await?,
            audit_records: count(main, "SELECT coalesce(max(seq), 0) FROM audit").await?,
            jobs,
            receivers: receivers(app).await?,
        })
    }
}

/// Those that are told.
async fn receivers(app: &Shared) -> Result<Vec<Told>, StoreError> {
    let mut told = Vec::new();
    let rows = receiver::list(&app.store.main, 0, u32::MAX).await?;
    for row in rows.into_iter().filter(|row| row.enabled) {
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        let subjects: Vec<Subject> = serde_json::from_str(&row.subjects).unwrap_or_default();
        let behind = receiver::behind(&app.store.main, row.place).await?;
        let of = |subject, behind| {
            let wanted = subjects.contains(&subject);
            if wanted { count(behind) } else { 0 }
        };
        told.push(Told {
            up: row.health.success >= row.health.failure,
            sent: count(row.health.sent),
            dropped: count(row.health.dropped),
            queued: of(Subject::Alerts, behind.alerts) + of(Subject::Audit, behind.audit),
            name: row.name,
        });
    }
    Ok(told)
}

async fn count(db: &Database, query: &'static str) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar(query).fetch_one(db.read()).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

async fn of_state(db: &Database, state: &str) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM job WHERE state = ?1")
        .bind(state)
        .fetch_one(db.read())
        .await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Bytes on the disk, the journal included.
pub(crate) fn size(path: &std::path::Path) -> u64 {
    let journal = format!("{}-wal", path.display());
    let bytes = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |facts| facts.len());
    bytes(path) + bytes(journal.as_ref())
}

impl Collector for Own {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut series = Series(encoder);
        let version = label("version", env!("CARGO_PKG_VERSION"));
        series.gauges(
            "build_info",
            "Version of the management plane",
            [(version, 1.0)],
        )?;
        #[expect(clippy::cast_precision_loss, reason = "exact for some centuries")]
        series.gauge(
            "mgmt_start_time_seconds",
            "When the management plane started, since the epoch",
            self.started.us() as f64 / 1e6,
        )?;
        series.counter(
            "fastpath_connections",
            "Times that the management plane reached the fast path anew",
            self.connections,
        )?;
        series.gauge(
            "live_listeners",
            "Streams of live events that are open",
            float(self.listeners as u64),
        )?;
        self.store(&mut series)?;
        self.told(&mut series)
    }
}

impl Own {
    fn store(&self, series: &mut Series<'_>) -> fmt::Result {
        series.gauges(
            "store_bytes",
            "Size of a database on the disk, its journal included",
            self.databases
                .map(|(name, bytes)| (label("database", name), float(bytes))),
        )?;
        series.gauge("devices", "Devices in the inventory", float(self.devices))?;
        series.gauge(
            "alerts_open",
            "Alerts that are open",
            float(self.alerts_open),
        )?;
        series.counter(
            "audit_records",
            "Records of the audit log",
            self.audit_records,
        )?;
        series.gauges(
            "jobs",
            "Jobs that are kept, by state",
            self.jobs
                .map(|(state, count)| (label("state", state), float(count))),
        )
    }

    fn told(&self, series: &mut Series<'_>) -> fmt::Result {
        let of = |told: &Told| label("receiver", &told.name);
        let all = &self.receivers;
        series.gauges(
            "receiver_up",
            "Whether the receiver took what was sent to it last",
            all.iter().map(|told| (of(told), flag(told.up))),
        )?;
        series.gauges(
            "receiver_queued",
            "Alerts and audit records that wait for the receiver",
            all.iter().map(|told| (of(told), float(told.queued))),
        )?;
        series.counters(
            "receiver_sent",
            "Messages that the receiver took",
            all.iter().map(|told| (of(told), told.sent)),
        )?;
        series.counters(
            "receiver_dropped",
            "Messages that were lost to the receiver",
            all.iter().map(|told| (of(told), told.dropped)),
        )
    }
}
