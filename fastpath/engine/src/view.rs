//! What the engine shows of itself to people and programs: copies, made on request.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use wardline_policy::{Care, DeviceKey, Initiator, Mode, Reason, RuleId};

/// Frames and bytes (Ethernet header included, frame check sequence not).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Frames.
    pub frames: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What a device says of itself in DHCP. Untrusted bytes from the wire, cut to what the device
/// table holds; text is reduced to printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DhcpFacts {
    /// Option 12.
    pub hostname: String,
    /// Option 60.
    pub vendor_class: String,
    /// Option 55, in the order of the device.
    pub parameter_list: Vec<u8>,
}

/// What the tables take that grow with conversations and devices, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableBytes {
    /// The flow table with its index; an IPv6 conversation takes [`IPV6_FLOW_BYTES`] more.
    pub flows: usize,
    /// The device table with its counters.
    pub devices: usize,
    /// The feature windows of the devices.
    pub windows: usize,
}

/// What an IPv6 conversation takes beside its share of the flow table, in bytes.
pub const IPV6_FLOW_BYTES: usize = size_of::<crate::flow::key::Wide>();

/// One device that spoke on the ward side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceView {
    /// Its slot in the device table, as in [`Verdict::device`](crate::Verdict::device).
    pub slot: u32,
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
    /// First frame from it, Unix time in nanoseconds.
    pub first_seen_ns: u64,
    /// Last frame from or to it, Unix time in nanoseconds, at most a fraction of a second early.
    pub last_seen_ns: u64,
    /// Who its MAC address is registered to: often the maker of its network module only.
    pub vendor: Option<&'static str>,
    /// What it said of itself in DHCP.
    pub dhcp: Option<DhcpFacts>,
    /// What came from it and was forwarded.
    pub sent: Traffic,
    /// What came for it and was forwarded.
    pub got: Traffic,
    /// Frames from and to it by the reason of their verdict, indexed by `Reason::index`.
    pub by_reason: Vec<u64>,
    /// Frames forwarded only because it does not enforce, by the reason they would have been
    /// dropped for, indexed alike.
    pub would_drop: Vec<u64>,
    /// Conversations in progress.
    pub flows: u32,
    /// Frames with its MAC address as source that came from the core side: a loop, or it moved.
    pub wrong_side: u64,
}

/// One conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowView {
    /// The device; for a group frame from the core side, the group's MAC address and the VLAN.
    pub device: DeviceKey,
    /// Its slot in the device table, or `u32::MAX` if it has not spoken yet or is a group.
    pub slot: u32,
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
    /// Destination port of the first packet; `type << 8 | code` of an ICMP query.
    pub destination_port: u16,
    /// Where it stands: `half-open`, `established`, `closing`, `closed`, `reset`, `unanswered`,
    /// `answered`.
    pub state: &'static str,
    /// The reason its packets are forwarded with.
    pub reason: Reason,
    /// The reason they would be dropped for, if the device enforced.
    pub would_drop: Option<Reason>,
    /// The rule that allows it; 0 if none.
    pub rule: RuleId,
    /// From the initiator.
    pub forth: Traffic,
    /// To the initiator.
    pub back: Traffic,
    /// First packet, Unix time in nanoseconds.
    pub first_seen_ns: u64,
    /// Last packet, Unix time in nanoseconds, at most a fraction of a second early.
    pub last_seen_ns: u64,
}
