//! NTP and SNTP (RFC 5905, 4330): nothing in it tells of a device, but that it is spoken does.

use super::super::super::{Datagram, FrameFacts};

const PORT: u16 = 123;
/// Length of a message without extensions and authentication.
const HEADER_LEN: usize = 48;

/// The format has no mark of its own, and no other port either.
pub(super) fn parse(datagram: &Datagram<'_>, _facts: &mut FrameFacts<'_>) -> bool {
    let payload = datagram.payload;
    let ports = [datagram.source_port, datagram.destination_port];
    let [first, stratum, ..] = *payload else {
        return false;
    };
    let (version, mode) = (first >> 3 & 7, first & 7);
    // Symmetric, client, server, broadcast; control and private messages are of versions 2 and up.
    let of_time = matches!(mode, 1..=5) && payload.len() >= HEADER_LEN && stratum <= 16;
    let of_control = matches!(mode, 6 | 7) && version >= 2 && payload.len() >= 8;
    ports.contains(&PORT)
        && (1..=4).contains(&version)
        && payload.len().is_multiple_of(4)
        && (of_time || of_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    #[test]
    fn a_message_about_time_is_known_by_form_and_port() {
        let mut query = [0; 48];
        query[0] = 0x1b;
        let told = hear_datagram(parse, &datagram(&query, 3072, PORT));
        assert_eq!(told, Some(vec![]));
        datagram_withstands(parse, &datagram(&query, 3072, PORT));
        assert_eq!(hear_datagram(parse, &datagram(&query, 3072, 124)), None);
        assert_eq!(
            hear_datagram(parse, &datagram(&[0x1b; 48], 3072, PORT)),
            None
        );
        assert_eq!(
            hear_datagram(parse, &datagram(&query[..47], 3072, PORT)),
            None
        );
    }
}
