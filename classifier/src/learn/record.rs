//! What a person said of a device, as it is written down: one line of JSON, chained to the line
//! before it by its digest and signed with the key of the box.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use wardline_policy::DeviceKey;

use super::digest::{Digest, hex};
use crate::Role;

/// Most bytes of a name and of a reason; longer ones are cut at a character.
const WHO_MAX: usize = 128;
const REASON_MAX: usize = 1_024;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// The device has the role it was said to have.
    Confirm {
        /// The device.
        device: DeviceKey,
        /// Its role.
        role: Role,
    },
    /// The device has another role.
    Correct {
        /// The device.
        device: DeviceKey,
        /// What was said of it; `None`: unknown.
        from: Option<Role>,
        /// What it is.
        to: Role,
    },
    /// A confirmation or correction counts no more.
    Undo {
        /// The number of its record.
        sequence: u64,
    },
    /// What was learnt from the records so far was put to use, or refused.
    Learn {
        /// What was learnt.
        adaptation: Digest,
        /// Whether it is in use.
        accepted: bool,
    },
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its number, from 1 without gaps.
    pub sequence: u64,
    /// When, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Who.
    pub who: String,
    /// What.
    pub action: Action,
    /// Why, in that person's words.
    pub reason: String,
    /// Digest of the evidence that was shown to the person.
    pub evidence: Option<Digest>,
    /// Digest of the record before; of the beginning for the first one.
    pub previous: Digest,
}

/// What a caller says of a record; number and chain are the journal's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// When, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Who.
    pub who: String,
    /// What.
    pub action: Action,
    /// Why, in that person's words.
    pub reason: String,
    /// Digest of the evidence that was shown to the person.
    pub evidence: Option<Digest>,
}

impl Statement {
    pub(crate) fn into_record(self, after: &Head) -> Record {
        Record {
            sequence: after.sequence + 1,
            time_ns: self.time_ns,
            who: tidy(&self.who, WHO_MAX),
            action: self.action,
            reason: tidy(&self.reason, REASON_MAX),
            evidence: self.evidence,
            previous: after.digest,
        }
    }
}

/// The record a journal ends with. Kept beside it, signed, so that a journal that was cut is
/// noticed; whoever keeps a copy elsewhere notices also when both were put back to an older state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Number of the record; 0 before the first one.
    pub sequence: u64,
    /// Its digest.
    pub digest: Digest,
}

impl Head {
    /// The beginning of a box's journal.
    pub fn beginning(key: &VerifyingKey) -> Self {
        Self {
            sequence: 0,
            digest: Digest::of(&[b"wardline journal\n", key.as_bytes()]),
        }
    }
}

/// A document and what proves that the box wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sealed<T> {
    pub(crate) content: T,
    pub(crate) digest: Digest,
    #[serde(with = "hex")]
    signature: [u8; 64],
}

/// What can be sealed: the purpose keeps a signature of one thing from being that of another.
pub(crate) trait Seal: Serialize {
    const PURPOSE: &'static [u8];
}

impl Seal for Record {
    const PURPOSE: &'static [u8] = b"wardline journal record 1\n";
}

impl Seal for Head {
    const PURPOSE: &'static [u8] = b"wardline journal head 1\n";
}

/// Why a line is not what the box wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It cannot be read, or its digest is not that of its content.
    Altered,
    /// The box did not sign it.
    Forged,
}

impl<T: Seal> Sealed<T> {
    pub(crate) fn new(content: T, key: &SigningKey) -> Result<Self, serde_json::Error> {
        let digest = Self::digest(&content)?;
        Ok(Self {
            content,
            digest,
            signature: key.sign(&Self::signed(&digest)).to_bytes(),
        })
    }

    /// One line of compact JSON without its end.
    pub(crate) fn line(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Reads a line as [`Self::line`] wrote it: to the byte, so that no byte can change unseen.
    pub(crate) fn read(line: &[u8], key: &VerifyingKey) -> Result<Self, Broken>
    where
        T: for<'de> Deserialize<'de>,
    {
        let read: Self = serde_json::from_slice(line).map_err(|_| Broken::Altered)?;
        let same = read.line().is_ok_and(|again| again == line);
        let digest = Self::digest(&read.content).map_err(|_| Broken::Altered)?;
        if !same || digest != read.digest {
            return Err(Broken::Altered);
        }
        let signature = Signature::from_bytes(&read.signature);
        let signed = Self::signed(&digest);
        key.verify_strict(&signed, &signature)
            .map_err(|_| Broken::Forged)?;
        Ok(read)
    }

    fn digest(content: &T) -> Result<Digest, serde_json::Error> {
        let json = serde_json::to_vec(content)?;
        Ok(Digest::of(&[T::PURPOSE, &json]))
    }

    fn signed(digest: &Digest) -> Vec<u8> {
        [T::PURPOSE, &digest.0].concat()
    }
}

/// What people's words come to for one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its role.
    pub role: Role,
    /// What was said of it before; `None`: unknown, or it was a confirmation of `role`.
    pub from: Option<Role>,
    /// The record that says so.
    pub sequence: u64,
    /// Digest of the evidence that was shown.
    pub evidence: Option<Digest>,
}

/// What counts of all records: for each device the latest word that was not undone.
pub fn standing(records: &[Record]) -> BTreeMap<DeviceKey, Standing> {
    let undone = undone(records);
    let mut standing = BTreeMap::new();
    for record in records.iter().filter(|r| !undone.contains(&r.sequence)) {
        let (device, from, role) = match record.action {
            Action::Confirm { device, role } => (device, None, role),
            Action::Correct { device, from, to } => (device, from, to),
            Action::Undo { .. } | Action::Learn { .. } => continue,
        };
        let word = Standing {
            role,
            from,
            sequence: record.sequence,
            evidence: record.evidence,
        };
        standing.insert(device, word);
    }
    standing
}

/// Numbers of the records that count no more.
pub(crate) fn undone(records: &[Record]) -> BTreeSet<u64> {
    let target = |record: &Record| match record.action {
        Action::Undo { sequence } => Some(sequence),
        _ => None,
    };
    records.iter().filter_map(target).collect()
}

/// Printable, on one line, cut.
fn tidy(text: &str, most: usize) -> String {
    let printable: String = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    printable[..printable.floor_char_boundary(most)].to_owned()
}
