//! Connections, from the first SYN to the last reset, and SCTP associations.

use wardline_engine::Limits;
use wardline_policy::Reason::*;

use crate::frames::*;
use crate::ward::*;

const STORE: (u16, u16) = (40_000, 104);
const BACK: (u16, u16) = (104, 40_000);

fn opened() -> Ward {
    let mut w = Ward::new();
    w.open_from_ward(&PUMP, &SERVER, STORE);
    assert_eq!(w.state(STORE.0), Some("established"));
    w
}

fn forth(flags: u8, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    tcp(&PUMP, &SERVER, STORE, flags, (seq, ack), data)
}

fn back(flags: u8, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    tcp(&SERVER, &PUMP, BACK, flags, (seq, ack), data)
}

#[test]
fn row_handshake_data_and_close() {
    let mut w = Ward::new();
    w.ward(&forth(SYN, 1000, 0, b""), Allowed);
    w.core(&back(SYN | ACK, 5000, 1001, b""), Established);
    w.ward(&forth(ACK, 1001, 5001, b"data"), Established);
    w.core(&back(ACK, 5001, 1005, b"more"), Established);
    w.ward(&forth(FIN | ACK, 1005, 5005, b""), Established);
    w.core(&back(FIN | ACK, 5005, 1006, b""), Established);
    w.ward(&forth(ACK, 1006, 5006, b""), Established);
}

#[test]
fn row_direction_of_the_first_segment_counts() {
    let mut w = Ward::new();
    w.core(&syn(&SERVER, &PUMP, (40_000, 104)), NoRule);
    w.core(&syn(&SERVER, &PUMP, (40_000, 11112)), Allowed);
    w.ward(&syn(&PUMP, &STRANGER, STORE), NoRule);
}

#[test]
fn row_midstream_is_picked_up_within_grace_in_either_role() {
    let limits = Limits {
        midstream_grace_s: 300,
        ..no_grace()
    };
    let mut w = Ward::with(POLICY, limits);
    w.ward(&ack(&PUMP, &SERVER, STORE), MidstreamPickup);
    // The responder's segment came first: the rule is about the other direction.
    w.core(&ack(&SERVER, &PUMP, (104, 40_001)), MidstreamPickup);
    w.ward(&ack(&PUMP, &SERVER, (40_001, 104)), Established);
    w.core(&ack(&SERVER, &PUMP, (40_002, 11112)), MidstreamPickup);
    w.ward(&ack(&PUMP, &SERVER, (11112, 40_003)), MidstreamPickup);
    // Nothing is known of its windows.
    w.core(
        &tcp(&SERVER, &PUMP, BACK, ACK, (4_000_000_000, 7004), b"x"),
        Established,
    );
}

#[test]
fn row_midstream_needs_policy() {
    let limits = Limits {
        midstream_grace_s: 300,
        ..no_grace()
    };
    let mut w = Ward::with(POLICY, limits);
    w.ward(&ack(&PUMP, &SERVER, (40_000, 9999)), NoRule);
    w.core(&ack(&STRANGER, &PUMP, BACK), NoRule);
    w.ward(&ack(&GUEST, &SERVER, STORE), NoRule);
}

#[test]
fn row_midstream_is_not_for_resets_and_syn_acks() {
    let limits = Limits {
        midstream_grace_s: 300,
        ..no_grace()
    };
    let mut w = Ward::with(POLICY, limits);
    for flags in [RST, RST | ACK, SYN | ACK] {
        w.ward(
            &tcp(&PUMP, &SERVER, STORE, flags, (7, 9), b""),
            TcpNoHandshake,
        );
        w.core(
            &tcp(&SERVER, &PUMP, BACK, flags, (7, 9), b""),
            TcpNoHandshake,
        );
    }
    assert_eq!(w.engine.flows().count(), 0);
}

#[test]
fn row_midstream_after_grace_is_no_handshake() {
    let limits = Limits {
        midstream_grace_s: 300,
        ..no_grace()
    };
    let mut w = Ward::with(POLICY, limits);
    w.wait_s(298);
    w.ward(&ack(&PUMP, &SERVER, STORE), MidstreamPickup);
    w.wait_s(3);
    w.ward(&ack(&PUMP, &SERVER, STORE), Established);
    w.ward(&ack(&PUMP, &SERVER, (40_001, 104)), TcpNoHandshake);
    w.core(&ack(&SERVER, &PUMP, (104, 40_001)), TcpNoHandshake);
}

