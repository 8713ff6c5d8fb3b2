//! One named test for each rule about a single frame.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod parse_support;

use etherparse::IpNumber;
use parse_support::*;
use wardline_engine::parse::{Quote, parse, quote};
use wardline_engine::{Fragment, L3, L4};
use wardline_policy::{MacAddr, Reason, VlanKey};

fn vlan(outer: u16, inner: u16) -> VlanKey {
    VlanKey { outer, inner }
}

fn syn_v4() -> Vec<u8> {
    ipv4(IpNumber::TCP, &tcp(SYN, &[]))
}

// Link layer.

#[test]
fn row_plain_tcp() {
    let frame = ethernet(IPV4, &ipv4(IpNumber::TCP, &tcp(ACK, b"MSH|")));
    let meta = accepted(&frame);
    assert_eq!(meta.source_mac, MacAddr(DEVICE_MAC));
    assert_eq!(meta.destination_mac, MacAddr(PEER_MAC));
    assert_eq!(
        (meta.vlan, meta.tags, meta.ethertype),
        (vlan(0, 0), 0, IPV4)
    );
    let mapped = |a: [u8; 4]| std::net::Ipv4Addr::from(a).to_ipv6_mapped().octets();
    let l3 = L3::Ip {
        source: mapped(SOURCE_V4),
        destination: mapped(DESTINATION_V4),
        version: 4,
    };
    assert_eq!((meta.l3, meta.protocol, meta.hop_limit), (l3, 6, 64));
    let l4 = L4::Tcp {
        source: 1024,
        destination: 104,
        flags: ACK,
        seq: 7000,
        ack: 9000,
        window: 512,
        scale: 255,
    };
    assert_eq!((meta.l4, meta.fragment), (l4, Fragment::Whole));
    let offsets = (
        meta.l3_offset,
        meta.l4_offset,
        meta.payload_offset,
        meta.end,
    );
    assert_eq!(offsets, (14, 34, 54, 58));
    check_invariants(&frame, &meta);
}

#[test]
fn row_vlan_tag() {
    // Priority and drop eligibility take no part in the key.
    let meta = accepted(&tagged(&[(0x8100, 0xf000 | 20)], IPV4, &syn_v4()));
    assert_eq!(
        (meta.vlan, meta.tags, meta.ethertype, meta.l3_offset),
        (vlan(20, 0), 1, IPV4, 18)
    );
}

#[test]
fn row_priority_tag_is_untagged() {
    let meta = accepted(&tagged(&[(0x8100, 0xa000)], IPV4, &syn_v4()));
    assert_eq!((meta.vlan, meta.tags), (vlan(0, 0), 1));
    let meta = accepted(&tagged(&[(0x88a8, 0xa000), (0x8100, 30)], IPV4, &syn_v4()));
    assert_eq!((meta.vlan, meta.tags), (vlan(30, 0), 2));
}

#[test]
fn row_two_tags_of_every_kind() {
    for outer in [0x88a8, 0x9100, 0x8100] {
        let meta = accepted(&tagged(&[(outer, 20), (0x8100, 30)], IPV4, &syn_v4()));
        assert_eq!(
            (meta.vlan, meta.tags, meta.l3_offset),
            (vlan(20, 30), 2, 22)
        );
    }
}

#[test]
fn row_three_tags_are_refused() {
    let frame = tagged(&[(0x88a8, 20), (0x8100, 30), (0x8100, 40)], IPV4, &syn_v4());
    assert_eq!(refused(&frame), Reason::VlanStack);
    // The device can still be found.
    let meta = parse(&frame).unwrap_err().meta.unwrap();
    assert_eq!(
        (meta.source_mac, meta.vlan),
        (MacAddr(DEVICE_MAC), vlan(20, 30))
    );
}

#[test]
fn row_tag_cut_off() {
    assert_eq!(refused(&tagged(&[], 0x8100, &[0, 20])), Reason::Truncated);
}

#[test]
fn row_reserved_vid() {
    assert_eq!(
        refused(&tagged(&[(0x8100, 0xfff)], IPV4, &syn_v4())),
        Reason::BadHeader
    );
}

