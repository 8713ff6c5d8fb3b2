//! A ClientHello and its fingerprints: JA3 (Salesforce) and JA4 (FoxIO, whose JA4 alone of the
//! JA4+ methods is under a BSD licence).

use md5::Md5;
use sha2::{Digest, Sha256};

use super::wire;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const PROTOCOLS: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

/// A ClientHello. Values a client makes up to keep servers tolerant (GREASE, RFC 8701) are left
/// out everywhere.
#[derive(Debug)]
pub(super) struct Hello<'a> {
    version: u16,
    ciphers: Vec<u16>,
    extensions: Vec<(u16, &'a [u8])>,
}

impl<'a> Hello<'a> {
    /// Reads the body of the message. `None` when it is malformed.
    pub(super) fn read(mut body: &'a [u8]) -> Option<Self> {
        let version = wire::u16(&mut body)?;
        let _random = wire::take(&mut body, 32)?;
        let session = wire::behind_u8(&mut body)?;
        let ciphers = wire::behind_u16(&mut body)?;
        let compressions = wire::behind_u8(&mut body)?;
        if version >> 8 != 3 || session.len() > 32 || compressions.is_empty() {
            return None;
        }
        let mut extensions = Vec::new();
        // Old clients have none, not even the length.
        if !body.is_empty() {
            let mut list = wire::behind_u16(&mut body)?;
            while !list.is_empty() {
                let kind = wire::u16(&mut list)?;
                extensions.push((kind, wire::behind_u16(&mut list)?));
            }
        }
        extensions.retain(|(kind, _)| !is_grease(*kind));
        Some(Self {
            version,
            ciphers: numbers(ciphers),
            extensions,
        })
    }

    fn extension(&self, kind: u16) -> Option<&'a [u8]> {
        let found = self.extensions.iter().find(|(other, _)| *other == kind);
        found.map(|(_, value)| *value)
    }

    /// Numbers behind their length of two bytes.
    fn list(&self, kind: u16) -> Vec<u16> {
        let value = self.extension(kind).unwrap_or_default();
        numbers(wire::behind_u16(&mut &*value).unwrap_or_default())
    }

    /// The host the client wants to talk to (RFC 6066).
    pub(super) fn server_name(&self) -> Option<&'a [u8]> {
        let mut list = wire::behind_u16(&mut self.extension(SERVER_NAME)?)?;
        let host_name = wire::u8(&mut list)? == 0;
        let name = wire::behind_u16(&mut list)?;
        (host_name && !name.is_empty()).then_some(name)
    }

    /// The first protocol offered (RFC 7301).
    pub(super) fn protocol(&self) -> Option<&'a [u8]> {
        let mut list = wire::behind_u16(&mut self.extension(PROTOCOLS)?)?;
        wire::behind_u8(&mut list).filter(|protocol| !protocol.is_empty())
    }

    /// The digest of version, ciphers, extensions, groups and point formats, in order.
    pub(super) fn ja3(&self) -> String {
        let kinds: Vec<u16> = self.extensions.iter().map(|(kind, _)| *kind).collect();
        let formats = self.extension(POINT_FORMATS).unwrap_or_default();
        let formats = wire::behind_u8(&mut &*formats).unwrap_or_default();
        let formats: Vec<u16> = formats.iter().map(|&format| format.into()).collect();
        let text = format!(
            "{},{},{},{},{}",
            self.version,
            join(&self.ciphers, "-", |number| number.to_string()),
            join(&kinds, "-", |number| number.to_string()),
            join(&self.list(SUPPORTED_GROUPS), "-", |number| number
                .to_string()),
            join(&formats, "-", |number| number.to_string()),
        );
        hex(&Md5::digest(text))
    }

    /// The readable part, which begins with `t` for TCP, and two shortened digests.
    pub(super) fn ja4(&self) -> String {
        let to_name = match self.extension(SERVER_NAME) {
            Some(_) => 'd',
            None => 'i',
        };
        format!(
            "t{}{to_name}{:02}{:02}{}_{}_{}",
            self.ja4_version(),
            self.ciphers.len().min(99),
            self.extensions.len().min(99),
            self.ja4_protocol(),
            self.ja4_ciphers(),
            self.ja4_extensions(),
        )
    }

    /// The highest version offered.
    fn ja4_version(&self) -> &'static str {
        let offered = self.extension(SUPPORTED_VERSIONS).unwrap_or_default();
        let offered = numbers(wire::behind_u8(&mut &*offered).unwrap_or_default());
        match offered.into_iter().max().unwrap_or(self.version) {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            _ => "00",
        }
    }

    /// First and last character of the first protocol; if one of them is neither letter nor digit,
    /// first and last hexadecimal digit of it.
    fn ja4_protocol(&self) -> String {
        let protocol = self.protocol().unwrap_or_default();
        let (Some(&first), Some(&last)) = (protocol.first(), protocol.last()) else {
            return "00".to_owned();
        };
        if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
            return [first, last].map(char::from).iter().collect();
        }
        format!("{:x}{:x}", first >> 4, last & 0xf)
    }

    fn ja4_ciphers(&self) -> String {
        let mut ciphers = self.ciphers.clone();
        ciphers.sort_unstable();
        shortened(&join(&ciphers, ",", four_digits))
    }

    /// All extensions but those whose presence the readable part shows, sorted, and the signature
    /// algorithms in order.
    fn ja4_extensions(&self) -> String {
        let kinds = self.extensions.iter().map(|(kind, _)| *kind);
        let mut kinds: Vec<u16> = kinds
            .filter(|k| ![SERVER_NAME, PROTOCOLS].contains(k))
            .collect();
        kinds.sort_unstable();
        let mut text = join(&kinds, ",", four_digits);
        let algorithms = self.list(SIGNATURE_ALGORITHMS);
        if !algorithms.is_empty() {
            text.push('_');
            text.push_str(&join(&algorithms, ",", four_digits));
        }
        shortened(&text)
    }
}

