//! What adds up over a replay: verdicts, reasons, and who talks to whom. Bounded, like the
//! engine's own tables.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde::Serialize;
use wardline_engine::{L4, PacketMeta};
use wardline_policy::{DeviceKey, Initiator, Reason, RuleId, Side};

use crate::replay::record::{Outcome, addresses, device_of};

/// Conversations told apart; packets of further ones are only counted.
const CONVERSATIONS: usize = 65_536;

const TCP_SYN: u8 = 2;
const TCP_ACK: u8 = 16;

/// Packets and bytes on the wire.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Volume {
    pub packets: u64,
    pub bytes: u64,
}

impl Volume {
    fn add(&mut self, bytes: u32) {
        self.packets += 1;
        self.bytes += u64::from(bytes);
    }
}

/// What a device and a peer do with each other: all connections to one service are one
/// conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub(crate) struct ConversationKey {
    /// Absent for broadcast and multicast from the core side.
    pub device: Option<DeviceKey>,
    /// Who begins.
    pub initiator: Initiator,
    /// The other end.
    pub peer: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// The responder's port; `type << 8 | code` of ICMP; 0 of later fragments.
    pub port: u16,
}

/// How a conversation fared.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Conversation {
    #[serde(flatten)]
    pub volume: Volume,
    /// Packets by outcome.
    pub verdicts: BTreeMap<Outcome, u64>,
    /// Packets by reason.
    pub reasons: BTreeMap<Reason, u64>,
    /// The rule that decided last.
    #[serde(skip)]
    pub rule: RuleId,
}

/// One judged packet.
#[derive(Debug)]
pub(crate) struct Judged<'a> {
    pub from: Side,
    pub meta: Option<&'a PacketMeta>,
    pub outcome: Outcome,
    pub reason: Reason,
    pub rule: RuleId,
    pub time_ns: u64,
    /// On the wire.
    pub original_bytes: u32,
    /// In the capture.
    pub captured_bytes: usize,
}

/// Everything counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub volume: Volume,
    /// Earliest and latest capture time.
    pub span_ns: Option<(u64, u64)>,
    pub verdicts: BTreeMap<Outcome, u64>,
    pub reasons: BTreeMap<Reason, u64>,
    /// Packets that are not IP, by EtherType.
    pub ethertypes: BTreeMap<u16, Volume>,
    pub conversations: HashMap<ConversationKey, Conversation>,
    /// Packets of conversations beyond the limit.
    pub untold: u64,
    /// Packets the capture holds only in part.
    pub cut_short: u64,
    /// Packets earlier than the one before them.
    pub backwards: u64,
    last_ns: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, packet: &Judged<'_>) {
        self.volume.add(packet.original_bytes);
        let time = packet.time_ns;
        let (first, last) = self.span_ns.unwrap_or((time, time));
        self.span_ns = Some((first.min(time), last.max(time)));
        self.backwards += u64::from(time < self.last_ns);
        self.last_ns = time;
        *self.verdicts.entry(packet.outcome).or_default() += 1;
        *self.reasons.entry(packet.reason).or_default() += 1;
        self.cut_short += u64::from(packet.captured_bytes < packet.original_bytes as usize);
        if let Some(meta) = packet.meta {
            self.attribute(packet, meta);
        }
    }

    fn attribute(&mut self, packet: &Judged<'_>, meta: &PacketMeta) {
        let Some((as_request, as_answer)) = keys(packet.from, meta) else {
            let volume = self.ethertypes.entry(meta.ethertype).or_default();
            return volume.add(packet.original_bytes);
        };
        let key = if self.conversations.contains_key(&as_request)
            || !(self.conversations.contains_key(&as_answer) || looks_like_answer(&meta.l4))
        {
            as_request
        } else {
            as_answer
        };
        if self.conversations.len() >= CONVERSATIONS && !self.conversations.contains_key(&key) {
            self.untold += 1;
            return;
        }
        let conversation = self.conversations.entry(key).or_default();
        conversation.volume.add(packet.original_bytes);
        *conversation.verdicts.entry(packet.outcome).or_default() += 1;
        *conversation.reasons.entry(packet.reason).or_default() += 1;
        if packet.rule != RuleId(0) {
            conversation.rule = packet.rule;
        }
    }
}

/// The conversation of an IP packet if its sender began it, and if its receiver did.
fn keys(from: Side, meta: &PacketMeta) -> Option<(ConversationKey, ConversationKey)> {
    let (source, destination) = addresses(meta)?;
    let (source_port, destination_port) = match meta.l4 {
        // Queries and their answers differ by type; errors stand for themselves.
        L4::Icmp { kind, code, .. } => {
            let port = u16::from(query_type(meta.protocol, kind)) << 8 | u16::from(code);
            (port, port)
        }
        ref l4 => l4.ports().unwrap_or_default(),
    };
    let device = device_of(from, meta);
    let (sender, receiver, peer) = match from {
        Side::Ward => (Initiator::Device, Initiator::Peer, destination),
        Side::Core => (Initiator::Peer, Initiator::Device, source),
    };
    let key = |initiator, port| ConversationKey {
        device,
        initiator,
        peer,
        protocol: meta.protocol,
        port,
    };
    Some((key(sender, destination_port), key(receiver, source_port)))
}

/// An echo reply belongs to its request.
fn query_type(protocol: u8, kind: u8) -> u8 {
    match (protocol, kind) {
        (1, 0) => 8,
        (58, 129) => 128,
        (_, kind) => kind,
    }
}

/// Of the first packet seen of a conversation: whether it rather answers an earlier one.
fn looks_like_answer(l4: &L4) -> bool {
    match *l4 {
        L4::Tcp {
            source,
            destination,
            flags,
            ..
        } => match flags & (TCP_SYN | TCP_ACK) {
            TCP_SYN => false,
            flags if flags == TCP_SYN | TCP_ACK => true,
            _ => source < destination,
        },
        L4::Udp {
            source,
            destination,
        } => source < 1_024 && destination >= 1_024,
        L4::Icmp { kind, .. } => matches!(kind, 0 | 129),
        _ => false,
    }
}
