//! A control socket with known answers behind it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use tarpc::context::Context;
use tarpc::server::{BaseChannel, Channel};
use tokio::net::UnixListener;
use wardline_control::view::{
    BehaviourStatus, ByReason, ClassifierStatus, MemoryStatus, PolicyStatus, PortStats, Traffic,
};
use wardline_control::{
    Alert, AlertState, AlertsPage, Applied, ApplyOptions, CaptureOrder, CapturePage, CaptureState,
    CapturedFrame, ContextEntry, ContextPage, Control, Counters, DeviceView, DevicesPage,
    Diagnostic, EventBatch, EventKind, EventRecord, FlowFilter, FlowView, FlowsPage, Hello,
    LinkState, ModelOrigin, ModelStatus, PROTOCOL_VERSION, PolicyFormat, PolicyInForce, PolicyText,
    PortStatus, Refused, RefusedKind, RoleStatement, Severity, SideCounters, Status,
    server_transport,
};
use wardline_policy::{Care, DeviceKey, Initiator, MacAddr, Mode, Reason, Side, VlanKey};

/// Holds the socket open until it is dropped.
pub struct FakeFastpath {
    folder: tempfile::TempDir,
    pub applied: Arc<Mutex<Vec<(PolicyText, ApplyOptions)>>>,
    /// What `stop` was asked for.
    pub stopped: Arc<Mutex<Vec<bool>>>,
    /// What people said of devices, and of alerts.
    pub stated: Arc<Mutex<Vec<RoleStatement>>>,
    pub accepted: Arc<Mutex<Vec<(u64, String, String)>>>,
    _runtime: tokio::runtime::Runtime,
}

impl FakeFastpath {
    pub fn start() -> Self {
        let folder = crate::folder();
        let applied = Arc::default();
        let stopped = Arc::default();
        let stated = Arc::default();
        let accepted = Arc::default();
        let service = Service {
            applied: Arc::clone(&applied),
            stopped: Arc::clone(&stopped),
            stated: Arc::clone(&stated),
            accepted: Arc::clone(&accepted),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(socket(folder.path())).expect("a free path")
        };
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let requests = BaseChannel::with_defaults(server_transport(stream))
                    .execute(service.clone().serve());
                tokio::spawn(requests.for_each(|request| async {
                    tokio::spawn(request);
                }));
            }
        });
        Self {
            folder,
            applied,
            stopped,
            stated,
            accepted,
            _runtime: runtime,
        }
    }

    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

pub const POLICY: &str = "version = 1\nname = \"in force\"\n";

pub fn key(last: u8) -> DeviceKey {
    DeviceKey {
        mac: MacAddr([0, 9, 0xfb, 0, 0, last]),
        vlan: VlanKey {
            outer: 10,
            inner: 0,
        },
    }
}

#[derive(Clone)]
struct Service {
    applied: Arc<Mutex<Vec<(PolicyText, ApplyOptions)>>>,
    stopped: Arc<Mutex<Vec<bool>>>,
    stated: Arc<Mutex<Vec<RoleStatement>>>,
    accepted: Arc<Mutex<Vec<(u64, String, String)>>>,
}

fn model(origin: ModelOrigin, number: u64) -> ModelStatus {
    ModelStatus {
        name: "wardline".to_owned(),
        number,
        key_id: "0123456789abcdef".to_owned(),
        origin,
        activated_us: 1_500_000_000_000_000,
    }
}

fn by_reason(reason: Reason, frames: u64) -> ByReason {
    [(reason, frames)].into()
}

fn device(last: u8, name: &str, mode: Mode) -> DeviceView {
    DeviceView {
        key: key(last),
        name: name.to_owned(),
        role: Some("infusion-pump".to_owned()),
        mode,
        care: Care::Therapy,
        addresses: vec!["10.1.2.3".parse().expect("an address")],
        first_seen_us: 1,
        last_seen_us: 2,
        vendor: Some("Philips Patient Monitoring".to_owned()),
        dhcp: None,
        sent: Traffic::default(),
        got: Traffic::default(),
        by_reason: [(Reason::Allowed, 70), (Reason::NoRule, 5)].into(),
        would_drop: ByReason::new(),
        flows: 2,
        wrong_side: 0,
        identity: None,
    }
}

impl Control for Service {
    async fn hello(self, _: Context, _: String) -> Hello {
        Hello {
            protocol_version: PROTOCOL_VERSION,
            software_version: "0.0.0-test".to_owned(),
            started_us: 0,
            pid: 7,
        }
    }

