//! Answers to refused frames, read back with etherparse.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod parse_support;

use etherparse::{Icmpv4Type, Icmpv6Type, IpNumber, NetSlice, SlicedPacket, TransportSlice};
use etherparse::{icmpv4::DestUnreachableHeader, icmpv6::DestUnreachableCode};
use parse_support::messages::nd;
use parse_support::*;
use wardline_engine::refuse::{MAX_LEN, tcp_reset, unreachable};

type Refuse = fn(&[u8], &wardline_engine::PacketMeta, &mut [u8]) -> Option<usize>;

fn answer(refuse: Refuse, frame: &[u8]) -> Option<Vec<u8>> {
    let mut out = [0xee; MAX_LEN];
    refuse(frame, &accepted(frame), &mut out).map(|len| out[..len].to_vec())
}

/// Checks addresses and the checksum of an IPv4 header, then hands the packet on.
fn sliced(answer: &[u8]) -> SlicedPacket<'_> {
    assert!(answer.len() >= 60);
    assert_eq!(
        (&answer[..6], &answer[6..12]),
        (&DEVICE_MAC[..], &PEER_MAC[..])
    );
    let sliced = SlicedPacket::from_ethernet(answer).unwrap();
    match sliced.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            assert_eq!(
                (header.source(), header.destination()),
                (DESTINATION_V4, SOURCE_V4)
            );
            assert_eq!(
                header.to_header().calc_header_checksum(),
                header.header_checksum()
            );
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            assert_eq!(
                (header.source(), header.destination()),
                (DESTINATION_V6, SOURCE_V6)
            );
        }
        NetSlice::Arp(_) => panic!("an ARP answer"),
    }
    sliced
}

/// Sequence, acknowledgement, and whether ACK is set, of a right reset.
fn check_reset(answer: &[u8]) -> (u32, u32, bool) {
    let sliced = sliced(answer);
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else {
        panic!("no TCP in {sliced:?}");
    };
    assert_eq!((tcp.source_port(), tcp.destination_port()), (104, 1024));
    assert!(tcp.rst() && !tcp.syn() && !tcp.fin() && tcp.payload().is_empty());
    let checksum = match sliced.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => tcp
            .calc_checksum_ipv4(ip.header().source(), ip.header().destination())
            .unwrap(),
        NetSlice::Ipv6(ip) => tcp
            .calc_checksum_ipv6(ip.header().source(), ip.header().destination())
            .unwrap(),
        NetSlice::Arp(_) => unreachable!(),
    };
    assert_eq!(tcp.checksum(), checksum);
    (
        tcp.sequence_number(),
        tcp.acknowledgment_number(),
        tcp.ack(),
    )
}

#[test]
fn reset_of_a_segment_without_ack_acknowledges_all_of_it() {
    for (payload, expected) in [(&b""[..], 7001), (b"hello", 7006)] {
        let segment = tcp(SYN, payload);
        for frame in [
            ethernet(IPV4, &ipv4(IpNumber::TCP, &segment)),
            ethernet(IPV6, &ipv6(6, &segment)),
        ] {
            let reset = answer(tcp_reset, &frame).unwrap();
            assert_eq!(check_reset(&reset), (0, expected, true));
        }
    }
}

#[test]
fn reset_of_a_segment_with_ack_takes_its_place() {
    let frame = ethernet(IPV4, &ipv4(IpNumber::TCP, &tcp(ACK, b"data")));
    assert_eq!(
        check_reset(&answer(tcp_reset, &frame).unwrap()),
        (9000, 0, false)
    );
}

#[test]
fn reset_does_not_count_padding() {
    let mut frame = ethernet(IPV4, &ipv4(IpNumber::TCP, &tcp(SYN, &[])));
    frame.resize(60, 0);
    assert_eq!(
        check_reset(&answer(tcp_reset, &frame).unwrap()),
        (0, 7001, true)
    );
}

