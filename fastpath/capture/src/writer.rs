//! Writes pcapng with nanosecond times and packet comments.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use pcap_parser::pcapng::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, OptionCode, PcapNGOption, SectionHeaderBlock,
};
use pcap_parser::{Linktype, ToVec};

use crate::{MAX_PACKET_BYTES, Packet};

/// Ten to the minus ninth of a second.
const NANOSECONDS: u8 = 9;

/// A pcapng file of one section.
pub struct PcapngWriter<W: Write> {
    output: W,
}

impl<W: Write> fmt::Debug for PcapngWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PcapngWriter").finish_non_exhaustive()
    }
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a file whose Ethernet interfaces have these names; packets refer to them by index.
    ///
    /// # Errors
    /// Those of the output.
    pub fn new(mut output: W, application: &str, interfaces: &[&str]) -> io::Result<Self> {
        put(&mut output, &mut section(application))?;
        for name in interfaces {
            put(&mut output, &mut interface(name))?;
        }
        Ok(Self { output })
    }

    /// Appends a packet. A comment is cut to what an option can carry (65,535 bytes).
    ///
    /// # Errors
    /// Those of the output, and `InvalidInput` for a packet no reader would accept.
    pub fn write(&mut self, packet: &Packet<'_>, comment: Option<&str>) -> io::Result<()> {
        let captured = u32::try_from(packet.data.len())
            .ok()
            .filter(|&bytes| bytes <= MAX_PACKET_BYTES)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "packet too long"))?;
        let mut block = EnhancedPacketBlock {
            block_type: 0,
            block_len1: 0,
            if_id: packet.interface,
            ts_high: (packet.time_ns >> 32) as u32,
            ts_low: (packet.time_ns & 0xffff_ffff) as u32,
            caplen: captured,
            origlen: packet.original_bytes,
            data: packet.data,
            options: comment
                .map(|text| option(OptionCode::Comment, text))
                .into_iter()
                .collect(),
            block_len2: 0,
        };
        put(&mut self.output, &mut block)
    }

    /// Flushes and gives the output back.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }
}

/// The serializer fills in types and lengths.
fn put<W: Write>(output: &mut W, block: &mut impl ToVec) -> io::Result<()> {
    let bytes = block
        .to_vec()
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e.to_string()))?;
    output.write_all(&bytes)
}

fn section(application: &str) -> SectionHeaderBlock<'_> {
    SectionHeaderBlock {
        block_type: 0,
        block_len1: 0,
        bom: 0,
        major_version: 1,
        minor_version: 0,
        section_len: -1,
        options: vec![option(OptionCode::ShbUserAppl, application)],
        block_len2: 0,
    }
}

fn interface(name: &str) -> InterfaceDescriptionBlock<'_> {
    InterfaceDescriptionBlock {
        block_type: 0,
        block_len1: 0,
        linktype: Linktype::ETHERNET,
        reserved: 0,
        snaplen: MAX_PACKET_BYTES,
        options: vec![option(OptionCode::IfName, name)],
        block_len2: 0,
        if_tsresol: NANOSECONDS,
        if_tsoffset: 0,
    }
}

fn option(code: OptionCode, text: &str) -> PcapNGOption<'_> {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    PcapNGOption {
        code,
        len: end as u16,
        value: Cow::Borrowed(&text.as_bytes()[..end]),
    }
}
