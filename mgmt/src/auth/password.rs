//! Passwords, as argon2id.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};

use crate::secret::Secret;

/// The PHC string that is kept of a password, with argon2's default parameters (19 MiB, 2 passes,
/// as OWASP recommends).
///
/// # Errors
/// When the system gives no random numbers.
pub fn hash(password: &Secret) -> Result<String, argon2::password_hash::Error> {
    let hash = Argon2::default().hash_password(password.reveal().as_bytes())?;
    Ok(hash.to_string())
}

/// Whether it is the password that `phc` was made of. Takes as long when it is not.
pub fn verify(password: &Secret, phc: &str) -> bool {
    let verify =
        |hash: PasswordHash| Argon2::default().verify_password(password.reveal().as_bytes(), &hash);
    PasswordHash::new(phc).is_ok_and(|hash| verify(hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_verifies() {
        let right = Secret::from_outside("correct horse");
        let phc = hash(&right).expect("random");
        assert!(phc.starts_with("$argon2id$"), "{phc}");
        assert!(verify(&right, &phc));
        assert!(!verify(&Secret::from_outside("correct hors"), &phc));
        assert!(!verify(&right, "nonsense"));
    }
}
