//! The engine: tables, and the way of a burst through them.

use std::sync::Arc;

use wardline_policy::{PolicySnapshot, Reason, RuleId, Side};

use crate::view::{DeviceView, FlowView};
use crate::{Action, Counters, Event, Limits, Verdict};

/// Most frames of one call of [`Engine::process`].
pub const BURST: usize = 64;

/// One worker's engine.
#[derive(Debug)]
pub struct Engine {
    snapshot: Arc<PolicySnapshot>,
    generation: u32,
    counters: Counters,
}

impl Engine {
    /// Allocates every table. `seed` keys the hashes, `now_ns` is the Unix time in nanoseconds
    /// at which the grace period for conversations older than the process begins.
    pub fn new(limits: Limits, seed: u64, snapshot: Arc<PolicySnapshot>, now_ns: u64) -> Self {
        let _ = (limits, seed, now_ns);
        Self {
            snapshot,
            generation: 1,
            counters: Counters::zero(),
        }
    }

    /// Puts another policy in force, at a burst boundary, and hands the old one back so that it
    /// can be freed elsewhere. Takes the same time whatever the policies hold.
    pub fn set_snapshot(&mut self, snapshot: Arc<PolicySnapshot>) -> Arc<PolicySnapshot> {
        self.generation = self.generation.wrapping_add(1);
        std::mem::replace(&mut self.snapshot, snapshot)
    }

    /// The number of the policy in force: 1 at start, one more with each swap.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The policy in force.
    pub fn snapshot(&self) -> &Arc<PolicySnapshot> {
        &self.snapshot
    }

    /// Judges at most [`BURST`] frames; `verdicts[i]` answers `frames[i]`. Never allocates.
    ///
    /// # Panics
    /// When there are more frames than [`BURST`] or fewer verdicts than frames.
    pub fn process(&mut self, from: Side, now_ns: u64, frames: &[&[u8]], verdicts: &mut [Verdict]) {
        assert!(frames.len() <= BURST && frames.len() <= verdicts.len());
        let _ = now_ns;
        for (frame, verdict) in frames.iter().zip(verdicts) {
            *verdict = Verdict {
                action: Action::Forward(from.other()),
                reason: Reason::Observed,
                would_drop: None,
                rule: RuleId(0),
                device: u32::MAX,
            };
            self.counters.count(from, frame.len(), verdict);
        }
    }

    /// Frames the engine made itself since the last [`clear_refusals`](Self::clear_refusals)
    /// (TCP resets, ICMP unreachables), each with the side it leaves to.
    pub fn refusals(&self) -> impl Iterator<Item = (Side, &[u8])> {
        core::iter::empty()
    }

    /// Forgets the refusals, after they were sent.
    pub fn clear_refusals(&mut self) {}

    /// Expiry and other upkeep: looks at no more than `budget` table entries.
    pub fn idle(&mut self, now_ns: u64, budget: usize) {
        let _ = (now_ns, budget);
    }

    /// Hands out the waiting events, oldest first.
    pub fn drain_events(&mut self, sink: impl FnMut(Event)) {
        let _ = sink;
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The devices that spoke on the ward side. For inspection: allocates.
    pub fn devices(&self) -> impl Iterator<Item = DeviceView> + '_ {
        core::iter::empty()
    }

    /// The conversations in progress. For inspection: allocates.
    pub fn flows(&self) -> impl Iterator<Item = FlowView> + '_ {
        core::iter::empty()
    }
}
