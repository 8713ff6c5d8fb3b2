//! What the fast path shows of itself.
//!
//! Times named `_us` are microseconds since the Unix epoch, so that a JSON reader with 53-bit
//! numbers keeps them exact. Counts are since the start of the process unless said otherwise.

mod capture;
mod context;
mod model;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use wardline_policy::{Care, DeviceKey, Initiator, MacAddr, Mode, Reason, Side};

pub use capture::{
    CaptureOrder, CapturePage, CaptureState, CaptureVerdict, CapturedFrame, FrameBytes,
};
pub use context::{ContextEntry, ContextPage, Subject};
pub use model::{ModelOrigin, ModelStatus};

/// Frames by reason; reasons that never occurred are left out.
pub type ByReason = BTreeMap<Reason, u64>;

/// Answer to `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION) of the server.
    pub protocol_version: u32,
    /// Version of the fast path.
    pub software_version: String,
    /// When the process started.
    pub started_us: u64,
    /// Process id of the fast path.
    pub pid: u32,
}

/// Why a call was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The sort of trouble.
    pub kind: RefusedKind,
    /// One sentence: what was wrong and what to do.
    pub message: String,
    /// Where in the policy document, for `RefusedKind::Policy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
}

impl Refused {
    /// A refusal that is not about places in a document.
    pub fn new(kind: RefusedKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            diagnostics: Vec::new(),
        }
    }
}

/// The sort of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedKind {
    /// An argument is out of its bounds.
    Argument,
    /// The policy document has errors; see the diagnostics.
    Policy,
    /// Another policy is in force than the caller believed.
    Conflict,
    /// The fast path is starting, stopping or busy; asking again later helps.
    Unavailable,
    /// Something failed inside; the log says more.
    Internal,
}

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Refused {}

/// Answer to `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the fast path.
    pub software_version: String,
    /// Process id.
    pub pid: u32,
    /// When the process started.
    pub started_us: u64,
    /// Seconds since then.
    pub uptime_s: u64,
    /// From the start of the process to the first poll of both ports, in milliseconds.
    pub startup_ms: u64,
    /// Memory of the packet path.
    pub memory: MemoryStatus,
    /// The ports, ward side first.
    pub ports: Vec<PortStatus>,
    /// The workers.
    pub workers: Vec<WorkerStatus>,
    /// What happened to the frames, all workers together.
    pub counters: Counters,
    /// The policy in force.
    pub policy: PolicyStatus,
    /// Devices known.
    pub devices: u64,
    /// Conversations in progress.
    pub flows: u64,
    /// Events that were lost because nobody fetched them in time.
    pub events_dropped: u64,
    /// What the classifier had room for.
    #[serde(default)]
    pub classifier: ClassifierStatus,
    /// What the watch over the devices had room for, and what it held back.
    #[serde(default)]
    pub behaviour: BehaviourStatus,
}

/// What the classifier had room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassifierStatus {
    /// Stations it knows now, on both sides.
    pub stations: u64,
    /// Stations it forgot to make room for others.
    pub stations_forgotten: u64,
    /// Samples and windows of stations there was no room for.
    pub unobserved: u64,
}

/// What the watch over the devices had room for, and what it held back. Counts outlast a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BehaviourStatus {
    /// Devices it watches now.
    pub devices: u64,
    /// Times something was told of a device there was no room for.
    pub devices_full: u64,
    /// Devices it forgot to make room for others.
    pub devices_forgotten: u64,
    /// Services of a device that found no room in what it usually does.
    pub services_full: u64,
    /// Observations held back because of the alerts of this hour, of the device or of all.
    pub held_back: u64,
    /// Observations not told because the device had as many alerts as are kept.
    pub alerts_full: u64,
    /// Events that were gone before they were read, since the start.
    pub events_lost: u64,
}

/// Memory of the packet path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStatus {
    /// Whether DPDK uses huge pages.
    pub huge_pages: bool,
    /// Why, in a sentence.
    pub note: String,
    /// DPDK's memory in MiB.
    pub mib: u32,
}

