//! Policies on the wire: what they allow passes, what they do not is stopped, and changes reach
//! conversations that are under way.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wardline_control::{ApplyOptions, ClientError, EventKind, FlowFilter, RefusedKind};
use wardline_policy::Reason;
use wardline_policy::scalar::Time;

use crate::gateway::{Gateway, GatewayOptions};
use crate::lab::{DEVICE_MAC, Wire, WireOptions, skip};
use crate::traffic::{Conversation, Datagrams, TcpEcho, pings};

const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough for a packet that is going to pass.
const MOMENT: Duration = Duration::from_millis(400);

/// TCP 7000, UDP 7001 and ping are allowed, nothing else.
pub const ENFORCED: &str = r#"
version = 1
name = "enforced"

[defaults]
mode = "enforce"
unlisted_mode = "enforce"

[[devices]]
name = "pump"
mac = "00:09:fb:00:00:01"
addresses = "10.77.0.1"

[[devices.rules]]
name = "echo"
peer = { address = "10.77.0.2" }
protocol = "tcp"
ports = 7000

[[devices.rules]]
name = "numbers"
peer = { address = "10.77.0.2" }
protocol = "udp"
ports = 7001

[[devices.rules]]
name = "ping"
peer = { address = "10.77.0.2" }
protocol = "icmp"
"#;

/// The same without the rule for TCP 7000.
fn without_echo() -> String {
    ENFORCED.replace("ports = 7000", "ports = 7009")
}

/// The same under another number.
fn variant(number: u32) -> String {
    format!(
        "{ENFORCED}\n[[devices.rules]]\nname = \"other\"\npeer = {{ address = \"10.77.0.3\" }}\n\
         protocol = \"udp\"\nports = {}\n",
        8_000 + number % 1_000
    )
}

fn wire(test: &str) -> Option<Wire> {
    Wire::new(test, WireOptions::default())
}

fn enforced(wire: &Wire) -> Gateway {
    Gateway::start(
        wire,
        &GatewayOptions {
            policy: Some(ENFORCED),
            ..GatewayOptions::default()
        },
    )
}

#[test]
fn what_is_allowed_passes_and_nothing_else() {
    let Some(wire) = wire("what_is_allowed_passes_and_nothing_else") else {
        return;
    };
    let gateway = enforced(&wire);
    let _echoes = [7000, 7002].map(|port| TcpEcho::serve(&wire.hospital, port));
    let allowed = Datagrams::start(&wire.device, &wire.hospital, 7001, Duration::from_millis(5));
    let denied = Datagrams::start(&wire.device, &wire.hospital, 7003, Duration::from_millis(5));
    assert!(pings(&wire.device, 3));
    let mut conversation = Conversation::begin(&wire.device, 7000, PATIENCE).expect("allowed");
    assert!(conversation.speaks(PATIENCE));
    assert!(Conversation::begin(&wire.device, 7002, MOMENT).is_none());
    let (allowed, denied) = (allowed.finish(), denied.finish());
    assert_eq!(allowed.lost(), 0, "of {} allowed datagrams", allowed.sent);
    assert_eq!(denied.arrived.len(), 0, "of {} forbidden ones", denied.sent);

    let status = gateway.status();
    let ward = &status.counters.ward;
    assert_eq!(ward.received, ward.by_reason.values().sum::<u64>());
    assert_eq!(ward.received, ward.forwarded + ward.dropped);
    assert!(ward.by_reason[&Reason::NoRule] >= denied.sent);
    let devices = gateway
        .ask(|c| async move { c.devices(0, 10).await })
        .expect("devices");
    let names: Vec<_> = devices.devices.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["pump"]);
    let filter = FlowFilter {
        mac: Some(DEVICE_MAC.parse().expect("an address")),
        port: Some(7000),
        ..FlowFilter::default()
    };
    let flows = gateway
        .ask(|c| async move { c.flows(filter, 0, 10).await })
        .expect("flows")
        .flows;
    assert_eq!(flows.len(), 1);
    assert_eq!(flows[0].device_name, "pump");
    assert!(flows[0].rule.contains("echo"), "{}", flows[0].rule);
    assert_eq!(flows_one_by_one(&gateway), [Some(7000), Some(7001), None]);
    assert!(told(&gateway, |kind| matches!(
        kind,
        EventKind::Denied { flow, dropped: true, .. } if flow.destination_port == 7003
    )));
}

