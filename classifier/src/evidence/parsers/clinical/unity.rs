//! A monitoring network of broadcasts: each node announces its unit and room ("RWHAT", UDP 7000),
//! the central one the time (UDP 2000). Published are only ports, lengths and these places.

use super::bytes::{is_printable, until_zero};
use crate::Field;
use crate::evidence::{Datagram, FrameFacts};

const ANNOUNCE: u16 = 7000;
const TIME: u16 = 2000;
/// Where `unit|room` begins, and most bytes of it.
const LABEL: usize = 24;
const LABEL_LEN: usize = 32;
const TIME_LEN: usize = 106;

/// Parser of datagrams: the announcement.
pub(super) fn parse_announcement(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    if !datagram.to_group || datagram.destination_port != ANNOUNCE {
        return false;
    }
    let label = datagram.payload.get(LABEL..).unwrap_or_default();
    let label = until_zero(&label[..label.len().min(LABEL_LEN)]);
    if !is_printable(label) || label.iter().filter(|&&byte| byte == b'|').count() != 1 {
        return false;
    }
    facts.sender_bytes(Field::Rwhat, label);
    true
}

/// Parser of datagrams: the time, which only the node that leads sends.
pub(super) fn parse_time(datagram: &Datagram<'_>, _: &mut FrameFacts<'_>) -> bool {
    datagram.to_group && datagram.destination_port == TIME && datagram.payload.len() == TIME_LEN
}

#[cfg(test)]
mod tests {
    use super::super::testing::ask_datagram;
    use super::*;

    fn announcement(label: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 64];
        packet[6..10].copy_from_slice(&[126, 32, 0, 129]);
        packet[LABEL..LABEL + label.len()].copy_from_slice(label);
        packet
    }

    #[test]
    fn an_announcement_tells_unit_and_room() {
        let packet = announcement(b"ICU|BED12");
        let told = ask_datagram(parse_announcement, [1024, ANNOUNCE], true, &packet);
        assert_eq!(told.unwrap(), ["sender rwhat.announcement ICU|BED12"]);
    }

    #[test]
    fn what_is_not_broadcast_or_has_no_label_is_something_else() {
        let packet = announcement(b"ICU|BED12");
        assert_eq!(
            ask_datagram(parse_announcement, [1024, ANNOUNCE], false, &packet),
            None
        );
        assert_eq!(
            ask_datagram(parse_announcement, [1024, 7001], true, &packet),
            None
        );
        let packet = announcement(b"ICU BED12");
        assert_eq!(
            ask_datagram(parse_announcement, [1024, ANNOUNCE], true, &packet),
            None
        );
    }

    #[test]
    fn the_time_is_known_by_its_length() {
        assert_eq!(
            ask_datagram(parse_time, [1024, TIME], true, &[0; TIME_LEN]),
            Some(vec![])
        );
        assert_eq!(
            ask_datagram(parse_time, [1024, TIME], true, &[0; 105]),
            None
        );
    }
}
