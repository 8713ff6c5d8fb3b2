//! Out to the world: receivers of alerts, verdicts and audit records.
//!
//! Each receiver has a task of its own ([`courier`]), so that one which is slow or away delays
//! nobody. Alerts and audit records are kept in the database, and each receiver has its place in
//! them: nothing is buffered, and a crash loses nothing. Verdicts are many; they come through a
//! ring in memory, and whoever is too slow loses the oldest and is told how many.

mod cef;
mod community;
mod courier;
mod ecs;
mod message;
mod syslog;
mod target;
mod webhook;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use tokio::sync::{Notify, Semaphore, broadcast, watch};
use tokio::task::{AbortHandle, JoinSet};
use utoipa::ToSchema;
use wardline_control::view::FlowFacts;
use wardline_control::{EventKind, EventRecord, Hello};
use wardline_policy::DeviceKey;

pub use message::Subject;

use crate::Shared;
use crate::api::alerts::KeptAlert;
use crate::secret::Secret;
use crate::store::receiver::{self, ReceiverRow};
use crate::store::{StoreError, alert};
use crate::time::Time;
use message::Message;

/// Receivers there may be.
pub const MOST: i64 = 16;
/// Verdicts that are held for receivers.
const VERDICTS: usize = 4_096;
/// Tests of receivers that go on at once.
const TESTS: usize = 4;
/// How long a test may take.
const TEST_PATIENCE: Duration = Duration::from_secs(12);
/// How long after a failure of the store the receivers are read again.
const AGAIN: Duration = Duration::from_secs(5);

/// Where and how a receiver is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Syslog (RFC 5424), each message with its length before it.
    Syslog(Syslog),
    /// A signed POST of JSON for each message.
    Webhook(Hook),
}

/// A receiver of syslog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// Its name or address.
    #[schema(min_length = 1, max_length = 253)]
    pub host: String,
    /// Its port; 601 is usual for TCP, 6514 for TLS.
    #[schema(minimum = 1)]
    pub port: u16,
    /// What is under it.
    pub transport: Transport,
    /// How a message is written.
    pub format: Format,
    /// Authority (PEM) that its certificate comes from; needed for TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 65536)]
    pub ca_certificate: Option<String>,
    /// Certificate (PEM) to come with; its key is the receiver's `secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 65536)]
    pub client_certificate: Option<String>,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// `https://…`, without a user in it.
    #[schema(max_length = 2048, pattern = "^https://")]
    pub url: String,
    /// Authority (PEM) that its certificate comes from, in place of those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 65536)]
    pub ca_certificate: Option<String>,
}

/// What is under syslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// TCP (RFC 6587).
    Tcp,
    /// TLS (RFC 5425).
    Tls,
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Structured data of RFC 5424, and a sentence.
    Rfc5424,
    /// Common Event Format.
    Cef,
    /// JSON with the names of the Elastic Common Schema.
    EcsJson,
}

impl Target {
    /// What is wrong with it and its secret, if anything is: the field, and what was expected.
    pub fn unfit(&self, secret: Option<&Secret>) -> Option<(&'static str, String)> {
        let host = match self {
            Self::Syslog(to) => to.host.parse().ok(),
            Self::Webhook(to) => match to.url() {
                Ok(url) => url.host_str().and_then(|host| {
                    let plain = host.trim_start_matches('[').trim_end_matches(']');
                    plain.parse().ok()
                }),
                Err(why) => return Some(("target.webhook.url", why)),
            },
        };
        if let Some(why) = host.and_then(target::unfit) {
            let field = match self {
                Self::Syslog(_) => "target.syslog.host",
                Self::Webhook(_) => "target.webhook.url",
            };
            return Some((field, format!("refused: the address {why}")));
        }
        if let (Self::Webhook(_), Some(secret)) = (self, secret)
            && !(16..=256).contains(&secret.reveal().len())
        {
            return Some(("secret", "16 to 256 bytes".to_owned()));
        }
        let outlet = Outlet::new(self, secret);
        outlet.err().map(|why| ("target", why))
    }

    /// The same for the audit log: URLs may hold secrets of their own.
    pub fn described(&self) -> serde_json::Value {
        match self {
            Self::Webhook(to) => {
                let origin = to.url().map(|url| url.origin().ascii_serialization());
                serde_json::json!({ "kind": "webhook", "origin": origin.unwrap_or_default() })
            }
            Self::Syslog(to) => serde_json::json!({ "kind": "syslog", "host": to.host,
                "port": to.port, "transport": to.transport, "format": to.format }),
        }
    }

    /// In a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Syslog(_) => "syslog",
            Self::Webhook(_) => "webhook",
        }
    }
}

impl Hook {
    fn url(&self) -> Result<Url, String> {
        let url = Url::parse(&self.url).map_err(|_| "no URL".to_owned())?;
        let plain =
            url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
        plain
            .then_some(url)
            .ok_or_else(|| "must begin with `https://` and name no user".to_owned())
    }
}

/// Why a message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    why: String,
    /// Whether it was refused, and would be again.
    for_good: bool,
}

/// What messages go through to one receiver.
enum Outlet {
    Syslog(wire::Wire, Format),
    Webhook(webhook::Webhook),
}

impl Outlet {
    fn new(target: &Target, secret: Option<&Secret>) -> Result<Self, String> {
        Ok(match target {
            Target::Syslog(to) => Self::Syslog(wire::Wire::new(to, secret)?, to.format),
            Target::Webhook(to) => Self::Webhook(webhook::Webhook::new(to, secret)?),
        })
    }

    /// Messages that go in one piece.
    fn portion(&self) -> u32 {
        match self {
            Self::Syslog(..) => 64,
            Self::Webhook(_) => 1,
        }
    }

