//! Who is who: devices, addresses, and those who claim what is not theirs.

use std::net::Ipv6Addr;

use etherparse::{Icmpv6Type, IpNumber, icmpv6};
use wardline_engine::EventKind;
use wardline_policy::{Reason, Side};

use crate::lab::*;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const BROADCAST: [u8; 6] = [0xff; 6];

#[test]
fn a_device_appears_when_it_speaks_and_its_address_with_it() {
    let mut lab = Lab::new();
    passes(lab.ward(&arp_request(&MODALITY, PACS.ip)), Reason::Baseline);
    let device = lab.engine.devices().next().unwrap();
    assert_eq!(
        (device.name.as_str(), device.role.as_deref()),
        ("modality", Some("modality"))
    );
    assert_eq!(device.addresses, [MODALITY.ip]);
    assert_eq!(device.sent.frames, 1);
    let kinds: Vec<EventKind> = lab.events().iter().map(|e| e.kind).collect();
    let address = MODALITY.ip.into();
    assert_eq!(
        kinds,
        [EventKind::DeviceSeen, EventKind::AddressBound { address }]
    );
}

#[test]
fn row_arp() {
    let mut lab = Lab::new();
    passes(lab.ward(&arp_request(&MODALITY, PACS.ip)), Reason::Baseline);
    passes(lab.core(&arp_request(&PACS, MODALITY.ip)), Reason::Baseline);
    // Probe, announcement and reply about its own address.
    let any = v4("0.0.0.0");
    let own = (MODALITY.mac, MODALITY.ip);
    let probe = arp(
        MODALITY.mac,
        BROADCAST,
        false,
        (MODALITY.mac, any),
        MODALITY.ip,
    );
    passes(lab.ward(&probe), Reason::Baseline);
    passes(
        lab.ward(&arp(MODALITY.mac, BROADCAST, false, own, MODALITY.ip)),
        Reason::Baseline,
    );
    passes(
        lab.ward(&arp(MODALITY.mac, PACS.mac, true, own, PACS.ip)),
        Reason::Baseline,
    );
    // In another's name: another hardware address, a device's address, a fixed address nobody
    // uses yet, and the address of a station of the core side.
    let foreign = (PUMP.mac, MODALITY.ip);
    drops(
        lab.ward(&arp(MODALITY.mac, PACS.mac, true, foreign, PACS.ip)),
        Reason::SpoofedArp,
    );
    for address in [MODALITY.ip, PUMP.ip, PACS.ip] {
        let claim = arp(
            UNLISTED.mac,
            BROADCAST,
            true,
            (UNLISTED.mac, address),
            address,
        );
        drops(lab.ward(&claim), Reason::SpoofedArp);
    }
    // A question whether an address is free claims nothing.
    let probe = arp(
        UNLISTED.mac,
        BROADCAST,
        false,
        (UNLISTED.mac, any),
        MODALITY.ip,
    );
    passes(lab.ward(&probe), Reason::Baseline);
    assert_eq!(addresses(&lab, &MODALITY), [MODALITY.ip]);
}

#[test]
fn an_enforced_device_cannot_use_the_address_of_another() {
    let mut lab = Lab::new();
    lab.ward(&arp_request(&MODALITY, PACS.ip));
    lab.core(&arp_request(&PACS, MODALITY.ip));
    for victim in [&MODALITY, &PUMP, &PACS] {
        let liar = Station {
            mac: UNLISTED.mac,
            ..*victim
        };
        drops(
            lab.ward(&syn(&liar, &CONSUMER, (40_000, 2575))),
            Reason::SpoofedIpv4,
        );
    }
    let packet = ipv6(
        MODALITY.ip6,
        PACS.ip6,
        IpNumber::UDP,
        64,
        &udp_datagram((1, 2), b""),
    );
    let honest = ethernet(
        MODALITY.mac,
        PACS.mac,
        &[],
        0x86dd,
        &ipv6(
            MODALITY.ip6,
            PACS.ip6,
            IpNumber::TCP,
            64,
            &tcp_segment((40_000, 104), SYN, (1, 0), b""),
        ),
    );
    passes(lab.ward(&honest), Reason::Allowed);
    let liar = ethernet(UNLISTED.mac, PACS.mac, &[], 0x86dd, &packet);
    drops(lab.ward(&liar), Reason::SpoofedIpv6);
}