/// The ports of all conversations, in pages of one; `None` for ping.
fn flows_one_by_one(gateway: &Gateway) -> Vec<Option<u16>> {
    let mut ports = Vec::new();
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        let page = gateway
            .ask(|c| async move { c.flows(FlowFilter::default(), at, 1).await })
            .expect("flows");
        assert!(page.flows.len() <= 1);
        ports.extend(
            page.flows
                .iter()
                .map(|f| (f.protocol != 1).then_some(f.destination_port)),
        );
        cursor = page.next;
    }
    ports.sort_by_key(|port| (port.is_none(), *port));
    ports
}

/// Whether such an event was told, or is within a moment.
fn told(gateway: &Gateway, wanted: impl Fn(&EventKind) -> bool) -> bool {
    let mut from = 0;
    loop {
        let batch = gateway
            .ask(|c| async move { c.events(from, 1_000, 500).await })
            .expect("events");
        if batch.events.iter().any(|e| wanted(&e.kind)) {
            return true;
        }
        if batch.events.is_empty() {
            return false;
        }
        from = batch.next_seq;
    }
}

#[test]
fn a_thousand_changes_during_a_transfer_lose_and_leak_nothing() {
    const CHANGES: u32 = 1_000;
    let Some(wire) = wire("a_thousand_changes_during_a_transfer_lose_and_leak_nothing") else {
        return;
    };
    let gateway = enforced(&wire);
    let _echo = TcpEcho::serve(&wire.hospital, 7000);
    let allowed = Datagrams::start(&wire.device, &wire.hospital, 7001, Duration::from_millis(1));
    let denied = Datagrams::start(&wire.device, &wire.hospital, 7003, Duration::from_millis(1));
    let mut conversation = Conversation::begin(&wire.device, 7000, PATIENCE).expect("allowed");
    let transfer = std::thread::spawn(move || {
        conversation.transfer(64 * 1024 * 1024, PATIENCE);
        conversation
    });
    for number in 0..CHANGES {
        gateway.apply(&variant(number)).expect("applied");
    }
    let mut conversation = transfer.join().expect("the transfer ends");
    assert!(conversation.speaks(PATIENCE));
    let (allowed, denied) = (allowed.finish(), denied.finish());
    println!(
        "{CHANGES} changes; {} allowed datagrams, {} lost; {} forbidden, {} passed",
        allowed.sent,
        allowed.lost(),
        denied.sent,
        denied.arrived.len()
    );
    assert_eq!(allowed.lost(), 0);
    assert_eq!(denied.arrived.len(), 0);
    assert_eq!(gateway.status().policy.generation, CHANGES + 1);
}

#[test]
fn two_workers_are_one_gateway() {
    let options = WireOptions {
        queues: 2,
        ..WireOptions::default()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return skip(
            "two_workers_are_one_gateway",
            "two workers need two CPU cores",
        );
    }
    let Some(wire) = Wire::new("two_workers_are_one_gateway", options) else {
        return;
    };
    let gateway = Gateway::start(
        &wire,
        &GatewayOptions {
            policy: Some(ENFORCED),
            workers: Some(2),
            ..GatewayOptions::default()
        },
    );
    let _echoes = [7000, 7002].map(|port| TcpEcho::serve(&wire.hospital, port));
    let allowed = Datagrams::start(&wire.device, &wire.hospital, 7001, Duration::from_millis(1));
    let denied = Datagrams::start(&wire.device, &wire.hospital, 7003, Duration::from_millis(1));
    let mut conversation = Conversation::begin(&wire.device, 7000, PATIENCE).expect("allowed");
    conversation.transfer(8 * 1024 * 1024, PATIENCE);
    assert!(Conversation::begin(&wire.device, 7002, MOMENT).is_none());
    gateway.apply(&without_echo()).expect("applied");
    assert!(!conversation.speaks(MOMENT));
    let (allowed, denied) = (allowed.finish(), denied.finish());
    let status = gateway.status();
    println!("{:#?} {:#?}", status.workers, status.counters);
    assert_eq!(denied.arrived.len(), 0);
    assert_eq!(allowed.lost(), 0, "of {} allowed datagrams", allowed.sent);
    assert_eq!(status.workers.len(), 2);
    assert_eq!(status.devices, 1);
    let handed_over: u64 = status.workers.iter().map(|w| w.handed_over).sum();
    assert!(handed_over > 0, "one of them got frames of the other");
    assert_eq!(
        status
            .workers
            .iter()
            .map(|w| w.hand_over_drops)
            .sum::<u64>(),
        0
    );
    let ward = status.counters.ward;
    assert_eq!(ward.received, ward.by_reason.values().sum::<u64>());
}

