//! Whether what is learnt may be put to use: it is tried on devices whose role is known first.
//!
//! Tried are the devices people named, with everything learnt from them; the same devices, each
//! with what is learnt from the others only; and the windows of training. In none of the three may
//! fewer devices of a role that care depends on be recognised than before, nor more devices be
//! given a wrong name.

use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wardline_policy::DeviceKey;

use super::adapt::{Adaptation, fit, mean_chances};
use super::base::Base;
use super::digest::Digest;
use super::record::{Head, Standing};
use super::sample::{Example, Examples, SCORES, Samples, Window};
use crate::Role;

/// Groups for learning from the others.
const FOLDS: usize = 10;

/// What is learnt from.
#[expect(missing_debug_implementations, reason = "holds a closure")]
pub struct Lesson<'a> {
    /// What came with the model.
    pub base: &'a Base,
    /// What is in use.
    pub current: &'a Adaptation,
    /// The end of the journal.
    pub journal: Head,
    /// What people's words come to.
    pub standing: &'a BTreeMap<DeviceKey, Standing>,
    /// Windows of the devices they named.
    pub samples: &'a Samples,
    /// Whether a device has an open alert: nothing is learnt from it.
    pub is_alarmed: &'a dyn Fn(&DeviceKey) -> bool,
    /// A role is named from this chance on.
    pub enter: f32,
}

/// How devices of one role fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Devices tried.
    pub devices: u32,
    /// Given their role.
    pub recognised: u32,
    /// Given another one; the rest is "unknown".
    pub wrong: u32,
}

/// Tallies by role.
pub type Tallies = BTreeMap<Role, Tally>;

/// Which devices something is tried on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trial {
    /// Devices people named, learnt from all of them, against what is in use.
    Named,
    /// Devices people named, each learnt from others only, against nothing learnt.
    FromOthers,
    /// Windows of training, against what is in use.
    Training,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// On what.
    pub trial: Trial,
    /// Before.
    pub before: Tallies,
    /// With what was learnt.
    pub after: Tallies,
}

/// What came of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Devices learnt from.
    pub learnt_from: usize,
    /// Named devices that were left out because of an open alert.
    pub alarmed: usize,
    /// Named devices of which no window is kept.
    pub without_windows: usize,
    /// The trials.
    pub outcomes: Vec<Outcome>,
}

/// Why an update is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No named device has something to learn from.
    NothingToLearn,
    /// Fewer devices of a protected role would be recognised.
    RecallFalls {
        /// On what.
        trial: Trial,
        /// The role.
        role: Role,
        /// How it fared.
        before: Tally,
        /// How it would.
        after: Tally,
    },
    /// More devices would be given a wrong role.
    MoreWrong {
        /// On what.
        trial: Trial,
        /// So many now.
        before: u32,
        /// So many then.
        after: u32,
    },
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Named => "of the devices named here",
            Self::FromOthers => "of the devices named here, learning from the others only",
            Self::Training => "of the windows of training",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToLearn => f.write_str(
                "no confirmed device without an open alert has been watched long enough to learn \
                 from",
            ),
            Self::RecallFalls {
                trial,
                role,
                before,
                after,
            } => write!(
                f,
                "{}: {trial}, {} of {} would be recognised instead of {}",
                role.words(),
                after.recognised,
                after.devices,
                before.recognised
            ),
            Self::MoreWrong {
                trial,
                before,
                after,
            } => write!(
                f,
                "{trial}, {after} would be given a wrong role instead of {before}"
            ),
        }
    }
}

/// What was learnt, tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    pub(super) learnt: Adaptation,
    /// How it fared.
    pub report: Report,
    /// Why it is refused; empty: it is not.
    pub refusals: Vec<Refusal>,
}

impl Update {
    /// What to use from now on; `None`: it is refused, and what is in use stays.
    pub fn accepted(&self) -> Option<&Adaptation> {
        self.refusals.is_empty().then_some(&self.learnt)
    }

    /// What it is known by in the journal, accepted or not.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        self.learnt.digest()
    }

    /// What came of it in words.
    pub fn words(&self) -> String {
        if self.refusals.is_empty() {
            return format!("learnt from {} devices", self.report.learnt_from);
        }
        let reasons: Vec<String> = self.refusals.iter().map(ToString::to_string).collect();
        format!("nothing is learnt: {}", reasons.join("; "))
    }
}

