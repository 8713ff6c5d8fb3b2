//! Frames in, what is known of each station out: its windows, what was counted of its
//! conversations, and what it says of itself.
//!
//! Whoever has every frame calls [`Observer::frame`]. The gateway, whose engine makes the windows
//! and hands on only samples, calls [`Observer::read`] and [`Observer::window`].
//!
//! A router's MAC address carries the whole Internet. What is said from or to an address sticks to
//! a station only when the address is its own; how many others it carries is
//! [`Station::forwards_for`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::Ipv6Addr;

use wardline_engine::feature::{Cast, DECISIONS, FRAMES, Finished, Window};
use wardline_engine::snoop::{arp, dhcp, nd};
use wardline_engine::{L3, L4, PacketMeta, parse, vendor};
use wardline_policy::{DeviceKey, Side};

use crate::evidence::{self, Reader, Seen};
use crate::features::{Dhcp, Features, Kinds, Talks, Traffic, features};
use crate::knowledge::{identify, weigh};
use crate::{About, Fact, Field, Observed};

/// What an observer holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Stations; when there are more, those silent for longest make room.
    pub stations: usize,
    /// Facts of a station.
    pub facts: usize,
    /// Addresses a station speaks from.
    pub addresses: usize,
    /// Peers of a station that are counted.
    pub peers: usize,
    /// Time one window takes frames in, in seconds.
    pub span_s: u32,
    /// Of the reader of evidence.
    pub reader: evidence::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stations: 4_096,
            facts: 256,
            addresses: 64,
            peers: 256,
            span_s: 60,
            reader: evidence::Limits::default(),
        }
    }
}

/// All stations seen.
#[derive(Debug)]
pub struct Observer {
    limits: Limits,
    reader: Reader,
    index: HashMap<DeviceKey, usize>,
    stations: Vec<Station>,
    finished: VecDeque<Finished>,
    /// Stations that never make room.
    held: HashSet<DeviceKey>,
    /// A frame that was captured in part, filled up.
    whole: Vec<u8>,
    /// Frames and windows of stations there was no room for.
    pub unobserved: u64,
    /// Stations that made room for others.
    pub forgotten: u64,
}

/// This part of all stations makes room at once, so that a new one costs little.
const ROOM: usize = 16;
/// A station that was known for long is given as much patience, up to this: what passes by makes
/// room first.
const PATIENCE_NS: u64 = 24 * HOUR_NS;
const HOUR_NS: u64 = 3_600_000_000_000;