#[test]
fn row_runt() {
    for len in 0..14 {
        let error = parse(&ethernet(IPV4, &[])[..len]).unwrap_err();
        assert_eq!((error.reason, error.meta), (Reason::Runt, None));
    }
}

#[test]
fn row_longer_than_any_datagram() {
    assert_eq!(refused(&ethernet(IPV4, &vec![0; 70_000])), Reason::Oversize);
}

#[test]
fn row_pause_never_crosses() {
    assert_eq!(
        refused(&ethernet(0x8808, &[0, 1, 0xff, 0xff])),
        Reason::PauseFrame
    );
    let mut priority_flow_control = ethernet(0x8808, &[1, 1, 0, 8]);
    priority_flow_control[..6].copy_from_slice(&[1, 0x80, 0xc2, 0, 0, 1]);
    assert_eq!(refused(&priority_flow_control), Reason::PauseFrame);
}

#[test]
fn row_group_source_address() {
    let mut frame = ethernet(IPV4, &syn_v4());
    frame[6] |= 1;
    assert_eq!(refused(&frame), Reason::BadHeader);
}

#[test]
fn row_llc_is_a_length() {
    let mut frame = llc(&[0x42, 0x42, 3, 0, 0]);
    frame.resize(60, 0);
    let meta = accepted(&frame);
    assert_eq!((meta.l3, meta.ethertype, meta.end), (L3::Other, 5, 19));
    assert_eq!(refused(&ethernet(200, &[0x42, 0x42, 3])), Reason::Truncated);
}

#[test]
fn row_snap_ip_is_ip() {
    for organisation in [[0, 0, 0], [0, 0, 0xf8]] {
        let mut body = [[0xaa, 0xaa, 3].as_slice(), &organisation, &[8, 0]].concat();
        body.extend(ipv4(IpNumber::TCP, &tcp(SYN, &[])));
        let meta = accepted(&llc(&body));
        assert_eq!(
            (meta.ethertype, meta.l3_offset, meta.protocol),
            (IPV4, 22, 6)
        );
        assert!(matches!(
            meta.l4,
            L4::Tcp {
                destination: 104,
                ..
            }
        ));
    }
}

#[test]
fn row_snap_of_another_organisation_stays_llc() {
    let body = [0xaa, 0xaa, 3, 0, 0, 0xc, 0x20, 0, 1, 2];
    let meta = accepted(&llc(&body));
    assert_eq!((meta.l3, meta.ethertype), (L3::Other, 10));
}

#[test]
fn row_snap_hides_no_tag_and_no_longer_datagram() {
    let tag = [0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0, 0, 20, 8, 0];
    assert_eq!(refused(&llc(&tag)), Reason::VlanStack);
    // The datagram is longer than the LLC frame around it, though not than the Ethernet frame.
    let mut body = vec![0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    body.extend(ipv4(IpNumber::TCP, &tcp(SYN, &[0; 8])));
    let mut frame = llc(&body);
    frame[13] -= 4;
    assert_eq!(refused(&frame), Reason::Truncated);
}

#[test]
fn row_unknown_ethertype_is_left_to_the_baseline() {
    for ethertype in [0x888e, 0x88cc, 0x1234, 0x88e5, 1501, 1535] {
        let meta = accepted(&ethernet(ethertype, &[0; 46]));
        assert_eq!((meta.l3, meta.ethertype), (L3::Other, ethertype));
    }
}

#[test]
fn row_arp() {
    let meta = accepted(&tagged(&[(0x8100, 20)], 0x0806, &[0; 28]));
    assert_eq!((meta.l3, meta.l3_offset, meta.end), (L3::Arp, 18, 46));
}

// IPv4.

#[test]
fn row_padding_and_trailers_do_not_count() {
    let mut frame = ethernet(IPV4, &ipv4(IpNumber::TCP, &tcp(ACK, &[])));
    frame.resize(60, 0xee);
    let meta = accepted(&frame);
    assert_eq!((meta.payload_offset, meta.end), (54, 54));
}

#[test]
fn row_frame_shorter_than_datagram() {
    let frame = ethernet(IPV4, &ipv4(IpNumber::UDP, &udp(&[1, 2, 3])));
    for len in 14..frame.len() {
        assert_eq!(refused(&frame[..len]), Reason::Truncated, "{len} bytes");
    }
    let frame = ethernet(IPV6, &ipv6(17, &udp(&[1, 2, 3])));
    for len in 14..frame.len() {
        assert_eq!(refused(&frame[..len]), Reason::Truncated, "{len} bytes");
    }
}

#[test]
fn row_ipv4_header_must_hold_together() {
    let good = syn_v4();
    let with = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] = value;
        refused(&ethernet(IPV4, &packet))
    };
    assert_eq!(with(0, 0x65), Reason::BadHeader, "version");
    assert_eq!(with(0, 0x44), Reason::BadHeader, "header length");
    assert_eq!(
        with(3, 19),
        Reason::BadHeader,
        "total length below header length"
    );
    assert_eq!(with(10, !good[10]), Reason::BadHeader, "checksum");
    assert_eq!(
        refused(&ethernet(IPV6, &good)),
        Reason::BadHeader,
        "IPv4 under IPv6's type"
    );
    let version_six = ipv6(17, &udp(&[]));
    assert_eq!(refused(&ethernet(IPV4, &version_six)), Reason::BadHeader);
}