    async fn status(self, _: Context) -> Result<Status, Refused> {
        let side = SideCounters {
            received: 75,
            received_bytes: 7_500,
            forwarded: 70,
            dropped: 5,
            by_reason: [(Reason::Allowed, 70), (Reason::NoRule, 5)].into(),
        };
        Ok(Status {
            software_version: "0.0.0-test".to_owned(),
            pid: 7,
            started_us: 0,
            uptime_s: 7_800,
            startup_ms: 300,
            memory: MemoryStatus {
                huge_pages: false,
                note: "no huge pages: none are reserved".to_owned(),
                mib: 128,
            },
            ports: vec![PortStatus {
                side: Side::Ward,
                driver: "af_xdp".to_owned(),
                device: "ward0".to_owned(),
                mtu: 1_500,
                queues: 1,
                link: LinkState::Up,
                stats: PortStats::default(),
            }],
            workers: Vec::new(),
            counters: Counters {
                ward: side,
                would_drop: by_reason(Reason::SpoofedArp, 3),
                ..Counters::default()
            },
            policy: PolicyStatus {
                id: "abc123".to_owned(),
                name: "ward.toml".to_owned(),
                applied_us: 1_500_000_000_000_000,
                generation: 1,
                next_boundary_s: None,
                rollback_at_s: Some(1_500_000_600),
                origin: "control".to_owned(),
            },
            devices: 2,
            flows: 4,
            events_dropped: 0,
            classifier: ClassifierStatus::default(),
            behaviour: BehaviourStatus::default(),
        })
    }

    /// One device a page, so that paging shows.
    async fn devices(self, _: Context, cursor: u64, _: u32) -> Result<DevicesPage, Refused> {
        let (device, next) = match cursor {
            0 => (device(1, "pump-1", Mode::Enforce), Some(1)),
            _ => (device(2, "", Mode::Observe), None),
        };
        Ok(DevicesPage {
            devices: vec![device],
            next,
        })
    }

    async fn flows(
        self,
        _: Context,
        filter: FlowFilter,
        cursor: u64,
        _: u32,
    ) -> Result<FlowsPage, Refused> {
        let flow = FlowView {
            device: key(1),
            device_name: "pump-1".to_owned(),
            initiator: Initiator::Device,
            source: "10.1.2.3".parse().expect("an address"),
            destination: "10.1.0.9".parse().expect("an address"),
            protocol: 6,
            source_port: 40_000,
            destination_port: 2575,
            state: "established".to_owned(),
            reason: Reason::Allowed,
            would_drop: None,
            rule: "role infusion-pump / hl7".to_owned(),
            forth: Traffic {
                frames: 5,
                bytes: 1_500,
            },
            back: Traffic {
                frames: 4,
                bytes: 900,
            },
            first_seen_us: 1,
            last_seen_us: 2,
        };
        let wanted = filter.port.is_none_or(|port| port == flow.destination_port);
        // The first page is empty and yet not the last.
        Ok(FlowsPage {
            flows: if cursor == 1 && wanted {
                vec![flow]
            } else {
                Vec::new()
            },
            next: (cursor == 0).then_some(1),
        })
    }

    async fn state_role(self, _: Context, told: RoleStatement) -> Result<u64, Refused> {
        let mut stated = self.stated.lock().expect("no panic before");
        stated.push(told);
        Ok(stated.len() as u64)
    }

    async fn export_lessons(self, _: Context) -> Result<String, Refused> {
        Ok("{\"format\":1}\n".to_owned())
    }

    /// An open alert and, on a page of its own, one that ended.
    async fn alerts(self, _: Context, cursor: u64, _: u32) -> Result<AlertsPage, Refused> {
        let alert = |id, state| Alert {
            id,
            device: key(1),
            state,
            kind: "new-peer".to_owned(),
            score_percent: 60,
            reasons: vec!["Talks to 10.9.9.9, which it never did.".to_owned()],
            began_us: 1,
            last_us: 2,
            observations: 3,
            part_of: None,
        };
        let (alert, next) = match cursor {
            0 => (alert(1, AlertState::Open), Some(2)),
            _ => (alert(2, AlertState::Ended), None),
        };
        Ok(AlertsPage {
            alerts: vec![alert],
            next,
        })
    }

    async fn accept_alert(
        self,
        _: Context,
        id: u64,
        who: String,
        reason: String,
    ) -> Result<(), Refused> {
        let mut accepted = self.accepted.lock().expect("no panic before");
        accepted.push((id, who, reason));
        Ok(())
    }

    async fn model_status(self, _: Context) -> Result<ModelStatus, Refused> {
        Ok(model(ModelOrigin::BuiltIn, 3))
    }