impl Observer {
    /// An observer that has seen nothing.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            reader: Reader::new(limits.reader),
            index: HashMap::new(),
            stations: Vec::new(),
            finished: VecDeque::new(),
            held: HashSet::new(),
            whole: Vec::new(),
            unobserved: 0,
            forgotten: 0,
        }
    }

    /// Takes a frame: when it came, its bytes as far as they were captured, and its length on the
    /// wire. Windows it finishes wait in [`Observer::next_window`].
    pub fn frame(&mut self, time_ns: u64, bytes: &[u8], wire_bytes: usize) {
        if let Some(meta) = self.take(time_ns, bytes, wire_bytes) {
            self.count(&meta, time_ns, wire_bytes.max(bytes.len()));
        }
    }

    /// Reads a frame, whole or its beginning, without counting it in a window. Who sent it, unless
    /// there is no room for that station.
    pub fn read(&mut self, time_ns: u64, bytes: &[u8], wire_bytes: usize) -> Option<DeviceKey> {
        self.take(time_ns, bytes, wire_bytes)
            .map(|meta| from(&meta))
    }

    /// Takes a window the engine finished; whether there is room for its station.
    pub fn window(&mut self, finished: &Finished) -> bool {
        let index = self.station_of(finished.device, finished.time_ns);
        if let Some(index) = index {
            let station = &mut self.stations[index];
            station.heard(finished.time_ns);
            station.windows.take(finished);
        }
        index.is_some()
    }

    /// Whether a station is kept however silent it is, seen or not yet.
    pub fn hold(&mut self, key: DeviceKey, held: bool) {
        if held {
            self.held.insert(key);
        } else {
            self.held.remove(&key);
        }
    }

    /// The next window that was finished by a frame.
    pub fn next_window(&mut self) -> Option<Finished> {
        self.finished.pop_front()
    }

    /// Finishes all windows, at the end of a capture.
    pub fn finish(&mut self) {
        for station in &mut self.stations {
            let unfinished = station.windows.unfinished(station.key);
            self.finished.extend(unfinished);
        }
    }

    /// What is known of one station.
    pub fn station(&self, key: DeviceKey) -> Option<&Station> {
        self.index.get(&key).map(|index| &self.stations[*index])
    }

    /// All stations, in the order they spoke first.
    pub fn stations(&self) -> &[Station] {
        &self.stations
    }

    /// Everything but the windows. What the frame is, unless it is none.
    fn take(&mut self, time_ns: u64, bytes: &[u8], wire_bytes: usize) -> Option<PacketMeta> {
        let meta = self.parse(bytes, wire_bytes);
        let (meta, sound) = match meta {
            Ok(meta) => (meta, true),
            Err(error) => (error.meta?, false),
        };
        let sender = self.station_of(from(&meta), time_ns)?;
        self.stations[sender].heard(time_ns);
        if sound {
            self.learn_addresses(sender, &meta, bytes, time_ns);
            self.count_peers(sender, &meta);
            self.read_facts(sender, &meta, bytes, time_ns);
        }
        Some(meta)
    }

    /// A frame cut short is understood as if zeros followed; nobody reads them.
    fn parse(&mut self, bytes: &[u8], wire_bytes: usize) -> Result<PacketMeta, parse::ParseError> {
        if bytes.len() >= wire_bytes {
            return parse::parse(bytes);
        }
        self.whole.clear();
        self.whole.extend_from_slice(bytes);
        self.whole.resize(wire_bytes.min(FRAME_BYTES_MAX), 0);
        let mut meta = parse::parse(&self.whole)?;
        let captured = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        meta.end = meta.end.min(captured);
        meta.payload_offset = meta.payload_offset.min(meta.end);
        Ok(meta)
    }

    /// The place of a station, a new one if others can make room for it.
    fn station_of(&mut self, key: DeviceKey, time_ns: u64) -> Option<usize> {
        if let Some(index) = self.index.get(&key) {
            return Some(*index);
        }
        if !key.mac.is_group() && self.stations.len() >= self.limits.stations {
            self.make_room();
        }
        if key.mac.is_group() || self.stations.len() >= self.limits.stations {
            self.unobserved += 1;
            return None;
        }
        let index = self.stations.len();
        self.stations.push(Station::new(key, time_ns, self.limits));
        self.index.insert(key, index);
        Some(index)
    }

    /// Forgets the stations that were silent for longest, a part of all at once. Nothing is
    /// forgotten while all are held.
    fn make_room(&mut self) {
        let spare = |station: &&Station| !self.held.contains(&station.key);
        let mut silent: Vec<(u64, DeviceKey)> = self
            .stations
            .iter()
            .filter(spare)
            .map(|station| (station.kept_until_ns(), station.key))
            .collect();
        let part = (self.limits.stations / ROOM).clamp(1, silent.len().max(1));
        if part < silent.len() {
            silent.select_nth_unstable(part);
            silent.truncate(part);
        }
        for (_, key) in silent {
            self.index.remove(&key);
            self.forgotten += 1;
        }
        let index = &mut self.index;
        self.stations
            .retain(|station| index.contains_key(&station.key));
        for (at, station) in self.stations.iter().enumerate() {
            index.insert(station.key, at);
        }
    }

    fn learn_addresses(&mut self, sender: usize, meta: &PacketMeta, bytes: &[u8], time_ns: u64) {
        let station = &mut self.stations[sender];
        let behind = bytes.get(usize::from(meta.l3_offset)..).unwrap_or_default();
        match meta.l3 {
            L3::Ip { source, .. } => {
                station.change_addresses(|addresses| addresses.uses(source, time_ns));
                if nd::is_nd(meta)
                    && let Ok(message) = nd::parse(meta, bytes)
                    && let Some(claimed) = claimed(&message, source)
                {
                    station.change_addresses(|addresses| addresses.claims(claimed, time_ns));
                }
                if dhcp::is_dhcp(meta) {
                    self.learn_lease(meta, bytes, time_ns);
                }
            }
            L3::Arp => {
                if let Ok(message) = arp::parse(behind)
                    && message.sender_mac == meta.source_mac
                {
                    let octets = message.sender_ip.to_ipv6_mapped().octets();
                    station.change_addresses(|addresses| addresses.claims(octets, time_ns));
                }
            }
            L3::Other => {}
        }
    }

    /// The address that a DHCP server grants is the client's.
    fn learn_lease(&mut self, meta: &PacketMeta, bytes: &[u8], time_ns: u64) {
        let payload = usize::from(meta.payload_offset)..usize::from(meta.end);
        let message = bytes.get(payload).and_then(|b| dhcp::parse(b).ok());
        let Some(lease) = message.filter(|m| m.kind == Some(dhcp::DhcpKind::Ack)) else {
            return;
        };
        let client = DeviceKey {
            mac: lease.client_mac,
            vlan: meta.vlan,
        };
        if let Some(at) = self.index.get(&client)
            && !lease.your_ip.is_unspecified()
        {
            let octets = lease.your_ip.to_ipv6_mapped().octets();
            self.stations[*at].change_addresses(|addresses| addresses.claims(octets, time_ns));
        }
    }

    /// Counts the two ends as peers of each other.
    fn count_peers(&mut self, sender: usize, meta: &PacketMeta) {
        let L3::Ip {
            source,
            destination,
            ..
        } = meta.l3
        else {
            return;
        };
        self.stations[sender].speaks(meta, destination);
        if let Some(receiver) = self.index.get(&to(meta)) {
            self.stations[*receiver].peers.add(source);
        }
    }

    fn read_facts(&mut self, sender: usize, meta: &PacketMeta, bytes: &[u8], time_ns: u64) {
        let (source, destination) = match meta.l3 {
            L3::Ip {
                source,
                destination,
                ..
            } => (source, destination),
            L3::Arp | L3::Other => (NOWHERE, NOWHERE),
        };
        let receiver = self.index.get(&to(meta)).copied();
        let (stations, limits) = (&mut self.stations, self.limits);
        let place = |about| match about {
            About::Sender => (Some(sender), source),
            About::Receiver => (receiver, destination),
        };
        let other = |about| match about {
            About::Sender => About::Receiver,
            About::Receiver => About::Sender,
        };
        self.reader
            .read(bytes, meta, time_ns, &mut |seen| match seen {
                Seen::Fact(Observed { about, fact }) => {
                    if let (Some(station), address) = place(about) {
                        stations[station].learn(fact, address, time_ns, limits.facts);
                    }
                }
                Seen::Opened(talk) => {
                    if let (Some(station), _) = place(talk.client) {
                        stations[station].opened += 1;
                    }
                }
                Seen::Accepted(talk) => {
                    if let (Some(station), _) = place(other(talk.client)) {
                        stations[station].accepted += 1;
                    }
                }
            });
    }

    /// Adds the frame to the windows of its two ends.
    fn count(&mut self, meta: &PacketMeta, time_ns: u64, len: usize) {
        let span_ns = u64::from(self.limits.span_s) * 1_000_000_000;
        let cast = Cast::of(meta.destination_mac);
        let receiver = (cast == Cast::One).then(|| (to(meta), Side::Core));
        for (key, side) in [Some((from(meta), Side::Ward)), receiver]
            .into_iter()
            .flatten()
        {
            let Some(index) = self.index.get(&key) else {
                continue;
            };
            let windows = &mut self.stations[*index].windows;
            let frame = |window: &mut Window| {
                window.add((side, cast), len, meta.carries(), time_ns);
            };
            let finished = windows.add(key, time_ns, span_ns, frame);
            self.finished.extend(finished.into_iter().flatten());
        }
    }
}

/// Longer frames do not exist; a capture may claim any length.
const FRAME_BYTES_MAX: usize = 65_535;
const SYN: u8 = 2;
/// The address of what was said without one.
const NOWHERE: [u8; 16] = [0; 16];

const fn from(meta: &PacketMeta) -> DeviceKey {
    DeviceKey {
        mac: meta.source_mac,
        vlan: meta.vlan,
    }
}

const fn to(meta: &PacketMeta) -> DeviceKey {
    DeviceKey {
        mac: meta.destination_mac,
        vlan: meta.vlan,
    }
}

/// The address a neighbour discovery message claims for its sender.
fn claimed(message: &nd::NdMessage, source: [u8; 16]) -> Option<[u8; 16]> {
    match message.kind {
        nd::NdKind::NeighbourAdvertisement { target, .. } => Some(target.octets()),
        nd::NdKind::NeighbourSolicitation { target } if source == NOWHERE => Some(target.octets()),
        nd::NdKind::NeighbourSolicitation { .. } => Some(source),
        _ => None,
    }
}

