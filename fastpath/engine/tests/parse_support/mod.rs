//! Frames for the parser's tests, put together header by header so that each can be made wrong.

// Every test file takes the part it needs.
#![allow(dead_code)]

pub mod messages;

use etherparse::{
    IpFragOffset, IpNumber, Ipv4Header, Ipv6Header, LinkExtSlice, NetSlice, SlicedPacket,
    TcpHeader, TransportSlice,
};
use wardline_engine::parse::{ParseError, parse, quote, walk};
use wardline_engine::{Fragment, L3, L4, PacketMeta, refuse, snoop};
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

/// An extension header of `units` eight-byte units, padded with zeros.
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
    if let L3::Ip { .. } = meta.l3 {
        assert!(14 <= meta.l3_offset);
        assert!(meta.l3_offset < meta.l4_offset);
        assert!(meta.l4_offset <= meta.payload_offset);
        let later = matches!(meta.fragment, Fragment::Later { .. });
        assert_eq!(later, meta.l4 == L4::Absent);
    } else {
        assert_eq!((meta.l4_offset, meta.protocol), (0, 0));
    }
}

/// Runs everything that reads frames over one frame of any content. Panics if a reader does, or
/// if a result contradicts the frame or etherparse.
pub fn exercise(frame: &[u8]) {
    // The fixed offsets and the walk through the layers must agree on every frame there is.
    assert_eq!(parse(frame), walk(frame), "{frame:02x?}");
    let meta = match parse(frame) {
        Ok(meta) => meta,
        Err(error) => {
            assert!(!error.reason.forwards());
            assert_eq!(error.meta.is_none(), frame.len() < 14);
            return;
        }
    };
    check_invariants(frame, &meta);
    check_agreement(frame, &meta);
    let _ = quote(frame, &meta);
    let _ = snoop::nd::parse(&meta, frame);
    exercise_messages(&frame[usize::from(meta.l3_offset).min(frame.len())..]);
    exercise_messages(&frame[usize::from(meta.payload_offset)..usize::from(meta.end)]);
    let mut out = [0; refuse::MAX_LEN];
    if let Some(len) = refuse::tcp_reset(frame, &meta, &mut out) {
        let reset = accepted(&out[..len]);
        assert_eq!(
            refuse::tcp_reset(&out[..len], &reset, &mut [0; refuse::MAX_LEN]),
            None
        );
    }
    if let Some(len) = refuse::unreachable(frame, &meta, &mut out) {
        let error = accepted(&out[..len]);
        assert_eq!(
            refuse::unreachable(&out[..len], &error, &mut [0; refuse::MAX_LEN]),
            None
        );
    }
}

/// Runs the readers of messages over bytes of any content.
pub fn exercise_messages(bytes: &[u8]) {
    let _ = snoop::arp::parse(bytes);
    let _ = snoop::dhcp::parse(bytes);
    let _ = snoop::dhcpv6::parse(bytes);
    let _ = snoop::dns::parse(bytes);
}

/// Where etherparse's own slicing finds addresses and ports too, they are the same.
fn check_agreement(frame: &[u8], meta: &PacketMeta) {
    let Ok(sliced) = SlicedPacket::from_ethernet(frame) else {
        return;
    };
    // etherparse opens authenticated frames; here MACsec is decided by its EtherType.
    if sliced
        .link_exts
        .iter()
        .any(|e| matches!(e, LinkExtSlice::Macsec(_)))
    {
        return;
    }
    let mapped = |a: std::net::Ipv4Addr| a.to_ipv6_mapped().octets();
    let (source, destination, version) = match &sliced.net {
        Some(NetSlice::Ipv4(ip)) => (
            mapped(ip.header().source_addr()),
            mapped(ip.header().destination_addr()),
            4,
        ),
        Some(NetSlice::Ipv6(ip)) => (ip.header().source(), ip.header().destination(), 6),
        _ => return,
    };
    assert_eq!(
        meta.l3,
        L3::Ip {
            source,
            destination,
            version
        }
    );
    let payload = &frame[usize::from(meta.payload_offset)..usize::from(meta.end)];
    match (&sliced.transport, meta.l4) {
        (
            Some(TransportSlice::Tcp(tcp)),
            L4::Tcp {
                source,
                destination,
                seq,
                ..
            },
        ) => {
            assert_eq!(
                (source, destination),
                (tcp.source_port(), tcp.destination_port())
            );
            assert_eq!((seq, payload), (tcp.sequence_number(), tcp.payload()));
        }
        (
            Some(TransportSlice::Udp(udp)),
            L4::Udp {
                source,
                destination,
            },
        ) => {
            assert_eq!(
                (source, destination),
                (udp.source_port(), udp.destination_port())
            );
            assert!(payload.starts_with(udp.payload()));
        }
        _ => {}
    }
}

/// Frames of every kind the readers know, as seeds for mutation.
pub fn specimens() -> Vec<Vec<u8>> {
    let tcp = tcp_options(SYN, &[2, 4, 5, 0xb4, 1, 3, 3, 7], b"data");
    let chain = extension(
        44,
        2,
        &fragment_header(60, 5, 0, false, &extension(6, 1, &tcp)),
    );
    let mut routing = ipv6(0, &extension(43, 1, &chain));
    routing[40 + 8 + 2] = 4;
    let error = [
        [3, 1, 0, 0, 0, 0, 0, 0].as_slice(),
        &ipv4(IpNumber::TCP, &tcp),
    ]
    .concat();
    let mut snap = vec![0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    snap.extend(ipv4(IpNumber::UDP, &udp(b"x")));
    vec![
        ethernet(IPV4, &ipv4(IpNumber::TCP, &tcp)),
        tagged(
            &[(0x88a8, 20), (0x8100, 30)],
            IPV4,
            &ipv4(IpNumber::UDP, &udp(b"payload")),
        ),
        ethernet(
            IPV4,
            &ipv4_options(IpNumber::IGMP, &[148, 4, 0, 0], &[0x16; 8]),
        ),
        ethernet(
            IPV4,
            &ipv4_fragment(IpNumber::UDP, 9, 0, true, &udp(&[0; 24])),
        ),
        ethernet(IPV4, &ipv4_fragment(IpNumber::UDP, 9, 4, false, &[0; 24])),
        ethernet(IPV4, &ipv4(IpNumber::ICMP, &error)),
        ethernet(IPV4, &ipv4(IpNumber::SCTP, &[2; 28])),
        ethernet(IPV6, &routing),
        ethernet(IPV6, &ipv6(44, &fragment_header(17, 9, 4, true, &[0; 24]))),
        llc(&snap),
        messages::arp_request(),
        messages::neighbour_advertisement(),
        messages::dhcp_ack(),
        messages::dhcpv6_reply(),
        messages::dns_answer(),
    ]
}