/// One port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatus {
    /// Which side it faces.
    pub side: Side,
    /// As configured: `af_xdp`, `af_packet`, `pci` or `devargs`.
    pub driver: String,
    /// Interface, PCI address or device arguments.
    pub device: String,
    /// Largest payload of an Ethernet frame, in bytes.
    pub mtu: u32,
    /// Queues in use.
    pub queues: u32,
    /// Link state.
    pub link: LinkState,
    /// The driver's own counters.
    pub stats: PortStats,
}

/// Link state of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Carrier present.
    Up,
    /// No carrier.
    Down,
}

/// Counters of a port as its driver keeps them, in frames unless named otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PortStats {
    /// Received.
    pub rx_frames: u64,
    /// Received bytes.
    pub rx_bytes: u64,
    /// Sent.
    pub tx_frames: u64,
    /// Sent bytes.
    pub tx_bytes: u64,
    /// Lost before the worker saw them: receive ring full.
    pub rx_missed: u64,
    /// Damaged on arrival.
    pub rx_errors: u64,
    /// Lost because no buffer was free.
    pub rx_no_buffer: u64,
    /// Refused by the driver on sending.
    pub tx_errors: u64,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Number, from 0; also the queue it serves on both ports.
    pub index: u32,
    /// CPU core it is bound to.
    pub lcore: u32,
    /// `busy` or `adaptive`.
    pub poll: String,
    /// Rounds over both ports.
    pub polls: u64,
    /// Of these, rounds that found nothing.
    pub empty_polls: u64,
    /// Times it slept (adaptive only).
    pub parks: u64,
    /// Bursts with at least one frame.
    pub bursts: u64,
    /// Frames in them.
    pub frames: u64,
    /// Nanoseconds spent on bursts with frames.
    pub busy_ns: u64,
    /// Nanoseconds since the worker started.
    pub elapsed_ns: u64,
    /// Longest time between two rounds, in nanoseconds, sleeps included, since the last status.
    pub longest_round_ns: u64,
    /// Feature windows of devices that were finished.
    #[serde(default)]
    pub feature_windows: u64,
    /// Windows and samples the classifier did not fetch in time.
    #[serde(default)]
    pub unfetched: [u64; 2],
    /// Frames that arrived here and belonged to another worker.
    pub handed_over: u64,
    /// Of these, lost because the other worker's ring was full.
    pub hand_over_drops: u64,
}

/// What happened to all frames. For each side: `received = Σ by_reason` and
/// `received = forwarded + dropped`; a frame that policy let pass but the egress did not take
/// counts as dropped under `egress-full` or `oversize`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Frames that came in on the ward side.
    pub ward: SideCounters,
    /// Frames that came in on the core side.
    pub core: SideCounters,
    /// Forwarded only because the device does not enforce, by the reason it would have been
    /// dropped for. Part of `forwarded`, not beside it.
    pub would_drop: ByReason,
    /// Resets and unreachables the box sent itself towards the ward side.
    pub refusals_to_ward: u64,
    /// The same towards the core side.
    pub refusals_to_core: u64,
    /// Conversations begun.
    pub flows_begun: u64,
}

/// Counters of the frames that came in on one side.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SideCounters {
    /// Frames received.
    pub received: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Frames sent out again.
    pub forwarded: u64,
    /// Frames dropped.
    pub dropped: u64,
    /// Every received frame, under exactly one reason.
    pub by_reason: ByReason,
}

/// The policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// Content hash.
    pub id: String,
    /// Name it was given, usually a file name.
    pub name: String,
    /// When the document was applied, be it before a restart.
    pub applied_us: u64,
    /// Its number: 1 for the policy the process started with, one more with each swap.
    pub generation: u32,
    /// When a limited permission begins or ends next, in seconds since the epoch.
    pub next_boundary_s: Option<u64>,
    /// When it is rolled back unless confirmed, in seconds since the epoch.
    pub rollback_at_s: Option<u64>,
    /// Where it came from: `state` (the last accepted one), `initial` (named by the
    /// configuration), `control` (applied over the socket) or `none` (observe everything).
    pub origin: String,
}

