//! Datagrams in pieces.

use etherparse::IpNumber;
use wardline_policy::Reason;

use crate::lab::*;

/// A piece of a datagram from the modality to the PACS.
fn part(id: u16, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let packet = ipv4_part(
        MODALITY.ip,
        PACS.ip,
        IpNumber::UDP,
        id,
        (offset, more),
        payload,
    );
    ethernet(MODALITY.mac, PACS.mac, &[], 0x0800, &packet)
}

/// The first 64 bytes of a datagram of 128.
fn first(id: u16, port: u16) -> Vec<u8> {
    part(id, 0, true, &udp_datagram((40_000, port), &[7; 120])[..64])
}

#[test]
fn row_non_first_fragments() {
    let mut lab = Lab::new();
    let later = part(1, 64, false, &[7; 64]);
    drops(lab.ward(&later), Reason::FragmentBeforeFirst);
    passes(lab.ward(&first(1, 5000)), Reason::Allowed);
    passes(lab.ward(&later), Reason::FragmentFollows);
    // An exact duplicate is harmless.
    passes(lab.ward(&later), Reason::FragmentFollows);
    // The same identifier under other addresses is another datagram.
    let packet = ipv4_part(
        PACS.ip,
        MODALITY.ip,
        IpNumber::UDP,
        1,
        (64, false),
        &[7; 64],
    );
    let back = ethernet(PACS.mac, MODALITY.mac, &[], 0x0800, &packet);
    drops(lab.core(&back), Reason::FragmentBeforeFirst);
    // What follows a denied first fragment is denied for its reason.
    drops(lab.ward(&first(2, 5001)), Reason::NoRule);
    drops(lab.ward(&part(2, 64, false, &[7; 64])), Reason::NoRule);
    // Thirty seconds later nobody remembers.
    lab.wait(31);
    drops(lab.ward(&later), Reason::FragmentBeforeFirst);
    // First fragments of a known conversation are remembered as well.
    passes(lab.ward(&first(3, 5000)), Reason::Established);
    passes(
        lab.ward(&part(3, 64, false, &[7; 64])),
        Reason::FragmentFollows,
    );
}

#[test]
fn row_overlap() {
    let mut lab = Lab::new();
    passes(lab.ward(&first(1, 5000)), Reason::Allowed);
    drops(
        lab.ward(&part(1, 56, false, &[7; 64])),
        Reason::FragmentOverlap,
    );
    // The datagram is dead: what would have fitted comes too late.
    drops(
        lab.ward(&part(1, 64, false, &[7; 64])),
        Reason::FragmentOverlap,
    );
}

#[test]
fn a_second_first_fragment_cannot_change_the_ports_of_the_datagram() {
    let mut lab = Lab::new();
    passes(lab.ward(&first(1, 5000)), Reason::Allowed);
    drops(lab.ward(&first(1, 22)), Reason::NoRule);
    drops(lab.ward(&part(1, 64, false, &[7; 64])), Reason::NoRule);
}

#[test]
fn row_first_fragment_too_small() {
    let mut lab = Lab::new();
    let segment = tcp_segment((40_000, 104), SYN, (1000, 0), b"");
    let packet = ipv4_part(
        MODALITY.ip,
        PACS.ip,
        IpNumber::TCP,
        9,
        (0, true),
        &segment[..16],
    );
    let frame = ethernet(MODALITY.mac, PACS.mac, &[], 0x0800, &packet);
    drops(lab.ward(&frame), Reason::TinyFragment);
    let packet = ipv4_part(
        MODALITY.ip,
        PACS.ip,
        IpNumber::TCP,
        9,
        (8, false),
        &segment[8..],
    );
    let frame = ethernet(MODALITY.mac, PACS.mac, &[], 0x0800, &packet);
    drops(lab.ward(&frame), Reason::TinyFragment);
}

/// A fragment header of IPv6 before a payload.
fn ipv6_part(id: u32, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![6, 0];
    packet.extend((offset | u16::from(more)).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(payload);
    let packet = ipv6(
        MODALITY.ip6,
        PACS.ip6,
        IpNumber::IPV6_FRAGMENTATION_HEADER,
        64,
        &packet,
    );
    ethernet(MODALITY.mac, PACS.mac, &[], 0x86dd, &packet)
}

#[test]
fn row_ipv6_atomic_fragment() {
    let mut lab = Lab::new();
    let segment = tcp_segment((40_000, 104), SYN, (1000, 0), b"");
    passes(lab.ward(&ipv6_part(1, 0, false, &segment)), Reason::Allowed);
    let segment = tcp_segment((40_000, 22), SYN, (1000, 0), b"");
    drops(lab.ward(&ipv6_part(2, 0, false, &segment)), Reason::NoRule);
}

#[test]
fn row_ipv6_first_fragment_without_header_chain() {
    let mut lab = Lab::new();
    let segment = tcp_segment((40_000, 104), SYN, (1000, 0), &[7; 64]);
    drops(
        lab.ward(&ipv6_part(1, 0, true, &segment[..16])),
        Reason::TinyFragment,
    );
    drops(
        lab.ward(&ipv6_part(1, 16, false, &segment[16..])),
        Reason::FragmentBeforeFirst,
    );
    passes(
        lab.ward(&ipv6_part(2, 0, true, &segment[..64])),
        Reason::Allowed,
    );
    passes(
        lab.ward(&ipv6_part(2, 64, false, &segment[64..])),
        Reason::FragmentFollows,
    );
}
