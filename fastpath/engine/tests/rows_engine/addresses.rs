//! Whose an address is: ARP, neighbour discovery, DHCP, and who lies about it.

use std::net::IpAddr;

use wardline_engine::EventKind;
use wardline_policy::Reason::*;

use crate::frames::*;
use crate::ward::*;

const LOG: (u16, u16) = (40_000, 514);

fn addresses(w: &Ward, station: &Station) -> Vec<IpAddr> {
    let mut devices = w.engine.devices();
    let found = devices.find(|d| d.key.mac.0 == station.mac);
    found.map(|d| d.addresses).unwrap_or_default()
}

#[test]
fn row_arp_probe_and_announcement_of_the_own_address() {
    let mut w = Ward::new();
    w.ward(
        &arp(
            PUMP.mac,
            BROADCAST,
            1,
            (PUMP.mac, [0; 4]),
            ([0; 6], PUMP.ip),
        ),
        Baseline,
    );
    w.ward(
        &arp(
            PUMP.mac,
            BROADCAST,
            1,
            (PUMP.mac, PUMP.ip),
            ([0; 6], PUMP.ip),
        ),
        Baseline,
    );
    assert_eq!(addresses(&w, &PUMP), [IpAddr::from(PUMP.ip)]);
}

#[test]
fn row_arp_for_another_mac_is_a_spoof() {
    let mut w = Ward::new();
    w.ward(
        &arp(
            PUMP.mac,
            BROADCAST,
            1,
            (MONITOR.mac, PUMP.ip),
            ([0; 6], SERVER.ip),
        ),
        SpoofedArp,
    );
}

#[test]
fn row_arp_that_claims_another_device_is_a_spoof() {
    let mut w = Ward::new();
    w.ward(&arp_request(&MONITOR, SERVER.ip), Baseline);
    for op in [1, 2] {
        let claim = arp(
            PUMP.mac,
            GATEWAY.mac,
            op,
            (PUMP.mac, MONITOR.ip),
            (GATEWAY.mac, GATEWAY.ip),
        );
        w.ward(&claim, SpoofedArp);
    }
    assert_eq!(addresses(&w, &MONITOR), [IpAddr::from(MONITOR.ip)]);
}

#[test]
fn row_arp_that_claims_the_gateway_is_a_spoof() {
    let mut w = Ward::new();
    w.core(&arp_request(&GATEWAY, PUMP.ip), Baseline);
    w.ward(
        &arp(
            PUMP.mac,
            BROADCAST,
            2,
            (PUMP.mac, GATEWAY.ip),
            (BROADCAST, GATEWAY.ip),
        ),
        SpoofedArp,
    );
    w.ward(&arp_request(&PUMP.at(GATEWAY.ip), SERVER.ip), SpoofedArp);
}

#[test]
fn row_arp_and_traffic_for_a_fixed_address_of_another_device() {
    let fixed = POLICY.replace(
        "name = \"pump-2\"",
        "name = \"pump-2\"\naddresses = \"10.0.0.12\"",
    );
    let mut w = Ward::under(&fixed);
    // Nobody has spoken yet.
    w.ward(&arp_request(&PUMP.at(MONITOR.ip), SERVER.ip), SpoofedArp);
    w.ward(&udp(&PUMP.at(MONITOR.ip), &SERVER, LOG, b""), SpoofedIpv4);
    w.ward(&udp(&MONITOR, &SERVER, LOG, b""), Allowed);
}

#[test]
fn row_traffic_with_an_address_of_another_device_is_a_spoof() {
    let mut w = Ward::new();
    w.ward(&udp(&MONITOR, &SERVER, LOG, b""), Allowed);
    // A new conversation, and the other device's own.
    w.ward(
        &udp(&PUMP.at(MONITOR.ip), &SERVER, (40_001, 514), b""),
        SpoofedIpv4,
    );
    w.ward(&udp(&PUMP.at(MONITOR.ip), &SERVER, LOG, b""), SpoofedMac);
    w.ward(&udp(&MONITOR, &SERVER, LOG, b""), Established);
    w.ward(&udp6(&MONITOR, &SERVER, LOG, b""), Allowed);
    w.ward(
        &udp6(&PUMP.at(MONITOR.ip), &SERVER, (40_001, 514), b""),
        SpoofedIpv6,
    );
}

#[test]
fn row_spoofed_frames_in_observe_pass_and_are_recorded_but_bind_nothing() {
    let mut w = Ward::under(&pump_in("observe"));
    w.ward(&udp(&MONITOR, &SERVER, LOG, b""), Allowed);
    let verdict = w.ward(
        &udp(&PUMP.at(MONITOR.ip), &SERVER, (40_001, 514), b""),
        Observed,
    );
    assert_eq!(verdict.would_drop, Some(SpoofedIpv4));
    assert_eq!(addresses(&w, &MONITOR), [IpAddr::from(MONITOR.ip)]);
    w.ward(&udp(&MONITOR, &SERVER, LOG, b""), Established);
}