/// One page of devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicesPage {
    /// The devices.
    pub devices: Vec<DeviceView>,
    /// Cursor of the next page; absent at the end.
    pub next: Option<u64>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// MAC address and VLAN.
    pub key: DeviceKey,
    /// Name in the policy; empty when the policy does not list it.
    pub name: String,
    /// Role in the policy.
    pub role: Option<String>,
    /// Step of the ladder.
    pub mode: Mode,
    /// Highest care class among its rules.
    pub care: Care,
    /// Addresses bound to it.
    pub addresses: Vec<IpAddr>,
    /// First frame seen.
    pub first_seen_us: u64,
    /// Last frame seen.
    pub last_seen_us: u64,
    /// Who its MAC address is registered to: often the maker of its network module only.
    #[serde(default)]
    pub vendor: Option<String>,
    /// What it says of itself in DHCP.
    pub dhcp: Option<DhcpFacts>,
    /// What came from it and was forwarded.
    pub sent: Traffic,
    /// What came for it and was forwarded.
    pub got: Traffic,
    /// Every frame from and to it, by the reason of its verdict.
    pub by_reason: ByReason,
    /// Frames forwarded only because it does not enforce, by the reason they would have been
    /// dropped for.
    pub would_drop: ByReason,
    /// Conversations in progress.
    pub flows: u32,
    /// Frames with its MAC address as source that came from the core side: a loop, or it moved.
    pub wrong_side: u64,
    /// What the classifier takes it for; absent while nothing was looked at.
    #[serde(default)]
    pub identity: Option<Identity>,
}

/// What the classifier takes a device for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// Its role; absent while unknown or undecided.
    pub role: Option<String>,
    /// The role, or those it may have while undecided.
    pub roles: Vec<String>,
    /// The same in words: `infusion pump`, `plug or hub`, `unknown`.
    pub words: String,
    /// How probable it is that its role is among `roles`, in percent.
    pub probability_percent: u8,
    /// Whether it may put rules in force: the device said what it is, or a person confirmed it.
    pub may_enforce: bool,
    /// Whether a person confirmed the role.
    pub confirmed: bool,
    /// Why, heaviest first.
    pub evidence: Vec<Evidence>,
    /// What of its traffic moved the model, in sentences.
    pub traffic: Vec<String>,
    /// What would change the answer.
    pub would_change: Vec<String>,
    /// Evidence that contradicts itself, in a sentence.
    pub conflict: Option<String>,
    /// That a confirmed device no longer behaves as what it is.
    pub drift: Option<String>,
    /// Type, such as a product.
    pub kind: Option<String>,
    /// Maker as stated, or as registered for its address.
    pub vendor: Option<String>,
    /// Model as stated.
    pub model: Option<String>,
    /// Serial number as stated.
    pub serial: Option<String>,
    /// Software version as stated.
    pub software: Option<String>,
    /// Names that may be asset tags.
    pub asset_tags: Vec<String>,
    /// The devices it speaks for, when they are several.
    pub speaks_for: Vec<String>,
    /// Set by management: when this was known last. The fast path was started anew since and has not
    /// heard enough yet to say it again. Absent: this is what is known now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recalled_us: Option<u64>,
}

/// One statement about a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What a person reads.
    pub sentence: String,
    /// The protocol it was said in.
    pub source: String,
    /// Field of the protocol, such as `dicom.calling-ae`.
    pub field: String,
    /// `weak`, `medium` or `strong`.
    pub strength: String,
    /// When it was said first.
    pub time_us: u64,
}

/// What a device says of itself in DHCP. Untrusted text, cut to printable characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DhcpFacts {
    /// Option 12.
    pub hostname: String,
    /// Option 60.
    pub vendor_class: String,
    /// Option 55, the order is telling.
    pub parameter_list: Vec<u8>,
}

/// Frames and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Frames.
    pub frames: u64,
    /// Bytes, Ethernet header included, checksum not.
    pub bytes: u64,
}

