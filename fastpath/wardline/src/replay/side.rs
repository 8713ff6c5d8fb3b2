//! Which side of the box a packet came from.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
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
    /// By who speaks first: a station that is spoken to before it speaks is on the core side.
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
    pub(crate) fn of(&mut self, frame: &[u8]) -> Side {
        let (Some(destination), Some(source)) = (mac_at(frame, 0), mac_at(frame, 6)) else {
            return Side::Core;
        };
        match self {
            Self::Captures => Side::Core,
            Self::Listed(ward) | Self::Policy(ward) => {
                if ward.contains(&source) {
                    Side::Ward
                } else {
                    Side::Core
                }
            }
            Self::Guess(known) => guess(known, source, destination),
        }
    }
}

fn guess(known: &mut HashMap<MacAddr, Side>, source: MacAddr, destination: MacAddr) -> Side {
    let room = known.len() < STATIONS;
    let side = match known.get(&source) {
        Some(side) => *side,
        None if room => *known.entry(source).or_insert(Side::Ward),
        None => Side::Core,
    };
    if room && side == Side::Ward && !destination.is_group() {
        known.entry(destination).or_insert(Side::Core);
    }
    side
}

fn mac_at(frame: &[u8], at: usize) -> Option<MacAddr> {
    let bytes = frame.get(at..)?.first_chunk::<6>()?;
    Some(MacAddr(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const B: [u8; 6] = [2, 0, 0, 0, 0, 2];
    const ALL: [u8; 6] = [0xff; 6];

    fn frame(destination: [u8; 6], source: [u8; 6]) -> Vec<u8> {
        [&destination[..], &source, &[0x08, 0x06]].concat()
    }

    #[test]
    fn listed_sources_are_the_wards_and_all_else_the_hospitals() {
        let mut sides = Sides::Listed([MacAddr(A)].into());
        assert_eq!(sides.of(&frame(B, A)), Side::Ward);
        assert_eq!(sides.of(&frame(A, B)), Side::Core);
        assert_eq!(sides.of(&frame(ALL, B)), Side::Core);
        assert_eq!(sides.of(&[1, 2, 3]), Side::Core);
    }

    #[test]
    fn the_guess_puts_who_is_spoken_to_first_on_the_core_side() {
        let mut sides = Sides::Guess(HashMap::new());
        assert_eq!(sides.of(&frame(ALL, A)), Side::Ward);
        assert_eq!(sides.of(&frame(B, A)), Side::Ward);
        assert_eq!(sides.of(&frame(A, B)), Side::Core);
        assert_eq!(sides.of(&frame(ALL, B)), Side::Core);
    }
}
