//! What documents decide, written as documents and questions.

use std::net::IpAddr;

use wardline_policy::types::MacAddr;
use wardline_policy::{
    Cast, DeviceKey, EntryIdx, Format, Initiator, Mode, PeerTag, PolicySnapshot, Query, Reason,
    Side, VlanKey, compile, parse,
};

const NOW_S: u64 = 1_795_000_000;

fn snapshot(text: &str) -> PolicySnapshot {
    let (document, _) = parse(text, Format::Toml, "test.toml").expect("the document is right");
    compile(&document, NOW_S).expect("a parsed document compiles")
}

fn entry(snapshot: &PolicySnapshot, mac: &str, vlan: u16) -> EntryIdx {
    let mac: MacAddr = mac.parse().expect("a MAC address");
    snapshot.lookup(&DeviceKey {
        mac,
        vlan: VlanKey {
            outer: vlan,
            inner: 0,
        },
    })
}

fn ask(initiator: Initiator, peer: &str, protocol: u8, port: u16) -> Query<'static> {
    let peer: IpAddr = peer.parse().expect("an address");
    Query {
        initiator,
        cast: Cast::Unicast,
        peer,
        destination: peer,
        protocol,
        source_port: 40_000,
        destination_port: port,
        tags: &[],
    }
}

const WARD: &str = r#"
version = 1
name = "ward"

[groups.pacs]
addresses = ["10.1.0.10", "10.1.1.0/24"]

[roles.modality]
[[roles.modality.rules]]
name = "no-telnet"
action = "deny"
refusal = "reset"
peer = { group = "pacs" }
protocol = "tcp"
ports = 23
[[roles.modality.rules]]
name = "store"
peer = { group = "pacs" }
protocol = "tcp"
ports = [104, "11112-11113"]
care = "workflow"
[[roles.modality.rules]]
name = "discover"
peer = { multicast = "239.255.255.250" }
protocol = "udp"
ports = 3702
answer = { from = { group = "pacs" }, seconds = 5 }
[[roles.modality.rules]]
name = "time"
direction = "to-device"
peer = "broadcast"
senders = { group = "pacs" }
protocol = "udp"
ports = 2000

[[devices]]
name = "ct-1"
mac = "00:09:fb:00:00:01"
vlan = 10
role = "modality"
mode = "enforce"
"#;

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = snapshot(WARD);
    let ct = entry(&policy, "00:09:fb:00:00:01", 10);
    assert_eq!(policy.entry(ct).mode, Mode::Enforce);
    let store = policy.decide(ct, &ask(Initiator::Device, "10.1.1.7", 6, 11112));
    assert_eq!((store.allow, store.reason), (true, Reason::Allowed));
    assert_eq!(policy.rule_name(store.rule), "role modality / store");
    let telnet = policy.decide(ct, &ask(Initiator::Device, "10.1.0.10", 6, 23));
    assert_eq!((telnet.allow, telnet.reason), (false, Reason::DeniedByRule));
    let reverse = policy.decide(ct, &ask(Initiator::Peer, "10.1.1.7", 6, 104));
    assert_eq!((reverse.allow, reverse.reason), (false, Reason::NoRule));
    assert_eq!(
        policy.entry(entry(&policy, "00:09:fb:00:00:01", 11)).name,
        ""
    );
}

#[test]
fn a_question_by_multicast_opens_a_window_for_its_answers() {
    let policy = snapshot(WARD);
    let ct = entry(&policy, "00:09:fb:00:00:01", 10);
    let question = Query {
        cast: Cast::Multicast,
        ..ask(Initiator::Device, "239.255.255.250", 17, 3702)
    };
    let decision = policy.decide(ct, &question);
    assert_eq!(decision.answer.map(|a| a.seconds), Some(5));
    let answer = Query {
        source_port: 3702,
        ..ask(Initiator::Peer, "10.1.1.9", 17, 40_000)
    };
    assert!(policy.answer_allowed(decision.rule, &answer));
    let stranger = Query {
        source_port: 3702,
        ..ask(Initiator::Peer, "10.9.9.9", 17, 40_000)
    };
    assert!(!policy.answer_allowed(decision.rule, &stranger));
    let elsewhere = Query {
        source_port: 3703,
        ..answer
    };
    assert!(!policy.answer_allowed(decision.rule, &elsewhere));
}

