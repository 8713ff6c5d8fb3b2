//! The engine's time: nanoseconds since the Unix epoch that never run backwards.

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
        let wall_ns = nanoseconds(unix_time());
        let age_ns = self.now_ns().saturating_sub(engine_ns);
        wall_ns.saturating_sub(age_ns) / 1_000
    }
}

/// The wall clock in seconds since the Unix epoch.
pub fn wall_s() -> u64 {
    unix_time().as_secs()
}

/// The wall clock in microseconds since the Unix epoch.
pub fn wall_us() -> u64 {
    nanoseconds(unix_time()) / 1_000
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
