//! The first start: whoever can read the machine's console, or the state directory, makes the
//! first administrator. There is no password that anybody could know before.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::BASE32_NOPAD;
use sqlx::SqliteConnection;

use super::user;
use crate::secret::Secret;
use crate::store::{Actor, Record, Store, StoreError};
use crate::time::Time;

/// Random bytes of a code: 120 bits, 24 letters.
const BYTES: usize = 15;
/// Letters of a group.
const GROUP: usize = 4;

/// Where the code lies while it holds.
pub fn file(dir: &Path) -> PathBuf {
    dir.join("setup-code")
}

/// The code that holds, at a start: the one before, if its file is still there, or a fresh one;
/// none when there is an administrator.
///
/// # Errors
/// When it can be neither read nor made.
pub async fn prepare(store: &Store, dir: &Path) -> Result<Option<Secret>, StoreError> {
    let mut db = store.main.read().acquire().await?;
    if user::has_administrator(&mut db).await? {
        remove_file(dir);
        return Ok(None);
    }
    let kept = fs::read_to_string(file(dir)).ok();
    if let Some(code) = kept.map(|text| Secret::from_outside(text.trim()))
        && matches(&mut db, &code).await?
    {
        return Ok(Some(code));
    }
    drop(db);
    renew(store, dir).await
}

/// A fresh code in place of any before; none when there is an administrator.
///
/// # Errors
/// When it cannot be made or kept.
pub async fn renew(store: &Store, dir: &Path) -> Result<Option<Secret>, StoreError> {
    let mut change = store.change(Actor::system()).await?;
    if user::has_administrator(change.db()).await? {
        return Ok(None);
    }
    let code = random().map_err(|e| StoreError::Other(sqlx::Error::Io(e)))?;
    sqlx::query(
        "INSERT INTO setup (only, digest, created_us) VALUES (1, ?1, ?2) \
         ON CONFLICT (only) DO UPDATE SET digest = ?1, created_us = ?2",
    )
    .bind(code.digest())
    .bind(Time::now().us())
    .execute(change.db())
    .await?;
    write_file(dir, &code).map_err(|source| StoreError::File {
        path: file(dir),
        source,
    })?;
    change
        .commit(Record::new("renew_setup_code", "setup"))
        .await?;
    Ok(Some(code))
}

/// Whether somebody with the code may make the first administrator.
///
/// # Errors
/// When the database fails.
pub async fn is_open(db: &mut SqliteConnection) -> Result<bool, StoreError> {
    Ok(!user::has_administrator(db).await?)
}

/// Whether a code is the one that holds. Small letters, and other or no signs between the groups,
/// do as well.
///
/// # Errors
/// When the database fails.
pub async fn matches(db: &mut SqliteConnection, code: &Secret) -> Result<bool, StoreError> {
    let kept: Option<(String,)> = sqlx::query_as("SELECT digest FROM setup")
        .fetch_optional(db)
        .await?;
    let letters = code.reveal().chars().filter(char::is_ascii_alphanumeric);
    let letters: String = letters.map(|c| c.to_ascii_uppercase()).collect();
    let digest = grouped(&letters).digest();
    Ok(kept.is_some_and(|(kept,)| kept == digest))
}

/// Takes the code out of the database, if there is an administrator now; the file goes after the
/// commit. Whether it does.
///
/// # Errors
/// When the database fails.
pub async fn close(db: &mut SqliteConnection) -> Result<bool, StoreError> {
    if !user::has_administrator(db).await? {
        return Ok(false);
    }
    let done = sqlx::query("DELETE FROM setup").execute(db).await?;
    Ok(done.rows_affected() > 0)
}

/// Takes the code away from the state directory.
pub fn remove_file(dir: &Path) {
    match fs::remove_file(file(dir)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let file = file(dir);
            tracing::warn!(%error, file = %file.display(), "the setup code stays, without holding");
        }
        _ => {}
    }
}

/// What the console says of a code.
pub fn words(code: &Secret, dir: &Path) -> String {
    format!(
        "There is no administrator yet. The setup code is {} (also in {}); \
         it makes the first one, with `POST /api/v1/setup`.",
        code.reveal(),
        file(dir).display()
    )
}

fn random() -> std::io::Result<Secret> {
    let mut bytes = [0_u8; BYTES];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(grouped(&BASE32_NOPAD.encode(&bytes)))
}

fn grouped(letters: &str) -> Secret {
    let groups = letters.as_bytes().chunks(GROUP);
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    Secret::from_outside(groups.join("-"))
}

/// For the owner of the directory alone, whoever makes it.
fn write_file(dir: &Path, code: &Secret) -> std::io::Result<()> {
    let beside = dir.join("setup-code.new");
    // Left over from a start that was cut off.
    let _ = fs::remove_file(&beside);
    let mut new = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    writeln!(new, "{}", code.reveal())?;
    let (owner, ours) = (fs::metadata(dir)?, new.metadata()?);
    if owner.uid() != ours.uid() {
        std::os::unix::fs::fchown(&new, Some(owner.uid()), Some(owner.gid()))?;
    }
    fs::rename(&beside, file(dir))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::auth::Role;
    use crate::auth::user::NewUser;

    #[tokio::test]
    async fn a_code_holds_until_there_is_an_administrator() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).await.expect("a store");
        let code = prepare(&store, dir.path()).await.expect("made");
        let code = code.expect("open");
        assert_eq!(code.reveal().len(), 6 * GROUP + 5);
        let mode = fs::metadata(file(dir.path())).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let again = prepare(&store, dir.path()).await.expect("kept");
        assert_eq!(again.as_ref().map(Secret::reveal), Some(code.reveal()));
        let fresh = renew(&store, dir.path())
            .await
            .expect("made")
            .expect("open");
        let mut change = store.change(Actor::system()).await.expect("a change");
        let typed = fresh.reveal().to_lowercase().replace('-', " ");
        for (text, right) in [(typed.as_str(), true), (code.reveal(), false), ("", false)] {
            let matches = matches(change.db(), &Secret::from_outside(text)).await;
            assert_eq!(matches.expect("read"), right, "{text}");
        }
        let new = NewUser {
            name: "anna",
            display_name: "",
            role: Role::Administrator,
            password: Some("$"),
            identity: None,
        };
        user::create(change.db(), &new).await.expect("made");
        assert!(close(change.db()).await.expect("closed"));
        change
            .commit(Record::new("create_user", "user/anna"))
            .await
            .expect("kept");
        assert_eq!(renew(&store, dir.path()).await.expect("asked"), None);
        assert_eq!(prepare(&store, dir.path()).await.expect("asked"), None);
        assert!(!file(dir.path()).exists());
    }
}