#[test]
fn a_broadcast_enters_the_vlan_of_a_device_that_wants_it() {
    let policy = snapshot(WARD);
    let vlan = |outer| VlanKey { outer, inner: 0 };
    let broadcast = Query {
        cast: Cast::Broadcast,
        destination: IpAddr::from([255, 255, 255, 255]),
        ..ask(Initiator::Peer, "10.1.0.10", 17, 2000)
    };
    let decision = policy.decide_group(vlan(10), &broadcast);
    assert_eq!(policy.rule_name(decision.rule), "role modality / time");
    assert!(!policy.decide_group(vlan(11), &broadcast).allow);
    let stranger = Query {
        peer: IpAddr::from([10, 9, 9, 9]),
        ..broadcast
    };
    assert!(!policy.decide_group(vlan(10), &stranger).allow);
}

#[test]
fn the_baseline_carries_what_a_link_needs() {
    let policy = snapshot(WARD);
    let somewhere = MacAddr([2, 0, 0, 0, 0, 1]);
    let lldp = MacAddr([1, 0x80, 0xc2, 0, 0, 0x0e]);
    assert_eq!(
        policy
            .decide_ethertype(Side::Ward, 0x0806, somewhere)
            .reason,
        Reason::Baseline
    );
    assert!(policy.decide_ethertype(Side::Core, 0x88cc, lldp).allow);
    assert!(!policy.decide_ethertype(Side::Core, 0x88cc, somewhere).allow);
    assert!(
        policy
            .decide_ethertype(Side::Core, 38, MacAddr([1, 0x80, 0xc2, 0, 0, 0]))
            .allow
    );
    let unknown = policy.decide_ethertype(Side::Ward, 0x1234, somewhere);
    assert_eq!(
        (unknown.allow, unknown.reason),
        (false, Reason::BaselineDenied)
    );
}

const LIMITED: &str = r#"
version = 1
name = "limited"
[groups.vendor]
addresses = "192.0.2.0/24"
[roles.pump]
[[roles.pump.rules]]
name = "server"
peer = { address = "10.0.0.1" }
protocol = "tcp"
ports = 3613
care = "therapy"
[[roles.pump.rules]]
name = "report"
peer = { address = "10.0.0.2" }
protocol = "tcp"
ports = 80
[[roles.pump.rules]]
name = "biomed"
direction = "to-device"
peer = { address = "10.0.0.3" }
protocol = "tcp"
ports = 22
rescue = true
[[roles.pump.rules]]
name = "sister"
peer = { role = "pump" }
protocol = "tcp"
ports = 5100
[[devices]]
name = "a"
mac = "00:09:fb:00:00:0a"
vlan = 10
role = "pump"
mode = "enforce"
ward = "icu"
[[devices]]
name = "b"
mac = "00:09:fb:00:00:0b"
vlan = 10
role = "pump"
mode = "isolate"
addresses = "10.0.9.2"
ward = "icu"
[[devices]]
name = "open"
mac = "00:09:fb:00:00:0c"
vlan = 10
mode = "enforce"
care = "surveillance"
[[visits]]
device = "a"
work_order = "WO-1"
from = 2026-11-23T10:00:00Z
until = 2026-11-23T12:00:00Z
[[visits.rules]]
name = "remote"
direction = "to-device"
peer = { group = "vendor" }
protocol = "tcp"
ports = 22
[[releases]]
vlan = 11
until = 2026-11-23T13:00:00Z
reason = "test"
by = "test"
"#;

const TEN: u64 = 1_795_428_000;
const HOUR: u64 = 3_600;

fn limited(extra: &str, now_s: u64) -> PolicySnapshot {
    let text = format!("{LIMITED}{extra}");
    let (document, _) = parse(&text, Format::Toml, "limited.toml").expect("the document is right");
    compile(&document, now_s).expect("it compiles")
}