#[test]
fn a_conversation_cannot_be_taken_over_by_another_station() {
    let mut lab = Lab::new();
    lab.connect(Side::Ward, &MODALITY, &PACS, 104);
    let liar = Station {
        mac: PUMP.mac,
        ..MODALITY
    };
    let data = tcp(&liar, &PACS, (40_000, 104), ACK, (1001, 5001), b"x");
    drops(lab.ward(&data), Reason::SpoofedMac);
    let data = tcp(&MODALITY, &PACS, (40_000, 104), ACK, (1001, 5001), b"x");
    passes(lab.ward(&data), Reason::Established);
}

#[test]
fn a_ward_station_cannot_use_the_mac_of_a_core_station() {
    let mut lab = Lab::new();
    lab.core(&arp_request(&PACS, MODALITY.ip));
    drops(
        lab.ward(&syn(&PACS, &CONSUMER, (40_000, 2575))),
        Reason::SpoofedMac,
    );
    assert_eq!(lab.engine.devices().count(), 0);
}

#[test]
fn an_address_is_free_again_after_two_silent_minutes() {
    let mut lab = Lab::new();
    lab.ward(&arp_request(&MODALITY, PACS.ip));
    let successor = Station {
        mac: MONITOR.mac,
        ..MODALITY
    };
    drops(
        lab.ward(&arp_request(&successor, PACS.ip)),
        Reason::SpoofedArp,
    );
    lab.wait(121);
    passes(
        lab.ward(&arp_request(&successor, PACS.ip)),
        Reason::Baseline,
    );
    assert_eq!(addresses(&lab, &MONITOR), [MODALITY.ip]);
}

#[test]
fn a_busy_conversation_keeps_its_address_bound() {
    let mut lab = Lab::new();
    lab.connect(Side::Ward, &MODALITY, &PACS, 104);
    for _ in 0..10 {
        lab.wait(30);
        let data = tcp(&MODALITY, &PACS, (40_000, 104), ACK, (1001, 5001), b"");
        passes(lab.ward(&data), Reason::Established);
        lab.engine.idle(lab.now_ns, 1_000_000);
    }
    let liar = Station {
        mac: UNLISTED.mac,
        ..MODALITY
    };
    drops(lab.ward(&arp_request(&liar, PACS.ip)), Reason::SpoofedArp);
}

#[test]
fn row_nd_dad() {
    let mut lab = Lab::new();
    let solicitation = |target: Ipv6Addr| [&[0; 4][..], &target.octets()].concat();
    // The four reserved bytes are part of the header of etherparse's raw type.
    let raw = |kind: u8, flags: u8| Icmpv6Type::Unknown {
        type_u8: kind,
        code_u8: 0,
        bytes5to8: [flags, 0, 0, 0],
    };
    let node = MODALITY.ip6.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(node[13]), 1);
    let dad = icmp6(
        (MODALITY.mac, Ipv6Addr::UNSPECIFIED),
        ([0x33, 0x33, 0xff, 0, 0, 1], group),
        raw(135, 0),
        &solicitation(MODALITY.ip6)[4..],
    );
    passes(lab.ward(&dad), Reason::Baseline);
    assert_eq!(addresses(&lab, &MODALITY), [MODALITY.ip6]);
    // Another station advertises the address as its own.
    let advertise = |from: &Station, target: Ipv6Addr, link: [u8; 6]| {
        let body = [&target.octets()[..], &[2, 1], &link].concat();
        icmp6(
            (from.mac, from.ip6),
            (ALL_NODES_MAC, ALL_NODES),
            raw(136, 0x20),
            &body,
        )
    };
    passes(
        lab.ward(&advertise(&MODALITY, MODALITY.ip6, MODALITY.mac)),
        Reason::Baseline,
    );
    let claim = advertise(&UNLISTED, MODALITY.ip6, UNLISTED.mac);
    drops(lab.ward(&claim), Reason::SpoofedNd);
    let link = advertise(&MODALITY, MODALITY.ip6, PACS.mac);
    drops(lab.ward(&link), Reason::SpoofedNd);
    // From behind a router.
    let mut far = advertise(&MODALITY, MODALITY.ip6, MODALITY.mac);
    far[14 + 7] = 64;
    drops(lab.ward(&far), Reason::NdOffLink);
}

