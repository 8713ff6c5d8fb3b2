//! A tiny ward: one policy, one engine, a clock that tests turn.

use std::sync::Arc;

use wardline_engine::{Action, BURST, Engine, Event, EventKind, Limits, Verdict};
use wardline_policy::{Format, PolicySnapshot, Reason, Side, compile, parse};

use crate::frames::{ACK, SYN, Station, syn, tcp};

/// 2026-11-23, an instant inside the visits and releases the tests write.
pub const NOW_S: u64 = 1_795_000_000;
const NS_PER_S: u64 = 1_000_000_000;

/// Two pumps in `enforce`; whoever is not listed has the baseline only.
pub const POLICY: &str = r#"
version = 1
name = "ward"

[defaults]
mode = "enforce"
unlisted_mode = "enforce"

[groups.servers]
addresses = ["10.0.1.0/24", "fd00::1:0/112"]

[[roles.pump.rules]]
name = "no-telnet"
action = "deny"
refusal = "reset"
peer = { group = "servers" }
protocol = "tcp"
ports = 23
[[roles.pump.rules]]
name = "no-snmp"
action = "deny"
refusal = "unreachable"
peer = { group = "servers" }
protocol = "udp"
ports = 161
[[roles.pump.rules]]
name = "store"
peer = { group = "servers" }
protocol = "tcp"
ports = [104, "11112-11113"]
care = "therapy"
[[roles.pump.rules]]
name = "commit"
direction = "to-device"
peer = { group = "servers" }
protocol = "tcp"
ports = 11112
[[roles.pump.rules]]
name = "both-out"
peer = { group = "servers" }
protocol = "tcp"
ports = 7001
[[roles.pump.rules]]
name = "both-in"
direction = "to-device"
peer = { group = "servers" }
protocol = "tcp"
ports = 7000
[[roles.pump.rules]]
name = "log"
peer = { group = "servers" }
protocol = "udp"
ports = 514
[[roles.pump.rules]]
name = "status"
direction = "to-device"
peer = { group = "servers" }
protocol = "udp"
ports = 5000
rescue = true
[[roles.pump.rules]]
name = "names"
peer = { group = "servers" }
protocol = "udp"
ports = 53
[[roles.pump.rules]]
name = "library"
peer = { dns = "library.example" }
protocol = "tcp"
ports = 443
[[roles.pump.rules]]
name = "ping-out"
peer = { group = "servers" }
protocol = "icmp"
icmp = "echo-request"
[[roles.pump.rules]]
name = "ping-in"
direction = "to-device"
peer = { group = "servers" }
protocol = "icmp"
icmp = "echo-request"
[[roles.pump.rules]]
name = "signalling"
peer = { group = "servers" }
protocol = "sctp"
ports = 2905
[[roles.pump.rules]]
name = "probe"
peer = { multicast = "239.255.255.250" }
protocol = "udp"
ports = 3702
answer = { from = { group = "servers" }, seconds = 5 }
[[roles.pump.rules]]
name = "probed"
direction = "to-device"
peer = { multicast = "239.255.255.250" }
senders = { group = "servers" }
protocol = "udp"
ports = 3702
answer = { seconds = 5 }
[[roles.pump.rules]]
name = "mdns"
peer = { multicast = "224.0.0.251" }
protocol = "udp"
ports = 5353
answer = { seconds = 3 }
[[roles.pump.rules]]
name = "who-is"
peer = "broadcast"
protocol = "udp"
ports = 47808
answer = { from = { group = "servers" }, seconds = 5 }
[[roles.pump.rules]]
name = "who-is-asked"
direction = "to-device"
peer = "broadcast"
senders = { group = "servers" }
protocol = "udp"
ports = 47808
answer = { seconds = 5 }

[[devices]]
name = "pump-1"
mac = "02:00:00:00:00:11"
role = "pump"
ward = "icu"
[[devices]]
name = "pump-2"
mac = "02:00:00:00:00:12"
role = "pump"
"#;

pub fn snapshot(policy: &str) -> Arc<PolicySnapshot> {
    let (document, _) = parse(policy, Format::Toml, "test.toml").unwrap_or_else(|e| panic!("{e}"));
    Arc::new(compile(&document, NOW_S).unwrap_or_else(|e| panic!("{e}")))
}

/// The policy with `pump-1` in another mode.
pub fn pump_in(mode: &str) -> String {
    POLICY.replace(
        "name = \"pump-1\"",
        &format!("name = \"pump-1\"\nmode = \"{mode}\""),
    )
}

/// Limits without a grace period for conversations older than the engine.
pub fn no_grace() -> Limits {
    Limits {
        devices: 64,
        flows: 4_096,
        bindings: 256,
        dns_answers: 64,
        answer_windows: 64,
        events: 4_096,
        midstream_grace_s: 0,
        ..Limits::default()
    }
}

