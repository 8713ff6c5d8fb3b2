//! Expiry, adding up, and what the engine shows of itself.

use wardline_policy::{DeviceKey, Reason, Side};

use super::Engine;
use super::hit::recall;
use crate::clock::{Tick, seconds, since};
use crate::device::{Device, ip};
use crate::flow::{FROM_WARD, GROUP, Hot, State};
use crate::vendor::vendor;
use crate::view::{DeviceView, DhcpFacts, FlowView, Traffic};
use crate::{EventKind, FlowFacts};

/// Of every so many entries of a budget, this many go to conversations and the rest is shared by
/// the other tables.
const FLOW_SHARE: usize = 8;
const FLOW_PARTS: usize = 5;
/// A conversation active within this time keeps its addresses bound, in seconds.
const ACTIVE_S: u32 = 60;

impl Engine {
    /// Expiry and other upkeep: looks at no more than `budget` table entries.
    pub fn idle(&mut self, now_ns: u64, budget: usize) {
        let now = self.clock.tick(now_ns);
        let flows = budget * FLOW_PARTS / FLOW_SHARE;
        let share = (budget - flows) / 6;
        self.sweep_flows(now, flows);
        self.sweep_devices(now, share);
        self.stations.sweep(now, share);
        self.bindings.sweep(now, share);
        self.fragments.sweep(now, share);
        self.windows.sweep(now, share);
        // The names are kept in two tables.
        self.names.sweep(now, share / 2);
    }

    /// Looks at the next conversations: ends those that were idle for too long, adds up the
    /// counters of the others.
    pub(super) fn sweep_flows(&mut self, now: Tick, budget: usize) {
        for _ in 0..budget.min(self.flows.capacity()) {
            let Some(slot) = self.flows.advance() else {
                continue;
            };
            if self.flows.expired(slot, now) {
                self.end(slot, self.clock.ns(now));
            } else {
                self.fold(slot);
                self.keep_bound(slot, now);
            }
        }
    }

    fn sweep_devices(&mut self, now: Tick, budget: usize) {
        for _ in 0..budget {
            let Some(slot) = self.devices.advance() else {
                continue;
            };
            if self.devices.is_forgettable(slot, now) && self.flows.of_device(slot) == 0 {
                self.bindings.forget(slot);
                self.names.forget(slot);
                self.devices.remove(slot);
            }
        }
    }

    /// Hits do not touch bindings; this does it for them.
    fn keep_bound(&mut self, slot: u32, now: Tick) {
        let hot = self.flows.hot(slot);
        if since(hot.last, now) >= seconds(ACTIVE_S) || hot.has(GROUP) {
            return;
        }
        let (ward, core, vlan) = (hot.ward_address(), hot.core_address(), hot.key.vlan());
        let (state, from_ward, last) = (hot.state, hot.has(FROM_WARD), hot.last);
        // Who only receives has not shown that it is there.
        let answered = !matches!(state, State::SynSent | State::Unanswered);
        if answered || from_ward {
            self.bindings.touch(ward, vlan, last);
        }
        if answered || !from_ward {
            self.bindings.touch(core, vlan, last);
        }
    }

    /// Adds the counters of a conversation to its device and to its own totals.
    pub(super) fn fold(&mut self, slot: u32) {
        let warm = self.flows.warm_mut(slot);
        let frames = core::mem::take(&mut warm.frames).map(u64::from);
        let bytes = core::mem::take(&mut warm.bytes);
        if frames == [0; 2] {
            return;
        }
        let cold = self.flows.cold_mut(slot);
        for direction in 0..2 {
            cold.frames[direction] += frames[direction];
            cold.bytes[direction] += bytes[direction];
        }
        let hot = self.flows.hot(slot);
        if let Some(device) = self.devices.get_mut(hot.device) {
            add(device, hot, frames, bytes);
        }
    }

    /// Ends a conversation.
    pub(super) fn end(&mut self, slot: u32, now_ns: u64) {
        self.end_for(slot, self.flows.hot(slot).reason, now_ns);
    }

    /// Ends a conversation for a reason of its own.
    pub(super) fn end_for(&mut self, slot: u32, reason: Reason, now_ns: u64) {
        self.fold(slot);
        let facts = self.facts_of(slot, reason);
        let key = self.key_of(slot);
        self.flows.remove(slot);
        self.counters.flows = u64::from(self.flows.len());
        self.tell(now_ns, Some(key), EventKind::FlowEnded(facts));
    }

    fn key_of(&self, slot: u32) -> DeviceKey {
        let hot = self.flows.hot(slot);
        DeviceKey {
            mac: hot.mac,
            vlan: hot.key.vlan(),
        }
    }

    pub(super) fn facts_of(&self, slot: u32, reason: Reason) -> FlowFacts {
        let (hot, cold) = (self.flows.hot(slot), self.flows.cold(slot));
        let talk = recall(hot, cold);
        FlowFacts {
            from: if hot.has(FROM_WARD) {
                Side::Ward
            } else {
                Side::Core
            },
            source: Some(ip(talk.source)),
            destination: Some(ip(talk.destination)),
            protocol: talk.protocol,
            ethertype: cold.ethertype,
            source_port: talk.source_port,
            destination_port: talk.destination_port,
            reason,
            rule: self.flows.warm(slot).rule.0,
        }
    }

