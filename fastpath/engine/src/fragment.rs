//! Datagrams in fragments: what follows an allowed first fragment passes, nothing else does.

use arrayvec::ArrayVec;
use wardline_policy::{Reason, Refusal, RuleId, VlanKey};

use crate::bounded::Bounded;
use crate::clock::Tick;

/// Fragments of one datagram: 64 KiB at an MTU of 576 bytes.
const MAX_PARTS: usize = 128;

/// What fragments of one datagram have in common. One direction only: answers have identifiers
/// of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DatagramKey {
    pub(crate) source: [u8; 16],
    pub(crate) destination: [u8; 16],
    pub(crate) id: u32,
    pub(crate) protocol: u8,
    pub(crate) vlan: VlanKey,
    /// The same addresses under other stations are other datagrams.
    pub(crate) ward: bool,
}

/// What became of the first fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) reason: Reason,
    pub(crate) rule: RuleId,
    pub(crate) refusal: Refusal,
}

/// Data from `start` up to `end`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

#[derive(Debug)]
struct Datagram {
    fate: Fate,
    parts: ArrayVec<Part, MAX_PARTS>,
    overlapped: bool,
}

/// The datagrams on their way.
#[derive(Debug)]
pub(crate) struct Fragments {
    table: Bounded<DatagramKey, Datagram>,
    lifetime: Tick,
}

impl Fragments {
    pub(crate) fn new(capacity: u32, lifetime: Tick, seed: u64) -> Self {
        Self {
            table: Bounded::new(capacity, seed),
            lifetime,
        }
    }

    /// A first fragment was judged: those behind it share its fate. Returns the reason against
    /// passing it that the judgement could not know.
    pub(crate) fn first(
        &mut self,
        key: DatagramKey,
        part: Part,
        fate: Fate,
        now: Tick,
    ) -> Result<(), Reason> {
        if let Some(known) = self.table.value_mut(&key, now) {
            known.add(part)?;
            // A repeated first fragment is judged by its own ports; the worse judgement stays.
            if !fate.reason.forwards() {
                known.fate = fate;
            }
            return Ok(());
        }
        let mut parts = ArrayVec::new();
        parts.push(part);
        let datagram = Datagram {
            fate,
            parts,
            overlapped: false,
        };
        let expires = now.saturating_add(self.lifetime);
        match self.table.insert(key, datagram, expires, now) {
            Some(_) => Ok(()),
            None => Err(Reason::FragmentTableFull),
        }
    }

    /// The fate of a later fragment.
    pub(crate) fn later(
        &mut self,
        key: &DatagramKey,
        part: Part,
        now: Tick,
    ) -> Result<Fate, Reason> {
        let Some(datagram) = self.table.value_mut(key, now) else {
            return Err(Reason::FragmentBeforeFirst);
        };
        datagram.add(part)?;
        Ok(datagram.fate)
    }

    pub(crate) fn sweep(&mut self, now: Tick, budget: usize) {
        self.table.sweep(now, budget);
    }
}

impl Datagram {
    /// An exact duplicate is harmless (the network may repeat frames); any other overlap kills
    /// the datagram for good (RFC 5722).
    fn add(&mut self, part: Part) -> Result<(), Reason> {
        if self.overlapped {
            return Err(Reason::FragmentOverlap);
        }
        if self.parts.contains(&part) {
            return Ok(());
        }
        if self
            .parts
            .iter()
            .any(|p| p.start < part.end && part.start < p.end)
        {
            self.overlapped = true;
            return Err(Reason::FragmentOverlap);
        }
        self.parts
            .try_push(part)
            .map_err(|_| Reason::FragmentTableFull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: DatagramKey = DatagramKey {
        source: [1; 16],
        destination: [2; 16],
        id: 7,
        protocol: 17,
        vlan: VlanKey { outer: 0, inner: 0 },
        ward: true,
    };
    const ALLOWED: Fate = Fate {
        reason: Reason::Allowed,
        rule: RuleId(3),
        refusal: Refusal::Silent,
    };

    fn part(start: u32, end: u32) -> Part {
        Part { start, end }
    }

    #[test]
    fn later_fragments_follow_the_first_until_the_datagram_is_forgotten() {
        let mut fragments = Fragments::new(4, 30, 1);
        let later = fragments.later(&KEY, part(8, 16), 0);
        assert_eq!(later, Err(Reason::FragmentBeforeFirst));
        assert_eq!(fragments.first(KEY, part(0, 8), ALLOWED, 0), Ok(()));
        assert_eq!(fragments.later(&KEY, part(8, 16), 1), Ok(ALLOWED));
        assert_eq!(fragments.later(&KEY, part(8, 16), 2), Ok(ALLOWED));
        let later = fragments.later(&KEY, part(16, 24), 30);
        assert_eq!(later, Err(Reason::FragmentBeforeFirst));
    }

    #[test]
    fn an_overlap_kills_the_datagram() {
        let mut fragments = Fragments::new(4, 30, 1);
        fragments
            .first(KEY, part(0, 32), ALLOWED, 0)
            .expect("there is room");
        assert_eq!(
            fragments.later(&KEY, part(24, 40), 0),
            Err(Reason::FragmentOverlap)
        );
        assert_eq!(
            fragments.later(&KEY, part(64, 72), 0),
            Err(Reason::FragmentOverlap)
        );
    }

    #[test]
    fn a_denied_second_first_fragment_ends_the_datagram() {
        let denied = Fate {
            reason: Reason::NoRule,
            ..ALLOWED
        };
        let mut fragments = Fragments::new(4, 30, 1);
        fragments
            .first(KEY, part(0, 32), ALLOWED, 0)
            .expect("there is room");
        fragments
            .first(KEY, part(0, 32), denied, 0)
            .expect("it is a duplicate");
        assert_eq!(fragments.later(&KEY, part(32, 40), 0), Ok(denied));
    }

    #[test]
    fn a_full_table_says_so() {
        let mut fragments = Fragments::new(1, 30, 1);
        fragments
            .first(KEY, part(0, 8), ALLOWED, 0)
            .expect("there is room");
        let other = DatagramKey { id: 8, ..KEY };
        let first = fragments.first(other, part(0, 8), ALLOWED, 0);
        assert_eq!(first, Err(Reason::FragmentTableFull));
    }
}
