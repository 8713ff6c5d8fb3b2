//! ESPA-X (version 1.00): alarms and calls of nurse call systems, XML behind two letters and its
//! length. What a call says may name a patient, so nothing of it is read.

use super::bytes::may_begin;
use crate::evidence::{Outcome, Talk, TalkFacts};

const LETTERS: &[u8] = b"EX";
const HEADER: usize = 6;
/// The upper half of the length of a message of less than 64 kibibytes.
const LENGTH_BEGINS: &[u8] = &[0, 0];
/// An element of this name is the root of every message.
const ROOT: &[u8] = b"<ESPA-X";
const DECLARATION: &[u8] = b"<?xml";
/// How far behind the header the root begins at most.
const ROOT_WITHIN: usize = 128;

/// Parser of conversations.
pub(super) fn parse(talk: &Talk<'_>, _: &mut TalkFacts<'_>) -> Outcome {
    let (client, server) = (side(talk.client), side(talk.server));
    match (client, server) {
        (Outcome::NotMine, _) | (_, Outcome::NotMine) => Outcome::NotMine,
        (Outcome::Done, _) | (_, Outcome::Done) => Outcome::Done,
        _ => Outcome::More,
    }
}

fn side(bytes: &[u8]) -> Outcome {
    let zeros = bytes.get(LETTERS.len()..).unwrap_or_default();
    let xml = bytes.get(HEADER..).unwrap_or_default();
    let may_be_xml = may_begin(xml, DECLARATION) || may_begin(xml, ROOT);
    if !may_begin(bytes, LETTERS) || !may_begin(zeros, LENGTH_BEGINS) || !may_be_xml {
        return Outcome::NotMine;
    }
    let there = &xml[..xml.len().min(ROOT_WITHIN)];
    if there.windows(ROOT.len()).any(|window| window == ROOT) {
        Outcome::Done
    } else if there.len() < ROOT_WITHIN {
        Outcome::More
    } else {
        Outcome::NotMine
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ask, prefixes_tell_nothing_else};
    use super::*;

    #[test]
    fn a_call_is_known_and_nothing_of_it_told() {
        let client =
            b"EX\0\0\0\x8a<?xml version=\"1.0\" encoding=\"UTF-8\"?><ESPA-X version=\"1.00\">\
<REQ.P-START><PR-CALL>JANE DOE needs help</PR-CALL></REQ.P-START></ESPA-X>";
        let server = b"EX\0\0\0\x20<ESPA-X><RSP.P-START/></ESPA-X>";
        assert_eq!(ask(parse, client, server), (Outcome::Done, vec![]));
        prefixes_tell_nothing_else(parse, client, server);
    }

    #[test]
    fn other_messages_are_not_espa_x() {
        for client in [
            &b"EXIT"[..],
            b"EX\0\0\0\x8a<?xml ?><html>".repeat(9).as_slice(),
            b"EX\xff\0\0\0",
        ] {
            assert_eq!(ask(parse, client, b"").0, Outcome::NotMine, "{client:?}");
        }
    }
}
