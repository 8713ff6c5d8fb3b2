//! A frame of a known conversation. `None` from here means: judge it as if nothing were known.

use wardline_policy::{Reason, RuleId, Side};

use super::settle::open_reason;
use super::{Engine, Frame, Keyed, Ruling};
use crate::binding::Owner;
use crate::feature::Cast;
use crate::flow::key::query_type;
use crate::flow::sctp::{ABORT, Packet, SHUTDOWN_COMPLETE};
use crate::flow::tcp::{Segment, Step};
use crate::flow::{
    FROM_WARD, GROUP, GUARDED, Hot, INITIATOR_IS_A, MIDSTREAM, NONE, Progress, SNOOP, State,
    WATCHED,
};
use crate::meta::{Fragment, L4, PacketMeta};
use crate::talk::Talk;
use crate::{Action, Verdict};

/// What a frame does to its conversation.
enum Move {
    To(State),
    Deny(Reason),
    /// A SYN or INIT that crosses the initiator's.
    Crosses,
    /// The conversation is over and this frame is not part of it.
    Over,
    /// The frame does not belong to it.
    Foreign,
}

impl From<Step> for Move {
    fn from(step: Step) -> Self {
        match step {
            Step::To(state) => Self::To(state),
            Step::Reopens => Self::Over,
            Step::Simultaneous => Self::Crosses,
            Step::NoHandshake => Self::Deny(Reason::TcpNoHandshake),
            Step::OutOfWindow => Self::Deny(Reason::TcpWindow),
        }
    }
}

impl Engine {
    pub(super) fn hit(&mut self, frame: &Frame<'_>, keyed: &Keyed, slot: u32) -> Option<Verdict> {
        if self.flows.expired(slot, frame.now) {
            self.end(slot, frame.now_ns);
            return None;
        }
        let hot = self.flows.hot(slot);
        let forth = keyed.source_is_a == hot.has(INITIATOR_IS_A);
        if !runs_along(hot, frame, forth) {
            return None;
        }
        if frame.subject_key().mac != hot.mac {
            return self.foreign_station(frame, slot);
        }
        if hot.generation != self.generation
            && let Err(ruling) = self.decide_again(slot, frame)
        {
            return Some(self.deny_datagram(frame, &ruling));
        }
        if self.flows.hot(slot).flags & (SNOOP | GUARDED | GROUP) != 0
            && let Err(reason) = self.side_conditions(frame, slot)
        {
            return Some(self.deny_datagram(frame, &Ruling::new(reason)));
        }
        match self.advance(frame.meta, slot, forth) {
            Move::To(state) => Some(self.pass_hit(frame, slot, state, forth)),
            Move::Deny(reason) => Some(self.deny_datagram(frame, &Ruling::new(reason))),
            Move::Crosses => Some(self.cross(frame, keyed, slot)),
            Move::Over => {
                self.end(slot, frame.now_ns);
                None
            }
            Move::Foreign => None,
        }
    }

    fn pass_hit(&mut self, frame: &Frame<'_>, slot: u32, state: State, forth: bool) -> Verdict {
        if self.flows.hot(slot).state != state {
            self.flows.set_state(slot, state);
        }
        self.flows
            .count(slot, usize::from(!forth), frame.bytes.len());
        if self.flows.hot(slot).has(WATCHED) {
            self.sample_beginning(frame, slot);
        }
        let hot = self.flows.hot_mut(slot);
        hot.last = frame.now;
        let Hot {
            reason,
            would_drop,
            device,
            flags,
            rule,
            ..
        } = *hot;
        if matches!(frame.meta.fragment, Fragment::First { .. }) {
            let ruling = Ruling {
                rule,
                ..Ruling::new(would_drop.unwrap_or(reason))
            };
            if let Err(reason) = self.first_fragment(frame, &ruling) {
                return self.deny_hit(frame, reason);
            }
        }
        if device == NONE && frame.from == Side::Ward && flags & GROUP == 0 {
            self.adopt(frame, slot);
        }
        if flags & SNOOP != 0 {
            self.learn(frame, device);
        }
        let verdict = Verdict {
            action: Action::Forward(frame.from.other()),
            reason,
            would_drop,
            rule,
            device: self.flows.hot(slot).device,
        };
        self.count_for_device(
            frame.bytes.len(),
            (Cast::of(frame.meta.destination_mac), frame.meta.carries()),
            &verdict,
            frame.arrival(),
        );
        verdict
    }

    /// As [`deny_hit`](Self::deny_hit), for the rest of the datagram as well.
    fn deny_datagram(&mut self, frame: &Frame<'_>, ruling: &Ruling) -> Verdict {
        // Without room the rest is denied too, as one that came before its first fragment.
        let _ = self.first_fragment(frame, ruling);
        let subject = self.bystander(frame);
        self.settle(frame, &subject, *ruling)
    }

