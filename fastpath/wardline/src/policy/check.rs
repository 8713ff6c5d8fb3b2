//! `wardline policy check`: the whole way of a document up to the snapshot, without a fast path.

use std::io::Write;

use serde::Serialize;
use wardline_policy::{Diagnostic, Document, PolicySnapshot, compile, parse};

use crate::cli::CheckArgs;
use crate::failure::Failure;
use crate::policy::findings::{self, Finding};
use crate::policy::source::Source;
use crate::words;

/// What a program is told.
#[derive(Serialize)]
struct Outcome<'a> {
    policy: &'a str,
    usable: bool,
    /// Content hash of a usable document.
    id: Option<&'a str>,
    diagnostics: &'a [Diagnostic],
}

pub(crate) fn run(args: &CheckArgs, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let source = Source::read(&args.policy)?;
    let (usable, diagnostics) = check(&source);
    if json {
        let outcome = Outcome {
            policy: &source.name,
            usable: usable.is_some(),
            id: usable.as_ref().map(|(_, snapshot)| snapshot.id()),
            diagnostics: &diagnostics,
        };
        serde_json::to_writer_pretty(&mut *out, &outcome)?;
        writeln!(out)?;
    }
    let all: Vec<Finding> = diagnostics.iter().map(Finding::from).collect();
    let Some((document, snapshot)) = usable else {
        return Err(findings::refuse(&source, &all));
    };
    if json {
        return Ok(());
    }
    findings::report(&source, &all, out)?;
    Ok(writeln!(
        out,
        "{} is good: {} devices, {} roles; id {}.",
        source.name,
        words::count(document.devices.len() as u64),
        words::count(document.roles.len() as u64),
        snapshot.id()
    )?)
}

type Usable = (Document, PolicySnapshot);

fn check(source: &Source) -> (Option<Usable>, Vec<Diagnostic>) {
    let (document, warnings) = match parse(&source.text, source.format, &source.name) {
        Ok(parsed) => parsed,
        Err(errors) => return (None, errors.0),
    };
    match compile(&document, words::now_us() / 1_000_000) {
        Ok(snapshot) => (Some((document, snapshot)), warnings),
        Err(mut errors) => {
            for error in &mut errors.0 {
                error.file.clone_from(&source.name);
            }
            (None, errors.0)
        }
    }
}
