//! What is kept of a count, and what has changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::callgrind::{self, Cost};
use super::cases::CASES;

/// A rise above this part fails.
const TOLERANCE: f64 = 0.03;
/// The same when compiler or valgrind are not those of the baseline: they alone move counts.
const TOLERANCE_OTHER_TOOLS: f64 = 0.10;
/// A stage is named when it carries at least this part of the rise of its case.
const SHARE: f64 = 0.25;

/// The instructions of every case, and what they were counted with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Compiler, its target, profile and valgrind.
    pub tools: BTreeMap<String, String>,
    /// By name of the case.
    pub cases: BTreeMap<String, Cost>,
}

impl Baseline {
    /// Counts every case.
    pub(super) fn count() -> Result<Self> {
        let cases = CASES
            .iter()
            .map(|case| Ok((case.name.to_owned(), callgrind::count(case)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            tools: tools()?,
            cases,
        })
    }

    pub(super) fn load(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file)
            .with_context(|| format!("reading the baseline {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("in the baseline {}", file.display()))
    }

    pub(super) fn save(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(file, text).with_context(|| format!("writing {}", file.display()))
    }
}

/// What moves counts besides the code.
fn tools() -> Result<BTreeMap<String, String>> {
    let rustc = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("rustc does not start")?;
    let rustc = String::from_utf8_lossy(&rustc.stdout).into_owned();
    let line = |start: &str| {
        let line = rustc.lines().find_map(|line| line.strip_prefix(start));
        line.unwrap_or("unknown").to_owned()
    };
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    let tools = [
        ("rustc", line("rustc ")),
        ("target", line("host: ")),
        ("profile", profile.to_owned()),
        ("valgrind", callgrind::version()?),
    ];
    Ok(tools.map(|(name, value)| (name.to_owned(), value)).into())
}

/// One number, before and now.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What was counted.
    pub name: String,
    /// Instructions per unit in the baseline; `None`: it is not in there.
    pub before: Option<f64>,
    /// The same now; `None`: there is no such case any more.
    pub now: Option<f64>,
    /// The functions and files that carry a rise, the most costly first.
    pub stages: Vec<Change>,
}

impl Change {
    fn new(name: &str, before: Option<f64>, now: Option<f64>) -> Self {
        Self {
            name: name.to_owned(),
            before,
            now,
            stages: Vec::new(),
        }
    }

    /// The rise in instructions; negative for a fall.
    fn rise(&self) -> f64 {
        self.now.unwrap_or(0.0) - self.before.unwrap_or(0.0)
    }

    /// The rise as a part of what was before; `None` where there is nothing to compare.
    fn part(&self) -> Option<f64> {
        match (self.before, self.now) {
            (Some(before), Some(now)) if before > 0.0 => Some((now - before) / before),
            _ => None,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<f64>| number.map_or("-".to_owned(), |n| format!("{n:.1}"));
        let (before, now) = (number(self.before), number(self.now));
        write!(f, "{before:>9} {now:>9} ")?;
        match self.part() {
            Some(part) => write!(f, "{:>+7.1} %", part * 100.0)?,
            None => write!(f, "{:>+9.1}", self.rise())?,
        }
        write!(f, "  {}", self.name)
    }
}

/// All cases, before and now.
#[derive(Debug)]
pub struct Comparison {
    /// Each case.
    pub cases: Vec<Change>,
    /// What was another tool when the baseline was counted: name, before, now.
    pub other_tools: Vec<(String, String, String)>,
}

impl Comparison {
    /// Compares two counts.
    pub fn new(before: &Baseline, now: &Baseline) -> Self {
        let cases = keys(&before.cases, &now.cases).map(|name| {
            let (old, new) = (before.cases.get(name), now.cases.get(name));
            let of = |cost: &Cost| cost.instructions;
            let mut change = Change::new(name, old.map(of), new.map(of));
            if let (Some(old), Some(new)) = (old, new) {
                change.stages = risen(old, new, change.rise());
            }
            change
        });
        let other_tools = keys(&before.tools, &now.tools).filter_map(|name| {
            let of = |tools: &BTreeMap<String, String>| tools.get(name).cloned();
            let (old, new) = (of(&before.tools), of(&now.tools));
            (old != new).then(|| {
                (
                    name.clone(),
                    old.unwrap_or_default(),
                    new.unwrap_or_default(),
                )
            })
        });
        Self {
            cases: cases.collect(),
            other_tools: other_tools.collect(),
        }
    }

    /// Whether no case has risen, and both know the same cases.
    pub fn passes(&self) -> bool {
        self.failures().next().is_none()
    }

    fn failures(&self) -> impl Iterator<Item = &Change> {
        let fails = |change: &&Change| change.part().is_none_or(|part| part > self.tolerance());
        self.cases.iter().filter(fails)
    }

