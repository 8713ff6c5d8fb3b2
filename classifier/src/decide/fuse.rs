//! Evidence and model added up as log-odds.

use std::collections::BTreeMap;

use super::{Calibration, Opinion};
use crate::Role;
use crate::knowledge::{Family, Meaning};

/// The share of what the model does not know that falls to roles it was not trained on.
const UNTRAINED_SHARE: f64 = 0.5;

/// How probable each role is, and that it is none of them. Together 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Chances {
    by_role: [f64; Role::COUNT],
    other: f64,
}

impl Chances {
    /// Of one role.
    pub fn of(&self, role: Role) -> f64 {
        self.by_role[role.index()]
    }

    /// That the device has none of the roles.
    pub fn other(&self) -> f64 {
        self.other
    }

    /// Roles from the most probable on.
    pub fn ranked(&self) -> Vec<(Role, f64)> {
        let mut ranked: Vec<_> = Role::ALL.iter().map(|&r| (r, self.of(r))).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked
    }
}

/// Log-odds before the temperature: of each role, and of none of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scores {
    by_role: [f64; Role::COUNT],
    other: f64,
}

impl Scores {
    /// With what was learnt on the box added: a number for each role, and for none.
    fn changed_by(mut self, learnt: &[f32]) -> Self {
        let all = self.by_role.iter_mut().chain([&mut self.other]);
        for (score, change) in all.zip(learnt) {
            *score += f64::from(*change);
        }
        self
    }

    /// Logarithms of the chances at temperature 1: of each role, and of none.
    pub fn log_chances(&self) -> Vec<f32> {
        let chances = self.chances(1.0);
        let all = chances.by_role.iter().chain([&chances.other]);
        all.map(|chance| chance.max(f64::from(f32::MIN_POSITIVE)).ln() as f32)
            .collect()
    }

    /// The chances.
    fn chances(&self, temperature: f64) -> Chances {
        softmax(
            self.by_role.map(|s| s / temperature),
            self.other / temperature,
        )
    }
}

/// Adds up all evidence and the opinion of a model, if there is one.
///
/// Before anything is seen, a device has any role with the same small chance. A model replaces
/// that by its own opinion. Evidence multiplies it: monotone, so that a statement for one role
/// never makes it less probable. `learnt` on the box are changes of the log-odds of each role, and
/// of none; empty changes nothing.
pub fn fuse<'a>(
    evidence: impl IntoIterator<Item = &'a Meaning>,
    opinion: Option<&Opinion>,
    calibration: &Calibration,
    learnt: &[f32],
) -> Chances {
    scores(evidence, opinion, calibration)
        .changed_by(learnt)
        .chances(calibration.temperature)
}

/// The same before the temperature and without what was learnt.
pub(super) fn scores<'a>(
    evidence: impl IntoIterator<Item = &'a Meaning>,
    opinion: Option<&Opinion>,
    calibration: &Calibration,
) -> Scores {
    let evidence = add_up(evidence);
    let (mut by_role, other) = base(opinion, calibration);
    for (score, evidence) in by_role.iter_mut().zip(evidence) {
        *score += calibration.evidence_weight * evidence;
    }
    Scores { by_role, other }
}

/// Log-odds of the evidence for each role. A row of the tables counts once, where it weighs most;
/// in a family of fields the strongest statement counts; families add up.
pub(super) fn add_up<'a>(evidence: impl IntoIterator<Item = &'a Meaning>) -> [f64; Role::COUNT] {
    let mut rows: BTreeMap<(u16, Role, bool), (f32, Family)> = BTreeMap::new();
    for meaning in evidence {
        for weight in &meaning.weights {
            let key = (weight.row, weight.role, weight.log_odds > 0.0);
            let place = rows.entry(key).or_insert((0.0, meaning.family));
            let (heavier, as_heavy) = (
                weight.log_odds.abs() > place.0.abs(),
                weight.log_odds.abs() == place.0.abs(),
            );
            // Of two families the same one whatever came first.
            if heavier || as_heavy && meaning.family < place.1 {
                *place = (weight.log_odds, meaning.family);
            }
        }
    }
    let mut families: BTreeMap<(Family, Role, bool), f32> = BTreeMap::new();
    for ((_, role, positive), (log_odds, family)) in rows {
        let place = families.entry((family, role, positive)).or_default();
        if log_odds.abs() > place.abs() {
            *place = log_odds;
        }
    }
    let mut sums = [0.0; Role::COUNT];
    for ((_, role, _), log_odds) in families {
        sums[role.index()] += f64::from(log_odds);
    }
    sums
}

/// Log of the chances before the evidence: of each role, and of none.
fn base(opinion: Option<&Opinion>, calibration: &Calibration) -> ([f64; Role::COUNT], f64) {
    let count = Role::COUNT as f64;
    let prior = ((1.0 - calibration.other) / count).ln();
    let prior_other = calibration.other.ln();
    let Some(opinion) = opinion else {
        return ([prior; Role::COUNT], prior_other);
    };
    let novelty = opinion.novelty.clamp(0.0, 1.0);
    let untrained = novelty * UNTRAINED_SHARE / count;
    let mut chances = [untrained; Role::COUNT];
    for &(role, chance) in &opinion.roles {
        chances[role.index()] += chance.clamp(0.0, 1.0) * (1.0 - novelty);
    }
    let other = novelty * (1.0 - UNTRAINED_SHARE);
    let weight = calibration.model_weight;
    let blend = |chance: f64, prior: f64| {
        weight * chance.max(calibration.model_floor).ln() + (1.0 - weight) * prior
    };
    (
        chances.map(|chance| blend(chance, prior)),
        blend(other, prior_other),
    )
}

