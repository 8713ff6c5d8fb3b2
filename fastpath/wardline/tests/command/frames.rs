//! Frames of a small ward, and captures made of them.

use std::path::{Path, PathBuf};

use etherparse::{
    ArpOperation, ArpPacket, EtherType, IpFragOffset, IpHeaders, IpNumber, Ipv4Header,
    PacketBuilder, PacketBuilderStep, TcpHeader, UdpHeader, VlanId,
};
use wardline_capture::{Packet, PcapngWriter};

/// Somebody with addresses.
#[derive(Clone, Copy)]
pub struct Station {
    pub mac: [u8; 6],
    pub ip: [u8; 4],
}

impl Station {
    const fn new(mac: [u8; 6], ip: [u8; 4]) -> Self {
        Self { mac, ip }
    }

    /// The same station in a frame to somebody who is not a station.
    pub const fn to(mac: [u8; 6], ip: [u8; 4]) -> Self {
        Self { mac, ip }
    }
}

pub const CT: Station = Station::new([0x00, 0x09, 0xfb, 0, 0, 1], [10, 1, 2, 1]);
pub const PUMP: Station = Station::new([0x00, 0x03, 0xb1, 0, 0, 2], [10, 1, 2, 2]);
pub const MONITOR: Station = Station::new([0x00, 0x1d, 0xc1, 0, 0, 3], [10, 1, 2, 3]);
pub const PACS: Station = Station::new([0x02, 0, 0, 0, 1, 0x10], [10, 1, 0, 10]);
pub const SHARE: Station = Station::new([0x02, 0, 0, 0, 1, 0x50], [10, 1, 0, 50]);
pub const CENTRAL: Station = Station::new([0x02, 0, 0, 0, 1, 0x20], [10, 1, 0, 20]);
pub const EVERYONE: Station = Station::to([0xff; 6], [255, 255, 255, 255]);
pub const WS_DISCOVERY: Station =
    Station::to([0x01, 0x00, 0x5e, 0x7f, 0xff, 0xfa], [239, 255, 255, 250]);

pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;
pub const PSH: u8 = 8;

fn ethernet(from: Station, to: Station) -> PacketBuilderStep<etherparse::Ethernet2Header> {
    PacketBuilder::ethernet2(from.mac, to.mac)
}

/// A TCP segment; `port` is `(source, destination)`, `number` is `(sequence, acknowledgement)`.
pub fn tcp(from: Station, to: Station, port: (u16, u16), flags: u8, number: (u32, u32)) -> Vec<u8> {
    tcp_with(from, to, port, flags, number, b"")
}

pub fn tcp_with(
    from: Station,
    to: Station,
    port: (u16, u16),
    flags: u8,
    number: (u32, u32),
    payload: &[u8],
) -> Vec<u8> {
    let mut header = TcpHeader::new(port.0, port.1, number.0, 64_240);
    header.acknowledgment_number = number.1;
    header.syn = flags & SYN != 0;
    header.rst = flags & RST != 0;
    header.ack = flags & ACK != 0;
    header.psh = flags & PSH != 0;
    let mut out = Vec::new();
    ethernet(from, to)
        .ipv4(from.ip, to.ip, 64)
        .tcp_header(header)
        .write(&mut out, payload)
        .expect("memory");
    out
}

/// The three segments that open a connection.
pub fn handshake(client: Station, server: Station, port: (u16, u16)) -> [Vec<u8>; 3] {
    let back = (port.1, port.0);
    [
        tcp(client, server, port, SYN, (1_000, 0)),
        tcp(server, client, back, SYN | ACK, (9_000, 1_001)),
        tcp(client, server, port, ACK, (1_001, 9_001)),
    ]
}

pub fn udp(from: Station, to: Station, port: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ethernet(from, to)
        .ipv4(from.ip, to.ip, 64)
        .udp(port.0, port.1)
        .write(&mut out, payload)
        .expect("memory");
    out
}

/// The same in one VLAN, or in two (outer, inner).
pub fn udp_in_vlans(
    vlans: &[u16],
    from: Station,
    to: Station,
    port: (u16, u16),
    payload: &[u8],
) -> Vec<u8> {
    let id = |i: usize| VlanId::try_new(vlans[i]).expect("a VLAN");
    let step = ethernet(from, to);
    let step = match vlans.len() {
        1 => step.single_vlan(id(0)),
        _ => step.double_vlan(id(0), id(1)),
    };
    let mut out = Vec::new();
    step.ipv4(from.ip, to.ip, 64)
        .udp(port.0, port.1)
        .write(&mut out, payload)
        .expect("memory");
    out
}

