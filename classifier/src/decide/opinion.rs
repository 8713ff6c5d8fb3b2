//! What a model thinks of a device's traffic.

use serde::{Deserialize, Serialize};

use crate::Role;

/// A model's opinion of one or more windows of a device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Opinion {
    /// Probability of each role the model knows; together at most 1.
    pub roles: Vec<(Role, f64)>,
    /// Probability of each type the model knows, such as `TP-LinkPlugHS100`.
    pub types: Vec<(String, f64)>,
    /// Probability that the device is of no kind the model was trained on, 0 to 1.
    pub novelty: f64,
    /// What moved it most, heaviest first.
    pub contributions: Vec<Contribution>,
}

/// A number of the traffic that moved the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// Name of the feature.
    pub feature: String,
    /// In plain units: "sends a packet every 1.0 s; patient monitors in training: 0.8 to 1.2 s".
    pub sentence: String,
    /// The device's number, in the feature's unit.
    pub value: f64,
    /// What is usual for the role in training, from the 10th to the 90th percentile.
    pub usual: Option<(f64, f64)>,
    /// How much it moved the role.
    pub log_odds: f64,
}

impl Opinion {
    /// The most probable type, with its probability as a kind the model knows at all.
    pub(super) fn best_type(&self) -> Option<(&str, f64)> {
        let best = self.types.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some((best.0.as_str(), best.1 * (1.0 - self.novelty)))
    }
}
