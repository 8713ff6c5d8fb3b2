//! Frames for the parser's tests, put together header by header so that each can be made wrong.

// Every test file takes the part it needs.
#![allow(dead_code)]

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv6Header, TcpHeader};
use wardline_engine::parse::{ParseError, parse};
use wardline_engine::{Fragment, L4, PacketMeta};
use wardline_policy::Reason;

pub const DEVICE_MAC: [u8; 6] = [0x00, 0x09, 0xfb, 0x12, 0x34, 0x56];
pub const PEER_MAC: [u8; 6] = [0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc];
pub const SOURCE_V4: [u8; 4] = [10, 20, 0, 7];
pub const DESTINATION_V4: [u8; 4] = [10, 30, 0, 9];
pub const SOURCE_V6: [u8; 16] = [0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
pub const DESTINATION_V6: [u8; 16] = [0xfd, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;
pub const SYN: u8 = 2;
pub const ACK: u8 = 16;

pub fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    tagged(&[], ethertype, payload)
}

/// Tags are (tag protocol identifier, tag control information).
pub fn tagged(tags: &[(u16, u16)], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [PEER_MAC, DEVICE_MAC].concat();
    for (tpid, tci) in tags {
        frame.extend(tpid.to_be_bytes());
        frame.extend(tci.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An 802.3 frame: the length in place of the EtherType.
pub fn llc(body: &[u8]) -> Vec<u8> {
    ethernet(u16::try_from(body.len()).unwrap(), body)
}

pub fn ipv4(protocol: IpNumber, payload: &[u8]) -> Vec<u8> {
    ipv4_fragment(protocol, 0, 0, false, payload)
}

pub fn ipv4_options(protocol: IpNumber, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut header = ipv4_header(protocol);
    header.options = options.try_into().unwrap();
    ipv4_with(header, payload)
}

/// The offset counts in units of eight bytes.
pub fn ipv4_fragment(
    protocol: IpNumber,
    id: u16,
    units: u16,
    more: bool,
    payload: &[u8],
) -> Vec<u8> {
    let mut header = ipv4_header(protocol);
    header.identification = id;
    header.fragment_offset = IpFragOffset::try_new(units).unwrap();
    header.more_fragments = more;
    ipv4_with(header, payload)
}

pub fn ipv4_header(protocol: IpNumber) -> Ipv4Header {
    Ipv4Header {
        time_to_live: 64,
        protocol,
        source: SOURCE_V4,
        destination: DESTINATION_V4,
        ..Ipv4Header::default()
    }
}

/// Length and checksum are put right.
pub fn ipv4_with(mut header: Ipv4Header, payload: &[u8]) -> Vec<u8> {
    header.set_payload_len(payload.len()).unwrap();
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes(), payload].concat()
}

pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    ipv6_between(SOURCE_V6, DESTINATION_V6, 64, next, payload)
}

pub fn ipv6_between(
    source: [u8; 16],
    destination: [u8; 16],
    hop_limit: u8,
    next: u8,
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
    [&header.to_bytes(), payload].concat()
}

/// An extension header of `units` eight-byte units, filled with padding options.
pub fn extension(next: u8, units: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![next, units - 1];
    header.resize(usize::from(units) * 8, 0);
    [&header, payload].concat()
}

/// The offset counts in units of eight bytes.
pub fn fragment_header(next: u8, id: u32, units: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![next, 0];
    header.extend((units << 3 | u16::from(more)).to_be_bytes());
    header.extend(id.to_be_bytes());
    [&header, payload].concat()
}

pub fn tcp(flags: u8, payload: &[u8]) -> Vec<u8> {
    tcp_options(flags, &[], payload)
}

pub fn tcp_options(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut header = TcpHeader::new(1024, 104, 7000, 512);
    header.acknowledgment_number = 9000;
    header.set_options_raw(options).unwrap();
    let mut bytes = header.to_bytes().to_vec();
    bytes[13] = flags;
    [&bytes, payload].concat()
}

pub fn udp(payload: &[u8]) -> Vec<u8> {
    udp_ports(5353, 53, payload)
}

pub fn udp_ports(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(source.to_be_bytes());
    bytes.extend(destination.to_be_bytes());
    bytes.extend(u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

#[track_caller]
pub fn accepted(frame: &[u8]) -> PacketMeta {
    parse(frame).unwrap_or_else(|e| panic!("refused as {}: {frame:02x?}", e.reason.name()))
}

#[track_caller]
pub fn refused(frame: &[u8]) -> Reason {
    match parse(frame) {
        Err(ParseError { reason, .. }) => reason,
        Ok(meta) => panic!("accepted as {meta:?}"),
    }
}

/// What holds for every frame the parser accepts.
#[track_caller]
pub fn check_invariants(frame: &[u8], meta: &PacketMeta) {
    assert!(usize::from(meta.end) <= frame.len());
    assert!(meta.payload_offset <= meta.end);
    assert!(meta.tags <= 2);
    assert!(meta.vlan.outer < 4095 && meta.vlan.inner < 4095);
    if let wardline_engine::L3::Ip { .. } = meta.l3 {
        assert!(14 <= meta.l3_offset);
        assert!(meta.l3_offset < meta.l4_offset);
        assert!(meta.l4_offset <= meta.payload_offset);
        let later = matches!(meta.fragment, Fragment::Later { .. });
        assert_eq!(later, meta.l4 == L4::Absent);
    } else {
        assert_eq!((meta.l4_offset, meta.protocol), (0, 0));
    }
}
