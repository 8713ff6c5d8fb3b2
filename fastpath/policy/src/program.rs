//! Compiled rules: programs, each a hash table from (who talks how to whom, protocol) to sorted,
//! disjoint port intervals. A program is the compiled form of one list of rules (those of a
//! role, of a device, of a visit, of the baseline), shared by every device that follows it. Each
//! has a table of its own, which fits a near cache while it is built and while it is asked.

use crate::stable::Map;
use crate::tags::{ANY, Tag};
use crate::types::{Cast, Initiator};

/// Number of a program; 0 is the one without rules.
pub(crate) type ProgramId = u32;

/// Who begins, and how the first packet is addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Talk {
    DeviceUnicast,
    DeviceBroadcast,
    DeviceMulticast,
    PeerUnicast,
    PeerBroadcast,
    PeerMulticast,
}

impl Talk {
    pub(crate) const fn new(initiator: Initiator, cast: Cast) -> Self {
        match (initiator, cast) {
            (Initiator::Device, Cast::Unicast) => Self::DeviceUnicast,
            (Initiator::Device, Cast::Broadcast) => Self::DeviceBroadcast,
            (Initiator::Device, Cast::Multicast) => Self::DeviceMulticast,
            (Initiator::Peer, Cast::Unicast) => Self::PeerUnicast,
            (Initiator::Peer, Cast::Broadcast) => Self::PeerBroadcast,
            (Initiator::Peer, Cast::Multicast) => Self::PeerMulticast,
        }
    }

    /// Whether it is a broadcast or multicast that comes from the core side.
    pub(crate) const fn is_incoming_group(self) -> bool {
        matches!(self, Self::PeerBroadcast | Self::PeerMulticast)
    }
}

/// Stands for every protocol in a [`Key`].
pub(crate) const ANY_PROTOCOL: u16 = 256;

/// What a rule is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// The other station, or the sender of a group frame; `ANY` where it does not matter.
    pub(crate) peer: Tag,
    /// The multicast group; `ANY` for everything else.
    pub(crate) group: Tag,
    pub(crate) protocol: u16,
    pub(crate) talk: Talk,
}

impl Key {
    /// One of 64 bits for who talks how and by which protocol. A program keeps the bits of its
    /// keys, so that most questions it has no answer to never reach its table.
    fn bit(talk: Talk, protocol: u16, anybody: bool) -> u64 {
        let number = (u64::from(protocol) * 6 + talk as u64) * 2 + u64::from(anybody);
        1 << (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
    }

    fn own_bit(&self) -> u64 {
        Self::bit(self.talk, self.protocol, self.peer == ANY)
    }
}

/// One rule under one key, with a rectangle of responder's and initiator's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Piece {
    pub(crate) key: Key,
    pub(crate) rule: u32,
    pub(crate) ports: (u16, u16),
    pub(crate) sources: (u16, u16),
}

const ALL_PORTS: (u16, u16) = (0, u16::MAX);

/// An interval of ports and the rule that decides it.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: u16,
    last: u16,
    /// A rule, or with [`NESTED`] set the index of a list of spans over the initiator's ports.
    rule: u32,
}

const NESTED: u32 = 1 << 31;

/// One compiled list of rules.
#[derive(Debug, Default)]
struct Program {
    /// The bits of its keys.
    bits: u64,
    keys: Map<Key, (u32, u32)>,
}

/// Every compiled rule of a snapshot.
#[derive(Debug)]
pub(crate) struct Table {
    programs: Vec<Program>,
    spans: Vec<Span>,
    nested: Vec<(u32, u32)>,
}

impl Table {
    /// Makes room, so that building a large policy does not move it again and again.
    pub(crate) fn with_capacity(keys: usize) -> Self {
        Self {
            programs: vec![Program::default()],
            spans: Vec::with_capacity(keys),
            nested: Vec::new(),
        }
    }

    /// The number the next program will have.
    pub(crate) fn next_program(&self) -> ProgramId {
        self.programs.len() as ProgramId
    }

    /// Adds a program of these pieces.
    pub(crate) fn add_program(&mut self, pieces: &mut [Piece]) {
        pieces.sort_unstable();
        let runs = || pieces.chunk_by(|a, b| a.key == b.key);
        let bits = runs().fold(0, |bits, run| bits | run[0].key.own_bit());
        let mut keys = Map::with_capacity_and_hasher(runs().count(), Default::default());
        for run in runs() {
            let range = match run {
                [one] if one.sources == ALL_PORTS => self.push(&[Span {
                    first: one.ports.0,
                    last: one.ports.1,
                    rule: one.rule,
                }]),
                _ if run.iter().all(|p| p.sources == ALL_PORTS) => {
                    self.push(&first_match(run.iter().map(|p| (p.ports, p.rule))))
                }
                _ => {
                    let cuts = self.two_dimensional(run);
                    self.push(&cuts)
                }
            };
            keys.insert(run[0].key, range);
        }
        self.programs.push(Program { bits, keys });
    }