    /// How many devices [`devices`](Self::devices) would show, without looking at them.
    pub fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// The devices that spoke on the ward side. For inspection: allocates, and looks at every
    /// conversation once.
    pub fn devices(&self) -> impl Iterator<Item = DeviceView> + '_ {
        let mut views: Vec<DeviceView> = self
            .devices
            .iter()
            .map(|(slot, key, device)| self.device_view(slot, key, device))
            .collect();
        let mut places = vec![usize::MAX; self.devices.capacity()];
        for (place, view) in views.iter().enumerate() {
            places[view.slot as usize] = place;
        }
        for slot in self.flows.slots() {
            let hot = self.flows.hot(slot);
            let place = places.get(hot.device as usize).copied();
            if let Some(view) = place.and_then(|place| views.get_mut(place)) {
                self.add_live(view, slot);
            }
        }
        for (slot, address) in self.bindings.of_devices() {
            let place = places.get(slot as usize).copied();
            if let Some(view) = place.and_then(|place| views.get_mut(place)) {
                view.addresses.push(ip(address));
            }
        }
        views.iter_mut().for_each(|view| {
            view.addresses.sort_unstable();
            view.addresses.dedup();
        });
        views.into_iter()
    }

    fn device_view(&self, slot: u32, key: &DeviceKey, device: &Device) -> DeviceView {
        let facts = self.snapshot.entry(self.snapshot.lookup(key));
        DeviceView {
            slot,
            key: *key,
            name: facts.name.clone(),
            role: facts.role.clone(),
            mode: facts.mode,
            care: facts.care,
            addresses: facts.addresses.clone(),
            first_seen_ns: device.first_ns,
            last_seen_ns: self.clock.ns(device.last).max(device.first_ns),
            vendor: vendor(key.mac),
            dhcp: device.dhcp.as_ref().map(|dhcp| DhcpFacts {
                hostname: dhcp.host_name.to_string(),
                vendor_class: dhcp.vendor_class.to_string(),
                parameter_list: dhcp.parameters.to_vec(),
            }),
            sent: device.sent,
            got: device.got,
            by_reason: device.by_reason.to_vec(),
            would_drop: device.would_drop.iter().copied().map(u64::from).collect(),
            flows: self.flows.of_device(slot),
            wrong_side: device.wrong_side,
        }
    }

    /// What a conversation counted since it was last added up.
    fn add_live(&self, view: &mut DeviceView, slot: u32) {
        let (hot, warm) = (self.flows.hot(slot), self.flows.warm(slot));
        let [sent, got] = by_side(hot, warm.frames.map(u64::from), warm.bytes);
        let frames = sent.frames + got.frames;
        view.sent.frames += sent.frames;
        view.sent.bytes += sent.bytes;
        view.got.frames += got.frames;
        view.got.bytes += got.bytes;
        view.by_reason[hot.reason.index()] += frames;
        if let Some(reason) = hot.would_drop {
            view.would_drop[reason.index()] += frames;
        }
        view.last_seen_ns = view.last_seen_ns.max(self.clock.ns(hot.last));
    }

    /// The conversations in progress. For inspection: allocates.
    pub fn flows(&self) -> impl Iterator<Item = FlowView> + '_ {
        self.flows_from(0).map(|(_, view)| view)
    }

    /// The conversations from this slot of the table on, each with its slot: to look at a large
    /// table in pieces.
    pub fn flows_from(&self, first: u32) -> impl Iterator<Item = (u32, FlowView)> + '_ {
        let slots = self.flows.slots_from(first);
        slots.map(|slot| (slot, self.flow_view(slot)))
    }

    fn flow_view(&self, slot: u32) -> FlowView {
        let (hot, warm, cold) = (
            self.flows.hot(slot),
            self.flows.warm(slot),
            self.flows.cold(slot),
        );
        let talk = recall(hot, cold);
        let [(_, source_port), _] = hot.endpoints();
        let traffic = |direction: usize| Traffic {
            frames: cold.frames[direction] + u64::from(warm.frames[direction]),
            bytes: cold.bytes[direction] + warm.bytes[direction],
        };
        FlowView {
            device: self.key_of(slot),
            slot: hot.device,
            initiator: talk.initiator,
            source: ip(talk.source),
            destination: ip(talk.destination),
            protocol: talk.protocol,
            source_port,
            destination_port: talk.destination_port,
            state: hot.state.name(),
            reason: hot.reason,
            would_drop: hot.would_drop,
            rule: warm.rule,
            forth: traffic(0),
            back: traffic(1),
            first_seen_ns: cold.first_ns,
            last_seen_ns: self.clock.ns(hot.last).max(cold.first_ns),
        }
    }
}

/// Adds frames of a conversation to its device.
fn add(device: &mut Device, hot: &Hot, frames: [u64; 2], bytes: [u64; 2]) {
    let [sent, got] = by_side(hot, frames, bytes);
    let total = sent.frames + got.frames;
    device.sent.frames += sent.frames;
    device.sent.bytes += sent.bytes;
    device.got.frames += got.frames;
    device.got.bytes += got.bytes;
    device.by_reason[hot.reason.index()] += total;
    if let Some(reason) = hot.would_drop {
        let count = &mut device.would_drop[reason.index()];
        *count = count.saturating_add(u32::try_from(total).unwrap_or(u32::MAX));
    }
    device.last = device.last.max(hot.last);
}

/// From initiator and responder to ward and core side.
fn by_side(hot: &Hot, frames: [u64; 2], bytes: [u64; 2]) -> [Traffic; 2] {
    let [forth, back] = [0, 1].map(|d: usize| Traffic {
        frames: frames[d],
        bytes: bytes[d],
    });
    if hot.has(FROM_WARD) {
        [forth, back]
    } else {
        [back, forth]
    }
}
