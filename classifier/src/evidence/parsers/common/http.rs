//! HTTP/1 (RFC 9110, 9112): what client and server call themselves, what is asked for, and the
//! descriptions a device serves. Never a query, a cookie, a credential or a body.

use super::super::super::{Outcome, Talk, TalkFacts};
use super::head::{self, Head};
use super::{description, private};
use crate::Field;

/// What a client of version 2 begins with (RFC 9113, 3.4); the rest is not text.
const VERSION_2: &[u8] = b"PRI * HTTP/2.0";
/// Answers read of one conversation.
const ANSWERS_MAX: usize = 16;
/// Longest method there is: `UNSUBSCRIBE`, `RPC_OUT_DATA`.
const METHOD_MAX: usize = 16;

pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let answers = head::may_begin(talk.server, b"HTTP/1.") || talk.client.starts_with(VERSION_2);
    if !answers || !may_be_request(talk.client) {
        return Outcome::NotMine;
    }
    let Some(request) = Head::read(talk.client) else {
        return match talk.client.len() > head::LINE_MAX {
            true => Outcome::NotMine,
            false => Outcome::More,
        };
    };
    if request.start == VERSION_2 {
        return Outcome::Done;
    }
    let Some(target) = target(request.start) else {
        return Outcome::NotMine;
    };
    tell_request(target, &request, facts);
    tell_answers(talk.server, facts);
    Outcome::Known
}

/// Whether it begins with a method, as far as it is there.
fn may_be_request(client: &[u8]) -> bool {
    let method = client.iter().take_while(|byte| is_method(byte)).count();
    match client.get(method) {
        None => method <= METHOD_MAX,
        Some(b' ') => (3..=METHOD_MAX).contains(&method),
        Some(_) => false,
    }
}

fn is_method(byte: &u8) -> bool {
    byte.is_ascii_uppercase() || b"-_".contains(byte)
}

/// What is asked for by `METHOD target HTTP/1.x`.
pub(super) fn target(start: &[u8]) -> Option<&[u8]> {
    let mut words = start.splitn(2, |&byte| byte == b' ');
    let method = words.next()?;
    let rest = words.next()?;
    let end = rest.len().checked_sub(b" HTTP/1.1".len())?;
    let (target, version) = rest.split_at(end);
    (method.iter().all(is_method) && version.starts_with(b" HTTP/1.")).then_some(target)
}

fn tell_request(target: &[u8], request: &Head<'_>, facts: &mut TalkFacts<'_>) {
    facts.client(Field::HttpPath, &private::path(path_of(target)));
    if let Some(agent) = request.field("user-agent") {
        facts.client(Field::HttpUserAgent, &private::without_addresses(agent));
    }
    if let Some(host) = request.field("host") {
        facts.client(Field::HttpHost, &private::without_addresses(host));
    }
}

/// The path of a target that may name the host as well; of `host:port` and `*` there is none.
fn path_of(target: &[u8]) -> &[u8] {
    let target = head::path(target);
    let scheme = target.windows(3).position(|bytes| bytes == b"://");
    let from_path = scheme.map_or(target, |at| &target[at + 3..]);
    let slash = from_path.iter().position(|&byte| byte == b'/');
    slash.map_or(b"", |at| &from_path[at..])
}

fn tell_answers(mut server: &[u8], facts: &mut TalkFacts<'_>) {
    for _ in 0..ANSWERS_MAX {
        let answer = Head::read(server).filter(|head| head.start.starts_with(b"HTTP/1."));
        let Some(answer) = answer else { return };
        tell_answer(&answer, facts);
        let Some(body) = answer.body else { return };
        let (body, rest) = split_body(&answer, body);
        description::read(&body, &mut |field, text| facts.server(field, text));
        server = rest;
    }
}

fn tell_answer(answer: &Head<'_>, facts: &mut TalkFacts<'_>) {
    if let Some(server) = answer.field("server") {
        facts.server(Field::HttpServer, &private::without_addresses(server));
    }
    if let Some(realm) = answer.field("www-authenticate").and_then(realm) {
        facts.server(Field::HttpRealm, &private::without_addresses(realm));
    }
}

/// The realm of a challenge, in quotes (RFC 9110, 11.5).
pub(super) fn realm(challenge: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b"realm=\"";
    let at = challenge
        .windows(KEY.len())
        .position(|bytes| bytes.eq_ignore_ascii_case(KEY))?;
    challenge[at + KEY.len()..]
        .split(|&byte| byte == b'"')
        .next()
}

