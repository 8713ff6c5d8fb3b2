//! From traffic to 64 numbers: the one definition for training and for serving.
//!
//! No number tells a device from another of its kind: no address, no name, no port, no time of
//! day. A share lies between 0 and 1, a count or a time is given as a logarithm, so that no number
//! needs another scale before a model takes it.

use core::fmt::Write as _;
use core::ops::AddAssign;

use sha2::{Digest, Sha256};
use wardline_engine::feature::{GAPS, PROTOCOLS, SIZES, Window};

/// How many numbers there are.
pub const COUNT: usize = 64;
/// The numbers of one device over some of its traffic.
pub type Features = [f32; COUNT];

/// Raised when the meaning of a number changes under the same name.
const MEANING: u32 = 1;
/// Sent and received, as in the pairs of a window.
const UP: usize = 0;
const DOWN: usize = 1;

/// Traffic of one device: a window, or the sum of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    sizes: [[u32; SIZES]; 2],
    gaps: [u32; GAPS],
    protocols: [u32; PROTOCOLS],
    bytes: [u64; 2],
    turns: u32,
    steady: u32,
    groups: [u32; 2],
    longest: [u16; 2],
    span_ns: u64,
}

impl From<&Window> for Traffic {
    fn from(window: &Window) -> Self {
        Self {
            sizes: window.sizes.map(|sizes| sizes.map(u32::from)),
            gaps: window.gaps.map(u32::from),
            protocols: window.protocols.map(u32::from),
            bytes: window.bytes.map(u64::from),
            turns: window.turns.into(),
            steady: window.steady.into(),
            groups: window.groups.map(u32::from),
            longest: window.longest,
            span_ns: window.span_ns,
        }
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        add(self.sizes.as_flattened_mut(), other.sizes.as_flattened());
        add(&mut self.gaps, &other.gaps);
        add(&mut self.protocols, &other.protocols);
        add(&mut self.groups, &other.groups);
        for direction in [UP, DOWN] {
            let bytes = &mut self.bytes[direction];
            *bytes = bytes.saturating_add(other.bytes[direction]);
            self.longest[direction] = self.longest[direction].max(other.longest[direction]);
        }
        self.turns = self.turns.saturating_add(other.turns);
        self.steady = self.steady.saturating_add(other.steady);
        self.span_ns = self.span_ns.saturating_add(other.span_ns);
    }
}

fn add(to: &mut [u32], from: &[u32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = to.saturating_add(*from);
    }
}

impl Traffic {
    /// Frames of one direction.
    fn frames(&self, direction: usize) -> u32 {
        self.sizes[direction].iter().sum()
    }

    /// Frames of both directions.
    pub fn total(&self) -> u32 {
        self.frames(UP) + self.frames(DOWN)
    }

    fn size(&self, direction: usize, class: usize) -> f64 {
        share(self.sizes[direction][class], self.frames(direction))
    }

    /// Share of the gaps of these classes among all gaps.
    fn gap(&self, classes: core::ops::Range<usize>) -> f64 {
        share(self.gaps[classes].iter().sum(), self.gaps.iter().sum())
    }

    fn protocol(&self, protocol: usize) -> f64 {
        share(self.protocols[protocol], self.total())
    }

    fn mean_bytes(&self, direction: usize) -> f64 {
        ratio(self.bytes[direction] as f64, self.frames(direction).into())
    }

    /// Time for one frame on average; the whole time when there was none.
    fn every_s(&self, direction: usize) -> f64 {
        self.span_ns as f64 / 1e9 / f64::from(self.frames(direction).max(1))
    }
}

/// What was counted of a device's conversations and read from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Talks {
    /// Conversations it opened.
    pub opened: u32,
    /// Conversations it accepted.
    pub accepted: u32,
    /// Stations with private or link-local addresses it spoke with.
    pub near: u32,
    /// Stations with public addresses.
    pub far: u32,
    /// Multicast groups and broadcast addresses it sent to.
    pub groups: u32,
    /// Window of its first TCP SYN; 0 before there was one.
    pub tcp_window: u16,
    /// Window scale of that SYN, 255 without the option.
    pub tcp_scale: u8,
    /// Hop limit it starts with: 64, 128 or 255; 0 before it sent IP.
    pub hop_limit: u8,
    /// What it asks of a DHCP server.
    pub dhcp: Dhcp,
    /// Kinds of protocols it was seen to open.
    pub asks: Kinds,
    /// Kinds of protocols it was seen to serve.
    pub serves: Kinds,
}

