//! The trials from the command line: attacks, demo, controls, rules, resilience.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use wardline_lab::control::Control;
use wardline_lab::{Options, Ward, attacks, demo, resilience, rules};

use crate::NameArg;

/// What the ward is put through.
#[derive(Debug, Subcommand)]
pub enum Trial {
    /// Attack the ward; the exit code is 1 if an attack got through.
    Attacks(AttackArgs),
    /// Show the gateway at work: exchanges, attacks and a loss stream at the same time.
    Demo(DemoArgs),
    /// Bring a ward up without the gateway and check that every attack then gets through.
    Controls(NameArg),
    /// Check that each exchange fails, with the reason that names it, without its rules.
    Rules(NameArg),
    /// Check that care goes on while policies are swapped, and gateway and management are killed.
    Resilience(ResilienceArgs),
}

impl Trial {
    /// Runs the trial; true when all is as it should be.
    ///
    /// # Errors
    /// When the trial could not be carried out.
    pub fn run(self) -> Result<bool> {
        match self {
            Self::Attacks(arguments) => attack_open_ward(&arguments),
            Self::Demo(arguments) => show(arguments),
            Self::Controls(arguments) => controls(arguments.name),
            Self::Rules(arguments) => take_rules_out(arguments.name),
            Self::Resilience(arguments) => disturb(arguments),
        }
    }
}

#[derive(Debug, Args)]
pub struct ResilienceArgs {
    #[command(flatten)]
    ward: NameArg,
    /// Decides when the management plane is killed [default: another one each time].
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Debug, Args)]
pub struct AttackArgs {
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
pub struct DemoArgs {
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
    /// Where the management plane listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    management: SocketAddr,
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

fn take_rules_out(name: String) -> Result<bool> {
    let gateway = Some(demo::gateway_program()?);
    let ward = Ward::up(&Options {
        name,
        gateway,
        ..Options::default()
    })?;
    let tried = Control::connect(&ward.control_socket())
        .and_then(|control| rules::try_without(&ward, &control))
        .map(|outcomes| (outcomes, rules::try_with(&ward)));
    ward.down()?;
    let (outcomes, still_failing) = tried?;
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
    for outcome in &still_failing {
        println!(
            "FAILED {:<24} with all rules back: {}",
            outcome.name, outcome.detail
        );
    }
    Ok(still_failing.is_empty() && outcomes.iter().all(rules::Outcome::as_it_must))
}

fn disturb(arguments: ResilienceArgs) -> Result<bool> {
    let program = demo::gateway_program()?;
    let management = demo::management_program()?;
    let seed = arguments
        .seed
        .unwrap_or_else(|| fastrand::u64(0..1_000_000));
    let gateway = Some(program.clone());
    let ward = Ward::up(&Options {
        name: arguments.ward.name,
        gateway,
        ..Options::default()
    })?;
    let results = Control::connect(&ward.control_socket()).map(|control| {
        [
            resilience::swap_under_load(&ward, &control),
            resilience::kill_management(&ward, &control, &management, seed),
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

fn show(arguments: DemoArgs) -> Result<bool> {
    let seconds = arguments.seconds.or(arguments.headless.then_some(60));
    demo::run(&demo::Play {
        name: arguments.ward.name,
        duration: seconds.map(Duration::from_secs),
        json: arguments.json,
        ready: arguments.ready,
        policy: arguments.policy,
        management: arguments.management,
        live: !arguments.headless,
    })
}