#[test]
fn row_ra_and_redirect_from_ward() {
    let mut lab = Lab::new();
    let local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let advertisement = icmpv6::RouterAdvertisementHeader {
        cur_hop_limit: 64,
        managed_address_config: false,
        other_config: false,
        router_lifetime: 1800,
    };
    let ra = |mac| {
        icmp6(
            (mac, local),
            (ALL_NODES_MAC, ALL_NODES),
            Icmpv6Type::RouterAdvertisement(advertisement),
            &[0; 8],
        )
    };
    drops(lab.ward(&ra(MODALITY.mac)), Reason::RogueRa);
    passes(lab.core(&ra(PACS.mac)), Reason::Baseline);
    // Behind an extension header.
    let frame = ra(MODALITY.mac);
    let hidden = [&[58, 0, 1, 4, 0, 0, 0, 0][..], &frame[14 + 40..]].concat();
    let packet = ipv6(local, ALL_NODES, IpNumber(60), 255, &hidden);
    drops(
        lab.ward(&ethernet(MODALITY.mac, ALL_NODES_MAC, &[], 0x86dd, &packet)),
        Reason::RogueRa,
    );
    let redirect = Icmpv6Type::Unknown {
        type_u8: 137,
        code_u8: 0,
        bytes5to8: [0; 4],
    };
    let body = [PACS.ip6.octets(), PACS.ip6.octets()].concat();
    let to = (PACS.mac, PACS.ip6);
    drops(
        lab.ward(&icmp6((MODALITY.mac, local), to, redirect, &body)),
        Reason::RogueRa,
    );
    let to = (MODALITY.mac, MODALITY.ip6);
    drops(
        lab.core(&icmp6((PACS.mac, local), to, redirect, &body)),
        Reason::IcmpRedirect,
    );
}

#[test]
fn row_mld_from_unspecified() {
    let mut lab = Lab::new();
    let report = Icmpv6Type::Unknown {
        type_u8: 143,
        code_u8: 0,
        bytes5to8: [0; 4],
    };
    let routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
    let frame = icmp6(
        (MODALITY.mac, Ipv6Addr::UNSPECIFIED),
        ([0x33, 0x33, 0, 0, 0, 0x16], routers),
        report,
        b"",
    );
    passes(lab.ward(&frame), Reason::Baseline);
    assert!(addresses(&lab, &MODALITY).is_empty());
}

#[test]
fn row_igmp_mld() {
    let mut lab = Lab::new();
    let group = v4("239.255.255.250");
    let report = ipv4(
        MODALITY.ip,
        group,
        IpNumber::IGMP,
        &[0x16, 0, 0, 0, 239, 255, 255, 250],
    );
    let frame = ethernet(
        MODALITY.mac,
        [1, 0, 0x5e, 0x7f, 0xff, 0xfa],
        &[],
        0x0800,
        &report,
    );
    passes(lab.ward(&frame), Reason::Baseline);
    let query = ipv4(
        PACS.ip,
        v4("224.0.0.1"),
        IpNumber::IGMP,
        &[0x11, 0, 0, 0, 0, 0, 0, 0],
    );
    let frame = ethernet(PACS.mac, [1, 0, 0x5e, 0, 0, 1], &[], 0x0800, &query);
    passes(lab.core(&frame), Reason::Baseline);
}

/// DISCOVER to ACK of a device that gets `address`.
fn lease(lab: &mut Lab, device: &Station, address: std::net::Ipv4Addr, lease_s: u32) {
    let client = Station {
        ip: v4("0.0.0.0"),
        ..*device
    };
    let options = [
        53, 1, 3, 12, 3, b'c', b't', b'1', 60, 2, b'G', b'E', 55, 2, 1, 3,
    ];
    let request = dhcp(1, 77, device.mac, v4("0.0.0.0"), &options);
    let broadcast = v4("255.255.255.255");
    passes(
        lab.ward(&udp_group(&client, broadcast, (68, 67), &request)),
        Reason::Baseline,
    );
    let mut options = vec![53, 1, 5, 51, 4];
    options.extend(lease_s.to_be_bytes());
    let ack = dhcp(2, 77, device.mac, address, &options);
    let to = Station {
        mac: device.mac,
        ip: address,
        ..*device
    };
    passes(lab.core(&udp(&PACS, &to, (67, 68), &ack)), Reason::Baseline);
}

