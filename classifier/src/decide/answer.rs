//! The answer: what a device is, how sure that is, and why.

use std::collections::HashSet;

use serde::Serialize;

use super::change::what_would_change;
use super::fuse::{fuse, scores};
use super::{Calibration, Chances, Contribution, Opinion};
use crate::device::{Evidence, Noted};
use crate::knowledge::{Identity, Meaning};
use crate::{Field, Role, Strength};

/// Evidence of at least this weight speaks for a role in its own right.
const SPEAKS: f32 = 1.0;
/// A strong statement proves a role from this weight on.
const PROVES: f32 = 5.0;
/// Roles that an undecided answer names at most; with more, nothing is known.
const SET_MAX: usize = 3;
/// Statements that an answer shows at most.
const SHOWN: usize = 16;

/// What a device is.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// Its role; none while unknown or undecided.
    pub role: Option<Role>,
    /// The role, or the roles it may have when that is undecided; empty when nothing is known.
    pub roles: Vec<Role>,
    /// How probable it is that its role is among `roles`; of an empty list, of the best guess.
    pub probability: f64,
    /// Why, heaviest first.
    pub evidence: Vec<Reason>,
    /// Numbers of its traffic that moved the model, heaviest first.
    pub features: Vec<Contribution>,
    /// What would change the answer.
    pub would_change: Vec<String>,
    /// Evidence that contradicts itself, in a sentence.
    pub conflict: Option<String>,
    /// Whether the answer may put rules in force: a person confirmed it, or something the device
    /// said proves it. A model alone never does.
    pub may_enforce: bool,
    /// Whether a person confirmed the role.
    pub confirmed: bool,
    /// That a confirmed device no longer behaves as what it is.
    pub drift: Option<String>,
    /// The type, such as a product.
    pub kind: Option<Named>,
    /// The maker.
    pub vendor: Option<Named>,
    /// Maker, model, serial number and software version as stated.
    pub identity: Identity,
    /// Names that may be asset tags.
    pub asset_tags: Vec<String>,
    /// The devices it speaks for, when they are several.
    pub speaks_for: Vec<String>,
    /// How probable each role is.
    #[serde(skip)]
    pub chances: Chances,
}

/// One statement and what it does to the answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// What a person reads.
    pub sentence: String,
    /// The protocol it was said in.
    pub source: String,
    /// The field of the protocol.
    pub field: Field,
    /// The value of the field.
    pub value: String,
    /// How much it proves.
    pub strength: Strength,
    /// When it was said first, in nanoseconds since 1970.
    pub time_ns: u64,
    /// The role it speaks for most.
    pub role: Option<Role>,
    /// How much, as log-odds.
    pub weight: f32,
}

/// A name and who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Who gave it.
    pub by: NamedBy,
}

/// Who names a type or a vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedBy {
    /// The device, in a protocol.
    Evidence,
    /// The registry of network addresses: the maker of the network module, perhaps.
    Registry,
    /// A model, from the traffic.
    Model,
}

/// Answers from all that is known at one time, without regard to earlier answers.
pub fn decide(evidence: &Evidence, opinion: Option<&Opinion>, calibration: &Calibration) -> Answer {
    decide_with(evidence, opinion, calibration, &[])
}

/// The logarithms of the chances at temperature 1, of each role and of none: what is learnt from.
pub fn log_chances(
    evidence: &Evidence,
    opinion: Option<&Opinion>,
    calibration: &Calibration,
) -> Vec<f32> {
    let whole = evidence.as_a_whole();
    let noted = evidence.noted().iter().chain(&whole);
    scores(noted.map(|noted| &noted.meaning), opinion, calibration).log_chances()
}

