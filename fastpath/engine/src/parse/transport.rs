//! Fragment state and the transport header.

use etherparse::{IpNumber, TcpHeaderSlice, TcpOptionElement, UdpHeader, UdpHeaderSlice, err};
use wardline_policy::Reason;

use super::position;
use crate::flow::sctp::{INIT, INIT_ACK};
use crate::meta::{Fragment, L3, L4, PacketMeta};

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
/// FIN, SYN, RST, PSH, ACK, URG: a segment with none of them has no meaning.
const CONTROL_BITS: u8 = 0x3f;
/// Window scale of a segment that carries none.
const NO_SCALE: u8 = 255;
/// RFC 7323 §2.3: larger shift counts are taken as 14.
const MAX_SCALE: u8 = 14;
const SCTP_COMMON_HEADER_LEN: usize = 12;
const SCTP_CHUNK_HEADER_LEN: usize = 4;
/// Type, code and checksum; the shortest message that can be told from others.
const ICMP_MIN_LEN: usize = 4;
const ICMP_HEADER_LEN: usize = 8;
/// Fragment offsets count in these.
const FRAGMENT_UNIT: u16 = 8;
/// Longest datagram there is; fragments reaching beyond it never come together.
const MAX_DATAGRAM: u32 = 65_535;

/// The fragment state by offset (in units of 8 bytes), "more" flag and bytes of fragment data.
/// A fragment at offset 8 can rewrite the flags of a TCP header: refused (RFC 3128).
pub(super) fn fragment(
    protocol: IpNumber,
    id: u32,
    units: u16,
    more: bool,
    len: u16,
) -> Result<Fragment, Reason> {
    if units == 0 && !more {
        return Ok(Fragment::Whole);
    }
    let end = u32::from(units) * u32::from(FRAGMENT_UNIT) + u32::from(len);
    if len == 0 || end > MAX_DATAGRAM || (more && !len.is_multiple_of(FRAGMENT_UNIT)) {
        return Err(Reason::BadHeader);
    }
    if units == 1 && protocol == IpNumber::TCP {
        return Err(Reason::TinyFragment);
    }
    Ok(if units == 0 {
        Fragment::First { id, len }
    } else {
        let offset = units * FRAGMENT_UNIT;
        Fragment::Later {
            id,
            offset,
            len,
            more,
        }
    })
}

/// Fills transport header and payload offset of an IP frame.
pub(super) fn read(frame: &[u8], meta: &mut PacketMeta) -> Result<(), Reason> {
    if let Fragment::Later { .. } = meta.fragment {
        meta.l4 = L4::Absent;
        meta.payload_offset = meta.l4_offset;
        return Ok(());
    }
    let start = usize::from(meta.l4_offset);
    let segment = frame
        .get(start..usize::from(meta.end))
        .ok_or(Reason::Truncated)?;
    let first = meta.fragment != Fragment::Whole;
    let result = match (IpNumber(meta.protocol), version(meta)) {
        (IpNumber::TCP, _) => tcp(segment),
        (IpNumber::UDP, _) => udp(segment, first),
        (IpNumber::SCTP, _) => sctp(segment),
        (IpNumber::ICMP, 4) | (IpNumber::IPV6_ICMP, 6) => icmp(segment, meta.protocol, first),
        _ => Ok((L4::Other, 0)),
    };
    let (l4, header_len) = result.map_err(|reason| match reason {
        Reason::Truncated if first => Reason::TinyFragment,
        other => other,
    })?;
    meta.l4 = l4;
    meta.payload_offset = position(start + header_len)?;
    Ok(())
}

const fn version(meta: &PacketMeta) -> u8 {
    match meta.l3 {
        L3::Ip { version, .. } => version,
        L3::Arp | L3::Other => 0,
    }
}

fn tcp(segment: &[u8]) -> Result<(L4, usize), Reason> {
    let header = TcpHeaderSlice::from_slice(segment).map_err(|e| match e {
        err::tcp::HeaderSliceError::Len(_) => Reason::Truncated,
        err::tcp::HeaderSliceError::Content(_) => Reason::BadHeader,
    })?;
    let flags = header.slice()[13];
    let absurd = flags & CONTROL_BITS == 0 || (flags & SYN != 0 && flags & (FIN | RST) != 0);
    if absurd {
        return Err(Reason::TcpFlags);
    }
    let l4 = L4::Tcp {
        source: header.source_port(),
        destination: header.destination_port(),
        flags,
        seq: header.sequence_number(),
        ack: header.acknowledgment_number(),
        window: header.window_size(),
        scale: if flags & SYN == 0 {
            NO_SCALE
        } else {
            window_scale(&header)
        },
    };
    Ok((l4, header.slice().len()))
}

