//! Smart-home devices of TP-Link: JSON under a running XOR, in datagrams as it is, over TCP behind
//! its length.

use serde::Deserialize;

use super::super::bytes::named;
use crate::Field;
use crate::evidence::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};

const FIRST_KEY: u8 = 171;
const LENGTH: usize = 4;
const MAX_MESSAGE: u32 = 65_535;
/// Longest answer that is taken apart.
const MAX_TEXT: usize = 8_192;

#[derive(Debug, Deserialize)]
struct Answer {
    system: System,
}

#[derive(Debug, Deserialize)]
struct System {
    get_sysinfo: Option<Info>,
}

/// What a device says of itself, without the name that its owner gave it and where it stands.
#[derive(Debug, Deserialize)]
struct Info {
    model: Option<String>,
    #[serde(alias = "mic_type")]
    r#type: Option<String>,
    dev_name: Option<String>,
    sw_ver: Option<String>,
    hw_ver: Option<String>,
}

/// Parser of datagrams.
pub(in super::super) fn parse_datagram(
    datagram: &Datagram<'_>,
    facts: &mut FrameFacts<'_>,
) -> bool {
    let known = begins_as_json(datagram.payload);
    if known {
        tell(datagram.payload, &mut |value| {
            facts.sender(Field::VendorDiscovery, value)
        });
    }
    known
}

/// Parser of conversations.
pub(in super::super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let (Some(client), Some(server)) = (message(talk.client), message(talk.server)) else {
        return Outcome::NotMine;
    };
    if client.text.is_empty() {
        return Outcome::More;
    }
    if !server.whole {
        return Outcome::Known;
    }
    tell(server.text, &mut |value| {
        facts.server(Field::VendorDiscovery, value)
    });
    Outcome::Done
}

#[derive(Debug)]
struct Message<'a> {
    text: &'a [u8],
    whole: bool,
}

/// `None` for another protocol.
fn message(bytes: &[u8]) -> Option<Message<'_>> {
    let Some((length, text)) = bytes.split_first_chunk::<LENGTH>() else {
        return bytes
            .iter()
            .take(2)
            .all(|&byte| byte == 0)
            .then_some(Message {
                text: &[],
                whole: false,
            });
    };
    let length = u32::from_be_bytes(*length);
    let known = (2..=MAX_MESSAGE).contains(&length) && begins_as_json(text);
    known.then_some(Message {
        text: &text[..text.len().min(length as usize)],
        whole: text.len() >= length as usize,
    })
}

/// `{"`, as far as it is there.
fn begins_as_json(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && plain(bytes)
            .zip(*b"{\"")
            .all(|(byte, wanted)| byte == wanted)
        || bytes.is_empty()
}

/// Each byte is hidden by the hidden one before it.
fn plain(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let keys = core::iter::once(&FIRST_KEY).chain(bytes);
    bytes.iter().zip(keys).map(|(byte, key)| byte ^ key)
}

fn tell(bytes: &[u8], say: &mut dyn FnMut(&str)) {
    let text: Vec<u8> = plain(bytes).take(MAX_TEXT).collect();
    let answer = serde_json::from_slice::<Answer>(&text);
    let Some(info) = answer.ok().and_then(|answer| answer.system.get_sysinfo) else {
        return;
    };
    for (name, value) in [
        ("tplink.model", info.model),
        ("tplink.type", info.r#type),
        ("tplink.name", info.dev_name),
        ("tplink.software", info.sw_ver),
        ("tplink.hardware", info.hw_ver),
    ] {
        say(&named(name, value.unwrap_or_default().as_bytes()));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::testing::{ask, ask_datagram, prefixes_tell_nothing_else};
    use super::*;

    fn hidden(text: &str) -> Vec<u8> {
        let mut key = FIRST_KEY;
        text.bytes()
            .map(|byte| {
                key ^= byte;
                key
            })
            .collect()
    }

    fn framed(text: &str) -> Vec<u8> {
        let mut bytes = (text.len() as u32).to_be_bytes().to_vec();
        bytes.extend(hidden(text));
        bytes
    }

    const QUESTION: &str = r#"{"system":{"get_sysinfo":{}}}"#;
    const ANSWER: &str = r#"{"system":{"get_sysinfo":{"sw_ver":"1.0.8","hw_ver":"1.0",
"type":"IOT.SMARTPLUGSWITCH","model":"HS100(EU)","alias":"Jane's lamp","latitude":1.5}}}"#;

    #[test]
    fn model_and_kind_are_told_and_not_what_people_call_it() {
        let told = ask_datagram(parse_datagram, [9999, 40_000], false, &hidden(ANSWER)).unwrap();
        assert_eq!(
            told,
            [
                "sender vendor.discovery tplink.model=HS100(EU)",
                "sender vendor.discovery tplink.type=IOT.SMARTPLUGSWITCH",
                "sender vendor.discovery tplink.software=1.0.8",
                "sender vendor.discovery tplink.hardware=1.0",
            ]
        );
        let question = ask_datagram(parse_datagram, [40_000, 9999], true, &hidden(QUESTION));
        assert_eq!(question, Some(vec![]));
        let (outcome, told) = ask(parse, &framed(QUESTION), &framed(ANSWER));
        assert_eq!((outcome, told.len()), (Outcome::Done, 4));
        prefixes_tell_nothing_else(parse, &framed(QUESTION), &framed(ANSWER));
    }

    #[test]
    fn other_messages_are_not_tplinks() {
        assert_eq!(
            ask_datagram(parse_datagram, [9999, 9999], true, b"{\"system\":{}}"),
            None
        );
        assert_eq!(
            ask(parse, b"\0\0\0\x1d{\"system\"", b"").0,
            Outcome::NotMine
        );
        assert_eq!(ask(parse, b"GET /", b"").0, Outcome::NotMine);
    }
}