/// What a device asks of a DHCP server (option 55).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dhcp {
    options: [u64; 4],
}

impl Dhcp {
    /// From a list of decimal numbers joined by commas; what is no option is left out.
    pub fn parse(list: &str) -> Self {
        let mut options = [0; 4];
        for option in list
            .split(',')
            .filter_map(|number| number.trim().parse::<u8>().ok())
        {
            options[usize::from(option / 64)] |= 1 << (option % 64);
        }
        Self { options }
    }

    fn count(&self) -> u32 {
        self.options.iter().map(|bits| bits.count_ones()).sum()
    }

    fn any(&self, options: &[u8]) -> f64 {
        let asks = |option: u8| self.options[usize::from(option / 64)] >> (option % 64) & 1 == 1;
        flag(options.iter().any(|option| asks(*option)))
    }
}

/// A set of kinds of protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u8);

impl Kinds {
    /// Names of hosts.
    pub const NAMES: Self = Self(1);
    /// Time of day.
    pub const TIME: Self = Self(1 << 1);
    /// Pages and interfaces in clear text.
    pub const WEB: Self = Self(1 << 2);
    /// Encrypted conversations.
    pub const SECURE: Self = Self(1 << 3);
    /// Announcements and searches in the own network.
    pub const DISCOVERY: Self = Self(1 << 4);
    /// Protocols of clinical devices.
    pub const CLINICAL: Self = Self(1 << 5);
    /// What nothing recognised.
    pub const OPAQUE: Self = Self(1 << 6);

    /// The kind of a protocol by the name its parser has.
    pub fn of(protocol: &str) -> Self {
        match protocol {
            "dns" | "llmnr" | "nbns" | "netbios" => Self::NAMES,
            "ntp" => Self::TIME,
            "http" | "rtsp" | "ipp" | "soap" => Self::WEB,
            "tls" | "quic" | "dtls" | "ssh" => Self::SECURE,
            "mdns" | "ssdp" | "wsd" | "ws-discovery" | "lldp" | "cdp" => Self::DISCOVERY,
            "dicom" | "hl7" | "sdc" | "astm" | "poct1a" | "rwhat" | "philips" => Self::CLINICAL,
            _ => Self::default(),
        }
    }

    /// Adds another set.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn has(self, kind: Self) -> f64 {
        flag(self.0 & kind.0 != 0)
    }
}

/// What a number means to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A part of a whole; written in per cent.
    Share,
    /// Logarithm of a count.
    Count,
    /// Logarithm of a length in bytes.
    Bytes,
    /// Logarithm of a time in seconds.
    Seconds,
    /// 1 for yes, 0 for no.
    Flag,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
            Self::Flag => "flag",
        }
    }

    /// The quantity behind a number of this unit.
    fn quantity(self, value: f32) -> f64 {
        let value = f64::from(value);
        match self {
            Self::Share | Self::Flag => value,
            Self::Count | Self::Bytes => value.exp_m1().max(0.0),
            Self::Seconds => (value - SECONDS_OFFSET).exp(),
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Share => " %",
            Self::Bytes => " bytes",
            Self::Seconds => " s",
            Self::Count | Self::Flag => "",
        }
    }

    /// As a person reads it, without the unit.
    fn digits(self, value: f32) -> String {
        let quantity = self.quantity(value);
        match self {
            Self::Share => format!("{:.0}", quantity * 100.0),
            Self::Seconds if quantity < 0.01 => format!("{quantity:.4}"),
            Self::Seconds if quantity < 1.0 => format!("{quantity:.2}"),
            Self::Seconds if quantity < 10.0 => format!("{quantity:.1}"),
            Self::Count | Self::Bytes | Self::Seconds | Self::Flag => format!("{quantity:.0}"),
        }
    }
}

/// Times from 0.1 ms on are told apart: ln(t) + 9.2 is above 0.
const SECONDS_OFFSET: f64 = 9.2;

/// One of the numbers.
#[derive(Debug, Clone, Copy)]
pub struct Feature {
    /// Its name in files.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// What it says of the device; `{}` stands for the quantity.
    words: &'static str,
    of: fn(&Traffic, &Talks) -> f64,
}

