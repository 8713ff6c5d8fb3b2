//! Heartbeats of the workers in a file in memory, for a watchdog of another process.
//!
//! Layout, little-endian: a header of 64 bytes (`WLHB`, version 1 as `u32`, number of workers as
//! `u32`, 4 bytes unused, process id as `u64`), then 64 bytes for each worker, of which the first
//! 8 are a count that rises while the worker's loop turns, at least every [`PERIOD_NS`] plus the
//! longest sleep the configuration allows. A count that stands still longer means a hung worker.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Time between two beats of a worker, in nanoseconds: a write to tmpfs once in a millisecond
/// costs nothing that can be measured and needs no memory shared by unsafe code.
pub const PERIOD_NS: u64 = 1_000_000;

const LINE: usize = 64;

/// Makes the file with one line for each worker.
///
/// # Errors
/// When the file cannot be written.
pub fn create(path: &Path, workers: usize) -> Result<Vec<Heart>> {
    let doing = || format!("cannot write the heartbeat file {}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(doing)?;
    }
    let mut content = vec![0; LINE * (workers + 1)];
    content[..4].copy_from_slice(b"WLHB");
    content[4..8].copy_from_slice(&1u32.to_le_bytes());
    content[8..12].copy_from_slice(&u32::try_from(workers)?.to_le_bytes());
    content[16..24].copy_from_slice(&u64::from(std::process::id()).to_le_bytes());
    std::fs::write(path, content).with_context(doing)?;
    (1..=workers)
        .map(|line| {
            let file = OpenOptions::new()
                .write(true)
                .open(path)
                .with_context(doing)?;
            Ok(Heart {
                file,
                offset: (LINE * line) as u64,
                count: 0,
                last_ns: 0,
            })
        })
        .collect()
}

/// The heartbeat of one worker.
#[derive(Debug)]
pub struct Heart {
    file: File,
    offset: u64,
    count: u64,
    last_ns: u64,
}

impl Heart {
    /// Beats if it is time.
    pub fn beat(&mut self, now_ns: u64) {
        if now_ns.saturating_sub(self.last_ns) < PERIOD_NS {
            return;
        }
        self.last_ns = now_ns;
        self.count += 1;
        // A failure shows where it matters: the watchdog sees no beat.
        let _ = self
            .file
            .write_all_at(&self.count.to_le_bytes(), self.offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_rise_each_in_its_own_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("run/heartbeat");
        let mut hearts = create(&path, 2).expect("created");
        hearts[1].beat(PERIOD_NS);
        hearts[1].beat(PERIOD_NS + 1);
        hearts[1].beat(2 * PERIOD_NS);
        let content = std::fs::read(&path).expect("readable");
        assert_eq!(content.len(), 3 * LINE);
        assert_eq!(content[64], 0);
        assert_eq!(content[128], 2);
    }
}
