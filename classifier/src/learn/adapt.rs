//! What is learnt on the box: where the middle of a role lies here, and how sure to be.
//!
//! **Prototypes.** A role's middle moves from where it lay in training towards the devices that
//! people named, as far as there are enough of them; each device counts once, however many of its
//! windows are known. A window is near a middle in the measure of the role's spread, or near none.
//! What is learnt changes the scores of a window by the difference between being near the moved
//! middles and being near the shipped ones, within bounds: where nothing was learnt, nothing
//! changes, and far from what people named neither.
//!
//! **Calibration.** The temperature rises when named devices get too little of the chance, and a
//! role's conformal quantile rises when its devices fit badly. Neither ever falls below what came
//! with the model: people name what is easy to name, and that is no reason to be surer.
//!
//! Everything is a function of the base, the journal and the windows kept: undoing a record undoes
//! what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::base::{Base, NONE};
use super::digest::Digest;
use super::record::Head;
use super::sample::{Example, FEATURES, SCORES, Window};
use crate::Role;
use crate::decide::Calibration;

/// As many devices of training a shipped middle counts for.
const SHIPPED_DEVICES: f32 = 4.0;
/// Independent directions among the features, as a rule of thumb: how fast a chance falls with
/// the distance.
const DIRECTIONS: f32 = 4.0;
/// Squared distance, in spreads, at which a window is as near to none as to a role.
const FAR: f32 = 3.0;
/// A chance counts for at least this, which bounds what is learnt to 4.6 in log-odds.
const LEAST_CHANCE: f32 = 0.01;
/// The temperature rises to so many times the shipped one at most, in so many steps.
const HOTTEST: f32 = 4.0;
const STEPS: u32 = 40;
/// How much a temperature away from the shipped one must bring, in devices.
const INERTIA: f32 = 4.0;
/// Conformal quantiles of a role are taken from so many devices on, to cover this part of them.
const QUANTILE_DEVICES: usize = 9;
const COVERED: f32 = 0.9;
/// A middle that moves by less, in deviations of a feature, is not learnt anew; nor is a temperature
/// that rises or falls by less of itself.
const SLIGHT: f32 = 0.1;
/// The same for a quantile.
const SLIGHT_CHANCE: f32 = 0.02;

/// What was learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adaptation {
    /// The base it belongs to.
    pub base: Digest,
    /// The end of the journal it was learnt from.
    pub journal: Head,
    /// The middles that moved.
    pub middles: BTreeMap<Role, Middle>,
    /// The temperature.
    pub temperature: f32,
    /// Conformal quantiles that rose.
    pub quantiles: BTreeMap<Role, f32>,
}

/// The middle of a role here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Middle {
    /// Mean of the standardised features.
    pub mean: Vec<f32>,
    /// As in the prototype.
    pub spread: f32,
    /// Devices it moved for.
    pub devices: u32,
}

impl Adaptation {
    /// Nothing learnt.
    ///
    /// # Errors
    /// When the base cannot be written as JSON.
    pub fn none(base: &Base, journal: Head) -> Result<Self, serde_json::Error> {
        Ok(Self {
            base: base.digest()?,
            journal,
            middles: BTreeMap::new(),
            temperature: base.temperature,
            quantiles: BTreeMap::new(),
        })
    }

