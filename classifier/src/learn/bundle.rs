//! What leaves the box for retraining elsewhere: windows of the devices people named and what
//! they said, without names of devices or persons.

use ed25519_dalek::{SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use wardline_policy::DeviceKey;

use super::adapt::Adaptation;
use super::digest::Digest;
use super::record::{Head, Seal, Sealed};
use super::sample::Window;
use super::update::Lesson;
use crate::Role;

const FORMAT: u32 = 1;

/// A bundle. Reasons and names of persons stay in the journal, which a bundle names by its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Version of this shape.
    pub format: u32,
    /// When it was made, in nanoseconds since the Unix epoch.
    pub made_ns: u64,
    /// Digest of names and units of the features.
    pub schema: Digest,
    /// Digest of the base in use.
    pub base: Digest,
    /// The end of the journal.
    pub journal: Head,
    /// What is in use.
    pub adaptation: Adaptation,
    /// The devices, but those with an open alert.
    pub devices: Vec<Named>,
}

/// A device people named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// HMAC-SHA-256 of its MAC address and VLAN with a key that stays on the box: the same device
    /// in bundles of this box, and no address to anybody else.
    pub pseudonym: Digest,
    /// Its role.
    pub role: Role,
    /// What had been said of it, where it was corrected; `None`: unknown, or it was confirmed.
    pub from: Option<Role>,
    /// Number of the record that says so.
    pub record: u64,
    /// Digest of the evidence that was shown.
    pub evidence: Option<Digest>,
    /// Digest of its windows.
    pub digest: Digest,
    /// Its windows.
    pub windows: Vec<Window>,
}

impl Seal for Bundle {
    const PURPOSE: &'static [u8] = b"wardline learning bundle 1\n";
}

/// Why a bundle is not what a box made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It was altered, or is no bundle.
    #[error("the bundle was altered, or is none")]
    Altered,
    /// The box did not sign it.
    #[error("the bundle was not signed by this box")]
    Forged,
    /// A later program made it.
    #[error("the bundle has format {0}, not {FORMAT}")]
    Format(u32),
}

impl Bundle {
    /// Puts together what a lesson is learnt from. `secret` makes the pseudonyms.
    ///
    /// # Errors
    /// When something cannot be written as JSON, for its digest.
    pub fn new(
        lesson: &Lesson<'_>,
        schema: Digest,
        made_ns: u64,
        secret: &[u8; 32],
    ) -> Result<Self, serde_json::Error> {
        let mut devices = Vec::new();
        for (device, example) in lesson.examples() {
            let Some(standing) = lesson.standing.get(&device) else {
                continue;
            };
            devices.push(Named {
                pseudonym: pseudonym(&device, secret),
                role: standing.role,
                from: standing.from,
                record: standing.sequence,
                evidence: standing.evidence,
                digest: Digest::of_document(&example.windows)?,
                windows: example.windows.to_vec(),
            });
        }
        // Not in the order of their addresses, which would say something of them.
        devices.sort_by_key(|named| named.pseudonym);
        Ok(Self {
            format: FORMAT,
            made_ns,
            schema,
            base: lesson.base.digest()?,
            journal: lesson.journal,
            adaptation: lesson.current.clone(),
            devices,
        })
    }

    /// Writes it as JSON with its digest, signed by the box.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn seal(self, key: &SigningKey) -> Result<Vec<u8>, serde_json::Error> {
        Sealed::new(self, key)?.line()
    }

    /// Reads what [`Self::seal`] wrote.
    ///
    /// # Errors
    /// When it is not, to the byte, what the box wrote.
    pub fn open(sealed: &[u8], key: &VerifyingKey) -> Result<Self, BundleError> {
        use super::record::Broken;
        let bundle: Self = Sealed::read(sealed, key)
            .map_err(|broken| match broken {
                Broken::Altered => BundleError::Altered,
                Broken::Forged => BundleError::Forged,
            })?
            .content;
        if bundle.format != FORMAT {
            return Err(BundleError::Format(bundle.format));
        }
        Ok(bundle)
    }
}

fn pseudonym(device: &DeviceKey, secret: &[u8; 32]) -> Digest {
    // HMAC fills a short key with zeros to the length of a block.
    let mut block = [0; 64];
    block[..secret.len()].copy_from_slice(secret);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(&device.mac.0);
    mac.update(&device.vlan.outer.to_be_bytes());
    mac.update(&device.vlan.inner.to_be_bytes());
    Digest(mac.finalize().into_bytes().into())
}
