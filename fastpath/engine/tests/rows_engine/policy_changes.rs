//! What a change of policy, of names or of bindings does to conversations and to denials.

use std::net::Ipv4Addr;

use wardline_policy::Reason::*;

use crate::frames::*;
use crate::ward::*;

const LOG: (u16, u16) = (40_000, 514);
const STORE: (u16, u16) = (40_000, 104);
const WEB: (u16, u16) = (40_000, 443);

#[test]
fn row_revoked_flow_dies_at_its_next_packet() {
    for from_core in [false, true] {
        let mut w = Ward::new();
        w.open_from_ward(&PUMP, &SERVER, STORE);
        w.swap(&POLICY.replace("ports = [104, \"11112-11113\"]", "ports = 105"));
        if from_core {
            w.core(
                &tcp(&SERVER, &PUMP, (104, 40_000), ACK, (5001, 1001), b"x"),
                Revoked,
            );
        } else {
            w.ward(
                &tcp(&PUMP, &SERVER, STORE, ACK, (1001, 5001), b"x"),
                Revoked,
            );
        }
        assert_eq!(w.engine.flows().count(), 0);
        w.ward(&syn(&PUMP, &SERVER, STORE), NoRule);
    }
}

#[test]
fn row_flow_of_an_unrelated_device_survives() {
    let mut w = Ward::new();
    w.open_from_ward(&MONITOR, &SERVER, STORE);
    w.swap(&pump_in("isolate"));
    assert_eq!(w.engine.generation(), 2);
    w.ward(
        &tcp(&MONITOR, &SERVER, STORE, ACK, (1001, 5001), b"x"),
        Established,
    );
    // Nor does a swap for the same policy end anything.
    w.swap(&pump_in("isolate"));
    w.core(
        &tcp(&SERVER, &MONITOR, (104, 40_000), ACK, (5001, 1002), b"x"),
        Established,
    );
}

#[test]
fn row_observe_to_enforce_keeps_what_is_allowed() {
    let mut w = Ward::under(&pump_in("observe"));
    w.open_from_ward(&PUMP, &SERVER, STORE);
    w.open_from_ward(&PUMP, &SERVER, (40_001, 9999));
    w.ward(&udp(&PUMP, &STRANGER, LOG, b""), Observed);
    w.swap(&pump_in("enforce"));
    w.ward(
        &tcp(&PUMP, &SERVER, STORE, ACK, (1001, 5001), b"x"),
        Established,
    );
    w.core(
        &tcp(&SERVER, &PUMP, (104, 40_000), ACK, (5001, 1002), b"x"),
        Established,
    );
    w.ward(
        &tcp(&PUMP, &SERVER, (40_001, 9999), ACK, (1001, 5001), b"x"),
        Revoked,
    );
    w.ward(&udp(&PUMP, &STRANGER, LOG, b""), Revoked);
    w.ward(&udp(&PUMP, &STRANGER, LOG, b""), NoRule);
}

#[test]
fn row_enforce_to_observe_opens_at_once() {
    let mut w = Ward::new();
    w.ward(&udp(&PUMP, &STRANGER, LOG, b""), NoRule);
    w.open_from_ward(&PUMP, &SERVER, STORE);
    w.swap(&pump_in("observe"));
    w.ward(&udp(&PUMP, &STRANGER, LOG, b""), Observed);
    w.ward(
        &tcp(&PUMP, &SERVER, STORE, ACK, (1001, 5001), b"x"),
        Observed,
    );
}

#[test]
fn row_denial_is_not_remembered_beyond_its_policy() {
    let mut w = Ward::new();
    let frame = udp(&PUMP, &SERVER, (40_000, 515), b"");
    w.ward(&frame, NoRule);
    w.ward(&frame, NoRule);
    w.swap(&POLICY.replace("ports = 514", "ports = [514, 515]"));
    w.ward(&frame, Allowed);
}