#[test]
fn row_source_no_station_may_have() {
    for source in [[224, 0, 0, 1], [255; 4]] {
        let header = etherparse::Ipv4Header {
            source,
            ..ipv4_header(IpNumber::UDP)
        };
        assert_eq!(
            refused(&ethernet(IPV4, &ipv4_with(header, &udp(&[])))),
            Reason::BadHeader
        );
    }
    let group = [0xff; 16];
    let packet = ipv6_between(group, DESTINATION_V6, 64, 17, &udp(&[]));
    assert_eq!(refused(&ethernet(IPV6, &packet)), Reason::BadHeader);
}

#[test]
fn row_ipv4_mapped_address_in_ipv6() {
    let mapped = std::net::Ipv4Addr::from(SOURCE_V4)
        .to_ipv6_mapped()
        .octets();
    for (source, destination) in [(mapped, DESTINATION_V6), (SOURCE_V6, mapped)] {
        let packet = ipv6_between(source, destination, 64, 17, &udp(&[]));
        assert_eq!(refused(&ethernet(IPV6, &packet)), Reason::BadHeader);
    }
}

#[test]
fn row_ipv4_options_that_choose_the_way() {
    for kind in [7, 131, 137] {
        let options = [1, kind, 7, 4, 10, 0, 0, 1];
        let packet = ipv4_options(IpNumber::UDP, &options, &udp(&[]));
        assert_eq!(
            refused(&ethernet(IPV4, &packet)),
            Reason::Ipv4Options,
            "option {kind}"
        );
    }
}

#[test]
fn row_router_alert_belongs_to_igmp() {
    let alert = [148, 4, 0, 0];
    let igmp = ipv4_options(IpNumber::IGMP, &alert, &[0x16, 0, 0, 0, 239, 255, 255, 250]);
    let meta = accepted(&ethernet(IPV4, &igmp));
    assert_eq!((meta.protocol, meta.l4, meta.l4_offset), (2, L4::Other, 38));
    let other = ipv4_options(IpNumber::UDP, &alert, &udp(&[]));
    assert_eq!(refused(&ethernet(IPV4, &other)), Reason::Ipv4Options);
}

#[test]
fn row_other_ipv4_options_pass() {
    // Timestamp, then end of options followed by what would be a source route.
    let timestamp = [68, 8, 5, 0, 0, 0, 0, 0, 0, 131, 3, 4];
    let meta = accepted(&ethernet(
        IPV4,
        &ipv4_options(IpNumber::UDP, &timestamp, &udp(&[9])),
    ));
    assert_eq!(
        (meta.l4_offset, meta.payload_offset, meta.end),
        (46, 54, 55)
    );
}