#[test]
fn row_simultaneous_open_needs_both_permissions() {
    let mut w = Ward::new();
    let ports = (7000, 7001);
    w.ward(&syn(&PUMP, &SERVER, ports), Allowed);
    w.core(
        &tcp(&SERVER, &PUMP, (7001, 7000), SYN, (5000, 0), b""),
        Established,
    );
    w.ward(
        &tcp(&PUMP, &SERVER, ports, SYN | ACK, (1000, 5001), b""),
        Established,
    );
    w.core(
        &tcp(&SERVER, &PUMP, (7001, 7000), SYN | ACK, (5000, 1001), b""),
        Established,
    );
    w.ward(
        &tcp(&PUMP, &SERVER, ports, ACK, (1001, 5001), b"data"),
        Established,
    );
    // Nobody may begin towards port 40000 of the device.
    w.ward(&forth(SYN, 1000, 0, b""), Allowed);
    w.core(&back(SYN, 5000, 0, b""), NoRule);
    // The conversation stands.
    w.core(&back(SYN | ACK, 5000, 1001, b""), Established);
}

#[test]
fn row_reset_at_the_next_byte_ends_the_connection() {
    let mut w = opened();
    w.core(&back(RST, 5001, 0, b""), Established);
    assert_eq!(w.state(STORE.0), Some("reset"));
    // Its port can be used again.
    w.ward(&forth(SYN, 70_000, 0, b""), Allowed);
}

#[test]
fn row_reset_elsewhere_in_the_window_passes_and_the_connection_stands() {
    let mut w = opened();
    w.core(&back(RST, 5001 + 700, 0, b""), Established);
    assert_eq!(w.state(STORE.0), Some("established"));
    w.ward(&forth(ACK, 1001, 5001, b"data"), Established);
    w.wait_s(3600);
    w.idle();
    w.ward(&forth(ACK, 1005, 5001, b"data"), Established);
}

#[test]
fn row_reset_far_outside_is_dropped() {
    let mut w = opened();
    w.core(&back(RST, 5001 + 900_000_000, 0, b""), TcpWindow);
    w.ward(&forth(ACK, 1001, 5001, b"data"), Established);
}

#[test]
fn row_refused_port_ends_the_half_open_connection() {
    let mut w = Ward::new();
    w.ward(&forth(SYN, 1000, 0, b""), Allowed);
    w.core(&back(RST | ACK, 0, 1001, b""), Established);
    w.ward(&forth(SYN, 2000, 0, b""), Allowed);
}

#[test]
fn row_syn_in_established_passes_and_the_connection_stands() {
    let mut w = opened();
    w.ward(&forth(SYN, 900_000, 0, b""), Established);
    w.core(&back(ACK, 5001, 1001, b""), Established);
    w.ward(&forth(ACK, 1001, 5001, b"data"), Established);
    assert_eq!(w.state(STORE.0), Some("established"));
}

#[test]
fn row_second_attempt_from_the_same_port_counts_anew() {
    for again in [3_000_000_000, 900_000_000] {
        let mut w = Ward::new();
        w.ward(&forth(SYN, 2_000_000_000, 0, b""), Allowed);
        w.wait_s(60);
        w.ward(&forth(SYN, again, 0, b""), Established);
        w.core(&back(SYN | ACK, 5000, again + 1, b""), Established);
        w.ward(&forth(ACK, again + 1, 5001, b"data"), Established);
        w.core(&back(ACK, 5001, again + 5, b"data"), Established);
        w.ward(&forth(ACK, again + 5, 5005, b"data"), Established);
    }
}

#[test]
fn row_out_of_window_passes_unless_gross() {
    let mut w = opened();
    w.ward(&forth(ACK, 1001 + 40_000, 5001, b"early"), Established);
    w.ward(
        &forth(ACK, 1001_u32.wrapping_sub(3000), 5001, b"again"),
        Established,
    );
    w.ward(&forth(ACK, 1001 + 900_000_000, 5001, b"absurd"), TcpWindow);
    w.core(
        &back(ACK, 5001_u32.wrapping_sub(900_000_000), 1001, b"absurd"),
        TcpWindow,
    );
    w.ward(&forth(ACK, 1001, 5001, b"data"), Established);
}