/// As [`decide`], with what was learnt on the box: changes of the log-odds of each role, and of
/// none; empty changes nothing.
pub fn decide_with(
    evidence: &Evidence,
    opinion: Option<&Opinion>,
    calibration: &Calibration,
    learnt: &[f32],
) -> Answer {
    let whole = evidence.as_a_whole();
    let noted: Vec<&Noted> = evidence.noted().iter().chain(&whole).collect();
    let (chances, set, role) = weigh_up(&noted, opinion, calibration, learnt);
    let conflict = conflict(&set, &noted);
    let role = role.filter(|_| conflict.is_none());
    let probability = match set.as_slice() {
        [] => chances.ranked().first().map_or(0.0, |(_, chance)| *chance),
        set => set.iter().map(|&role| chances.of(role)).sum(),
    };
    let mut answer = Answer {
        role,
        roles: role.map_or(set, |role| vec![role]),
        probability,
        evidence: reasons(&noted, &chances),
        features: opinion.map_or_else(Vec::new, |opinion| opinion.contributions.clone()),
        would_change: Vec::new(),
        conflict,
        may_enforce: role.is_some_and(|role| noted.iter().any(|n| proves(&n.meaning, role))),
        confirmed: false,
        drift: None,
        kind: kind(evidence.identity(), opinion, calibration),
        vendor: vendor(evidence.identity()),
        identity: evidence.identity().clone(),
        asset_tags: evidence.asset_tags().map(str::to_owned).collect(),
        speaks_for: whole.map_or_else(Vec::new, |_| evidence.speaks_for()),
        chances,
    };
    answer.would_change = what_would_change(&answer, evidence);
    answer
}

/// What a device looks like by a part of what is known of it: an answer without its reasons.
#[derive(Debug, Clone)]
pub struct Glance {
    /// As in [`Answer`].
    pub role: Option<Role>,
    /// As in [`Answer`].
    pub roles: Vec<Role>,
    /// As in [`Answer`].
    pub chances: Chances,
}

/// As [`decide_with`], without saying why.
pub fn glance(
    evidence: &Evidence,
    opinion: Option<&Opinion>,
    calibration: &Calibration,
    learnt: &[f32],
) -> Glance {
    let whole = evidence.as_a_whole();
    let noted: Vec<&Noted> = evidence.noted().iter().chain(&whole).collect();
    let (chances, set, role) = weigh_up(&noted, opinion, calibration, learnt);
    let role = role.filter(|_| conflict(&set, &noted).is_none());
    Glance {
        role,
        roles: role.map_or(set, |role| vec![role]),
        chances,
    }
}

/// The chances, the roles that stay possible, and the one that is sure enough.
fn weigh_up(
    noted: &[&Noted],
    opinion: Option<&Opinion>,
    calibration: &Calibration,
    learnt: &[f32],
) -> (Chances, Vec<Role>, Option<Role>) {
    let meanings = noted.iter().map(|noted| &noted.meaning);
    let chances = fuse(meanings.clone(), opinion, calibration, learnt);
    let set = conformal_set(&chances, calibration);
    let role = named(&set, &chances, meanings, calibration);
    (chances, set, role)
}

impl Answer {
    /// In one phrase: "infusion pump", "plug or hub", "unknown".
    pub fn words(&self) -> String {
        match (self.role, self.roles.as_slice()) {
            (Some(role), _) => role.words().to_owned(),
            (None, []) => "unknown".to_owned(),
            (None, [only]) => format!("perhaps {}", only.words()),
            (None, [first, rest @ ..]) => {
                rest.iter().fold(first.words().to_owned(), |mut all, r| {
                    all.push_str(" or ");
                    all.push_str(r.words());
                    all
                })
            }
        }
    }
}

/// The roles that stay possible: class-conditional conformal prediction. Each role has a quantile
/// of its own, so that the promise of coverage holds for the rare ones too.
fn conformal_set(chances: &Chances, calibration: &Calibration) -> Vec<Role> {
    let ranked = chances.ranked().into_iter();
    let set = ranked.filter(|&(role, chance)| 1.0 - chance <= calibration.quantile_of(role));
    let set: Vec<Role> = set.map(|(role, _)| role).collect();
    let together: f64 = set.iter().map(|&role| chances.of(role)).sum();
    if set.len() > SET_MAX || together < calibration.enter_set {
        return Vec::new();
    }
    set
}

