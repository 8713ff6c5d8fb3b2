//! Figures over rounds, and ratios within a round.

use serde::Serialize;

use super::is_ours;
use crate::{Better, Sample, Suite};

/// A number over the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; of an even number, the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Of how many.
    pub rounds: usize,
}

impl Spread {
    /// Of at least one number.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            (values[middle - 1] + values[middle]) / 2.0
        } else {
            values[middle]
        };
        Some(Self {
            median,
            min,
            max,
            rounds: values.len(),
        })
    }
}

/// One metric of one system at one corner.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Suite.
    pub suite: Suite,
    /// Corner.
    pub corner: String,
    /// Metric.
    pub metric: String,
    /// Unit.
    pub unit: String,
    /// Which way it is better.
    pub better: Better,
    /// System.
    pub system: String,
    /// The number over the rounds.
    pub spread: Spread,
}

/// One metric of Wardline's, divided by a peer's of the same round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ratio {
    /// Suite.
    pub suite: Suite,
    /// Corner.
    pub corner: String,
    /// Metric.
    pub metric: String,
    /// Wardline, in one of its variants.
    pub ours: String,
    /// The peer.
    pub peer: String,
    /// The ratio over the rounds.
    pub spread: Spread,
}

/// Sums up the samples, in the order in which they first appear.
pub fn figures(samples: &[Sample]) -> Vec<Figure> {
    let mut figures: Vec<Figure> = Vec::new();
    for first in samples {
        let known = |f: &Figure| {
            f.suite == first.suite
                && f.corner == first.corner
                && f.metric == first.metric
                && f.system == first.system
        };
        if figures.iter().any(known) {
            continue;
        }
        let values = samples.iter().filter(|s| same(s, first)).map(|s| s.value);
        figures.extend(Spread::of(values).map(|spread| Figure {
            suite: first.suite,
            corner: first.corner.clone(),
            metric: first.metric.clone(),
            unit: first.unit.clone(),
            better: first.better,
            system: first.system.clone(),
            spread,
        }));
    }
    figures
}

/// Compares Wardline with every peer, round by round.
pub fn ratios(samples: &[Sample]) -> Vec<Ratio> {
    let first: Vec<&Sample> = samples
        .iter()
        .enumerate()
        .filter(|(at, sample)| !samples[..*at].iter().any(|s| same(s, sample)))
        .map(|(_, sample)| sample)
        .collect();
    let pairs = first.iter().flat_map(|ours| {
        let peers = first.iter().filter(|peer| {
            is_ours(&ours.system)
                && !is_ours(&peer.system)
                && (peer.suite, &peer.corner, &peer.metric)
                    == (ours.suite, &ours.corner, &ours.metric)
        });
        peers.map(move |peer| (*ours, *peer))
    });
    pairs
        .filter_map(|(ours, peer)| {
            Some(Ratio {
                suite: ours.suite,
                corner: ours.corner.clone(),
                metric: ours.metric.clone(),
                ours: ours.system.clone(),
                peer: peer.system.clone(),
                spread: quotient(samples, ours, peer)?,
            })
        })
        .collect()
}

/// All samples like `above` divided by those like `below` of the same round.
pub fn quotient(samples: &[Sample], above: &Sample, below: &Sample) -> Option<Spread> {
    let like = |wanted: &'_ Sample| -> Vec<(u32, f64)> {
        let found = samples.iter().filter(|s| same(s, wanted));
        found.map(|s| (s.round, s.value)).collect()
    };
    let below = like(below);
    let quotients = like(above).into_iter().filter_map(|(round, value)| {
        let (_, other) = below.iter().find(|(other, _)| *other == round)?;
        (*other != 0.0).then(|| value / other)
    });
    Spread::of(quotients)
}

/// Whether two samples differ in round and value at most.
fn same(a: &Sample, b: &Sample) -> bool {
    (a.suite, &a.corner, &a.metric, &a.system) == (b.suite, &b.corner, &b.metric, &b.system)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A sample of the raw suite's throughput.
    pub fn sample(corner: &str, system: &str, round: u32, value: f64) -> Sample {
        Sample {
            suite: Suite::Raw,
            corner: corner.to_owned(),
            system: system.to_owned(),
            round,
            metric: "throughput".to_owned(),
            unit: "Mpps".to_owned(),
            value,
            better: Better::Higher,
        }
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 4.0));
        assert_eq!(Spread::of([9.0, 1.0, 2.0]).unwrap().median, 2.0);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_ratio_compares_neighbours_in_time() {
        // The machine is half as fast in the second round: the ratio does not see it.
        let samples = [
            sample("a", "wardline", 0, 20.0),
            sample("a", "ovs", 0, 4.0),
            sample("a", "wardline", 1, 10.0),
            sample("a", "ovs", 1, 2.0),
            sample("b", "ovs", 0, 2.0),
        ];
        let ratios = ratios(&samples);
        assert_eq!(ratios.len(), 1);
        assert_eq!(
            ratios[0].spread,
            Spread {
                median: 5.0,
                min: 5.0,
                max: 5.0,
                rounds: 2
            }
        );
    }

    #[test]
    fn a_round_that_one_of_two_missed_does_not_count() {
        let samples = [
            sample("a", "wardline", 0, 20.0),
            sample("a", "wardline", 1, 30.0),
            sample("a", "ovs", 1, 10.0),
        ];
        let ratios = ratios(&samples);
        assert_eq!((ratios[0].spread.median, ratios[0].spread.rounds), (3.0, 1));
    }

    #[test]
    fn figures_keep_their_order() {
        let samples = [
            sample("b", "x", 0, 1.0),
            sample("a", "x", 0, 2.0),
            sample("b", "x", 1, 3.0),
        ];
        let figures = figures(&samples);
        assert_eq!(figures.len(), 2);
        assert_eq!(
            (figures[0].corner.as_str(), figures[0].spread.median),
            ("b", 2.0)
        );
    }
}
