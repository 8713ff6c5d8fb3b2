//! What a model consists of: a signed list of its files, read with bounds before anything in them
//! is believed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::refusal::Refusal;
use crate::{Role, features};

/// Format of the manifest and of the files it lists.
pub const FORMAT: u32 = 1;
/// The signed list of files.
pub const MANIFEST: &str = "manifest.json";
/// Signature of the manifest in hexadecimal digits.
pub const SIGNATURE: &str = "manifest.sig";
/// The files of a model, each with the most bytes it may have.
pub const FILES: [(&str, u64); 6] = [
    (GRAPH, 4 << 20),
    (LEXICON, 4 << 20),
    (STATISTICS, 2 << 20),
    (CALIBRATION, 64 << 10),
    (GOLDEN, 1 << 20),
    (PROTOTYPES, 2 << 20),
];
pub(super) const GRAPH: &str = "model.onnx";
pub(super) const LEXICON: &str = "lexicon.json";
pub(super) const STATISTICS: &str = "statistics.json";
pub(super) const CALIBRATION: &str = "calibration.json";
pub(super) const GOLDEN: &str = "golden.json";
pub(super) const PROTOTYPES: &str = "prototypes.json";

/// What our model is called.
const NAME: &str = "wardline";
const MANIFEST_BYTES_MAX: u64 = 256 << 10;
const SIGNATURE_BYTES_MAX: u64 = 256;
/// A signature of a manifest is good for nothing else.
const CONTEXT: &[u8] = b"wardline model manifest\0";

/// The list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// What the model is called.
    pub name: String,
    /// Grows with every model; never goes back.
    pub version: u64,
    /// Hash of the features' schema, in hexadecimal digits.
    pub schema: String,
    /// What the outputs mean.
    pub heads: Heads,
    /// SHA-256 of each file, in hexadecimal digits.
    pub files: BTreeMap<String, String>,
}

/// What the outputs of the network mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heads {
    /// Types of device it tells apart, in the order of the output.
    pub types: Vec<Kind>,
    /// Roles it tells apart, in the order of the output.
    pub roles: Vec<Role>,
}

/// A type of device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// What it is called, such as a product.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Whether it is a way our emulators play the role: no product, so that no device is called so.
    pub emulated: bool,
}

/// The keys whose signatures count.
#[derive(Debug, Clone)]
pub struct Trust(Vec<VerifyingKey>);

impl Trust {
    /// The key of the project, fixed when the program was built.
    ///
    /// # Errors
    /// When the program was built with something that is no key.
    pub fn project() -> Result<Self, Refusal> {
        Self::keys([include_str!("../../../models/project.pub")])
    }

    /// Keys in hexadecimal digits, such as a hospital's own in place of the project's.
    ///
    /// # Errors
    /// When one of them is no key.
    pub fn keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<Self, Refusal> {
        let key = |text: &str| {
            let bytes: Option<[u8; 32]> = from_hex(text.trim());
            bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
        };
        let keys: Option<Vec<_>> = keys.into_iter().map(key).collect();
        keys.map(Self).ok_or_else(|| {
            Refusal::nonsense(
                "public key",
                "64 hexadecimal digits of an Ed25519 key are expected",
            )
        })
    }

    /// The key that made the signature, if it is one of these.
    fn signer(&self, manifest: &[u8], signature: &[u8]) -> Option<&VerifyingKey> {
        let bytes = from_hex::<64>(str::from_utf8(signature).ok()?.trim())?;
        let (signed, signature) = (signed(manifest), Signature::from_bytes(&bytes));
        let verifies = |key: &&VerifyingKey| key.verify_strict(&signed, &signature).is_ok();
        self.0.iter().find(verifies)
    }
}

/// A manifest that was signed and the files it lists.
#[derive(Debug)]
pub struct Bundle {
    /// The list.
    pub manifest: Manifest,
    /// Which key signed it: the first 16 hexadecimal digits of the SHA-256 of its public half.
    pub key_id: String,
    files: BTreeMap<&'static str, Vec<u8>>,
}

impl Bundle {
    /// Reads a folder.
    ///
    /// # Errors
    /// When a file is missing, too long or not the one that was signed, or no trusted key signed.
    pub fn read(folder: &Path, trust: &Trust) -> Result<Self, Refusal> {
        Self::gather(trust, |file, limit| bounded(folder, file, limit))
    }

