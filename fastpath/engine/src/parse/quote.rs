//! The packet an ICMP error quotes.

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6Header, Ipv6HeaderSlice};

use super::{ipv4, ipv6};
use crate::meta::{L3, L4, PacketMeta};

/// Bytes of the quoted transport header every error carries (RFC 792).
const QUOTED_TRANSPORT_LEN: usize = 8;

/// The beginning of a packet as an ICMP error quotes it (RFC 792, 4443): enough to find the
/// conversation it belonged to, in the direction it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// Source address, IPv4 mapped.
    pub source: [u8; 16],
    /// Destination address, IPv4 mapped.
    pub destination: [u8; 16],
    /// IP protocol number after extension headers.
    pub protocol: u8,
    /// The first eight bytes of the transport header.
    pub transport: [u8; 8],
}

impl Quote {
    /// Source and destination port of a quoted TCP, UDP or SCTP header.
    pub fn ports(&self) -> Option<(u16, u16)> {
        let [s1, s0, d1, d0, ..] = self.transport;
        let has_ports = matches!(
            IpNumber(self.protocol),
            IpNumber::TCP | IpNumber::UDP | IpNumber::SCTP
        );
        has_ports.then(|| (u16::from_be_bytes([s1, s0]), u16::from_be_bytes([d1, d0])))
    }

    /// Sequence number of a quoted TCP segment.
    pub fn tcp_seq(&self) -> Option<u32> {
        let [.., a, b, c, d] = self.transport;
        (self.protocol == IpNumber::TCP.0).then(|| u32::from_be_bytes([a, b, c, d]))
    }

    /// Type, code and identifier of a quoted ICMP or ICMPv6 query.
    pub fn icmp(&self) -> Option<(u8, u8, u16)> {
        let [kind, code, _, _, id1, id0, ..] = self.transport;
        matches!(
            IpNumber(self.protocol),
            IpNumber::ICMP | IpNumber::IPV6_ICMP
        )
        .then(|| (kind, code, u16::from_be_bytes([id1, id0])))
    }
}

/// Reads the packet quoted by the ICMP or ICMPv6 message `meta` describes; the caller knows
/// that it is an error. `None` if the quote is cut too short, is of a later fragment, or is of
/// the other IP version.
pub fn quote(frame: &[u8], meta: &PacketMeta) -> Option<Quote> {
    let (L3::Ip { version, .. }, L4::Icmp { .. }) = (meta.l3, meta.l4) else {
        return None;
    };
    let packet = frame.get(usize::from(meta.payload_offset)..usize::from(meta.end))?;
    match version {
        4 => quote_ipv4(packet),
        _ => quote_ipv6(packet),
    }
}

fn quote_ipv4(packet: &[u8]) -> Option<Quote> {
    let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
    if header.fragments_offset().value() != 0 {
        return None;
    }
    Some(Quote {
        source: ipv4::mapped(header.source()),
        destination: ipv4::mapped(header.destination()),
        protocol: header.protocol().0,
        transport: transport(packet, header.slice().len())?,
    })
}

fn quote_ipv6(packet: &[u8]) -> Option<Quote> {
    let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
    let mut at = Ipv6Header::LEN;
    let mut next = header.next_header();
    for _ in 0..ipv6::MAX_HEADERS {
        if !ipv6::is_extension(next) {
            break;
        }
        let rest = packet.get(at..)?;
        if next == IpNumber::IPV6_FRAGMENTATION_HEADER {
            let fragment = Ipv6FragmentHeaderSlice::from_slice(rest).ok()?;
            if fragment.fragment_offset().value() != 0 {
                return None;
            }
        }
        let (following, len) = ipv6::step(next, rest).ok()?;
        (next, at) = (following, at + len);
    }
    Some(Quote {
        source: header.source(),
        destination: header.destination(),
        protocol: next.0,
        transport: transport(packet, at)?,
    })
}

fn transport(packet: &[u8], at: usize) -> Option<[u8; QUOTED_TRANSPORT_LEN]> {
    packet.get(at..)?.first_chunk().copied()
}
