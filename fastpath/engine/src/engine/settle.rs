//! From a judgement to a verdict: the device's mode, its counters, events and refusals.

use wardline_policy::reason::Class;
use wardline_policy::{Mode, Reason, Refusal};

use super::quick::Arrival;
use super::{Engine, Frame, REFUSALS, Refused, Ruling, Subject};
use crate::device::ip;
use crate::feature::{Cast, Protocol};
use crate::meta::{L3, L4};
use crate::{Action, Event, EventKind, FlowFacts, Verdict, refuse};

/// Refusals a second, of all devices together and of each: an attacker must not make the box
/// send more than it gets.
const REFUSALS_PER_S: u32 = 1_000;
const REFUSALS_PER_DEVICE_PER_S: u32 = 50;

impl Engine {
    /// Applies the mode, counts the frame for its device, tells about a denial and answers it.
    pub(super) fn settle(
        &mut self,
        frame: &Frame<'_>,
        subject: &Subject,
        ruling: Ruling,
    ) -> Verdict {
        let denied = !ruling.reason.forwards();
        let wire = ruling.reason.class() == Class::Wire;
        let drops = wire || subject.mode.drops();
        let (reason, would_drop) = match open_reason(subject.mode) {
            Some(open) if !wire => (open, denied.then_some(ruling.reason)),
            _ => (ruling.reason, None),
        };
        let forwards = reason.forwards();
        let action = if forwards {
            Action::Forward(frame.from.other())
        } else {
            Action::Drop
        };
        let verdict = Verdict {
            action,
            reason,
            would_drop,
            rule: ruling.rule,
            device: subject.slot,
        };
        self.count_for_device(
            frame.bytes.len(),
            (Cast::of(frame.meta.destination_mac), frame.meta.carries()),
            &verdict,
            frame.arrival(),
        );
        if denied {
            self.tell_denial(frame, subject, &ruling, drops);
            if drops && ruling.refusal != Refusal::Silent {
                self.refuse(frame, subject, ruling.refusal);
            }
        }
        verdict
    }

    /// Counts a frame for its device, and adds it to the device's feature window.
    #[inline]
    pub(super) fn count_for_device(
        &mut self,
        len: usize,
        what: (Cast, Protocol),
        verdict: &Verdict,
        at: Arrival,
    ) {
        let Some(meter) = self.devices.meter_mut(verdict.device) else {
            return;
        };
        meter.last = meter.last.max(at.now);
        if verdict.action != Action::Drop {
            meter.count(at.from, len);
        }
        let shut = meter.gate.is_shut(at.now_ns);
        if verdict.reason == Reason::Established && verdict.would_drop.is_none() {
            meter.established += 1;
        } else {
            self.count_reason(verdict);
        }
        if !shut {
            self.add_to_window(verdict.device, at, len, what);
        }
    }

    fn count_reason(&mut self, verdict: &Verdict) {
        let Some(device) = self.devices.get_mut(verdict.device) else {
            return;
        };
        device.by_reason[verdict.reason.index()] += 1;
        if let Some(reason) = verdict.would_drop {
            let count = &mut device.would_drop[reason.index()];
            *count = count.saturating_add(1);
        }
    }

    #[cold]
    fn add_to_window(&mut self, slot: u32, at: Arrival, len: usize, what: (Cast, Protocol)) {
        let Some(key) = self.devices.key(slot) else {
            return;
        };
        if let Some(meter) = self.devices.meter_mut(slot) {
            let (cast, carries) = what;
            let frame = ((at.from, cast), len, carries);
            self.feature_windows
                .add((slot, key), &mut meter.gate, frame, at.now_ns);
        }
    }

    fn tell_denial(&mut self, frame: &Frame<'_>, subject: &Subject, ruling: &Ruling, drops: bool) {
        let denials = match self.devices.get_mut(subject.slot) {
            Some(device) => &mut device.denials,
            None => &mut self.denials,
        };
        let Some(repeated) = denials.note(ruling.reason, frame.now) else {
            return;
        };
        let kind = EventKind::Denied {
            flow: facts(frame, ruling),
            dropped: drops,
            repeated,
        };
        self.tell(frame.now_ns, Some(subject.key), kind);
    }

    /// Puts an event in the ring, or counts it as lost.
    pub(super) fn tell(
        &mut self,
        time_ns: u64,
        device: Option<wardline_policy::DeviceKey>,
        kind: EventKind,
    ) {
        if self.events.len() < self.events_max {
            let generation = self.generation;
            self.events.push_back(Event {
                time_ns,
                generation,
                device,
                kind,
            });
        } else {
            self.counters.events_dropped += 1;
        }
    }

    /// Queues a reset or unreachable to where the frame came from.
    fn refuse(&mut self, frame: &Frame<'_>, subject: &Subject, refusal: Refusal) {
        let device = self.devices.get_mut(subject.slot);
        let within = device.is_none_or(|device| {
            device
                .refusals
                .take(REFUSALS_PER_DEVICE_PER_S, frame.now_ns)
        });
        if !within
            || self.refusals.len() >= REFUSALS
            || !self.refusal_rate.take(REFUSALS_PER_S, frame.now_ns)
        {
            return;
        }
        let mut refused = Refused {
            side: frame.from,
            len: 0,
            bytes: [0; refuse::MAX_LEN],
        };
        let reset = refusal == Refusal::Reset && matches!(frame.meta.l4, L4::Tcp { .. });
        let len = if reset {
            refuse::tcp_reset(frame.bytes, frame.meta, &mut refused.bytes)
        } else {
            refuse::unreachable(frame.bytes, frame.meta, &mut refused.bytes)
        };
        if let Some(len) = len {
            refused.len = len;
            self.refusals.push(refused);
            self.counters.refusals_sent[frame.from as usize] += 1;
        }
    }
}

/// The reason under which a device that does not enforce gets everything; `None` if it enforces.
pub(super) const fn open_reason(mode: Mode) -> Option<Reason> {
    match mode {
        Mode::Observe => Some(Reason::Observed),
        Mode::Simulate => Some(Reason::Simulated),
        Mode::BreakGlass => Some(Reason::BreakGlass),
        Mode::Enforce | Mode::Isolate => None,
    }
}

/// The ports of a frame as policy knows them: source, and destination or ICMP type and code.
pub(super) const fn ports(l4: &L4) -> (u16, u16) {
    match (l4.ports(), *l4) {
        (Some(ports), _) => ports,
        (None, L4::Icmp { kind, code, .. }) => (0, (kind as u16) << 8 | code as u16),
        (None, _) => (0, 0),
    }
}

fn facts(frame: &Frame<'_>, ruling: &Ruling) -> FlowFacts {
    let meta = frame.meta;
    let (source, destination) = match meta.l3 {
        L3::Ip {
            source,
            destination,
            ..
        } => (Some(ip(source)), Some(ip(destination))),
        L3::Arp | L3::Other => (None, None),
    };
    let (source_port, destination_port) = ports(&meta.l4);
    FlowFacts {
        from: frame.from,
        source,
        destination,
        protocol: meta.protocol,
        ethertype: meta.ethertype,
        source_port,
        destination_port,
        reason: ruling.reason,
        rule: ruling.rule.0,
        first_seen_ns: None,
    }
}
