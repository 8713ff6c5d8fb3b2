//! HL7 version 2 over MLLP: of each message the header segment (MSH) and nothing else.

use super::bytes::may_begin;
use crate::Field;
use crate::evidence::{Outcome, Talk, TalkFacts};

const START: u8 = 0x0b;
const END: u8 = 0x1c;
/// A carriage return by the standard, a line feed by mistake.
const SEGMENT_ENDS: [u8; 2] = *b"\r\n";
const HEADER: &[u8] = b"MSH";
/// Longest header believed.
const MAX_HEADER: usize = 2_048;

/// Numbers of fields as the standard counts them: MSH-1 is the separator itself.
const SENDING_APPLICATION: usize = 3;
const SENDING_FACILITY: usize = 4;
const MESSAGE_TYPE: usize = 9;
const VERSION: usize = 12;
const PROFILE: usize = 21;

/// Parser of conversations.
pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let (Some(client), Some(server)) = (headers(talk.client), headers(talk.server)) else {
        return Outcome::NotMine;
    };
    if client.is_empty() && server.is_empty() {
        return Outcome::More;
    }
    for header in &client {
        tell(header, &mut |field, value| facts.client_bytes(field, value));
        facts.server_bytes(Field::Hl7Receives, field(header, MESSAGE_TYPE));
    }
    for header in &server {
        tell(header, &mut |field, value| facts.server_bytes(field, value));
        facts.client_bytes(Field::Hl7Receives, field(header, MESSAGE_TYPE));
    }
    // A dock may report for one more pump in the same connection.
    Outcome::Known
}

fn tell(header: &[u8], say: &mut dyn FnMut(Field, &[u8])) {
    for (name, number) in [
        (Field::Hl7Application, SENDING_APPLICATION),
        (Field::Hl7Facility, SENDING_FACILITY),
        (Field::Hl7Sends, MESSAGE_TYPE),
        (Field::Hl7Version, VERSION),
        (Field::Hl7Profile, PROFILE),
    ] {
        say(name, field(header, number));
    }
}

/// The whole headers of one side's messages; `None` if it does not speak this protocol.
fn headers(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    while let Some(message) = begin(bytes)? {
        // Whatever control character ends it: nothing of the next segment may be taken for it.
        let Some(end) = message.iter().position(u8::is_ascii_control) else {
            return (message.len() <= MAX_HEADER).then_some(found);
        };
        let header = &message[..end];
        if !SEGMENT_ENDS.contains(&message[end]) || !is_header(header) {
            return None;
        }
        found.push(header);
        match message.iter().position(|&byte| byte == END) {
            Some(end) => bytes = &message[end + 1..],
            None => break,
        }
    }
    Some(found)
}

/// What follows the start of a message; `Some(None)` while too little is there, `None` if it is
/// something else.
fn begin(bytes: &[u8]) -> Option<Option<&[u8]>> {
    // Line ends stand between messages, and some leave out the framing.
    let ends = bytes.iter().take_while(|byte| SEGMENT_ENDS.contains(byte));
    let bytes = &bytes[ends.count()..];
    let message = bytes.strip_prefix(&[START]).unwrap_or(bytes);
    if !may_begin(message, HEADER) {
        return None;
    }
    Some((message.len() > HEADER.len()).then_some(message))
}

/// Separator and the four or five encoding characters, then the separator again.
fn is_header(header: &[u8]) -> bool {
    let Some((&separator, rest)) = header[HEADER.len()..].split_first() else {
        return false;
    };
    let encoding = rest.split(|&byte| byte == separator).next();
    let encoding = encoding.unwrap_or_default();
    separator.is_ascii_punctuation()
        && (4..=5).contains(&encoding.len())
        && encoding.iter().all(u8::is_ascii_punctuation)
        && !field(header, MESSAGE_TYPE).is_empty()
}

