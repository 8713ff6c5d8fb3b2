//! SIP (RFC 3261): the product of a telephone or of the server it registers with. Names of people
//! stand in other headers, which are not read.

use super::bytes::may_begin;
use super::lines::Head;
use crate::Field;
use crate::evidence::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};

const METHODS: &[&[u8]] = &[
    b"REGISTER ",
    b"INVITE ",
    b"OPTIONS ",
    b"SUBSCRIBE ",
    b"NOTIFY ",
    b"PUBLISH ",
    b"MESSAGE ",
    b"ACK ",
    b"BYE ",
    b"CANCEL ",
    b"REFER ",
    b"INFO ",
    b"PRACK ",
    b"UPDATE ",
];
const ANSWER: &[u8] = b"SIP/2.0 ";
const VERSION: &[u8] = b" SIP/2.0";
/// What the server answers itself, rather than handing on another's answer.
const OF_THE_SERVER: &[&[u8]] = &[b"REGISTER", b"OPTIONS"];

/// Parser of datagrams.
pub(super) fn parse_datagram(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let Some(head) = Head::read(datagram.payload) else {
        return false;
    };
    let known = is_request(&head) || head.first.starts_with(ANSWER);
    if let Some(agent) = own_agent(&head).filter(|_| known) {
        facts.sender_bytes(Field::SipAgent, agent);
    }
    known
}

/// Parser of conversations.
pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !METHODS.iter().any(|method| may_begin(talk.client, method))
        || !may_begin(talk.server, ANSWER)
    {
        return Outcome::NotMine;
    }
    let Some(request) = Head::read(talk.client) else {
        return Outcome::More;
    };
    if !is_request(&request) {
        return Outcome::NotMine;
    }
    let whole = |head: &Head<'_>| head.whole;
    let request = Some(request).filter(whole);
    let answer = Head::read(talk.server).filter(whole);
    if let Some(agent) = request.as_ref().and_then(own_agent) {
        facts.client_bytes(Field::SipAgent, agent);
    }
    if let Some(agent) = answer.as_ref().and_then(own_agent) {
        facts.server_bytes(Field::SipAgent, agent);
    }
    if request.is_some() && answer.is_some() {
        Outcome::Done
    } else {
        Outcome::Known
    }
}

fn is_request(head: &Head<'_>) -> bool {
    METHODS.iter().any(|method| head.first.starts_with(method)) && head.first.ends_with(VERSION)
}

/// The product, if it is the sender's own: proxies hand on the words of others. A request that
/// has passed one names more than one way back.
fn own_agent<'a>(head: &Head<'a>) -> Option<&'a [u8]> {
    if head.first.starts_with(ANSWER) {
        let method = head.value(&["CSeq"])?;
        let own = OF_THE_SERVER.iter().any(|name| method.ends_with(name));
        return head.value(&["Server", "User-Agent"]).filter(|_| own);
    }
    let mut ways = head.values(&["Via", "v"]);
    let direct = ways.next().is_some_and(|way| !way.contains(&b',')) && ways.next().is_none();
    head.value(&["User-Agent"]).filter(|_| direct)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{ask, ask_datagram, prefixes_tell_nothing_else};
    use super::*;

    pub(in super::super) const REGISTER: &[u8] = b"REGISTER sip:vbadge@ward.test SIP/2.0\r\n\
Via: SIP/2.0/UDP 10.20.1.60:5060;branch=z9hG4bK1\r\nFrom: \"Jane Doe\" <sip:jane@ward.test>\r\n\
CSeq: 1 REGISTER\r\nUser-Agent: WardBadge/1\r\nContent-Length: 0\r\n\r\n";
    pub(in super::super) const OK: &[u8] =
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.20.1.60:5060\r\n\
CSeq: 1 REGISTER\r\nServer: WardCall 2\r\n\r\n";

    #[test]
    fn a_telephone_and_its_server_name_their_products() {
        let told = ask_datagram(parse_datagram, [5060, 5060], false, REGISTER);
        assert_eq!(told.unwrap(), ["sender sip.agent WardBadge/1"]);
        let (outcome, told) = ask(parse, REGISTER, OK);
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(
            told,
            [
                "client sip.agent WardBadge/1",
                "server sip.agent WardCall 2"
            ]
        );
        prefixes_tell_nothing_else(parse, REGISTER, OK);
    }

    #[test]
    fn what_a_proxy_hands_on_is_not_its_own() {
        let text = String::from_utf8(REGISTER.to_vec()).unwrap();
        for passed in [
            text.replacen("Via:", "Via: SIP/2.0/UDP 10.20.0.22:5060\r\nVia:", 1),
            text.replacen(";branch=z9hG4bK1", ", SIP/2.0/UDP 10.20.0.22", 1),
            "SIP/2.0 200 OK\r\nVia: a\r\nCSeq: 2 INVITE\r\nServer: Phone\r\n\r\n".to_owned(),
        ] {
            let told = ask_datagram(parse_datagram, [5060, 5060], false, passed.as_bytes());
            assert_eq!(told, Some(vec![]), "{passed}");
        }
    }

    #[test]
    fn other_datagrams_are_not_sip() {
        for payload in [&b"NOTIFY * HTTP/1.1\r\n\r\n"[..], b"OPTIONS", b""] {
            assert_eq!(
                ask_datagram(parse_datagram, [5060, 5060], false, payload),
                None
            );
        }
    }
}
