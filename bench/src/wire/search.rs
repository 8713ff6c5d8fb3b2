//! The throughput search of RFC 2544, section 26.1: the highest offered rate whose loss is within
//! a tolerance.

use anyhow::Result;

/// What one trial saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Frames a second that were really offered.
    pub rate: f64,
    /// The part of them that did not arrive, 0 to 1.
    pub loss: f64,
}

/// The answer for one tolerance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throughput {
    /// Frames a second; 0 when every trial lost more than allowed.
    pub rate: f64,
    /// Even the highest rate the generator can offer was within the tolerance.
    pub limited_by_generator: bool,
}

/// How a search is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Ends when the bounds are this part of the upper one apart.
    pub resolution: f64,
    /// Trials for each tolerance at most. Loss that comes and goes would otherwise never end it.
    pub trials: u32,
}

impl Search {
    /// Finds the throughput for each tolerance, largest tolerance first. Trials are shared: what one
    /// search has seen bounds the next. `offer` makes a trial at a rate; infinity asks for as much
    /// as the generator can.
    ///
    /// # Errors
    /// What `offer` says.
    pub fn run(
        self,
        tolerances: &[f64],
        mut offer: impl FnMut(f64) -> Result<Trial>,
    ) -> Result<Vec<Throughput>> {
        let mut seen = vec![offer(f64::INFINITY)?];
        let mut found = Vec::with_capacity(tolerances.len());
        for tolerance in tolerances {
            for _ in 0..self.trials {
                match self.next(&seen, *tolerance) {
                    Some(rate) => seen.push(offer(rate)?),
                    None => break,
                }
            }
            found.push(Throughput {
                rate: lower(&seen, *tolerance),
                limited_by_generator: seen.iter().all(|trial| trial.loss <= *tolerance),
            });
        }
        Ok(found)
    }

    /// The rate to try next, or none when the bounds are close enough.
    fn next(self, seen: &[Trial], tolerance: f64) -> Option<f64> {
        let upper = upper(seen, tolerance)?;
        let lower = lower(seen, tolerance);
        if upper.rate - lower <= self.resolution * upper.rate {
            return None;
        }
        if lower > 0.0 {
            return Some((lower + upper.rate) / 2.0);
        }
        // Nothing has passed yet: what came through the overload is a good guess.
        Some(
            (upper.rate * (1.0 - upper.loss))
                .min(upper.rate * 0.9)
                .max(1.0),
        )
    }
}

/// The slowest trial that lost too much.
fn upper(seen: &[Trial], tolerance: f64) -> Option<Trial> {
    seen.iter()
        .filter(|trial| trial.loss > tolerance)
        .min_by(|a, b| a.rate.total_cmp(&b.rate))
        .copied()
}

/// The highest rate that passed and is below every rate that did not.
fn lower(seen: &[Trial], tolerance: f64) -> f64 {
    let bound = upper(seen, tolerance).map_or(f64::INFINITY, |trial| trial.rate);
    seen.iter()
        .filter(|trial| trial.loss <= tolerance && trial.rate < bound)
        .map(|trial| trial.rate)
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: Search = Search {
        resolution: 0.02,
        trials: 16,
    };

    /// A system that forwards `capacity` frames a second and a generator that offers up to `limit`.
    fn simulated(capacity: f64, limit: f64) -> impl FnMut(f64) -> Result<Trial> {
        move |rate| {
            let rate = rate.min(limit);
            let loss = (1.0 - capacity / rate).max(0.0);
            Ok(Trial { rate, loss })
        }
    }

    #[test]
    fn finds_a_known_capacity() {
        for capacity in [3_000.0, 47_000.0, 333_333.0, 980_000.0] {
            let found = SEARCH.run(&[0.001, 0.0], simulated(capacity, 1e6)).unwrap();
            for throughput in found {
                let error = (throughput.rate - capacity).abs() / capacity;
                assert!(error <= 0.021, "{capacity}: {throughput:?}");
                assert!(!throughput.limited_by_generator);
            }
        }
    }

    #[test]
    fn never_reports_a_rate_that_lost_too_much() {
        let found = SEARCH.run(&[0.0], simulated(500_000.0, 1e6)).unwrap();
        assert!(found[0].rate <= 500_000.0, "{found:?}");
    }

    #[test]
    fn a_system_faster_than_the_generator_is_said_to_be() {
        let found = SEARCH.run(&[0.0], simulated(2e6, 1e6)).unwrap();
        assert_eq!(found[0].rate, 1e6);
        assert!(found[0].limited_by_generator);
    }

    #[test]
    fn a_system_that_always_loses_ends_the_search_at_nothing() {
        let mut trials = 0;
        let found = SEARCH.run(&[0.001, 0.0], |rate| {
            trials += 1;
            Ok(Trial {
                rate: rate.min(1e6),
                loss: 0.5,
            })
        });
        assert!(found.unwrap().iter().all(|t| t.rate == 0.0));
        assert!(trials <= 1 + 2 * SEARCH.trials);
    }

    #[test]
    fn a_passing_rate_above_a_failing_one_does_not_count() {
        let seen =
            [(900.0, 0.0), (500.0, 0.1), (400.0, 0.0)].map(|(rate, loss)| Trial { rate, loss });
        assert_eq!(lower(&seen, 0.0), 400.0);
    }
}
