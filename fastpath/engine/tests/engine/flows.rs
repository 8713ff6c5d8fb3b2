//! UDP, ICMP, SCTP and the rest; answers, names and limits.

use std::net::Ipv4Addr;

use etherparse::{IcmpEchoHeader, Icmpv4Type, IpNumber, icmpv4};
use wardline_engine::EventKind;
use wardline_policy::{Reason, Side};

use crate::lab::*;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);

#[test]
fn udp_is_answered_for_two_minutes() {
    let mut lab = Lab::new();
    passes(
        lab.ward(&udp(&MODALITY, &PACS, (6000, 5000), b"q")),
        Reason::Allowed,
    );
    assert_eq!(lab.flow_state(), "unanswered");
    lab.wait(119);
    passes(
        lab.core(&udp(&PACS, &MODALITY, (5000, 6000), b"a")),
        Reason::Established,
    );
    assert_eq!(lab.flow_state(), "answered");
    lab.wait(121);
    drops(
        lab.core(&udp(&PACS, &MODALITY, (5000, 6000), b"a")),
        Reason::NoRule,
    );
}

#[test]
fn row_minimal_l4() {
    let mut lab = Lab::new();
    passes(
        lab.ward(&udp(&MODALITY, &PACS, (6000, 5000), b"")),
        Reason::Allowed,
    );
    let echo = Icmpv4Type::EchoRequest(IcmpEchoHeader { id: 1, seq: 1 });
    passes(
        lab.ward(&icmp(&MODALITY, &PACS, echo, b"")),
        Reason::Allowed,
    );
}

#[test]
fn an_echo_is_answered_by_its_reply_and_nothing_else() {
    let mut lab = Lab::new();
    let echo = IcmpEchoHeader { id: 77, seq: 1 };
    passes(
        lab.ward(&icmp(&MODALITY, &PACS, Icmpv4Type::EchoRequest(echo), b"x")),
        Reason::Allowed,
    );
    let reply = icmp(&PACS, &MODALITY, Icmpv4Type::EchoReply(echo), b"x");
    passes(lab.core(&reply), Reason::Established);
    // The peer may not ask with the same identifier, nor answer what was not asked.
    let request = icmp(&PACS, &MODALITY, Icmpv4Type::EchoRequest(echo), b"x");
    drops(lab.core(&request), Reason::NoRule);
    let other = IcmpEchoHeader { id: 78, seq: 1 };
    drops(
        lab.core(&icmp(&PACS, &MODALITY, Icmpv4Type::EchoReply(other), b"")),
        Reason::NoRule,
    );
    lab.wait(61);
    drops(lab.core(&reply), Reason::NoRule);
}

#[test]
fn row_icmp_error() {
    let mut lab = Lab::new();
    lab.connect(Side::Ward, &MODALITY, &PACS, 104);
    let data = tcp(&MODALITY, &PACS, (40_000, 104), ACK, (1001, 5001), b"DICOM");
    lab.ward(&data);
    let unreachable = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Host);
    let about = |frame: &[u8]| datagram(frame)[..28].to_vec();
    // From a router on the way, about what the modality sent.
    let error = icmp(&ATTACKER, &MODALITY, unreachable.clone(), &about(&data));
    passes(lab.core(&error), Reason::RelatedIcmp);
    // About what nobody sent: another port, another direction, a sequence number from nowhere.
    let other = tcp(&MODALITY, &PACS, (40_001, 104), ACK, (1001, 5001), b"");
    let error = icmp(&ATTACKER, &MODALITY, unreachable.clone(), &about(&other));
    drops(lab.core(&error), Reason::IcmpUnrelated);
    let reverse = tcp(&PACS, &MODALITY, (104, 40_000), ACK, (5001, 1001), b"");
    let error = icmp(&ATTACKER, &MODALITY, unreachable.clone(), &about(&reverse));
    drops(lab.core(&error), Reason::IcmpUnrelated);
    let wild = tcp(
        &MODALITY,
        &PACS,
        (40_000, 104),
        ACK,
        (0x7000_0000, 5001),
        b"",
    );
    let error = icmp(&ATTACKER, &MODALITY, unreachable.clone(), &about(&wild));
    drops(lab.core(&error), Reason::IcmpUnrelated);
    // The device's own error about what it got.
    let error = icmp(&MODALITY, &PACS, unreachable, &about(&reverse));
    passes(lab.ward(&error), Reason::RelatedIcmp);

    let too_big = |mtu| {
        Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::FragmentationNeeded {
            next_hop_mtu: mtu,
        })
    };
    drops(
        lab.core(&icmp(&ATTACKER, &MODALITY, too_big(60), &about(&data))),
        Reason::IcmpMtu,
    );
    let error = icmp(&ATTACKER, &MODALITY, too_big(1400), &about(&data));
    passes(lab.core(&error), Reason::RelatedIcmp);
    let redirect = Icmpv4Type::Redirect(icmpv4::RedirectHeader {
        code: icmpv4::RedirectCode::RedirectForHost,
        gateway_internet_address: ATTACKER.ip.octets(),
    });
    for side in [Side::Core, Side::Ward] {
        let (from, to) = match side {
            Side::Core => (&ATTACKER, &MODALITY),
            Side::Ward => (&MODALITY, &PACS),
        };
        drops(
            lab.send(side, &icmp(from, to, redirect.clone(), &about(&data))),
            Reason::IcmpRedirect,
        );
    }
}

