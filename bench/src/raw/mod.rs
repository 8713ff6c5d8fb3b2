//! Raw forwarding cost on `net_pcap` ports: the driver copies frames from memory, so no kernel is
//! in the way.
//!
//! Every system has two ports, both receive, and one CPU forwards; its other threads share
//! another CPU. At a corner all systems are started on the same frames and paused. In each round
//! one after another runs on for a warm-up and a window: frames received in that window, from the
//! system's own counters, are the figure, provided that the same counters say it did its job.

mod allowlist;
mod corner;
mod flood;
mod ovs;
mod system;
mod testpmd;
mod traffic;
mod wardline;

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use self::corner::{Corner, FLOOD, FULL, QUICK};
use self::ovs::Ovs;
use self::system::{Bench, Running, System, Window};
use self::testpmd::Testpmd;
use self::wardline::Wardline;
use crate::cpus;
use crate::hugepages::HugePages;
use crate::{Absent, Better, Findings, Options, Sample, Suite, interrupt};

pub use self::corner::FAMILIES;

/// The names of the systems.
pub const SYSTEMS: &[&str] = &[
    "wardline",
    "wardline without classifier",
    "testpmd io",
    "testpmd mac",
    "ovs-dpdk forward",
    "ovs-dpdk conntrack",
    flood::SYSTEM,
];

/// The systems on ports, in the same order.
const ALL: [&dyn System; 6] = [
    &Wardline {
        name: "wardline",
        classifier: true,
    },
    &Wardline {
        name: "wardline without classifier",
        classifier: false,
    },
    &Testpmd {
        name: "testpmd io",
        mode: "io",
    },
    &Testpmd {
        name: "testpmd mac",
        mode: "mac",
    },
    &Ovs {
        name: "ovs-dpdk forward",
        allowlist: false,
    },
    &Ovs {
        name: "ovs-dpdk conntrack",
        allowlist: true,
    },
];

/// Every system rounds its memory up to whole huge pages.
const ROUNDING_MIB: u64 = 8;
/// How long a system may take to know all conversations.
const SETTLE: Duration = Duration::from_secs(30);
/// A window to see whether it does.
const LOOK: Duration = Duration::from_millis(200);

/// The corners of a full run, as in the samples.
pub fn corners() -> Vec<String> {
    let mut corners: Vec<String> = FULL.iter().map(ToString::to_string).collect();
    corners.push(flood::corner());
    corners
}

/// Lengths of a measurement.
#[derive(Debug, Clone, Copy)]
struct Times {
    warm_up: Duration,
    window: Duration,
}

impl Times {
    fn of(options: &Options) -> Self {
        let ms = Duration::from_millis;
        let (warm_up, window) = if options.quick {
            (150, 400)
        } else {
            (300, 1_000)
        };
        Self {
            warm_up: ms(warm_up),
            window: ms(window),
        }
    }
}

/// Runs the suite.
///
/// # Errors
/// Interrupted, or the frames cannot be made. What a system cannot do is a finding.
pub fn run(options: &Options) -> Result<Findings> {
    let mut findings = Findings::default();
    let corners = if options.quick { QUICK } else { FULL };
    let chosen = corners
        .iter()
        .filter(|corner| options.wants(FAMILIES, corner.family));
    for corner in chosen {
        eprintln!("raw: {corner}");
        measure(options, corner, &mut findings)?;
    }
    if options.wants(FAMILIES, FLOOD.family) && options.wants(SYSTEMS, flood::SYSTEM) {
        eprintln!("raw: {}", flood::corner());
        match flood::run(options, Times::of(options).window) {
            Ok(found) => findings.samples.extend(found.samples),
            Err(error) => absent(&mut findings, &flood::corner(), flood::SYSTEM, &error)?,
        }
    }
    Ok(findings)
}

/// A system in its place at a corner.
#[derive(Debug)]
struct Candidate {
    system: &'static dyn System,
    running: Box<dyn Running>,
}

