//! Queries and errors of ICMP.

use wardline_policy::Reason::*;

use crate::frames::*;
use crate::ward::*;

const LOG: (u16, u16) = (40_000, 514);
const UNREACHABLE: [u8; 2] = [3, 3];

#[test]
fn row_echo_and_its_reply() {
    let mut w = Ward::new();
    w.core(&echo(&SERVER, &PUMP, 0, 7), NoRule);
    w.ward(&echo(&PUMP, &SERVER, 8, 7), Allowed);
    w.core(&echo(&SERVER, &PUMP, 0, 7), Established);
    w.core(&echo(&SERVER, &PUMP, 0, 8), NoRule);
    w.core(&echo(&SERVER, &PUMP, 8, 9), Allowed);
    w.ward(&echo(&PUMP, &SERVER, 0, 9), Established);
    w.ward(&echo(&PUMP, &STRANGER, 8, 7), NoRule);
}

#[test]
fn row_error_about_an_allowed_flow_passes_from_any_router() {
    let mut w = Ward::new();
    let packet = udp(&PUMP, &SERVER, LOG, b"payload");
    w.ward(&packet, Allowed);
    for kind in [UNREACHABLE, [11, 0], [12, 0]] {
        w.core(&icmp(&SERVER, &PUMP, kind, 0, quoted(&packet)), RelatedIcmp);
        w.core(
            &icmp(&GATEWAY, &PUMP, kind, 0, quoted(&packet)),
            RelatedIcmp,
        );
    }
    let answer = udp(&SERVER, &PUMP, (514, 40_000), b"");
    w.core(&answer, Established);
    w.ward(
        &icmp(&PUMP, &SERVER, UNREACHABLE, 0, quoted(&answer)),
        RelatedIcmp,
    );
}

#[test]
fn row_error_must_quote_what_its_receiver_sent() {
    let mut w = Ward::new();
    let packet = udp(&PUMP, &SERVER, LOG, b"payload");
    w.ward(&packet, Allowed);
    // The other direction, unknown ports, another device's conversation.
    let reversed = udp(&SERVER, &PUMP, (514, 40_000), b"payload");
    w.core(
        &icmp(&SERVER, &PUMP, UNREACHABLE, 0, quoted(&reversed)),
        IcmpUnrelated,
    );
    let foreign = udp(&PUMP, &SERVER, (40_001, 514), b"payload");
    w.core(
        &icmp(&SERVER, &PUMP, UNREACHABLE, 0, quoted(&foreign)),
        IcmpUnrelated,
    );
    w.core(
        &icmp(&SERVER, &MONITOR, UNREACHABLE, 0, quoted(&packet)),
        IcmpUnrelated,
    );
    // The device reports about its own packet.
    w.ward(
        &icmp(&PUMP, &SERVER, UNREACHABLE, 0, quoted(&packet)),
        IcmpUnrelated,
    );
    // Nothing quoted at all.
    w.core(&icmp(&SERVER, &PUMP, UNREACHABLE, 0, &[]), IcmpUnrelated);
}

#[test]
fn row_error_about_tcp_needs_a_sequence_number_in_flight() {
    let mut w = Ward::new();
    let ports = (40_000, 104);
    w.open_from_ward(&PUMP, &SERVER, ports);
    let sent = tcp(&PUMP, &SERVER, ports, ACK, (1001, 5001), b"data");
    w.ward(&sent, Established);
    w.core(
        &icmp(&GATEWAY, &PUMP, [3, 1], 0, quoted(&sent)),
        RelatedIcmp,
    );
    let guess = tcp(&PUMP, &SERVER, ports, ACK, (900_000_000, 5001), b"data");
    w.core(
        &icmp(&GATEWAY, &PUMP, [3, 1], 0, quoted(&guess)),
        IcmpUnrelated,
    );
}

#[test]
fn row_error_about_an_echo() {
    let mut w = Ward::new();
    let request = echo(&PUMP, &SERVER, 8, 7);
    w.ward(&request, Allowed);
    w.core(
        &icmp(&GATEWAY, &PUMP, [3, 1], 0, quoted(&request)),
        RelatedIcmp,
    );
}

#[test]
fn row_packet_too_big_with_an_impossible_mtu() {
    let mut w = Ward::new();
    let packet = udp(&PUMP, &SERVER, LOG, b"payload");
    w.ward(&packet, Allowed);
    for (mtu, reason) in [
        (1400, RelatedIcmp),
        (68, RelatedIcmp),
        (67, IcmpMtu),
        (0, IcmpMtu),
    ] {
        w.core(&icmp(&GATEWAY, &PUMP, [3, 4], mtu, quoted(&packet)), reason);
    }
    let packet = udp6(&PUMP, &SERVER, LOG, b"payload");
    w.ward(&packet, Allowed);
    for (mtu, reason) in [(1280_u32, RelatedIcmp), (1279, IcmpMtu)] {
        let message = icmp_message([2, 0], mtu, &packet[14..]);
        let macs = (GATEWAY.mac, PUMP.mac);
        w.core(
            &ip6(macs, GATEWAY.ip6(), PUMP.ip6(), (58, 64), &message),
            reason,
        );
    }
}

#[test]
fn row_redirect_never() {
    let mut w = Ward::new();
    let packet = udp(&PUMP, &SERVER, LOG, b"payload");
    w.ward(&packet, Allowed);
    for code in 0..4 {
        w.core(
            &icmp(&GATEWAY, &PUMP, [5, code], 0x0a00_0001, quoted(&packet)),
            IcmpRedirect,
        );
        w.ward(
            &icmp(&PUMP, &SERVER, [5, code], 0x0a00_0001, quoted(&packet)),
            IcmpRedirect,
        );
    }
}

#[test]
fn row_source_quench_is_not_an_error_that_passes() {
    let mut w = Ward::new();
    let packet = udp(&PUMP, &SERVER, LOG, b"payload");
    w.ward(&packet, Allowed);
    w.core(&icmp(&GATEWAY, &PUMP, [4, 0], 0, quoted(&packet)), NoRule);
}

#[test]
fn row_error_dies_with_the_permission() {
    let mut w = Ward::new();
    let packet = udp(&PUMP, &SERVER, LOG, b"payload");
    w.ward(&packet, Allowed);
    w.swap(&POLICY.replace("ports = 514", "ports = 515"));
    w.core(
        &icmp(&SERVER, &PUMP, UNREACHABLE, 0, quoted(&packet)),
        IcmpUnrelated,
    );
}