#[test]
fn row_malformed_ipv4_option() {
    for options in [[68, 0, 0, 0], [68, 1, 0, 0], [68, 5, 0, 0], [1, 1, 1, 68]] {
        let packet = ipv4_options(IpNumber::UDP, &options, &udp(&[]));
        assert_eq!(
            refused(&ethernet(IPV4, &packet)),
            Reason::BadHeader,
            "{options:?}"
        );
    }
}

#[test]
fn row_first_fragment() {
    let packet = ipv4_fragment(IpNumber::UDP, 77, 0, true, &udp(&[0; 16]));
    let meta = accepted(&ethernet(IPV4, &packet));
    assert_eq!(meta.fragment, Fragment::First { id: 77, len: 24 });
    assert_eq!(
        meta.l4,
        L4::Udp {
            source: 5353,
            destination: 53
        }
    );
    assert_eq!(meta.payload_offset, 42);
}

#[test]
fn row_first_fragment_announces_the_whole_datagram() {
    let mut datagram = udp(&[0; 3000]);
    datagram.truncate(1480);
    accepted(&ethernet(
        IPV4,
        &ipv4_fragment(IpNumber::UDP, 77, 0, true, &datagram),
    ));
    assert_eq!(
        refused(&ethernet(IPV4, &ipv4(IpNumber::UDP, &datagram))),
        Reason::Truncated
    );
}

#[test]
fn row_first_fragment_too_small() {
    let tcp = tcp(SYN, &[]);
    for len in [8, 16] {
        let packet = ipv4_fragment(IpNumber::TCP, 77, 0, true, &tcp[..len]);
        assert_eq!(
            refused(&ethernet(IPV4, &packet)),
            Reason::TinyFragment,
            "{len} bytes"
        );
    }
    // The header is announced longer than the fragment.
    let with_options = tcp_options(SYN, &[1; 8], &[]);
    let packet = ipv4_fragment(IpNumber::TCP, 77, 0, true, &with_options[..24]);
    assert_eq!(refused(&ethernet(IPV4, &packet)), Reason::TinyFragment);
    let sctp = [0; 8];
    let packet = ipv4_fragment(IpNumber::SCTP, 77, 0, true, &sctp);
    assert_eq!(refused(&ethernet(IPV4, &packet)), Reason::TinyFragment);
}

#[test]
fn row_fragment_at_offset_one() {
    let tcp = ipv4_fragment(IpNumber::TCP, 77, 1, true, &[0; 16]);
    assert_eq!(refused(&ethernet(IPV4, &tcp)), Reason::TinyFragment);
    let tcp = ipv6(44, &fragment_header(6, 77, 1, false, &[0; 16]));
    assert_eq!(refused(&ethernet(IPV6, &tcp)), Reason::TinyFragment);
    let udp = ipv4_fragment(IpNumber::UDP, 77, 1, true, &[0; 16]);
    accepted(&ethernet(IPV4, &udp));
}

#[test]
fn row_later_fragment_has_no_transport_header() {
    let packet = ipv4_fragment(IpNumber::TCP, 77, 185, false, &[0; 5]);
    let meta = accepted(&ethernet(IPV4, &packet));
    let fragment = Fragment::Later {
        id: 77,
        offset: 1480,
        len: 5,
        more: false,
    };
    assert_eq!((meta.fragment, meta.l4), (fragment, L4::Absent));
    assert_eq!(
        (meta.l4_offset, meta.payload_offset, meta.end),
        (34, 34, 39)
    );
}

#[test]
fn row_impossible_fragments() {
    let beyond = ipv4_fragment(IpNumber::UDP, 77, 8191, false, &[0; 8]);
    assert_eq!(
        refused(&ethernet(IPV4, &beyond)),
        Reason::BadHeader,
        "beyond 65,535 bytes"
    );
    let odd = ipv4_fragment(IpNumber::UDP, 77, 2, true, &[0; 13]);
    assert_eq!(
        refused(&ethernet(IPV4, &odd)),
        Reason::BadHeader,
        "not a multiple of eight"
    );
    let empty = ipv4_fragment(IpNumber::UDP, 77, 2, false, &[]);
    assert_eq!(
        refused(&ethernet(IPV4, &empty)),
        Reason::BadHeader,
        "no data"
    );
}

