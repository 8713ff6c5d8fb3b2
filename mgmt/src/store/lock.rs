//! Who uses a state directory: any number of processes that keep to the databases, or one that
//! exchanges them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::StoreError;

const FILE: &str = "lock";

/// Held until it is dropped, or the process ends however it ends.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing it lets go")] File);

impl Lock {
    /// For one that uses the databases.
    pub(super) fn shared(dir: &Path) -> Result<Self, StoreError> {
        let said = "a restore is under way; start again when it is done";
        Self::take(dir, FlockOperation::NonBlockingLockShared, said)
    }

    /// For one that exchanges them.
    pub(super) fn exclusive(dir: &Path) -> Result<Self, StoreError> {
        let said = "the management plane runs on it; stop it first";
        Self::take(dir, FlockOperation::NonBlockingLockExclusive, said)
    }

    fn take(dir: &Path, how: FlockOperation, said: &str) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let result = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .and_then(|file| match flock(&file, how) {
                Ok(()) => Ok(Self(file)),
                Err(rustix::io::Errno::WOULDBLOCK) => Err(io::Error::other(said)),
                Err(error) => Err(error.into()),
            });
        result.map_err(|source| StoreError::File { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_use_a_directory_or_one_exchanges_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let one = Lock::shared(dir.path()).expect("free");
        let other = Lock::shared(dir.path()).expect("shared");
        assert!(Lock::exclusive(dir.path()).is_err());
        drop((one, other));
        let alone = Lock::exclusive(dir.path()).expect("free");
        let refused = Lock::shared(dir.path()).expect_err("taken").to_string();
        assert!(refused.contains("a restore is under way"), "{refused}");
        drop(alone);
    }
}
