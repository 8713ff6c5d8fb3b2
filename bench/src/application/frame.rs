//! TCP segments made by hand.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::{Context, Result};
use etherparse::PacketBuilder;

/// Where the source address stands in an untagged IPv4 frame without options, and the rest behind.
const SOURCE: usize = 26;
const DESTINATION: usize = 30;
const SOURCE_PORT: usize = 34;
const DESTINATION_PORT: usize = 36;
const FLAGS: usize = 47;
/// Length of Ethernet, IPv4 and TCP headers, in bytes.
const HEADERS: usize = 54;

/// A station of the bench, by its hardware and network address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Station {
    /// Hardware address.
    pub mac: [u8; 6],
    /// Network address.
    pub ip: Ipv4Addr,
}

/// What a segment does to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Asks for a connection.
    Syn,
    /// Grants it.
    SynAck,
    /// Completes the handshake.
    Ack,
    /// Carries one byte, first of its direction.
    Data,
}

impl Kind {
    /// The flags as they stand in the header (RFC 9293, section 3.1).
    const fn flags(self) -> u8 {
        match self {
            Self::Syn => 0x02,
            Self::SynAck => 0x12,
            Self::Ack => 0x10,
            Self::Data => 0x18,
        }
    }
}

/// One segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Who sends it.
    pub from: Station,
    /// From which port.
    pub from_port: u16,
    /// Who gets it.
    pub to: Station,
    /// At which port.
    pub to_port: u16,
    /// What it does. Sequence numbers follow: both directions begin at 1,000.
    pub kind: Kind,
}

impl Segment {
    /// The segment as an Ethernet frame, checksums and all.
    ///
    /// # Errors
    /// Never for these headers; what the builder says.
    pub fn frame(&self) -> Result<Vec<u8>> {
        let Self { from, to, kind, .. } = self;
        let next = 1_001;
        let sequence = if matches!(kind, Kind::Syn | Kind::SynAck) {
            1_000
        } else {
            next
        };
        let header = PacketBuilder::ethernet2(from.mac, to.mac)
            .ipv4(from.ip.octets(), to.ip.octets(), 64)
            .tcp(self.from_port, self.to_port, sequence, 64_000);
        let header = match kind {
            Kind::Syn => header.syn(),
            Kind::SynAck => header.syn().ack(next),
            Kind::Ack => header.ack(next),
            Kind::Data => header.psh().ack(next),
        };
        let payload: &[u8] = if *kind == Kind::Data { b"w" } else { b"" };
        let mut frame = Vec::with_capacity(header.size(payload.len()));
        header
            .write(&mut frame, payload)
            .context("building a segment")?;
        Ok(frame)
    }
}

/// What identifies a segment that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Who sent it.
    pub from: SocketAddrV4,
    /// Who gets it.
    pub to: SocketAddrV4,
}

impl Arrived {
    /// Reads a frame as such a segment makes it. `None` when it is none, or of another kind.
    pub fn read(frame: &[u8], kind: Kind) -> Option<Self> {
        let headers = frame.get(..HEADERS)?;
        // IPv4 with the shortest header, and TCP.
        if headers[12..15] != [8, 0, 0x45] || headers[23] != 6 || headers[FLAGS] != kind.flags() {
            return None;
        }
        let socket = |address: usize, port: usize| {
            let octets: [u8; 4] = headers[address..address + 4].try_into().ok()?;
            let port = u16::from_be_bytes(headers[port..port + 2].try_into().ok()?);
            Some(SocketAddrV4::new(octets.into(), port))
        };
        Some(Self {
            from: socket(SOURCE, SOURCE_PORT)?,
            to: socket(DESTINATION, DESTINATION_PORT)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use etherparse::SlicedPacket;

    use super::*;

    fn segment(kind: Kind) -> Segment {
        let station = |last| Station {
            mac: [2, 0, 0, 0, 0, last],
            ip: Ipv4Addr::new(10, 77, 0, last),
        };
        Segment {
            from: station(9),
            from_port: 5_000,
            to: station(1),
            to_port: 80,
            kind,
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_only_as_its_own_kind() {
        let kinds = [Kind::Syn, Kind::SynAck, Kind::Ack, Kind::Data];
        for written in kinds {
            let frame = segment(written).frame().unwrap();
            for read in kinds {
                let arrived = Arrived::read(&frame, read);
                assert_eq!(
                    arrived.is_some(),
                    written == read,
                    "{written:?} as {read:?}"
                );
                if let Some(arrived) = arrived {
                    assert_eq!(arrived.from.to_string(), "10.77.0.9:5000");
                    assert_eq!(arrived.to.to_string(), "10.77.0.1:80");
                }
            }
        }
    }

    #[test]
    fn another_parser_finds_the_flags_and_numbers_of_a_handshake() {
        let tcp = |kind| {
            let frame = segment(kind).frame().unwrap();
            let packet = SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(etherparse::TransportSlice::Tcp(tcp)) = packet.transport else {
                panic!("no TCP")
            };
            (
                tcp.syn(),
                tcp.ack(),
                tcp.sequence_number(),
                tcp.acknowledgment_number(),
                tcp.payload().len(),
            )
        };
        assert_eq!(tcp(Kind::Syn), (true, false, 1_000, 0, 0));
        assert_eq!(tcp(Kind::SynAck), (true, true, 1_000, 1_001, 0));
        assert_eq!(tcp(Kind::Ack), (false, true, 1_001, 1_001, 0));
        assert_eq!(tcp(Kind::Data), (false, true, 1_001, 1_001, 1));
    }

    #[test]
    fn a_frame_cut_short_is_nothing() {
        let frame = segment(Kind::Syn).frame().unwrap();
        assert_eq!(Arrived::read(&frame[..40], Kind::Syn), None);
    }
}
