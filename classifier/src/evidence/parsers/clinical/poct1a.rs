//! POCT1-A: XML messages of a point-of-care device; of them only the hello (`HEL.R01`).

use core::ops::ControlFlow;

use super::bytes::named;
use super::xml;
use crate::Field;
use crate::evidence::{Outcome, Talk, TalkFacts};

const HELLO: &str = "HEL.R01";
/// What every message of the standard carries first, and what the hello says of the device.
const HEADER: &str = "HDR";
const IDENTITY: &[(&str, &str)] = &[
    ("DEV.vendor_id", "vendor"),
    ("DEV.manufacturer_name", "manufacturer"),
    ("DEV.model_id", "model"),
    ("DEV.serial_id", "serial"),
    ("DEV.sw_version", "software"),
    ("DEV.hw_version", "hardware"),
    ("DEV.device_id", "device"),
    ("DEV.device_name", "name"),
];

/// Parser of conversations.
pub(super) fn parse(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !xml::may_begin(talk.client) || !xml::may_begin(talk.server) {
        return Outcome::NotMine;
    }
    let client = first_message(talk.client);
    let server = first_message(talk.server);
    if client == Message::Strange || server == Message::Strange {
        return Outcome::NotMine;
    }
    if client == Message::Hello {
        identity(talk.client, &mut |value| {
            facts.client(Field::PoctHello, value)
        });
    }
    if server == Message::Hello {
        identity(talk.server, &mut |value| {
            facts.server(Field::PoctHello, value)
        });
    }
    match (client, server) {
        (Message::Hello, Message::Other) | (Message::Other, Message::Hello) => Outcome::Done,
        (Message::Unknown, Message::Unknown) => Outcome::More,
        _ => Outcome::Known,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    /// Not there yet.
    Unknown,
    Hello,
    Other,
    /// Of another kind of XML.
    Strange,
}

/// Its root names the message, `ACK.R01`, and has the header for its first child.
fn first_message(bytes: &[u8]) -> Message {
    let mut root = None;
    let mut message = Message::Unknown;
    xml::opened(bytes, "V", &mut |element, _| {
        let Some(name) = &root else {
            root = Some(element.to_owned());
            if is_message(element) {
                return ControlFlow::Continue(());
            }
            message = Message::Strange;
            return ControlFlow::Break(());
        };
        message = match (element, name.as_str()) {
            (HEADER, HELLO) => Message::Hello,
            (HEADER, _) => Message::Other,
            _ => Message::Strange,
        };
        ControlFlow::Break(())
    });
    message
}

/// Three capitals, or more for vendors' own, and the revision.
fn is_message(name: &str) -> bool {
    let Some((kind, revision)) = name.split_once('.') else {
        return false;
    };
    let digits = revision.strip_prefix('R').unwrap_or_default();
    (3..=4).contains(&kind.len())
        && kind.bytes().all(|byte| byte.is_ascii_uppercase())
        && digits.len() == 2
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// What the hello says, until it ends.
fn identity(bytes: &[u8], say: &mut dyn FnMut(&str)) {
    let mut roots = 0;
    xml::opened(bytes, "V", &mut |element, value| {
        roots += u32::from(is_message(element));
        if roots > 1 {
            return ControlFlow::Break(());
        }
        let known = IDENTITY.iter().find(|(name, _)| *name == element);
        if let (Some((_, name)), Some(value)) = (known, value) {
            say(&named(name, value.as_bytes()));
        }
        ControlFlow::Continue(())
    });
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{ask, prefixes_tell_nothing_else};
    use super::*;

    pub(in super::super) const DEVICE: &[u8] = br#"<?xml version="1.0" encoding="utf-8"?>
<HEL.R01><HDR><HDR.control_id V="1"/><HDR.version_id V="POCT1"/></HDR>
<DEV><DEV.device_id V="00-11-22"/><DEV.vendor_id V="WARDTEST"/><DEV.model_id V="Gluco 5"/>
<DEV.serial_id V="SN4711"/><DEV.sw_version V="1.2 &amp; 3"/></DEV></HEL.R01>
<OBS.R01><HDR><HDR.control_id V="2"/></HDR><SVC><PT><PT.patient_id V="TEST0001"/>
<PT.name V="TEST^PATIENT"/></PT></SVC></OBS.R01>"#;
    pub(in super::super) const REVIEWER: &[u8] =
        br#"<ACK.R01><HDR><HDR.control_id V="1"/></HDR></ACK.R01>"#;

    #[test]
    fn the_hello_names_the_device() {
        let (outcome, told) = ask(parse, DEVICE, REVIEWER);
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(
            told,
            [
                "client poct1a.hello device=00-11-22",
                "client poct1a.hello vendor=WARDTEST",
                "client poct1a.hello model=Gluco 5",
                "client poct1a.hello serial=SN4711",
                "client poct1a.hello software=1.2 & 3",
            ]
        );
    }

    #[test]
    fn a_beginning_tells_nothing_that_the_whole_does_not() {
        prefixes_tell_nothing_else(parse, DEVICE, REVIEWER);
    }

    #[test]
    fn other_xml_is_not_poct1a() {
        for client in [
            &b"<html><head></head></html>"[..],
            b"<HEL.R01><PT/></HEL.R01>",
            b"<?xml version='1.0'?><stream:stream to='x'>",
        ] {
            assert_eq!(ask(parse, client, b"").0, Outcome::NotMine, "{client:?}");
        }
    }
}
