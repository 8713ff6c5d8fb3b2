//! What is read out of ARP, neighbour discovery, DHCP and DNS.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod parse_support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::IpNumber;
use parse_support::messages::*;
use parse_support::*;
use wardline_engine::snoop::arp::{self, ArpOp};
use wardline_engine::snoop::dhcp::{self, DhcpKind};
use wardline_engine::snoop::dhcpv6::{self, DhcpV6Kind, Lease};
use wardline_engine::snoop::dns;
use wardline_engine::snoop::nd::{self, NdKind, NdMessage};
use wardline_policy::{MacAddr, Reason};

const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const LINK_LOCAL: [u8; 16] = [
    0xfe, 0x80, 0, 0, 0, 0, 0, 0, 2, 9, 0xfb, 0xff, 0xfe, 1, 2, 3,
];
const SOLICITED: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 9];
const UNSPECIFIED: [u8; 16] = [0; 16];

// ARP.

#[test]
fn arp_request_and_reply() {
    let frame = arp_request();
    let message = arp::parse(&frame[14..]).unwrap();
    assert_eq!(
        (message.op, message.sender_mac),
        (ArpOp::Request, MacAddr(DEVICE_MAC))
    );
    assert_eq!(message.sender_ip, Ipv4Addr::new(10, 20, 0, 7));
    assert_eq!(message.target_ip, Ipv4Addr::new(10, 20, 0, 1));
    assert!(!message.is_probe() && !message.is_announcement());
    let reply = arp::parse(&arp(
        2,
        (PEER_MAC, [10, 20, 0, 1]),
        (DEVICE_MAC, [10, 20, 0, 7]),
    ));
    let reply = reply.unwrap();
    assert_eq!(
        (reply.op, reply.target_mac),
        (ArpOp::Reply, MacAddr(DEVICE_MAC))
    );
}

#[test]
fn row_arp_probe_and_announcement() {
    let probe = arp(1, (DEVICE_MAC, [0; 4]), ([0; 6], [10, 20, 0, 7]));
    assert!(arp::parse(&probe).unwrap().is_probe());
    for op in [1, 2] {
        let announcement = arp(op, (DEVICE_MAC, [10, 20, 0, 7]), ([0; 6], [10, 20, 0, 7]));
        let message = arp::parse(&announcement).unwrap();
        assert!(message.is_announcement() && !message.is_probe());
    }
}

#[test]
fn arp_padding_is_ignored_and_a_cut_message_refused() {
    let mut bytes = arp_request()[14..].to_vec();
    for len in 0..bytes.len() {
        assert_eq!(arp::parse(&bytes[..len]), Err(Reason::Truncated));
    }
    bytes.resize(46, 0xee);
    assert!(arp::parse(&bytes).is_ok());
}

#[test]
fn arp_of_another_kind_is_refused() {
    let good = arp_request()[14..].to_vec();
    // Hardware type, protocol type, hardware length, protocol length, operation, sender.
    for (at, value) in [
        (1, 15),
        (2, 0x86),
        (4, 2),
        (5, 3),
        (7, 3),
        (8, 1),
        (14, 224),
        (7, 0),
    ] {
        let mut bytes = good.clone();
        bytes[at] = value;
        assert_eq!(
            arp::parse(&bytes),
            Err(Reason::BadHeader),
            "byte {at} = {value}"
        );
    }
    let mut ieee802 = good;
    ieee802[1] = 6;
    assert!(arp::parse(&ieee802).is_ok());
}

// Neighbour discovery.

fn read_nd(frame: &[u8]) -> Result<NdMessage, Reason> {
    let meta = accepted(frame);
    assert!(nd::is_nd(&meta));
    nd::parse(&meta, frame)
}

fn solicitation(target: [u8; 16], options: &[u8]) -> Vec<u8> {
    [[135, 0, 0, 0, 0, 0, 0, 0].as_slice(), &target, options].concat()
}

fn link_option(kind: u8) -> Vec<u8> {
    [[kind, 1].as_slice(), &DEVICE_MAC].concat()
}

#[test]
fn nd_advertisement() {
    let message = read_nd(&neighbour_advertisement()).unwrap();
    let kind = NdKind::NeighbourAdvertisement {
        target: SOURCE_V6.into(),
        solicited: true,
        override_known: true,
    };
    assert_eq!(message.kind, kind);
    assert_eq!(message.target_link, Some(MacAddr(DEVICE_MAC)));
    assert_eq!(message.source_link, None);
}

