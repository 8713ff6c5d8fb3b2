//! From a window and what was said to an opinion.

use std::collections::HashSet;
use std::sync::Arc;

use wardline_policy::MacAddr;

use super::plans::{self, Output};
use super::token::token;
use super::{Model, Refusal};
use crate::decide::{Contribution, Opinion};
use crate::features::{FEATURES, Features};
use crate::{Fact, Role};

/// Numbers that an opinion names as reasons.
const CONTRIBUTIONS: usize = 5;
/// What moves a role less is no reason.
const MOVES_MIN: f64 = 0.1;

/// What an opinion is asked about.
#[derive(Debug, Clone)]
pub struct Window {
    features: Features,
    said: HashSet<String>,
}

impl Window {
    /// The numbers of the traffic.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The numbers of some traffic of a device and the facts known of it by then. Its address
    /// serves to leave out what names the unit.
    pub fn new<'a>(
        features: Features,
        facts: impl IntoIterator<Item = &'a Fact>,
        mac: MacAddr,
    ) -> Self {
        let said = facts.into_iter().map(|fact| token(fact, mac));
        Self {
            features,
            said: said.collect(),
        }
    }
}

/// A model at work on one thread.
#[derive(Debug)]
pub struct Session {
    model: Arc<Model>,
    network: plans::Session,
}

impl Session {
    /// Makes a model ready for this thread.
    ///
    /// # Errors
    /// When tract cannot run it.
    pub fn new(model: Arc<Model>) -> Result<Self, Refusal> {
        Ok(Self {
            network: model.plans.session()?,
            model,
        })
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// An opinion of each window, without reasons.
    ///
    /// # Errors
    /// When tract cannot run the network.
    pub fn opinions(&mut self, windows: &[Window]) -> Result<Vec<Opinion>, Refusal> {
        let features: Vec<Features> = windows.iter().map(|window| window.features).collect();
        let outputs = self.run(&features)?;
        let each = windows.iter().zip(&outputs);
        Ok(each
            .map(|(window, output)| self.model.opinion(&window.said, output))
            .collect())
    }

    /// What the network says of numbers alone: log-odds of the types and then of the roles.
    ///
    /// # Errors
    /// When tract cannot run the network.
    pub fn raw(&mut self, features: &[Features]) -> Result<Vec<Vec<f32>>, Refusal> {
        let outputs = self.run(features)?;
        let heads = outputs.into_iter().map(|output| {
            let [types, roles, _] = output.heads;
            [types, roles].concat()
        });
        Ok(heads.collect())
    }

    /// An opinion of one window, with the numbers that moved it most.
    ///
    /// # Errors
    /// When tract cannot run the network.
    pub fn opinion(&mut self, window: &Window) -> Result<Opinion, Refusal> {
        let opinions = self.opinions(core::slice::from_ref(window))?;
        let Some(mut opinion) = opinions.into_iter().next() else {
            return Err(Refusal::Plan("one window has no single answer".to_owned()));
        };
        opinion.contributions = self.reasons(window, &opinion)?;
        Ok(opinion)
    }

    /// The numbers of a window that moved the opinion of it most, heaviest first: what changes
    /// when one after the other is what it is on average.
    ///
    /// # Errors
    /// When tract cannot run the network.
    pub fn reasons(
        &mut self,
        window: &Window,
        opinion: &Opinion,
    ) -> Result<Vec<Contribution>, Refusal> {
        let Some((role, chance)) = opinion.best_role() else {
            return Ok(Vec::new());
        };
        let mean = self.model.statistics.mean;
        let without = |index: usize| {
            let mut features = window.features;
            features[index] = mean[index];
            features
        };
        let outputs = self.run(&(0..FEATURES.len()).map(without).collect::<Vec<_>>())?;
        let log_odds = |chance: f64| (chance.max(1e-9) / (1.0 - chance).max(1e-9)).ln();
        let said = self.model.lexicon_says(&window.said);
        let mut moved: Vec<(usize, f64)> = outputs
            .iter()
            .map(|output| {
                let [by_types, by_roles, _] = &output.heads;
                let types = self.model.types(&said, by_types);
                let other = self.model.chance(role, &types, &log_softmax(by_roles));
                log_odds(chance) - log_odds(other)
            })
            .enumerate()
            .filter(|(_, moves)| moves.abs() >= MOVES_MIN)
            .collect();
        moved.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        moved.truncate(CONTRIBUTIONS);
        let usual = self.model.statistics.usual.get(&role);
        let tell = |(index, moves): (usize, f64)| {
            let range = usual.map(|ranges| ranges[index]);
            contribution(index, window.features[index], (role, range), moves)
        };
        Ok(moved.into_iter().map(tell).collect())
    }

    fn run(&mut self, features: &[Features]) -> Result<Vec<Output>, Refusal> {
        let failed = |error| Refusal::Plan(format!("{error:#}"));
        self.network.run(features).map_err(failed)
    }
}

fn contribution(
    index: usize,
    value: f32,
    (role, usual): (Role, Option<(f32, f32)>),
    log_odds: f64,
) -> Contribution {
    let feature = &FEATURES[index];
    let mut sentence = feature.say(value);
    if let Some((low, high)) = usual {
        sentence += &format!(
            "; in training, {}: {}",
            role.words(),
            feature.range(low, high)
        );
    }
    Contribution {
        feature: feature.name.to_owned(),
        sentence,
        value: feature.quantity(value),
        usual: usual.map(|(low, high)| (feature.quantity(low), feature.quantity(high))),
        log_odds,
    }
}

impl Model {
    /// Adds up what the network and the lexicon say.
    fn opinion(&self, said: &HashSet<String>, output: &Output) -> Opinion {
        let [by_types, by_roles, place] = &output.heads;
        let types = self.types(&self.lexicon_says(said), by_types);
        let best = (0..types.len()).max_by(|a, b| types[*a].total_cmp(&types[*b]));
        let novelty = best.map_or(1.0, |best| self.novelty(best, types[best], said, place));
        Opinion {
            roles: self.roles(&types, by_roles),
            types: self.products(&types),
            novelty,
            contributions: Vec::new(),
        }
    }

