//! Suite `wire`: packets through real interfaces, veth pairs between network namespaces.
//!
//! Two CPU cores: the system under test has one, the generator and both hosts the other. A kernel
//! bridge is given its core by receive packet steering, which hands each frame over as a NIC's
//! interrupt would. For AF_XDP and AF_PACKET the kernel's part of receiving happens where frames are
//! sent, which takes from the rate that can be offered, not from the system: `generator limit` says
//! how much was left. Nobody uses huge pages here.
//!
//! Methods are those of RFC 2544 with trials of a fraction of a second instead of sixty, and loss
//! counted after 20 ms of silence instead of two seconds.

mod bridge;
mod ends;
mod frame;
pub(crate) mod lane;
mod latency;
mod outage;
pub(crate) mod pinned;
mod plan;
mod proof;
mod search;
pub(crate) mod space;
mod tcp;
pub(crate) mod vswitch;
mod wardline;

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use self::ends::{Load, trial};
use self::frame::{IMIX, LONG, Mix, SMALL};
use self::lane::{DIRECT, INLINE, Lane};
use self::latency::{PERCENTILES, RoundTrips};
use self::pinned::Pinned;
use self::search::{Search, Throughput};
use crate::{Absent, Better, Findings, Options, Sample, Suite, cpus, interrupt};

pub use self::lane::SYSTEMS;

/// What can be measured, by the names `--only` takes.
pub const FAMILIES: &[&str] = &[THROUGHPUT, LOSS, RECOVERY, RESET, LATENCY, TCP];
const THROUGHPUT: &str = "throughput";
const LOSS: &str = "loss";
const RECOVERY: &str = "recovery";
const RESET: &str = "reset";
const LATENCY: &str = "latency";
const TCP: &str = "tcp";

/// The parts of offered frames that may be lost, largest first: a practical figure, and RFC 2544's.
const TOLERANCES: [f64; 2] = [0.001, 0.0];
/// Offered rates of the loss curve, as parts of the throughput with the larger tolerance.
const LOSS_POINTS: [f64; 5] = [0.5, 0.8, 1.0, 1.2, 1.5];

/// How thorough a run is.
#[derive(Debug, Clone, Copy)]
struct Effort {
    search: Search,
    trial: Duration,
    mixes: &'static [Mix],
    round_trips: usize,
    families: &'static [&'static str],
}

const QUICK: Effort = Effort {
    search: Search {
        resolution: 0.05,
        trials: 6,
    },
    trial: Duration::from_millis(60),
    mixes: &[SMALL],
    round_trips: 2_000,
    families: &[THROUGHPUT, LATENCY],
};
const FULL: Effort = Effort {
    search: Search {
        resolution: 0.02,
        trials: 10,
    },
    trial: Duration::from_millis(200),
    mixes: &[SMALL, IMIX, LONG],
    round_trips: 10_000,
    families: FAMILIES,
};

/// Measures every system in turn, round by round.
///
/// # Errors
/// Not root, fewer than two CPU cores, or the run was interrupted. A system that cannot run is
/// absent instead.
pub fn run(options: &Options) -> Result<Findings> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "network namespaces need root"
    );
    let cpus = cpus::choose()?;
    let _pinned = Pinned::to(cpus.rest)?;
    space::remove_leftovers();
    let mut findings = Findings {
        absent: alternatives()?,
        ..Findings::default()
    };
    let mut lanes = lanes(options, cpus.packets, &mut findings.absent)?;
    let effort = if options.quick { QUICK } else { FULL };
    for round in options.round() {
        let mut working = Vec::with_capacity(lanes.len());
        for mut lane in lanes {
            let mut turn = Turn {
                options,
                effort,
                round,
                samples: &mut findings.samples,
            };
            match turn.take(&mut lane) {
                Ok(()) => working.push(lane),
                Err(error) => {
                    interrupt::check()?;
                    findings.absent.push(absent(lane.name, &error));
                }
            }
        }
        lanes = working;
    }
    let added = added_latency(&findings.samples);
    findings.samples.extend(added);
    Ok(findings)
}

/// Peers that this kernel cannot run in their best form.
fn alternatives() -> Result<Vec<Absent>> {
    let bridge = bridge::without_bridge_tracking()?.map(|why| {
        (
            "linux bridge + nftables (bridge family)",
            format!(
                "connection tracking in the bridge family is refused ({why}); measured through \
                 br_netfilter instead"
            ),
        )
    });
    let vswitch = vswitch::without_kernel_datapath().map(|why| {
        (
            "open vswitch (kernel data path)",
            format!("{why}; measured with its userspace data path on AF_XDP instead"),
        )
    });
    let found = [bridge, vswitch].into_iter().flatten();
    Ok(found
        .map(|(system, reason)| Absent {
            suite: Suite::Wire,
            corner: String::new(),
            system: system.to_owned(),
            reason,
        })
        .collect())
}