/// A field by its number from 2 on; empty if it is not there.
fn field(header: &[u8], number: usize) -> &[u8] {
    let Some((separator, rest)) = header[HEADER.len()..].split_first() else {
        return &[];
    };
    let mut fields = rest.split(|byte| byte == separator);
    fields.nth(number - 2).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{ask, prefixes_tell_nothing_else};
    use super::*;

    /// A pump's observation (IHE PCD-01) and the engine's acknowledgement.
    pub(in super::super) const ORU: &[u8] = b"\x0bMSH|^~\\&|PUMP1^0003B10000000001^EUI-64|WARD|ENGINE|HOSPITAL|20250101||\
ORU^R01^ORU_R01|M1|P|2.6|||AL|NE|||||IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO\r\
PID|||TEST0001^^^WARD^MR||TEST^PATIENT\rOBX|1|NM|157784^MDC_FLOW_FLUID_PUMP^MDC|1.1.1.1|12.5\r\x1c\r";
    pub(in super::super) const ACK: &[u8] =
        b"\x0bMSH|^~\\&|ENGINE|HOSPITAL|PUMP1|WARD|20250101||ACK^R01|A1|P|2.6\r\
MSA|AA|M1\r\x1c\r";

    #[test]
    fn the_header_of_both_sides_is_told_and_no_more() {
        let (outcome, told) = ask(parse, ORU, ACK);
        assert_eq!(outcome, Outcome::Known);
        assert_eq!(
            told,
            [
                "client hl7.sending-application PUMP1^0003B10000000001^EUI-64",
                "client hl7.sending-facility WARD",
                "client hl7.sends ORU^R01^ORU_R01",
                "client hl7.version 2.6",
                "client hl7.profile IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO",
                "server hl7.receives ORU^R01^ORU_R01",
                "server hl7.sending-application ENGINE",
                "server hl7.sending-facility HOSPITAL",
                "server hl7.sends ACK^R01",
                "server hl7.version 2.6",
                "client hl7.receives ACK^R01",
            ]
        );
    }

    #[test]
    fn every_sender_in_one_connection_is_told() {
        let two = String::from_utf8([ORU, ORU].concat()).unwrap();
        let two = two.replacen("PUMP1", "PUMP2", 1);
        let (_, told) = ask(parse, two.as_bytes(), b"");
        let senders = told
            .iter()
            .filter(|line| line.contains("sending-application"));
        assert_eq!(senders.count(), 2);
    }

    #[test]
    fn a_message_without_framing_is_known_too() {
        let (outcome, told) = ask(parse, &ORU[1..], b"");
        assert_eq!(outcome, Outcome::Known);
        assert!(told.contains(&"client hl7.sends ORU^R01^ORU_R01".to_owned()));
    }

    #[test]
    fn the_header_ends_where_the_next_segment_begins() {
        for end in ["\n", "\r\n"] {
            let message = String::from_utf8(ORU.to_vec()).unwrap().replace('\r', end);
            let (_, told) = ask(parse, message.as_bytes(), b"");
            assert_eq!(told.len(), 6, "{told:?}");
            assert!(!told.iter().any(|line| line.contains("TEST")), "{told:?}");
        }
        assert_eq!(
            ask(parse, b"\x0bMSH|^~\\&|A|B|||||ADT^A01\x0bPID|", b"").0,
            Outcome::NotMine
        );
    }

    #[test]
    fn a_beginning_tells_nothing_that_the_whole_does_not() {
        prefixes_tell_nothing_else(parse, ORU, ACK);
    }

    #[test]
    fn other_conversations_are_not_hl7() {
        for client in [
            &b"MSG hello\r\n"[..],
            b"\x0bPID|1\r",
            b"MSH|secret|\r",
            b"MSHabcdefgh\r",
        ] {
            assert_eq!(ask(parse, client, b"").0, Outcome::NotMine, "{client:?}");
        }
        assert_eq!(ask(parse, ORU, b"HTTP/1.1 400\r\n").0, Outcome::NotMine);
    }
}
