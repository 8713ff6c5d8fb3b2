//! Values of ASN.1 in the basic encoding (X.690), as certificates, SNMP, LDAP and Kerberos use it:
//! tags of one byte and lengths that are stated.

use super::wire;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Context tag `n`, constructed.
pub(super) const fn context(n: u8) -> u8 {
    0xa0 | n
}

/// Application tag `n`, constructed.
pub(super) const fn application(n: u8) -> u8 {
    0x60 | n
}

/// Tag and content of the next value. `None` when it is not whole or in another form.
pub(super) fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let mut ahead = *bytes;
    let (tag, len) = header(&mut ahead)?;
    let content = wire::take(&mut ahead, len)?;
    *bytes = ahead;
    Some((tag, content))
}

/// Tag and length of the next value, whose content need not be there.
pub(super) fn header(bytes: &mut &[u8]) -> Option<(u8, usize)> {
    let tag = wire::u8(bytes)?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let len = match wire::u8(bytes)? {
        short @ ..=0x7f => short.into(),
        long @ 0x81..=0x84 => {
            let digits = wire::take(bytes, usize::from(long & 0x7f))?;
            digits
                .iter()
                .fold(0, |len, &digit| len << 8 | usize::from(digit))
        }
        _ => return None,
    };
    Some((tag, len))
}

/// The content of the next value if it has this tag; takes nothing otherwise.
pub(super) fn expect<'a>(bytes: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let mut ahead = *bytes;
    let (found, content) = next(&mut ahead)?;
    (found == tag).then(|| {
        *bytes = ahead;
        content
    })
}

/// The value of a small integer that is not negative.
pub(super) fn small(content: &[u8]) -> Option<u32> {
    let digits = match content {
        [] | [0x80..=0xff, ..] => return None,
        [0, rest @ ..] => rest,
        all => all,
    };
    let fold = |number, &digit: &u8| number << 8 | u32::from(digit);
    (digits.len() <= 4).then(|| digits.iter().fold(0, fold))
}

/// An object identifier in dots. `None` when a number is cut or has more than 32 bits.
pub(super) fn dotted(content: &[u8]) -> Option<String> {
    let mut numbers = Vec::new();
    let mut number: u32 = 0;
    for &byte in content {
        if number > u32::MAX >> 7 {
            return None;
        }
        number = number << 7 | u32::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first);
                number -= first * 40;
            }
            numbers.push(core::mem::take(&mut number));
        }
    }
    let whole = content.last().is_some_and(|last| last & 0x80 == 0);
    let text: Vec<_> = numbers.iter().map(u32::to_string).collect();
    whole.then(|| text.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short_or_long_and_never_believed() {
        let mut bytes: &[u8] = &[0x04, 0x81, 2, 7, 8, 0x04, 0x84, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(next(&mut bytes), Some((OCTET_STRING, &[7, 8][..])));
        assert_eq!(next(&mut bytes), None);
        assert_eq!(next(&mut &[0x04, 0x80, 0, 0][..]), None, "no length stated");
    }

    #[test]
    fn identifiers_are_written_in_dots() {
        let cisco = [0x2b, 6, 1, 4, 1, 9, 1, 0x82, 0x2e];
        assert_eq!(dotted(&cisco).as_deref(), Some("1.3.6.1.4.1.9.1.302"));
        assert_eq!(dotted(&[0x88, 0x37, 1]).as_deref(), Some("2.999.1"));
        assert_eq!(dotted(&[0x2b, 0x82]), None);
        assert_eq!(dotted(&[0xff; 8]), None);
    }

    #[test]
    fn integers_are_small_and_not_negative() {
        assert_eq!(small(&[0, 0xff]), Some(255));
        assert_eq!(small(&[0xff]), None);
        assert_eq!(small(&[1; 5]), None);
    }
}
