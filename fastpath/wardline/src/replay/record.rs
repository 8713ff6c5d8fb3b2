//! One packet's line of JSON.

use std::net::{IpAddr, Ipv6Addr};

use serde::Serialize;
use wardline_engine::{Action, L3, L4, PacketMeta, Verdict};
use wardline_policy::{DeviceKey, MacAddr, PolicySnapshot, Reason, Side, VlanKey};

/// What happened to a packet, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// It goes out on the other side.
    Forward,
    /// It goes out only because its device does not enforce.
    WouldDrop,
    /// It ends here.
    Drop,
}

/// The outcome, and the reason that explains it: of a packet that would have been dropped, the
/// reason it would have been dropped for.
pub(crate) fn outcome(verdict: &Verdict) -> (Outcome, Reason) {
    match (verdict.action, verdict.would_drop) {
        (Action::Drop, _) => (Outcome::Drop, verdict.reason),
        (Action::Forward(_), Some(reason)) => (Outcome::WouldDrop, reason),
        (Action::Forward(_), None) => (Outcome::Forward, verdict.reason),
    }
}

/// One packet.
#[derive(Debug, Serialize)]
pub(crate) struct PacketRecord<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// From 1, over all captures, as packet lists count.
    pub index: u64,
    /// RFC 3339, as the capture says.
    pub time: String,
    pub side: Side,
    pub device: Option<DeviceRef<'a>>,
    pub flow: Option<FlowKey>,
    pub verdict: Outcome,
    pub reason: Reason,
    pub rule: Option<&'a str>,
}

/// The device a packet is about.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DeviceRef<'a> {
    pub mac: MacAddr,
    pub vlan: VlanKey,
    /// Name in the policy.
    pub name: Option<&'a str>,
}

impl<'a> DeviceRef<'a> {
    pub(crate) fn new(key: DeviceKey, snapshot: &'a PolicySnapshot) -> Self {
        let name = snapshot.entry(snapshot.lookup(&key)).name.as_str();
        Self {
            mac: key.mac,
            vlan: key.vlan,
            name: (!name.is_empty()).then_some(name),
        }
    }
}

/// The device a packet is about: who sent it on the ward side, whom it is for on the core side.
pub(crate) fn device_of(from: Side, meta: &PacketMeta) -> Option<DeviceKey> {
    let mac = match from {
        Side::Ward => meta.source_mac,
        Side::Core => meta.destination_mac,
    };
    (!mac.is_group()).then_some(DeviceKey {
        mac,
        vlan: meta.vlan,
    })
}

/// What names the conversation of a packet.
#[derive(Debug, Serialize)]
pub(crate) struct FlowKey {
    pub vlan: VlanKey,
    pub source_mac: MacAddr,
    pub destination_mac: MacAddr,
    pub ethertype: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<IpAddr>,
    /// IP protocol number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp_id: Option<u16>,
}

impl FlowKey {
    pub(crate) fn new(meta: &PacketMeta) -> Self {
        let addresses = addresses(meta);
        let ports = meta.l4.ports();
        let (icmp_type, icmp_code, icmp_id) = match meta.l4 {
            L4::Icmp { kind, code, id, .. } => (Some(kind), Some(code), Some(id)),
            _ => (None, None, None),
        };
        Self {
            vlan: meta.vlan,
            source_mac: meta.source_mac,
            destination_mac: meta.destination_mac,
            ethertype: meta.ethertype,
            source: addresses.map(|(source, _)| source),
            destination: addresses.map(|(_, destination)| destination),
            protocol: addresses.map(|_| meta.protocol),
            source_port: ports.map(|(source, _)| source),
            destination_port: ports.map(|(_, destination)| destination),
            icmp_type,
            icmp_code,
            icmp_id,
        }
    }
}

/// Source and destination of an IP packet.
pub(crate) fn addresses(meta: &PacketMeta) -> Option<(IpAddr, IpAddr)> {
    let L3::Ip {
        source,
        destination,
        version,
    } = meta.l3
    else {
        return None;
    };
    let address = |bytes: [u8; 16]| match version {
        4 => IpAddr::from(Ipv6Addr::from(bytes)).to_canonical(),
        _ => IpAddr::from(Ipv6Addr::from(bytes)),
    };
    Some((address(source), address(destination)))
}