    /// The rule of a program with the lowest number that matches.
    pub(crate) fn find(
        &self,
        program: ProgramId,
        key: &Key,
        port: u16,
        source: u16,
    ) -> Option<u32> {
        let program = self.programs.get(program as usize)?;
        if program.bits & key.own_bit() == 0 {
            return None;
        }
        count_probe();
        let &range = program.keys.get(key)?;
        let rule = self.search(range, port)?;
        if rule & NESTED == 0 {
            return Some(rule);
        }
        self.search(self.nested[(rule & !NESTED) as usize], source)
    }

    fn search(&self, (start, end): (u32, u32), port: u16) -> Option<u32> {
        let spans = &self.spans[start as usize..end as usize];
        let after = spans.partition_point(|s| s.first <= port);
        let span = spans[..after].last()?;
        (port <= span.last).then_some(span.rule)
    }

    /// Cuts the responder's ports at every border, and keeps for each cut either one rule or a
    /// list over the initiator's ports.
    fn two_dimensional(&mut self, run: &[Piece]) -> Vec<Span> {
        let mut borders: Vec<u32> = run
            .iter()
            .flat_map(|p| [u32::from(p.ports.0), u32::from(p.ports.1) + 1])
            .collect();
        borders.sort_unstable();
        borders.dedup();
        let mut spans = Vec::new();
        for cut in borders.windows(2) {
            let (first, last) = (cut[0] as u16, (cut[1] - 1) as u16);
            let covering = run
                .iter()
                .filter(|p| p.ports.0 <= first && last <= p.ports.1);
            let inner = first_match(covering.map(|p| (p.sources, p.rule)));
            let rule = match inner.as_slice() {
                [] => continue,
                [one] if (one.first, one.last) == ALL_PORTS => one.rule,
                many => {
                    let range = self.push(many);
                    self.nested.push(range);
                    NESTED | (self.nested.len() - 1) as u32
                }
            };
            spans.push(Span { first, last, rule });
        }
        spans
    }

    fn push(&mut self, spans: &[Span]) -> (u32, u32) {
        let start = self.spans.len() as u32;
        self.spans.extend_from_slice(spans);
        (start, self.spans.len() as u32)
    }
}

/// Turns overlapping intervals, the deciding one first, into sorted disjoint ones.
fn first_match(intervals: impl Iterator<Item = ((u16, u16), u32)>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for ((first, last), rule) in intervals {
        fill_gaps(&mut spans, first, last, rule);
    }
    spans
}

/// Gives `rule` what is still free between `first` and `last`.
fn fill_gaps(spans: &mut Vec<Span>, first: u16, last: u16, rule: u32) {
    let mut at = spans.partition_point(|s| s.last < first);
    let mut next = u32::from(first);
    while next <= u32::from(last) {
        let taken = spans.get(at).map_or(u32::MAX, |s| u32::from(s.first));
        if next < taken {
            let end = (taken - 1).min(last.into());
            spans.insert(
                at,
                Span {
                    first: next as u16,
                    last: end as u16,
                    rule,
                },
            );
            at += 1;
        }
        let Some(span) = spans.get(at) else { return };
        next = u32::from(span.last) + 1;
        at += 1;
    }
}

#[cfg(test)]
std::thread_local! {
    static PROBES: core::cell::Cell<u64> = const { core::cell::Cell::new(0) };
}

/// Counts table probes in tests, so that a test can show that nothing is scanned.
#[inline]
pub(crate) fn count_probe() {
    #[cfg(test)]
    PROBES.with(|p| p.set(p.get() + 1));
}

/// Probes of this thread since the last call.
#[cfg(test)]
pub(crate) fn take_probes() -> u64 {
    PROBES.with(core::cell::Cell::take)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(intervals: &[((u16, u16), u32)]) -> Vec<(u16, u16, u32)> {
        let spans = first_match(intervals.iter().copied());
        spans.iter().map(|s| (s.first, s.last, s.rule)).collect()
    }

    #[test]
    fn the_first_interval_wins_where_they_overlap() {
        assert_eq!(
            flat(&[((5, 9), 1), ((0, 20), 2)]),
            [(0, 4, 2), (5, 9, 1), (10, 20, 2)]
        );
        assert_eq!(flat(&[((0, 20), 1), ((5, 9), 2)]), [(0, 20, 1)]);
        assert_eq!(
            flat(&[((5, 5), 1), ((7, 7), 2), ((5, 7), 3)]),
            [(5, 5, 1), (6, 6, 3), (7, 7, 2)]
        );
    }

    #[test]
    fn the_last_port_is_no_special_case() {
        assert_eq!(
            flat(&[((65535, 65535), 1), ((0, 65535), 2)]),
            [(0, 65534, 2), (65535, 65535, 1)]
        );
    }
}
