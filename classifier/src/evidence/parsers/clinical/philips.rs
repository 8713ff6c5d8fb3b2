//! Data Export of IntelliVue monitors (Philips, Data Export Interface Programming Guide): the
//! monitor's connect indication, the association, and the model out of the first event. Of the
//! attributes of a monitor only those of the machine are read; others name the patient.

use super::bytes::{may_begin, named, split, u16_at, u32_at, until_zero};
use crate::Field;
use crate::evidence::{Datagram, FrameFacts};

/// First bytes of session messages of the association: connect, accept, refuse, finish,
/// disconnect, abort.
const CONNECT: u8 = 0x0d;
const ACCEPT: u8 = 0x0e;
const REFUSE: u8 = 0x0c;
const LEAVING: [u8; 3] = [0x09, 0x0a, 0x19];
/// First bytes of every data message: session and presentation context.
const DATA: &[u8] = &[0xe1, 0x00, 0x00, 0x02];
/// The monitor's nomenclature, before a connect indication.
const NOMENCLATURE: u32 = 0x0001_0000;
/// Object identifiers of the protocol's own syntaxes all begin so: 1.2.840.10004.2.1.
const SYNTAX: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x14, 0x02, 0x01];
/// Presentation header of a connection that is being left.
const LEAVING_PRESENTATION: &[u8] = &[0xc1];

/// Remote operations and events.
const INVOKE: u16 = 1;
const RESULT: u16 = 2;
const LINKED_RESULT: u16 = 5;
const EVENT_REPORTS: [u16; 2] = [0, 1];
const MONITOR_SYSTEM: u16 = 33;
const MONITOR_CREATED: u16 = 0x0d06;
/// The guide has the second number; monitors were seen with the first.
const CONNECT_INDICATIONS: [u16; 2] = [0x0d16, 0x0d17];
const SYSTEM_MODEL: u16 = 0x0928;
const PRODUCT: u16 = 0x092d;
/// Entries of a production specification.
const SERIAL: u16 = 1;
const SOFTWARE: u16 = 4;

/// Parser of datagrams.
pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let payload = datagram.payload;
    match payload.first() {
        Some(&(CONNECT | ACCEPT | REFUSE)) => association(payload, facts),
        Some(first) if LEAVING.contains(first) => {
            is_session(payload)
                && payload
                    .get(2..)
                    .is_some_and(|rest| may_begin(rest, LEAVING_PRESENTATION))
        }
        Some(0xe1) => data(payload, facts),
        _ => indication(payload, facts),
    }
}

/// Who asks for the association is the one that takes the data.
fn association(payload: &[u8], facts: &mut FrameFacts<'_>) -> bool {
    let known = is_session(payload) && payload.windows(SYNTAX.len()).any(|window| window == SYNTAX);
    if known {
        let (sender, receiver) = match payload.first() {
            Some(&CONNECT) => ("client", "monitor"),
            _ => ("monitor", "client"),
        };
        facts.sender(Field::PhilipsExport, sender);
        // An association may be asked of anything; only one that answers is a monitor.
        if receiver == "client" {
            facts.receiver(Field::PhilipsExport, receiver);
        }
    }
    known
}

/// Whether the length behind the first byte (one byte, or two behind 255) is that of the rest.
fn is_session(payload: &[u8]) -> bool {
    match payload.get(1) {
        Some(&255) => u16_at(payload, 2).map(usize::from) == payload.len().checked_sub(4),
        length => length.map(|&length| usize::from(length)) == payload.len().checked_sub(2),
    }
}

