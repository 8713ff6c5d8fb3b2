//! A frame of no known conversation.

use wardline_policy::{Cast, Decision, Reason, Refusal, Side};

use super::hit::{packet, segment};
use super::settle::open_reason;
use super::{Engine, Frame, Keyed, Ruling, Subject};
use crate::binding::{Claim, Evidence, Owner};
use crate::device::{Denial, ip};
use crate::flow::key::query_type;
use crate::flow::sctp::{self, Association};
use crate::flow::tcp::{ACK, RST, SYN, Tracker};
use crate::flow::{
    FROM_WARD, GROUP, GUARDED, Hot, INITIATOR_IS_A, MIDSTREAM, NONE, NewFlow, Progress, SNOOP,
    State,
};
use crate::fragment::{DatagramKey, Fate, Part};
use crate::meta::{Fragment, L3, L4};
use crate::snoop::{dhcp, dhcpv6, dns, nd};
use crate::talk::{Talk, is_limited_broadcast, is_multicast, is_station, is_unspecified};
use crate::{EventKind, Verdict};

/// How a conversation begins.
enum Opening {
    /// As its protocol says, in this state.
    Fresh(State),
    /// In the middle: the process, or the conversation's entry, is younger than it is.
    Midstream,
    /// In the middle, with a segment that neither begins nor carries on anything.
    Stray,
}

impl Engine {
    pub(super) fn miss(&mut self, frame: &Frame<'_>, keyed: Option<&Keyed>) -> Verdict {
        let subject = match frame.from {
            Side::Ward => match self.sender(frame) {
                Ok(subject) => subject,
                Err((subject, reason)) => {
                    return self.settle(frame, &subject, Ruling::new(reason));
                }
            },
            Side::Core => {
                self.notice_core(frame);
                self.receiver(frame)
            }
        };
        let ruling = match frame.meta.l3 {
            L3::Arp => self.arp(frame, &subject),
            L3::Other => self.other_ethertype(frame),
            L3::Ip {
                source,
                destination,
                ..
            } => self.ip(frame, keyed, &subject, source, destination),
        };
        let ruling = self.within_limits(frame, &subject, ruling);
        self.settle(frame, &subject, ruling)
    }

    /// The storm guard of what is allowed towards a device or a VLAN.
    fn within_limits(&mut self, frame: &Frame<'_>, subject: &Subject, ruling: Ruling) -> Ruling {
        if frame.from == Side::Ward || !ruling.reason.forwards() {
            return ruling;
        }
        let within = if subject.group {
            self.broadcast_storm(frame)
        } else {
            self.packet_storm(frame, subject.slot)
        };
        within.map_or_else(Ruling::new, |()| ruling)
    }

    fn ip(
        &mut self,
        frame: &Frame<'_>,
        keyed: Option<&Keyed>,
        subject: &Subject,
        source: [u8; 16],
        destination: [u8; 16],
    ) -> Ruling {
        let bogus = is_multicast(source)
            || is_limited_broadcast(source)
            || (source == destination && !is_unspecified(source));
        if bogus {
            return Ruling::new(Reason::BadHeader);
        }
        if frame.from == Side::Ward
            && let Err(reason) = Self::rogue(frame)
        {
            return Ruling::new(reason);
        }
        if frame.from == Side::Ward
            && is_station(source)
            && !self.may_use(subject, source, frame.now)
        {
            return Ruling::new(match frame.meta.l3 {
                L3::Ip { version: 4, .. } => Reason::SpoofedIpv4,
                _ => Reason::SpoofedIpv6,
            });
        }
        if let Fragment::Later { .. } = frame.meta.fragment {
            return self.later_fragment(frame);
        }
        let mut ruling = self.datagram(frame, keyed, subject, source, destination);
        if let Fragment::First { .. } = frame.meta.fragment
            && let Err(reason) = self.first_fragment(frame, &ruling)
        {
            ruling = Ruling::new(reason);
        }
        if ruling.reason.forwards() || !subject.mode.drops() {
            // A device that may not use it was refused above.
            if is_station(source) {
                self.bind_permitted(frame, subject, source, Evidence::Use);
            }
        }
        ruling
    }

