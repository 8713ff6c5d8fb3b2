//! DICOM upper layer (PS3.8): the association's request and its acceptance, and no data set.
//!
//! Of what follows, only the header of the first data value is read: it names by a number which
//! of the proposed classes is used. Toolkits propose all they know; then only that one counts.

use std::borrow::Cow;

use dicom_core::dictionary::{UidDictionary, UidDictionaryEntry};
use dicom_dictionary_std::StandardSopClassDictionary;

use super::bytes::{may_begin, split, u16_at, u32_at};
use crate::Field;
use crate::evidence::{Outcome, Talk, TalkFacts};

const ASSOCIATE_REQUEST: u8 = 1;
const ASSOCIATE_ACCEPT: u8 = 2;
const ASSOCIATE_REJECT: u8 = 3;
const DATA: u8 = 4;
const ABORT: u8 = 7;
/// Type, reserved byte, length.
const PDU_HEADER: usize = 6;
/// Version, reserved, two titles of 16 bytes, reserved.
const ASSOCIATE_FIXED: usize = 68;
const MAX_ASSOCIATE: usize = 1 << 20;
const TITLE: usize = 16;

/// Types of items (PS3.8 9.3.2, PS3.7 annex D).
const APPLICATION_CONTEXT: u8 = 0x10;
const PROPOSED: u8 = 0x20;
const DECIDED: u8 = 0x21;
const ABSTRACT_SYNTAX: u8 = 0x30;
const USER_INFORMATION: u8 = 0x50;
const IMPLEMENTATION_CLASS: u8 = 0x52;
const ROLE_SELECTION: u8 = 0x54;
const IMPLEMENTATION_VERSION: u8 = 0x55;
/// The application context of all of DICOM.
const DICOM: &[u8] = b"1.2.840.10008.3.1.1.1";
const ACCEPTED: u8 = 0;
/// A device that proposes more classes than this offers what its toolkit has.
const MAX_MEANT: usize = 24;

/// An association's request or acceptance, as far as it is there.
#[derive(Debug, Default)]
struct Associate<'a> {
    called: &'a [u8],
    calling: &'a [u8],
    is_dicom: bool,
    /// Number of the context with the class (request) or without (acceptance), and whether it is
    /// accepted.
    contexts: Vec<(u8, &'a [u8], bool)>,
    implementation: &'a [u8],
    version: &'a [u8],
    /// Classes for which the requestor is to be the provider.
    reversed: Vec<&'a [u8]>,
    whole: bool,
}

/// Parser of conversations.
pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !may_be_associate(talk.client, ASSOCIATE_REQUEST) || !may_answer(talk.server) {
        return Outcome::NotMine;
    }
    let Some(request) = read_associate(talk.client) else {
        return Outcome::More;
    };
    if !request.is_dicom {
        return if request.whole {
            Outcome::NotMine
        } else {
            Outcome::More
        };
    }
    facts.client_bytes(Field::DicomCallingAe, request.calling);
    facts.server_bytes(Field::DicomCalledAe, request.called);
    facts.client_bytes(Field::DicomImplementation, request.implementation);
    facts.client_bytes(Field::DicomVersion, request.version);
    if !request.whole {
        return Outcome::Known;
    }
    let used = used_context(talk.client);
    let accept = (talk.server.first() == Some(&ASSOCIATE_ACCEPT))
        .then(|| read_associate(talk.server))
        .flatten()
        .unwrap_or_default();
    tell_classes(&request, &accept, used, facts);
    facts.server_bytes(Field::DicomImplementation, accept.implementation);
    facts.server_bytes(Field::DicomVersion, accept.version);
    let refused = matches!(talk.server.first(), Some(&(ASSOCIATE_REJECT | ABORT)));
    if refused || (used.is_some() && accept.whole) {
        Outcome::Done
    } else {
        Outcome::Known
    }
}

/// Who uses what of whom: all classes when they are few, else the one of the first data.
fn tell_classes(
    request: &Associate<'_>,
    accept: &Associate<'_>,
    used: Option<u8>,
    facts: &mut TalkFacts<'_>,
) {
    let few = request.contexts.len() <= MAX_MEANT;
    let meant = request
        .contexts
        .iter()
        .filter(|(id, ..)| few || used == Some(*id));
    for (id, class, _) in meant {
        let name = class_name(class);
        facts.client(Field::DicomUses, &name);
        let accepted = accept
            .contexts
            .iter()
            .any(|(other, _, yes)| other == id && *yes);
        if accepted {
            facts.server(Field::DicomServes, &name);
        }
        // The acceptor has agreed that the requestor provides this one.
        if accept.reversed.contains(class) {
            facts.client(Field::DicomServes, &name);
            facts.server(Field::DicomUses, &name);
        }
    }
}

