//! The ward from the command line.

mod trials;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use wardline_lab::exchange::{self, Exchange};
use wardline_lab::layout::{HOSTS, Side};
use wardline_lab::loss::{self, Loss};
use wardline_lab::process::Tracked;
use wardline_lab::record::{self, Recording};
use wardline_lab::{Options, Outcome, Ward, policy};

/// How long loss is measured, at most as long as a run of the exchanges takes on a fast machine.
const LOSS_SECONDS: u32 = 5;

#[derive(Debug, Parser)]
#[command(
    name = "wardline-lab",
    about = "A simulated clinical ward around the gateway",
    version
)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Bring the ward up (removes what an earlier run of the same name left).
    Up(UpArgs),
    /// Take the ward down and remove everything it made.
    Down(NameArg),
    /// Show hosts and programs.
    Status(NameArg),
    /// Perform the clinical exchanges while measuring loss on an allowed conversation; the exit
    /// code is 1 if an exchange failed or something was lost.
    Exchanges(ExchangeArgs),
    /// Print the policy the gateway gets: the ward's own, its vendor visit moved to the present.
    Policy(PolicyArgs),
    /// Bring a ward up without the gateway, record everybody at work, take it down; the exit code
    /// is 1 if a program of it did not hold out.
    Record(RecordArgs),
    #[command(flatten)]
    Trial(trials::Trial),
}

#[derive(Debug, Args)]
struct NameArg {
    /// Prefix of everything the ward makes: 1 to 8 lower-case letters or digits.
    #[arg(long, default_value = "wl")]
    name: String,
}

#[derive(Debug, Args)]
struct UpArgs {
    #[command(flatten)]
    ward: NameArg,
    /// The gateway's program `wardline-fastpath`, or `none` for a kernel bridge in its place.
    #[arg(long, default_value = "none")]
    gateway: String,
    /// Policy for the gateway instead of the ward's own.
    #[arg(long)]
    policy: Option<PathBuf>,
    /// Light extra devices for scale.
    #[arg(long, default_value_t = 0)]
    extra_devices: u16,
}

