//! `wardline policy …`: from checking a document to keeping it.

pub(crate) mod check;
mod diff;
pub(crate) mod findings;
pub(crate) mod source;

use std::io::Write;

use wardline_control::{Applied, ApplyOptions, ClientError};

use crate::cli::{ApplyArgs, ConfirmArgs, ControlArgs, PolicyArgs, PolicyCommand};
use crate::control::Link;
use crate::failure::Failure;
use crate::table::printable;
use crate::words;
use findings::Finding;
use source::Source;

pub(crate) fn run(
    control: &ControlArgs,
    args: &PolicyArgs,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match &args.command {
        PolicyCommand::Check(args) => check::run(args, control.json, out),
        PolicyCommand::Apply(args) => apply(control, args, out),
        PolicyCommand::Show => show(control, out),
        PolicyCommand::Diff(args) => diff::run(control, args, out),
        PolicyCommand::Confirm(args) => confirm(control, args, out),
    }
}

fn apply(control: &ControlArgs, args: &ApplyArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let source = Source::read(&args.policy)?;
    let options = ApplyOptions {
        expected_id: args.expect.clone(),
        confirm_within_s: args.confirm_within,
    };
    let link = Link::open(&control.socket)?;
    let answer = link.try_call(|client| client.policy_apply(source.to_control(), options));
    let applied = match answer {
        Ok(applied) => applied,
        Err(ClientError::Refused(refused)) if !refused.diagnostics.is_empty() => {
            let findings: Vec<Finding> = refused.diagnostics.iter().map(Finding::from).collect();
            findings::report(&source, &findings, &mut std::io::stderr().lock())?;
            return Err(Failure::input(refused.message));
        }
        Err(error) => return Err(error.into()),
    };
    if control.json {
        serde_json::to_writer_pretty(&mut *out, &applied)?;
        return Ok(writeln!(out)?);
    }
    let findings: Vec<Finding> = applied.warnings.iter().map(Finding::from).collect();
    findings::report(&source, &findings, out)?;
    say_applied(&applied, out)
}

fn say_applied(applied: &Applied, out: &mut dyn Write) -> Result<(), Failure> {
    if applied.id == applied.previous_id {
        writeln!(
            out,
            "Policy {} was in force already.",
            printable(&applied.id)
        )?;
    } else {
        let (new, old) = (printable(&applied.id), printable(&applied.previous_id));
        writeln!(out, "Policy {new} is in force in place of {old}.")?;
    }
    if let Some(at) = applied.rollback_at_s {
        writeln!(
            out,
            "It is rolled back at {} unless confirmed: wardline policy confirm {}",
            words::rfc3339_s(at),
            printable(&applied.id)
        )?;
    }
    Ok(())
}

fn show(control: &ControlArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let in_force = Link::open(&control.socket)?.call(|client| client.policy_show())?;
    if control.json {
        serde_json::to_writer_pretty(&mut *out, &in_force)?;
        return Ok(writeln!(out)?);
    }
    if in_force.policy.text.is_empty() {
        eprintln!("wardline: no policy was ever applied: everything is observed");
    }
    Ok(out.write_all(in_force.policy.text.as_bytes())?)
}

fn confirm(control: &ControlArgs, args: &ConfirmArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let link = Link::open(&control.socket)?;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => link.call(|client| client.status())?.policy.id,
    };
    let applied = link.call(|client| client.policy_confirm(id))?;
    if control.json {
        serde_json::to_writer_pretty(&mut *out, &applied)?;
        return Ok(writeln!(out)?);
    }
    Ok(writeln!(
        out,
        "Policy {} stays in force.",
        printable(&applied.id)
    )?)
}
