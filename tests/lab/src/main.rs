//! The ward from the command line.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use wardline_lab::control::Control;
use wardline_lab::exchange::{self, Exchange};
use wardline_lab::layout::{HOSTS, Side};
use wardline_lab::{Options, Outcome, Ward, attacks, demo, resilience, rules};

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
    /// Perform the clinical exchanges; the exit code is 1 if one of them failed.
    Exchanges(ExchangeArgs),
    /// Attack the ward; the exit code is 1 if an attack got through.
    Attacks(AttackArgs),
    /// Show the gateway at work: exchanges, attacks and a loss stream at the same time.
    Demo(DemoArgs),
    /// Bring a ward up without the gateway and check that every attack then gets through.
    Controls(NameArg),
    /// Check that each exchange fails, with the reason that names it, without its rules.
    Rules(NameArg),
    /// Check that care goes on while policies are swapped and the gateway is killed.
    Resilience(NameArg),
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
struct AttackArgs {
    #[command(flatten)]
    ward: NameArg,
    /// Perform only this attack; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// With the kernel bridge in the gateway's place: every attack must get through.
    #[arg(long)]
    control: bool,
    /// Write the outcomes as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct DemoArgs {
    #[command(flatten)]
    ward: NameArg,
    /// Without a person: play, report, clean up, end.
    #[arg(long)]
    headless: bool,
    /// How long to play once everything is up. Default: 60 without a person, else no end.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Write the report as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write what an outside program needs to look in, once everything is up.
    #[arg(long, value_name = "FILE")]
    ready: Option<PathBuf>,
    /// Policy to enforce instead of the ward's own.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Task::Up(arguments) => up(arguments),
        Task::Down(arguments) => Ward::remove(&arguments.name).map(|()| true),
        Task::Status(arguments) => status(&arguments.name),
        Task::Exchanges(arguments) => exchanges(&arguments),
        Task::Attacks(arguments) => attack_open_ward(&arguments),
        Task::Demo(arguments) => demo(arguments),
        Task::Controls(arguments) => controls(arguments.name),
        Task::Rules(arguments) => rules(arguments.name),
        Task::Resilience(arguments) => resilience(arguments.name),
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
    let start = std::time::Instant::now();
    let options = Options {
        name: arguments.ward.name,
        gateway: (arguments.gateway != "none").then(|| PathBuf::from(arguments.gateway)),
        policy: arguments.policy,
        extra_devices: arguments.extra_devices,
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
    println!(
        "{:<10} {:<5} {:<16} {:<18} PROGRAMS",
        "HOST", "SIDE", "ADDRESS", "HARDWARE ADDRESS"
    );
    for host in HOSTS {
        let side = if host.side == Side::Ward {
            "ward"
        } else {
            "core"
        };
        let running: Vec<String> = programs
            .iter()
            .filter(|(program, _)| program.host == host.name)
            .map(|(program, alive)| {
                if *alive {
                    program.service.clone()
                } else {
                    format!("{} (ended)", program.service)
                }
            })
            .collect();
        let (ip, mac) = (host.ip.to_string(), host.mac);
        println!(
            "{:<10} {side:<5} {ip:<16} {mac:<18} {}",
            host.name,
            running.join(", ")
        );
    }
    Ok(programs.iter().all(|(_, alive)| *alive))
}

fn exchanges(arguments: &ExchangeArgs) -> Result<bool> {
    let ward = Ward::open(&arguments.ward.name)?;
    let chosen = choose(&arguments.only)?;
    let start = std::time::Instant::now();
    let outcomes = exchange::perform(&ward, &chosen);
    for outcome in &outcomes {
        let mark = if outcome.success { "ok    " } else { "FAILED" };
        let Outcome {
            name,
            device,
            duration_ms,
            detail,
            ..
        } = outcome;
        println!("{mark} {name:<22} {device:<9} {duration_ms:>6} ms  {detail}");
    }
    let succeeded = outcomes.iter().filter(|outcome| outcome.success).count();
    println!(
        "{succeeded} of {} in {:.1} s",
        outcomes.len(),
        start.elapsed().as_secs_f32()
    );
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&outcomes).context("cannot encode the outcomes")?;
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(succeeded == outcomes.len())
}

fn attack_open_ward(arguments: &AttackArgs) -> Result<bool> {
    let ward = Ward::open(&arguments.ward.name)?;
    let outcomes = attacks::perform(&ward, &attacks::choose(&arguments.only)?)?;
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&outcomes).context("cannot encode the outcomes")?;
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(tell_attacks(&outcomes, arguments.control))
}

/// Prints what became of attacks; true when it is what it should be.
fn tell_attacks(outcomes: &[attacks::Outcome], control: bool) -> bool {
    let good = |outcome: &attacks::Outcome| match control {
        true => outcome.reached > 0,
        false => outcome.stopped(),
    };
    for outcome in outcomes {
        println!(
            "{} {outcome}",
            if good(outcome) { "ok    " } else { "FAILED" }
        );
    }
    let (all, good) = (
        outcomes.len(),
        outcomes.iter().filter(|outcome| good(outcome)).count(),
    );
    println!(
        "{good} of {all} attacks {}",
        if control {
            "got through"
        } else {
            "were stopped"
        }
    );
    good == all
}

fn controls(name: String) -> Result<bool> {
    let ward = Ward::up(&Options {
        name,
        ..Options::default()
    })?;
    let outcomes = attacks::perform(&ward, attacks::ALL);
    ward.down()?;
    Ok(tell_attacks(&outcomes?, true))
}

fn rules(name: String) -> Result<bool> {
    let gateway = Some(demo::gateway_program()?);
    let ward = Ward::up(&Options {
        name,
        gateway,
        ..Options::default()
    })?;
    let outcomes = Control::connect(&ward.control_socket())
        .and_then(|control| rules::try_without(&ward, &control));
    ward.down()?;
    let outcomes = outcomes?;
    for outcome in &outcomes {
        let mark = if outcome.as_it_must() {
            "ok    "
        } else {
            "FAILED"
        };
        let rules = outcome.rules.join(", ");
        let reasons: Vec<_> = outcome
            .reasons
            .iter()
            .map(|(reason, n)| format!("{} {n}", reason.name()))
            .collect();
        let became = if outcome.failed {
            "fails"
        } else {
            "still succeeds"
        };
        println!(
            "{mark} {:<24} without {rules}: {became}, {}",
            outcome.name,
            reasons.join(", ")
        );
    }
    Ok(outcomes.iter().all(rules::Outcome::as_it_must))
}

fn resilience(name: String) -> Result<bool> {
    let program = demo::gateway_program()?;
    let gateway = Some(program.clone());
    let ward = Ward::up(&Options {
        name,
        gateway,
        ..Options::default()
    })?;
    let results = Control::connect(&ward.control_socket()).map(|control| {
        [
            resilience::swap_under_load(&ward, &control),
            resilience::kill_and_restart(&ward, &control, &program),
        ]
    });
    ward.down()?;
    let mut good = true;
    for result in results? {
        match result {
            Ok(what) => println!("ok     {what}"),
            Err(error) => {
                println!("FAILED {error:#}");
                good = false;
            }
        }
    }
    Ok(good)
}

fn demo(arguments: DemoArgs) -> Result<bool> {
    let seconds = arguments.seconds.or(arguments.headless.then_some(60));
    demo::run(&demo::Play {
        name: arguments.ward.name,
        duration: seconds.map(Duration::from_secs),
        json: arguments.json,
        ready: arguments.ready,
        policy: arguments.policy,
        live: !arguments.headless,
    })
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
