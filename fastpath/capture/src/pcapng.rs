//! The block format: sections, interfaces, packets, and blocks we pass over.

use std::io::Read;

use pcap_parser::Linktype;
use pcap_parser::pcapng::{
    Block, InterfaceDescriptionBlock, OptionCode, parse_block_be, parse_block_le,
};

use crate::error::link_type_name;
use crate::source::Source;
use crate::{Error, ErrorKind, MAX_PACKET_BYTES, Packet};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
/// Obsolete, but still written by old tools.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const BLOCK_HEADER_BYTES: usize = 8;
/// Type, length, and the length again at the end.
const MIN_BLOCK_BYTES: u32 = 12;
/// A packet with the longest option there can be, and some small ones.
const MAX_BLOCK_BYTES: u32 = MAX_PACKET_BYTES + 2 * 65_536;
/// Interfaces of one section; more is an attack on our memory.
const MAX_INTERFACES: usize = 4_096;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const NS_PER_S: u128 = 1_000_000_000;

/// The section at hand.
#[derive(Default)]
pub(crate) struct Pcapng {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Time of the last packet: simple packets carry none.
    last_time_ns: u64,
}

struct Interface {
    link_type: Linktype,
    /// `if_tsresol` as it stands in the file.
    resolution: u8,
    /// `if_tsoffset` in seconds.
    offset_s: i64,
    /// Captured bytes a simple packet is cut to; 0 means unlimited.
    snap_bytes: u32,
}

impl Pcapng {
    pub(crate) fn has_magic(first: &[u8]) -> bool {
        first == SECTION_HEADER.to_le_bytes()
    }

    /// Begins at the first section header; its first four bytes are in `source` already.
    pub(crate) fn begin<R: Read>(source: &mut Source<R>) -> Result<Self, Error> {
        let mut this = Self::default();
        source.extend(BLOCK_HEADER_BYTES - 4, "the section header")?;
        this.block(source)?;
        Ok(this)
    }