/// One station.
#[derive(Debug)]
pub struct Station {
    key: DeviceKey,
    first_ns: u64,
    last_ns: u64,
    addresses: Addresses,
    facts: Vec<Kept>,
    /// As in [`Station::news`].
    news: u64,
    windows: Windows,
    peers: Peers,
    opened: u32,
    accepted: u32,
    tcp_window: u16,
    tcp_scale: u8,
    hop_limit: u8,
}

impl Station {
    /// The registered owner of its address is the first thing known of it.
    fn new(key: DeviceKey, time_ns: u64, limits: Limits) -> Self {
        let registered = vendor(key.mac).and_then(|owner| Fact::new(Field::Oui, owner));
        let kept = |fact| Kept {
            fact,
            address: NOWHERE,
            first_ns: time_ns,
            last_ns: time_ns,
            means: true,
        };
        Self {
            key,
            first_ns: time_ns,
            last_ns: time_ns,
            addresses: Addresses::new(limits.addresses),
            facts: registered.map(kept).into_iter().collect(),
            news: 0,
            windows: Windows::default(),
            peers: Peers::new(limits.peers),
            opened: 0,
            accepted: 0,
            tcp_window: 0,
            tcp_scale: u8::MAX,
            hop_limit: 0,
        }
    }

    /// Its MAC address and VLAN.
    pub fn key(&self) -> DeviceKey {
        self.key
    }

    /// Unix time in nanoseconds of its first frame.
    pub fn first_ns(&self) -> u64 {
        self.first_ns
    }

    /// Unix time in nanoseconds of its last frame.
    pub fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// Changes its addresses. What it said from one that is gone stays its own.
    fn change_addresses(&mut self, change: impl FnOnce(&mut Addresses) -> Option<Vec<[u8; 16]>>) {
        let Some(gone) = change(&mut self.addresses) else {
            return;
        };
        self.news += 1;
        for kept in &mut self.facts {
            if gone.contains(&kept.address) {
                kept.address = NOWHERE;
            }
        }
    }

    /// Its own addresses, IPv4 as v4-mapped, in the order it used them.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.addresses.own().map(Ipv6Addr::from)
    }

    /// How many addresses that are not its own it speaks from: it forwards for others.
    pub fn forwards_for(&self) -> usize {
        self.addresses.foreign()
    }

    /// What is said of it, each thing once for each of its addresses.
    pub fn facts(&self) -> impl Iterator<Item = Said<'_>> {
        let own = self
            .facts
            .iter()
            .filter(|kept| self.addresses.is_own(kept.address));
        own.map(Kept::said)
    }

    /// Rises when something else is said of it, or when it is known to own other addresses.
    pub fn news(&self) -> u64 {
        self.news
    }

    /// All its windows together.
    pub fn traffic(&self) -> Traffic {
        self.windows.traffic()
    }

    /// The same of its last windows, ten at most.
    pub fn traffic_lately(&self) -> Traffic {
        self.windows.lately()
    }

    /// The last words on it: of each field what was said within a day of what was said in it last.
    pub fn facts_lately(&self) -> impl Iterator<Item = Said<'_>> {
        let mut last_ns: HashMap<Field, u64> = HashMap::new();
        for said in self.facts() {
            let of_field = last_ns.entry(said.fact.field).or_default();
            *of_field = said.last_ns.max(*of_field);
        }
        self.facts().filter(move |said| {
            let of_field = last_ns.get(&said.fact.field);
            of_field.is_none_or(|last_ns| said.last_ns.saturating_add(LATELY_NS) >= *last_ns)
        })
    }

    /// What was counted and read of its conversations so far.
    pub fn talks(&self) -> Talks {
        self.talks_of(self.facts())
    }

    fn talks_of<'a>(&self, facts: impl Iterator<Item = Said<'a>>) -> Talks {
        let mut talks = Talks {
            opened: self.opened,
            accepted: self.accepted,
            near: self.peers.near,
            far: self.peers.far,
            groups: self.peers.groups,
            tcp_window: self.tcp_window,
            tcp_scale: self.tcp_scale,
            hop_limit: self.hop_limit,
            ..Talks::default()
        };
        for Said { fact, .. } in facts {
            match fact.field {
                Field::Client => talks.asks.insert(Kinds::of(&fact.value)),
                Field::Server => talks.serves.insert(Kinds::of(&fact.value)),
                Field::OpaqueClient => talks.asks.insert(Kinds::OPAQUE),
                Field::OpaqueServer => talks.serves.insert(Kinds::OPAQUE),
                Field::DhcpParameters => talks.dhcp = Dhcp::parse(&fact.value),
                _ => {}
            }
        }
        talks
    }

    /// The numbers of one of its windows.
    pub fn features(&self, window: &Window) -> Features {
        features(&Traffic::from(window), &self.talks())
    }

    /// The numbers of all its traffic so far.
    pub fn features_so_far(&self) -> Features {
        features(&self.traffic(), &self.talks())
    }

    /// The numbers of its last windows.
    pub fn features_lately(&self) -> Features {
        features(&self.traffic_lately(), &self.talks_of(self.facts_lately()))
    }

    /// Of two stations, the one with the earlier time makes room first.
    fn kept_until_ns(&self) -> u64 {
        let known_ns = self.last_ns.saturating_sub(self.first_ns);
        self.last_ns.saturating_add(known_ns.min(PATIENCE_NS))
    }

    fn heard(&mut self, time_ns: u64) {
        self.first_ns = self.first_ns.min(time_ns);
        self.last_ns = self.last_ns.max(time_ns);
    }

    fn speaks(&mut self, meta: &PacketMeta, destination: [u8; 16]) {
        if self.hop_limit == 0 {
            self.hop_limit = match meta.hop_limit {
                // Groups of the own network are often sent to with a hop limit of 1.
                0..33 => 0,
                33..=64 => 64,
                65..=128 => 128,
                129.. => 255,
            };
        }
        if let L4::Tcp {
            flags,
            window,
            scale,
            ..
        } = meta.l4
            && self.tcp_window == 0
            && flags & SYN != 0
        {
            (self.tcp_window, self.tcp_scale) = (window, scale);
        }
        if meta.destination_mac.is_group() {
            self.peers.add_group(destination);
        } else {
            self.peers.add(destination);
        }
    }

    /// Keeps a fact; one that is known only gets a later time. Where there is no room, what says
    /// least makes it: what was said of foreign addresses, then names asked for, then what means
    /// nothing. No field takes the room of the others.
    fn learn(&mut self, fact: Fact, address: [u8; 16], time_ns: u64, limit: usize) {
        let known = |kept: &&mut Kept| kept.address == address && kept.fact == fact;
        if let Some(kept) = self.facts.iter_mut().find(known) {
            kept.first_ns = kept.first_ns.min(time_ns);
            kept.last_ns = kept.last_ns.max(time_ns);
            return;
        }
        let field = fact.field;
        let fresh = Kept {
            means: !weigh(&fact).weights.is_empty() || !identify(&fact).is_empty(),
            fact,
            address,
            first_ns: time_ns,
            last_ns: time_ns,
        };
        let worth = |kept: &Kept| match self.addresses.is_own(kept.address) {
            false => Worth::Foreign,
            true => kept.worth(),
        };
        let of_field = self.facts.iter().filter(|kept| kept.fact.field == field);
        let full = of_field.count() >= VALUES_MAX;
        if full || self.facts.len() >= limit {
            let places = self.facts.iter().enumerate();
            let places = places.filter(|(_, kept)| !full || kept.fact.field == field);
            let least = places
                .map(|(at, kept)| (worth(kept), kept.last_ns, at))
                .min();
            let (Some((least, _, at)), new) = (least, worth(&fresh)) else {
                return;
            };
            // Of what means nothing the first is as good as the last.
            let as_good = least == new && (fresh.means || new == Worth::Foreign);
            if least >= new && !as_good {
                return;
            }
            self.facts.remove(at);
        }
        if worth(&fresh) != Worth::Foreign {
            self.news += 1;
        }
        self.facts.push(fresh);
    }
}