impl Feature {
    /// "sends a packet every 1.0 s".
    pub fn say(&self, value: f32) -> String {
        match self.unit {
            Unit::Flag if value < 0.5 => format!("no sign that it {}", self.words),
            _ => self.words.replace("{}", &self.amount(value)),
        }
    }

    /// The quantity behind a number: seconds, bytes, a count, a share.
    pub fn quantity(&self, value: f32) -> f64 {
        self.unit.quantity(value)
    }

    /// "1.0 s".
    pub fn amount(&self, value: f32) -> String {
        self.unit.digits(value) + self.unit.suffix()
    }

    /// "0.8 to 1.2 s"; "never", "sometimes" or "always" for what is or is not.
    pub fn range(&self, low: f32, high: f32) -> String {
        if self.unit == Unit::Flag {
            let words = match (low >= 0.5, high >= 0.5) {
                (true, _) => "always",
                (false, true) => "sometimes",
                (false, false) => "never",
            };
            return words.to_owned();
        }
        let (from, to) = (self.unit.digits(low), self.amount(high));
        if self.amount(low) == to {
            to
        } else {
            format!("{from} to {to}")
        }
    }
}

/// The numbers of a device, in the order of [`FEATURES`].
pub fn features(traffic: &Traffic, talks: &Talks) -> Features {
    core::array::from_fn(|index| (FEATURES[index].of)(traffic, talks) as f32)
}

/// SHA-256 of all names and units: a model made for other numbers is refused by it.
pub fn schema() -> [u8; 32] {
    let mut text = format!("meaning {MEANING}\n");
    for feature in &FEATURES {
        let _ = writeln!(text, "{} {}", feature.name, feature.unit.name());
    }
    Sha256::digest(text).into()
}

const fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn share(part: u32, whole: u32) -> f64 {
    ratio(part.into(), whole.into())
}

fn count(quantity: impl Into<f64>) -> f64 {
    quantity.into().ln_1p()
}

fn seconds(quantity: f64) -> f64 {
    (quantity.max(1e-4).ln() + SECONDS_OFFSET).max(0.0)
}

macro_rules! table {
    ($( $name:literal $unit:ident $words:literal |$traffic:pat_param, $talks:pat_param| $of:expr; )*) => {
        /// All numbers, in their order.
        pub static FEATURES: [Feature; COUNT] = [ $( Feature {
            name: $name,
            unit: Unit::$unit,
            words: $words,
            of: |$traffic, $talks| $of,
        }, )* ];
    };
}

