//! The flow table: fixed capacity, allocated once, searched in two cache lines.
//!
//! A lookup reads one bucket (eight 16-bit tags and slot numbers) and then the hot line of the
//! slot whose tag agrees. Each key has two buckets, the second found from the first and the tag.
//! A full table or two full buckets are an answer, not an error.

pub(crate) mod key;
pub(crate) mod sctp;
pub(crate) mod tcp;

use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use wardline_policy::{Cast, Initiator, MacAddr, Mode, Reason, RuleId};

pub(crate) use key::FlowKey;
use sctp::Association;
use tcp::Tracker;

use crate::clock::{Tick, seconds, since};
use crate::config::Limits;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;
const WAYS: usize = 8;
/// Idle time after which a connection that was reset is forgotten, in seconds: its last
/// segments may still be on the way.
const RESET_S: u32 = 10;
/// A pending conversation gives way to a new one of its device after this, in seconds.
const PENDING_S: u32 = 1;

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// TCP: the initiator's SYN passed. SCTP: its INIT.
    SynSent,
    /// TCP: the responder's SYN passed as well.
    SynReceived,
    /// TCP and SCTP: open.
    Established,
    /// TCP: one side has finished.
    FinWait,
    /// TCP: both have.
    Closing,
    /// TCP: reset.
    Reset,
    /// Other protocols: only the initiator spoke.
    Unanswered,
    /// Other protocols: both did.
    Answered,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SynSent | Self::SynReceived => "half-open",
            Self::Established => "established",
            Self::FinWait => "closing",
            Self::Closing => "closed",
            Self::Reset => "reset",
            Self::Unanswered => "unanswered",
            Self::Answered => "answered",
        }
    }

    /// The list of conversations that may give way to others of their device.
    const fn pending(self) -> Option<Pending> {
        match self {
            Self::SynSent | Self::SynReceived => Some(Pending::HalfOpen),
            Self::Unanswered => Some(Pending::Unanswered),
            _ => None,
        }
    }
}

/// The initiator is endpoint `a` of the key.
pub(crate) const INITIATOR_IS_A: u8 = 1;
/// The initiator is on the ward side.
pub(crate) const FROM_WARD: u8 = 2;
/// Sent to a group MAC address: one direction only.
pub(crate) const GROUP: u8 = 4;
/// Its payload is read (DHCP, DNS).
pub(crate) const SNOOP: u8 = 8;
/// Its device has a limit on packets.
pub(crate) const GUARDED: u8 = 16;
/// Picked up midstream: policy may allow it in either role.
pub(crate) const MIDSTREAM: u8 = 32;

/// The line a hit reads first.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Hot {
    pub(crate) key: FlowKey,
    /// The ward-side station; the group for group frames from the core side.
    pub(crate) mac: MacAddr,
    pub(crate) device: u32,
    pub(crate) generation: u32,
    pub(crate) last: Tick,
    pub(crate) state: State,
    pub(crate) flags: u8,
    pub(crate) reason: Reason,
    pub(crate) would_drop: Option<Reason>,
}

impl Hot {
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) const fn initiator(&self) -> Initiator {
        if self.has(FROM_WARD) {
            Initiator::Device
        } else {
            Initiator::Peer
        }
    }

    /// Source and destination endpoint of the first packet.
    pub(crate) const fn endpoints(&self) -> [([u8; 16], u16); 2] {
        let (a, b) = ((self.key.a, self.key.a_port), (self.key.b, self.key.b_port));
        if self.has(INITIATOR_IS_A) {
            [a, b]
        } else {
            [b, a]
        }
    }

    /// The address of the ward-side station.
    pub(crate) const fn ward_address(&self) -> [u8; 16] {
        let [source, destination] = self.endpoints();
        if self.has(FROM_WARD) {
            source.0
        } else {
            destination.0
        }
    }

    /// The address of the core-side station.
    pub(crate) const fn core_address(&self) -> [u8; 16] {
        let [source, destination] = self.endpoints();
        if self.has(FROM_WARD) {
            destination.0
        } else {
            source.0
        }
    }
}

