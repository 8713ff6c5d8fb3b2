//! Puts a copy of the main database in the place of the one there is, which is kept aside.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::lock::Lock;
use super::{Database, MAIN_FILE, Store, migrate, read_only, set_aside};
use crate::audit::{Finding, Verifier, log};

/// What came of it.
#[derive(Debug)]
pub struct Restored {
    /// Audit records in the copy.
    pub records: u64,
    /// What is wrong with them.
    pub findings: Vec<Finding>,
    /// Where the database is now that was there before.
    pub aside: Option<PathBuf>,
}

/// Checks a copy and puts it in place. That this was done becomes the next audit record.
///
/// # Errors
/// When the service runs, the copy is damaged, from a newer version or something else, or a file
/// cannot be written; everything is as it was then.
pub async fn restore(dir: &Path, backup: &Path, reason: Option<String>) -> Result<Restored> {
    require_owner(dir)?;
    let alone = Lock::exclusive(dir)?;
    let (records, findings) = check(dir, backup).await?;
    let fresh = dir.join("wardline.db.new");
    copy(backup, &fresh).with_context(|| format!("cannot write {}", fresh.display()))?;
    let main = dir.join(MAIN_FILE);
    let aside = match main.exists() {
        true => Some(set_aside(&main, "replaced")?),
        false => None,
    };
    fs::rename(&fresh, &main)
        .and_then(|()| File::open(dir)?.sync_all())
        .with_context(|| format!("cannot put {} in place", main.display()))?;
    drop(alone);
    Store::open_restored(dir, reason).await?.close().await;
    Ok(Restored {
        records,
        findings,
        aside,
    })
}

/// Files of another user would keep the service from starting.
fn require_owner(dir: &Path) -> Result<()> {
    let facts = fs::metadata(dir)
        .with_context(|| format!("cannot use the state directory {}", dir.display()))?;
    let (owner, user) = (facts.uid(), rustix::process::geteuid().as_raw());
    ensure!(
        owner == user,
        "{} belongs to user {owner} and this is user {user}: run it as the service's user, such \
         as with `setpriv --reuid {owner} --regid {} --clear-groups`",
        dir.display(),
        facts.gid()
    );
    Ok(())
}

async fn check(dir: &Path, backup: &Path) -> Result<(u64, Vec<Finding>)> {
    let doing = || format!("{} cannot be restored", backup.display());
    ensure!(backup.is_file(), "there is no file {}", backup.display());
    Database::check_copy(backup).await.with_context(doing)?;
    let db = read_only(backup).await.with_context(doing)?;
    migrate::taken(&db, migrate::MAIN)
        .await
        .with_context(doing)?;
    let checked = match Verifier::alone(dir) {
        Ok(verifier) => {
            let verdict = log::verify(&db, verifier).await;
            (verdict.records, verdict.findings)
        }
        // On a new machine there is no key to verify with.
        Err(_) => (
            u64::try_from(log::newest(&db).await?).unwrap_or(0),
            Vec::new(),
        ),
    };
    db.close().await;
    Ok(checked)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    // Left over from a restore that was cut off.
    let _ = fs::remove_file(to);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    let copied = std::io::copy(&mut File::open(from)?, &mut file).and_then(|_| file.sync_all());
    if copied.is_err() {
        let _ = fs::remove_file(to);
    }
    copied
}
