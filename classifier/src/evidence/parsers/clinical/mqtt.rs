//! MQTT (3.1 to 5.0): the client's identifier out of CONNECT; neither user name nor will.

use super::bytes::{may_begin, split, u16_at};
use crate::Field;
use crate::evidence::{Outcome, Talk, TalkFacts};

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
/// Version of the protocol from which properties stand before the identifier.
const WITH_PROPERTIES: u8 = 5;
/// Names of the protocol as fields with their length.
const NAMES: [&[u8]; 2] = [b"\x00\x04MQTT", b"\x00\x06MQIsdp"];
/// Version, flags, keep-alive.
const FIXED: usize = 4;

/// Parser of conversations.
pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !may_begin(talk.client, &[CONNECT]) || !may_begin(talk.server, &[CONNACK]) {
        return Outcome::NotMine;
    }
    let Some(body) = talk
        .client
        .get(1..)
        .and_then(|rest| Some(variable_length(rest)?.1))
    else {
        // A length takes at most four bytes.
        return if talk.client.len() > 5 {
            Outcome::NotMine
        } else {
            Outcome::More
        };
    };
    let Some(name) = NAMES.iter().find(|name| may_begin(body, name)) else {
        return Outcome::NotMine;
    };
    let Some(rest) = body.get(name.len()..) else {
        return Outcome::More;
    };
    match client_id(rest) {
        Some(id) => {
            facts.client_bytes(Field::MqttClientId, id);
            Outcome::Done
        }
        None => Outcome::More,
    }
}

fn client_id(rest: &[u8]) -> Option<&[u8]> {
    let (fixed, mut payload) = split(rest, FIXED)?;
    if fixed[0] >= WITH_PROPERTIES {
        let (length, properties) = variable_length(payload)?;
        payload = properties.get(length..)?;
    }
    let length = usize::from(u16_at(payload, 0)?);
    payload.get(2..2 + length)
}

/// Seven bits a byte, lowest first, at most four bytes; and what follows.
fn variable_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0;
    for (place, &byte) in bytes.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((length, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{ask, prefixes_tell_nothing_else};
    use super::*;

    /// Version 3.1.1 with user name `nurse` and password.
    pub(in super::super) const CONNECT: &[u8] =
        b"\x10\x26\x00\x04MQTT\x04\xc2\x00\x1e\x00\x0bbadge-call1\x00\x05nurse\x00\x06secret";

    #[test]
    fn only_the_identifier_is_told() {
        let (outcome, told) = ask(parse, CONNECT, b"\x20\x02\x00\x00");
        assert_eq!(
            (outcome, told),
            (
                Outcome::Done,
                vec!["client mqtt.client-id badge-call1".into()]
            )
        );
        prefixes_tell_nothing_else(parse, CONNECT, b"\x20\x02\x00\x00");
    }

    #[test]
    fn properties_of_version_5_are_passed_over() {
        let connect = b"\x10\x15\x00\x04MQTT\x05\x02\x00\x3c\x03\x21\x00\x14\x00\x05pump7";
        assert_eq!(ask(parse, connect, b"").1, ["client mqtt.client-id pump7"]);
    }

    #[test]
    fn a_client_without_identifier_is_known_too() {
        let connect = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00";
        assert_eq!(ask(parse, connect, b""), (Outcome::Done, vec![]));
    }

    #[test]
    fn other_conversations_are_not_mqtt() {
        for client in [
            &b"\x10\x05\x00\x04HTTP"[..],
            b"\x10\xff\xff\xff\xff\xff",
            b"GET /",
        ] {
            assert_eq!(ask(parse, client, b"").0, Outcome::NotMine, "{client:?}");
        }
    }
}