#[test]
fn row_dhcp_dhcpv6() {
    let mut lab = Lab::new();
    let address = v4("10.0.0.77");
    lease(&mut lab, &MODALITY, address, 3_600);
    assert_eq!(addresses(&lab, &MODALITY), [address]);
    let facts = lab.engine.devices().next().unwrap().dhcp.unwrap();
    assert_eq!(
        (facts.hostname.as_str(), facts.vendor_class.as_str()),
        ("ct1", "GE")
    );
    assert_eq!(facts.parameter_list, [1, 3]);
    // The lease outlives silence; then it is free.
    lab.wait(3_000);
    let other = Station {
        mac: MONITOR.mac,
        ip: address,
        ..MONITOR
    };
    drops(lab.ward(&arp_request(&other, PACS.ip)), Reason::SpoofedArp);
    lab.wait(700);
    passes(lab.ward(&arp_request(&other, PACS.ip)), Reason::Baseline);

    // An ACK nobody asked for binds nothing.
    let stray = dhcp(2, 78, MODALITY.mac, v4("10.0.0.78"), &[53, 1, 5]);
    lab.core(&udp(&PACS, &MODALITY, (67, 68), &stray));
    assert!(!addresses(&lab, &MODALITY).contains(&v4("10.0.0.78").into()));

    // Servers on the ward side.
    let offer = dhcp(2, 77, MODALITY.mac, v4("10.0.0.66"), &[53, 1, 2]);
    drops(
        lab.ward(&udp(&MONITOR, &MODALITY, (67, 68), &offer)),
        Reason::RogueDhcp,
    );
    drops(
        lab.ward(&udp(&MONITOR, &MODALITY, (68, 67), &offer)),
        Reason::RogueDhcp,
    );
    drops(
        lab.ward(&udp(&MONITOR, &MODALITY, (67, 68), b"?")),
        Reason::RogueDhcp,
    );
    let advertise = udp_datagram((547, 546), &[2, 0, 0, 9]);
    let packet = ipv6(MONITOR.ip6, MODALITY.ip6, IpNumber::UDP, 64, &advertise);
    let frame = ethernet(MONITOR.mac, MODALITY.mac, &[], 0x86dd, &packet);
    drops(lab.ward(&frame), Reason::RogueDhcp);
}

#[test]
fn a_released_address_is_free_at_once() {
    let mut lab = Lab::new();
    let address = v4("10.0.0.77");
    lease(&mut lab, &MODALITY, address, 3_600);
    let client = Station {
        ip: address,
        ..MODALITY
    };
    let mut release = dhcp(1, 79, MODALITY.mac, v4("0.0.0.0"), &[53, 1, 7]);
    release[12..16].copy_from_slice(&address.octets());
    passes(
        lab.ward(&udp(&client, &PACS, (68, 67), &release)),
        Reason::Established,
    );
    let other = Station {
        mac: MONITOR.mac,
        ip: address,
        ..MONITOR
    };
    passes(lab.ward(&arp_request(&other, PACS.ip)), Reason::Baseline);
}

#[test]
fn row_mac_on_the_wrong_side() {
    let mut lab = Lab::new();
    lab.ward(&arp_request(&MODALITY, PACS.ip));
    lab.ward(&arp_request(&PUMP, CONSUMER.ip));
    lab.events();
    // The modality's frame comes back from the core side: told about, and otherwise judged as
    // what it is.
    let looped = arp_request(&MODALITY, PACS.ip);
    passes(lab.core(&looped), Reason::Baseline);
    passes(lab.core(&looped), Reason::Baseline);
    let wrong = lab
        .events()
        .iter()
        .filter(|e| e.kind == EventKind::WrongSide)
        .count();
    assert_eq!(wrong, 1);
    let device = lab.engine.devices().find(|d| d.name == "modality").unwrap();
    assert_eq!(device.wrong_side, 2);
    // Nothing was learnt from it.
    passes(lab.ward(&arp_request(&MODALITY, PACS.ip)), Reason::Baseline);
}