fn may_be_associate(bytes: &[u8], kind: u8) -> bool {
    let length = u32_at(bytes, 2).map(|length| length as usize);
    may_begin(bytes, &[kind, 0])
        && length.is_none_or(|length| (ASSOCIATE_FIXED..MAX_ASSOCIATE).contains(&length))
        // Version 1, one bit for each.
        && u16_at(bytes, PDU_HEADER).is_none_or(|version| version & 1 == 1)
}

fn may_answer(bytes: &[u8]) -> bool {
    match bytes.first() {
        None => true,
        Some(&ASSOCIATE_ACCEPT) => may_be_associate(bytes, ASSOCIATE_ACCEPT),
        Some(&ASSOCIATE_REJECT) => may_begin(bytes, &[ASSOCIATE_REJECT, 0, 0, 0, 0, 4]),
        Some(&ABORT) => may_begin(bytes, &[ABORT, 0, 0, 0, 0, 4]),
        Some(_) => false,
    }
}

/// `None` before the titles are there.
fn read_associate(bytes: &[u8]) -> Option<Associate<'_>> {
    let length = u32_at(bytes, 2)? as usize;
    let body = bytes.get(PDU_HEADER..)?;
    let there = &body[..body.len().min(length)];
    let (fixed, items) = split(there, ASSOCIATE_FIXED)?;
    let mut associate = Associate {
        called: fixed.get(4..4 + TITLE)?,
        calling: fixed.get(4 + TITLE..4 + 2 * TITLE)?,
        whole: there.len() == length,
        ..Associate::default()
    };
    for (kind, value) in items_of(items) {
        match kind {
            APPLICATION_CONTEXT => associate.is_dicom = trimmed(value) == DICOM,
            PROPOSED | DECIDED => associate.contexts.extend(read_context(kind, value)),
            USER_INFORMATION => read_user_information(value, &mut associate),
            _ => {}
        }
    }
    Some(associate)
}

fn read_context(kind: u8, value: &[u8]) -> Option<(u8, &[u8], bool)> {
    let ([id, _, result, _], items) = value.split_first_chunk()?;
    if kind == DECIDED {
        return Some((*id, &[], *result == ACCEPTED));
    }
    let class = items_of(items).find(|(kind, _)| *kind == ABSTRACT_SYNTAX);
    class.map(|(_, class)| (*id, trimmed(class), false))
}

fn read_user_information<'a>(value: &'a [u8], associate: &mut Associate<'a>) {
    for (kind, value) in items_of(value) {
        match kind {
            IMPLEMENTATION_CLASS => associate.implementation = trimmed(value),
            IMPLEMENTATION_VERSION => associate.version = trimmed(value),
            ROLE_SELECTION => associate.reversed.extend(provided_by_requestor(value)),
            _ => {}
        }
    }
}

/// The class of a role selection in which the requestor is a provider.
fn provided_by_requestor(value: &[u8]) -> Option<&[u8]> {
    let length = usize::from(u16_at(value, 0)?);
    let (class, roles) = split(value.get(2..)?, length)?;
    (roles.get(1) == Some(&1)).then(|| trimmed(class))
}

/// Items of type, reserved byte, length in two bytes; as many as are there whole.
fn items_of(mut items: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    core::iter::from_fn(move || {
        let ([kind, _, high, low], rest) = items.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, rest) = split(rest, length)?;
        items = rest;
        Some((*kind, value))
    })
}

/// Number of the context of the first data value behind the request.
fn used_context(bytes: &[u8]) -> Option<u8> {
    let request = PDU_HEADER.checked_add(u32_at(bytes, 2)? as usize)?;
    let data = bytes.get(request..)?;
    // Behind the PDU's header the value's length, then the number.
    (data.first() == Some(&DATA)).then(|| data.get(PDU_HEADER + 4).copied())?
}

/// Without the padding that some put behind an identifier.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, 0 | b' '));
    &bytes[..end.map_or(0, |end| end + 1)]
}

