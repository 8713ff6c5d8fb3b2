//! Kerberos (RFC 4120) and LDAP (RFC 4511), known by their first message. Everything else in them
//! is about people.

use super::super::super::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};
use super::{ber, wire};

const KERBEROS_VERSION: u32 = 5;
/// Longest message over TCP looked at.
const KERBEROS_MAX: u32 = 1 << 20;
/// Operations of LDAP that a conversation begins with: bind, search, extended.
const LDAP_REQUESTS: [u8; 3] = [
    ber::application(0),
    ber::application(3),
    ber::application(23),
];
/// The answers: bind, search entry, search done, extended.
const LDAP_RESPONSES: [u8; 4] = [
    ber::application(1),
    ber::application(4),
    ber::application(5),
    ber::application(24),
];

pub(super) fn parse_kerberos(datagram: &Datagram<'_>, _facts: &mut FrameFacts<'_>) -> bool {
    is_kerberos(datagram.payload).unwrap_or(false)
}

/// Over TCP each message stands behind its length.
pub(super) fn parse_kerberos_talk(talk: &Talk<'_>, _facts: &mut TalkFacts<'_>) -> Outcome {
    let mut rest = talk.client;
    match wire::u32(&mut rest) {
        Some(len) if len > KERBEROS_MAX => Outcome::NotMine,
        Some(_) => match is_kerberos(rest) {
            Some(true) => Outcome::Done,
            Some(false) => Outcome::NotMine,
            None => Outcome::More,
        },
        None => Outcome::More,
    }
}

/// Whether a message of that kind begins: its number is that of the tag. `None` while too little
/// has come.
fn is_kerberos(mut message: &[u8]) -> Option<bool> {
    let kind = message.first()?.wrapping_sub(ber::application(0));
    // Requests and answers for tickets, and errors.
    if !matches!(kind, 10..=13 | 30) {
        return Some(false);
    }
    let (_, len) = match ber::header(&mut message) {
        Some(header) => header,
        None => return (message.len() > 6).then_some(false),
    };
    let Some((tag, inner)) = ber::header(&mut message) else {
        return (message.len() > 6).then_some(false);
    };
    if tag != ber::SEQUENCE || inner > len {
        return Some(false);
    }
    // In requests the first place is left empty.
    let first = u8::from(matches!(kind, 10 | 12));
    let mut number = |place: u8| {
        let mut value = ber::expect(&mut message, ber::context(place))?;
        ber::small(ber::expect(&mut value, ber::INTEGER)?)
    };
    let needed = 10;
    let right = number(first) == Some(KERBEROS_VERSION) && number(first + 1) == Some(kind.into());
    match right {
        true => Some(true),
        false => (message.len() >= needed).then_some(false),
    }
}

/// LDAP without connection, by which members of a domain look for its controllers.
pub(super) fn parse_ldap(datagram: &Datagram<'_>, _facts: &mut FrameFacts<'_>) -> bool {
    let operation = ldap_operation(datagram.payload);
    let known =
        |operation: &u8| LDAP_REQUESTS.contains(operation) || LDAP_RESPONSES.contains(operation);
    operation.as_ref().is_some_and(known)
}

pub(super) fn parse_ldap_talk(talk: &Talk<'_>, _facts: &mut TalkFacts<'_>) -> Outcome {
    match ldap_operation(talk.client) {
        Some(operation) if LDAP_REQUESTS.contains(&operation) => Outcome::Done,
        Some(_) => Outcome::NotMine,
        None if talk.client.first().is_some_and(|&tag| tag != ber::SEQUENCE) => Outcome::NotMine,
        // Sequence, message number and tag are at most 13 bytes.
        None if talk.client.len() > 13 => Outcome::NotMine,
        None => Outcome::More,
    }
}

/// The tag behind the message number, whose content need not be there.
fn ldap_operation(mut bytes: &[u8]) -> Option<u8> {
    let (ber::SEQUENCE, len) = ber::header(&mut bytes)? else {
        return None;
    };
    ber::small(ber::expect(&mut bytes, ber::INTEGER)?)?;
    let (operation, inner) = ber::header(&mut bytes)?;
    (inner < len).then_some(operation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    const AS_REQUEST: &[u8] =
        b"\x6a\x81\x90\x30\x81\x8d\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a\xa4\x81\x80\x30\x7e";
    const BIND: &[u8] = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0";

    #[test]
    fn kerberos_is_known_by_version_and_kind() {
        assert_eq!(
            hear_datagram(parse_kerberos, &datagram(AS_REQUEST, 40_000, 88)),
            Some(vec![])
        );
        datagram_withstands(parse_kerberos, &datagram(AS_REQUEST, 40_000, 88));
        let client = [&[0, 0, 0, 0x93], AS_REQUEST].concat();
        assert_eq!(
            hear_talk(parse_kerberos_talk, &client, b"", 88).0,
            Outcome::Done
        );
        for len in 0..client.len() - 5 {
            let (outcome, _) = hear_talk(parse_kerberos_talk, &client[..len], b"", 88);
            assert_ne!(outcome, Outcome::NotMine, "after {len} bytes");
        }
        let mut other = client.clone();
        other[4 + 10] = 4;
        assert_eq!(
            hear_talk(parse_kerberos_talk, &other, b"", 88).0,
            Outcome::NotMine
        );
    }

    #[test]
    fn ldap_is_known_by_its_first_operation() {
        assert_eq!(hear_talk(parse_ldap_talk, BIND, b"", 389).0, Outcome::Done);
        for len in 0..6 {
            assert_eq!(
                hear_talk(parse_ldap_talk, &BIND[..len], b"", 389).0,
                Outcome::More
            );
        }
        assert!(hear_datagram(parse_ldap, &datagram(BIND, 389, 389)).is_some());
        let snmp = b"\x30\x26\x02\x01\0\x04\x06public\xa0\x19";
        assert_eq!(
            hear_talk(parse_ldap_talk, snmp, b"", 389).0,
            Outcome::NotMine
        );
        assert_eq!(hear_datagram(parse_ldap, &datagram(snmp, 389, 389)), None);
    }
}
