//! Whether a journal is whole: every record as it was written, in its place, none gone.

use core::fmt;
use std::collections::BTreeSet;
use std::io::{self, BufRead, Read as _};

use ed25519_dalek::VerifyingKey;

use super::record::{Broken, Head, Record, Sealed};

/// Longest line that can be a record, in bytes.
const LINE_MAX: u64 = 16 * 1_024;
/// Faults listed; a journal with more of them is no better for the list.
const FAULTS: usize = 32;

/// What is wrong with a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What stands where a record should is not what was written.
    Altered {
        /// The record's number by its place.
        sequence: u64,
    },
    /// A record that the box did not sign.
    Forged {
        /// The record's number by its place.
        sequence: u64,
    },
    /// Records are gone.
    Missing {
        /// The first one.
        first: u64,
        /// The last one in a row.
        last: u64,
    },
    /// A record does not stand in its place.
    Moved {
        /// Its number.
        sequence: u64,
        /// The line it stands on.
        line: u64,
    },
    /// A record stands there twice.
    Repeated {
        /// Its number.
        sequence: u64,
        /// The line of the second one.
        line: u64,
    },
    /// A record does not belong to the one before it: it comes from another journal, or from a
    /// copy that went on differently.
    Unlinked {
        /// Its number.
        sequence: u64,
    },
    /// What says where the journal ends is gone, altered or not signed by the box.
    NoHead,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered { sequence } => write!(f, "record {sequence} was altered"),
            Self::Forged { sequence } => write!(f, "record {sequence} was not signed by this box"),
            Self::Missing { first, last } if first == last => {
                write!(f, "record {first} is missing")
            }
            Self::Missing { first, last } => write!(f, "records {first} to {last} are missing"),
            Self::Moved { sequence, line } => {
                write!(f, "record {sequence} was moved to line {line}")
            }
            Self::Repeated { sequence, line } => {
                write!(f, "record {sequence} stands again on line {line}")
            }
            Self::Unlinked { sequence } => {
                write!(f, "record {sequence} does not follow the one before it")
            }
            Self::NoHead => f.write_str("what says where the journal ends is missing or altered"),
        }
    }
}

/// A journal that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// All records.
    pub records: Vec<Record>,
    /// The end of the journal. It may lie one record behind the one that is kept beside the
    /// journal when a crash came in between.
    pub head: Head,
    /// Bytes of the whole records.
    pub bytes: u64,
    /// Bytes after that: a record that was being written when the power failed, and that nobody
    /// was told was written.
    pub torn_bytes: u64,
}

/// Why a journal is not used.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error("the journal cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is not whole.
    #[error("the journal is not as this box wrote it: {}", list(.0))]
    Faults(Vec<Fault>),
}

fn list(faults: &[Fault]) -> String {
    let sentences: Vec<String> = faults.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}

/// Checks a journal against the key of the box and the end it must at least reach.
///
/// # Errors
/// When it cannot be read, and with what is wrong when it is not whole.
pub fn verify(
    journal: impl BufRead,
    key: &VerifyingKey,
    end: &Head,
) -> Result<Verified, VerifyError> {
    let Lines {
        mut lines,
        mut bytes,
        mut torn_bytes,
        last_bytes,
    } = read(journal, key)?;
    // Pages reach the disk in any order: the line may have its end and not its beginning.
    let unacknowledged = lines.len() as u64 > end.sequence;
    if unacknowledged && lines.pop_if(|last| last.is_err()).is_some() {
        bytes -= last_bytes;
        torn_bytes += last_bytes;
    }
    let mut check = Check::new(key, &lines);
    for (line, number) in lines.iter().zip(1..) {
        check.line(line, number);
    }
    check.end(end);
    if !check.faults.is_empty() {
        check.faults.truncate(FAULTS);
        return Err(VerifyError::Faults(check.faults));
    }
    let head = check.head;
    Ok(Verified {
        records: lines.into_iter().flatten().map(|s| s.content).collect(),
        head,
        bytes,
        torn_bytes,
    })
}

type Line = Result<Sealed<Record>, Broken>;

