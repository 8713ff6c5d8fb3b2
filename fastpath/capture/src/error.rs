//! What can be wrong with a capture file, and where.

use std::fmt;
use std::io;

/// Reading stopped here. Every whole packet before `offset` has been handed out.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    /// Position in the capture in bytes; of a gzipped capture, after decompression.
    pub offset: u64,
    /// What was found there.
    #[source]
    pub kind: ErrorKind,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            // Nothing was read, so there is no place to name.
            ErrorKind::Io(_) | ErrorKind::Empty if self.offset == 0 => self.kind.fmt(f),
            _ => write!(f, "at byte {}: {}", self.offset, self.kind),
        }
    }
}

/// What was found.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// The file cannot be opened or read, or its gzip stream is damaged.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// No byte at all.
    #[error("the file is empty")]
    Empty,
    /// The first bytes belong to neither format.
    #[error(
        "not a capture file: begins with {0:02x?}, and a pcap or pcapng file (plain or gzip) does not"
    )]
    NotACapture(Vec<u8>),
    /// The capture was not taken on Ethernet.
    #[error(
        "interface {interface} has link type {name}, but only Ethernet frames can be read; capture on an Ethernet interface (not on \"any\" or a tunnel)"
    )]
    LinkType {
        /// Index of the interface in its section; 0 in a pcap file.
        interface: u32,
        /// Name and number of the link type.
        name: String,
    },
    /// The file ends inside a record.
    #[error("the file ends inside {what}: {missing} bytes are missing")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// How many bytes more it needs.
        missing: u64,
    },
    /// A length field above what a capture can sensibly hold.
    #[error("{what} claims {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// What was being read.
        what: &'static str,
        /// The length it claims.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A field contradicts the format.
    #[error("{0}")]
    Malformed(&'static str),
}

/// The name of a link type in words of the tcpdump registry, with its number.
pub(crate) fn link_type_name(number: u32) -> String {
    let name = match number {
        0 => "NULL (BSD loopback)",
        6 => "IEEE802_5 (token ring)",
        9 => "PPP",
        10 => "FDDI",
        12 | 14 | 101 => "RAW (raw IP)",
        50 => "PPP_HDLC",
        51 => "PPP_ETHER",
        104 => "C_HDLC (Cisco HDLC)",
        105 => "IEEE802_11 (Wi-Fi)",
        107 => "FRELAY (frame relay)",
        108 => "LOOP (OpenBSD loopback)",
        113 => "LINUX_SLL (Linux \"any\")",
        123 => "SUNATM",
        127 => "IEEE802_11_RADIOTAP (Wi-Fi)",
        189 | 220 => "USB_LINUX",
        195 => "IEEE802_15_4",
        201 => "BLUETOOTH_HCI_H4_WITH_PHDR",
        228 => "IPV4 (raw IP)",
        229 => "IPV6 (raw IP)",
        239 => "NFLOG",
        252 => "WIRESHARK_UPPER_PDU",
        276 => "LINUX_SLL2 (Linux \"any\")",
        _ => return format!("{number}"),
    };
    format!("{name}, number {number}")
}