#[test]
fn nd_solicitation() {
    let body = solicitation(DESTINATION_V6, &link_option(1));
    let message = read_nd(&nd(SOURCE_V6, SOLICITED, &body)).unwrap();
    assert_eq!(
        message.kind,
        NdKind::NeighbourSolicitation {
            target: DESTINATION_V6.into()
        }
    );
    assert_eq!(message.source_link, Some(MacAddr(DEVICE_MAC)));
}

#[test]
fn row_duplicate_address_detection() {
    let question = solicitation(DESTINATION_V6, &[]);
    assert!(read_nd(&nd(UNSPECIFIED, SOLICITED, &question)).is_ok());
    // RFC 4861 §7.1.1: no link-layer option, and to the solicited-node group only.
    let with_link = solicitation(DESTINATION_V6, &link_option(1));
    assert_eq!(
        read_nd(&nd(UNSPECIFIED, SOLICITED, &with_link)),
        Err(Reason::BadHeader)
    );
    assert_eq!(
        read_nd(&nd(UNSPECIFIED, ALL_NODES, &question)),
        Err(Reason::BadHeader)
    );
}

#[test]
fn nd_router_messages() {
    let solicitation = read_nd(&nd(LINK_LOCAL, ALL_NODES, &[133, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(solicitation.unwrap().kind, NdKind::RouterSolicitation);
    let advertisement = [
        [134, 0, 0, 0, 64, 0, 7, 8].as_slice(),
        &[0; 8],
        &link_option(1),
    ]
    .concat();
    let message = read_nd(&nd(LINK_LOCAL, ALL_NODES, &advertisement)).unwrap();
    assert_eq!(message.kind, NdKind::RouterAdvertisement);
    assert_eq!(message.source_link, Some(MacAddr(DEVICE_MAC)));
    let from_global = read_nd(&nd(SOURCE_V6, ALL_NODES, &advertisement));
    assert_eq!(from_global, Err(Reason::BadHeader));
    let redirect = [
        [137, 0, 0, 0, 0, 0, 0, 0].as_slice(),
        &LINK_LOCAL,
        &DESTINATION_V6,
    ]
    .concat();
    let message = read_nd(&nd(LINK_LOCAL, SOURCE_V6, &redirect)).unwrap();
    let kind = NdKind::Redirect {
        target: LINK_LOCAL.into(),
        destination: DESTINATION_V6.into(),
    };
    assert_eq!(message.kind, kind);
}

#[test]
fn row_nd_hop_limit() {
    let body = solicitation(DESTINATION_V6, &[]);
    let frame = ethernet(IPV6, &ipv6_between(SOURCE_V6, SOLICITED, 254, 58, &body));
    assert_eq!(read_nd(&frame), Err(Reason::NdOffLink));
}

#[test]
fn row_nd_never_in_fragments() {
    let body = solicitation(DESTINATION_V6, &[]);
    for more in [false, true] {
        let fragment = fragment_header(58, 1, 0, more, &body);
        let frame = ethernet(
            IPV6,
            &ipv6_between(SOURCE_V6, SOLICITED, 255, 44, &fragment),
        );
        assert_eq!(
            read_nd(&frame),
            Err(Reason::NdOffLink),
            "more fragments: {more}"
        );
    }
    // Behind a header that is not a fragment header it is still read.
    let behind = extension(58, 1, &body);
    let frame = ethernet(IPV6, &ipv6_between(SOURCE_V6, SOLICITED, 255, 60, &behind));
    assert!(read_nd(&frame).is_ok());
}

#[test]
fn nd_malformed() {
    let cases: [(&str, Vec<u8>, Reason); 5] = [
        (
            "code",
            [[135, 1, 0, 0, 0, 0, 0, 0].as_slice(), &DESTINATION_V6].concat(),
            Reason::BadHeader,
        ),
        (
            "group target",
            solicitation(ALL_NODES, &[]),
            Reason::BadHeader,
        ),
        (
            "option of length zero",
            solicitation(DESTINATION_V6, &[1, 0, 1, 2]),
            Reason::BadHeader,
        ),
        (
            "option cut off",
            solicitation(DESTINATION_V6, &[1, 1, 1, 2]),
            Reason::Truncated,
        ),
        (
            "target cut off",
            vec![135, 0, 0, 0, 0, 0, 0, 0, 1],
            Reason::Truncated,
        ),
    ];
    for (name, body, reason) in cases {
        assert_eq!(
            read_nd(&nd(SOURCE_V6, SOLICITED, &body)),
            Err(reason),
            "{name}"
        );
    }
}

#[test]
fn echo_is_no_neighbour_discovery() {
    let frame = ethernet(IPV6, &ipv6(58, &[128, 0, 0, 0, 0, 1, 0, 1]));
    assert!(!nd::is_nd(&accepted(&frame)));
}

// DHCP for IPv4.

#[test]
fn dhcp_ack_gives_an_address() {
    let frame = dhcp_ack();
    assert!(dhcp::is_dhcp(&accepted(&frame)));
    let message = dhcp::parse(&dhcp_ack_payload()).unwrap();
    assert!(message.reply && message.is_from_server());
    assert_eq!(
        (message.kind, message.transaction),
        (Some(DhcpKind::Ack), 0xdead_beef)
    );
    assert_eq!(
        (message.client_mac, message.your_ip),
        (MacAddr(DEVICE_MAC), OFFERED)
    );
    assert_eq!(
        (message.server, message.lease_s),
        (Some(SERVER), Some(3600))
    );
    assert_eq!(message.client_ip, Ipv4Addr::UNSPECIFIED);
}

#[test]
fn dhcp_discover_tells_who_the_device_is() {
    let mut options = vec![53, 1, 1, 12, 9];
    options.extend(b"pump-0007");
    options.extend([60, 8]);
    options.extend(b"MSFT\x015.0");
    options.extend([
        0, 0, 55, 4, 1, 3, 6, 15, 50, 4, 10, 20, 0, 7, 255, 12, 1, b'X',
    ]);
    let message = dhcp::parse(&dhcp(1, Ipv4Addr::UNSPECIFIED, &options)).unwrap();
    assert!(!message.is_from_server());
    assert_eq!(message.kind, Some(DhcpKind::Discover));
    assert_eq!(message.host_name.as_str(), "pump-0007");
    assert_eq!(message.vendor_class.as_str(), "MSFT?5.0");
    assert_eq!(message.parameters.as_slice(), [1, 3, 6, 15]);
    assert_eq!(message.requested_ip, Some(OFFERED));
}

#[test]
fn dhcp_long_names_are_cut() {
    let mut options = vec![12, 200];
    options.extend([b'a'; 200]);
    options.extend([60, 3, b'v', 0, 0, 55, 200]);
    options.extend([7; 200]);
    let message = dhcp::parse(&dhcp(1, Ipv4Addr::UNSPECIFIED, &options)).unwrap();
    assert_eq!(message.host_name.as_str(), "a".repeat(dhcp::KEPT_LEN));
    assert_eq!(message.vendor_class.as_str(), "v");
    assert_eq!(message.parameters.as_slice(), [7; dhcp::KEPT_LEN]);
}

#[test]
fn dhcp_options_overload_file_and_server_name() {
    let mut bytes = dhcp(2, OFFERED, &[52, 1, 3, 255]);
    bytes[108..114].copy_from_slice(&[53, 1, 5, 12, 1, b'n']);
    bytes[44..50].copy_from_slice(&[51, 4, 0, 0, 0, 60]);
    let message = dhcp::parse(&bytes).unwrap();
    assert_eq!(
        (message.kind, message.lease_s),
        (Some(DhcpKind::Ack), Some(60))
    );
    assert_eq!(message.host_name.as_str(), "n");
    // Without the option these fields are only a file and a server name.
    bytes[240] = 0;
    bytes[241..243].copy_from_slice(&[0, 0]);
    assert_eq!(dhcp::parse(&bytes).unwrap().kind, None);
}

#[test]
fn dhcp_without_or_with_cut_options_is_tolerated() {
    let bytes = dhcp_ack_payload();
    for len in 236..bytes.len() {
        let message = dhcp::parse(&bytes[..len]).unwrap();
        assert!(message.is_from_server());
        assert_eq!(message.your_ip, OFFERED);
    }
    assert_eq!(dhcp::parse(&bytes[..235]), Err(Reason::Truncated));
}

#[test]
fn row_dhcp_server_message_is_known_whatever_its_header_says() {
    for kind in [2, 5, 6] {
        let message = dhcp::parse(&dhcp(1, OFFERED, &[53, 1, kind, 255])).unwrap();
        assert!(message.is_from_server(), "message type {kind}");
    }
    for kind in [1, 3, 4, 7, 8] {
        let message = dhcp::parse(&dhcp(1, OFFERED, &[53, 1, kind, 255])).unwrap();
        assert!(!message.is_from_server(), "message type {kind}");
    }
}

#[test]
fn dhcp_of_another_kind_is_refused() {
    for (at, value) in [(0, 3), (1, 32), (2, 16)] {
        let mut bytes = dhcp_ack_payload();
        bytes[at] = value;
        assert_eq!(
            dhcp::parse(&bytes),
            Err(Reason::BadHeader),
            "byte {at} = {value}"
        );
    }
}

// DHCP for IPv6.

#[test]
fn dhcpv6_reply_gives_an_address() {
    assert!(dhcpv6::is_dhcpv6(&accepted(&dhcpv6_reply())));
    let bytes = dhcpv6_reply_payload();
    let message = dhcpv6::parse(&bytes).unwrap();
    assert!(message.is_from_server());
    assert_eq!(
        (message.kind, message.transaction),
        (DhcpV6Kind::Reply, 0x000a_0b0c)
    );
    assert_eq!(message.client_id, DUID);
    assert_eq!(
        message.leases.as_slice(),
        [Lease {
            address: LEASED,
            valid_s: 600
        }]
    );
}

#[test]
fn dhcpv6_refused_address_is_not_given() {
    let status = |code: u8| option_v6(13, &[0, code, b'n', b'o']);
    for (code, count) in [(0, 1), (2, 0)] {
        let association = [vec![0; 4], lease_v6(LEASED, &status(code))].concat();
        let bytes = [vec![7, 0, 0, 1], option_v6(4, &association)].concat();
        assert_eq!(
            dhcpv6::parse(&bytes).unwrap().leases.len(),
            count,
            "status {code}"
        );
    }
}

#[test]
fn dhcpv6_more_addresses_than_kept() {
    let association = [vec![0; 12], lease_v6(LEASED, &[]).repeat(20)].concat();
    let bytes = [vec![7, 0, 0, 1], option_v6(3, &association)].concat();
    assert_eq!(
        dhcpv6::parse(&bytes).unwrap().leases.len(),
        dhcpv6::MAX_LEASES
    );
}

#[test]
fn dhcpv6_kinds() {
    let kind = |code| dhcpv6::parse(&[code, 0, 0, 1]).map(|m| (m.kind, m.is_from_server()));
    for client in [1, 3, 4, 5, 6, 8, 9, 11] {
        assert_eq!(kind(client), Ok((DhcpV6Kind::Client(client), false)));
    }
    assert_eq!(kind(2), Ok((DhcpV6Kind::Advertise, true)));
    assert_eq!(kind(10), Ok((DhcpV6Kind::Reconfigure, true)));
    assert_eq!(kind(200), Ok((DhcpV6Kind::Other(200), false)));
    for relay in [12, 13] {
        assert_eq!(kind(relay), Err(Reason::BaselineDenied));
    }
}

#[test]
fn dhcpv6_malformed() {
    let good = dhcpv6_reply_payload();
    for len in 0..good.len() {
        // Cut exactly between two options it is a shorter message.
        let between = [4, 18, 32].contains(&len);
        assert_eq!(dhcpv6::parse(&good[..len]).is_ok(), between, "{len} bytes");
    }
    for client_id in [vec![], vec![0; 131]] {
        let bytes = [vec![1, 0, 0, 1], option_v6(1, &client_id)].concat();
        assert_eq!(dhcpv6::parse(&bytes), Err(Reason::BadHeader));
    }
}

// DNS.

fn answers(message: &dns::DnsMessage) -> Vec<(IpAddr, u32)> {
    message
        .answers
        .iter()
        .map(|a| (a.address, a.ttl_s))
        .collect()
}

#[test]
fn dns_answer_through_an_alias() {
    assert!(dns::is_dns(&accepted(&dns_answer())));
    let message = dns::parse(&dns_answer_payload()).unwrap();
    assert_eq!(
        (message.id, message.response, message.response_code),
        (0x1234, true, 0)
    );
    assert_eq!(
        (message.name.as_str(), message.query_type),
        ("pacs.example", 1)
    );
    // The alias holds 60 seconds, so nothing behind it holds longer.
    let expected = [([10, 30, 0, 9].into(), 60), ([10, 30, 0, 10].into(), 30)];
    assert_eq!(answers(&message), expected);
}

#[test]
fn dns_question() {
    let bytes = dns(0x0100, &wire_name("tunnel.example"), &[]);
    let message = dns::parse(&bytes).unwrap();
    assert!(!message.response && message.answers.is_empty());
    assert_eq!(message.name.as_str(), "tunnel.example");
}

#[test]
fn dns_records_in_any_order() {
    let (b, c) = (wire_name("b.example"), wire_name("c.example"));
    let records = [
        record(&c, 28, 9, &[0xfd; 16]),
        record(&b, 5, 8, &c),
        record(&[0xc0, 12], 5, 7, &b),
    ];
    let message = dns::parse(&dns(0x8180, &wire_name("a.example"), &records)).unwrap();
    assert_eq!(answers(&message), [(Ipv6Addr::from([0xfd; 16]).into(), 7)]);
}

#[test]
fn dns_answers_to_other_names_do_not_count() {
    let records = [
        record(&wire_name("other.example"), 1, 60, &[10, 0, 0, 1]),
        record(&wire_name("a.exampl"), 1, 60, &[10, 0, 0, 2]),
        record(&[0xc0, 12], 16, 60, b"\x03txt"),
    ];
    let message = dns::parse(&dns(0x8180, &wire_name("a.example"), &records)).unwrap();
    assert_eq!(answers(&message), []);
}

#[test]
fn dns_aliases_in_a_circle_end() {
    let (a, b) = (wire_name("a.example"), wire_name("b.example"));
    let records = [record(&a, 5, 60, &b), record(&b, 5, 60, &a)];
    let message = dns::parse(&dns(0x8180, &a, &records)).unwrap();
    assert_eq!(answers(&message), []);
}

#[test]
fn dns_lifetime_with_the_top_bit_is_none() {
    let records = [record(&[0xc0, 12], 1, 0x8000_0001, &[10, 0, 0, 1])];
    let message = dns::parse(&dns(0x8180, &wire_name("a.example"), &records)).unwrap();
    assert_eq!(answers(&message), [([10, 0, 0, 1].into(), 0)]);
}

#[test]
fn dns_more_addresses_than_kept() {
    let records: Vec<_> = (0..40)
        .map(|i| record(&[0xc0, 12], 1, 60, &[10, 0, 0, i]))
        .collect();
    let message = dns::parse(&dns(0x8180, &wire_name("a.example"), &records)).unwrap();
    assert_eq!(message.answers.len(), dns::MAX_ANSWERS);
}

#[test]
fn dns_pointers_only_lead_back() {
    // To itself, forwards, and in a circle of two.
    for name in [
        vec![0xc0, 12],
        vec![0xc0, 14, 1, b'a', 0],
        vec![0xc0, 14, 0xc0, 12],
    ] {
        assert_eq!(
            dns::parse(&dns(0x0100, &name, &[])),
            Err(Reason::BadHeader),
            "{name:?}"
        );
    }
}

#[test]
fn dns_malformed_names() {
    let long_name = wire_name(&[["a"; 127].join("."), "b".into()].join("."));
    let label_of_reserved_kind = vec![0x41, b'a', 0];
    let hidden_dot = vec![5, b'a', b'.', b'c', b'o', b'm', 0];
    let control = vec![1, 7, 0];
    for name in [long_name, label_of_reserved_kind, hidden_dot, control] {
        assert_eq!(
            dns::parse(&dns(0x0100, &name, &[])),
            Err(Reason::BadHeader),
            "{name:?}"
        );
    }
    let longest = wire_name(&["a"; 127].join("."));
    assert_eq!(longest.len(), 255);
    assert_eq!(
        dns::parse(&dns(0x0100, &longest, &[])).unwrap().name.len(),
        253
    );
}

#[test]
fn dns_other_operations_and_counts_are_refused() {
    let update = dns(0x2800, &wire_name("a.example"), &[]);
    assert_eq!(dns::parse(&update), Err(Reason::BadHeader));
    for questions in [0, 2] {
        let mut bytes = dns(0x0100, &wire_name("a.example"), &[]);
        bytes[5] = questions;
        assert_eq!(dns::parse(&bytes), Err(Reason::BadHeader));
    }
}

#[test]
fn dns_cut_anywhere_is_truncated() {
    let bytes = dns_answer_payload();
    for len in 0..bytes.len() {
        assert_eq!(
            dns::parse(&bytes[..len]),
            Err(Reason::Truncated),
            "{len} bytes"
        );
    }
}

#[test]
fn ports_tell_the_protocol() {
    let frame = |s, d| ethernet(IPV4, &ipv4(IpNumber::UDP, &udp_ports(s, d, &[])));
    assert!(dhcp::is_dhcp(&accepted(&frame(68, 67))));
    assert!(dhcp::is_dhcp(&accepted(&frame(67, 67))), "a relay");
    assert!(!dhcp::is_dhcp(&accepted(&frame(67, 1000))));
    assert!(!dhcpv6::is_dhcpv6(&accepted(&frame(546, 547))), "IPv4");
    assert!(dns::is_dns(&accepted(&frame(1000, 53))));
    assert!(!dns::is_dns(&accepted(&frame(1000, 5353))));
}