fn ask_dns(w: &mut Ward, id: u16, address: Station, ttl_s: u32) {
    let (out, back) = ((41_000, 53), (53, 41_000));
    let reply = dns(
        id,
        "library.example",
        Some((Ipv4Addr::from(address.ip), ttl_s)),
    );
    let verdicts = [
        w.burst(
            wardline_policy::Side::Ward,
            &[udp(&PUMP, &SERVER, out, &dns(id, "library.example", None))],
        ),
        w.burst(
            wardline_policy::Side::Core,
            &[udp(&SERVER, &PUMP, back, &reply)],
        ),
    ];
    assert!(verdicts.iter().all(|v| v[0].reason.forwards()));
}

#[test]
fn row_dns_answer_lifts_a_remembered_denial() {
    let mut w = Ward::new();
    w.ward(&syn(&PUMP, &STRANGER, WEB), NoRule);
    w.ward(&syn(&PUMP, &STRANGER, WEB), NoRule);
    ask_dns(&mut w, 1, STRANGER, 300);
    w.ward(&syn(&PUMP, &STRANGER, WEB), Allowed);
    // Another port, and another device that did not ask.
    w.ward(&syn(&PUMP, &STRANGER, (40_001, 80)), NoRule);
    w.ward(&syn(&MONITOR, &STRANGER, WEB), NoRule);
}

#[test]
fn row_dns_name_lives_as_long_as_it_says() {
    let mut w = Ward::new();
    ask_dns(&mut w, 1, STRANGER, 300);
    w.wait_s(295);
    w.ward(&syn(&PUMP, &STRANGER, WEB), Allowed);
    w.wait_s(10);
    w.ward(&syn(&PUMP, &STRANGER, (40_001, 443)), NoRule);
    // What began while it lived goes on.
    w.core(
        &tcp(
            &STRANGER,
            &PUMP,
            (443, 40_000),
            SYN | ACK,
            (5000, 1001),
            b"",
        ),
        Established,
    );
    ask_dns(&mut w, 2, STRANGER, 300);
    w.ward(&syn(&PUMP, &STRANGER, (40_001, 443)), Allowed);
}

#[test]
fn row_dns_answer_nobody_asked_for_teaches_nothing() {
    let mut w = Ward::new();
    let out = udp(
        &PUMP,
        &SERVER,
        (41_000, 53),
        &dns(1, "library.example", None),
    );
    w.ward(&out, Allowed);
    let answer = |id, name| dns(id, name, Some((Ipv4Addr::from(STRANGER.ip), 300)));
    // Another identifier, and another name.
    w.core(
        &udp(&SERVER, &PUMP, (53, 41_000), &answer(2, "library.example")),
        Established,
    );
    w.core(
        &udp(&SERVER, &PUMP, (53, 41_000), &answer(1, "evil.example")),
        Established,
    );
    w.ward(&syn(&PUMP, &STRANGER, WEB), NoRule);
    // The device cannot answer itself.
    w.ward(
        &udp(&PUMP, &SERVER, (41_000, 53), &answer(1, "library.example")),
        Established,
    );
    w.ward(&syn(&PUMP, &STRANGER, WEB), NoRule);
    // Another server, inside a conversation of its own.
    w.ward(
        &udp(&PUMP, &SECOND, (41_000, 53), &dns(9, "other.example", None)),
        Allowed,
    );
    w.core(
        &udp(&SECOND, &PUMP, (53, 41_000), &answer(1, "library.example")),
        Established,
    );
    w.ward(&syn(&PUMP, &STRANGER, WEB), NoRule);
}

#[test]
fn row_peer_device_is_known_by_its_binding() {
    let policy = format!(
        "{POLICY}\n[[devices.rules]]\nname = \"sister\"\npeer = {{ device = \"pump-1\" }}\nprotocol = \"udp\"\nports = 5200\n"
    );
    let mut w = Ward::under(&policy);
    let moved = PUMP.at([10, 0, 0, 77]);
    let to_sister = udp(
        &MONITOR,
        &Station {
            mac: GATEWAY.mac,
            ip: moved.ip,
        },
        (40_000, 5200),
        b"",
    );
    w.ward(&to_sister, NoRule);
    w.ward(&to_sister, NoRule);
    w.ward(&arp_request(&moved, SERVER.ip), Baseline);
    w.ward(&to_sister, Allowed);
}
