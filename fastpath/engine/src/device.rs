//! The devices of the ward side, and everything that is kept of each.

use core::net::IpAddr;

use arrayvec::ArrayVec;
use wardline_policy::snapshot::StormGuard;
use wardline_policy::{
    DeviceEntry, DeviceKey, EntryIdx, Mode, PolicySnapshot, Reason, Refusal, RuleId, Side, VlanKey,
};

use crate::bounded::Bounded;
use crate::clock::{NEVER, Rate, Tick, seconds, since};
use crate::feature::Gate;
use crate::snoop::dhcp;
use crate::view::Traffic;

/// Refusals remembered of each device, so that a scan costs no walk through the policy.
const NEGATIVE: usize = 16;
/// How long one is believed, in seconds: DNS answers and bindings come and go.
const NEGATIVE_S: u32 = 1;
/// Questions to DNS remembered of each device.
const QUESTIONS: usize = 4;
/// Unlisted devices may take this part of the table, in quarters, so that listed ones always
/// find room.
const UNLISTED_QUARTERS: usize = 3;
/// An unlisted device without conversations is forgotten after this, in seconds, once unlisted
/// devices fill their part of the table.
const FORGET_S: u32 = 600;

/// One device.
#[derive(Debug)]
pub(crate) struct Device {
    /// What the policy says of it, as of `generation`.
    pub(crate) entry: EntryIdx,
    pub(crate) listed: bool,
    pub(crate) generation: u32,
    pub(crate) epoch: u32,
    pub(crate) mode: Mode,
    pub(crate) storm: StormGuard,
    pub(crate) first_ns: u64,
    /// `established` is counted in the meter.
    pub(crate) by_reason: [u64; Reason::COUNT],
    pub(crate) would_drop: [u32; Reason::COUNT],
    pub(crate) denials: Denials,
    pub(crate) wrong_side: u64,
    pub(crate) wrong_side_events: Rate,
    pub(crate) packets: Rate,
    pub(crate) new_flows: Rate,
    pub(crate) refusals: Rate,
    pub(crate) samples: Rate,
    pub(crate) arp_replies: Rate,
    pub(crate) negative: NegativeCache,
    pub(crate) dhcp: Option<Dhcp>,
    /// Transaction of its last DHCP message.
    pub(crate) dhcp_transaction: Option<u32>,
    /// Transaction of its last DHCPv6 message.
    pub(crate) dhcpv6_transaction: Option<u32>,
    pub(crate) questions: ArrayVec<Question, QUESTIONS>,
}

/// What it said of itself in DHCP.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dhcp {
    pub(crate) host_name: dhcp::Name,
    pub(crate) vendor_class: dhcp::Name,
    pub(crate) parameters: ArrayVec<u8, { dhcp::KEPT_LEN }>,
}

/// A question to DNS about a name that some rule of the device uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) id: u16,
    pub(crate) port: u16,
    pub(crate) server: [u8; 16],
    pub(crate) name_hash: u64,
}

impl Device {
    fn new(now_ns: u64) -> Self {
        Self {
            entry: EntryIdx(0),
            listed: false,
            generation: 0,
            epoch: 0,
            mode: Mode::Observe,
            storm: StormGuard::default(),
            first_ns: now_ns,
            by_reason: [0; Reason::COUNT],
            would_drop: [0; Reason::COUNT],
            denials: Denials::default(),
            wrong_side: 0,
            wrong_side_events: Rate::default(),
            packets: Rate::default(),
            new_flows: Rate::default(),
            refusals: Rate::default(),
            samples: Rate::default(),
            arp_replies: Rate::default(),
            negative: NegativeCache::default(),
            dhcp: None,
            dhcp_transaction: None,
            dhcpv6_transaction: None,
            questions: ArrayVec::new(),
        }
    }

    /// Remembers a question, in the place of the oldest one if there are too many.
    pub(crate) fn ask(&mut self, question: Question) {
        if self.questions.is_full() {
            self.questions.remove(0);
        }
        self.questions.push(question);
    }

    /// Takes a question off the list, if it was asked.
    pub(crate) fn asked(&mut self, question: &Question) -> bool {
        let found = self.questions.iter().position(|q| q == question);
        found.map(|at| self.questions.remove(at)).is_some()
    }

