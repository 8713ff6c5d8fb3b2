//! ASTM E1381 (LIS01) link and E1394 (LIS2-A) records: of the header record the sender's name, of
//! the others their type, one letter, which tells results from orders. Either side may have opened
//! the connection and both may send, so only what is sent tells an analyser from its information
//! system.

use super::bytes::{is_printable, may_begin};
use crate::Field;
use crate::evidence::{Outcome, Talk, TalkFacts};

const STX: u8 = 0x02;
/// Ends a frame in the middle of a record.
const ETB: u8 = 0x17;
const EOT: u8 = 0x04;
const ENQ: u8 = 0x05;
const ACK: u8 = 0x06;
const NAK: u8 = 0x15;
/// Delimiters of field, repeat, component and escape, nearly always these.
const DELIMITERS: usize = 4;
/// Place of the sender's name or identifier in the header record, counted from its type as 1.
const SENDER: usize = 5;
/// Longest header record believed.
const MAX_HEADER: usize = 1_024;

/// What one side does.
#[derive(Debug, PartialEq, Eq)]
enum Side<'a> {
    /// Another protocol.
    Strange,
    /// Only signs of the link so far.
    Link,
    /// It sends messages, with this header.
    Sends(&'a [u8]),
}

/// Parser of conversations.
pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let (client, server) = (side(talk.client), side(talk.server));
    if client == Side::Strange || server == Side::Strange {
        return Outcome::NotMine;
    }
    let mut outcome = Outcome::More;
    if let Side::Sends(header) = client {
        facts.client_bytes(Field::AstmSender, sender(header));
        contents(talk.client, header).for_each(|what| facts.client(Field::AstmSends, what));
        outcome = Outcome::Known;
    }
    if let Side::Sends(header) = server {
        facts.server_bytes(Field::AstmSender, sender(header));
        contents(talk.server, header).for_each(|what| facts.server(Field::AstmSends, what));
        outcome = Outcome::Known;
    }
    outcome
}

/// What the messages of one side hold. Orders come back with their results, so they are told only
/// of a message that ended without any.
fn contents(bytes: &[u8], header: &[u8]) -> impl Iterator<Item = &'static str> {
    let separator = header.get(1).copied().unwrap_or_default();
    let mut ordered = false;
    record_types(bytes, separator).filter_map(move |record| match record {
        b'H' => {
            ordered = false;
            None
        }
        b'O' => {
            ordered = true;
            None
        }
        b'R' => {
            ordered = false;
            Some("results")
        }
        b'Q' => Some("query"),
        b'L' if ordered => Some("orders"),
        _ => None,
    })
}

/// The letters that records begin with: behind the number of a frame, unless the frame before
/// ended within a record, or behind the end of the record before.
fn record_types(bytes: &[u8], separator: u8) -> impl Iterator<Item = u8> {
    let mut within = false;
    (0..bytes.len()).filter_map(move |at| {
        within |= bytes[at] == ETB;
        let begins = match *bytes.get(..at)? {
            [.., STX, number] if number.is_ascii_digit() => !core::mem::take(&mut within),
            [.., b'\r' | b'\n'] | [] => true,
            _ => false,
        };
        (begins && bytes.get(at + 1) == Some(&separator)).then_some(bytes[at])
    })
}

fn side(bytes: &[u8]) -> Side<'_> {
    let signs = [ENQ, ACK, NAK, EOT];
    let start = bytes.iter().position(|byte| !signs.contains(byte));
    let Some(rest) = start.map(|start| &bytes[start..]) else {
        return Side::Link;
    };
    // Some leave out the frame around the records.
    let record = match rest {
        [STX, number, record @ ..] if number.is_ascii_digit() => record,
        [STX] => return Side::Link,
        [b'H', ..] => rest,
        _ => return Side::Strange,
    };
    let end = record.iter().position(|byte| b"\r\n".contains(byte));
    let header = &record[..end.unwrap_or(record.len())];
    if !may_be_header(header) || header.len() > MAX_HEADER {
        return Side::Strange;
    }
    if end.is_some() {
        Side::Sends(header)
    } else {
        Side::Link
    }
}

