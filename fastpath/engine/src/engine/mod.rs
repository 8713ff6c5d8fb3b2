//! The engine: tables, and the way of a burst through them.
//!
//! A burst goes through its stages together: read all, find where all conversations are, then
//! judge one after the other. A frame that only carries its conversation on is judged by `quick`,
//! any other frame of a known conversation by `hit`, everything else by `miss`; all three end in
//! a verdict that is counted exactly once.

mod ask;
mod hit;
mod icmp;
mod learn;
mod link;
mod miss;
mod quick;
mod settle;
mod upkeep;
mod watch;

#[cfg(test)]
pub(crate) use hit::segment;

use std::collections::VecDeque;
use std::sync::Arc;

use wardline_policy::{DeviceKey, EntryIdx, Mode, PolicySnapshot, Reason, Refusal, RuleId, Side};

use crate::answer::Windows;
use crate::binding::Bindings;
use crate::bounded::Bounded;
use crate::capture::{Captured, Captures, Dropped, Drops, Orders};
use crate::clock::{Clock, Rate, Tick, seconds};
use crate::device::{Denials, Devices, Vlans};
use crate::flow::key::{FlowKey, Tuple, tuple};
use crate::flow::{FlowTable, NONE};
use crate::fragment::Fragments;
use crate::meta::PacketMeta;
use crate::names::Names;
use crate::parse::parse;
use crate::sample::{Sample, Samples};
use crate::verdict::Run;
use crate::{Counters, Event, Limits, Verdict, feature, refuse};
use quick::{Arrival, Lane};

/// Most frames of one call of [`Engine::process`].
pub const BURST: usize = 64;
/// Frames the engine may make itself between two calls of [`Engine::clear_refusals`].
const REFUSALS: usize = 64;

/// One worker's engine.
#[derive(Debug)]
pub struct Engine {
    snapshot: Arc<PolicySnapshot>,
    generation: u32,
    clock: Clock,
    /// Conversations older than the process are picked up until then.
    grace_until: Tick,
    new_flows_per_burst: u32,
    /// New conversations this burst may still begin.
    budget: u32,
    flows: FlowTable,
    devices: Devices,
    vlans: Vlans,
    /// Stations of the core side.
    stations: Bounded<DeviceKey, ()>,
    bindings: Bindings,
    fragments: Fragments,
    windows: Windows,
    names: Names,
    counters: Counters,
    events: VecDeque<Event>,
    events_max: usize,
    /// Denials that concern no device.
    denials: Denials,
    refusals: Vec<Refused>,
    refusal_rate: Rate,
    feature_windows: feature::Windows,
    samples: Samples,
    captures: Captures,
    drops: Drops,
    lanes: Vec<Lane>,
    upkeep_due_ns: u64,
}

/// A frame made by the engine.
#[derive(Debug)]
struct Refused {
    side: Side,
    len: usize,
    bytes: [u8; refuse::MAX_LEN],
}

/// The conversation a frame may belong to.
#[derive(Debug, Clone, Copy)]
struct Keyed {
    tuple: Tuple,
    key: FlowKey,
    hash: u64,
    source_is_a: bool,
    /// Where it was when the frame came, if it was there.
    slot: Option<u32>,
}

/// A frame that is being judged.
#[derive(Debug, Clone, Copy)]
struct Frame<'a> {
    bytes: &'a [u8],
    meta: &'a PacketMeta,
    from: Side,
    now: Tick,
    now_ns: u64,
}

impl Frame<'_> {
    const fn arrival(&self) -> Arrival {
        Arrival {
            from: self.from,
            now: self.now,
            now_ns: self.now_ns,
        }
    }

    /// The ward-side station, or the group.
    fn subject_key(&self) -> DeviceKey {
        let mac = match self.from {
            Side::Ward => self.meta.source_mac,
            Side::Core => self.meta.destination_mac,
        };
        DeviceKey {
            mac,
            vlan: self.meta.vlan,
        }
    }

    fn payload(&self) -> &[u8] {
        let range = usize::from(self.meta.payload_offset)..usize::from(self.meta.end);
        self.bytes.get(range).unwrap_or_default()
    }
}

