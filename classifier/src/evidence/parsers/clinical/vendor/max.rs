//! The cube of eQ-3's MAX! heating: what it greets with, and its answer to a search.

use super::super::bytes::{may_begin, named};
use crate::Field;
use crate::evidence::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};

const SEARCHED: &[u8] = b"eQ3Max";
/// Greeting: serial number of ten characters, radio address, firmware.
const GREETING: &[u8] = b"H:";
const SERIAL: usize = 10;
const MAX_GREETING: usize = 128;

/// Parser of datagrams.
pub(in super::super) fn parse_datagram(
    datagram: &Datagram<'_>,
    facts: &mut FrameFacts<'_>,
) -> bool {
    // The question has an asterisk where the answer has the cube's own name.
    let Some(rest) = datagram.payload.strip_prefix(SEARCHED) else {
        return false;
    };
    if let [b'A', b'p', serial @ ..] = rest
        && let Some(serial) = serial.first_chunk::<SERIAL>()
    {
        tell_serial(serial, &mut |value| {
            facts.sender(Field::VendorDiscovery, value)
        });
    }
    true
}

/// Parser of conversations: the cube speaks first.
pub(in super::super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if talk.server.is_empty() {
        return Outcome::More;
    }
    if !may_begin(talk.server, GREETING) {
        return Outcome::NotMine;
    }
    let Some(end) = talk.server.iter().position(|&byte| byte == b'\n') else {
        return if talk.server.len() > MAX_GREETING {
            Outcome::NotMine
        } else {
            Outcome::More
        };
    };
    let line = talk.server[GREETING.len()..end].trim_ascii_end();
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b',').collect();
    let [serial, radio, firmware, ..] = fields[..] else {
        return Outcome::NotMine;
    };
    let is_hex = |text: &[u8]| text.iter().all(u8::is_ascii_hexdigit);
    if serial.len() != SERIAL || radio.len() != 6 || !is_hex(radio) || !is_hex(firmware) {
        return Outcome::NotMine;
    }
    tell_serial(serial, &mut |value| {
        facts.server(Field::VendorDiscovery, value)
    });
    facts.server(Field::VendorDiscovery, &named("max.firmware", firmware));
    Outcome::Done
}

fn tell_serial(serial: &[u8], say: &mut dyn FnMut(&str)) {
    say(&named("max.serial", serial));
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{ask, ask_datagram, prefixes_tell_nothing_else};
    use super::*;

    #[test]
    fn the_greeting_tells_serial_and_firmware() {
        let greeting = b"H:KEQ0000001,0abc12,0113,00000000,477719c0,00,32,0d0c09,1404,03,0000\r\n";
        let (outcome, told) = ask(parse, b"", greeting);
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(
            told,
            [
                "server vendor.discovery max.serial=KEQ0000001",
                "server vendor.discovery max.firmware=0113"
            ]
        );
        prefixes_tell_nothing_else(parse, b"l:\r\n", greeting);
        assert_eq!(ask(parse, b"", b"H:ello\r\n").0, Outcome::NotMine);
    }

    #[test]
    fn an_answer_to_a_search_tells_the_serial() {
        let answer = b"eQ3MaxApKEQ0000001>I\x00\x0a\xbc\x12\x01\x13";
        assert_eq!(
            ask_datagram(parse_datagram, [23_272, 23_272], false, answer).unwrap(),
            ["sender vendor.discovery max.serial=KEQ0000001"]
        );
        let question = b"eQ3Max*\0**********I";
        assert_eq!(
            ask_datagram(parse_datagram, [1, 23_272], true, question),
            Some(vec![])
        );
        assert_eq!(
            ask_datagram(parse_datagram, [1, 23_272], true, b"eQ3"),
            None
        );
    }
}