// IPv6.

#[test]
fn row_ipv6_extension_headers_are_walked() {
    let packet = ipv6(
        0,
        &extension(60, 1, &extension(43, 2, &extension(6, 1, &tcp(SYN, &[])))),
    );
    let mut frame = ethernet(IPV6, &packet);
    // The routing header becomes one of type 4 (segment routing).
    frame[54 + 8 + 16 + 2] = 4;
    let meta = accepted(&frame);
    assert_eq!(
        (meta.protocol, meta.l3_offset, meta.l4_offset),
        (6, 14, 14 + 40 + 32)
    );
    assert!(matches!(
        meta.l4,
        L4::Tcp {
            destination: 104,
            ..
        }
    ));
    let l3 = L3::Ip {
        source: SOURCE_V6,
        destination: DESTINATION_V6,
        version: 6,
    };
    assert_eq!(meta.l3, l3);
}

#[test]
fn row_authentication_header_is_walked_in_ipv6_only() {
    // Length in four-byte units, less two.
    let header = [
        17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ];
    let packet = [header.as_slice(), &udp(&[])].concat();
    let meta = accepted(&ethernet(IPV6, &ipv6(51, &packet)));
    assert_eq!((meta.protocol, meta.l4_offset), (17, 54 + 24));
    let meta = accepted(&ethernet(
        IPV4,
        &ipv4(IpNumber::AUTHENTICATION_HEADER, &packet),
    ));
    assert_eq!((meta.protocol, meta.l4), (51, L4::Other));
}

#[test]
fn row_hop_by_hop_only_first() {
    let packet = ipv6(60, &extension(0, 1, &extension(17, 1, &udp(&[]))));
    assert_eq!(refused(&ethernet(IPV6, &packet)), Reason::Ipv6ExtHeader);
    let packet = ipv6(0, &extension(0, 1, &extension(17, 1, &udp(&[]))));
    assert_eq!(refused(&ethernet(IPV6, &packet)), Reason::Ipv6ExtHeader);
}

#[test]
fn row_routing_type_zero() {
    let mut routing = extension(17, 3, &udp(&[]));
    routing[2] = 0;
    assert_eq!(
        refused(&ethernet(IPV6, &ipv6(43, &routing))),
        Reason::Ipv6Routing
    );
}

#[test]
fn row_at_most_eight_extension_headers() {
    let chain = |n: usize| {
        (0..n).fold(udp(&[]), |inner, i| {
            extension([17, 60][usize::from(i > 0)], 1, &inner)
        })
    };
    accepted(&ethernet(IPV6, &ipv6(60, &chain(8))));
    assert_eq!(
        refused(&ethernet(IPV6, &ipv6(60, &chain(9)))),
        Reason::Ipv6ExtHeader
    );
}

#[test]
fn row_at_most_256_bytes_of_extension_headers() {
    accepted(&ethernet(IPV6, &ipv6(60, &extension(17, 32, &udp(&[])))));
    let packet = ipv6(60, &extension(17, 33, &udp(&[])));
    assert_eq!(refused(&ethernet(IPV6, &packet)), Reason::Ipv6ExtHeader);
}

#[test]
fn row_experimental_extension_header() {
    for next in [253, 254] {
        let packet = ipv6(next, &extension(17, 1, &udp(&[])));
        assert_eq!(refused(&ethernet(IPV6, &packet)), Reason::Ipv6ExtHeader);
    }
}

#[test]
fn row_unknown_next_header_is_a_protocol_number() {
    let meta = accepted(&ethernet(IPV6, &ipv6(200, &[0; 12])));
    assert_eq!(
        (meta.protocol, meta.l4, meta.payload_offset),
        (200, L4::Other, 54)
    );
    let no_next_header = accepted(&ethernet(IPV6, &ipv6(59, &[])));
    assert_eq!(
        (no_next_header.protocol, no_next_header.l4),
        (59, L4::Other)
    );
}

