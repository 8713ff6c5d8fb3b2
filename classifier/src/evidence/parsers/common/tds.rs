//! Tabular data stream ([MS-TDS]): the negotiation before a login to SQL Server, and the version
//! the server states in it.

use super::super::super::{Outcome, Talk, TalkFacts};
use super::wire;
use crate::Field;

const PRELOGIN: u8 = 0x12;
const RESPONSE: u8 = 0x04;
const END_OF_MESSAGE: u8 = 1;
const VERSION: u8 = 0;
const TERMINATOR: u8 = 0xff;

pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !may_begin(talk.client, PRELOGIN) || !may_begin(talk.server, RESPONSE) {
        return Outcome::NotMine;
    }
    let Some(client) = packet(talk.client) else {
        return Outcome::More;
    };
    if version(client).is_none() {
        return Outcome::NotMine;
    }
    let Some(server) = packet(talk.server) else {
        return Outcome::More;
    };
    if let Some([major, minor, high, low]) = version(server) {
        let build = u16::from_be_bytes([high, low]);
        let version = format!("tds.version={major}.{minor}.{build}");
        facts.server(Field::VendorDiscovery, &version);
    }
    Outcome::Done
}

/// Kind, status, length of two bytes, process, number, window.
fn may_begin(bytes: &[u8], kind: u8) -> bool {
    let byte = |at: usize, value: u8| bytes.get(at).is_none_or(|&byte| byte == value);
    byte(0, kind) && byte(1, END_OF_MESSAGE) && byte(7, 0)
}

/// The body of the first packet, if it has come whole.
fn packet(bytes: &[u8]) -> Option<&[u8]> {
    let len = wire::u16(&mut bytes.get(2..)?)?;
    bytes.get(8..len.into())
}

/// The version option of a list of options: kind, place, length.
fn version(body: &[u8]) -> Option<[u8; 4]> {
    let mut list = body;
    loop {
        let kind = wire::u8(&mut list)?;
        if kind == TERMINATOR {
            return None;
        }
        let at = usize::from(wire::u16(&mut list)?);
        let len = wire::u16(&mut list)?;
        if kind == VERSION {
            return if len == 6 {
                wire::array(&mut body.get(at..)?)
            } else {
                None
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    fn packet_of(kind: u8, version: [u8; 6]) -> Vec<u8> {
        let options = [
            &[VERSION, 0, 11, 0, 6, 1, 0, 17, 0, 1, TERMINATOR][..],
            &version,
            &[0],
        ]
        .concat();
        let len = u8::try_from(options.len() + 8).unwrap();
        [&[kind, END_OF_MESSAGE, 0, len, 0, 0, 0, 0][..], &options].concat()
    }

    #[test]
    fn a_server_states_its_version() {
        let client = packet_of(PRELOGIN, [0; 6]);
        let server = packet_of(RESPONSE, [15, 0, 0x07, 0xd0, 0, 0]);
        assert_eq!(
            hear_talk(parse, &client, &server, 1433),
            (
                Outcome::Done,
                vec![receiver(Field::VendorDiscovery, "tds.version=15.0.2000")]
            )
        );
        talk_withstands(parse, &client, &server, 1433);
        assert_eq!(hear_talk(parse, b"\x10\x01", b"", 1433).0, Outcome::NotMine);
    }
}
