//! Modbus TCP: who asks whom, and what a device answers to "read device identification" (43/14).

use super::bytes::{named, split, u16_at};
use crate::Field;
use crate::evidence::{Outcome, Talk, TalkFacts};

/// Transaction, protocol 0, length, unit.
const HEADER: usize = 7;
/// What the length counts: the unit and at least a function, at most 254 bytes.
const LENGTHS: core::ops::RangeInclusive<u16> = 2..=254;
const EXCEPTION: u8 = 0x80;
/// Functions of the standard, and the two ranges left to makers.
const FUNCTIONS: &[core::ops::RangeInclusive<u8>] = &[
    1..=8,
    11..=12,
    15..=17,
    20..=24,
    43..=43,
    65..=72,
    100..=110,
];
const ENCAPSULATED: u8 = 43;
const IDENTIFICATION: u8 = 14;
/// Objects of the identification by number.
const OBJECTS: &[(u8, &str)] = &[
    (0, "vendor"),
    (1, "product"),
    (2, "revision"),
    (4, "name"),
    (5, "model"),
    (6, "application"),
];

/// One request or answer.
#[derive(Debug, Clone, Copy)]
struct Message<'a> {
    transaction: u16,
    function: u8,
    data: &'a [u8],
}

/// Parser of conversations.
pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let (Some(requests), Some(answers)) = (messages(talk.client), messages(talk.server)) else {
        return Outcome::NotMine;
    };
    // A header of zeros and small numbers is not much: an answer must belong to a request.
    let Some(first) = answers.first() else {
        return Outcome::More;
    };
    let asked = |request: &Message<'_>| {
        request.transaction == first.transaction && request.function == first.function & !EXCEPTION
    };
    if !requests.iter().any(asked) {
        return Outcome::NotMine;
    }
    for answer in answers
        .iter()
        .filter(|answer| answer.function == ENCAPSULATED)
    {
        tell_identity(answer.data, facts);
    }
    Outcome::Known
}

/// The whole messages of one side; `None` if it does not speak this protocol.
fn messages(mut bytes: &[u8]) -> Option<Vec<Message<'_>>> {
    let mut found = Vec::new();
    loop {
        let strange = u16_at(bytes, 2).is_some_and(|protocol| protocol != 0)
            || u16_at(bytes, 4).is_some_and(|length| !LENGTHS.contains(&length))
            || bytes
                .get(HEADER)
                .is_some_and(|function| !is_function(function & !EXCEPTION));
        if strange {
            return None;
        }
        let Some((message, rest)) = first_message(bytes) else {
            return Some(found);
        };
        found.push(message);
        bytes = rest;
    }
}

fn is_function(number: u8) -> bool {
    FUNCTIONS.iter().any(|range| range.contains(&number))
}

fn first_message(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = usize::from(u16_at(bytes, 4)?);
    let (message, rest) = split(bytes, HEADER - 1 + length)?;
    let message = Message {
        transaction: u16_at(message, 0)?,
        function: *message.get(HEADER)?,
        data: message.get(HEADER + 1..)?,
    };
    Some((message, rest))
}

fn tell_identity(data: &[u8], facts: &mut TalkFacts<'_>) {
    // Code read, conformity, "more follows", next object, number of objects.
    let [IDENTIFICATION, _, _, _, _, _, objects @ ..] = data else {
        return;
    };
    let mut objects = objects;
    while let [number, length, rest @ ..] = objects {
        let Some((value, rest)) = split(rest, usize::from(*length)) else {
            return;
        };
        if let Some((_, name)) = OBJECTS.iter().find(|(known, _)| known == number) {
            facts.server(Field::ModbusIdentity, &named(name, value));
        }
        objects = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ask, prefixes_tell_nothing_else};
    use super::*;

    fn message(transaction: u16, pdu: &[u8]) -> Vec<u8> {
        let mut bytes = transaction.to_be_bytes().to_vec();
        bytes.extend([0, 0, 0, pdu.len() as u8 + 1, 1]);
        bytes.extend(pdu);
        bytes
    }

    #[test]
    fn the_identification_is_told() {
        let client = [message(1, &[3, 0, 0, 0, 1]), message(2, &[43, 14, 1, 0])].concat();
        let mut identity = vec![43, 14, 1, 1, 0, 0, 3];
        for (number, text) in [(0u8, "WardUPS"), (1, "U-12"), (2, "V1.4")] {
            identity.extend([number, text.len() as u8]);
            identity.extend(text.as_bytes());
        }
        let server = [message(1, &[3, 2, 0, 7]), message(2, &identity)].concat();
        let (outcome, told) = ask(parse, &client, &server);
        assert_eq!(outcome, Outcome::Known);
        assert_eq!(
            told,
            [
                "server modbus.identity vendor=WardUPS",
                "server modbus.identity product=U-12",
                "server modbus.identity revision=V1.4",
            ]
        );
        prefixes_tell_nothing_else(parse, &client, &server);
    }

    #[test]
    fn an_answer_to_nothing_is_another_protocol() {
        let request = message(1, &[3, 0, 0, 0, 1]);
        assert_eq!(ask(parse, &request, b"").0, Outcome::More);
        assert_eq!(
            ask(parse, &request, &message(2, &[3, 2, 0, 7])).0,
            Outcome::NotMine
        );
        assert_eq!(
            ask(parse, &request, &message(1, &[0x83, 2])).0,
            Outcome::Known
        );
        // ESPA-X has the same places for transaction, zeros and length.
        let (client, server) = (b"EX\0\0\0\xe9<?xml", b"EX\0\0\0\x59<?xml");
        assert_eq!(ask(parse, client, server).0, Outcome::NotMine);
        assert_eq!(
            ask(parse, b"\x00\x01\x00\x02\x00\x06", b"").0,
            Outcome::NotMine
        );
    }
}
