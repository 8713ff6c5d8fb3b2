//! `cargo xtask cost`: instructions of the packet path against what they were. The counting and
//! comparing is the business of `wardline-cost`.

use std::process::Command;

use anyhow::{Context, Result};

use crate::tools;

const PROGRAM: &str = "wardline-cost";
/// The baseline, from the repository's root.
const BASELINE: &str = "bench/baseline/instructions.json";

/// Fails when a case costs more than the baseline allows.
///
/// # Errors
/// When it does, or cannot be counted.
pub fn check() -> Result<()> {
    run("check").context("a case costs more than its baseline, or cannot be counted (see above)")
}

/// Makes what is counted the baseline.
///
/// # Errors
/// When it cannot be counted or written.
pub fn bless() -> Result<()> {
    run("bless")
}

fn run(task: &str) -> Result<()> {
    tools::build_as_the_tests_do(&["--bin", PROGRAM])?;
    let mut command = Command::new(tools::program(PROGRAM)?);
    command.arg(task).arg(tools::root()?.join(BASELINE));
    tools::run(&mut command)
}