/// Values kept of one field, as said from all addresses: a workstation asks for thousands of names.
const VALUES_MAX: usize = 64;

/// What is said of a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said<'a> {
    /// What.
    pub fact: &'a Fact,
    /// When it was said first, Unix time in nanoseconds.
    pub first_ns: u64,
    /// When it was said last.
    pub last_ns: u64,
}

impl<'a> Said<'a> {
    /// Said once.
    pub const fn once(fact: &'a Fact, time_ns: u64) -> Self {
        Self {
            fact,
            first_ns: time_ns,
            last_ns: time_ns,
        }
    }
}

/// A fact with the address it was said from or to.
#[derive(Debug)]
struct Kept {
    fact: Fact,
    address: [u8; 16],
    first_ns: u64,
    last_ns: u64,
    /// Whether it says something of the role, or of what the station is.
    means: bool,
}

/// What makes room first, from the first on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Foreign,
    NameAsked,
    Nothing,
    NameThatMeans,
    Meaning,
}

impl Kept {
    fn said(&self) -> Said<'_> {
        Said {
            fact: &self.fact,
            first_ns: self.first_ns,
            last_ns: self.last_ns,
        }
    }

    /// What it is worth when its address is the station's own.
    fn worth(&self) -> Worth {
        let asked = matches!(
            self.fact.field,
            Field::DnsQuery | Field::TlsServerName | Field::HttpHost
        );
        match (asked, self.means) {
            (true, false) => Worth::NameAsked,
            (false, false) => Worth::Nothing,
            (true, true) => Worth::NameThatMeans,
            (false, true) => Worth::Meaning,
        }
    }
}

/// The addresses a station speaks from.
#[derive(Debug)]
struct Addresses {
    seen: Vec<Address>,
    limit: usize,
}

#[derive(Debug, Clone, Copy)]
struct Address {
    octets: [u8; 16],
    /// The station said by ARP or neighbour discovery that it has it, or was given it by DHCP.
    claimed: bool,
    /// When it was used or claimed last.
    last_ns: u64,
}

/// A station that claims more addresses answers for others.
const CLAIMED_MAX: usize = 8;
/// Addresses of a family without a claim that may all be the station's own: the one it had and
/// the one it got.
const UNCLAIMED_MAX: usize = 2;
/// An address not used for so long makes room for a new one: hosts with privacy addresses take
/// another one every day.
const UNUSED_NS: u64 = 6 * HOUR_NS;

impl Addresses {
    fn new(limit: usize) -> Self {
        Self {
            seen: Vec::new(),
            limit,
        }
    }

    /// The station speaks from an address. The addresses that were its own and made room, if
    /// anything changed.
    fn uses(&mut self, octets: [u8; 16], time_ns: u64) -> Option<Vec<[u8; 16]>> {
        if let Some(address) = self.find(octets) {
            address.last_ns = address.last_ns.max(time_ns);
            return None;
        }
        if Ipv6Addr::from(octets) == UNSPECIFIED_V4 {
            return None;
        }
        let gone = self.make_room(time_ns);
        if self.seen.len() >= self.limit {
            return None;
        }
        self.seen.push(Address {
            octets,
            claimed: false,
            last_ns: time_ns,
        });
        Some(gone)
    }

    /// The station says that it has an address; as [`Self::uses`] otherwise.
    fn claims(&mut self, octets: [u8; 16], time_ns: u64) -> Option<Vec<[u8; 16]>> {
        if let Some(address) = self.find(octets) {
            address.last_ns = address.last_ns.max(time_ns);
            let known = core::mem::replace(&mut address.claimed, true);
            return (!known).then(Vec::new);
        }
        if Ipv6Addr::from(octets) == UNSPECIFIED_V4 || octets == NOWHERE {
            return None;
        }
        let gone = self.make_room(time_ns);
        if self.seen.len() >= self.limit {
            // What is certain is worth more than one of many it forwards for.
            let unclaimed = self.seen.iter().rposition(|address| !address.claimed);
            self.seen.remove(unclaimed?);
        }
        self.seen.push(Address {
            octets,
            claimed: true,
            last_ns: time_ns,
        });
        Some(gone)
    }

    fn find(&mut self, octets: [u8; 16]) -> Option<&mut Address> {
        self.seen.iter_mut().find(|a| a.octets == octets)
    }

