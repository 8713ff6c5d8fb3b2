//! The engine on the capture's time.

use std::sync::Arc;

use wardline_engine::{Counters, DeviceView, Engine, FlowView, Limits, Verdict};
use wardline_policy::{Document, PolicySnapshot, Side, compile};

use crate::failure::Failure;

/// A replay gives the same result every time.
const SEED: u64 = 0x5741_5244_4c49_4e45;
/// Table entries looked at for expiry before each packet.
const IDLE_BUDGET: usize = 64;
/// A clock that steps back further than this has been set, or another recording begins.
const STEP_BACK_NS: u64 = 60_000_000_000;
const NS_PER_S: u64 = 1_000_000_000;

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
        Ok(Self {
            engine: Engine::new(Limits::default(), SEED, snapshot, first_ns),
            document,
            clock: Clock::new(first_ns),
        })
    }

    /// What happens to one frame.
    pub(crate) fn judge(
        &mut self,
        from: Side,
        time_ns: u64,
        frame: &[u8],
    ) -> Result<Verdict, Failure> {
        let now_ns = self.clock.read(time_ns);
        self.follow_time(now_ns)?;
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
    fn follow_time(&mut self, now_ns: u64) -> Result<(), Failure> {
        let valid_until_s = self.engine.snapshot().valid_until_s();
        if valid_until_s.is_some_and(|until_s| now_ns / NS_PER_S >= until_s) {
            let next = snapshot(self.document.as_ref(), now_ns)?;
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

/// Time that never runs backwards, though capture times may: small steps back stand still, large
/// ones begin anew where the clock stood.
#[derive(Debug)]
struct Clock {
    now_ns: u64,
    /// What is added to capture times.
    shift_ns: u64,
}

impl Clock {
    fn new(first_ns: u64) -> Self {
        Self {
            now_ns: first_ns,
            shift_ns: 0,
        }
    }

    fn read(&mut self, time_ns: u64) -> u64 {
        let shifted = time_ns.saturating_add(self.shift_ns);
        let behind_ns = self.now_ns.saturating_sub(shifted);
        if behind_ns > STEP_BACK_NS {
            self.shift_ns += behind_ns;
        }
        self.now_ns = self.now_ns.max(shifted);
        self.now_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stands_still_or_goes_on_but_never_back() {
        let mut clock = Clock::new(100 * NS_PER_S);
        assert_eq!(clock.read(101 * NS_PER_S), 101 * NS_PER_S);
        assert_eq!(
            clock.read(99 * NS_PER_S),
            101 * NS_PER_S,
            "a small step back"
        );
        assert_eq!(clock.read(102 * NS_PER_S), 102 * NS_PER_S);
        assert_eq!(
            clock.read(10 * NS_PER_S),
            102 * NS_PER_S,
            "another recording"
        );
        assert_eq!(clock.read(13 * NS_PER_S), 105 * NS_PER_S);
        assert_eq!(clock.read(u64::MAX), u64::MAX);
        assert_eq!(clock.read(0), u64::MAX);
        assert_eq!(clock.read(u64::MAX), u64::MAX);
    }
}
