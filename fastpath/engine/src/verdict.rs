//! What happens to a frame, and the counters that add up.

use serde::{Deserialize, Serialize};
use wardline_policy::{Reason, RuleId, Side};

/// What to do with the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send it out of this side, as it came.
    Forward(Side),
    /// Free it.
    Drop,
}

/// The verdict on one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What to do.
    pub action: Action,
    /// Why; of class `Forward` exactly if the action is.
    pub reason: Reason,
    /// Set when the device does not enforce: the reason it would have been dropped for.
    pub would_drop: Option<Reason>,
    /// The rule that decided, or would have; 0 if none.
    pub rule: RuleId,
    /// Slot of the device in this engine's table; `u32::MAX` if none.
    pub device: u32,
}

impl Default for Verdict {
    fn default() -> Self {
        Self {
            action: Action::Drop,
            reason: Reason::Runt,
            would_drop: None,
            rule: RuleId(0),
            device: u32::MAX,
        }
    }
}

/// Counters of one engine. For each side: `received = Σ by_reason`, and
/// `forwarded + dropped = received`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Counters {
    /// Frames received, by side (ward, core).
    pub received: [u64; 2],
    /// Bytes received, by side.
    pub received_bytes: [u64; 2],
    /// Frames by reason, by side; the inner table is indexed by `Reason::index`.
    pub by_reason: [Vec<u64>; 2],
    /// Frames forwarded only because the device does not enforce, by the reason they would have
    /// been dropped for.
    pub would_drop: Vec<u64>,
    /// Frames the engine made itself (resets, unreachables), by the side they leave to.
    pub refusals_sent: [u64; 2],
    /// Flows at this moment.
    pub flows: u64,
    /// Flows begun since start.
    pub flows_begun: u64,
    /// Events lost because nobody fetched them.
    pub events_dropped: u64,
}

impl Counters {
    /// Everything zero, the tables by reason allocated.
    pub fn zero() -> Self {
        let table = || vec![0; Reason::COUNT];
        Self {
            by_reason: [table(), table()],
            would_drop: table(),
            ..Self::default()
        }
    }

    /// Frames of this side that were forwarded.
    pub fn forwarded(&self, from: Side) -> u64 {
        self.sum(from, true)
    }

    /// Frames of this side that were dropped.
    pub fn dropped(&self, from: Side) -> u64 {
        self.sum(from, false)
    }

    fn sum(&self, from: Side, forwards: bool) -> u64 {
        let of_class = |r: &&Reason| r.forwards() == forwards;
        Reason::ALL
            .iter()
            .filter(of_class)
            .map(|r| self.by_reason[from as usize][r.index()])
            .sum()
    }

    pub(crate) fn count(&mut self, from: Side, run: &Run) {
        self.received[from as usize] += run.frames;
        self.received_bytes[from as usize] += run.bytes;
        self.by_reason[from as usize][run.reason.index()] += run.frames;
    }
}

/// Frames with one reason.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) reason: Reason,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

impl Run {
    pub(crate) const fn of(reason: Reason) -> Self {
        Self {
            reason,
            frames: 0,
            bytes: 0,
        }
    }
}

impl Default for Run {
    fn default() -> Self {
        Self::of(Reason::Established)
    }
}