/// Which conversations to list; fields that are absent do not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FlowFilter {
    /// Of the device with this MAC address, in whatever VLAN.
    pub mac: Option<MacAddr>,
    /// With this address at either end.
    pub address: Option<IpAddr>,
    /// With this port at either end.
    pub port: Option<u16>,
    /// With this IP protocol number.
    pub protocol: Option<u8>,
    /// Forwarded for this reason.
    pub reason: Option<Reason>,
}

/// One page of conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowsPage {
    /// The conversations.
    pub flows: Vec<FlowView>,
    /// Cursor of the next page; absent at the end.
    pub next: Option<u64>,
}

/// One conversation. Its device, addresses, protocol, ports and `first_seen_us` together are found in
/// no other one of the same process, and are the same in all that is told of it; only setting the
/// wall clock changes `first_seen_us`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowView {
    /// The device it belongs to.
    pub device: DeviceKey,
    /// Name of the device in the policy, or empty.
    pub device_name: String,
    /// Who sent the first packet.
    pub initiator: Initiator,
    /// Source of the first packet.
    pub source: IpAddr,
    /// Destination of the first packet.
    pub destination: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Source port of the first packet, or the identifier of an ICMP query.
    pub source_port: u16,
    /// Destination port of the first packet; `type << 8 | code` for ICMP.
    pub destination_port: u16,
    /// `half-open`, `established`, `closing`, `closed`, `reset`, `unanswered` or `answered`.
    pub state: String,
    /// Why it is forwarded.
    pub reason: Reason,
    /// Why it would be dropped, if the device enforced.
    pub would_drop: Option<Reason>,
    /// The rule that allows it, in words; empty if none.
    pub rule: String,
    /// From the initiator.
    pub forth: Traffic,
    /// To the initiator.
    pub back: Traffic,
    /// First packet, at most 68 ms early.
    pub first_seen_us: u64,
    /// Last packet.
    pub last_seen_us: u64,
}

/// How a policy document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyFormat {
    /// TOML.
    #[default]
    Toml,
    /// JSON.
    Json,
}

/// A policy document on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// Name for messages, usually a file name; at most `NAME_BYTES`.
    pub name: String,
    /// How it is written.
    pub format: PolicyFormat,
    /// The document; at most `POLICY_BYTES`.
    pub text: String,
}

/// How to apply a policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ApplyOptions {
    /// Refuse with `Conflict` unless this policy is in force.
    pub expected_id: Option<String>,
    /// Roll back by itself unless `policy_confirm` comes within so many seconds
    /// (1 to `CONFIRM_WITHIN_S`).
    pub confirm_within_s: Option<u32>,
}

/// A policy was put in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Content hash of the policy now in force.
    pub id: String,
    /// The one before it.
    pub previous_id: String,
    /// Remarks that did not keep it from being applied.
    pub warnings: Vec<Diagnostic>,
    /// When it is rolled back unless confirmed, in seconds since the epoch.
    pub rollback_at_s: Option<u64>,
}

/// The document in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyInForce {
    /// Content hash.
    pub id: String,
    /// The document; empty text when no document was ever applied.
    pub policy: PolicyText,
    /// When it was applied here.
    pub applied_us: u64,
}

/// One remark on a policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Line from 1; 0 if it concerns no line.
    pub line: u32,
    /// Column from 1; 0 if it concerns no column.
    pub column: u32,
    /// Path of keys to the place, such as `devices[2].rules[0].peer`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it, if that is known.
    pub fix: Option<String>,
}

/// How bad a remark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The document cannot be applied.
    Error,
    /// It can, but a person should look.
    Warning,
}

