//! Tags, EtherTypes and which side a station is on.

use wardline_engine::EventKind;
use wardline_policy::Reason::*;

use crate::frames::*;
use crate::ward::*;

const LOG: (u16, u16) = (40_000, 514);
const LOG_BACK: (u16, u16) = (514, 40_000);

#[test]
fn row_vlan_is_part_of_the_device_and_of_the_flow() {
    let listed = POLICY.replace("name = \"pump-1\"", "name = \"pump-1\"\nvlan = 20");
    let mut w = Ward::under(&listed);
    let [out, back] = [
        udp(&PUMP, &SERVER, LOG, b""),
        udp(&SERVER, &PUMP, LOG_BACK, b""),
    ];
    w.ward(&tagged(&[(0x8100, 20)], &out), Allowed);
    w.core(&tagged(&[(0x8100, 20)], &back), Established);
    // Priority and drop eligibility take no part.
    w.core(&tagged(&[(0x8100, 0xf000 | 20)], &back), Established);
    // Another VLAN is another conversation of another device.
    w.core(&tagged(&[(0x8100, 21)], &back), NoRule);
    w.ward(&tagged(&[(0x8100, 21)], &out), NoRule);
    w.ward(&out, NoRule);
}

#[test]
fn row_priority_tag_is_untagged() {
    let mut w = Ward::new();
    w.ward(
        &tagged(&[(0x8100, 0xa000)], &udp(&PUMP, &SERVER, LOG, b"")),
        Allowed,
    );
    w.core(&udp(&SERVER, &PUMP, LOG_BACK, b""), Established);
}

#[test]
fn row_double_tags_need_leave_per_side() {
    let frame = udp(&PUMP, &SERVER, LOG, b"");
    for outer in [0x88a8, 0x9100, 0x8100] {
        let stacked = tagged(&[(outer, 20), (0x8100, 30)], &frame);
        Ward::new().ward(&stacked, VlanStack);
        Ward::new().core(&stacked, VlanStack);
        let leave = format!("{POLICY}\n[baseline]\ndouble_tags = [\"ward\"]\n").replace(
            "name = \"pump-1\"",
            "name = \"pump-1\"\nvlan = { outer = 20, inner = 30 }",
        );
        let mut w = Ward::under(&leave);
        w.ward(&stacked, Allowed);
        w.core(&stacked, VlanStack);
    }
}

#[test]
fn row_double_tags_of_a_known_flow_still_need_leave() {
    let leave = format!("{POLICY}\n[baseline]\ndouble_tags = [\"ward\", \"core\"]\n").replace(
        "name = \"pump-1\"",
        "name = \"pump-1\"\nvlan = { outer = 20, inner = 30 }",
    );
    let mut w = Ward::under(&leave);
    let stacked = tagged(
        &[(0x88a8, 20), (0x8100, 30)],
        &udp(&PUMP, &SERVER, LOG, b""),
    );
    w.ward(&stacked, Allowed);
    w.swap(POLICY);
    w.ward(&stacked, VlanStack);
}

#[test]
fn row_a_third_tag_never_passes_an_enforced_device() {
    let tags = [(0x8100, 20), (0x8100, 30), (0x8100, 40)];
    Ward::new().ward(&tagged(&tags, &udp(&PUMP, &SERVER, LOG, b"")), VlanStack);
}

#[test]
fn row_link_protocols_pass_both_ways() {
    let mut w = Ward::new();
    let to = |last| [1, 0x80, 0xc2, 0, 0, last];
    let bpdu = [&[0x42, 0x42, 3][..], &[0; 35]].concat();
    for (last, ethertype, body) in [
        (0, 38, bpdu.as_slice()),     // spanning tree
        (2, 0x8809, &[1; 46][..]),    // LACP
        (3, 0x888e, &[1; 46][..]),    // EAPOL
        (0x0e, 0x88cc, &[2; 46][..]), // LLDP
        (0x0e, 0x88f7, &[2; 46][..]), // PTP peer delay
    ] {
        w.ward(&ethernet(PUMP.mac, to(last), ethertype, body), Baseline);
        w.core(&ethernet(GATEWAY.mac, to(last), ethertype, body), Baseline);
    }
}

