//! Care goes on while the gateway changes: policies swapped under load, the process killed, the
//! management plane killed beside it.
//!
//! Both are judged by a pump that reports over one connection it never opens again, by the loss
//! stream, and by what arrives of an attack meanwhile.

mod management;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::attacks::{self, Attack, Outcome, Witness};
use crate::control::Control;
use crate::layout::host;
use crate::loss::Loss;
use crate::rules::without;
use crate::ward::{Ward, address_of};
use crate::{gateway, loss};

pub use self::management::kill_management;

/// How often the policy is swapped under load.
const SWAPS: u32 = 1_000;
/// How long the load goes on at least, in seconds.
const LOAD_S: u32 = 15;
/// The rule that carries the pump's reports.
const REPORT_RULE: &str = "pump-hl7";
/// The attack that goes on during the swaps.
const ATTACK: &str = "lateral-ssh";

/// Swaps policies under load, then takes the permission of a conversation back.
///
/// # Errors
/// What went wrong: a report or datagram lost, an attack that arrived, a frame of the revoked
/// conversation that arrived.
pub fn swap_under_load(ward: &Ward, control: &Control) -> Result<String> {
    let whole = control.policy()?.text;
    let link = Link::open(ward, LOAD_S)?;
    let stream = loss::start(ward, LOAD_S)?;
    let attacked = thread::scope(|scope| {
        let attacks = scope.spawn(|| attack_a_few_times(ward));
        for number in 0..SWAPS {
            // Another name makes another document, so that none of the swaps is a repetition.
            control.apply("swap", renamed(&whole, number)?)?;
        }
        attacks.join().ok().context("the attacker panicked")?
    })?;
    let (lost, reports) = (stream.finish()?, link.close()?);
    for outcome in &attacked {
        ensure!(outcome.stopped(), "during the swaps: {outcome}");
    }
    require_undisturbed(&lost, &reports)?;
    ensure!(
        reports.acknowledged > 0,
        "the pump's reports were not acknowledged"
    );
    let revoked = revoke(ward, control);
    control.apply("whole", whole)?;
    revoked?;
    Ok(format!(
        "{SWAPS} swaps: {} datagrams and {} reports, none lost; {} attacks, none arrived; \
         nothing of a revoked conversation arrived",
        lost.sent,
        reports.acknowledged,
        attacked.len()
    ))
}

/// Fails when anything of the allowed traffic was lost or broke.
fn require_undisturbed(lost: &Loss, reports: &Reports) -> Result<()> {
    ensure!(
        lost.lost() == 0,
        "{} of {} allowed datagrams were lost",
        lost.lost(),
        lost.sent
    );
    ensure!(
        reports.broke.is_none(),
        "the pump's connection broke: {:?}",
        reports.broke
    );
    Ok(())
}

fn attack_a_few_times(ward: &Ward) -> Result<Vec<Outcome>> {
    let attack: Vec<Attack> = attacks::choose(&[ATTACK.to_owned()])?;
    (0..3)
        .map(|_| attacks::perform(ward, &attack))
        .collect::<Result<Vec<_>>>()
        .map(|o| o.concat())
}

/// The policy under another name.
fn renamed(policy: &str, number: u32) -> Result<String> {
    let mut document: toml::Table = policy.parse().context("the policy in force is not TOML")?;
    document.insert("name".to_owned(), format!("swap {number}").into());
    toml::to_string(&document).context("writing the policy under another name")
}

/// Takes the permission of a conversation back while it goes on: not one more frame may arrive.
fn revoke(ward: &Ward, control: &Control) -> Result<()> {
    let link = Link::open(ward, LOAD_S)?;
    sleep(Duration::from_millis(500));
    let pump = host(Link::PUMP).context("the ward has no pump")?;
    control.apply("revoked", without(&[REPORT_RULE].into())?)?;
    let filter = format!("src host {} and tcp dst port {}", pump.ip, Link::PORT);
    let witness = Witness::begin(&ward.ns("engine"), &filter)?;
    let reports = link.close()?;
    let seen = witness.end()?;
    ensure!(
        reports.acknowledged > 0,
        "there was no conversation to revoke"
    );
    ensure!(reports.broke.is_some(), "the revoked conversation went on");
    ensure!(
        seen.frames == 0,
        "{} frames of a revoked conversation arrived",
        seen.frames
    );
    Ok(())
}

/// Kills the gateway under an established connection and starts it again.
///
/// # Errors
/// When the connection broke, or the new process does not enforce.
pub fn kill_and_restart(ward: &Ward, control: &Control, program: &Path) -> Result<String> {
    let link = Link::open(ward, LOAD_S)?;
    sleep(Duration::from_secs(2));
    let killed = control.status()?.pid;
    gateway::kill(ward)?;
    gateway::start(ward, program, None).context("starting the gateway again")?;
    let status = Control::connect(&ward.control_socket())?.status()?;
    ensure!(status.pid != killed, "the killed gateway still answers");
    let reports = link.close()?;
    ensure!(
        reports.broke.is_none(),
        "the pump's connection broke: {:?}",
        reports.broke
    );
    let after = Control::connect(&ward.control_socket())?.status()?;
    let forwarded = after.counters.ward.forwarded + after.counters.core.forwarded;
    ensure!(
        forwarded > 0,
        "the new process forwards nothing: traffic takes another way"
    );
    let attack = attacks::choose(&[ATTACK.to_owned()])?;
    for outcome in attacks::perform(ward, &attack)? {
        ensure!(outcome.stopped(), "after the restart: {outcome}");
    }
    Ok(format!(
        "killed and started again in {} ms: {} reports over one connection",
        status.startup_ms, reports.acknowledged
    ))
}

/// A pump that reports over one connection.
#[derive(Debug)]
struct Link {
    child: Child,
    said: BufReader<ChildStdout>,
}

/// What the pump says at the end.
#[derive(Debug, Deserialize)]
struct Reports {
    acknowledged: u64,
    broke: Option<String>,
}

impl Link {
    const PUMP: &str = "pump1";
    const PORT: u16 = 2575;

    /// Connects and begins to report, for so many seconds.
    fn open(ward: &Ward, seconds: u32) -> Result<Self> {
        let mut child = ward
            .actor(Self::PUMP, "hl7_link")
            .args([
                address_of("engine")?,
                Self::PORT.to_string(),
                "PUMP1".to_owned(),
            ])
            .arg(seconds.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the pump's link")?;
        let mut said = BufReader::new(child.stdout.take().context("the pump has no output")?);
        let mut first = String::new();
        said.read_line(&mut first)
            .context("reading from the pump")?;
        ensure!(
            first.contains("connected"),
            "the pump could not connect to the engine"
        );
        Ok(Self { child, said })
    }

    /// Waits until its time is over.
    fn close(mut self) -> Result<Reports> {
        let mut last = String::new();
        self.said
            .read_to_string(&mut last)
            .context("reading from the pump")?;
        serde_json::from_str(&last).with_context(|| format!("the pump said `{last}`"))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_the_policy_changes() {
        let renamed = renamed("name = \"ward 5\"\nversion = 1\n", 7).unwrap();
        assert_eq!(renamed, "name = \"swap 7\"\nversion = 1\n");
    }
}
