//! What the cost gate counts: the main ways of a frame through the engine, at a fixed size each.
//!
//! The counts are the same in every run: tables are keyed by a fixed seed, the time is a number,
//! and nothing measured allocates or asks the system for anything.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use wardline_engine::parse::parse;
use wardline_policy::{EntryIdx, Reason, Side};

use crate::fixture::{Burst, Fixture, bursts, policy};
use crate::traffic::{Traffic, Transport, Version, odd_frame};

/// How often a case without tables is repeated.
const TURNS: u64 = 4_096;
/// Table entries looked at in one portion of upkeep.
const UPKEEP: usize = 256;

/// One case of the gate.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name, in the baseline and on the command line.
    pub name: &'static str,
    /// What its instructions are divided by: `frame`, `flow`, `question`.
    pub unit: &'static str,
    run: fn() -> Result<u64>,
}

/// Every case.
pub const CASES: &[Case] = &[
    case("parse-common", "frame", || parsing(&common_frame()?)),
    case("parse-odd", "frame", || parsing(&odd_frame()?)),
    case("device-lookup", "question", lookup),
    case("hit-udp4", "frame", || hit(COMMON)),
    case("hit-tcp4", "frame", || hit(TCP4)),
    case("hit-udp6", "frame", || hit(UDP6)),
    case("hit-vlan", "frame", || hit(TAGGED)),
    case("hit-window-open", "frame", || hit(MANY_DEVICES)),
    case("hit-after-swap", "frame", hit_after_swap),
    case("miss-allowed-udp4", "frame", || miss_allowed(COMMON)),
    case("miss-allowed-tcp4", "frame", || miss_allowed(TCP4)),
    case("miss-denied", "frame", miss_denied),
    case("miss-denied-again", "frame", miss_denied_again),
    case("decide-1-rule", "question", || decide(1)),
    case("decide-1000-rules", "question", || decide(1_000)),
    case("expiry", "flow", expiry),
];

const COMMON: Traffic = Traffic::COMMON;
const TCP4: Traffic = Traffic {
    transport: Transport::Tcp,
    ..COMMON
};
const UDP6: Traffic = Traffic {
    version: Version::V6,
    ..COMMON
};
const TAGGED: Traffic = Traffic {
    vlan: Some(10),
    ..COMMON
};

/// So many that none gets the frames that fill its feature window: every hit adds to one.
const MANY_DEVICES: Traffic = Traffic {
    devices: 512,
    ..COMMON
};

const fn case(name: &'static str, unit: &'static str, run: fn() -> Result<u64>) -> Case {
    Case { name, unit, run }
}

impl Case {
    /// The case of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        CASES.iter().find(|case| case.name == name)
    }

    /// Sets up, does what is counted, checks that it went the way the case is about, and says
    /// how many units that were.
    ///
    /// # Errors
    /// When the set-up fails, or a frame went another way.
    pub fn run(&self) -> Result<u64> {
        (self.run)().with_context(|| format!("cost case {}", self.name))
    }
}

/// The one function inside of which instructions are counted.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

