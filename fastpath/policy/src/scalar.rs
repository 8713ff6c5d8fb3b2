//! The small values of a document: each is one word of text or one number, and each says in its
//! error what it should have been.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, IntoDeserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::types::{MacAddr, VlanKey};

/// One value or a list of them: `"a"` reads as `["a"]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Many<T>(pub Vec<T>);

impl<T> Many<T> {
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> std::ops::Deref for Many<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> FromIterator<T> for Many<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for Many<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(s),
            many => many.serialize(s),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ManyVisitor(PhantomData))
    }
}

struct ManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ManyVisitor<T> {
    type Value = Many<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value or a list")
    }

    fn visit_str<E: de::Error>(self, v: &str) -> Result<Many<T>, E> {
        Ok(Many(vec![T::deserialize(v.into_deserializer())?]))
    }

    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Many<T>, E> {
        Ok(Many(vec![T::deserialize(v.into_deserializer())?]))
    }

    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Many<T>, E> {
        Ok(Many(vec![T::deserialize(v.into_deserializer())?]))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Many<T>, A::Error> {
        let one = T::deserialize(MapAccessDeserializer::new(&mut map))?;
        match map.next_key::<String>()? {
            None => Ok(Many(vec![one])),
            Some(key) => Err(de::Error::custom(format_args!(
                "`{key}` stands beside another key; write a list of tables with one key each"
            ))),
        }
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Many<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Many)
    }
}

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// Implements serde and schemars for a type written as one word or one number.
macro_rules! scalar {
    ($type:ident, $expecting:literal, $schema:tt) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                d.deserialize_any(ScalarVisitor($expecting, PhantomData))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

struct ScalarVisitor<T>(&'static str, PhantomData<T>);

impl<'de, T: FromStr<Err = String>> Visitor<'de> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, v: &str) -> Result<T, E> {
        v.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, v: i64) -> Result<T, E> {
        self.visit_str(&v.to_string())
    }

    fn visit_u64<E: de::Error>(self, v: u64) -> Result<T, E> {
        self.visit_str(&v.to_string())
    }

    /// A TOML date and time, which its deserializer hands out as a map.
    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let date = toml::value::Datetime::deserialize(MapAccessDeserializer::new(map))
            .map_err(|_| de::Error::custom(format_args!("expected {}", self.0)))?;
        self.visit_str(&date.to_string())
    }
}

/// Serializes what displays as a decimal number as a number, everything else as text.
fn number_or_text<S: Serializer>(text: &str, s: S) -> Result<S::Ok, S::Error> {
    match text.parse::<u32>() {
        Ok(number) => s.serialize_u32(number),
        Err(_) => s.serialize_str(text),
    }
}

/// An address or a network, host bits zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// First address of the network.
    pub address: IpAddr,
    /// Length in bits, at most 32 or 128.
    pub length: u8,
}

impl Prefix {
    /// The network of one address.
    pub const fn host(address: IpAddr) -> Self {
        let length = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        Self { address, length }
    }

    /// The network of this length around an address; the length is cut to what the family has.
    pub fn around(address: IpAddr, length: u8) -> Self {
        match address {
            IpAddr::V4(a) => {
                let length = length.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                let bits = a.to_bits() & mask;
                Self {
                    address: Ipv4Addr::from_bits(bits).into(),
                    length,
                }
            }
            IpAddr::V6(a) => {
                let length = length.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                let bits = a.to_bits() & mask;
                Self {
                    address: Ipv6Addr::from_bits(bits).into(),
                    length,
                }
            }
        }
    }

    /// Whether the address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && Self::around(address, self.length) == *self
    }

    /// Whether it is one address.
    pub fn is_host(&self) -> bool {
        *self == Self::host(self.address)
    }

    /// Whether every address in it is a multicast group.
    pub fn is_multicast(&self) -> bool {
        let shortest = if self.address.is_ipv4() { 4 } else { 8 };
        self.address.is_multicast() && self.length >= shortest
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_host() {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.length)
        }
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{s}` is neither an address (10.1.2.3, 2001:db8::1) nor a network (10.1.2.0/24)"
            )
        };
        let (address, length) = match s.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (s, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let Some(length) = length else {
            return Ok(Self::host(address));
        };
        let length: u8 = length.parse().map_err(|_| wrong())?;
        if length > Self::host(address).length {
            return Err(wrong());
        }
        let prefix = Self::around(address, length);
        if prefix.address == address {
            Ok(prefix)
        } else {
            Err(format!(
                "`{s}` has bits set beyond its length; write {prefix}"
            ))
        }
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

scalar!(Prefix, "an address or a network such as 10.1.2.0/24", {
    "type": "string",
    "description": "An address (10.1.2.3, 2001:db8::1) or a network (10.1.2.0/24, 2001:db8::/32)."
});

/// An inclusive range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: Self = Self {
        first: 0,
        last: u16::MAX,
    };

    /// One port.
    pub const fn one(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }

    /// Whether the port lies in it.
    pub const fn contains(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{s}` is neither a port (104) nor a range of ports (\"5000-5010\")");
        let (first, last) = s.split_once('-').unwrap_or((s, s));
        let first = first.trim().parse().map_err(|_| wrong())?;
        let last = last.trim().parse().map_err(|_| wrong())?;
        if first > last {
            return Err(format!("`{s}` ends before it begins; write {last}-{first}"));
        }
        Ok(Self { first, last })
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        number_or_text(&self.to_string(), s)
    }
}

