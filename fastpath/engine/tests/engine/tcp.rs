//! TCP through the engine.

use wardline_engine::Limits;
use wardline_policy::{Reason, Side};

use crate::lab::*;

const PORTS: (u16, u16) = (40_000, 104);
const BACK: (u16, u16) = (104, 40_000);

fn connected() -> Lab {
    let mut lab = Lab::new();
    lab.connect(Side::Ward, &MODALITY, &PACS, 104);
    assert_eq!(lab.flow_state(), "established");
    lab
}

#[test]
fn an_allowed_connection_opens_carries_data_and_closes() {
    let mut lab = connected();
    let data = tcp(
        &MODALITY,
        &PACS,
        PORTS,
        ACK,
        (1001, 5001),
        b"A-ASSOCIATE-RQ",
    );
    passes(lab.ward(&data), Reason::Established);
    let fin = tcp(&MODALITY, &PACS, PORTS, FIN | ACK, (1015, 5001), b"");
    passes(lab.ward(&fin), Reason::Established);
    assert_eq!(lab.flow_state(), "closing");
    let fin = tcp(&PACS, &MODALITY, BACK, FIN | ACK, (5001, 1016), b"");
    passes(lab.core(&fin), Reason::Established);
    assert_eq!(lab.flow_state(), "closed");
    // The same ports again: decided anew.
    passes(lab.ward(&syn(&MODALITY, &PACS, PORTS)), Reason::Allowed);
    let flow = lab.engine.flows().next().unwrap();
    assert_eq!(
        (flow.state, flow.forth.frames, flow.back.frames),
        ("half-open", 1, 0)
    );
}

#[test]
fn the_first_packet_names_its_rule_and_so_do_the_others() {
    let mut lab = Lab::new();
    let first = lab.ward(&syn(&MODALITY, &PACS, PORTS));
    passes(first, Reason::Allowed);
    assert_eq!(
        lab.engine.snapshot().rule_name(first.rule),
        "role modality / store"
    );
    let again = lab.ward(&syn(&MODALITY, &PACS, PORTS));
    assert_eq!(
        (again.reason, again.rule),
        (Reason::Established, first.rule)
    );
}

#[test]
fn what_no_rule_allows_is_dropped_and_leaves_no_entry() {
    let mut lab = Lab::new();
    drops(
        lab.ward(&syn(&MODALITY, &PACS, (40_000, 22))),
        Reason::NoRule,
    );
    drops(lab.ward(&syn(&MODALITY, &ATTACKER, PORTS)), Reason::NoRule);
    drops(lab.core(&syn(&PACS, &MODALITY, PORTS)), Reason::NoRule);
    drops(lab.ward(&syn(&UNLISTED, &PACS, PORTS)), Reason::NoRule);
    assert_eq!(lab.engine.flows().count(), 0);
    assert_eq!(lab.engine.counters().flows_begun, 0);
}

#[test]
fn the_peer_may_begin_only_where_a_rule_says_so() {
    let mut lab = Lab::new();
    lab.ward(&arp_request(&MODALITY, PACS.ip));
    lab.connect(Side::Core, &PACS, &MODALITY, 11112);
    assert_eq!(lab.flow_state(), "established");
    drops(
        lab.core(&syn(&ATTACKER, &MODALITY, (40_000, 11112))),
        Reason::NoRule,
    );
}

#[test]
fn a_conversation_begun_before_its_device_spoke_becomes_the_devices() {
    let mut lab = Lab::new();
    lab.connect(Side::Core, &PACS, &MODALITY, 11112);
    let device = lab.engine.devices().next().unwrap();
    assert_eq!((device.name.as_str(), device.flows), ("modality", 1));
    assert_eq!(lab.engine.flows().next().unwrap().slot, device.slot);
}

#[test]
fn segments_without_a_handshake_are_dropped() {
    let mut lab = Lab::new();
    for flags in [ACK, SYN | ACK, RST, RST | ACK, FIN | ACK] {
        let segment = tcp(&MODALITY, &PACS, PORTS, flags, (1, 1), b"");
        drops(lab.ward(&segment), Reason::TcpNoHandshake);
    }
    // Data right behind the SYN, before the answer.
    passes(lab.ward(&syn(&MODALITY, &PACS, PORTS)), Reason::Allowed);
    let early = tcp(&MODALITY, &PACS, PORTS, ACK, (1001, 1), b"x");
    drops(lab.ward(&early), Reason::TcpNoHandshake);
}

