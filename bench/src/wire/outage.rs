//! What happens around an overload (RFC 2544, section 26.5) and a reset (26.6).

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use wardline_policy::Side;

use super::ends::{ECHO_PORT, Ends, Load, loss};
use super::frame::{self, SMALL};
use super::lane::{Lane, Reset};
use super::search::Trial;
use crate::interrupt;

/// How long the overload lasts, and then the half load in which loss has to end.
const OVERLOAD: Duration = Duration::from_millis(300);
/// Of the throughput, what is offered at first and then.
const SHARES: [f64; 2] = [1.1, 0.5];
/// From one frame to the next while a system is reset: the resolution of an outage.
const PERIOD: Duration = Duration::from_micros(100);
/// Frames go on for so long before a reset, and after the first that passes again.
const AROUND: Duration = Duration::from_millis(200);
/// A system that is back carries frames within this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// Frames may be under way for so long.
const STRAGGLERS: Duration = Duration::from_millis(50);

/// How a system came out of an overload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recovery {
    /// How long after the change frames were still lost.
    pub time: Duration,
    /// What the overload was like.
    pub overload: Trial,
}

/// Offers more than `throughput` frames a second, then half of it.
///
/// # Errors
/// A frame is not taken, or the run was interrupted.
pub fn recovery(ends: &mut Ends, throughput: f64) -> Result<Recovery> {
    interrupt::check()?;
    ends.open_flows()?;
    let mut load = Load::new(SMALL, throughput * SHARES[0])?;
    let before = ends.arrived()?;
    let rate = load.run(ends, OVERLOAD)?;
    let offered = load.offered();
    let mut frame = frame::numbered(0, ECHO_PORT)?;
    let mut sent: Vec<Duration> = Vec::new();
    let mut arrivals = Arrivals::default();
    let changed = Instant::now();
    while changed.elapsed() < OVERLOAD {
        let now = changed.elapsed();
        if sent.len() as f64 <= now.as_secs_f64() * throughput * SHARES[1] {
            frame::renumber(&mut frame, sent.len() as u64);
            ends.send(Side::Ward, std::slice::from_ref(&frame))?;
            sent.push(now);
        } else {
            arrivals.take(ends)?;
        }
    }
    arrivals.take_stragglers(ends)?;
    let lost = (0..sent.len()).rfind(|number| !arrivals.has(*number));
    let arrived_later = arrivals.seen.iter().filter(|seen| **seen).count() as u64;
    let arrived = (ends.arrived()? - before).saturating_sub(arrived_later);
    Ok(Recovery {
        time: lost.map_or(Duration::ZERO, |number| sent[number]),
        overload: Trial {
            rate,
            loss: loss(offered, arrived),
        },
    })
}

/// What a steady stream of frames saw of a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// From the last frame that passed before to the first after the longest run of lost ones, as
    /// they were sent.
    pub time: Duration,
    /// Frames that did not arrive.
    pub lost: usize,
}

/// Resets the system of a lane under a steady stream from the ward to the core.
///
/// # Errors
/// The system does not come back, a socket fails, or the run was interrupted.
pub fn reset(lane: &mut Lane, how: Reset) -> Result<Outage> {
    let Lane {
        ends,
        system,
        middle,
        ..
    } = lane;
    let back = AtomicBool::new(false);
    thread::scope(|scope| {
        // The system is started from this thread, since it ends with the one that starts it.
        let stream = scope.spawn(|| stream(ends, &back));
        let done = interrupt::sleep(AROUND).and_then(|()| system.reset(how, middle));
        back.store(true, Ordering::Relaxed);
        let outage = stream
            .join()
            .map_err(|_| anyhow!("the stream of frames panicked"))?;
        done?;
        outage
    })
}

fn stream(ends: &Ends, back: &AtomicBool) -> Result<Outage> {
    let mut arrivals = Arrivals::default();
    let begun = Instant::now();
    let mut sent: Vec<Duration> = Vec::new();
    let mut returned = None;
    let mut end = None;
    while end.is_none_or(|end| Instant::now() < end) {
        let now = begun.elapsed();
        if sent.last().is_none_or(|last| now >= *last + PERIOD) {
            let number = (sent.len() as u64).to_be_bytes();
            // A refusal is a frame that does not arrive.
            let _ = ends.socket(Side::Ward).send(&number);
            sent.push(now);
        }
        arrivals.take(ends)?;
        if end.is_none() && back.load(Ordering::Relaxed) {
            let since = *returned.get_or_insert((sent.len(), Instant::now()));
            if arrivals.seen.len() > since.0 {
                end = Some(Instant::now() + AROUND);
            }
            ensure!(
                since.1.elapsed() < PATIENCE,
                "no frame has passed for {} s since it is back",
                PATIENCE.as_secs()
            );
        }
        // The system's other threads may need this core to start.
        thread::yield_now();
    }
    arrivals.take_stragglers(ends)?;
    Ok(Outage {
        time: longest_outage(&sent, &arrivals),
        lost: (0..sent.len())
            .filter(|number| !arrivals.has(*number))
            .count(),
    })
}

fn longest_outage(sent: &[Duration], arrivals: &Arrivals) -> Duration {
    let passed: Vec<usize> = (0..sent.len())
        .filter(|number| arrivals.has(*number))
        .collect();
    passed
        .windows(2)
        .filter(|pair| pair[1] - pair[0] > 1)
        .map(|pair| sent[pair[1]] - sent[pair[0]])
        .max()
        .unwrap_or_default()
}

/// Numbers that arrived at the core.
#[derive(Debug, Default)]
struct Arrivals {
    seen: Vec<bool>,
}

impl Arrivals {
    /// Takes what is there.
    fn take(&mut self, ends: &Ends) -> Result<()> {
        let mut buffer = [0; 8];
        loop {
            match ends.socket(Side::Core).recv(&mut buffer) {
                Ok(_) => self.note(usize::try_from(u64::from_be_bytes(buffer))?),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("receiving"),
            }
        }
    }

    fn take_stragglers(&mut self, ends: &Ends) -> Result<()> {
        let end = Instant::now() + STRAGGLERS;
        while Instant::now() < end {
            self.take(ends)?;
        }
        Ok(())
    }

    fn note(&mut self, number: usize) {
        // Anything larger was not sent by this stream.
        if number >= 1 << 24 {
            return;
        }
        if self.seen.len() <= number {
            self.seen.resize(number + 1, false);
        }
        self.seen[number] = true;
    }

    fn has(&self, number: usize) -> bool {
        self.seen.get(number).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_numbers_are_known() {
        let mut arrivals = Arrivals::default();
        for number in [0, 1, 4] {
            arrivals.note(number);
        }
        let missing: Vec<_> = (0..6).filter(|number| !arrivals.has(*number)).collect();
        assert_eq!(missing, [2, 3, 5]);
        arrivals.note(1 << 40);
        assert_eq!(arrivals.seen.len(), 5);
    }

    #[test]
    fn an_outage_lasts_from_the_last_frame_before_to_the_first_after() {
        let sent: Vec<_> = (0..8).map(|ms| Duration::from_millis(10 * ms)).collect();
        let mut arrivals = Arrivals::default();
        for number in [0, 2, 3, 6, 7] {
            arrivals.note(number);
        }
        let longest = longest_outage(&sent, &arrivals);
        assert_eq!(longest, Duration::from_millis(30));
        for number in [1, 4, 5] {
            arrivals.note(number);
        }
        assert_eq!(longest_outage(&sent, &arrivals), Duration::ZERO);
    }
}
