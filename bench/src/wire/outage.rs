//! What happens around an overload (RFC 2544, section 26.5) and a reset (26.6).

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
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
/// From one frame to the next while a system is reset: the resolution of the silence.
const PERIOD: Duration = Duration::from_micros(100);
/// Frames go on for so long after the system is back.
const AFTERWARDS: Duration = Duration::from_millis(200);
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
    /// Longest time between two arrivals.
    pub silence: Duration,
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
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // The system is started from this thread, since it ends with the one that starts it.
        let stream = scope.spawn(|| stream(ends, &over));
        let back = interrupt::sleep(AFTERWARDS)
            .and_then(|()| system.reset(how, middle))
            .and_then(|()| interrupt::sleep(AFTERWARDS));
        over.store(true, Ordering::Relaxed);
        let outage = stream
            .join()
            .map_err(|_| anyhow!("the stream of frames panicked"))?;
        back?;
        outage
    })
}

fn stream(ends: &Ends, over: &AtomicBool) -> Result<Outage> {
    let mut arrivals = Arrivals::default();
    let begun = Instant::now();
    let mut sent = 0_usize;
    while !over.load(Ordering::Relaxed) {
        if begun.elapsed() >= PERIOD * u32::try_from(sent)? {
            let number = (sent as u64).to_be_bytes();
            // A refusal (the interface is down, say) is a frame that does not arrive.
            let _ = ends.socket(Side::Ward).send(&number);
            sent += 1;
        }
        arrivals.take(ends)?;
        // The system's other threads may need this core to start.
        thread::yield_now();
    }
    arrivals.take_stragglers(ends)?;
    Ok(Outage {
        silence: arrivals.silence,
        lost: (0..sent).filter(|number| !arrivals.has(*number)).count(),
    })
}

/// Numbers that arrived at the core.
#[derive(Debug, Default)]
struct Arrivals {
    seen: Vec<bool>,
    last: Option<Instant>,
    silence: Duration,
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
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.silence = self.silence.max(now - last);
        }
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
}
