//! A fast path that is played: it speaks the contract and moves no frame.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use tarpc::context::Context;
use tarpc::server::{BaseChannel, Channel as _};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use wardline_control::{
    AlertsPage, Applied, ApplyOptions, CaptureOrder, CapturePage, CaptureState, CapturedFrame,
    ContextEntry, ContextPage, Control, Counters, DeviceView, DevicesPage, Diagnostic, EventBatch,
    EventKind, EventRecord, FlowFilter, FlowView, FlowsPage, Hello, ModelOrigin, ModelStatus,
    PROTOCOL_VERSION, PolicyFormat, PolicyInForce, PolicyText, Refused, RefusedKind, RoleStatement,
    Status, server_transport, view,
};
use wardline_policy::{DeviceKey, Format, Mode};

/// What the played one knows; tests write here.
#[derive(Debug, Default)]
pub struct Stage {
    pub devices: Vec<DeviceView>,
    pub flows: Vec<FlowView>,
    pub events: Vec<EventRecord>,
    pub alerts: Vec<wardline_control::Alert>,
    pub statements: Vec<RoleStatement>,
    pub policy: Option<PolicyText>,
    pub applied_us: u64,
    pub generation: u32,
    /// What comes back at a time, in seconds since the epoch.
    pub trial: Option<(Option<PolicyText>, u64, u64)>,
    /// Answers the next policy that is applied.
    pub refusal: Option<Refused>,
    /// How long the fast path takes to apply one.
    pub apply_takes: Duration,
    pub status: Option<Status>,
    pub context: Vec<ContextEntry>,
    /// Captures, the first with number 1.
    pub captures: Vec<PlayedCapture>,
    /// Dropped frames of whichever device.
    pub dropped: Vec<CapturedFrame>,
    /// Folder of the model in use; none: the one built in.
    pub model: Option<String>,
}

/// A capture; tests put frames into it.
#[derive(Debug)]
pub struct PlayedCapture {
    pub order: CaptureOrder,
    pub frames: Vec<CapturedFrame>,
    pub state: CaptureState,
}

impl Stage {
    /// Puts a policy in force, as the command line would.
    pub fn put(&mut self, policy: PolicyText) {
        self.policy = Some(policy);
        self.trial = None;
        self.applied_us = now_us();
        self.generation += 1;
    }

    fn roll_back(&mut self) {
        let now_s = now_us() / 1_000_000;
        if let Some((before, applied_us, _)) = self.trial.take_if(|trial| trial.2 <= now_s) {
            self.policy = before;
            self.applied_us = applied_us;
            self.generation += 1;
        }
    }

    fn id(&self) -> String {
        self.policy.as_ref().map_or_else(
            || "observe-all".to_owned(),
            |policy| compiled(policy).expect("applied").id().to_owned(),
        )
    }
}

fn compiled(
    policy: &PolicyText,
) -> Result<wardline_policy::PolicySnapshot, wardline_policy::Diagnostics> {
    let format = match policy.format {
        PolicyFormat::Toml => Format::Toml,
        PolicyFormat::Json => Format::Json,
    };
    let compiled = wardline_policy::compile_text(&policy.text, format, "", now_us() / 1_000_000);
    compiled.map(|(snapshot, _)| snapshot)
}

/// A running one; gone when dropped.
#[derive(Debug)]
pub struct Played {
    stage: Arc<Mutex<Stage>>,
    task: JoinHandle<()>,
}

impl Played {
    pub fn start(socket: &Path) -> Self {
        Self::start_with(socket, Stage::default())
    }

