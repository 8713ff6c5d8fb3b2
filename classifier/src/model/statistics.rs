//! What training measured beside the network: what is usual, and how the parts add up.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::manifest::STATISTICS;
use super::refusal::Refusal;
use crate::Role;
use crate::features::{COUNT, Features};

/// Numbers of `statistics.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Statistics {
    /// Mean of each feature in training.
    #[serde(deserialize_with = "row")]
    pub(super) mean: Features,
    /// Of each role, the 10th and the 90th percentile of each feature.
    pub(super) usual: BTreeMap<Role, Vec<(f32, f32)>>,
    /// Of each type, the middle of its places in training.
    pub(super) centres: Vec<Vec<f32>>,
    pub(super) fusion: Fusion,
    pub(super) novelty: Novelty,
}

/// How network and lexicon add up.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fusion {
    /// Weight of the network's log-probabilities of types.
    pub(super) network: f32,
    /// Weight of the lexicon's.
    pub(super) lexicon: f32,
    /// Share of the network's own opinion of roles beside that by way of the types.
    pub(super) roles: f64,
}

/// Log-odds that a device is of none of the types: a sum of what follows, each times its weight.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Novelty {
    pub(super) bias: f64,
    /// Log of the best type's probability.
    pub(super) certainty: f64,
    /// How expected it is that the best type says things not heard before.
    pub(super) news: f64,
    /// How much of what was said only the best type says.
    pub(super) likeness: f64,
    /// Log of one more than the squared distance to the middle of the best type.
    pub(super) distance: f64,
}

impl Statistics {
    pub(super) fn check(&self, types: usize) -> Result<(), Refusal> {
        let nonsense = |why| Err(Refusal::nonsense(STATISTICS, why));
        let rows = self.centres.iter().all(|centre| centre.len() == COUNT);
        if self.centres.len() != types || !rows {
            return nonsense("the centres are not one row for each type");
        }
        if self.usual.values().any(|ranges| ranges.len() != COUNT) {
            return nonsense("a role has not one range for each feature");
        }
        Ok(())
    }
}

pub(super) fn row<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Features, D::Error> {
    let numbers = Vec::<f32>::deserialize(deserializer)?;
    let count = numbers.len();
    numbers
        .try_into()
        .map_err(|_| serde::de::Error::invalid_length(count, &"one number for each feature"))
}
