//! Copies of the frames in which devices say what they are: the beginnings of conversations, and
//! what is sent to groups. For whoever reads them outside the packet path.
//!
//! Samples circulate: the engine fills spare ones, whoever fetched them gives them back. Without a
//! spare one a frame is not copied, and counted. Nothing is allocated after the start.

use std::collections::VecDeque;

use wardline_policy::Side;

use crate::clock::Rate;

/// Bytes of a sample: an ordinary frame with two tags. A longer one is cut.
pub const SAMPLE_BYTES: usize = 1_522;
/// Frames of a conversation that are handed out, both directions together.
pub(crate) const FRAMES: u32 = 32;
/// Samples a second of one device, so that a flood from one leaves the others theirs.
pub(crate) const PER_DEVICE_PER_S: u32 = 200;
/// Samples a second of stations that are no devices.
const OTHERS_PER_S: u32 = 500;

/// One frame, or its beginning.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When it came, Unix time in nanoseconds.
    pub time_ns: u64,
    /// Where it came from.
    pub from: Side,
    /// Its length on the wire in bytes, without the frame check sequence.
    pub wire_bytes: usize,
    len: usize,
    bytes: [u8; SAMPLE_BYTES],
}

impl Sample {
    /// A spare one.
    pub fn spare() -> Box<Self> {
        Box::new(Self {
            time_ns: 0,
            from: Side::Ward,
            wire_bytes: 0,
            len: 0,
            bytes: [0; SAMPLE_BYTES],
        })
    }

    /// Copies the beginning of a frame that came at this time from this side.
    pub fn fill(&mut self, from: Side, frame: &[u8], now_ns: u64) {
        let len = frame.len().min(SAMPLE_BYTES);
        self.bytes[..len].copy_from_slice(&frame[..len]);
        (self.len, self.wire_bytes) = (len, frame.len());
        (self.time_ns, self.from) = (now_ns, from);
    }

    /// Keeps no more than so many bytes.
    pub(crate) fn cut(&mut self, bytes: usize) {
        self.len = self.len.min(bytes);
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The samples of one engine.
#[derive(Debug)]
#[expect(
    clippy::vec_box,
    reason = "samples move between queues, and are 1.5 kB"
)]
pub(crate) struct Samples {
    spare: Vec<Box<Sample>>,
    taken: VecDeque<Box<Sample>>,
    most: usize,
    others: Rate,
    pub(crate) dropped: u64,
}

impl Samples {
    pub(crate) fn new(count: u32) -> Self {
        let most = count as usize;
        Self {
            spare: (0..most).map(|_| Sample::spare()).collect(),
            taken: VecDeque::with_capacity(most),
            most,
            others: Rate::default(),
            dropped: 0,
        }
    }

    /// Whether anybody wants samples.
    pub(crate) const fn wanted(&self) -> bool {
        self.most > 0
    }

    /// Whether one more of a station that is no device is within the limits.
    pub(crate) fn others_may(&mut self, now_ns: u64) -> bool {
        self.others.take(OTHERS_PER_S, now_ns)
    }

    /// Copies a frame.
    pub(crate) fn take(&mut self, from: Side, frame: &[u8], now_ns: u64) {
        let Some(mut sample) = self.spare.pop() else {
            self.dropped += 1;
            return;
        };
        sample.fill(from, frame, now_ns);
        self.taken.push_back(sample);
    }

    pub(crate) fn next(&mut self) -> Option<Box<Sample>> {
        self.taken.pop_front()
    }

    /// Takes a spare one back; more than there were at the start are let go.
    pub(crate) fn give_back(&mut self, sample: Box<Sample>) {
        if self.spare.len() + self.taken.len() < self.most {
            self.spare.push(sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_circulate_and_what_finds_no_spare_one_is_counted() {
        let mut samples = Samples::new(2);
        let long = [7; SAMPLE_BYTES + 9];
        samples.take(Side::Core, &[1, 2, 3], 5);
        samples.take(Side::Ward, &long, 6);
        samples.take(Side::Ward, &[4], 7);
        assert_eq!(samples.dropped, 1);
        let first = samples.next().expect("two were taken");
        assert_eq!((first.bytes(), first.time_ns), (&[1, 2, 3][..], 5));
        let second = samples.next().expect("two were taken");
        assert_eq!(second.bytes(), &long[..SAMPLE_BYTES]);
        assert_eq!(second.wire_bytes, long.len());
        assert!(samples.next().is_none());
        samples.give_back(first);
        samples.take(Side::Ward, &[4], 8);
        assert_eq!((samples.dropped, samples.taken.len()), (1, 1));
    }
}