const A: &str = "00:09:fb:00:00:0a";
const B: &str = "00:09:fb:00:00:0b";

#[test]
fn a_visit_opens_and_closes_by_itself() {
    let question = ask(Initiator::Peer, "192.0.2.7", 6, 22);
    let reason = |now_s| {
        let policy = limited("", now_s);
        (
            policy.decide(entry(&policy, A, 10), &question).reason,
            policy.valid_until_s(),
        )
    };
    assert_eq!(reason(TEN - 1), (Reason::NoRule, Some(TEN)));
    assert_eq!(reason(TEN), (Reason::VendorVisit, Some(TEN + 2 * HOUR)));
    assert_eq!(
        reason(TEN + 2 * HOUR),
        (Reason::NoRule, Some(TEN + 3 * HOUR))
    );
    assert_eq!(reason(TEN + 3 * HOUR), (Reason::NoRule, None));
}

#[test]
fn a_release_of_a_vlan_covers_devices_nobody_listed() {
    let mode = |now_s| {
        let policy = limited("", now_s);
        [10, 11].map(|vlan| policy.entry(entry(&policy, "02:00:00:00:00:01", vlan)).mode)
    };
    assert_eq!(mode(TEN), [Mode::Observe, Mode::BreakGlass]);
    assert_eq!(mode(TEN + 3 * HOUR), [Mode::Observe, Mode::Observe]);
}

#[test]
fn an_isolated_device_keeps_its_rescue_rules() {
    let policy = limited("", TEN);
    let device = entry(&policy, B, 10);
    let server = policy.decide(device, &ask(Initiator::Device, "10.0.0.1", 6, 3613));
    assert_eq!((server.allow, server.reason), (false, Reason::Isolated));
    let biomed = policy.decide(device, &ask(Initiator::Peer, "10.0.0.3", 6, 22));
    assert_eq!((biomed.allow, biomed.reason), (true, Reason::Allowed));
}

#[test]
fn an_island_keeps_what_is_life_critical_and_what_is_inside() {
    let island =
        "[island]\nactive = true\nward = \"icu\"\nreason = \"x\"\nuntil = 2026-11-23T11:00:00Z";
    let policy = limited(island, TEN);
    let device = entry(&policy, A, 10);
    let reason = |peer, port| {
        policy
            .decide(device, &ask(Initiator::Device, peer, 6, port))
            .reason
    };
    assert_eq!(reason("10.0.0.1", 3613), Reason::Allowed, "therapy");
    assert_eq!(reason("10.0.0.2", 80), Reason::Island, "not life-critical");
    assert_eq!(reason("10.0.9.2", 5100), Reason::Allowed, "inside the ward");
    assert_eq!(policy.valid_until_s(), Some(TEN + HOUR));
    let later = limited(island, TEN + HOUR);
    let report = ask(Initiator::Device, "10.0.0.2", 6, 80);
    assert_eq!(
        later.decide(entry(&later, A, 10), &report).reason,
        Reason::Allowed
    );
}

#[test]
fn a_life_critical_device_without_a_template_is_open() {
    let policy = limited("", TEN);
    let device = entry(&policy, "00:09:fb:00:00:0c", 10);
    let decision = policy.decide(device, &ask(Initiator::Peer, "203.0.113.1", 6, 1));
    assert_eq!(
        (decision.allow, decision.reason),
        (true, Reason::LifeCriticalOpen)
    );
}

#[test]
fn a_role_as_peer_is_known_by_what_the_engine_learnt() {
    let policy = limited("", TEN);
    let (a, b) = (entry(&policy, A, 10), entry(&policy, B, 10));
    let unknown = ask(Initiator::Device, "10.0.9.77", 6, 5100);
    assert!(!policy.decide(a, &unknown).allow);
    let tags = [PeerTag::Device(b)];
    assert!(
        policy
            .decide(
                a,
                &Query {
                    tags: &tags,
                    ..unknown
                }
            )
            .allow
    );
}

