//! The shortest way of a frame: of the common shape, in a conversation that is open and decided
//! under the policy in force, by the station it belongs to. There is nothing to ask then and
//! nothing to remember but counters. `None` from here means: judge it in full.

use wardline_policy::{MacAddr, Reason, Side};

use super::Engine;
use crate::clock::Tick;
use crate::flow::key::FlowKey;
use crate::flow::tcp::{FIN, RST, Step};
use crate::flow::{FROM_WARD, GROUP, GUARDED, INITIATOR_IS_A, NONE, SNOOP, State};
use crate::parse::common::{self, Common};
use crate::{Action, Verdict};

/// A frame of the common shape, between the stages of a burst.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    common: Common,
    source_is_a: bool,
    key: FlowKey,
    hash: u64,
    /// Where its conversation most likely is.
    slot: u32,
}

/// When and where frames came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) from: Side,
    pub(super) now: Tick,
    pub(super) now_ns: u64,
}

/// Frames in a row with one reason, counted together.
#[derive(Debug, Default)]
pub(super) struct Tally {
    reason: Option<Reason>,
    frames: u64,
    bytes: u64,
}

impl Engine {
    /// Reads the frames and asks for the memory their conversations are in, one step at a time
    /// for all of them, so that the waits overlap.
    pub(super) fn prepare(&self, frames: &[&[u8]], lanes: &mut Vec<Option<Lane>>) {
        lanes.clear();
        lanes.extend(frames.iter().map(|frame| self.lane(frame)));
        for lane in lanes.iter_mut().flatten() {
            lane.slot = self.flows.candidate(lane.hash);
        }
        for lane in lanes.iter().flatten() {
            if let Some(hot) = self.flows.get(lane.slot) {
                self.devices.prefetch_meter(hot.device);
                if lane.common.is_tcp {
                    self.flows.prefetch_warm(lane.slot);
                }
            }
        }
    }

    #[inline]
    fn lane(&self, frame: &[u8]) -> Option<Lane> {
        let common = common::read(frame)?;
        let (key, source_is_a) = common.key(frame)?;
        let hash = self.flows.hash(&key);
        self.flows.prefetch(hash);
        Some(Lane {
            common,
            source_is_a,
            key,
            hash,
            slot: NONE,
        })
    }

    #[inline]
    pub(super) fn quick(&mut self, frame: &[u8], lane: &Lane, at: Arrival) -> Option<Verdict> {
        if !self.flows.is(lane.slot, &lane.key) {
            return None;
        }
        let hot = self.flows.hot(lane.slot);
        let forth = lane.source_is_a == hot.has(INITIATOR_IS_A);
        let from_ward = hot.has(FROM_WARD) == forth;
        let [destination, source] = stations(frame)?;
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
        if !usual || self.flows.idle_too_long(lane.slot, lane.common.is_tcp, at.now) {
            return None;
        }
        let from = usize::from(!forth);
        if !self.goes_on(frame, lane, from) {
            return None;
        }
        self.flows.count(lane.slot, from, frame.len());
        let hot = self.flows.hot_mut(lane.slot);
        hot.last = at.now;
        let verdict = Verdict {
            action: Action::Forward(at.from.other()),
            reason: hot.reason,
            would_drop: hot.would_drop,
            rule: hot.rule,
            device: hot.device,
        };
        self.count_for_device(frame.len(), lane.common.carries(), &verdict, at);
        Some(verdict)
    }

    /// Whether the packet carries its conversation on without changing its state.
    #[inline]
    fn goes_on(&mut self, frame: &[u8], lane: &Lane, from: usize) -> bool {
        let state = self.flows.hot(lane.slot).state;
        if !lane.common.is_tcp {
            return state == State::Answered || (state == State::Unanswered && from == 0);
        }
        let progress = &mut self.flows.warm_mut(lane.slot).progress;
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

impl Tally {
    /// Adds a frame, or gives back what has to be counted first because its reason is another.
    #[inline]
    pub(super) fn add(&mut self, reason: Reason, len: usize) -> Option<(Reason, u64, u64)> {
        let full = if self.reason == Some(reason) {
            None
        } else {
            let full = self.take();
            self.reason = Some(reason);
            full
        };
        self.frames += 1;
        self.bytes += len as u64;
        full
    }

    /// What is to be counted: reason, frames, bytes.
    pub(super) fn take(&mut self) -> Option<(Reason, u64, u64)> {
        let full = (self.reason.take()?, self.frames, self.bytes);
        *self = Self::default();
        Some(full)
    }
}