    /// As [`Played::start`], with what it knows from the beginning.
    pub fn start_with(socket: &Path, stage: Stage) -> Self {
        // Left over from the one before.
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket).expect("a socket");
        let stage = Arc::new(Mutex::new(stage));
        let player = Player {
            stage: Arc::clone(&stage),
            started_us: now_us(),
        };
        let task = tokio::spawn(async move {
            // Dropped with the task, and with them the connections.
            let mut clients = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let channel = BaseChannel::with_defaults(server_transport(stream));
                clients.spawn(
                    channel
                        .execute(player.clone().serve())
                        .for_each_concurrent(8, |request| request),
                );
            }
        });
        Self { stage, task }
    }

    pub fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells an event, as the engine would.
    pub fn tell(&self, device: Option<DeviceKey>, kind: EventKind) {
        let mut stage = self.stage();
        let seq = stage.events.len() as u64 + 1;
        stage.events.push(EventRecord {
            seq,
            time_us: now_us(),
            device,
            device_name: String::new(),
            kind,
        });
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A device that was just seen, in observe mode.
pub fn device(number: u32) -> DeviceView {
    let [_, a, b, c] = number.to_be_bytes();
    serde_json::from_value(serde_json::json!({
        "key": { "mac": format!("00:09:fb:{a:02x}:{b:02x}:{c:02x}"), "vlan": { "outer": 10, "inner": 0 } },
        "name": format!("device-{number}"),
        "role": "infusion-pump",
        "mode": Mode::Observe,
        "care": "therapy",
        "addresses": [format!("10.{a}.{b}.{c}")],
        "first_seen_us": now_us(),
        "last_seen_us": now_us(),
        "sent": { "frames": 1, "bytes": 64 },
        "got": { "frames": 0, "bytes": 0 },
        "by_reason": {},
        "would_drop": {},
        "flows": 0,
        "wrong_side": 0,
        "identity": { "role": "infusion-pump", "words": "infusion pump", "probability_percent": 97,
            "vendor": "Example Pumps" },
    }))
    .expect("a device")
}

fn now_us() -> u64 {
    wardline_mgmt::time::Time::now()
        .us()
        .try_into()
        .expect("after 1970")
}

#[derive(Debug, Clone)]
struct Player {
    stage: Arc<Mutex<Stage>>,
    started_us: u64,
}

impl Player {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(kind: RefusedKind, message: &str) -> Refused {
    Refused {
        kind,
        message: message.to_owned(),
        diagnostics: Vec::new(),
    }
}

/// Entries from `cursor` on, and the cursor behind them.
fn page<T: Clone>(all: &[T], cursor: u64, limit: u32) -> (Vec<T>, Option<u64>) {
    let from = usize::try_from(cursor).expect("small").min(all.len());
    let to = all.len().min(from + limit as usize);
    (
        all[from..to].to_vec(),
        (to < all.len()).then_some(to as u64),
    )
}

impl Control for Player {
    async fn hello(self, _: Context, _client: String) -> Hello {
        Hello {
            protocol_version: PROTOCOL_VERSION,
            software_version: "played".to_owned(),
            started_us: self.started_us,
            pid: std::process::id(),
        }
    }

    async fn status(self, _: Context) -> Result<Status, Refused> {
        let mut stage = self.stage();
        stage.roll_back();
        let policy = view::PolicyStatus {
            id: stage.id(),
            name: String::new(),
            applied_us: stage.applied_us,
            generation: stage.generation,
            next_boundary_s: None,
            rollback_at_s: stage.trial.as_ref().map(|trial| trial.2),
            origin: stage
                .policy
                .as_ref()
                .map_or("none", |_| "control")
                .to_owned(),
        };
        if let Some(status) = stage.status.clone() {
            return Ok(Status { policy, ..status });
        }
        Ok(Status {
            software_version: "played".to_owned(),
            pid: std::process::id(),
            started_us: self.started_us,
            uptime_s: 1,
            startup_ms: 1,
            memory: view::MemoryStatus {
                huge_pages: false,
                note: String::new(),
                mib: 1,
            },
            ports: Vec::new(),
            workers: Vec::new(),
            counters: Counters::default(),
            policy,
            devices: stage.devices.len() as u64,
            flows: stage.flows.len() as u64,
            events_dropped: 0,
            classifier: view::ClassifierStatus::default(),
            behaviour: view::BehaviourStatus::default(),
        })
    }

    async fn devices(self, _: Context, cursor: u64, limit: u32) -> Result<DevicesPage, Refused> {
        let (devices, next) = page(&self.stage().devices, cursor, limit);
        Ok(DevicesPage { devices, next })
    }

    async fn flows(
        self,
        _: Context,
        _filter: FlowFilter,
        cursor: u64,
        limit: u32,
    ) -> Result<FlowsPage, Refused> {
        let (flows, next) = page(&self.stage().flows, cursor, limit);
        Ok(FlowsPage { flows, next })
    }

    async fn state_role(self, _: Context, statement: RoleStatement) -> Result<u64, Refused> {
        let mut stage = self.stage();
        stage.statements.push(statement);
        Ok(stage.statements.len() as u64)
    }

    async fn export_lessons(self, _: Context) -> Result<String, Refused> {
        Ok("{}".to_owned())
    }

    async fn alerts(self, _: Context, cursor: u64, limit: u32) -> Result<AlertsPage, Refused> {
        // By number from `cursor` on, as the real one.
        let mut alerts = self.stage().alerts.clone();
        alerts.retain(|alert| alert.id >= cursor);
        alerts.sort_by_key(|alert| alert.id);
        let next = alerts.get(limit as usize).map(|alert| alert.id);
        alerts.truncate(limit as usize);
        Ok(AlertsPage { alerts, next })
    }

    async fn accept_alert(
        self,
        _: Context,
        id: u64,
        _who: String,
        _reason: String,
    ) -> Result<(), Refused> {
        let mut stage = self.stage();
        let before = stage.alerts.len();
        stage.alerts.retain(|alert| alert.id != id);
        if stage.alerts.len() == before {
            return Err(refused(RefusedKind::Argument, "there is no such alert"));
        }
        Ok(())
    }

    async fn policy_show(self, _: Context) -> Result<PolicyInForce, Refused> {
        let mut stage = self.stage();
        stage.roll_back();
        let policy = stage.policy.clone();
        let policy = policy.unwrap_or_else(|| PolicyText {
            name: String::new(),
            format: PolicyFormat::Toml,
            text: String::new(),
        });
        Ok(PolicyInForce {
            id: stage.id(),
            policy,
            applied_us: stage.applied_us,
        })
    }

    async fn policy_check(
        self,
        _: Context,
        _policy: PolicyText,
    ) -> Result<Vec<Diagnostic>, Refused> {
        Ok(Vec::new())
    }

    async fn policy_apply(
        self,
        _: Context,
        policy: PolicyText,
        options: ApplyOptions,
    ) -> Result<Applied, Refused> {
        let takes = self.stage().apply_takes;
        tokio::time::sleep(takes).await;
        let mut stage = self.stage();
        stage.roll_back();
        if let Some(refusal) = stage.refusal.take() {
            return Err(refusal);
        }
        let previous_id = stage.id();
        if options.expected_id.is_some_and(|id| id != previous_id) {
            return Err(refused(RefusedKind::Conflict, "another policy is in force"));
        }
        compiled(&policy).map_err(|e| refused(RefusedKind::Policy, &e.to_string()))?;
        let before = (stage.policy.clone(), stage.applied_us);
        let before = stage
            .trial
            .take()
            .map_or(before, |earlier| (earlier.0, earlier.1));
        stage.put(policy);
        let rollback_at_s = options
            .confirm_within_s
            .map(|s| now_us() / 1_000_000 + u64::from(s));
        stage.trial = rollback_at_s.map(|at| (before.0, before.1, at));
        Ok(Applied {
            id: stage.id(),
            previous_id,
            warnings: Vec::new(),
            rollback_at_s,
        })
    }

    async fn policy_confirm(self, _: Context, id: String) -> Result<Applied, Refused> {
        let mut stage = self.stage();
        stage.roll_back();
        if id != stage.id() || stage.trial.take().is_none() {
            return Err(refused(RefusedKind::Conflict, "nothing to confirm"));
        }
        Ok(Applied {
            id,
            previous_id: String::new(),
            warnings: Vec::new(),
            rollback_at_s: None,
        })
    }

    async fn model_status(self, _: Context) -> Result<ModelStatus, Refused> {
        let stage = self.stage();
        Ok(ModelStatus {
            name: "wardline".to_owned(),
            number: if stage.model.is_some() { 4 } else { 3 },
            key_id: "0123456789abcdef".to_owned(),
            origin: match stage.model {
                Some(_) => ModelOrigin::Folder,
                None => ModelOrigin::BuiltIn,
            },
            activated_us: self.started_us,
        })
    }

    async fn model_activate(
        self,
        context: Context,
        folder: Option<String>,
    ) -> Result<ModelStatus, Refused> {
        if folder
            .as_deref()
            .is_some_and(|folder| folder.ends_with("older"))
        {
            return Err(refused(
                RefusedKind::Argument,
                "the model is older than the one in use",
            ));
        }
        self.stage().model = folder;
        self.model_status(context).await
    }

    async fn capture_start(self, _: Context, order: CaptureOrder) -> Result<u64, Refused> {
        let mut stage = self.stage();
        stage.captures.push(PlayedCapture {
            order,
            frames: Vec::new(),
            state: CaptureState::Running,
        });
        Ok(stage.captures.len() as u64)
    }

    async fn capture_read(
        self,
        _: Context,
        id: u64,
        from: u64,
        limit: u32,
    ) -> Result<CapturePage, Refused> {
        let stage = self.stage();
        let capture = &stage.captures[usize::try_from(id).expect("small") - 1];
        let limit = limit.min(capture.order.packets_max);
        let (frames, _) = page(&capture.frames, from, limit);
        Ok(CapturePage {
            next: from + frames.len() as u64,
            frames,
            state: capture.state,
            lost: 0,
        })
    }

    async fn capture_stop(self, _: Context, id: u64) -> Result<(), Refused> {
        let mut stage = self.stage();
        stage.captures[usize::try_from(id).expect("small") - 1].state = CaptureState::Stopped;
        Ok(())
    }

    async fn last_dropped(
        self,
        _: Context,
        _device: DeviceKey,
        limit: u32,
    ) -> Result<Vec<CapturedFrame>, Refused> {
        let (frames, _) = page(&self.stage().dropped, 0, limit);
        Ok(frames)
    }

    async fn context_set(self, _: Context, entries: Vec<ContextEntry>) -> Result<u32, Refused> {
        let mut stage = self.stage();
        stage.context = entries;
        Ok(u32::try_from(stage.context.len()).expect("few"))
    }

    async fn context(self, _: Context, cursor: u64, limit: u32) -> Result<ContextPage, Refused> {
        let (entries, next) = page(&self.stage().context, cursor, limit);
        Ok(ContextPage { entries, next })
    }

    async fn events(
        self,
        _: Context,
        from_seq: u64,
        limit: u32,
        wait_ms: u32,
    ) -> Result<EventBatch, Refused> {
        let end = tokio::time::Instant::now() + Duration::from_millis(wait_ms.into());
        loop {
            let events: Vec<_> = {
                let stage = self.stage();
                let from = stage.events.iter().filter(|event| event.seq >= from_seq);
                from.take(limit as usize).cloned().collect()
            };
            if !events.is_empty() || tokio::time::Instant::now() >= end {
                let next_seq = events.last().map_or(from_seq.max(1), |event| event.seq + 1);
                return Ok(EventBatch {
                    events,
                    next_seq,
                    lost: 0,
                });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self, _: Context, _detach: bool) -> Result<(), Refused> {
        Ok(())
    }
}
