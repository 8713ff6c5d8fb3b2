//! From the engine's words to those of the control contract: numbers become names.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wardline_control::{EventKind, view};
use wardline_engine as engine;
use wardline_policy::{DeviceKey, PolicySnapshot, Reason, RuleId, Side};

use crate::clock::{Clock, WallTimes};
use crate::events::{EventLog, NewEvent};
use crate::fleet::Fleet;

/// Knows the policy whose numbers the engines use.
#[derive(Debug)]
pub struct Translator {
    times: WallTimes,
    names: Mutex<Names>,
}

#[derive(Debug)]
struct Names {
    snapshot: Arc<PolicySnapshot>,
    /// Workers are changing to another policy, each at its own moment: what they tell meanwhile
    /// waits, since either policy may be meant.
    changing: bool,
}

impl Translator {
    /// For engines that were started with `snapshot`.
    pub fn new(clock: Clock, snapshot: Arc<PolicySnapshot>) -> Self {
        Self {
            times: WallTimes::new(clock),
            names: Mutex::new(Names {
                snapshot,
                changing: false,
            }),
        }
    }

    /// Moves what the workers told to the log.
    pub fn collect(&self, fleet: &Fleet, log: &EventLog) {
        let names = self.names();
        if !names.changing {
            self.move_events(fleet, log, |_| Arc::clone(&names.snapshot));
        }
    }

    /// The workers begin to change their policy.
    pub fn begin_change(&self) {
        self.names().changing = true;
    }

    /// All of them kept the old one.
    pub fn cancel_change(&self) {
        self.names().changing = false;
    }

    /// All of them have the new one. What they told until now may mean either.
    pub fn end_change(
        &self,
        fleet: &Fleet,
        log: &EventLog,
        generation: u32,
        snapshot: &Arc<PolicySnapshot>,
    ) {
        let mut names = self.names();
        self.move_events(fleet, log, |of| {
            let known = if of == generation {
                snapshot
            } else {
                &names.snapshot
            };
            Arc::clone(known)
        });
        *names = Names {
            snapshot: Arc::clone(snapshot),
            changing: false,
        };
    }

    /// `names` gives the policy of a generation.
    fn move_events(
        &self,
        fleet: &Fleet,
        log: &EventLog,
        names: impl Fn(u32) -> Arc<PolicySnapshot>,
    ) {
        for mailbox in fleet.mailboxes() {
            log.extend(std::iter::from_fn(|| {
                let event = mailbox.next_event()?;
                Some(self.event(event, &names(event.generation)))
            }));
        }
    }

    fn event(&self, event: engine::Event, names: &PolicySnapshot) -> NewEvent {
        let facts = |flow: engine::FlowFacts| view::FlowFacts {
            from: flow.from,
            source: flow.source,
            destination: flow.destination,
            protocol: flow.protocol,
            ethertype: flow.ethertype,
            source_port: flow.source_port,
            destination_port: flow.destination_port,
            reason: flow.reason,
            rule: names.rule_name(RuleId(flow.rule)).to_owned(),
            first_seen_us: flow.first_seen_ns.map(|first| self.times.us(first)),
        };
        NewEvent {
            time_us: self.times.us(event.time_ns),
            device: event.device,
            device_name: event.device.map_or_else(String::new, |d| name(names, &d)),
            kind: match event.kind {
                engine::EventKind::DeviceSeen => EventKind::DeviceSeen,
                engine::EventKind::AddressBound { address } => EventKind::AddressBound { address },
                engine::EventKind::WrongSide => EventKind::WrongSide,
                engine::EventKind::FlowBegun(flow) => EventKind::FlowBegun(facts(flow)),
                engine::EventKind::FlowEnded { flow, forth, back } => EventKind::FlowEnded {
                    flow: facts(flow),
                    forth: traffic(forth),
                    back: traffic(back),
                },
                engine::EventKind::Denied {
                    flow,
                    dropped,
                    repeated,
                } => EventKind::Denied {
                    flow: facts(flow),
                    dropped,
                    repeated,
                },
            },
        }
    }

    /// A device as clients see it, with what it is taken for.
    pub fn device(
        &self,
        device: engine::DeviceView,
        identity: Option<view::Identity>,
    ) -> view::DeviceView {
        view::DeviceView {
            key: device.key,
            name: device.name,
            role: device.role,
            mode: device.mode,
            care: device.care,
            addresses: device.addresses,
            first_seen_us: self.times.us(device.first_seen_ns),
            last_seen_us: self.times.us(device.last_seen_ns),
            vendor: device.vendor.map(str::to_owned),
            dhcp: device.dhcp.map(|facts| view::DhcpFacts {
                hostname: facts.hostname,
                vendor_class: facts.vendor_class,
                parameter_list: facts.parameter_list,
            }),
            sent: traffic(device.sent),
            got: traffic(device.got),
            by_reason: by_reason(&device.by_reason),
            would_drop: by_reason(&device.would_drop),
            flows: device.flows,
            wrong_side: device.wrong_side,
            identity,
        }
    }

    /// A conversation as clients see it.
    pub fn flow(&self, flow: &engine::FlowView) -> view::FlowView {
        let names = &*self.names().snapshot;
        view::FlowView {
            device: flow.device,
            device_name: name(names, &flow.device),
            initiator: flow.initiator,
            source: flow.source,
            destination: flow.destination,
            protocol: flow.protocol,
            source_port: flow.source_port,
            destination_port: flow.destination_port,
            state: flow.state.to_owned(),
            reason: flow.reason,
            would_drop: flow.would_drop,
            rule: names.rule_name(flow.rule).to_owned(),
            forth: traffic(flow.forth),
            back: traffic(flow.back),
            first_seen_us: self.times.us(flow.first_seen_ns),
            last_seen_us: self.times.us(flow.last_seen_ns),
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        // Replaced as a whole, so never half-changed by a panic.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counters as clients see them.
pub fn counters(counters: &engine::Counters) -> view::Counters {
    let side = |side: Side| view::SideCounters {
        received: counters.received[side as usize],
        received_bytes: counters.received_bytes[side as usize],
        forwarded: counters.forwarded(side),
        dropped: counters.dropped(side),
        by_reason: by_reason(&counters.by_reason[side as usize]),
    };
    view::Counters {
        ward: side(Side::Ward),
        core: side(Side::Core),
        would_drop: by_reason(&counters.would_drop),
        refusals_to_ward: counters.refusals_sent[Side::Ward as usize],
        refusals_to_core: counters.refusals_sent[Side::Core as usize],
        flows_begun: counters.flows_begun,
    }
}

fn name(names: &PolicySnapshot, device: &DeviceKey) -> String {
    names.entry(names.lookup(device)).name.clone()
}

fn traffic(traffic: engine::Traffic) -> view::Traffic {
    view::Traffic {
        frames: traffic.frames,
        bytes: traffic.bytes,
    }
}

fn by_reason(table: &[u64]) -> view::ByReason {
    Reason::ALL
        .iter()
        .zip(table)
        .filter(|(_, count)| **count > 0)
        .map(|(reason, count)| (*reason, *count))
        .collect()
}
