//! Answers to refused frames, so that the initiator need not wait for its timeout.
//!
//! The box has no address of its own on the line: an answer comes from the address the frame was
//! sent to, with the VLAN tags it carried. Nothing is answered that could make two stations
//! answer each other, or one frame be answered by many (RFC 1122 §3.2.2, RFC 4443 §2.4).

use core::net::{IpAddr, Ipv6Addr};

use etherparse::{
    Ethernet2Header, Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, IpNumber, Ipv4Header,
    Ipv6Header, SingleVlanHeader, TcpHeader, icmpv4, icmpv6,
};
use wardline_policy::MacAddr;

use crate::meta::{Fragment, L3, L4, PacketMeta};

/// Room that every answer fits in, in bytes: two tags and the longest ICMPv6 error.
pub const MAX_LEN: usize = Ethernet2Header::LEN + 2 * SingleVlanHeader::LEN + MAX_IPV6_ERROR_LEN;

/// RFC 1812 §4.3.2.3: an ICMP error quotes as much as fits into this datagram.
const MAX_IPV4_ERROR_LEN: usize = 576;
/// RFC 4443 §2.4 (c): the same for ICMPv6, the least MTU of IPv6.
const MAX_IPV6_ERROR_LEN: usize = 1280;
/// Shortest Ethernet frame without check sequence; not every virtual port pads by itself.
const MIN_FRAME_LEN: usize = 60;
const ICMP_HEADER_LEN: usize = 8;
const HOP_LIMIT: u8 = 64;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Writes the reset that ends a refused TCP segment's connection at its sender (RFC 9293
/// §3.5.2). Returns the length of the frame; `None` if the frame must not be answered so, or
/// `out` is shorter than [`MAX_LEN`].
pub fn tcp_reset(frame: &[u8], meta: &PacketMeta, out: &mut [u8]) -> Option<usize> {
    let L4::Tcp {
        source,
        destination,
        flags,
        seq,
        ack,
        ..
    } = meta.l4
    else {
        return None;
    };
    if flags & RST != 0 || !may_answer(meta) {
        return None;
    }
    let mut tcp = TcpHeader::new(destination, source, 0, 0);
    tcp.rst = true;
    if flags & ACK != 0 {
        tcp.sequence_number = ack;
    } else {
        tcp.ack = true;
        tcp.acknowledgment_number = seq.wrapping_add(segment_len(meta, flags));
    }
    let (from, to) = addresses(meta)?;
    let checksum = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            tcp.calc_checksum_ipv4_raw(to.octets(), from.octets(), &[])
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            tcp.calc_checksum_ipv6_raw(to.octets(), from.octets(), &[])
        }
        _ => return None,
    };
    tcp.checksum = checksum.ok()?;
    let mut writer = Writer::begin(frame, meta, out)?;
    writer.ip(to, from, IpNumber::TCP, tcp.header_len())?;
    writer.put(&tcp.to_bytes())?;
    writer.finish()
}

/// Writes "communication administratively prohibited" to the sender of a refused frame (ICMP
/// type 3 code 13, ICMPv6 type 1 code 1), quoting it. Returns the length of the frame; `None`
/// if the frame must not be answered, or `out` is shorter than [`MAX_LEN`].
pub fn unreachable(frame: &[u8], meta: &PacketMeta, out: &mut [u8]) -> Option<usize> {
    if !may_answer(meta) || is_icmp_beyond_query(meta) {
        return None;
    }
    let datagram = frame.get(usize::from(meta.l3_offset)..usize::from(meta.end))?;
    let (from, to) = addresses(meta)?;
    let mut writer = Writer::begin(frame, meta, out)?;
    match (from, to) {
        (IpAddr::V4(_), IpAddr::V4(_)) => {
            let room = MAX_IPV4_ERROR_LEN - Ipv4Header::MIN_LEN - ICMP_HEADER_LEN;
            let quoted = &datagram[..datagram.len().min(room)];
            let kind =
                Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::FilterProhibited);
            let icmp = Icmpv4Header::with_checksum(kind, quoted);
            writer.ip(to, from, IpNumber::ICMP, icmp.header_len() + quoted.len())?;
            writer.put(&icmp.to_bytes())?;
            writer.put(quoted)?;
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let room = MAX_IPV6_ERROR_LEN - Ipv6Header::LEN - ICMP_HEADER_LEN;
            let quoted = &datagram[..datagram.len().min(room)];
            let kind = Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Prohibited);
            let (source, destination) = (source.octets(), destination.octets());
            let icmp = Icmpv6Header::with_checksum(kind, destination, source, quoted).ok()?;
            writer.ip(
                to,
                from,
                IpNumber::IPV6_ICMP,
                icmp.header_len() + quoted.len(),
            )?;
            writer.put(&icmp.to_bytes())?;
            writer.put(quoted)?;
        }
        _ => return None,
    }
    writer.finish()
}

