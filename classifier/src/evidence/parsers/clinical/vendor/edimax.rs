//! Edimax: answers to a search (UDP 20560) and messages to the maker's servers, XML whose bytes
//! are rotated by a number of bits that the first byte tells.

use core::ops::ControlFlow;

use super::super::bytes::{may_begin, named, until_zero};
use super::super::xml;
use crate::Field;
use crate::evidence::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};

/// An answer: hardware address, maker, four bytes, model, version, and a name somebody gave.
const MAKER: core::ops::Range<usize> = 6..18;
const MODEL: core::ops::Range<usize> = 22..36;
const VERSION: core::ops::Range<usize> = 36..44;
/// First bytes of a message that is not rotated.
const PARAM: &[u8] = b"<param>";
/// Elements of a message that say what the device is.
const ELEMENTS: &[(&str, &str)] = &[
    ("model", "edimax.model"),
    ("type", "edimax.type"),
    ("devfwver", "edimax.firmware"),
    ("productid", "edimax.product"),
];
/// First bytes of what the relay sends.
const RELAY: &[u8] = b"PnvDataLen: ";

/// Parser of datagrams.
pub(in super::super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let payload = datagram.payload;
    if payload
        .get(MAKER)
        .is_some_and(|maker| until_zero(maker) == b"EDIMAX")
    {
        for (name, place) in [("edimax.model", MODEL), ("edimax.firmware", VERSION)] {
            let text = until_zero(payload.get(place).unwrap_or_default());
            facts.sender(Field::VendorDiscovery, &named(name, text));
        }
        return true;
    }
    let Some(message) = rotated_back(payload).filter(|message| message.starts_with(PARAM)) else {
        return false;
    };
    xml::opened(&message, "value", &mut |element, value| {
        let known = ELEMENTS.iter().find(|(name, _)| *name == element);
        if let (Some((_, name)), Some(value)) = (known, value) {
            facts.sender(Field::VendorDiscovery, &named(name, value.as_bytes()));
        }
        ControlFlow::Continue(())
    });
    true
}

/// The first byte is `<` and the number of bits by which the others are rotated to the right.
fn rotated_back(payload: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = payload.split_first()?;
    let bits = first.checked_sub(b'<').filter(|bits| *bits < 8)?;
    let plain = rest.iter().map(|byte| byte.rotate_left(u32::from(bits)));
    Some(core::iter::once(b'<').chain(plain).collect())
}

/// Parser of conversations: the relay in the maker's cloud.
pub(in super::super) fn parse_relay(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !may_begin(talk.server, RELAY) {
        return Outcome::NotMine;
    }
    if talk.server.len() < RELAY.len() {
        return Outcome::More;
    }
    facts.client(Field::VendorDiscovery, "edimax.relay=client");
    Outcome::Done
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{ask, ask_datagram};
    use super::*;

    const MESSAGE: &[u8] = b"<param>\n<code value=\"1010\" />\n<model value=\"SP-1W\" />\n\
<id value=\"0123\" />\n<type value=\"SmartPlug\" />\n<alias value=\"Jane\" />\n\
<devfwver value=\"1.09\" />\n</param>";

    #[test]
    fn a_message_rotated_by_any_number_of_bits_tells_the_model() {
        for bits in 0..8 {
            let mut message: Vec<u8> = MESSAGE.iter().map(|byte| byte.rotate_right(bits)).collect();
            message[0] = b'<' + bits as u8;
            assert_eq!(
                ask_datagram(parse, [40_000, 8765], false, &message).unwrap(),
                [
                    "sender vendor.discovery edimax.model=SP-1W",
                    "sender vendor.discovery edimax.type=SmartPlug",
                    "sender vendor.discovery edimax.firmware=1.09",
                ]
            );
        }
    }

    #[test]
    fn an_answer_tells_model_and_version() {
        let mut answer = vec![0; 186];
        answer[6..12].copy_from_slice(b"EDIMAX");
        answer[22..27].copy_from_slice(b"SP-1W");
        answer[36..40].copy_from_slice(b"1.09");
        answer[44..48].copy_from_slice(b"Jane");
        assert_eq!(
            ask_datagram(parse, [20_560, 40_000], false, &answer).unwrap(),
            [
                "sender vendor.discovery edimax.model=SP-1W",
                "sender vendor.discovery edimax.firmware=1.09"
            ]
        );
    }

    #[test]
    fn other_messages_are_not_edimax() {
        for payload in [&b"<html>"[..], b"", b"\x3d<param>"] {
            assert_eq!(ask_datagram(parse, [40_000, 8765], false, payload), None);
        }
        assert_eq!(ask(parse_relay, b"x", b"HTTP/1.1 200").0, Outcome::NotMine);
        assert_eq!(
            ask(parse_relay, b"x", b"PnvDataLen: 212\r\n").0,
            Outcome::Done
        );
    }
}
