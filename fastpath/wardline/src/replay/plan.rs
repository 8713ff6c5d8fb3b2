//! What a replay goes by: the policy after `--mud` and `--mode`, and how sides are told.

use std::collections::{HashMap, HashSet};

use wardline_policy::{Document, MacAddr, Mode, compile};

use crate::cli::{ReplayArgs, ReplayMode};
use crate::failure::Failure;
use crate::policy::source::Source;
use crate::replay::mud;
use crate::replay::side::Sides;

/// Everything settled before the first packet.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Absent: everything is observed.
    pub document: Option<Document>,
    pub sides: Sides,
}

impl Plan {
    pub(crate) fn new(args: &ReplayArgs) -> Result<Self, Failure> {
        let document = document(args)?;
        let sides = sides(args, document.as_ref());
        Ok(Self { document, sides })
    }
}

fn document(args: &ReplayArgs) -> Result<Option<Document>, Failure> {
    let mut document = match &args.policy {
        Some(path) => Source::read(path)?.document()?,
        None if args.mud.is_empty() && args.mode.is_none() => return Ok(None),
        None => Document::new("replay"),
    };
    for (mac, path) in &args.mud {
        mud::add(&mut document, *mac, path)?;
    }
    if !args.mud.is_empty() {
        // What MUD files brought in was not checked as part of a document.
        compile(&document, 0)
            .map_err(|e| Failure::input(format!("the MUD files do not fit this policy: {e}")))?;
    }
    if let Some(mode) = args.mode {
        force(&mut document, mode);
    }
    Ok(Some(document))
}

fn force(document: &mut Document, mode: ReplayMode) {
    let mode = match mode {
        ReplayMode::Observe => Mode::Observe,
        ReplayMode::Simulate => Mode::Simulate,
        ReplayMode::Enforce => Mode::Enforce,
    };
    document.defaults.mode = mode;
    document.defaults.unlisted_mode = mode;
    for device in &mut document.devices {
        device.mode = Some(mode);
    }
}

fn sides(args: &ReplayArgs, document: Option<&Document>) -> Sides {
    if args.ward.is_some() {
        return Sides::Captures;
    }
    if !args.ward_macs.is_empty() {
        return Sides::Listed(args.ward_macs.iter().copied().collect());
    }
    let listed: HashSet<MacAddr> = document
        .iter()
        .flat_map(|document| &document.devices)
        .map(|device| device.mac)
        .collect();
    if listed.is_empty() {
        Sides::Guess(HashMap::new())
    } else {
        Sides::Policy(listed)
    }
}