/// `H`, the four delimiters, all different, and the first of them again.
fn may_be_header(header: &[u8]) -> bool {
    let delimiters = &header[header.len().min(1)..header.len().min(1 + DELIMITERS)];
    let apart = |(place, delimiter)| !delimiters[..place].contains(delimiter);
    may_begin(header, b"H")
        && delimiters.iter().all(u8::is_ascii_punctuation)
        && delimiters.iter().enumerate().all(apart)
        && (header.len() <= 1 + DELIMITERS || header[1 + DELIMITERS] == header[1])
        && header.iter().all(|byte| !byte.is_ascii_control())
}

fn sender(header: &[u8]) -> &[u8] {
    let separator = header.get(1);
    let mut fields = header.split(|byte| Some(byte) == separator);
    let sender = fields.nth(SENDER - 1).unwrap_or_default();
    if is_printable(sender) { sender } else { &[] }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{ask, prefixes_tell_nothing_else};
    use super::*;

    pub(in super::super) const RESULT: &[u8] =
        b"\x05\x021H|\\^&|||ANALYSER^1|||||LIS||P|LIS2-A|20250101120000\r\x0355\r\n\
\x022P|1||TEST0001||TEST^PATIENT\r\x03A2\r\n\x023O|1|SP7||^^^GLU|R\r\x03A2\r\n\
\x024R|1|^^^GLU|5.4|mmol/L\r\x03A2\r\n\x025L|1|N\r\x03A2\r\n\x04";
    pub(in super::super) const SIGNS: &[u8] = &[ACK, ACK, ACK];

    /// What an information system answers to [`QUERY`].
    const ORDERS: &[u8] =
        b"\x06\x06\x06\x05\x021H|\\^&|||LIS\r\x0355\r\n\x022P|1||TEST0001\r\x03A2\r\n\
\x023O|1|ACC0001||^^^GLU|R\r\x03A2\r\n\x024L|1|N\r\x03A2\r\n\x04";
    const QUERY: &[u8] =
        b"\x05\x021H|\\^&|||ANALYSER^1\r\x0355\r\n\x022Q|1|^ACC0001||ALL\r\x03A2\r\n\x04";

    #[test]
    fn the_header_names_the_sender_whoever_opened_the_connection() {
        let (outcome, told) = ask(parse, RESULT, SIGNS);
        let expected = ["client astm.sender ANALYSER^1", "client astm.sends results"];
        assert_eq!(
            (outcome, told),
            (Outcome::Known, expected.map(str::to_owned).to_vec())
        );
        let (_, told) = ask(parse, SIGNS, RESULT);
        assert_eq!(
            told,
            ["server astm.sender ANALYSER^1", "server astm.sends results"]
        );
    }

    #[test]
    fn an_information_system_that_answers_with_orders_sends_no_results() {
        let (_, told) = ask(parse, QUERY, ORDERS);
        let expected = [
            "client astm.sender ANALYSER^1",
            "client astm.sends query",
            "server astm.sender LIS",
            "server astm.sends orders",
        ];
        assert_eq!(told, expected);
    }

    /// An urgency of `R` in the middle of an order is no result, where a frame ends before it.
    #[test]
    fn a_record_that_goes_on_in_another_frame_begins_once() {
        let parts = b"\x05\x021H|\\^&|||LIS\r\x0355\r\n\x022O|1|ACC0001||^^^GLU|\x17A2\r\n\
\x023R|||\r\x03A2\r\n\x024L|1|N\r\x03A2\r\n\x04";
        let (_, told) = ask(parse, parts, SIGNS);
        assert_eq!(told, ["client astm.sender LIS", "client astm.sends orders"]);
    }

    #[test]
    fn records_without_frames_are_known_too() {
        let (_, told) = ask(parse, b"H|\\^&|||Cell-Dyn|||||||P|1\rP|1||TEST0001\r", b"");
        assert_eq!(told, ["client astm.sender Cell-Dyn"]);
    }

    #[test]
    fn a_beginning_tells_nothing_that_the_whole_does_not() {
        prefixes_tell_nothing_else(parse, RESULT, SIGNS);
        prefixes_tell_nothing_else(parse, QUERY, ORDERS);
    }

    #[test]
    fn other_conversations_are_not_astm() {
        for client in [
            &b"HELO mail.ward.test\r\n"[..],
            b"HEAD / HTTP/1.0\r\n\r\n",
            b"\x05\x021P|1||TEST0001\r",
            b"H||||||\r",
        ] {
            assert_eq!(ask(parse, client, b"").0, Outcome::NotMine, "{client:?}");
        }
    }
}
