//! The ladder, and what a change of policy does to conversations.

use wardline_engine::{Action, EventKind, Limits};
use wardline_policy::{Reason, Side};

use crate::lab::*;

fn in_mode(mode: &str) -> String {
    WARD.replace("mode = \"enforce\"", &format!("mode = \"{mode}\""))
}

#[test]
fn devices_that_do_not_enforce_get_everything_and_it_is_told_what_they_would_lose() {
    for (mode, reason) in [
        ("observe", Reason::Observed),
        ("simulate", Reason::Simulated),
    ] {
        let mut lab = Lab::in_mode(mode);
        let denied = lab.ward(&syn(&MODALITY, &PACS, (40_000, 22)));
        assert_eq!(
            (denied.reason, denied.would_drop),
            (reason, Some(Reason::NoRule))
        );
        assert_eq!(denied.action, Action::Forward(Side::Core));
        let allowed = lab.ward(&syn(&MODALITY, &PACS, (40_000, 104)));
        passes(allowed, reason);
        assert_eq!(
            lab.engine.snapshot().rule_name(allowed.rule),
            "role modality / store"
        );
        let stray = lab.ward(&tcp(&MODALITY, &PACS, (40_001, 104), ACK, (1, 1), b""));
        assert_eq!(stray.would_drop, Some(Reason::TcpNoHandshake));
        let spoof = lab.ward(
            &Station {
                mac: UNLISTED.mac,
                ..PUMP
            }
            .arp(),
        );
        assert_eq!(
            (spoof.reason, spoof.would_drop),
            (reason, Some(Reason::SpoofedArp))
        );
        let count = lab.engine.counters().would_drop[Reason::NoRule.index()];
        assert_eq!(count, 1);
        let told = lab.events().iter().any(
            |e| matches!(e.kind, EventKind::Denied { dropped: false, flow, .. } if flow.reason == Reason::NoRule),
        );
        assert!(told);
        assert_eq!(lab.engine.refusals().count(), 0);
    }
}

trait Arp {
    fn arp(&self) -> Vec<u8>;
}

impl Arp for Station {
    fn arp(&self) -> Vec<u8> {
        arp_request(self, PACS.ip)
    }
}

#[test]
fn a_switch_to_enforcement_keeps_what_policy_allows_and_ends_the_rest() {
    let mut lab = Lab::young(&in_mode("observe"), Limits::default());
    lab.wait(1_000);
    lab.connect(Side::Ward, &MODALITY, &PACS, 104);
    lab.connect(Side::Ward, &MODALITY, &PACS, 22);
    // Seen only in its middle, from either end.
    let middle = tcp(&MODALITY, &PACS, (40_002, 104), ACK, (1, 1), b"");
    let middle_back = tcp(&PACS, &MODALITY, (104, 40_003), ACK, (1, 1), b"");
    lab.ward(&middle);
    lab.core(&middle_back);

    lab.apply(WARD);
    let data = tcp(&MODALITY, &PACS, (40_000, 104), ACK, (1001, 5001), b"x");
    passes(lab.ward(&data), Reason::Established);
    passes(lab.ward(&middle), Reason::Established);
    passes(lab.core(&middle_back), Reason::Established);
    let ssh = tcp(&MODALITY, &PACS, (40_000, 22), ACK, (1001, 5001), b"x");
    drops(lab.ward(&ssh), Reason::Revoked);
    drops(lab.ward(&ssh), Reason::NoRule);
}

#[test]
fn a_revoked_permission_ends_the_conversation_at_its_next_packet() {
    let mut lab = Lab::new();
    lab.connect(Side::Ward, &MODALITY, &PACS, 104);
    lab.connect(Side::Ward, &PUMP, &CONSUMER, 2575);
    lab.events();
    lab.apply(&WARD.replace("ports = 104", "ports = 105"));
    let data = tcp(&PACS, &MODALITY, (104, 40_000), ACK, (5001, 1001), b"x");
    drops(lab.core(&data), Reason::Revoked);
    let ended = lab.events().iter().any(
        |e| matches!(e.kind, EventKind::FlowEnded { flow, .. } if flow.reason == Reason::Revoked),
    );
    assert!(ended);
    // The pump's has nothing to do with it.
    let report = tcp(&PUMP, &CONSUMER, (40_000, 2575), ACK, (1001, 5001), b"x");
    passes(lab.ward(&report), Reason::Established);
    assert_eq!(lab.engine.flows().count(), 1);
}

