//! Checked copies of the main database, and checks of both.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::App;
use crate::api::problem::{Code, Problem};
use crate::jobs::Handle;
use crate::store::{Database, StoreError};
use crate::time::Time;

/// Copies that are kept; the oldest make room.
const KEPT: usize = 10;
/// What their names begin and end with.
const NAME: (&str, &str) = ("wardline-", ".db");

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Its file name.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// When it was written.
    pub written: Time,
}

/// Writes a copy while everything goes on, checks it, and lets the oldest go.
///
/// # Errors
/// When it cannot be written, or does not hold what it should.
pub async fn write(mut handle: Handle) -> Result<Json, Problem> {
    let app = handle.app.clone();
    let dir = directory(&app);
    fs::create_dir_all(&dir).map_err(|error| file_problem(&error))?;
    let name = format!(
        "{}{}-{}{}",
        NAME.0,
        Time::now().seconds(),
        handle.id(),
        NAME.1
    );
    let unfinished = dir.join(format!("{name}.new"));
    handle.progress(10, "copying").await;
    let written = copy(&app, &mut handle, &unfinished, &dir.join(&name)).await;
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    let (bytes, digest) = written?;
    let removed = prune(&dir).map_err(|error| file_problem(&error))?;
    Ok(json!({ "name": name, "bytes": bytes, "sha256": digest, "removed": removed }))
}

async fn copy(
    app: &App,
    handle: &mut Handle,
    unfinished: &Path,
    to: &Path,
) -> Result<(u64, String), Problem> {
    app.store.main.back_up(unfinished).await?;
    handle.progress(60, "checking").await;
    Database::check_copy(unfinished).await?;
    let (from, to) = (unfinished.to_owned(), to.to_owned());
    let done = tokio::task::spawn_blocking(move || {
        let mut file = fs::File::open(&from)?;
        let mut hash = Sha256::new();
        let bytes = io::copy(&mut file, &mut HashWriter(&mut hash))?;
        file.sync_all()?;
        // Only a whole copy gets the name of one.
        fs::rename(&from, &to)?;
        if let Some(dir) = to.parent() {
            fs::File::open(dir)?.sync_all()?;
        }
        let digest = data_encoding::HEXLOWER.encode(&hash.finalize());
        Ok::<_, io::Error>((bytes, digest))
    });
    let done = done.await.map_err(io::Error::other);
    done.and_then(|done| done)
        .map_err(|error| file_problem(&error))
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Checks both databases.
///
/// # Errors
/// When one cannot be read at all.
pub async fn check(mut handle: Handle) -> Result<Json, Problem> {
    let app = handle.app.clone();
    let said = |result: Result<(), StoreError>| match result {
        Ok(()) => Ok("ok".to_owned()),
        Err(StoreError::Damaged(how)) => Ok(how),
        Err(error) => Err(Problem::from(error)),
    };
    handle.progress(10, "main database").await;
    let main = said(app.store.main.check().await)?;
    handle.progress(50, "flow history").await;
    let history = said(app.store.history.check().await)?;
    let ok = main == "ok" && history == "ok";
    Ok(json!({ "ok": ok, "main": main, "history": history }))
}

/// The copies there are, newest first.
///
/// # Errors
/// When the directory cannot be read.
pub fn list(app: &App) -> io::Result<Vec<Copy>> {
    copies(&directory(app))
}

fn directory(app: &App) -> PathBuf {
    app.config.state.dir.join("backups")
}

fn copies(dir: &Path) -> io::Result<Vec<Copy>> {
    let Some(entries) = unless_gone(fs::read_dir(dir))? else {
        return Ok(Vec::new());
    };
    let mut copies = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !name.starts_with(NAME.0) || !name.ends_with(NAME.1) {
            continue;
        }
        // Another backup may have let it go meanwhile.
        let Some(facts) = unless_gone(entry.metadata())? else {
            continue;
        };
        let since = facts
            .modified()?
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        copies.push(Copy {
            name,
            bytes: facts.len(),
            written: Time::from_contract(us),
        });
    }
    copies.sort_by(|a, b| (b.written, &b.name).cmp(&(a.written, &a.name)));
    Ok(copies)
}

fn prune(dir: &Path) -> io::Result<Vec<String>> {
    let old: Vec<_> = copies(dir)?
        .into_iter()
        .skip(KEPT)
        .map(|copy| copy.name)
        .collect();
    for name in &old {
        unless_gone(fs::remove_file(dir.join(name)))?;
    }
    Ok(old)
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn file_problem(error: &io::Error) -> Problem {
    if error.kind() == io::ErrorKind::StorageFull {
        return StoreError::Full.into();
    }
    tracing::error!(%error, "a backup could not be written");
    Problem::new(
        Code::Internal,
        "The backup could not be written; the log says more.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let dir = tempfile::tempdir().expect("a folder");
        for number in 0..KEPT + 3 {
            let file = fs::File::create(dir.path().join(format!("wardline-{number:03}-1.db")));
            let when = UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            file.expect("a file").set_modified(when).expect("dated");
        }
        fs::write(dir.path().join("notes.txt"), "kept").expect("a file");
        let mut removed = prune(dir.path()).expect("pruned");
        removed.sort();
        assert_eq!(
            removed,
            [
                "wardline-000-1.db",
                "wardline-001-1.db",
                "wardline-002-1.db"
            ]
        );
        assert_eq!(copies(dir.path()).expect("listed").len(), KEPT);
        assert!(dir.path().join("notes.txt").exists());
    }

    /// Backups may run beside each other, and each lets the oldest go.
    #[test]
    fn several_let_the_oldest_go_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        for number in 0..300 {
            let name = dir.path().join(format!("wardline-{number:03}-1.db"));
            fs::write(name, "").expect("a file");
        }
        std::thread::scope(|scope| {
            let pruned: Vec<_> = (0..4).map(|_| scope.spawn(|| prune(dir.path()))).collect();
            for pruned in pruned {
                pruned.join().expect("no panic").expect("pruned");
            }
        });
        assert_eq!(copies(dir.path()).expect("listed").len(), KEPT);
    }
}