#[test]
fn row_extension_header_cut_off() {
    let packet = ipv6(60, &[17, 3, 0, 0, 0, 0, 0, 0]);
    assert_eq!(refused(&ethernet(IPV6, &packet)), Reason::Truncated);
}

#[test]
fn row_atomic_fragment_is_whole() {
    let packet = ipv6(44, &fragment_header(17, 5, 0, false, &udp(&[1, 2])));
    let meta = accepted(&ethernet(IPV6, &packet));
    assert_eq!((meta.fragment, meta.l4_offset), (Fragment::Whole, 62));
    assert_eq!(
        meta.l4,
        L4::Udp {
            source: 5353,
            destination: 53
        }
    );
}

#[test]
fn row_ipv6_fragments() {
    let packet = ipv6(
        44,
        &fragment_header(60, 5, 0, true, &extension(17, 1, &udp(&[0; 8]))),
    );
    let meta = accepted(&ethernet(IPV6, &packet));
    assert_eq!(meta.fragment, Fragment::First { id: 5, len: 24 });
    assert_eq!((meta.protocol, meta.l4_offset), (17, 70));
    let packet = ipv6(44, &fragment_header(60, 5, 3, false, &[0; 7]));
    let meta = accepted(&ethernet(IPV6, &packet));
    assert_eq!(
        meta.fragment,
        Fragment::Later {
            id: 5,
            offset: 24,
            len: 7,
            more: false
        }
    );
    assert_eq!(
        (meta.protocol, meta.l4, meta.l4_offset),
        (60, L4::Absent, 62)
    );
}

#[test]
fn row_ipv6_first_fragment_without_the_whole_chain() {
    let chain = extension(6, 2, &tcp(SYN, &[]));
    for len in [8, 16, 24, 32] {
        let packet = ipv6(44, &fragment_header(60, 5, 0, true, &chain[..len]));
        assert_eq!(
            refused(&ethernet(IPV6, &packet)),
            Reason::TinyFragment,
            "{len} bytes"
        );
    }
}

#[test]
fn row_fragment_inside_fragment() {
    let inner = fragment_header(17, 6, 0, true, &udp(&[0; 8]));
    let packet = ipv6(44, &fragment_header(44, 5, 0, true, &inner));
    assert_eq!(refused(&ethernet(IPV6, &packet)), Reason::Ipv6ExtHeader);
}

// Transport.

#[test]
fn row_minimal_transport_headers_are_valid() {
    let udp = accepted(&ethernet(IPV4, &ipv4(IpNumber::UDP, &udp(&[]))));
    assert_eq!((udp.payload_offset, udp.end), (42, 42));
    let icmp = accepted(&ethernet(IPV4, &ipv4(IpNumber::ICMP, &[8, 0, 0, 0])));
    assert_eq!(
        icmp.l4,
        L4::Icmp {
            kind: 8,
            code: 0,
            id: 0,
            rest: 0
        }
    );
    assert_eq!((icmp.payload_offset, icmp.end), (38, 38));
    assert_eq!(
        refused(&ethernet(IPV4, &ipv4(IpNumber::ICMP, &[8, 0, 0]))),
        Reason::Truncated
    );
}

#[test]
fn row_wrong_transport_checksums_pass() {
    let mut segment = tcp(SYN, &[]);
    segment[16] ^= 0xff;
    accepted(&ethernet(IPV4, &ipv4(IpNumber::TCP, &segment)));
}

#[test]
fn row_tcp_data_offset() {
    let with = |offset: u8| {
        let mut segment = tcp(ACK, &[0; 4]);
        segment[12] = offset << 4;
        ethernet(IPV4, &ipv4(IpNumber::TCP, &segment))
    };
    assert_eq!(refused(&with(4)), Reason::BadHeader);
    assert_eq!(refused(&with(7)), Reason::Truncated);
    assert_eq!(accepted(&with(6)).payload_offset, 58);
}