#[test]
fn conversations_follow_the_numbers_of_their_rules() {
    let mut lab = Lab::new();
    lab.connect(Side::Ward, &PUMP, &CONSUMER, 2575);
    // A rule before all others: every number moves.
    let more = "[[roles.modality.rules]]\nname = \"first\"\npeer = \"any\"\nprotocol = \"tcp\"\nports = 1\n";
    lab.apply(&WARD.replace("[roles.modality]\n", &format!("[roles.modality]\n{more}")));
    let report = tcp(&PUMP, &CONSUMER, (40_000, 2575), ACK, (1001, 5001), b"x");
    let verdict = lab.ward(&report);
    passes(verdict, Reason::Established);
    assert_eq!(
        lab.engine.snapshot().rule_name(verdict.rule),
        "role pump / report"
    );
}

#[test]
fn a_thousand_swaps_lose_no_allowed_packet_and_pass_no_forbidden_one() {
    let mut lab = Lab::new();
    lab.connect(Side::Ward, &MODALITY, &PACS, 104);
    let policies = [
        snapshot(WARD),
        snapshot(&WARD.replace("ports = 5000", "ports = 5001")),
    ];
    let data = tcp(&MODALITY, &PACS, (40_000, 104), ACK, (1001, 5001), b"x");
    for n in 0..1_000 {
        lab.engine.set_snapshot(policies[n % 2].clone());
        passes(lab.ward(&data), Reason::Established);
        drops(
            lab.ward(&syn(&MODALITY, &PACS, (40_000, 22))),
            Reason::NoRule,
        );
    }
    assert_eq!(lab.engine.generation(), 1_001);
}

#[test]
fn a_group_frame_enters_the_vlan_if_one_device_there_does_not_enforce() {
    let mut lab = Lab::new();
    lab.ward(&MODALITY.arp());
    let broadcast = udp_group(&ATTACKER, v4("10.0.0.255"), (9, 9), b"x");
    drops(lab.core(&broadcast), Reason::NoRule);
    lab.apply(&WARD.replace(
        "name = \"pump\"\nmac",
        "name = \"pump\"\nmode = \"observe\"\nmac",
    ));
    drops(lab.core(&broadcast), Reason::NoRule);
    lab.ward(&PUMP.arp());
    let verdict = lab.core(&broadcast);
    assert_eq!(
        (verdict.reason, verdict.would_drop),
        (Reason::Observed, Some(Reason::NoRule))
    );
}

#[test]
fn a_full_device_table_drops_strangers_but_never_listed_devices() {
    let mut lab = Lab::young(
        WARD,
        Limits {
            devices: 8,
            ..Limits::default()
        },
    );
    let stranger = |n: u8| Station {
        mac: [6, 0, 0, 0, 0, n],
        ip: v4("192.0.2.1"),
        ..UNLISTED
    };
    for n in 0..6 {
        lab.ward(&syn(&stranger(n), &PACS, (40_000, 104)));
    }
    drops(
        lab.ward(&syn(&stranger(6), &PACS, (40_000, 104))),
        Reason::DeviceTableFull,
    );
    passes(
        lab.ward(&syn(&MODALITY, &PACS, (40_000, 104))),
        Reason::Allowed,
    );
}

#[test]
fn counters_of_devices_add_up_with_those_of_the_engine() {
    let mut lab = Lab::new();
    lab.connect(Side::Ward, &MODALITY, &PACS, 104);
    drops(
        lab.ward(&syn(&MODALITY, &PACS, (40_000, 22))),
        Reason::NoRule,
    );
    let data = tcp(&PACS, &MODALITY, (104, 40_000), ACK, (5001, 1001), b"x");
    passes(lab.core(&data), Reason::Established);
    let device = lab.engine.devices().next().unwrap();
    assert_eq!((device.sent.frames, device.got.frames), (2, 2));
    assert_eq!(device.by_reason.iter().sum::<u64>(), 5);
    assert_eq!(device.by_reason[Reason::Established.index()], 3);
    // The same after the conversation was added up.
    lab.engine.idle(lab.now_ns, 1_000_000);
    let again = lab.engine.devices().next().unwrap();
    assert_eq!(again.by_reason, device.by_reason);
    assert_eq!((again.sent, again.got), (device.sent, device.got));
}
