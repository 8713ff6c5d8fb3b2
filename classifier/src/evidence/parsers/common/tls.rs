//! TLS (RFC 5246, 8446): what a ClientHello shows of the client, and the subject of the certificate
//! a server shows in the clear, which is up to version 1.2.

use std::borrow::Cow;

use super::super::super::{Outcome, Talk, TalkFacts};
use super::hello::Hello;
use super::{certificate, wire};
use crate::Field;

const HANDSHAKE: u8 = 22;
/// Most bytes of a record beyond its header (RFC 5246, 6.2.3).
const RECORD_MAX: u16 = (1 << 14) + 2048;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;

pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if is_hello_of_ssl2(talk.client) {
        return parse_server(talk.server, facts);
    }
    if !may_begin(talk.client, CLIENT_HELLO) || !may_begin(talk.server, SERVER_HELLO) {
        return Outcome::NotMine;
    }
    let handshake = Handshake::read(talk.client);
    let Some(message) = handshake.messages().next().filter(|message| message.whole) else {
        return Outcome::More;
    };
    let Some(hello) = Hello::read(message.body) else {
        return Outcome::NotMine;
    };
    tell_client(&hello, facts);
    parse_server(talk.server, facts)
}

fn tell_client(hello: &Hello<'_>, facts: &mut TalkFacts<'_>) {
    if let Some(name) = hello.server_name() {
        facts.client_bytes(Field::TlsServerName, name);
    }
    if let Some(protocol) = hello.protocol() {
        facts.client_bytes(Field::TlsAlpn, protocol);
    }
    facts.client(Field::TlsJa3, &hello.ja3());
    facts.client(Field::TlsJa4, &hello.ja4());
}

fn parse_server(server: &[u8], facts: &mut TalkFacts<'_>) -> Outcome {
    let handshake = Handshake::read(server);
    for message in handshake
        .messages()
        .filter(|message| message.kind == CERTIFICATE)
    {
        if let Some(subject) = first_certificate(message.body).and_then(certificate::subject) {
            facts.server(Field::TlsCertificateSubject, &subject);
            return Outcome::Done;
        }
    }
    // Behind the records of a handshake comes what is encrypted: no certificate any more.
    match handshake.ended {
        true => Outcome::Done,
        false => Outcome::Known,
    }
}

/// The server's own certificate comes first, behind its length and that of the list.
fn first_certificate(mut message: &[u8]) -> Option<&[u8]> {
    let _len = wire::u24(&mut message)?;
    let len = wire::u24(&mut message)?;
    wire::take(&mut message, usize::try_from(len).ok()?)
}

/// Whether the first record is one of a handshake that begins with this message, as far as it has
/// come.
fn may_begin(bytes: &[u8], message: u8) -> bool {
    let record = |at: usize, is: &dyn Fn(u8) -> bool| bytes.get(at).is_none_or(|&byte| is(byte));
    record(0, &|kind| {
        kind == HANDSHAKE || (message == SERVER_HELLO && kind == 21)
    }) && record(1, &|major| major == 3)
        && record(2, &|minor| minor <= 4)
        && record(3, &|high| u16::from(high) << 8 <= RECORD_MAX)
        && (bytes.first() != Some(&HANDSHAKE) || record(5, &|kind| kind == message))
}

/// A ClientHello in the frame of SSL 2 that offers SSL 3 or TLS (RFC 5246, E.2).
fn is_hello_of_ssl2(client: &[u8]) -> bool {
    let [0x80..=0xff, _, CLIENT_HELLO, 3, 0..=3, rest @ ..] = client else {
        return false;
    };
    // Ciphers come as threes, no session is resumed, the challenge has 16 to 32 bytes.
    matches!(rest, [0, ciphers, 0, 0, 0, 16..=32, ..] if ciphers.is_multiple_of(3))
}

/// The bytes of handshake messages, joined from the records that carry them.
struct Handshake<'a> {
    bytes: Cow<'a, [u8]>,
    /// Whether records of another kind have followed.
    ended: bool,
}

impl<'a> Handshake<'a> {
    fn read(mut stream: &'a [u8]) -> Self {
        let mut handshake = Self {
            bytes: Cow::Borrowed(&[]),
            ended: false,
        };
        while let Some((kind, part)) = record(&mut stream) {
            if kind != HANDSHAKE {
                handshake.ended = true;
                break;
            }
            match handshake.bytes.is_empty() {
                true => handshake.bytes = Cow::Borrowed(part),
                false => handshake.bytes.to_mut().extend_from_slice(part),
            }
        }
        handshake
    }

