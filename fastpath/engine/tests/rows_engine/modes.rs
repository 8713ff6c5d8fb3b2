//! Steps of the ladder, exceptions, and manners of refusal.

use wardline_engine::parse::parse;
use wardline_engine::{L3, L4};
use wardline_policy::{Reason, Reason::*, Side};

use crate::frames::*;
use crate::ward::*;

const LOG: (u16, u16) = (40_000, 514);
const FORBIDDEN: (u16, u16) = (40_000, 9999);

fn runt() -> Vec<u8> {
    vec![0; 13]
}

#[test]
fn row_modes_that_forward_everything() {
    let release = r#"
[[releases]]
device = "pump-1"
until = 2030-01-01T00:00:00Z
reason = "test"
by = "tester"
"#;
    let glass = format!("{POLICY}{release}");
    for (policy, reason) in [
        (pump_in("observe"), Observed),
        (pump_in("simulate"), Simulated),
        (glass, BreakGlass),
    ] {
        let mut w = Ward::under(&policy);
        let ok = w.ward(&udp(&PUMP, &SERVER, LOG, b""), reason);
        assert_eq!(ok.would_drop, None);
        for (frame, would) in [
            (udp(&PUMP, &SERVER, FORBIDDEN, b""), NoRule),
            (syn(&PUMP, &SERVER, (40_000, 23)), DeniedByRule),
            (dhcp_ack(&PUMP, &MONITOR, 1), RogueDhcp),
            (
                ethernet(PUMP.mac, SERVER.mac, 0x1234, &[0; 46]),
                BaselineDenied,
            ),
            (
                tcp(&PUMP, &SERVER, (1, 104), SYN | FIN, (1, 0), b""),
                TcpFlags,
            ),
            (ack(&PUMP, &SERVER, (40_009, 104)), TcpNoHandshake),
            (
                tagged(&[(0x8100, 0), (0x8100, 0)], &udp(&PUMP, &SERVER, LOG, b"")),
                VlanStack,
            ),
        ] {
            let verdict = w.ward(&frame, reason);
            assert_eq!(verdict.would_drop, Some(would), "{frame:02x?}");
        }
        let verdict = w.core(&udp(&STRANGER, &PUMP, FORBIDDEN, b""), reason);
        assert_eq!(verdict.would_drop, Some(NoRule));
        w.ward(&runt(), Runt);
        assert_eq!(w.engine.refusals().count(), 0, "nothing was refused");
        let told = w.denials();
        assert!(told.iter().all(|(_, dropped, _)| !dropped), "{told:?}");
        // The other device is enforced.
        w.ward(&udp(&MONITOR, &SERVER, FORBIDDEN, b""), NoRule);
    }
}

#[test]
fn row_would_drop_stays_with_the_flow() {
    let mut w = Ward::under(&pump_in("simulate"));
    for _ in 0..3 {
        let verdict = w.ward(&udp(&PUMP, &SERVER, FORBIDDEN, b""), Simulated);
        assert_eq!(verdict.would_drop, Some(NoRule));
        let verdict = w.core(&udp(&SERVER, &PUMP, (9999, 40_000), b""), Simulated);
        assert_eq!(verdict.would_drop, Some(NoRule));
    }
    assert_eq!(w.engine.counters().would_drop[NoRule.index()], 6);
}

#[test]
fn row_isolate_leaves_rescue_rules_and_the_baseline() {
    let mut w = Ward::under(&pump_in("isolate"));
    w.ward(&udp(&PUMP, &SERVER, LOG, b""), Isolated);
    w.ward(&syn(&PUMP, &SERVER, (40_000, 104)), Isolated);
    w.core(&udp(&SERVER, &PUMP, (40_000, 5000), b""), Allowed);
    w.ward(&udp(&PUMP, &SERVER, (5000, 40_000), b""), Established);
    w.ward(&arp_request(&PUMP, SERVER.ip), Baseline);
    w.ward(&dhcp_request(&PUMP, 1), Baseline);
}

