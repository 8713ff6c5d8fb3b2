//! What the tests of all parsers share: calling one, and what must hold whatever it is given.

use super::super::super::{
    Datagram, DatagramParser, FrameFacts, FrameParser, Outcome, Talk, TalkFacts, TalkParser,
};
use crate::{About, Field};

/// A fact with whom it is about: the client of a conversation is the sender.
pub(super) type Said = (About, Field, String);

/// About the sender or the client.
pub(super) fn sender(field: Field, value: &str) -> Said {
    (About::Sender, field, value.to_owned())
}

/// About the receiver or the server.
pub(super) fn receiver(field: Field, value: &str) -> Said {
    (About::Receiver, field, value.to_owned())
}

/// A datagram to one station.
pub(super) fn datagram(payload: &[u8], source_port: u16, destination_port: u16) -> Datagram<'_> {
    Datagram {
        payload,
        source_port,
        destination_port,
        to_group: false,
    }
}

/// What a parser of datagrams says, or `None` where the datagram is not its own.
pub(super) fn hear_datagram(parse: DatagramParser, datagram: &Datagram<'_>) -> Option<Vec<Said>> {
    hear(|facts| parse(datagram, facts))
}

/// The same for a frame.
pub(super) fn hear_frame(parse: FrameParser, ethertype: u16, frame: &[u8]) -> Option<Vec<Said>> {
    hear(|facts| parse(ethertype, frame, facts))
}

fn hear(parse: impl FnOnce(&mut FrameFacts<'_>) -> bool) -> Option<Vec<Said>> {
    let mut said = Vec::new();
    let mut sink = |observed: crate::Observed| {
        said.push((observed.about, observed.fact.field, observed.fact.value));
    };
    let mine = parse(&mut FrameFacts::new(&mut sink));
    assert!(mine || said.is_empty(), "facts of another's: {said:?}");
    mine.then_some(said)
}

/// What a parser of conversations says.
pub(super) fn hear_talk(
    parse: TalkParser,
    client: &[u8],
    server: &[u8],
    port: u16,
) -> (Outcome, Vec<Said>) {
    let said = core::cell::RefCell::new(Vec::new());
    let tell = |about| {
        let said = &said;
        move |fact: crate::Fact| said.borrow_mut().push((about, fact.field, fact.value))
    };
    let (mut to_client, mut to_server) = (tell(About::Sender), tell(About::Receiver));
    let talk = Talk {
        client,
        server,
        port,
    };
    let outcome = parse(&talk, &mut TalkFacts::new(&mut to_client, &mut to_server));
    let said = said.into_inner();
    assert!(
        outcome != Outcome::NotMine || said.is_empty(),
        "facts of another's: {said:?}"
    );
    (outcome, said)
}

/// Cut anywhere, a message says nothing it does not say as a whole; with any one byte changed,
/// nothing breaks.
pub(super) fn withstands(message: &[u8], mut hear: impl FnMut(&[u8]) -> Vec<Said>) {
    let whole = hear(message);
    for len in 0..message.len() {
        for said in hear(&message[..len]) {
            assert!(whole.contains(&said), "cut after {len} bytes: {said:?}");
        }
    }
    let mut changed = message.to_vec();
    for at in 0..message.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff, message[at] ^ 0x20] {
            changed[at] = value;
            hear(&changed);
        }
        changed[at] = message[at];
    }
}

/// [`withstands`] for a datagram.
pub(super) fn datagram_withstands(parse: DatagramParser, whole: &Datagram<'_>) {
    withstands(whole.payload, |payload| {
        hear_datagram(parse, &Datagram { payload, ..*whole }).unwrap_or_default()
    });
}

/// [`withstands`] for each direction of a conversation, the other one whole and absent.
pub(super) fn talk_withstands(parse: TalkParser, client: &[u8], server: &[u8], port: u16) {
    let (_, whole) = hear_talk(parse, client, server, port);
    let all = |said: Vec<Said>| {
        for said in said {
            assert!(whole.contains(&said), "{said:?} is not said by the whole");
        }
    };
    all(hear_talk(parse, client, b"", port).1);
    all(hear_talk(parse, b"", server, port).1);
    withstands(client, |client| hear_talk(parse, client, server, port).1);
    withstands(server, |server| hear_talk(parse, client, server, port).1);
}
