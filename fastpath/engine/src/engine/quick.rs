//! The shortest way of a frame: of the common shape, in a conversation that is open and decided
//! under the policy in force, by the station it belongs to. There is nothing to ask then and
//! nothing to remember but counters.

use wardline_policy::{MacAddr, Side};

use super::{Engine, Keyed};
use crate::clock::{Tick, since};
use crate::feature::Cast;
use crate::flow::key::{FlowKey, Narrow, tuple};
use crate::flow::tcp::{FIN, RST, Step};
use crate::flow::{
    FROM_WARD, GROUP, GUARDED, Hot, INITIATOR_IS_A, NONE, SNOOP, State, WATCHED, Warm,
};
use crate::parse::common::{self, Common};
use crate::{Action, PacketMeta, Verdict};

/// A frame between the stages of a burst. Kept in place and filled field by field: what is
/// written here is read again within nanoseconds, and a copy would wait for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    narrow: Narrow,
    hash: u64,
    common: Common,
    /// Where its conversation most likely is.
    slot: u32,
    /// Whether the frame has the common shape; the rest means nothing if not.
    is_common: bool,
    source_is_a: bool,
}

impl Lane {
    pub(super) const BLANK: Self = Self {
        narrow: Narrow::BLANK,
        hash: 0,
        common: Common::BLANK,
        slot: NONE,
        is_common: false,
        source_is_a: false,
    };

    fn key(&self, frame: &[u8]) -> FlowKey {
        FlowKey {
            narrow: self.narrow,
            wide: self.common.wide(frame),
        }
    }

    /// Everything there is to know of the frame, if it has the common shape.
    pub(super) fn meta(&self, frame: &[u8]) -> Option<PacketMeta> {
        self.is_common.then(|| self.common.meta(frame)).flatten()
    }

    /// Its conversation, which is in this slot.
    pub(super) fn keyed(
        &self,
        meta: &PacketMeta,
        frame: &[u8],
        slot: Option<u32>,
    ) -> Option<Keyed> {
        let tuple = tuple(meta)?;
        Some(Keyed {
            tuple,
            key: self.key(frame),
            hash: self.hash,
            source_is_a: self.source_is_a,
            slot,
        })
    }
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
    #[inline(never)]
    pub(super) fn prepare(&self, frames: &[&[u8]], lanes: &mut [Lane]) {
        for (frame, lane) in frames.iter().zip(lanes.iter_mut()) {
            lane.is_common = self.read(frame, lane);
        }
        let lanes = &mut lanes[..frames.len()];
        for lane in lanes.iter_mut() {
            lane.slot = if lane.is_common {
                self.flows.candidate(lane.hash)
            } else {
                NONE
            };
        }
        for lane in lanes.iter() {
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
        let Some((narrow, source_is_a)) = common.narrow(frame) else {
            return false;
        };
        let hash = if common.is_ipv6 {
            let wide = common.wide(frame);
            self.flows.hash(&FlowKey { narrow, wide })
        } else {
            self.flows.hash_narrow(&narrow)
        };
        self.flows.prefetch(hash);
        lane.common = common;
        (lane.narrow, lane.source_is_a) = (narrow, source_is_a);
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
        slot: u32,
        at: Arrival,
        verdict: &mut Verdict,
    ) -> bool {
        let Some(head) = frame.first_chunk() else {
            return false;
        };
        let idle_max = self.flows.idle_max(lane.common.is_tcp);
        let (hot, warm) = self.flows.lines_mut(slot);
        let forth = lane.source_is_a == hot.has(INITIATOR_IS_A);
        let from_ward = hot.has(FROM_WARD) == forth;
        let from = usize::from(!forth);
        let usual = hot.generation == self.generation
            && from_ward == (at.from == Side::Ward)
            && hot.flags & (SNOOP | GUARDED | GROUP | WATCHED) == 0
            && hot.device != NONE
            && is_between(head, at.from, hot.mac)
            && since(hot.last, at.now) < idle_max;
        if !usual || !goes_on(frame, &lane.common, hot, warm, from) {
            return false;
        }
        hot.count(warm, from, frame.len());
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

    /// Where the conversation of a common frame is.
    #[inline(always)]
    pub(super) fn locate(&self, frame: &[u8], lane: &Lane) -> Option<u32> {
        if !lane.is_common {
            return None;
        }
        if self.flows.is_narrow(lane.slot, &lane.narrow)
            && (!lane.common.is_ipv6 || self.flows.is_wide(lane.slot, &lane.common.wide(frame)))
        {
            return Some(lane.slot);
        }
        self.locate_again(frame, lane)
    }

    /// Two tags may agree by chance, and the conversation may have begun in this burst.
    #[cold]
    fn locate_again(&self, frame: &[u8], lane: &Lane) -> Option<u32> {
        self.flows.find(&lane.key(frame), lane.hash)
    }
}

/// Whether the packet carries its conversation on without changing its state.
#[inline(always)]
fn goes_on(frame: &[u8], common: &Common, hot: &Hot, warm: &mut Warm, from: usize) -> bool {
    let state = hot.state;
    if !common.is_tcp {
        return state == State::Answered || (state == State::Unanswered && from == 0);
    }
    let (Some(tracker), Some(segment)) = (warm.progress.tcp_mut(), common.segment(frame)) else {
        return false;
    };
    state == State::Established
        && segment.flags & (FIN | RST) == 0
        && !tracker.reset_in_doubt()
        // What is out of the window changes nothing, and is judged again in full.
        && tracker.step(state, &segment, from) == Step::To(State::Established)
}

/// Whether a frame that begins like this is from or to one station, by the side it came from, and
/// for no group.
#[inline(always)]
fn is_between(head: &[u8; 12], from: Side, station: MacAddr) -> bool {
    let [destination, source] = [&head[..6], &head[6..]];
    let ward_side = match from {
        Side::Ward => source,
        Side::Core => destination,
    };
    destination[0] & 1 == 0 && ward_side == station.0
}
