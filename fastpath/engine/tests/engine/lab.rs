//! One engine under a small policy, and the frames of its stations.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use etherparse::{
    Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, IpFragOffset, IpNumber, Ipv4Header,
    Ipv6Header, TcpHeader, UdpHeader,
};
use wardline_engine::{Action, Engine, Event, Limits, Verdict};
use wardline_policy::{Format, PolicySnapshot, Reason, Side, compile, parse};

pub const SECOND: u64 = 1_000_000_000;
pub const START: u64 = 1_800_000_000 * SECOND;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

/// The policy most tests run under.
pub const WARD: &str = include_str!("ward.toml");

#[derive(Debug, Clone, Copy)]
pub struct Station {
    pub mac: [u8; 6],
    pub ip: Ipv4Addr,
    pub ip6: Ipv6Addr,
}

const fn station(n: u8) -> Station {
    Station {
        mac: [2, 0, 0, 0, 0, n],
        ip: Ipv4Addr::new(10, 0, 0, n),
        ip6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n as u16),
    }
}

pub const MODALITY: Station = station(1);
pub const PUMP: Station = station(2);
pub const MONITOR: Station = station(3);
/// Not in the policy.
pub const UNLISTED: Station = station(9);
/// Stations of the core side.
pub const PACS: Station = station(100);
pub const CONSUMER: Station = station(101);
pub const RESOLVER: Station = station(53);
pub const ATTACKER: Station = station(66);

pub struct Lab {
    pub engine: Engine,
    pub now_ns: u64,
}

pub fn snapshot(text: &str) -> Arc<PolicySnapshot> {
    let (document, _) = parse(text, Format::Toml, "test.toml").expect("the policy is right");
    Arc::new(compile(&document, START / SECOND).expect("the policy compiles"))
}

impl Lab {
    /// Under [`WARD`], after the grace for older conversations.
    pub fn new() -> Self {
        let mut lab = Self::young(WARD, Limits::default());
        lab.wait(1_000);
        lab
    }

    /// Just started.
    pub fn young(policy: &str, limits: Limits) -> Self {
        Self {
            engine: Engine::new(limits, 42, snapshot(policy), START),
            now_ns: START,
        }
    }

    /// Under [`WARD`] with every device in this mode.
    pub fn in_mode(mode: &str) -> Self {
        let policy = WARD.replace("mode = \"enforce\"", &format!("mode = \"{mode}\""));
        let mut lab = Self::young(&policy, Limits::default());
        lab.wait(1_000);
        lab
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now_ns += seconds * SECOND;
    }

    pub fn apply(&mut self, policy: &str) {
        self.engine.set_snapshot(snapshot(policy));
    }

    pub fn ward(&mut self, frame: &[u8]) -> Verdict {
        self.send(Side::Ward, frame)
    }

    pub fn core(&mut self, frame: &[u8]) -> Verdict {
        self.send(Side::Core, frame)
    }

    pub fn send(&mut self, from: Side, frame: &[u8]) -> Verdict {
        let mut verdict = [Verdict::default()];
        self.engine
            .process(from, self.now_ns, &[frame], &mut verdict);
        let [verdict] = verdict;
        assert_eq!(
            verdict.reason.forwards(),
            verdict.action == Action::Forward(from.other())
        );
        self.check_counters();
        verdict
    }

    pub fn check_counters(&self) {
        let counters = self.engine.counters();
        for side in [Side::Ward, Side::Core] {
            let received = counters.received[side as usize];
            assert_eq!(
                received,
                counters.by_reason[side as usize].iter().sum::<u64>()
            );
            assert_eq!(received, counters.forwarded(side) + counters.dropped(side));
        }
        assert_eq!(counters.flows as usize, self.engine.flows().count());
    }

