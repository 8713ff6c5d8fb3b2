//! What the demo found: for programs as JSON, for people as a page of text.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use wardline_control::view::{ByReason, MemoryStatus, PolicyStatus, WorkerStatus};
use wardline_control::{Counters, DeviceView, FlowView, PortStatus, SideCounters};

use super::Score;
use super::naming::{self, Naming};
use super::privacy::{self, Privacy};
use crate::attacks;
use crate::control::Control;
use crate::exchange;
use crate::loss;
use crate::mgmt::{Management, Shown};
use crate::ward::Ward;

/// Everything there is to say about one run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Always: the devices of the ward are played by programs, and no figure here is of real ones.
    emulated: bool,
    /// From the start of the gateway's process to its first look at both ports, in milliseconds.
    startup_ms: u64,
    /// From nothing to a ward that is up, gateway included, in milliseconds.
    ward_up_ms: u64,
    software_version: String,
    ports: Vec<PortStatus>,
    memory: MemoryStatus,
    workers: Vec<WorkerStatus>,
    policy: PolicyStatus,
    devices: Vec<DeviceView>,
    flows: Vec<FlowView>,
    /// What the management plane shows of it.
    management: Shown,
    /// Frames of both sides by the reason of their verdict.
    verdicts: ByReason,
    counters: Counters,
    /// Whether every frame that came in is either sent or dropped, under exactly one reason.
    counters_add_up: bool,
    allowed: Vec<Allowed>,
    attacks: Vec<attacks::Outcome>,
    loss: Loss,
    /// What each device of the ward is taken for, and since when.
    naming: Vec<Naming>,
    /// That nothing of patients is kept or told.
    privacy: Privacy,
    /// What is not as it should be, in words.
    faults: Vec<String>,
}

/// A clinical exchange over the whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Allowed {
    /// The exchange.
    pub name: &'static str,
    /// The device that needs it.
    pub device: &'static str,
    /// Whether it succeeded, each time, as seen at both ends.
    pub success: bool,
    /// How often it was performed.
    pub runs: u64,
    /// What went wrong, each time it did.
    pub failures: Vec<String>,
    /// What the ends saw the last time.
    pub detail: String,
    /// The longest time it took, in milliseconds.
    pub longest_ms: u64,
}

/// The stream of numbered datagrams over the whole run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Loss {
    /// Sent by the device.
    pub sent: u64,
    /// Gone to the hospital's side and come back.
    pub received: u64,
    /// Not come back.
    pub lost: u64,
    /// The slowest of them, there and back, in milliseconds.
    pub worst_round_trip_ms: f64,
}

impl Loss {
    /// One more piece of the stream.
    pub fn add(&mut self, piece: &loss::Loss) {
        self.sent += piece.sent;
        self.received += piece.returned;
        self.lost += piece.lost();
        self.worst_round_trip_ms = self.worst_round_trip_ms.max(piece.worst_round_trip_ms);
    }
}

impl Allowed {
    /// The first outcome of an exchange.
    pub fn first(outcome: exchange::Outcome) -> Self {
        let mut allowed = Self {
            name: outcome.name,
            device: outcome.device,
            success: true,
            runs: 0,
            failures: Vec::new(),
            detail: String::new(),
            longest_ms: 0,
        };
        allowed.again(outcome);
        allowed
    }

    /// One more outcome of it.
    pub fn again(&mut self, outcome: exchange::Outcome) {
        self.runs += 1;
        self.success &= outcome.success;
        self.longest_ms = self.longest_ms.max(outcome.duration_ms);
        if !outcome.success {
            self.failures.push(outcome.detail.clone());
        }
        self.detail = outcome.detail;
    }
}

impl Report {
    /// Asks the gateway for its side of the story.
    pub(super) fn new(
        score: Score,
        ward: &Ward,
        control: &Control,
        management: &Management,
        ward_up: Duration,
    ) -> Result<Self> {
        let status = control.status()?;
        let (devices, flows) = (control.devices()?, control.flows()?);
        let mut report = Self {
            emulated: true,
            startup_ms: status.startup_ms,
            ward_up_ms: u64::try_from(ward_up.as_millis()).unwrap_or(u64::MAX),
            software_version: status.software_version,
            ports: status.ports,
            memory: status.memory,
            workers: status.workers,
            policy: status.policy,
            management: management.shown()?,
            verdicts: sum(
                &status.counters.ward.by_reason,
                &status.counters.core.by_reason,
            ),
            counters_add_up: adds_up(&status.counters.ward) && adds_up(&status.counters.core),
            counters: status.counters,
            allowed: score.allowed,
            attacks: score.attacks,
            loss: score.loss,
            naming: naming::all(&score.named, &devices),
            privacy: privacy::search(ward, management, &devices, &flows)?,
            devices,
            flows,
            faults: Vec::new(),
        };
        report.faults = report.find_faults();
        Ok(report)
    }