table! {
    "sent-to-64" Share "{} of its packets are at most 64 bytes long" |t, _| t.size(UP, 0);
    "sent-to-128" Share "{} of its packets are 65 to 128 bytes long" |t, _| t.size(UP, 1);
    "sent-to-256" Share "{} of its packets are 129 to 256 bytes long" |t, _| t.size(UP, 2);
    "sent-to-512" Share "{} of its packets are 257 to 512 bytes long" |t, _| t.size(UP, 3);
    "sent-to-768" Share "{} of its packets are 513 to 768 bytes long" |t, _| t.size(UP, 4);
    "sent-to-1024" Share "{} of its packets are 769 to 1024 bytes long" |t, _| t.size(UP, 5);
    "sent-to-1280" Share "{} of its packets are 1025 to 1280 bytes long" |t, _| t.size(UP, 6);
    "sent-longer" Share "{} of its packets are longer than 1280 bytes" |t, _| t.size(UP, 7);
    "received-to-64" Share "{} of the packets to it are at most 64 bytes long" |t, _| t.size(DOWN, 0);
    "received-to-128" Share "{} of the packets to it are 65 to 128 bytes long" |t, _| t.size(DOWN, 1);
    "received-to-256" Share "{} of the packets to it are 129 to 256 bytes long" |t, _| t.size(DOWN, 2);
    "received-to-512" Share "{} of the packets to it are 257 to 512 bytes long" |t, _| t.size(DOWN, 3);
    "received-to-768" Share "{} of the packets to it are 513 to 768 bytes long" |t, _| t.size(DOWN, 4);
    "received-to-1024" Share "{} of the packets to it are 769 to 1024 bytes long" |t, _| t.size(DOWN, 5);
    "received-to-1280" Share "{} of the packets to it are 1025 to 1280 bytes long" |t, _| t.size(DOWN, 6);
    "received-longer" Share "{} of the packets to it are longer than 1280 bytes" |t, _| t.size(DOWN, 7);
    "gap-to-1ms" Share "{} of the pauses between packets are shorter than 1 ms" |t, _| t.gap(0..4);
    "gap-to-17ms" Share "{} of the pauses between packets last 1 to 17 ms" |t, _| t.gap(4..6);
    "gap-to-67ms" Share "{} of the pauses between packets last 17 to 67 ms" |t, _| t.gap(6..7);
    "gap-to-270ms" Share "{} of the pauses between packets last 67 to 270 ms" |t, _| t.gap(7..8);
    "gap-to-1s" Share "{} of the pauses between packets last 0.27 to 1.1 s" |t, _| t.gap(8..9);
    "gap-to-4s" Share "{} of the pauses between packets last 1.1 to 4.3 s" |t, _| t.gap(9..10);
    "gap-to-17s" Share "{} of the pauses between packets last 4.3 to 17 s" |t, _| t.gap(10..11);
    "gap-longer" Share "{} of the pauses between packets are longer than 17 s" |t, _| t.gap(11..12);
    "tcp" Share "{} of the packets are TCP" |t, _| t.protocol(0);
    "udp" Share "{} of the packets are UDP" |t, _| t.protocol(1);
    "icmp" Share "{} of the packets are ICMP" |t, _| t.protocol(2);
    "other-ip" Share "{} of the packets are IP without TCP, UDP or ICMP" |t, _| t.protocol(3);
    "arp" Share "{} of the packets are ARP" |t, _| t.protocol(4);
    "not-ip" Share "{} of the packets are neither IP nor ARP" |t, _| t.protocol(5);
    "sent-mean" Bytes "its packets are {} long on average" |t, _| count(t.mean_bytes(UP));
    "received-mean" Bytes "the packets to it are {} long on average" |t, _| count(t.mean_bytes(DOWN));
    "sent-frames" Share "it sends {} of the packets" |t, _| share(t.frames(UP), t.total());
    "sent-bytes" Share "it sends {} of the bytes" |t, _| ratio(t.bytes[UP] as f64, (t.bytes[UP] + t.bytes[DOWN]) as f64);
    "turns" Share "the direction changes at {} of the packets" |t, _| share(t.turns, t.total());
    "steady" Share "{} of the pauses are like the one before" |t, _| share(t.steady, t.total());
    "to-groups" Share "{} of its packets go to multicast groups" |t, _| share(t.groups[0], t.frames(UP));
    "to-all" Share "{} of its packets go to everybody" |t, _| share(t.groups[1], t.frames(UP));
    "sent-longest" Bytes "its longest packet has {}" |t, _| count(t.longest[UP]);
    "received-longest" Bytes "the longest packet to it has {}" |t, _| count(t.longest[DOWN]);
    "sends-every" Seconds "sends a packet every {}" |t, _| seconds(t.every_s(UP));
    "receives-every" Seconds "receives a packet every {}" |t, _| seconds(t.every_s(DOWN));
    "opened" Count "opened {} conversations" |_, k| count(k.opened);
    "accepted" Count "accepted {} conversations" |_, k| count(k.accepted);
    "near-peers" Count "spoke with {} stations of the own network" |_, k| count(k.near);
    "far-peers" Count "spoke with {} stations on the Internet" |_, k| count(k.far);
    "groups" Count "sends to {} multicast or broadcast addresses" |_, k| count(k.groups);
    "tcp-window" Bytes "offers a TCP window of {} at first" |_, k| count(k.tcp_window);
    "tcp-scales" Flag "scales its TCP window" |_, k| flag(k.tcp_window != 0 && k.tcp_scale != u8::MAX);
    "hop-limit" Count "starts with a hop limit of {}" |_, k| count(k.hop_limit);
    "dhcp-options" Count "asks its DHCP server for {} things" |_, k| count(k.dhcp.count());
    "dhcp-host-name" Flag "asks its DHCP server for a host name" |_, k| k.dhcp.any(&[12]);
    "dhcp-time-server" Flag "asks its DHCP server for a time server" |_, k| k.dhcp.any(&[4, 42]);
    "dhcp-routes" Flag "asks its DHCP server for routes" |_, k| k.dhcp.any(&[33, 121, 249]);
    "dhcp-netbios" Flag "asks its DHCP server for NetBIOS servers" |_, k| k.dhcp.any(&[44, 46, 47]);
    "asks-names" Flag "asks for names of hosts" |_, k| k.asks.has(Kinds::NAMES);
    "asks-time" Flag "asks for the time" |_, k| k.asks.has(Kinds::TIME);
    "asks-web" Flag "opens web conversations in clear text" |_, k| k.asks.has(Kinds::WEB);
    "asks-secure" Flag "opens encrypted conversations" |_, k| k.asks.has(Kinds::SECURE);
    "discovers" Flag "announces itself or searches in the own network" |_, k| k.asks.has(Kinds::DISCOVERY).max(k.serves.has(Kinds::DISCOVERY));
    "asks-opaque" Flag "opens conversations in a protocol of its own" |_, k| k.asks.has(Kinds::OPAQUE);
    "serves-web" Flag "serves web pages, pictures or encrypted conversations" |_, k| k.serves.has(Kinds::WEB).max(k.serves.has(Kinds::SECURE));
    "serves-opaque" Flag "serves a protocol of its own" |_, k| k.serves.has(Kinds::OPAQUE);
    "clinical" Flag "speaks a protocol of clinical devices" |_, k| k.asks.has(Kinds::CLINICAL).max(k.serves.has(Kinds::CLINICAL));
}

