//! The IPv4 header (RFC 791) with its options and fragments.

use etherparse::{IpNumber, Ipv4HeaderSlice, err};
use wardline_policy::Reason;

use super::position;
use crate::meta::{L3, PacketMeta};

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const RECORD_ROUTE: u8 = 7;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;
const ROUTER_ALERT: u8 = 148;

/// Fills everything up to the transport offset, and the end of the datagram.
pub(super) fn read(frame: &[u8], meta: &mut PacketMeta) -> Result<(), Reason> {
    let offset = usize::from(meta.l3_offset);
    let packet = frame
        .get(offset..usize::from(meta.end))
        .ok_or(Reason::Truncated)?;
    let header = Ipv4HeaderSlice::from_slice(packet).map_err(|e| match e {
        err::ipv4::HeaderSliceError::Len(_) => Reason::Truncated,
        err::ipv4::HeaderSliceError::Content(_) => Reason::BadHeader,
    })?;
    let header_len = header.slice().len();
    let total_len = usize::from(header.total_len());
    if total_len < header_len {
        return Err(Reason::BadHeader);
    }
    if total_len > packet.len() {
        return Err(Reason::Truncated);
    }
    if !checksum_holds(&header) {
        return Err(Reason::BadHeader);
    }
    meta.l3 = L3::Ip {
        source: mapped(header.source()),
        destination: mapped(header.destination()),
        version: 4,
    };
    meta.protocol = header.protocol().0;
    meta.hop_limit = header.ttl();
    meta.l4_offset = position(offset + header_len)?;
    meta.end = position(offset + total_len)?;
    meta.payload_offset = meta.end;
    if header.source_addr().is_multicast() || header.source_addr().is_broadcast() {
        return Err(Reason::BadHeader);
    }
    check_options(header.options(), header.protocol())?;
    meta.fragment = super::transport::fragment(
        header.protocol(),
        u32::from(header.identification()),
        header.fragments_offset().value(),
        header.more_fragments(),
        meta.end - meta.l4_offset,
    )?;
    Ok(())
}

/// Summed over a right header, checksum included, the ones' complement is zero.
fn checksum_holds(header: &Ipv4HeaderSlice<'_>) -> bool {
    etherparse::checksum::Sum16BitWords::new()
        .add_slice(header.slice())
        .ones_complement()
        == 0
}

/// Options that choose or record the way are refused (RFC 7126), router alert belongs to IGMP
/// (RFC 2113); all others pass, as they have no say in where the packet goes.
fn check_options(mut options: &[u8], protocol: IpNumber) -> Result<(), Reason> {
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            END_OF_OPTIONS => break,
            NO_OPERATION => {
                options = rest;
                continue;
            }
            RECORD_ROUTE | LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => {
                return Err(Reason::Ipv4Options);
            }
            ROUTER_ALERT if protocol != IpNumber::IGMP => return Err(Reason::Ipv4Options),
            _ => {}
        }
        let len = usize::from(*rest.first().ok_or(Reason::BadHeader)?);
        if len < 2 {
            return Err(Reason::BadHeader);
        }
        options = options.get(len..).ok_or(Reason::BadHeader)?;
    }
    Ok(())
}

/// `::ffff:a.b.c.d`
pub(super) fn mapped(address: [u8; 4]) -> [u8; 16] {
    core::net::Ipv4Addr::from(address).to_ipv6_mapped().octets()
}
