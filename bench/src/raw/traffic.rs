//! The frames of a corner: one for each conversation and direction, interleaved over devices.
//!
//! The frames are played in a loop. Both directions are played, the device's on the ward port and
//! the answers on the core port, since a conversation without answers is still a new one to some
//! systems.

use std::fs::File;
use std::io::BufWriter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder, TcpHeader, VlanId,
};
use wardline_capture::{Packet, PcapngWriter};
use wardline_policy::MacAddr;
use wardline_policy::scalar::Prefix;

use super::corner::{Corner, Mix, Network, Sizes, Transport};

/// The router on the core side: every frame to and from the hospital carries its address.
const ROUTER: [u8; 6] = [0x02, 0xff, 0, 0, 0, 1];
/// Bytes of the frame check sequence, which counts on the wire and is in no buffer.
const CHECK_SEQUENCE: usize = 4;
/// Simple IMIX, on the wire, interleaved.
const IMIX: [usize; 12] = [64, 594, 64, 64, 594, 64, 1_518, 594, 64, 64, 594, 64];
/// Servers one rule allows: a network of 16.
const SERVERS: u32 = 16;
/// Initiators' ports, from the first that is nobody's.
const PORTS: u32 = 60_000;
const FIRST_PORT: u16 = 1_024;

/// One conversation of a corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversation {
    device: u32,
    /// Number of its rule among those of all devices.
    rule: u32,
    server: u32,
    source_port: u16,
    allowed: bool,
}

/// The two files of a corner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captures {
    /// What comes in at the ward port.
    pub ward: PathBuf,
    /// What comes in at the core port.
    pub core: PathBuf,
    /// Frames in each of them.
    pub frames: u32,
}

/// Conversation `number` of a corner.
pub fn conversation(corner: &Corner, number: u32) -> Conversation {
    let device = number % corner.devices;
    let turn = number / corner.devices;
    let rest = turn / corner.rules;
    Conversation {
        device,
        rule: device * corner.rules + turn % corner.rules,
        server: rest % SERVERS,
        // At most PORTS, which fits.
        source_port: FIRST_PORT + (rest / SERVERS % PORTS) as u16,
        allowed: match corner.mix {
            Mix::Allowed => true,
            Mix::HalfDenied => turn.is_multiple_of(2),
            Mix::Denied => false,
        },
    }
}

/// MAC address of a device.
pub fn device_mac(device: u32) -> MacAddr {
    let [_, a, b, c] = device.to_be_bytes();
    MacAddr([2, 0, 0, a, b, c])
}

/// Address of a device.
pub fn device_address(network: Network, device: u32) -> IpAddr {
    address(network, Ipv4Addr::new(10, 0, 0, 0), 1, device + 1)
}

/// The servers a rule allows.
pub fn servers(network: Network, rule: u32) -> Prefix {
    let length = match network {
        Network::Ipv4 | Network::Vlan => 28,
        Network::Ipv6 => 124,
    };
    Prefix::around(server(network, rule, 0), length)
}

/// The port a rule allows.
pub fn server_port(rule: u32) -> u16 {
    // Below 60,000.
    10_000 + (rule % 50_000) as u16
}

fn server(network: Network, rule: u32, index: u32) -> IpAddr {
    let first = Ipv4Addr::new(10, 64, 0, 0);
    address(network, first, 2, rule * SERVERS + index)
}

fn address(network: Network, first: Ipv4Addr, subnet: u16, number: u32) -> IpAddr {
    match network {
        Network::Ipv4 | Network::Vlan => Ipv4Addr::from_bits(first.to_bits() + number).into(),
        Network::Ipv6 => {
            let first = Ipv6Addr::new(0xfd00, 0, 0, subnet, 0, 0, 0, 0);
            Ipv6Addr::from_bits(first.to_bits() + u128::from(number)).into()
        }
    }
}

/// Writes the two files of a corner into `folder`.
///
/// # Errors
/// The files cannot be written.
pub fn write(corner: &Corner, folder: &Path) -> Result<Captures> {
    let captures = Captures {
        ward: folder.join("ward.pcapng"),
        core: folder.join("core.pcapng"),
        frames: corner.flows,
    };
    for (path, forth) in [(&captures.ward, true), (&captures.core, false)] {
        let doing = || format!("writing {}", path.display());
        let file = BufWriter::new(File::create(path).with_context(doing)?);
        let mut writer = PcapngWriter::new(file, "wardline-bench", &["frames"])?;
        for number in 0..corner.flows {
            let data = frame(corner, number, forth)?;
            let packet = Packet {
                time_ns: 0,
                data: &data,
                original_bytes: u32::try_from(data.len())?,
                interface: 0,
            };
            writer.write(&packet, None).with_context(doing)?;
        }
        writer.finish().with_context(doing)?;
    }
    Ok(captures)
}

