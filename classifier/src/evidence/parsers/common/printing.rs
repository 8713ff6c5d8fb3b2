//! Printers: IPP over HTTP (RFC 8010, 8011) and the printer job language on port 9100. Never a
//! job, its name or its owner.

use super::super::super::{Outcome, Talk, TalkFacts};
use super::head::{self, Head};
use super::wire;
use crate::Field;

const IPP_TYPE: &[u8] = b"application/ipp";
const MODEL: &[u8] = b"printer-make-and-model";
/// Values below are delimiters of groups; this one ends all.
const VALUES_FROM: u8 = 0x10;
const END_OF_ATTRIBUTES: u8 = 3;
/// Text with a language before it.
const TEXT_WITH_LANGUAGE: u8 = 0x35;

/// Stands on HTTP: known by the type of what is sent.
pub(super) fn parse_ipp(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !head::may_begin(talk.client, b"POST ") || !head::may_begin(talk.server, b"HTTP/1.") {
        return Outcome::NotMine;
    }
    let is_ipp = |head: &Head<'_>| {
        let kind = head.field("content-type").unwrap_or_default();
        kind.get(..IPP_TYPE.len())
            .is_some_and(|kind| kind.eq_ignore_ascii_case(IPP_TYPE))
    };
    match Head::read(talk.client) {
        Some(request) if is_ipp(&request) => {}
        Some(Head { body: None, .. }) | None => return Outcome::More,
        Some(_) => return Outcome::NotMine,
    }
    let answer = Head::read(talk.server).filter(is_ipp);
    let Some(model) = answer.and_then(|answer| answer.body).and_then(model) else {
        return Outcome::Known;
    };
    facts.server_bytes(Field::IppModel, model);
    Outcome::Done
}

/// The value of the attribute in a response as far as it has come.
fn model(mut response: &[u8]) -> Option<&[u8]> {
    let _version_status_number = wire::take(&mut response, 8)?;
    loop {
        let kind = wire::u8(&mut response)?;
        if kind == END_OF_ATTRIBUTES {
            return None;
        }
        if kind < VALUES_FROM {
            continue;
        }
        let name = wire::behind_u16(&mut response)?;
        let mut value = wire::behind_u16(&mut response)?;
        if name == MODEL {
            if kind == TEXT_WITH_LANGUAGE {
                let _language = wire::behind_u16(&mut value)?;
                value = wire::behind_u16(&mut value)?;
            }
            return Some(value);
        }
    }
}

/// Leaves whatever language was spoken before.
const UNIVERSAL_EXIT: &[u8] = b"\x1b%-12345X";
const PJL: &[u8] = b"@PJL";
const IDENTITY: &[u8] = b"@PJL INFO ID";

pub(super) fn parse_pjl(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let client = talk.client.strip_prefix(UNIVERSAL_EXIT);
    let commands = client.unwrap_or(talk.client);
    if !head::may_begin(commands, PJL) && !head::may_begin(talk.client, UNIVERSAL_EXIT) {
        return Outcome::NotMine;
    }
    let mut server = talk.server;
    while let Some(line) = head::line(&mut server) {
        // The identity stands in the next line, in quotes.
        if line.starts_with(IDENTITY) {
            let Some(identity) = head::line(&mut server) else {
                return Outcome::Known;
            };
            let quoted = identity.trim_ascii();
            let identity = quoted
                .strip_prefix(b"\"")
                .and_then(|rest| rest.strip_suffix(b"\""));
            facts.server_bytes(Field::PjlId, identity.unwrap_or(quoted));
            return Outcome::Done;
        }
    }
    match commands.starts_with(PJL) {
        true => Outcome::Known,
        false => Outcome::More,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    const REQUEST: &[u8] = b"POST /ipp/print HTTP/1.1\r\nContent-Type: application/ipp\r\n\r\n\
        \x01\x01\0\x0b\0\0\0\x01\x01\x42\0\x14requesting-user-name\0\x04anna\x03";

    #[test]
    fn a_printer_names_make_and_model_and_nobody() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/ipp\r\n\r\n\
            \x01\x01\0\0\0\0\0\x01\x01\x47\0\x12attributes-charset\0\x05utf-8\
            \x04\x41\0\x0cprinter-info\0\x03lab\
            \x41\0\x16printer-make-and-model\0\x0cACME Laser 7\x03";
        let told = hear_talk(parse_ipp, REQUEST, answer, 631);
        assert_eq!(
            told,
            (
                Outcome::Done,
                vec![receiver(Field::IppModel, "ACME Laser 7")]
            )
        );
        talk_withstands(parse_ipp, REQUEST, answer, 631);
        let other = b"POST /soap HTTP/1.1\r\nContent-Type: text/xml\r\n\r\n<a/>";
        assert_eq!(hear_talk(parse_ipp, other, b"", 631).0, Outcome::NotMine);
    }

    #[test]
    fn a_printer_answers_who_it_is() {
        let job = b"\x1b%-12345X@PJL JOB NAME=\"Doe, Jane\"\r\n@PJL INFO ID\r\n";
        let answer = b"@PJL INFO ID\r\n\"HP LaserJet 4ML\"\r\n\x0c";
        let told = hear_talk(parse_pjl, job, answer, 9100);
        assert_eq!(
            told,
            (
                Outcome::Done,
                vec![receiver(Field::PjlId, "HP LaserJet 4ML")]
            )
        );
        talk_withstands(parse_pjl, job, answer, 9100);
        assert_eq!(
            hear_talk(parse_pjl, b"%!PS-Adobe", b"", 9100).0,
            Outcome::NotMine
        );
    }
}
