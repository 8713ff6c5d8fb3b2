//! Time as the tables keep it: ticks of 2^26 ns (about 67 ms) since the engine was made, in 32
//! bits (nine years).

/// Engine time in ticks.
pub(crate) type Tick = u32;

/// A deadline that never comes.
pub(crate) const NEVER: Tick = Tick::MAX;

/// Nanoseconds in a tick, as a shift.
const TICK_SHIFT: u32 = 26;
const NS_PER_S: u64 = 1_000_000_000;

/// Turns the caller's Unix time into ticks and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start_ns: u64,
}

impl Clock {
    pub(crate) const fn new(start_ns: u64) -> Self {
        Self { start_ns }
    }

    /// Time before the start counts as the start: captures may be out of order.
    #[inline]
    pub(crate) fn tick(self, now_ns: u64) -> Tick {
        let ticks = now_ns.saturating_sub(self.start_ns) >> TICK_SHIFT;
        Tick::try_from(ticks).unwrap_or(NEVER - 1)
    }

    pub(crate) const fn ns(self, tick: Tick) -> u64 {
        self.start_ns + ((tick as u64) << TICK_SHIFT)
    }
}

/// So many seconds, rounded up by at least one tick, so that nothing ends early.
#[inline]
pub(crate) fn seconds(s: u32) -> Tick {
    let ticks = (u64::from(s) * NS_PER_S) >> TICK_SHIFT;
    Tick::try_from(ticks + 1).unwrap_or(NEVER)
}

/// Ticks from `earlier` to `later`, 0 if the clock stepped back.
#[inline]
pub(crate) const fn since(earlier: Tick, later: Tick) -> Tick {
    later.saturating_sub(earlier)
}

/// A limit of so many per second, with as many at once as a second allows. It keeps one number,
/// the time at which everything taken so far would be due (the generic cell rate algorithm).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rate {
    due_ns: u64,
}

impl Rate {
    /// Takes one if the rate allows it. A rate of 0 means no limit.
    pub(crate) fn take(&mut self, per_s: u32, now_ns: u64) -> bool {
        if per_s == 0 {
            return true;
        }
        let interval_ns = NS_PER_S / u64::from(per_s);
        let due = self.due_ns.max(now_ns).saturating_add(interval_ns);
        let allowed = due <= now_ns.saturating_add(NS_PER_S);
        if allowed {
            self.due_ns = due;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_keep_time_within_one_tick() {
        let clock = Clock::new(5 * NS_PER_S);
        let tick = clock.tick(65 * NS_PER_S);
        assert!(tick <= seconds(60));
        assert!(clock.ns(tick) <= 65 * NS_PER_S && clock.ns(tick + 1) > 65 * NS_PER_S);
        assert_eq!(clock.tick(0), 0);
    }

    #[test]
    fn a_rate_gives_a_seconds_worth_at_once_and_then_its_share() {
        let mut rate = Rate::default();
        let now = 100 * NS_PER_S;
        assert_eq!((0..20).filter(|_| rate.take(10, now)).count(), 10);
        assert_eq!(
            (0..20)
                .filter(|_| rate.take(10, now + NS_PER_S / 2))
                .count(),
            5
        );
        assert!(rate.take(0, now));
    }

    #[test]
    fn a_rate_survives_the_end_of_time() {
        // A capture may claim any time.
        let mut rate = Rate::default();
        assert!(rate.take(10, u64::MAX));
        assert!(rate.take(10, u64::MAX - 1));
    }
}
