//! WeMo switches of Belkin ask their maker's server for the relay through which they are reached.

use super::super::bytes::may_begin;
use crate::Field;
use crate::evidence::{Outcome, Talk, TalkFacts};

const QUESTION: &[u8] = b"msggetTurnserverIp";

/// Parser of conversations.
pub(in super::super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !may_begin(talk.client, QUESTION) {
        return Outcome::NotMine;
    }
    if talk.client.len() < QUESTION.len() {
        return Outcome::More;
    }
    facts.client(Field::VendorDiscovery, "wemo.relay=client");
    Outcome::Done
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::ask;
    use super::*;

    #[test]
    fn the_question_is_known() {
        let (outcome, told) = ask(parse, b"msggetTurnserverIpgetTS-PublicIP", b"192.0.2.1");
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(told, ["client vendor.discovery wemo.relay=client"]);
        assert_eq!(ask(parse, b"msgget", b"").0, Outcome::More);
        assert_eq!(ask(parse, b"message", b"").0, Outcome::NotMine);
    }
}
