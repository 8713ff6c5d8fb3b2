//! The suites, in the order they run.

use anyhow::Result;

use crate::{Findings, Options, Suite, application, memory, policy_swap, raw, wire};

/// A suite and the function that runs it.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Which suite.
    pub suite: Suite,
    /// Its name on the command line.
    pub name: &'static str,
    /// The names of its systems, as in its samples.
    pub systems: &'static [&'static str],
    /// The names of its corner families.
    pub families: &'static [&'static str],
    /// Runs it.
    pub run: fn(&Options) -> Result<Findings>,
}

/// All suites.
pub const SUITES: &[Entry] = &[
    Entry {
        suite: Suite::Raw,
        name: "raw",
        systems: raw::SYSTEMS,
        families: raw::FAMILIES,
        run: raw::run,
    },
    Entry {
        suite: Suite::Policy,
        name: "policy",
        systems: policy_swap::SYSTEMS,
        families: policy_swap::FAMILIES,
        run: policy_swap::run,
    },
    Entry {
        suite: Suite::Policy,
        name: "memory",
        systems: &["wardline"],
        families: &["memory"],
        run: memory::run,
    },
    Entry {
        suite: Suite::Wire,
        name: "wire",
        systems: wire::SYSTEMS,
        families: wire::FAMILIES,
        run: wire::run,
    },
    Entry {
        suite: Suite::Application,
        name: "application",
        systems: &application::SYSTEMS,
        families: &application::FAMILIES,
        run: application::run,
    },
];
