//! The control socket: who may connect, and the calls.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt;
use tarpc::context::Context;
use tarpc::server::{BaseChannel, Channel};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use wardline_control::{
    AlertsPage, Applied, ApplyOptions, CaptureOrder, CapturePage, CapturedFrame, ContextEntry,
    ContextPage, Control, DevicesPage, Diagnostic, EventBatch, EventKind, FlowFilter, FlowsPage,
    Hello, ModelStatus, PROTOCOL_VERSION, PolicyInForce, PolicyText, Refused, RefusedKind,
    RoleStatement, Status, bounds, server_transport, view,
};

use wardline_policy::DeviceKey;

use crate::capture::Captures;
use crate::clock::{Clock, wall_us};
use crate::config;
use crate::events::EventLog;
use crate::fleet::{self, Fleet};
use crate::identify::Identities;
use crate::model::Models;
use crate::policy::PolicyKeeper;
use crate::ports::OpenPort;
use crate::roles::{self, Roles};
use crate::translate::{self, Translator};
use crate::watch::Watch;

/// What the calls need. One for all clients.
#[derive(Debug)]
pub struct Gateway {
    /// The workers.
    pub fleet: Fleet,
    /// The ports.
    pub ports: [OpenPort; 2],
    /// The policy.
    pub policy: Arc<PolicyKeeper>,
    /// Names for numbers.
    pub translator: Arc<Translator>,
    /// What the devices are taken for.
    pub identities: Arc<Identities>,
    /// What people say of them.
    pub roles: Arc<Roles>,
    /// What names them.
    pub models: Arc<Models>,
    /// Each against its own past.
    pub watch: Arc<Watch>,
    /// Frames of devices that somebody looks into.
    pub captures: Captures,
    /// What others say of devices, addresses and users.
    pub context: crate::context::Context,
    /// What happened.
    pub events: Arc<EventLog>,
    /// When the process started.
    pub clock: Clock,
    /// From there to the first round of the workers.
    pub startup: Duration,
    /// DPDK's memory.
    pub memory: view::MemoryStatus,
    /// How the workers poll.
    pub poll: config::Poll,
    /// The cores they are bound to.
    pub cores: Vec<u16>,
    /// Where a wish to stop goes; `true` asks to give the interfaces back.
    pub stop: mpsc::Sender<bool>,
}

/// The listening socket; removed when dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    allow_uids: Vec<u32>,
    allow_gids: Vec<u32>,
}

impl Socket {
    /// Listens. A socket left over from a process that is gone makes room.
    ///
    /// # Errors
    /// Another process listens there, or the path cannot be used.
    pub fn bind(config: &config::Control) -> Result<Self> {
        let path = &config.socket;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot make the directory {}", parent.display()))?;
        }
        // Under another name until its permissions are right.
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        let doing = || format!("cannot listen on control.socket {}", path.display());
        remove_if_there(&fresh).with_context(doing)?;
        let listener = UnixListener::bind(&fresh).with_context(doing)?;
        if config.gid.is_some() {
            std::os::unix::fs::chown(&fresh, None, config.gid).with_context(doing)?;
        }
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(config.mode))
            .with_context(doing)?;
        std::fs::rename(&fresh, path).with_context(doing)?;
        let mut allow_uids = config.allow_uids.clone();
        // SO_PEERCRED of a socket to oneself would say the same; root may always.
        allow_uids.push(0);
        allow_uids.extend(own_uid(path));
        Ok(Self {
            listener,
            path: path.clone(),
            allow_uids,
            allow_gids: config.allow_gids.clone(),
        })
    }

    /// Serves clients for ever.
    pub async fn serve(&self, gateway: Arc<Gateway>) {
        let places = Arc::new(Semaphore::new(bounds::CLIENTS));
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a client could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            if let Err(reason) = self.check_peer(&stream) {
                tracing::warn!(reason, "a client was refused");
                continue;
            }
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!(limit = bounds::CLIENTS, "a client was refused: too many");
                continue;
            };
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move {
                serve_client(stream, gateway).await;
                drop(place);
            });
        }
    }

    fn check_peer(&self, stream: &UnixStream) -> Result<(), String> {
        let peer = stream
            .peer_cred()
            .map_err(|e| format!("its credentials are unknown: {e}"))?;
        if self.allow_uids.contains(&peer.uid()) || self.allow_gids.contains(&peer.gid()) {
            return Ok(());
        }
        Err(format!(
            "neither user {} is in control.allow_uids nor group {} in control.allow_gids",
            peer.uid(),
            peer.gid()
        ))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A successor may have put its own socket there already; then this is that one's, and the
        // successor was started against the advice of `check_alone`.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Makes sure that no other process serves this socket.
///
/// # Errors
/// One does.
pub fn check_alone(path: &Path) -> Result<()> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => anyhow::bail!(
            "another process listens on {}: `wardline status` says which; stop it first or \
             configure another control.socket",
            path.display()
        ),
        Err(_) => Ok(()),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn own_uid(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|m| m.uid())
}

