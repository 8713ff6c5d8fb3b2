//! Settings of the kernel that a measurement needs, and what the kernel says of its memory.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// A number under `/proc/sys` that was raised; put back when dropped.
#[derive(Debug)]
pub struct Setting {
    path: PathBuf,
    before: u64,
}

impl Setting {
    /// Raises it to at least `wanted`.
    ///
    /// # Errors
    /// When there is no such setting, or no right to change it.
    pub fn raise(path: impl Into<PathBuf>, wanted: u64) -> Result<Self> {
        let path = path.into();
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let before = text
            .trim()
            .parse()
            .with_context(|| format!("{} holds `{}`", path.display(), text.trim()))?;
        if before < wanted {
            fs::write(&path, wanted.to_string())
                .with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(Self { path, before })
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.path, self.before.to_string()) {
            eprintln!(
                "warning: {} is not set back to {}: {error}",
                self.path.display(),
                self.before
            );
        }
    }
}

/// Memory in bytes that the kernel keeps for objects of this kind.
///
/// # Errors
/// When the kernel does not say, or knows no such kind.
pub fn slab(kind: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/slabinfo").context("reading /proc/slabinfo")?;
    slab_in(&text, kind).with_context(|| format!("/proc/slabinfo says nothing of {kind}"))
}

/// Objects there is memory for, times their size.
fn slab_in(text: &str, kind: &str) -> Option<u64> {
    let line = text
        .lines()
        .find(|line| line.split_whitespace().next() == Some(kind))?;
    let mut numbers = line.split_whitespace().skip(2);
    let objects: u64 = numbers.next()?.parse().ok()?;
    let size: u64 = numbers.next()?.parse().ok()?;
    Some(objects * size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slab_memory_is_objects_times_size() {
        let text = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize>\n\
                    nf_conntrack_expect      0      0    208   19    1 : tunables 0 0 0\n\
                    nf_conntrack          1000   1008    256   16    1 : tunables 0 0 0\n";
        assert_eq!(slab_in(text, "nf_conntrack"), Some(1_008 * 256));
        assert_eq!(slab_in(text, "TCP"), None);
    }

    #[test]
    fn a_setting_is_raised_and_put_back_and_never_lowered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("max");
        let read = || fs::read_to_string(&path).unwrap();
        fs::write(&path, "100\n").unwrap();
        let setting = Setting::raise(&path, 250).unwrap();
        assert_eq!(read(), "250");
        drop(setting);
        assert_eq!(read(), "100");
        let setting = Setting::raise(&path, 50).unwrap();
        assert_eq!(read(), "100");
        drop(setting);
    }
}
