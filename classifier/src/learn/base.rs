//! What comes with a model for learning on the box: the measure of its features, the middle of
//! each role in training, and windows of training that what is learnt must not unlearn.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::sample::{FEATURES, SCORES, Window};
use crate::Role;

/// Features beyond this many deviations from the centre count as that many.
const CLIP: f32 = 8.0;

/// `prototypes.json` of a model bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// Mean of each feature in training.
    pub centre: Vec<f32>,
    /// Its deviation, above 0.
    pub scale: Vec<f32>,
    /// The roles the model was trained on.
    pub prototypes: BTreeMap<Role, Prototype>,
    /// Windows of training, several for each role.
    pub replay: Vec<Exemplar>,
    /// The temperature of the calibration.
    pub temperature: f32,
    /// Its conformal quantiles by role.
    pub quantiles: BTreeMap<Role, f32>,
    /// Its quantile of all other roles.
    pub quantile: f32,
}

/// The middle of a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prototype {
    /// Mean of the standardised features over its devices.
    pub mean: Vec<f32>,
    /// Mean squared distance of windows from it, by feature, above 0.
    pub spread: f32,
}

/// A window of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exemplar {
    /// Its role.
    pub role: Role,
    /// The window.
    pub window: Window,
}

/// Why a base is not used.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// Not JSON, or not of this shape.
    #[error("the prototypes cannot be read: {0}")]
    Shape(#[from] serde_json::Error),
    /// Numbers that mean nothing.
    #[error("the prototypes are unusable: {0}")]
    Meaning(&'static str),
}

impl Base {
    /// Reads and checks it.
    ///
    /// # Errors
    /// When it is not of this shape or a number means nothing.
    pub fn from_json(text: &[u8]) -> Result<Self, BaseError> {
        let base: Self = serde_json::from_slice(text)?;
        base.check().map_err(BaseError::Meaning)?;
        Ok(base)
    }

    /// What it is known by.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        Digest::of_document(self)
    }

    fn check(&self) -> Result<(), &'static str> {
        let whole = |list: &[f32]| list.len() == FEATURES && list.iter().all(|x| x.is_finite());
        let positive = |x: &f32| x.is_finite() && *x > 0.0;
        let chance = |x: &f32| (0.0..=1.0).contains(x);
        if !whole(&self.centre) || !whole(&self.scale) || !self.scale.iter().all(positive) {
            return Err("centre and scale are not one finite number for each feature");
        }
        let mut prototypes = self.prototypes.values();
        if !prototypes.all(|p| whole(&p.mean) && positive(&p.spread)) {
            return Err("a prototype is not one finite number for each feature and a spread");
        }
        if !(0.05..=20.0).contains(&self.temperature) {
            return Err("the temperature is outside 0.05 to 20");
        }
        if !self.quantiles.values().chain([&self.quantile]).all(chance) {
            return Err("a quantile is outside 0 to 1");
        }
        Ok(())
    }

    /// A window's features in deviations from the centre.
    pub(crate) fn standardise(&self, features: &[f32]) -> Vec<f32> {
        let measure = self.centre.iter().zip(&self.scale);
        let numbers = features.iter().zip(measure);
        numbers
            .map(|(x, (centre, scale))| ((x - centre) / scale).clamp(-CLIP, CLIP))
            .collect()
    }

    /// The quantile of a role.
    pub(crate) fn quantile_of(&self, role: Role) -> f32 {
        self.quantiles.get(&role).copied().unwrap_or(self.quantile)
    }

    /// The spread of a role that was not in training: that of the others in the middle.
    pub(crate) fn usual_spread(&self) -> f32 {
        let mut spreads: Vec<f32> = self.prototypes.values().map(|p| p.spread).collect();
        spreads.sort_by(f32::total_cmp);
        spreads.get(spreads.len() / 2).copied().unwrap_or(1.0)
    }
}

/// Where "none of the roles" stands among the scores.
pub(crate) const NONE: usize = SCORES - 1;
