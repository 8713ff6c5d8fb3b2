//! `wardline stop`.

use std::io::Write;

use crate::cli::{ControlArgs, StopArgs};
use crate::control::Link;
use crate::failure::Failure;

pub(crate) fn run(
    control: &ControlArgs,
    args: &StopArgs,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    Link::open(&control.socket)?.call(|client| client.stop(args.detach))?;
    if control.json {
        let answer = serde_json::json!({ "stopping": true, "detach": args.detach });
        return Ok(writeln!(out, "{answer}")?);
    }
    let interfaces = if args.detach {
        "The interfaces are given back."
    } else {
        "The interfaces stay attached for the next start."
    };
    Ok(writeln!(
        out,
        "The fast path forwards what it holds and ends. {interfaces}"
    )?)
}
