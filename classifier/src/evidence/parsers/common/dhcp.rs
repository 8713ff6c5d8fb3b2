//! DHCP for IPv4, as the engine reads it (RFC 2131, 2132). What a client says is about the sender
//! only where no relay stands between.

use wardline_engine::snoop::dhcp::{self, DhcpMessage};

use super::super::super::{Datagram, FrameFacts};
use crate::Field;

pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let Some(message) = read(datagram.payload) else {
        return false;
    };
    if !message.is_from_server() && message.relay_ip.is_unspecified() {
        tell_client(&message, facts);
    }
    true
}

fn tell_client(message: &DhcpMessage, facts: &mut FrameFacts<'_>) {
    let parameters: Vec<_> = message.parameters.iter().map(u8::to_string).collect();
    facts.sender(Field::DhcpParameters, &parameters.join(","));
    facts.sender(Field::DhcpVendorClass, &message.vendor_class);
    facts.sender(Field::DhcpHostname, &message.host_name);
}

/// Only what carries the message type of DHCP: BOOTP has no mark of its own.
fn read(payload: &[u8]) -> Option<DhcpMessage> {
    let message = dhcp::parse(payload).ok()?;
    message.kind?;
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    /// A message of the given header fields and options.
    fn message(operation: u8, relay: [u8; 4], options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 236];
        bytes[..4].copy_from_slice(&[operation, 1, 6, 0]);
        bytes[24..28].copy_from_slice(&relay);
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 7]);
        bytes.extend([99, 130, 83, 99]);
        bytes.extend(options);
        bytes
    }

    const DISCOVER: &[u8] =
        b"\x35\x01\x01\x3d\x07\x01\x02\x00\x00\x00\x00\x07\x3c\x0dudhcp 1.21.1x\
        \x0c\x08infuse-4\x37\x04\x01\x03\x06\x0c\xff";

    #[test]
    fn a_client_tells_what_it_asks_for_and_who_made_it() {
        let bytes = message(1, [0; 4], DISCOVER);
        let whole = datagram(&bytes, 68, 67);
        assert_eq!(
            hear_datagram(parse, &whole).unwrap(),
            [
                sender(Field::DhcpParameters, "1,3,6,12"),
                sender(Field::DhcpVendorClass, "udhcp 1.21.1x"),
                sender(Field::DhcpHostname, "infuse-4"),
            ]
        );
        datagram_withstands(parse, &whole);
    }

    #[test]
    fn nothing_a_client_said_is_told_of_a_relay() {
        let bytes = message(1, [10, 0, 0, 1], DISCOVER);
        assert_eq!(
            hear_datagram(parse, &datagram(&bytes, 67, 67)),
            Some(vec![])
        );
    }

    #[test]
    fn what_a_server_repeats_is_not_told_of_it() {
        let bytes = message(2, [0; 4], b"\x35\x01\x02\x0c\x08infuse-4\xff");
        assert_eq!(
            hear_datagram(parse, &datagram(&bytes, 67, 68)),
            Some(vec![])
        );
    }
}