/// The body as far as it has come, and what follows it.
fn split_body<'a>(answer: &Head<'_>, rest: &'a [u8]) -> (std::borrow::Cow<'a, [u8]>, &'a [u8]) {
    let chunked = answer
        .field("transfer-encoding")
        .is_some_and(|coding| coding.ends_with(b"chunked"));
    if chunked {
        let (body, rest) = unchunk(rest);
        return (body.into(), rest);
    }
    let len = answer
        .field("content-length")
        .and_then(|len| core::str::from_utf8(len).ok()?.parse().ok());
    // An answer without length goes on to the end of the conversation.
    let (body, rest) = rest.split_at(len.unwrap_or(usize::MAX).min(rest.len()));
    (body.into(), rest)
}

/// Joins chunks (RFC 9112, 7.1) as far as they have come.
fn unchunk(mut rest: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = Vec::new();
    while let Some(size) = head::line(&mut rest) {
        let digits = size.split(|&byte| byte == b';').next().unwrap_or_default();
        let size = core::str::from_utf8(digits.trim_ascii())
            .ok()
            .and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let Some(size @ 1..) = size else { break };
        let (chunk, behind) = rest.split_at(size.min(rest.len()));
        body.extend_from_slice(chunk);
        rest = behind;
        let _line_end = head::line(&mut rest);
    }
    (body, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    const REQUEST: &[u8] = b"POST /scale/register?serialNumber=20F85&token=DPche HTTP/1.1\r\n\
        Host: www.example.com\r\nUser-Agent: Wget/1.13 (linux-uclibc)\r\n\
        Authorization: Basic YWRtaW46MTIzNA==\r\nCookie: secret=1\r\n\r\n";

    #[test]
    fn a_request_tells_of_its_client_without_query_and_credentials() {
        let (outcome, said) = hear_talk(parse, REQUEST, b"", 80);
        assert_eq!(outcome, Outcome::Known);
        assert_eq!(
            said,
            [
                sender(Field::HttpPath, "/scale/register"),
                sender(Field::HttpUserAgent, "Wget/1.13 (linux-uclibc)"),
                sender(Field::HttpHost, "www.example.com"),
            ]
        );
    }

    #[test]
    fn an_answer_tells_of_its_server() {
        let answer = b"HTTP/1.1 401 Unauthorized\r\nServer: lighttpd/1.4.31\r\n\
            WWW-Authenticate: Digest qop=\"auth\", realm=\"DCS-935L\", nonce=\"1\"\r\n\
            Set-Cookie: a=b\r\nContent-Length: 2\r\n\r\nno\
            HTTP/1.1 200 OK\r\nServer: second\r\n\r\n";
        let (_, said) = hear_talk(parse, REQUEST, answer, 8080);
        assert_eq!(
            said[3..],
            [
                receiver(Field::HttpServer, "lighttpd/1.4.31"),
                receiver(Field::HttpRealm, "DCS-935L"),
                receiver(Field::HttpServer, "second"),
            ]
        );
        talk_withstands(parse, REQUEST, answer, 8080);
    }

    #[test]
    fn chunks_are_joined_before_a_description_is_read() {
        let xml = "<root xmlns=\"urn:schemas-upnp-org:device-1-0\"><modelName>Insight</modelName>";
        let (first, second) = xml.split_at(60);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            {:x}\r\n{first}\r\n{:X};name=value\r\n{second}\r\n0\r\n\r\n",
            first.len(),
            second.len(),
        );
        let (_, said) = hear_talk(parse, b"GET / HTTP/1.1\r\n\r\n", answer.as_bytes(), 80);
        assert_eq!(
            said,
            [
                sender(Field::HttpPath, "/"),
                receiver(Field::UpnpDescription, "modelName=Insight"),
            ]
        );
    }

    #[test]
    fn what_only_begins_alike_is_another_protocol() {
        for (client, server) in [
            (&b"OPTIONS rtsp://10.0.0.1/ RTSP/1.0\r\n\r\n"[..], &b""[..]),
            (b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n"),
            (b"H:KEQ0817541,0cc386\r\n", b""),
            (b"\x16\x03\x01", b""),
        ] {
            assert_eq!(hear_talk(parse, client, server, 80).0, Outcome::NotMine);
        }
    }

    #[test]
    fn version_2_is_known_and_tells_nothing() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x1e\x04";
        let told = hear_talk(parse, preface, b"\0\0\x12\x04", 80);
        assert_eq!(told, (Outcome::Done, vec![]));
    }

    #[test]
    fn a_proxy_is_asked_with_the_whole_address() {
        let request = b"GET http://www.example.com/a/b?c HTTP/1.1\r\n\r\n";
        let (_, said) = hear_talk(parse, request, b"", 3128);
        assert_eq!(said, [sender(Field::HttpPath, "/a/b")]);
        let (_, said) = hear_talk(
            parse,
            b"CONNECT www.example.com:443 HTTP/1.1\r\n",
            b"",
            3128,
        );
        assert_eq!(said, []);
    }
}
