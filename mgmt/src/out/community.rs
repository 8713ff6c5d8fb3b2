//! Community ID version 1 (<https://github.com/corelight/community-id-spec>): the same short text
//! for a conversation in every program that saw it.

use std::net::IpAddr;

use data_encoding::BASE64;
use sha1::{Digest as _, Sha1};

const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// Types of ICMP messages that answer each other.
const PAIRS: [(u8, u8); 5] = [(8, 0), (13, 14), (15, 16), (10, 9), (17, 18)];
/// The same of ICMPv6.
const PAIRS6: [(u8, u8); 5] = [(128, 129), (133, 134), (135, 136), (130, 131), (144, 145)];

/// One direction of a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Tuple {
    /// Source of the packet.
    pub source: IpAddr,
    /// Destination of the packet.
    pub destination: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Source port, or type of an ICMP message.
    pub from: u16,
    /// Destination port, or code of an ICMP message.
    pub to: u16,
}

impl Tuple {
    /// The community ID, with the seed 0.
    pub fn community_id(self) -> String {
        let (ports, one_way) = self.ports();
        let (mut low, mut high) = ((self.source, ports.0), (self.destination, ports.1));
        if !one_way && bytes(high) < bytes(low) {
            std::mem::swap(&mut low, &mut high);
        }
        let mut sha = Sha1::new_with_prefix([0, 0]);
        sha.update(bytes(low).0);
        sha.update(bytes(high).0);
        sha.update([self.protocol, 0]);
        if [ICMP, ICMP6, TCP, UDP, SCTP].contains(&self.protocol) {
            sha.update(low.1.to_be_bytes());
            sha.update(high.1.to_be_bytes());
        }
        format!("1:{}", BASE64.encode(&sha.finalize()))
    }

    /// What stands for the ports, and whether nothing answers.
    fn ports(self) -> ((u16, u16), bool) {
        let pairs = match self.protocol {
            ICMP => &PAIRS,
            ICMP6 => &PAIRS6,
            TCP | UDP | SCTP => return ((self.from, self.to), false),
            _ => return ((0, 0), false),
        };
        let answer = pairs.iter().find_map(|(a, b)| {
            let (a, b) = (u16::from(*a), u16::from(*b));
            (a == self.from)
                .then_some(b)
                .or((b == self.from).then_some(a))
        });
        match answer {
            Some(answer) => ((self.from, answer), false),
            None => ((self.from, self.to), true),
        }
    }
}

/// An address as it is on the wire, and its port: what ends are ordered by.
fn bytes((address, port): (IpAddr, u16)) -> (Vec<u8>, u16) {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    (octets, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the baseline of the specification.
    const KNOWN: [(u8, &str, &str, u16, u16, &str); 15] = [
        (
            6,
            "128.232.110.120",
            "66.35.250.204",
            34855,
            80,
            "LQU9qZlK+B5F3KDmev6m5PMibrg=",
        ),
        (
            6,
            "66.35.250.204",
            "128.232.110.120",
            80,
            34855,
            "LQU9qZlK+B5F3KDmev6m5PMibrg=",
        ),
        (
            17,
            "192.168.1.52",
            "8.8.8.8",
            54585,
            53,
            "d/FP5EW3wiY1vCndhwleRRKHowQ=",
        ),
        (
            17,
            "8.8.8.8",
            "192.168.1.52",
            53,
            54585,
            "d/FP5EW3wiY1vCndhwleRRKHowQ=",
        ),
        (
            132,
            "192.168.170.8",
            "192.168.170.56",
            7,
            7,
            "MP2EtRCAUIZvTw6MxJHLV7N7JDs=",
        ),
        (
            1,
            "192.168.0.89",
            "192.168.0.1",
            8,
            0,
            "X0snYXpgwiv9TZtqg64sgzUn6Dk=",
        ),
        (
            1,
            "192.168.0.1",
            "192.168.0.89",
            0,
            0,
            "X0snYXpgwiv9TZtqg64sgzUn6Dk=",
        ),
        (
            1,
            "10.0.0.1",
            "10.0.0.2",
            11,
            0,
            "YHxtAirCG//0OzkcVAukqKQN9xM=",
        ),
        (
            46,
            "10.1.12.1",
            "10.1.12.2",
            0,
            0,
            "KHlLkgoJW7ifUTyTSgyVfkFHzKw=",
        ),
        (
            46,
            "10.1.12.2",
            "10.1.12.1",
            0,
            0,
            "KHlLkgoJW7ifUTyTSgyVfkFHzKw=",
        ),
        (
            6,
            "2607:f8b0:400c:c03::1a",
            "2001:470:e5bf:dead:4957:2174:e82c:4887",
            25,
            63943,
            "/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        ),
        (
            58,
            "fe80::200:86ff:fe05:80da",
            "fe80::260:97ff:fe07:69ea",
            135,
            0,
            "dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        ),
        (
            58,
            "3ffe:501:0:1001::2",
            "3ffe:507:0:1:200:86ff:fe05:80da",
            129,
            0,
            "+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
        ),
        (
            58,
            "3ffe:501:410:0:2c0:dfff:fe47:33e",
            "3ffe:507:0:1:200:86ff:fe05:80da",
            1,
            4,
            "hLZd0XGWojozrvxqE0dWB1iM6R0=",
        ),
        (
            58,
            "fe80::260:97ff:fe07:69ea",
            "ff02::1",
            134,
            0,
            "pkvHqCL88/tg1k4cPigmZXUtL00=",
        ),
    ];

    #[test]
    fn the_specification_gives_the_same() {
        for (protocol, source, destination, from, to, expected) in KNOWN {
            let tuple = Tuple {
                source: source.parse().expect("an address"),
                destination: destination.parse().expect("an address"),
                protocol,
                from,
                to,
            };
            assert_eq!(tuple.community_id(), format!("1:{expected}"), "{tuple:?}");
        }
    }
}
