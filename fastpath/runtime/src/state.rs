//! What survives a restart: the last accepted policy document, and the one before it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wardline_control::{PolicyText, bounds};

const CURRENT: &str = "policy.json";
const PREVIOUS: &str = "policy.previous.json";
const VERSION: u32 = 1;

/// An accepted policy on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved<P = PolicyText> {
    version: u32,
    /// Its content hash when it was accepted.
    pub id: String,
    /// When, in microseconds since the Unix epoch.
    pub applied_us: u64,
    /// The document.
    pub policy: P,
}

impl<P> Saved<P> {
    /// What to save.
    pub fn new(id: String, applied_us: u64, policy: P) -> Self {
        Self {
            version: VERSION,
            id,
            applied_us,
            policy,
        }
    }
}

/// The state directory.
#[derive(Debug, Clone)]
pub struct StateDir {
    dir: PathBuf,
}

impl StateDir {
    /// Makes the directory unless it is there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    /// The saved policies, best first: the last accepted one, then the one before it. A file
    /// that cannot be read comes as the error; one that does not exist does not come at all.
    pub fn load(&self) -> Vec<(PathBuf, io::Result<Saved>)> {
        [CURRENT, PREVIOUS]
            .into_iter()
            .map(|name| self.dir.join(name))
            .filter(|path| path.exists())
            .map(|path| {
                let saved = read(&path);
                (path, saved)
            })
            .collect()
    }

    /// Saves a policy so that after a crash at any moment either it or its predecessor is there,
    /// whole.
    ///
    /// # Errors
    /// When the file system refuses; the predecessor is then untouched.
    pub fn save(&self, saved: &Saved<impl Serialize>) -> io::Result<()> {
        let current = self.dir.join(CURRENT);
        let fresh = write_beside(&current, |file| {
            serde_json::to_writer(&mut *file, saved)?;
            file.write_all(b"\n")
        })?;
        match fs::rename(&current, self.dir.join(PREVIOUS)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        fs::rename(&fresh, &current)?;
        File::open(&self.dir)?.sync_all()
    }
}

/// Writes a file so that after a crash at any moment the old one or the new one is there, whole.
///
/// # Errors
/// When the file system refuses; the old one is then untouched.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    fs::rename(write_beside(path, write)?, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// A new file beside another one, whole and on the disk, to take its place.
fn write_beside(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    // In blocks: every escape in a text is a write of its own.
    let mut file = BufWriter::new(File::create(&fresh)?);
    write(&mut file)?;
    file.into_inner()?.sync_all()?;
    Ok(fresh.into())
}

/// What a JSON file holds, if it is there.
///
/// # Errors
/// When it cannot be read, has more bytes than it can have, or holds something else.
pub fn load_json<T: DeserializeOwned>(path: &Path, bytes_max: u64) -> io::Result<Option<T>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if file.metadata()?.len() > bytes_max {
        return Err(io::Error::other("it is larger than it can be"));
    }
    Ok(Some(serde_json::from_reader(BufReader::new(file))?))
}

fn read(path: &Path) -> io::Result<Saved> {
    let invalid = |sentence: String| io::Error::new(io::ErrorKind::InvalidData, sentence);
    if fs::metadata(path)?.len() > bounds::MESSAGE_BYTES as u64 {
        return Err(invalid("larger than any policy can be".into()));
    }
    let saved: Saved = serde_json::from_slice(&fs::read(path)?)?;
    if saved.version != VERSION {
        return Err(invalid(format!(
            "written by another version of this program (format {}, not {VERSION})",
            saved.version
        )));
    }
    Ok(saved)
}

#[cfg(test)]
mod tests {
    use wardline_control::PolicyFormat;

    use super::*;

    fn saved(id: &str) -> Saved {
        Saved::new(
            id.to_owned(),
            1,
            PolicyText {
                name: "ward.toml".into(),
                format: PolicyFormat::Toml,
                text: format!("name = \"{id}\""),
            },
        )
    }

    fn loaded(dir: &StateDir) -> Vec<Result<String, ()>> {
        dir.load()
            .into_iter()
            .map(|(_, saved)| saved.map(|s| s.id).map_err(drop))
            .collect()
    }

    #[test]
    fn the_last_two_are_kept() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::open(&temp.path().join("deep/er")).expect("opened");
        assert_eq!(loaded(&dir), []);
        for id in ["a", "b", "c"] {
            dir.save(&saved(id)).expect("saved");
        }
        assert_eq!(loaded(&dir), [Ok("c".into()), Ok("b".into())]);
    }

    #[test]
    fn a_damaged_file_does_not_hide_the_one_before_it() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::open(temp.path()).expect("opened");
        dir.save(&saved("a")).expect("saved");
        dir.save(&saved("b")).expect("saved");
        fs::write(temp.path().join(CURRENT), b"{\"version\":1,\"id").expect("written");
        assert_eq!(loaded(&dir), [Err(()), Ok("a".into())]);
    }

    #[test]
    fn a_crash_before_the_first_rename_changes_nothing() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = StateDir::open(temp.path()).expect("opened");
        dir.save(&saved("a")).expect("saved");
        fs::write(temp.path().join("policy.json.new"), b"half").expect("written");
        assert_eq!(loaded(&dir), [Ok("a".into())]);
        dir.save(&saved("b")).expect("saved");
        assert_eq!(loaded(&dir), [Ok("b".into()), Ok("a".into())]);
    }
}
