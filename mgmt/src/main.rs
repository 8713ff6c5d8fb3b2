//! `wardline-mgmt`: the program that `wardline mgmt` and `wardline audit` start.

mod command;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use wardline_mgmt::traces::Traces;
use wardline_mgmt::{api, run};

use command::Failure;
use command::audit::AuditArgs;
use command::restore::RestoreArgs;
use command::support::SupportArgs;
use command::token::Token;

/// Exit code for a wrong command line or configuration.
const WRONG_USAGE: u8 = 2;

/// The Wardline management plane: REST API, inventory, audit log.
#[derive(Debug, Parser)]
#[command(name = "wardline-mgmt", version)]
struct Arguments {
    /// Configuration file (TOML).
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/wardline/mgmt.toml"
    )]
    config: PathBuf,
    /// Written when the service answers: JSON with its address and the certificate to trust.
    #[arg(long, global = true, value_name = "FILE")]
    ready: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve (the same as no command)
    Serve,
    /// Check the configuration, then exit
    Check,
    /// Print the description of the API (OpenAPI 3.1)
    Openapi,
    Audit(AuditArgs),
    /// Credentials of programs, for whoever may read the state directory
    Token {
        #[command(subcommand)]
        command: Token,
    },
    /// Print a fresh setup code, while there is no administrator
    SetupCode,
    /// Put a copy of the database in place of the one there is, which is kept aside
    Restore(RestoreArgs),
    /// Write one file with what support needs, without secrets, names or traffic
    SupportBundle(SupportArgs),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = &arguments.config;
    let done = match &arguments.command {
        None | Some(Command::Serve) => serve(&arguments),
        Some(Command::Check) => command::load(config).map(|_| true),
        Some(Command::Openapi) => describe(),
        Some(Command::Audit(args)) => wait(command::audit::run(args, config)),
        Some(Command::Token { command }) => {
            wait(command::token::run(command, config)).map(|()| true)
        }
        Some(Command::SetupCode) => wait(command::token::setup_code(config)).map(|()| true),
        Some(Command::Restore(args)) => wait(command::restore::run(args, config)).map(|()| true),
        Some(Command::SupportBundle(args)) => {
            wait(command::support::run(args, config)).map(|()| true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("wardline-mgmt: {failure}");
            ExitCode::from(match failure {
                Failure::Usage(_) => WRONG_USAGE,
                Failure::Failed(_) => 1,
            })
        }
    }
}

fn describe() -> Result<bool, Failure> {
    let text = api::document()
        .to_pretty_json()
        .map_err(anyhow::Error::from)?;
    println!("{text}");
    Ok(true)
}

fn serve(arguments: &Arguments) -> Result<bool, Failure> {
    let config = command::load(&arguments.config)?;
    let runtime = runtime()?;
    let traces = config.traces.as_ref();
    let traces = traces.map(|config| Traces::start(config, runtime.handle().clone()));
    let traces = traces.transpose()?;
    let level = config.log.level.filter();
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_filter(filter_fn(move |about| {
            about.is_event() && *about.level() <= level
        }));
    tracing_subscriber::registry()
        .with(traces.as_ref().map(Traces::layer))
        .with(lines)
        .init();
    let ready = arguments.ready.as_deref();
    let ran = runtime.block_on(run::run(config, ready));
    if let Some(traces) = traces {
        traces.end();
    }
    ran?;
    Ok(true)
}

/// Runs to its end on a runtime of its own.
fn wait<T>(task: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    runtime()?.block_on(task)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    Ok(runtime.map_err(anyhow::Error::from)?)
}
