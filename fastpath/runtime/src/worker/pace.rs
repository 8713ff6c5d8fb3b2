//! What a worker does in a round without frames.

use std::num::NonZeroU64;
use std::time::Duration;

use rustix::thread::set_current_timer_slack;

use crate::config::Poll;

/// Rounds without frames that only spin: a gap within a transfer is shorter than a sleep.
const SPINS: u32 = 64;
/// The first sleep in microseconds; each further one is twice as long up to the configured limit.
const FIRST_PARK_US: u32 = 10;

/// How late the kernel may end a sleep, in nanoseconds. Its own value, 50 µs, is several times the
/// first sleep.
const SLACK_NS: NonZeroU64 = NonZeroU64::MIN;

/// How long to rest, growing with the time that nothing came.
#[derive(Debug)]
pub struct Pace {
    poll: Poll,
    max_park_us: u32,
    empty_rounds: u32,
    next_park_us: u32,
    punctual: bool,
}

impl Pace {
    /// `max_park_us` bounds a sleep in adaptive mode.
    pub fn new(poll: Poll, max_park_us: u32) -> Self {
        Self {
            poll,
            max_park_us,
            empty_rounds: 0,
            next_park_us: FIRST_PARK_US,
            punctual: false,
        }
    }

    /// Frames came.
    pub fn reset(&mut self) {
        self.empty_rounds = 0;
        self.next_park_us = FIRST_PARK_US;
    }

    /// Nothing came: spins or sleeps. Returns whether it slept.
    pub fn rest(&mut self) -> bool {
        match self.park_us() {
            0 => {
                std::hint::spin_loop();
                false
            }
            time => {
                self.be_punctual();
                std::thread::sleep(Duration::from_micros(time.into()));
                true
            }
        }
    }

    /// Only the thread that sleeps can ask for it, and once is enough.
    fn be_punctual(&mut self) {
        if !self.punctual {
            // Without it sleeps are longer, nothing else.
            let _ = set_current_timer_slack(Some(SLACK_NS));
            self.punctual = true;
        }
    }

    fn park_us(&mut self) -> u32 {
        if self.poll == Poll::Busy {
            return 0;
        }
        if self.empty_rounds < SPINS {
            self.empty_rounds += 1;
            return 0;
        }
        let park_us = self.next_park_us.min(self.max_park_us);
        self.next_park_us = park_us.saturating_mul(2);
        park_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(pace: &mut Pace, rounds: usize) -> Vec<u32> {
        (0..rounds).map(|_| pace.park_us()).collect()
    }

    #[test]
    fn sleeps_grow_to_the_limit_and_start_again_with_the_next_frame() {
        let mut pace = Pace::new(Poll::Adaptive, 50);
        assert!(next(&mut pace, SPINS as usize).iter().all(|us| *us == 0));
        assert_eq!(next(&mut pace, 5), [10, 20, 40, 50, 50]);
        pace.reset();
        assert_eq!(next(&mut pace, 1), [0]);
    }

    #[test]
    fn a_busy_worker_never_sleeps() {
        let mut pace = Pace::new(Poll::Busy, 50);
        assert!(next(&mut pace, 10_000).iter().all(|us| *us == 0));
    }
}
