//! STUN (RFC 8489) over UDP and TCP: the software that speaks it, and the realm of a relay, which
//! tells whose device asks it. Never a name of a user.

use super::super::super::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};
use super::{private, wire};
use crate::Field;

const MAGIC: u32 = 0x2112_a442;
const REALM: u16 = 0x0014;
const SOFTWARE: u16 = 0x8022;
const HEADER_LEN: usize = 20;

pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let mut rest = datagram.payload;
    let Some(attributes) = message(&mut rest).filter(|_| rest.is_empty()) else {
        return false;
    };
    if let Some(software) = named("software", SOFTWARE, attributes) {
        facts.sender(Field::VendorDiscovery, &software);
    }
    if let Some(realm) = named("realm", REALM, attributes) {
        facts.receiver(Field::VendorDiscovery, &realm);
    }
    true
}

pub(super) fn parse_talk(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !may_begin(talk.client) || !may_begin(talk.server) {
        return Outcome::NotMine;
    }
    let [client, server] = [talk.client, talk.server].map(|mut stream| message(&mut stream));
    let Some(client) = client else {
        return Outcome::More;
    };
    if let Some(software) = named("software", SOFTWARE, client) {
        facts.client(Field::VendorDiscovery, &software);
    }
    let Some(server) = server else {
        return Outcome::Known;
    };
    if let Some(software) = named("software", SOFTWARE, server) {
        facts.server(Field::VendorDiscovery, &software);
    }
    if let Some(realm) = named("realm", REALM, server) {
        facts.client(Field::VendorDiscovery, &realm);
    }
    Outcome::Done
}

/// Whether a message may begin like this: two zero bits, whole words, the magic number.
fn may_begin(bytes: &[u8]) -> bool {
    let magic = MAGIC.to_be_bytes();
    let there = bytes.get(4..bytes.len().min(8)).unwrap_or_default();
    bytes.first().is_none_or(|first| first & 0xc0 == 0)
        && bytes.get(3).is_none_or(|low| low % 4 == 0)
        && magic.starts_with(there)
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

/// The value of an attribute, by its name for people.
fn named(name: &str, wanted: u16, mut attributes: &[u8]) -> Option<String> {
    loop {
        let kind = wire::u16(&mut attributes)?;
        let value = wire::behind_u16(&mut attributes)?;
        if kind == wanted {
            return Some(format!("stun.{name}={}", private::without_addresses(value)));
        }
        // Values are padded to four bytes.
        wire::take(&mut attributes, value.len().wrapping_neg() % 4)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    const ERROR: &[u8] = b"\x01\x13\0\x2c\x21\x12\xa4\x42abcdefghijkl\0\x06\0\x04anna\
        \0\x14\0\x0abelkin.org\0\0\x80\x22\0\x0eTurnServer 0.4\0\0";
    const SOFTWARE: &str = "stun.software=TurnServer 0.4";
    const REALM: &str = "stun.realm=belkin.org";

    #[test]
    fn software_and_realm_are_told_and_the_user_is_not() {
        let whole = datagram(ERROR, 3478, 40_000);
        assert_eq!(
            hear_datagram(parse, &whole).unwrap(),
            [
                sender(Field::VendorDiscovery, SOFTWARE),
                receiver(Field::VendorDiscovery, REALM),
            ]
        );
        datagram_withstands(parse, &whole);
    }

    #[test]
    fn over_tcp_both_sides_are_heard() {
        let request = b"\0\x03\0\0\x21\x12\xa4\x42abcdefghijkl";
        let told = vec![
            receiver(Field::VendorDiscovery, SOFTWARE),
            sender(Field::VendorDiscovery, REALM),
        ];
        assert_eq!(
            hear_talk(parse_talk, request, ERROR, 3478),
            (Outcome::Done, told)
        );
        talk_withstands(parse_talk, request, ERROR, 3478);
        let other = hear_talk(parse_talk, b"\0\x03\0\0GET ", b"", 3478);
        assert_eq!(other.0, Outcome::NotMine);
    }
}