    pub fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.engine.drain_events(|event| events.push(event));
        events
    }

    /// A handshake, each segment of which must pass. Sequence numbers are 1001 and 5001 then.
    pub fn connect(&mut self, from: Side, client: &Station, server: &Station, port: u16) {
        let to = from.other();
        let syn = self.send(
            from,
            &tcp(client, server, (40_000, port), SYN, (1000, 0), b""),
        );
        assert!(syn.reason.forwards(), "{syn:?}");
        let syn_ack = self.send(
            to,
            &tcp(server, client, (port, 40_000), SYN | ACK, (5000, 1001), b""),
        );
        assert!(syn_ack.reason.forwards(), "{syn_ack:?}");
        let ack = self.send(
            from,
            &tcp(client, server, (40_000, port), ACK, (1001, 5001), b""),
        );
        assert!(ack.reason.forwards(), "{ack:?}");
    }

    pub fn flow_state(&self) -> &'static str {
        self.engine.flows().next().map_or("none", |flow| flow.state)
    }
}

#[track_caller]
pub fn passes(verdict: Verdict, reason: Reason) {
    assert_eq!((verdict.reason, verdict.would_drop), (reason, None));
    assert!(reason.forwards());
}

#[track_caller]
pub fn drops(verdict: Verdict, reason: Reason) {
    assert_eq!((verdict.reason, verdict.action), (reason, Action::Drop));
}