#[test]
fn row_sequence_numbers_wrap() {
    let mut w = Ward::new();
    w.ward(&forth(SYN, u32::MAX, 0, b""), Allowed);
    w.core(&back(SYN | ACK, u32::MAX - 1, 0, b""), Established);
    w.ward(&forth(ACK, 0, u32::MAX, b"data"), Established);
    w.core(&back(ACK, u32::MAX, 4, b"data"), Established);
    w.ward(&forth(ACK, 4, 3, b"data"), Established);
}

#[test]
fn row_fast_open_data_passes_with_its_syn() {
    let mut w = Ward::new();
    w.ward(&forth(SYN, 1000, 0, b"early data"), Allowed);
    w.core(&back(SYN | ACK, 5000, 1011, b""), Established);
    w.ward(&forth(ACK, 1011, 5001, b""), Established);
    assert_eq!(w.state(STORE.0), Some("established"));
    w.ward(
        &tcp(&PUMP, &SERVER, (40_001, 9999), SYN, (1, 0), b"early"),
        NoRule,
    );
}

#[test]
fn row_data_without_handshake_is_refused() {
    let mut w = Ward::new();
    w.ward(&forth(ACK | PSH, 1001, 5001, b"data"), TcpNoHandshake);
    w.ward(&forth(SYN, 1000, 0, b""), Allowed);
    w.ward(&forth(ACK, 1001, 5001, b"data"), TcpNoHandshake);
    w.core(&back(SYN | ACK, 5000, 1001, b""), Established);
    w.ward(&forth(ACK, 1001, 5001, b"data"), Established);
}

#[test]
fn row_absurd_flags() {
    let mut w = opened();
    for flags in [SYN | FIN, SYN | RST, 0] {
        w.ward(&forth(flags, 1001, 5001, b""), TcpFlags);
    }
}

#[test]
fn row_segments_of_a_flow_must_come_from_their_side() {
    let mut w = opened();
    // The server's segment, from the ward side: it claims a core address.
    let verdict = w.burst(
        wardline_policy::Side::Ward,
        &[tcp(
            &Station {
                mac: GUEST.mac,
                ..SERVER
            },
            &PUMP,
            BACK,
            ACK,
            (5001, 1001),
            b"x",
        )],
    )[0];
    assert!(!verdict.reason.forwards(), "{verdict:?}");
}

/// Tags of the pump and the server.
const OURS: u32 = 9;
const THEIRS: u32 = 7;
const SIGNALLING: (u16, u16) = (2905, 2905);
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const ABORT: u8 = 6;
const SHUTDOWN_ACK: u8 = 8;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;
const DATA: u8 = 0;

fn to_server(tag: u32, chunk: u8) -> Vec<u8> {
    sctp(&PUMP, &SERVER, SIGNALLING, tag, [chunk, 0], OURS)
}

fn to_pump(tag: u32, chunk: u8) -> Vec<u8> {
    sctp(&SERVER, &PUMP, SIGNALLING, tag, [chunk, 0], THEIRS)
}

fn associated() -> Ward {
    let mut w = Ward::new();
    w.ward(&to_server(0, INIT), Allowed);
    w.core(&to_pump(OURS, INIT_ACK), Established);
    w.ward(&to_server(THEIRS, COOKIE_ECHO), Established);
    w.core(&to_pump(OURS, COOKIE_ACK), Established);
    assert_eq!(w.state(2905), Some("established"));
    w
}

#[test]
fn row_sctp_begins_with_init() {
    let mut w = Ward::new();
    w.ward(&to_server(THEIRS, DATA), TcpNoHandshake);
    let mut w = associated();
    w.ward(&to_server(THEIRS, DATA), Established);
    w.core(&to_pump(OURS, DATA), Established);
    let init = sctp(&SECOND, &PUMP, SIGNALLING, 0, [INIT, 0], THEIRS);
    w.core(&init, NoRule);
}