/// Sequence numbers the segment takes up: its payload, and one each for SYN and FIN.
fn segment_len(meta: &PacketMeta, flags: u8) -> u32 {
    u32::from(meta.end.saturating_sub(meta.payload_offset))
        + u32::from(flags & SYN != 0)
        + u32::from(flags & FIN != 0)
}

/// Only a whole datagram between two single stations is answered.
fn may_answer(meta: &PacketMeta) -> bool {
    let Some((source, destination)) = addresses(meta) else {
        return false;
    };
    meta.fragment == Fragment::Whole
        && !meta.destination_mac.is_group()
        && meta.source_mac != MacAddr::default()
        && is_station(source)
        && is_station(destination)
        && source != destination
}

fn is_station(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(broadcast || address.is_unspecified() || address.is_multicast() || address.is_loopback())
}

/// Errors are never answered with errors. Of ICMP only queries are; of ICMPv6 everything that is
/// not an error, save redirects.
fn is_icmp_beyond_query(meta: &PacketMeta) -> bool {
    match (meta.l3, meta.l4) {
        (L3::Ip { version: 4, .. }, L4::Icmp { kind, .. }) => {
            !matches!(kind, 8 | 10 | 13 | 15 | 17 | 42)
        }
        (_, L4::Icmp { kind, .. }) => kind < 128 || kind == 137,
        _ => false,
    }
}

/// Source and destination.
fn addresses(meta: &PacketMeta) -> Option<(IpAddr, IpAddr)> {
    let L3::Ip {
        source,
        destination,
        version,
    } = meta.l3
    else {
        return None;
    };
    let (source, destination) = (Ipv6Addr::from(source), Ipv6Addr::from(destination));
    if version == 4 {
        Some((
            source.to_ipv4_mapped()?.into(),
            destination.to_ipv4_mapped()?.into(),
        ))
    } else {
        Some((source.into(), destination.into()))
    }
}

/// Writes a frame from front to back; `None` when the room ends.
struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// The Ethernet header with addresses swapped, tags and EtherType as they came. A frame in
    /// an LLC envelope gets no answer: its length field would be another one.
    fn begin(frame: &[u8], meta: &PacketMeta, out: &'a mut [u8]) -> Option<Self> {
        let link_len = Ethernet2Header::LEN + usize::from(meta.tags) * SingleVlanHeader::LEN;
        if out.len() < MAX_LEN || usize::from(meta.l3_offset) != link_len {
            return None;
        }
        let mut writer = Self { out, len: 0 };
        writer.put(&meta.source_mac.0)?;
        writer.put(&meta.destination_mac.0)?;
        writer.put(frame.get(2 * 6..link_len)?)?;
        Some(writer)
    }

    fn ip(
        &mut self,
        source: IpAddr,
        destination: IpAddr,
        protocol: IpNumber,
        payload_len: usize,
    ) -> Option<()> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = Ipv4Header {
                    total_len: u16::try_from(Ipv4Header::MIN_LEN + payload_len).ok()?,
                    dont_fragment: true,
                    time_to_live: HOP_LIMIT,
                    protocol,
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv4Header::default()
                };
                header.header_checksum = header.calc_header_checksum();
                self.put(&header.to_bytes())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let header = Ipv6Header {
                    payload_length: u16::try_from(payload_len).ok()?,
                    next_header: protocol,
                    hop_limit: HOP_LIMIT,
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv6Header::default()
                };
                self.put(&header.to_bytes())
            }
            _ => None,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len + bytes.len();
        self.out.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    /// Pads to the shortest frame there may be.
    fn finish(mut self) -> Option<usize> {
        if self.len < MIN_FRAME_LEN {
            let padding = [0u8; MIN_FRAME_LEN];
            self.put(&padding[self.len..])?;
        }
        Some(self.len)
    }
}