#[test]
fn row_nd_needs_hop_limit_255() {
    let mut w = Ward::new();
    let message = neighbour(135, SERVER.ip6(), Some(PUMP.mac));
    for (hop_limit, reason) in [(255, Baseline), (254, NdOffLink), (64, NdOffLink)] {
        let frame = ip6(
            (PUMP.mac, SERVER.mac),
            PUMP.ip6(),
            SERVER.ip6(),
            (58, hop_limit),
            &message,
        );
        w.ward(&frame, reason);
    }
}

#[test]
fn row_dad_from_unspecified_starts_a_binding() {
    let mut w = Ward::new();
    let probe = neighbour(135, PUMP.ip6(), None);
    let mut solicited = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
    solicited[13..].copy_from_slice(&PUMP.ip6()[13..]);
    let mac = [
        0x33,
        0x33,
        0xff,
        solicited[13],
        solicited[14],
        solicited[15],
    ];
    w.ward(&nd(PUMP.mac, mac, [0; 16], solicited, &probe), Baseline);
    assert_eq!(addresses(&w, &PUMP), [IpAddr::from(PUMP.ip6())]);
    // From now on it is nobody else's.
    w.ward(&udp6(&MONITOR.at(PUMP.ip), &SERVER, LOG, b""), SpoofedIpv6);
}

#[test]
fn row_advertised_target_must_be_the_senders() {
    let mut w = Ward::new();
    w.ward(&udp6(&MONITOR, &SERVER, LOG, b""), Allowed);
    let lie = neighbour(136, MONITOR.ip6(), Some(PUMP.mac));
    w.ward(
        &nd(PUMP.mac, SERVER.mac, PUMP.ip6(), SERVER.ip6(), &lie),
        SpoofedNd,
    );
    let other_mac = neighbour(136, PUMP.ip6(), Some(MONITOR.mac));
    w.ward(
        &nd(PUMP.mac, SERVER.mac, PUMP.ip6(), SERVER.ip6(), &other_mac),
        SpoofedNd,
    );
    let own = neighbour(136, PUMP.ip6(), Some(PUMP.mac));
    w.ward(
        &nd(PUMP.mac, SERVER.mac, PUMP.ip6(), SERVER.ip6(), &own),
        Baseline,
    );
}

#[test]
fn row_mld_from_unspecified_passes() {
    let mut w = Ward::new();
    let mut report = vec![143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0];
    report.extend(ALL_NODES);
    let routers = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16];
    let hop_by_hop = [&[58, 0, 5, 2, 0, 0, 1, 0][..], &report].concat();
    let macs = (PUMP.mac, [0x33, 0x33, 0, 0, 0, 0x16]);
    w.ward(&ip6(macs, [0; 16], routers, (0, 1), &hop_by_hop), Baseline);
}

#[test]
fn row_igmp_passes_with_router_alert() {
    let mut w = Ward::new();
    let mut header = etherparse::Ipv4Header {
        time_to_live: 1,
        protocol: etherparse::IpNumber::IGMP,
        source: PUMP.ip,
        destination: [224, 0, 0, 22],
        options: [148, 4, 0, 0].into(),
        ..Default::default()
    };
    header.set_payload_len(8).unwrap();
    header.header_checksum = header.calc_header_checksum();
    let packet = [&header.to_bytes()[..], &[0x16, 0, 9, 4, 239, 255, 255, 250]].concat();
    w.ward(
        &ethernet(PUMP.mac, [1, 0, 0x5e, 0, 0, 22], IPV4, &packet),
        Baseline,
    );
}

