//! Things on Tuya's platform: they broadcast who they are, in the clear up to version 3.1.

use serde::Deserialize;

use super::super::bytes::{may_begin, named, u32_at};
use crate::Field;
use crate::evidence::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};

/// First and last bytes of a message, and where its length and body stand.
const PREFIX: &[u8] = &[0, 0, 0x55, 0xaa];
const SUFFIX: &[u8] = &[0, 0, 0xaa, 0x55];
const HEADER: usize = 16;
/// First bytes of messages from version 3.5 on.
const PREFIX_35: &[u8] = &[0, 0, 0x66, 0x99];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Announcement {
    product_key: Option<String>,
    version: Option<String>,
}

/// Parser of datagrams.
pub(in super::super) fn parse_datagram(
    datagram: &Datagram<'_>,
    facts: &mut FrameFacts<'_>,
) -> bool {
    let payload = datagram.payload;
    let known = is_message(payload);
    if known && datagram.to_group {
        match announcement(payload) {
            Some(found) => {
                for (name, value) in [
                    ("tuya.product", found.product_key),
                    ("tuya.version", found.version),
                ] {
                    let value = value.unwrap_or_default();
                    facts.sender(Field::VendorDiscovery, &named(name, value.as_bytes()));
                }
            }
            None => facts.sender(Field::VendorDiscovery, "tuya.announcement=encrypted"),
        }
    }
    known
}

/// Parser of conversations.
pub(in super::super) fn parse(talk: &Talk<'_>, _: &mut TalkFacts<'_>) -> Outcome {
    let begins = |bytes: &[u8]| may_begin(bytes, PREFIX) || may_begin(bytes, PREFIX_35);
    if !begins(talk.client) || !begins(talk.server) {
        Outcome::NotMine
    } else if talk.client.len() < PREFIX.len() {
        Outcome::More
    } else {
        Outcome::Done
    }
}

fn is_message(bytes: &[u8]) -> bool {
    let length = u32_at(bytes, 12).map(|length| length as usize);
    let old = bytes.starts_with(PREFIX)
        && bytes.ends_with(SUFFIX)
        && length.and_then(|length| length.checked_add(HEADER)) == Some(bytes.len());
    old || bytes.starts_with(PREFIX_35)
}

/// The JSON between a return code and a checksum.
fn announcement(bytes: &[u8]) -> Option<Announcement> {
    let start = bytes.iter().position(|&byte| byte == b'{')?;
    let end = bytes.iter().rposition(|&byte| byte == b'}')?;
    serde_json::from_slice(bytes.get(start..=end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{ask, ask_datagram};
    use super::*;

    fn message(body: &[u8]) -> Vec<u8> {
        let mut bytes = PREFIX.to_vec();
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend((body.len() as u32 + 12).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes.extend([1, 2, 3, 4]);
        bytes.extend(SUFFIX);
        bytes
    }

    #[test]
    fn an_announcement_tells_the_product() {
        let body = br#"{"ip":"10.0.0.9","gwId":"0123","productKey":"key4711","version":"3.1"}"#;
        assert_eq!(
            ask_datagram(parse_datagram, [49_154, 6666], true, &message(body)).unwrap(),
            [
                "sender vendor.discovery tuya.product=key4711",
                "sender vendor.discovery tuya.version=3.1"
            ]
        );
        assert_eq!(
            ask_datagram(parse_datagram, [49_154, 6667], true, &message(&[0x9c; 32])).unwrap(),
            ["sender vendor.discovery tuya.announcement=encrypted"]
        );
    }

    #[test]
    fn a_conversation_is_known_by_its_first_bytes() {
        assert_eq!(ask(parse, &message(b"x"), b"").0, Outcome::Done);
        assert_eq!(ask(parse, b"\0\0", b"").0, Outcome::More);
        assert_eq!(ask(parse, b"\0\0\x55\0", b"").0, Outcome::NotMine);
        assert_eq!(
            ask_datagram(parse_datagram, [1, 6666], true, b"\0\0\x55\xaa"),
            None
        );
    }
}
