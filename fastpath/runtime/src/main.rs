//! `wardline-fastpath`: the process that owns the ports, the flows and the policy in force.
//!
//! [`run`] is the order of a start and of a stop. [`worker`] is the packet path, a thread for each
//! core that shares nothing; everything else runs on the control thread and talks to the workers
//! through a [`mailbox`].

mod clock;
mod config;
mod context;
mod events;
mod fleet;
mod heartbeat;
mod identify;
mod mailbox;
mod model;
mod policy;
mod ports;
mod roles;
mod run;
mod server;
mod state;
mod steer;
mod translate;
mod watch;
mod worker;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::clock::Clock;
use crate::config::Config;
use crate::policy::BadInitial;

/// Exit code for a wrong command line, configuration or initial policy.
const WRONG_USAGE: u8 = 2;

/// The Wardline fast path: forwards what the policy allows between two DPDK ports.
#[derive(Debug, Parser)]
#[command(name = "wardline-fastpath", version)]
struct Arguments {
    /// Configuration file (TOML).
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/wardline/fastpath.toml"
    )]
    config: PathBuf,
    /// Check the configuration and the initial policy it names, then exit.
    #[arg(long)]
    check: bool,
    /// When stopped, give the interfaces back instead of leaving them attached for the next start.
    #[arg(long)]
    detach: bool,
}

fn main() -> ExitCode {
    let clock = Clock::start();
    let arguments = Arguments::parse();
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(error) => return fail(&error, WRONG_USAGE),
    };
    if arguments.check {
        return check(&config);
    }
    start_log(config.log.level.filter());
    match run::run(&config, clock, arguments.detach) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<BadInitial>() => fail(&error, WRONG_USAGE),
        Err(error) => fail(&format!("{error:#}"), 1),
    }
}

/// Lines on standard error. DPDK and libxdp chat at `info` about what is no news.
fn start_log(level: LevelFilter) {
    let chatty = match level {
        LevelFilter::INFO => LevelFilter::WARN,
        level => level,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(
            lines.with_filter(
                Targets::new()
                    .with_default(level)
                    .with_target("dpdk", chatty),
            ),
        )
        .init();
}

/// What can be known of a configuration without touching a port.
fn check(config: &Config) -> ExitCode {
    match config.policy.initial.as_deref().map(policy::from_file) {
        Some(Err(error)) => fail(&error, WRONG_USAGE),
        _ => ExitCode::SUCCESS,
    }
}

fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("wardline-fastpath: {error}");
    ExitCode::from(code)
}
