//! `cargo xtask …`: what a person working on Wardline types.
//!
//! The tasks only prepare the machine, build, and start other programs; what happens on the
//! simulated ward is the laboratory's business (`wardline-lab`).

mod cost;
mod fuzz;
mod setup;
mod showcase;
mod stages;
mod tidy;
mod tools;
mod train;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Build, show and test Wardline")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what is missing on this machine and check the kernel (root)
    Setup,
    /// Show the gateway at work on the simulated ward (root)
    Demo(DemoArgs),
    /// Run every test there is, stage by stage
    Test(TestArgs),
    /// Count the instructions of the packet path and compare them with the baseline
    Cost {
        /// Make what is counted the baseline
        #[arg(long)]
        bless: bool,
    },
    /// Fuzz the classifier's parsers
    Fuzz(fuzz::FuzzArgs),
    /// Train the models from labelled captures, and say what they reach in models/REPORT.md
    Train(train::TrainArgs),
    /// Start or stop the simulated ward alone (root)
    Ward {
        #[command(subcommand)]
        action: WardAction,
    },
    /// Measure Wardline next to its alternatives (root)
    Bench {
        #[command(subcommand)]
        action: BenchAction,
    },
    /// Check the repository's own rules
    Tidy,
    /// Stop and remove whatever a demo or ward left behind
    Clean,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Without a person: run, report, clean up, end
    #[arg(long)]
    headless: bool,
    /// How long the ward runs once everything is up
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Where to write the report
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Written when everything is up, with what an outside program needs to look in
    #[arg(long, value_name = "FILE")]
    ready: Option<PathBuf>,
    /// A policy to enforce in place of the ward's own
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Where the management plane listens [default: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDRESS")]
    management: Option<std::net::SocketAddr>,
}

#[derive(Debug, Args)]
struct TestArgs {
    /// Only this stage; may be given several times
    #[arg(long = "stage", value_name = "NAME")]
    stages: Vec<stages::Stage>,
}

#[derive(Debug, Subcommand)]
enum WardAction {
    /// Lay out the ward and start its devices
    Up {
        /// Light devices beside the clinical ones
        #[arg(long, value_name = "N", default_value_t = 0)]
        extra_devices: u16,
        /// With the gateway in its place, instead of the kernel bridge
        #[arg(long)]
        gateway: bool,
    },
    /// Stop the ward and remove it
    Down,
    /// Say what is running
    Status,
    /// Record everybody at work, with the kernel bridge in the gateway's place
    Record {
        /// How long the ward works once it is up
        #[arg(long, value_name = "N", default_value_t = 90)]
        seconds: u64,
        /// What decides who plays and when; the same seed plays the same devices
        #[arg(long, value_name = "S")]
        seed: u64,
        /// Directory for `seed-S.pcap` and `labels.json`
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum BenchAction {
    /// Every system in turn, in one run on this machine
    Compare(CompareArgs),
    /// The management plane with 10,000 devices and ten million records, beside a small one
    Management {
        /// What `wardline-bench management` takes; `--help` lists it
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGS"
        )]
        args: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct CompareArgs {
    /// A corner of the matrix, in under five minutes
    #[arg(long)]
    quick: bool,
    /// Only these suites, systems or corner families; a wrong name lists those there are
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// How often every system has its turn at every corner
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Where to write everything that was measured
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Directory for the table and the plots
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True when everything the task tried was well.
fn run(task: Task) -> Result<bool> {
    match task {
        Task::Setup => setup::run()?,
        Task::Demo(args) => demo(&args)?,
        Task::Test(args) => return Ok(stages::run(&args.stages)),
        Task::Cost { bless: true } => cost::bless()?,
        Task::Cost { bless: false } => cost::check()?,
        Task::Fuzz(args) => return fuzz::run(&args),
        Task::Train(args) => train::run(&args)?,
        Task::Ward { action } => ward(&action)?,
        Task::Bench { action } => bench(&action)?,
        Task::Tidy => tidy::run()?,
        Task::Clean => clean()?,
    }
    Ok(true)
}

fn demo(args: &DemoArgs) -> Result<()> {
    prepare()?;
    let mut command = tools::lab_command()?;
    command.arg("demo");
    if args.headless {
        command.arg("--headless");
    }
    if let Some(seconds) = args.seconds {
        command.arg("--seconds").arg(seconds.to_string());
    }
    if let Some(address) = args.management {
        command.arg("--management").arg(address.to_string());
    }
    let files = [
        ("--json", &args.json),
        ("--ready", &args.ready),
        ("--policy", &args.policy),
    ];
    for (flag, file) in files {
        if let Some(file) = file {
            command.arg(flag).arg(std::path::absolute(file)?);
        }
    }
    Err(tools::replace_process(command))
}

fn ward(action: &WardAction) -> Result<()> {
    if let WardAction::Up { .. } | WardAction::Record { .. } = action {
        prepare()?;
    } else {
        tools::require_root()?;
    }
    let mut command = tools::lab_command()?;
    match action {
        WardAction::Up {
            extra_devices,
            gateway,
        } => {
            if *gateway {
                command
                    .arg("up")
                    .arg("--gateway")
                    .arg(tools::program("wardline-fastpath")?);
            } else {
                command.arg("up");
            }
            command.args(["--extra-devices", &extra_devices.to_string()])
        }
        WardAction::Down => command.arg("down"),
        WardAction::Status => command.arg("status"),
        WardAction::Record { seconds, seed, out } => {
            command.args(["record", "--seconds", &seconds.to_string()]);
            command.args(["--seed", &seed.to_string(), "--out"]);
            command.arg(std::path::absolute(out)?)
        }
    };
    Err(tools::replace_process(command))
}

fn bench(action: &BenchAction) -> Result<()> {
    match action {
        BenchAction::Compare(args) => compare(args),
        BenchAction::Management { args } => {
            // As the tests build it: what it does most is wait for the database.
            tools::build()?;
            let mut command = Command::new(tools::program(tools::BENCH)?);
            command.arg("management").args(args);
            Err(tools::replace_process(command))
        }
    }
}

fn compare(args: &CompareArgs) -> Result<()> {
    setup::run_for_bench()?;
    let mut command = Command::new(tools::build_bench()?);
    command.env("WARDLINE_LAB_VENV", tools::venv()?);
    command.arg("compare");
    if args.quick {
        command.arg("--quick");
    }
    for name in &args.only {
        command.arg("--only").arg(name);
    }
    if let Some(rounds) = args.rounds {
        command.arg("--rounds").arg(rounds.to_string());
    }
    for (flag, path) in [("--json", &args.json), ("--out", &args.out)] {
        if let Some(path) = path {
            command.arg(flag).arg(std::path::absolute(path)?);
        }
    }
    Err(tools::replace_process(command))
}

fn clean() -> Result<()> {
    tools::require_root()?;
    if !tools::program(tools::LAB)?.exists() {
        bail!("the laboratory was never built here, so it left nothing behind");
    }
    tools::run(tools::lab_command()?.arg("down"))
}

/// What every task on the ward needs first: packages, Python environment and our programs.
fn prepare() -> Result<()> {
    setup::run()?;
    tools::build()
}