/// The line a hit writes: counters since they were last added up, and the TCP tracker. Index 0
/// is from the initiator.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Warm {
    pub(crate) bytes: [u64; 2],
    pub(crate) frames: [u32; 2],
    pub(crate) rule: RuleId,
    pub(crate) tracker: Tracker,
}

/// What a hit does not need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cold {
    pub(crate) first_ns: u64,
    pub(crate) bytes: [u64; 2],
    pub(crate) frames: [u64; 2],
    pub(crate) epoch: u32,
    pub(crate) mode: Mode,
    pub(crate) cast: Cast,
    /// Destination port of the first packet as policy knows it (`type << 8 | code` for ICMP).
    pub(crate) asked_port: u16,
    pub(crate) ethertype: u16,
    pub(crate) association: Association,
    pub(crate) older: u32,
    pub(crate) newer: u32,
}

/// The two sorts of conversations that wait for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    HalfOpen,
    Unanswered,
}

/// Pending conversations of one device and sort, oldest first.
#[derive(Debug, Clone, Copy)]
struct List {
    oldest: u32,
    newest: u32,
    len: u32,
}

const EMPTY: List = List {
    oldest: NONE,
    newest: NONE,
    len: 0,
};

/// What the table holds of one device.
#[derive(Debug, Clone, Copy)]
struct Quota {
    flows: u32,
    pending: [List; 2],
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Bucket {
    tags: [u16; WAYS],
    slots: [u32; WAYS],
}

/// A conversation about to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewFlow {
    pub(crate) hot: Hot,
    pub(crate) rule: RuleId,
    pub(crate) tracker: Tracker,
    pub(crate) cold: Cold,
}

/// The table.
#[derive(Debug)]
pub(crate) struct FlowTable {
    hasher: FixedState,
    buckets: Vec<Bucket>,
    hot: Vec<Hot>,
    warm: Vec<Warm>,
    cold: Vec<Cold>,
    used: Vec<bool>,
    free: Vec<u32>,
    /// One for each device slot, and one more for conversations without one.
    quotas: Vec<Quota>,
    half_open: u32,
    limits: TableLimits,
    timeouts: Timeouts,
    hand: usize,
}

#[derive(Debug)]
struct TableLimits {
    half_open: u32,
    others: u32,
    flows_per_device: u32,
    half_open_per_device: u32,
    pending: Tick,
}

#[derive(Debug)]
struct Timeouts {
    established: Tick,
    transitory: Tick,
    reset: Tick,
    udp: Tick,
    icmp: Tick,
}

impl FlowTable {
    pub(crate) fn new(limits: &Limits, seed: u64) -> Self {
        let flows = limits.flows.max(2);
        let half_open = (flows / limits.half_open_divisor.max(2)).max(1);
        // At most half of the ways are ever taken, so that both buckets of a key are all but
        // never full.
        let buckets = (2 * flows as usize)
            .div_ceil(WAYS)
            .next_power_of_two()
            .max(2);
        let bucket = Bucket {
            tags: [0; WAYS],
            slots: [NONE; WAYS],
        };
        let quota = Quota {
            flows: 0,
            pending: [EMPTY; 2],
        };
        Self {
            hasher: FixedState::with_seed(seed),
            buckets: vec![bucket; buckets],
            hot: vec![blank_hot(); flows as usize],
            warm: vec![blank_warm(); flows as usize],
            cold: vec![Cold::blank(); flows as usize],
            used: vec![false; flows as usize],
            free: (0..flows).rev().collect(),
            quotas: vec![quota; limits.devices as usize + 1],
            half_open: 0,
            limits: TableLimits {
                half_open,
                others: flows - half_open,
                flows_per_device: limits.flows_per_device,
                half_open_per_device: limits.half_open_per_device,
                pending: seconds(PENDING_S),
            },
            timeouts: Timeouts {
                established: seconds(limits.tcp_established_s),
                transitory: seconds(limits.tcp_transitory_s),
                reset: seconds(RESET_S),
                udp: seconds(limits.udp_s),
                icmp: seconds(limits.icmp_s),
            },
            hand: 0,
        }
    }

