//! NetBIOS over UDP (RFC 1001, 1002): the names stations register, answer to and send under. Names
//! of users and of groups are left out.

use super::super::super::{Datagram, FrameFacts};
use super::domain::{self, Message, Record, Section};
use super::wire;
use crate::Field;

const NAME_PORT: u16 = 137;
const DATAGRAM_PORT: u16 = 138;
/// Letters of an encoded name.
const ENCODED_LEN: usize = 32;
/// Operations of a name message: query, registration, refresh (two numbers are in use).
const QUERY: u16 = 0;
const REGISTRATIONS: [u16; 3] = [5, 8, 9];
const TYPE_STATUS: u16 = 33;
/// In the flags of a name: it belongs to a group.
const GROUP: u16 = 0x8000;
/// Last bytes of names that a station has: workstation and server service. 3 is a user.
const STATION_SUFFIXES: [u8; 2] = [0, 0x20];
/// Datagrams to one station, a group, everybody.
const DATAGRAM_KINDS: core::ops::RangeInclusive<u8> = 0x10..=0x12;

pub(super) fn parse_names(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    if ![datagram.source_port, datagram.destination_port].contains(&NAME_PORT) {
        return false;
    }
    let Some(message) = Message::read(datagram.payload) else {
        return false;
    };
    let asked = message
        .questions
        .iter()
        .map(|question| (&question.name, question.kind));
    let had = message
        .records
        .iter()
        .map(|record| (&record.name, record.kind));
    let of_netbios = |kind: u16| [domain::TYPE_NB, TYPE_STATUS].contains(&kind);
    let Some((name, _)) = asked
        .chain(had)
        .next()
        .filter(|(_, kind)| of_netbios(*kind))
    else {
        return false;
    };
    if name
        .0
        .first()
        .is_none_or(|label| label.len() != ENCODED_LEN)
    {
        return false;
    }
    for record in &message.records {
        tell_record(&message, record, facts);
    }
    true
}

fn tell_record(message: &Message<'_>, record: &Record<'_>, facts: &mut FrameFacts<'_>) {
    let registers = !message.is_response()
        && REGISTRATIONS.contains(&message.operation())
        && record.section == Section::Additional;
    let answers =
        message.is_response() && message.operation() == QUERY && record.section == Section::Answer;
    if !registers && !answers {
        return;
    }
    if record.kind == TYPE_STATUS {
        return tell_status(record.data, facts);
    }
    let flags = wire::u16(&mut &*record.data);
    let of_station = record.kind == domain::TYPE_NB && flags.is_some_and(|f| f & GROUP == 0);
    let label = record.name.0.first().filter(|_| of_station);
    if let Some(name) = label.and_then(|label| station(label)) {
        facts.sender(Field::SmbName, &name);
    }
}

/// A list of names with their flags: all the station has.
fn tell_status(mut list: &[u8], facts: &mut FrameFacts<'_>) {
    let Some(count) = wire::u8(&mut list) else {
        return;
    };
    for _ in 0..count {
        let (Some(name), Some(flags)) = (wire::array::<16>(&mut list), wire::u16(&mut list)) else {
            return;
        };
        if let Some(name) = plain_station(&name).filter(|_| flags & GROUP == 0) {
            facts.sender(Field::SmbName, &name);
        }
    }
}

pub(super) fn parse_datagrams(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    if ![datagram.source_port, datagram.destination_port].contains(&DATAGRAM_PORT) {
        return false;
    }
    let mut rest = datagram.payload;
    let kind = wire::u8(&mut rest);
    if !kind.is_some_and(|kind| DATAGRAM_KINDS.contains(&kind)) {
        return false;
    }
    // Flags, identifier, address and port of the source, length, offset; then who sends.
    let source = wire::take(&mut rest, 13).and_then(|_| wire::behind_u8(&mut rest));
    let Some(source) = source.filter(|name| name.len() == ENCODED_LEN) else {
        return false;
    };
    if let Some(name) = station(source) {
        facts.sender(Field::SmbName, &name);
    }
    true
}

/// The name of a station, from the letters that stand for its half bytes. `None` for names of
/// users and services.
pub(super) fn station(encoded: &[u8]) -> Option<String> {
    let (pairs, []) = encoded.get(..ENCODED_LEN)?.as_chunks() else {
        return None;
    };
    let mut name = [0; 16];
    for (byte, [high, low]) in name.iter_mut().zip(pairs) {
        let half = |letter: &u8| letter.checked_sub(b'A').filter(|half| *half < 16);
        *byte = half(high)? << 4 | half(low)?;
    }
    plain_station(&name)
}

fn plain_station(name: &[u8; 16]) -> Option<String> {
    let [text @ .., suffix] = name;
    let known = STATION_SUFFIXES.contains(suffix) && !text.starts_with(b"*");
    known.then(|| String::from_utf8_lossy(text).trim_end().to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    /// A name as it stands on the wire, without its length.
    pub(in super::super) fn encoded(name: &str, suffix: u8) -> Vec<u8> {
        let padded = format!("{name:15}").into_bytes();
        let bytes = padded.into_iter().chain([suffix]);
        bytes
            .flat_map(|byte| [b'A' + (byte >> 4), b'A' + (byte & 15)])
            .collect()
    }

    fn registration(suffix: u8, flags: u8) -> Vec<u8> {
        let name = [&[32][..], &encoded("WARD-PC3", suffix), &[0]].concat();
        [
            b"\x12\x34\x29\x10\0\x01\0\0\0\0\0\x01",
            &name[..],
            b"\0\x20\0\x01\xc0\x0c\0\x20\0\x01\0\x04\x93\xe0\0\x06",
            &[flags, 0, 10, 0, 0, 5],
        ]
        .concat()
    }

    #[test]
    fn a_station_registers_its_own_name() {
        let bytes = registration(0, 0);
        let whole = datagram(&bytes, 137, 137);
        let said = hear_datagram(parse_names, &whole).unwrap();
        assert_eq!(said, [sender(Field::SmbName, "WARD-PC3")]);
        datagram_withstands(parse_names, &whole);
    }

    #[test]
    fn names_of_groups_and_users_are_left_out() {
        for bytes in [registration(0, 0x80), registration(3, 0)] {
            let said = hear_datagram(parse_names, &datagram(&bytes, 137, 137));
            assert_eq!(said, Some(vec![]));
        }
    }

    #[test]
    fn a_status_lists_the_names_of_a_station() {
        let mut bytes = b"\x12\x34\x84\0\0\0\0\x01\0\0\0\0\x20".to_vec();
        bytes.extend(encoded("*", 0));
        bytes.extend(b"\0\0\x21\0\x01\0\0\0\0\0\x37\x03");
        bytes.extend(b"WARD-PC3       \0\x04\0WARD           \0\x84\0ANNA           \x03\x04\0");
        let whole = datagram(&bytes, 137, 137);
        let said = hear_datagram(parse_names, &whole).unwrap();
        assert_eq!(said, [sender(Field::SmbName, "WARD-PC3")]);
        datagram_withstands(parse_names, &whole);
    }

    #[test]
    fn a_datagram_names_who_sends_it() {
        let mut bytes = vec![0x11, 2, 0, 1, 10, 0, 0, 5, 0, 138, 0, 68, 0, 0, 32];
        bytes.extend(encoded("WARD-PC3", 0));
        bytes.push(0);
        let whole = datagram(&bytes, 138, 138);
        let said = hear_datagram(parse_datagrams, &whole).unwrap();
        assert_eq!(said, [sender(Field::SmbName, "WARD-PC3")]);
        datagram_withstands(parse_datagrams, &whole);
    }
}
