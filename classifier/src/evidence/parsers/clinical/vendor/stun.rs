//! STUN and TURN (RFC 8489): the software, and the realm that names whose relay it is. Names of
//! users are not read.

use super::super::bytes::{may_begin, split, u16_at, u32_at};
use crate::Field;
use crate::evidence::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};

const HEADER: usize = 20;
const COOKIE: u32 = 0x2112_a442;
const COOKIE_BYTES: core::ops::Range<usize> = 4..8;
const REALM: u16 = 0x0014;
const SOFTWARE: u16 = 0x8022;

/// Parser of datagrams.
pub(in super::super) fn parse_datagram(
    datagram: &Datagram<'_>,
    facts: &mut FrameFacts<'_>,
) -> bool {
    let Some(attributes) = whole(datagram.payload) else {
        return false;
    };
    if let Some(software) = find(attributes, SOFTWARE) {
        facts.sender(Field::VendorDiscovery, &named("software", software));
    }
    // The server's realm tells whose device asks it.
    if let Some(realm) = find(attributes, REALM) {
        facts.receiver(Field::VendorDiscovery, &named("realm", realm));
    }
    true
}

/// Parser of conversations.
pub(in super::super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !may_be(talk.client) || !may_be(talk.server) {
        return Outcome::NotMine;
    }
    let (client, server) = (whole(talk.client), whole(talk.server));
    if let Some(software) = client.and_then(|attributes| find(attributes, SOFTWARE)) {
        facts.client(Field::VendorDiscovery, &named("software", software));
    }
    if let Some(software) = server.and_then(|attributes| find(attributes, SOFTWARE)) {
        facts.server(Field::VendorDiscovery, &named("software", software));
    }
    if let Some(realm) = server.and_then(|attributes| find(attributes, REALM)) {
        facts.client(Field::VendorDiscovery, &named("realm", realm));
    }
    match (client, server) {
        (Some(_), Some(_)) => Outcome::Done,
        (Some(_), None) => Outcome::Known,
        _ => Outcome::More,
    }
}

/// Two zero bits, a length of whole words, and the cookie, as far as they are there.
fn may_be(bytes: &[u8]) -> bool {
    let cookie = COOKIE.to_be_bytes();
    bytes.first().is_none_or(|first| first & 0xc0 == 0)
        && u16_at(bytes, 2).is_none_or(|length| length % 4 == 0)
        && may_begin(bytes.get(COOKIE_BYTES.start..).unwrap_or_default(), &cookie)
}

/// The attributes of the first message, if all of them are there.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let attributes = bytes.get(HEADER..).filter(|_| may_be(bytes))?;
    u32_at(bytes, COOKIE_BYTES.start)?;
    Some(split(attributes, usize::from(u16_at(bytes, 2)?))?.0)
}

/// Number, length, value, padded to whole words.
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(attributes, 2)?);
        let (value, rest) = split(attributes.get(4..)?, length)?;
        if u16_at(attributes, 0) == Some(wanted) {
            return Some(value);
        }
        attributes = rest.get(length.next_multiple_of(4) - length..)?;
    }
}

fn named(name: &str, value: &[u8]) -> String {
    format!("stun.{name}={}", String::from_utf8_lossy(value))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{ask, ask_datagram, prefixes_tell_nothing_else};
    use super::*;

    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (number, value) in attributes {
            body.extend(number.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(COOKIE.to_be_bytes());
        bytes.extend([7; 12]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn software_and_realm_are_told_and_no_user() {
        let client = message(3, &[(6, b"Jane"), (SOFTWARE, b"pjnath-1.8.10")]);
        let server = message(
            0x113,
            &[(9, b"\0\0\x04\x01Unauthorized"), (REALM, b"belkin.org")],
        );
        let (outcome, told) = ask(parse, &client, &server);
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(
            told,
            [
                "client vendor.discovery stun.software=pjnath-1.8.10",
                "client vendor.discovery stun.realm=belkin.org"
            ]
        );
        prefixes_tell_nothing_else(parse, &client, &server);
        assert_eq!(
            ask_datagram(parse_datagram, [3478, 40_000], false, &server).unwrap(),
            ["receiver vendor.discovery stun.realm=belkin.org"]
        );
    }

    #[test]
    fn other_messages_are_not_stun() {
        let mut message = message(1, &[]);
        assert_eq!(ask(parse, &message, b"").0, Outcome::Known);
        message[4] = 0;
        assert_eq!(ask(parse, &message, b"").0, Outcome::NotMine);
        assert_eq!(
            ask_datagram(parse_datagram, [1, 3478], false, &message),
            None
        );
    }
}