async fn serve_client(stream: UnixStream, gateway: Arc<Gateway>) {
    let service = Service { gateway };
    BaseChannel::with_defaults(server_transport(stream))
        .max_concurrent_requests(bounds::REQUESTS_PER_CLIENT)
        .execute(service.serve())
        .for_each(|request| async {
            tokio::spawn(request);
        })
        .await;
}

#[derive(Debug, Clone)]
struct Service {
    gateway: Arc<Gateway>,
}

impl Control for Service {
    async fn hello(self, _: Context, client: String) -> Hello {
        let name: String = client
            .chars()
            .filter(|c| !c.is_control())
            .take(bounds::NAME_BYTES)
            .collect();
        tracing::debug!(client = name, "client connected");
        let clock = self.gateway.clock;
        Hello {
            protocol_version: PROTOCOL_VERSION,
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            started_us: started_us(clock),
            pid: std::process::id(),
        }
    }

    async fn status(self, _: Context) -> Result<Status, Refused> {
        let gateway = &self.gateway;
        let reports = gateway.fleet.reports().await?;
        let counters = fleet::total(reports.iter().map(|r| &r.counters));
        let workers = reports.iter().zip(&gateway.cores).enumerate();
        Ok(Status {
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_us: started_us(gateway.clock),
            uptime_s: gateway.clock.elapsed().as_secs(),
            startup_ms: u64::try_from(gateway.startup.as_millis()).unwrap_or(u64::MAX),
            memory: gateway.memory.clone(),
            ports: gateway.ports.iter().map(OpenPort::status).collect(),
            workers: workers
                .map(|(index, (report, core))| {
                    worker_status(index, *core, gateway.poll, &report.turns)
                })
                .collect(),
            policy: gateway.policy.status(),
            devices: reports.iter().map(|r| r.devices as u64).sum(),
            flows: counters.flows,
            events_dropped: counters.events_dropped + gateway.fleet.events_dropped(),
            counters: translate::counters(&counters),
            classifier: gateway.identities.status(),
            behaviour: gateway.watch.status(),
        })
    }

    async fn devices(self, _: Context, cursor: u64, limit: u32) -> Result<DevicesPage, Refused> {
        let gateway = &self.gateway;
        let all = gateway.fleet.devices().await?;
        let skip = usize::try_from(cursor).unwrap_or(usize::MAX);
        let end = skip.saturating_add(page(limit)?);
        let next = (end < all.len()).then_some(end as u64);
        let page = all.into_iter().skip(skip).take(end - skip);
        Ok(DevicesPage {
            devices: page
                .map(|device| {
                    let identity = gateway.identities.of(device.key);
                    gateway.translator.device(device, identity)
                })
                .collect(),
            next,
        })
    }

    async fn flows(
        self,
        _: Context,
        filter: FlowFilter,
        cursor: u64,
        limit: u32,
    ) -> Result<FlowsPage, Refused> {
        let gateway = &self.gateway;
        let (flows, next) = gateway.fleet.flows(&filter, cursor, page(limit)?).await?;
        Ok(FlowsPage {
            flows: flows.iter().map(|f| gateway.translator.flow(f)).collect(),
            next,
        })
    }

    async fn state_role(self, _: Context, statement: RoleStatement) -> Result<u64, Refused> {
        let gateway = &self.gateway;
        let seen = gateway.identities.of(statement.device);
        let sequence = gateway.roles.state(&statement, seen.as_ref())?;
        let RoleStatement {
            device, role, who, ..
        } = statement;
        gateway
            .events
            .tell_of(device, EventKind::RoleStated { role, who });
        Ok(sequence)
    }

    async fn export_lessons(self, _: Context) -> Result<String, Refused> {
        self.gateway.roles.export()
    }

    async fn model_status(self, _: Context) -> Result<ModelStatus, Refused> {
        self.gateway.models.status()
    }

    async fn model_activate(
        self,
        _: Context,
        folder: Option<String>,
    ) -> Result<ModelStatus, Refused> {
        let models = Arc::clone(&self.gateway.models);
        to_the_end(models.activate(folder)).await
    }

    async fn alerts(self, _: Context, cursor: u64, limit: u32) -> Result<AlertsPage, Refused> {
        Ok(self.gateway.watch.alerts(cursor, page(limit)?))
    }

    async fn accept_alert(
        self,
        _: Context,
        id: u64,
        who: String,
        reason: String,
    ) -> Result<(), Refused> {
        roles::check_words(&who, &reason)?;
        self.gateway.watch.accept(id, &who, &reason)
    }