/// Numbers of two bytes, without the made-up ones.
fn numbers(bytes: &[u8]) -> Vec<u16> {
    let (pairs, _) = bytes.as_chunks();
    let numbers = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    numbers.filter(|number| !is_grease(*number)).collect()
}

/// Both bytes the same and ending in `a` (RFC 8701).
fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

fn join(numbers: &[u16], by: &str, write: impl Fn(&u16) -> String) -> String {
    numbers.iter().map(write).collect::<Vec<_>>().join(by)
}

fn four_digits(number: &u16) -> String {
    format!("{number:04x}")
}

/// The first twelve digits of a SHA-256; zeros for nothing.
fn shortened(text: &str) -> String {
    match text {
        "" => "0".repeat(12),
        _ => hex(&Sha256::digest(text)[..6]),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A value behind its length of two bytes.
    fn behind(value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(value.len()).unwrap();
        [&len.to_be_bytes()[..], value].concat()
    }

    fn bytes(numbers: &[u16]) -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    }

    /// The body of a ClientHello of version 1.2.
    pub(in super::super) fn body(ciphers: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let list: Vec<u8> = extensions
            .iter()
            .flat_map(|(kind, value)| [bytes(&[*kind]), behind(value)].concat())
            .collect();
        [
            &[3, 3][..],
            &[7; 32],
            &[0],
            &behind(&bytes(ciphers)),
            &[1, 0],
            &behind(&list),
        ]
        .concat()
    }

    /// What Chrome 143 sends, as browserleaks.com publishes it, with GREASE at all its places.
    pub(in super::super) fn chrome() -> Vec<u8> {
        let ciphers = [
            0x4a4a, 4865, 4866, 4867, 49195, 49199, 49196, 49200, 52393, 52392, 49171, 49172, 156,
            157, 47, 53,
        ];
        let value = |kind: u16| match kind {
            SERVER_NAME => behind(&[&[0][..], &behind(b"tls.example.com")].concat()),
            SUPPORTED_GROUPS => behind(&bytes(&[0xeaea, 4588, 29, 23, 24])),
            POINT_FORMATS => vec![1, 0],
            SIGNATURE_ALGORITHMS => behind(&bytes(&[
                0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
            ])),
            PROTOCOLS => behind(b"\x02h2\x08http/1.1"),
            SUPPORTED_VERSIONS => [&[6][..], &bytes(&[0x1a1a, 0x0304, 0x0303])].concat(),
            _ => vec![],
        };
        let kinds = [
            0x5a5a, 45, 51, 16, 65037, 23, 17613, 0, 11, 10, 43, 65281, 35, 18, 5, 13, 27, 0xbaba,
        ];
        let extensions: Vec<_> = kinds.iter().map(|&kind| (kind, value(kind))).collect();
        body(&ciphers, &extensions)
    }

    #[test]
    fn a_browser_has_the_fingerprints_others_publish_of_it() {
        let body = chrome();
        let hello = Hello::read(&body).unwrap();
        assert_eq!(hello.ja3(), "98487aa16281980e7d1120d399efb6a4");
        assert_eq!(hello.ja4(), "t13d1516h2_8daaf6152771_d8a2da3f94cd");
        assert_eq!(hello.server_name(), Some(&b"tls.example.com"[..]));
        assert_eq!(hello.protocol(), Some(&b"h2"[..]));
    }

    /// The example of FoxIO's own description.
    #[test]
    fn the_example_of_the_method_gives_its_result() {
        let ciphers = [
            0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
            0x009c, 0x009d, 0x002f, 0x0035,
        ];
        let algorithms = [
            0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
        ];
        let extensions: Vec<(u16, Vec<u8>)> = [
            0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012,
            0x002b, 0xff01, 0x000b, 0x000a, 0x0015,
        ]
        .iter()
        .map(|&kind| match kind {
            SIGNATURE_ALGORITHMS => (kind, behind(&bytes(&algorithms))),
            PROTOCOLS => (kind, behind(b"\x02h2")),
            SUPPORTED_VERSIONS => (kind, vec![2, 3, 4]),
            _ => (kind, vec![]),
        })
        .collect();
        let body = body(&ciphers, &extensions);
        let ja4 = Hello::read(&body).unwrap().ja4();
        assert_eq!(ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn what_is_absent_is_written_as_zeros() {
        let old = body(&[], &[]);
        let hello = Hello::read(&old[..old.len() - 2]).unwrap();
        assert_eq!(hello.ja4(), "t12i000000_000000000000_000000000000");
        let odd = body(&[0x0a0a], &[(PROTOCOLS, behind(b"\x03\xab-\xcd"))]);
        let hello = Hello::read(&odd).unwrap();
        assert!(hello.ja4().starts_with("t12i0001ad_000000000000_"));
    }

    #[test]
    fn a_hello_cut_anywhere_is_none() {
        let whole = chrome();
        for len in 0..whole.len() {
            // Without extensions a hello may end behind its compressions.
            let without_extensions = len == 2 + 32 + 1 + 2 + 32 + 2;
            assert_eq!(Hello::read(&whole[..len]).is_some(), without_extensions);
        }
    }
}
