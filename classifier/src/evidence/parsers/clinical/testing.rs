//! Asks a parser directly and writes down what it says.

use core::cell::RefCell;

use crate::evidence::{Datagram, DatagramParser, FrameFacts, Outcome, Talk, TalkFacts, TalkParser};
use crate::{About, Fact};

/// What a parser says of a conversation: `client field value`.
pub(super) fn ask(parser: TalkParser, client: &[u8], server: &[u8]) -> (Outcome, Vec<String>) {
    let told = RefCell::new(Vec::new());
    let note = |who: &str, fact: Fact| {
        let line = format!("{who} {} {}", fact.field, fact.value);
        let mut told = told.borrow_mut();
        if !told.contains(&line) {
            told.push(line);
        }
    };
    let mut of_client = |fact| note("client", fact);
    let mut of_server = |fact| note("server", fact);
    let talk = Talk {
        client,
        server,
        port: 50_000,
    };
    let outcome = parser(&talk, &mut TalkFacts::new(&mut of_client, &mut of_server));
    (outcome, told.into_inner())
}

/// What a parser says of a datagram between two ports, if it knows it: `sender field value`.
pub(super) fn ask_datagram(
    parser: DatagramParser,
    ports: [u16; 2],
    to_group: bool,
    payload: &[u8],
) -> Option<Vec<String>> {
    let mut told = Vec::new();
    let mut note = |observed: crate::Observed| {
        let who = if observed.about == About::Sender {
            "sender"
        } else {
            "receiver"
        };
        told.push(format!(
            "{who} {} {}",
            observed.fact.field, observed.fact.value
        ));
    };
    let datagram = Datagram {
        payload,
        source_port: ports[0],
        destination_port: ports[1],
        to_group,
    };
    let known = parser(&datagram, &mut FrameFacts::new(&mut note));
    known.then_some(told)
}

/// However early a conversation is cut off, the parser stays with it and says no half of a value.
pub(super) fn prefixes_tell_nothing_else(parser: TalkParser, client: &[u8], server: &[u8]) {
    let whole = ask(parser, client, server).1;
    for length in 1..=client.len() {
        let (outcome, told) = ask(parser, &client[..length], b"");
        assert_ne!(outcome, Outcome::NotMine, "{length} bytes of the client");
        assert!(
            told.iter().all(|line| whole.contains(line)),
            "{length}: {told:?}"
        );
    }
    for length in 1..=server.len() {
        let (outcome, told) = ask(parser, client, &server[..length]);
        assert_ne!(outcome, Outcome::NotMine, "{length} bytes of the server");
        assert!(
            told.iter().all(|line| whole.contains(line)),
            "{length}: {told:?}"
        );
    }
}