#[test]
fn row_visit_opens_its_rules_while_it_lasts() {
    let visit = |until: &str| {
        format!(
            r#"{POLICY}
[[visits]]
device = "pump-1"
work_order = "WO-1"
from = 2020-01-01T00:00:00Z
until = {until}
[[visits.rules]]
name = "service"
direction = "to-device"
peer = {{ address = "10.9.9.9" }}
protocol = "tcp"
ports = 22
"#
        )
    };
    let mut w = Ward::under(&visit("2030-01-01T00:00:00Z"));
    let frame = syn(&STRANGER, &PUMP, (40_000, 22));
    w.core(&frame, VendorVisit);
    w.core(&syn(&STRANGER, &MONITOR, (40_000, 22)), NoRule);
    w.swap(&visit("2021-01-01T00:00:00Z"));
    w.core(&frame, Revoked);
    w.core(&frame, NoRule);
}

#[test]
fn row_island_keeps_life_critical_conversations() {
    let island = format!(
        "{POLICY}\n[island]\nactive = true\nward = \"icu\"\nuntil = 2030-01-01T00:00:00Z\nreason = \"drill\"\n"
    );
    let mut w = Ward::under(&island);
    w.ward(&syn(&PUMP, &SERVER, (40_000, 104)), Allowed);
    w.ward(&udp(&PUMP, &SERVER, LOG, b""), Island);
    w.ward(&arp_request(&PUMP, SERVER.ip), Baseline);
    // Not of this ward.
    w.ward(&udp(&MONITOR, &SERVER, LOG, b""), Allowed);
}

#[test]
fn row_life_critical_device_without_template_is_open() {
    let policy = format!(
        "{POLICY}\n[[devices]]\nname = \"alarm\"\nmac = \"02:00:00:00:00:19\"\ncare = \"surveillance\"\n"
    );
    let mut w = Ward::under(&policy);
    w.ward(&udp(&GUEST, &STRANGER, FORBIDDEN, b""), LifeCriticalOpen);
    w.core(&syn(&STRANGER, &GUEST, FORBIDDEN), LifeCriticalOpen);
}

#[test]
fn row_group_frames_enter_for_a_device_that_does_not_enforce() {
    let frame = udp(&STRANGER, &EVERYBODY, FORBIDDEN, b"");
    let mut w = Ward::under(&pump_in("observe"));
    w.ward(&udp(&MONITOR, &SERVER, LOG, b""), Allowed);
    w.core(&frame, NoRule);
    w.ward(&udp(&PUMP, &SERVER, LOG, b""), Observed);
    let verdict = w.core(&frame, Observed);
    assert_eq!(verdict.would_drop, Some(NoRule));
}

/// The only refusal there is, with the side it leaves to.
fn refusal(w: &mut Ward) -> Option<(Side, Vec<u8>)> {
    let mut all: Vec<_> = w.engine.refusals().map(|(s, f)| (s, f.to_vec())).collect();
    assert!(all.len() <= 1);
    w.engine.clear_refusals();
    assert_eq!(w.engine.refusals().count(), 0);
    all.pop()
}

#[test]
fn row_refusal_by_reset() {
    let mut w = Ward::new();
    w.ward(&syn(&PUMP, &SERVER, (40_000, 23)), DeniedByRule);
    let (side, frame) = refusal(&mut w).unwrap();
    let meta = parse(&frame).unwrap();
    assert_eq!(side, Side::Ward);
    assert_eq!(
        (meta.source_mac.0, meta.destination_mac.0),
        (SERVER.mac, PUMP.mac)
    );
    let L4::Tcp {
        source,
        destination,
        flags,
        ack,
        ..
    } = meta.l4
    else {
        panic!("{meta:?}")
    };
    assert_eq!(
        (source, destination, flags, ack),
        (23, 40_000, RST | ACK, 1001)
    );
    assert_eq!(checksum(&frame[14..34]), 0);
    assert_eq!(w.engine.counters().refusals_sent, [1, 0]);
}

