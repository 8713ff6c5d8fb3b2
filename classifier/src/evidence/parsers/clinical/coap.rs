//! CoAP (RFC 7252): which resources are asked for, and the resource types in a list of them
//! (RFC 6690).

use super::bytes::{is_printable, named, split, u16_at};
use crate::Field;
use crate::evidence::{Datagram, FrameFacts};

const PORTS: [u16; 2] = [5683, 5684];
const VERSION: u8 = 1;
const MAX_TOKEN: usize = 8;
const PAYLOAD: u8 = 0xff;
const URI_PATH: u16 = 11;
/// 2.05 Content.
const CONTENT: u8 = 0x45;
const MAX_RESOURCE_TYPES: usize = 8;

/// A message as far as it is of use.
#[derive(Debug)]
struct Message<'a> {
    code: u8,
    path: Vec<&'a [u8]>,
    payload: &'a [u8],
}

/// Parser of datagrams. The header is too short to be sure of, so the port must be right too.
pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let usual = |port: &u16| PORTS.contains(port);
    if ![datagram.source_port, datagram.destination_port]
        .iter()
        .any(usual)
    {
        return false;
    }
    let Some(message) = read(datagram.payload) else {
        return false;
    };
    if !message.path.is_empty() {
        let path = String::from_utf8_lossy(&message.path.join(&b'/')).into_owned();
        facts.sender(Field::VendorDiscovery, &format!("coap.path=/{path}"));
    }
    if message.code == CONTENT {
        for kind in resource_types(message.payload).take(MAX_RESOURCE_TYPES) {
            facts.sender(Field::VendorDiscovery, &named("coap.rt", kind.as_bytes()));
        }
    }
    true
}

fn read(bytes: &[u8]) -> Option<Message<'_>> {
    let ([first, code, _, _], rest) = bytes.split_first_chunk()?;
    let token = usize::from(first & 0x0f);
    if first >> 6 != VERSION || token > MAX_TOKEN {
        return None;
    }
    let mut message = Message {
        code: *code,
        path: Vec::new(),
        payload: &[],
    };
    let mut options = split(rest, token)?.1;
    let mut number = 0u16;
    while let Some((&head, rest)) = options.split_first() {
        if head == PAYLOAD {
            message.payload = rest;
            return (!rest.is_empty()).then_some(message);
        }
        let (delta, rest) = extended(head >> 4, rest)?;
        let (length, rest) = extended(head & 0x0f, rest)?;
        number = number.checked_add(delta)?;
        let (value, rest) = split(rest, usize::from(length))?;
        if number == URI_PATH {
            message.path.push(value);
        }
        options = rest;
    }
    // Without options only an empty message or a plain answer is left.
    message
        .path
        .iter()
        .all(|part| is_printable(part))
        .then_some(message)
}

/// A number of four bits, or of one or two bytes more.
fn extended(nibble: u8, rest: &[u8]) -> Option<(u16, &[u8])> {
    match nibble {
        13 => Some((u16::from(*rest.first()?) + 13, &rest[1..])),
        14 => Some((u16_at(rest, 0)?.checked_add(269)?, &rest[2..])),
        15 => None,
        small => Some((u16::from(small), rest)),
    }
}

/// Values of `rt="…"` in a list of links.
fn resource_types(payload: &[u8]) -> impl Iterator<Item = &str> {
    let text = core::str::from_utf8(payload).unwrap_or_default();
    let values = text.split("rt=\"").skip(1);
    values.filter_map(|rest| Some(rest.split_once('"')?.0))
}

#[cfg(test)]
mod tests {
    use super::super::testing::ask_datagram;
    use super::*;

    #[test]
    fn paths_and_resource_types_are_told() {
        let get = b"\x42\x01\x12\x34ab\xbb.well-known\x04core";
        assert_eq!(
            ask_datagram(parse, [40_000, 5683], true, get).unwrap(),
            ["sender vendor.discovery coap.path=/.well-known/core"]
        );
        let content = b"\x62\x45\x12\x34ab\xc1\x28\xff</oic/d>;rt=\"oic.wk.d\",</a>;rt=\"light\"";
        assert_eq!(
            ask_datagram(parse, [5683, 40_000], false, content).unwrap(),
            [
                "sender vendor.discovery coap.rt=oic.wk.d",
                "sender vendor.discovery coap.rt=light"
            ]
        );
    }

    #[test]
    fn other_datagrams_are_not_coap() {
        let get = b"\x42\x01\x12\x34ab\xbb.well-known\x04core";
        assert_eq!(ask_datagram(parse, [40_000, 40_001], false, get), None);
        for payload in [
            &get[..9],
            b"\x02\x01\x12\x34ab",
            b"\x49\x01\x12\x34abcdefghi",
            b"\x40\x01\0\0\xff",
        ] {
            assert_eq!(
                ask_datagram(parse, [40_000, 5683], false, payload),
                None,
                "{payload:?}"
            );
        }
    }
}