    /// From files that are at hand already.
    ///
    /// # Errors
    /// As [`Bundle::read`].
    pub fn of(files: &[(&'static str, &[u8])], trust: &Trust) -> Result<Self, Refusal> {
        Self::gather(trust, |file, limit| {
            match files.iter().find(|(name, _)| *name == file) {
                Some((_, bytes)) if bytes.len() as u64 > limit => {
                    Err(Refusal::Oversized { file, limit })
                }
                Some((_, bytes)) => Ok(bytes.to_vec()),
                None => Err(Refusal::Unreadable {
                    file: file.to_owned(),
                    error: std::io::ErrorKind::NotFound.into(),
                }),
            }
        })
    }

    fn gather(
        trust: &Trust,
        read: impl Fn(&'static str, u64) -> Result<Vec<u8>, Refusal>,
    ) -> Result<Self, Refusal> {
        let text = read(MANIFEST, MANIFEST_BYTES_MAX)?;
        let signature = read(SIGNATURE, SIGNATURE_BYTES_MAX)?;
        // Nothing of the manifest is looked at before this.
        let signer = trust.signer(&text, &signature);
        let key_id = short_hash(signer.ok_or(Refusal::Unsigned)?.as_bytes());
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| Refusal::nonsense(MANIFEST, error))?;
        if manifest.format != FORMAT {
            return Err(Refusal::Format {
                format: manifest.format,
            });
        }
        let mut files = BTreeMap::from([(MANIFEST, text), (SIGNATURE, signature)]);
        for (file, limit) in FILES {
            let bytes = read(file, limit)?;
            if manifest.files.get(file) != Some(&to_hex(&Sha256::digest(&bytes))) {
                return Err(Refusal::Changed { file });
            }
            files.insert(file, bytes);
        }
        Ok(Self {
            manifest,
            key_id,
            files,
        })
    }

    /// A name that no other model has: its version and a hash of its manifest.
    pub fn id(&self) -> String {
        let hash = short_hash(self.file(MANIFEST));
        format!("{}-{hash}", self.manifest.version)
    }

    /// Every file of the model with its bytes, as they were read.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.files
            .iter()
            .map(|(name, bytes)| (*name, bytes.as_slice()))
    }

    /// One of [`FILES`].
    pub(super) fn file(&self, name: &'static str) -> &[u8] {
        self.files.get(name).map_or(&[], Vec::as_slice)
    }

    /// One of [`FILES`] that is JSON.
    pub(super) fn json<'a, T: Deserialize<'a>>(&'a self, name: &'static str) -> Result<T, Refusal> {
        serde_json::from_slice(self.file(name)).map_err(|error| Refusal::nonsense(name, error))
    }
}

/// A key that signs models. Whoever has it decides what devices are.
pub struct Signer(SigningKey);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.public_half())
    }
}

impl Signer {
    /// A key of these secret bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// From 64 hexadecimal digits; `None` for anything else.
    pub fn from_hex(secret: &str) -> Option<Self> {
        from_hex(secret.trim()).map(|secret| Self::new(&secret))
    }

    /// As [`Signer::from_hex`] takes it.
    pub fn secret_half(&self) -> String {
        to_hex(self.0.as_bytes())
    }

    /// As [`Trust::keys`] takes it.
    pub fn public_half(&self) -> String {
        to_hex(self.0.verifying_key().as_bytes())
    }

    /// What [`SIGNATURE`] holds for the bytes of a manifest.
    pub fn signature(&self, manifest: &[u8]) -> String {
        to_hex(&self.0.sign(&signed(manifest)).to_bytes()) + "\n"
    }

    /// Lists the files in a folder and signs the list. The files are not looked into.
    ///
    /// # Errors
    /// A file is missing or too long, or the list cannot be written.
    pub fn seal(&self, folder: &Path, version: u64, heads: Heads) -> Result<(), Refusal> {
        let mut files = BTreeMap::new();
        for (file, limit) in FILES {
            let bytes = bounded(folder, file, limit)?;
            files.insert(file.to_owned(), to_hex(&Sha256::digest(&bytes)));
        }
        let manifest = Manifest {
            format: FORMAT,
            name: NAME.to_owned(),
            version,
            schema: to_hex(&features::schema()),
            heads,
            files,
        };
        let mut text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| Refusal::nonsense(MANIFEST, error))?;
        text.push(b'\n');
        let signature = self.signature(&text).into_bytes();
        for (file, bytes) in [(MANIFEST, text), (SIGNATURE, signature)] {
            let path = folder.join(file);
            std::fs::write(&path, bytes).map_err(|error| Refusal::Unreadable {
                file: path.display().to_string(),
                error,
            })?;
        }
        Ok(())
    }
}

fn signed(manifest: &[u8]) -> Vec<u8> {
    [CONTEXT, manifest].concat()
}

fn bounded(folder: &Path, file: &'static str, limit: u64) -> Result<Vec<u8>, Refusal> {
    let path = folder.join(file);
    let unreadable = |error| Refusal::Unreadable {
        file: path.display().to_string(),
        error,
    };
    let mut bytes = Vec::new();
    let open = File::open(&path).map_err(unreadable)?;
    open.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(Refusal::Oversized { file, limit });
    }
    Ok(bytes)
}

fn short_hash(bytes: &[u8]) -> String {
    to_hex(&Sha256::digest(bytes)[..8])
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(bytes)
}