    pub(crate) fn hash(&self, key: &FlowKey) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Reads the first bucket of a hash, so that it is in the cache when it is searched.
    pub(crate) fn touch(&self, hash: u64) -> u16 {
        self.buckets[self.first(hash)].tags[0]
    }

    pub(crate) fn find(&self, key: &FlowKey, hash: u64) -> Option<u32> {
        let tag = tag(hash);
        let first = self.first(hash);
        self.find_in(first, tag, key)
            .or_else(|| self.find_in(self.second(first, tag), tag, key))
    }

    pub(crate) fn hot(&self, slot: u32) -> &Hot {
        &self.hot[slot as usize]
    }

    pub(crate) fn hot_mut(&mut self, slot: u32) -> &mut Hot {
        &mut self.hot[slot as usize]
    }

    pub(crate) fn warm(&self, slot: u32) -> &Warm {
        &self.warm[slot as usize]
    }

    pub(crate) fn warm_mut(&mut self, slot: u32) -> &mut Warm {
        &mut self.warm[slot as usize]
    }

    pub(crate) fn cold(&self, slot: u32) -> &Cold {
        &self.cold[slot as usize]
    }

    pub(crate) fn cold_mut(&mut self, slot: u32) -> &mut Cold {
        &mut self.cold[slot as usize]
    }

    pub(crate) fn len(&self) -> u32 {
        (self.hot.len() - self.free.len()) as u32
    }

    pub(crate) fn capacity(&self) -> usize {
        self.hot.len()
    }

    /// Conversations of a device slot, or of none.
    pub(crate) fn of_device(&self, device: u32) -> u32 {
        self.quotas[self.quota(device)].flows
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots_from(0)
    }

    /// The slots in use from `first` on.
    pub(crate) fn slots_from(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        let numbered = self.used.iter().skip(first as usize).zip(first..);
        numbered.filter_map(|(used, slot)| used.then_some(slot))
    }

    /// Whether the conversation was idle for too long. Every state has its own limit.
    pub(crate) fn expired(&self, slot: u32, now: Tick) -> bool {
        let hot = &self.hot[slot as usize];
        since(hot.last, now) >= self.timeout(hot, slot)
    }

    /// Moves the conversation to another state.
    pub(crate) fn set_state(&mut self, slot: u32, state: State) {
        let before = self.hot[slot as usize].state;
        if before == state {
            return;
        }
        if before.pending() != state.pending() {
            self.unlink(slot);
            self.hot[slot as usize].state = state;
            self.link(slot);
        } else {
            self.hot[slot as usize].state = state;
        }
    }

    /// Gives a conversation that began before its device spoke to the device.
    pub(crate) fn set_device(&mut self, slot: u32, device: u32) {
        self.unlink(slot);
        let old = self.quota(self.hot[slot as usize].device);
        self.quotas[old].flows -= 1;
        self.hot[slot as usize].device = device;
        let new = self.quota(device);
        self.quotas[new].flows += 1;
        self.link(slot);
    }

