//! What a run says: figures, ratios, targets; as JSON, as a table and as plots.

mod markdown;
mod plot;
mod stats;
mod svg;
mod target;

use serde::Serialize;

pub use self::markdown::table;
pub use self::plot::plots;
pub use self::stats::{Figure, Ratio, Spread, figures, ratios};
pub use self::target::{Row, Target, rows};

use crate::machine::Facts;
use crate::{Absent, Findings, Sample};

/// Everything about one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How the run was started.
    pub command: String,
    /// Whether it was a corner of the matrix only.
    pub quick: bool,
    /// Rounds.
    pub rounds: u32,
    /// The machine and the versions of what ran on it.
    pub facts: Facts,
    /// Median, minimum and maximum of every figure over the rounds.
    pub figures: Vec<Figure>,
    /// Wardline's figures divided by each peer's of the same round.
    pub ratios: Vec<Ratio>,
    /// The figures that were to be reached.
    pub targets: Vec<Row>,
    /// What could not be measured, and why.
    pub absent: Vec<Absent>,
    /// The numbers themselves.
    pub samples: Vec<Sample>,
}

impl Report {
    /// Sums up what was found.
    pub fn new(command: String, quick: bool, rounds: u32, facts: Facts, found: Findings) -> Self {
        Self {
            command,
            quick,
            rounds,
            facts,
            figures: figures(&found.samples),
            ratios: ratios(&found.samples),
            targets: rows(&found.samples),
            absent: found.absent,
            samples: found.samples,
        }
    }
}

/// Whether a system is Wardline in one of its variants.
pub fn is_ours(system: &str) -> bool {
    system == "wardline" || system.starts_with("wardline ")
}