    /// The messages; the last may have come in part.
    fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        let mut rest = &*self.bytes;
        core::iter::from_fn(move || {
            let kind = wire::u8(&mut rest)?;
            let len = usize::try_from(wire::u24(&mut rest)?).ok()?;
            let there = len.min(rest.len());
            let body = wire::take(&mut rest, there)?;
            Some(Message {
                kind,
                body,
                whole: there == len,
            })
        })
    }
}

/// A handshake message.
struct Message<'a> {
    kind: u8,
    body: &'a [u8],
    whole: bool,
}

/// Kind and content of the next record as far as it has come; `None` at the end and where none is.
fn record<'a>(stream: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let [kind, major, _minor] = wire::array(stream)?;
    let len = wire::u16(stream)?;
    if major != 3 || len > RECORD_MAX {
        return None;
    }
    let part = usize::from(len).min(stream.len());
    Some((kind, wire::take(stream, part)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;
    use crate::evidence::parsers::common::{certificate, hello};

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind], &len[1..], body].concat()
    }

    /// Handshake records of at most `most` bytes.
    fn records(messages: &[u8], most: usize) -> Vec<u8> {
        let records = messages.chunks(most).map(|part| {
            let len = u16::try_from(part.len()).unwrap().to_be_bytes();
            [&[HANDSHAKE, 3, 1], &len[..], part].concat()
        });
        records.flatten().collect()
    }

    fn chrome() -> Vec<u8> {
        message(CLIENT_HELLO, &hello::tests::chrome())
    }

    /// ServerHello and the certificate, as a server of version 1.2 sends them.
    fn server() -> Vec<u8> {
        let certificate = certificate::tests::certificate();
        let len = |len: usize| u32::try_from(len).unwrap().to_be_bytes()[1..].to_vec();
        let list = [
            len(certificate.len() + 3),
            len(certificate.len()),
            certificate,
        ]
        .concat();
        [message(SERVER_HELLO, &[3; 40]), message(CERTIFICATE, &list)].concat()
    }

    fn all() -> Vec<Said> {
        vec![
            sender(Field::TlsServerName, "tls.example.com"),
            sender(Field::TlsAlpn, "h2"),
            sender(Field::TlsJa3, "98487aa16281980e7d1120d399efb6a4"),
            sender(Field::TlsJa4, "t13d1516h2_8daaf6152771_d8a2da3f94cd"),
            receiver(Field::TlsCertificateSubject, certificate::tests::SUBJECT),
        ]
    }

    #[test]
    fn both_sides_tell_of_themselves_however_records_cut_them() {
        for most in [1, 7, 100, 16_384] {
            let (client, server) = (records(&chrome(), most), records(&server(), most));
            let told = hear_talk(parse, &client, &server, 8443);
            assert_eq!(told, (Outcome::Done, all()), "records of {most} bytes");
        }
        talk_withstands(
            parse,
            &records(&chrome(), 100),
            &records(&server(), 16_384),
            443,
        );
    }

    #[test]
    fn a_chain_that_is_cut_behind_the_first_certificate_tells_it() {
        let server = server();
        let cut = records(&server, 16_384);
        let mut longer = cut.clone();
        // The record, the message and the list claim a second certificate.
        let certificate_at = 5 + 44;
        for at in [3, certificate_at + 2, certificate_at + 5] {
            longer[at] += 8;
        }
        assert_eq!(
            hear_talk(parse, &records(&chrome(), 16_384), &longer, 443).1,
            all()
        );
    }

    #[test]
    fn what_follows_a_hello_in_version_1_3_is_encrypted() {
        let server = [
            records(&message(SERVER_HELLO, &[3; 40]), 16_384),
            vec![20, 3, 3, 0, 1, 1],
        ];
        let (outcome, said) = hear_talk(parse, &records(&chrome(), 16_384), &server.concat(), 443);
        assert_eq!((outcome, &said[..]), (Outcome::Done, &all()[..4]));
    }

    #[test]
    fn a_hello_in_the_frame_of_ssl_2_is_known_for_one() {
        let client = b"\x80\x7d\x01\x03\x01\x00\x54\x00\x00\x00\x20\x00\x00\x39";
        let (outcome, said) = hear_talk(parse, client, &records(&server(), 16_384), 443);
        assert_eq!((outcome, &said[..]), (Outcome::Done, &all()[4..]));
    }

    #[test]
    fn other_protocols_are_not_taken_for_it() {
        for client in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x16\x03\x01\x00\x10\x02",
            b"\x03\x00\x00\x13",
        ] {
            assert_eq!(hear_talk(parse, client, b"", 443).0, Outcome::NotMine);
        }
        let client = records(&chrome(), 16_384);
        assert_eq!(
            hear_talk(parse, &client, b"220 ready", 443).0,
            Outcome::NotMine
        );
    }
}