/// An epoch is the hash of what a device is allowed: equal over compilations, and another one
/// exactly when something changes that could change a decision.
#[test]
fn an_epoch_changes_with_what_the_device_may_do() {
    let epochs = |text: &str, now_s: u64| {
        let (document, _) = parse(text, Format::Toml, "x").expect("the document is right");
        let policy = compile(&document, now_s).expect("it compiles");
        [A, B].map(|mac| policy.entry(entry(&policy, mac, 10)).epoch)
    };
    let before = epochs(LIMITED, TEN - 1);
    assert_ne!(before[0], 0);
    assert_eq!(epochs(LIMITED, TEN - 1), before);
    assert_eq!(
        epochs(
            &LIMITED.replace("name = \"server\"", "name = \"other\""),
            TEN - 1
        ),
        before
    );
    let visit = epochs(LIMITED, TEN);
    assert_ne!(visit[0], before[0], "a visit at a");
    assert_eq!(visit[1], before[1], "is none at b");
    let port = epochs(&LIMITED.replace("ports = 3613", "ports = 3614"), TEN - 1);
    assert_ne!(port[0], before[0], "a rule of its role");
    assert_eq!(
        port[1], before[1],
        "which does not hold for an isolated device"
    );
    let member = epochs(&LIMITED.replace("10.0.9.2", "10.0.9.3"), TEN - 1);
    assert_ne!(member[0], before[0], "an address of a peer");
    let mode = epochs(&LIMITED.replace("\"isolate\"", "\"enforce\""), TEN - 1);
    assert_eq!(mode[0], before[0]);
    assert_ne!(mode[1], before[1], "its mode");
}

#[test]
fn a_name_is_known_to_the_devices_that_use_it() {
    let policy = snapshot(
        r#"
version = 1
name = "names"
[roles.a]
rules = [{ name = "x", peer = { dns = "a.example" }, protocol = "tcp", ports = 443 }]
[[devices]]
name = "first"
mac = "00:09:fb:00:00:01"
role = "a"
[[devices]]
name = "second"
mac = "00:09:fb:00:00:02"
"#,
    );
    let first = entry(&policy, "00:09:fb:00:00:01", 0);
    let name = policy
        .dns_name(first, "a.example")
        .expect("its rule names it");
    assert_eq!(
        policy.dns_name(entry(&policy, "00:09:fb:00:00:02", 0), "a.example"),
        None
    );
    assert_eq!(policy.dns_name(first, "b.example"), None);
    let question = ask(Initiator::Device, "198.51.100.1", 6, 443);
    assert!(!policy.decide(first, &question).allow);
    let tags = [PeerTag::DnsName(name)];
    assert!(
        policy
            .decide(
                first,
                &Query {
                    tags: &tags,
                    ..question
                }
            )
            .allow
    );
}

/// Found by the comparison with the reference: the empty role stood at the same rule number.
#[test]
fn a_role_without_rules_does_not_empty_its_neighbour() {
    let policy = snapshot(
        r#"
version = 1
name = "two roles"
[roles.a]
[[roles.b.rules]]
name = "all"
peer = "any"
protocol = "any"
[[devices]]
name = "first"
mac = "00:09:fb:00:00:01"
role = "a"
[[devices]]
name = "second"
mac = "00:09:fb:00:00:02"
role = "b"
"#,
    );
    let question = ask(Initiator::Device, "10.0.0.1", 6, 80);
    assert!(
        !policy
            .decide(entry(&policy, "00:09:fb:00:00:01", 0), &question)
            .allow
    );
    assert!(
        policy
            .decide(entry(&policy, "00:09:fb:00:00:02", 0), &question)
            .allow
    );
}

#[test]
fn before_any_document_everything_is_observed() {
    let policy = PolicySnapshot::observe_all();
    let anyone = entry(&policy, "02:00:00:00:00:01", 7);
    assert_eq!(policy.entry(anyone).mode, Mode::Observe);
    assert!(
        policy
            .decide(anyone, &ask(Initiator::Peer, "2001:db8::1", 6, 22))
            .allow
    );
    assert!(
        policy
            .decide_ethertype(Side::Ward, 0x1234, MacAddr::BROADCAST)
            .allow
    );
    assert!(policy.double_tags_allowed(Side::Ward));
}
