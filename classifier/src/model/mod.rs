//! What was learnt from labelled captures: a network over the numbers of traffic, a lexicon of
//! what devices say, and how both add up to an [`Opinion`].
//!
//! A model comes as a folder of files listed in a signed manifest. Whatever is in the folder, it
//! is used only when a trusted key signed it, its version is not older than the one in use, its
//! graph has nothing but the operators of ours, and it answers its golden vectors as it did when
//! it was made. Otherwise the one in use stays.

mod graph;
mod lexicon;
pub mod manifest;
mod opinion;
mod plans;
mod refusal;
mod statistics;
pub mod token;

use std::path::Path;

use serde::Deserialize;

pub use graph::GraphFault;
pub use manifest::{Bundle, Heads, Kind, Manifest, Signer, Trust};
pub use opinion::{Session, Window};
pub use refusal::Refusal;

use crate::decide::Calibration;
use crate::features::{self, Features};
use crate::learn::Base;
use lexicon::Lexicon;
use manifest::{CALIBRATION, GOLDEN, GRAPH, LEXICON, MANIFEST, PROTOTYPES, SIGNATURE, STATISTICS};
use plans::Plans;
use statistics::Statistics;

/// Largest difference to what the network answered where it was made.
const GOLDEN_DIFFERENCE: f32 = 1e-5;

/// The model that this program was built with.
const BUILT_IN: [(&str, &[u8]); 8] = [
    (
        MANIFEST,
        include_bytes!("../../../models/wardline/manifest.json"),
    ),
    (
        SIGNATURE,
        include_bytes!("../../../models/wardline/manifest.sig"),
    ),
    (GRAPH, include_bytes!("../../../models/wardline/model.onnx")),
    (
        LEXICON,
        include_bytes!("../../../models/wardline/lexicon.json"),
    ),
    (
        STATISTICS,
        include_bytes!("../../../models/wardline/statistics.json"),
    ),
    (
        CALIBRATION,
        include_bytes!("../../../models/wardline/calibration.json"),
    ),
    (
        GOLDEN,
        include_bytes!("../../../models/wardline/golden.json"),
    ),
    (
        PROTOTYPES,
        include_bytes!("../../../models/wardline/prototypes.json"),
    ),
];

/// A model that passed all checks.
#[derive(Debug)]
pub struct Model {
    manifest: Manifest,
    key_id: String,
    plans: Plans,
    lexicon: Lexicon,
    statistics: Statistics,
    calibration: Calibration,
    base: Base,
}

impl Model {
    /// The model that this program was built with, checked like any other.
    ///
    /// # Errors
    /// When it does not pass.
    pub fn built_in() -> Result<Self, Refusal> {
        Self::new(&Bundle::of(&BUILT_IN, &Trust::project()?)?)
    }

    /// The model in a folder.
    ///
    /// # Errors
    /// When it does not pass.
    pub fn load(folder: &Path, trust: &Trust) -> Result<Self, Refusal> {
        Self::new(&Bundle::read(folder, trust)?)
    }

    /// Checks what a signed bundle holds.
    ///
    /// # Errors
    /// When it does not pass.
    pub fn new(bundle: &Bundle) -> Result<Self, Refusal> {
        let manifest = bundle.manifest.clone();
        if manifest.schema != manifest::to_hex(&features::schema()) {
            return Err(Refusal::Schema);
        }
        let heads = &manifest.heads;
        let types = heads.types.len();
        if types == 0 || heads.roles.is_empty() {
            return Err(Refusal::nonsense(MANIFEST, "types or roles are missing"));
        }
        let lexicon: Lexicon = bundle.json(LEXICON)?;
        lexicon.check(types)?;
        let statistics: Statistics = bundle.json(STATISTICS)?;
        statistics.check(types)?;
        let calibration = Calibration::from_json(bundle.file(CALIBRATION))
            .map_err(|error| Refusal::nonsense(CALIBRATION, error))?;
        let widths = [types, heads.roles.len(), features::COUNT];
        let model = Self {
            plans: Plans::new(bundle.file(GRAPH), widths)?,
            manifest,
            key_id: bundle.key_id.clone(),
            lexicon,
            statistics,
            calibration,
            base: Base::from_json(bundle.file(PROTOTYPES))
                .map_err(|error| Refusal::nonsense(PROTOTYPES, error))?,
        };
        model.answers_as_made(&bundle.json(GOLDEN)?)?;
        Ok(model)
    }

    /// Its list of files, types and roles.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Which key signed it, as in [`Bundle::key_id`].
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Whether it may take the place of the model in use: versions do not go back.
    ///
    /// # Errors
    /// When it is older.
    pub fn may_replace(&self, current: &Self) -> Result<(), Refusal> {
        let (offered, current) = (self.manifest.version, current.manifest.version);
        if offered < current {
            return Err(Refusal::Older { offered, current });
        }
        Ok(())
    }

    /// The constants of the decision that were fitted with it.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// What is learnt from on the box.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Golden vectors, one window and many at a time.
    fn answers_as_made(&self, golden: &Golden) -> Result<(), Refusal> {
        let inputs: Vec<Features> = golden.vectors.iter().map(|v| v.features.0).collect();
        let mut session = self.plans.session()?;
        let failed = |error| Refusal::Plan(format!("{error:#}"));
        let mut answers = session.run(&inputs).map_err(failed)?;
        for input in &inputs {
            answers.extend(session.run(&[*input]).map_err(failed)?);
        }
        if inputs.is_empty() {
            return Err(Refusal::nonsense(GOLDEN, "there are no vectors"));
        }
        for (number, answer) in answers.iter().enumerate() {
            let vector = number % inputs.len();
            let expected = &golden.vectors[vector].outputs;
            let difference = difference(&answer.heads, expected);
            if difference.is_nan() || difference > GOLDEN_DIFFERENCE {
                return Err(Refusal::Golden { vector, difference });
            }
        }
        Ok(())
    }
}

/// `golden.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    vectors: Vec<Vector>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    features: Row,
    outputs: Vec<Vec<f32>>,
}

#[derive(Debug)]
struct Row(Features);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        statistics::row(deserializer).map(Self)
    }
}

/// The largest difference, relative for numbers above 1; infinite for another shape.
fn difference(heads: &[Vec<f32>], expected: &[Vec<f32>]) -> f32 {
    let shape = |rows: &[Vec<f32>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
    if shape(heads) != shape(expected) {
        return f32::INFINITY;
    }
    let pairs = heads.iter().flatten().zip(expected.iter().flatten());
    pairs
        .map(|(ours, theirs)| (ours - theirs).abs() / theirs.abs().max(1.0))
        .fold(0.0, |most, difference| {
            if difference > most || difference.is_nan() {
                difference
            } else {
                most
            }
        })
}
