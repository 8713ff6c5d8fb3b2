//! SNMP versions 1 and 2c (RFC 1157, 3416): what an agent answers about its system. Never the
//! community. Version 3 is recognised only.

use super::super::super::{Datagram, FrameFacts};
use super::ber;
use crate::Field;

const SYSTEM_DESCRIPTION: &[u8] = &[0x2b, 6, 1, 2, 1, 1, 1, 0];
const SYSTEM_OBJECT_ID: &[u8] = &[0x2b, 6, 1, 2, 1, 1, 2, 0];
const RESPONSE: u8 = ber::context(2);
/// From GetRequest to Report.
const OPERATIONS: core::ops::RangeInclusive<u8> = ber::context(0)..=ber::context(8);
const VERSION_3: u32 = 3;
/// Most variables looked at.
const VARIABLES_MAX: usize = 64;

pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let Some((operation, body)) = read(datagram.payload) else {
        return false;
    };
    if operation == RESPONSE {
        let _cut = tell_variables(body, facts);
    }
    true
}

/// Operation and body of a message that is one; of version 3 the body is empty.
fn read(mut bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut message = ber::expect(&mut bytes, ber::SEQUENCE)?;
    let version = ber::small(ber::expect(&mut message, ber::INTEGER)?)?;
    if version == VERSION_3 {
        let _header = ber::expect(&mut message, ber::SEQUENCE)?;
        let _security = ber::expect(&mut message, ber::OCTET_STRING)?;
        return Some((0, &[]));
    }
    let _community = ber::expect(&mut message, ber::OCTET_STRING)?;
    let (operation, body) = ber::next(&mut message)?;
    (version <= 1 && OPERATIONS.contains(&operation)).then_some((operation, body))
}

fn tell_variables(mut body: &[u8], facts: &mut FrameFacts<'_>) -> Option<()> {
    let _request = ber::expect(&mut body, ber::INTEGER)?;
    let _status = ber::expect(&mut body, ber::INTEGER)?;
    let _index = ber::expect(&mut body, ber::INTEGER)?;
    let mut variables = ber::expect(&mut body, ber::SEQUENCE)?;
    for _ in 0..VARIABLES_MAX {
        let mut variable = ber::expect(&mut variables, ber::SEQUENCE)?;
        let name = ber::expect(&mut variable, ber::OBJECT_IDENTIFIER)?;
        match (name, ber::next(&mut variable)?) {
            (SYSTEM_DESCRIPTION, (ber::OCTET_STRING, text)) => {
                let text = super::private::without_addresses(text);
                facts.sender(Field::SnmpDescription, &text);
            }
            (SYSTEM_OBJECT_ID, (ber::OBJECT_IDENTIFIER, id)) => {
                facts.sender(Field::SnmpObjectId, &ber::dotted(id)?);
            }
            _ => {}
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    const ANSWER: &[u8] =
        b"\x30\x4c\x02\x01\x01\x04\x06secret\xa2\x3f\x02\x01\x07\x02\x01\0\x02\x01\0\
        \x30\x34\x30\x1d\x06\x08\x2b\x06\x01\x02\x01\x01\x01\0\x04\x11JetDirect V.45.35\
        \x30\x13\x06\x08\x2b\x06\x01\x02\x01\x01\x02\0\x06\x07\x2b\x06\x01\x04\x01\x0b\x02";

    #[test]
    fn an_agent_tells_its_system_and_the_community_is_kept() {
        let whole = datagram(ANSWER, 161, 40_000);
        assert_eq!(
            hear_datagram(parse, &whole).unwrap(),
            [
                sender(Field::SnmpDescription, "JetDirect V.45.35"),
                sender(Field::SnmpObjectId, "1.3.6.1.4.1.11.2"),
            ]
        );
        datagram_withstands(parse, &whole);
    }

    #[test]
    fn a_question_is_known_for_one_and_tells_nothing() {
        let question = b"\x30\x26\x02\x01\0\x04\x06public\xa0\x19\x02\x01\x07\x02\x01\0\x02\x01\0\
            \x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\0\x05\0";
        assert_eq!(
            hear_datagram(parse, &datagram(question, 40_000, 161)),
            Some(vec![])
        );
    }

    #[test]
    fn other_sequences_are_not_taken_for_it() {
        let ldap = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0";
        assert_eq!(hear_datagram(parse, &datagram(ldap, 389, 389)), None);
    }
}