/// Plays bursts, all frames of which must be judged for this reason.
fn play(fixture: &mut Fixture, bursts: &[Burst<'_>], turns: u64, reason: Reason) -> Result<u64> {
    let frames: usize = bursts.iter().map(|burst| burst.frames.len()).sum();
    let before = fixture.judged(reason);
    measured(&mut || (0..turns).for_each(|_| fixture.play(bursts)));
    let (played, judged) = (turns * frames as u64, fixture.judged(reason) - before);
    ensure!(
        judged == played,
        "{judged} of {played} frames were judged `{}`",
        reason.name()
    );
    Ok(played)
}

fn hit(traffic: Traffic) -> Result<u64> {
    let mut fixture = Fixture::established(traffic)?;
    let frames = fixture.steady()?;
    play(&mut fixture, &bursts(&frames), 2, Reason::Established)
}

/// The first frame of each conversation under another policy.
fn hit_after_swap() -> Result<u64> {
    let mut fixture = Fixture::established(COMMON)?;
    let frames = fixture.steady()?;
    fixture.engine.set_snapshot(policy(&COMMON)?);
    play(&mut fixture, &bursts(&frames), 1, Reason::Established)
}

fn miss_allowed(traffic: Traffic) -> Result<u64> {
    let mut fixture = Fixture::new(traffic)?;
    warm(&mut fixture)?;
    let frames = fixture.firsts((0..traffic.flows / 2).map(|number| traffic.flow(number)))?;
    play(&mut fixture, &bursts(&frames), 1, Reason::Allowed)
}

/// Denials of conversations of which no two are alike.
fn miss_denied() -> Result<u64> {
    let mut fixture = Fixture::new(COMMON)?;
    warm(&mut fixture)?;
    let denied = (COMMON.devices..COMMON.flows).map(|number| COMMON.denied_flow(number));
    let frames = fixture.firsts(denied)?;
    play(&mut fixture, &bursts(&frames), 1, Reason::NoRule)
}

/// The same denial for each device, time and again.
fn miss_denied_again() -> Result<u64> {
    let traffic = MANY_DEVICES;
    let mut fixture = Fixture::new(traffic)?;
    warm(&mut fixture)?;
    let frames = fixture.firsts((0..traffic.devices).map(|number| traffic.denied_flow(number)))?;
    play(&mut fixture, &bursts(&frames), 8, Reason::NoRule)
}

/// Makes every device known by a denied frame.
fn warm(fixture: &mut Fixture) -> Result<()> {
    let traffic = fixture.traffic;
    let frames = fixture.firsts((0..traffic.devices).map(|number| traffic.denied_flow(number)))?;
    fixture.play(&bursts(&frames));
    Ok(())
}

fn common_frame() -> Result<Vec<u8>> {
    COMMON.frame(&COMMON.flow(0), Side::Ward)
}

fn parsing(frame: &[u8]) -> Result<u64> {
    let mut right = 0;
    measured(&mut || {
        right = (0..TURNS)
            .filter(|_| black_box(parse(black_box(frame))).is_ok())
            .count() as u64;
    });
    ensure!(right == TURNS, "the frame is not right");
    Ok(TURNS)
}

fn lookup() -> Result<u64> {
    let traffic = Traffic {
        devices: 1_000,
        ..COMMON
    };
    let policy = policy(&traffic)?;
    let keys: Vec<_> = (0..traffic.devices)
        .map(|number| traffic.device_key(number))
        .collect();
    let mut listed = 0;
    measured(&mut || {
        listed = keys
            .iter()
            .filter(|key| policy.lookup(black_box(key)) != EntryIdx(0))
            .count();
    });
    ensure!(listed == keys.len(), "only {listed} devices are listed");
    Ok(keys.len() as u64)
}

/// Allowed questions, each for another rule of the device.
fn decide(rules: u32) -> Result<u64> {
    let traffic = Traffic { rules, ..COMMON };
    let policy = policy(&traffic)?;
    let questions: Vec<_> = (0..traffic.flows)
        .map(|number| {
            let entry = policy.lookup(&traffic.device_key(number % traffic.devices));
            (entry, traffic.question(&traffic.flow(number)))
        })
        .collect();
    let mut allowed = 0;
    measured(&mut || {
        allowed = questions
            .iter()
            .filter(|(entry, query)| policy.decide(*entry, black_box(query)).allow)
            .count();
    });
    ensure!(allowed == questions.len(), "only {allowed} are allowed");
    Ok(questions.len() as u64)
}

/// The end of conversations that were idle for too long.
fn expiry() -> Result<u64> {
    let mut fixture = Fixture::established(COMMON)?;
    let limits = COMMON.limits();
    let later = fixture.now_ns + u64::from(limits.udp_s + 1) * 1_000_000_000;
    // Conversations get more than half of the portion.
    let portions = 2 * limits.flows as usize / UPKEEP;
    measured(&mut || (0..portions).for_each(|_| fixture.engine.idle(later, UPKEEP)));
    let left = fixture.engine.counters().flows;
    ensure!(left == 0, "{left} conversations are left");
    Ok(u64::from(COMMON.flows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_does_what_it_is_about() {
        for case in CASES {
            assert!(case.run().unwrap() > 0, "{}", case.name);
        }
    }
}