    /// A frame of the conversation that must not pass; the conversation stands.
    fn deny_hit(&mut self, frame: &Frame<'_>, reason: Reason) -> Verdict {
        let subject = self.bystander(frame);
        self.settle(frame, &subject, Ruling::new(reason))
    }

    /// A device spoke in a conversation that began before it was seen.
    fn adopt(&mut self, frame: &Frame<'_>, slot: u32) {
        if let Ok(subject) = self.sender(frame) {
            self.flows.set_device(slot, subject.slot);
        }
    }

    /// The right addresses, but another station. A ward station that owns the address by now
    /// has replaced the old one; any other one impersonates it.
    fn foreign_station(&mut self, frame: &Frame<'_>, slot: u32) -> Option<Verdict> {
        if frame.from == Side::Core {
            return None;
        }
        let key = frame.subject_key();
        let [ward_address, _] = self.flows.sides(slot);
        let owner = self.bindings.owner(ward_address, key.vlan, frame.now);
        let sender = self.known_slot(&key);
        let replaced = match owner {
            Some(owner) => owner == Owner::Device(sender),
            // Nobody owns it any more: it was silent for long enough.
            None => true,
        };
        let fixed = self
            .snapshot
            .fixed_owner(crate::device::ip(ward_address), key.vlan);
        if replaced && fixed.is_none_or(|entry| entry == self.snapshot.lookup(&key)) {
            self.end(slot, frame.now_ns);
            return None;
        }
        Some(self.deny_hit(frame, Reason::SpoofedMac))
    }

    /// Payloads that only servers send, and the limits on what reaches a device.
    fn side_conditions(&mut self, frame: &Frame<'_>, slot: u32) -> Result<(), Reason> {
        let hot = *self.flows.hot(slot);
        if hot.has(SNOOP) && frame.from == Side::Ward {
            Self::rogue(frame)?;
        }
        if frame.from == Side::Ward {
            return Ok(());
        }
        if hot.has(GROUP) {
            return self.broadcast_storm(frame);
        }
        if hot.has(GUARDED) {
            return self.packet_storm(frame, hot.device);
        }
        Ok(())
    }

    fn advance(&mut self, meta: &PacketMeta, slot: u32, forth: bool) -> Move {
        let state = self.flows.hot(slot).state;
        match meta.l4 {
            L4::Tcp { .. } => {
                let Some(segment) = segment(meta) else {
                    return Move::Foreign;
                };
                let Some(tracker) = self.flows.warm_mut(slot).progress.tcp_mut() else {
                    return Move::Foreign;
                };
                tracker.step(state, &segment, usize::from(!forth)).into()
            }
            L4::Sctp { .. } => {
                let Some(packet) = packet(meta) else {
                    return Move::Foreign;
                };
                let Some(association) = self.flows.warm_mut(slot).progress.sctp_mut() else {
                    return Move::Foreign;
                };
                association.step(state, &packet, usize::from(!forth)).into()
            }
            L4::Icmp { kind, .. } => match query_type(meta.protocol, kind) {
                Some((_, request)) if request == forth => Move::To(answered(state, forth)),
                _ => Move::Foreign,
            },
            _ => Move::To(answered(state, forth)),
        }
    }

    /// SYN against SYN, INIT against INIT: only if policy allows both to begin (RFC 9293 §3.5,
    /// RFC 9260 §5.2.1).
    fn cross(&mut self, frame: &Frame<'_>, keyed: &Keyed, slot: u32) -> Verdict {
        let subject = self.bystander(frame);
        let talk = self.talk(frame, keyed.tuple.source, keyed.tuple.destination);
        let decision = self.ask(&subject, &talk, false, frame.now);
        if !decision.allow && subject.mode.drops() {
            let ruling = Ruling {
                reason: decision.reason,
                rule: decision.rule,
                refusal: decision.refusal,
            };
            return self.settle(frame, &subject, ruling);
        }
        let progress = &mut self.flows.warm_mut(slot).progress;
        match (progress, segment(frame.meta), packet(frame.meta)) {
            (Progress::Tcp(tracker), Some(segment), _) => tracker.cross(&segment),
            (Progress::Sctp(association), _, Some(packet)) => association.open(&packet, 1),
            _ => {}
        }
        self.pass_hit(frame, slot, State::SynReceived, false)
    }