#[test]
fn reset_acknowledges_around_the_end_of_sequence_space() {
    let mut segment = tcp(SYN, &[]);
    segment[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    let frame = ethernet(IPV4, &ipv4(IpNumber::TCP, &segment));
    assert_eq!(
        check_reset(&answer(tcp_reset, &frame).unwrap()),
        (0, 0, true)
    );
}

#[test]
fn answers_carry_the_tags_of_the_frame() {
    let tags = [(0x88a8, 20), (0x8100, 0xe000 | 30)];
    let frame = tagged(&tags, IPV4, &ipv4(IpNumber::TCP, &tcp(SYN, &[])));
    for refuse in [tcp_reset as Refuse, unreachable] {
        let answer = answer(refuse, &frame).unwrap();
        assert_eq!(answer[12..22], frame[12..22]);
        sliced(&answer);
    }
}

#[test]
fn unreachable_quotes_an_ipv4_datagram() {
    let packet = ipv4(IpNumber::UDP, &udp(b"question"));
    let mut frame = ethernet(IPV4, &packet);
    frame.resize(60, 0xaa);
    let answer = answer(unreachable, &frame).unwrap();
    let sliced = sliced(&answer);
    let Some(TransportSlice::Icmpv4(icmp)) = &sliced.transport else {
        panic!("no ICMP in {sliced:?}");
    };
    let prohibited = DestUnreachableHeader::FilterProhibited;
    assert_eq!(
        icmp.icmp_type(),
        Icmpv4Type::DestinationUnreachable(prohibited)
    );
    assert_eq!((icmp.type_u8(), icmp.code_u8()), (3, 13));
    assert_eq!(
        icmp.icmp_type().calc_checksum(icmp.payload()),
        icmp.checksum()
    );
    assert_eq!(icmp.payload(), packet, "without the padding");
}

#[test]
fn unreachable_quotes_an_ipv6_datagram() {
    let packet = ipv6(17, &udp(b"question"));
    let answer = answer(unreachable, &ethernet(IPV6, &packet)).unwrap();
    let sliced = sliced(&answer);
    let Some(TransportSlice::Icmpv6(icmp)) = &sliced.transport else {
        panic!("no ICMPv6 in {sliced:?}");
    };
    let prohibited = DestUnreachableCode::Prohibited;
    assert_eq!(
        icmp.icmp_type(),
        Icmpv6Type::DestinationUnreachable(prohibited)
    );
    assert_eq!((icmp.type_u8(), icmp.code_u8()), (1, 1));
    assert!(icmp.is_checksum_valid(DESTINATION_V6, SOURCE_V6));
    assert_eq!(icmp.payload(), packet);
}

#[test]
fn unreachable_quotes_no_more_than_it_may() {
    let v4 = ethernet(IPV4, &ipv4(IpNumber::UDP, &udp(&[0; 1400])));
    assert_eq!(answer(unreachable, &v4).unwrap().len(), 14 + 576);
    let v6 = tagged(
        &[(0x88a8, 20), (0x8100, 30)],
        IPV6,
        &ipv6(17, &udp(&[0; 1400])),
    );
    assert_eq!(answer(unreachable, &v6).unwrap().len(), MAX_LEN);
}

#[test]
fn unreachable_of_an_echo_request() {
    let frame = ethernet(IPV4, &ipv4(IpNumber::ICMP, &[8, 0, 0, 0, 0, 1, 0, 1]));
    assert!(answer(unreachable, &frame).is_some());
    let frame = ethernet(IPV6, &ipv6(58, &[128, 0, 0, 0, 0, 1, 0, 1]));
    assert!(answer(unreachable, &frame).is_some());
}

#[test]
fn errors_and_answers_are_not_answered() {
    for kind in [0, 3, 4, 5, 11, 12] {
        let frame = ethernet(IPV4, &ipv4(IpNumber::ICMP, &[kind, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(answer(unreachable, &frame), None, "ICMP type {kind}");
    }
    for kind in [1, 2, 3, 4, 127] {
        let frame = ethernet(IPV6, &ipv6(58, &[kind, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(answer(unreachable, &frame), None, "ICMPv6 type {kind}");
    }
    let redirect = nd(SOURCE_V6, DESTINATION_V6, &[137, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(answer(unreachable, &redirect), None);
}

#[test]
fn a_reset_is_not_answered_with_a_reset() {
    let frame = ethernet(IPV4, &ipv4(IpNumber::TCP, &tcp(4, &[])));
    assert_eq!(answer(tcp_reset, &frame), None);
    let frame = ethernet(IPV4, &ipv4(IpNumber::UDP, &udp(&[])));
    assert_eq!(answer(tcp_reset, &frame), None, "nor a datagram");
}

#[test]
fn groups_are_not_answered() {
    let packet = ipv4(IpNumber::TCP, &tcp(SYN, &[]));
    for mac in [[0xff; 6], [0x01, 0, 0x5e, 0, 0, 1]] {
        let mut frame = ethernet(IPV4, &packet);
        frame[..6].copy_from_slice(&mac);
        check_silent(&frame);
    }
    for destination in [[224, 0, 0, 1], [255; 4], [0; 4], [127, 0, 0, 1], SOURCE_V4] {
        let header = etherparse::Ipv4Header {
            destination,
            ..ipv4_header(IpNumber::TCP)
        };
        check_silent(&ethernet(IPV4, &ipv4_with(header, &tcp(SYN, &[]))));
    }
    let mut group = [0; 16];
    group[..2].copy_from_slice(&[0xff, 2]);
    check_silent(&ethernet(
        IPV6,
        &ipv6_between(SOURCE_V6, group, 64, 6, &tcp(SYN, &[])),
    ));
}

#[test]
fn sources_that_name_no_station_are_not_answered() {
    for source in [[0; 4], [127, 0, 0, 1]] {
        let header = etherparse::Ipv4Header {
            source,
            ..ipv4_header(IpNumber::TCP)
        };
        check_silent(&ethernet(IPV4, &ipv4_with(header, &tcp(SYN, &[]))));
    }
    let unspecified = ipv6_between([0; 16], DESTINATION_V6, 64, 6, &tcp(SYN, &[]));
    check_silent(&ethernet(IPV6, &unspecified));
}

#[test]
fn fragments_are_not_answered() {
    let segment = tcp(SYN, &[0; 4]);
    check_silent(&ethernet(
        IPV4,
        &ipv4_fragment(IpNumber::TCP, 5, 0, true, &segment),
    ));
    check_silent(&ethernet(
        IPV4,
        &ipv4_fragment(IpNumber::TCP, 5, 3, false, &segment),
    ));
}

#[test]
fn frames_in_an_envelope_and_frames_without_ip_are_not_answered() {
    let packet = ipv4(IpNumber::TCP, &tcp(SYN, &[]));
    check_silent(&llc(
        &[[0xaa, 0xaa, 3, 0, 0, 0, 8, 0].as_slice(), &packet].concat()
    ));
    check_silent(&messages::arp_request());
    check_silent(&ethernet(0x1234, &[0; 46]));
}

fn check_silent(frame: &[u8]) {
    assert_eq!(answer(tcp_reset, frame), None);
    assert_eq!(answer(unreachable, frame), None);
}

#[test]
fn too_little_room_is_no_answer() {
    let frame = ethernet(IPV4, &ipv4(IpNumber::TCP, &tcp(SYN, &[])));
    let meta = accepted(&frame);
    let mut out = [0; MAX_LEN - 1];
    assert_eq!(tcp_reset(&frame, &meta, &mut out), None);
    assert_eq!(unreachable(&frame, &meta, &mut out), None);
}
