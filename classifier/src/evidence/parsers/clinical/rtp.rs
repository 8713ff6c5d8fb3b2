//! RTP (RFC 3550): that sound or pictures flow. Its header is short, so only what leaves little
//! doubt is taken for it.

use crate::evidence::{Datagram, FrameFacts};

/// Version 2 without padding, extension or contributing sources.
const FIRST: u8 = 0x80;
const MARKER: u8 = 0x80;
const HEADER: usize = 12;
/// G.711, both laws, in packets of 10, 20, 30 or 40 ms.
const PLAIN_SOUND: [u8; 2] = [0, 8];
const PLAIN_LENGTHS: [usize; 4] = [80, 160, 240, 320];
/// Types agreed for the session, as pictures have them.
const DYNAMIC: core::ops::RangeInclusive<u8> = 96..=127;
const MIN_PICTURE: usize = 400;
const FIRST_FREE_PORT: u16 = 1024;

/// Parser of datagrams.
pub(super) fn parse(datagram: &Datagram<'_>, _: &mut FrameFacts<'_>) -> bool {
    let free = datagram.source_port.min(datagram.destination_port) >= FIRST_FREE_PORT;
    let [FIRST, second, ..] = datagram.payload else {
        return false;
    };
    let kind = second & !MARKER;
    let length = datagram.payload.len().saturating_sub(HEADER);
    let sound = PLAIN_SOUND.contains(&kind) && PLAIN_LENGTHS.contains(&length);
    let pictures = DYNAMIC.contains(&kind) && length >= MIN_PICTURE;
    free && (sound || pictures)
}

#[cfg(test)]
mod tests {
    use super::super::testing::ask_datagram;
    use super::*;

    #[test]
    fn sound_and_pictures_are_known_and_little_else() {
        let packet = |second: u8, length: usize| {
            let mut bytes = vec![0; HEADER + length];
            bytes[..2].copy_from_slice(&[FIRST, second]);
            ask_datagram(parse, [16_384, 16_384], false, &bytes).is_some()
        };
        assert!(packet(0, 160) && packet(MARKER | 8, 160) && packet(96, 1_400));
        assert!(!packet(0, 161) && !packet(50, 160) && !packet(96, 100));
        let question = b"\x80\x00\x00\x01\x00\x00\x00\x00";
        assert_eq!(ask_datagram(parse, [137, 137], true, question), None);
    }
}