    /// The pending conversation of this device that has to go before `state` can be entered, or
    /// why there is no room. `None`: there is room as it is.
    pub(crate) fn room(&self, device: u32, state: State, now: Tick) -> Result<Option<u32>, Reason> {
        let quota = &self.quotas[self.quota(device)];
        let half_open = state.pending() == Some(Pending::HalfOpen);
        let others = self.len() - self.half_open;
        let (full, reason) =
            if half_open && quota.pending[0].len >= self.limits.half_open_per_device {
                (true, Reason::HalfOpenLimit)
            } else if quota.flows >= self.limits.flows_per_device {
                (true, Reason::DeviceFlowLimit)
            } else if half_open {
                (
                    self.half_open >= self.limits.half_open,
                    Reason::HalfOpenLimit,
                )
            } else {
                (others >= self.limits.others, Reason::FlowTableFull)
            };
        if !full {
            return Ok(None);
        }
        // Room for a half-open one comes from half-open ones, for others from unanswered ones.
        let victims: &[Pending] = match reason {
            Reason::HalfOpenLimit => &[Pending::HalfOpen],
            Reason::DeviceFlowLimit => &[Pending::HalfOpen, Pending::Unanswered],
            _ => &[Pending::Unanswered],
        };
        let oldest = |p: &Pending| quota.pending[*p as usize].oldest;
        let gives_way = |slot: &u32| {
            *slot != NONE && since(self.hot[*slot as usize].last, now) >= self.limits.pending
        };
        victims
            .iter()
            .map(oldest)
            .find(gives_way)
            .map(Some)
            .ok_or(reason)
    }

    /// Puts a conversation in for which [`room`](Self::room) was found.
    pub(crate) fn insert(&mut self, flow: NewFlow, hash: u64) -> Result<u32, Reason> {
        let tag = tag(hash);
        let first = self.first(hash);
        let second = self.second(first, tag);
        let load = |b: usize| self.buckets[b].tags.iter().filter(|t| **t != 0).count();
        let bucket = if load(second) < load(first) {
            second
        } else {
            first
        };
        let way = self.buckets[bucket].tags.iter().position(|t| *t == 0);
        let (Some(way), Some(slot)) = (way, self.free.pop()) else {
            return Err(Reason::FlowTableFull);
        };
        self.buckets[bucket].tags[way] = tag;
        self.buckets[bucket].slots[way] = slot;
        let at = slot as usize;
        self.hot[at] = flow.hot;
        self.warm[at] = Warm {
            rule: flow.rule,
            tracker: flow.tracker,
            ..blank_warm()
        };
        self.cold[at] = Cold {
            older: NONE,
            newer: NONE,
            ..flow.cold
        };
        self.used[at] = true;
        let quota = self.quota(flow.hot.device);
        self.quotas[quota].flows += 1;
        self.link(slot);
        Ok(slot)
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        let at = slot as usize;
        if !self.used[at] {
            return;
        }
        let hash = self.hash(&self.hot[at].key);
        let first = self.first(hash);
        for bucket in [first, self.second(first, tag(hash))] {
            let bucket = &mut self.buckets[bucket];
            if let Some(way) = bucket.slots.iter().position(|s| *s == slot) {
                bucket.tags[way] = 0;
                bucket.slots[way] = NONE;
                break;
            }
        }
        self.unlink(slot);
        let quota = self.quota(self.hot[at].device);
        self.quotas[quota].flows -= 1;
        self.used[at] = false;
        self.free.push(slot);
    }

    /// The next slot of the sweep, if it is in use.
    pub(crate) fn advance(&mut self) -> Option<u32> {
        let at = self.hand;
        self.hand = (at + 1) % self.used.len();
        self.used[at].then_some(at as u32)
    }

