//! Numbers and records out of a slice, or nothing where it ends before them.

/// Big-endian, at an offset.
pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    let number = bytes.get(offset..)?.first_chunk()?;
    Some(u16::from_be_bytes(*number))
}

/// Big-endian, at an offset.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let number = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_be_bytes(*number))
}

/// The first `length` bytes and the rest.
pub(super) fn split(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(length)
}

/// Whether what is there of `bytes` is the beginning of `pattern`, or begins with it.
pub(super) fn may_begin(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes
        .iter()
        .zip(pattern)
        .all(|(byte, wanted)| byte == wanted)
}

/// Up to the first zero.
pub(super) fn until_zero(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == 0);
    &bytes[..end.unwrap_or(bytes.len())]
}

/// Whether it is text of printable ASCII characters, and there is some.
pub(super) fn is_printable(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// `name=value`, or nothing without a value.
pub(super) fn named(name: &str, value: &[u8]) -> String {
    let value = String::from_utf8_lossy(value);
    let value = value.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    if value.is_empty() {
        String::new()
    } else {
        format!("{name}={value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_value_says_nothing() {
        assert_eq!(named("model", b" X1\0 "), "model=X1");
        assert_eq!(named("model", b"\0 \r\n"), "");
    }
}
