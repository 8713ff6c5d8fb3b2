//! The command a person types. It talks to a running fast path over its control socket, checks
//! policies, and replays captures through the same engine; it links no DPDK and needs no root.
//!
//! Exit codes: 0 done, 1 it failed, 2 wrong usage or bad input.

mod alerts;
mod classify;
mod cli;
mod control;
mod devices;
mod events;
mod failure;
mod features;
mod flows;
mod model;
mod policy;
mod replay;
mod role;
mod sibling;
mod status;
mod stop;
mod table;
mod top;
mod words;

use std::io::{self, BufWriter, IsTerminal, LineWriter, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command};
use failure::Failure;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // clap itself exits with 2 on wrong usage.
    let cli = Cli::parse();
    let stdout = io::stdout();
    // Lines for a person as they come, blocks for a program.
    let result = if stdout.is_terminal() {
        flushed(&cli, LineWriter::new(stdout.lock()))
    } else {
        flushed(&cli, BufWriter::with_capacity(64 * 1024, stdout.lock()))
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn flushed(cli: &Cli, mut out: impl Write) -> Result<(), Failure> {
    let result = run(cli, &mut out);
    // What was printed before a failure is seen before its message.
    let flushed = out.flush();
    result.and(flushed.map_err(Failure::from))
}

fn run(cli: &Cli, out: &mut dyn Write) -> Result<(), Failure> {
    let control = &cli.control;
    match &cli.command {
        Command::Fastpath(args) => sibling::run(sibling::FASTPATH, args.arguments.clone()),
        Command::Mgmt(args) => sibling::run(sibling::MGMT, args.arguments.clone()),
        Command::Audit(args) => sibling::run(sibling::MGMT, args.behind("audit")),
        Command::SupportBundle(args) => sibling::run(sibling::MGMT, args.behind("support-bundle")),
        Command::Status => status::run(control, out),
        Command::Devices(args) => devices::run(control, args, out),
        Command::Role(args) => role::run(control, &args.command, out),
        Command::Alerts(args) => alerts::run(control, args, out),
        Command::Flows(args) => flows::run(control, args, out),
        Command::Policy(args) => policy::run(control, args, out),
        Command::Events(args) => events::run(control, args, out),
        Command::Top => top::run(control),
        Command::Stop(args) => stop::run(control, args, out),
        Command::Replay(args) => replay::run(args, control.json, out),
        Command::Check(args) => policy::check::run(args, control.json, out),
        Command::Classify(args) => classify::run(args, control.json, out),
        Command::Model(args) => model::run(control, &args.command, out),
        Command::Features(args) => features::run(args, out),
        Command::Completions(args) => {
            clap_complete::generate(args.shell, &mut Cli::command(), "wardline", out);
            Ok(())
        }
        Command::Man => cli::man_page(out).map_err(Failure::from),
    }
}