    fn tolerance(&self) -> f64 {
        if self.other_tools.is_empty() {
            TOLERANCE
        } else {
            TOLERANCE_OTHER_TOOLS
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            " baseline       now    change  case (instructions per frame, flow or question)"
        )?;
        for case in &self.cases {
            writeln!(f, "{case}")?;
        }
        for (name, before, now) in &self.other_tools {
            writeln!(
                f,
                "NOTE: the baseline was counted with {name} `{before}`, this is `{now}`"
            )?;
        }
        let tolerance = self.tolerance();
        if !self.other_tools.is_empty() {
            writeln!(
                f,
                "NOTE: so only a rise above {:.0} % fails",
                tolerance * 100.0
            )?;
        }
        for case in self.failures() {
            match (case.before, case.now) {
                (Some(_), Some(_)) => writeln!(
                    f,
                    "RISEN: {}, in these functions (with what they call) and source files:",
                    case.name
                )?,
                (None, _) => writeln!(f, "UNKNOWN: {} is not in the baseline", case.name)?,
                (_, None) => writeln!(f, "GONE: {} is in the baseline only", case.name)?,
            }
            for stage in &case.stages {
                writeln!(f, "{stage}")?;
            }
        }
        let fell = |case: &&Change| case.part().is_some_and(|part| part < -tolerance);
        for case in self.cases.iter().filter(fell) {
            writeln!(
                f,
                "FALLEN: {}; keep the gain with `cargo xtask cost --bless`",
                case.name
            )?;
        }
        Ok(())
    }
}

/// Functions and files that carry a good part of the rise of their case, the most costly first.
fn risen(before: &Cost, now: &Cost, rise: f64) -> Vec<Change> {
    let changes = |before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>| {
        let mut changes: Vec<Change> = now
            .iter()
            .map(|(name, cost)| Change::new(name, before.get(name).copied(), Some(*cost)))
            .filter(|change| rise > 0.0 && change.rise() >= rise * SHARE)
            .collect();
        changes.sort_by(|a, b| {
            b.now
                .partial_cmp(&a.now)
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        changes
    };
    let mut stages = changes(&before.functions, &now.functions);
    stages.extend(changes(&before.files, &now.files));
    stages
}

fn keys<'a, T>(
    a: &'a BTreeMap<String, T>,
    b: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = &'a String> {
    a.keys()
        .chain(b.keys())
        .collect::<BTreeSet<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One case with a hash and something else.
    fn baseline(hash: f64, rustc: &str) -> Baseline {
        let map = |pairs: &[(&str, f64)]| {
            pairs
                .iter()
                .map(|(name, cost)| ((*name).to_owned(), *cost))
                .collect::<BTreeMap<_, _>>()
        };
        let cost = Cost {
            instructions: 1_000.0 + hash,
            functions: map(&[("process", 900.0 + hash), ("hash", hash), ("parse", 300.0)]),
            files: map(&[("fast.rs", hash), ("parse.rs", 300.0)]),
        };
        Baseline {
            tools: BTreeMap::from([("rustc".to_owned(), rustc.to_owned())]),
            cases: BTreeMap::from([("hit".to_owned(), cost)]),
        }
    }

    #[test]
    fn a_rise_above_three_percent_fails_with_the_stages_that_carry_it() {
        let comparison = Comparison::new(&baseline(50.0, "1"), &baseline(100.0, "1"));
        assert!(!comparison.passes());
        let stages: Vec<_> = comparison.cases[0]
            .stages
            .iter()
            .map(|s| &*s.name)
            .collect();
        assert_eq!(stages, ["process", "hash", "fast.rs"]);
        let text = comparison.to_string();
        assert!(text.contains("RISEN: hit"), "{text}");
    }

    #[test]
    fn a_smaller_rise_passes() {
        assert!(Comparison::new(&baseline(50.0, "1"), &baseline(80.0, "1")).passes());
    }

    #[test]
    fn a_fall_passes_and_asks_for_another_baseline() {
        let comparison = Comparison::new(&baseline(100.0, "1"), &baseline(50.0, "1"));
        assert!(comparison.passes());
        assert!(comparison.to_string().contains("FALLEN: hit"));
    }

    #[test]
    fn another_compiler_is_told_and_widens_what_is_tolerated() {
        let comparison = Comparison::new(&baseline(50.0, "1"), &baseline(100.0, "2"));
        assert!(comparison.passes());
        assert!(
            comparison
                .to_string()
                .contains("NOTE: the baseline was counted with rustc `1`")
        );
        assert!(!Comparison::new(&baseline(50.0, "1"), &baseline(200.0, "2")).passes());
    }

    #[test]
    fn a_case_on_one_side_only_fails() {
        let mut none = baseline(50.0, "1");
        none.cases.clear();
        assert!(!Comparison::new(&none, &baseline(50.0, "1")).passes());
        assert!(!Comparison::new(&baseline(50.0, "1"), &none).passes());
    }
}
