//! Link-local multicast name resolution (RFC 4795): what a device asks its neighbours for, and
//! the name it answers to.

use super::super::super::{Datagram, FrameFacts};
use super::domain::Message;
use crate::Field;

pub(super) const PORT: u16 = 5355;

pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    if ![datagram.source_port, datagram.destination_port].contains(&PORT) {
        return false;
    }
    let message = Message::read(datagram.payload).filter(|message| message.operation() == 0);
    let Some(message) = message else { return false };
    let [question] = message.questions.as_slice() else {
        return false;
    };
    let name = question.name.text();
    match (message.is_response(), message.counts[1]) {
        _ if question.name.is_reverse() => {}
        (false, _) => facts.sender(Field::DnsQuery, &name),
        (true, 0) => {}
        // Only who bears a name answers for it.
        (true, _) => facts.sender(Field::SmbName, &name),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    const QUERY: &[u8] = b"\xab\xcd\0\0\0\x01\0\0\0\0\0\0\x04wpad\0\0\x01\0\x01";

    #[test]
    fn a_question_is_a_name_asked_for() {
        let whole = datagram(QUERY, 50_000, PORT);
        let said = hear_datagram(parse, &whole).unwrap();
        assert_eq!(said, [sender(Field::DnsQuery, "wpad")]);
        datagram_withstands(parse, &whole);
        assert_eq!(hear_datagram(parse, &datagram(QUERY, 50_000, 53)), None);
    }

    #[test]
    fn an_answer_is_the_name_of_its_sender() {
        let mut answer = QUERY.to_vec();
        answer[2] = 0x80;
        answer[7] = 1;
        let said = hear_datagram(parse, &datagram(&answer, PORT, 50_000)).unwrap();
        assert_eq!(said, [sender(Field::SmbName, "wpad")]);
    }
}