fn measure(options: &Options, corner: &Corner, findings: &mut Findings) -> Result<()> {
    let systems: Vec<&'static dyn System> = ALL
        .into_iter()
        .filter(|system| options.wants(SYSTEMS, system.name()))
        .filter(|system| corner.who.includes(system.name()))
        .collect();
    let folder = tempfile::Builder::new()
        .prefix("corner-")
        .tempdir_in(&options.scratch)?;
    let captures = traffic::write(corner, folder.path())?;
    let memory: u64 = systems
        .iter()
        .map(|s| s.packet_memory_mib(corner) + ROUNDING_MIB)
        .sum();
    let huge_pages = HugePages::reserve(memory);
    if let Err(error) = &huge_pages {
        eprintln!("raw: all systems without huge pages: {error:#}");
    }

    let mut candidates = Vec::new();
    for (number, system) in systems.into_iter().enumerate() {
        let own = folder.path().join(number.to_string());
        fs::create_dir(&own).with_context(|| format!("creating {}", own.display()))?;
        let bench = Bench {
            corner,
            captures: &captures,
            folder: &own,
            programs: &options.programs,
            cpus: cpus::choose()?,
            huge_pages: huge_pages.is_ok(),
        };
        match prepare(system, &bench) {
            Ok(running) => candidates.push(Candidate { system, running }),
            Err(error) => absent(findings, &corner.to_string(), system.name(), &error)?,
        }
    }
    let times = Times::of(options);
    for round in options.round() {
        take_turns(corner, round, times, &mut candidates, findings)?;
    }
    Ok(())
}

/// Starts a system, waits until it does what it should, and pauses it.
fn prepare(system: &dyn System, bench: &Bench<'_>) -> Result<Box<dyn Running>> {
    let mut running = system.start(bench)?;
    let forwards = system.forwards(bench.corner);
    let deadline = Instant::now() + SETTLE;
    loop {
        let window = watch(running.as_mut(), LOOK)?;
        match window.check(forwards) {
            Ok(()) => break,
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => {}
        }
    }
    running.process().pause()?;
    Ok(running)
}

fn take_turns(
    corner: &Corner,
    round: u32,
    times: Times,
    candidates: &mut Vec<Candidate>,
    findings: &mut Findings,
) -> Result<()> {
    let mut left = Vec::new();
    for mut candidate in candidates.drain(..) {
        match turn(&mut candidate, corner, times) {
            Ok((window, memory_mib)) => {
                let name = candidate.system.name();
                let mut record = |metric: &str, unit: &str, value, better| {
                    findings.samples.push(Sample {
                        suite: Suite::Raw,
                        corner: corner.to_string(),
                        system: name.to_owned(),
                        round,
                        metric: metric.to_owned(),
                        unit: unit.to_owned(),
                        value,
                        better,
                    });
                };
                let mpps = window.frames_per_s / 1e6;
                record("throughput", "Mpps", mpps, Better::Higher);
                record("memory", "MiB", memory_mib, Better::Lower);
                left.push(candidate);
            }
            Err(error) => {
                let system = candidate.system.name();
                absent(findings, &corner.to_string(), system, &error)?;
            }
        }
    }
    *candidates = left;
    Ok(())
}

fn turn(candidate: &mut Candidate, corner: &Corner, times: Times) -> Result<(Window, f64)> {
    candidate.running.process().resume()?;
    interrupt::sleep(times.warm_up)?;
    let window = watch(candidate.running.as_mut(), times.window)?;
    let memory_mib = candidate.running.process().memory_mib()?;
    candidate.running.process().pause()?;
    window.check(candidate.system.forwards(corner))?;
    Ok((window, memory_mib))
}

fn watch(running: &mut dyn Running, time: Duration) -> Result<Window> {
    let before = running.read()?;
    interrupt::sleep(time)?;
    Ok(Window::between(&before, &running.read()?))
}

/// Notes that a system is missing; an interruption is no reason but an end.
fn absent(
    findings: &mut Findings,
    corner: &str,
    system: &str,
    error: &anyhow::Error,
) -> Result<()> {
    interrupt::check()?;
    eprintln!("raw: {system} is absent: {error:#}");
    findings.absent.push(Absent {
        suite: Suite::Raw,
        corner: corner.to_owned(),
        system: system.to_owned(),
        reason: format!("{error:#}"),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_systems() {
        let ports = ALL.iter().map(|system| system.name());
        assert!(ports.chain([flood::SYSTEM]).eq(SYSTEMS.iter().copied()));
    }
}
