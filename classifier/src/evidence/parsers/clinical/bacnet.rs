//! BACnet/IP (ASHRAE 135, annex J): who a device says it is, and what is read of its device
//! object.

use super::bytes::{named, split, u16_at};
use crate::Field;
use crate::evidence::{Datagram, FrameFacts};

const BVLC: u8 = 0x81;
const FORWARDED: u8 = 4;
/// Functions that carry a network message: forwarded, distribute, unicast, broadcast.
const CARRYING: &[u8] = &[FORWARDED, 9, 10, 11];
/// Functions of the virtual link itself.
const MAX_FUNCTION: u8 = 12;
const HEADER: usize = 4;
/// Address of the origin in a forwarded message.
const ORIGIN: usize = 6;
const NPDU_VERSION: u8 = 1;
/// Bits of the network control octet.
const NETWORK_MESSAGE: u8 = 0x80;
const DESTINATION: u8 = 0x20;
const SOURCE: u8 = 0x08;
/// APDU types with no segmentation, and service choices.
const UNCONFIRMED: u8 = 0x10;
const COMPLEX_ACK: u8 = 0x30;
const I_AM: u8 = 0;
const READ_PROPERTY: u8 = 12;
const READ_PROPERTY_MULTIPLE: u8 = 14;
const DEVICE: u32 = 8;
/// Properties of the device object.
const PROPERTIES: &[(u32, &str)] = &[
    (77, "name"),
    (70, "model"),
    (121, "vendor"),
    (28, "description"),
    (44, "firmware"),
    (12, "software"),
];
/// Application tags.
const UNSIGNED: u8 = 2;
const CHARACTER_STRING: u8 = 7;
const OBJECT_ID: u8 = 12;
const UTF8: u8 = 0;

/// Parser of datagrams.
pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let [BVLC, function @ ..=MAX_FUNCTION, ..] = datagram.payload else {
        return false;
    };
    if u16_at(datagram.payload, 2).map(usize::from) != Some(datagram.payload.len()) {
        return false;
    }
    if CARRYING.contains(function) {
        let skipped = if *function == FORWARDED { ORIGIN } else { 0 };
        let npdu = datagram.payload.get(HEADER + skipped..).unwrap_or_default();
        let [NPDU_VERSION, ..] = npdu else {
            return false;
        };
        // What is forwarded or routed is somebody else's.
        if let Some(apdu) = own_apdu(npdu).filter(|_| *function != FORWARDED) {
            tell(apdu, facts);
        }
    }
    true
}

/// The application's part, if the sender of the datagram made it.
fn own_apdu(npdu: &[u8]) -> Option<&[u8]> {
    let control = *npdu.get(1)?;
    if control & (NETWORK_MESSAGE | SOURCE) != 0 {
        return None;
    }
    let rest = npdu.get(2..)?;
    if control & DESTINATION == 0 {
        return Some(rest);
    }
    // Network, length of the address, the address, and a hop count at the end.
    let length = usize::from(*rest.get(2)?);
    rest.get(3 + length + 1..)
}

fn tell(apdu: &[u8], facts: &mut FrameFacts<'_>) {
    match apdu {
        [UNCONFIRMED, I_AM, parameters @ ..] => {
            if let Some(vendor) = vendor_of(parameters) {
                facts.sender(Field::BacnetVendor, &vendor.to_string());
            }
        }
        [
            COMPLEX_ACK,
            _,
            READ_PROPERTY | READ_PROPERTY_MULTIPLE,
            parameters @ ..,
        ] => {
            tell_properties(parameters, facts);
        }
        _ => {}
    }
}

/// The fourth parameter of I-Am, after the identifier of a device.
fn vendor_of(parameters: &[u8]) -> Option<u32> {
    let (object, rest) = Tag::read(parameters)?;
    let (_, rest) = Tag::read(rest)?;
    let (_, rest) = Tag::read(rest)?;
    let (vendor, _) = Tag::read(rest)?;
    let is_device = object.is_value(OBJECT_ID) && object.number()? >> 22 == DEVICE;
    (is_device && vendor.is_value(UNSIGNED)).then(|| vendor.number())?
}

/// Texts of a device object, as both kinds of answer carry them: the object in context 0, then
/// number (1 or 2) and value of each property.
fn tell_properties(mut parameters: &[u8], facts: &mut FrameFacts<'_>) {
    let mut of_device = false;
    let mut property = None;
    while let Some((tag, rest)) = Tag::read(parameters) {
        parameters = rest;
        match (tag.is_context, tag.kind) {
            (true, 0) if !tag.value.is_empty() => {
                of_device = tag.number().is_some_and(|object| object >> 22 == DEVICE);
            }
            (true, 1 | 2) if !tag.value.is_empty() => property = tag.number(),
            (false, CHARACTER_STRING) if of_device => {
                let known = PROPERTIES
                    .iter()
                    .find(|(number, _)| Some(*number) == property);
                if let (Some((_, name)), Some((&UTF8, text))) = (known, tag.value.split_first()) {
                    facts.sender(Field::BacnetObject, &named(name, text));
                }
            }
            _ => {}
        }
    }
}

