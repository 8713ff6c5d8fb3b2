//! STUN (RFC 8489) over UDP and TCP: the software that speaks it. Never a name of a user.

use super::super::super::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};
use super::wire;
use crate::Field;

const MAGIC: u32 = 0x2112_a442;
const SOFTWARE: u16 = 0x8022;
const HEADER_LEN: usize = 20;

pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let mut rest = datagram.payload;
    let Some(attributes) = message(&mut rest).filter(|_| rest.is_empty()) else {
        return false;
    };
    if let Some(software) = software(attributes) {
        facts.sender(Field::VendorDiscovery, &software);
    }
    true
}

pub(super) fn parse_talk(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let mut client = talk.client;
    let Some(attributes) = message(&mut client) else {
        return match may_begin(talk.client) {
            true => Outcome::More,
            false => Outcome::NotMine,
        };
    };
    if let Some(software) = software(attributes) {
        facts.client(Field::VendorDiscovery, &software);
    }
    let Some(attributes) = message(&mut &*talk.server) else {
        return match may_begin(talk.server) {
            true => Outcome::More,
            false => Outcome::Done,
        };
    };
    if let Some(software) = software(attributes) {
        facts.server(Field::VendorDiscovery, &software);
    }
    Outcome::Done
}

/// Whether a message may begin like this and has not come whole.
fn may_begin(bytes: &[u8]) -> bool {
    let magic = MAGIC.to_be_bytes();
    let there = bytes.get(4..bytes.len().min(8)).unwrap_or_default();
    bytes.first().is_none_or(|first| first & 0xc0 == 0) && magic.starts_with(there)
}

/// The attributes of the next message, if it has come whole.
fn message<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut ahead = *bytes;
    let kind = wire::u16(&mut ahead)?;
    let len = wire::u16(&mut ahead)?;
    if kind & 0xc000 != 0 || len % 4 != 0 || wire::u32(&mut ahead)? != MAGIC {
        return None;
    }
    let _transaction = wire::take(&mut ahead, HEADER_LEN - 8)?;
    let attributes = wire::take(&mut ahead, len.into())?;
    *bytes = ahead;
    Some(attributes)
}

fn software(mut attributes: &[u8]) -> Option<String> {
    loop {
        let kind = wire::u16(&mut attributes)?;
        let value = wire::behind_u16(&mut attributes)?;
        if kind == SOFTWARE {
            return Some(format!("stun.software={}", String::from_utf8_lossy(value)));
        }
        // Values are padded to four bytes.
        wire::take(&mut attributes, value.len().wrapping_neg() % 4)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    const ERROR: &[u8] = b"\x01\x13\0\x1c\x21\x12\xa4\x42abcdefghijkl\0\x06\0\x04anna\
        \x80\x22\0\x0eTurnServer 0.4\0\0";

    #[test]
    fn software_is_told_and_the_user_is_not() {
        let software = "stun.software=TurnServer 0.4";
        let whole = datagram(ERROR, 3478, 40_000);
        let said = hear_datagram(parse, &whole).unwrap();
        assert_eq!(said, [sender(Field::VendorDiscovery, software)]);
        datagram_withstands(parse, &whole);
        let request = b"\0\x03\0\0\x21\x12\xa4\x42abcdefghijkl";
        let told = hear_talk(parse_talk, request, ERROR, 3478);
        assert_eq!(
            told,
            (
                Outcome::Done,
                vec![receiver(Field::VendorDiscovery, software)]
            )
        );
        talk_withstands(parse_talk, request, ERROR, 3478);
        assert_eq!(
            hear_talk(parse_talk, b"\0\x03\0\0GET ", b"", 3478).0,
            Outcome::NotMine
        );
    }
}