    /// What it is known by: what was learnt, not when. The journal goes on with every record, that
    /// something was learnt included.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        Digest::of_document(&(&self.base, &self.middles, self.temperature, &self.quantiles))
    }

    /// Whether putting the other one in use would change next to nothing: the windows learnt from
    /// are others every hour, and so are the last digits of what is learnt.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let warmer = (self.temperature / other.temperature).ln();
        self.base == other.base
            && warmer.abs() <= SLIGHT
            && alike(&self.middles, &other.middles, Middle::is_like)
            && alike(&self.quantiles, &other.quantiles, |here, there| {
                (here - there).abs() <= SLIGHT_CHANCE
            })
    }

    /// The scores of a window with what was learnt, before the temperature.
    pub fn scores(&self, base: &Base, window: &Window) -> Vec<f32> {
        let change = self.change(base, window.features());
        let scores = window.scores().iter().zip(change);
        scores.map(|(score, change)| score + change).collect()
    }

    /// How what was learnt changes the scores of a window with these features: of each role, and
    /// of none.
    pub fn change(&self, base: &Base, features: &[f32]) -> Vec<f32> {
        let place = base.standardise(features);
        let shipped = base.prototypes.iter();
        let shipped = shipped.map(|(role, p)| (*role, p.mean.as_slice(), p.spread));
        let here = base.prototypes.iter();
        let here = here
            .filter(|(role, _)| !self.middles.contains_key(role))
            .map(|(role, p)| (*role, p.mean.as_slice(), p.spread))
            .chain(self.moved());
        let (before, after) = (nearness(&place, shipped), nearness(&place, here));
        after
            .iter()
            .zip(before)
            .map(|(after, before)| (after.max(LEAST_CHANCE) / before.max(LEAST_CHANCE)).ln())
            .collect()
    }

    /// The constants of the decision with what was learnt.
    pub fn calibration(&self, base: &Base, shipped: &Calibration) -> Calibration {
        let quantile = |role: &Role| (*role, f64::from(self.quantile(base, *role)));
        let mut quantiles = shipped.quantiles.clone();
        quantiles.extend(self.quantiles.keys().map(quantile));
        Calibration {
            temperature: f64::from(self.temperature),
            quantiles,
            ..shipped.clone()
        }
    }

    /// The chance of each role, and of none, with what was learnt.
    pub fn chances(&self, base: &Base, window: &Window) -> Vec<f32> {
        softmax(&self.scores(base, window), self.temperature)
    }

    /// The conformal quantile of a role.
    pub fn quantile(&self, base: &Base, role: Role) -> f32 {
        let learnt = self.quantiles.get(&role).copied();
        learnt.unwrap_or_else(|| base.quantile_of(role))
    }

    fn moved(&self) -> impl Iterator<Item = (Role, &[f32], f32)> {
        let middles = self.middles.iter();
        middles.map(|(role, m)| (*role, m.mean.as_slice(), m.spread))
    }
}

impl Middle {
    fn is_like(&self, other: &Self) -> bool {
        let pairs = self.mean.iter().zip(&other.mean);
        let squares: f32 = pairs.map(|(a, b)| (a - b) * (a - b)).sum();
        self.devices == other.devices && squares <= FEATURES as f32 * SLIGHT * SLIGHT
    }
}

/// Whether two have something alike for the same roles.
fn alike<T>(a: &BTreeMap<Role, T>, b: &BTreeMap<Role, T>, like: impl Fn(&T, &T) -> bool) -> bool {
    let mut pairs = a.iter().zip(b);
    a.len() == b.len() && pairs.all(|((one, a), (other, b))| one == other && like(a, b))
}