/// The name in PS3.6, or the identifier of a class of somebody's own.
fn class_name(uid: &[u8]) -> Cow<'_, str> {
    let uid = String::from_utf8_lossy(uid);
    match StandardSopClassDictionary.by_uid(&uid) {
        Some(entry) => Cow::Owned(entry.name().to_owned()),
        None => uid,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{ask, prefixes_tell_nothing_else};
    use super::*;

    /// pynetdicom 3 asks storescp of DCMTK 3.6.7 for three classes; two are not among its own.
    pub(in super::super) const REQUEST: &[u8] = include_bytes!("testdata/pynetdicom_request.bin");
    pub(in super::super) const ACCEPT: &[u8] = include_bytes!("testdata/dcmtk_accept.bin");
    /// storescu of DCMTK 3.6.7 proposes all it knows to pynetdicom 3 and stores a CT image.
    pub(in super::super) const STORE: &[u8] = include_bytes!("testdata/dcmtk_store.bin");
    pub(in super::super) const STORE_ACCEPT: &[u8] =
        include_bytes!("testdata/pynetdicom_store_accept.bin");

    #[test]
    fn an_association_names_both_ends_and_what_they_do() {
        let (outcome, told) = ask(parse, REQUEST, ACCEPT);
        assert_eq!(outcome, Outcome::Known);
        assert_eq!(
            told,
            [
                "client dicom.calling-ae CT1",
                "server dicom.called-ae PACS",
                "client dicom.implementation-uid 1.2.826.0.1.3680043.9.3811.3.0.4",
                "client dicom.implementation-version PYNETDICOM_304",
                "client dicom.uses CT Image Storage",
                "server dicom.serves CT Image Storage",
                "client dicom.uses Storage Commitment Push Model SOP Class",
                "client dicom.uses Modality Worklist Information Model - FIND",
                "server dicom.implementation-uid 1.2.276.0.7230010.3.0.3.6.7",
                "server dicom.implementation-version OFFIS_DCMTK_367",
            ]
        );
    }

    #[test]
    fn of_everything_a_toolkit_proposes_the_one_used_counts() {
        let (outcome, told) = ask(parse, STORE, STORE_ACCEPT);
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(
            told,
            [
                "client dicom.calling-ae CT1",
                "server dicom.called-ae PACS",
                "client dicom.implementation-uid 1.2.276.0.7230010.3.0.3.6.7",
                "client dicom.implementation-version OFFIS_DCMTK_367",
                "client dicom.uses CT Image Storage",
                "server dicom.serves CT Image Storage",
                "server dicom.implementation-uid 1.2.826.0.1.3680043.9.3811.3.0.4",
                "server dicom.implementation-version PYNETDICOM_304",
            ]
        );
    }

    #[test]
    fn who_agrees_to_be_called_back_is_a_provider_too() {
        let mut selection = vec![ROLE_SELECTION, 0, 0, 24, 0, 20];
        selection.extend(b"1.2.840.10008.1.20.1");
        selection.extend([1, 1]);
        // It goes into the user information, which is the last item.
        let length = u32_at(ACCEPT, 2).unwrap() + selection.len() as u32;
        let mut accept = ACCEPT[..PDU_HEADER + u32_at(ACCEPT, 2).unwrap() as usize].to_vec();
        accept[2..6].copy_from_slice(&length.to_be_bytes());
        let is_user = |item: &[u8]| item == [USER_INFORMATION, 0, 0];
        let user = accept.windows(3).rposition(is_user).unwrap();
        accept[user + 3] += selection.len() as u8;
        accept.extend(selection);
        let (_, told) = ask(parse, REQUEST, &accept);
        let name = "Storage Commitment Push Model SOP Class";
        assert!(
            told.contains(&format!("client dicom.serves {name}")),
            "{told:?}"
        );
        assert!(
            told.contains(&format!("server dicom.uses {name}")),
            "{told:?}"
        );
    }

    #[test]
    fn a_beginning_tells_nothing_that_the_whole_does_not() {
        prefixes_tell_nothing_else(parse, REQUEST, ACCEPT);
        prefixes_tell_nothing_else(parse, STORE, STORE_ACCEPT);
    }

    #[test]
    fn other_conversations_are_not_dicom() {
        for (client, server) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], &b""[..]),
            (b"", b"220 ready\r\n"),
            (&REQUEST[..100], b"HTTP/1.1 400 Bad Request\r\n"),
            (&[1, 0, 0, 0, 0, 4, 0, 1], b""),
        ] {
            assert_eq!(ask(parse, client, server).0, Outcome::NotMine);
        }
    }
}