#[test]
fn row_sctp_packet_with_another_tag_does_not_belong() {
    let mut w = associated();
    for chunk in [DATA, INIT_ACK, ABORT, SHUTDOWN_ACK, COOKIE_ECHO] {
        w.ward(&to_server(THEIRS + 1, chunk), TcpNoHandshake);
        w.core(&to_pump(OURS + 1, chunk), TcpNoHandshake);
    }
    assert_eq!(w.state(2905), Some("established"));
    w.core(&to_pump(OURS, SHUTDOWN_ACK), Established);
    w.ward(&to_server(THEIRS + 1, SHUTDOWN_COMPLETE), TcpNoHandshake);
    assert_eq!(w.state(2905), Some("closing"));
    w.ward(&to_server(THEIRS, SHUTDOWN_COMPLETE), Established);
    assert_eq!(w.state(2905), Some("closed"));
    w.ward(&to_server(0, INIT), Allowed);
    assert_eq!(w.state(2905), Some("half-open"));
}

#[test]
fn row_sctp_handshake_needs_the_tags_it_offered() {
    let mut w = Ward::new();
    w.ward(&to_server(0, INIT), Allowed);
    w.core(&to_pump(OURS + 1, INIT_ACK), TcpNoHandshake);
    w.core(&to_pump(OURS + 1, ABORT), TcpNoHandshake);
    w.ward(&to_server(THEIRS, COOKIE_ECHO), TcpNoHandshake);
    w.core(&to_pump(OURS, DATA), TcpNoHandshake);
    assert_eq!(w.state(2905), Some("half-open"));
    w.core(&to_pump(OURS, ABORT), Established);
    assert_eq!(w.state(2905), Some("reset"));
}

#[test]
fn row_sctp_abort_may_reflect_the_tag_it_answers() {
    let reflected = |tag| sctp(&SERVER, &PUMP, SIGNALLING, tag, [ABORT, 1], 0);
    let mut w = associated();
    w.core(&reflected(OURS), TcpNoHandshake);
    assert_eq!(w.state(2905), Some("established"));
    w.core(&reflected(THEIRS), Established);
    assert_eq!(w.state(2905), Some("reset"));
}

#[test]
fn row_sctp_restart_changes_tags_when_its_handshake_is_over() {
    let mut w = associated();
    let init = sctp(&PUMP, &SERVER, SIGNALLING, 0, [INIT, 0], 99);
    w.ward(&init, Established);
    // Anybody could have sent that: the old tags stand.
    w.ward(&to_server(THEIRS, DATA), Established);
    w.core(&to_pump(99, DATA), TcpNoHandshake);
    w.core(&to_pump(99, ABORT), Established);
    assert_eq!(w.state(2905), Some("established"));
    let answer = sctp(&SERVER, &PUMP, SIGNALLING, 99, [INIT_ACK, 0], 77);
    w.core(&answer, Established);
    w.ward(&to_server(77, COOKIE_ECHO), Established);
    w.core(&to_pump(99, DATA), Established);
    w.ward(&to_server(77, DATA), Established);
    w.ward(&to_server(THEIRS, DATA), TcpNoHandshake);
}

#[test]
fn row_sctp_repeated_init_may_use_either_answer() {
    let answer = |own| sctp(&SERVER, &PUMP, SIGNALLING, OURS, [INIT_ACK, 0], own);
    for taken in [70, 71] {
        let mut w = Ward::new();
        w.ward(&to_server(0, INIT), Allowed);
        w.ward(&to_server(0, INIT), Established);
        w.core(&answer(70), Established);
        w.core(&answer(71), Established);
        w.ward(&to_server(taken, COOKIE_ECHO), Established);
        w.ward(&to_server(taken, DATA), Established);
    }
}

#[test]
fn row_sctp_midstream_believes_the_first_tag_of_each_direction() {
    let mut w = Ward::with(POLICY, wardline_engine::Limits::default());
    w.ward(&to_server(THEIRS, DATA), MidstreamPickup);
    w.core(&to_pump(OURS, DATA), Established);
    w.ward(&to_server(THEIRS + 1, ABORT), TcpNoHandshake);
    w.core(&to_pump(OURS + 1, ABORT), TcpNoHandshake);
    w.core(&to_pump(OURS, ABORT), Established);
    assert_eq!(w.state(2905), Some("reset"));
}
