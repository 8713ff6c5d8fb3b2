//! How fast new conversations are set up, in the engine itself.
//!
//! Frames that `net_pcap` plays in a loop are new once only: on ports, a flood of new flows would
//! soon be known flows. Here the engine runs in this process with the wall clock and as many
//! different conversations as it takes. Every burst is half new ones and half ones that are
//! established. The table is full before the first window, so each new one displaces the oldest
//! of its device that was never answered, as in a flood that does not end. Only the time inside
//! the engine counts, with its upkeep; making the frames does not, and neither do ports.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use rustix::thread::{CpuSet, sched_setaffinity};
use wardline_engine::{BURST, Engine, Limits, Verdict};
use wardline_policy::{Reason, Side, compile};

use super::corner::{Corner, FLOOD};
use super::traffic::{frame, traffic};
use crate::{Better, Findings, Options, Sample, Suite, cpus, interrupt};

/// As in the samples.
pub const SYSTEM: &str = "wardline engine";
/// Conversations the table holds: more than can be set up in the second for which a new one must
/// not be displaced.
const TABLE: u32 = 3 << 20;
const HALF: usize = BURST / 2;

/// The corner, as in the samples.
pub fn corner() -> String {
    format!("new flows beside established ones, {FLOOD}")
}

/// Measures, in a thread bound to the CPU that forwards in the other families.
///
/// # Errors
/// Interrupted, or the engine refused a new conversation or lost an established one.
pub fn run(options: &Options, window: Duration) -> Result<Findings> {
    let cpu = cpus::choose()?.packets;
    let work = move || {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set).context("binding a thread to a CPU")?;
        measure(options, window)
    };
    thread::scope(|scope| scope.spawn(work).join()).map_err(|_| anyhow!("the engine panicked"))?
}

fn measure(options: &Options, window: Duration) -> Result<Findings> {
    let mut flood = Flood::begin(&FLOOD, TABLE)?;
    while flood.engine.counters().flows < u64::from(TABLE - TABLE / 32) {
        flood.burst()?;
    }
    let mut findings = Findings::default();
    for round in options.round() {
        let begin = Instant::now();
        let mut busy = Duration::ZERO;
        let mut set_up = 0;
        while begin.elapsed() < window {
            busy += flood.burst()?;
            set_up += HALF;
        }
        findings.samples.push(Sample {
            suite: Suite::Raw,
            corner: corner(),
            system: SYSTEM.to_owned(),
            round,
            metric: "new flows".to_owned(),
            unit: "M/s".to_owned(),
            value: set_up as f64 / busy.as_secs_f64() / 1e6,
            better: Better::Higher,
        });
    }
    Ok(findings)
}

struct Flood {
    corner: Corner,
    engine: Engine,
    verdicts: [Verdict; BURST],
    established: Vec<Vec<u8>>,
    /// The established ones take turns.
    turn: usize,
    /// Number of the next new conversation.
    next: u32,
}

impl Flood {
    /// An engine that knows the corner's conversations in both directions.
    fn begin(corner: &Corner, table: u32) -> Result<Self> {
        let snapshot = compile(&traffic(corner).document(), 0)?;
        let limits = Limits {
            flows: table,
            flows_per_device: table,
            half_open_divisor: 64,
            ..Limits::default()
        };
        let mut flood = Self {
            corner: *corner,
            engine: Engine::new(limits, 1, Arc::new(snapshot), now_ns()),
            verdicts: [Verdict::default(); BURST],
            established: Vec::new(),
            turn: 0,
            next: corner.flows,
        };
        for number in 0..corner.flows {
            for from in [Side::Ward, Side::Core] {
                let frame = frame(corner, number, from == Side::Ward)?;
                let verdict = &mut flood.verdicts[..1];
                flood.engine.process(from, now_ns(), &[&frame], verdict);
            }
            flood.established.push(frame(corner, number, true)?);
        }
        Ok(flood)
    }

    /// One burst: the time inside the engine. Fails unless it did all that was asked of it.
    fn burst(&mut self) -> Result<Duration> {
        interrupt::check()?;
        let new: Vec<Vec<u8>> = (0..HALF as u32)
            .map(|more| frame(&self.corner, self.next.wrapping_add(more), true))
            .collect::<Result<_>>()?;
        self.next = self.next.wrapping_add(HALF as u32);
        let known = (0..HALF).map(|more| (self.turn + more) % self.established.len());
        let mixed: Vec<&[u8]> = known
            .zip(&new)
            .flat_map(|(known, new)| [self.established[known].as_slice(), new.as_slice()])
            .collect();
        self.turn = (self.turn + HALF) % self.established.len();

        let now_ns = now_ns();
        let begin = Instant::now();
        self.engine
            .process(Side::Ward, now_ns, &mixed, &mut self.verdicts);
        self.engine.drain_events(|_| {});
        let busy = begin.elapsed();

        let wanted = [Reason::Established, Reason::Allowed].into_iter().cycle();
        for (verdict, wanted) in self.verdicts.iter().zip(wanted) {
            if verdict.reason != wanted {
                let got = verdict.reason.name();
                bail!("a frame that should be `{}` was `{got}`", wanted.name());
            }
        }
        Ok(busy)
    }
}

/// Time since the Unix epoch, as the engine takes it.
fn now_ns() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    // 584 years fit.
    time.map_or(0, |time| time.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_conversations_are_set_up_and_established_ones_stay() {
        let mut flood = Flood::begin(&FLOOD, 8_192).unwrap();
        let before = flood.engine.counters().flows_begun;
        for _ in 0..64 {
            flood.burst().unwrap();
        }
        let begun = flood.engine.counters().flows_begun - before;
        assert_eq!(begun, 64 * HALF as u64);
    }

    #[test]
    fn a_refused_conversation_is_an_error() {
        // More at once than the table holds, and none of them old enough to give way.
        let mut flood = Flood::begin(&FLOOD, 4_200).unwrap();
        let refused = (0..64).find_map(|_| flood.burst().err());
        assert!(refused.unwrap().to_string().contains("flow-table-full"));
    }
}