#[test]
fn row_midstream_pickup() {
    let mut lab = Lab::young(WARD, Limits::default());
    lab.wait(10);
    let data = tcp(&MODALITY, &PACS, PORTS, ACK, (7_000, 9_000), b"x");
    passes(lab.ward(&data), Reason::MidstreamPickup);
    let back = tcp(&PACS, &MODALITY, BACK, ACK, (9_000, 7_001), b"");
    passes(lab.core(&back), Reason::Established);

    // The server's segment comes first: the tuple is allowed in the other role.
    let other = tcp(&PACS, &MODALITY, (104, 40_001), ACK, (9_000, 7_000), b"x");
    passes(lab.core(&other), Reason::MidstreamPickup);
    let flow = lab
        .engine
        .flows()
        .find(|f| f.source_port == 40_001)
        .unwrap();
    assert_eq!((flow.source, flow.back.frames), (MODALITY.ip.into(), 1));

    // Never by RST or SYN+ACK alone, never what policy allows in no role, never after the grace.
    let reset = tcp(&MODALITY, &PACS, (40_002, 104), RST | ACK, (1, 1), b"");
    drops(lab.ward(&reset), Reason::TcpNoHandshake);
    let answer = tcp(&PACS, &MODALITY, (104, 40_002), SYN | ACK, (1, 1), b"");
    drops(lab.core(&answer), Reason::TcpNoHandshake);
    let ssh = tcp(&MODALITY, &PACS, (40_002, 22), ACK, (1, 1), b"");
    drops(lab.ward(&ssh), Reason::NoRule);
    lab.wait(400);
    let late = tcp(&MODALITY, &PACS, (40_003, 104), ACK, (1, 1), b"");
    drops(lab.ward(&late), Reason::TcpNoHandshake);
}

#[test]
fn row_simultaneous_open() {
    let mut lab = Lab::new();
    let both = (7000, 7000);
    passes(
        lab.ward(&tcp(&MODALITY, &PACS, both, SYN, (1000, 0), b"")),
        Reason::Allowed,
    );
    let crossing = tcp(&PACS, &MODALITY, both, SYN, (5000, 0), b"");
    passes(lab.core(&crossing), Reason::Established);
    let ack = tcp(&MODALITY, &PACS, both, SYN | ACK, (1000, 5001), b"");
    passes(lab.ward(&ack), Reason::Established);

    // Only one of them may begin.
    passes(lab.ward(&syn(&MODALITY, &PACS, PORTS)), Reason::Allowed);
    drops(
        lab.core(&tcp(&PACS, &MODALITY, BACK, SYN, (5000, 0), b"")),
        Reason::NoRule,
    );
}

#[test]
fn row_rst() {
    // In the window, but not the next byte: forwarded, and the connection stands.
    let mut lab = connected();
    let near = tcp(&PACS, &MODALITY, BACK, RST, (5001 + 900, 0), b"");
    passes(lab.core(&near), Reason::Established);
    let data = tcp(&MODALITY, &PACS, PORTS, ACK, (1001, 5001), b"x");
    passes(lab.ward(&data), Reason::Established);
    assert_eq!(lab.flow_state(), "established");
    // Nobody spoke after it: the connection is forgotten sooner.
    passes(lab.core(&near), Reason::Established);
    lab.wait(300);
    drops(lab.ward(&data), Reason::TcpNoHandshake);

    // Exactly the next byte.
    let mut lab = connected();
    let exact = tcp(&PACS, &MODALITY, BACK, RST, (5001, 0), b"");
    passes(lab.core(&exact), Reason::Established);
    assert_eq!(lab.flow_state(), "reset");
    lab.wait(11);
    drops(lab.ward(&data), Reason::TcpNoHandshake);
}

#[test]
fn row_syn_in_established() {
    let mut lab = connected();
    passes(
        lab.ward(&tcp(&MODALITY, &PACS, PORTS, SYN, (77, 0), b"")),
        Reason::Established,
    );
    assert_eq!(lab.flow_state(), "established");
    let data = tcp(&MODALITY, &PACS, PORTS, ACK, (1001, 5001), b"x");
    passes(lab.ward(&data), Reason::Established);
}

#[test]
fn row_out_of_window() {
    let mut lab = connected();
    let far = tcp(&MODALITY, &PACS, PORTS, ACK, (0x4000_0000, 5001), b"x");
    drops(lab.ward(&far), Reason::TcpWindow);
    let odd = tcp(&MODALITY, &PACS, PORTS, ACK, (1001 + 100_000, 5001), b"x");
    passes(lab.ward(&odd), Reason::Established);
    // Scaling unknown: liberal.
    let mut lab = Lab::young(WARD, Limits::default());
    passes(
        lab.ward(&tcp(&MODALITY, &PACS, PORTS, ACK, (1, 1), b"")),
        Reason::MidstreamPickup,
    );
    passes(lab.ward(&far), Reason::Established);
}

#[test]
fn row_fast_open() {
    let mut lab = Lab::new();
    let with_data = tcp(&MODALITY, &PACS, PORTS, SYN, (1000, 0), b"early data");
    passes(lab.ward(&with_data), Reason::Allowed);
    let syn_ack = tcp(&PACS, &MODALITY, BACK, SYN | ACK, (5000, 1011), b"");
    passes(lab.core(&syn_ack), Reason::Established);
    let data = tcp(&PACS, &MODALITY, BACK, ACK, (5001, 1011), b"answer");
    passes(lab.core(&data), Reason::Established);
}

