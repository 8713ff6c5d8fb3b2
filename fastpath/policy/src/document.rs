//! The policy document: what a person writes, in TOML or JSON.
//!
//! The types here hold what the document says and nothing else; [`crate::check`] decides whether
//! it makes sense and [`crate::compile`] turns it into a [`crate::PolicySnapshot`]. Equal
//! documents compare equal and hash equal.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::scalar::{
    EtherMatch, FrameTarget, IcmpKind, Many, PortRange, Prefix, Protocol, Time, Vlan,
};
use crate::snapshot::StormGuard;
use crate::types::{Care, MacAddr, Mode, Refusal, Side};

/// The version of the language this program reads.
pub const VERSION: u32 = 1;

/// A whole policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Version of the language: 1.
    pub version: u32,
    /// Name of the policy, for people.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What holds where a role or a device says nothing else.
    #[serde(default, skip_serializing_if = "is_default")]
    pub defaults: Defaults,
    /// Named sets of addresses.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "unique_names"
    )]
    pub groups: BTreeMap<String, Group>,
    /// Templates: what a kind of device may do.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "unique_names"
    )]
    pub roles: BTreeMap<String, Role>,
    /// The devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// What every device may do and what the wire carries. Left out: [`Baseline::default`].
    #[serde(default)]
    pub baseline: Baseline,
    /// Vendor visits: extra rules for one device, bound to a work order, for a limited time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub visits: Vec<Visit>,
    /// Break-glass: everything open for a device, a VLAN or a ward, for a limited time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<Release>,
    /// Island mode: only life-critical conversations and those inside the ward stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub island: Option<Island>,
}

impl Document {
    /// A document with a name and nothing else: every device is observed.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            name: name.into(),
            description: None,
            defaults: Defaults::default(),
            groups: BTreeMap::new(),
            roles: BTreeMap::new(),
            devices: Vec::new(),
            baseline: Baseline::default(),
            visits: Vec::new(),
            releases: Vec::new(),
            island: None,
        }
    }
}

/// What holds where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    /// Mode of listed devices that name none.
    pub mode: Mode,
    /// Mode of devices that are not listed.
    pub unlisted_mode: Mode,
    /// Role of devices that are not listed; without it only the baseline holds for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlisted_role: Option<String>,
    /// How what is denied is refused.
    pub refusal: Refusal,
    /// Limits on what reaches a device.
    pub storm: StormGuard,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            mode: Mode::Observe,
            unlisted_mode: Mode::Observe,
            unlisted_role: None,
            refusal: Refusal::Silent,
            storm: StormGuard::default(),
        }
    }
}

/// A named set of addresses and networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Addresses (`10.1.2.3`) and networks (`10.1.2.0/24`, `2001:db8::/32`).
    pub addresses: Many<Prefix>,
    /// MUD controller classes (RFC 8520) this group stands for.
    #[serde(default, skip_serializing_if = "Many::is_empty")]
    pub controller: Many<String>,
}

/// A template: what a kind of device may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What it is, and where the template comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How what is denied is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Limits on what reaches such a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<StormGuard>,
    /// Its rules, first match first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// One device: one MAC address in one VLAN, which may carry several assets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its name, unique in the document.
    pub name: String,
    /// Source MAC address on the ward side.
    pub mac: MacAddr,
    /// VLAN on the ward side; left out: untagged.
    #[serde(default, skip_serializing_if = "is_default")]
    pub vlan: Vlan,
    /// Its role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Its step of the ladder; left out: `defaults.mode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What its loss would mean, where its rules do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub care: Option<Care>,
    /// The ward it belongs to, for releases and island mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ward: Option<String>,
    /// Who answers for its mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Since when it is in its mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The assets behind this MAC address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<Asset>,
    /// Fixed addresses: bound from the start, never to anybody else.
    #[serde(default, skip_serializing_if = "Many::is_empty")]
    pub addresses: Many<IpAddr>,
    /// How what is denied is refused; left out: as its role says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Limits on what reaches it; left out: as its role says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<StormGuard>,
    /// The group that is this device's `my-controller`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    /// The maker's MUD file. Only named here: nothing is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mud: Option<MudReference>,
    /// Anything else worth knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Its own rules; they come before those of its role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// An asset as the maintenance system knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Asset tag or control number.
    pub tag: String,
    /// Serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// Where a device's MUD file lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MudReference {
    /// The MUD URL; its authority names the manufacturer, the whole of it the model.
    pub url: String,
}