scalar!(PortRange, "a port or a range such as \"5000-5010\"", {
    "description": "A port (104) or an inclusive range of ports (\"5000-5010\").",
    "anyOf": [
        { "type": "integer", "minimum": 0, "maximum": 65535 },
        { "type": "string", "pattern": "^[0-9]{1,5}( *- *[0-9]{1,5})?$" }
    ]
});

/// An IP protocol, or any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Every protocol.
    Any,
    /// The protocol with this number.
    Number(u8),
}

impl Protocol {
    /// ICMP for IPv4.
    pub const ICMP: Self = Self::Number(1);
    /// TCP.
    pub const TCP: Self = Self::Number(6);
    /// UDP.
    pub const UDP: Self = Self::Number(17);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self::Number(58);
    /// SCTP.
    pub const SCTP: Self = Self::Number(132);

    const NAMES: [(&'static str, Self); 6] = [
        ("any", Self::Any),
        ("tcp", Self::TCP),
        ("udp", Self::UDP),
        ("sctp", Self::SCTP),
        ("icmp", Self::ICMP),
        ("icmpv6", Self::ICMPV6),
    ];

    /// Whether its packets carry ports.
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::SCTP)
    }

    /// Whether it is ICMP or ICMPv6.
    pub const fn is_icmp(self) -> bool {
        matches!(self, Self::ICMP | Self::ICMPV6)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (Self::NAMES.iter().find(|(_, p)| p == self), self) {
            (Some((name, _)), _) => f.write_str(name),
            (None, Self::Number(number)) => write!(f, "{number}"),
            (None, Self::Any) => f.write_str("any"),
        }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if let Some((_, protocol)) = Self::NAMES.iter().find(|(name, _)| *name == s) {
            return Ok(*protocol);
        }
        s.parse().map(Self::Number).map_err(|_| {
            format!("`{s}` is no protocol; write tcp, udp, sctp, icmp, icmpv6, any or a number up to 255")
        })
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        number_or_text(&self.to_string(), s)
    }
}

scalar!(Protocol, "tcp, udp, sctp, icmp, icmpv6, any or a number", {
    "description": "A transport protocol by name, or by its IP protocol number.",
    "anyOf": [
        { "enum": ["any", "tcp", "udp", "sctp", "icmp", "icmpv6"] },
        { "type": "integer", "minimum": 0, "maximum": 255 }
    ]
});

/// A kind of ICMP or ICMPv6 message: a name, a type (`8`) or a type and a code (`3/4`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IcmpKind {
    /// A name; which number it has depends on the protocol.
    Named(IcmpName),
    /// A number.
    Number {
        /// Type.
        kind: u8,
        /// Code; none means every code.
        code: Option<u8>,
    },
}

impl IcmpKind {
    /// Type and code under a protocol; none if the protocol has no message of that name.
    pub fn resolve(self, protocol: Protocol) -> Option<(u8, Option<u8>)> {
        match self {
            Self::Number { kind, code } => Some((kind, code)),
            Self::Named(name) => Some((name.number(protocol)?, None)),
        }
    }
}

macro_rules! icmp_names {
    ($($variant:ident = $name:literal, $v4:expr, $v6:expr;)+) => {
        /// ICMP and ICMPv6 messages by name (IANA registries of ICMP types).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the name says it")]
        pub enum IcmpName { $($variant,)+ }

        impl IcmpName {
            const ALL: &'static [(&'static str, Self, Option<u8>, Option<u8>)] =
                &[$(($name, Self::$variant, $v4, $v6),)+];
        }
    };
}

