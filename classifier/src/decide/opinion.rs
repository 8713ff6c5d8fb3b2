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
    /// One opinion of several of the same device and model: each counts the same. The reasons are
    /// those of the last.
    pub fn mean(opinions: &[Self]) -> Option<Self> {
        let (last, count) = (opinions.last()?, opinions.len() as f64);
        let mut mean = last.clone();
        for (i, (role, chance)) in mean.roles.iter_mut().enumerate() {
            let same = opinions.iter().filter_map(|opinion| opinion.roles.get(i));
            let same = same.filter(|(other, _)| other == role);
            *chance = same.map(|(_, chance)| chance).sum::<f64>() / count;
        }
        for (i, (name, chance)) in mean.types.iter_mut().enumerate() {
            let same = opinions.iter().filter_map(|opinion| opinion.types.get(i));
            let same = same.filter(|(other, _)| other == name);
            *chance = same.map(|(_, chance)| chance).sum::<f64>() / count;
        }
        mean.novelty = opinions.iter().map(|opinion| opinion.novelty).sum::<f64>() / count;
        Some(mean)
    }

    /// The most probable role, with its probability.
    pub fn best_role(&self) -> Option<(Role, f64)> {
        let best = self.roles.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        best.copied()
    }

    /// The most probable type, with its probability as a kind the model knows at all.
    pub(super) fn best_type(&self) -> Option<(&str, f64)> {
        let best = self.types.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some((best.0.as_str(), best.1 * (1.0 - self.novelty)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_opinion_counts_the_same() {
        let opinion = |plug, novelty| Opinion {
            roles: vec![(Role::Plug, plug), (Role::Hub, 1.0 - plug)],
            types: vec![("HS100".to_owned(), plug)],
            novelty,
            ..Opinion::default()
        };
        let mean = Opinion::mean(&[opinion(1.0, 0.0), opinion(0.5, 0.5)]).unwrap();
        assert_eq!(mean.roles, [(Role::Plug, 0.75), (Role::Hub, 0.25)]);
        assert_eq!(mean.best_type(), Some(("HS100", 0.75 * 0.75)));
        assert_eq!(Opinion::mean(&[]), None);
    }
}
