//! TFTP (RFC 1350): the file a device asks for, which names its boot loader or its firmware.

use super::super::super::{Datagram, FrameFacts};
use super::private;
use crate::Field;

const READ: u8 = 1;
const WRITE: u8 = 2;
const MODES: [&str; 3] = ["octet", "netascii", "mail"];

pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let Some((file, mode)) = request(datagram.payload) else {
        return false;
    };
    let known = MODES
        .iter()
        .any(|known| mode.eq_ignore_ascii_case(known.as_bytes()));
    let printable = file
        .iter()
        .all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    if !known || !printable {
        return false;
    }
    let file = private::path(file);
    facts.sender(Field::VendorDiscovery, &format!("tftp.file={file}"));
    true
}

/// File and mode, each of which ends in a zero.
fn request(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0, READ | WRITE, rest @ ..] = payload else {
        return None;
    };
    let mut strings = rest.splitn(3, |&byte| byte == 0);
    let (file, mode) = (strings.next()?, strings.next()?);
    let _zero_behind_mode = strings.next()?;
    (!file.is_empty()).then_some((file, mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    #[test]
    fn the_file_asked_for_is_told() {
        let request = b"\0\x01/update.sh\0octet\0tsize\x000\0";
        let whole = datagram(request, 3072, 69);
        let said = hear_datagram(parse, &whole).unwrap();
        assert_eq!(
            said,
            [sender(Field::VendorDiscovery, "tftp.file=/update.sh")]
        );
        datagram_withstands(parse, &whole);
        assert_eq!(
            hear_datagram(parse, &datagram(b"\0\x01a\0b\0", 3072, 69)),
            None
        );
    }
}