    async fn send(&mut self, messages: &[Message], host: &str) -> Result<(), Failure> {
        match self {
            Self::Syslog(wire, format) => {
                let frames = messages.iter();
                let bytes: Vec<u8> = frames
                    .flat_map(|message| syslog::frame(message, *format, host))
                    .collect();
                let written = wire.write(&bytes).await;
                written.map_err(|why| Failure {
                    why,
                    for_good: false,
                })
            }
            Self::Webhook(hook) => {
                for message in messages {
                    hook.post(message, host).await?;
                }
                Ok(())
            }
        }
    }
}

/// What receivers wait for.
#[derive(Debug)]
pub struct Out {
    /// How often alerts were written down.
    alerts: watch::Sender<u64>,
    verdicts: broadcast::Sender<Arc<Denial>>,
    /// Says that receivers were made, changed or removed.
    changed: Notify,
    tests: Semaphore,
}

impl Out {
    /// Nobody is told yet.
    pub fn new() -> Self {
        Self {
            alerts: watch::Sender::default(),
            verdicts: broadcast::Sender::new(VERDICTS),
            changed: Notify::new(),
            tests: Semaphore::new(TESTS),
        }
    }

    /// Receivers were made, changed or removed.
    pub fn changed(&self) {
        self.changed.notify_one();
    }

    /// What happened to an alert is kept: receivers may read it.
    pub fn alerted(&self) {
        self.alerts.send_modify(|count| *count += 1);
    }

    /// A conversation was refused, or would have been.
    pub fn denied(&self, process: &Hello, event: &EventRecord) {
        if self.verdicts.receiver_count() == 0 {
            return;
        }
        if let Some(denial) = Denial::of(process, event) {
            // Whoever was there may be gone.
            let _ = self.verdicts.send(Arc::new(denial));
        }
    }
}

impl Default for Out {
    fn default() -> Self {
        Self::new()
    }
}

/// A conversation that was refused, or would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Denial {
    /// When the fast path started that told it: its number counts from there.
    process_us: u64,
    seq: u64,
    time: Time,
    device: Option<DeviceKey>,
    device_name: String,
    flow: FlowFacts,
    dropped: bool,
    repeated: u32,
}

impl Denial {
    fn of(process: &Hello, event: &EventRecord) -> Option<Self> {
        let EventKind::Denied {
            flow,
            dropped,
            repeated,
        } = &event.kind
        else {
            return None;
        };
        Some(Self {
            process_us: process.started_us,
            seq: event.seq,
            time: Time::from_contract(event.time_us),
            device: event.device,
            device_name: event.device_name.clone(),
            flow: flow.clone(),
            dropped: *dropped,
            repeated: *repeated,
        })
    }
}

/// Writes down for the receivers what happened to an alert, in the transaction that made it
/// happen.
///
/// # Errors
/// When the store fails.
pub async fn keep_alert(db: &mut SqliteConnection, event: &str, id: i64) -> Result<(), StoreError> {
    let Some(row) = alert::find(db, id).await? else {
        return Ok(());
    };
    let alert = serde_json::to_value(KeptAlert::from(row)).unwrap_or_default();
    receiver::append(db, event, &alert).await
}

/// Has a courier for every receiver; never returns.
pub async fn keep_telling(app: Shared) {
    // Dropped with this task, and with them the couriers.
    let mut couriers = JoinSet::new();
    let mut running = HashMap::new();
    loop {
        match receiver::list(&app.store.main, 0, u32::MAX).await {
            Ok(rows) => send_out(&app, rows, &mut running, &mut couriers),
            Err(error) => {
                tracing::warn!(%error, "the receivers cannot be read");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        }
        tokio::select! {
            () = app.out.changed.notified() => {}
            Some(ended) = couriers.join_next() => {
                // One that was called back ended as it should; any other had a fault.
                if !ended.is_err_and(|error| error.is_cancelled()) {
                    tracing::error!("a receiver's courier ended; another is sent");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

/// The courier of each receiver, with the revision it serves.
type Running = HashMap<i64, (i64, AbortHandle)>;

/// Calls back couriers of what is no longer so, and sends out those that are missing.
fn send_out(
    app: &Shared,
    rows: Vec<ReceiverRow>,
    running: &mut Running,
    couriers: &mut JoinSet<()>,
) {
    running.retain(|id, (revision, courier)| {
        let current = |row: &ReceiverRow| row.enabled && row.id == *id && row.revision == *revision;
        let stays = rows.iter().any(current) && !courier.is_finished();
        if !stays {
            courier.abort();
        }
        stays
    });
    for row in rows.into_iter().filter(|row| row.enabled) {
        running.entry(row.id).or_insert_with(|| {
            let revision = row.revision;
            let run = courier::run(app.clone(), row);
            (revision, couriers.spawn(run))
        });
    }
}

/// Sends a test to a receiver, over a connection of its own. What went wrong, if anything did;
/// none if too many tests go on.
pub async fn try_out(app: &Shared, row: &ReceiverRow, who: &str) -> Option<Result<(), String>> {
    let _turn = app.out.tests.try_acquire().ok()?;
    let attempt = async {
        let target = serde_json::from_str(&row.target).map_err(|error| error.to_string())?;
        let mut outlet = Outlet::new(&target, row.secret.as_ref())?;
        let sent = outlet.send(&[Message::test(who)], &host()).await;
        sent.map_err(|failure| failure.why)
    };
    let done = tokio::time::timeout(TEST_PATIENCE, attempt).await;
    Some(done.unwrap_or_else(|_| Err("it takes too long".to_owned())))
}

/// What this machine is called.
fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// At most so many bytes of a text, whole characters.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests;
