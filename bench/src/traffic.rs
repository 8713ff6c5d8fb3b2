//! The traffic of a corner: which devices talk to whom, as frames and as the policy that allows it.
//!
//! Everything follows from the numbers of a [`Traffic`]; there is no randomness and no I/O. All
//! devices stand on the ward side, each with rules of its own; a rule allows one port of a small
//! network of servers. The servers are behind one router on the core side.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use anyhow::{Result, bail};
use etherparse::{
    IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv6Extensions, Ipv6Header, Ipv6RawExtHeader,
    PacketBuilder, TcpHeader, TcpOptionElement, VlanId,
};
use wardline_engine::Limits;
use wardline_policy::document::{Device, Direction, Document, Peer, Rule};
use wardline_policy::scalar::{Many, PortRange, Prefix, Protocol, Vlan};
use wardline_policy::{Cast, DeviceKey, Initiator, MacAddr, Mode, Query, Side};

/// MAC address of the router in front of all servers.
pub const ROUTER: MacAddr = MacAddr([2, 0xff, 0, 0, 0, 1]);
/// Frame check sequence, which no frame here carries: 64 B on the wire are 60 B of frame.
pub const FCS_LEN: usize = 4;

/// Service ports of the rules, from the first on.
const SERVICES: u32 = 50_000;
const FIRST_SERVICE: u16 = 10_000;
/// Ports of the devices for each server, from the first that is nobody's.
const CLIENTS: u32 = 60_000;
const FIRST_CLIENT: u16 = 1_024;
/// Servers of one rule: a network of 16.
const SERVERS: u32 = 16;
/// Sequence numbers of both ends before the handshake.
const CLIENT_SEQ: u32 = 1_000;
const SERVER_SEQ: u32 = 5_000;
const WINDOW: u16 = 65_535;
const HOP_LIMIT: u8 = 64;

/// The network protocol of all frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The transport protocol of all frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP; a conversation begins with a handshake.
    Tcp,
    /// UDP; a conversation begins with a question and its answer.
    Udp,
}

/// The traffic of one corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Traffic {
    /// Devices on the ward side.
    pub devices: u32,
    /// Conversations, dealt to the devices in turn.
    pub flows: u32,
    /// Rules of each device, no two of them alike; its conversations use them in turn.
    pub rules: u32,
    /// Network protocol.
    pub version: Version,
    /// Transport protocol.
    pub transport: Transport,
    /// VLAN of all devices; `None`: no tag.
    pub vlan: Option<u16>,
    /// Least length of every frame in bytes, frame check sequence excluded. Headers are never
    /// cut: the shortest UDP frame over IPv6 has 62 bytes, over TCP 74.
    pub frame_len: usize,
}

/// One conversation: the client is a device, the server is behind [`ROUTER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// MAC address of the device.
    pub mac: MacAddr,
    /// Address of the device.
    pub client: IpAddr,
    /// Address of the server.
    pub server: IpAddr,
    /// Port of the device.
    pub client_port: u16,
    /// Port of the server.
    pub server_port: u16,
}

/// A frame and the side it is received from.
pub type Sided = (Side, Vec<u8>);

impl Default for Traffic {
    fn default() -> Self {
        Self::COMMON
    }
}

impl Traffic {
    /// 4,096 conversations of 10 devices under one rule: UDP over IPv4 in 64 B frames.
    pub const COMMON: Self = Self {
        devices: 10,
        flows: 4_096,
        rules: 1,
        version: Version::V4,
        transport: Transport::Udp,
        vlan: None,
        frame_len: 64 - FCS_LEN,
    };

    /// The policy: every device enforced, at its address, with rules for its conversations.
    pub fn document(&self) -> Document {
        let mut document = Document::new("bench");
        document.devices = (0..self.devices)
            .map(|number| Device {
                name: format!("device-{number}"),
                mac: mac(number),
                vlan: self.vlan(),
                mode: Some(Mode::Enforce),
                addresses: Many(vec![self.client(number)]),
                rules: self.rules_of(number).map(|rule| self.allow(rule)).collect(),
                ..blank_device()
            })
            .collect();
        document
    }

    /// The numbers of a device's rules among those of all devices.
    pub const fn rules_of(&self, device: u32) -> Range<u32> {
        device * self.rules..(device + 1) * self.rules
    }

    fn allow(&self, rule: u32) -> Rule {
        let protocol = match self.transport {
            Transport::Tcp => Protocol::TCP,
            Transport::Udp => Protocol::UDP,
        };
        Rule {
            ports: Some(Many(vec![PortRange::one(service(rule))])),
            ..Rule::allow(
                &format!("rule-{rule}"),
                Direction::FromDevice,
                vec![Peer::Address(Many(vec![self.servers(rule)]))],
                protocol,
            )
        }
    }

