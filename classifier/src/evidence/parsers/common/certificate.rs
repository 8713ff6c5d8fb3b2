//! The subject of an X.509 certificate (RFC 5280): only common name, organisation and unit, which
//! name a device or who made it.

use super::{ber, private};

/// Attributes under 2.5.4, by their last number.
const ATTRIBUTES: [(u8, &str); 3] = [(COMMON_NAME, "CN"), (10, "O"), (11, "OU")];
const COMMON_NAME: u8 = 3;
const BMP_STRING: u8 = 0x1e;
/// Most attributes looked at.
const ATTRIBUTES_MAX: usize = 32;

/// `CN=…, O=…` of whom the certificate is about. `None` when nothing of it is there.
pub(super) fn subject(mut certificate: &[u8]) -> Option<String> {
    let mut certificate = ber::expect(&mut certificate, ber::SEQUENCE)?;
    let mut fields = ber::expect(&mut certificate, ber::SEQUENCE)?;
    let _version = ber::expect(&mut fields, ber::context(0));
    let _serial = ber::expect(&mut fields, ber::INTEGER)?;
    let _signature = ber::expect(&mut fields, ber::SEQUENCE)?;
    let _issuer = ber::expect(&mut fields, ber::SEQUENCE)?;
    let _validity = ber::expect(&mut fields, ber::SEQUENCE)?;
    let mut names = ber::expect(&mut fields, ber::SEQUENCE)?;
    let mut parts = Vec::new();
    while let Some(mut set) = ber::expect(&mut names, ber::SET) {
        while let Some(attribute) = ber::expect(&mut set, ber::SEQUENCE) {
            if parts.len() == ATTRIBUTES_MAX {
                return None;
            }
            parts.extend(part(attribute));
        }
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn part(mut attribute: &[u8]) -> Option<String> {
    let [0x55, 4, number] = ber::expect(&mut attribute, ber::OBJECT_IDENTIFIER)? else {
        return None;
    };
    let (_, name) = ATTRIBUTES.iter().find(|(known, _)| known == number)?;
    let (kind, value) = ber::next(&mut attribute)?;
    let text = match kind {
        BMP_STRING => {
            let (units, _) = value.as_chunks();
            String::from_utf16_lossy(
                &units
                    .iter()
                    .map(|u| u16::from_be_bytes(*u))
                    .collect::<Vec<_>>(),
            )
        }
        _ => String::from_utf8_lossy(value).into_owned(),
    };
    let text = private::without_addresses(text.as_bytes());
    let of_somebody = *number == COMMON_NAME && is_somebody(&text);
    (!text.is_empty() && !of_somebody).then(|| format!("{name}={text}"))
}

/// Whether a common name is one of people: words of letters alone. Hosts have no blanks, and models
/// have numbers.
fn is_somebody(name: &str) -> bool {
    let of_people = |c: char| c.is_alphabetic() || " .,'-".contains(c);
    name.contains(' ') && name.chars().all(of_people)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const SUBJECT: &str = "O=ACME Medical, CN=pump-7.ward.example";

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        match u8::try_from(content.len()).unwrap() {
            len @ ..=0x7f => [&[tag, len], content].concat(),
            len => [&[tag, 0x81, len], content].concat(),
        }
    }

    fn name(attribute: &[u8], kind: u8, text: &[u8]) -> Vec<u8> {
        let pair = [value(ber::OBJECT_IDENTIFIER, attribute), value(kind, text)].concat();
        value(ber::SET, &value(ber::SEQUENCE, &pair))
    }

    /// The signed part of a certificate, in its frame.
    pub(in super::super) fn certificate() -> Vec<u8> {
        let subject = [
            name(&[0x55, 4, 6], 0x13, b"DE"),
            name(
                &[0x55, 4, 10],
                BMP_STRING,
                b"\0A\0C\0M\0E\0 \0M\0e\0d\0i\0c\0a\0l",
            ),
            name(&[0x55, 4, 3], 0x0c, b"pump-7.ward.example"),
            name(
                b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01",
                0x16,
                b"jo@ward.example",
            ),
        ];
        let fields = [
            value(ber::context(0), &value(ber::INTEGER, &[2])),
            value(ber::INTEGER, &[7]),
            value(ber::SEQUENCE, &[]),
            value(ber::SEQUENCE, &name(&[0x55, 4, 3], 0x0c, b"issuer")),
            value(ber::SEQUENCE, &[]),
            value(ber::SEQUENCE, &subject.concat()),
        ];
        value(ber::SEQUENCE, &value(ber::SEQUENCE, &fields.concat()))
    }

    #[test]
    fn the_subject_names_a_device_and_no_person() {
        assert_eq!(subject(&certificate()).as_deref(), Some(SUBJECT));
    }

    #[test]
    fn a_common_name_that_is_one_of_people_is_left_out() {
        let told = |text: &[u8]| {
            let set = name(&[0x55, 4, COMMON_NAME], 0x0c, text);
            part(&set[4..])
        };
        assert_eq!(told(b"jo@ward.example"), None);
        assert_eq!(told(b"Jane Q. Doe"), None);
        assert_eq!(told(b"MX 450").as_deref(), Some("CN=MX 450"));
    }
}
