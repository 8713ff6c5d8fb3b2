//! The engine's time: nanoseconds since the Unix epoch that never run backwards.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A monotonic clock that started at the wall clock's time.
///
/// When someone sets the wall clock, timeouts in the engine must not notice; times shown to
/// people must. Hence [`Clock::to_wall_us`].
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_ns: u64,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            started_ns: nanoseconds(unix_time()),
        }
    }

    /// The engine's time in nanoseconds.
    pub fn now_ns(&self) -> u64 {
        self.started_ns
            .saturating_add(nanoseconds(self.started.elapsed()))
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The wall clock's time of an instant the engine named, in microseconds.
    pub fn to_wall_us(self, engine_ns: u64) -> u64 {
        let wall_ns = wall_ns();
        let age_ns = self.now_ns().saturating_sub(engine_ns);
        wall_ns.saturating_sub(age_ns) / 1_000
    }
}

/// The wall clock's time of what the engine names, the same number each time it is asked about the
/// same instant, so that clients can tell conversations apart by it. Only setting the wall clock
/// changes it: slewing moves both clocks alike.
#[derive(Debug)]
pub struct WallTimes {
    clock: Clock,
    /// How far the wall clock is ahead of the engine's.
    ahead_ns: AtomicI64,
}

impl WallTimes {
    /// The clocks are not read at one instant; a difference of more was made by somebody.
    const STEP_NS: i64 = 100_000_000;

    /// From now on.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            ahead_ns: AtomicI64::new(ahead_ns(clock)),
        }
    }

    /// The wall clock's time of an instant the engine named, in microseconds.
    pub fn us(&self, engine_ns: u64) -> u64 {
        let (now, mut kept) = (ahead_ns(self.clock), self.ahead_ns.load(Ordering::Relaxed));
        if now.abs_diff(kept) > Self::STEP_NS.unsigned_abs() {
            kept = now;
            self.ahead_ns.store(kept, Ordering::Relaxed);
        }
        engine_ns.saturating_add_signed(kept) / 1_000
    }
}

fn ahead_ns(clock: Clock) -> i64 {
    let (wall_ns, engine_ns) = (wall_ns(), clock.now_ns());
    wall_ns.wrapping_sub(engine_ns).cast_signed()
}

/// The wall clock in seconds since the Unix epoch.
pub fn wall_s() -> u64 {
    unix_time().as_secs()
}

/// The wall clock in nanoseconds since the Unix epoch.
pub fn wall_ns() -> u64 {
    nanoseconds(unix_time())
}

/// The wall clock in microseconds since the Unix epoch.
pub fn wall_us() -> u64 {
    wall_ns() / 1_000
}

fn unix_time() -> Duration {
    // A clock before 1970 is one that nobody has set; 0 says so well enough.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_the_same_number_until_the_wall_clock_is_set() {
        let clock = Clock::start();
        let times = WallTimes::new(clock);
        let begun_ns = clock.now_ns();
        let shown_us = times.us(begun_ns);
        assert!((0..1_000).all(|_| times.us(begun_ns) == shown_us));
        // As if the wall clock had been an hour behind until now.
        let hour_ns = 3_600_000_000_000;
        times.ahead_ns.fetch_sub(hour_ns, Ordering::Relaxed);
        assert!(times.us(begun_ns).abs_diff(shown_us) < 1_000_000);
    }

    #[test]
    fn an_age_stays_an_age_on_the_wall_clock() {
        let clock = Clock {
            started: Instant::now(),
            // As if the wall clock had been a year behind at the start.
            started_ns: nanoseconds(unix_time()) - 31_536_000_000_000_000,
        };
        let minute_ago_ns = clock.now_ns() - 60_000_000_000;
        let shown_s = clock.to_wall_us(minute_ago_ns) / 1_000_000;
        assert!((wall_s() - 62..=wall_s() - 59).contains(&shown_s));
    }
}
