//! HL7 version 2 over MLLP: of each message the header segment (MSH), of observations (IHE PCD-01)
//! the code of the device they come from as well, and nothing else.

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

const OBSERVATIONS: &[u8] = b"ORU^";
const OBSERVATION: &[u8] = b"OBX";
/// OBX-3, with its code in words as the second component.
const IDENTIFIER: usize = 3;
/// Begins the codes of devices in ISO/IEEE 11073-10101; in the first row of a message stands the
/// device, in those after it its parts.
const DEVICE: &[u8] = b"MDC_DEV_";
/// Longest code believed.
const MAX_CODE: usize = 64;
/// Segments that are looked through for it: header, patient, visit and order come first.
const DEVICE_WITHIN: usize = 12;

/// Parser of conversations.
pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let (Some(client), Some(server)) = (messages(talk.client), messages(talk.server)) else {
        return Outcome::NotMine;
    };
    if client.is_empty() && server.is_empty() {
        return Outcome::More;
    }
    for message in &client {
        tell(message, &mut |field, value| {
            facts.client_bytes(field, value)
        });
        facts.server_bytes(Field::Hl7Receives, field(message.header, MESSAGE_TYPE));
    }
    for message in &server {
        tell(message, &mut |field, value| {
            facts.server_bytes(field, value)
        });
        facts.client_bytes(Field::Hl7Receives, field(message.header, MESSAGE_TYPE));
    }
    // A dock may report for one more pump in the same connection.
    Outcome::Known
}

/// A message whose header is whole.
#[derive(Debug)]
struct Message<'a> {
    header: &'a [u8],
    /// What follows the header, as far as it is there.
    rest: &'a [u8],
}

fn tell(message: &Message<'_>, say: &mut dyn FnMut(Field, &[u8])) {
    let Message { header, rest } = message;
    for (name, number) in [
        (Field::Hl7Application, SENDING_APPLICATION),
        (Field::Hl7Facility, SENDING_FACILITY),
        (Field::Hl7Sends, MESSAGE_TYPE),
        (Field::Hl7Version, VERSION),
        (Field::Hl7Profile, PROFILE),
    ] {
        say(name, field(header, number));
    }
    if field(header, MESSAGE_TYPE).starts_with(OBSERVATIONS) {
        say(Field::Hl7Device, device(header, rest).unwrap_or_default());
    }
}

/// The code of the device that observations come from. Only such a code can be told: of the
/// identifiers and values of patients nothing is made of its letters and begins so.
fn device<'a>(header: &[u8], rest: &'a [u8]) -> Option<&'a [u8]> {
    let &[separator, component, ..] = header.get(HEADER.len()..)? else {
        return None;
    };
    // The last one may not be whole.
    let ends = |byte: &u8| byte.is_ascii_control();
    let whole = rest.iter().rposition(ends)?;
    let segments = rest[..whole].split(ends).filter(|s| !s.is_empty());
    let mut codes = segments.take(DEVICE_WITHIN).filter_map(|segment| {
        let mut fields = segment.split(|&byte| byte == separator);
        let identifier = (fields.next()? == OBSERVATION).then(|| fields.nth(IDENTIFIER - 1))?;
        identifier?.split(|&byte| byte == component).nth(1)
    });
    codes.find(|code| {
        let letter =
            |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        code.starts_with(DEVICE) && code.len() <= MAX_CODE && code.iter().all(letter)
    })
}

/// The messages of one side, as far as their headers are whole; `None` if it does not speak this
/// protocol.
fn messages(mut bytes: &[u8]) -> Option<Vec<Message<'_>>> {
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
        let last = message.iter().position(|&byte| byte == END);
        // The end itself belongs to it: it ends the last segment where nothing else does.
        let rest = &message[end..last.map_or(message.len(), |last| last + 1)];
        found.push(Message { header, rest });
        match last {
            Some(last) => bytes = &message[last + 1..],
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
    pub(in super::super) const ORU: &[u8] =
        b"\x0bMSH|^~\\&|PUMP1^0003B10000000001^EUI-64|WARD|ENGINE|HOSPITAL|20250101||\
ORU^R01^ORU_R01|M1|P|2.6|||AL|NE|||||IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO\r\
PID|||TEST0001^^^WARD^MR||TEST^PATIENT\rOBR|1|M1||69985^MDC_DEV_PUMP_INFUS_MDS^MDC\r\
OBX|1||69985^MDC_DEV_PUMP_INFUS_MDS^MDC|1.0.0.0|||||||X\r\
OBX|2||69986^MDC_DEV_PUMP_INFUS_VMD^MDC|1.1.0.0|||||||X\r\
OBX|3|NM|157784^MDC_FLOW_FLUID_PUMP^MDC|1.1.1.1|12.5\r\x1c\r";
    pub(in super::super) const ACK: &[u8] =
        b"\x0bMSH|^~\\&|ENGINE|HOSPITAL|PUMP1|WARD|20250101||ACK^R01|A1|P|2.6\r\
MSA|AA|M1\r\x1c\r";

    #[test]
    fn the_header_of_both_sides_and_the_device_are_told_and_no_more() {
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
                "client hl7.device-type MDC_DEV_PUMP_INFUS_MDS",
                "server hl7.receives ORU^R01^ORU_R01",
                "server hl7.sending-application ENGINE",
                "server hl7.sending-facility HOSPITAL",
                "server hl7.sends ACK^R01",
                "server hl7.version 2.6",
                "client hl7.receives ACK^R01",
            ]
        );
    }

    /// A value that is one, a name where the code should be, and a code too long to be one.
    #[test]
    fn of_observations_nothing_but_the_code_of_a_device_is_told() {
        let long = format!("MDC_DEV_{}", "X".repeat(MAX_CODE));
        let hidden = [
            "OBX|1|ST|68480^MDC_ATTR_ALERT_SOURCE^MDC|1.0.0.0.2|^MDC_DEV_PUMP_INFUS_MDS|",
            "OBX|1||1^MDC_DEV_DOE JANE^MDC|1.0.0.0|",
            "OBX|1||1^Mdc_Dev_Doe^MDC|1.0.0.0|",
            "NTE|1||1^MDC_DEV_PUMP_INFUS_MDS^MDC|",
            &format!("OBX|1||1^{long}^MDC|1.0.0.0|"),
        ];
        for segment in hidden {
            let message =
                format!("\x0bMSH|^~\\&|A|B|C|D|||ORU^R01|1|P|2.6\rPID|1\r{segment}\r\x1c\r");
            let (_, told) = ask(parse, message.as_bytes(), b"");
            let device = told.iter().find(|line| line.contains("device-type"));
            assert_eq!(device, None, "{segment}");
        }
        // Nor of messages that are no observations.
        let order = String::from_utf8(ORU.to_vec())
            .unwrap()
            .replace("ORU^R01^ORU_R01", "ORM^O01");
        let (_, told) = ask(parse, order.as_bytes(), b"");
        assert!(
            !told.iter().any(|line| line.contains("device-type")),
            "{told:?}"
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
            assert_eq!(told.len(), 7, "{told:?}");
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