#[test]
fn row_refusal_by_unreachable() {
    let mut w = Ward::new();
    let asked = udp(&PUMP, &SERVER, (40_000, 161), b"get");
    w.ward(&asked, DeniedByRule);
    let (side, frame) = refusal(&mut w).unwrap();
    let meta = parse(&frame).unwrap();
    assert_eq!(side, Side::Ward);
    assert!(matches!(meta.l3, L3::Ip { version: 4, .. }));
    assert!(
        matches!(
            meta.l4,
            L4::Icmp {
                kind: 3,
                code: 9 | 10 | 13,
                ..
            }
        ),
        "{meta:?}"
    );
    let quote = &frame[usize::from(meta.payload_offset)..usize::from(meta.end)];
    assert!(asked[14..].starts_with(&quote[..28]), "{frame:02x?}");
}

#[test]
fn row_silent_is_silent() {
    let mut w = Ward::new();
    w.ward(&syn(&PUMP, &SERVER, FORBIDDEN), NoRule);
    assert_eq!(refusal(&mut w), None);
}

#[test]
fn row_every_refused_frame_of_a_scan_is_answered_within_bounds() {
    let mut w = Ward::new();
    let scan: Vec<Vec<u8>> = (0..64)
        .map(|n| syn(&PUMP, &SERVER, (50_000 + n, 23)))
        .collect();
    let verdicts = w.burst(Side::Ward, &scan);
    assert!(verdicts.iter().all(|v| v.reason == DeniedByRule));
    let answered = w.engine.refusals().count();
    assert!((1..=64).contains(&answered));
    let sent = w.engine.counters().refusals_sent[0];
    assert_eq!(sent, answered as u64);
}

#[test]
fn row_denied_events_are_rate_limited_and_counted() {
    let mut w = Ward::new();
    let frame = udp(&PUMP, &SERVER, FORBIDDEN, b"");
    for _ in 0..10 {
        w.ward(&frame, NoRule);
    }
    assert_eq!(w.denials(), [(NoRule, true, 0)]);
    w.wait_ms(1200);
    w.ward(&frame, NoRule);
    assert_eq!(w.denials(), [(NoRule, true, 9)]);
    // Another reason, and another device, are told at once.
    w.ward(&syn(&PUMP, &SERVER, (40_000, 23)), DeniedByRule);
    w.ward(&udp(&MONITOR, &SERVER, FORBIDDEN, b""), NoRule);
    assert_eq!(w.denials(), [(DeniedByRule, true, 0), (NoRule, true, 0)]);
}

#[test]
fn row_lost_events_are_counted() {
    let limits = wardline_engine::Limits {
        events: 2,
        ..no_grace()
    };
    let mut w = Ward::with(POLICY, limits);
    for port in 0..8 {
        w.ward(&udp(&PUMP, &SERVER, (40_000 + port, 514), b""), Allowed);
    }
    assert_eq!(w.events().len(), 2);
    assert!(w.engine.counters().events_dropped > 0);
}

#[test]
fn row_device_counters_agree_with_verdicts() {
    let mut w = Ward::new();
    for _ in 0..3 {
        w.ward(
            &udp(&PUMP, &SERVER, LOG, b""),
            if w.state(40_000).is_some() {
                Established
            } else {
                Allowed
            },
        );
        w.core(&udp(&SERVER, &PUMP, (514, 40_000), b""), Established);
        w.ward(&udp(&PUMP, &SERVER, FORBIDDEN, b""), NoRule);
    }
    let device = w
        .engine
        .devices()
        .find(|d| d.key.mac.0 == PUMP.mac)
        .unwrap();
    let of = |r: Reason| device.by_reason[r.index()];
    assert_eq!((of(Allowed), of(Established), of(NoRule)), (1, 5, 3));
    assert_eq!((device.sent.frames, device.got.frames), (3, 3));
    assert_eq!((device.name.as_str(), device.flows), ("pump-1", 1));
}
