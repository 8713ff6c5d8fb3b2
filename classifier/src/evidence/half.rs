//! The beginning of one direction of a TCP conversation, put together in order.

use core::ops::Range;

/// Most stretches that wait for the bytes before them.
const MAX_STRETCHES: usize = 8;

/// What one side has sent. Where bytes were captured twice, the first to come count.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// Sequence number of the first byte.
    first: Option<u32>,
    /// Without gaps up to `complete`, then the stretches that came before their turn, and zeros
    /// between them.
    bytes: Vec<u8>,
    complete: usize,
    /// Apart from each other and from what is complete.
    stretches: Vec<Range<usize>>,
    /// Something is missing for good: nothing more is taken.
    ended: bool,
}

impl Half {
    /// The sequence number of the first byte is known: from a SYN.
    pub(super) fn begin(&mut self, first: u32) {
        self.first.get_or_insert(first);
    }

    /// Whether it is known to begin with this sequence number.
    pub(super) fn begins_with(&self, first: u32) -> bool {
        self.first == Some(first)
    }

    /// What is there from the beginning on.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.complete]
    }

    /// Whether nothing more will come.
    pub(super) fn is_over(&self, limit: usize) -> bool {
        self.ended || self.complete >= limit
    }

    /// Takes a segment, of which `captured` is what is there of it; the direction ends with one
    /// that is not whole. Says whether more is complete than before.
    pub(super) fn take(&mut self, seq: u32, captured: &[u8], whole: bool, limit: usize) -> bool {
        if captured.is_empty() || self.is_over(limit) {
            return false;
        }
        let ahead = seq
            .wrapping_sub(*self.first.get_or_insert(seq))
            .cast_signed();
        // Behind the beginning stands only what was sent before it, and probes of a living peer.
        let (offset, early) = match usize::try_from(ahead) {
            Ok(offset) => (offset, 0),
            Err(_) => (0, ahead.unsigned_abs() as usize),
        };
        let before = self.complete;
        self.fill(offset, captured.get(early..).unwrap_or_default(), limit);
        self.ended |= !whole || self.stretches.len() > MAX_STRETCHES;
        self.complete > before
    }

    /// Puts bytes where nothing is yet.
    fn fill(&mut self, offset: usize, new: &[u8], limit: usize) {
        let end = (offset + new.len()).min(limit);
        let mut at = offset.max(self.complete);
        if at >= end {
            return;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let mut joined = at..end;
        for taken in self
            .stretches
            .iter()
            .cloned()
            .chain(core::iter::once(end..end))
        {
            let gap_end = taken.start.clamp(at, end);
            self.bytes[at..gap_end].copy_from_slice(&new[at - offset..gap_end - offset]);
            at = gap_end.max(taken.end.min(end));
        }
        self.stretches.retain(|taken| {
            let apart = taken.end < joined.start || joined.end < taken.start;
            if !apart {
                joined = joined.start.min(taken.start)..joined.end.max(taken.end);
            }
            apart
        });
        if joined.start <= self.complete {
            self.complete = joined.end;
        } else {
            let place = self
                .stretches
                .partition_point(|taken| taken.end < joined.start);
            self.stretches.insert(place, joined);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 64;

    fn taken(segments: &[(u32, &[u8])]) -> Vec<u8> {
        let mut half = Half::default();
        half.begin(u32::MAX - 1);
        for (offset, bytes) in segments {
            half.take((u32::MAX - 1).wrapping_add(*offset), bytes, true, LIMIT);
        }
        half.bytes().to_vec()
    }

    #[test]
    fn segments_join_in_any_order_across_the_wrap() {
        assert_eq!(taken(&[(0, b"ab"), (2, b"cd")]), b"abcd");
        assert_eq!(taken(&[(4, b"ef"), (0, b"ab"), (2, b"cd")]), b"abcdef");
        assert_eq!(taken(&[(0, b"ab"), (0, b"ab"), (1, b"bc")]), b"abc");
        assert_eq!(taken(&[(u32::MAX, b"\0"), (0, b"ab")]), b"ab");
        assert_eq!(taken(&[(u32::MAX, b"\0ab"), (2, b"c")]), b"abc");
    }

    #[test]
    fn the_first_bytes_win() {
        assert_eq!(taken(&[(0, b"abc"), (1, b"XYz")]), b"abcz");
        assert_eq!(taken(&[(2, b"cd"), (0, b"abXXe")]), b"abcde");
        assert_eq!(taken(&[(1, b"b"), (3, b"d"), (0, b"aXcXe")]), b"abcde");
    }

    #[test]
    fn a_segment_that_is_not_whole_ends_the_direction() {
        let mut half = Half::default();
        assert!(half.take(7, b"ab", false, LIMIT));
        assert!(!half.take(9, b"cd", true, LIMIT));
        assert_eq!(half.bytes(), b"ab");
        assert!(half.is_over(LIMIT));
    }

    #[test]
    fn too_many_gaps_end_the_direction() {
        let mut half = Half::default();
        half.begin(0);
        for number in 0..=MAX_STRETCHES as u32 {
            half.take(2 + 2 * number, b"x", true, LIMIT);
        }
        assert!(half.is_over(LIMIT));
    }

    proptest! {
        /// Against a table of single bytes that keeps whatever came first.
        #[test]
        fn bytes_are_those_of_the_plain_way(
            first in any::<u32>(),
            segments in prop::collection::vec(
                (-8i32..80, prop::collection::vec(any::<u8>(), 1..20)), 0..12),
        ) {
            let mut half = Half::default();
            half.begin(first);
            let mut plain = [None; LIMIT];
            for (offset, bytes) in &segments {
                if half.is_over(LIMIT) {
                    break;
                }
                half.take(first.wrapping_add_signed(*offset), bytes, true, LIMIT);
                for (place, byte) in (*offset..).zip(bytes) {
                    if let Some(cell) = usize::try_from(place).ok().and_then(|p| plain.get_mut(p)) {
                        cell.get_or_insert(*byte);
                    }
                }
            }
            let expected: Vec<u8> = plain.iter().map_while(|byte| *byte).collect();
            prop_assert_eq!(half.bytes(), &expected[..]);
        }
    }
}