#[test]
fn row_sctp() {
    let mut lab = Lab::new();
    // Both endpoints chose the same tag.
    let chunk = |from: &Station, to: &Station, ports: (u16, u16), kind: u8| {
        let tag = if kind == 1 { 0 } else { 9 };
        let mut packet = ports.0.to_be_bytes().to_vec();
        packet.extend(ports.1.to_be_bytes());
        packet.extend([0, 0, 0, tag, 0, 0, 0, 0, kind, 0, 0, 8, 0, 0, 0, 9]);
        let packet = ipv4(from.ip, to.ip, IpNumber::SCTP, &packet);
        ethernet(from.mac, to.mac, &[], 0x0800, &packet)
    };
    let forth = (50_000, 2905);
    let back = (2905, 50_000);
    // DATA without an association.
    drops(
        lab.ward(&chunk(&MODALITY, &PACS, forth, 0)),
        Reason::TcpNoHandshake,
    );
    passes(
        lab.ward(&chunk(&MODALITY, &PACS, forth, 1)),
        Reason::Allowed,
    );
    passes(
        lab.core(&chunk(&PACS, &MODALITY, back, 2)),
        Reason::Established,
    );
    passes(
        lab.ward(&chunk(&MODALITY, &PACS, forth, 10)),
        Reason::Established,
    );
    assert_eq!(lab.flow_state(), "established");
    passes(
        lab.core(&chunk(&PACS, &MODALITY, back, 6)),
        Reason::Established,
    );
    assert_eq!(lab.flow_state(), "reset");
    drops(
        lab.ward(&chunk(&MODALITY, &PACS, (50_000, 2906), 1)),
        Reason::NoRule,
    );
}

#[test]
fn row_tunnels() {
    let mut lab = Lab::new();
    let inner = ipv4(
        MODALITY.ip,
        PACS.ip,
        IpNumber::TCP,
        &tcp_segment((1, 104), SYN, (1, 0), b""),
    );
    for protocol in [4, 41, 47, 50] {
        let packet = ipv4(MODALITY.ip, PACS.ip, IpNumber(protocol), &inner);
        let frame = ethernet(MODALITY.mac, PACS.mac, &[], 0x0800, &packet);
        drops(lab.ward(&frame), Reason::NoRule);
    }
    drops(
        lab.ward(&udp(&MODALITY, &PACS, (6000, 3544), &inner)),
        Reason::NoRule,
    );
}

#[test]
fn row_multicast_initiated_replies() {
    // The device asks, the hospital answers.
    let mut lab = Lab::new();
    let answer = udp(&CONSUMER, &MONITOR, (3702, 50_000), b"ProbeMatch");
    drops(lab.core(&answer), Reason::NoRule);
    lab.wait(2);
    passes(
        lab.ward(&udp_group(&MONITOR, GROUP, (50_000, 3702), b"Probe")),
        Reason::Allowed,
    );
    passes(lab.core(&answer), Reason::Answer);
    // Not who may not answer, not from another port, not to another one.
    let stranger = udp(&ATTACKER, &MONITOR, (3702, 50_000), b"ProbeMatch");
    drops(lab.core(&stranger), Reason::NoRule);
    drops(
        lab.core(&udp(&CONSUMER, &MONITOR, (3703, 50_000), b"")),
        Reason::NoRule,
    );
    drops(
        lab.core(&udp(&CONSUMER, &MONITOR, (3702, 50_001), b"")),
        Reason::NoRule,
    );
    // The window stays open across a change of policy that keeps the rule.
    lab.apply(WARD);
    passes(lab.core(&answer), Reason::Answer);
    lab.wait(6);
    drops(lab.core(&answer), Reason::NoRule);

    // The hospital asks, the device answers.
    let mut lab = Lab::new();
    lab.ward(&arp_request(&MONITOR, CONSUMER.ip));
    passes(
        lab.core(&udp_group(&CONSUMER, GROUP, (51_000, 3702), b"Probe")),
        Reason::Allowed,
    );
    let answer = udp(&MONITOR, &CONSUMER, (3702, 51_000), b"ProbeMatch");
    passes(lab.ward(&answer), Reason::Answer);
    drops(
        lab.core(&udp_group(&ATTACKER, GROUP, (51_000, 3702), b"Probe")),
        Reason::NoRule,
    );
    lab.wait(6);
    drops(lab.ward(&answer), Reason::NoRule);
}

