//! The frames of the load.

use anyhow::{Context, Result, ensure};
use etherparse::PacketBuilder;
use wardline_policy::Side;

use super::plan::{ALLOWED_PORT, FIRST_SOURCE_PORT, FLOWS, Party, host, opposite, station};

/// What Ethernet adds after the payload; frame sizes are stated with it, sockets never see it.
const FCS: usize = 4;
/// Ethernet, IPv4 and UDP headers.
const HEADERS: usize = 14 + 20 + 8;

/// Which sizes a load has. Sizes are in bytes, with the frame check sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Its name in a corner.
    pub name: &'static str,
    /// The sizes of successive frames, over and over.
    pub sizes: &'static [usize],
}

/// The smallest frames.
pub const SMALL: Mix = Mix {
    name: "64 B",
    sizes: &[64],
};
/// Simple IMIX: seven small frames, four middling ones and a long one.
pub const IMIX: Mix = Mix {
    name: "IMIX",
    sizes: &[64, 594, 64, 594, 64, 64, 594, 64, 1518, 64, 594, 64],
};
/// The longest untagged frames.
pub const LONG: Mix = Mix {
    name: "1518 B",
    sizes: &[1518],
};

/// The frames that the station on a side sends: every flow with every size of the mix.
///
/// # Errors
/// A size no frame can have.
pub fn load(from: Side, mix: Mix) -> Result<Vec<Vec<u8>>> {
    // Sizes turn faster than flows, so that any run of frames has the mix's proportions.
    (0..FLOWS)
        .flat_map(|flow| mix.sizes.iter().map(move |size| (flow, *size)))
        .map(|(flow, size)| {
            let outer = FIRST_SOURCE_PORT + flow;
            let ports = match from {
                Side::Ward => (outer, ALLOWED_PORT),
                Side::Core => (ALLOWED_PORT, outer),
            };
            udp(station(from), station(opposite(from)), ports, size)
        })
        .collect()
}

/// One frame of each flow, to make it known.
///
/// # Errors
/// Never in practice: the size is a good one.
pub fn openers(from: Side) -> Result<Vec<Vec<u8>>> {
    load(from, SMALL)
}

/// A frame from the ward's host to the core's host with a number in its payload.
///
/// # Errors
/// Never in practice: the size is a good one.
pub fn numbered(number: u64, source_port: u16) -> Result<Vec<u8>> {
    let ports = (source_port, ALLOWED_PORT);
    let mut frame = udp(host(Side::Ward), host(Side::Core), ports, 64)?;
    // No checksum: IPv4 allows it, and a number changes in each frame.
    frame[HEADERS - 2..HEADERS].fill(0);
    frame[HEADERS..HEADERS + 8].copy_from_slice(&number.to_be_bytes());
    Ok(frame)
}

/// Writes another number into a frame made by [`numbered`].
pub fn renumber(frame: &mut [u8], number: u64) {
    frame[HEADERS..HEADERS + 8].copy_from_slice(&number.to_be_bytes());
}

fn udp(from: Party, to: Party, ports: (u16, u16), size: usize) -> Result<Vec<u8>> {
    let length = size.saturating_sub(FCS + HEADERS);
    ensure!(
        length >= 18,
        "a frame of {size} B is too short for Ethernet"
    );
    let payload = vec![0x5a; length];
    let builder = PacketBuilder::ethernet2(from.mac, to.mac)
        .ipv4(from.ip.octets(), to.ip.octets(), 64)
        .udp(ports.0, ports.1);
    let mut frame = Vec::with_capacity(builder.size(length));
    builder
        .write(&mut frame, &payload)
        .context("building a frame")?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use etherparse::{SlicedPacket, TransportSlice};

    use super::*;

    #[test]
    fn frames_have_the_size_on_the_wire_without_the_check_sequence() {
        for mix in [SMALL, IMIX, LONG] {
            let frames = load(Side::Ward, mix).unwrap();
            assert_eq!(frames.len(), usize::from(FLOWS) * mix.sizes.len());
            for (frame, size) in frames.iter().zip(mix.sizes.iter().cycle()) {
                assert_eq!(frame.len() + FCS, *size);
            }
        }
    }

    #[test]
    fn both_directions_are_the_same_conversation() {
        let ports = |side| {
            let frames = load(side, SMALL).unwrap();
            let packet = SlicedPacket::from_ethernet(&frames[5]).unwrap();
            let Some(TransportSlice::Udp(udp)) = packet.transport else {
                panic!("no UDP");
            };
            (udp.source_port(), udp.destination_port())
        };
        let (source, destination) = ports(Side::Ward);
        assert_eq!(ports(Side::Core), (destination, source));
        assert_eq!(destination, ALLOWED_PORT);
    }

    #[test]
    fn imix_has_seven_four_one() {
        let count = |size| IMIX.sizes.iter().filter(|s| **s == size).count();
        assert_eq!([count(64), count(594), count(1518)], [7, 4, 1]);
    }

    #[test]
    fn a_number_is_where_the_payload_begins() {
        let mut frame = numbered(7, 30_000).unwrap();
        renumber(&mut frame, 0x0102);
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(TransportSlice::Udp(udp)) = packet.transport else {
            panic!("no UDP");
        };
        assert_eq!(udp.payload()[..8], 0x0102_u64.to_be_bytes());
    }

    #[test]
    fn a_runt_is_refused() {
        assert!(udp(host(Side::Ward), host(Side::Core), (1, 2), 40).is_err());
    }
}
