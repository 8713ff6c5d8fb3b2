//! One reader for every format.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::pcap::Pcap;
use crate::pcapng::Pcapng;
use crate::source::Source;
use crate::{Error, ErrorKind};

const BUFFER_BYTES: usize = 128 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// One captured Ethernet frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Capture time in nanoseconds since the Unix epoch. May go backwards from one packet to
    /// the next; simple packets of pcapng carry no time and get that of the packet before.
    pub time_ns: u64,
    /// The bytes captured, at most [`MAX_PACKET_BYTES`](crate::MAX_PACKET_BYTES).
    pub data: &'a [u8],
    /// Length on the wire; more than `data` holds when the capture was cut short.
    pub original_bytes: u32,
    /// Interface in its section of a pcapng file; 0 in a pcap file.
    pub interface: u32,
}

/// A stream of packets from a pcap or pcapng file, plain or gzipped.
pub struct Reader {
    source: Source<Box<dyn BufRead>>,
    format: Format,
    /// After an error nothing more is read.
    ended: bool,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("offset", &self.source.offset())
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// The file cannot be opened, is empty, is no capture, or (pcap) is not of Ethernet.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path == Path::new("-") {
            return Self::new(io::stdin().lock());
        }
        let file = File::open(path).map_err(|e| Error {
            offset: 0,
            kind: e.into(),
        })?;
        Self::new(file)
    }

    /// Reads from any stream of bytes.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn new(input: impl Read + 'static) -> Result<Self, Error> {
        let input = decompress(input).map_err(|e| Error {
            offset: 0,
            kind: e.into(),
        })?;
        let mut source = Source::new(input);
        let format = match source.begin(4, "the first four bytes") {
            Ok(false) => return Err(source.error(ErrorKind::Empty)),
            Ok(true) if Pcap::has_magic(source.record()) => Format::Pcap(Pcap::begin(&mut source)?),
            Ok(true) if Pcapng::has_magic(source.record()) => {
                Format::Pcapng(Pcapng::begin(&mut source)?)
            }
            Err(Error {
                kind: kind @ ErrorKind::Io(_),
                offset,
            }) => return Err(Error { offset, kind }),
            _ => {
                let first = source.record().to_vec();
                return Err(source.error(ErrorKind::NotACapture(first)));
            }
        };
        Ok(Self {
            source,
            format,
            ended: false,
        })
    }

    /// The next packet; `None` at the end and after an error.
    ///
    /// # Errors
    /// Once, where the capture cannot be read further; all whole packets before were returned.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Error> {
        if self.ended {
            return Ok(None);
        }
        let result = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.source),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.source),
        };
        self.ended = !matches!(result, Ok(Some(_)));
        result
    }
}

/// Looks at the first bytes without taking them.
fn decompress(input: impl Read + 'static) -> io::Result<Box<dyn BufRead>> {
    let mut plain = BufReader::with_capacity(BUFFER_BYTES, input);
    if plain.fill_buf()?.starts_with(&GZIP_MAGIC) {
        let unpacked = MultiGzDecoder::new(plain);
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked)));
    }
    Ok(Box::new(plain))
}
