//! What documents decide, written as documents and questions.

use std::net::IpAddr;

use wardline_policy::types::MacAddr;
use wardline_policy::{
    Cast, DeviceKey, EntryIdx, Format, Initiator, Mode, PolicySnapshot, Query, Reason, Side,
    VlanKey, compile, parse,
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
