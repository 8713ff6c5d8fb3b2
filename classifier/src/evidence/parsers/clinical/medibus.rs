//! MEDIBUS of ventilators and anaesthesia machines, which comes to the network through serial
//! converters: commands and replies with a checksum, of which the identification is read.

use core::str;

use crate::Field;
use crate::evidence::{Outcome, Talk, TalkFacts};

const COMMAND: u8 = 0x1b;
const REPLY: u8 = 0x01;
const END: u8 = b'\r';
const IDENTIFY: u8 = 0x52;
/// Smallest message: start, code, checksum in two hexadecimal digits.
const MIN_MESSAGE: usize = 4;
const MAX_MESSAGE: usize = 512;
/// Longest greeting of a converter before the first message.
const MAX_GREETING: usize = 256;
/// Messages with the right checksum after which there is no doubt: one in 65,536 is right by
/// chance.
const SURE: usize = 2;

/// Parser of conversations.
pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let server = without_greeting(talk.server);
    let (Some(client), Some(server)) = (messages(talk.client), messages(server)) else {
        return Outcome::NotMine;
    };
    if client.len() + server.len() < SURE {
        return Outcome::More;
    }
    let mut say = |value: String| facts.client(Field::VendorDiscovery, &value);
    client.iter().filter_map(|m| identity(m)).for_each(&mut say);
    let mut say = |value: String| facts.server(Field::VendorDiscovery, &value);
    server.iter().filter_map(|m| identity(m)).for_each(&mut say);
    Outcome::Known
}

/// What follows the text by which a converter may greet.
fn without_greeting(bytes: &[u8]) -> &[u8] {
    let start = bytes
        .iter()
        .position(|byte| matches!(*byte, COMMAND | REPLY));
    let (greeting, messages) = bytes.split_at(start.unwrap_or(bytes.len()));
    if greeting.is_ascii() && greeting.len() <= MAX_GREETING {
        messages
    } else {
        bytes
    }
}

/// The whole messages of one side, without their checksums; `None` if one is not right.
fn messages(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(&start) = rest.first() {
        if !matches!(start, COMMAND | REPLY) {
            return None;
        }
        let Some(end) = rest.iter().position(|&byte| byte == END) else {
            return (rest.len() <= MAX_MESSAGE).then_some(found);
        };
        found.push(checked(&rest[..end])?);
        rest = &rest[end + 1..];
    }
    Some(found)
}

/// A message without its checksum, the sum of the bytes before it modulo 256.
fn checked(message: &[u8]) -> Option<&[u8]> {
    let place = message.len().checked_sub(2)?;
    let (body, check) = message.split_at(place);
    let sum = body.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
    let right = u8::from_str_radix(str::from_utf8(check).ok()?, 16).ok()? == sum;
    (right && message.len() >= MIN_MESSAGE).then_some(body)
}

/// Name and revision out of the reply to "identify": a number of four digits, the name between
/// apostrophes, the revision.
fn identity(message: &[u8]) -> Option<String> {
    let [REPLY, IDENTIFY, _, _, _, _, b'\'', rest @ ..] = message else {
        return None;
    };
    let text = str::from_utf8(rest).ok()?;
    let (name, revision) = text.split_once('\'')?;
    Some(format!(
        "medibus.device={} {}",
        name.trim(),
        revision.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ask, prefixes_tell_nothing_else};
    use super::*;

    fn message(body: &str) -> Vec<u8> {
        let sum = body.bytes().fold(0u8, u8::wrapping_add);
        format!("{body}{sum:02X}\r").into_bytes()
    }

    #[test]
    fn the_identification_names_the_machine() {
        // 1B 51 36 43 0D, "initialise communication", is in every description of the protocol.
        let client = [message("\x1bQ"), message("\x1bR")].concat();
        assert_eq!(&client[..5], b"\x1bQ6C\r");
        let server = [message("\x01Q"), message("\x01R8210'Evita XL'07.00:03.00")].concat();
        let (outcome, told) = ask(parse, &client, &server);
        assert_eq!(outcome, Outcome::Known);
        assert_eq!(
            told,
            ["server vendor.discovery medibus.device=Evita XL 07.00:03.00"]
        );
        prefixes_tell_nothing_else(parse, &client, &server);
        let greeted = [b"serial1 terminal server\r\nlogin: ", &server[..]].concat();
        assert_eq!(ask(parse, &client, &greeted).1, told);
    }

    #[test]
    fn a_wrong_checksum_is_another_protocol() {
        assert_eq!(ask(parse, b"\x1bQ6D\r", b"").0, Outcome::NotMine);
        assert_eq!(ask(parse, b"\x1b[0m\r", b"").0, Outcome::NotMine);
        assert_eq!(ask(parse, b"\x1bQ6C\r", b"login: \xff").0, Outcome::NotMine);
        assert_eq!(ask(parse, b"text\x1bQ6C\r", b"").0, Outcome::NotMine);
    }
}
