//! What became of many timed transactions, in a few numbers.

use std::time::Duration;

/// A share of measured times, in percent.
pub type Percent = f64;

/// The time below which `percent` of the times lie, by the nearest rank: always a time that was
/// measured. `None` of no times.
pub fn percentile(times: &mut [Duration], percent: Percent) -> Option<Duration> {
    times.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank within the slice"
    )]
    let rank = (percent / 100.0 * times.len() as f64).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(times: &[u64]) -> Vec<Duration> {
        times.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn a_percentile_is_the_nearest_rank_of_the_sorted_times() {
        let mut times = millis(&[40, 15, 50, 20, 35]);
        let at = |times: &mut Vec<_>, percent| percentile(times, percent).unwrap();
        assert_eq!(at(&mut times, 5.0), Duration::from_millis(15));
        assert_eq!(at(&mut times, 40.0), Duration::from_millis(20));
        assert_eq!(at(&mut times, 50.0), Duration::from_millis(35));
        assert_eq!(at(&mut times, 100.0), Duration::from_millis(50));
    }

    #[test]
    fn one_time_is_every_percentile_and_none_is_none() {
        let mut one = millis(&[7]);
        assert_eq!(percentile(&mut one, 0.0), Some(Duration::from_millis(7)));
        assert_eq!(percentile(&mut one, 99.0), Some(Duration::from_millis(7)));
        assert_eq!(percentile(&mut [], 50.0), None);
    }
}
