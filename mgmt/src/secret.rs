//! Random secrets, and the digests that are kept in their place.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
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
}