#[test]
fn row_absurd_tcp_flags() {
    const FIN: u8 = 1;
    const RST: u8 = 4;
    const ECE_CWR: u8 = 0xc0;
    for flags in [0, ECE_CWR, SYN | FIN, SYN | RST, SYN | FIN | ACK, 0x3f] {
        let frame = ethernet(IPV4, &ipv4(IpNumber::TCP, &tcp(flags, &[])));
        assert_eq!(refused(&frame), Reason::TcpFlags, "flags {flags:#04x}");
    }
    for flags in [
        SYN,
        SYN | ACK,
        SYN | ECE_CWR,
        ACK,
        RST,
        RST | ACK,
        FIN | ACK,
    ] {
        accepted(&ethernet(IPV4, &ipv4(IpNumber::TCP, &tcp(flags, &[]))));
    }
}

#[test]
fn row_fast_open_syn_with_data() {
    let meta = accepted(&ethernet(IPV4, &ipv4(IpNumber::TCP, &tcp(SYN, b"GET"))));
    assert_eq!(meta.end - meta.payload_offset, 3);
}

#[test]
fn row_window_scale() {
    let scale = |flags, options: &[u8]| match accepted(&ethernet(
        IPV4,
        &ipv4(IpNumber::TCP, &tcp_options(flags, options, &[])),
    ))
    .l4
    {
        L4::Tcp { scale, .. } => scale,
        other => panic!("{other:?}"),
    };
    assert_eq!(scale(SYN, &[2, 4, 5, 0xb4, 1, 3, 3, 7]), 7);
    assert_eq!(scale(SYN | ACK, &[1, 3, 3, 200]), 14, "RFC 7323 caps it");
    assert_eq!(scale(SYN, &[2, 4, 5, 0xb4]), 255);
    assert_eq!(scale(ACK, &[1, 3, 3, 7]), 255, "only a SYN carries it");
    assert_eq!(
        scale(SYN, &[2, 0, 3, 3, 7, 0, 0, 0]),
        255,
        "behind a malformed option"
    );
}

#[test]
fn row_udp_length() {
    let with = |len: u8| {
        let mut datagram = udp(&[0; 4]);
        datagram[5] = len;
        ethernet(IPV4, &ipv4(IpNumber::UDP, &datagram))
    };
    assert_eq!(refused(&with(7)), Reason::BadHeader);
    assert_eq!(refused(&with(13)), Reason::Truncated);
    assert_eq!(
        accepted(&with(8)).end,
        46,
        "surplus bytes are odd but legal"
    );
}

#[test]
fn row_sctp() {
    let mut packet = vec![0x0b, 0x59, 0x0b, 0x5a, 1, 2, 3, 4, 0, 0, 0, 0];
    assert_eq!(
        refused(&ethernet(IPV4, &ipv4(IpNumber::SCTP, &packet))),
        Reason::Truncated
    );
    packet.extend([2, 1, 0, 20]);
    let sctp = |packet: &[u8]| ethernet(IPV4, &ipv4(IpNumber::SCTP, packet));
    assert_eq!(refused(&sctp(&packet)), Reason::Truncated, "no tag in it");
    packet.extend([5, 6, 7, 8]);
    let meta = accepted(&sctp(&packet));
    let l4 = L4::Sctp {
        source: 2905,
        destination: 2906,
        tag: 0x0102_0304,
        chunk: 2,
        flags: 1,
        initiate: 0x0506_0708,
    };
    assert_eq!((meta.l4, meta.payload_offset), (l4, 46));
    let with = |at: usize, bytes: &[u8]| {
        let mut packet = packet.clone();
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        sctp(&packet)
    };
    // Tags of zero where there must be one, and one where there must be none.
    assert_eq!(refused(&with(4, &[0; 4])), Reason::BadHeader);
    assert_eq!(refused(&with(16, &[0; 4])), Reason::BadHeader);
    assert_eq!(refused(&with(12, &[1])), Reason::BadHeader);
}

