//! Models that may be put in use: folders beside each other, each signed.
//!
//! What is said of them here is for people who choose. The fast path checks a model itself, in
//! full, before it takes it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// Models of a folder that are looked at.
const MODELS: usize = 32;
/// Bytes of a manifest.
const MANIFEST_BYTES: u64 = 256 * 1024;
/// Bytes of a signature.
const SIGNATURE_BYTES: u64 = 256;
/// Bytes of any other file.
const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Files of a model, besides manifest and signature.
const FILES: usize = 16;
/// What stands before a manifest in what is signed.
const CONTEXT: &[u8] = b"wardline model manifest\0";
/// Public half of the key that signs the project's models.
const PROJECT_KEY: &str = include_str!("../../models/project.pub");

/// A model in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Name of its folder.
    pub folder: String,
    /// What its manifest calls it; absent when there is none that can be read.
    pub name: Option<String>,
    /// Its number; the fast path takes none that is smaller than that of the one in use.
    pub number: Option<u64>,
    /// The trusted key that signed it: 16 hexadecimal digits of the SHA-256 of its public half.
    pub key_id: Option<String>,
    /// What was looked at, in this order; it ends at the first that does not hold.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// `signature`, `manifest` or `files`.
    pub check: &'static str,
    /// What does not hold, in a sentence.
    pub wrong: Option<String>,
}

#[derive(Deserialize)]
struct Manifest {
    name: String,
    version: u64,
    files: BTreeMap<String, String>,
}

/// Whether a text can be the name of a model's folder, and nothing else.
pub fn is_folder_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=128).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('.')
}

/// The models in a folder, by the names of their folders; none if it is not there. `key` is a file
/// with the public key to trust in place of the project's.
///
/// # Errors
/// When the folder or the key cannot be read.
pub fn list(dir: &Path, key: Option<&Path>) -> io::Result<Vec<Model>> {
    let key = match key {
        Some(file) => read_key(&std::fs::read_to_string(file)?),
        None => read_key(PROJECT_KEY),
    };
    let key = key.ok_or_else(|| io::Error::other("`models.key` holds no Ed25519 public key"))?;
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().into_string().ok();
        let name = name.filter(|name| is_folder_name(name) && entry.path().is_dir());
        folders.extend(name);
    }
    folders.sort();
    folders.truncate(MODELS);
    let look = |folder: String| look(dir, folder, &key);
    Ok(folders.into_iter().map(look).collect())
}

fn read_key(text: &str) -> Option<VerifyingKey> {
    let bytes = HEXLOWER.decode(text.trim().as_bytes()).ok()?;
    VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()
}

fn look(dir: &Path, folder: String, key: &VerifyingKey) -> Model {
    let dir = dir.join(&folder);
    let mut model = Model {
        folder,
        name: None,
        number: None,
        key_id: None,
        checks: Vec::new(),
    };
    // The first fault is noted by whoever finds it.
    let _ = examine(&dir, key, &mut model);
    model
}

fn examine(dir: &Path, key: &VerifyingKey, model: &mut Model) -> Result<(), ()> {
    let text = bounded(&dir.join("manifest.json"), MANIFEST_BYTES);
    let signature = bounded(&dir.join("manifest.sig"), SIGNATURE_BYTES);
    let signed = text.and_then(|text| Ok((text, signature?)));
    let (text, signature) = model.note("signature", signed)?;
    model.note("signature", verify(key, &text, &signature))?;
    model.key_id = Some(HEXLOWER.encode(&Sha256::digest(key.as_bytes())[..8]));
    let manifest = serde_json::from_slice::<Manifest>(&text).map_err(|e| e.to_string());
    let manifest = model.note("manifest", manifest)?;
    model.name = Some(manifest.name);
    model.number = Some(manifest.version);
    model.note("files", unchanged(dir, &manifest.files))
}

impl Model {
    /// Keeps what came of a check; each is listed once.
    fn note<T>(&mut self, check: &'static str, result: Result<T, String>) -> Result<T, ()> {
        self.checks.retain(|noted| noted.check != check);
        let (wrong, result) = match result {
            Ok(value) => (None, Ok(value)),
            Err(wrong) => (Some(wrong), Err(())),
        };
        self.checks.push(Check { check, wrong });
        result
    }
}

fn verify(key: &VerifyingKey, manifest: &[u8], signature: &[u8]) -> Result<(), String> {
    let bytes = HEXLOWER.decode(signature.trim_ascii()).ok();
    let signature = bytes.and_then(|bytes| Signature::from_slice(&bytes).ok());
    let signature = signature.ok_or("the signature is not 128 hexadecimal digits")?;
    let signed = [CONTEXT, manifest].concat();
    key.verify_strict(&signed, &signature)
        .map_err(|_| "it was not signed by the trusted key, or changed since".to_owned())
}

fn unchanged(dir: &Path, files: &BTreeMap<String, String>) -> Result<(), String> {
    if files.len() > FILES || !files.keys().all(|name| is_folder_name(name)) {
        return Err("the manifest names other files than models have".to_owned());
    }
    for (name, digest) in files {
        let bytes = bounded(&dir.join(name), FILE_BYTES)?;
        if HEXLOWER.encode(&Sha256::digest(&bytes)) != *digest {
            return Err(format!("{name} is not the file that was signed"));
        }
    }
    Ok(())
}

fn bounded(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let name = path.file_name().unwrap_or_default().display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("{name}: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("{name} has more than {most} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn project() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
    }

    fn wrong(model: &Model) -> Vec<(&str, bool)> {
        let checks = model.checks.iter();
        checks
            .map(|check| (check.check, check.wrong.is_some()))
            .collect()
    }

    #[test]
    fn the_projects_own_model_holds() {
        let models = list(&project(), None).expect("listed");
        let model = models
            .iter()
            .find(|model| model.folder == "wardline")
            .expect("there");
        assert_eq!(
            wrong(model),
            [("signature", false), ("manifest", false), ("files", false)]
        );
        assert_eq!(model.name.as_deref(), Some("wardline"));
        assert!(model.number.is_some() && model.key_id.is_some());
        assert_eq!(
            list(&project().join("nowhere"), None).expect("none").len(),
            0
        );
    }

    #[test]
    fn a_changed_or_unsigned_one_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["changed", "unsigned"] {
            std::fs::create_dir(dir.path().join(folder)).expect("a folder");
            for file in std::fs::read_dir(project().join("wardline")).expect("files") {
                let file = file.expect("a file");
                let to = dir.path().join(folder).join(file.file_name());
                std::fs::copy(file.path(), to).expect("copied");
            }
        }
        std::fs::write(dir.path().join("changed/golden.json"), "{}").expect("changed");
        std::fs::write(dir.path().join("unsigned/manifest.sig"), "00").expect("changed");
        std::fs::create_dir(dir.path().join("empty")).expect("a folder");
        let models = list(dir.path(), None).expect("listed");
        assert_eq!(
            wrong(&models[0]),
            [("signature", false), ("manifest", false), ("files", true)]
        );
        assert_eq!(wrong(&models[1]), [("signature", true)]);
        assert_eq!(
            (wrong(&models[2]), models[2].number),
            (vec![("signature", true)], None)
        );
    }

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["wardline", "v4.1_new-2"] {
            assert!(is_folder_name(name), "{name}");
        }
        for name in ["", "..", ".hidden", "a/b", "/etc", "a\0b", "ä"] {
            assert!(!is_folder_name(name), "{name}");
        }
    }
}
