//! The engine on the capture's time.

use std::sync::Arc;

use wardline_engine::{Counters, DeviceView, Engine, FlowView, Limits, Verdict};
use wardline_policy::{Document, PolicySnapshot, Side, compile};

use crate::failure::Failure;

/// A replay gives the same result every time.
const SEED: u64 = 0x5741_5244_4c49_4e45;
/// Table entries looked at for expiry before each packet.
const IDLE_BUDGET: usize = 64;
const NS_PER_S: u64 = 1_000_000_000;
/// A clock that steps back further than this has been set, or another recording begins.
const STEP_BACK_NS: i128 = 60 * NS_PER_S as i128;
/// Longer than anything is remembered: a longer leap forward changes nothing more.
const LEAP_NS: i128 = 30 * 86_400 * NS_PER_S as i128;
/// The latest time the engine is told, an hour before its numbers end (in 2554).
const LAST_NS: i128 = u64::MAX as i128 - 3_600 * NS_PER_S as i128;

/// An engine, the policy it follows, and the time it believes in.
#[derive(Debug)]
pub(crate) struct Judge {
    engine: Engine,
    /// Absent: everything is observed.
    document: Option<Document>,
    clock: Clock,
}

impl Judge {
    /// Begins at the time of the first packet.
    pub(crate) fn new(document: Option<Document>, first_ns: u64) -> Result<Self, Failure> {
        let snapshot = snapshot(document.as_ref(), first_ns)?;
        let clock = Clock::new(first_ns);
        Ok(Self {
            engine: Engine::new(Limits::default(), SEED, snapshot, clock.engine_ns()),
            document,
            clock,
        })
    }

    /// What happens to one frame.
    pub(crate) fn judge(
        &mut self,
        from: Side,
        time_ns: u64,
        frame: &[u8],
    ) -> Result<Verdict, Failure> {
        let stepped = self.clock.advance(time_ns);
        self.follow_time(time_ns, stepped)?;
        let now_ns = self.clock.engine_ns();
        self.engine.idle(now_ns, IDLE_BUDGET);
        let mut verdict = [Verdict::default()];
        self.engine.process(from, now_ns, &[frame], &mut verdict);
        // Nobody is there to receive resets or to follow events.
        self.engine.clear_refusals();
        self.engine.drain_events(|_| ());
        let [verdict] = verdict;
        Ok(verdict)
    }

    /// Visits and releases begin and end in the capture's time too.
    fn follow_time(&mut self, time_ns: u64, stepped: bool) -> Result<(), Failure> {
        let Some(until_s) = self.engine.snapshot().valid_until_s() else {
            return Ok(());
        };
        if stepped || time_ns / NS_PER_S >= until_s {
            let next = snapshot(self.document.as_ref(), time_ns)?;
            self.engine.set_snapshot(next);
        }
        Ok(())
    }

    pub(crate) fn snapshot(&self) -> &PolicySnapshot {
        self.engine.snapshot()
    }

    pub(crate) fn counters(&self) -> &Counters {
        self.engine.counters()
    }

    pub(crate) fn devices(&self) -> impl Iterator<Item = DeviceView> + '_ {
        self.engine.devices()
    }

    pub(crate) fn flows(&self) -> impl Iterator<Item = FlowView> + '_ {
        self.engine.flows()
    }
}

fn snapshot(document: Option<&Document>, now_ns: u64) -> Result<Arc<PolicySnapshot>, Failure> {
    let Some(document) = document else {
        return Ok(Arc::new(PolicySnapshot::observe_all()));
    };
    compile(document, now_ns / NS_PER_S)
        .map(Arc::new)
        .map_err(|e| Failure::input(format!("the policy cannot be used: {e}")))
}

/// The engine's time, which never runs backwards though capture times may. Small steps back
/// stand still. Large ones, and leaps forward beyond anything the engine remembers, are another
/// recording: time goes on from where it stood.
#[derive(Debug)]
struct Clock {
    now_ns: i128,
    /// What is added to capture times.
    shift_ns: i128,
}

impl Clock {
    fn new(first_ns: u64) -> Self {
        let now_ns = i128::from(first_ns).min(LAST_NS);
        Self {
            now_ns,
            shift_ns: now_ns - i128::from(first_ns),
        }
    }

    /// Moves on to a capture time; whether another recording begins there.
    fn advance(&mut self, time_ns: u64) -> bool {
        let time_ns = i128::from(time_ns);
        let ahead_ns = time_ns + self.shift_ns - self.now_ns;
        let step_ns = match ahead_ns {
            ..0 => 0,
            0..=LEAP_NS => ahead_ns,
            _ => LEAP_NS,
        };
        let stepped = !(-STEP_BACK_NS..=LEAP_NS).contains(&ahead_ns);
        self.now_ns = (self.now_ns + step_ns).min(LAST_NS);
        if stepped {
            self.shift_ns = self.now_ns - time_ns;
        }
        stepped
    }

    fn engine_ns(&self) -> u64 {
        u64::try_from(self.now_ns).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u64 = 86_400;

    #[test]
    fn the_clock_stands_still_or_goes_on_but_never_back() {
        let mut clock = Clock::new(100 * NS_PER_S);
        let mut at = |time_s: u64| {
            let stepped = clock.advance(time_s * NS_PER_S);
            (clock.engine_ns() / NS_PER_S, stepped)
        };
        assert_eq!(at(101), (101, false));
        assert_eq!(at(99), (101, false), "a small step back");
        assert_eq!(at(102), (102, false));
        assert_eq!(at(10), (102, true), "another recording");
        assert_eq!(at(13), (105, false));
        assert_eq!(
            at(13 + 3_650 * DAY_S),
            (105 + 30 * DAY_S, true),
            "years later"
        );
        assert_eq!(at(14 + 3_650 * DAY_S), (106 + 30 * DAY_S, false));
    }

    #[test]
    fn the_ends_of_time_are_reached_without_harm() {
        let mut clock = Clock::new(u64::MAX);
        let last = clock.engine_ns();
        assert!(
            last < u64::MAX - 1_000 * NS_PER_S,
            "room for the engine to add to"
        );
        for time in [0, u64::MAX, 5, u64::MAX - 1] {
            clock.advance(time);
            assert_eq!(clock.engine_ns(), last);
        }
    }
}