    async fn capture_start(self, _: Context, order: CaptureOrder) -> Result<u64, Refused> {
        let gateway = Arc::clone(&self.gateway);
        to_the_end(async move { gateway.captures.start(order, &gateway.fleet).await }).await
    }

    async fn capture_read(
        self,
        _: Context,
        id: u64,
        from: u64,
        limit: u32,
    ) -> Result<CapturePage, Refused> {
        self.gateway.captures.read(id, from, page(limit)?)
    }

    async fn capture_stop(self, _: Context, id: u64) -> Result<(), Refused> {
        let gateway = Arc::clone(&self.gateway);
        to_the_end(async move { gateway.captures.stop(id, &gateway.fleet).await }).await
    }

    async fn last_dropped(
        self,
        _: Context,
        device: DeviceKey,
        limit: u32,
    ) -> Result<Vec<CapturedFrame>, Refused> {
        let Gateway {
            fleet, captures, ..
        } = &*self.gateway;
        let dropped = fleet.dropped(device, page(limit)?).await?;
        Ok(dropped.iter().map(|d| captures.dropped(d)).collect())
    }

    async fn context_set(self, _: Context, entries: Vec<ContextEntry>) -> Result<u32, Refused> {
        self.gateway.context.set(entries, wall_us())
    }

    async fn context(self, _: Context, cursor: u64, limit: u32) -> Result<ContextPage, Refused> {
        let limit = page(limit)?;
        Ok(self.gateway.context.page(cursor, limit, wall_us()))
    }

    async fn policy_show(self, _: Context) -> Result<PolicyInForce, Refused> {
        Ok(self.gateway.policy.show())
    }

    async fn policy_check(
        self,
        _: Context,
        policy: PolicyText,
    ) -> Result<Vec<Diagnostic>, Refused> {
        self.gateway.policy.check(policy).await
    }

    async fn policy_apply(
        self,
        _: Context,
        policy: PolicyText,
        options: ApplyOptions,
    ) -> Result<Applied, Refused> {
        // A client that hangs up must not leave a change half-way.
        let gateway = Arc::clone(&self.gateway);
        to_the_end(async move { gateway.policy.apply(policy, options).await }).await
    }

    async fn policy_confirm(self, _: Context, id: String) -> Result<Applied, Refused> {
        let gateway = Arc::clone(&self.gateway);
        to_the_end(async move { gateway.policy.confirm(&id).await }).await
    }

    async fn events(
        self,
        _: Context,
        from_seq: u64,
        limit: u32,
        wait_ms: u32,
    ) -> Result<EventBatch, Refused> {
        let wait = Duration::from_millis(wait_ms.min(bounds::EVENT_WAIT_MS).into());
        Ok(self.gateway.events.read(from_seq, page(limit)?, wait).await)
    }

    async fn stop(self, _: Context, detach: bool) -> Result<(), Refused> {
        self.gateway.stop.try_send(detach).map_err(|_| {
            Refused::new(
                RefusedKind::Unavailable,
                "the fast path is stopping already",
            )
        })
    }
}

/// Runs a change in a task of its own, which goes on when the request is cancelled.
async fn to_the_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Refused>> + Send + 'static,
) -> Result<T, Refused> {
    tokio::spawn(change).await.map_err(|e| {
        Refused::new(
            RefusedKind::Internal,
            format!("the change failed inside: {e}; `wardline status` says what is in force"),
        )
    })?
}

fn page(limit: u32) -> Result<usize, Refused> {
    if limit == 0 {
        return Err(Refused::new(
            RefusedKind::Argument,
            "limit is 0; ask for at least one entry",
        ));
    }
    Ok(limit.min(bounds::PAGE) as usize)
}

fn started_us(clock: Clock) -> u64 {
    let uptime_us = u64::try_from(clock.elapsed().as_micros()).unwrap_or(u64::MAX);
    wall_us().saturating_sub(uptime_us)
}

fn worker_status(
    index: usize,
    core: u16,
    poll: config::Poll,
    turns: &crate::mailbox::Turns,
) -> view::WorkerStatus {
    view::WorkerStatus {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        lcore: core.into(),
        poll: poll.name().to_owned(),
        polls: turns.polls,
        empty_polls: turns.empty_polls,
        parks: turns.parks,
        bursts: turns.bursts,
        frames: turns.frames,
        busy_ns: turns.busy_ns,
        elapsed_ns: turns.elapsed_ns,
        longest_round_ns: turns.longest_round_ns,
        feature_windows: turns.feature_windows,
        unfetched: turns.unfetched,
        handed_over: turns.handed_over,
        hand_over_drops: turns.hand_over_drops.iter().sum(),
    }
}
