//! One engine under the policy of its traffic, and the bursts that go through it.

use std::sync::Arc;

use anyhow::{Result, ensure};
use wardline_engine::{BURST, Engine, Verdict};
use wardline_policy::{PolicySnapshot, Reason, Side, compile};

use crate::traffic::{Flow, Sided, Traffic, scattered};

/// Keys of the tables: a fixed one, so that every run does the same.
const SEED: u64 = 42;
const SECOND: u64 = 1_000_000_000;
/// After the grace period for conversations older than the engine, which begins at 0.
const NOW_NS: u64 = 1_000 * SECOND;

/// An engine and what it is given.
#[derive(Debug)]
pub struct Fixture {
    /// Where frames and policy come from.
    pub traffic: Traffic,
    /// The engine.
    pub engine: Engine,
    /// Unix time of every frame, in nanoseconds.
    pub now_ns: u64,
}

/// Frames that are received at once.
#[derive(Debug)]
pub struct Burst<'a> {
    /// The side they come from.
    pub from: Side,
    /// At most [`BURST`] of them.
    pub frames: Vec<&'a [u8]>,
}

/// Puts frames into bursts, in order; where the side changes a new burst begins.
pub fn bursts(frames: &[Sided]) -> Vec<Burst<'_>> {
    let same_side = frames.chunk_by(|a, b| a.0 == b.0);
    let chunks = same_side.flat_map(|frames| frames.chunks(BURST));
    chunks
        .filter_map(|chunk| {
            Some(Burst {
                from: chunk.first()?.0,
                frames: chunk.iter().map(|(_, frame)| frame.as_slice()).collect(),
            })
        })
        .collect()
}

/// The policy of a corner.
///
/// # Errors
/// When its document is wrong.
pub fn policy(traffic: &Traffic) -> Result<Arc<PolicySnapshot>> {
    Ok(Arc::new(compile(&traffic.document(), NOW_NS / SECOND)?))
}

impl Fixture {
    /// An engine that has seen nothing yet.
    ///
    /// # Errors
    /// When the traffic makes no policy.
    pub fn new(traffic: Traffic) -> Result<Self> {
        let engine = Engine::new(traffic.limits(), SEED, policy(&traffic)?, 0);
        Ok(Self {
            traffic,
            engine,
            now_ns: NOW_NS,
        })
    }

    /// An engine that knows all conversations.
    ///
    /// # Errors
    /// When one of them cannot begin.
    pub fn established(traffic: Traffic) -> Result<Self> {
        let mut fixture = Self::new(traffic)?;
        fixture.establish(traffic.flows)?;
        Ok(fixture)
    }

    /// Begins the first `flows` conversations: the same frame of each, then the next.
    fn establish(&mut self, flows: u32) -> Result<()> {
        let numbers: Vec<u32> = (0..flows).collect();
        for numbers in numbers.chunks(BURST) {
            let openings = numbers
                .iter()
                .map(|number| self.traffic.opening(&self.traffic.flow(*number)))
                .collect::<Result<Vec<_>>>()?;
            let steps = openings.first().map_or(0, Vec::len);
            for step in 0..steps {
                let frames = openings.iter().filter_map(|opening| opening.get(step));
                self.play(&bursts(&frames.cloned().collect::<Vec<_>>()));
            }
        }
        let known = self.engine.counters().flows;
        ensure!(
            known == u64::from(flows),
            "of {flows} conversations {known} began"
        );
        Ok(())
    }

    /// Frames in the middle of all conversations, one of each, by turns a burst from the devices
    /// and one from the servers.
    ///
    /// # Errors
    /// When the numbers make no frame.
    pub fn steady(&self) -> Result<Vec<Sided>> {
        scattered(self.traffic.flows as usize)
            .enumerate()
            .map(|(turn, number)| {
                let from = if (turn / BURST).is_multiple_of(2) {
                    Side::Ward
                } else {
                    Side::Core
                };
                let flow = self.traffic.flow(number as u32);
                Ok((from, self.traffic.frame(&flow, from)?))
            })
            .collect()
    }

    /// The first frames of conversations.
    ///
    /// # Errors
    /// When the numbers make no frame.
    pub fn firsts(&self, flows: impl IntoIterator<Item = Flow>) -> Result<Vec<Sided>> {
        flows
            .into_iter()
            .map(|flow| Ok((Side::Ward, self.traffic.first(&flow)?)))
            .collect()
    }

    /// Judges bursts, one after the other.
    pub fn play(&mut self, bursts: &[Burst<'_>]) {
        let mut verdicts = [Verdict::default(); BURST];
        for burst in bursts {
            self.engine
                .process(burst.from, self.now_ns, &burst.frames, &mut verdicts);
        }
    }

    /// How many frames were judged for this reason so far.
    pub fn judged(&self, reason: Reason) -> u64 {
        let counters = self.engine.counters();
        counters
            .by_reason
            .iter()
            .filter_map(|side| side.get(reason.index()))
            .sum()
    }
}