#[test]
fn row_pause_never_passes_in_any_mode() {
    for mode in ["observe", "simulate", "enforce"] {
        let mut w = Ward::under(&pump_in(mode));
        for opcode in [1, 0x0101_u16] {
            let body = [&opcode.to_be_bytes()[..], &[0; 44]].concat();
            let pause = ethernet(PUMP.mac, [1, 0x80, 0xc2, 0, 0, 1], 0x8808, &body);
            w.ward(&pause, PauseFrame);
            w.core(&pause, PauseFrame);
        }
    }
}

#[test]
fn row_unknown_ethertype_is_denied() {
    let mut w = Ward::new();
    w.ward(
        &ethernet(PUMP.mac, SERVER.mac, 0x1234, &[0; 46]),
        BaselineDenied,
    );
    w.core(
        &ethernet(SERVER.mac, PUMP.mac, 0x1234, &[0; 46]),
        BaselineDenied,
    );
    w.ward(
        &ethernet(PUMP.mac, SERVER.mac, 40, &[0xe0; 40]),
        BaselineDenied,
    );
}

#[test]
fn row_ip_in_snap_is_no_way_around() {
    let ip = &udp(&PUMP, &STRANGER, (40_000, 9999), b"")[14..];
    let body = [&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], ip].concat();
    let frame = ethernet(
        PUMP.mac,
        STRANGER.mac,
        u16::try_from(body.len()).unwrap(),
        &body,
    );
    let mut w = Ward::new();
    let verdict = w.burst(wardline_policy::Side::Ward, &[frame])[0];
    assert!(!verdict.reason.forwards(), "{verdict:?}");
}

#[test]
fn row_tunnels_are_denied_by_number() {
    let mut w = Ward::new();
    for protocol in [4, 41, 47, 50] {
        w.ward(&ip4(&PUMP, &SERVER, protocol, &[0; 40]), NoRule);
        w.core(&ip4(&SERVER, &PUMP, protocol, &[0; 40]), NoRule);
    }
}

#[test]
fn row_device_mac_on_the_wrong_side_is_told_and_does_not_move_it() {
    let mut w = Ward::new();
    w.ward(&udp(&PUMP, &SERVER, LOG, b""), Allowed);
    w.events();
    for _ in 0..5 {
        w.core(&arp_request(&PUMP, GATEWAY.ip), Baseline);
    }
    let events = w.events();
    let told = events
        .iter()
        .filter(|e| e.kind == EventKind::WrongSide)
        .count();
    assert_eq!(told, 1, "{events:?}");
    let device = w
        .engine
        .devices()
        .find(|d| d.key.mac.0 == PUMP.mac)
        .unwrap();
    assert_eq!(device.wrong_side, 5);
    w.ward(&udp(&PUMP, &SERVER, LOG, b""), Established);
}

#[test]
fn row_core_station_on_the_ward_side_is_a_spoof() {
    let mut w = Ward::new();
    w.core(&arp_request(&SERVER, PUMP.ip), Baseline);
    w.ward(&udp(&SERVER, &STRANGER, LOG, b""), SpoofedMac);
}

#[test]
fn row_minimal_transport_headers_are_whole() {
    let mut w = Ward::new();
    w.ward(&udp(&PUMP, &SERVER, LOG, b""), Allowed);
    w.ward(&icmp(&PUMP, &SERVER, [8, 0], 7 << 16, b""), Allowed);
    // Ethernet padding is not part of the datagram.
    let mut padded = udp(&PUMP, &SERVER, (40_001, 514), b"");
    padded.resize(60, 0);
    w.ward(&padded, Allowed);
}