    /// A whole datagram, or a first fragment.
    fn datagram(
        &mut self,
        frame: &Frame<'_>,
        keyed: Option<&Keyed>,
        subject: &Subject,
        source: [u8; 16],
        destination: [u8; 16],
    ) -> Ruling {
        let talk = self.talk(frame, source, destination);
        let ruling = match frame.meta.l4 {
            L4::Icmp {
                kind, code, rest, ..
            } if query_type(frame.meta.protocol, kind).is_none() => {
                self.icmp(frame, subject, &talk, [kind, code], rest)
            }
            _ => match keyed {
                Some(keyed) => self.conversation(frame, keyed, subject, &talk),
                None => of(&self.ask(subject, &talk, false, frame.now)),
            },
        };
        if ruling.reason.forwards() || !subject.mode.drops() {
            self.learn(frame, subject.slot);
        }
        ruling
    }

    /// The first packet of a conversation.
    fn conversation(
        &mut self,
        frame: &Frame<'_>,
        keyed: &Keyed,
        subject: &Subject,
        talk: &Talk,
    ) -> Ruling {
        let opening = opening(frame);
        let asked = negative_hash(keyed, talk, matches!(opening, Opening::Fresh(_)));
        let context = self.context();
        let device = self.devices.get(subject.slot);
        if let Some(denial) = device.and_then(|d| d.negative.get(asked, context, frame.now)) {
            let Denial {
                reason,
                rule,
                refusal,
            } = denial;
            let ruling = Ruling {
                reason,
                rule,
                refusal,
            };
            // A question may have been asked since.
            if let Some(answer) = self.answer(frame, subject, talk) {
                return answer;
            }
            return self.admit_if_open(frame, keyed, subject, talk, ruling);
        }
        let (decision, talk) = self.decide_opening(frame, subject, talk, &opening);
        if !decision.allow {
            if let Some(ruling) = self.answer(frame, subject, &talk) {
                return ruling;
            }
            let ruling = of(&decision);
            let Ruling {
                reason,
                rule,
                refusal,
            } = ruling;
            if let Some(device) = self.devices.get_mut(subject.slot) {
                let denial = Denial {
                    reason,
                    rule,
                    refusal,
                };
                device.negative.put(asked, context, denial, frame.now);
            }
            return self.admit_if_open(frame, keyed, subject, &talk, ruling);
        }
        let ruling = match opening {
            Opening::Fresh(_) => of(&decision),
            Opening::Midstream if frame.now < self.grace_until => Ruling {
                reason: Reason::MidstreamPickup,
                ..of(&decision)
            },
            Opening::Midstream => Ruling::new(Reason::TcpNoHandshake),
            Opening::Stray => return Ruling::new(Reason::TcpNoHandshake),
        };
        if ruling.reason.forwards() {
            self.admit_allowed(frame, keyed, subject, &talk, &decision, ruling)
        } else {
            self.admit_if_open(frame, keyed, subject, &talk, ruling)
        }
    }

    /// What policy says; of a conversation in its middle, in whichever role it allows.
    fn decide_opening(
        &self,
        frame: &Frame<'_>,
        subject: &Subject,
        talk: &Talk,
        opening: &Opening,
    ) -> (Decision, Talk) {
        let decision = self.ask(subject, talk, false, frame.now);
        if decision.allow || matches!(opening, Opening::Fresh(_)) {
            return (decision, *talk);
        }
        let reversed = talk.reversed();
        let other = self.ask(subject, &reversed, false, frame.now);
        if other.allow {
            (other, reversed)
        } else {
            (decision, *talk)
        }
    }