#[test]
fn row_absurd_flags() {
    let mut lab = connected();
    for flags in [SYN | FIN, SYN | RST, 0] {
        let frame = tcp(&MODALITY, &PACS, PORTS, flags, (1001, 5001), b"");
        drops(lab.ward(&frame), Reason::TcpFlags);
    }
}

#[test]
fn row_partial_checksums() {
    let mut lab = Lab::new();
    // The builder leaves the checksum of TCP at zero.
    let frame = syn(&MODALITY, &PACS, PORTS);
    assert_eq!(&frame[14 + 20 + 16..14 + 20 + 18], [0, 0]);
    passes(lab.ward(&frame), Reason::Allowed);
}

#[test]
fn established_connections_live_a_day_and_half_open_ones_minutes() {
    let data = tcp(&MODALITY, &PACS, PORTS, ACK, (1001, 5001), b"");
    let mut lab = connected();
    lab.wait(86_000);
    passes(lab.ward(&data), Reason::Established);
    lab.wait(86_401);
    drops(lab.ward(&data), Reason::TcpNoHandshake);

    let mut lab = Lab::new();
    passes(lab.ward(&syn(&MODALITY, &PACS, PORTS)), Reason::Allowed);
    let answer = tcp(&PACS, &MODALITY, BACK, SYN | ACK, (5000, 1001), b"");
    lab.wait(239);
    passes(lab.core(&answer), Reason::Established);
    lab.wait(241);
    drops(lab.core(&answer), Reason::TcpNoHandshake);
}

#[test]
fn idle_ends_what_expired_and_keeps_the_rest() {
    let mut lab = connected();
    passes(
        lab.ward(&syn(&MODALITY, &PACS, (40_001, 104))),
        Reason::Allowed,
    );
    lab.wait(250);
    lab.engine.idle(lab.now_ns, 1_000_000);
    lab.check_counters();
    assert_eq!(lab.engine.flows().count(), 1);
    assert_eq!(lab.flow_state(), "established");
}

#[test]
fn a_flood_of_half_open_connections_leaves_established_ones_alone() {
    let limits = Limits {
        half_open_per_device: 16,
        ..Limits::default()
    };
    let mut lab = Lab::young(WARD, limits);
    lab.wait(1_000);
    lab.connect(Side::Ward, &MODALITY, &PACS, 104);
    let refused = (0..200u16)
        .filter(|n| {
            !lab.ward(&syn(&MODALITY, &PACS, (50_000 + n, 104)))
                .reason
                .forwards()
        })
        .count();
    assert_eq!(refused, 200 - 16);
    let data = tcp(&MODALITY, &PACS, PORTS, ACK, (1001, 5001), b"x");
    passes(lab.ward(&data), Reason::Established);
    // Another device is not touched by it.
    passes(
        lab.ward(&syn(&PUMP, &CONSUMER, (40_000, 2575))),
        Reason::Allowed,
    );
}

#[test]
fn no_more_new_conversations_in_a_burst_than_its_budget() {
    let limits = Limits {
        new_flows_per_burst: 4,
        ..Limits::default()
    };
    let mut lab = Lab::young(WARD, limits);
    let frames: Vec<Vec<u8>> = (0..8)
        .map(|n| syn(&MODALITY, &PACS, (50_000 + n, 104)))
        .collect();
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let mut verdicts = [Default::default(); 8];
    lab.engine
        .process(Side::Ward, lab.now_ns, &frames, &mut verdicts);
    let reasons: Vec<Reason> = verdicts
        .iter()
        .map(|v: &wardline_engine::Verdict| v.reason)
        .collect();
    assert_eq!(reasons[..4], [Reason::Allowed; 4]);
    assert_eq!(reasons[4..], [Reason::NewFlowBudget; 4]);
}

#[test]
fn a_refusal_goes_back_to_who_asked() {
    let mut lab = Lab::new();
    drops(
        lab.ward(&syn(&PUMP, &ATTACKER, (40_000, 22))),
        Reason::NoRule,
    );
    let refusals: Vec<(Side, Vec<u8>)> = lab
        .engine
        .refusals()
        .map(|(side, frame)| (side, frame.to_vec()))
        .collect();
    assert_eq!(refusals.len(), 1);
    let (side, frame) = &refusals[0];
    assert_eq!(*side, Side::Ward);
    assert_eq!(frame[..6], PUMP.mac);
    assert_eq!(frame[14 + 20 + 13] & RST, RST);
    assert_eq!(lab.engine.counters().refusals_sent, [1, 0]);
    lab.engine.clear_refusals();
    // The modality's role refuses silently.
    drops(
        lab.ward(&syn(&MODALITY, &ATTACKER, (40_000, 22))),
        Reason::NoRule,
    );
    assert_eq!(lab.engine.refusals().count(), 0);
}

#[test]
fn refusals_are_limited_in_rate() {
    let mut lab = Lab::new();
    for port in 0..500 {
        drops(
            lab.ward(&syn(&PUMP, &ATTACKER, (40_000, port))),
            Reason::NoRule,
        );
        lab.engine.clear_refusals();
    }
    assert_eq!(lab.engine.counters().refusals_sent, [50, 0]);
}