pub struct Ward {
    pub engine: Engine,
    pub now_ns: u64,
    sent: [u64; 2],
    forwarded: [u64; 2],
}

impl Ward {
    /// The usual policy, past the grace period.
    pub fn new() -> Self {
        Self::with(POLICY, no_grace())
    }

    pub fn under(policy: &str) -> Self {
        Self::with(policy, no_grace())
    }

    pub fn with(policy: &str, limits: Limits) -> Self {
        let start_ns = NOW_S * NS_PER_S;
        Self {
            engine: Engine::new(limits, 7, snapshot(policy), start_ns),
            now_ns: start_ns + NS_PER_S,
            sent: [0; 2],
            forwarded: [0; 2],
        }
    }

    /// A frame from the devices' side; its verdict has this reason.
    #[track_caller]
    pub fn ward(&mut self, frame: &[u8], expect: Reason) -> Verdict {
        self.check(Side::Ward, frame, expect)
    }

    /// A frame from the hospital's side; its verdict has this reason.
    #[track_caller]
    pub fn core(&mut self, frame: &[u8], expect: Reason) -> Verdict {
        self.check(Side::Core, frame, expect)
    }

    #[track_caller]
    fn check(&mut self, from: Side, frame: &[u8], expect: Reason) -> Verdict {
        let verdict = self.burst(from, &[frame.to_vec()])[0];
        assert_eq!(
            verdict.reason, expect,
            "{verdict:?} for {from:?} {frame:02x?}"
        );
        verdict
    }

    /// Frames of one side at once.
    #[track_caller]
    pub fn burst(&mut self, from: Side, frames: &[Vec<u8>]) -> Vec<Verdict> {
        assert!(frames.len() <= BURST);
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let mut verdicts = vec![Verdict::default(); frames.len()];
        self.engine
            .process(from, self.now_ns, &frames, &mut verdicts);
        for verdict in &verdicts {
            let action = if verdict.reason.forwards() {
                Action::Forward(from.other())
            } else {
                Action::Drop
            };
            assert_eq!(verdict.action, action, "{verdict:?}");
            self.sent[from as usize] += 1;
            self.forwarded[from as usize] += u64::from(verdict.reason.forwards());
        }
        verdicts
    }

    pub fn wait_s(&mut self, seconds: u64) {
        self.now_ns += seconds * NS_PER_S;
    }

    pub fn wait_ms(&mut self, milliseconds: u64) {
        self.now_ns += milliseconds * 1_000_000;
    }

    /// Time for all the upkeep there is.
    pub fn idle(&mut self) {
        for _ in 0..64 {
            self.engine.idle(self.now_ns, 16_384);
        }
    }

    pub fn swap(&mut self, policy: &str) {
        self.engine.set_snapshot(snapshot(policy));
    }

    pub fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.engine.drain_events(|e| events.push(e));
        events
    }

    /// Denials told about: reason, dropped, repeated.
    pub fn denials(&mut self) -> Vec<(Reason, bool, u32)> {
        let denied = |event: Event| match event.kind {
            EventKind::Denied {
                flow,
                dropped,
                repeated,
            } => Some((flow.reason, dropped, repeated)),
            _ => None,
        };
        self.events().into_iter().filter_map(denied).collect()
    }

    /// The three segments that begin a connection; the next ones are 1001 and 5001.
    #[track_caller]
    pub fn open_from_ward(&mut self, client: &Station, server: &Station, ports: (u16, u16)) {
        let back = (ports.1, ports.0);
        let [first, second, third] = [
            syn(client, server, ports),
            tcp(server, client, back, SYN | ACK, (5000, 1001), &[]),
            tcp(client, server, ports, ACK, (1001, 5001), &[]),
        ];
        for (side, frame) in [
            (Side::Ward, first),
            (Side::Core, second),
            (Side::Ward, third),
        ] {
            let verdict = self.burst(side, &[frame])[0];
            assert!(verdict.reason.forwards(), "{verdict:?}");
        }
    }

    /// Whether the conversation with this source port is known, and in which state.
    pub fn state(&self, source_port: u16) -> Option<&'static str> {
        let mut flows = self.engine.flows();
        flows
            .find(|f| f.source_port == source_port)
            .map(|f| f.state)
    }

    /// Counters add up, whatever happened.
    #[track_caller]
    pub fn check_counters(&self) {
        let counters = self.engine.counters();
        for side in [Side::Ward, Side::Core] {
            let at = side as usize;
            assert_eq!(counters.received[at], self.sent[at]);
            assert_eq!(counters.by_reason[at].iter().sum::<u64>(), self.sent[at]);
            assert_eq!(counters.forwarded(side), self.forwarded[at]);
            assert_eq!(
                counters.forwarded(side) + counters.dropped(side),
                self.sent[at]
            );
        }
        let flows = self.engine.flows().count() as u64;
        assert_eq!(counters.flows, flows);
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check_counters();
        }
    }
}