/// The one role left, if it is sure enough.
fn named<'a>(
    set: &[Role],
    chances: &Chances,
    mut evidence: impl Iterator<Item = &'a Meaning>,
    calibration: &Calibration,
) -> Option<Role> {
    let &[role] = set else {
        return None;
    };
    let enter = if evidence.any(|meaning| meaning.weight(role) >= SPEAKS) {
        calibration.enter
    } else {
        calibration.enter_alone
    };
    (chances.of(role) >= enter).then_some(role)
}

/// Whether a statement proves the role and none more.
pub(super) fn proves(meaning: &Meaning, role: Role) -> bool {
    meaning.strength == Strength::Strong
        && meaning.role() == Some(role)
        && meaning.weight(role) >= PROVES
}

/// A contradiction: two roles that both stay possible, each proven by a statement.
fn conflict(set: &[Role], noted: &[&Noted]) -> Option<String> {
    let proof = |role: Role| noted.iter().find(|noted| proves(&noted.meaning, role));
    let mut proven = set.iter().filter_map(|&role| Some((role, proof(role)?)));
    let (first, one) = proven.next()?;
    let (second, two) = proven.next()?;
    Some(format!(
        "The evidence contradicts itself: \"{}\" speaks for {}, \"{}\" for {}",
        one.meaning.sentence,
        first.words(),
        two.meaning.sentence,
        second.words()
    ))
}

/// Statements that matter most for the probable roles; without any, those that tell most.
fn reasons(noted: &[&Noted], chances: &Chances) -> Vec<Reason> {
    let mut weighed: Vec<(f64, &Noted)> = noted
        .iter()
        .map(|noted| (importance(&noted.meaning, chances), *noted))
        .collect();
    weighed.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.first_ns.cmp(&b.1.first_ns)));
    // What says the same thing once more comes behind what says another.
    let mut said = HashSet::new();
    let (news, repeats): (Vec<_>, Vec<_>) = weighed
        .into_iter()
        .partition(|(_, noted)| said.insert((noted.fact.field, noted.meaning.leading_row())));
    let shown = news.into_iter().chain(repeats).take(SHOWN);
    shown.map(|(_, noted)| reason(noted)).collect()
}

fn importance(meaning: &Meaning, chances: &Chances) -> f64 {
    let weights = meaning.weights.iter();
    weights
        .map(|weight| f64::from(weight.log_odds.abs()) * chances.of(weight.role))
        .fold(0.0, f64::max)
}

fn reason(noted: &Noted) -> Reason {
    let field = noted.fact.field;
    let role = noted.meaning.role();
    Reason {
        sentence: noted.meaning.sentence.clone(),
        source: field
            .name()
            .split('.')
            .next()
            .unwrap_or_default()
            .to_owned(),
        field,
        value: noted.fact.value.clone(),
        strength: noted.meaning.strength,
        time_ns: noted.first_ns,
        role,
        weight: role.map_or(0.0, |role| noted.meaning.weight(role)),
    }
}

fn kind(
    identity: &Identity,
    opinion: Option<&Opinion>,
    calibration: &Calibration,
) -> Option<Named> {
    let by_model = opinion.and_then(Opinion::best_type);
    let by_model = by_model.filter(|(_, chance)| *chance >= calibration.enter_type);
    if let Some((name, _)) = by_model {
        return Some(Named {
            name: name.to_owned(),
            by: NamedBy::Model,
        });
    }
    let stated = identity.model.as_ref()?;
    Some(Named {
        name: stated.value.clone(),
        by: NamedBy::Evidence,
    })
}

fn vendor(identity: &Identity) -> Option<Named> {
    let stated = identity.maker.as_ref()?;
    Some(Named {
        name: stated.value.clone(),
        by: if stated.field == Field::Oui {
            NamedBy::Registry
        } else {
            NamedBy::Evidence
        },
    })
}
