//! Frames between stations, whole and correct unless a test says otherwise.

use std::net::Ipv4Addr;

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv6Header, TcpHeader};

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

pub const IPV4: u16 = 0x0800;
pub const ARP: u16 = 0x0806;
pub const IPV6: u16 = 0x86dd;
pub const BROADCAST: [u8; 6] = [0xff; 6];

/// One station: its MAC address and its IPv4 address. The IPv6 address follows from the last
/// byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Station {
    pub mac: [u8; 6],
    pub ip: [u8; 4],
}

impl Station {
    pub const fn new(mac: u8, ip: [u8; 4]) -> Self {
        Self {
            mac: [2, 0, 0, 0, 0, mac],
            ip,
        }
    }

    /// The same machine with another address.
    pub const fn at(self, ip: [u8; 4]) -> Self {
        Self { ip, ..self }
    }

    /// `fd00::<third>:<last>`.
    pub fn ip6(&self) -> [u8; 16] {
        let mut address = [0; 16];
        address[0] = 0xfd;
        address[13] = self.ip[2];
        address[15] = self.ip[3];
        address
    }
}

/// Listed, enforced, role `pump`.
pub const PUMP: Station = Station::new(0x11, [10, 0, 0, 11]);
/// Listed, enforced, role `pump`.
pub const MONITOR: Station = Station::new(0x12, [10, 0, 0, 12]);
/// Not listed.
pub const GUEST: Station = Station::new(0x19, [10, 0, 0, 99]);
/// Core side, in the group `servers`.
pub const SERVER: Station = Station::new(0x51, [10, 0, 1, 20]);
/// Core side, in the group `servers`.
pub const SECOND: Station = Station::new(0x52, [10, 0, 1, 21]);
/// Core side, in no group.
pub const STRANGER: Station = Station::new(0x53, [10, 9, 9, 9]);
/// Core side.
pub const GATEWAY: Station = Station::new(0x50, [10, 0, 0, 1]);

/// A group: its MAC address and its IPv4 address.
pub const fn group(ip: [u8; 4]) -> Station {
    Station {
        mac: [1, 0, 0x5e, ip[1] & 0x7f, ip[2], ip[3]],
        ip,
    }
}

pub const EVERYBODY: Station = Station {
    mac: BROADCAST,
    ip: [255; 4],
};

