//! Questions to groups, and their answers by unicast from other addresses.

use wardline_policy::Reason::*;

use crate::frames::*;
use crate::ward::*;

const WSD: Station = group([239, 255, 255, 250]);
const MDNS: Station = group([224, 0, 0, 251]);
const ASKER: u16 = 50_000;

#[test]
fn row_ws_discovery_probe_match_comes_by_unicast() {
    let mut w = Ward::new();
    let answer = udp(&SERVER, &PUMP, (3702, ASKER), b"match");
    w.core(&answer, NoRule);
    w.ward(&udp(&PUMP, &WSD, (ASKER, 3702), b"probe"), Allowed);
    w.core(&answer, Answer);
    w.core(&answer, Answer);
    w.core(&udp(&SECOND, &PUMP, (3702, ASKER), b"match"), Answer);
}

#[test]
fn row_answer_from_whom_where_and_when_matters() {
    let mut w = Ward::new();
    w.ward(&udp(&PUMP, &WSD, (ASKER, 3702), b"probe"), Allowed);
    w.core(&udp(&STRANGER, &PUMP, (3702, ASKER), b""), NoRule);
    w.core(&udp(&SERVER, &PUMP, (3703, ASKER), b""), NoRule);
    w.core(&udp(&SERVER, &PUMP, (3702, ASKER + 1), b""), NoRule);
    w.core(&udp(&SERVER, &MONITOR, (3702, ASKER), b""), NoRule);
    w.core(
        &tcp(&SERVER, &PUMP, (3702, ASKER), SYN, (1, 0), b""),
        NoRule,
    );
    w.wait_s(4);
    w.core(&udp(&SERVER, &PUMP, (3702, ASKER), b""), Answer);
    w.wait_s(2);
    w.core(&udp(&SERVER, &PUMP, (3702, ASKER), b""), NoRule);
    // Asking again opens it again.
    w.ward(&udp(&PUMP, &WSD, (ASKER, 3702), b"probe"), Allowed);
    w.core(&udp(&SERVER, &PUMP, (3702, ASKER), b""), Answer);
}

#[test]
fn row_denied_question_opens_no_window() {
    let mut w = Ward::new();
    w.ward(&udp(&GUEST, &WSD, (ASKER, 3702), b"probe"), NoRule);
    w.core(&udp(&SERVER, &GUEST, (3702, ASKER), b""), NoRule);
}

#[test]
fn row_mdns_answers_from_anybody() {
    let mut w = Ward::new();
    w.ward(&udp(&PUMP, &MDNS, (5353, 5353), b"query"), Allowed);
    w.core(&udp(&STRANGER, &PUMP, (5353, 5353), b""), Answer);
    w.core(&udp(&STRANGER, &PUMP, (53, 5353), b""), NoRule);
    w.wait_s(4);
    w.core(&udp(&STRANGER, &PUMP, (5353, 5353), b""), NoRule);
}

#[test]
fn row_bacnet_who_is_by_broadcast() {
    let mut w = Ward::new();
    let port = (47808, 47808);
    w.ward(&udp(&PUMP, &EVERYBODY, port, b"who-is"), Allowed);
    w.core(&udp(&SERVER, &PUMP, port, b"i-am"), Answer);
    w.core(&udp(&STRANGER, &PUMP, port, b"i-am"), NoRule);
    // The broadcast address of the subnet is the same question.
    let subnet = Station {
        mac: BROADCAST,
        ip: [10, 0, 0, 255],
    };
    w.ward(&udp(&PUMP, &subnet, (47809, 47808), b"who-is"), Allowed);
    w.core(&udp(&SERVER, &PUMP, (47808, 47809), b"i-am"), Answer);
}

#[test]
fn row_devices_answer_questions_of_the_core() {
    let mut w = Ward::new();
    for (group, port) in [(WSD, 3702), (EVERYBODY, 47808)] {
        let answer = udp(&PUMP, &SERVER, (port, ASKER), b"here");
        w.ward(&answer, NoRule);
        w.core(&udp(&SERVER, &group, (ASKER, port), b"who"), Allowed);
        w.ward(&answer, Answer);
        w.ward(&udp(&MONITOR, &SERVER, (port, ASKER), b"here"), Answer);
        w.ward(&udp(&PUMP, &SERVER, (port + 1, ASKER), b"here"), NoRule);
        w.ward(&udp(&PUMP, &SECOND, (port, ASKER), b"here"), NoRule);
        w.ward(&udp(&GUEST, &SERVER, (port, ASKER), b"here"), NoRule);
        w.wait_s(6);
        w.ward(&answer, NoRule);
    }
}

#[test]
fn row_question_of_a_stranger_does_not_enter() {
    let mut w = Ward::new();
    w.core(&udp(&STRANGER, &WSD, (ASKER, 3702), b"who"), NoRule);
    w.ward(&udp(&PUMP, &STRANGER, (3702, ASKER), b"here"), NoRule);
}

#[test]
fn row_window_ends_with_its_rule() {
    let mut w = Ward::new();
    w.ward(&udp(&PUMP, &WSD, (ASKER, 3702), b"probe"), Allowed);
    w.swap(&POLICY.replace("239.255.255.250", "239.255.255.251"));
    w.core(&udp(&SERVER, &PUMP, (3702, ASKER), b""), NoRule);
}

#[test]
fn row_window_survives_an_unrelated_change() {
    let mut w = Ward::new();
    w.ward(&udp(&PUMP, &WSD, (ASKER, 3702), b"probe"), Allowed);
    w.swap(&POLICY.replace("ports = 514", "ports = 515"));
    w.core(&udp(&SERVER, &PUMP, (3702, ASKER), b""), Answer);
}
