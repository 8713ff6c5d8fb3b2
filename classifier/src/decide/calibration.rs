//! The constants of the decision, fitted by the training and kept beside the model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Role;

/// `calibration.json` of a model bundle. Every key may be left out: the default is what stands
/// without a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calibration {
    /// Divides all log-odds: above 1 makes the answers less sure of themselves.
    pub temperature: f64,
    /// How much the model's opinion counts beside the evidence: 0 not at all, 1 in full.
    pub model_weight: f64,
    /// The least the model may give a role or "none of them", so that evidence can overrule it.
    pub model_floor: f64,
    /// How much evidence counts: multiplies its log-odds.
    pub evidence_weight: f64,
    /// Chance, before anything was seen, that a device has none of the roles.
    pub other: f64,
    /// Conformal quantile by role: it stays in the answer while 1 − probability is at most this.
    pub quantiles: BTreeMap<Role, f64>,
    /// The quantile of roles that are not listed.
    pub quantile: f64,
    /// A role is named from this probability on.
    pub enter: f64,
    /// The same where no evidence speaks for the role and only the model does.
    pub enter_alone: f64,
    /// Several roles are offered only when it is one of them with this probability.
    pub enter_set: f64,
    /// A type is named by the model from this probability on.
    pub enter_type: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            model_weight: 1.0,
            model_floor: 0.01,
            evidence_weight: 1.0,
            other: 0.5,
            quantiles: BTreeMap::new(),
            quantile: 0.85,
            enter: 0.90,
            enter_alone: 0.97,
            enter_set: 0.50,
            enter_type: 0.60,
        }
    }
}

/// Why a calibration is not used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// Not JSON, or not of this shape.
    #[error("the calibration cannot be read: {0}")]
    Shape(#[from] serde_json::Error),
    /// A number outside what it can mean.
    #[error("the calibration has {name} = {value}, which is outside {low} to {high}")]
    Range {
        /// The key.
        name: String,
        /// What it is.
        value: f64,
        /// Least.
        low: f64,
        /// Most.
        high: f64,
    },
}

impl Calibration {
    /// Reads `calibration.json`.
    ///
    /// # Errors
    /// When it is not of this shape or a number means nothing.
    pub fn from_json(text: &[u8]) -> Result<Self, CalibrationError> {
        let calibration: Self = serde_json::from_slice(text)?;
        calibration.check()?;
        Ok(calibration)
    }

    fn check(&self) -> Result<(), CalibrationError> {
        let fixed = [
            ("temperature", self.temperature, 0.05, 20.0),
            ("model_weight", self.model_weight, 0.0, 4.0),
            ("model_floor", self.model_floor, 1e-9, 0.1),
            ("evidence_weight", self.evidence_weight, 0.0, 4.0),
            ("other", self.other, 0.01, 0.99),
            ("quantile", self.quantile, 0.0, 1.0),
            ("enter", self.enter, 0.5, 1.0),
            ("enter_alone", self.enter_alone, 0.5, 1.0),
            ("enter_set", self.enter_set, 0.0, 1.0),
            ("enter_type", self.enter_type, 0.0, 1.0),
        ];
        let fixed = fixed.map(|(name, value, low, high)| (name.to_owned(), value, low, high));
        let by_role = self.quantiles.iter();
        let by_role = by_role.map(|(role, &q)| (format!("quantiles.{role}"), q, 0.0, 1.0));
        for (name, value, low, high) in fixed.into_iter().chain(by_role) {
            if !(low..=high).contains(&value) {
                return Err(CalibrationError::Range {
                    name,
                    value,
                    low,
                    high,
                });
            }
        }
        Ok(())
    }

    /// The conformal quantile of a role.
    pub(super) fn quantile_of(&self, role: Role) -> f64 {
        self.quantiles.get(&role).copied().unwrap_or(self.quantile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stands_as_it_is_without_a_model() {
        let read = Calibration::from_json(br#"{"temperature": 1.5, "quantiles": {"plug": 0.3}}"#);
        let read = read.unwrap();
        assert_eq!(read.temperature, 1.5);
        assert_eq!(read.quantile_of(Role::Plug), 0.3);
        assert_eq!(read.quantile_of(Role::Hub), Calibration::default().quantile);
        let written = serde_json::to_vec(&read).unwrap();
        assert_eq!(Calibration::from_json(&written).unwrap(), read);
    }

    #[test]
    fn nonsense_is_refused_with_its_name() {
        for (text, named) in [
            ("{", "cannot be read"),
            (r#"{"temprature": 1}"#, "temprature"),
            (r#"{"temperature": 0}"#, "temperature = 0"),
            (r#"{"quantiles": {"plug": 1.2}}"#, "quantiles.plug"),
            (r#"{"quantiles": {"toaster": 0.2}}"#, "toaster"),
        ] {
            let error = Calibration::from_json(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