    fn first(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    fn second(&self, first: usize, tag: u16) -> usize {
        // An odd factor spreads the tag; the low bit set makes the buckets differ.
        (first ^ ((tag as usize).wrapping_mul(0x5bd1_e995) | 1)) & (self.buckets.len() - 1)
    }

    fn find_in(&self, bucket: usize, tag: u16, key: &FlowKey) -> Option<u32> {
        let bucket = &self.buckets[bucket];
        let ways = bucket
            .tags
            .iter()
            .zip(&bucket.slots)
            .filter(|(t, _)| **t == tag);
        ways.map(|(_, slot)| *slot)
            .find(|slot| self.hot[*slot as usize].key == *key)
    }

    fn timeout(&self, hot: &Hot, slot: u32) -> Tick {
        let t = &self.timeouts;
        match hot.state {
            State::Established if self.warm[slot as usize].tracker.reset_in_doubt() => t.transitory,
            State::Established => t.established,
            State::SynSent | State::SynReceived | State::FinWait | State::Closing => t.transitory,
            State::Reset => t.reset,
            State::Unanswered | State::Answered if hot.key.query != 0 => t.icmp,
            State::Unanswered | State::Answered => t.udp,
        }
    }

    fn quota(&self, device: u32) -> usize {
        (device as usize).min(self.quotas.len() - 1)
    }

    /// Appends a pending conversation to its device's list.
    fn link(&mut self, slot: u32) {
        let hot = &self.hot[slot as usize];
        let Some(pending) = hot.state.pending() else {
            return;
        };
        let quota = self.quota(hot.device);
        let list = &mut self.quotas[quota].pending[pending as usize];
        let newest = list.newest;
        list.newest = slot;
        list.len += 1;
        if newest == NONE {
            list.oldest = slot;
        } else {
            self.cold[newest as usize].newer = slot;
        }
        let cold = &mut self.cold[slot as usize];
        (cold.older, cold.newer) = (newest, NONE);
        if pending == Pending::HalfOpen {
            self.half_open += 1;
        }
    }

    fn unlink(&mut self, slot: u32) {
        let hot = &self.hot[slot as usize];
        let Some(pending) = hot.state.pending() else {
            return;
        };
        let quota = self.quota(hot.device);
        let Cold { older, newer, .. } = self.cold[slot as usize];
        let list = &mut self.quotas[quota].pending[pending as usize];
        list.len -= 1;
        if older == NONE {
            list.oldest = newer;
        } else {
            self.cold[older as usize].newer = newer;
        }
        if newer == NONE {
            list.newest = older;
        } else {
            self.cold[newer as usize].older = older;
        }
        if pending == Pending::HalfOpen {
            self.half_open -= 1;
        }
    }
}

/// Sixteen bits of the hash that do not choose the bucket; 0 marks a free way.
const fn tag(hash: u64) -> u16 {
    let tag = (hash >> 48) as u16;
    if tag == 0 { 1 } else { tag }
}

const fn blank_hot() -> Hot {
    Hot {
        key: FlowKey::blank(),
        mac: MacAddr([0; 6]),
        device: NONE,
        generation: 0,
        last: 0,
        state: State::Reset,
        flags: 0,
        reason: Reason::Established,
        would_drop: None,
    }
}

fn blank_warm() -> Warm {
    Warm {
        bytes: [0; 2],
        frames: [0; 2],
        rule: RuleId(0),
        tracker: Tracker::default(),
    }
}

impl Cold {
    pub(crate) const fn blank() -> Self {
        Self {
            first_ns: 0,
            bytes: [0; 2],
            frames: [0; 2],
            epoch: 0,
            mode: Mode::Observe,
            cast: Cast::Unicast,
            asked_port: 0,
            ethertype: 0,
            association: Association::blank(),
            older: NONE,
            newer: NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use wardline_policy::VlanKey;

    use super::key::Tuple;

    use super::*;

    fn limits() -> Limits {
        Limits {
            devices: 4,
            flows: 64,
            flows_per_device: 32,
            half_open_per_device: 4,
            ..Limits::default()
        }
    }

    fn flow(number: u16, device: u32, state: State) -> NewFlow {
        let tuple = Tuple {
            source: [1; 16],
            destination: [2; 16],
            version: 4,
            protocol: 6,
            source_port: number,
            destination_port: 104,
            query: 0,
        };
        let (key, _) = tuple.key(VlanKey::default());
        let hot = Hot {
            key,
            device,
            state,
            ..blank_hot()
        };
        NewFlow {
            hot,
            rule: RuleId(1),
            tracker: Tracker::default(),
            cold: Cold::blank(),
        }
    }

    fn put(table: &mut FlowTable, flow: NewFlow, now: Tick) -> Result<u32, Reason> {
        if let Some(victim) = table.room(flow.hot.device, flow.hot.state, now)? {
            table.remove(victim);
        }
        table.insert(flow, table.hash(&flow.hot.key))
    }

    #[test]
    fn the_lines_have_the_length_of_cache_lines() {
        assert_eq!(size_of::<Hot>(), 64);
        assert_eq!(size_of::<Warm>(), 64);
        assert_eq!(size_of::<Bucket>(), 64);
    }

    #[test]
    fn what_was_put_in_is_found_until_it_is_removed() {
        let mut table = FlowTable::new(&limits(), 7);
        let flows: Vec<NewFlow> = (0..32).map(|n| flow(n, 0, State::Established)).collect();
        let slots: Vec<u32> = flows
            .iter()
            .map(|f| put(&mut table, *f, 0).expect("there is room"))
            .collect();
        for (flow, slot) in flows.iter().zip(&slots) {
            assert_eq!(
                table.find(&flow.hot.key, table.hash(&flow.hot.key)),
                Some(*slot)
            );
        }
        slots.iter().for_each(|slot| table.remove(*slot));
        assert_eq!(table.len(), 0);
        let key = &flows[0].hot.key;
        assert_eq!(table.find(key, table.hash(key)), None);
    }

    #[test]
    fn a_device_cannot_take_the_room_of_others() {
        let mut table = FlowTable::new(&limits(), 7);
        for n in 0..32 {
            put(&mut table, flow(n, 0, State::Established), 0).expect("there is room");
        }
        let more = put(&mut table, flow(99, 0, State::Established), 100);
        assert_eq!(more, Err(Reason::DeviceFlowLimit));
        assert!(put(&mut table, flow(99, 1, State::Established), 100).is_ok());
    }

    #[test]
    fn half_open_conversations_give_way_to_half_open_ones_of_their_device_after_a_second() {
        let mut table = FlowTable::new(&limits(), 7);
        for n in 0..4 {
            put(&mut table, flow(n, 0, State::SynSent), 0).expect("there is room");
        }
        assert_eq!(
            put(&mut table, flow(9, 0, State::SynSent), 1),
            Err(Reason::HalfOpenLimit)
        );
        assert!(put(&mut table, flow(9, 0, State::SynSent), seconds(1)).is_ok());
        let oldest = flow(0, 0, State::SynSent).hot.key;
        assert_eq!(table.find(&oldest, table.hash(&oldest)), None);
        assert_eq!(table.of_device(0), 4);
    }

    #[test]
    fn a_flood_of_half_open_ones_leaves_room_for_established_ones() {
        let limits = Limits {
            half_open_per_device: 100,
            ..limits()
        };
        let mut table = FlowTable::new(&limits, 7);
        let taken = (0..64).filter(|n| put(&mut table, flow(*n, 0, State::SynSent), 0).is_ok());
        assert_eq!(taken.count(), 8);
        assert!(put(&mut table, flow(1000, 1, State::Established), 0).is_ok());
    }

    #[test]
    fn a_full_table_says_so() {
        let mut table = FlowTable::new(&limits(), 7);
        let mut last = Ok(0);
        for n in 0..64 {
            last = put(&mut table, flow(n, u32::from(n % 4), State::Established), 0);
        }
        assert_eq!(last, Err(Reason::FlowTableFull));
    }

    #[test]
    fn confirmed_conversations_leave_the_pending_list() {
        let mut table = FlowTable::new(&limits(), 7);
        let slot = put(&mut table, flow(1, 0, State::SynSent), 0).expect("there is room");
        assert_eq!(table.half_open, 1);
        table.set_state(slot, State::SynReceived);
        table.set_state(slot, State::Established);
        assert_eq!(table.half_open, 0);
        table.set_device(slot, 2);
        assert_eq!((table.of_device(0), table.of_device(2)), (0, 1));
    }
}
