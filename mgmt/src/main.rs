//! `wardline-mgmt`: the program that `wardline mgmt` and `wardline audit` start.

mod command;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use wardline_mgmt::config::Config;
use wardline_mgmt::{api, run};

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
    /// Who changed what
    Audit {
        #[command(subcommand)]
        command: command::audit::Audit,
    },
    /// Credentials of programs, for whoever may read the state directory
    Token {
        #[command(subcommand)]
        command: command::token::Token,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Openapi) = arguments.command {
        return match api::document().to_pretty_json() {
            Ok(text) => {
                println!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error, 1),
        };
    }
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(error) => return fail(&error, WRONG_USAGE),
    };
    match &arguments.command {
        Some(Command::Check) => return ExitCode::SUCCESS,
        Some(Command::Audit { command }) => return finish(command.run(&config)),
        Some(Command::Token { command }) => return finish(command.run(&config)),
        Some(Command::Serve | Command::Openapi) | None => {}
    }
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(config.log.level.filter())
        .with(lines)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run::run(config, arguments.ready.as_deref())));
    finish(result)
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{error:#}"), 1),
    }
}

fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("wardline-mgmt: {error}");
    ExitCode::from(code)
}
