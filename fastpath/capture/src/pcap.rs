//! The classic format: one header, then records.

use std::io::Read;

use pcap_parser::pcap::{
    LegacyPcapBlock, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified,
    parse_pcap_header,
};

use crate::error::link_type_name;
use crate::source::Source;
use crate::{Error, ErrorKind, MAX_PACKET_BYTES, Packet};

const HEADER_BYTES: usize = 24;
const LINKTYPE_ETHERNET: u32 = 1;
/// The upper bits of the link type field tell of frame check sequences (draft-ietf-opsawg-pcap).
const LINKTYPE_MASK: u32 = 0x03ff_ffff;

/// What the header said.
pub(crate) struct Pcap {
    big_endian: bool,
    nanoseconds: bool,
    /// Kuznetzov's variant with eight more bytes in each record header.
    modified: bool,
}

impl Pcap {
    pub(crate) fn has_magic(first: &[u8]) -> bool {
        matches!(
            first,
            [0xd4, 0xc3, 0xb2, 0xa1]
                | [0xa1, 0xb2, 0xc3, 0xd4]
                | [0x4d, 0x3c, 0xb2, 0xa1]
                | [0xa1, 0xb2, 0x3c, 0x4d]
                | [0x34, 0xcd, 0xb2, 0xa1]
        )
    }

    /// Reads the header; its first four bytes are in `source` already.
    pub(crate) fn begin<R: Read>(source: &mut Source<R>) -> Result<Self, Error> {
        source.extend(HEADER_BYTES - source.record().len(), "the pcap header")?;
        let (_, header) = parse_pcap_header(source.record())
            .map_err(|_| source.error(ErrorKind::Malformed("the pcap header is not valid")))?;
        if header.version_major != 2 {
            return Err(source.error(ErrorKind::Malformed(
                "unknown version of the pcap format (only 2 exists)",
            )));
        }
        let link_type = header.network.0.cast_unsigned() & LINKTYPE_MASK;
        if link_type != LINKTYPE_ETHERNET {
            return Err(source.error(ErrorKind::LinkType {
                interface: 0,
                name: link_type_name(link_type),
            }));
        }
        Ok(Self {
            big_endian: header.is_bigendian(),
            nanoseconds: header.is_nanosecond_precision(),
            modified: header.is_modified_format(),
        })
    }

    pub(crate) fn next<'a, R: Read>(
        &self,
        source: &'a mut Source<R>,
    ) -> Result<Option<Packet<'a>>, Error> {
        let header_bytes = if self.modified { 24 } else { 16 };
        if !source.begin(header_bytes, "a packet header")? {
            return Ok(None);
        }
        let bytes = self.captured_bytes(source.record());
        if bytes > MAX_PACKET_BYTES {
            return Err(source.error(ErrorKind::TooLarge {
                what: "a packet",
                bytes: bytes.into(),
                limit: MAX_PACKET_BYTES.into(),
            }));
        }
        source.extend(bytes as usize, "a packet")?;
        match self.parse(source.record()) {
            Some(record) => Ok(Some(self.packet(&record))),
            None => Err(source.error(ErrorKind::Malformed("the packet record is not valid"))),
        }
    }

    fn captured_bytes(&self, header: &[u8]) -> u32 {
        let field = header[8..12].try_into().unwrap_or_default();
        if self.big_endian {
            u32::from_be_bytes(field)
        } else {
            u32::from_le_bytes(field)
        }
    }

    fn parse<'a>(&self, record: &'a [u8]) -> Option<LegacyPcapBlock<'a>> {
        let parse = match (self.modified, self.big_endian) {
            (true, _) => parse_pcap_frame_modified,
            (false, true) => parse_pcap_frame_be,
            (false, false) => parse_pcap_frame,
        };
        parse(record).ok().map(|(_, record)| record)
    }

    fn packet<'a>(&self, record: &LegacyPcapBlock<'a>) -> Packet<'a> {
        let ns_per_unit = if self.nanoseconds { 1 } else { 1_000 };
        // 32 bits each: the sum stays far below 2^64.
        let time_ns =
            u64::from(record.ts_sec) * 1_000_000_000 + u64::from(record.ts_usec) * ns_per_unit;
        Packet {
            time_ns,
            data: record.data,
            original_bytes: record.origlen,
            interface: 0,
        }
    }
}
