//! Before a system is measured: does it do what it is measured for?

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use wardline_policy::Side;

use super::ends::{Ends, Load, trial};
use super::frame::SMALL;
use super::lane::Lane;
use super::latency;

/// A load that anything can carry, in frames a second, and for how long.
const GENTLE: (f64, Duration) = (5_000.0, Duration::from_millis(200));
/// Frames of it that may be lost, or counted under another reason, as the machine is shared.
const SLACK: f64 = 0.05;
/// Datagrams sent where nobody allowed any.
const FORBIDDEN: usize = 5;
/// Long enough for a frame that is going to pass.
const MOMENT: Duration = Duration::from_millis(100);

/// Checks that allowed conversations pass, that they pass *as known conversations* where there is
/// an allowlist, and that a conversation nobody allowed is stopped there, and only there.
///
/// # Errors
/// What is not as it should be: the figures of this system would say nothing.
pub fn prove(lane: &mut Lane) -> Result<()> {
    let trips = latency::measure(&lane.ends, 20, None).context("round trips")?;
    ensure!(
        trips.lost == 0,
        "{} of 20 round trips were lost",
        trips.lost
    );
    let before = lane.system.established()?;
    let (rate, time) = GENTLE;
    let mut load = Load::new(SMALL, rate)?;
    let seen = trial(&mut lane.ends, &mut load, time)?;
    ensure!(
        seen.loss <= SLACK,
        "{:.1} % of an easy load were lost",
        seen.loss * 100.0
    );
    let after = lane.system.established()?;
    if let (Some(before), Some(after)) = (before, after) {
        let least = load.offered() as f64 * (1.0 - SLACK);
        ensure!(
            (after - before) as f64 >= least,
            "of {} frames only {} passed as part of a known conversation",
            load.offered(),
            after - before
        );
    }
    let passed = forbidden(&lane.ends)?;
    let filters = after.is_some();
    ensure!(
        !filters || passed == 0,
        "{passed} of {FORBIDDEN} datagrams that nobody allowed passed the allowlist"
    );
    ensure!(
        filters || passed > 0,
        "datagrams to another port are stopped where nothing filters"
    );
    Ok(())
}

/// How many datagrams to the forbidden port arrive.
fn forbidden(ends: &Ends) -> Result<usize> {
    for _ in 0..FORBIDDEN {
        ends.denied_socket(Side::Ward)
            .send(b"nobody allowed this")
            .context("sending")?;
    }
    let mut buffer = [0; 64];
    let mut passed = 0;
    let end = Instant::now() + MOMENT;
    while Instant::now() < end {
        match ends.denied_socket(Side::Core).recv(&mut buffer) {
            Ok(_) => passed += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("receiving"),
        }
    }
    Ok(passed)
}