/// Every wanted system, started, proven and paused.
fn lanes(options: &Options, cpu: usize, missing: &mut Vec<Absent>) -> Result<Vec<Lane>> {
    let mut lanes = Vec::new();
    for (number, name) in SYSTEMS.iter().enumerate() {
        if !options.wants(SYSTEMS, name) {
            continue;
        }
        eprintln!("wire: {name}");
        let lane = Lane::set_up(name, number, cpu, options).and_then(|mut lane| {
            lane.system.resume()?;
            proof::prove(&mut lane)?;
            lane.system.pause()?;
            Ok(lane)
        });
        match lane {
            Ok(lane) => lanes.push(lane),
            Err(error) => {
                interrupt::check()?;
                missing.push(absent(name, &error));
            }
        }
    }
    Ok(lanes)
}

fn absent(system: &str, error: &anyhow::Error) -> Absent {
    Absent {
        suite: Suite::Wire,
        corner: String::new(),
        system: system.to_owned(),
        reason: format!("{error:#}"),
    }
}

/// One system's turn in one round.
struct Turn<'a> {
    options: &'a Options,
    effort: Effort,
    round: u32,
    samples: &'a mut Vec<Sample>,
}

impl Turn<'_> {
    fn take(&mut self, lane: &mut Lane) -> Result<()> {
        lane.system.resume()?;
        let mut throughput = None;
        if lane.name != INLINE {
            for mix in self.effort.mixes {
                if self.wants(THROUGHPUT) || *mix == SMALL {
                    let [tolerant, _] = self.throughput(lane, *mix)?;
                    throughput = throughput.or(Some(tolerant));
                }
            }
        }
        if self.wants(LATENCY) {
            self.latency(lane, throughput)?;
        }
        if let Some(throughput) = throughput {
            self.stress(lane, throughput)?;
        }
        if self.wants(TCP) && lane.name != INLINE {
            for connections in [1, 8] {
                let rate = tcp::goodput(lane.spaces(), connections, self.effort.trial * 3)
                    .context("TCP")?;
                let corner = format!("TCP, connections: {connections}");
                self.note(lane, &corner, ("goodput", "Gbit/s"), rate, Better::Higher);
            }
        }
        lane.system.pause()
    }

    fn wants(&self, family: &str) -> bool {
        self.effort.families.contains(&family) && self.options.wants(FAMILIES, family)
    }

    fn note(
        &mut self,
        lane: &Lane,
        corner: &str,
        (metric, unit): (&str, &str),
        value: f64,
        better: Better,
    ) {
        self.samples.push(Sample {
            suite: Suite::Wire,
            corner: corner.to_owned(),
            system: lane.name.to_owned(),
            round: self.round,
            metric: metric.to_owned(),
            unit: unit.to_owned(),
            value,
            better,
        });
    }

    /// Section 26.1.
    fn throughput(&mut self, lane: &mut Lane, mix: Mix) -> Result<[Throughput; 2]> {
        let time = self.effort.trial;
        let mut most = 0.0_f64;
        let found = self.effort.search.run(&TOLERANCES, |rate| {
            let seen = trial(&mut lane.ends, &mut Load::new(mix, rate)?, time)?;
            most = most.max(seen.rate);
            Ok(seen)
        })?;
        let found = <[Throughput; 2]>::try_from(found)
            .ok()
            .context("a throughput for each tolerance")?;
        let corner = format!("{}, {} flows, both ways", mix.name, plan::FLOWS);
        for (metric, rate) in [
            ("throughput (0.1 % loss)", found[0].rate),
            ("throughput", found[1].rate),
            ("generator limit", most),
        ] {
            self.note(lane, &corner, (metric, "Mpps"), rate / 1e6, Better::Higher);
        }
        Ok(found)
    }

    /// Without other load, and with half of what the system carries.
    fn latency(&mut self, lane: &mut Lane, throughput: Option<Throughput>) -> Result<()> {
        let count = self.effort.round_trips;
        let idle = latency::measure(&lane.ends, count, None).context("round trips")?;
        self.note_latency(lane, "64 B round trips, idle", &idle);
        if let Some(throughput) = throughput.filter(|throughput| throughput.rate > 0.0) {
            let mut load = Load::new(SMALL, throughput.rate / 2.0)?;
            let loaded = latency::measure(&lane.ends, count, Some(&mut load))
                .context("round trips under load")?;
            self.note_latency(lane, "64 B round trips, half of its throughput", &loaded);
        }
        Ok(())
    }

    fn note_latency(&mut self, lane: &Lane, corner: &str, trips: &RoundTrips) {
        for percent in PERCENTILES {
            if let Some(time) = trips.percentile_us(percent) {
                let metric = format!("latency p{percent}");
                self.note(lane, corner, (&metric, "us"), time, Better::Lower);
            }
        }
        let lost = trips.lost as f64;
        self.note(lane, corner, ("round trips lost", "1"), lost, Better::Lower);
    }

    /// Sections 26.3, 26.5 and 26.6.
    fn stress(&mut self, lane: &mut Lane, throughput: Throughput) -> Result<()> {
        if self.wants(LOSS) {
            for part in LOSS_POINTS {
                let mut load = Load::new(SMALL, throughput.rate * part)?;
                let seen = trial(&mut lane.ends, &mut load, self.effort.trial)?;
                // A rate the generator cannot offer says nothing.
                if seen.rate >= 0.9 * throughput.rate * part {
                    let corner = format!("64 B, {:.0} % of its throughput offered", part * 100.0);
                    self.note(
                        lane,
                        &corner,
                        ("loss", "%"),
                        seen.loss * 100.0,
                        Better::Lower,
                    );
                }
            }
        }
        if self.wants(RECOVERY) && !throughput.limited_by_generator && throughput.rate > 0.0 {
            let recovery = outage::recovery(&mut lane.ends, throughput.rate).context("recovery")?;
            let corner = "64 B, from 110 % to 50 % of its throughput";
            let ms = recovery.time.as_secs_f64() * 1e3;
            self.note(lane, corner, ("recovery", "ms"), ms, Better::Lower);
            let loss = recovery.overload.loss * 100.0;
            self.note(lane, corner, ("loss before", "%"), loss, Better::Lower);
        }
        if self.wants(RESET) {
            for how in lane.system.resets() {
                let outage = outage::reset(lane, *how).context("reset")?;
                let corner = format!("reset: {}", how.name());
                let time = outage.time.as_secs_f64() * 1e3;
                self.note(lane, &corner, ("longest outage", "ms"), time, Better::Lower);
                let lost = outage.lost as f64;
                self.note(lane, &corner, ("frames lost", "1"), lost, Better::Lower);
            }
        }
        Ok(())
    }
}

