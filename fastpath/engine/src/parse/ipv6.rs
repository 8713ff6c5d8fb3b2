//! The IPv6 header and its chain of extension headers (RFC 8200 §4).
//!
//! A next-header value is one of three things. An extension header is walked: hop-by-hop,
//! routing, fragment, authentication, destination options, mobility, HIP, Shim6. The two values
//! for experiments (253, 254) may stand for extension headers of any shape, so nothing behind
//! them can be decided: refused. Everything else is a protocol decided by its number, with no
//! look inside: RFC 8200 gives no means to tell an unknown header from an unknown protocol, and
//! a number no rule names is denied.

use core::net::Ipv6Addr;

use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv6FragmentHeaderSlice, Ipv6Header, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, err,
};
use wardline_policy::Reason;

use super::position;
use crate::meta::{Fragment, L3, PacketMeta};

pub(super) const MAX_HEADERS: usize = 8;
const MAX_CHAIN_BYTES: usize = 256;
/// The type of routing header RFC 5095 forbids.
const ROUTING_TYPE_SOURCE: u8 = 0;

/// Fills everything up to the transport offset, and the end of the datagram.
pub(super) fn read(frame: &[u8], meta: &mut PacketMeta) -> Result<(), Reason> {
    let offset = usize::from(meta.l3_offset);
    let packet = frame
        .get(offset..usize::from(meta.end))
        .ok_or(Reason::Truncated)?;
    let header = Ipv6HeaderSlice::from_slice(packet).map_err(|e| match e {
        err::ipv6::HeaderSliceError::Len(_) => Reason::Truncated,
        err::ipv6::HeaderSliceError::Content(_) => Reason::BadHeader,
    })?;
    let total_len = Ipv6Header::LEN + usize::from(header.payload_length());
    let packet = packet.get(..total_len).ok_or(Reason::Truncated)?;
    meta.l3 = L3::Ip {
        source: header.source(),
        destination: header.destination(),
        version: 6,
    };
    meta.protocol = header.next_header().0;
    meta.hop_limit = header.hop_limit();
    meta.l4_offset = position(offset + Ipv6Header::LEN)?;
    meta.end = position(offset + total_len)?;
    meta.payload_offset = meta.end;
    // Mapped addresses never stand on the wire (RFC 6890); in one they would pass for IPv4.
    let mapped = |address: Ipv6Addr| address.to_ipv4_mapped().is_some();
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if source.is_multicast() || mapped(source) || mapped(destination) {
        return Err(Reason::BadHeader);
    }
    walk(packet, header.next_header(), meta)
}

/// Follows the chain of one datagram to the transport header or to the data of a later fragment.
fn walk(packet: &[u8], first: IpNumber, meta: &mut PacketMeta) -> Result<(), Reason> {
    let mut at = Ipv6Header::LEN;
    let mut next = first;
    let mut headers = 0;
    while is_extension(next) {
        headers += 1;
        if headers > MAX_HEADERS || (next == IpNumber::IPV6_HEADER_HOP_BY_HOP && headers > 1) {
            return Err(Reason::Ipv6ExtHeader);
        }
        let rest = packet.get(at..).unwrap_or_default();
        let (following, len) = step(next, rest).map_err(|reason| cut_short(reason, meta))?;
        at += len;
        if at - Ipv6Header::LEN > MAX_CHAIN_BYTES {
            return Err(Reason::Ipv6ExtHeader);
        }
        meta.protocol = following.0;
        meta.l4_offset = position(usize::from(meta.l3_offset) + at)?;
        if next == IpNumber::IPV6_FRAGMENTATION_HEADER {
            read_fragment(rest, meta)?;
            if let Fragment::Later { .. } = meta.fragment {
                return Ok(());
            }
        }
        next = following;
    }
    Ok(())
}

/// Whether the chain goes on behind this value.
pub(super) const fn is_extension(next: IpNumber) -> bool {
    matches!(next.0, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140 | 253 | 254)
}

/// The value behind one extension header, and that header's length in bytes.
pub(super) fn step(kind: IpNumber, rest: &[u8]) -> Result<(IpNumber, usize), Reason> {
    match kind {
        IpNumber::IPV6_FRAGMENTATION_HEADER => {
            let header =
                Ipv6FragmentHeaderSlice::from_slice(rest).map_err(|_| Reason::Truncated)?;
            Ok((header.next_header(), header.slice().len()))
        }
        IpNumber::AUTHENTICATION_HEADER => {
            let header = IpAuthHeaderSlice::from_slice(rest).map_err(|e| match e {
                err::ip_auth::HeaderSliceError::Len(_) => Reason::Truncated,
                err::ip_auth::HeaderSliceError::Content(_) => Reason::BadHeader,
            })?;
            Ok((header.next_header(), header.slice().len()))
        }
        IpNumber::EXPERIMENTAL_AND_TESTING_0 | IpNumber::EXPERIMENTAL_AND_TESTING_1 => {
            Err(Reason::Ipv6ExtHeader)
        }
        _ => {
            let header = Ipv6RawExtHeaderSlice::from_slice(rest).map_err(|_| Reason::Truncated)?;
            let routing_type = header.payload().first();
            if kind == IpNumber::IPV6_ROUTE_HEADER && routing_type == Some(&ROUTING_TYPE_SOURCE) {
                return Err(Reason::Ipv6Routing);
            }
            Ok((header.next_header(), header.slice().len()))
        }
    }
}

/// A chain that does not fit into its first fragment is an evasion, not an accident (RFC 7112).
fn cut_short(reason: Reason, meta: &PacketMeta) -> Reason {
    match (reason, meta.fragment) {
        (Reason::Truncated, Fragment::First { .. }) => Reason::TinyFragment,
        _ => reason,
    }
}

/// `rest` begins with a whole fragment header, behind which `meta.l4_offset` already points.
fn read_fragment(rest: &[u8], meta: &mut PacketMeta) -> Result<(), Reason> {
    let header = Ipv6FragmentHeaderSlice::from_slice(rest).map_err(|_| Reason::Truncated)?;
    if meta.fragment != Fragment::Whole {
        return Err(Reason::Ipv6ExtHeader);
    }
    meta.fragment = super::transport::fragment(
        header.next_header(),
        header.identification(),
        header.fragment_offset().value(),
        header.more_fragments(),
        meta.end - meta.l4_offset,
    )?;
    Ok(())
}

/// Whether the datagram carries a fragment header, an atomic one included. For IPv6 frames that
/// [`super::parse`] accepted; false for all others.
pub(crate) fn has_fragment_header(frame: &[u8], meta: &PacketMeta) -> bool {
    let chain = frame.get(usize::from(meta.l3_offset)..usize::from(meta.l4_offset));
    let (L3::Ip { version: 6, .. }, Some(chain)) = (meta.l3, chain) else {
        return false;
    };
    let Ok(header) = Ipv6HeaderSlice::from_slice(chain) else {
        return false;
    };
    let mut at = Ipv6Header::LEN;
    let mut next = header.next_header();
    while is_extension(next) {
        if next == IpNumber::IPV6_FRAGMENTATION_HEADER {
            return true;
        }
        match chain.get(at..).map(|rest| step(next, rest)) {
            Some(Ok((following, len))) => (next, at) = (following, at + len),
            _ => return false,
        }
    }
    false
}
