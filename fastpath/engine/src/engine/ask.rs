//! Who a frame is about, and what policy says.

use arrayvec::ArrayVec;
use wardline_policy::{
    Cast, Decision, DeviceKey, MacAddr, PeerTag, Query, Reason, RuleId, Side, VlanKey,
};

use super::{Engine, Frame, Ruling, Subject};
use crate::EventKind;
use crate::binding::{Owner, SILENT_S};
use crate::clock::{Tick, seconds, since};
use crate::device::{VlanState, ip};
use crate::flow::NONE;
use crate::names::NAMES;
use crate::parse::ParseError;
use crate::talk::{Talk, cast};
use crate::{Action, Verdict};

/// What can be known of a peer: the device it is, and its names.
type Tags = ArrayVec<PeerTag, { NAMES + 1 }>;

/// How long a device that has gone may still count for its VLAN, in seconds.
const VLAN_S: u32 = 1;

impl Engine {
    /// The device that sent a ward frame; a new one is taken in. `Err`: it must not speak, and
    /// why.
    pub(super) fn sender(&mut self, frame: &Frame<'_>) -> Result<Subject, (Subject, Reason)> {
        let key = frame.subject_key();
        if let Some(slot) = self.devices.find(&key) {
            return Ok(self.subject(slot, key));
        }
        if self.stations.find(&key, frame.now).is_some() {
            return Err((self.stranger(key), Reason::SpoofedMac));
        }
        let stranger = self.stranger(key);
        let listed = !self.snapshot.entry(stranger.entry).name.is_empty();
        match self.devices.insert(key, listed, frame.now_ns, frame.now) {
            Ok(slot) => {
                let facts = self.snapshot.entry(stranger.entry);
                self.vlans.add(key.vlan, self.generation, facts);
                self.tell(frame.now_ns, Some(key), EventKind::DeviceSeen);
                Ok(self.subject(slot, key))
            }
            Err(reason) => Err((stranger, reason)),
        }
    }

    /// The device a core frame is for, or everybody in its VLAN.
    pub(super) fn receiver(&mut self, frame: &Frame<'_>) -> Subject {
        let key = frame.subject_key();
        if key.mac.is_group() {
            return self.everybody(key, frame.now);
        }
        match self.devices.find(&key) {
            Some(slot) => self.subject(slot, key),
            None => self.stranger(key),
        }
    }

    /// Who a frame is about, without taking anybody in.
    pub(super) fn bystander(&mut self, frame: &Frame<'_>) -> Subject {
        match frame.from {
            Side::Core => self.receiver(frame),
            Side::Ward => {
                let key = frame.subject_key();
                match self.known_slot(&key) {
                    NONE => self.stranger(key),
                    slot => self.subject(slot, key),
                }
            }
        }
    }

    /// The verdict on a frame that breaks a rule of its protocols.
    pub(super) fn malformed(
        &mut self,
        bytes: &[u8],
        error: &ParseError,
        from: Side,
        now: Tick,
        now_ns: u64,
    ) -> Verdict {
        let Some(meta) = &error.meta else {
            return Verdict {
                action: Action::Drop,
                reason: error.reason,
                would_drop: None,
                rule: RuleId(0),
                device: NONE,
            };
        };
        let frame = Frame {
            bytes,
            meta,
            from,
            now,
            now_ns,
        };
        let subject = self.bystander(&frame);
        self.settle(&frame, &subject, Ruling::new(error.reason))
    }

    /// A known device under the policy in force.
    pub(super) fn subject(&mut self, slot: u32, key: DeviceKey) -> Subject {
        let Some(device) = self.devices.get_mut(slot) else {
            return self.stranger(key);
        };
        device.refresh(&key, &self.snapshot, self.generation);
        Subject {
            slot,
            key,
            entry: device.entry,
            mode: device.mode,
            epoch: device.epoch,
            group: false,
        }
    }

    /// A station that has not spoken yet, as the policy lists it or does not.
    pub(super) fn stranger(&self, key: DeviceKey) -> Subject {
        let entry = self.snapshot.lookup(&key);
        let facts = self.snapshot.entry(entry);
        Subject {
            slot: NONE,
            key,
            entry,
            mode: facts.mode,
            epoch: facts.epoch,
            group: false,
        }
    }

    /// Everybody in a VLAN.
    pub(super) fn everybody(&mut self, key: DeviceKey, now: Tick) -> Subject {
        let state = self.vlan_state(key.vlan, now);
        Subject {
            mode: state.mode,
            group: true,
            ..self.stranger(key)
        }
    }

    /// What the devices of a VLAN have in common. New devices are added when they come; made again
    /// by a look at every device after a change of policy, unless the policy treats everybody in
    /// the VLAN alike. After a device has gone that happens once a second at most: until then
    /// it counts as if it were still there.
    pub(super) fn vlan_state(&mut self, vlan: VlanKey, now: Tick) -> VlanState {
        let removals = self.devices.removals;
        if let Some(state) = self.vlans.get(vlan)
            && state.generation == self.generation
            && (state.removals == removals || since(state.made, now) < seconds(VLAN_S))
        {
            return state;
        }
        let snapshot = &self.snapshot;
        let unlisted = snapshot.entry(snapshot.lookup(&DeviceKey {
            mac: MacAddr::BROADCAST,
            vlan,
        }));
        let mut state = VlanState::empty(self.generation, removals, now, unlisted.mode);
        if snapshot.treats_alike(vlan) {
            state.add(unlisted);
        } else {
            let present = self.devices.iter().filter(|(_, key, _)| key.vlan == vlan);
            present.for_each(|(_, key, _)| state.add(snapshot.entry(snapshot.lookup(key))));
        }
        self.vlans.set(vlan, state);
        state
    }

