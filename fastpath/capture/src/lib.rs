//! Ethernet capture files: a streaming reader of pcap and pcapng, plain or gzipped, and a pcapng
//! writer with packet comments.
//!
//! Memory does not grow with the file: one packet is held at a time, at most
//! [`MAX_PACKET_BYTES`] of it. Whatever the bytes are, reading ends in packets and at most one
//! [`Error`] naming the place; it never panics.
//!
//! `pcap-parser` knows the two formats; the framing (how many bytes to fetch, what to skip,
//! where in the file we are) is done here, since its own stream readers lose the cause of an
//! I/O error and stop at any block larger than their buffer.

mod error;
mod pcap;
mod pcapng;
mod reader;
mod source;
mod writer;

pub use error::{Error, ErrorKind};
pub use reader::{Packet, Reader};
pub use writer::PcapngWriter;

/// The longest packet read, in bytes: the largest snapshot length libpcap itself accepts.
pub const MAX_PACKET_BYTES: u32 = 262_144;
