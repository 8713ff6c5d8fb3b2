//! The cost gate: instructions of the packet path, counted by callgrind, against a committed
//! baseline.
//!
//! Counts do not depend on how busy the machine is, so a small rise is seen at once. They are not
//! time: what a cache miss costs is the harness's business.

mod baseline;
mod callgrind;
pub mod cases;

use std::path::Path;

use anyhow::Result;

pub use baseline::{Baseline, Change, Comparison};
pub use callgrind::Cost;

/// Counts all cases and compares them with a baseline; true when none has risen.
///
/// # Errors
/// When a case cannot be counted, or the baseline cannot be read.
pub fn check(file: &Path) -> Result<bool> {
    let before = Baseline::load(file)?;
    let comparison = Comparison::new(&before, &Baseline::count()?);
    print!("{comparison}");
    Ok(comparison.passes())
}

/// Counts all cases and makes that the baseline.
///
/// # Errors
/// When a case cannot be counted, or the file cannot be written.
pub fn bless(file: &Path) -> Result<()> {
    let now = Baseline::count()?;
    for (name, cost) in &now.cases {
        println!("{name:<20} {:>9.1}", cost.instructions);
    }
    now.save(file)
}