/// A tag and its value (clause 20.2.1); opening and closing tags have none.
#[derive(Debug)]
struct Tag<'a> {
    kind: u8,
    is_context: bool,
    value: &'a [u8],
}

impl<'a> Tag<'a> {
    const BRACKETS: [u8; 2] = [6, 7];
    const EXTENDED: u8 = 5;

    /// `None` where the value does not fit, or the length is one that a datagram cannot hold.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&first, mut rest) = bytes.split_first()?;
        let mut kind = first >> 4;
        if kind == 0x0f {
            (kind, rest) = rest.split_first().map(|(kind, rest)| (*kind, rest))?;
        }
        let is_context = first & 0x08 != 0;
        let mut length = usize::from(first & 0x07);
        if is_context && Self::BRACKETS.contains(&(first & 0x07)) {
            length = 0;
        } else if first & 0x07 == Self::EXTENDED {
            let (&next, after) = rest.split_first()?;
            (length, rest) = match next {
                255 => return None,
                254 => (usize::from(u16_at(after, 0)?), after.get(2..)?),
                short => (usize::from(short), after),
            };
        }
        let (value, rest) = split(rest, length)?;
        let tag = Self {
            kind,
            is_context,
            value,
        };
        Some((tag, rest))
    }

    fn is_value(&self, kind: u8) -> bool {
        !self.is_context && self.kind == kind
    }

    fn number(&self) -> Option<u32> {
        let fold = |number: u32, &byte: &u8| number << 8 | u32::from(byte);
        (self.value.len() <= 4).then(|| self.value.iter().fold(0, fold))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::ask_datagram;
    use super::*;

    const PORTS: [u16; 2] = [47_808, 47_808];

    fn ask(bytes: &[u8]) -> Option<Vec<String>> {
        ask_datagram(parse, PORTS, false, bytes)
    }

    /// Function, network control with its addresses, application part.
    fn packet(function: u8, network: &[u8], apdu: &[u8]) -> Vec<u8> {
        let mut bytes = vec![BVLC, function, 0, 0];
        bytes.extend(network);
        bytes.extend(apdu);
        let length = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    const I_AM_2201: &[u8] = b"\x10\x00\xc4\x02\x00\x08\x99\x22\x04\x00\x91\x00\x22\x03\xe7";

    #[test]
    fn i_am_tells_the_vendor() {
        assert_eq!(
            ask(&packet(10, &[1, 0], I_AM_2201)).unwrap(),
            ["sender bacnet.vendor-id 999"]
        );
        // To all networks, by broadcast.
        let everywhere = [1, DESTINATION, 0xff, 0xff, 0, 0xff];
        assert_eq!(
            ask(&packet(11, &everywhere, I_AM_2201)).unwrap(),
            ["sender bacnet.vendor-id 999"]
        );
    }

    #[test]
    fn what_came_through_a_router_is_not_the_senders() {
        let routed = [1, SOURCE, 0, 7, 1, 0x42];
        assert_eq!(ask(&packet(10, &routed, I_AM_2201)), Some(vec![]));
        let forwarded = [10, 0, 0, 1, 0xba, 0xc0, 1, 0];
        assert_eq!(ask(&packet(FORWARDED, &forwarded, I_AM_2201)), Some(vec![]));
    }

    fn text(value: &str) -> Vec<u8> {
        let mut bytes = vec![0x75, value.len() as u8 + 1, UTF8];
        bytes.extend(value.as_bytes());
        bytes
    }

    #[test]
    fn texts_of_the_device_object_are_told() {
        let mut one = b"\x30\x01\x0c\x0c\x02\x00\x08\x99\x19\x46\x3e".to_vec();
        one.extend(text("AHU-9 controller"));
        one.push(0x3f);
        assert_eq!(
            ask(&packet(10, &[1, 0], &one)).unwrap(),
            ["sender bacnet.object model=AHU-9 controller"]
        );
        let mut many = b"\x30\x01\x0e\x0c\x02\x00\x08\x99\x1e".to_vec();
        for (number, value) in [(77, "hvac"), (121, "Ward Works"), (75, "no text of ours")] {
            many.extend([0x29, number, 0x4e]);
            many.extend(text(value));
            many.push(0x4f);
        }
        many.push(0x1f);
        assert_eq!(
            ask(&packet(10, &[1, 0], &many)).unwrap(),
            [
                "sender bacnet.object name=hvac",
                "sender bacnet.object vendor=Ward Works"
            ]
        );
    }

    #[test]
    fn texts_of_other_objects_are_not() {
        let mut value = b"\x30\x01\x0c\x0c\x00\x80\x00\x01\x19\x4d\x3e".to_vec();
        value.extend(text("room-pressure"));
        value.push(0x3f);
        assert_eq!(ask(&packet(10, &[1, 0], &value)), Some(vec![]));
    }

    #[test]
    fn other_datagrams_are_not_bacnet() {
        for bytes in [
            &b"\x81\x0a\x00\x05\x01"[..4],
            b"\x81\x0a\x00\x09\x01\x00",
            b"\x82\x0a\x00\x04",
        ] {
            assert_eq!(ask(bytes), None, "{bytes:?}");
        }
    }
}