/// Answer to `events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBatch {
    /// The events, oldest first.
    pub events: Vec<EventRecord>,
    /// `from_seq` for the next call.
    pub next_seq: u64,
    /// Events between `from_seq` and the first of these that were dropped meanwhile.
    pub lost: u64,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Number, rising by one; starts again at 1 when the process starts.
    pub seq: u64,
    /// When.
    pub time_us: u64,
    /// The device it is about.
    pub device: Option<DeviceKey>,
    /// Name of the device in the policy, or empty.
    pub device_name: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The process began to forward.
    Started {
        /// Policy it started with.
        policy: String,
    },
    /// Another policy came into force.
    PolicyApplied {
        /// The new one.
        policy: String,
        /// The old one.
        previous: String,
        /// `control`, `rollback` or `boundary` (a limited permission began or ended).
        cause: String,
    },
    /// The link of a port changed.
    Link {
        /// Which port.
        side: Side,
        /// To what.
        link: LinkState,
    },
    /// A device spoke for the first time.
    DeviceSeen,
    /// A device is taken for something else than before.
    Identified {
        /// Its role now; absent: unknown.
        role: Option<String>,
        /// Its role before.
        previous: Option<String>,
        /// The heaviest evidence, in a sentence.
        because: String,
    },
    /// A person said what a device is.
    RoleStated {
        /// Its role; absent: what was said before counts no more.
        role: Option<String>,
        /// Who said it.
        who: String,
    },
    /// A device does not behave as it used to, or does again.
    Behaviour {
        /// Number of the alert.
        alert: u64,
        /// What happened to it.
        change: AlertChange,
        /// How grave it is, in percent.
        score_percent: u8,
        /// What is wrong, the gravest first.
        reasons: Vec<String>,
        /// The alert about another device that was told for the same peer.
        part_of: Option<u64>,
    },
    /// A person said that what an alert is about is usual for the device from now on.
    AlertAccepted {
        /// Number of the alert.
        alert: u64,
        /// Who said it.
        who: String,
        /// Why.
        reason: String,
    },
    /// An address was bound to a device.
    AddressBound {
        /// The address.
        address: IpAddr,
    },
    /// A frame with the device's MAC address as source came from the core side: a loop, a second
    /// path around the box, or the device moved.
    WrongSide,
    /// A conversation began.
    FlowBegun(FlowFacts),
    /// A conversation ended (closed, timed out or revoked).
    FlowEnded {
        /// The conversation.
        #[serde(flatten)]
        flow: FlowFacts,
        /// All that the initiator sent and that passed, since the conversation began.
        #[serde(default)]
        forth: Traffic,
        /// All that came back.
        #[serde(default)]
        back: Traffic,
    },
    /// A conversation was refused, or would have been.
    Denied {
        /// The conversation.
        flow: FlowFacts,
        /// Whether the frame was dropped (false: it would have been).
        dropped: bool,
        /// How many more like it since the last event.
        repeated: u32,
    },
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertChange {
    /// It is new.
    Raised,
    /// Something else is wrong as well, or more peers are concerned.
    Changed,
    /// Its cause came back soon after it had ended.
    Resumed,
    /// Its cause is gone, or was accepted.
    Ended,
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertState {
    /// Its cause is still there.
    Open,
    /// It is over.
    Ended,
}

/// A device that does not behave as it used to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its number, never used again.
    pub id: u64,
    /// The device.
    pub device: DeviceKey,
    /// Where it stands.
    pub state: AlertState,
    /// The gravest of what is wrong: `new-peer`, `new-service`, `new-direction`, `role-drift`,
    /// `volume`, `beacon` or `scan`.
    pub kind: String,
    /// How grave it is, in percent.
    pub score_percent: u8,
    /// What is wrong in sentences, the gravest first.
    pub reasons: Vec<String>,
    /// First observation.
    pub began_us: u64,
    /// Last one.
    pub last_us: u64,
    /// Observations.
    pub observations: u64,
    /// The alert about another device that was told for the same peer.
    pub part_of: Option<u64>,
}

/// One page of alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertsPage {
    /// In the order of their numbers.
    pub alerts: Vec<Alert>,
    /// Cursor of the next page; absent on the last one.
    pub next: Option<u64>,
}

/// What a person says of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleStatement {
    /// The device.
    pub device: DeviceKey,
    /// Its role by name, such as `infusion-pump`; absent takes back what was said before.
    pub role: Option<String>,
    /// Who says it; at most `NAME_BYTES`.
    pub who: String,
    /// Why; at most `REASON_BYTES`.
    pub reason: String,
}

