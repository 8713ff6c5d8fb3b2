//! `cargo xtask test`: every test there is, in stages, each with its duration.
//!
//! All stages run even when one fails. A stage that this machine cannot run is skipped with the
//! reason in sight.

use std::fmt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::{cost, setup, showcase, tidy, tools};

/// A part of the test run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// Packages, Python environment, kernel features
    Setup,
    /// Formatting
    Format,
    /// The repository's own rules
    Tidy,
    /// Lints of every crate, warnings denied
    Clippy,
    /// Unit, property and integration tests of every crate
    Unit,
    /// Every operation of the API against its description, with requests that are made up
    Api,
    /// Instructions for each frame against the committed baseline, counted by callgrind
    Cost,
    /// The demo after one that was killed: exchanges succeed, attacks do not reach, nothing is lost
    Demo,
    /// The demo interrupted: nothing is left of it
    Interrupt,
    /// Every attack does reach its target when the gateway only observes
    Controls,
    /// Every exchange fails, for the reason that names it, once its rule is taken out
    Rules,
    /// Care goes on while policies are swapped and the gateway is killed
    Resilience,
}

enum Outcome {
    Passed,
    Skipped(&'static str),
    Failed(anyhow::Error),
}

/// Runs the stages named, or all; true when none failed.
pub fn run(only: &[Stage]) -> bool {
    let chosen = Stage::value_variants()
        .iter()
        .filter(|stage| only.is_empty() || only.contains(stage));
    let mut results = Vec::new();
    for &stage in chosen {
        println!("==> {stage}");
        let begin = Instant::now();
        let outcome = stage.outcome();
        results.push((stage, outcome, begin.elapsed()));
        if let Some(result) = results.last() {
            println!("{}\n", line(result));
        }
    }
    summary(&results)
}

fn summary(results: &[(Stage, Outcome, Duration)]) -> bool {
    println!("==> summary");
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for result in results {
        println!("{}", line(result));
        match result.1 {
            Outcome::Passed => passed += 1,
            Outcome::Skipped(_) => skipped += 1,
            Outcome::Failed(_) => failed += 1,
        }
    }
    println!("stages: {passed} passed, {failed} failed, {skipped} skipped");
    failed == 0
}

fn line((stage, outcome, took): &(Stage, Outcome, Duration)) -> String {
    let (word, detail) = match outcome {
        Outcome::Passed => ("ok", String::new()),
        Outcome::Skipped(why) => ("skipped", format!(": {why}")),
        Outcome::Failed(error) => ("FAILED", format!(": {error:#}")),
    };
    format!(
        "{:<8} {word} in {:.1} s{detail}",
        stage.to_string(),
        took.as_secs_f64()
    )
}

impl Stage {
    fn outcome(self) -> Outcome {
        if self.needs_root() && !tools::is_root() {
            return Outcome::Skipped("needs root");
        }
        match self.run() {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(error),
        }
    }

    fn needs_root(self) -> bool {
        !matches!(
            self,
            Self::Format | Self::Tidy | Self::Clippy | Self::Unit | Self::Api | Self::Cost
        )
    }

    fn run(self) -> Result<()> {
        match self {
            Self::Setup => setup::run(),
            Self::Format => cargo(["fmt", "--all", "--check"]),
            Self::Tidy => tidy::run(),
            Self::Clippy => {
                let args = ["clippy", "--all-targets"].into_iter().chain(scope());
                cargo(args.chain(["--", "-D", "warnings"]))
            }
            Self::Unit => cargo(["test", "--no-fail-fast"].into_iter().chain(scope())),
            Self::Api => try_out_the_api(),
            Self::Cost => cost::check(),
            Self::Demo => showcase::run(),
            Self::Interrupt => showcase::interrupt(),
            Self::Controls => lab(&["controls"]),
            Self::Rules => lab(&["rules"]),
            Self::Resilience => lab(&["resilience"]),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_possible_value() {
            Some(value) => f.write_str(value.get_name()),
            None => fmt::Debug::fmt(self, f),
        }
    }
}

/// Every crate, or only those that build without DPDK where there is none.
pub fn scope() -> Option<&'static str> {
    let probe = Command::new("pkg-config")
        .args(["--exists", "libdpdk"])
        .status();
    if probe.is_ok_and(|status| status.success()) {
        return Some("--workspace");
    }
    println!("libdpdk is not installed: the crates that link it are left out");
    None
}

fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<()> {
    tools::run(tools::cargo()?.args(args))
}

/// The same build as for the unit tests, so that nothing compiles for it.
fn try_out_the_api() -> Result<()> {
    let program = setup::run_for_api()?;
    let mut command = tools::cargo()?;
    command.arg("test").args(scope()).args(["--test", "api"]);
    command.args(["--", "--ignored", "--nocapture", "--exact"]);
    command.arg("contract::every_operation_keeps_to_its_description");
    tools::run(command.env("WARDLINE_SCHEMATHESIS", program))
}

fn lab(args: &[&str]) -> Result<()> {
    tools::build()?;
    let mut command = tools::lab_command()?;
    command.args(args).stdin(Stdio::null());
    let status = command.status()?;
    if !status.success() {
        bail!("`wardline-lab {}` ended with {status}", args.join(" "));
    }
    Ok(())
}