    /// Reads the policy again if it is another one than last time.
    pub(crate) fn refresh(&mut self, key: &DeviceKey, snapshot: &PolicySnapshot, generation: u32) {
        if self.generation == generation {
            return;
        }
        let entry = snapshot.lookup(key);
        let facts = snapshot.entry(entry);
        self.entry = entry;
        self.listed = !facts.name.is_empty();
        self.generation = generation;
        self.epoch = facts.epoch;
        self.mode = facts.mode;
        self.storm = facts.storm;
    }
}

/// What every frame of a device is counted in: one line, apart from what is seldom needed.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
pub(crate) struct Meter {
    /// Frames and bytes forwarded, by the side they came from.
    frames: [u64; 2],
    bytes: [u64; 2],
    /// Frames with the reason `established`.
    pub(crate) established: u64,
    pub(crate) gate: Gate,
    pub(crate) last: Tick,
}

impl Meter {
    /// Counts a forwarded frame.
    #[inline]
    pub(crate) fn count(&mut self, from: Side, len: usize) {
        self.frames[from as usize] += 1;
        self.bytes[from as usize] += len as u64;
    }

    /// What came from this side and was forwarded.
    pub(crate) const fn traffic(&self, from: Side) -> Traffic {
        Traffic {
            frames: self.frames[from as usize],
            bytes: self.bytes[from as usize],
        }
    }
}

/// The device table.
#[derive(Debug)]
pub(crate) struct Devices {
    table: Bounded<DeviceKey, Device>,
    /// By slot.
    meters: Vec<Meter>,
    hand: u32,
    unlisted: usize,
    /// Changes when a device goes.
    pub(crate) removals: u32,
}

impl Devices {
    pub(crate) fn new(capacity: u32, seed: u64) -> Self {
        Self {
            table: Bounded::new(capacity, seed),
            meters: vec![Meter::default(); capacity as usize],
            hand: 0,
            unlisted: 0,
            removals: 0,
        }
    }

    pub(crate) fn find(&self, key: &DeviceKey) -> Option<u32> {
        self.table.find(key, 0)
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Device> {
        self.table.get(slot)
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Device> {
        self.table.get_mut(slot)
    }

    /// Bytes of the table, its index aside.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.meters.as_slice()) + self.table.bytes()
    }

    pub(crate) fn meter(&self, slot: u32) -> Option<&Meter> {
        self.meters.get(slot as usize)
    }

    #[inline]
    pub(crate) fn meter_mut(&mut self, slot: u32) -> Option<&mut Meter> {
        self.meters.get_mut(slot as usize)
    }

    /// Asks for the counters of a slot ahead of their use.
    #[inline]
    pub(crate) fn prefetch_meter(&self, slot: u32) {
        wardline_hint::prefetch(&self.meters, slot as usize);
    }

    pub(crate) fn key(&self, slot: u32) -> Option<DeviceKey> {
        self.table.key(slot).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &DeviceKey, &Device)> {
        self.table.iter()
    }

    /// Takes a new device in. `listed`: the policy names it.
    pub(crate) fn insert(
        &mut self,
        key: DeviceKey,
        listed: bool,
        now_ns: u64,
        now: Tick,
    ) -> Result<u32, Reason> {
        if !listed && self.unlisted >= self.table.capacity() * UNLISTED_QUARTERS / 4 {
            return Err(Reason::DeviceTableFull);
        }
        let slot = self.table.insert(key, Device::new(now_ns), NEVER, now);
        let slot = slot.ok_or(Reason::DeviceTableFull)?;
        self.meters[slot as usize] = Meter {
            last: now,
            ..Meter::default()
        };
        self.unlisted += usize::from(!listed);
        Ok(slot)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// The device to look at next, for upkeep.
    pub(crate) fn advance(&mut self) -> Option<u32> {
        let slot = self.hand;
        self.hand = (slot + 1) % (self.table.capacity() as u32).max(1);
        if slot == 0 {
            let unlisted = |(_, _, d): &(u32, &DeviceKey, &Device)| !d.listed;
            self.unlisted = self.table.iter().filter(unlisted).count();
        }
        self.table.get(slot).is_some().then_some(slot)
    }

    /// Whether an unlisted, silent device has to make room for others.
    pub(crate) fn is_forgettable(&self, slot: u32, now: Tick) -> bool {
        let crowded = self.unlisted >= self.table.capacity() * UNLISTED_QUARTERS / 4;
        let unlisted = self.table.get(slot).is_some_and(|d| !d.listed);
        let silent = |m: &Meter| since(m.last, now) >= seconds(FORGET_S);
        crowded && unlisted && self.meter(slot).is_some_and(silent)
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        if self.table.remove(slot).is_some() {
            self.removals = self.removals.wrapping_add(1);
        }
    }
}

/// Denials told about already: one event a second for each reason.
#[derive(Debug)]
pub(crate) struct Denials {
    /// When the next event may be told.
    next: [Tick; Reason::COUNT],
    untold: [u32; Reason::COUNT],
}

impl Default for Denials {
    fn default() -> Self {
        Self {
            next: [0; Reason::COUNT],
            untold: [0; Reason::COUNT],
        }
    }
}

impl Denials {
    /// Counts a denial. `Some`: tell about it, and about so many more since the last time.
    pub(crate) fn note(&mut self, reason: Reason, now: Tick) -> Option<u32> {
        let at = reason.index();
        if now < self.next[at] {
            self.untold[at] = self.untold[at].saturating_add(1);
            return None;
        }
        self.next[at] = now.saturating_add(seconds(1));
        Some(core::mem::take(&mut self.untold[at]))
    }
}

/// What was denied lately.
#[derive(Debug, Default)]
pub(crate) struct NegativeCache {
    entries: [Negative; NEGATIVE],
}

/// A denial as policy decided it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Denial {
    pub(crate) reason: Reason,
    pub(crate) rule: RuleId,
    pub(crate) refusal: Refusal,
}

#[derive(Debug, Clone, Copy, Default)]
struct Negative {
    hash: u64,
    context: u64,
    until: Tick,
    denial: Option<Denial>,
}

impl NegativeCache {
    /// The denial of a conversation with this hash, if it was decided under the same policy,
    /// bindings and names (`context`).
    pub(crate) fn get(&self, hash: u64, context: u64, now: Tick) -> Option<Denial> {
        let entry = &self.entries[Self::place(hash)];
        let holds = entry.hash == hash && entry.context == context && now < entry.until;
        entry.denial.filter(|_| holds)
    }