    /// The network of the servers that a rule allows.
    pub fn servers(&self, rule: u32) -> Prefix {
        match self.version {
            Version::V4 => Prefix::around(self.server(rule, 0), 28),
            Version::V6 => Prefix::around(self.server(rule, 0), 124),
        }
    }

    /// Limits of an engine that holds all conversations and as many again.
    pub fn limits(&self) -> Limits {
        let flows = self.flows.max(1_024) * 2;
        Limits {
            flows,
            flows_per_device: flows,
            devices: self.devices.max(512) * 2,
            half_open_divisor: 2,
            half_open_per_device: flows,
            new_flows_per_burst: wardline_engine::BURST as u32,
            // The first frames of a conversation go the long way to be handed out; what is measured
            // here is what comes after them.
            samples: 0,
            ..Limits::default()
        }
    }

    /// What names device `number`, from 0, to the policy.
    pub fn device_key(&self, number: u32) -> DeviceKey {
        DeviceKey {
            mac: mac(number),
            vlan: self.vlan().0,
        }
    }

    fn vlan(&self) -> Vlan {
        self.vlan.map_or_else(Vlan::default, Vlan::one)
    }

    /// Conversation `number`, from 0; beyond [`flows`](Self::flows) there are more that are
    /// allowed as well.
    pub fn flow(&self, number: u32) -> Flow {
        let device = number % self.devices;
        let turn = number / self.devices;
        let rule = device * self.rules + turn % self.rules;
        let rest = turn / self.rules;
        Flow {
            mac: mac(device),
            client: self.client(device),
            server: self.server(rule, rest % SERVERS),
            // Below 61,024.
            client_port: FIRST_CLIENT + (rest / SERVERS % CLIENTS) as u16,
            server_port: service(rule),
        }
    }

    /// As [`flow`](Self::flow), but to a port that no rule allows.
    pub fn denied_flow(&self, number: u32) -> Flow {
        let allowed = self.flow(number);
        Flow {
            server_port: allowed.server_port + 1,
            ..allowed
        }
    }

    /// What the policy is asked about the first packet of a conversation.
    pub fn question(&self, flow: &Flow) -> Query<'static> {
        Query {
            initiator: Initiator::Device,
            cast: Cast::Unicast,
            peer: flow.server,
            destination: flow.server,
            protocol: match self.transport {
                Transport::Tcp => IpNumber::TCP.0,
                Transport::Udp => IpNumber::UDP.0,
            },
            source_port: flow.client_port,
            destination_port: flow.server_port,
            tags: &[],
        }
    }

    /// What begins a conversation, each frame in its turn: a handshake, or a question with its
    /// answer. Nothing is pending afterwards.
    ///
    /// # Errors
    /// When the numbers make no frame.
    pub fn opening(&self, flow: &Flow) -> Result<Vec<Sided>> {
        let (ask, answer) = (Side::Ward, Side::Core);
        match self.transport {
            Transport::Udp => Ok(vec![
                (ask, self.frame(flow, ask)?),
                (answer, self.frame(flow, answer)?),
            ]),
            Transport::Tcp => Ok(vec![
                (ask, self.first(flow)?),
                (answer, self.build(flow, answer, Segment::SynAck)?),
                (ask, self.frame(flow, ask)?),
            ]),
        }
    }

    /// The first frame of a conversation.
    ///
    /// # Errors
    /// When the numbers make no frame.
    pub fn first(&self, flow: &Flow) -> Result<Vec<u8>> {
        self.build(flow, Side::Ward, Segment::Syn)
    }

    /// A frame in the middle of a conversation, which may be sent any number of times.
    ///
    /// # Errors
    /// When the numbers make no frame.
    pub fn frame(&self, flow: &Flow, from: Side) -> Result<Vec<u8>> {
        self.build(flow, from, Segment::Data)
    }

    fn build(&self, flow: &Flow, from: Side, segment: Segment) -> Result<Vec<u8>> {
        let device = (flow.mac, flow.client, flow.client_port);
        let server = (ROUTER, flow.server, flow.server_port);
        let (source, destination) = match from {
            Side::Ward => (device, server),
            Side::Core => (server, device),
        };
        let link = PacketBuilder::ethernet2(source.0.0, destination.0.0);
        let ip = ip_header(source.1, destination.1)?;
        let network = match self.vlan {
            None => link.ip(ip),
            Some(vlan) => link.single_vlan(VlanId::try_new(vlan)?).ip(ip),
        };
        let mut frame = Vec::with_capacity(self.frame_len);
        match self.transport {
            Transport::Udp => {
                let datagram = network.udp(source.2, destination.2);
                let payload = vec![0; self.frame_len.saturating_sub(datagram.size(0))];
                datagram.write_to_vec(&mut frame, &payload)?;
            }
            Transport::Tcp => {
                let header = segment.header(source.2, destination.2, from);
                let segment = network.tcp_header(header);
                let payload = vec![0; self.frame_len.saturating_sub(segment.size(0))];
                segment.write_to_vec(&mut frame, &payload)?;
            }
        }
        Ok(frame)
    }

    /// Address of a device.
    pub fn client(&self, device: u32) -> IpAddr {
        self.address(Ipv4Addr::new(10, 0, 0, 0), 1, device + 1)
    }

    fn server(&self, rule: u32, index: u32) -> IpAddr {
        self.address(Ipv4Addr::new(10, 64, 0, 0), 2, rule * SERVERS + index)
    }

    fn address(&self, first: Ipv4Addr, subnet: u16, number: u32) -> IpAddr {
        match self.version {
            Version::V4 => Ipv4Addr::from_bits(first.to_bits() + number).into(),
            Version::V6 => {
                let first = Ipv6Addr::new(0xfd00, 0, 0, subnet, 0, 0, 0, 0);
                Ipv6Addr::from_bits(first.to_bits() + u128::from(number)).into()
            }
        }
    }
}

