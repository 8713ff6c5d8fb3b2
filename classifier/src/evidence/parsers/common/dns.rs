//! DNS over UDP and TCP (RFC 1035): the names a device asks for, and that one answers.

use super::super::super::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};
use super::domain::{Message, Question};
use super::{llmnr, mdns, wire};
use crate::Field;

/// Ports of relatives that look alike on the wire and mean other things.
const RELATIVES: [u16; 2] = [mdns::PORT, llmnr::PORT];
const CLASS_INTERNET: u16 = 1;
/// Operations: a query, and a client that enters its own name (RFC 2136).
const QUERY: u16 = 0;
const UPDATE: u16 = 5;
/// Types of records end here; what is beyond asks for zones or is in no use.
const TYPE_MAX: u16 = 260;
/// A query has no answers; what may follow the question is EDNS (RFC 6891) and a signature.
const QUERY_EXTRAS_MAX: u16 = 2;

pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let ports = [datagram.source_port, datagram.destination_port];
    if ports.iter().any(|port| RELATIVES.contains(port)) {
        return false;
    }
    match Message::read(datagram.payload) {
        Some(message) if is_answer(&message) || is_update(&message) => {}
        Some(message) if is_query(&message) => {
            for name in asked(&message) {
                facts.sender(Field::DnsQuery, &name);
            }
        }
        _ => return false,
    }
    true
}

/// Over TCP each message stands behind its length.
pub(super) fn parse_talk(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let mut client = talk.client;
    let mut outcome = Outcome::More;
    while let Some(bytes) = wire::behind_u16(&mut client) {
        let Some(message) = Message::read(bytes).filter(is_query) else {
            return match outcome {
                Outcome::More => Outcome::NotMine,
                told => told,
            };
        };
        for name in asked(&message) {
            facts.client(Field::DnsQuery, &name);
        }
        outcome = Outcome::Done;
    }
    match outcome {
        Outcome::More if !may_begin(talk.client) => Outcome::NotMine,
        outcome => outcome,
    }
}

/// Whether a message that is not whole yet may become a query: so far as its header is there.
fn may_begin(bytes: &[u8]) -> bool {
    // Length, identifier, flags without response and operation, one question.
    let wanted: [(usize, u8, u8); 4] = [(0, 0xfe, 0), (4, 0xf8, 0), (6, 0xff, 0), (7, 0xff, 1)];
    wanted
        .iter()
        .all(|&(at, mask, value)| bytes.get(at).is_none_or(|byte| byte & mask == value))
}

/// The names asked for, without those that turn addresses into names.
fn asked(message: &Message<'_>) -> Vec<String> {
    let forward = |question: &&Question<'_>| !question.name.is_reverse();
    let questions = message.questions.iter().filter(forward);
    questions.map(|question| question.name.text()).collect()
}

fn is_query(message: &Message<'_>) -> bool {
    let [questions, answers, authorities, additional] = message.counts;
    let [question] = message.questions.as_slice() else {
        return false;
    };
    !message.is_response()
        && message.operation() == QUERY
        // The reserved bit and the code say nothing in a query.
        && message.flags & 0x4f == 0
        && (questions, answers, authorities) == (1, 0, 0)
        && additional <= QUERY_EXTRAS_MAX
        && is_plausible(question)
}

fn is_answer(message: &Message<'_>) -> bool {
    let [question] = message.questions.as_slice() else {
        return false;
    };
    message.is_response()
        && [QUERY, UPDATE].contains(&message.operation())
        && message.flags & 0x40 == 0
        && message.counts[0] == 1
        && is_plausible(question)
}

/// A zone to be changed stands where the question of a query does.
fn is_update(message: &Message<'_>) -> bool {
    let [zone] = message.questions.as_slice() else {
        return false;
    };
    message.flags == UPDATE << 11 && message.counts[0] == 1 && is_plausible(zone)
}

/// A name one could type, of a type there is: any payload could begin with a zero.
fn is_plausible(question: &Question<'_>) -> bool {
    let mut letters = question.name.0.iter().copied().flatten();
    question.class == CLASS_INTERNET
        && (1..=TYPE_MAX).contains(&question.kind)
        && letters.all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03api\x07example\x03com\0\0\x01\0\x01";
    const REVERSE: &[u8] =
        b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x0217\x0210\x07in-addr\x04arpa\0\0\x0c\0\x01";

    #[test]
    fn a_query_names_what_is_asked_for() {
        let whole = datagram(QUERY, 40_000, 53);
        let said = hear_datagram(parse, &whole).unwrap();
        assert_eq!(said, [sender(Field::DnsQuery, "api.example.com")]);
        datagram_withstands(parse, &whole);
    }

    #[test]
    fn an_address_turned_into_a_name_is_no_name_asked_for() {
        let said = hear_datagram(parse, &datagram(REVERSE, 40_000, 53));
        assert_eq!(said, Some(vec![]));
    }

    #[test]
    fn an_answer_tells_nothing_of_its_sender() {
        let mut bytes = QUERY.to_vec();
        bytes[2] = 0x81;
        bytes[7] = 1;
        bytes.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x09");
        let whole = datagram(&bytes, 53, 40_000);
        assert_eq!(hear_datagram(parse, &whole), Some(vec![]));
        datagram_withstands(parse, &whole);
    }

    #[test]
    fn relatives_are_left_to_their_own_parsers() {
        assert_eq!(hear_datagram(parse, &datagram(QUERY, 40_000, 5355)), None);
        assert_eq!(hear_datagram(parse, &datagram(QUERY, 5353, 5353)), None);
    }

    #[test]
    fn over_tcp_the_length_stands_before() {
        let client = [&[0, 33][..], QUERY].concat();
        let (outcome, said) = hear_talk(parse_talk, &client, b"", 53);
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(said, [sender(Field::DnsQuery, "api.example.com")]);
        talk_withstands(parse_talk, &client, b"", 53);
        let (outcome, _) = hear_talk(parse_talk, b"GET / HTTP/1.1\r\n", b"", 53);
        assert_eq!(outcome, Outcome::NotMine);
    }
}
