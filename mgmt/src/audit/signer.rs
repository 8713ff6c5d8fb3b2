//! The key of this appliance that signs audit records, and the head that is kept apart.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::store::StoreError;

const KEY: &str = "audit.key";
const PUBLIC: &str = "audit.pub";
const HEAD: &str = "audit.head";

/// The newest record: its number, its hash and the signature over both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Number of the record.
    pub seq: i64,
    /// Its SHA-256, hexadecimal.
    pub hash: String,
    /// Ed25519, hexadecimal.
    pub signature: String,
}

impl Head {
    /// The head that is kept in a state directory, if it is there and can be read.
    pub fn beside(dir: &Path) -> Option<Self> {
        Self::read(&dir.join(HEAD))
    }

    fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
    }

    /// Whether it was signed with this key.
    pub(super) fn is_signed(&self, key: &VerifyingKey) -> bool {
        is_signed(key, self.seq, &self.hash, &self.signature)
    }
}

/// Signs records and remembers the head.
pub struct Signer {
    key: SigningKey,
    head: PathBuf,
    remembered: Mutex<i64>,
    newest: watch::Sender<i64>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads the key of a state directory, or makes one.
    ///
    /// # Errors
    /// When it cannot be read, is no key, or cannot be made.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(KEY);
        let file = |source| StoreError::File {
            path: path.clone(),
            source,
        };
        let key = match fs::read_to_string(&path) {
            Ok(text) => read_key(text.trim()).map_err(file)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => make_key(&path).map_err(file)?,
            Err(e) => return Err(file(e)),
        };
        let public = HEXLOWER.encode(key.verifying_key().as_bytes());
        fs::write(dir.join(PUBLIC), public + "\n").map_err(file)?;
        Ok(Self {
            key,
            head: dir.join(HEAD),
            remembered: Mutex::new(0),
            newest: watch::Sender::default(),
        })
    }

    /// The public half, hexadecimal.
    pub fn public(&self) -> String {
        HEXLOWER.encode(self.key.verifying_key().as_bytes())
    }

    /// The head that is kept apart, if this appliance signed it.
    pub fn head(&self) -> Option<Head> {
        Head::read(&self.head).filter(|head| head.is_signed(&self.key.verifying_key()))
    }

    /// Says when there is a newer record.
    pub fn newest(&self) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }

    pub(super) fn sign(&self, seq: i64, hash: String) -> Head {
        let signature = self.key.sign(signed(seq, &hash).as_bytes());
        Head {
            seq,
            hash,
            signature: HEXLOWER.encode(&signature.to_bytes()),
        }
    }

    /// Keeps the head of a committed change. It may lag behind by a crash, never run ahead.
    pub(crate) fn remember(&self, head: &Head) {
        let mut last = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Two changes may come here in the wrong order.
        if head.seq <= *last {
            return;
        }
        *last = head.seq;
        self.newest.send_replace(head.seq);
        if let Err(error) = write_whole(&self.head, head) {
            tracing::warn!(%error, file = %self.head.display(), "the head of the audit log is not written apart");
        }
    }
}

/// What a signature covers.
fn signed(seq: i64, hash: &str) -> String {
    format!("wardline audit\n{seq}\n{hash}\n")
}

/// Whether a head was signed with this key.
pub(super) fn is_signed(key: &VerifyingKey, seq: i64, hash: &str, signature: &str) -> bool {
    let bytes = HEXLOWER.decode(signature.as_bytes()).ok();
    let signature = bytes.and_then(|bytes| Signature::from_slice(&bytes).ok());
    signature.is_some_and(|s| key.verify_strict(signed(seq, hash).as_bytes(), &s).is_ok())
}

/// A public key from its hexadecimal text.
pub(super) fn read_public(text: &str) -> Option<VerifyingKey> {
    let bytes = HEXLOWER.decode(text.trim().as_bytes()).ok()?;
    VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()
}

/// The public key in a state directory, if it is there.
pub(super) fn public_beside(dir: &Path) -> Option<String> {
    fs::read_to_string(dir.join(PUBLIC)).ok()
}

fn read_key(text: &str) -> std::io::Result<SigningKey> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok();
    let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes
        .map(|bytes| SigningKey::from_bytes(&bytes))
        .ok_or_else(|| std::io::Error::other("holds no key: 64 hexadecimal digits are expected"))
}

fn make_key(path: &Path) -> std::io::Result<SigningKey> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{}", HEXLOWER.encode(&bytes))?;
    file.sync_all()?;
    Ok(SigningKey::from_bytes(&bytes))
}

fn write_whole(path: &Path, head: &Head) -> std::io::Result<()> {
    let beside = path.with_extension("head.new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(&serde_json::to_vec(head)?)?;
    // A head that is empty after a power cut would look like one that somebody took away.
    file.sync_data()?;
    fs::rename(&beside, path)
}