pub fn ethernet(from: [u8; 6], to: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [to, from].concat();
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The frame with these tags (tag protocol identifier, tag control information), outermost first.
pub fn tagged(tags: &[(u16, u16)], frame: &[u8]) -> Vec<u8> {
    let mut out = frame[..12].to_vec();
    for (kind, control) in tags {
        out.extend(kind.to_be_bytes());
        out.extend(control.to_be_bytes());
    }
    out.extend(&frame[12..]);
    out
}

pub fn ip4(from: &Station, to: &Station, protocol: u8, payload: &[u8]) -> Vec<u8> {
    fragment4(from, to, protocol, (0, 0, false), payload)
}

/// A fragment (identification, offset in bytes, more to come).
pub fn fragment4(
    from: &Station,
    to: &Station,
    protocol: u8,
    (id, offset, more): (u16, u16, bool),
    payload: &[u8],
) -> Vec<u8> {
    let mut header = Ipv4Header {
        time_to_live: 64,
        protocol: IpNumber(protocol),
        source: from.ip,
        destination: to.ip,
        identification: id,
        fragment_offset: IpFragOffset::try_new(offset / 8).unwrap(),
        more_fragments: more,
        ..Ipv4Header::default()
    };
    header.set_payload_len(payload.len()).unwrap();
    header.header_checksum = header.calc_header_checksum();
    ethernet(
        from.mac,
        to.mac,
        IPV4,
        &[&header.to_bytes(), payload].concat(),
    )
}

pub fn ip6(
    macs: ([u8; 6], [u8; 6]),
    source: [u8; 16],
    destination: [u8; 16],
    (next, hop_limit): (u8, u8),
    payload: &[u8],
) -> Vec<u8> {
    let header = Ipv6Header {
        payload_length: u16::try_from(payload.len()).unwrap(),
        next_header: IpNumber(next),
        hop_limit,
        source,
        destination,
        ..Ipv6Header::default()
    };
    ethernet(
        macs.0,
        macs.1,
        IPV6,
        &[&header.to_bytes(), payload].concat(),
    )
}

pub fn udp_datagram(ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut bytes = ports.0.to_be_bytes().to_vec();
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend(u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

pub fn udp(from: &Station, to: &Station, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    ip4(from, to, 17, &udp_datagram(ports, payload))
}

pub fn udp6(from: &Station, to: &Station, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let datagram = udp_datagram(ports, payload);
    ip6(
        (from.mac, to.mac),
        from.ip6(),
        to.ip6(),
        (17, 64),
        &datagram,
    )
}

/// A segment with sequence and acknowledgement number; a SYN offers a window scale of 2.
pub fn tcp(
    from: &Station,
    to: &Station,
    ports: (u16, u16),
    flags: u8,
    (seq, ack): (u32, u32),
    payload: &[u8],
) -> Vec<u8> {
    let mut header = TcpHeader::new(ports.0, ports.1, seq, 8192);
    header.acknowledgment_number = ack;
    if flags & SYN != 0 {
        header.set_options_raw(&[1, 3, 3, 2]).unwrap();
    }
    let mut bytes = header.to_bytes().to_vec();
    bytes[13] = flags;
    bytes.extend(payload);
    ip4(from, to, 6, &bytes)
}

/// The first segment of a connection.
pub fn syn(from: &Station, to: &Station, ports: (u16, u16)) -> Vec<u8> {
    tcp(from, to, ports, SYN, (1000, 0), &[])
}

/// A segment in the middle of a connection.
pub fn ack(from: &Station, to: &Station, ports: (u16, u16)) -> Vec<u8> {
    tcp(from, to, ports, ACK, (7000, 9000), b"data")
}

/// The 16-bit one's complement sum that IP, ICMP and others share.
pub fn checksum(bytes: &[u8]) -> u16 {
    let pair = |c: &[u8]| u32::from(c[0]) << 8 | c.get(1).map_or(0, |b| u32::from(*b));
    let mut sum: u32 = bytes.chunks(2).map(pair).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// Type, code, the 32 bits behind the checksum, and the rest.
pub fn icmp_message([kind, code]: [u8; 2], rest: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(rest.to_be_bytes());
    bytes.extend(payload);
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

pub fn icmp(from: &Station, to: &Station, kind: [u8; 2], rest: u32, payload: &[u8]) -> Vec<u8> {
    ip4(from, to, 1, &icmp_message(kind, rest, payload))
}

/// An echo request (8) or reply (0) with this identifier.
pub fn echo(from: &Station, to: &Station, kind: u8, id: u16) -> Vec<u8> {
    icmp(from, to, [kind, 0], u32::from(id) << 16 | 1, b"ping")
}

/// The packet in the frame as an ICMP error quotes it: IP header and 28 bytes.
pub fn quoted(frame: &[u8]) -> &[u8] {
    &frame[14..frame.len().min(14 + 48)]
}

/// An ARP message: operation, what the sender says of itself, what it asks for.
pub fn arp(
    mac: [u8; 6],
    to: [u8; 6],
    op: u16,
    sender: ([u8; 6], [u8; 4]),
    target: ([u8; 6], [u8; 4]),
) -> Vec<u8> {
    let mut bytes = vec![0, 1, 8, 0, 6, 4];
    bytes.extend(op.to_be_bytes());
    bytes.extend([sender.0.as_slice(), &sender.1, &target.0, &target.1].concat());
    ethernet(mac, to, ARP, &bytes)
}

pub fn arp_request(from: &Station, target: [u8; 4]) -> Vec<u8> {
    arp(
        from.mac,
        BROADCAST,
        1,
        (from.mac, from.ip),
        ([0; 6], target),
    )
}

/// An ICMPv6 message with a hop limit of 255 from any address to any.
pub fn nd(
    from: [u8; 6],
    to: [u8; 6],
    source: [u8; 16],
    destination: [u8; 16],
    message: &[u8],
) -> Vec<u8> {
    ip6((from, to), source, destination, (58, 255), message)
}

pub const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
pub const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// A solicitation (135) or advertisement (136) for a target, with a link-layer address option.
pub fn neighbour(kind: u8, target: [u8; 16], link: Option<[u8; 6]>) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0, 0x20, 0, 0, 0];
    bytes.extend(target);
    if let Some(mac) = link {
        bytes.extend([if kind == 135 { 1 } else { 2 }, 1]);
        bytes.extend(mac);
    }
    bytes
}

/// A DHCP message of a client with these options.
pub fn dhcp(
    op: u8,
    transaction: u32,
    your_ip: [u8; 4],
    client: [u8; 6],
    options: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![op, 1, 6, 0];
    bytes.extend(transaction.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend(your_ip);
    bytes.extend([0; 8]);
    bytes.extend(client);
    bytes.resize(236, 0);
    bytes.extend([99, 130, 83, 99]);
    bytes.extend(options);
    bytes.push(255);
    bytes
}

pub fn dhcp_request(client: &Station, transaction: u32) -> Vec<u8> {
    let message = dhcp(
        1,
        transaction,
        [0; 4],
        client.mac,
        &[53, 1, 3, 12, 4, b'd', b'o', b'c', b'k'],
    );
    udp(&client.at([0; 4]), &EVERYBODY, (68, 67), &message)
}

/// The server gives the client its address for an hour.
pub fn dhcp_ack(server: &Station, client: &Station, transaction: u32) -> Vec<u8> {
    let options = [53, 1, 5, 51, 4, 0, 0, 0x0e, 0x10];
    let message = dhcp(2, transaction, client.ip, client.mac, &options);
    udp(server, client, (67, 68), &message)
}

/// A DNS message about one name of type A; an answer holds one address.
pub fn dns(id: u16, name: &str, answer: Option<(Ipv4Addr, u32)>) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(if answer.is_some() {
        [0x81, 0x80]
    } else {
        [1, 0]
    });
    bytes.extend([0, 1, 0, u8::from(answer.is_some()), 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    if let Some((address, ttl_s)) = answer {
        bytes.extend([0xc0, 12, 0, 1, 0, 1]);
        bytes.extend(ttl_s.to_be_bytes());
        bytes.extend([0, 4]);
        bytes.extend(address.octets());
    }
    bytes
}

/// An SCTP packet with one chunk: its verification tag, the type and flags of the chunk, and the
/// initiate tag if it has one.
pub fn sctp(
    from: &Station,
    to: &Station,
    ports: (u16, u16),
    tag: u32,
    [chunk, flags]: [u8; 2],
    initiate: u32,
) -> Vec<u8> {
    let mut bytes = ports.0.to_be_bytes().to_vec();
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend(tag.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend([chunk, flags, 0, 20]);
    bytes.extend(initiate.to_be_bytes());
    bytes.resize(12 + 20, 0);
    ip4(from, to, 132, &bytes)
}