    /// A unicast answer to an open question.
    fn answer(&self, frame: &Frame<'_>, subject: &Subject, talk: &Talk) -> Option<Ruling> {
        let is_udp = matches!(frame.meta.l4, L4::Udp { .. });
        if !is_udp || talk.cast != Cast::Unicast || subject.group {
            return None;
        }
        let rule = self.answers(subject, talk, frame.now)?;
        Some(Ruling {
            rule,
            ..Ruling::new(Reason::Answer)
        })
    }

    /// Begins an allowed conversation within the limits.
    fn admit_allowed(
        &mut self,
        frame: &Frame<'_>,
        keyed: &Keyed,
        subject: &Subject,
        talk: &Talk,
        decision: &Decision,
        ruling: Ruling,
    ) -> Ruling {
        if let Some(answer) = decision.answer {
            // Every question opens its window anew, so none becomes a conversation.
            let (device, generation) = (subject.slot, self.generation);
            let device = if subject.group { NONE } else { device };
            let seconds = answer.seconds;
            self.windows
                .open(*talk, device, decision.rule, generation, seconds, frame.now);
            return ruling;
        }
        if frame.from == Side::Core
            && let Some(device) = self.devices.get_mut(subject.slot)
            && !device
                .new_flows
                .take(device.storm.new_flows_per_s, frame.now_ns)
        {
            return Ruling::new(Reason::StormFlows);
        }
        match self.begin(frame, keyed, subject, talk, &ruling) {
            Ok(()) => ruling,
            Err(reason) => Ruling::new(reason),
        }
    }

    /// A device that does not enforce gets its conversation all the same, so that it can be
    /// decided again when it does.
    fn admit_if_open(
        &mut self,
        frame: &Frame<'_>,
        keyed: &Keyed,
        subject: &Subject,
        talk: &Talk,
        ruling: Ruling,
    ) -> Ruling {
        if !subject.mode.drops() {
            // Without room it stays a frame without a conversation, and is forwarded as well.
            let _ = self.begin(frame, keyed, subject, talk, &ruling);
        }
        ruling
    }

    /// Puts the conversation into the table.
    fn begin(
        &mut self,
        frame: &Frame<'_>,
        keyed: &Keyed,
        subject: &Subject,
        talk: &Talk,
        ruling: &Ruling,
    ) -> Result<(), Reason> {
        if keyed.slot.is_some() && self.flows.find(&keyed.key, keyed.hash).is_some() {
            // The same addresses under another station: judged frame by frame.
            return Ok(());
        }
        if self.budget == 0 {
            return Err(Reason::NewFlowBudget);
        }
        let flow = self.new_flow(frame, keyed, subject, talk, ruling);
        if let Some(victim) = self.flows.room(subject.slot, flow.hot.state, frame.now)? {
            self.end(victim, frame.now_ns);
        }
        let slot = self.flows.insert(&flow, keyed.hash)?;
        self.budget -= 1;
        self.counters.flows_begun += 1;
        self.counters.flows = u64::from(self.flows.len());
        let reason = ruling.reason;
        let facts = self.facts_of(slot, reason);
        self.tell(frame.now_ns, Some(subject.key), EventKind::FlowBegun(facts));
        Ok(())
    }

