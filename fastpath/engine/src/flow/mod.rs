//! The flow table: fixed capacity, allocated once, searched in two cache lines.
//!
//! A lookup reads one bucket of the index (eight 16-bit tags and slot numbers) and then the hot
//! line of the slot whose tag agrees. A full table or two full buckets are an answer, not an
//! error.

mod entry;
mod index;
pub(crate) mod key;
pub(crate) mod sctp;
pub(crate) mod tcp;

use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use wardline_policy::Reason;

pub(crate) use entry::{
    FROM_WARD, GROUP, GUARDED, Hot, INITIATOR_IS_A, MIDSTREAM, NewFlow, Progress, SNOOP, State,
    WATCHED, Warm,
};
use entry::{Pending, USED};
use index::Index;
use key::{FlowKey, Narrow, Wide};

use crate::clock::{Tick, seconds, since};
use crate::config::Limits;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;
/// Idle time after which a connection that was reset is forgotten, in seconds: its last
/// segments may still be on the way.
const RESET_S: u32 = 10;
/// A pending conversation gives way to a new one of its device after this, in seconds.
const PENDING_S: u32 = 1;

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

/// The table.
#[derive(Debug)]
pub(crate) struct FlowTable {
    hasher: FixedState,
    index: Index,
    hot: Vec<Hot>,
    warm: Vec<Warm>,
    /// The rest of the key of IPv6 conversations. Zero pages, that cost nothing where nobody
    /// speaks IPv6.
    wide: Vec<Wide>,
    /// The first free slot; the others follow in `Warm::newer`.
    free: u32,
    len: u32,
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

/// A vector for random access, on huge pages where the system has them.
fn filled<T: Clone>(value: T, len: usize) -> Vec<T> {
    let mut memory = Vec::with_capacity(len);
    wardline_hint::huge_pages(&mut memory);
    memory.resize(len, value);
    memory
}

impl FlowTable {
    pub(crate) fn new(limits: &Limits, seed: u64) -> Self {
        let flows = limits.flows.max(2);
        let half_open = (flows / limits.half_open_divisor.max(2)).max(1);
        let quota = Quota {
            flows: 0,
            pending: [EMPTY; 2],
        };
        let mut warm = filled(Warm::BLANK, flows as usize);
        for (entry, next) in warm.iter_mut().zip(1..flows) {
            entry.newer = next;
        }
        Self {
            hasher: FixedState::with_seed(seed),
            index: Index::new(flows as usize),
            hot: filled(Hot::BLANK, flows as usize),
            warm,
            wide: vec![Wide::default(); flows as usize],
            free: 0,
            len: 0,
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

    #[inline]
    pub(crate) fn hash(&self, key: &FlowKey) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The same for a key that has no more than this.
    #[inline]
    pub(crate) fn hash_narrow(&self, narrow: &Narrow) -> u64 {
        self.hasher.hash_one(narrow)
    }

    /// Asks for the index line of a hash ahead of its use.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// The slot that a hash most likely stands for, or `NONE`; its line is asked for ahead of its
    /// use.
    #[inline]
    pub(crate) fn candidate(&self, hash: u64) -> u32 {
        let slot = self.index.candidate(hash);
        wardline_hint::prefetch(&self.hot, slot as usize);
        slot
    }

    /// Asks for the second line of a slot ahead of its use.
    #[inline]
    pub(crate) fn prefetch_warm(&self, slot: u32) {
        wardline_hint::prefetch(&self.warm, slot as usize);
    }

    pub(crate) fn find(&self, key: &FlowKey, hash: u64) -> Option<u32> {
        self.index.find(hash, |slot| self.is(slot, key))
    }

    /// Whether the slot holds the conversation with this key.
    fn is(&self, slot: u32, key: &FlowKey) -> bool {
        self.is_narrow(slot, &key.narrow)
            && (!key.narrow.is_ipv6() || self.is_wide(slot, &key.wide))
    }

    /// Whether this part of the slot's key is the same.
    #[inline]
    pub(crate) fn is_narrow(&self, slot: u32, narrow: &Narrow) -> bool {
        self.get(slot).is_some_and(|hot| hot.is(narrow))
    }

    /// Whether the other part is, of an IPv6 conversation.
    #[inline]
    pub(crate) fn is_wide(&self, slot: u32, wide: &Wide) -> bool {
        self.wide.get(slot as usize) == Some(wide)
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<&Hot> {
        self.hot.get(slot as usize)
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

    pub(crate) fn key(&self, slot: u32) -> FlowKey {
        let narrow = self.hot(slot).narrow();
        let wide = if narrow.is_ipv6() {
            self.wide[slot as usize]
        } else {
            Wide::default()
        };
        FlowKey { narrow, wide }
    }

    /// Source and destination endpoint of the first packet.
    pub(crate) fn endpoints(&self, slot: u32) -> [([u8; 16], u16); 2] {
        let [a, b] = self.key(slot).endpoints();
        if self.hot(slot).has(INITIATOR_IS_A) {
            [a, b]
        } else {
            [b, a]
        }
    }

    /// The addresses of the ward-side and of the core-side station.
    pub(crate) fn sides(&self, slot: u32) -> [[u8; 16]; 2] {
        let [source, destination] = self.endpoints(slot);
        if self.hot(slot).has(FROM_WARD) {
            [source.0, destination.0]
        } else {
            [destination.0, source.0]
        }
    }

    /// Both lines of a slot.
    #[inline]
    pub(crate) fn lines_mut(&mut self, slot: u32) -> (&mut Hot, &mut Warm) {
        (&mut self.hot[slot as usize], &mut self.warm[slot as usize])
    }

    /// Counts a packet of `len` bytes; `from` is 0 for the initiator.
    pub(crate) fn count(&mut self, slot: u32, from: usize, len: usize) {
        let (hot, warm) = self.lines_mut(slot);
        hot.count(warm, from, len);
    }

    /// Frames and bytes so far; `from` is 0 for the initiator.
    pub(crate) fn counted(&self, slot: u32, from: usize) -> (u64, u64) {
        let (hot, warm) = (self.hot(slot), self.warm(slot));
        let bytes = u64::from(warm.high[from]) << 32 | u64::from(hot.bytes[from]);
        (u64::from(hot.frames[from]), bytes)
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Bytes of the tables, without what only IPv6 conversations take.
    pub(crate) fn bytes(&self) -> usize {
        self.index.bytes() + size_of_val(self.hot.as_slice()) + size_of_val(self.warm.as_slice())
    }

    pub(crate) fn capacity(&self) -> usize {
        self.hot.len()
    }

    /// Conversations of a device slot, or of none.
    pub(crate) fn of_device(&self, device: u32) -> u32 {
        self.quotas[self.quota(device)].flows
    }

    /// The slots in use from `first` on.
    pub(crate) fn slots_from(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        let numbered = self.hot.iter().skip(first as usize).zip(first..);
        numbered.filter_map(|(hot, slot)| hot.has(USED).then_some(slot))
    }

    /// Whether the conversation was idle for too long. Every state has its own limit.
    pub(crate) fn expired(&self, slot: u32, now: Tick) -> bool {
        let hot = &self.hot[slot as usize];
        since(hot.last, now) >= self.timeout(hot, slot)
    }

    /// How long a conversation that is open may be idle.
    #[inline]
    pub(crate) const fn idle_max(&self, is_tcp: bool) -> Tick {
        if is_tcp {
            self.timeouts.established
        } else {
            self.timeouts.udp
        }
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
        let victim = victims.iter().map(oldest).find(gives_way).ok_or(reason)?;
        self.foresee(victim);
        Ok(Some(victim))
    }

    /// Asks for the memory of the next two victims: in a flood each new conversation takes the place
    /// of the oldest, which no cache holds any more.
    fn foresee(&self, victim: u32) {
        let newer = |slot: u32| self.warm.get(slot as usize).map_or(NONE, |w| w.newer);
        let next = newer(victim);
        if next != NONE {
            self.prefetch(self.hash(&self.key(next)));
        }
        let after_next = newer(next);
        wardline_hint::prefetch(&self.hot, after_next as usize);
        wardline_hint::prefetch(&self.warm, after_next as usize);
    }

    /// Puts a conversation in for which [`room`](Self::room) was found.
    pub(crate) fn insert(&mut self, flow: &NewFlow, hash: u64) -> Result<u32, Reason> {
        let slot = self.free;
        let at = slot as usize;
        if slot == NONE || !self.index.insert(hash, slot) {
            return Err(Reason::FlowTableFull);
        }
        self.free = self.warm[at].newer;
        self.len += 1;
        let FlowKey { narrow, wide } = flow.key;
        self.hot[at] = Hot {
            ends: narrow.ends,
            rest: narrow.rest,
            kind: narrow.kind,
            flags: flow.hot.flags | USED,
            ..flow.hot
        };
        self.warm[at] = Warm {
            progress: flow.progress,
            epoch: flow.epoch,
            first: flow.hot.last,
            ..Warm::BLANK
        };
        if narrow.is_ipv6() {
            self.wide[at] = wide;
        }
        self.count(slot, usize::from(flow.back), flow.len);
        let quota = self.quota(flow.hot.device);
        self.quotas[quota].flows += 1;
        self.link(slot);
        Ok(slot)
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        let at = slot as usize;
        if !self.hot[at].has(USED) {
            return;
        }
        self.index.remove(self.hash(&self.key(slot)), slot);
        self.unlink(slot);
        let quota = self.quota(self.hot[at].device);
        self.quotas[quota].flows -= 1;
        self.hot[at] = Hot::BLANK;
        self.warm[at].newer = self.free;
        self.free = slot;
        self.len -= 1;
    }

    /// The next slot of the sweep, if it is in use.
    pub(crate) fn advance(&mut self) -> Option<u32> {
        let at = self.hand;
        self.hand = (at + 1) % self.hot.len();
        self.hot[at].has(USED).then_some(at as u32)
    }

    fn timeout(&self, hot: &Hot, slot: u32) -> Tick {
        let t = &self.timeouts;
        match hot.state {
            State::Established if self.reset_in_doubt(slot) => t.transitory,
            State::Established => t.established,
            State::SynSent | State::SynReceived | State::FinWait | State::Closing => t.transitory,
            State::Reset => t.reset,
            State::Unanswered | State::Answered if hot.narrow().query() != 0 => t.icmp,
            State::Unanswered | State::Answered => t.udp,
        }
    }

    fn reset_in_doubt(&self, slot: u32) -> bool {
        let tracker = self.warm[slot as usize].progress.tcp();
        tracker.is_some_and(tcp::Tracker::reset_in_doubt)
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
            self.warm[newest as usize].newer = slot;
        }
        let warm = &mut self.warm[slot as usize];
        (warm.older, warm.newer) = (newest, NONE);
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
        let Warm { older, newer, .. } = self.warm[slot as usize];
        let list = &mut self.quotas[quota].pending[pending as usize];
        list.len -= 1;
        if older == NONE {
            list.oldest = newer;
        } else {
            self.warm[older as usize].newer = newer;
        }
        if newer == NONE {
            list.newest = older;
        } else {
            self.warm[newer as usize].older = older;
        }
        if pending == Pending::HalfOpen {
            self.half_open -= 1;
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
            device,
            state,
            ..Hot::BLANK
        };
        NewFlow {
            key,
            hot,
            progress: Progress::Other,
            epoch: 0,
            back: false,
            len: 60,
        }
    }

    fn put(table: &mut FlowTable, mut flow: NewFlow, now: Tick) -> Result<u32, Reason> {
        if let Some(victim) = table.room(flow.hot.device, flow.hot.state, now)? {
            table.remove(victim);
        }
        flow.hot.last = now;
        table.insert(&flow, table.hash(&flow.key))
    }

    #[test]
    fn an_ipv4_conversation_takes_at_most_128_bytes() {
        assert_eq!(size_of::<Hot>(), 64);
        assert_eq!(size_of::<Warm>(), 48);
        let limits = Limits {
            flows: 100_000,
            ..limits()
        };
        assert!(FlowTable::new(&limits, 7).bytes() <= 128 * 100_000);
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
            assert_eq!(table.find(&flow.key, table.hash(&flow.key)), Some(*slot));
        }
        slots.iter().for_each(|slot| table.remove(*slot));
        assert_eq!(table.len(), 0);
        let key = &flows[0].key;
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
        let oldest = flow(0, 0, State::SynSent).key;
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
    fn bytes_are_counted_beyond_32_bits() {
        let mut table = FlowTable::new(&limits(), 7);
        let slot = put(&mut table, flow(1, 0, State::Established), 0).expect("there is room");
        let most = u32::MAX as usize;
        (0..3).for_each(|_| table.count(slot, 1, most));
        assert_eq!(table.counted(slot, 0), (1, 60));
        assert_eq!(table.counted(slot, 1), (3, 3 * u64::from(u32::MAX)));
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