/// A conversation in an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowFacts {
    /// Side of the first packet.
    pub from: Side,
    /// Source of the first packet.
    pub source: Option<IpAddr>,
    /// Destination of the first packet.
    pub destination: Option<IpAddr>,
    /// IP protocol number; 0 if not IP.
    pub protocol: u8,
    /// EtherType.
    pub ethertype: u16,
    /// Source port, or the identifier of an ICMP query that passed, or 0.
    pub source_port: u16,
    /// Destination port, `type << 8 | code` of ICMP, or 0.
    pub destination_port: u16,
    /// Why.
    pub reason: Reason,
    /// The rule that decided, in words; empty if none.
    pub rule: String,
    /// First packet, as in [`FlowView`]; absent if the conversation was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen_us: Option<u64>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_flat_object() {
        let record = EventRecord {
            seq: 7,
            time_us: 1,
            device: Some(DeviceKey {
                mac: MacAddr([0, 9, 0xfb, 0, 0, 1]),
                ..DeviceKey::default()
            }),
            device_name: "pump".into(),
            kind: EventKind::Denied {
                flow: FlowFacts {
                    from: Side::Ward,
                    source: Some([10, 0, 0, 1].into()),
                    destination: Some([10, 0, 0, 2].into()),
                    protocol: 6,
                    ethertype: 0x0800,
                    source_port: 40_000,
                    destination_port: 445,
                    reason: Reason::NoRule,
                    rule: String::new(),
                    first_seen_us: None,
                },
                dropped: true,
                repeated: 0,
            },
        };
        let expected = json!({
            "seq": 7,
            "time_us": 1,
            "device": { "mac": "00:09:fb:00:00:01", "vlan": { "outer": 0, "inner": 0 } },
            "device_name": "pump",
            "event": "denied",
            "flow": {
                "from": "ward",
                "source": "10.0.0.1",
                "destination": "10.0.0.2",
                "protocol": 6,
                "ethertype": 2048,
                "source_port": 40_000,
                "destination_port": 445,
                "reason": "no-rule",
                "rule": "",
            },
            "dropped": true,
            "repeated": 0,
        });
        assert_eq!(serde_json::to_value(&record).expect("JSON"), expected);
        let back: EventRecord = serde_json::from_value(expected).expect("an event");
        assert_eq!(back, record);
    }

    #[test]
    fn the_end_of_a_conversation_reads_with_and_without_what_it_carried() {
        let mut told = json!({
            "event": "flow-ended",
            "from": "core",
            "source": "10.0.0.2",
            "destination": "10.0.0.1",
            "protocol": 17,
            "ethertype": 2048,
            "source_port": 50_000,
            "destination_port": 161,
            "reason": "established",
            "rule": "",
        });
        let old: EventKind = serde_json::from_value(told.clone()).expect("without");
        let EventKind::FlowEnded { flow, forth, .. } = old else {
            panic!("{old:?}");
        };
        assert_eq!((flow.first_seen_us, forth), (None, Traffic::default()));

        told["first_seen_us"] = json!(5);
        told["forth"] = json!({ "frames": 2, "bytes": 120 });
        told["back"] = json!({ "frames": 1, "bytes": 60 });
        let new: EventKind = serde_json::from_value(told.clone()).expect("with");
        assert_eq!(serde_json::to_value(&new).expect("JSON"), told);
    }

    #[test]
    fn counters_are_keyed_by_the_names_of_reasons() {
        let counters = SideCounters {
            received: 3,
            by_reason: [(Reason::Allowed, 2), (Reason::NoRule, 1)].into(),
            ..SideCounters::default()
        };
        let text = serde_json::to_string(&counters).expect("JSON");
        assert!(
            text.ends_with(r#""by_reason":{"allowed":2,"no-rule":1}}"#),
            "{text}"
        );
        let back: SideCounters = serde_json::from_str(&text).expect("counters");
        assert_eq!(back, counters);
    }

    #[test]
    fn fields_of_a_filter_may_be_left_out() {
        let filter: FlowFilter = serde_json::from_value(json!({ "port": 104 })).expect("a filter");
        assert_eq!(filter.port, Some(104));
        assert_eq!(filter.mac, None);
    }
}