pub fn ethernet(
    from: [u8; 6],
    to: [u8; 6],
    tags: &[u16],
    ethertype: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = [to, from].concat();
    for vid in tags {
        frame.extend([0x81, 0x00]);
        frame.extend(vid.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

pub fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: IpNumber, payload: &[u8]) -> Vec<u8> {
    ipv4_part(from, to, protocol, 7, (0, false), payload)
}

/// A fragment at `offset` bytes, with more to come or not.
pub fn ipv4_part(
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: IpNumber,
    id: u16,
    (offset, more): (u16, bool),
    payload: &[u8],
) -> Vec<u8> {
    let mut header = Ipv4Header::new(
        payload.len() as u16,
        64,
        protocol,
        from.octets(),
        to.octets(),
    )
    .expect("the payload is short");
    header.identification = id;
    header.dont_fragment = false;
    header.more_fragments = more;
    header.fragment_offset = IpFragOffset::try_new(offset / 8).expect("it is in range");
    header.header_checksum = header.calc_header_checksum();
    [header.to_bytes().as_slice(), payload].concat()
}

pub fn ipv6(from: Ipv6Addr, to: Ipv6Addr, protocol: IpNumber, hops: u8, payload: &[u8]) -> Vec<u8> {
    let header = Ipv6Header {
        payload_length: payload.len() as u16,
        next_header: protocol,
        hop_limit: hops,
        source: from.octets(),
        destination: to.octets(),
        ..Ipv6Header::default()
    };
    [header.to_bytes().as_slice(), payload].concat()
}

pub fn tcp_segment(
    (source, destination): (u16, u16),
    flags: u8,
    (seq, ack): (u32, u32),
    data: &[u8],
) -> Vec<u8> {
    let mut header = TcpHeader::new(source, destination, seq, 65_000);
    header.acknowledgment_number = ack;
    header.fin = flags & FIN != 0;
    header.syn = flags & SYN != 0;
    header.rst = flags & RST != 0;
    header.ack = flags & ACK != 0;
    if header.syn {
        header
            .set_options(&[etherparse::TcpOptionElement::WindowScale(2)])
            .expect("there is room for the option");
    }
    [header.to_bytes().as_slice(), data].concat()
}

pub fn tcp(
    from: &Station,
    to: &Station,
    ports: (u16, u16),
    flags: u8,
    numbers: (u32, u32),
    data: &[u8],
) -> Vec<u8> {
    let segment = tcp_segment(ports, flags, numbers, data);
    ethernet(
        from.mac,
        to.mac,
        &[],
        0x0800,
        &ipv4(from.ip, to.ip, IpNumber::TCP, &segment),
    )
}

pub fn syn(from: &Station, to: &Station, ports: (u16, u16)) -> Vec<u8> {
    tcp(from, to, ports, SYN, (1000, 0), b"")
}

pub fn udp_datagram((source, destination): (u16, u16), data: &[u8]) -> Vec<u8> {
    let header = UdpHeader::without_ipv4_checksum(source, destination, data.len())
        .expect("the payload is short");
    [header.to_bytes().as_slice(), data].concat()
}

pub fn udp(from: &Station, to: &Station, ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let datagram = udp_datagram(ports, data);
    ethernet(
        from.mac,
        to.mac,
        &[],
        0x0800,
        &ipv4(from.ip, to.ip, IpNumber::UDP, &datagram),
    )
}

/// To a multicast group or the broadcast address.
pub fn udp_group(from: &Station, to: Ipv4Addr, ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let [_, b, c, d] = to.octets();
    let mac = if to.is_multicast() {
        [1, 0, 0x5e, b & 0x7f, c, d]
    } else {
        [0xff; 6]
    };
    let datagram = udp_datagram(ports, data);
    ethernet(
        from.mac,
        mac,
        &[],
        0x0800,
        &ipv4(from.ip, to, IpNumber::UDP, &datagram),
    )
}

pub fn icmp(from: &Station, to: &Station, kind: Icmpv4Type, data: &[u8]) -> Vec<u8> {
    let header = Icmpv4Header::with_checksum(kind, data);
    let message = [header.to_bytes().as_slice(), data].concat();
    ethernet(
        from.mac,
        to.mac,
        &[],
        0x0800,
        &ipv4(from.ip, to.ip, IpNumber::ICMP, &message),
    )
}

pub fn icmp6(
    (from_mac, from): ([u8; 6], Ipv6Addr),
    (to_mac, to): ([u8; 6], Ipv6Addr),
    kind: Icmpv6Type,
    data: &[u8],
) -> Vec<u8> {
    let header = Icmpv6Header::with_checksum(kind, from.octets(), to.octets(), data)
        .expect("the payload is short");
    let message = [header.to_bytes().as_slice(), data].concat();
    ethernet(
        from_mac,
        to_mac,
        &[],
        0x86dd,
        &ipv6(from, to, IpNumber::IPV6_ICMP, 255, &message),
    )
}

/// The IP datagram inside an untagged frame.
pub fn datagram(frame: &[u8]) -> &[u8] {
    &frame[14..]
}

pub fn arp(
    from: [u8; 6],
    to: [u8; 6],
    reply: bool,
    (sender_mac, sender): ([u8; 6], Ipv4Addr),
    target: Ipv4Addr,
) -> Vec<u8> {
    let mut message = vec![0, 1, 8, 0, 6, 4, 0, if reply { 2 } else { 1 }];
    message.extend(sender_mac);
    message.extend(sender.octets());
    message.extend([0; 6]);
    message.extend(target.octets());
    ethernet(from, to, &[], 0x0806, &message)
}

/// A station asks for another, and so shows its own address.
pub fn arp_request(from: &Station, target: Ipv4Addr) -> Vec<u8> {
    arp(from.mac, [0xff; 6], false, (from.mac, from.ip), target)
}

/// A DHCP message with the options that matter here.
pub fn dhcp(
    op: u8,
    transaction: u32,
    client: [u8; 6],
    your_ip: Ipv4Addr,
    options: &[u8],
) -> Vec<u8> {
    let mut message = vec![op, 1, 6, 0];
    message.extend(transaction.to_be_bytes());
    message.extend([0; 8]);
    message.extend(your_ip.octets());
    message.extend([0; 8]);
    message.extend(client);
    message.resize(236, 0);
    message.extend([99, 130, 83, 99]);
    message.extend(options);
    message.push(255);
    message
}

/// A DNS question for a name, or the answer to it.
pub fn dns(id: u16, name: &str, answer: Option<(Ipv4Addr, u32)>) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend(if answer.is_some() {
        [0x81, 0x80]
    } else {
        [0x01, 0x00]
    });
    message.extend([0, 1, 0, u8::from(answer.is_some()), 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    if let Some((address, ttl_s)) = answer {
        message.extend([0xc0, 12, 0, 1, 0, 1]);
        message.extend(ttl_s.to_be_bytes());
        message.extend([0, 4]);
        message.extend(address.octets());
    }
    message
}

pub fn v4(address: &str) -> Ipv4Addr {
    address.parse().expect("an address")
}

pub fn addresses(lab: &Lab, station: &Station) -> Vec<IpAddr> {
    let device = lab.engine.devices().find(|d| d.key.mac.0 == station.mac);
    device.map(|d| d.addresses).unwrap_or_default()
}