fn data(payload: &[u8], facts: &mut FrameFacts<'_>) -> bool {
    let Some(operation) = payload.strip_prefix(DATA) else {
        return false;
    };
    let kind = u16_at(operation, 0);
    let whole = u16_at(operation, 2).map(usize::from) == operation.len().checked_sub(4);
    if !whole || !matches!(kind, Some(INVOKE | RESULT | 3 | LINKED_RESULT)) {
        return false;
    }
    if kind == Some(INVOKE)
        && let Some((MONITOR_CREATED, attributes)) = event(operation)
    {
        facts.sender(Field::PhilipsExport, "monitor");
        // Object class, context and handle stand before the list.
        tell_attributes(attributes.get(6..).unwrap_or_default(), facts);
    }
    true
}

fn indication(payload: &[u8], facts: &mut FrameFacts<'_>) -> bool {
    let operation = payload.get(4..).unwrap_or_default();
    let known = u32_at(payload, 0) == Some(NOMENCLATURE) && u16_at(operation, 0) == Some(INVOKE);
    let indication = event(operation).filter(|(event, _)| CONNECT_INDICATIONS.contains(event));
    let Some((_, attributes)) = indication.filter(|_| known) else {
        return false;
    };
    facts.sender(Field::PhilipsExport, "monitor");
    tell_attributes(attributes, facts);
    true
}

/// The type of an event and what is appended to it.
fn event(operation: &[u8]) -> Option<(u16, &[u8])> {
    // Operation: type, length. Invocation: identifier, command, length.
    let is_event = EVENT_REPORTS.contains(&u16_at(operation, 6)?);
    let report = operation.get(10..).filter(|_| is_event)?;
    // Object class, context, handle, time of four bytes, event, length.
    let of_system = u16_at(report, 0)? == MONITOR_SYSTEM;
    let event = u16_at(report, 10)?;
    let length = usize::from(u16_at(report, 12)?);
    let appended = report.get(14..).filter(|_| of_system)?;
    Some((event, split(appended, length)?.0))
}

/// Count, length, then number, length and value of each.
fn tell_attributes(list: &[u8], facts: &mut FrameFacts<'_>) {
    let mut rest = list.get(4..).unwrap_or_default();
    while let Some((number, value, after)) = attribute(rest) {
        match number {
            SYSTEM_MODEL => {
                let texts: Vec<_> = labels(value).collect();
                facts.sender(Field::PhilipsModel, &texts.join(" "));
            }
            PRODUCT => tell_product(value, facts),
            _ => {}
        }
        rest = after;
    }
}

fn attribute(list: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (value, rest) = split(list.get(4..)?, usize::from(u16_at(list, 2)?))?;
    Some((u16_at(list, 0)?, value, rest))
}

/// Texts with their lengths, padded with zeros.
fn labels(mut bytes: &[u8]) -> impl Iterator<Item = String> {
    core::iter::from_fn(move || {
        let (label, rest) = label(bytes)?;
        bytes = rest;
        Some(label)
    })
}

fn label(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (label, rest) = split(bytes.get(2..)?, usize::from(u16_at(bytes, 0)?))?;
    let text = until_zero(label).trim_ascii();
    Some((text.iter().map(|&byte| char::from(byte)).collect(), rest))
}