    async fn model_activate(
        self,
        _: Context,
        folder: Option<String>,
    ) -> Result<ModelStatus, Refused> {
        match folder {
            Some(folder) if folder.ends_with("/good") => Ok(model(ModelOrigin::Folder, 4)),
            Some(folder) => Err(Refused::new(
                RefusedKind::Argument,
                format!("{folder} holds no model"),
            )),
            None => Ok(model(ModelOrigin::BuiltIn, 3)),
        }
    }

    async fn capture_start(self, _: Context, _: CaptureOrder) -> Result<u64, Refused> {
        Ok(1)
    }

    async fn capture_read(
        self,
        _: Context,
        _: u64,
        _: u64,
        _: u32,
    ) -> Result<CapturePage, Refused> {
        Ok(CapturePage {
            frames: Vec::new(),
            next: 0,
            state: CaptureState::Running,
            lost: 0,
        })
    }

    async fn capture_stop(self, _: Context, _: u64) -> Result<(), Refused> {
        Ok(())
    }

    async fn last_dropped(
        self,
        _: Context,
        _: DeviceKey,
        _: u32,
    ) -> Result<Vec<CapturedFrame>, Refused> {
        Ok(Vec::new())
    }

    async fn context_set(self, _: Context, entries: Vec<ContextEntry>) -> Result<u32, Refused> {
        Ok(u32::try_from(entries.len()).expect("few"))
    }

    async fn context(self, _: Context, _: u64, _: u32) -> Result<ContextPage, Refused> {
        Ok(ContextPage {
            entries: Vec::new(),
            next: None,
        })
    }

    async fn policy_show(self, _: Context) -> Result<PolicyInForce, Refused> {
        Ok(PolicyInForce {
            id: "abc123".to_owned(),
            policy: PolicyText {
                name: "ward.toml".to_owned(),
                format: PolicyFormat::Toml,
                text: POLICY.to_owned(),
            },
            applied_us: 0,
        })
    }

    async fn policy_check(self, _: Context, _: PolicyText) -> Result<Vec<Diagnostic>, Refused> {
        Ok(Vec::new())
    }

    async fn policy_apply(
        self,
        _: Context,
        policy: PolicyText,
        options: ApplyOptions,
    ) -> Result<Applied, Refused> {
        if options
            .expected_id
            .as_deref()
            .is_some_and(|id| id != "abc123")
        {
            return Err(Refused::new(
                RefusedKind::Conflict,
                "policy abc123 is in force",
            ));
        }
        if policy.text.contains("mistake") {
            return Err(Refused {
                kind: RefusedKind::Policy,
                message: "the policy has 1 error; the one in force stays".to_owned(),
                diagnostics: vec![Diagnostic {
                    severity: Severity::Error,
                    line: 1,
                    column: 1,
                    path: String::new(),
                    message: "unknown key `mistake`".to_owned(),
                    fix: None,
                }],
            });
        }
        let rollback_at_s = options.confirm_within_s.map(|_| 1_500_000_060);
        self.applied
            .lock()
            .expect("no panic")
            .push((policy, options));
        Ok(Applied {
            id: "def456".to_owned(),
            previous_id: "abc123".to_owned(),
            warnings: Vec::new(),
            rollback_at_s,
        })
    }

    async fn policy_confirm(self, _: Context, id: String) -> Result<Applied, Refused> {
        Ok(Applied {
            id: id.clone(),
            previous_id: id,
            warnings: Vec::new(),
            rollback_at_s: None,
        })
    }

    async fn events(self, _: Context, from: u64, _: u32, _: u32) -> Result<EventBatch, Refused> {
        let flow = wardline_control::view::FlowFacts {
            from: Side::Ward,
            source: "10.1.2.3".parse().ok(),
            destination: "10.1.0.50".parse().ok(),
            protocol: 6,
            ethertype: 0x0800,
            source_port: 40_001,
            destination_port: 445,
            reason: Reason::NoRule,
            rule: String::new(),
            first_seen_us: None,
        };
        let kinds = [
            EventKind::DeviceSeen,
            EventKind::Denied {
                flow,
                dropped: true,
                repeated: 2,
            },
        ];
        let events = kinds.into_iter().zip(1..).map(|(kind, seq)| EventRecord {
            seq,
            time_us: 1_500_000_000_000_000 + seq,
            device: Some(key(1)),
            device_name: "pump-1".to_owned(),
            kind,
        });
        Ok(EventBatch {
            events: events.filter(|e| e.seq >= from).collect(),
            next_seq: 3,
            lost: 0,
        })
    }

    async fn stop(self, _: Context, detach: bool) -> Result<(), Refused> {
        self.stopped.lock().expect("no panic").push(detach);
        Ok(())
    }
}
