//! The compiled policy: immutable, shared by `Arc`, asked once for each new flow.

use core::net::IpAddr;

use crate::types::{Care, Cast, DeviceKey, Initiator, Mode, Refusal, Side, VlanKey};
use crate::{MacAddr, Reason};

/// Index of a device's entry in one snapshot; 0 is the entry of every unlisted device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EntryIdx(pub u32);

/// Index of a rule in one snapshot; 0 means "no rule".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RuleId(pub u32);

/// What the engine knows of the peer beyond its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerTag {
    /// The address is bound to this device of the snapshot.
    Device(EntryIdx),
    /// The device asked for this name of [`PolicySnapshot::dns_name`] and got this address.
    DnsName(u32),
}

/// One question about a new flow.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Who sends the first packet.
    pub initiator: Initiator,
    /// How the first packet is addressed.
    pub cast: Cast,
    /// The address that is not the device's: destination if the device initiates, else source.
    pub peer: IpAddr,
    /// Destination address of the first packet.
    pub destination: IpAddr,
    /// IP protocol number (ICMPv6 is 58).
    pub protocol: u8,
    /// The initiator's port; 0 where the protocol has none.
    pub source_port: u16,
    /// The responder's port; for ICMP and ICMPv6 `type << 8 | code`.
    pub destination_port: u16,
    /// What else is known of the peer.
    pub tags: &'a [PeerTag],
}

/// What an allowed broadcast or multicast question opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerWindow {
    /// How long answers may come.
    pub seconds: u16,
}

/// The answer to a [`Query`], before the device's mode is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether policy allows it.
    pub allow: bool,
    /// The reason, of class `Forward` exactly if `allow`.
    pub reason: Reason,
    /// The rule that decided; 0 if none matched.
    pub rule: RuleId,
    /// What the conversation is for.
    pub care: Care,
    /// How to refuse it, when it is refused.
    pub refusal: Refusal,
    /// The window that an allowed group frame opens.
    pub answer: Option<AnswerWindow>,
}

/// Limits on what reaches a device; 0 means unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StormGuard {
    /// Packets per second towards the device.
    pub packets_per_s: u32,
    /// Broadcast and multicast frames per second towards the device's VLAN.
    pub broadcasts_per_s: u32,
    /// New conversations per second towards the device.
    pub new_flows_per_s: u32,
}

/// What the engine needs to know of a device apart from its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEntry {
    /// Name in the document; empty for the entry of unlisted devices.
    pub name: String,
    /// Role in the document, if any.
    pub role: Option<String>,
    /// Step of the ladder in force at the instant of compilation.
    pub mode: Mode,
    /// Changes exactly when something that could change a decision for this device changes.
    /// Equal over snapshots with equal content (a hash, never 0).
    pub epoch: u32,
    /// The highest care class among the device's rules.
    pub care: Care,
    /// Storm guard towards the device.
    pub storm: StormGuard,
    /// Addresses fixed by the document: bound from the start, never to anybody else.
    pub addresses: Vec<IpAddr>,
}

/// An immutable compiled policy.
#[derive(Debug)]
pub struct PolicySnapshot {}

#[expect(
    unused_variables,
    clippy::todo,
    reason = "the signatures come before the compiler"
)]
impl PolicySnapshot {
    /// The policy before any document: everything observed, baseline as a wire.
    pub fn observe_all() -> Self {
        todo!()
    }

    /// Content hash of document and instant class, shown to people and compared after a restart.
    pub fn id(&self) -> &str {
        todo!()
    }

    /// Unix time in seconds at which a limited permission begins or ends and the document must
    /// be compiled again.
    pub fn valid_until_s(&self) -> Option<u64> {
        todo!()
    }

    /// The entry of a device, or the entry of unlisted devices.
    pub fn lookup(&self, key: &DeviceKey) -> EntryIdx {
        todo!()
    }

    /// The entry behind an index. Panics on an index of another, larger snapshot.
    pub fn entry(&self, entry: EntryIdx) -> &DeviceEntry {
        todo!()
    }

    /// All listed devices with their keys.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceKey, EntryIdx)> + '_ {
        core::iter::empty()
    }

    /// May this conversation of a device begin?
    pub fn decide(&self, entry: EntryIdx, query: &Query<'_>) -> Decision {
        todo!()
    }

    /// May this broadcast or multicast frame from the core side enter the VLAN? Allowed if the
    /// baseline or any listed device of the VLAN allows it; the engine adds that devices which
    /// do not enforce get it anyway.
    pub fn decide_group(&self, vlan: VlanKey, query: &Query<'_>) -> Decision {
        todo!()
    }

    /// May this unicast answer come inside the window that `rule` opened?
    pub fn answer_allowed(&self, rule: RuleId, query: &Query<'_>) -> bool {
        todo!()
    }

    /// What the baseline says of a frame that is neither IP nor ARP.
    pub fn decide_ethertype(&self, from: Side, ethertype: u16, destination: MacAddr) -> Decision {
        todo!()
    }

    /// Whether two VLAN tags are allowed from this side.
    pub fn double_tags_allowed(&self, from: Side) -> bool {
        todo!()
    }

    /// The number of a DNS name some rule of this device uses, for [`PeerTag::DnsName`].
    /// `name` is lower case without the final dot.
    pub fn dns_name(&self, entry: EntryIdx, name: &str) -> Option<u32> {
        todo!()
    }

    /// A rule's name for people: `role infusion-pump / hl7-out`; empty for rule 0.
    pub fn rule_name(&self, rule: RuleId) -> &str {
        todo!()
    }
}