    pub(crate) fn next<'a, R: Read>(
        &mut self,
        source: &'a mut Source<R>,
    ) -> Result<Option<Packet<'a>>, Error> {
        while source.begin(BLOCK_HEADER_BYTES, "a block header")? {
            if let Some(found) = self.block(source)? {
                let data = &source.record()[found.range.clone()];
                return Ok(Some(found.packet(data)));
            }
        }
        Ok(None)
    }

    /// Takes in one block whose header is in `source`.
    fn block<R: Read>(&mut self, source: &mut Source<R>) -> Result<Option<Found>, Error> {
        let kind = self.u32_at(source.record(), 0);
        if kind == SECTION_HEADER {
            source.extend(4, "a section header")?;
            self.big_endian = byte_order(source)?;
            self.interfaces.clear();
        }
        let bytes = self.u32_at(source.record(), 4);
        if bytes < MIN_BLOCK_BYTES || !bytes.is_multiple_of(4) {
            return Err(source.error(ErrorKind::Malformed(
                "a block's length is below 12 or no multiple of 4",
            )));
        }
        match kind {
            SECTION_HEADER | INTERFACE_DESCRIPTION | PACKET | SIMPLE_PACKET | ENHANCED_PACKET => {
                let rest = bytes.saturating_sub(source.record().len() as u32);
                if bytes > MAX_BLOCK_BYTES {
                    return Err(source.error(ErrorKind::TooLarge {
                        what: "a block",
                        bytes: bytes.into(),
                        limit: MAX_BLOCK_BYTES.into(),
                    }));
                }
                source.extend(rest as usize, "a block")?;
                self.take_in(source)
            }
            _ => self.pass_over(source, bytes).map(|()| None),
        }
    }

    /// Statistics, names, secrets, custom blocks: nothing in them changes a verdict.
    fn pass_over<R: Read>(&self, source: &mut Source<R>, bytes: u32) -> Result<(), Error> {
        let header = source.record().len() as u64;
        source.skip(u64::from(bytes) - header - 4, "a block")?;
        source.extend(4, "a block")?;
        if self.u32_at(source.record(), 0) != bytes {
            return Err(source.error(LENGTHS_DIFFER));
        }
        Ok(())
    }

    /// Understands the whole block in `source`.
    fn take_in<R: Read>(&mut self, source: &Source<R>) -> Result<Option<Found>, Error> {
        let record = source.record();
        let fail = |kind| Err(source.error(kind));
        if self.u32_at(record, record.len() - 4) as usize != record.len() {
            return fail(LENGTHS_DIFFER);
        }
        let parse = if self.big_endian {
            parse_block_be
        } else {
            parse_block_le
        };
        let Ok((_, block)) = parse(record) else {
            return fail(ErrorKind::Malformed("a block contradicts its own lengths"));
        };
        let found = match &block {
            Block::InterfaceDescription(_) if self.interfaces.len() >= MAX_INTERFACES => {
                return fail(ErrorKind::TooLarge {
                    what: "the list of interfaces",
                    bytes: self.interfaces.len() as u64 + 1,
                    limit: MAX_INTERFACES as u64,
                });
            }
            Block::InterfaceDescription(description) => {
                self.interfaces.push(self.interface(description));
                return Ok(None);
            }
            Block::EnhancedPacket(p) => Raw {
                interface: p.if_id,
                units: Some((u64::from(p.ts_high) << 32) | u64::from(p.ts_low)),
                start: 28,
                captured: p.caplen,
                original: p.origlen,
            },
            Block::SimplePacket(p) => self.simple(p.origlen, record.len()),
            Block::Unknown(_) if self.u32_at(record, 0) == PACKET => {
                match self.obsolete_packet(record) {
                    Some(raw) => raw,
                    None => return fail(ErrorKind::Malformed("a packet block is too short")),
                }
            }
            _ => return Ok(None),
        };
        self.found(&found, record.len()).map(Some).or_else(fail)
    }

    fn interface(&self, description: &InterfaceDescriptionBlock<'_>) -> Interface {
        let mut interface = Interface {
            link_type: description.linktype,
            resolution: 6,
            offset_s: 0,
            snap_bytes: description.snaplen,
        };
        // Read here: the parser's own reading of both options takes no notice of byte order or
        // of binary resolutions.
        for option in &description.options {
            match (option.code, option.value.as_ref()) {
                (OptionCode::IfTsresol, [resolution, ..]) => interface.resolution = *resolution,
                (OptionCode::IfTsoffset, value) => {
                    if let Some(bytes) = value.first_chunk::<8>() {
                        interface.offset_s = if self.big_endian {
                            i64::from_be_bytes(*bytes)
                        } else {
                            i64::from_le_bytes(*bytes)
                        };
                    }
                }
                _ => {}
            }
        }
        interface
    }

    fn simple(&self, original: u32, block_bytes: usize) -> Raw {
        let snap = match self.interfaces.first() {
            Some(interface) if interface.snap_bytes > 0 => interface.snap_bytes,
            _ => u32::MAX,
        };
        let held = (block_bytes - 16) as u32;
        Raw {
            interface: 0,
            units: None,
            start: 12,
            captured: original.min(snap).min(held),
            original,
        }
    }

    fn obsolete_packet(&self, record: &[u8]) -> Option<Raw> {
        if record.len() < 32 {
            return None;
        }
        let id = [record[8], record[9]];
        Some(Raw {
            interface: u32::from(if self.big_endian {
                u16::from_be_bytes(id)
            } else {
                u16::from_le_bytes(id)
            }),
            units: Some(
                (u64::from(self.u32_at(record, 12)) << 32) | u64::from(self.u32_at(record, 16)),
            ),
            start: 28,
            captured: self.u32_at(record, 20),
            original: self.u32_at(record, 24),
        })
    }

    /// Checks a packet against its interface and its block.
    fn found(&mut self, raw: &Raw, block_bytes: usize) -> Result<Found, ErrorKind> {
        let Some(interface) = self.interfaces.get(raw.interface as usize) else {
            return Err(ErrorKind::Malformed(
                "a packet names an interface that no earlier block describes",
            ));
        };
        if interface.link_type != Linktype::ETHERNET {
            return Err(ErrorKind::LinkType {
                interface: raw.interface,
                name: link_type_name(interface.link_type.0.cast_unsigned()),
            });
        }
        if raw.captured > MAX_PACKET_BYTES {
            return Err(ErrorKind::TooLarge {
                what: "a packet",
                bytes: raw.captured.into(),
                limit: MAX_PACKET_BYTES.into(),
            });
        }
        let end = raw.start + raw.captured as usize;
        if end > block_bytes - 4 {
            return Err(ErrorKind::Malformed("a packet is longer than its block"));
        }
        if let Some(units) = raw.units {
            self.last_time_ns = interface.time_ns(units);
        }
        Ok(Found {
            time_ns: self.last_time_ns,
            range: raw.start..end,
            original_bytes: raw.original,
            interface: raw.interface,
        })
    }

    /// A field of the section's byte order; 0 beyond the end.
    fn u32_at(&self, record: &[u8], at: usize) -> u32 {
        let Some(bytes) = record.get(at..).and_then(|r| r.first_chunk::<4>()) else {
            return 0;
        };
        if self.big_endian {
            u32::from_be_bytes(*bytes)
        } else {
            u32::from_le_bytes(*bytes)
        }
    }
}