#[derive(Debug, Args)]
struct ExchangeArgs {
    #[command(flatten)]
    ward: NameArg,
    /// Perform only this exchange; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Write the outcomes as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct PolicyArgs {
    /// Leave this rule out; may be given several times.
    #[arg(long)]
    without: Vec<String>,
    /// Where to write it.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct RecordArgs {
    /// Prefix of everything the ward makes: 1 to 8 lower-case letters or digits.
    #[arg(long, default_value = "rec")]
    name: String,
    /// How long the ward works once it is up.
    #[arg(long, value_name = "N", default_value_t = 90)]
    seconds: u64,
    /// What decides who plays and when.
    #[arg(long, value_name = "S")]
    seed: u64,
    /// Directory of the capture and of the labels, which all recordings there share.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// What an `exchanges` run found.
#[derive(Debug, Serialize)]
struct Findings {
    allowed: Vec<Outcome>,
    loss: Option<Loss>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Task::Up(arguments) => up(arguments),
        Task::Down(arguments) => Ward::remove(&arguments.name).map(|()| true),
        Task::Status(arguments) => status(&arguments.name),
        Task::Exchanges(arguments) => exchanges(&arguments),
        Task::Policy(arguments) => write_policy(&arguments),
        Task::Record(arguments) => record::run(&Recording {
            name: arguments.name,
            duration: Duration::from_secs(arguments.seconds),
            seed: arguments.seed,
            out: arguments.out,
        }),
        Task::Trial(trial) => trial.run(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("wardline-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn up(arguments: UpArgs) -> Result<bool> {
    let start = Instant::now();
    let options = Options {
        name: arguments.ward.name,
        gateway: (arguments.gateway != "none").then(|| PathBuf::from(arguments.gateway)),
        policy: arguments.policy,
        extra_devices: arguments.extra_devices,
        ..Options::default()
    };
    let ward = Ward::up(&options)?;
    println!(
        "ward `{}` is up after {:.1} s: {} hosts, {} programs, files in {}",
        ward.name(),
        start.elapsed().as_secs_f32(),
        HOSTS.len(),
        ward.programs().len(),
        ward.dir().display()
    );
    Ok(true)
}

fn status(name: &str) -> Result<bool> {
    let ward = Ward::open(name)?;
    let programs = ward.programs();
    let mut text = format!(
        "{:<10} {:<5} {:<16} {:<18} PROGRAMS\n",
        "HOST", "SIDE", "ADDRESS", "HARDWARE ADDRESS"
    );
    for host in HOSTS {
        let side = if host.side == Side::Ward {
            "ward"
        } else {
            "core"
        };
        let (ip, mac) = (host.ip.to_string(), host.mac);
        let running = programs_on(&programs, host.name);
        text += &format!("{:<10} {side:<5} {ip:<16} {mac:<18} {running}\n", host.name);
    }
    text += &format!(
        "{:<10} {:<5} {:<16} {:<18} {}\n",
        "box",
        "-",
        "-",
        "-",
        programs_on(&programs, "box")
    );
    show(&text)?;
    Ok(programs.iter().all(|(_, alive)| *alive))
}

fn programs_on(programs: &[(Tracked, bool)], host: &str) -> String {
    let names = programs
        .iter()
        .filter(|(program, _)| program.host == host)
        .map(|(program, alive)| {
            if *alive {
                program.service.clone()
            } else {
                format!("{} (ended)", program.service)
            }
        });
    names.collect::<Vec<_>>().join(", ")
}

fn exchanges(arguments: &ExchangeArgs) -> Result<bool> {
    let ward = Ward::open(&arguments.ward.name)?;
    let chosen = choose(&arguments.only)?;
    // Only a whole run is long enough to measure loss.
    let measurement = arguments
        .only
        .is_empty()
        .then(|| loss::start(&ward, LOSS_SECONDS))
        .transpose()?;
    let start = Instant::now();
    let allowed = exchange::perform(&ward, &chosen);
    let took = start.elapsed();
    let loss = measurement.map(loss::Measurement::finish).transpose()?;
    let findings = Findings { allowed, loss };
    show(&findings.describe(took))?;
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&findings).context("cannot encode the outcomes")?;
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(findings.good())
}

impl Findings {
    fn good(&self) -> bool {
        self.allowed.iter().all(|outcome| outcome.success)
            && self.loss.is_none_or(|loss| loss.lost() == 0)
    }

    fn describe(&self, took: Duration) -> String {
        let mut text = String::new();
        for Outcome {
            name,
            device,
            duration_ms,
            detail,
            success,
            ..
        } in &self.allowed
        {
            let mark = if *success { "ok    " } else { "FAILED" };
            text += &format!("{mark} {name:<20} {device:<9} {duration_ms:>6} ms  {detail}\n");
        }
        let succeeded = self
            .allowed
            .iter()
            .filter(|outcome| outcome.success)
            .count();
        let (all, took_s) = (self.allowed.len(), took.as_secs_f32());
        text += &format!("{succeeded} of {all} in {took_s:.1} s\n");
        if let Some(loss) = &self.loss {
            let (lost, sent, worst) = (loss.lost(), loss.sent, loss.worst_round_trip_ms);
            text += &format!("{lost} of {sent} numbered datagrams lost, slowest {worst} ms\n");
        }
        text
    }
}

fn write_policy(arguments: &PolicyArgs) -> Result<bool> {
    let document = arguments
        .without
        .iter()
        .try_fold(policy::load()?, |document, rule| {
            policy::without(document, rule)
        })?;
    policy::write(&document, &arguments.out)?;
    Ok(true)
}

/// Prints to a reader who may have gone away, as `head` does.
fn show(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot print"),
        _ => Ok(()),
    }
}

fn choose(names: &[String]) -> Result<Vec<Exchange>> {
    if names.is_empty() {
        return Ok(exchange::all());
    }
    names
        .iter()
        .map(|name| {
            exchange::named(name).with_context(|| {
                let known: Vec<_> = exchange::all()
                    .iter()
                    .map(|exchange| exchange.name)
                    .collect();
                format!(
                    "no exchange is named `{name}`; there are {}",
                    known.join(", ")
                )
            })
        })
        .collect()
}
