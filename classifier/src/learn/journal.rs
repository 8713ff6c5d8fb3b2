//! The journal on disk.
//!
//! A directory holds `journal.jsonl`, one record a line, only ever appended to, and
//! `journal.head`, the signed number and digest of its last record. [`Journal::append`] returns
//! when the record is on stable storage: the line is written and synced (`fdatasync`), then a new
//! head is written beside the old one, synced, renamed over it, and the directory synced. After a
//! crash at any moment the journal therefore holds every record that was acknowledged, at most
//! one more, and perhaps a part of one: that is cut off at the next start. Anything else that
//! differs is refused, and nothing is repaired. One process at a time has it open (`flock`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::{SigningKey, VerifyingKey};

use super::bundle::Bundle;
use super::digest::Digest;
use super::record::{Action, Head, Record, Sealed, Statement, undone};
use super::update::Lesson;
use super::verify::{Fault, Verified, VerifyError, verify};

const RECORDS: &str = "journal.jsonl";
const HEAD: &str = "journal.head";
const NEW_HEAD: &str = "journal.head.new";
/// Longest file that can be a head, in bytes.
const HEAD_MAX: u64 = 1_024;

/// The journal of one box, open for writing.
pub struct Journal {
    dir: PathBuf,
    file: File,
    key: SigningKey,
    records: Vec<Record>,
    head: Head,
    bytes: u64,
    /// Why nothing more is written until the next start.
    broken: bool,
}

impl core::fmt::Debug for Journal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Not the key.
        f.debug_struct("Journal")
            .field("dir", &self.dir)
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

/// Why something is not written down.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Nobody said it.
    #[error("a record needs the name of the person")]
    Nobody,
    /// There is nothing to undo.
    #[error("record {0} is no confirmation or correction that still counts")]
    NothingToUndo(u64),
    /// The disk refuses, now or before.
    #[error("the journal cannot be written: {0}")]
    Write(#[from] io::Error),
    /// The record cannot be put in words.
    #[error("the record cannot be written as JSON: {0}")]
    Shape(#[from] serde_json::Error),
}

impl Journal {
    /// Opens the journal in this directory, or begins it there; checks it all. The number of
    /// bytes cut off comes with it: the beginning of a record that was being written at a crash.
    ///
    /// # Errors
    /// When it cannot be read or written, and with what is wrong when it is not whole.
    pub fn open(dir: &Path, key: SigningKey) -> Result<(Self, u64), VerifyError> {
        fs::create_dir_all(dir)?;
        let path = dir.join(RECORDS);
        let is_new = !path.exists() && !dir.join(HEAD).exists();
        if is_new {
            // The head first: without one, no record would be believed.
            save_head(dir, &Head::beginning(&key.verifying_key()), &key)?;
        }
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).open(&path)?;
        file.try_lock().map_err(io::Error::from)?;
        File::open(dir)?.sync_all()?;
        let Verified {
            records,
            head,
            bytes,
            torn_bytes,
        } = check(dir, &mut file, &key.verifying_key())?;
        if torn_bytes > 0 {
            file.set_len(bytes)?;
            file.sync_all()?;
        }
        save_head(dir, &head, &key)?;
        let journal = Self {
            dir: dir.to_owned(),
            file,
            key,
            records,
            head,
            bytes,
            broken: false,
        };
        Ok((journal, torn_bytes))
    }

    /// Writes one record down. When it returns, the record survives a crash.
    ///
    /// # Errors
    /// When nobody said it, when there is nothing to undo, and when the disk refuses; the journal
    /// is then as it was, or writes nothing more until it is opened anew.
    pub fn append(&mut self, statement: Statement) -> Result<&Record, AppendError> {
        self.check(&statement)?;
        if self.broken {
            return Err(io::Error::other("an earlier write failed; open it anew").into());
        }
        let sealed = Sealed::new(statement.into_record(&self.head), &self.key)?;
        let mut line = sealed.line()?;
        line.push(b'\n');
        let head = Head {
            sequence: sealed.content.sequence,
            digest: sealed.digest,
        };
        if let Err(error) = self.write(&line, &head) {
            // What was written before must not stay half; if that cannot be had, the next start
            // sorts it out.
            self.broken = self.file.set_len(self.bytes).is_err() || self.file.sync_all().is_err();
            return Err(error.into());
        }
        self.head = head;
        self.bytes += line.len() as u64;
        self.records.push(sealed.content);
        self.records
            .last()
            .ok_or_else(|| io::Error::other("no record").into())
    }

    /// All records.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The end of the journal, to be kept elsewhere too.
    pub fn head(&self) -> Head {
        self.head
    }

    /// What a lesson is learnt from, signed, for retraining elsewhere. Pseudonyms of devices are the
    /// same in all bundles of this box.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn bundle(
        &self,
        lesson: &Lesson<'_>,
        schema: Digest,
        made_ns: u64,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let secret = Digest::of(&[b"wardline pseudonyms\n", &self.key.to_bytes()]);
        Bundle::new(lesson, schema, made_ns, &secret.0)?.seal(&self.key)
    }

    fn check(&self, statement: &Statement) -> Result<(), AppendError> {
        if statement.who.trim().is_empty() {
            return Err(AppendError::Nobody);
        }
        let Action::Undo { sequence } = statement.action else {
            return Ok(());
        };
        let says = |action| matches!(action, Action::Confirm { .. } | Action::Correct { .. });
        let mut records = self.records.iter();
        let there = records.any(|r| r.sequence == sequence && says(r.action));
        if there && !undone(&self.records).contains(&sequence) {
            Ok(())
        } else {
            Err(AppendError::NothingToUndo(sequence))
        }
    }

    fn write(&mut self, line: &[u8], head: &Head) -> io::Result<()> {
        self.file.write_all(line)?;
        self.file.sync_data()?;
        save_head(&self.dir, head, &self.key)
    }
}

/// Checks the journal in a directory without changing anything.
///
/// # Errors
/// When it cannot be read, and with what is wrong when it is not whole.
pub fn verify_directory(dir: &Path, key: &VerifyingKey) -> Result<Verified, VerifyError> {
    check(dir, &mut File::open(dir.join(RECORDS))?, key)
}

fn check(dir: &Path, file: &mut File, key: &VerifyingKey) -> Result<Verified, VerifyError> {
    let no_head = || VerifyError::Faults(vec![Fault::NoHead]);
    let path = dir.join(HEAD);
    if fs::metadata(&path).map_err(|_| no_head())?.len() > HEAD_MAX {
        return Err(no_head());
    }
    let head: Sealed<Head> = Sealed::read(&fs::read(path)?, key).map_err(|_| no_head())?;
    file.seek(SeekFrom::Start(0))?;
    verify(BufReader::new(file), key, &head.content)
}

fn save_head(dir: &Path, head: &Head, key: &SigningKey) -> io::Result<()> {
    let sealed = Sealed::new(*head, key)?.line()?;
    let fresh = dir.join(NEW_HEAD);
    let mut file = File::create(&fresh)?;
    file.write_all(&sealed)?;
    file.sync_all()?;
    fs::rename(&fresh, dir.join(HEAD))?;
    File::open(dir)?.sync_all()
}