icmp_names! {
    EchoRequest = "echo-request", Some(8), Some(128);
    EchoReply = "echo-reply", Some(0), Some(129);
    DestinationUnreachable = "destination-unreachable", Some(3), Some(1);
    PacketTooBig = "packet-too-big", None, Some(2);
    TimeExceeded = "time-exceeded", Some(11), Some(3);
    ParameterProblem = "parameter-problem", Some(12), Some(4);
    TimestampRequest = "timestamp-request", Some(13), None;
    TimestampReply = "timestamp-reply", Some(14), None;
    RouterSolicitation = "router-solicitation", Some(10), Some(133);
    RouterAdvertisement = "router-advertisement", Some(9), Some(134);
    NeighbourSolicitation = "neighbour-solicitation", None, Some(135);
    NeighbourAdvertisement = "neighbour-advertisement", None, Some(136);
    MulticastListenerQuery = "multicast-listener-query", None, Some(130);
    MulticastListenerReport = "multicast-listener-report", None, Some(131);
    MulticastListenerDone = "multicast-listener-done", None, Some(132);
    MulticastListenerReportV2 = "multicast-listener-report-v2", None, Some(143);
}

impl IcmpName {
    fn number(self, protocol: Protocol) -> Option<u8> {
        let (_, _, v4, v6) = Self::ALL.iter().find(|(_, name, ..)| *name == self)?;
        match protocol {
            Protocol::ICMP => *v4,
            Protocol::ICMPV6 => *v6,
            _ => None,
        }
    }
}

impl fmt::Display for IcmpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => {
                let found = IcmpName::ALL.iter().find(|(_, n, ..)| n == name);
                f.write_str(found.map_or("", |(text, ..)| text))
            }
            Self::Number { kind, code: None } => write!(f, "{kind}"),
            Self::Number {
                kind,
                code: Some(code),
            } => write!(f, "{kind}/{code}"),
        }
    }
}

impl FromStr for IcmpKind {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        if let Some((_, name, ..)) = IcmpName::ALL.iter().find(|(text, ..)| *text == s) {
            return Ok(Self::Named(*name));
        }
        let number = |text: &str| {
            text.parse::<u8>().map_err(|_| {
                let names: Vec<_> = IcmpName::ALL.iter().map(|(text, ..)| *text).collect();
                let near = crate::diagnostic::nearest(s, names.iter().copied());
                let hint = near.map_or(String::new(), |n| format!(" (did you mean {n}?)"));
                format!("`{s}` is no ICMP message{hint}; write a name, a type (8) or type/code (\"3/4\")")
            })
        };
        match s.split_once('/') {
            Some((kind, code)) => Ok(Self::Number {
                kind: number(kind)?,
                code: Some(number(code)?),
            }),
            None => Ok(Self::Number {
                kind: number(s)?,
                code: None,
            }),
        }
    }
}

impl Serialize for IcmpKind {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        number_or_text(&self.to_string(), s)
    }
}

impl<'de> Deserialize<'de> for IcmpKind {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ScalarVisitor(
            "an ICMP message by name or number",
            PhantomData,
        ))
    }
}

impl JsonSchema for IcmpKind {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "IcmpKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = IcmpName::ALL.iter().map(|(text, ..)| *text).collect();
        json_schema!({
            "description": "An ICMP message by name, by type (8) or by type and code (\"3/4\").",
            "anyOf": [
                { "enum": names },
                { "type": "integer", "minimum": 0, "maximum": 255 },
                { "type": "string", "pattern": "^[0-9]{1,3}(/[0-9]{1,3})?$" }
            ]
        })
    }
}

/// Which EtherTypes a frame rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EtherMatch {
    /// Every one.
    Any,
    /// 802.3 frames: the field is a length.
    Llc,
    /// This one, at least 0x600.
    Number(u16),
}

/// The first value of the type field that is not a length (IEEE 802.3 clause 3.2.6).
pub const FIRST_ETHERTYPE: u16 = 0x600;

impl fmt::Display for EtherMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Llc => f.write_str("llc"),
            Self::Number(number) => write!(f, "{number:#06x}"),
        }
    }
}

impl FromStr for EtherMatch {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let number = match s {
            "any" => return Ok(Self::Any),
            "llc" => return Ok(Self::Llc),
            _ => match s.strip_prefix("0x") {
                Some(hex) => u16::from_str_radix(hex, 16),
                None => s.parse(),
            },
        };
        match number {
            Ok(number) if number >= FIRST_ETHERTYPE => Ok(Self::Number(number)),
            _ => Err(format!(
                "`{s}` is no EtherType; write a number from 0x600 to 0xffff, llc or any"
            )),
        }
    }
}