#[test]
fn a_name_opens_only_the_addresses_its_device_was_told() {
    let mut lab = Lab::new();
    let cloud = Station {
        ip: v4("203.0.113.5"),
        ..PACS
    };
    let connection = syn(&MODALITY, &cloud, (40_000, 443));
    drops(lab.ward(&connection), Reason::NoRule);
    lab.wait(2);
    let question = dns(7, "updates.example", None);
    let answer = dns(7, "updates.example", Some((cloud.ip, 60)));
    // An answer to no question teaches nothing.
    passes(
        lab.ward(&udp(
            &MODALITY,
            &RESOLVER,
            (50_000, 53),
            &dns(6, "other.example", None),
        )),
        Reason::Allowed,
    );
    passes(
        lab.core(&udp(&RESOLVER, &MODALITY, (53, 50_000), &answer)),
        Reason::Established,
    );
    drops(lab.ward(&connection), Reason::NoRule);
    lab.wait(2);
    passes(
        lab.ward(&udp(&MODALITY, &RESOLVER, (50_000, 53), &question)),
        Reason::Established,
    );
    passes(
        lab.core(&udp(&RESOLVER, &MODALITY, (53, 50_000), &answer)),
        Reason::Established,
    );
    passes(lab.ward(&connection), Reason::Allowed);
    // Another device was told nothing.
    drops(lab.ward(&syn(&PUMP, &cloud, (40_000, 443))), Reason::NoRule);
    // The name expires for new conversations, not for the one that began.
    lab.wait(100);
    drops(
        lab.ward(&syn(&MODALITY, &cloud, (40_001, 443))),
        Reason::NoRule,
    );
    lab.apply(&WARD.replace("ports = 5000", "ports = 5001"));
    passes(lab.ward(&connection), Reason::Established);
}

#[test]
fn a_device_is_a_peer_by_the_address_bound_to_it() {
    let mut lab = Lab::new();
    passes(
        lab.ward(&syn(&MODALITY, &PUMP, (40_000, 8080))),
        Reason::Allowed,
    );
    drops(
        lab.ward(&syn(&MODALITY, &MONITOR, (40_000, 8080))),
        Reason::NoRule,
    );
}

#[test]
fn the_storm_guard_protects_the_device_and_nothing_else() {
    let mut lab = Lab::new();
    lab.ward(&arp_request(&MONITOR, CONSUMER.ip));
    let wave = udp(&CONSUMER, &MONITOR, (6001, 6000), b"x");
    let passed = (0..300)
        .filter(|_| lab.core(&wave).reason.forwards())
        .count();
    assert!((95..=101).contains(&passed), "{passed}");
    drops(lab.core(&wave), Reason::StormPackets);
    lab.wait(1);
    passes(lab.core(&wave), Reason::Established);
    // What it sends is not limited.
    lab.wait(10);
    for _ in 0..300 {
        passes(
            lab.ward(&udp(&MONITOR, &CONSUMER, (6000, 6001), b"x")),
            Reason::Established,
        );
    }
}

#[test]
fn new_conversations_and_broadcasts_towards_a_device_are_limited() {
    let mut lab = Lab::new();
    lab.ward(&arp_request(&MONITOR, CONSUMER.ip));
    let reasons: Vec<Reason> = (0..10)
        .map(|n| {
            lab.core(&udp(&CONSUMER, &MONITOR, (7000 + n, 6000), b"x"))
                .reason
        })
        .collect();
    assert_eq!(reasons[..5], [Reason::Allowed; 5]);
    assert_eq!(reasons[5..], [Reason::StormFlows; 5]);

    let broadcast = udp_group(&CONSUMER, v4("10.0.0.255"), (2000, 2000), b"time");
    let passed = (0..100)
        .filter(|_| lab.core(&broadcast).reason.forwards())
        .count();
    assert_eq!(passed, 20);
    drops(lab.core(&broadcast), Reason::StormBroadcast);
}

#[test]
fn a_scan_costs_one_event_a_second() {
    let mut lab = Lab::new();
    lab.ward(&arp_request(&MODALITY, PACS.ip));
    lab.events();
    for port in 1..1_000 {
        drops(
            lab.ward(&syn(&MODALITY, &PACS, (40_000, port))),
            match port {
                104 => continue,
                _ => Reason::NoRule,
            },
        );
        if port == 100 {
            break;
        }
    }
    lab.wait(2);
    drops(
        lab.ward(&syn(&MODALITY, &PACS, (40_000, 1))),
        Reason::NoRule,
    );
    let denied: Vec<u32> = lab
        .events()
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Denied {
                repeated,
                dropped: true,
                ..
            } => Some(repeated),
            _ => None,
        })
        .collect();
    assert_eq!(denied, [0, 99]);
}
