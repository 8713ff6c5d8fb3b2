//! When conversations end by themselves.

use wardline_engine::EventKind;
use wardline_policy::Reason::*;

use crate::frames::*;
use crate::ward::*;

const STORE: (u16, u16) = (40_000, 104);

/// Whether a conversation idle for so long is still there, with and without upkeep.
fn lives(begin: impl Fn(&mut Ward), idle_s: u64) -> bool {
    let mut w = Ward::new();
    begin(&mut w);
    w.wait_s(idle_s);
    w.idle();
    w.engine.flows().count() > 0
}

#[test]
fn row_tcp_established_holds_for_a_day() {
    let begin = |w: &mut Ward| w.open_from_ward(&PUMP, &SERVER, STORE);
    assert!(lives(begin, 86_390));
    assert!(!lives(begin, 86_410));
    let mut w = Ward::new();
    begin(&mut w);
    w.wait_s(86_390);
    w.core(
        &tcp(&SERVER, &PUMP, (104, 40_000), ACK, (5001, 1001), b"x"),
        Established,
    );
    w.wait_s(86_410);
    // Without any upkeep, it is over all the same.
    w.ward(
        &tcp(&PUMP, &SERVER, STORE, ACK, (1001, 5002), b"x"),
        TcpNoHandshake,
    );
}

#[test]
fn row_opening_and_closing_tcp_hold_for_four_minutes() {
    let half = |w: &mut Ward| {
        w.ward(&syn(&PUMP, &SERVER, STORE), Allowed);
    };
    assert!(lives(half, 239) && !lives(half, 242));
    let closed = |w: &mut Ward| {
        w.open_from_ward(&PUMP, &SERVER, STORE);
        w.ward(
            &tcp(&PUMP, &SERVER, STORE, FIN | ACK, (1001, 5001), b""),
            Established,
        );
        w.core(
            &tcp(&SERVER, &PUMP, (104, 40_000), FIN | ACK, (5001, 1002), b""),
            Established,
        );
        w.ward(
            &tcp(&PUMP, &SERVER, STORE, ACK, (1002, 5002), b""),
            Established,
        );
    };
    assert!(!lives(closed, 242));
}

#[test]
fn row_udp_holds_for_two_minutes() {
    let once = |w: &mut Ward| {
        w.ward(&udp(&PUMP, &SERVER, (40_000, 514), b""), Allowed);
    };
    let answered = |w: &mut Ward| {
        once(w);
        w.core(&udp(&SERVER, &PUMP, (514, 40_000), b""), Established);
    };
    assert!(lives(answered, 119) && !lives(answered, 122));
    assert!(lives(once, 119) && !lives(once, 122));
}

#[test]
fn row_icmp_queries_hold_for_a_minute() {
    let query = |w: &mut Ward| {
        w.ward(&echo(&PUMP, &SERVER, 8, 7), Allowed);
    };
    assert!(lives(query, 59) && !lives(query, 62));
}

#[test]
fn row_end_is_told_once() {
    let mut w = Ward::new();
    w.ward(&udp(&PUMP, &SERVER, (40_000, 514), b""), Allowed);
    w.wait_s(200);
    w.idle();
    w.idle();
    let events = w.events();
    let of = |begun: bool| {
        events
            .iter()
            .filter(|e| match e.kind {
                EventKind::FlowBegun(_) => begun,
                EventKind::FlowEnded { .. } => !begun,
                _ => false,
            })
            .count()
    };
    assert_eq!((of(true), of(false)), (1, 1));
}

#[test]
fn row_end_tells_what_was_carried_of_the_conversation_that_was_listed() {
    let mut w = Ward::new();
    let ping = echo(&PUMP, &SERVER, 8, 7);
    let pong = echo(&SERVER, &PUMP, 0, 7);
    w.ward(&ping, Allowed);
    w.core(&pong, Established);
    w.ward(&ping, Established);
    let listed = w.engine.flows().next().expect("it goes on");
    w.wait_s(200);
    w.idle();
    let ended = w.events().into_iter().find_map(|e| match e.kind {
        EventKind::FlowEnded { flow, forth, back } => Some((e.device, flow, forth, back)),
        _ => None,
    });
    let (device, flow, forth, back) = ended.expect("it ended");
    assert_eq!((forth.frames, forth.bytes), (2, 2 * ping.len() as u64));
    assert_eq!((back.frames, back.bytes), (1, pong.len() as u64));
    assert_eq!(device, Some(listed.device));
    assert_eq!(flow.first_seen_ns, Some(listed.first_seen_ns));
    let ports = (listed.source_port, listed.destination_port);
    assert_eq!((flow.source_port, flow.destination_port), ports);
    assert_ne!(flow.source_port, 0, "the identifier of the query");
}

#[test]
fn row_clock_that_steps_back_ends_nothing() {
    let mut w = Ward::new();
    w.open_from_ward(&PUMP, &SERVER, STORE);
    w.now_ns -= 3_600_000_000_000;
    w.ward(
        &tcp(&PUMP, &SERVER, STORE, ACK, (1001, 5001), b"x"),
        Established,
    );
    w.now_ns += 3_600_000_000_000;
    w.idle();
    w.ward(
        &tcp(&PUMP, &SERVER, STORE, ACK, (1002, 5001), b"x"),
        Established,
    );
}
