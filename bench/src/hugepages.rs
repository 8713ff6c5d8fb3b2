//! Huge pages of the machine: taken for a run, given back after it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

const TOTAL: &str = "/proc/sys/vm/nr_hugepages";
const SIZES: &str = "/sys/kernel/mm/hugepages";

/// More huge pages than the machine had; dropping it puts the old number back.
#[derive(Debug)]
pub struct HugePages {
    before: Option<u64>,
}

impl HugePages {
    /// Makes at least `mib` MiB of free huge pages of the default size.
    ///
    /// # Errors
    /// When the kernel cannot give as many.
    pub fn reserve(mib: u64) -> Result<Self> {
        let page_kib = default_page_kib()?;
        let wanted = (mib * 1024).div_ceil(page_kib);
        let free = free(page_kib)?;
        if free >= wanted {
            return Ok(Self { before: None });
        }
        let before = number(Path::new(TOTAL))?;
        let guard = Self {
            before: Some(before),
        };
        let total = before + wanted - free;
        fs::write(TOTAL, total.to_string()).with_context(|| format!("writing {TOTAL}"))?;
        let got = self::free(page_kib)?;
        if got < wanted {
            bail!("of {wanted} huge pages of {page_kib} KiB the kernel could give {got} only");
        }
        Ok(guard)
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        if let Some(before) = self.before
            && let Err(error) = fs::write(TOTAL, before.to_string())
        {
            eprintln!("warning: {TOTAL} is no longer {before}: {error}");
        }
    }
}

fn default_page_kib() -> Result<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("Hugepagesize:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .context("this kernel has no huge pages")
}

fn free(page_kib: u64) -> Result<u64> {
    number(&Path::new(SIZES).join(format!("hugepages-{page_kib}kB/free_hugepages")))
}

fn number(path: &Path) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    text.trim()
        .parse()
        .with_context(|| format!("{} holds no number", path.display()))
}
