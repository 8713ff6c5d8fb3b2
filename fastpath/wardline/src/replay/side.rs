//! Which side of the box a packet came from.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use wardline_engine::{L3, L4, PacketMeta};
use wardline_policy::{MacAddr, Side};

/// Stations the guess remembers; later ones count as the hospital's.
const STATIONS: usize = 65_536;

/// How sides are told.
#[derive(Debug)]
pub(crate) enum Sides {
    /// By the file the packet is in.
    Captures,
    /// By the source MAC address, from the command line.
    Listed(HashSet<MacAddr>),
    /// By the source MAC address, from the policy's devices.
    Policy(HashSet<MacAddr>),
    /// By who speaks first over IP: a station that is spoken to before it speaks, or that gives
    /// out addresses or names, is on the core side.
    Guess(HashMap<MacAddr, Side>),
}

/// The same, for the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Basis {
    Captures,
    WardMacs,
    Policy,
    Guess,
}

impl Sides {
    pub(crate) fn basis(&self) -> Basis {
        match self {
            Self::Captures => Basis::Captures,
            Self::Listed(_) => Basis::WardMacs,
            Self::Policy(_) => Basis::Policy,
            Self::Guess(_) => Basis::Guess,
        }
    }

    /// The side a frame came from. Frames too short for addresses count as the hospital's.
    pub(crate) fn of(&mut self, meta: Option<&PacketMeta>) -> Side {
        match (self, meta) {
            (Self::Captures, _) | (_, None) => Side::Core,
            (Self::Listed(ward) | Self::Policy(ward), Some(meta)) => {
                if ward.contains(&meta.source_mac) {
                    Side::Ward
                } else {
                    Side::Core
                }
            }
            (Self::Guess(known), Some(meta)) => guess(known, meta),
        }
    }
}

fn guess(known: &mut HashMap<MacAddr, Side>, meta: &PacketMeta) -> Side {
    let room = known.len() < STATIONS;
    let before = known.get(&meta.source_mac).copied();
    // Access points and routers speak first in other protocols: only IP tells.
    if !room || !matches!(meta.l3, L3::Ip { .. }) {
        return before.unwrap_or(Side::Core);
    }
    let side = match before {
        _ if serves(&meta.l4) => Side::Core,
        Some(side) => side,
        None => Side::Ward,
    };
    known.insert(meta.source_mac, side);
    if side == Side::Ward && !meta.destination_mac.is_group() {
        known.entry(meta.destination_mac).or_insert(Side::Core);
    }
    side
}

/// Answers of DHCP, DHCPv6 and name servers.
fn serves(l4: &L4) -> bool {
    matches!(
        l4,
        L4::Udp {
            source: 53 | 67 | 547,
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardline_engine::parse::parse;

    const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const B: [u8; 6] = [2, 0, 0, 0, 0, 2];
    const ALL: [u8; 6] = [0xff; 6];

    fn udp(destination: [u8; 6], source: [u8; 6], source_port: u16) -> PacketMeta {
        let mut frame = Vec::new();
        etherparse::PacketBuilder::ethernet2(source, destination)
            .ipv4([10, 0, 0, source[5]], [10, 0, 0, destination[5]], 64)
            .udp(source_port, 4_000)
            .write(&mut frame, b"")
            .unwrap();
        parse(&frame).unwrap()
    }

    fn eapol(destination: [u8; 6], source: [u8; 6]) -> PacketMeta {
        parse(&[&destination[..], &source, &[0x88, 0x8e], &[0; 46]].concat()).unwrap()
    }

    #[test]
    fn listed_sources_are_the_wards_and_all_else_the_hospitals() {
        let mut sides = Sides::Listed([MacAddr(A)].into());
        assert_eq!(sides.of(Some(&udp(B, A, 9))), Side::Ward);
        assert_eq!(sides.of(Some(&udp(A, B, 9))), Side::Core);
        assert_eq!(sides.of(Some(&udp(ALL, B, 9))), Side::Core);
        assert_eq!(sides.of(Some(&eapol(B, A))), Side::Ward);
        assert_eq!(sides.of(None), Side::Core);
    }

    #[test]
    fn the_guess_puts_who_is_spoken_to_first_on_the_core_side() {
        let mut sides = Sides::Guess(HashMap::new());
        assert_eq!(sides.of(Some(&eapol(A, B))), Side::Core, "tells nothing");
        assert_eq!(sides.of(Some(&udp(ALL, A, 9))), Side::Ward);
        assert_eq!(sides.of(Some(&udp(B, A, 9))), Side::Ward);
        assert_eq!(sides.of(Some(&udp(A, B, 9))), Side::Core);
        assert_eq!(sides.of(Some(&udp(ALL, B, 9))), Side::Core);
        assert_eq!(sides.of(Some(&eapol(B, A))), Side::Ward, "known by now");
    }

    #[test]
    fn who_gives_out_addresses_is_on_the_core_side_after_all() {
        let mut sides = Sides::Guess(HashMap::new());
        assert_eq!(sides.of(Some(&udp(ALL, B, 1900))), Side::Ward);
        assert_eq!(sides.of(Some(&udp(A, B, 67))), Side::Core);
        assert_eq!(sides.of(Some(&udp(ALL, B, 1900))), Side::Core);
    }
}
