//! `wardline-cost`: what `cargo xtask cost` starts, and what itself starts under callgrind.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use wardline_bench::cost::cases::Case;
use wardline_bench::cost::{bless, check};

/// Instructions of the packet path, case by case
#[derive(Debug, Parser)]
#[command(name = "wardline-cost")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Count all cases and fail when one has risen above the baseline
    Check {
        /// The baseline
        file: PathBuf,
    },
    /// Count all cases and make that the baseline
    Bless {
        /// The baseline
        file: PathBuf,
    },
    /// Do what one case is about and print how many units that were; to be run under callgrind
    Run {
        /// Name of the case
        case: String,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True when nothing has risen.
fn run(task: &Task) -> Result<bool> {
    match task {
        Task::Check { file } => return check(file),
        Task::Bless { file } => bless(file)?,
        Task::Run { case } => {
            let case = Case::find(case).with_context(|| format!("no case is called {case}"))?;
            println!("{}", case.run()?);
        }
    }
    Ok(true)
}