/// The frame of a conversation from its device, or the answer to it.
///
/// # Errors
/// Never for the sizes of [`Corner`]; the builder asks for it.
pub fn frame(corner: &Corner, number: u32, forth: bool) -> Result<Vec<u8>> {
    let talk = conversation(corner, number);
    let device = (
        device_mac(talk.device).0,
        device_address(corner.network, talk.device),
        talk.source_port,
    );
    let port = server_port(talk.rule) + u16::from(!talk.allowed);
    let server = (ROUTER, server(corner.network, talk.rule, talk.server), port);
    let (from, to) = if forth {
        (device, server)
    } else {
        (server, device)
    };

    let link = PacketBuilder::ethernet2(from.0, to.0);
    let ip = ip_headers(from.1, to.1)?;
    let vlan = corner.vlan().0.outer;
    let ip = if vlan == 0 {
        link.ip(ip)
    } else {
        link.single_vlan(VlanId::try_new(vlan)?).ip(ip)
    };
    let mut bytes = Vec::new();
    match corner.transport {
        Transport::Udp => {
            let step = ip.udp(from.2, to.2);
            let payload = payload(corner, number, step.size(0));
            step.write(&mut bytes, &payload)?;
        }
        Transport::Tcp => {
            let step = ip.tcp_header(segment(from.2, to.2, forth));
            let payload = payload(corner, number, step.size(0));
            step.write(&mut bytes, &payload)?;
        }
    }
    Ok(bytes)
}

fn ip_headers(from: IpAddr, to: IpAddr) -> Result<IpHeaders> {
    const TTL: u8 = 64;
    // The builder sets lengths, checksum and protocol.
    Ok(match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let header = Ipv4Header::new(0, TTL, IpNumber::UDP, from.octets(), to.octets())?;
            IpHeaders::Ipv4(header, Default::default())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let header = Ipv6Header {
                traffic_class: 0,
                flow_label: Ipv6FlowLabel::ZERO,
                payload_length: 0,
                next_header: IpNumber::UDP,
                hop_limit: TTL,
                source: from.octets(),
                destination: to.octets(),
            };
            IpHeaders::Ipv6(header, Default::default())
        }
        _ => anyhow::bail!("{from} and {to} are of different families"),
    })
}

/// Data that its receiver has not acknowledged yet, again and again.
fn segment(from: u16, to: u16, forth: bool) -> TcpHeader {
    const WINDOW: u16 = 65_535;
    let (sequence, acknowledged) = if forth {
        (1_000, 5_000)
    } else {
        (5_000, 1_000)
    };
    let mut header = TcpHeader::new(from, to, sequence, WINDOW);
    header.ack = true;
    header.acknowledgment_number = acknowledged;
    header
}

/// Zeros that fill the frame up to its size, after `headers` bytes.
fn payload(corner: &Corner, number: u32, headers: usize) -> Vec<u8> {
    let wire = match corner.sizes {
        Sizes::One(bytes) => usize::from(bytes),
        Sizes::Imix => IMIX[number as usize % IMIX.len()],
    };
    vec![0; (wire - CHECK_SEQUENCE).saturating_sub(headers)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::corner::FULL;
    use super::*;

    fn corner(wanted: impl Fn(&Corner) -> bool) -> Corner {
        FULL.iter().copied().find(wanted).unwrap()
    }

    fn lengths(corner: &Corner) -> Vec<usize> {
        (0..24)
            .map(|n| frame(corner, n, true).unwrap().len() + CHECK_SEQUENCE)
            .collect()
    }

    #[test]
    fn sizes_are_those_on_the_wire() {
        assert_eq!(lengths(&FULL[0]), [64; 24]);
        assert_eq!(
            lengths(&corner(|c| c.sizes == Sizes::One(1_500))),
            [1_500; 24]
        );
        let imix = lengths(&corner(|c| c.sizes == Sizes::Imix));
        let count = |size| imix.iter().filter(|s| **s == size).count();
        assert_eq!([count(64), count(594), count(1_518)], [14, 8, 2]);
    }

    #[test]
    fn headers_that_need_more_than_64_bytes_get_it() {
        let v6 = corner(|c| c.network == Network::Ipv6);
        assert_eq!(lengths(&v6), [66; 24]);
    }

    #[test]
    fn no_two_conversations_of_a_corner_are_the_same() {
        for corner in FULL {
            let mut seen = BTreeSet::new();
            for number in 0..corner.flows {
                let c = conversation(corner, number);
                assert!(
                    seen.insert((c.device, c.rule, c.server, c.source_port)),
                    "{corner}: {number}"
                );
            }
        }
    }

    #[test]
    fn an_answer_is_the_other_way_round() {
        let v4 = &FULL[0];
        let (forth, back) = (frame(v4, 3, true).unwrap(), frame(v4, 3, false).unwrap());
        assert_eq!(forth[0..6], back[6..12]);
        assert_eq!(forth[26..30], back[30..34]);
        assert_eq!(forth[34..36], back[36..38]);
    }

    #[test]
    fn files_hold_a_frame_for_each_conversation() {
        let folder = tempfile::tempdir().unwrap();
        let captures = write(&FULL[0], folder.path()).unwrap();
        for path in [&captures.ward, &captures.core] {
            let mut reader = wardline_capture::Reader::open(path).unwrap();
            let mut frames = 0;
            while reader.next_packet().unwrap().is_some() {
                frames += 1;
            }
            assert_eq!(frames, FULL[0].flows);
        }
    }
}
