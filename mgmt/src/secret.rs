//! Random secrets, and the digests that are kept in their place.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

/// A text that must not be seen: printing it prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// 256 random bits behind a prefix that says what they are for.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn random(prefix: &str) -> std::io::Result<Self> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(Self(format!("{prefix}{}", BASE64URL_NOPAD.encode(&bytes))))
    }

    /// One that came from outside.
    pub fn from_outside(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it. A plain digest is enough for 256 random bits; what people choose goes
    /// through `auth::password` instead.
    pub fn digest(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.0.as_bytes()))
    }

    /// Another secret made of this one, for one purpose; nobody gets from it to this one.
    pub fn derive(&self, purpose: &str) -> Self {
        Self(BASE64URL_NOPAD.encode(&self.mac(purpose).finalize().into_bytes()))
    }

    /// Whether a text is what [`Secret::derive`] gives for a purpose; takes as long when it is not.
    pub fn derives(&self, purpose: &str, text: &str) -> bool {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
        bytes.is_ok_and(|bytes| self.mac(purpose).verify_slice(&bytes).is_ok())
    }

    fn mac(&self, purpose: &str) -> Hmac<Sha256> {
        // Another digest than the one that is kept, filled with zeros to the length of a block.
        let mut block = [0; 64];
        let key = Sha256::new_with_prefix("wardline key\n").chain_update(self.0.as_bytes());
        block[..32].copy_from_slice(&key.finalize());
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(purpose.as_bytes());
        mac
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What came in its place must not come back in an answer either.
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a text is expected"))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_random_and_does_not_print() {
        let (one, other) = (Secret::random("wl_"), Secret::random("wl_"));
        let (one, other) = (one.expect("random"), other.expect("random"));
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), 3 + 43);
        assert!(!format!("{one:?}").contains(&one.reveal()[3..]));
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn what_is_made_of_a_secret_is_for_one_purpose() {
        let secret = Secret::from_outside("a secret");
        let derived = secret.derive("one");
        assert!(secret.derives("one", derived.reveal()));
        assert!(!secret.derives("other", derived.reveal()));
        assert!(!secret.derives("one", "no base64!") && !secret.derives("one", ""));
    }
}
