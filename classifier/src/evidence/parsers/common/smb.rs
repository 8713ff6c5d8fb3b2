//! SMB over TCP and NetBIOS sessions ([MS-SMB], [MS-SMB2], RFC 1002): the systems of version 1,
//! that version 2 is spoken, and the computers' names. Never an account, a share or a file.

use super::super::super::{Outcome, Talk, TalkFacts};
use super::{netbios, ntlm, wire};
use crate::Field;

const SESSION_MESSAGE: u8 = 0;
const SESSION_REQUEST: u8 = 0x81;
const SESSION_RESPONSE: u8 = 0x82;
const MARK_1: &[u8] = b"\xffSMB";
const MARK_2: &[u8] = b"\xfeSMB";
const SESSION_SETUP: u8 = 0x73;
/// Header of version 1, and where its flags stand.
const HEADER_LEN: usize = 32;
const FLAGS_AT: usize = 9;
const IS_RESPONSE: u8 = 0x80;
const FLAGS_2_AT: usize = 10;
const IS_UNICODE: u16 = 0x8000;
const EXTENDED_SECURITY: u16 = 0x0800;
/// Messages looked at in one direction.
const MESSAGES_MAX: usize = 8;

pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !may_begin(talk.client) || !may_begin(talk.server) {
        return Outcome::NotMine;
    }
    let mut outcome = Outcome::More;
    let [client, server] = [talk.client, talk.server].map(messages);
    for (kind, message) in client {
        outcome = Outcome::Known;
        tell(kind, message, &mut |field, text| facts.client(field, text));
    }
    for (kind, message) in server {
        tell(kind, message, &mut |field, text| facts.server(field, text));
    }
    outcome
}

/// Whether a session of NetBIOS may begin like this, and carry SMB.
fn may_begin(bytes: &[u8]) -> bool {
    match bytes {
        [SESSION_REQUEST | SESSION_RESPONSE, 0, ..] => true,
        [SESSION_MESSAGE, 0, _, _, body @ ..] => {
            super::head::may_begin(body, MARK_1) || super::head::may_begin(body, MARK_2)
        }
        [SESSION_MESSAGE, 0, ..] => bytes.len() < 4,
        [SESSION_MESSAGE | SESSION_REQUEST | SESSION_RESPONSE] | [] => true,
        _ => false,
    }
}

/// Kind and body of the messages that have come whole.
fn messages(mut stream: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    core::iter::from_fn(move || {
        let kind = wire::u8(&mut stream)?;
        let len = usize::try_from(wire::u24(&mut stream)?).ok()?;
        Some((kind, wire::take(&mut stream, len)?))
    })
    .take(MESSAGES_MAX)
}

fn tell(kind: u8, message: &[u8], tell: &mut dyn FnMut(Field, &str)) {
    if kind == SESSION_REQUEST {
        // Who is called, then who calls; each behind its length, and a zero behind it.
        let calling = message
            .get(34..68)
            .and_then(|name| name.strip_prefix(&[32]));
        if let Some(name) = calling.and_then(netbios::station) {
            tell(Field::SmbName, &name);
        }
    } else if message.starts_with(MARK_2) {
        tell(Field::SmbSystem, "smb2");
        ntlm::tell(message, tell);
    } else if message.starts_with(MARK_1) && message.get(4) == Some(&SESSION_SETUP) {
        for system in systems(message).unwrap_or_default() {
            tell(Field::SmbSystem, &system);
        }
        ntlm::tell(message, tell);
    }
}

/// Native operating system and LAN manager of a session setup.
fn systems(message: &[u8]) -> Option<Vec<String>> {
    let response = message.get(FLAGS_AT)? & IS_RESPONSE != 0;
    let flags = wire::u16_le(&mut message.get(FLAGS_2_AT..)?)?;
    let mut rest = message.get(HEADER_LEN..)?;
    let count = usize::from(wire::u8(&mut rest)?);
    let words = wire::take(&mut rest, count * 2)?;
    let word = |number: usize| wire::u16_le(&mut words.get(number * 2..)?).map(usize::from);
    let len = wire::u16_le(&mut rest)?;
    let at = message.len() - rest.len();
    let data = wire::take(&mut rest, len.into())?;
    // What stands before the two: a security blob or passwords, then account and domain.
    let (skip, names) = match (response, count) {
        (true, 3) => (0, 0),
        (true, 4) => (word(3)?, 0),
        (false, 12) if flags & EXTENDED_SECURITY != 0 => (word(7)?, 0),
        (false, 13) => (word(7)?.checked_add(word(8)?)?, 2),
        _ => return None,
    };
    let mut strings = Strings {
        at: at + skip,
        rest: data.get(skip..)?,
        wide: flags & IS_UNICODE != 0,
    };
    strings.align();
    for _ in 0..names {
        strings.next()?;
    }
    let [system, manager] = [strings.next()?, strings.next()?];
    Some(vec![
        ntlm::text(system, strings.wide),
        ntlm::text(manager, strings.wide),
    ])
}