/// Options behind a malformed one are not read, as in the stacks that receive the segment.
fn window_scale(header: &TcpHeaderSlice<'_>) -> u8 {
    header
        .options_iterator()
        .map_while(Result::ok)
        .find_map(|option| match option {
            TcpOptionElement::WindowScale(shift) => Some(shift.min(MAX_SCALE)),
            _ => None,
        })
        .unwrap_or(NO_SCALE)
}

/// A first fragment announces the length of the whole datagram; any other frame holds it all.
fn udp(segment: &[u8], first: bool) -> Result<(L4, usize), Reason> {
    let header = UdpHeaderSlice::from_slice(segment).map_err(|_| Reason::Truncated)?;
    let len = usize::from(header.length());
    if len < UdpHeader::LEN {
        return Err(Reason::BadHeader);
    }
    if len > segment.len() && !first {
        return Err(Reason::Truncated);
    }
    let l4 = L4::Udp {
        source: header.source_port(),
        destination: header.destination_port(),
    };
    Ok((l4, UdpHeader::LEN))
}

/// etherparse knows no SCTP; RFC 9260 §3. The tag is 0 exactly in a packet with an INIT, and no
/// endpoint may choose 0 for itself (§3.3.2, §8.5.1).
fn sctp(segment: &[u8]) -> Result<(L4, usize), Reason> {
    let (header, chunks) = segment
        .split_first_chunk::<SCTP_COMMON_HEADER_LEN>()
        .ok_or(Reason::Truncated)?;
    let (&[chunk, flags, ..], value) = chunks
        .split_first_chunk::<SCTP_CHUNK_HEADER_LEN>()
        .ok_or(Reason::Truncated)?;
    let [s1, s0, d1, d0, t3, t2, t1, t0, ..] = *header;
    let tag = u32::from_be_bytes([t3, t2, t1, t0]);
    let offers = matches!(chunk, INIT | INIT_ACK);
    let initiate = match value.first_chunk() {
        _ if !offers => 0,
        Some(initiate) => u32::from_be_bytes(*initiate),
        None => return Err(Reason::Truncated),
    };
    if (tag == 0) != (chunk == INIT) || (offers && initiate == 0) {
        return Err(Reason::BadHeader);
    }
    let l4 = L4::Sctp {
        source: u16::from_be_bytes([s1, s0]),
        destination: u16::from_be_bytes([d1, d0]),
        tag,
        chunk,
        flags,
        initiate,
    };
    Ok((l4, SCTP_COMMON_HEADER_LEN))
}

/// Messages shorter than eight bytes are odd but harmless; their missing bytes read as zero.
fn icmp(segment: &[u8], protocol: u8, first: bool) -> Result<(L4, usize), Reason> {
    let least = if first { ICMP_HEADER_LEN } else { ICMP_MIN_LEN };
    if segment.len() < least {
        return Err(Reason::Truncated);
    }
    let len = segment.len().min(ICMP_HEADER_LEN);
    let mut header = [0u8; ICMP_HEADER_LEN];
    header[..len].copy_from_slice(&segment[..len]);
    let [kind, code, _, _, r3, r2, r1, r0] = header;
    let id = if has_identifier(protocol, kind) {
        u16::from_be_bytes([r3, r2])
    } else {
        0
    };
    let rest = u32::from_be_bytes([r3, r2, r1, r0]);
    Ok((
        L4::Icmp {
            kind,
            code,
            id,
            rest,
        },
        len,
    ))
}

/// Queries and their answers: echo, timestamp, information and address mask of ICMP (RFC 792,
/// 950), extended echo (RFC 8335) of both, echo and node information of ICMPv6 (RFC 4443, 4620
/// has a nonce behind the header instead).
const fn has_identifier(protocol: u8, kind: u8) -> bool {
    if protocol == IpNumber::ICMP.0 {
        matches!(kind, 0 | 8 | 13..=18 | 42 | 43)
    } else {
        matches!(kind, 128 | 129 | 160 | 161)
    }
}
