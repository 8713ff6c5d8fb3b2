//! What a replay comes to: the last line of JSON, and what the report for people is made of.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;
use wardline_engine::{DeviceView, DhcpFacts, Traffic};
use wardline_policy::{DeviceKey, Mode, Reason};

use crate::replay::input::Input;
use crate::replay::judge::Judge;
use crate::replay::record::Outcome;
use crate::replay::side::{Basis, Sides};
use crate::replay::tally::{Conversation, ConversationKey, Tally, Volume};
use crate::words;

/// Everything that is known at the end.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Whether a policy was given; without one everything is observed.
    pub with_policy: bool,
    /// Content hash of the policy that was in force at the end.
    pub policy_id: Option<String>,
    /// How sides were told.
    pub sides: Basis,
    pub captures: Vec<CaptureSummary>,
    pub packets: u64,
    /// On the wire.
    pub bytes: u64,
    /// Earliest and latest packet.
    pub from: Option<String>,
    pub to: Option<String>,
    /// Packets by outcome; all three add up to `packets`.
    pub verdicts: BTreeMap<Outcome, u64>,
    /// Packets by reason; they add up to `packets`.
    pub reasons: BTreeMap<Reason, u64>,
    pub devices: Vec<DeviceSummary>,
    pub flows: FlowSummary,
    pub conversations: Vec<ConversationSummary>,
    /// Packets of conversations beyond what is told apart.
    pub untold_packets: u64,
    pub protocols: Vec<ProtocolSummary>,
    /// Resets and unreachables the box would have sent, towards ward and core.
    pub refusals: [u64; 2],
    /// Packets the captures hold only in part: they are judged by what is there.
    pub cut_short: u64,
    /// Packets earlier than the one before.
    pub backwards: u64,
    /// Packets left out: the view of one already judged from the other side.
    pub crossings: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct CaptureSummary {
    pub file: String,
    pub packets: u64,
    pub error: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct DeviceSummary {
    #[serde(flatten)]
    pub key: DeviceKey,
    /// Name in the policy; empty when it is not listed.
    pub name: String,
    pub role: Option<String>,
    pub mode: Mode,
    pub addresses: Vec<IpAddr>,
    /// Who its MAC address is registered to.
    pub vendor: Option<&'static str>,
    pub dhcp: Option<DhcpFacts>,
    pub first_seen: String,
    pub last_seen: String,
    /// What came from it and was forwarded.
    pub sent: Traffic,
    /// What came for it and was forwarded.
    pub got: Traffic,
    pub dropped: BTreeMap<Reason, u64>,
    pub would_drop: BTreeMap<Reason, u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct FlowSummary {
    pub begun: u64,
    /// At the end.
    pub open: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct ConversationSummary {
    #[serde(flatten)]
    pub key: ConversationKey,
    /// Name of the device in the policy, or empty.
    pub device_name: String,
    #[serde(flatten)]
    pub conversation: Conversation,
    pub rule: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ProtocolSummary {
    pub protocol: String,
    pub conversations: u64,
    #[serde(flatten)]
    pub volume: Volume,
}

impl Summary {
    pub(crate) fn new(
        input: &Input,
        sides: &Sides,
        tally: &Tally,
        judge: Option<&Judge>,
        with_policy: bool,
    ) -> Self {
        let verdicts = [Outcome::Forward, Outcome::WouldDrop, Outcome::Drop];
        let verdicts = verdicts.map(|o| (o, tally.verdicts.get(&o).copied().unwrap_or(0)));
        Self {
            kind: "summary",
            with_policy,
            policy_id: judge
                .filter(|_| with_policy)
                .map(|judge| judge.snapshot().id().to_owned()),
            sides: sides.basis(),
            captures: captures(input),
            packets: tally.volume.packets,
            bytes: tally.volume.bytes,
            from: tally.span_ns.map(|(first, _)| words::rfc3339_ns(first)),
            to: tally.span_ns.map(|(_, last)| words::rfc3339_ns(last)),
            verdicts: verdicts.into(),
            reasons: tally.reasons.clone(),
            devices: judge.map(devices).unwrap_or_default(),
            flows: FlowSummary {
                begun: judge.map_or(0, |j| j.counters().flows_begun),
                open: judge.map_or(0, |j| j.flows().count() as u64),
            },
            conversations: judge.map(|j| conversations(tally, j)).unwrap_or_default(),
            untold_packets: tally.untold,
            protocols: protocols(tally),
            refusals: judge.map_or([0; 2], |j| j.counters().refusals_sent),
            cut_short: tally.cut_short,
            backwards: tally.backwards,
            crossings: input.crossings,
        }
    }
}

fn captures(input: &Input) -> Vec<CaptureSummary> {
    let captures = input.captures.iter();
    captures
        .map(|capture| CaptureSummary {
            file: capture.path.display().to_string(),
            packets: capture.packets,
            error: capture.trouble.as_ref().map(ToString::to_string),
        })
        .collect()
}

fn devices(judge: &Judge) -> Vec<DeviceSummary> {
    let mut devices: Vec<_> = judge.devices().map(device).collect();
    devices.sort_by_key(|d| d.key);
    devices
}

fn device(view: DeviceView) -> DeviceSummary {
    let by_reason = |counters: &[u64], keep: fn(Reason) -> bool| {
        let named = Reason::ALL.iter().copied().zip(counters.iter().copied());
        named.filter(|(r, n)| *n > 0 && keep(*r)).collect()
    };
    DeviceSummary {
        key: view.key,
        name: view.name,
        role: view.role,
        mode: view.mode,
        addresses: view.addresses,
        vendor: view.vendor,
        dhcp: view.dhcp,
        first_seen: words::rfc3339_ns(view.first_seen_ns),
        last_seen: words::rfc3339_ns(view.last_seen_ns),
        sent: view.sent,
        got: view.got,
        dropped: by_reason(&view.by_reason, |r| !r.forwards()),
        would_drop: by_reason(&view.would_drop, |_| true),
    }
}

fn conversations(tally: &Tally, judge: &Judge) -> Vec<ConversationSummary> {
    let snapshot = judge.snapshot();
    let mut all: Vec<_> = tally
        .conversations
        .iter()
        .map(|(key, conversation)| {
            let entry = key.device.map(|device| snapshot.lookup(&device));
            let rule = snapshot.rule_name(conversation.rule);
            ConversationSummary {
                key: *key,
                device_name: entry.map_or_else(String::new, |e| snapshot.entry(e).name.clone()),
                conversation: conversation.clone(),
                rule: (!rule.is_empty()).then(|| rule.to_owned()),
            }
        })
        .collect();
    all.sort_by_key(|c| (std::cmp::Reverse(c.conversation.volume.packets), c.key));
    all
}

fn protocols(tally: &Tally) -> Vec<ProtocolSummary> {
    let mut by_name: BTreeMap<String, ProtocolSummary> = BTreeMap::new();
    let mut add = |name: String, conversations, volume: Volume| {
        let sum = by_name
            .entry(name.clone())
            .or_insert_with(|| ProtocolSummary {
                protocol: name,
                conversations: 0,
                volume: Volume::default(),
            });
        sum.conversations += conversations;
        sum.volume.packets += volume.packets;
        sum.volume.bytes += volume.bytes;
    };
    for (key, conversation) in &tally.conversations {
        add(
            words::service(key.protocol, key.port),
            1,
            conversation.volume,
        );
    }
    for (number, volume) in &tally.ethertypes {
        add(words::ethertype(*number), 0, *volume);
    }
    let mut all: Vec<_> = by_name.into_values().collect();
    all.sort_by_key(|p| std::cmp::Reverse(p.volume.packets));
    all
}