/// Learns, tries what was learnt, and says whether it may be used.
///
/// # Errors
/// When the base cannot be written as JSON, for its digest.
pub fn update(lesson: &Lesson<'_>) -> Result<Update, serde_json::Error> {
    let examples = lesson.examples();
    let examples: Vec<Example<'_>> = examples.values().copied().collect();
    let fitted = fit(lesson.base, lesson.journal, &examples)?;
    let learnt = if fitted.is_like(lesson.current) {
        lesson.current.clone()
    } else {
        fitted
    };
    let is_alarmed = lesson.is_alarmed;
    let report = Report {
        learnt_from: examples.len(),
        alarmed: lesson.count(is_alarmed),
        without_windows: lesson
            .count(|device| !is_alarmed(device) && lesson.samples.of(device).is_empty()),
        outcomes: vec![
            lesson.on_named(&examples, &learnt),
            lesson.on_others(&examples)?,
            lesson.on_training(&learnt),
        ],
    };
    let mut refusals: Vec<Refusal> = report.outcomes.iter().flat_map(refusals).collect();
    if examples.is_empty() {
        refusals.insert(0, Refusal::NothingToLearn);
    }
    Ok(Update {
        learnt,
        report,
        refusals,
    })
}

impl<'a> Lesson<'a> {
    pub(crate) fn examples(&self) -> Examples<'a> {
        let clean = self.standing.iter().filter(|(d, _)| !(self.is_alarmed)(d));
        clean
            .map(|(device, standing)| {
                let example = Example {
                    role: standing.role,
                    windows: self.samples.of(device),
                };
                (*device, example)
            })
            .filter(|(_, example)| !example.windows.is_empty())
            .collect()
    }

    fn count(&self, test: impl Fn(&DeviceKey) -> bool) -> usize {
        self.standing.keys().filter(|device| test(device)).count()
    }

    fn on_named(&self, examples: &[Example<'_>], learnt: &Adaptation) -> Outcome {
        let tally = |adaptation: &Adaptation| self.tally(examples, adaptation);
        Outcome {
            trial: Trial::Named,
            before: tally(self.current),
            after: tally(learnt),
        }
    }

    /// Groups go through the roles, so that others of a device's role remain where there are any.
    fn on_others(&self, examples: &[Example<'_>]) -> Result<Outcome, serde_json::Error> {
        let mut by_role = examples.to_vec();
        by_role.sort_by_key(|example| example.role);
        let folds = FOLDS.min(by_role.len());
        let mut after = Tallies::new();
        for fold in 0..folds {
            let (tried, others): (Vec<_>, Vec<_>) = by_role
                .iter()
                .enumerate()
                .partition(|(at, _)| at % folds == fold);
            let others: Vec<Example<'_>> = others.into_iter().map(|(_, e)| *e).collect();
            let tried: Vec<Example<'_>> = tried.into_iter().map(|(_, e)| *e).collect();
            let learnt = fit(self.base, self.journal, &others)?;
            for (role, tally) in self.tally(&tried, &learnt) {
                let sum = after.entry(role).or_default();
                sum.devices += tally.devices;
                sum.recognised += tally.recognised;
                sum.wrong += tally.wrong;
            }
        }
        let nothing = Adaptation::none(self.base, self.journal)?;
        Ok(Outcome {
            trial: Trial::FromOthers,
            before: self.tally(&by_role, &nothing),
            after,
        })
    }

    fn on_training(&self, learnt: &Adaptation) -> Outcome {
        let replay = self.base.replay.iter();
        let examples: Vec<Example<'_>> = replay
            .map(|exemplar| Example {
                role: exemplar.role,
                windows: core::slice::from_ref(&exemplar.window),
            })
            .collect();
        Outcome {
            trial: Trial::Training,
            before: self.tally(&examples, self.current),
            after: self.tally(&examples, learnt),
        }
    }

    fn tally(&self, examples: &[Example<'_>], adaptation: &Adaptation) -> Tallies {
        let mut tallies = Tallies::new();
        for example in examples {
            let named = self.name(example.windows, adaptation);
            let tally = tallies.entry(example.role).or_default();
            tally.devices += 1;
            tally.recognised += u32::from(named == Some(example.role));
            tally.wrong += u32::from(named.is_some_and(|role| role != example.role));
        }
        tallies
    }

    /// The role a device would be given; `None`: unknown.
    fn name(&self, windows: &[Window], adaptation: &Adaptation) -> Option<Role> {
        let chances: [f32; SCORES] =
            mean_chances(windows, |window| adaptation.chances(self.base, window));
        let best = (0..SCORES).max_by(|a, b| chances[*a].total_cmp(&chances[*b]))?;
        let sure = chances[best] >= self.enter;
        Role::ALL.get(best).copied().filter(|_| sure)
    }
}

fn refusals(outcome: &Outcome) -> Vec<Refusal> {
    let trial = outcome.trial;
    let mut refusals = Vec::new();
    for (role, after) in outcome.after.iter().filter(|(role, _)| role.is_protected()) {
        let before = outcome.before.get(role).copied().unwrap_or_default();
        if after.recognised < before.recognised {
            refusals.push(Refusal::RecallFalls {
                trial,
                role: *role,
                before,
                after: *after,
            });
        }
    }
    let wrong = |tallies: &Tallies| tallies.values().map(|t| t.wrong).sum();
    let (before, after) = (wrong(&outcome.before), wrong(&outcome.after));
    if after > before {
        refusals.push(Refusal::MoreWrong {
            trial,
            before,
            after,
        });
    }
    refusals
}
