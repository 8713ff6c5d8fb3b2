//! Calls to one address outside at regular intervals, as a program waiting for orders makes them.
//!
//! Of the last [`INTERVALS`] intervals between beginnings, half must lie within ±20 % of their
//! median and four fifths within ±50 %. Intervals drawn evenly from half the period to the whole
//! period (the jitter such programs offer) pass, also with a call missed here and there; those of
//! people and of independent events, whose spread is as large as their mean, do not.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::settings::{HOUR, SECOND};

/// Addresses followed at a time, the one not called for longest making room.
const CONTACTS: usize = 32;
/// Intervals looked at.
const INTERVALS: usize = 16;
/// Calls closer together than this are one: several connections, or tries.
const MERGE_NS: u64 = 2 * SECOND;
/// Shorter periods are a conversation rather than a beacon.
const LEAST_NS: u64 = 5 * SECOND;
/// Longer ones are a task of the day.
const MOST_NS: u64 = 12 * HOUR;
/// Bounds on the distance from the median, in parts of it.
const NARROW: f64 = 0.2;
const WIDE: f64 = 0.5;
/// Part of the intervals within `WIDE`.
const WITHIN_WIDE: f64 = 0.8;

/// Addresses outside that the device calls.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Beacons {
    contacts: Vec<Contact>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Contact {
    peer: IpAddr,
    /// Beginnings of calls, the oldest first.
    starts: Vec<u64>,
}

impl Beacons {
    /// The device called an address outside. The period in nanoseconds, if it does so regularly.
    pub(crate) fn called(&mut self, peer: IpAddr, began_ns: u64) -> Option<u64> {
        let at = match self.contacts.iter().position(|c| c.peer == peer) {
            Some(at) => at,
            None => self.enter(peer),
        };
        let contact = self.contacts.get_mut(at)?;
        let last = contact.starts.last().copied();
        if last.is_some_and(|last| began_ns < last.saturating_add(MERGE_NS)) {
            return None;
        }
        if contact.starts.len() > INTERVALS {
            contact.starts.remove(0);
        }
        contact.starts.push(began_ns);
        period(&contact.starts)
    }

    pub(crate) fn size(&self) -> usize {
        self.contacts.iter().map(|c| 1 + c.starts.len()).sum()
    }

    fn enter(&mut self, peer: IpAddr) -> usize {
        if self.contacts.len() >= CONTACTS {
            let last = |at: &usize| self.contacts[*at].starts.last().copied();
            let oldest = (0..CONTACTS).min_by_key(last).unwrap_or(0);
            self.contacts.remove(oldest);
        }
        self.contacts.push(Contact {
            peer,
            starts: Vec::new(),
        });
        self.contacts.len() - 1
    }
}

/// The period of calls that began at these times, if there is one.
fn period(starts: &[u64]) -> Option<u64> {
    if starts.len() <= INTERVALS {
        return None;
    }
    let gaps = starts.windows(2);
    let gaps: Vec<f64> = gaps.map(|pair| (pair[1] - pair[0]) as f64).collect();
    let median = median(gaps.clone());
    if !(LEAST_NS as f64..=MOST_NS as f64).contains(&median) {
        return None;
    }
    let distance = |gap: &f64| (gap - median).abs() / median;
    let distances: Vec<f64> = gaps.iter().map(distance).collect();
    let within_wide = distances.iter().filter(|d| **d <= WIDE).count();
    let regular = self::median(distances.clone()) <= NARROW
        && within_wide as f64 >= WITHIN_WIDE * distances.len() as f64;
    regular.then_some(median as u64)
}

/// The middle value; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer() -> IpAddr {
        "203.0.113.9".parse().unwrap()
    }

    /// Calls with these gaps in seconds: whether any of them found a period.
    fn found(gaps: impl IntoIterator<Item = f64>) -> Option<u64> {
        let mut beacons = Beacons::default();
        let mut now = 1_000.0;
        let mut found = None;
        for gap in gaps {
            now += gap;
            found = found.or(beacons.called(peer(), (now * SECOND as f64) as u64));
        }
        found
    }

    proptest! {
        #[test]
        fn jitter_up_to_half_and_missed_calls_are_seen_through(
            period in 10.0..3_600.0f64,
            jitter in 0.0..0.5f64,
            parts in prop::collection::vec((0.0..1.0f64, 0..12u8), 150),
        ) {
            let gap = |(part, missed): (f64, u8)| {
                let calls = if missed == 0 { 2.0 } else { 1.0 };
                calls * period * (1.0 - jitter * part)
            };
            let found = found(parts.into_iter().map(gap));
            prop_assert!(found.is_some());
            let seconds = found.unwrap_or_default() as f64 / SECOND as f64;
            prop_assert!(seconds > 0.4 * period && seconds < 1.3 * period);
        }
    }

    #[test]
    fn independent_calls_are_seldom_taken_for_a_beacon() {
        let mut state = 7u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 11) as f64 + 1.0) / (1u64 << 53) as f64
        };
        let days = 500;
        let mut alarms = 0;
        for _ in 0..days {
            // Forty calls a day at random times.
            let gaps: Vec<f64> = (0..40).map(|_| -2_160.0 * uniform().ln()).collect();
            alarms += usize::from(found(gaps).is_some());
        }
        assert!(alarms <= 2, "{alarms} of {days} days");
    }

    #[test]
    fn what_is_told_twice_counts_once() {
        let mut beacons = Beacons::default();
        for n in 0..100u64 {
            let began = (n / 4) * 60 * SECOND;
            let found = beacons.called(peer(), began);
            assert_eq!(found.is_some(), n / 4 >= INTERVALS as u64 && n % 4 == 0);
        }
    }
}