    fn new_flow(
        &self,
        frame: &Frame<'_>,
        keyed: &Keyed,
        subject: &Subject,
        talk: &Talk,
        ruling: &Ruling,
    ) -> NewFlow {
        let opening = opening(frame);
        // Midstream, the sender may be the responder.
        let sender_began = talk.source == keyed.tuple.source;
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let from_ward = (frame.from == Side::Ward) == sender_began;
        let snooped =
            dns::is_dns(frame.meta) || dhcp::is_dhcp(frame.meta) || dhcpv6::is_dhcpv6(frame.meta);
        let flags = flag(keyed.source_is_a == sender_began, INITIATOR_IS_A)
            | flag(from_ward, FROM_WARD)
            | flag(frame.meta.destination_mac.is_group(), GROUP)
            | flag(snooped, SNOOP)
            | flag(self.is_guarded(subject.slot), GUARDED)
            | flag(!matches!(opening, Opening::Fresh(_)), MIDSTREAM);
        let hot = Hot {
            mac: subject.key.mac,
            device: subject.slot,
            generation: self.generation,
            last: frame.now,
            rule: ruling.rule,
            state: begun(&opening),
            flags,
            reason: open_reason(subject.mode).unwrap_or(Reason::Established),
            would_drop: (!ruling.reason.forwards()).then_some(ruling.reason),
            mode: subject.mode,
            cast: talk.cast,
            asked_port: talk.destination_port,
            ..Hot::BLANK
        };
        NewFlow {
            key: keyed.key,
            hot,
            progress: progress(frame, &opening, sender_began),
            epoch: subject.epoch,
            back: !sender_began,
            len: frame.bytes.len(),
        }
    }

    /// Binds an address to who sent the frame, if a device may use it, and tells about it.
    pub(super) fn bind(
        &mut self,
        frame: &Frame<'_>,
        subject: &Subject,
        address: [u8; 16],
        evidence: Evidence,
    ) {
        if frame.from == Side::Core || self.may_use(subject, address, frame.now) {
            self.bind_permitted(frame, subject, address, evidence);
        }
    }

    fn bind_permitted(
        &mut self,
        frame: &Frame<'_>,
        subject: &Subject,
        address: [u8; 16],
        evidence: Evidence,
    ) {
        let vlan = frame.meta.vlan;
        if frame.from == Side::Core {
            if !self.is_wrong_side(frame) {
                let owner = Owner::Core(frame.meta.source_mac);
                self.bindings
                    .claim(owner, address, vlan, evidence, frame.now);
            }
            return;
        }
        if subject.slot == NONE {
            return;
        }
        let owner = Owner::Device(subject.slot);
        if self
            .bindings
            .claim(owner, address, vlan, evidence, frame.now)
            == Claim::Bound
        {
            let address = ip(address);
            self.tell(
                frame.now_ns,
                Some(subject.key),
                EventKind::AddressBound { address },
            );
        }
    }

    pub(super) fn first_fragment(
        &mut self,
        frame: &Frame<'_>,
        ruling: &Ruling,
    ) -> Result<(), Reason> {
        let (Some(key), Fragment::First { len, .. }) = (datagram(frame), frame.meta.fragment)
        else {
            return Ok(());
        };
        let part = Part {
            start: 0,
            end: u32::from(len),
        };
        let fate = Fate {
            reason: ruling.reason,
            rule: ruling.rule,
            refusal: ruling.refusal,
        };
        self.fragments.first(key, part, fate, frame.now)
    }

    fn later_fragment(&mut self, frame: &Frame<'_>) -> Ruling {
        let (Some(key), Fragment::Later { offset, len, .. }) =
            (datagram(frame), frame.meta.fragment)
        else {
            return Ruling::new(Reason::FragmentBeforeFirst);
        };
        let start = u32::from(offset);
        let part = Part {
            start,
            end: start + u32::from(len),
        };
        match self.fragments.later(&key, part, frame.now) {
            Err(reason) => Ruling::new(reason),
            Ok(fate) if fate.reason.forwards() => Ruling {
                rule: fate.rule,
                ..Ruling::new(Reason::FragmentFollows)
            },
            // Only the first fragment is answered.
            Ok(Fate { reason, rule, .. }) => Ruling {
                reason,
                rule,
                refusal: Refusal::Silent,
            },
        }
    }

    /// What remembered denials depend on.
    fn context(&self) -> u64 {
        let facts = self.bindings.version.wrapping_add(self.names.version);
        u64::from(self.generation) << 32 | u64::from(facts)
    }

