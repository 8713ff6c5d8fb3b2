//! Messages of the domain name system (RFC 1035), as DNS, mDNS, LLMNR and NetBIOS names share
//! them.

use super::wire;

/// Most bytes of a name on the wire.
const NAME_MAX: usize = 255;
/// Most records read of one message.
const RECORDS_MAX: usize = 128;

pub(super) const TYPE_A: u16 = 1;
pub(super) const TYPE_PTR: u16 = 12;
pub(super) const TYPE_TXT: u16 = 16;
pub(super) const TYPE_AAAA: u16 = 28;
pub(super) const TYPE_NB: u16 = 32;
pub(super) const TYPE_SRV: u16 = 33;

/// A name as its labels, which lie in the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name<'a>(pub(super) Vec<&'a [u8]>);

impl<'a> Name<'a> {
    /// Reads the name at a place and gives the place behind it. A pointer only ever leads further
    /// back, so reading ends.
    pub(super) fn read(message: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let mut labels = Vec::new();
        let (mut at, mut behind, mut reach, mut len) = (at, None, at, 0);
        loop {
            let (&first, _) = message.get(at..)?.split_first()?;
            match first {
                0 => return Some((Self(labels), behind.unwrap_or(at + 1))),
                1..=63 => {
                    let label = message.get(at + 1..at + 1 + usize::from(first))?;
                    len += label.len() + 1;
                    if len > NAME_MAX {
                        return None;
                    }
                    labels.push(label);
                    at += label.len() + 1;
                }
                0xc0.. => {
                    let second = *message.get(at + 1)?;
                    behind = behind.or(Some(at + 2));
                    at = usize::from(u16::from_be_bytes([first & 0x3f, second]));
                    if at >= reach {
                        return None;
                    }
                    reach = at;
                }
                _ => return None,
            }
        }
    }

    /// The labels joined by dots, without the final dot.
    pub(super) fn text(&self) -> String {
        text(&self.0)
    }

    /// Whether the name ends in these labels, whatever their case.
    pub(super) fn ends_with(&self, labels: &[&str]) -> bool {
        self.0.len() >= labels.len()
            && self.0[self.0.len() - labels.len()..]
                .iter()
                .zip(labels)
                .all(|(label, wanted)| label.eq_ignore_ascii_case(wanted.as_bytes()))
    }

    /// Whether it turns an address into a name.
    pub(super) fn is_reverse(&self) -> bool {
        self.ends_with(&["in-addr", "arpa"]) || self.ends_with(&["ip6", "arpa"])
    }
}

/// Labels joined by dots.
pub(super) fn text(labels: &[&[u8]]) -> String {
    let labels: Vec<_> = labels.iter().map(|l| String::from_utf8_lossy(l)).collect();
    labels.join(".")
}

/// A question.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) name: Name<'a>,
    pub(super) kind: u16,
    /// Class, with the top bit that mDNS uses for its own.
    pub(super) class: u16,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// A resource record.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) section: Section,
    pub(super) name: Name<'a>,
    pub(super) kind: u16,
    pub(super) data: &'a [u8],
    /// Where the data begins in the message: names in it may point back.
    pub(super) data_at: usize,
}

/// A message as far as it is whole.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    /// The second 16 bits: response, operation, flags, code.
    pub(super) flags: u16,
    /// Number of questions, answers, authorities and additional records, as the header claims.
    pub(super) counts: [u16; 4],
    pub(super) questions: Vec<Question<'a>>,
    pub(super) records: Vec<Record<'a>>,
}

impl<'a> Message<'a> {
    /// Reads the header and all that follows up to the first thing that is cut or malformed.
    /// `None` when not even the header is there.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut header = bytes;
        let _id = wire::u16(&mut header)?;
        let mut message = Self {
            bytes,
            flags: wire::u16(&mut header)?,
            counts: [0; 4],
            questions: Vec::new(),
            records: Vec::new(),
        };
        for count in &mut message.counts {
            *count = wire::u16(&mut header)?;
        }
        let _cut = message.read_sections(bytes.len() - header.len());
        Some(message)
    }

    fn read_sections(&mut self, mut at: usize) -> Option<()> {
        let [questions, counts @ ..] = self.counts;
        for _ in 0..usize::from(questions).min(RECORDS_MAX) {
            let (name, behind) = Name::read(self.bytes, at)?;
            let mut rest = self.bytes.get(behind..)?;
            self.questions.push(Question {
                name,
                kind: wire::u16(&mut rest)?,
                class: wire::u16(&mut rest)?,
            });
            at = self.bytes.len() - rest.len();
        }
        let sections = [Section::Answer, Section::Authority, Section::Additional];
        for (section, count) in sections.into_iter().zip(counts) {
            for _ in 0..count {
                if self.records.len() == RECORDS_MAX {
                    return None;
                }
                at = self.read_record(section, at)?;
            }
        }
        Some(())
    }

    /// Gives the place behind the record.
    fn read_record(&mut self, section: Section, at: usize) -> Option<usize> {
        let (name, behind) = Name::read(self.bytes, at)?;
        let mut rest = self.bytes.get(behind..)?;
        let kind = wire::u16(&mut rest)?;
        let _class_and_time_to_live = wire::take(&mut rest, 6)?;
        let data = wire::behind_u16(&mut rest)?;
        let end = self.bytes.len() - rest.len();
        self.records.push(Record {
            section,
            name,
            kind,
            data,
            data_at: end - data.len(),
        });
        Some(end)
    }

    pub(super) fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    pub(super) fn operation(&self) -> u16 {
        self.flags >> 11 & 0xf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_lead_back_only() {
        let message = b"\x03www\x00\x01a\xc0\x00\x00\x00\xc0\x0b";
        let (name, behind) = Name::read(message, 5).unwrap();
        assert_eq!((name.text().as_str(), behind), ("a.www", 9));
        assert_eq!(Name::read(message, 11), None, "a pointer to itself");
        assert_eq!(Name::read(b"\xc0\x02\xc0\x00", 0), None, "a circle");
    }

    #[test]
    fn a_name_is_no_longer_than_names_are() {
        let label = [&[63][..], &[b'a'; 63]].concat();
        let long = [label.repeat(4), vec![0]].concat();
        assert_eq!(Name::read(&long, 0), None);
        assert!(Name::read(&long, 64).is_some());
    }
}
