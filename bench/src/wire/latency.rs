//! Round trips of single datagrams, taken in user space at one place for every system.
//!
//! One thread plays both hosts and never sleeps: no time to wake a process is in the figures, only
//! what lies between a `send` and the first `recv` that succeeds, there and back.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use wardline_policy::Side;

use super::ends::{Ends, Load};
use crate::interrupt;

/// Payload that makes the smallest frame.
const PAYLOAD: usize = 18;
/// A datagram that takes longer is lost.
const PATIENCE: Duration = Duration::from_millis(50);
/// From one round trip's beginning to the next, if it is over by then. A ward is not busy all the
/// time: what a system does when nothing comes is part of its latency.
const PERIOD: Duration = Duration::from_micros(100);
/// Round trips before the first that counts.
const WARM_UP: usize = 50;

/// The points of the distribution that are reported, in percent.
pub const PERCENTILES: [f64; 14] = [
    1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.95, 99.99,
];

/// What a series of round trips took.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundTrips {
    /// Times in nanoseconds, shortest first.
    times: Vec<u64>,
    /// Round trips that did not come back.
    pub lost: usize,
}

impl RoundTrips {
    /// The time, in microseconds, within which `percent` of the round trips were over: the nearest
    /// rank, so always a time that was measured. None without any.
    pub fn percentile_us(&self, percent: f64) -> Option<f64> {
        let rank = (percent / 100.0 * self.times.len() as f64).ceil() as usize;
        let time = self.times.get(rank.max(1) - 1)?;
        Some(*time as f64 / 1_000.0)
    }
}

/// Measures `count` round trips, beside a load if there is one.
///
/// # Errors
/// A socket fails, more than half of the round trips are lost, or the run was interrupted.
pub fn measure(ends: &Ends, count: usize, mut load: Option<&mut Load>) -> Result<RoundTrips> {
    let mut trips = RoundTrips {
        times: Vec::with_capacity(count),
        lost: 0,
    };
    ends.open_flows()?;
    if let Some(load) = load.as_deref_mut() {
        load.begin();
    }
    let mut between = || load.as_deref_mut().map_or(Ok(()), |load| load.step(ends));
    for number in 0..WARM_UP + count {
        interrupt::check()?;
        let begun = Instant::now();
        let over = round_trip(ends, number as u64, &mut between)?;
        if number >= WARM_UP {
            match over {
                Some(time) => trips.times.push(u64::try_from(time.as_nanos())?),
                None => trips.lost += 1,
            }
            ensure!(
                trips.lost <= count / 2 && (trips.lost < 20 || !trips.times.is_empty()),
                "{} of {} round trips were lost",
                trips.lost,
                number + 1 - WARM_UP
            );
        }
        while begun.elapsed() < PERIOD {
            between()?;
        }
    }
    trips.times.sort_unstable();
    Ok(trips)
}

/// There and back; none if it was lost.
fn round_trip(
    ends: &Ends,
    number: u64,
    between: &mut impl FnMut() -> Result<()>,
) -> Result<Option<Duration>> {
    let mut message = [0x5a; PAYLOAD];
    message[..8].copy_from_slice(&number.to_be_bytes());
    let begun = Instant::now();
    for (from, to) in [(Side::Ward, Side::Core), (Side::Core, Side::Ward)] {
        ends.socket(from).send(&message).context("sending")?;
        while !arrived(ends.socket(to), &message)? {
            if begun.elapsed() > PATIENCE {
                return Ok(None);
            }
            between()?;
        }
    }
    Ok(Some(begun.elapsed()))
}

/// Whether the message is there; late ones of before are passed over.
fn arrived(socket: &UdpSocket, message: &[u8; PAYLOAD]) -> Result<bool> {
    let mut buffer = [0; PAYLOAD];
    match socket.recv(&mut buffer) {
        Ok(_) => Ok(buffer == *message),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error).context("receiving"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trips(times: impl IntoIterator<Item = u64>) -> RoundTrips {
        RoundTrips {
            times: times.into_iter().collect(),
            lost: 0,
        }
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let hundred = trips((1..=100).map(|us| us * 1_000));
        for (percent, us) in [(1.0, 1.0), (50.0, 50.0), (99.0, 99.0), (99.9, 100.0)] {
            assert_eq!(hundred.percentile_us(percent), Some(us), "p{percent}");
        }
        assert_eq!(trips([2_500]).percentile_us(50.0), Some(2.5));
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(trips([]).percentile_us(50.0), None);
    }
}
