//! Reading from the front of a slice. Everything is `None` when the slice is too short, and takes
//! nothing then.

/// The next `len` bytes.
pub(super) fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    bytes.split_off(..len)
}

/// The next `N` bytes.
pub(super) fn array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// One byte.
pub(super) fn u8(bytes: &mut &[u8]) -> Option<u8> {
    array(bytes).map(|[byte]| byte)
}

/// Two bytes, network order.
pub(super) fn u16(bytes: &mut &[u8]) -> Option<u16> {
    array(bytes).map(u16::from_be_bytes)
}

/// Three bytes, network order.
pub(super) fn u24(bytes: &mut &[u8]) -> Option<u32> {
    array(bytes).map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
}

/// Four bytes, network order.
pub(super) fn u32(bytes: &mut &[u8]) -> Option<u32> {
    array(bytes).map(u32::from_be_bytes)
}

/// Two bytes, least first.
pub(super) fn u16_le(bytes: &mut &[u8]) -> Option<u16> {
    array(bytes).map(u16::from_le_bytes)
}

/// Four bytes, least first.
pub(super) fn u32_le(bytes: &mut &[u8]) -> Option<u32> {
    array(bytes).map(u32::from_le_bytes)
}

/// What stands behind its length of one byte.
pub(super) fn behind_u8<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut ahead = *bytes;
    let len = u8(&mut ahead)?;
    let value = take(&mut ahead, usize::from(len))?;
    *bytes = ahead;
    Some(value)
}

/// What stands behind its length of two bytes, network order.
pub(super) fn behind_u16<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut ahead = *bytes;
    let len = u16(&mut ahead)?;
    let value = take(&mut ahead, usize::from(len))?;
    *bytes = ahead;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_short_is_left_alone() {
        let mut bytes: &[u8] = &[0, 3, b'a', b'b'];
        assert_eq!(behind_u16(&mut bytes), None);
        assert_eq!(u24(&mut bytes), Some(0x0361));
        assert_eq!(u16(&mut bytes), None);
        assert_eq!(bytes, b"b");
    }
}
