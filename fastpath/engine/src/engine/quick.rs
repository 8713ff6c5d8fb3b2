//! The shortest way of a frame: of the common shape, in a conversation that is open and decided
//! under the policy in force, by the station it belongs to. There is nothing to ask then and
//! nothing to remember but counters.

use wardline_policy::{MacAddr, Side};

use super::Engine;
use crate::clock::Tick;
use crate::feature::Cast;
use crate::flow::key::FlowKey;
use crate::flow::tcp::{FIN, RST, Step};
use crate::flow::{FROM_WARD, GROUP, GUARDED, INITIATOR_IS_A, NONE, SNOOP, State};
use crate::parse::common::{self, Common};
use crate::{Action, Verdict};

/// A frame between the stages of a burst. Kept in place and filled field by field: what is
/// written here is read again within nanoseconds, and a copy would wait for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    /// Whether the frame has the common shape; the rest means nothing if not.
    is_common: bool,
    source_is_a: bool,
    common: Common,
    key: FlowKey,
    hash: u64,
    /// Where its conversation most likely is.
    slot: u32,
}

impl Lane {
    pub(super) const BLANK: Self = Self {
        is_common: false,
        source_is_a: false,
        common: Common::BLANK,
        key: FlowKey::BLANK,
        hash: 0,
        slot: NONE,
    };
}

/// When and where frames came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) from: Side,
    pub(super) now: Tick,
    pub(super) now_ns: u64,
}

impl Engine {
    /// Reads the frames and asks for the memory their conversations are in, one step at a time
    /// for all of them, so that the waits overlap.
    pub(super) fn prepare(&self, frames: &[&[u8]], lanes: &mut [Lane]) {
        for (frame, lane) in frames.iter().zip(lanes.iter_mut()) {
            lane.is_common = self.read(frame, lane);
        }
        let lanes = &mut lanes[..frames.len()];
        for lane in lanes.iter_mut().filter(|lane| lane.is_common) {
            lane.slot = self.flows.candidate(lane.hash);
        }
        for lane in lanes.iter().filter(|lane| lane.is_common) {
            if let Some(hot) = self.flows.get(lane.slot) {
                self.devices.prefetch_meter(hot.device);
                if lane.common.is_tcp {
                    self.flows.prefetch_warm(lane.slot);
                }
            }
        }
    }

    /// Whether the frame has the common shape; then the lane is filled.
    #[inline(always)]
    fn read(&self, frame: &[u8], lane: &mut Lane) -> bool {
        let Some(common) = common::read(frame) else {
            return false;
        };
        let Some((key, source_is_a)) = common.key(frame) else {
            return false;
        };
        let hash = self.flows.hash(&key);
        self.flows.prefetch(hash);
        lane.common = common;
        (lane.key, lane.source_is_a) = (key, source_is_a);
        lane.hash = hash;
        true
    }

    /// Gives the verdict on a frame that goes on as its conversation does; `false`: judge it in
    /// full.
    #[inline(always)]
    pub(super) fn quick(
        &mut self,
        frame: &[u8],
        lane: &Lane,
        at: Arrival,
        verdict: &mut Verdict,
    ) -> bool {
        let Some(slot) = self.locate(lane) else {
            return false;
        };
        let hot = self.flows.hot(slot);
        let forth = lane.source_is_a == hot.has(INITIATOR_IS_A);
        let from_ward = hot.has(FROM_WARD) == forth;
        let Some([destination, source]) = stations(frame) else {
            return false;
        };
        let station = match at.from {
            Side::Ward => source,
            Side::Core => destination,
        };
        let usual = hot.generation == self.generation
            && from_ward == (at.from == Side::Ward)
            && hot.flags & (SNOOP | GUARDED | GROUP) == 0
            && hot.device != NONE
            && hot.mac == station
            && !destination.is_group();
        let from = usize::from(!forth);
        if !usual
            || self.flows.idle_too_long(slot, lane.common.is_tcp, at.now)
            || !self.goes_on(frame, lane, slot, from)
        {
            return false;
        }
        self.flows.count(slot, from, frame.len());
        let hot = self.flows.hot_mut(slot);
        hot.last = at.now;
        verdict.action = Action::Forward(at.from.other());
        verdict.reason = hot.reason;
        verdict.would_drop = hot.would_drop;
        verdict.rule = hot.rule;
        verdict.device = hot.device;
        let what = (Cast::One, lane.common.carries());
        self.count_for_device(frame.len(), what, verdict, at);
        true
    }

    #[inline(always)]
    fn locate(&self, lane: &Lane) -> Option<u32> {
        if !lane.is_common {
            return None;
        }
        if self.flows.is(lane.slot, &lane.key) {
            return Some(lane.slot);
        }
        // Two tags may agree by chance, and the conversation may have begun in this burst.
        self.flows.find(&lane.key, lane.hash)
    }

    /// Whether the packet carries its conversation on without changing its state.
    #[inline(always)]
    fn goes_on(&mut self, frame: &[u8], lane: &Lane, slot: u32, from: usize) -> bool {
        let state = self.flows.hot(slot).state;
        if !lane.common.is_tcp {
            return state == State::Answered || (state == State::Unanswered && from == 0);
        }
        let progress = &mut self.flows.warm_mut(slot).progress;
        let (Some(tracker), Some(segment)) = (progress.tcp_mut(), lane.common.segment(frame))
        else {
            return false;
        };
        state == State::Established
            && segment.flags & (FIN | RST) == 0
            && !tracker.reset_in_doubt()
            // What is out of the window changes nothing, and is judged again in full.
            && tracker.step(state, &segment, from) == Step::To(State::Established)
    }
}

/// Destination and source address.
#[inline]
fn stations(frame: &[u8]) -> Option<[MacAddr; 2]> {
    let [d5, d4, d3, d2, d1, d0, s5, s4, s3, s2, s1, s0] = *frame.first_chunk()?;
    Some([
        MacAddr([d5, d4, d3, d2, d1, d0]),
        MacAddr([s5, s4, s3, s2, s1, s0]),
    ])
}
