//! Passwords, as argon2id: what may be one, and hashing within a bound on memory.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

use crate::api::problem::{Code, Problem};
use crate::secret::Secret;

/// Fewest characters.
pub const SHORTEST: usize = 12;
/// Most characters.
pub const LONGEST: usize = 128;

/// Hashes at a time; each takes 19 MiB.
const AT_ONCE: usize = 2;
/// Hashes under way or waiting; more are sent away.
const WAITING: usize = 32;

/// The commonest passwords that are long enough, in lower case, one a line.
const COMMON: &str = include_str!("common-passwords.txt");

/// What keeps a text from being the password of the user `name`, if anything does.
pub fn unfit(password: &Secret, name: &str) -> Option<String> {
    let text = password.reveal();
    let length = text.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) {
        return Some(format!("{SHORTEST} to {LONGEST} characters"));
    }
    let lower = text.to_lowercase();
    let mut characters = lower.chars();
    let first = characters.next();
    if characters.all(|other| Some(other) == first) {
        return Some("more than one character over and over".to_owned());
    }
    if lower == name.to_lowercase() {
        return Some("not the name of the user".to_owned());
    }
    COMMON
        .lines()
        .any(|common| common == lower)
        .then(|| "one of the commonest; choose another".to_owned())
}

/// Makes and checks hashes, off the threads that answer requests.
#[derive(Debug)]
pub struct Hasher {
    running: Arc<Semaphore>,
    places: Arc<Semaphore>,
    /// A hash of nothing in particular, so that no user takes as long as a wrong password.
    nobody: String,
}

impl Hasher {
    /// A hasher; takes as long as one hash.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new() -> std::io::Result<Self> {
        let nobody = hash(&Secret::random("")?).map_err(std::io::Error::other)?;
        Ok(Self {
            running: Arc::new(Semaphore::new(AT_ONCE)),
            places: Arc::new(Semaphore::new(WAITING)),
            nobody,
        })
    }

    /// What is kept of a password.
    ///
    /// # Errors
    /// When too many are waiting, or the system gives no random numbers.
    pub async fn hash(&self, password: Secret) -> Result<String, Problem> {
        self.apart(move || hash(&password)).await?.map_err(|error| {
            tracing::error!(%error, "a password cannot be hashed");
            Problem::new(Code::Internal, "The log of the appliance says more.")
        })
    }

    /// Whether it is the password that `phc` was made of; without `phc`, no password is. All take
    /// the same time.
    ///
    /// # Errors
    /// When too many are waiting.
    pub async fn verify(&self, password: Secret, phc: Option<String>) -> Result<bool, Problem> {
        let known = phc.is_some();
        let phc = phc.unwrap_or_else(|| self.nobody.clone());
        Ok(self.apart(move || verify(&password, &phc)).await? && known)
    }

    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || {
            let detail = "Too many logins at once; try again in a moment.";
            Problem::new(Code::Unavailable, detail).retry_after_s(1)
        };
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| busy())?;
        let turn = Arc::clone(&self.running).acquire_owned().await;
        let turn = turn.map_err(|_| busy())?;
        // The thread holds both: a caller that goes away does not make room for another hash.
        let done = tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            work()
        });
        done.await.map_err(|error| {
            tracing::error!(%error, "hashing ended early");
            Problem::new(Code::Internal, "The log of the appliance says more.")
        })
    }
}

/// The PHC string with argon2's default parameters (19 MiB, 2 passes, as OWASP recommends).
fn hash(password: &Secret) -> Result<String, argon2::password_hash::Error> {
    let hash = Argon2::default().hash_password(password.reveal().as_bytes())?;
    Ok(hash.to_string())
}

fn verify(password: &Secret, phc: &str) -> bool {
    let verify =
        |hash: PasswordHash| Argon2::default().verify_password(password.reveal().as_bytes(), &hash);
    PasswordHash::new(phc).is_ok_and(|hash| verify(hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_verifies() {
        let hasher = Hasher::new().expect("random");
        let secret = |text: &str| Secret::from_outside(text);
        let phc = hasher.hash(secret("correct horse")).await.expect("hashed");
        assert!(phc.starts_with("$argon2id$"), "{phc}");
        for (text, phc, right) in [
            ("correct horse", Some(phc.clone()), true),
            ("correct hors", Some(phc), false),
            ("correct horse", Some("nonsense".to_owned()), false),
            ("correct horse", None, false),
        ] {
            let verified = hasher.verify(secret(text), phc).await;
            assert_eq!(verified, Ok(right), "{text}");
        }
    }

    #[tokio::test]
    async fn more_than_can_wait_are_sent_away() {
        let hasher = Hasher::new().expect("random");
        let verify = || hasher.verify(Secret::from_outside("correct horse"), None);
        let all = futures::future::join_all((0..WAITING + 3).map(|_| verify())).await;
        let away = all.iter().filter(|answer| answer.is_err());
        assert_eq!(away.count(), 3);
    }

    #[test]
    fn what_is_easily_guessed_is_refused() {
        let unfit = |text: &str| unfit(&Secret::from_outside(text), "annaannaanna");
        for text in [
            "",
            "short",
            "AnnaAnnaAnna",
            "Password1234",
            "xxxxxxxxxxxxxxxx",
            &"a b".repeat(43),
        ] {
            assert!(unfit(text).is_some(), "{text}");
        }
        assert_eq!(unfit("zwölf Zeichen"), None);
        assert_eq!(unfit(&"ab".repeat(64)), None);
    }

    #[test]
    fn the_commonest_are_long_enough_to_be_met() {
        for line in COMMON.lines() {
            assert!(
                line.len() >= SHORTEST && line == line.to_lowercase(),
                "{line}"
            );
        }
    }
}
