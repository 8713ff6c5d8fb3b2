//! DHCP for IPv6 (RFC 8415): what a client says of its maker and its name. Never its identifier.

use super::super::super::{Datagram, FrameFacts};
use super::domain::Name;
use super::wire;
use crate::Field;

const CLIENT_PORT: u16 = 546;
const SERVER_PORT: u16 = 547;
/// Solicit, request, confirm, renew, rebind, release, decline, information request.
const CLIENT_MESSAGES: [u8; 8] = [1, 3, 4, 5, 6, 8, 9, 11];
/// Advertise, reply, reconfigure.
const SERVER_MESSAGES: [u8; 3] = [2, 7, 10];
const CLIENT_IDENTIFIER: u16 = 1;
const SERVER_IDENTIFIER: u16 = 2;
const REQUESTED: u16 = 6;
const VENDOR_CLASS: u16 = 16;
const FULL_NAME: u16 = 39;
const OPTIONS_MAX: usize = 64;

pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let ports = [datagram.source_port, datagram.destination_port];
    let mut rest = datagram.payload;
    let (Some(kind), Some(_transaction)) = (wire::u8(&mut rest), wire::u24(&mut rest)) else {
        return false;
    };
    let from_client = CLIENT_MESSAGES.contains(&kind);
    let options = options(rest);
    // All messages but that of a client that wants to stay unknown hold an identifier.
    let identified =
        |(kind, _): &(u16, &[u8])| [CLIENT_IDENTIFIER, SERVER_IDENTIFIER].contains(kind);
    let known = from_client || SERVER_MESSAGES.contains(&kind);
    if !known
        || !ports
            .iter()
            .any(|port| [CLIENT_PORT, SERVER_PORT].contains(port))
        || !(kind == 11 || options.iter().any(identified))
    {
        return false;
    }
    if from_client {
        for (kind, value) in options {
            tell(kind, value, facts);
        }
    }
    true
}

/// Kind and value of the options that have come whole.
fn options(mut rest: &[u8]) -> Vec<(u16, &[u8])> {
    let options =
        core::iter::from_fn(move || Some((wire::u16(&mut rest)?, wire::behind_u16(&mut rest)?)));
    options.take(OPTIONS_MAX).collect()
}

fn tell(kind: u16, mut value: &[u8], facts: &mut FrameFacts<'_>) {
    match kind {
        REQUESTED => {
            let (pairs, _) = value.as_chunks();
            let numbers = pairs
                .iter()
                .map(|pair| u16::from_be_bytes(*pair).to_string());
            let numbers = numbers.collect::<Vec<_>>().join(",");
            facts.sender(Field::DhcpParameters, &format!("v6:{numbers}"));
        }
        VENDOR_CLASS => {
            let Some(enterprise) = wire::u32(&mut value) else {
                return;
            };
            facts.sender(Field::DhcpVendorClass, &format!("enterprise {enterprise}"));
            while let Some(class) = wire::behind_u16(&mut value) {
                facts.sender_bytes(Field::DhcpVendorClass, class);
            }
        }
        FULL_NAME => tell_name(value, facts),
        _ => {}
    }
}

/// A name in labels behind a byte of flags; it need not end as names do (RFC 4704).
fn tell_name(value: &[u8], facts: &mut FrameFacts<'_>) {
    let mut ended = value.get(1..).unwrap_or_default().to_vec();
    ended.push(0);
    if let Some((name, _)) = Name::read(&ended, 0) {
        facts.sender(Field::DhcpHostname, &name.text());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    const SOLICIT: &[u8] = b"\x01\xab\xcd\xef\0\x01\0\x0a\0\x03\0\x01\x02\0\0\0\0\x07\
        \0\x06\0\x04\0\x17\0\x18\0\x10\0\x0e\0\0\x01\x37\0\x08MSFT 5.0\0\x27\0\x0a\0\x08ward-pc3";

    #[test]
    fn a_client_tells_maker_and_name() {
        let whole = datagram(SOLICIT, 546, 547);
        assert_eq!(
            hear_datagram(parse, &whole).unwrap(),
            [
                sender(Field::DhcpParameters, "v6:23,24"),
                sender(Field::DhcpVendorClass, "enterprise 311"),
                sender(Field::DhcpVendorClass, "MSFT 5.0"),
                sender(Field::DhcpHostname, "ward-pc3"),
            ]
        );
        datagram_withstands(parse, &whole);
    }

    #[test]
    fn what_a_server_repeats_is_not_told_of_it() {
        let mut reply = SOLICIT.to_vec();
        reply[0] = 7;
        let said = hear_datagram(parse, &datagram(&reply, 547, 546));
        assert_eq!(said, Some(vec![]));
        assert_eq!(hear_datagram(parse, &datagram(SOLICIT, 5000, 5001)), None);
    }
}