#[cfg(test)]
mod tests {
    use wardline_engine::feature::{Cast, Protocol};
    use wardline_policy::Side;

    use super::*;

    fn value(traffic: &Traffic, talks: &Talks, name: &str) -> f32 {
        let index = FEATURES.iter().position(|f| f.name == name).unwrap();
        features(traffic, talks)[index]
    }

    fn said(traffic: &Traffic, talks: &Talks, name: &str) -> String {
        let feature = FEATURES.iter().find(|f| f.name == name).unwrap();
        feature.say(value(traffic, talks, name))
    }

    /// A packet of 100 bytes each second, every fourth an answer.
    fn traffic() -> Traffic {
        let mut window = Window::default();
        for n in 0..61 {
            let from = if n % 4 == 3 { Side::Core } else { Side::Ward };
            let now_ns = n * 1_000_000_000;
            window.add((from, Cast::One), 100, Protocol::Udp, now_ns);
        }
        Traffic::from(&window)
    }

    #[test]
    fn numbers_are_said_in_plain_units() {
        let (traffic, mut talks) = (traffic(), Talks::default());
        talks.opened = 3;
        talks.dhcp = Dhcp::parse("1, 3,6,12,900,x");
        assert_eq!(
            said(&traffic, &talks, "sends-every"),
            "sends a packet every 1.3 s"
        );
        assert_eq!(
            said(&traffic, &talks, "sent-frames"),
            "it sends 75 % of the packets"
        );
        assert_eq!(
            said(&traffic, &talks, "sent-mean"),
            "its packets are 100 bytes long on average"
        );
        assert_eq!(said(&traffic, &talks, "opened"), "opened 3 conversations");
        assert_eq!(
            said(&traffic, &talks, "dhcp-options"),
            "asks its DHCP server for 4 things"
        );
        assert_eq!(
            said(&traffic, &talks, "asks-time"),
            "no sign that it asks for the time"
        );
        let every = FEATURES.iter().find(|f| f.name == "sends-every").unwrap();
        assert_eq!(
            every.range(seconds(0.8) as f32, seconds(1.2) as f32),
            "0.80 to 1.2 s"
        );
    }

    #[test]
    fn a_sum_of_windows_has_the_numbers_of_one() {
        let mut sum = traffic();
        sum += traffic();
        let talks = Talks::default();
        assert_eq!(features(&sum, &talks), features(&traffic(), &talks));
    }

    #[test]
    fn nothing_seen_gives_numbers_too() {
        for value in features(&Traffic::default(), &Talks::default()) {
            assert!(value.is_finite());
        }
    }

    #[test]
    fn names_are_told_apart() {
        let mut names: Vec<_> = FEATURES.iter().map(|f| f.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COUNT);
    }
}