/// Strings that end in a zero.
struct Strings<'a> {
    /// Place in the message: wide ones begin at even places.
    at: usize,
    rest: &'a [u8],
    wide: bool,
}

impl<'a> Strings<'a> {
    fn align(&mut self) {
        if self.wide && self.at % 2 == 1 {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let width = if self.wide { 2 } else { 1 };
        let mut units = self.rest.chunks_exact(width);
        let end = units.position(|unit| unit.iter().all(|&byte| byte == 0))? * width;
        let string = &self.rest[..end];
        self.rest = &self.rest[end + width..];
        Some(string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    fn session(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, 0], &len[..], body].concat()
    }

    /// A session setup of version 1.
    fn setup(flags: u8, flags_2: u16, words: &[u16], data: &[u8]) -> Vec<u8> {
        let mut header = [MARK_1, &[SESSION_SETUP], &[0; 27]].concat();
        header[FLAGS_AT] = flags;
        header[FLAGS_2_AT..FLAGS_2_AT + 2].copy_from_slice(&flags_2.to_le_bytes());
        let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let len = u16::try_from(data.len()).unwrap().to_le_bytes();
        let count = u8::try_from(words.len() / 2).unwrap();
        session(0, &[&header[..], &[count], &words, &len, data].concat())
    }

    #[test]
    fn version_1_tells_both_systems_without_the_account() {
        let mut words = [0; 13];
        words[7] = 3;
        let client = setup(0, 0, &words, b"pwdanna\0WARD\0Unix\0Samba\0");
        let wide: Vec<u8> = "\0Windows 5.1\0Windows 2000 LAN Manager\0WARD\0"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .skip(1)
            .collect();
        let server = setup(IS_RESPONSE, IS_UNICODE, &[0xff, 0, 0], &wide);
        let (_, said) = hear_talk(parse, &client, &server, 445);
        assert_eq!(
            said,
            [
                sender(Field::SmbSystem, "Unix"),
                sender(Field::SmbSystem, "Samba"),
                receiver(Field::SmbSystem, "Windows 5.1"),
                receiver(Field::SmbSystem, "Windows 2000 LAN Manager"),
            ]
        );
        talk_withstands(parse, &client, &server, 445);
    }

    #[test]
    fn version_2_is_known_and_names_come_from_ntlm() {
        let body = |ntlm: &[u8]| [MARK_2, &[64, 0], &[0; 60], ntlm].concat();
        let client = session(0, &body(&ntlm::tests::authenticate()));
        let server = session(0, &body(&ntlm::tests::challenge()));
        let (_, said) = hear_talk(parse, &client, &server, 445);
        assert_eq!(
            said,
            [
                sender(Field::SmbSystem, "smb2"),
                sender(Field::SmbName, "WARD-PC3"),
                sender(Field::SmbSystem, "Windows 10.0.19041"),
                receiver(Field::SmbSystem, "smb2"),
                receiver(Field::SmbName, "FILES"),
            ]
        );
        talk_withstands(parse, &client, &server, 445);
    }

    #[test]
    fn a_session_request_names_who_calls() {
        let called = [
            &[32][..],
            &netbios::tests::encoded("*SMBSERVER", 0x20),
            &[0],
        ]
        .concat();
        let calling = [&[32][..], &netbios::tests::encoded("WARD-PC3", 0), &[0]].concat();
        let client = session(SESSION_REQUEST, &[called, calling].concat());
        let (_, said) = hear_talk(parse, &client, &[0x82, 0, 0, 0], 139);
        assert_eq!(said, [sender(Field::SmbName, "WARD-PC3")]);
        assert_eq!(
            hear_talk(parse, b"\0\0\0\x20\xfeSMC", b"", 445).0,
            Outcome::NotMine
        );
    }
}
