//! QUIC (RFC 9000, 9369): known by the long header of its first packets. What is in them is
//! encrypted.

use super::super::super::{Datagram, FrameFacts};
use super::wire;

/// Long header and the bit that is always set.
const LONG_HEADER: u8 = 0xc0;
const VERSION_1: u32 = 1;
const VERSION_2: u32 = 0x6b33_43cf;
/// From Q046 on Google's own QUIC had the same header: `Q` and three digits.
const GOOGLE: core::ops::RangeInclusive<u32> =
    u32::from_be_bytes(*b"Q046")..=u32::from_be_bytes(*b"Q059");
/// Drafts of version 1.
const DRAFTS: core::ops::RangeInclusive<u32> = 0xff00_0017..=0xff00_0022;
const CONNECTION_ID_MAX: usize = 20;
/// The first datagram of a client is at least this long.
const INITIAL_MIN: usize = 1_200;

pub(super) fn parse(datagram: &Datagram<'_>, _facts: &mut FrameFacts<'_>) -> bool {
    is_long_header(datagram.payload).unwrap_or(false)
}

fn is_long_header(payload: &[u8]) -> Option<bool> {
    let mut rest = payload;
    let first = wire::u8(&mut rest)?;
    let version = wire::u32(&mut rest)?;
    let known = [VERSION_1, VERSION_2].contains(&version) || DRAFTS.contains(&version);
    if first & LONG_HEADER != LONG_HEADER || !(known || GOOGLE.contains(&version)) {
        return Some(false);
    }
    if GOOGLE.contains(&version) {
        // Both lengths of identifiers share one byte.
        return Some(rest.len() > 1 + 8);
    }
    let destination = wire::behind_u8(&mut rest)?;
    let source = wire::behind_u8(&mut rest)?;
    let short = [destination, source]
        .iter()
        .all(|id| id.len() <= CONNECTION_ID_MAX);
    let initial = first >> 4 & 3 == u8::from(version == VERSION_2);
    Some(short && !rest.is_empty() && (!initial || payload.len() >= INITIAL_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    #[test]
    fn the_first_packet_is_known_by_version_and_length() {
        let mut initial = vec![0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0];
        assert_eq!(hear_datagram(parse, &datagram(&initial, 40_000, 443)), None);
        initial.resize(INITIAL_MIN, 0);
        assert!(hear_datagram(parse, &datagram(&initial, 40_000, 8443)).is_some());
        datagram_withstands(parse, &datagram(&initial, 40_000, 443));
        initial[4] = 9;
        assert_eq!(hear_datagram(parse, &datagram(&initial, 40_000, 443)), None);
    }
}