struct Lines {
    /// Those that have an end.
    lines: Vec<Line>,
    /// How long they are together.
    bytes: u64,
    /// How long the last of them is.
    last_bytes: u64,
    /// What comes after them.
    torn_bytes: u64,
}

fn read(mut journal: impl BufRead, key: &VerifyingKey) -> io::Result<Lines> {
    let mut read = Lines {
        lines: Vec::new(),
        bytes: 0,
        last_bytes: 0,
        torn_bytes: 0,
    };
    loop {
        let mut line = Vec::new();
        let mut length = (&mut journal).take(LINE_MAX).read_until(b'\n', &mut line)? as u64;
        let too_long = length == LINE_MAX && line.last() != Some(&b'\n');
        let mut ended = line.last() == Some(&b'\n');
        if too_long {
            (length, ended) = skip(&mut journal, length)?;
        }
        if !ended {
            read.torn_bytes = length;
            return Ok(read);
        }
        line.pop();
        read.lines.push(if too_long {
            Err(Broken::Altered)
        } else {
            Sealed::read(&line, key)
        });
        read.bytes += length;
        read.last_bytes = length;
    }
}

/// Passes over the rest of a line: its length, and whether it has an end.
fn skip(journal: &mut impl BufRead, mut length: u64) -> io::Result<(u64, bool)> {
    loop {
        let buffer = journal.fill_buf()?;
        if buffer.is_empty() {
            return Ok((length, false));
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let passed = end.map_or(buffer.len(), |at| at + 1);
        journal.consume(passed);
        length += passed as u64;
        if end.is_some() {
            return Ok((length, true));
        }
    }
}

struct Check {
    faults: Vec<Fault>,
    /// Numbers of all records that are as the box wrote them.
    present: BTreeSet<u64>,
    seen: BTreeSet<u64>,
    /// The last record, or the beginning.
    head: Head,
    expected: u64,
    /// Digests by number, for the end that must be there.
    digests: Vec<Head>,
}

impl Check {
    fn new(key: &VerifyingKey, lines: &[Line]) -> Self {
        let intact = lines.iter().flatten();
        let head = Head::beginning(key);
        Self {
            faults: Vec::new(),
            present: intact.map(|sealed| sealed.content.sequence).collect(),
            seen: BTreeSet::new(),
            head,
            expected: 1,
            digests: vec![head],
        }
    }

    fn line(&mut self, line: &Line, number: u64) {
        let sealed = match line {
            Ok(sealed) => sealed,
            Err(broken) => {
                let sequence = self.expected;
                self.faults.push(match broken {
                    Broken::Altered => Fault::Altered { sequence },
                    Broken::Forged => Fault::Forged { sequence },
                });
                self.expected = sequence.saturating_add(1);
                return;
            }
        };
        let record = &sealed.content;
        let sequence = record.sequence;
        if !self.seen.insert(sequence) {
            let line = number;
            self.faults.push(Fault::Repeated { sequence, line });
            return;
        }
        self.place(sequence, number);
        let follows = self.head.sequence.checked_add(1) == Some(sequence);
        if follows && record.previous != self.head.digest {
            self.faults.push(Fault::Unlinked { sequence });
        }
        self.head = Head {
            sequence,
            digest: sealed.digest,
        };
        self.digests.push(self.head);
    }

    /// A record must stand where its number says.
    fn place(&mut self, sequence: u64, line: u64) {
        let expected = self.expected;
        self.expected = expected.max(sequence.saturating_add(1));
        if sequence == expected {
            return;
        }
        let gone = sequence > expected && self.present.range(expected..sequence).next().is_none();
        self.faults.push(if gone {
            Fault::Missing {
                first: expected,
                last: sequence - 1,
            }
        } else {
            Fault::Moved { sequence, line }
        });
    }

    /// The end that is known must be there.
    fn end(&mut self, end: &Head) {
        if end.sequence >= self.expected {
            self.faults.push(Fault::Missing {
                first: self.expected,
                last: end.sequence,
            });
        }
        let there = self.digests.iter().find(|d| d.sequence == end.sequence);
        if there.is_some_and(|there| there.digest != end.digest) {
            let sequence = end.sequence;
            self.faults.push(Fault::Unlinked { sequence });
        }
    }
}