fn softmax(scores: [f64; Role::COUNT], other: f64) -> Chances {
    let highest = scores.iter().copied().fold(other, f64::max);
    let by_role = scores.map(|score| (score - highest).exp());
    let other = (other - highest).exp();
    let sum = by_role.iter().sum::<f64>() + other;
    Chances {
        by_role: by_role.map(|chance| chance / sum),
        other: other / sum,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::knowledge::weigh;
    use crate::{Fact, Field};

    /// Facts of any field with a value that some table may know.
    fn meaning() -> impl Strategy<Value = Meaning> {
        let words = prop::sample::select(vec![
            "camera",
            "smart plug",
            "CT Image Storage",
            "ADT^A01",
            "ORU^R01",
            "urn:Belkin:device:bridge:1",
            "dicom",
            "dhcp",
            "ci=7",
            "monitor",
            "gateway",
            "tcp/3613",
            "anything",
        ]);
        let field = prop::sample::select(Field::ALL.to_vec());
        (field, words).prop_map(|(field, words)| weigh(&Fact::new(field, words).unwrap()))
    }

    fn opinion() -> impl Strategy<Value = Option<Opinion>> {
        let roles = prop::collection::vec(0.0..1f64, Role::COUNT);
        let some = (roles, 0.0..1f64).prop_map(|(chances, novelty)| {
            let sum: f64 = chances.iter().sum::<f64>() + 1e-9;
            let roles = Role::ALL.iter().copied();
            Opinion {
                roles: roles.zip(chances.iter().map(|c| c / sum)).collect(),
                novelty,
                ..Opinion::default()
            }
        });
        prop::option::of(some)
    }

    proptest! {
        #[test]
        fn chances_sum_to_one(
            evidence in prop::collection::vec(meaning(), 0..40),
            opinion in opinion(),
            temperature in 0.3..3f64,
        ) {
            let calibration = Calibration { temperature, ..Calibration::default() };
            let chances = fuse(&evidence, opinion.as_ref(), &calibration, &[]);
            let sum: f64 = Role::ALL.iter().map(|&role| chances.of(role)).sum();
            prop_assert!((sum + chances.other() - 1.0).abs() < 1e-9);
            prop_assert!(Role::ALL.iter().all(|&role| chances.of(role) >= 0.0));
        }

        #[test]
        fn a_statement_for_a_role_alone_never_makes_it_less_probable(
            evidence in prop::collection::vec(meaning(), 0..20),
            opinion in opinion(),
            role in prop::sample::select(Role::ALL.to_vec()),
            log_odds in 0.1..8f32,
            family in 0..12usize,
        ) {
            let families = [
                Family::Registry, Family::Name, Family::Platform, Family::Asks, Family::WebClient,
                Family::Announcement, Family::Service, Family::Conversation, Family::Dicom,
                Family::Hl7, Family::Bedside, Family::Management,
            ];
            let calibration = Calibration::default();
            let before = fuse(&evidence, opinion.as_ref(), &calibration, &[]);
            let mut more = evidence.clone();
            let mut statement = weigh(&Fact::new(Field::Hl7Version, "2.6").unwrap());
            statement.family = families[family];
            statement.weights = vec![crate::knowledge::Weight { role, log_odds, row: 60_000 }];
            more.push(statement);
            let after = fuse(&more, opinion.as_ref(), &calibration, &[]);
            prop_assert!(after.of(role) >= before.of(role) - 1e-12);
        }

        #[test]
        fn repeating_and_reordering_change_nothing(
            evidence in prop::collection::vec(meaning(), 1..12),
        ) {
            let calibration = Calibration::default();
            let once = fuse(&evidence, None, &calibration, &[]);
            let twice = fuse(evidence.iter().rev().chain(&evidence), None, &calibration, &[]);
            for &role in Role::ALL {
                prop_assert!((once.of(role) - twice.of(role)).abs() < 1e-9, "{role}");
            }
        }
    }

    #[test]
    fn without_evidence_the_model_is_taken_at_its_word() {
        let opinion = Opinion {
            roles: vec![(Role::Plug, 0.9), (Role::Hub, 0.1)],
            novelty: 0.1,
            ..Opinion::default()
        };
        let chances = fuse([], Some(&opinion), &Calibration::default(), &[]);
        assert!((chances.of(Role::Plug) - 0.67).abs() < 0.1, "{chances:?}");
        let blind = Calibration {
            model_weight: 0.0,
            ..Calibration::default()
        };
        let chances = fuse([], Some(&opinion), &blind, &[]);
        assert_eq!(chances, fuse([], None, &blind, &[]));
    }
}