    /// Lets go of what was claimed and is not used any more, and of one address without a claim: a
    /// router that was silent for a night still carries as many as before. Those that were own.
    fn make_room(&mut self, time_ns: u64) -> Vec<[u8; 16]> {
        let is_unused = |a: &Address| time_ns.saturating_sub(a.last_ns) >= UNUSED_NS;
        let of_others = self.seen.iter().find(|a| !a.claimed && is_unused(a));
        let of_others = of_others.map(|a| a.octets);
        let goes = |a: &Address| is_unused(a) && (a.claimed || Some(a.octets) == of_others);
        let own = self
            .seen
            .iter()
            .filter(|a| goes(a) && self.is_own(a.octets));
        let own = own.map(|a| a.octets).collect();
        self.seen.retain(|a| !goes(a));
        own
    }

    fn is_own(&self, octets: [u8; 16]) -> bool {
        let asked = Ipv6Addr::from(octets);
        if asked.is_unspecified() || asked == UNSPECIFIED_V4 || is_link_local(asked) {
            return true;
        }
        let family = self.seen.iter().filter(|address| {
            let other = Ipv6Addr::from(address.octets);
            is_v4(other) == is_v4(asked) && !is_link_local(other)
        });
        let (mut claims, mut others, mut this) = (0, 0, None);
        for address in family {
            claims += usize::from(address.claimed);
            others += usize::from(!address.claimed);
            this = this.or((address.octets == octets).then_some(address.claimed));
        }
        match (claims, this) {
            // Only spoken to: another station answers from there.
            (_, None) => false,
            (0, Some(_)) => others <= UNCLAIMED_MAX,
            (claims, Some(claimed)) => claimed && claims <= CLAIMED_MAX,
        }
    }

    fn own(&self) -> impl Iterator<Item = [u8; 16]> {
        let octets = self.seen.iter().map(|address| address.octets);
        octets.filter(|octets| *octets != NOWHERE && self.is_own(*octets))
    }

    /// Those it carries for others. What it claims it may answer for, but it carries nothing.
    fn foreign(&self) -> usize {
        let foreign = |address: &&Address| !address.claimed && !self.is_own(address.octets);
        self.seen.iter().filter(foreign).count()
    }
}

const UNSPECIFIED_V4: Ipv6Addr = std::net::Ipv4Addr::UNSPECIFIED.to_ipv6_mapped();