    /// Care went on, no attack arrived, nothing was lost and every frame is accounted for.
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    fn find_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for allowed in self.allowed.iter().filter(|allowed| !allowed.success) {
            let first = allowed
                .failures
                .first()
                .and_then(|failure| failure.lines().next());
            let (name, failed, runs) = (allowed.name, allowed.failures.len(), allowed.runs);
            let why = first.unwrap_or_default();
            faults.push(format!("exchange {name} failed {failed} of {runs}: {why}"));
        }
        for attack in self.attacks.iter().filter(|attack| !attack.stopped()) {
            faults.push(format!("attack {} was not stopped", attack.name));
        }
        if self.loss.lost > 0 || self.loss.received == 0 {
            let Loss { sent, lost, .. } = self.loss;
            faults.push(format!(
                "{lost} of {sent} datagrams of an allowed stream were lost"
            ));
        }
        let (shown, known) = (self.management.devices, self.devices.len());
        if shown < known {
            faults.push(format!(
                "the management plane shows {shown} of {known} devices"
            ));
        }
        if !self.counters_add_up {
            faults.push("frames in are not frames out plus drops".to_owned());
        }
        let found = self.privacy.found.iter();
        faults.extend(found.map(|place| format!("a patient is named: {place}")));
        faults.extend(naming::faults(&self.naming));
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for port in &self.ports {
            let PortStatus {
                side,
                driver,
                device,
                mtu,
                ..
            } = port;
            writeln!(f, "port    {side:?} {driver} {device}, MTU {mtu}")?;
        }
        for Allowed {
            name,
            device,
            success,
            runs,
            longest_ms,
            ..
        } in &self.allowed
        {
            let mark = if *success { "ok    " } else { "FAILED" };
            writeln!(
                f,
                "{mark}  {name:<24} {device:<9} {runs} times, {longest_ms} ms at most"
            )?;
        }
        for attack in &self.attacks {
            let mark = if attack.stopped() { "ok    " } else { "FAILED" };
            writeln!(f, "{mark}  {attack}")?;
        }
        for (reason, frames) in &self.verdicts {
            writeln!(f, "verdict {:<24} {frames}", reason.name())?;
        }
        let Loss {
            sent,
            received,
            lost,
            ..
        } = self.loss;
        writeln!(f, "stream  {sent} sent, {received} received, {lost} lost")?;
        writeln!(
            f,
            "start   {} ms, {} devices, {} of the {} of the ward with their role (emulated)",
            self.startup_ms,
            self.devices.len(),
            self.naming
                .iter()
                .filter(|naming| naming.is_right())
                .count(),
            self.naming.len()
        )?;
        let soon = self
            .naming
            .iter()
            .filter(|naming| naming.was_soon())
            .count();
        let within = naming::SOON.as_secs();
        writeln!(
            f,
            "naming  {soon} of them within {within} s of their first frame"
        )?;
        let Shown { devices, .. } = self.management;
        writeln!(f, "mgmt    {devices} devices shown")?;
        for fault in &self.faults {
            writeln!(f, "FAULT   {fault}")?;
        }
        let (exchanges, attacks) = (self.allowed.len(), self.attacks.len());
        writeln!(
            f,
            "{exchanges} exchanges, {attacks} attacks, {} faults",
            self.faults.len()
        )
    }
}

fn sum(a: &ByReason, b: &ByReason) -> ByReason {
    let mut total: BTreeMap<_, _> = a.clone();
    for (reason, frames) in b {
        *total.entry(*reason).or_default() += frames;
    }
    total
}

fn adds_up(side: &SideCounters) -> bool {
    let by_reason: u64 = side.by_reason.values().sum();
    side.received == side.forwarded + side.dropped && side.received == by_reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_add_up_only_when_each_has_one_reason() {
        use wardline_policy::Reason::{Allowed, NoRule};
        let mut side = SideCounters {
            received: 5,
            forwarded: 3,
            dropped: 2,
            by_reason: [(Allowed, 3), (NoRule, 2)].into(),
            ..SideCounters::default()
        };
        assert!(adds_up(&side));
        side.dropped = 1;
        assert!(!adds_up(&side));
        assert_eq!(sum(&side.by_reason, &[(NoRule, 4)].into())[&NoRule], 6);
    }

    #[test]
    fn an_exchange_that_failed_once_is_no_success() {
        let outcome = |success| exchange::Outcome {
            name: "dicom-store",
            device: "ct",
            rules: &["dicom-store"],
            success,
            detail: "seen".into(),
            duration_ms: 7,
        };
        let mut allowed = Allowed::first(outcome(false));
        allowed.again(outcome(true));
        assert!(!allowed.success);
        assert_eq!((allowed.runs, allowed.failures.len()), (2, 1));
    }
}
