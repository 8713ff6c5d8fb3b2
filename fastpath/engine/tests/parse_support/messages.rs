//! Messages of the control protocols, as frames.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::IpNumber;

use super::{DESTINATION_V6, DEVICE_MAC, IPV4, IPV6, PEER_MAC, SOURCE_V6};
use super::{ethernet, ipv4, ipv6_between, udp_ports};

pub const OFFERED: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 7);
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 1);
pub const LEASED: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x77);
pub const DUID: [u8; 10] = [0, 3, 0, 1, 0x00, 0x09, 0xfb, 0x12, 0x34, 0x56];

/// The payload of an ARP frame.
pub fn arp(op: u16, sender: ([u8; 6], [u8; 4]), target: ([u8; 6], [u8; 4])) -> Vec<u8> {
    let mut bytes = vec![0, 1, 8, 0, 6, 4];
    bytes.extend(op.to_be_bytes());
    bytes.extend(sender.0);
    bytes.extend(sender.1);
    bytes.extend(target.0);
    bytes.extend(target.1);
    bytes
}

pub fn arp_request() -> Vec<u8> {
    ethernet(
        0x0806,
        &arp(1, (DEVICE_MAC, [10, 20, 0, 7]), ([0; 6], [10, 20, 0, 1])),
    )
}

/// An ICMPv6 message with a hop limit of 255.
pub fn nd(source: [u8; 16], destination: [u8; 16], message: &[u8]) -> Vec<u8> {
    ethernet(IPV6, &ipv6_between(source, destination, 255, 58, message))
}

pub fn neighbour_advertisement() -> Vec<u8> {
    let mut message = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
    message.extend(SOURCE_V6);
    message.extend([2, 1]);
    message.extend(DEVICE_MAC);
    nd(SOURCE_V6, DESTINATION_V6, &message)
}

/// A BOOTP message with these options behind the magic cookie.
pub fn dhcp(op: u8, your_ip: Ipv4Addr, options: &[u8]) -> Vec<u8> {
    let mut bytes = vec![op, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0x80, 0];
    bytes.extend([0; 4]);
    bytes.extend(your_ip.octets());
    bytes.extend([0; 8]);
    bytes.extend(DEVICE_MAC);
    bytes.resize(236, 0);
    bytes.extend([99, 130, 83, 99]);
    bytes.extend(options);
    bytes
}

pub fn dhcp_ack_payload() -> Vec<u8> {
    let mut options = vec![53, 1, 5, 54, 4];
    options.extend(SERVER.octets());
    options.extend([51, 4, 0, 0, 0x0e, 0x10, 255]);
    dhcp(2, OFFERED, &options)
}

pub fn dhcp_ack() -> Vec<u8> {
    let datagram = udp_ports(67, 68, &dhcp_ack_payload());
    let mut frame = ethernet(IPV4, &ipv4(IpNumber::UDP, &datagram));
    frame[..6].copy_from_slice(&DEVICE_MAC);
    frame[6..12].copy_from_slice(&PEER_MAC);
    frame
}

/// One DHCPv6 option.
pub fn option_v6(code: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = code.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
    bytes
}

/// An address option with preferred lifetime 300, valid lifetime 600 and these options.
pub fn lease_v6(address: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let mut value = address.octets().to_vec();
    value.extend([0, 0, 1, 44, 0, 0, 2, 88]);
    value.extend(options);
    option_v6(5, &value)
}

pub fn dhcpv6_reply_payload() -> Vec<u8> {
    let mut association = vec![0; 12];
    association.extend(lease_v6(LEASED, &[]));
    let mut bytes = vec![7, 0x0a, 0x0b, 0x0c];
    bytes.extend(option_v6(1, &DUID));
    bytes.extend(option_v6(2, &[0, 3, 0, 1, 9, 9, 9, 9, 9, 9]));
    bytes.extend(option_v6(3, &association));
    bytes
}

pub fn dhcpv6_reply() -> Vec<u8> {
    let datagram = udp_ports(547, 546, &dhcpv6_reply_payload());
    ethernet(
        IPV6,
        &ipv6_between(DESTINATION_V6, SOURCE_V6, 64, 17, &datagram),
    )
}

/// A DNS message: flags, the question for `name` of type A, and ready-made records.
pub fn dns(flags: u16, name: &[u8], records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34];
    bytes.extend(flags.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(name);
    bytes.extend([0, 1, 0, 1]);
    bytes.extend(records.concat());
    bytes
}

/// One record of class Internet; the name as on the wire, pointers allowed.
pub fn record(name: &[u8], kind: u16, ttl_s: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(ttl_s.to_be_bytes());
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    bytes
}

/// A name on the wire.
pub fn wire_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// `PACS.Example` is an alias of `store.example`, which has two addresses.
pub fn dns_answer_payload() -> Vec<u8> {
    const ASKED: [u8; 2] = [0xc0, 12];
    let store = wire_name("store.example");
    dns(
        0x8180,
        &wire_name("PACS.Example"),
        &[
            record(&ASKED, 5, 60, &store),
            record(&store, 1, 300, &[10, 30, 0, 9]),
            record(&store, 1, 30, &[10, 30, 0, 10]),
        ],
    )
}

pub fn dns_answer() -> Vec<u8> {
    ethernet(
        IPV4,
        &ipv4(IpNumber::UDP, &udp_ports(53, 40_000, &dns_answer_payload())),
    )
}