/// What a TCP frame does; a UDP frame does nothing.
#[derive(Debug, Clone, Copy)]
enum Segment {
    Syn,
    SynAck,
    /// An acknowledgement of everything, with the first bytes after the handshake.
    Data,
}

impl Segment {
    fn header(self, source: u16, destination: u16, from: Side) -> TcpHeader {
        let (own, other) = match from {
            Side::Ward => (CLIENT_SEQ, SERVER_SEQ),
            Side::Core => (SERVER_SEQ, CLIENT_SEQ),
        };
        let is_data = matches!(self, Self::Data);
        let mut header = TcpHeader::new(source, destination, own + u32::from(is_data), WINDOW);
        header.syn = !is_data;
        header.ack = !matches!(self, Self::Syn);
        if header.ack {
            header.acknowledgment_number = other + 1;
        }
        header
    }
}

/// Protocol and length are filled in when the rest of the frame is known.
fn ip_header(source: IpAddr, destination: IpAddr) -> Result<IpHeaders> {
    Ok(match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let protocol = IpNumber::UDP;
            let (source, destination) = (source.octets(), destination.octets());
            let header = Ipv4Header::new(0, HOP_LIMIT, protocol, source, destination)?;
            IpHeaders::Ipv4(header, Ipv4Extensions::default())
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let header = Ipv6Header {
                hop_limit: HOP_LIMIT,
                source: source.octets(),
                destination: destination.octets(),
                ..Ipv6Header::default()
            };
            IpHeaders::Ipv6(header, Ipv6Extensions::default())
        }
        (source, destination) => bail!("{source} and {destination} are of different IP versions"),
    })
}

/// A right frame with everything that makes parsing long: two VLAN tags, IPv6 with two extension
/// headers, TCP with options.
///
/// # Errors
/// When etherparse refuses it.
pub fn odd_frame() -> Result<Vec<u8>> {
    const PAD_SIX: [u8; 6] = [1, 4, 0, 0, 0, 0];
    let traffic = Traffic {
        version: Version::V6,
        transport: Transport::Tcp,
        ..Traffic::COMMON
    };
    let flow = traffic.flow(0);
    let options = || Ipv6RawExtHeader::new_raw(IpNumber::TCP, &PAD_SIX);
    let IpHeaders::Ipv6(header, _) = ip_header(flow.client, flow.server)? else {
        bail!("an IPv6 conversation has an IPv4 header");
    };
    let extensions = Ipv6Extensions {
        hop_by_hop_options: Some(options()?),
        destination_options: Some(options()?),
        ..Ipv6Extensions::default()
    };
    let mut tcp = Segment::Syn.header(flow.client_port, flow.server_port, Side::Ward);
    tcp.set_options(&[
        TcpOptionElement::MaximumSegmentSize(1_440),
        TcpOptionElement::SelectiveAcknowledgementPermitted,
        TcpOptionElement::Timestamp(1, 0),
        TcpOptionElement::Noop,
        TcpOptionElement::WindowScale(7),
    ])?;
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(flow.mac.0, ROUTER.0)
        .double_vlan(VlanId::try_new(100)?, VlanId::try_new(10)?)
        .ip(IpHeaders::Ipv6(header, extensions))
        .tcp_header(tcp)
        .write_to_vec(&mut frame, &[])?;
    Ok(frame)
}