/// One fragment of a UDP datagram: `offset` in units of eight bytes, data as given.
pub fn fragment(
    from: Station,
    to: Station,
    id: u16,
    offset: u16,
    more: bool,
    data: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("a small fragment");
    let mut header =
        Ipv4Header::new(length, 64, IpNumber::UDP, from.ip, to.ip).expect("a small fragment");
    header.identification = id;
    header.dont_fragment = false;
    header.more_fragments = more;
    header.fragment_offset = IpFragOffset::try_new(offset).expect("13 bits");
    let mut out = Vec::new();
    ethernet(from, to)
        .ip(IpHeaders::Ipv4(header, Default::default()))
        .write(&mut out, IpNumber::UDP, data)
        .expect("memory");
    out
}

/// The data of a first fragment: a UDP header that announces `total` bytes of payload, then
/// the first `len` of them.
pub fn udp_head(port: (u16, u16), total: u16, len: usize) -> Vec<u8> {
    let header = UdpHeader {
        source_port: port.0,
        destination_port: port.1,
        length: total + 8,
        checksum: 0,
    };
    let mut out = header.to_bytes().to_vec();
    out.resize(8 + len, 0x55);
    out
}

pub fn arp_request(from: Station, asked: [u8; 4]) -> Vec<u8> {
    arp(ArpOperation::REQUEST, from, EVERYONE.mac, [0; 6], asked)
}

/// Says that the sender of the frame is at `claimed`.
pub fn arp_reply(from: Station, claimed: [u8; 4], to: Station) -> Vec<u8> {
    let from = Station::to(from.mac, claimed);
    arp(ArpOperation::REPLY, from, to.mac, to.mac, to.ip)
}

fn arp(
    operation: ArpOperation,
    from: Station,
    destination: [u8; 6],
    target_mac: [u8; 6],
    target_ip: [u8; 4],
) -> Vec<u8> {
    let packet = ArpPacket::new(
        etherparse::ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        operation,
        &from.mac,
        &from.ip,
        &target_mac,
        &target_ip,
    )
    .expect("addresses of the right length");
    let mut out = Vec::new();
    PacketBuilder::ethernet2(from.mac, destination)
        .arp(packet)
        .write(&mut out)
        .expect("memory");
    out
}

/// A DHCP message (RFC 2131) with nothing but its type.
pub fn dhcp(client: Station, kind: u8, yours: [u8; 4]) -> Vec<u8> {
    let reply = matches!(kind, 2 | 5 | 6);
    let mut out = vec![if reply { 2 } else { 1 }, 1, 6, 0];
    out.extend([0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(yours);
    out.extend([0; 8]);
    out.extend(client.mac);
    out.resize(236, 0);
    out.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind]);
    if !reply {
        out.extend(b"\x0c\x06pump-2");
    }
    out.push(255);
    out
}

/// A frame of unknown EtherType.
pub fn odd(from: Station, to: Station, ethertype: u16) -> Vec<u8> {
    let mut out = [&to.mac[..], &from.mac, &ethertype.to_be_bytes()].concat();
    out.resize(60, 0);
    out
}

/// Adds a VLAN tag to a frame.
pub fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    let tag = [&[0x81, 0x00][..], &vlan.to_be_bytes()].concat();
    [&frame[..12], &tag, &frame[12..]].concat()
}

/// Beginning of every capture, in nanoseconds: 2026-11-23T08:00:00Z.
pub const START_NS: u64 = 1_795_420_800_000_000_000;

/// Writes frames with their times in milliseconds after the start.
pub fn capture<'a>(path: &Path, frames: impl IntoIterator<Item = (u64, &'a [u8])>) -> PathBuf {
    let file = std::fs::File::create(path).expect("a writable folder");
    let mut writer = PcapngWriter::new(file, "test", &["eth0"]).expect("a writable file");
    for (ms, data) in frames {
        let packet = Packet {
            time_ns: START_NS + ms * 1_000_000,
            data,
            original_bytes: u32::try_from(data.len()).expect("a frame"),
            interface: 0,
        };
        writer.write(&packet, None).expect("a writable file");
    }
    writer.finish().expect("a writable file");
    path.to_owned()
}