fn is_v4(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

fn is_link_local(address: Ipv6Addr) -> bool {
    match address.to_ipv4_mapped() {
        Some(address) => address.is_link_local(),
        None => address.is_unicast_link_local(),
    }
}

/// An address of the own organisation: private, shared or link-local.
fn is_near(address: Ipv6Addr) -> bool {
    match address.to_ipv4_mapped() {
        Some(v4) => {
            let shared = matches!(v4.octets(), [100, 64..=127, ..]);
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || shared
        }
        None => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// Whom a station spoke with, counted by class.
#[derive(Debug)]
struct Peers {
    seen: HashSet<[u8; 16]>,
    limit: usize,
    near: u32,
    far: u32,
    groups: u32,
}

impl Peers {
    fn new(limit: usize) -> Self {
        Self {
            seen: HashSet::new(),
            limit,
            near: 0,
            far: 0,
            groups: 0,
        }
    }

    fn add(&mut self, peer: [u8; 16]) {
        let near = is_near(peer.into());
        if self.is_new(peer) {
            self.near += u32::from(near);
            self.far += u32::from(!near);
        }
    }

    fn add_group(&mut self, group: [u8; 16]) {
        self.groups += u32::from(self.is_new(group));
    }

    fn is_new(&mut self, peer: [u8; 16]) -> bool {
        self.seen.len() < self.limit && self.seen.insert(peer)
    }
}

/// The open window of a station and the sum of those before, by the rules of the engine's own.
#[derive(Debug, Default)]
struct Windows {
    open: Window,
    frames: u16,
    since_ns: u64,
    until_ns: u64,
    last_ns: u64,
    /// Windows of earlier spans.
    closed: Traffic,
    /// The last of these in two parts: the one that is filled, and the one before.
    lately: [Traffic; 2],
    /// Windows in the part that is filled.
    filled: u8,
}

/// Windows in each part of the last ones: what was before five to ten windows is long ago.
const PART: u8 = 5;
/// What was not said for so long was said long ago, if other things were said in its field since.
const LATELY_NS: u64 = 24 * HOUR_NS;

impl Windows {
    /// Adds a frame: the window whose span it ends, and the one it brings to a size.
    fn add(
        &mut self,
        device: DeviceKey,
        time_ns: u64,
        span_ns: u64,
        frame: impl FnOnce(&mut Window),
    ) -> [Option<Finished>; 2] {
        let mut ended = None;
        // Times go back between captures that are read one after the other.
        if time_ns >= self.until_ns || time_ns.saturating_add(span_ns) < self.since_ns {
            ended = self.unfinished(device).map(|window| Finished {
                time_ns: self.until_ns,
                ..window
            });
            self.close();
            (self.since_ns, self.until_ns) = (time_ns, time_ns.saturating_add(span_ns));
        } else if self.frames >= FRAMES {
            return [None, None];
        }
        frame(&mut self.open);
        self.frames += 1;
        self.last_ns = time_ns;
        let reached = DECISIONS.contains(&self.frames);
        [ended, reached.then(|| self.finished(device))]
    }

    /// Takes a window the engine finished: those of one span contain each other.
    fn take(&mut self, finished: &Finished) {
        if finished.frames <= self.frames || finished.frames <= DECISIONS[0] {
            self.close();
        }
        (self.open, self.frames) = (finished.window, finished.frames);
        self.last_ns = finished.time_ns;
    }

    /// The open window, unless it was handed out as it is.
    fn unfinished(&self, device: DeviceKey) -> Option<Finished> {
        let unfinished = self.frames != 0 && !DECISIONS.contains(&self.frames);
        unfinished.then(|| self.finished(device))
    }

    fn finished(&self, device: DeviceKey) -> Finished {
        Finished {
            device,
            time_ns: self.last_ns,
            frames: self.frames,
            window: self.open,
        }
    }

    fn close(&mut self) {
        if self.frames == 0 {
            return;
        }
        let window = Traffic::from(&self.open);
        self.closed += window;
        if self.filled >= PART {
            self.lately = [Traffic::default(), self.lately[0]];
            self.filled = 0;
        }
        self.lately[0] += window;
        self.filled += 1;
        (self.open, self.frames) = (Window::default(), 0);
    }

    fn lately(&self) -> Traffic {
        let [mut traffic, before] = self.lately;
        traffic += before;
        traffic += Traffic::from(&self.open);
        traffic
    }

    fn traffic(&self) -> Traffic {
        let mut traffic = self.closed;
        traffic += Traffic::from(&self.open);
        traffic
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use etherparse::PacketBuilder;
    use proptest::prelude::*;
    use wardline_engine::feature::Protocol;
    use wardline_engine::verdict::Verdict;
    use wardline_engine::{Engine, Limits as EngineLimits};
    use wardline_policy::{MacAddr, PolicySnapshot};

    use super::*;
    use crate::device::Evidence;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_700_000_000 * SECOND;
    const DEVICE: [u8; 6] = [0, 9, 0xfb, 1, 2, 3];
    const ROUTER: [u8; 6] = [0, 9, 0xfb, 9, 9, 9];

    fn udp(macs: ([u8; 6], [u8; 6]), ips: ([u8; 4], [u8; 4]), len: usize) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2(macs.0, macs.1)
            .ipv4(ips.0, ips.1, 64)
            .udp(40_000, 5_000);
        let mut frame = Vec::new();
        builder.write(&mut frame, &vec![0; len]).unwrap();
        frame
    }

    fn station(observer: &Observer, mac: [u8; 6]) -> &Station {
        let key = DeviceKey {
            mac: MacAddr(mac),
            ..DeviceKey::default()
        };
        observer.station(key).unwrap()
    }

    proptest! {
        /// Training sees through this module what the running gateway sees through the engine.
        #[test]
        fn windows_are_those_of_the_engine(
            frames in prop::collection::vec((any::<bool>(), 0..1_200_usize, 0..12_u32), 1..700),
        ) {
            let mut engine =
                Engine::new(EngineLimits::default(), 1, Arc::new(PolicySnapshot::observe_all()), START);
            let mut observer = Observer::new(Limits::default());
            let (mut now_ns, mut made, mut expected) = (START, Vec::new(), Vec::new());
            // The engine counts from the device's first frame, and so do we.
            for (up, len, wait) in std::iter::once((true, 0, 0)).chain(frames) {
                now_ns += 1 << (3 * wait);
                let (frame, from) = if up {
                    (udp((DEVICE, ROUTER), ([10, 0, 0, 5], [10, 0, 0, 1]), len), Side::Ward)
                } else {
                    (udp((ROUTER, DEVICE), ([10, 0, 0, 1], [10, 0, 0, 5]), len), Side::Core)
                };
                let mut verdicts = [Verdict::default()];
                engine.process(from, now_ns, &[&frame], &mut verdicts);
                engine.drain_windows(|window| expected.push(window));
                observer.frame(now_ns, &frame, frame.len());
                while let Some(window) = observer.next_window() {
                    if window.device.mac == MacAddr(DEVICE) {
                        made.push(window);
                    }
                }
            }
            prop_assert_eq!(&made, &expected);

            // The sum is the same whether the windows were made here or there.
            let mut gateway = Observer::new(Limits::default());
            expected.iter().for_each(|window| assert!(gateway.window(window)));
            if let Some(last) = expected.last() {
                observer.finish();
                while let Some(window) = observer.next_window() {
                    if window.device == last.device {
                        gateway.window(&window);
                    }
                }
                let (there, here) = (station(&gateway, DEVICE), station(&observer, DEVICE));
                prop_assert_eq!(there.traffic(), here.traffic());
            }
        }
    }

    #[test]
    fn what_a_router_carries_does_not_stick_to_it() {
        let mut observer = Observer::new(Limits::default());
        for last in 1..9 {
            let frame = udp((ROUTER, DEVICE), ([8, 8, 8, last], [10, 0, 0, 5]), 20);
            observer.frame(START, &frame, frame.len());
        }
        let router = &mut observer.stations[0];
        assert_eq!(router.facts.remove(0).fact.field, Field::Oui);
        let said = |name| Fact::new(Field::HttpServer, name).unwrap();
        let public = |last| {
            std::net::Ipv4Addr::new(8, 8, 8, last)
                .to_ipv6_mapped()
                .octets()
        };
        router.learn(said("far away"), public(1), START, 2);
        router.learn(said("seen in a frame without IP"), NOWHERE, START, 2);
        router.learn(said("far away too"), public(2), START, 2);
        let facts: Vec<_> = router
            .facts()
            .map(|said| said.fact.value.as_str())
            .collect();
        assert_eq!(facts, ["seen in a frame without IP"]);
        assert_eq!(router.facts.len(), 2, "what is foreign makes room");
        assert_eq!(router.forwards_for(), 8);

        let own = std::net::Ipv4Addr::new(10, 0, 0, 1)
            .to_ipv6_mapped()
            .octets();
        router.learn(said("its own page"), own, START, 3);
        router.addresses.claims(own, START);
        assert_eq!(router.facts().count(), 2);
        assert_eq!(
            router.addresses().collect::<Vec<_>>(),
            [Ipv6Addr::from(own)]
        );
    }

    /// Duplicate address detection, and something said from the address.
    fn privacy(observer: &mut Observer, address: Ipv6Addr, time_ns: u64) {
        let mut solicit = vec![135, 0, 0, 0, 0, 0, 0, 0];
        solicit.extend(address.octets());
        let group: Ipv6Addr = "ff02::1:ff00:1".parse().unwrap();
        let pseudo = |next: u8, payload: &[u8]| {
            let mut sum: u32 = payload.len() as u32 + u32::from(next);
            let halves = [NOWHERE, group.octets()].concat();
            for pair in halves.chunks(2).chain(payload.chunks(2)) {
                sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
            }
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            !(sum as u16)
        };
        let sum = pseudo(58, &solicit).to_be_bytes();
        solicit[2..4].copy_from_slice(&sum);
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(DEVICE, [0x33, 0x33, 0xff, 0, 0, 1])
            .ipv6(NOWHERE, group.octets(), 255)
            .write(&mut frame, etherparse::IpNumber::IPV6_ICMP, &solicit)
            .unwrap();
        observer.read(time_ns, &frame, frame.len());
        let mut frame = Vec::new();
        let there: Ipv6Addr = "2001:db8:9::1".parse().unwrap();
        PacketBuilder::ethernet2(DEVICE, ROUTER)
            .ipv6(address.octets(), there.octets(), 64)
            .udp(40_000, 53)
            .write(&mut frame, &[0; 20])
            .unwrap();
        observer.read(time_ns, &frame, frame.len());
    }

    #[test]
    fn a_host_that_changes_its_address_forwards_for_nobody() {
        for apart_ns in [60 * SECOND, HOUR_NS, 24 * HOUR_NS] {
            let mut observer = Observer::new(Limits::default());
            for n in 0..20_u16 {
                let address = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0x1d2e, 7, 9, n);
                let now_ns = START + u64::from(n) * apart_ns;
                privacy(&mut observer, address, now_ns);
                let key = station(&observer, DEVICE).key();
                let at = observer.index[&key];
                let fact = Fact::new(Field::HttpServer, &format!("page {n}")).unwrap();
                observer.stations[at].learn(fact, address.octets(), now_ns, 256);
            }
            let host = station(&observer, DEVICE);
            assert_eq!(host.forwards_for(), 0, "{apart_ns} ns apart");
            if apart_ns >= HOUR_NS {
                // What it said from an address it had stays its own.
                assert_eq!(host.facts().count(), 21, "{apart_ns} ns apart");
                assert!(host.addresses().count() <= 7);
            }
        }
    }

    #[test]
    fn a_router_stays_one_after_a_silent_night() {
        let mut observer = Observer::new(Limits::default());
        let carry = |observer: &mut Observer, last, time_ns| {
            let frame = udp((ROUTER, DEVICE), ([8, 8, 8, last], [10, 0, 0, 5]), 20);
            observer.read(time_ns, &frame, frame.len());
        };
        for last in 1..=12 {
            carry(&mut observer, last, START);
        }
        for last in 101..=130 {
            carry(&mut observer, last, START + 12 * HOUR_NS);
            assert!(station(&observer, ROUTER).forwards_for() >= 12);
        }
        // Whom else it carries is no news where no more are kept.
        let full = |observer: &mut Observer, last| {
            let frame = udp((ROUTER, DEVICE), ([9, 9, 9, last], [10, 0, 0, 5]), 20);
            observer.read(START + 12 * HOUR_NS, &frame, frame.len());
            station(observer, ROUTER).news()
        };
        let news = (0..100).map(|last| full(&mut observer, last)).max();
        assert_eq!(Some(full(&mut observer, 200)), news);
    }

    #[test]
    fn a_lease_is_the_clients_own_address() {
        let mut observer = Observer::new(Limits::default());
        let leased = [[10, 0, 0, 5], [10, 0, 0, 6], [10, 0, 0, 7]];
        for address in leased {
            let frame = udp((DEVICE, ROUTER), (address, [10, 0, 0, 1]), 20);
            observer.read(START, &frame, frame.len());
            let mut lease = vec![0; 240];
            lease[..3].copy_from_slice(&[2, 1, 6]);
            lease[16..20].copy_from_slice(&address);
            lease[28..34].copy_from_slice(&DEVICE);
            lease[236..].copy_from_slice(&[99, 130, 83, 99]);
            lease.extend([53, 1, 5, 255]);
            let mut frame = Vec::new();
            PacketBuilder::ethernet2(ROUTER, DEVICE)
                .ipv4([10, 0, 0, 1], address, 64)
                .udp(67, 68)
                .write(&mut frame, &lease)
                .unwrap();
            observer.read(START, &frame, frame.len());
        }
        assert_eq!(station(&observer, DEVICE).addresses().count(), leased.len());
    }

    #[test]
    fn a_device_with_one_address_of_any_kind_owns_it() {
        let mut addresses = Addresses::new(4);
        let monitor = std::net::Ipv4Addr::new(126, 1, 2, 3)
            .to_ipv6_mapped()
            .octets();
        addresses.uses(UNSPECIFIED_V4.octets(), START);
        addresses.uses(monitor, START);
        assert!(addresses.is_own(monitor));
        assert!(!addresses.is_own([0xff; 16]), "never spoken from");
        assert_eq!((addresses.own().count(), addresses.foreign()), (1, 0));
    }

    #[test]
    fn names_asked_for_leave_room_for_what_a_station_says_of_itself() {
        let mut observer = Observer::new(Limits::default());
        call(&mut observer, 1, START);
        let station = &mut observer.stations[0];
        let limit = Limits::default().facts;
        let mut say = |field, value: &str, time_ns| {
            let fact = Fact::new(field, value).unwrap();
            station.learn(fact, NOWHERE, time_ns, limit);
            (station.facts.len(), station.news())
        };
        for n in 0..1_000 {
            say(Field::DnsQuery, &format!("host{n}.example"), START);
            say(Field::TlsServerName, &format!("tls{n}.example"), START);
            say(Field::HttpHost, &format!("web{n}.example"), START);
            say(Field::HttpUserAgent, &format!("nothing known {n}"), START);
        }
        let (kept, news) = say(Field::DnsQuery, "host5000.example", START);
        assert_eq!(kept, limit);
        assert_eq!(
            say(Field::DnsQuery, "host5001.example", START).1,
            news,
            "one more name that says nothing is no news"
        );
        // A name of things is kept nevertheless, as is all that the station says of itself.
        say(Field::DnsQuery, "kettle.example", START + 1);
        let itself = [
            (Field::DicomUses, "CT Image Storage"),
            (Field::Hl7Sends, "ORU^R01"),
            (Field::DicomVersion, "PACS 9.1"),
        ];
        for (field, value) in itself {
            let (kept, _) = say(field, value, START + 2);
            assert_eq!(kept, limit);
        }
        for n in 0..100 {
            say(Field::SdcDevice, &format!("firmware=9.{n}"), START + 3 + n);
        }
        let says = |value: &str| station.facts.iter().any(|kept| kept.fact.value == value);
        assert!(says("kettle.example") && itself.iter().all(|(_, value)| says(value)));
        assert!(says("firmware=9.99") && !says("firmware=9.0"));
        let versions = station.facts.iter();
        let versions = versions.filter(|kept| kept.fact.field == Field::SdcDevice);
        assert_eq!(versions.count(), VALUES_MAX);
    }

    #[test]
    fn what_was_long_ago_is_not_lately() {
        let mut observer = Observer::new(Limits::default());
        let mut window = |n: u64, len: usize| {
            let mut window = Window::default();
            for at in 0..u64::from(DECISIONS[0]) {
                let way = (Side::Ward, Cast::One);
                window.add(way, len, Protocol::Udp, START + n * 60 * SECOND + at);
            }
            observer.window(&Finished {
                device: DeviceKey::default(),
                time_ns: START + n * 60 * SECOND,
                frames: DECISIONS[0],
                window,
            });
            let station = &observer.stations[0];
            (station.traffic(), station.traffic_lately())
        };
        for n in 1..=5 {
            let (all, lately) = window(n, 100);
            assert_eq!(all, lately, "at first everything is lately");
        }
        for n in 6..=500 {
            window(n, 100);
        }
        // Something else from now on.
        for n in 501..=510 {
            window(n, 1_400);
        }
        let (all, lately) = window(511, 1_400);
        let total = u32::from(DECISIONS[0]);
        assert_eq!(all.total(), 511 * total);
        assert!((6 * total..=11 * total).contains(&lately.total()));
        let mut same = Window::default();
        same.add((Side::Ward, Cast::One), 1_400, Protocol::Udp, START);
        let [new, old] = [lately, all].map(|t| features(&t, &Talks::default()));
        let alone = features(&Traffic::from(&same), &Talks::default());
        let far = |a: &Features| {
            a.iter()
                .zip(&alone)
                .map(|(a, b)| (a - b).abs())
                .sum::<f32>()
        };
        assert!(far(&new) < far(&old), "{} {}", far(&new), far(&old));
    }

    #[test]
    fn a_field_that_is_silent_keeps_its_last_words() {
        let mut observer = Observer::new(Limits::default());
        let key = call(&mut observer, 1, START);
        let mut say = |field, value: &str, days: u64| {
            let now_ns = START + days * 24 * HOUR_NS;
            call(&mut observer, 1, now_ns);
            let fact = Fact::new(field, value).unwrap();
            observer.stations[0].learn(fact, NOWHERE, now_ns, 256);
        };
        say(Field::DhcpHostname, "pump-7", 0);
        say(Field::HttpServer, "pump", 0);
        say(Field::HttpServer, "printer", 3);
        let station = observer.station(key).unwrap();
        let lately = station.facts_lately().map(|said| said.fact.value.as_str());
        let lately: Vec<_> = lately.collect();
        assert!(lately.contains(&"pump-7") && lately.contains(&"printer"));
        assert!(!lately.contains(&"pump"), "{lately:?}");
        assert_eq!(station.facts().count(), lately.len() + 1);
    }

    #[test]
    fn what_is_said_again_gets_a_later_time() {
        let mut observer = Observer::new(Limits::default());
        let key = call(&mut observer, 1, START);
        let station = &mut observer.stations[0];
        let fact = Fact::new(Field::HttpServer, "page").unwrap();
        for time_ns in [START, START + 5] {
            station.learn(fact.clone(), NOWHERE, time_ns, 256);
        }
        let station = observer.station(key).unwrap();
        let said = station.facts().find(|said| *said.fact == fact).unwrap();
        assert_eq!((said.first_ns, said.last_ns), (START, START + 5));
        let evidence = |observer: &Observer| {
            let station = observer.station(key).unwrap();
            Evidence::of(station.facts(), station.forwards_for(), station.last_ns())
        };
        for (version, time_ns) in [(1, 10), (1, 20), (2, 30), (2, 40)] {
            let fact = Fact::new(Field::SdcDevice, &format!("firmware={version}"));
            observer.stations[0].learn(fact.unwrap(), NOWHERE, START + time_ns, 256);
            let software = evidence(&observer).identity().software.clone();
            assert_eq!(software.unwrap().value, version.to_string());
        }
    }

    #[test]
    fn conversations_and_peers_are_counted_once() {
        let mut observer = Observer::new(Limits::default());
        let there = udp((DEVICE, ROUTER), ([10, 0, 0, 5], [8, 8, 8, 8]), 20);
        let back = udp((ROUTER, DEVICE), ([10, 0, 0, 1], [10, 0, 0, 5]), 20);
        for frame in [&there, &back, &there] {
            observer.frame(START, frame, frame.len());
        }
        let device = station(&observer, DEVICE).talks();
        assert_eq!((device.opened, device.near, device.far), (1, 1, 1));
        let router = station(&observer, ROUTER).talks();
        assert_eq!((router.opened, router.accepted, router.near), (1, 0, 1));
    }

    #[test]
    fn a_frame_cut_short_counts_with_its_length_on_the_wire() {
        let mut observer = Observer::new(Limits::default());
        let frame = udp((DEVICE, ROUTER), ([10, 0, 0, 5], [8, 8, 8, 8]), 900);
        observer.frame(START, &frame[..60], frame.len());
        observer.finish();
        let window = observer.next_window().unwrap().window;
        assert_eq!(window.bytes[0] as usize, frame.len());
        assert_eq!(station(&observer, DEVICE).talks().far, 1);
    }

    /// Something one of many stations says to all.
    fn call(observer: &mut Observer, number: u16, time_ns: u64) -> DeviceKey {
        let [a, b] = number.to_be_bytes();
        let mac = [2, 0, 0, 0, a, b];
        let frame = udp((mac, [0xff; 6]), ([10, 0, a, b], [255; 4]), 20);
        observer.read(time_ns, &frame, frame.len());
        DeviceKey {
            mac: MacAddr(mac),
            ..DeviceKey::default()
        }
    }

    #[test]
    fn the_longest_silent_make_room_unless_they_are_held() {
        let mut observer = Observer::new(Limits {
            stations: 32,
            ..Limits::default()
        });
        let keys: Vec<DeviceKey> = (0..32)
            .map(|n| call(&mut observer, n, START + u64::from(n)))
            .collect();
        observer.hold(keys[0], true);
        // Known for longer than it is silent.
        call(&mut observer, 1, START + 1_000);
        let new = call(&mut observer, 40, START + 1_500);
        assert_eq!((observer.stations().len(), observer.forgotten), (31, 2));
        for key in [keys[2], keys[3]] {
            assert!(observer.station(key).is_none());
        }
        for key in [keys[0], keys[1], keys[4], keys[31], new] {
            let station = observer.station(key);
            assert_eq!(station.map(Station::key), Some(key), "each at its place");
        }
        assert_eq!(observer.unobserved, 0);
    }

    #[test]
    fn where_all_stations_are_held_a_new_one_is_counted() {
        let mut observer = Observer::new(Limits {
            stations: 1,
            ..Limits::default()
        });
        let key = call(&mut observer, 1, START);
        observer.hold(key, true);
        call(&mut observer, 2, START + SECOND);
        assert_eq!((observer.stations().len(), observer.unobserved), (1, 1));
        observer.hold(key, false);
        let new = call(&mut observer, 2, START + 2 * SECOND);
        assert!(observer.station(key).is_none());
        assert_eq!(observer.station(new).map(Station::key), Some(new));
    }
}