/// Who a frame is about, and what the policy says of it.
#[derive(Debug, Clone, Copy)]
struct Subject {
    /// Slot in the device table; `NONE` for groups and stations that have not spoken.
    slot: u32,
    key: DeviceKey,
    entry: EntryIdx,
    mode: Mode,
    epoch: u32,
    /// A group frame from the core side: everybody in the VLAN.
    group: bool,
}

/// A judgement, before the mode of the device is applied.
#[derive(Debug, Clone, Copy)]
struct Ruling {
    reason: Reason,
    rule: RuleId,
    refusal: Refusal,
}

impl Ruling {
    const fn new(reason: Reason) -> Self {
        Self {
            reason,
            rule: RuleId(0),
            refusal: Refusal::Silent,
        }
    }
}

impl Engine {
    /// Allocates every table. `seed` keys the hashes, `now_ns` is the Unix time in nanoseconds
    /// at which the grace period for conversations older than the process begins.
    pub fn new(limits: Limits, seed: u64, snapshot: Arc<PolicySnapshot>, now_ns: u64) -> Self {
        let key = |n: u32| seed.rotate_left(n) ^ u64::from(n);
        let clock = Clock::new(now_ns);
        Self {
            snapshot,
            generation: 1,
            clock,
            grace_until: seconds(limits.midstream_grace_s),
            new_flows_per_burst: limits.new_flows_per_burst,
            budget: 0,
            flows: FlowTable::new(&limits, key(1)),
            devices: Devices::new(limits.devices.max(1), key(2)),
            vlans: Vlans::new(key(3)),
            stations: Bounded::new(limits.devices.max(1), key(4)),
            bindings: Bindings::new(limits.bindings.max(4), limits.devices.max(1), key(5)),
            fragments: Fragments::new(limits.fragments.max(1), seconds(limits.fragment_s), key(6)),
            windows: Windows::new(limits.answer_windows.max(1), key(7)),
            names: Names::new(limits.dns_answers.max(1), limits.devices.max(1), key(8)),
            counters: Counters::zero(),
            events: VecDeque::with_capacity(limits.events as usize),
            events_max: limits.events as usize,
            denials: Denials::default(),
            refusals: Vec::with_capacity(REFUSALS),
            refusal_rate: Rate::default(),
            feature_windows: feature::Windows::new(
                limits.devices.max(1),
                limits.windows,
                limits.window_s,
            ),
            samples: Samples::new(limits.samples),
            captures: Captures::new(limits.captured),
            drops: Drops::new(limits.dropped),
            lanes: vec![Lane::BLANK; BURST],
            upkeep_due_ns: 0,
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
        assert!(frames.len() <= BURST, "a burst has at most {BURST} frames");
        assert!(
            frames.len() <= verdicts.len(),
            "every frame needs room for its verdict"
        );
        self.budget = self.new_flows_per_burst;
        let at = Arrival {
            from,
            now: self.clock.tick(now_ns),
            now_ns,
        };
        let mut lanes = std::mem::take(&mut self.lanes);
        self.prepare(frames, &mut lanes);
        // Frames in a row with one reason are counted together.
        let mut run = Run::default();
        for ((bytes, lane), verdict) in frames.iter().zip(&lanes).zip(verdicts.iter_mut()) {
            let slot = self.locate(bytes, lane);
            if !slot.is_some_and(|slot| self.quick(bytes, lane, slot, at, verdict)) {
                *verdict = self.in_full(bytes, lane, slot, at);
            }
            if run.reason != verdict.reason {
                self.counters.count(from, &run);
                run = Run::of(verdict.reason);
            }
            run.frames += 1;
            run.bytes += bytes.len() as u64;
            if let Some(reason) = verdict.would_drop {
                self.counters.would_drop[reason.index()] += 1;
            }
        }
        self.counters.count(from, &run);
        self.lanes = lanes;
        if self.captures.run() {
            self.captures.take(from, now_ns, frames, verdicts);
        }
        self.upkeep(now_ns);
    }

    /// Judges a frame by everything there is to know of it.
    fn in_full(&mut self, bytes: &[u8], lane: &Lane, slot: Option<u32>, at: Arrival) -> Verdict {
        let Arrival { from, now, now_ns } = at;
        let read = lane.meta(bytes);
        match &read.map_or_else(|| parse(bytes), Ok) {
            Ok(meta) => {
                let frame = Frame {
                    bytes,
                    meta,
                    from,
                    now,
                    now_ns,
                };
                let keyed = match read {
                    Some(_) => lane.keyed(meta, bytes, slot),
                    None => tuple(meta).map(|tuple| self.keyed(tuple, meta)),
                };
                self.judge(&frame, keyed.as_ref())
            }
            Err(error) => self.malformed(bytes, error, from, now, now_ns),
        }
    }

    fn keyed(&self, tuple: Tuple, meta: &PacketMeta) -> Keyed {
        let (key, source_is_a) = tuple.key(meta.vlan);
        let hash = self.flows.hash(&key);
        Keyed {
            tuple,
            key,
            hash,
            source_is_a,
            slot: self.flows.find(&key, hash),
        }
    }

    fn judge(&mut self, frame: &Frame<'_>, keyed: Option<&Keyed>) -> Verdict {
        /// Tags of a frame that needs the policy's leave to carry them.
        const STACKED: u8 = 2;
        if frame.meta.tags >= STACKED && !self.snapshot.double_tags_allowed(frame.from) {
            let subject = self.bystander(frame);
            return self.settle(frame, &subject, Ruling::new(Reason::VlanStack));
        }
        let known = keyed.and_then(|k| Some((k, k.slot?)));
        known
            .and_then(|(keyed, slot)| self.hit(frame, keyed, slot))
            .unwrap_or_else(|| {
                let verdict = self.miss(frame, keyed);
                self.sample_first(frame, keyed, verdict.device);
                verdict
            })
    }

    /// Frames the engine made itself since the last [`clear_refusals`](Self::clear_refusals)
    /// (TCP resets, ICMP unreachables), each with the side it leaves to.
    pub fn refusals(&self) -> impl Iterator<Item = (Side, &[u8])> {
        self.refusals.iter().map(|r| (r.side, &r.bytes[..r.len]))
    }

    /// Forgets the refusals, after they were sent.
    pub fn clear_refusals(&mut self) {
        self.refusals.clear();
    }

    /// Hands out the waiting events, oldest first.
    pub fn drain_events(&mut self, mut sink: impl FnMut(Event)) {
        while let Some(event) = self.events.pop_front() {
            sink(event);
        }
    }

    /// Hands out the finished feature windows, oldest first.
    pub fn drain_windows(&mut self, mut sink: impl FnMut(feature::Finished)) {
        while let Some(window) = self.feature_windows.next() {
            sink(window);
        }
    }

    /// Takes the oldest of the samples that wait.
    pub fn next_sample(&mut self) -> Option<Box<Sample>> {
        self.samples.next()
    }

    /// Gives a sample back to be filled again.
    pub fn give_back(&mut self, sample: Box<Sample>) {
        self.samples.give_back(sample);
    }

    /// Captures these devices from the next burst on, and no others. They fill the places from the
    /// first on. Hands the orders before back, so that they are freed elsewhere.
    pub fn set_captures(&mut self, orders: Orders) -> Orders {
        self.captures.set(orders)
    }

    /// Whether any device is captured.
    pub fn captures(&self) -> bool {
        self.captures.run()
    }

    /// Takes the oldest of the captured frames that wait.
    pub fn next_captured(&mut self) -> Option<Box<Captured>> {
        self.captures.next()
    }

    /// Gives the memory of a captured frame back to be filled again.
    pub fn give_captured_back(&mut self, copy: Box<Captured>) {
        self.captures.give_back(copy);
    }

    /// The last dropped frames of a device, the newest first.
    pub fn dropped(&self, device: DeviceKey) -> impl Iterator<Item = &Dropped> {
        self.drops.of(device)
    }

    /// Windows and samples lost because nobody fetched them.
    pub fn unfetched(&self) -> [u64; 2] {
        [self.feature_windows.dropped, self.samples.dropped]
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The slot of a device, if it has one.
    fn known_slot(&self, key: &DeviceKey) -> u32 {
        self.devices.find(key).unwrap_or(NONE)
    }
}
