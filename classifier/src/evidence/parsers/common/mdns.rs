//! Multicast DNS and service discovery (RFC 6762, 6763): what a device announces and looks for.

use super::super::super::{Datagram, FrameFacts};
use super::domain::{self, Message, Name, Record, Section};
use super::wire;
use crate::Field;

pub(super) const PORT: u16 = 5353;

/// Keys of TXT records whose value tells a make, a model, a version or a kind, and never a person:
/// AirPlay and HomeKit (`am`, `model`, `md`, `ci`, `srcvers`), printing (`ty`, `product`,
/// `usb_MFG`, `usb_MDL`, `mfg`, `mdl`), and what vendors agree on.
const TELLING_KEYS: [&str; 22] = [
    "am",
    "ci",
    "fv",
    "fw",
    "fwversion",
    "manufacturer",
    "md",
    "mdl",
    "mf",
    "mfg",
    "model",
    "modelname",
    "osxvers",
    "platform",
    "product",
    "rpmd",
    "srcvers",
    "ty",
    "usb_mdl",
    "usb_mfg",
    "vendor",
    "version",
];

pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    if ![datagram.source_port, datagram.destination_port].contains(&PORT) {
        return false;
    }
    let Some(message) = Message::read(datagram.payload).filter(|m| m.operation() == 0) else {
        return false;
    };
    if !message.is_response() {
        for question in &message.questions {
            tell_question(&question.name, question.kind, facts);
        }
    }
    let announced = |record: &&Record<'_>| is_own(&message, record);
    for record in message.records.iter().filter(announced) {
        tell_record(&message, record, facts);
    }
    true
}

/// A response holds what its sender has. A query holds in its authority section what its sender
/// is about to take, and as answers what it has heard of others.
fn is_own(message: &Message<'_>, record: &Record<'_>) -> bool {
    message.is_response() || record.section == Section::Authority
}

fn tell_question(name: &Name<'_>, kind: u16, facts: &mut FrameFacts<'_>) {
    if kind != domain::TYPE_PTR || name.is_reverse() {
        return;
    }
    if let Some((_, service)) = split(name) {
        facts.sender(Field::MdnsQuery, &service);
    }
}

fn tell_record(message: &Message<'_>, record: &Record<'_>, facts: &mut FrameFacts<'_>) {
    match record.kind {
        domain::TYPE_PTR if !record.name.is_reverse() => {
            if let Some((target, _)) = Name::read(message.bytes, record.data_at) {
                tell_instance(&target, facts);
            }
        }
        domain::TYPE_SRV => tell_instance(&record.name, facts),
        domain::TYPE_TXT => {
            tell_instance(&record.name, facts);
            tell_text(record.data, facts);
        }
        domain::TYPE_A | domain::TYPE_AAAA => {
            if let [host, ..] = record.name.0.as_slice() {
                facts.sender_bytes(Field::MdnsName, host);
            }
        }
        _ => {}
    }
}

/// A service, and the name of the instance that offers it where there is one.
fn tell_instance(name: &Name<'_>, facts: &mut FrameFacts<'_>) {
    let Some((instance, service)) = split(name) else {
        return;
    };
    facts.sender(Field::MdnsService, &service);
    if let Some(instance) = instance {
        facts.sender_bytes(Field::MdnsName, instance);
    }
}

/// Takes `Instance._service._tcp.local` apart. `None` when it is no name of a service, or the list
/// of all services itself.
fn split<'a>(name: &Name<'a>) -> Option<(Option<&'a [u8]>, String)> {
    let labels = name.0.as_slice();
    let transport = labels.iter().rposition(|label| {
        label.eq_ignore_ascii_case(b"_tcp") || label.eq_ignore_ascii_case(b"_udp")
    })?;
    let service = labels.get(transport.checked_sub(1)?..=transport)?;
    if !service[0].starts_with(b"_") || service[0] == b"_dns-sd" {
        return None;
    }
    // Before the service: an instance, or a sub-type (`_color._sub`), which is part of a question.
    let instance = labels[..transport - 1].first().copied();
    let instance = instance.filter(|label| !label.starts_with(b"_"));
    Some((instance, domain::text(service)))
}

