//! The command line.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use wardline_bench::machine::Facts;
use wardline_bench::management::{self, Plan, Size};
use wardline_bench::report::{self, Report};
use wardline_bench::suites::{Entry, SUITES};
use wardline_bench::{Findings, Options, interrupt};

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "wardline-bench", about = "Wardline next to its alternatives")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub task: Task,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Measure every system in turn and print the table (root)
    Compare(Compare),
    /// The management plane with many devices and a long history, under load
    Management(Management),
}

/// What `management` can be told.
#[derive(Debug, Args)]
pub struct Management {
    /// A tenth of the devices and a fiftieth of the history, in under a minute
    #[arg(long)]
    quick: bool,
    /// Requests of each kind
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    requests: u32,
    /// Decides what is asked for
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where the databases are kept for the next run; without it they are removed
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Where to write everything that was measured
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What `compare` can be told.
#[derive(Debug, Args)]
pub struct Compare {
    /// A corner of the matrix, in under five minutes
    #[arg(long)]
    quick: bool,
    /// Only these suites, systems or corner families; may be given several times
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// How often every system has its turn at every corner
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Where to write everything that was measured
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Directory for the table and the plots
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// True when Wardline and every peer that is present ran.
///
/// # Errors
/// A wrong name, no right to measure, or a suite that cannot run at all.
pub fn run(task: &Task) -> Result<bool> {
    match task {
        Task::Compare(args) => compare(args),
        Task::Management(args) => manage(args),
    }
}

/// The devices and records that the figures are about, and what they are compared with.
const LARGE: Size = Size {
    devices: 10_000,
    records: 10_000_000,
};
const SMALL: Size = Size {
    devices: 1_000,
    records: 200_000,
};

fn manage(args: &Management) -> Result<bool> {
    let scratch = tempfile::Builder::new()
        .prefix("wardline-bench-")
        .tempdir()?;
    let sizes = if args.quick {
        vec![SMALL]
    } else {
        vec![SMALL, LARGE]
    };
    let measured = management::run(&Plan {
        sizes,
        requests: args.requests,
        connections: 4,
        listeners: 50,
        seed: args.seed,
        programs: program_folder()?,
        folder: args
            .folder
            .clone()
            .unwrap_or_else(|| scratch.path().to_owned()),
    })?;
    if let Some(file) = &args.json {
        write(file, &serde_json::to_string_pretty(&measured)?)?;
    }
    print!("{}", management::table(&measured));
    Ok(true)
}

fn compare(args: &Compare) -> Result<bool> {
    interrupt::watch()?;
    let scratch = tempfile::Builder::new()
        .prefix("wardline-bench-")
        .tempdir()?;
    let options = Options {
        quick: args.quick,
        rounds: args.rounds,
        only: args.only.clone(),
        programs: program_folder()?,
        scratch: scratch.path().to_owned(),
    };
    check_names(&options.only)?;
    let facts = Facts::collect(&options.programs);
    let command = env::args().skip(1).collect::<Vec<_>>().join(" ");
    let command = format!("cargo xtask bench {command}");
    let report = |findings: Findings| {
        let facts = facts.clone();
        Report::new(command.clone(), args.quick, args.rounds, facts, findings)
    };
    let mut findings = Findings::default();
    for entry in SUITES.iter().filter(|entry| wants(&options, entry)) {
        let found = (entry.run)(&options).with_context(|| format!("suite {}", entry.name))?;
        findings.samples.extend(found.samples);
        findings.absent.extend(found.absent);
        // A run may take an hour: what it has is kept, whatever happens to the rest.
        keep(
            &report(findings.clone()),
            args.json.as_deref(),
            args.out.as_deref(),
        )?;
    }
    let complete = complete(&findings);
    print!("{}", report::table(&report(findings)));
    Ok(complete)
}

/// Writes the files that were asked for.
fn keep(report: &Report, json: Option<&Path>, out: Option<&Path>) -> Result<()> {
    if let Some(file) = json {
        let text = serde_json::to_string_pretty(report)?;
        write(file, &text)?;
    }
    if let Some(folder) = out {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        write(&folder.join("table.md"), &report::table(report))?;
        for (name, svg) in report::plots(&report.figures) {
            write(&folder.join(name), &svg)?;
        }
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

/// Whether Wardline ran wherever it was asked to, and something was measured at all. A peer that
/// is absent is a finding; Wardline's absence is a failure.
fn complete(findings: &Findings) -> bool {
    let ours = findings.absent.iter().any(|a| report::is_ours(&a.system));
    !ours && !findings.samples.is_empty()
}

fn wants(options: &Options, entry: &Entry) -> bool {
    let names: Vec<&str> = SUITES.iter().map(|entry| entry.name).collect();
    options.wants(&names, entry.name)
}

fn check_names(only: &[String]) -> Result<()> {
    let known: Vec<&str> = SUITES
        .iter()
        .flat_map(|entry| [&[entry.name], entry.systems, entry.families].concat())
        .collect();
    if let Some(name) = only.iter().find(|name| !known.contains(&name.as_str())) {
        bail!(
            "--only {name}: no such suite, system or corner family; there are {}",
            known.join(", ")
        );
    }
    Ok(())
}

fn program_folder() -> Result<PathBuf> {
    let own = env::current_exe().context("where this program lies")?;
    own.parent()
        .map(PathBuf::from)
        .context("this program lies in no folder")
}
