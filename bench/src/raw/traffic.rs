//! The frames of a corner: one for each conversation and direction, interleaved over devices.
//!
//! The frames are played in a loop. Both directions are played, the device's on the ward port and
//! the answers on the core port, since a conversation without answers is still a new one to some
//! systems.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wardline_capture::{Packet, PcapngWriter};
use wardline_policy::Side;

use super::corner::{Corner, Mix, Network, Sizes};
use crate::traffic::{FCS_LEN, Flow, Traffic, Version};

/// Simple IMIX, on the wire, interleaved.
const IMIX: [usize; 12] = [64, 594, 64, 64, 594, 64, 1_518, 594, 64, 64, 594, 64];

/// The two files of a corner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captures {
    /// What comes in at the ward port.
    pub ward: PathBuf,
    /// What comes in at the core port.
    pub core: PathBuf,
    /// Frames in each of them.
    pub frames: u32,
}

/// The stations of a corner and their policy.
pub fn traffic(corner: &Corner) -> Traffic {
    Traffic {
        devices: corner.devices,
        flows: corner.flows,
        rules: corner.rules,
        version: match corner.network {
            Network::Ipv4 | Network::Vlan => Version::V4,
            Network::Ipv6 => Version::V6,
        },
        transport: corner.transport,
        vlan: (corner.network == Network::Vlan).then_some(10),
        ..Traffic::COMMON
    }
}

/// Conversation `number` of a corner.
pub fn conversation(corner: &Corner, number: u32) -> Flow {
    let traffic = traffic(corner);
    let allowed = match corner.mix {
        Mix::Allowed => true,
        Mix::HalfDenied => (number / corner.devices).is_multiple_of(2),
        Mix::Denied => false,
    };
    if allowed {
        traffic.flow(number)
    } else {
        traffic.denied_flow(number)
    }
}

/// Writes the two files of a corner into `folder`.
///
/// # Errors
/// The files cannot be written.
pub fn write(corner: &Corner, folder: &Path) -> Result<Captures> {
    let captures = Captures {
        ward: folder.join("ward.pcapng"),
        core: folder.join("core.pcapng"),
        frames: corner.flows,
    };
    for (path, forth) in [(&captures.ward, true), (&captures.core, false)] {
        let doing = || format!("writing {}", path.display());
        let file = BufWriter::new(File::create(path).with_context(doing)?);
        let mut writer = PcapngWriter::new(file, "wardline-bench", &["frames"])?;
        for number in 0..corner.flows {
            let data = frame(corner, number, forth)?;
            let packet = Packet {
                time_ns: 0,
                data: &data,
                original_bytes: u32::try_from(data.len())?,
                interface: 0,
            };
            writer.write(&packet, None).with_context(doing)?;
        }
        writer.finish().with_context(doing)?;
    }
    Ok(captures)
}

/// The frame of a conversation from its device, or the answer to it.
///
/// # Errors
/// Never for the sizes of [`Corner`]; the builder asks for it.
pub fn frame(corner: &Corner, number: u32, forth: bool) -> Result<Vec<u8>> {
    let wire = match corner.sizes {
        Sizes::One(bytes) => usize::from(bytes),
        Sizes::Imix => IMIX[number as usize % IMIX.len()],
    };
    let traffic = Traffic {
        frame_len: wire - FCS_LEN,
        ..traffic(corner)
    };
    let from = if forth { Side::Ward } else { Side::Core };
    traffic.frame(&conversation(corner, number), from)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::corner::FULL;
    use super::*;

    fn corner(wanted: impl Fn(&Corner) -> bool) -> Corner {
        FULL.iter().copied().find(wanted).unwrap()
    }

    fn lengths(corner: &Corner) -> Vec<usize> {
        (0..24)
            .map(|n| frame(corner, n, true).unwrap().len() + FCS_LEN)
            .collect()
    }

    #[test]
    fn sizes_are_those_on_the_wire() {
        assert_eq!(lengths(&FULL[0]), [64; 24]);
        assert_eq!(
            lengths(&corner(|c| c.sizes == Sizes::One(1_500))),
            [1_500; 24]
        );
        let imix = lengths(&corner(|c| c.sizes == Sizes::Imix));
        let count = |size| imix.iter().filter(|s| **s == size).count();
        assert_eq!([count(64), count(594), count(1_518)], [14, 8, 2]);
    }

    #[test]
    fn headers_that_need_more_than_64_bytes_get_it() {
        let v6 = corner(|c| c.network == Network::Ipv6);
        assert_eq!(lengths(&v6), [66; 24]);
    }

    #[test]
    fn no_two_conversations_of_a_corner_are_the_same() {
        for corner in FULL {
            let mut seen = HashSet::new();
            for number in 0..corner.flows {
                let flow = conversation(corner, number);
                assert!(seen.insert(flow), "{corner}: {number}");
            }
        }
    }

    #[test]
    fn an_answer_is_the_other_way_round() {
        let v4 = &FULL[0];
        let (forth, back) = (frame(v4, 3, true).unwrap(), frame(v4, 3, false).unwrap());
        assert_eq!(forth[0..6], back[6..12]);
        assert_eq!(forth[26..30], back[30..34]);
        assert_eq!(forth[34..36], back[36..38]);
    }

    #[test]
    fn files_hold_a_frame_for_each_conversation() {
        let folder = tempfile::tempdir().unwrap();
        let captures = write(&FULL[0], folder.path()).unwrap();
        for path in [&captures.ward, &captures.core] {
            let mut reader = wardline_capture::Reader::open(path).unwrap();
            let mut frames = 0;
            while reader.next_packet().unwrap().is_some() {
                frames += 1;
            }
            assert_eq!(frames, FULL[0].flows);
        }
    }
}