fn tell_text(mut data: &[u8], facts: &mut FrameFacts<'_>) {
    while let Some(pair) = wire::behind_u8(&mut data) {
        let key = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
        if TELLING_KEYS
            .iter()
            .any(|k| key.eq_ignore_ascii_case(k.as_bytes()))
            && key.len() < pair.len()
        {
            facts.sender_bytes(Field::MdnsText, pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    /// A printer's answer: pointer, service, text and address records.
    const ANSWER: &[u8] = b"\0\0\x84\0\0\0\0\x04\0\0\0\0\
        \x04_ipp\x04_tcp\x05local\0\0\x0c\0\x01\0\0\x11\x94\0\x0e\x0bLab Printer\xc0\x0c\
        \xc0\x27\0\x21\x80\x01\0\0\0x\0\x0e\0\0\0\0\x02w\x05lp-07\xc0\x16\
        \xc0\x27\0\x10\x80\x01\0\0\x11\x94\0\x26\
        \x0fty=ACME Laser 7\x0enote=3rd floor\x05rp=lp\x00\
        \xc0\x47\0\x01\x80\x01\0\0\0x\0\x04\x0a\0\0\x05";

    fn parse_group(payload: &[u8]) -> Option<Vec<Said>> {
        hear_datagram(parse, &datagram(payload, PORT, PORT))
    }

    #[test]
    fn an_answer_tells_services_names_and_telling_texts() {
        assert_eq!(
            parse_group(ANSWER).unwrap(),
            [
                sender(Field::MdnsService, "_ipp._tcp"),
                sender(Field::MdnsName, "Lab Printer"),
                sender(Field::MdnsService, "_ipp._tcp"),
                sender(Field::MdnsName, "Lab Printer"),
                sender(Field::MdnsService, "_ipp._tcp"),
                sender(Field::MdnsName, "Lab Printer"),
                sender(Field::MdnsText, "ty=ACME Laser 7"),
                sender(Field::MdnsName, "lp-07"),
            ]
        );
        datagram_withstands(parse, &datagram(ANSWER, PORT, PORT));
    }

    #[test]
    fn what_a_query_knows_of_others_is_not_told_of_its_sender() {
        let query = b"\0\0\0\0\0\x02\0\x01\0\0\0\0\
            \x0b_googlecast\x04_tcp\x05local\0\0\x0c\0\x01\
            \x09_services\x07_dns-sd\x04_udp\xc0\x1d\0\x0c\0\x01\
            \xc0\x0c\0\x0c\0\x01\0\0\x11\x94\0\x05\x02TV\xc0\x0c";
        let said = parse_group(query).unwrap();
        assert_eq!(said, [sender(Field::MdnsQuery, "_googlecast._tcp")]);
        datagram_withstands(parse, &datagram(query, PORT, PORT));
    }

    #[test]
    fn a_probe_tells_what_its_sender_is_about_to_take() {
        let probe = b"\0\0\0\0\0\x01\0\0\0\x01\0\0\
            \x05cam-2\x05local\0\0\xff\0\x01\
            \xc0\x0c\0\x01\0\x01\0\0\0x\0\x04\x0a\0\0\x05";
        let said = parse_group(probe).unwrap();
        assert_eq!(said, [sender(Field::MdnsName, "cam-2")]);
    }

    #[test]
    fn a_sub_type_is_a_question_for_its_service() {
        let query = b"\0\0\0\0\0\x01\0\0\0\0\0\0\
            \x08_printer\x04_sub\x05_http\x04_tcp\x05local\0\0\x0c\0\x01";
        let said = parse_group(query).unwrap();
        assert_eq!(said, [sender(Field::MdnsQuery, "_http._tcp")]);
    }
}