    pub(crate) fn put(&mut self, hash: u64, context: u64, denial: Denial, now: Tick) {
        let until = now.saturating_add(seconds(NEGATIVE_S));
        self.entries[Self::place(hash)] = Negative {
            hash,
            context,
            until,
            denial: Some(denial),
        };
    }

    const fn place(hash: u64) -> usize {
        (hash >> 32) as usize % NEGATIVE
    }
}

/// What the devices of one VLAN have in common, for frames to all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VlanState {
    /// What it was made from, and when.
    pub(crate) generation: u32,
    pub(crate) removals: u32,
    pub(crate) made: Tick,
    /// Whether a device is there.
    inhabited: bool,
    /// The mode frames to the whole VLAN are judged in: that of a device that does not enforce,
    /// if there is one.
    pub(crate) mode: Mode,
    /// The least limit on broadcasts of an enforcing device; 0 if there is none.
    pub(crate) broadcasts_per_s: u32,
}

impl VlanState {
    /// Before anybody spoke, everybody counts as unlisted.
    pub(crate) const fn empty(generation: u32, removals: u32, made: Tick, unlisted: Mode) -> Self {
        Self {
            generation,
            removals,
            made,
            inhabited: false,
            mode: unlisted,
            broadcasts_per_s: 0,
        }
    }

    /// One device more.
    pub(crate) fn add(&mut self, device: &DeviceEntry) {
        if !self.inhabited || (self.mode.drops() && !device.mode.drops()) {
            self.mode = device.mode;
        }
        self.inhabited = true;
        let limit = device.storm.broadcasts_per_s;
        if device.mode.drops() && limit != 0 {
            let least = [self.broadcasts_per_s, limit]
                .into_iter()
                .filter(|l| *l != 0);
            self.broadcasts_per_s = least.min().unwrap_or(0);
        }
    }
}

/// The VLANs, found by key.
#[derive(Debug)]
pub(crate) struct Vlans {
    table: Bounded<VlanKey, (VlanState, Rate)>,
}

impl Vlans {
    pub(crate) fn new(seed: u64) -> Self {
        /// VLANs of one ward-side port that are told apart.
        const VLANS: u32 = 256;
        Self {
            table: Bounded::new(VLANS, seed),
        }
    }

    pub(crate) fn get(&self, vlan: VlanKey) -> Option<VlanState> {
        self.table.value(&vlan, 0).map(|(state, _)| *state)
    }

    /// A device came into a VLAN. What is known of the VLAN under this policy stays known.
    pub(crate) fn add(&mut self, vlan: VlanKey, generation: u32, device: &DeviceEntry) {
        if let Some((state, _)) = self.table.value_mut(&vlan, 0)
            && state.generation == generation
        {
            state.add(device);
        }
    }

