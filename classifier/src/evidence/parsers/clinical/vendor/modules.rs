//! Radio modules that many makers build in.

use super::super::bytes::may_begin;
use crate::Field;
use crate::evidence::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};

/// What a module of Hi-Flying says when it has joined a network, before its hardware address.
const JOINED: &[u8] = b"smart_config ";
/// What is sent to find one, "assist thread", of its makers' manuals.
const SEARCH: &[&[u8]] = &[b"HF-A11ASSISTHREAD", b"HLK-ASSISTHREAD"];
/// Hardware address in hexadecimal digits.
const ADDRESS_DIGITS: usize = 12;

/// Parser of datagrams: Hi-Flying.
pub(in super::super) fn parse_hi_flying(
    datagram: &Datagram<'_>,
    facts: &mut FrameFacts<'_>,
) -> bool {
    if SEARCH.contains(&datagram.payload) {
        return true;
    }
    let address = datagram
        .payload
        .strip_prefix(JOINED)
        .map(<[u8]>::trim_ascii_end);
    let known = address.is_some_and(|address| {
        address.len() == ADDRESS_DIGITS && address.iter().all(u8::is_ascii_hexdigit)
    });
    if known {
        facts.sender(Field::VendorDiscovery, "hi-flying.module=joined");
    }
    known
}

/// First bytes of question and answer, hardware address, length of what follows.
const ICOMEN_ASKS: &[u8] = &[1, 0x40];
const ICOMEN_ANSWERS: &[u8] = &[1, 0x42];
const ADDRESS: core::ops::Range<usize> = 2..8;

/// Parser of conversations: hubs on iComen's platform with its servers. What they say is
/// encrypted, but both name the hub's hardware address.
pub(in super::super) fn parse_icomen(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !may_begin(talk.client, ICOMEN_ASKS) || !may_begin(talk.server, ICOMEN_ANSWERS) {
        return Outcome::NotMine;
    }
    match (talk.client.get(ADDRESS), talk.server.get(ADDRESS)) {
        (Some(asked), Some(answered)) if asked == answered => {
            facts.client(Field::VendorDiscovery, "icomen.cloud=client");
            Outcome::Done
        }
        (Some(_), Some(_)) => Outcome::NotMine,
        _ => Outcome::More,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{ask, ask_datagram};
    use super::*;

    #[test]
    fn a_module_says_that_it_has_joined() {
        let say = |payload| ask_datagram(parse_hi_flying, [48_899, 49_999], true, payload);
        assert_eq!(
            say(b"smart_config ACCF23000001").unwrap(),
            ["sender vendor.discovery hi-flying.module=joined"]
        );
        assert_eq!(say(b"HF-A11ASSISTHREAD"), Some(vec![]));
        assert_eq!(say(b"smart_config of something"), None);
    }

    #[test]
    fn question_and_answer_must_name_the_same_hub() {
        let client = b"\x01\x40\xac\xcf\x23\0\0\x01\x10abc";
        let (outcome, told) = ask(parse_icomen, client, b"\x01\x42\xac\xcf\x23\0\0\x01\x10xyz");
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(told, ["client vendor.discovery icomen.cloud=client"]);
        let other = b"\x01\x42\xac\xcf\x23\0\0\x02\x10xyz";
        assert_eq!(ask(parse_icomen, client, other).0, Outcome::NotMine);
        assert_eq!(ask(parse_icomen, client, b"").0, Outcome::More);
    }
}