    /// The policy is another one than when the conversation was last looked at.
    fn decide_again(&mut self, slot: u32, frame: &Frame<'_>) -> Result<(), Ruling> {
        let hot = *self.flows.hot(slot);
        let epoch = self.flows.warm(slot).epoch;
        let key = self.key_of(slot);
        let subject = if hot.has(GROUP) && !hot.has(FROM_WARD) {
            self.everybody(key, frame.now)
        } else if hot.device == NONE {
            self.stranger(key)
        } else {
            self.subject(hot.device, key)
        };
        let talk = self.recall(slot);
        let mut decision = self.ask(&subject, &talk, true, frame.now);
        if !decision.allow && hot.has(MIDSTREAM) {
            let reversed = self.ask(&subject, &talk.reversed(), true, frame.now);
            if reversed.allow {
                decision = reversed;
            }
        }
        let same = !subject.group && subject.epoch == epoch && subject.mode == hot.mode;
        if !decision.allow && subject.mode.drops() && !same {
            self.end_for(slot, Reason::Revoked, frame.now_ns);
            let (rule, refusal) = (decision.rule, decision.refusal);
            return Err(Ruling {
                reason: Reason::Revoked,
                rule,
                refusal,
            });
        }
        let guarded = self.is_guarded(subject.slot);
        let hot = self.flows.hot_mut(slot);
        hot.generation = self.generation;
        hot.flags = if guarded {
            hot.flags | GUARDED
        } else {
            hot.flags & !GUARDED
        };
        if !same {
            hot.reason = open_reason(subject.mode).unwrap_or(Reason::Established);
            let denied = (!decision.allow).then_some(decision.reason);
            hot.would_drop = denied.filter(|_| !subject.mode.drops());
        }
        // The same permission may have another number, or rest on a name that expired since.
        hot.rule = if decision.allow || !same {
            decision.rule
        } else {
            RuleId(0)
        };
        hot.mode = subject.mode;
        self.flows.warm_mut(slot).epoch = subject.epoch;
        Ok(())
    }

    /// The conversation as it was first asked about.
    pub(super) fn recall(&self, slot: u32) -> Talk {
        let (hot, key) = (self.flows.hot(slot), self.flows.key(slot));
        let [source, destination] = self.flows.endpoints(slot);
        Talk {
            initiator: hot.initiator(),
            cast: hot.cast,
            source: source.0,
            destination: destination.0,
            protocol: key.protocol(),
            source_port: if key.narrow.query() == 0 { source.1 } else { 0 },
            destination_port: hot.asked_port,
            vlan: key.vlan(),
        }
    }

    /// Whether the number of packets towards the device is limited.
    pub(super) fn is_guarded(&self, device: u32) -> bool {
        self.devices
            .get(device)
            .is_some_and(|d| d.storm.packets_per_s != 0)
    }

    pub(super) fn packet_storm(&mut self, frame: &Frame<'_>, device: u32) -> Result<(), Reason> {
        let Some(device) = self.devices.get_mut(device) else {
            return Ok(());
        };
        let within = device
            .packets
            .take(device.storm.packets_per_s, frame.now_ns);
        if within {
            Ok(())
        } else {
            Err(Reason::StormPackets)
        }
    }

    pub(super) fn broadcast_storm(&mut self, frame: &Frame<'_>) -> Result<(), Reason> {
        let vlan = frame.meta.vlan;
        let limit = self.vlan_state(vlan, frame.now).broadcasts_per_s;
        let within = self.vlans.take(vlan, limit, frame.now_ns);
        if within {
            Ok(())
        } else {
            Err(Reason::StormBroadcast)
        }
    }

    /// As [`decide_again`](Self::decide_again), for a conversation an ICMP error is about.
    pub(super) fn is_current(&mut self, slot: u32, frame: &Frame<'_>) -> bool {
        self.flows.hot(slot).generation == self.generation || self.decide_again(slot, frame).is_ok()
    }
}

/// Whether the frame came from the side its source is on, and is addressed to one station or to
/// a group as the conversation is.
fn runs_along(hot: &Hot, frame: &Frame<'_>, forth: bool) -> bool {
    let from_ward = hot.has(FROM_WARD) == forth;
    let group = frame.meta.destination_mac.is_group();
    from_ward == (frame.from == Side::Ward) && group == hot.has(GROUP) && (forth || !group)
}

/// The segment of a TCP frame.
pub(crate) fn segment(meta: &PacketMeta) -> Option<Segment> {
    let L4::Tcp {
        flags,
        seq,
        ack,
        window,
        scale,
        ..
    } = meta.l4
    else {
        return None;
    };
    let len = u32::from(meta.end.saturating_sub(meta.payload_offset));
    Some(Segment {
        flags,
        seq,
        ack,
        window,
        scale,
        len,
    })
}

/// The packet of an SCTP frame.
pub(super) fn packet(meta: &PacketMeta) -> Option<Packet> {
    /// The T bit of ABORT and SHUTDOWN COMPLETE (RFC 9260 §3.3.7, §3.3.13).
    const REFLECTED: u8 = 1;
    let L4::Sctp {
        tag,
        chunk,
        flags,
        initiate,
        ..
    } = meta.l4
    else {
        return None;
    };
    let reflects = matches!(chunk, ABORT | SHUTDOWN_COMPLETE) && flags & REFLECTED != 0;
    Some(Packet {
        tag,
        chunk,
        reflects,
        initiate,
    })
}

fn answered(state: State, forth: bool) -> State {
    if forth { state } else { State::Answered }
}
