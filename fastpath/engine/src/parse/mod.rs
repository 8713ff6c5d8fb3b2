//! Frames to [`PacketMeta`]: every rule about a single frame that needs no memory of others.
//!
//! etherparse reads the headers; what is decided here is which of them may follow each other and
//! what a fault is called. A frame that breaks a rule is not an error of the program but a
//! reason, together with everything read before the fault, so that the device can still be found.
//!
//! Offsets of an IP frame are ordered: `l3 ≤ l4 ≤ payload ≤ end ≤ frame length`.

pub(crate) mod common;
mod ipv4;
mod ipv6;
mod link;
mod quote;
mod transport;

pub(crate) use ipv6::has_fragment_header;
pub use quote::{Quote, quote};

use etherparse::{EtherType, Ethernet2Header};
use wardline_policy::{MacAddr, Reason, VlanKey};

use crate::meta::{Fragment, L3, L4, PacketMeta};

/// A frame that breaks a rule of its protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError {
    /// The rule.
    pub reason: Reason,
    /// What was read before the fault; `None` for a frame without a whole Ethernet header.
    /// Fields behind the fault keep the values of a frame that is not IP.
    pub meta: Option<PacketMeta>,
}

/// Reads one Ethernet frame (without frame check sequence).
///
/// # Errors
/// The first rule the frame breaks, outermost header first. Checksums of transport headers are
/// not looked at: virtual ports hand over frames whose checksum is still to be filled in.
pub fn parse(frame: &[u8]) -> Result<PacketMeta, ParseError> {
    match common::read(frame).and_then(|common| common.meta(frame)) {
        Some(meta) => Ok(meta),
        None => walk(frame),
    }
}

/// As [`parse`], layer by layer: any frame there is. Public so that the two ways can be compared.
///
/// # Errors
/// As [`parse`].
pub fn walk(frame: &[u8]) -> Result<PacketMeta, ParseError> {
    if frame.len() < Ethernet2Header::LEN {
        return Err(ParseError {
            reason: Reason::Runt,
            meta: None,
        });
    }
    let mut meta = blank(frame.len());
    match fill(frame, &mut meta) {
        Ok(()) => Ok(meta),
        Err(reason) => Err(ParseError {
            reason,
            meta: Some(meta),
        }),
    }
}

fn fill(frame: &[u8], meta: &mut PacketMeta) -> Result<(), Reason> {
    link::read(frame, meta)?;
    if frame.len() > usize::from(u16::MAX) {
        return Err(Reason::Oversize);
    }
    match EtherType(meta.ethertype) {
        EtherType::IPV4 => ipv4::read(frame, meta)?,
        EtherType::IPV6 => ipv6::read(frame, meta)?,
        EtherType::ARP => {
            meta.l3 = L3::Arp;
            return Ok(());
        }
        _ => return Ok(()),
    }
    transport::read(frame, meta)
}

/// A frame of which nothing is known but its length.
fn blank(len: usize) -> PacketMeta {
    let end = u16::try_from(len).unwrap_or(u16::MAX);
    PacketMeta {
        destination_mac: MacAddr::default(),
        source_mac: MacAddr::default(),
        vlan: VlanKey::default(),
        tags: 0,
        ethertype: 0,
        l3: L3::Other,
        protocol: 0,
        hop_limit: 0,
        fragment: Fragment::Whole,
        l4: L4::Other,
        l3_offset: 0,
        l4_offset: 0,
        payload_offset: end,
        end,
    }
}

/// A position in a frame. Frames longer than 65,535 bytes are refused before any is taken.
fn position(offset: usize) -> Result<u16, Reason> {
    u16::try_from(offset).map_err(|_| Reason::Oversize)
}