#[test]
fn row_router_messages_from_the_ward_are_rogue() {
    let mut w = Ward::new();
    let advertisement = [&[134, 0, 0, 0, 64, 0, 7, 8][..], &[0; 8]].concat();
    let redirect = [
        &[137, 0, 0, 0, 0, 0, 0, 0][..],
        &SERVER.ip6(),
        &STRANGER.ip6(),
    ]
    .concat();
    for message in [&advertisement, &redirect] {
        w.ward(
            &nd(PUMP.mac, ALL_NODES_MAC, PUMP.ip6(), ALL_NODES, message),
            RogueRa,
        );
        // Behind an extension header as well.
        let hidden = [&[58, 0, 1, 4, 0, 0, 0, 0][..], message].concat();
        let macs = (PUMP.mac, ALL_NODES_MAC);
        w.ward(
            &ip6(macs, PUMP.ip6(), ALL_NODES, (60, 255), &hidden),
            RogueRa,
        );
    }
    // In fragments it does not get through either.
    let fragment = [&[58, 0, 0, 1, 0, 0, 0, 9][..], &advertisement].concat();
    let macs = (PUMP.mac, ALL_NODES_MAC);
    let verdict = w.burst(
        wardline_policy::Side::Ward,
        &[ip6(macs, PUMP.ip6(), ALL_NODES, (44, 255), &fragment)],
    )[0];
    assert!(!verdict.reason.forwards(), "{verdict:?}");
    // The router on the core side is one.
    let mut router = [0; 16];
    (router[0], router[1], router[15]) = (0xfe, 0x80, 1);
    w.core(
        &nd(
            GATEWAY.mac,
            ALL_NODES_MAC,
            router,
            ALL_NODES,
            &advertisement,
        ),
        Baseline,
    );
}

#[test]
fn row_dhcp_server_on_the_ward_is_rogue() {
    let mut w = Ward::new();
    w.ward(&dhcp_ack(&PUMP, &MONITOR, 7), RogueDhcp);
    let offer = dhcp(2, 7, MONITOR.ip, MONITOR.mac, &[53, 1, 2]);
    w.ward(&udp(&PUMP, &EVERYBODY, (67, 68), &offer), RogueDhcp);
    // From another port it is one too.
    w.ward(&udp(&PUMP, &EVERYBODY, (4000, 68), &offer), RogueDhcp);
    let reply = [7, 0, 0, 1, 0, 1, 0, 4, 0, 3, 0, 1];
    w.ward(&udp6(&PUMP, &MONITOR, (547, 546), &reply), RogueDhcp);
}

#[test]
fn row_dhcp_server_inside_a_clients_own_flow_is_rogue() {
    let mut w = Ward::new();
    w.ward(
        &udp(
            &PUMP,
            &SERVER,
            (68, 67),
            &dhcp(1, 7, [0; 4], PUMP.mac, &[53, 1, 3]),
        ),
        Baseline,
    );
    w.ward(
        &udp(
            &PUMP,
            &SERVER,
            (68, 67),
            &dhcp(2, 7, MONITOR.ip, MONITOR.mac, &[53, 1, 5]),
        ),
        RogueDhcp,
    );
}

#[test]
fn row_dhcp_ack_binds() {
    let mut w = Ward::new();
    w.ward(&dhcp_request(&PUMP, 0xabcd), Baseline);
    assert!(addresses(&w, &PUMP).is_empty());
    // Another transaction is not an answer.
    w.core(
        &dhcp_ack(&SERVER, &PUMP.at([10, 0, 0, 77]), 0x1111),
        Baseline,
    );
    assert!(addresses(&w, &PUMP).is_empty());
    w.core(&dhcp_ack(&SERVER, &PUMP, 0xabcd), Baseline);
    assert_eq!(addresses(&w, &PUMP), [IpAddr::from(PUMP.ip)]);
    let bound = EventKind::AddressBound {
        address: IpAddr::from(PUMP.ip),
    };
    assert!(w.events().iter().any(|e| e.kind == bound));
    // It holds for the lease although nobody uses it.
    w.wait_s(1800);
    w.idle();
    w.ward(&udp(&MONITOR.at(PUMP.ip), &SERVER, LOG, b""), SpoofedIpv4);
    let device = w
        .engine
        .devices()
        .find(|d| d.key.mac.0 == PUMP.mac)
        .unwrap();
    assert_eq!(device.dhcp.unwrap().hostname, "dock");
}

#[test]
fn row_lease_of_another_device_takes_a_used_address_over() {
    let mut w = Ward::new();
    w.ward(&arp_request(&PUMP.at([10, 0, 0, 50]), SERVER.ip), Baseline);
    w.ward(&dhcp_request(&MONITOR, 1), Baseline);
    let leased = MONITOR.at([10, 0, 0, 50]);
    w.core(&dhcp_ack(&SERVER, &leased, 1), Baseline);
    w.ward(&udp(&leased, &SERVER, LOG, b""), Allowed);
    w.ward(
        &udp(&PUMP.at(leased.ip), &SERVER, (40_001, 514), b""),
        SpoofedIpv4,
    );
}

#[test]
fn row_replaced_device_gets_the_address_after_silence() {
    let mut w = Ward::new();
    w.ward(&udp(&MONITOR, &SERVER, LOG, b""), Allowed);
    w.wait_s(130);
    w.ward(
        &udp(&PUMP.at(MONITOR.ip), &SERVER, (40_001, 514), b""),
        Allowed,
    );
}