    /// DHCP server messages and router advertisements from the ward side.
    pub(super) fn rogue(frame: &Frame<'_>) -> Result<(), Reason> {
        /// Only servers send from this port.
        const DHCP_SERVER: u16 = 67;
        const DHCPV6_SERVER: u16 = 547;
        const DHCPV6_CLIENT: u16 = 546;
        let (source, destination) = super::settle::ports(&frame.meta.l4);
        if dhcp::is_dhcp(frame.meta) {
            let server = dhcp::parse(frame.payload()).is_ok_and(|m| m.is_from_server());
            let to_client = source == DHCP_SERVER && destination != DHCP_SERVER;
            return if server || to_client {
                Err(Reason::RogueDhcp)
            } else {
                Ok(())
            };
        }
        if dhcpv6::is_dhcpv6(frame.meta) {
            let server = dhcpv6::parse(frame.payload()).is_ok_and(|m| m.is_from_server());
            let to_client = source == DHCPV6_SERVER && destination == DHCPV6_CLIENT;
            return if server || to_client {
                Err(Reason::RogueDhcp)
            } else {
                Ok(())
            };
        }
        let router = matches!(
            frame.meta.l4,
            L4::Icmp {
                kind: 134 | 137,
                ..
            }
        );
        if router && nd::is_nd(frame.meta) {
            Err(Reason::RogueRa)
        } else {
            Ok(())
        }
    }
}

/// The judgement that is a decision of the policy.
pub(super) const fn of(decision: &Decision) -> Ruling {
    Ruling {
        reason: decision.reason,
        rule: decision.rule,
        refusal: decision.refusal,
    }
}

fn opening(frame: &Frame<'_>) -> Opening {
    match frame.meta.l4 {
        L4::Tcp { flags, .. } => match flags & (SYN | ACK | RST) {
            SYN => Opening::Fresh(State::SynSent),
            ACK => Opening::Midstream,
            _ => Opening::Stray,
        },
        L4::Sctp { chunk, .. } => match chunk {
            sctp::INIT => Opening::Fresh(State::SynSent),
            sctp::INIT_ACK | sctp::ABORT | sctp::SHUTDOWN_COMPLETE => Opening::Stray,
            _ => Opening::Midstream,
        },
        _ => Opening::Fresh(State::Unanswered),
    }
}

const fn begun(opening: &Opening) -> State {
    match opening {
        Opening::Fresh(state) => *state,
        Opening::Midstream | Opening::Stray => State::Established,
    }
}

fn progress(frame: &Frame<'_>, opening: &Opening, sender_began: bool) -> Progress {
    let from = usize::from(!sender_began);
    match (segment(frame.meta), packet(frame.meta), opening) {
        (Some(segment), _, Opening::Fresh(_)) => Progress::Tcp(Tracker::begin(&segment)),
        (Some(segment), _, _) => Progress::Tcp(Tracker::midstream(&segment, from)),
        (_, Some(packet), Opening::Fresh(_)) => Progress::Sctp(Association::begin(&packet)),
        (_, Some(packet), _) => Progress::Sctp(Association::midstream(&packet, from)),
        (None, None, _) => Progress::Other,
    }
}

/// A conversation as the negative cache knows it: direction, way of addressing and ICMP type
/// part what the symmetric key joins.
fn negative_hash(keyed: &Keyed, talk: &Talk, fresh: bool) -> u64 {
    let more = u64::from(talk.destination_port) << 8
        | (talk.cast as u64) << 2
        | u64::from(fresh) << 1
        | u64::from(keyed.source_is_a);
    (keyed.hash ^ more.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(17)
}

fn datagram(frame: &Frame<'_>) -> Option<DatagramKey> {
    let L3::Ip {
        source,
        destination,
        ..
    } = frame.meta.l3
    else {
        return None;
    };
    let (Fragment::First { id, .. } | Fragment::Later { id, .. }) = frame.meta.fragment else {
        return None;
    };
    Some(DatagramKey {
        source,
        destination,
        id,
        protocol: frame.meta.protocol,
        vlan: frame.meta.vlan,
        ward: frame.from == Side::Ward,
    })
}
