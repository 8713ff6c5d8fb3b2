//! `support-bundle`: one file with what support needs.

use std::path::{Path, PathBuf};

use clap::Args;

use wardline_mgmt::support;

use super::{Failure, load};

/// Where it goes, and what beside the usual goes into it.
#[derive(Debug, Args)]
pub struct SupportArgs {
    /// The file to write
    #[arg(long, value_name = "FILE.tar.gz")]
    output: PathBuf,
    /// The service's log file, if it has one; its last lines are scrubbed and put in
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// Runs what was typed.
///
/// # Errors
/// When the file cannot be written. What cannot be found out is said in the file instead.
pub async fn run(args: &SupportArgs, config: &Path) -> Result<(), Failure> {
    let config = load(config)?;
    let bytes = support::bundle(&config, args.log.as_deref(), &args.output).await?;
    println!("{}: {bytes} bytes", args.output.display());
    Ok(())
}