impl MudReference {
    /// The authority of the URL: the manufacturer in the sense of RFC 8520.
    pub fn authority(&self) -> Option<&str> {
        let rest = self.url.strip_prefix("https://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    }
}

/// One rule. Rules are tried in order; the first that matches decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique among its neighbours.
    pub name: String,
    /// Whether it allows or denies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub action: Action,
    /// Who begins the conversation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub direction: Direction,
    /// The other end, one or several.
    pub peer: Many<Peer>,
    /// For broadcast and multicast towards the device: who may send. Left out: anybody.
    #[serde(default, skip_serializing_if = "Many::is_empty")]
    pub senders: Many<Peer>,
    /// Transport protocol.
    pub protocol: Protocol,
    /// The responder's ports. Left out: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Many<PortRange>>,
    /// The initiator's ports. Left out: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ports: Option<Many<PortRange>>,
    /// ICMP or ICMPv6 messages. Left out: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<Many<IcmpKind>>,
    /// What the conversation is for. Left out: `facility`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub care: Care,
    /// How a deny rule refuses; left out: as the device, its role or the defaults say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Who may answer a broadcast or multicast question by unicast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<Answer>>,
    /// Stays open when the device is isolated.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rescue: bool,
    /// Why the rule is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
}

impl Rule {
    /// An allow rule with nothing but its essentials.
    pub fn allow(name: &str, direction: Direction, peer: Vec<Peer>, protocol: Protocol) -> Self {
        Self {
            name: name.into(),
            action: Action::Allow,
            direction,
            peer: Many(peer),
            senders: Many(Vec::new()),
            protocol,
            ports: None,
            source_ports: None,
            icmp: None,
            care: Care::Facility,
            refusal: None,
            answer: None,
            rescue: false,
            note: None,
        }
    }
}

/// What a matching rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Let it pass.
    #[default]
    Allow,
    /// Refuse it.
    Deny,
}

/// Who begins a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The device.
    #[default]
    FromDevice,
    /// The other end.
    ToDevice,
}

/// The other end of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// Any single station. Broadcast and multicast are not included.
    Any,
    /// The broadcast of the device's own subnet (`ff:ff:ff:ff:ff:ff` on the wire).
    Broadcast,
    /// The group this device names as its `controller`.
    MyController,
    /// Devices whose MUD URL has the same authority as this device's.
    SameManufacturer,
    /// Addresses or networks.
    Address(Many<Prefix>),
    /// A named group.
    Group(String),
    /// Every device of a role.
    Role(String),
    /// One device.
    Device(String),
    /// A name, resolved from the answers to the device's own DNS queries.
    Dns(String),
    /// A MUD controller class; groups say which classes they stand for.
    Controller(String),
    /// Devices whose MUD URL has this authority.
    Manufacturer(String),
    /// Devices with this MUD URL.
    Model(String),
    /// Multicast groups, or networks of them.
    Multicast(Many<Prefix>),
}

impl Peer {
    /// Whether it stands for a group of receivers rather than one station.
    pub const fn is_group_frame(&self) -> bool {
        matches!(self, Self::Broadcast | Self::Multicast(_))
    }
}

/// The window in which a broadcast or multicast question may be answered by unicast.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Who may answer. Left out: anybody.
    #[serde(default, skip_serializing_if = "Many::is_empty")]
    pub from: Many<Peer>,
    /// From which port. Left out: the ports of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Many<PortRange>>,
    /// For how many seconds after the question.
    pub seconds: u16,
}

/// What every device may do, and what the wire carries. A field that is left out keeps its
/// default; one that is written replaces the default as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Baseline {
    /// Sides from which frames with two VLAN tags are let in.
    pub double_tags: Vec<Side>,
    /// Frames that are not IP.
    pub ethertypes: Vec<EtherRule>,
    /// Rules for every device, after its own and those of its role.
    pub rules: Vec<Rule>,
}

/// A rule about frames that are not IP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EtherRule {
    /// Its name, unique among the baseline's frames.
    pub name: String,
    /// Whether it allows or denies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub action: Action,
    /// EtherType: a number, `0x888e`, `llc` (802.3 length) or `any`.
    pub ethertype: EtherMatch,
    /// Sides it may come from. Left out: both.
    #[serde(default = "both_sides")]
    pub from: Many<Side>,
    /// Destination MAC address, `link-local` (01:80:c2:00:00:0X) or `any`. Left out: any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destination: FrameTarget,
    /// Why the rule is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A vendor visit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Visit {
    /// The device visited.
    pub device: String,
    /// The work order it belongs to.
    pub work_order: String,
    /// Who visits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engineer: Option<String>,
    /// When it begins.
    pub from: Time,
    /// When it ends, by itself.
    pub until: Time,
    /// What is open meanwhile, before every other rule of the device.
    pub rules: Vec<Rule>,
}

/// A break-glass release. Exactly one of `device`, `vlan` and `ward` says of what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// One device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Every device of a VLAN, listed or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<Vlan>,
    /// Every device of a ward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ward: Option<String>,
    /// When it ends, by itself.
    pub until: Time,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub by: String,
}

/// Island mode. `vlan` or `ward` says where; without either it holds everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Island {
    /// Whether it is in force.
    pub active: bool,
    /// Every device of a VLAN, listed or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<Vlan>,
    /// Every device of a ward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ward: Option<String>,
    /// When it ends, by itself. Needed when active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Why.
    pub reason: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads a table and refuses a name that stands in it twice, as JSON would allow.
fn unique_names<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Unique<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Unique<T> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table of names")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut named = BTreeMap::new();
            while let Some((name, value)) = map.next_entry::<String, T>()? {
                match named.entry(name) {
                    Entry::Vacant(free) => free.insert(value),
                    Entry::Occupied(taken) => {
                        let message = format!("`{}` is defined twice", taken.key());
                        return Err(serde::de::Error::custom(message));
                    }
                };
            }
            Ok(named)
        }
    }

    deserializer.deserialize_map(Unique(PhantomData))
}

fn both_sides() -> Many<Side> {
    Many(vec![Side::Ward, Side::Core])
}