impl Serialize for EtherMatch {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

scalar!(EtherMatch, "an EtherType such as 0x888e, llc or any", {
    "description": "An EtherType (0x888e), `llc` for 802.3 frames with a length, or `any`.",
    "anyOf": [
        { "type": "integer", "minimum": 1536, "maximum": 65535 },
        { "type": "string", "pattern": "^(any|llc|0x[0-9a-fA-F]{3,4}|[0-9]{4,5})$" }
    ]
});

/// Where a frame that is not IP goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum FrameTarget {
    /// Anywhere.
    #[default]
    Any,
    /// 01:80:c2:00:00:00 to 01:80:c2:00:00:0f, which a bridge does not forward (IEEE 802.1D).
    LinkLocal,
    /// This station or group.
    Mac(MacAddr),
}

impl fmt::Display for FrameTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::LinkLocal => f.write_str("link-local"),
            Self::Mac(mac) => write!(f, "{mac}"),
        }
    }
}

impl FromStr for FrameTarget {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "any" => Ok(Self::Any),
            "link-local" => Ok(Self::LinkLocal),
            _ => s.parse().map(Self::Mac).map_err(|_| {
                format!("`{s}` is no destination; write a MAC address, link-local or any")
            }),
        }
    }
}

impl Serialize for FrameTarget {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

scalar!(FrameTarget, "a MAC address, link-local or any", {
    "description": "A MAC address, `link-local` (01:80:c2:00:00:0X) or `any`.",
    "type": "string"
});

/// An instant, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Seconds since the Unix epoch.
    pub unix_s: u64,
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = i64::try_from(self.unix_s).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_second(second) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{} s after 1970", self.unix_s),
        }
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let timestamp: jiff::Timestamp = s.parse().map_err(|_| {
            format!("`{s}` is no instant; write date, time and offset: 2026-11-23T18:00:00+01:00")
        })?;
        let unix_s =
            u64::try_from(timestamp.as_second()).map_err(|_| format!("`{s}` lies before 1970"))?;
        Ok(Self { unix_s })
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

scalar!(Time, "an instant such as 2026-11-23T18:00:00+01:00", {
    "description": "An instant with its offset (RFC 3339).",
    "type": "string",
    "format": "date-time"
});

impl JsonSchema for MacAddr {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MacAddr".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Six hexadecimal bytes, such as 00:09:fb:12:34:56.",
            "type": "string",
            "pattern": "^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$"
        })
    }
}

/// The highest VLAN identifier there is (IEEE 802.1Q reserves 4095).
pub const LAST_VLAN: u16 = 4094;

/// A VLAN: one identifier, or the outer and inner one of a double tag; 0 means untagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Vlan(pub VlanKey);

impl Vlan {
    /// A VLAN of one tag.
    pub const fn one(outer: u16) -> Self {
        Self(VlanKey { outer, inner: 0 })
    }
}

impl fmt::Display for Vlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.outer, self.0.inner) {
            (0, 0) => f.write_str("untagged"),
            (outer, 0) => write!(f, "{outer}"),
            (outer, inner) => write!(f, "{outer}.{inner}"),
        }
    }
}

impl Serialize for Vlan {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0.inner == 0 {
            s.serialize_u16(self.0.outer)
        } else {
            self.0.serialize(s)
        }
    }
}

impl<'de> Deserialize<'de> for Vlan {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(VlanVisitor)
    }
}

struct VlanVisitor;

impl<'de> Visitor<'de> for VlanVisitor {
    type Value = Vlan;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a VLAN identifier or { outer = 10, inner = 20 }")
    }

    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Vlan, E> {
        match u16::try_from(v) {
            Ok(id) if id <= LAST_VLAN => Ok(Vlan::one(id)),
            _ => Err(E::custom(format_args!(
                "{v} is no VLAN identifier; they end at {LAST_VLAN}"
            ))),
        }
    }

    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Vlan, E> {
        self.visit_u64(u64::try_from(v).unwrap_or(u64::MAX))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Vlan, A::Error> {
        let key = VlanKey::deserialize(MapAccessDeserializer::new(map))?;
        if key.outer == 0 || key.outer > LAST_VLAN || key.inner > LAST_VLAN {
            return Err(de::Error::custom(
                "a double tag is { outer = 1 to 4094, inner = 0 to 4094 }",
            ));
        }
        Ok(Vlan(key))
    }
}

impl JsonSchema for Vlan {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Vlan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let id = json_schema!({ "type": "integer", "minimum": 0, "maximum": LAST_VLAN });
        json_schema!({
            "description": "A VLAN identifier, or outer and inner one of a double tag. 0: untagged.",
            "anyOf": [
                id,
                {
                    "type": "object",
                    "properties": { "outer": id, "inner": id },
                    "required": ["outer", "inner"],
                    "additionalProperties": false
                }
            ]
        })
    }
}
