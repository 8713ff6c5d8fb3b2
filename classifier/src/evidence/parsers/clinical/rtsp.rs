//! RTSP (RFC 2326, RFC 7826): who serves pictures and who watches them.

use super::bytes::may_begin;
use super::lines::Head;
use crate::Field;
use crate::evidence::{Outcome, Talk, TalkFacts};

const METHODS: &[&[u8]] = &[
    b"OPTIONS ",
    b"DESCRIBE ",
    b"SETUP ",
    b"PLAY ",
    b"ANNOUNCE ",
    b"GET_PARAMETER ",
    b"SET_PARAMETER ",
    b"TEARDOWN ",
];
const ANSWER: &[u8] = b"RTSP/";

/// Parser of conversations.
pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !METHODS.iter().any(|method| may_begin(talk.client, method))
        || !may_begin(talk.server, ANSWER)
    {
        return Outcome::NotMine;
    }
    let Some(request) = Head::read(talk.client) else {
        return if talk.server.is_empty() {
            Outcome::More
        } else {
            Outcome::Known
        };
    };
    if !request
        .first
        .windows(ANSWER.len() + 1)
        .any(|end| end == b" RTSP/")
    {
        return Outcome::NotMine;
    }
    if let Some(agent) = request.value(&["User-Agent"]) {
        facts.client_bytes(Field::RtspUserAgent, agent);
    }
    let answer = Head::read(talk.server);
    if let Some(server) = answer.and_then(|head| head.value(&["Server"])) {
        facts.server_bytes(Field::RtspServer, server);
    }
    if request.whole && answer.is_some_and(|head| head.whole) {
        Outcome::Done
    } else {
        Outcome::Known
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{ask, prefixes_tell_nothing_else};
    use super::*;

    pub(in super::super) const REQUEST: &[u8] =
        b"OPTIONS rtsp://10.20.1.50/live RTSP/1.0\r\nCSeq: 1\r\n\
User-Agent: Lavf59.27.100\r\n\r\n";
    pub(in super::super) const ANSWER: &[u8] =
        b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: WardCam/1\r\n\r\n";

    #[test]
    fn both_ends_name_their_programs() {
        let (outcome, told) = ask(parse, REQUEST, ANSWER);
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(
            told,
            [
                "client rtsp.user-agent Lavf59.27.100",
                "server rtsp.server WardCam/1"
            ]
        );
        prefixes_tell_nothing_else(parse, REQUEST, ANSWER);
    }

    #[test]
    fn requests_of_other_protocols_are_not_rtsp() {
        for client in [
            &b"OPTIONS / HTTP/1.1\r\n\r\n"[..],
            b"OPTIONS sip:a@b SIP/2.0\r\n\r\n",
            b"GET /",
        ] {
            assert_eq!(ask(parse, client, b"").0, Outcome::NotMine);
        }
    }
}