/// Learns from these devices.
///
/// # Errors
/// When the base cannot be written as JSON.
pub(crate) fn fit(
    base: &Base,
    journal: Head,
    examples: &[Example<'_>],
) -> Result<Adaptation, serde_json::Error> {
    let mut learnt = Adaptation::none(base, journal)?;
    learnt.middles = middles(base, examples);
    learnt.temperature = temperature(base, &learnt, examples);
    learnt.quantiles = quantiles(base, &learnt, examples);
    Ok(learnt)
}

fn middles(base: &Base, examples: &[Example<'_>]) -> BTreeMap<Role, Middle> {
    let mut sums: BTreeMap<Role, (Vec<f32>, u32)> = BTreeMap::new();
    for example in examples {
        let (sum, devices) = sums
            .entry(example.role)
            .or_insert_with(|| (vec![0.0; FEATURES], 0));
        let share = 1.0 / example.windows.len().max(1) as f32;
        for window in example.windows {
            let place = base.standardise(window.features());
            for (sum, x) in sum.iter_mut().zip(place) {
                *sum += share * x;
            }
        }
        *devices += 1;
    }
    let middle = |(role, (sum, devices)): (Role, (Vec<f32>, u32))| {
        let shipped = base.prototypes.get(&role);
        let weight = if shipped.is_some() {
            SHIPPED_DEVICES
        } else {
            0.0
        };
        let origin = shipped.map_or_else(|| vec![0.0; FEATURES], |p| p.mean.clone());
        let all = weight + devices as f32;
        let numbers = sum.iter().zip(origin);
        let middle = Middle {
            mean: numbers.map(|(sum, o)| (sum + weight * o) / all).collect(),
            spread: shipped.map_or_else(|| base.usual_spread(), |p| p.spread),
            devices,
        };
        (role, middle)
    };
    sums.into_iter().map(middle).collect()
}

/// The chance of being near each of the middles, and near none, at the end.
fn nearness<'a>(
    place: &[f32],
    middles: impl Iterator<Item = (Role, &'a [f32], f32)>,
) -> [f32; SCORES] {
    let mut scores = [f32::NEG_INFINITY; SCORES];
    scores[NONE] = -0.5 * DIRECTIONS * FAR;
    for (role, mean, spread) in middles {
        let squares = place.iter().zip(mean).map(|(x, m)| (x - m) * (x - m));
        let distance = squares.sum::<f32>() / FEATURES as f32 / spread;
        scores[role.index()] = -0.5 * DIRECTIONS * distance;
    }
    let mut chances = [0.0; SCORES];
    chances.copy_from_slice(&softmax(&scores, 1.0));
    chances
}

/// The temperature between the shipped one and [`HOTTEST`] times it that gives named devices the
/// most chance.
fn temperature(base: &Base, learnt: &Adaptation, examples: &[Example<'_>]) -> f32 {
    let scored: Vec<(Role, Vec<Vec<f32>>)> = examples
        .iter()
        .map(|example| {
            let windows = example.windows.iter();
            (
                example.role,
                windows.map(|w| learnt.scores(base, w)).collect(),
            )
        })
        .collect();
    let at = |step: u32| base.temperature * HOTTEST.powf(step as f32 / STEPS as f32);
    let loss = |step: u32| {
        let temperature = at(step);
        let device = |(role, windows): &(Role, Vec<Vec<f32>>)| {
            let chance = |scores: &Vec<f32>| softmax(scores, temperature)[role.index()];
            let sum: f32 = windows
                .iter()
                .map(|scores| -chance(scores).max(f32::MIN_POSITIVE).ln())
                .sum();
            sum / windows.len().max(1) as f32
        };
        let away = (temperature / base.temperature).ln();
        scored.iter().map(device).sum::<f32>() + INERTIA * away * away
    };
    let best = (0..=STEPS).min_by(|a, b| loss(*a).total_cmp(&loss(*b)));
    at(best.unwrap_or(0))
}

/// Quantiles that the devices named here need, where that is more than the shipped ones give.
fn quantiles(base: &Base, learnt: &Adaptation, examples: &[Example<'_>]) -> BTreeMap<Role, f32> {
    let mut misfits: BTreeMap<Role, Vec<f32>> = BTreeMap::new();
    for example in examples {
        let chance =
            mean_chances(example.windows, |w| learnt.chances(base, w))[example.role.index()];
        misfits.entry(example.role).or_default().push(1.0 - chance);
    }
    let quantile = |(role, mut misfits): (Role, Vec<f32>)| {
        misfits.sort_by(f32::total_cmp);
        let rank = (COVERED * (misfits.len() + 1) as f32).ceil() as usize;
        let needed = *misfits.get(rank.checked_sub(1)?)?;
        let enough = misfits.len() >= QUANTILE_DEVICES && needed > base.quantile_of(role);
        enough.then_some((role, needed))
    };
    misfits.into_iter().filter_map(quantile).collect()
}

/// The mean of the chances over the windows of a device.
pub(crate) fn mean_chances(
    windows: &[Window],
    chances: impl Fn(&Window) -> Vec<f32>,
) -> [f32; SCORES] {
    let mut mean = [0.0; SCORES];
    for window in windows {
        for (mean, chance) in mean.iter_mut().zip(chances(window)) {
            *mean += chance / windows.len() as f32;
        }
    }
    mean
}

fn softmax(scores: &[f32], temperature: f32) -> Vec<f32> {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let odds = scores.iter().map(|s| ((s - highest) / temperature).exp());
    let odds: Vec<f32> = odds.collect();
    let sum: f32 = odds.iter().sum();
    odds.into_iter().map(|o| o / sum).collect()
}
