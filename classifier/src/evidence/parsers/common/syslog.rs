//! Syslog over UDP (RFC 3164, 5424), known by the priority it begins with. Logs tell of people, so
//! nothing of them is told.

use super::super::super::{Datagram, FrameFacts};

/// The highest priority: facility 23, severity 7.
const PRIORITY_MAX: u16 = 191;
const MONTHS: [&[u8]; 12] = [
    b"Jan ", b"Feb ", b"Mar ", b"Apr ", b"May ", b"Jun ", b"Jul ", b"Aug ", b"Sep ", b"Oct ",
    b"Nov ", b"Dec ",
];
const PORT: u16 = 514;

pub(super) fn parse(datagram: &Datagram<'_>, _facts: &mut FrameFacts<'_>) -> bool {
    let Some(text) = behind_priority(datagram.payload) else {
        return false;
    };
    // Version 1, or a month; many devices leave out either and are known by the port as well.
    text.starts_with(b"1 ")
        || MONTHS.iter().any(|month| text.starts_with(month))
        || (datagram.destination_port == PORT && text.first().is_some_and(u8::is_ascii_graphic))
}

fn behind_priority(payload: &[u8]) -> Option<&[u8]> {
    let rest = payload.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|&byte| byte == b'>')?;
    let priority: u16 = core::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    let digits = rest[..end].iter().all(u8::is_ascii_digit);
    (digits && priority <= PRIORITY_MAX).then(|| &rest[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    #[test]
    fn a_log_is_known_and_kept() {
        for log in [
            &b"<34>Oct 11 22:14:15 ward su: failed for anna"[..],
            b"<165>1 2003-10-11T22:14:15.003Z ward app - - -",
        ] {
            assert_eq!(
                hear_datagram(parse, &datagram(log, 40_000, 5140)),
                Some(vec![])
            );
        }
        let bare = b"<13>alarm";
        assert_eq!(
            hear_datagram(parse, &datagram(bare, 40_000, 514)),
            Some(vec![])
        );
        assert_eq!(hear_datagram(parse, &datagram(bare, 40_000, 9999)), None);
        let xml = b"<param><code value=\"1300\" /></param>";
        assert_eq!(hear_datagram(parse, &datagram(xml, 40_000, 514)), None);
        assert_eq!(
            hear_datagram(parse, &datagram(b"<192>x", 40_000, 514)),
            None
        );
    }
}
