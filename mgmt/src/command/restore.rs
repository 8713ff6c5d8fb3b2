//! `restore`: puts a copy of the main database in place of the one there is.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, state_dir};
use wardline_mgmt::store::restore::restore;

/// A copy, and where it goes.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Copy of the main database, as `POST /backups` makes them
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// State directory; left out: the one of the configuration
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Runs what was typed.
///
/// # Errors
/// When the copy is of no use or cannot be put in place; everything is as it was then.
pub async fn run(args: &RestoreArgs, config: &Path) -> Result<(), Failure> {
    let dir = state_dir(args.state.as_deref(), config)?;
    let done = restore(&dir, &args.backup, args.reason.clone()).await?;
    println!(
        "{} is in place, with {} audit records",
        args.backup.display(),
        done.records
    );
    for finding in &done.findings {
        println!("attention: record {}: {}", finding.seq, finding.what);
    }
    if let Some(aside) = done.aside {
        println!("what was there before: {}", aside.display());
    }
    Ok(())
}