/// Indices below `len`, each once, in an order that follows no table: what a burst of a busy link
/// looks like.
pub fn scattered(len: usize) -> impl Iterator<Item = usize> {
    // The golden section spreads best; a step without a common divisor reaches every index.
    let mut step = (len as f64 * 0.618) as usize | 1;
    while gcd(step, len) != 1 {
        step += 2;
    }
    (0..len).map(move |turn| (turn * step) % len)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// MAC address of a device.
pub fn mac(device: u32) -> MacAddr {
    let [_, a, b, c] = device.to_be_bytes();
    MacAddr([2, 0, 0, a, b, c])
}

/// The port a rule allows.
pub fn service(rule: u32) -> u16 {
    // Below 60,000.
    FIRST_SERVICE + (rule % SERVICES) as u16
}

fn blank_device() -> Device {
    Device {
        name: String::new(),
        mac: MacAddr::default(),
        vlan: Vlan::default(),
        role: None,
        mode: None,
        care: None,
        ward: None,
        owner: None,
        since: None,
        assets: Vec::new(),
        addresses: Many::default(),
        refusal: None,
        storm: None,
        controller: None,
        mud: None,
        note: None,
        rules: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use wardline_engine::{Engine, Verdict};
    use wardline_policy::{Reason, compile};

    use super::*;

    fn every_sort() -> impl Iterator<Item = Traffic> {
        let versions = [Version::V4, Version::V6];
        let transports = [Transport::Udp, Transport::Tcp];
        let vlans = [None, Some(10)];
        let pairs = versions.into_iter().flat_map(move |version| {
            transports
                .into_iter()
                .map(move |transport| (version, transport))
        });
        pairs.flat_map(move |(version, transport)| {
            vlans.into_iter().map(move |vlan| Traffic {
                devices: 3,
                flows: 60,
                rules: 4,
                version,
                transport,
                vlan,
                ..Traffic::default()
            })
        })
    }

    #[test]
    fn the_policy_allows_the_conversations_and_nothing_else() {
        for traffic in every_sort() {
            let policy = Arc::new(compile(&traffic.document(), 0).unwrap());
            let mut engine = Engine::new(traffic.limits(), 1, policy, 0);
            let now_ns = 1_000_000_000_000;
            let mut judge = |from, frame: &[u8]| {
                let mut verdict = [Verdict::default()];
                engine.process(from, now_ns, &[frame], &mut verdict);
                verdict[0].reason
            };
            for number in 0..traffic.flows {
                let flow = traffic.flow(number);
                for (from, frame) in traffic.opening(&flow).unwrap() {
                    assert!(judge(from, &frame).forwards(), "{traffic:?}");
                }
                for from in [Side::Ward, Side::Core] {
                    let frame = traffic.frame(&flow, from).unwrap();
                    assert_eq!(judge(from, &frame), Reason::Established, "{traffic:?}");
                }
                let denied = traffic.denied_flow(number);
                let reason = judge(Side::Ward, &traffic.first(&denied).unwrap());
                assert_eq!(reason, Reason::NoRule, "{traffic:?}");
            }
            assert_eq!(engine.counters().flows, u64::from(traffic.flows));
        }
    }

    #[test]
    fn a_million_conversations_are_a_million() {
        for rules in [1, 50, 1_000] {
            let traffic = Traffic {
                flows: 1 << 20,
                rules,
                ..Traffic::default()
            };
            let flows: HashSet<Flow> = (0..traffic.flows).map(|n| traffic.flow(n)).collect();
            assert_eq!(flows.len(), 1 << 20);
        }
    }

    #[test]
    fn frames_have_the_length_asked_for_unless_their_headers_are_longer() {
        for traffic in every_sort() {
            let len = |frame_len| {
                let traffic = Traffic {
                    frame_len,
                    ..traffic
                };
                traffic.frame(&traffic.flow(0), Side::Ward).unwrap().len()
            };
            let headers = len(0);
            assert_eq!([len(60), len(1_514)], [headers.max(60), 1_514]);
        }
    }

    #[test]
    fn every_index_comes_once() {
        for len in [1, 2, 3, 64, 1_000, 4_096] {
            let seen: HashSet<usize> = scattered(len).collect();
            assert_eq!(seen.len(), len);
            assert!(seen.iter().all(|index| *index < len));
        }
    }
}