/// What each system adds to the round trip of a bare veth pair in the same round.
fn added_latency(samples: &[Sample]) -> Vec<Sample> {
    let idle: Vec<&Sample> = samples
        .iter()
        .filter(|sample| sample.metric.starts_with("latency p") && sample.corner.ends_with("idle"))
        .collect();
    let bare = |of: &Sample| {
        idle.iter()
            .find(|s| s.system == DIRECT && s.round == of.round && s.metric == of.metric)
            .map(|sample| sample.value)
    };
    idle.iter()
        .filter(|sample| sample.system != DIRECT)
        .filter_map(|sample| {
            Some(Sample {
                metric: format!("added {}", sample.metric),
                value: sample.value - bare(sample)?,
                ..(*sample).clone()
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(system: &str, round: u32, metric: &str, value: f64) -> Sample {
        Sample {
            suite: Suite::Wire,
            corner: "64 B round trips, idle".to_owned(),
            system: system.to_owned(),
            round,
            metric: metric.to_owned(),
            unit: "us".to_owned(),
            value,
            better: Better::Lower,
        }
    }

    #[test]
    fn added_latency_is_taken_within_a_round() {
        let samples = [
            sample(DIRECT, 0, "latency p99", 5.0),
            sample("linux bridge", 0, "latency p99", 12.0),
            sample(DIRECT, 1, "latency p99", 6.0),
            sample("linux bridge", 1, "latency p99", 10.0),
            sample("linux bridge", 2, "latency p99", 10.0),
        ];
        let added: Vec<_> = added_latency(&samples)
            .into_iter()
            .map(|sample| (sample.round, sample.metric, sample.value))
            .collect();
        let metric = || "added latency p99".to_owned();
        assert_eq!(added, [(0, metric(), 7.0), (1, metric(), 4.0)]);
    }
}