#[test]
fn a_revoked_conversation_ends_at_its_next_packet() {
    let Some(wire) = wire("a_revoked_conversation_ends_at_its_next_packet") else {
        return;
    };
    let gateway = enforced(&wire);
    let _echo = TcpEcho::serve(&wire.hospital, 7000);
    let mut conversation = Conversation::begin(&wire.device, 7000, PATIENCE).expect("allowed");
    assert!(conversation.speaks(PATIENCE));
    gateway.apply(&without_echo()).expect("applied");
    assert!(!conversation.speaks(MOMENT));
    assert!(pings(&wire.device, 2), "the rest of the policy stays open");
    let reasons = gateway.status().counters.ward.by_reason;
    assert!(reasons.contains_key(&Reason::Revoked), "{reasons:?}");
}

#[test]
fn a_release_ends_by_itself() {
    let Some(wire) = wire("a_release_ends_by_itself") else {
        return;
    };
    let gateway = enforced(&wire);
    let _echo = TcpEcho::serve(&wire.hospital, 7002);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let until = Time {
        unix_s: now.as_secs() + 4,
    };
    let released = format!(
        "{ENFORCED}\n[[releases]]\ndevice = \"pump\"\nuntil = \"{until}\"\n\
         reason = \"care needs it\"\nby = \"ward 3\"\n"
    );
    gateway.apply(&released).expect("applied");
    assert_eq!(gateway.status().policy.next_boundary_s, Some(until.unix_s));
    let mut conversation =
        Conversation::begin(&wire.device, 7002, PATIENCE).expect("open for the moment");
    let ended = |kind: &EventKind| matches!(kind, EventKind::PolicyApplied { cause, .. } if cause == "boundary");
    assert!((0..20).any(|_| told(&gateway, ended)), "it does not end");
    assert!(!conversation.speaks(MOMENT));
    assert_eq!(gateway.status().policy.next_boundary_s, None);
}

#[test]
fn a_policy_with_an_error_leaves_the_old_one_in_force() {
    let Some(wire) = wire("a_policy_with_an_error_leaves_the_old_one_in_force") else {
        return;
    };
    let gateway = enforced(&wire);
    let before = gateway.status().policy;
    let broken = ENFORCED.replace("protocol = \"udp\"", "protocol = \"udpp\"");
    let Err(ClientError::Refused(refused)) = gateway.apply(&broken) else {
        panic!("it must be refused");
    };
    assert_eq!(refused.kind, RefusedKind::Policy);
    assert_eq!(
        refused.message,
        "the policy has 1 error; the one in force stays"
    );
    let line = 1 + broken
        .lines()
        .position(|l| l.contains("udpp"))
        .expect("there");
    assert_eq!(refused.diagnostics[0].line as usize, line);
    assert_eq!(gateway.status().policy, before);

    let stale = ApplyOptions {
        expected_id: Some("another".into()),
        ..ApplyOptions::default()
    };
    let Err(ClientError::Refused(refused)) = gateway.apply_with(&without_echo(), stale) else {
        panic!("it must be refused");
    };
    assert_eq!(refused.kind, RefusedKind::Conflict);
    assert_eq!(gateway.status().policy, before);
    assert!(pings(&wire.device, 2));
}

#[test]
fn an_unconfirmed_policy_is_rolled_back_and_a_confirmed_one_stays() {
    let Some(wire) = wire("an_unconfirmed_policy_is_rolled_back_and_a_confirmed_one_stays") else {
        return;
    };
    let mut gateway = enforced(&wire);
    let first = gateway.status().policy.id;
    let on_trial = |seconds| ApplyOptions {
        confirm_within_s: Some(seconds),
        ..ApplyOptions::default()
    };
    let trial = gateway
        .apply_with(&without_echo(), on_trial(1))
        .expect("applied");
    assert_eq!(gateway.status().policy.rollback_at_s, trial.rollback_at_s);
    assert!(told(&gateway, |kind| matches!(
        kind,
        EventKind::PolicyApplied { cause, .. } if cause == "control"
    )));
    let rolled_back = |kind: &EventKind| {
        matches!(kind, EventKind::PolicyApplied { policy, cause, .. }
            if cause == "rollback" && *policy == first)
    };
    assert!((0..10).any(|_| told(&gateway, rolled_back)));
    assert_eq!(gateway.status().policy.id, first);

    let trial = gateway
        .apply_with(&without_echo(), on_trial(600))
        .expect("applied");
    let id = trial.id.clone();
    gateway
        .ask(|c| async move { c.policy_confirm(id).await })
        .expect("confirmed");
    assert_eq!(gateway.status().policy.rollback_at_s, None);
    gateway.signal(rustix::process::Signal::KILL);
    gateway.wait();
    gateway.restart(&wire);
    gateway.wait_until_it_serves();
    let policy = gateway.status().policy;
    assert_eq!((policy.id, policy.origin.as_str()), (trial.id, "state"));
}
