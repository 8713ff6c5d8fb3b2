//! What neighbours on a cable tell each other: LLDP (IEEE 802.1AB) and CDP (Cisco).

use super::super::super::FrameFacts;
use super::{private, wire};
use crate::Field;

const LLDP: u16 = 0x88cc;
/// The largest value that is a length and no EtherType.
const LENGTH_MAX: u16 = 1500;
/// LLC for SNAP, Cisco, CDP.
const CDP_HEADER: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0];
/// Capabilities of LLDP by bit.
const LLDP_CAPABILITIES: [&str; 8] = [
    "other",
    "repeater",
    "bridge",
    "access-point",
    "router",
    "telephone",
    "docsis",
    "station",
];
/// Capabilities of CDP by bit.
const CDP_CAPABILITIES: [&str; 8] = [
    "router",
    "bridge",
    "source-route-bridge",
    "switch",
    "host",
    "igmp",
    "repeater",
    "telephone",
];

pub(super) fn parse_lldp(ethertype: u16, mut rest: &[u8], facts: &mut FrameFacts<'_>) -> bool {
    // The first is who sends: chassis, then port, then time to live.
    if ethertype != LLDP || rest.first() != Some(&0x02) {
        return false;
    }
    while let Some((kind, value)) = lldp_value(&mut rest) {
        match (kind, value) {
            (0, _) => break,
            (5, name) => facts.sender_bytes(Field::LldpName, name),
            (6, text) => facts.sender(Field::LldpDescription, &private::without_addresses(text)),
            (7, &[_, _, high, low]) => {
                let enabled = u32::from(u16::from_be_bytes([high, low]));
                let names = named(enabled, &LLDP_CAPABILITIES);
                facts.sender(Field::LldpCapabilities, &names);
            }
            (127, value) => tell_inventory(value, facts),
            _ => {}
        }
    }
    true
}

/// Seven bits of kind and nine of length stand before a value.
fn lldp_value<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let head = wire::u16(rest)?;
    Some((head >> 9, wire::take(rest, usize::from(head & 0x1ff))?))
}

/// The inventory of LLDP-MED (ANSI/TIA-1057, 10.2.6).
fn tell_inventory(value: &[u8], facts: &mut FrameFacts<'_>) {
    let Some((&[0x00, 0x12, 0xbb, kind], text)) = value.split_first_chunk() else {
        return;
    };
    let name = match kind {
        5 => "hardware",
        6 => "firmware",
        7 => "software",
        8 => "serial",
        9 => "manufacturer",
        10 => "model",
        _ => return,
    };
    let text = String::from_utf8_lossy(text);
    facts.sender(Field::VendorDiscovery, &format!("lldp-med.{name}={text}"));
}

pub(super) fn parse_cdp(length: u16, rest: &[u8], facts: &mut FrameFacts<'_>) -> bool {
    let Some(mut rest) = rest
        .strip_prefix(&CDP_HEADER)
        .filter(|_| length <= LENGTH_MAX)
    else {
        return false;
    };
    let Some([1 | 2, _time_to_live, _, _]) = wire::array(&mut rest) else {
        return false;
    };
    while let Some((kind, value)) = cdp_value(&mut rest) {
        match (kind, value) {
            (5, text) => {
                // The version is many lines, and the first names the software.
                let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
                let line = String::from_utf8_lossy(line);
                facts.sender(Field::VendorDiscovery, &format!("cdp.version={line}"));
            }
            (6, platform) => facts.sender_bytes(Field::CdpPlatform, platform),
            (4, &[a, b, c, d]) => {
                let names = named(u32::from_be_bytes([a, b, c, d]), &CDP_CAPABILITIES);
                facts.sender(Field::CdpCapabilities, &names);
            }
            _ => {}
        }
    }
    true
}

/// Kind and length, which counts both, stand before a value.
fn cdp_value<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let kind = wire::u16(rest)?;
    let len = wire::u16(rest)?.checked_sub(4)?;
    Some((kind, wire::take(rest, usize::from(len))?))
}

/// The names of the bits that are set, joined by commas.
fn named(bits: u32, names: &[&str]) -> String {
    let set = names
        .iter()
        .enumerate()
        .filter(|(bit, _)| bits >> bit & 1 != 0);
    set.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    const LLDPDU: &[u8] = b"\x02\x07\x04\0\x04\x96\x1f\xa7\x26\x04\x04\x051/3\x06\x02\0\x78\
        \x0a\x05Ward7\x0c\x10Summit300-48 7.4\x0e\x04\0\x14\0\x04\
        \xfe\x09\0\x12\xbb\x0aMX-60\xfe\x05\0\x12\xbb\x01\x02\0\0";

    #[test]
    fn lldp_names_the_system_and_what_it_does() {
        assert_eq!(
            hear_frame(parse_lldp, LLDP, LLDPDU).unwrap(),
            [
                sender(Field::LldpName, "Ward7"),
                sender(Field::LldpDescription, "Summit300-48 7.4"),
                sender(Field::LldpCapabilities, "bridge"),
                sender(Field::VendorDiscovery, "lldp-med.model=MX-60"),
            ]
        );
        withstands(LLDPDU, |bytes| {
            hear_frame(parse_lldp, LLDP, bytes).unwrap_or_default()
        });
        assert_eq!(hear_frame(parse_lldp, 0x88cd, LLDPDU), None);
    }

    #[test]
    fn cdp_names_platform_and_what_it_does() {
        let frame = b"\xaa\xaa\x03\0\0\x0c\x20\0\x02\xb4\x12\x34\0\x01\0\x0aSwitch\
            \0\x04\0\x08\0\0\0\x28\0\x05\0\x11IOS 12.1\nby x\0\x06\0\x10cisco WS-C29";
        assert_eq!(
            hear_frame(parse_cdp, 64, frame).unwrap(),
            [
                sender(Field::CdpCapabilities, "switch,igmp"),
                sender(Field::VendorDiscovery, "cdp.version=IOS 12.1"),
                sender(Field::CdpPlatform, "cisco WS-C29"),
            ]
        );
        withstands(frame, |bytes| {
            hear_frame(parse_cdp, 64, bytes).unwrap_or_default()
        });
        assert_eq!(hear_frame(parse_cdp, 0x0800, frame), None);
    }
}