/// Count, length, then kind, component and text of each.
fn tell_product(value: &[u8], facts: &mut FrameFacts<'_>) {
    let mut rest = value.get(4..).unwrap_or_default();
    while let (Some(kind), Some((text, after))) = (u16_at(rest, 0), rest.get(4..).and_then(label)) {
        let name = match kind {
            SERIAL => "serial",
            SOFTWARE => "software",
            _ => "",
        };
        if !name.is_empty() {
            facts.sender(Field::PhilipsModel, &named(name, text.as_bytes()));
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::ask_datagram;
    use super::*;

    /// Attributes as a list with count and length.
    fn list(attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, value) in attributes {
            bytes.extend(number.to_be_bytes());
            bytes.extend((value.len() as u16).to_be_bytes());
            bytes.extend(value);
        }
        counted(attributes.len(), bytes)
    }

    fn counted(count: usize, bytes: Vec<u8>) -> Vec<u8> {
        let mut list = (count as u16).to_be_bytes().to_vec();
        list.extend((bytes.len() as u16).to_be_bytes());
        list.extend(bytes);
        list
    }

    fn text(text: &str, length: usize) -> Vec<u8> {
        let mut bytes = (length as u16).to_be_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes.resize(2 + length, 0);
        bytes
    }

    /// An event of the monitor as an invoked operation.
    fn event_bytes(event: u16, appended: &[u8]) -> Vec<u8> {
        let mut report = MONITOR_SYSTEM.to_be_bytes().to_vec();
        report.extend([0, 0, 0, 0, 0, 1, 2, 3]);
        report.extend(event.to_be_bytes());
        report.extend((appended.len() as u16).to_be_bytes());
        report.extend(appended);
        let mut invocation = vec![0, 1, 0, 1];
        invocation.extend((report.len() as u16).to_be_bytes());
        invocation.extend(report);
        let mut operation = INVOKE.to_be_bytes().to_vec();
        operation.extend((invocation.len() as u16).to_be_bytes());
        operation.extend(invocation);
        operation
    }

    #[test]
    fn the_first_event_names_the_model_and_not_the_patient() {
        let model = [text("Philips", 8), text("M8000", 6)].concat();
        let product = counted(
            2,
            [
                vec![0, 1, 0, 0],
                text("DE12345678", 10),
                vec![0, 4, 0, 0],
                text("M.04.0", 8),
            ]
            .concat(),
        );
        let attributes = list(&[
            (SYSTEM_MODEL, model),
            (0x091e, text("TEST BED", 34)),
            (0x095c, text("TEST^PATIENT", 20)),
            (PRODUCT, product),
        ]);
        let appended = [vec![0, 33, 0, 0, 0, 0], attributes].concat();
        let packet = [DATA.to_vec(), event_bytes(MONITOR_CREATED, &appended)].concat();
        assert_eq!(
            ask_datagram(parse, [24_105, 40_000], false, &packet).unwrap(),
            [
                "sender philips.data-export monitor",
                "sender philips.model Philips M8000",
                "sender philips.model serial=DE12345678",
                "sender philips.model software=M.04.0",
            ]
        );
    }

    #[test]
    fn a_connect_indication_shows_a_monitor() {
        let attributes = list(&[(0x0986, vec![0, 1, 0x10, 0x2d]), (0xf100, vec![0; 14])]);
        let event = event_bytes(CONNECT_INDICATIONS[1], &attributes);
        let packet = [NOMENCLATURE.to_be_bytes().to_vec(), event].concat();
        assert_eq!(
            ask_datagram(parse, [24_105, 24_005], true, &packet).unwrap(),
            ["sender philips.data-export monitor"]
        );
    }

    #[test]
    fn an_association_shows_who_takes_and_who_gives() {
        let body = [
            &[5, 8, 0x13, 1, 0, 0x16, 1, 2, 0x80, 0, 0x14, 2, 0, 2, 0xc1][..],
            SYNTAX,
        ]
        .concat();
        let packet = |first: u8| [vec![first, body.len() as u8], body.clone()].concat();
        assert_eq!(
            ask_datagram(parse, [40_000, 24_105], false, &packet(CONNECT)).unwrap(),
            ["sender philips.data-export client"]
        );
        assert_eq!(
            ask_datagram(parse, [24_105, 40_000], false, &packet(ACCEPT)).unwrap(),
            [
                "sender philips.data-export monitor",
                "receiver philips.data-export client"
            ]
        );
    }

    #[test]
    fn other_datagrams_are_not_data_export() {
        for payload in [
            &b"\x0d\x05hello"[..],
            b"\xe1\x00\x00\x02\x00\x01\x00\x09",
            b"\x09\x01x",
            b"",
        ] {
            assert_eq!(
                ask_datagram(parse, [24_105, 24_105], false, payload),
                None,
                "{payload:?}"
            );
        }
    }
}