    /// What the lexicon says of the types, as logarithms of chances.
    fn lexicon_says(&self, said: &HashSet<String>) -> Vec<f32> {
        log_softmax(&self.lexicon.scores(said))
    }

    /// Logarithms of the chances of the types by lexicon and network.
    fn types(&self, lexicon: &[f32], by_types: &[f32]) -> Vec<f32> {
        let fusion = self.statistics.fusion;
        let network = log_softmax(by_types);
        let both = network.iter().zip(lexicon);
        let scores: Vec<f32> = both
            .map(|(network, lexicon)| fusion.network * network + fusion.lexicon * lexicon)
            .collect();
        log_softmax(&scores)
    }

    /// Types that are products, with their chances.
    fn products(&self, types: &[f32]) -> Vec<(String, f64)> {
        let each = self.manifest.heads.types.iter().zip(types);
        let products = each.filter(|(kind, _)| !kind.emulated);
        products
            .map(|(kind, score)| (kind.name.clone(), f64::from(exp(*score))))
            .collect()
    }

    /// Roles by way of the types, and as the network sees them itself.
    fn roles(&self, types: &[f32], by_roles: &[f32]) -> Vec<(Role, f64)> {
        let heads = &self.manifest.heads;
        let knows = |role: &&Role| {
            heads.roles.contains(role) || heads.types.iter().any(|kind| kind.role == **role)
        };
        let by_roles = log_softmax(by_roles);
        let known = Role::ALL.iter().filter(knows);
        known
            .map(|role| (*role, self.chance(*role, types, &by_roles)))
            .collect()
    }

    /// One of them; `by_roles` are logarithms of chances already.
    fn chance(&self, role: Role, types: &[f32], by_roles: &[f32]) -> f64 {
        let (share, heads) = (self.statistics.fusion.roles, &self.manifest.heads);
        let types = heads.types.iter().zip(types);
        let types = types.filter(|(kind, _)| kind.role == role);
        let by_types: f64 = types.map(|(_, score)| f64::from(exp(*score))).sum();
        let roles = heads.roles.iter().zip(by_roles);
        let roles = roles.filter(|(of, _)| **of == role);
        let by_itself: f64 = roles.map(|(_, score)| f64::from(exp(*score))).sum();
        (1.0 - share) * by_types + share * by_itself
    }

    /// Probability that the device is of none of the types, the best of which is given.
    fn novelty(&self, best: usize, certainty: f32, said: &HashSet<String>, place: &[f32]) -> f64 {
        let weights = self.statistics.novelty;
        let centre = &self.statistics.centres[best];
        let squares = place
            .iter()
            .zip(centre)
            .map(|(a, b)| f64::from(a - b).powi(2));
        let distance: f64 = squares.sum::<f64>().ln_1p();
        let fit = self.lexicon.fit(best, said);
        let log_odds = weights.bias
            + weights.certainty * f64::from(certainty)
            + weights.news * fit.news
            + weights.likeness * fit.likeness
            + weights.distance * distance;
        1.0 / (1.0 + (-log_odds).exp())
    }
}

/// Less is nothing beside what counts, and a processor is slow at numbers below the normal ones.
const LEAST: f32 = -80.0;

fn exp(score: f32) -> f32 {
    score.max(LEAST).exp()
}

fn log_softmax(scores: &[f32]) -> Vec<f32> {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = scores.iter().map(|score| exp(score - highest)).sum();
    let whole = highest + sum.ln();
    scores.iter().map(|score| score - whole).collect()
}