const LENGTHS_DIFFER: ErrorKind =
    ErrorKind::Malformed("a block's two length fields differ, so the file is damaged");

fn byte_order<R: Read>(source: &Source<R>) -> Result<bool, Error> {
    let magic = source.record().last_chunk::<4>().copied();
    if magic == Some(BYTE_ORDER_MAGIC.to_le_bytes()) {
        Ok(false)
    } else if magic == Some(BYTE_ORDER_MAGIC.to_be_bytes()) {
        Ok(true)
    } else {
        Err(source.error(ErrorKind::Malformed("unknown byte-order magic")))
    }
}

/// A packet's fields as they stand in the file.
struct Raw {
    interface: u32,
    units: Option<u64>,
    start: usize,
    captured: u32,
    original: u32,
}

/// A checked packet, by its place in the record.
struct Found {
    time_ns: u64,
    range: std::ops::Range<usize>,
    original_bytes: u32,
    interface: u32,
}

impl Found {
    fn packet<'a>(&self, data: &'a [u8]) -> Packet<'a> {
        Packet {
            time_ns: self.time_ns,
            data,
            original_bytes: self.original_bytes,
            interface: self.interface,
        }
    }
}

impl Interface {
    /// Nanoseconds since the epoch; what lies outside 1970 to 2554 is moved to the nearer end.
    fn time_ns(&self, units: u64) -> u64 {
        let exponent = u32::from(self.resolution & 0x7f);
        let units = u128::from(units);
        let ns = if self.resolution & 0x80 != 0 {
            // units * 10^9 < 2^94, and a shift by 127 at most is a valid one.
            (units * NS_PER_S) >> exponent
        } else if exponent <= 9 {
            units * 10u128.pow(9 - exponent)
        } else {
            10u128
                .checked_pow(exponent - 9)
                .map_or(0, |unit| units / unit)
        };
        let offset_ns = i128::from(self.offset_s) * NS_PER_S.cast_signed();
        let ns = ns.cast_signed().saturating_add(offset_ns);
        u64::try_from(ns.max(0)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_resolutions() {
        let at = |resolution, offset_s, units| {
            Interface {
                link_type: Linktype::ETHERNET,
                resolution,
                offset_s,
                snap_bytes: 0,
            }
            .time_ns(units)
        };
        assert_eq!(at(6, 0, 1_500_000), 1_500_000_000);
        assert_eq!(at(9, 0, 7), 7);
        assert_eq!(at(0, 0, 3), 3_000_000_000);
        assert_eq!(at(12, 0, 5_999), 5);
        assert_eq!(at(0x80 | 10, 0, 1536), 1_500_000_000);
        assert_eq!(at(6, 2, 1), 2_000_001_000);
        assert_eq!(at(6, -5, 0), 0);
        assert_eq!(at(0, i64::MAX, u64::MAX), u64::MAX);
        assert_eq!(at(0x7f, 0, u64::MAX), 0);
        assert_eq!(at(0xff, 0, u64::MAX), 0);
    }
}