#[test]
fn row_icmp_fields() {
    let echo = accepted(&ethernet(
        IPV4,
        &ipv4(IpNumber::ICMP, &[8, 0, 0, 0, 1, 2, 0, 9, 5]),
    ));
    assert_eq!(
        echo.l4,
        L4::Icmp {
            kind: 8,
            code: 0,
            id: 0x0102,
            rest: 0x0102_0009
        }
    );
    let needed = accepted(&ethernet(
        IPV4,
        &ipv4(IpNumber::ICMP, &[3, 4, 0, 0, 0, 0, 5, 0xdc]),
    ));
    assert_eq!(
        needed.l4,
        L4::Icmp {
            kind: 3,
            code: 4,
            id: 0,
            rest: 1500
        }
    );
    let too_big = accepted(&ethernet(IPV6, &ipv6(58, &[2, 0, 0, 0, 0, 0, 5, 0])));
    assert_eq!(
        too_big.l4,
        L4::Icmp {
            kind: 2,
            code: 0,
            id: 0,
            rest: 1280
        }
    );
}

#[test]
fn row_icmp_of_the_other_version_is_only_a_number() {
    let meta = accepted(&ethernet(IPV6, &ipv6(1, &[8, 0, 0, 0])));
    assert_eq!((meta.protocol, meta.l4), (1, L4::Other));
    let meta = accepted(&ethernet(IPV4, &ipv4(IpNumber::IPV6_ICMP, &[134, 0, 0, 0])));
    assert_eq!((meta.protocol, meta.l4), (58, L4::Other));
}

#[test]
fn row_tunnels_are_numbers() {
    for protocol in [4, 41, 47, 50, 115] {
        let meta = accepted(&ethernet(IPV4, &ipv4(IpNumber(protocol), &syn_v4())));
        assert_eq!(
            (meta.protocol, meta.l4, meta.payload_offset),
            (protocol, L4::Other, 34)
        );
    }
}

// Quotes.

#[test]
fn row_icmp_error_quotes_a_conversation() {
    let quoted = &ipv4(IpNumber::TCP, &tcp(ACK, &[0; 100]))[..28];
    let error = [[3, 1, 0, 0, 0, 0, 0, 0].as_slice(), quoted].concat();
    let frame = ethernet(IPV4, &ipv4(IpNumber::ICMP, &error));
    let quote: Quote = quote(&frame, &accepted(&frame)).unwrap();
    let mapped = |a: [u8; 4]| std::net::Ipv4Addr::from(a).to_ipv6_mapped().octets();
    assert_eq!(
        (quote.source, quote.destination),
        (mapped(SOURCE_V4), mapped(DESTINATION_V4))
    );
    assert_eq!((quote.protocol, quote.ports()), (6, Some((1024, 104))));
    assert_eq!((quote.tcp_seq(), quote.icmp()), (Some(7000), None));
}

#[test]
fn row_icmpv6_error_quotes_behind_extension_headers() {
    let quoted = ipv6(60, &extension(58, 1, &[128, 0, 0, 0, 0xab, 0xcd, 0, 1]));
    let error = [[1, 4, 0, 0, 0, 0, 0, 0].as_slice(), &quoted].concat();
    let frame = ethernet(IPV6, &ipv6(58, &error));
    let quote = quote(&frame, &accepted(&frame)).unwrap();
    assert_eq!(
        (quote.source, quote.destination),
        (SOURCE_V6, DESTINATION_V6)
    );
    assert_eq!(
        (quote.icmp(), quote.ports()),
        (Some((128, 0, 0xabcd)), None)
    );
}

#[test]
fn row_icmp_error_with_a_useless_quote() {
    let later = ipv4_fragment(IpNumber::UDP, 1, 2, false, &[0; 8]);
    let short = &ipv4(IpNumber::UDP, &udp(&[]))[..27];
    let foreign = ipv6(17, &udp(&[]));
    for quoted in [later.as_slice(), short, &foreign, &[]] {
        let error = [[3, 1, 0, 0, 0, 0, 0, 0].as_slice(), quoted].concat();
        let frame = ethernet(IPV4, &ipv4(IpNumber::ICMP, &error));
        assert_eq!(quote(&frame, &accepted(&frame)), None);
    }
}