    /// What policy says of a conversation. `lingering`: names that expired since it began count.
    pub(super) fn ask(
        &self,
        subject: &Subject,
        talk: &Talk,
        lingering: bool,
        now: Tick,
    ) -> Decision {
        let tags = self.tags(subject, talk, lingering, now);
        let query = query(talk, &tags);
        if subject.group {
            self.snapshot.decide_group(talk.vlan, &query)
        } else {
            self.snapshot.decide(subject.entry, &query)
        }
    }

    /// Whether an open question lets this unicast answer pass, and by which rule.
    pub(super) fn answers(&self, subject: &Subject, talk: &Talk, now: Tick) -> Option<RuleId> {
        let waiting = self
            .windows
            .waiting(talk.destination, talk.destination_port, talk.vlan, now);
        let tags = self.tags(subject, talk, false, now);
        let query = query(talk, &tags);
        waiting.iter().find_map(|window| {
            let for_us = window.device == NONE || window.device == subject.slot;
            let across = window.talk.initiator != talk.initiator;
            if !for_us || !across {
                return None;
            }
            let rule = if window.device != NONE && window.generation == self.generation {
                window.rule
            } else {
                // The core side asked everybody, and only who may be asked may answer; or the
                // rule has another number now, or is gone.
                let again = self.ask(subject, &window.talk, true, now);
                (again.allow && again.answer.is_some()).then_some(again.rule)?
            };
            self.snapshot.answer_allowed(rule, &query).then_some(rule)
        })
    }

    /// The conversation a frame would begin.
    pub(super) fn talk(&self, frame: &Frame<'_>, source: [u8; 16], destination: [u8; 16]) -> Talk {
        let meta = frame.meta;
        let station = meta.destination_mac.is_group()
            && self
                .bindings
                .owner(destination, meta.vlan, frame.now)
                .is_some();
        let (source_port, destination_port) = super::settle::ports(&meta.l4);
        Talk {
            initiator: initiator(frame.from),
            cast: cast(meta.destination_mac, destination, station),
            source,
            destination,
            protocol: meta.protocol,
            source_port,
            destination_port,
            vlan: meta.vlan,
        }
    }

    /// A source of the core side: remembered as a station, or told about if it is a device.
    pub(super) fn notice_core(&mut self, frame: &Frame<'_>) {
        let key = DeviceKey {
            mac: frame.meta.source_mac,
            vlan: frame.meta.vlan,
        };
        let Some(slot) = self.devices.find(&key) else {
            let expires = frame.now.saturating_add(seconds(SILENT_S));
            match self.stations.find(&key, frame.now) {
                Some(slot) => self.stations.set_expires(slot, expires),
                None => {
                    self.stations.insert(key, (), expires, frame.now);
                }
            }
            return;
        };
        let Some(device) = self.devices.get_mut(slot) else {
            return;
        };
        device.wrong_side += 1;
        if device.wrong_side_events.take(1, frame.now_ns) {
            self.tell(frame.now_ns, Some(key), EventKind::WrongSide);
        }
    }

    /// Whether a source MAC address of the core side is a device's.
    pub(super) fn is_wrong_side(&self, frame: &Frame<'_>) -> bool {
        let key = DeviceKey {
            mac: frame.meta.source_mac,
            vlan: frame.meta.vlan,
        };
        self.devices.find(&key).is_some()
    }

    fn tags(&self, subject: &Subject, talk: &Talk, lingering: bool, now: Tick) -> Tags {
        let mut tags = Tags::new();
        if talk.cast != Cast::Unicast && talk.peer() == talk.destination {
            return tags;
        }
        let peer = talk.peer();
        if let Some(entry) = self.snapshot.fixed_owner(ip(peer), talk.vlan) {
            tags.push(PeerTag::Device(entry));
        } else if let Some(Owner::Device(slot)) = self.bindings.owner(peer, talk.vlan, now)
            && let Some(key) = self.devices.key(slot)
        {
            tags.push(PeerTag::Device(self.snapshot.lookup(&key)));
        }
        if subject.slot != NONE {
            let told = self.names.of(subject.slot, peer, lingering, now);
            let numbers = told.filter_map(|name| self.snapshot.dns_name(subject.entry, name));
            tags.extend(numbers.take(NAMES).map(PeerTag::DnsName));
        }
        tags
    }

    /// Whether a device may use an address: the document fixes it for nobody else, and it is
    /// bound to nobody else.
    pub(super) fn may_use(&self, subject: &Subject, address: [u8; 16], now: Tick) -> bool {
        let vlan = subject.key.vlan;
        match self.snapshot.fixed_owner(ip(address), vlan) {
            Some(entry) => entry == subject.entry,
            None => self
                .bindings
                .is_free_for(Owner::Device(subject.slot), address, vlan, now),
        }
    }
}

pub(super) const fn initiator(from: Side) -> wardline_policy::Initiator {
    match from {
        Side::Ward => wardline_policy::Initiator::Device,
        Side::Core => wardline_policy::Initiator::Peer,
    }
}

fn query<'a>(talk: &Talk, tags: &'a [PeerTag]) -> Query<'a> {
    Query {
        initiator: talk.initiator,
        cast: talk.cast,
        peer: ip(talk.peer()),
        destination: ip(talk.destination),
        protocol: talk.protocol,
        source_port: talk.source_port,
        destination_port: talk.destination_port,
        tags,
    }
}
