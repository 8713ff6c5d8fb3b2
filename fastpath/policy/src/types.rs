//! The small words everything else is written in.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// An EUI-48 address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether the group bit is set (broadcast included).
    #[inline]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not six hexadecimal bytes separated by `:` or `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadMac;

impl fmt::Display for BadMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a MAC address is six hexadecimal bytes, such as 00:09:fb:12:34:56")
    }
}

impl core::error::Error for BadMac {}

impl FromStr for MacAddr {
    type Err = BadMac;

    fn from_str(s: &str) -> Result<Self, BadMac> {
        let mut out = [0u8; 6];
        let mut parts = s.split([':', '-']);
        for byte in &mut out {
            let part = parts.next().ok_or(BadMac)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(BadMac);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| BadMac)?;
        }
        if parts.next().is_some() {
            Err(BadMac)
        } else {
            Ok(Self(out))
        }
    }
}

impl Serialize for MacAddr {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = String::deserialize(d)?;
        s.parse().map_err(serde::de::Error::custom)
    }
}

/// The VLAN identifiers of a frame, outermost first; 0 means the tag is absent.
/// A priority tag (VID 0) therefore equals no tag, as IEEE 802.1Q asks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct VlanKey {
    /// VID of the outer (or only) tag, 0 to 4094.
    pub outer: u16,
    /// VID of the inner tag of a QinQ frame, 0 to 4094.
    pub inner: u16,
}

/// What names a device to the policy: its MAC address and the VLAN it is seen in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct DeviceKey {
    /// Source MAC address on the ward side.
    pub mac: MacAddr,
    /// VLAN on the ward side.
    pub vlan: VlanKey,
}

/// Which side of the box a frame came from or goes to. A property of port and VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The devices' side.
    Ward,
    /// The hospital's side.
    Core,
}

impl Side {
    /// The other side.
    #[inline]
    pub const fn other(self) -> Self {
        match self {
            Self::Ward => Self::Core,
            Self::Core => Self::Ward,
        }
    }
}

/// Who sends the first packet of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initiator {
    /// The device on the ward side.
    Device,
    /// The peer on the core side.
    Peer,
}

/// How a frame is addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cast {
    /// To one station.
    Unicast,
    /// To the Ethernet broadcast address (limited or subnet-directed IPv4 broadcast).
    Broadcast,
    /// To a multicast group.
    Multicast,
}

/// The step of the enforcement ladder, or the exception, a device is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Forward everything and learn.
    Observe,
    /// Forward everything and record what would have been denied.
    Simulate,
    /// Forward what is allowed, deny the rest.
    Enforce,
    /// Deny everything but rules marked `rescue = true`.
    Isolate,
    /// Forward everything, for a limited time, loudly audited.
    BreakGlass,
}

impl Mode {
    /// Whether a denial takes effect on the wire.
    #[inline]
    pub const fn drops(self) -> bool {
        matches!(self, Self::Enforce | Self::Isolate)
    }
}

/// How a denied packet is refused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// No answer.
    #[default]
    Silent,
    /// A TCP reset towards the initiator; other protocols get `unreachable`.
    Reset,
    /// ICMP or ICMPv6 "administratively prohibited" towards the initiator.
    Unreachable,
}

/// What a conversation is for. The order is the order of criticality, least first.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Care {
    /// Building services and everything without a patient.
    #[default]
    Facility,
    /// Records, orders, images: a phone call bridges its loss.
    Workflow,
    /// Therapy goes on locally; programming or records are lost.
    Therapy,
    /// Alarms or remote view are lost with it.
    Surveillance,
}

impl Care {
    /// Surveillance and therapy stay open wherever the software cannot decide.
    pub const fn is_life_critical(self) -> bool {
        matches!(self, Self::Therapy | Self::Surveillance)
    }
}
