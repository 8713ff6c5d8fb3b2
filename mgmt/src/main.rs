//! `wardline-mgmt`: the program that `wardline mgmt` and `wardline audit` start.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use wardline_mgmt::config::Config;
use wardline_mgmt::{api, command, run};

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
    /// Print a fresh setup code, while there is no administrator
    SetupCode,
    /// Tokens of programs
    Token {
        #[command(subcommand)]
        action: TokenAction,
    },
}

#[derive(Debug, Subcommand)]
enum TokenAction {
    /// Make a token and print it, this once
    Create(command::CreateToken),
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
    if let Some(Command::Check) = arguments.command {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, 1),
    };
    let result = match arguments.command {
        Some(Command::SetupCode) => runtime.block_on(command::setup_code(&config)),
        Some(Command::Token { action }) => match action {
            TokenAction::Create(new) => runtime.block_on(command::create_token(&config, &new)),
        },
        _ => {
            begin_log(&config);
            runtime.block_on(run::run(config, arguments.ready.as_deref()))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{error:#}"), 1),
    }
}

fn begin_log(config: &Config) {
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(config.log.level.filter())
        .with(lines)
        .init();
}

fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("wardline-mgmt: {error}");
    ExitCode::from(code)
}
