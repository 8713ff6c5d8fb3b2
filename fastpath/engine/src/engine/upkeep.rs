//! Expiry, adding up, and what the engine shows of itself.

use wardline_policy::{DeviceKey, Reason, Side};

use super::Engine;
use crate::clock::{Tick, seconds, since};
use crate::device::{Device, ip};
use crate::flow::{FROM_WARD, GROUP, State};
use crate::vendor::vendor;
use crate::view::{DeviceView, DhcpFacts, FlowView, TableBytes, Traffic};
use crate::{EventKind, FlowFacts};

/// Of every so many entries of a budget, this many go to conversations and the rest is shared by
/// the other tables.
const FLOW_SHARE: usize = 8;
const FLOW_PARTS: usize = 5;
/// A conversation active within this time keeps its addresses bound, in seconds.
const ACTIVE_S: u32 = 60;

/// How often a worker sees to its tables, and the time in which it has looked at all of them.
const EVERY_NS: u64 = 1_000_000;
const ROUND_MS: usize = 16_000;
/// Table entries looked at each time, at least.
const LEAST: usize = 32;

impl Engine {
    /// A portion of expiry and other upkeep if one is due. To be called now and then while no frames
    /// come; [`process`](Self::process) sees to it otherwise.
    #[inline]
    pub fn upkeep(&mut self, now_ns: u64) {
        if now_ns >= self.upkeep_due_ns {
            self.upkeep_due_ns = now_ns.saturating_add(EVERY_NS);
            self.idle(now_ns, (self.flows.capacity() / ROUND_MS).max(LEAST));
        }
    }

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

    /// Looks at the next conversations: ends those that were idle for too long.
    pub(super) fn sweep_flows(&mut self, now: Tick, budget: usize) {
        for _ in 0..budget.min(self.flows.capacity()) {
            let Some(slot) = self.flows.advance() else {
                continue;
            };
            if self.flows.expired(slot, now) {
                self.end(slot, self.clock.ns(now));
            } else {
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
        let (state, from_ward, last) = (hot.state, hot.has(FROM_WARD), hot.last);
        let ([ward, core], vlan) = (self.flows.sides(slot), self.flows.key(slot).vlan());
        // Who only receives has not shown that it is there.
        let answered = !matches!(state, State::SynSent | State::Unanswered);
        if answered || from_ward {
            self.bindings.touch(ward, vlan, last);
        }
        if answered || !from_ward {
            self.bindings.touch(core, vlan, last);
        }
    }

    /// Ends a conversation.
    pub(super) fn end(&mut self, slot: u32, now_ns: u64) {
        self.end_for(slot, self.flows.hot(slot).reason, now_ns);
    }

    /// Ends a conversation for a reason of its own.
    pub(super) fn end_for(&mut self, slot: u32, reason: Reason, now_ns: u64) {
        let ended = EventKind::FlowEnded {
            flow: self.facts_of(slot, reason),
            forth: self.carried(slot, 0),
            back: self.carried(slot, 1),
        };
        let key = self.key_of(slot);
        self.flows.remove(slot);
        self.counters.flows = u64::from(self.flows.len());
        self.tell(now_ns, Some(key), ended);
    }

    pub(super) fn key_of(&self, slot: u32) -> DeviceKey {
        DeviceKey {
            mac: self.flows.hot(slot).mac,
            vlan: self.flows.key(slot).vlan(),
        }
    }

    pub(super) fn facts_of(&self, slot: u32, reason: Reason) -> FlowFacts {
        let (hot, key) = (self.flows.hot(slot), self.flows.key(slot));
        let [source, destination] = self.flows.endpoints(slot);
        FlowFacts {
            from: if hot.has(FROM_WARD) {
                Side::Ward
            } else {
                Side::Core
            },
            source: Some(ip(source.0)),
            destination: Some(ip(destination.0)),
            protocol: key.protocol(),
            ethertype: key.ethertype(),
            source_port: source.1,
            destination_port: hot.asked_port,
            reason,
            rule: hot.rule.0,
            first_seen_ns: Some(self.clock.ns(self.flows.warm(slot).first)),
        }
    }

    /// What a conversation carried so far; 0 is from the initiator.
    fn carried(&self, slot: u32, from: usize) -> Traffic {
        let (frames, bytes) = self.flows.counted(slot, from);
        Traffic { frames, bytes }
    }

    /// What the tables take, for the limits they were made with.
    pub fn table_bytes(&self) -> TableBytes {
        TableBytes {
            flows: self.flows.bytes(),
            devices: self.devices.bytes(),
            windows: self.feature_windows.bytes(),
        }
    }

    /// How many devices [`devices`](Self::devices) would show, without looking at them.
    pub fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// The devices that spoke on the ward side. For inspection: allocates.
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
        let meter = self.devices.meter(slot).copied().unwrap_or_default();
        let mut by_reason = device.by_reason.to_vec();
        by_reason[Reason::Established.index()] += meter.established;
        DeviceView {
            slot,
            key: *key,
            name: facts.name.clone(),
            role: facts.role.clone(),
            mode: facts.mode,
            care: facts.care,
            addresses: facts.addresses.clone(),
            first_seen_ns: device.first_ns,
            last_seen_ns: self.clock.ns(meter.last).max(device.first_ns),
            vendor: vendor(key.mac),
            dhcp: device.dhcp.as_ref().map(|dhcp| DhcpFacts {
                hostname: dhcp.host_name.to_string(),
                vendor_class: dhcp.vendor_class.to_string(),
                parameter_list: dhcp.parameters.to_vec(),
            }),
            sent: meter.traffic(Side::Ward),
            got: meter.traffic(Side::Core),
            by_reason,
            would_drop: device.would_drop.iter().copied().map(u64::from).collect(),
            flows: self.flows.of_device(slot),
            wrong_side: device.wrong_side,
        }
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
        let (hot, talk) = (self.flows.hot(slot), self.recall(slot));
        let [(_, source_port), _] = self.flows.endpoints(slot);
        let first_seen_ns = self.clock.ns(self.flows.warm(slot).first);
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
            rule: hot.rule,
            forth: self.carried(slot, 0),
            back: self.carried(slot, 1),
            first_seen_ns,
            last_seen_ns: self.clock.ns(hot.last),
        }
    }
}