    pub(crate) fn set(&mut self, vlan: VlanKey, state: VlanState) {
        if let Some(known) = self.table.value_mut(&vlan, 0) {
            known.0 = state;
        } else {
            self.table.insert(vlan, (state, Rate::default()), NEVER, 0);
        }
    }

    /// Takes one broadcast of the VLAN's rate.
    pub(crate) fn take(&mut self, vlan: VlanKey, per_s: u32, now_ns: u64) -> bool {
        self.table
            .value_mut(&vlan, 0)
            .is_none_or(|(_, rate)| rate.take(per_s, now_ns))
    }
}

/// The address in the form the policy knows.
pub(crate) fn ip(address: [u8; 16]) -> IpAddr {
    core::net::Ipv6Addr::from(address).to_canonical()
}

#[cfg(test)]
mod tests {
    use wardline_policy::MacAddr;

    use super::*;

    #[test]
    fn a_meter_is_a_cache_line() {
        assert_eq!(size_of::<Meter>(), 64);
    }

    fn key(n: u8) -> DeviceKey {
        DeviceKey {
            mac: MacAddr([2, 0, 0, 0, 0, n]),
            vlan: VlanKey::default(),
        }
    }

    #[test]
    fn unlisted_devices_leave_room_for_listed_ones() {
        let mut devices = Devices::new(8, 1);
        let taken = (0..8)
            .filter(|n| devices.insert(key(*n), false, 0, 0).is_ok())
            .count();
        assert_eq!(taken, 6);
        assert!(devices.insert(key(100), true, 0, 0).is_ok());
    }

    fn entry(mode: Mode, broadcasts_per_s: u32) -> DeviceEntry {
        DeviceEntry {
            name: "x".into(),
            role: None,
            mode,
            epoch: 1,
            care: wardline_policy::Care::Facility,
            storm: StormGuard {
                broadcasts_per_s,
                ..StormGuard::default()
            },
            addresses: Vec::new(),
        }
    }

    #[test]
    fn a_vlan_takes_the_mode_of_one_that_does_not_enforce_and_the_least_limit() {
        let mut state = VlanState::empty(1, 0, 0, Mode::Observe);
        for (device, expected) in [
            (entry(Mode::Enforce, 0), (Mode::Enforce, 0)),
            (entry(Mode::Isolate, 30), (Mode::Enforce, 30)),
            (entry(Mode::Enforce, 20), (Mode::Enforce, 20)),
            (entry(Mode::Simulate, 10), (Mode::Simulate, 20)),
            (entry(Mode::Enforce, 40), (Mode::Simulate, 20)),
        ] {
            state.add(&device);
            assert_eq!((state.mode, state.broadcasts_per_s), expected);
        }
    }

    #[test]
    fn a_vlan_that_is_known_under_another_policy_is_left_alone() {
        let (mut vlans, vlan) = (Vlans::new(1), VlanKey::default());
        vlans.set(vlan, VlanState::empty(1, 0, 0, Mode::Enforce));
        vlans.add(vlan, 2, &entry(Mode::Observe, 0));
        assert_eq!(vlans.get(vlan).map(|s| s.mode), Some(Mode::Enforce));
        vlans.add(vlan, 1, &entry(Mode::Observe, 0));
        assert_eq!(vlans.get(vlan).map(|s| s.mode), Some(Mode::Observe));
    }

    #[test]
    fn a_denial_is_told_once_a_second_with_the_number_of_the_others() {
        let mut denials = Denials::default();
        assert_eq!(denials.note(Reason::NoRule, 0), Some(0));
        assert_eq!(denials.note(Reason::NoRule, 1), None);
        assert_eq!(denials.note(Reason::Island, 1), Some(0));
        assert_eq!(denials.note(Reason::NoRule, seconds(1)), Some(1));
    }

    #[test]
    fn a_remembered_denial_holds_in_its_context_and_for_a_second() {
        let mut cache = NegativeCache::default();
        let denial = Denial {
            reason: Reason::NoRule,
            rule: RuleId(0),
            refusal: Refusal::Silent,
        };
        cache.put(77, 1, denial, 0);
        assert!(cache.get(77, 1, 1).is_some());
        assert!(cache.get(77, 2, 1).is_none());
        assert!(cache.get(78, 1, 1).is_none());
        assert!(cache.get(77, 1, seconds(1)).is_none());
    }
}
