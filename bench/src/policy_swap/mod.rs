//! Policies at scale: how long until a new one is in force, what the data path notices of it, and
//! what memory it takes.
//!
//! Wardline forwards from an endless source all the while. A fresh process gets a small policy
//! first, so that every measured one replaces another. The alternatives load as many rules into
//! an empty table.

mod peers;
mod size;
mod wardline;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use self::peers::Load;
use self::size::{Format, Size};
use self::wardline::Gateway;
use crate::cpus::{self, Cpus};
use crate::{Absent, Better, Findings, Options, Sample, Suite, interrupt};

/// The names of the systems.
pub const SYSTEMS: &[&str] = &["wardline", "open vswitch", "nftables"];
/// The names of the corner families.
pub const FAMILIES: &[&str] = &["small", "medium", "large"];

const fn size(devices: u32, rules: u32) -> Size {
    Size { devices, rules }
}

const BEFORE: Size = size(10, 2);

/// A size, how it is written, and who gets it when there is little time.
struct Corner {
    family: &'static str,
    size: Size,
    format: Format,
    /// Part of a quick run.
    quick: bool,
    /// Whether the alternatives get it, in a quick run and in a full one.
    peers: [bool; 2],
}

const CORNERS: [Corner; 4] = [
    Corner {
        family: "small",
        size: size(10, 1),
        format: Format::Json,
        quick: true,
        peers: [true, true],
    },
    Corner {
        family: "medium",
        size: size(1_000, 50),
        format: Format::Json,
        quick: true,
        peers: [true, true],
    },
    Corner {
        family: "large",
        size: size(10_000, 100),
        format: Format::Json,
        quick: true,
        peers: [false, true],
    },
    Corner {
        family: "large",
        size: size(10_000, 100),
        format: Format::Toml,
        quick: false,
        peers: [false, false],
    },
];

impl Corner {
    fn name(&self) -> String {
        format!("{}, {}", self.size.name(), self.format.name())
    }
}

/// Runs the suite.
///
/// # Errors
/// Interrupted, or files cannot be written. A system that cannot be measured is absent.
pub fn run(options: &Options) -> Result<Findings> {
    let mut run = Run {
        options,
        cpus: cpus::choose()?,
        folder: options.scratch.join("policy"),
        findings: Findings::default(),
    };
    fs::create_dir_all(&run.folder)?;
    let wanted = |c: &&Corner| options.wants(FAMILIES, c.family) && (c.quick || !options.quick);
    let corners: Vec<&Corner> = CORNERS.iter().filter(wanted).collect();
    for corner in &corners {
        run.write(corner)?;
    }
    for round in options.round() {
        for corner in &corners {
            run.visit(corner, round)?;
        }
    }
    Ok(run.findings)
}

struct Run<'a> {
    options: &'a Options,
    cpus: Cpus,
    folder: PathBuf,
    findings: Findings,
}

impl Run<'_> {
    /// Every system's turn at a corner.
    fn visit(&mut self, corner: &Corner, round: u32) -> Result<()> {
        for system in SYSTEMS {
            interrupt::check()?;
            if !self.options.wants(SYSTEMS, system) {
                continue;
            }
            let measures = match *system {
                "wardline" => self.wardline(corner),
                _ if !corner.peers[usize::from(!self.options.quick)] => continue,
                "nftables" => {
                    self.peer(corner, "nft", |rules, _, cpus| peers::nftables(rules, cpus))
                }
                _ => self.peer(corner, "of", peers::open_vswitch),
            };
            interrupt::check()?;
            match measures {
                Ok(measures) => {
                    let sample = |m: Measure| m.sample(corner.name(), system, round);
                    self.findings
                        .samples
                        .extend(measures.into_iter().map(sample));
                }
                Err(error) => self.absent(corner, system, &error),
            }
        }
        Ok(())
    }

    fn absent(&mut self, corner: &Corner, system: &str, error: &anyhow::Error) {
        let absent = Absent {
            suite: Suite::Policy,
            corner: corner.name(),
            system: system.to_owned(),
            reason: format!("{error:#}"),
        };
        // The same in every round.
        if !self.findings.absent.contains(&absent) {
            self.findings.absent.push(absent);
        }
    }

    fn wardline(&self, corner: &Corner) -> Result<Vec<Measure>> {
        /// Long enough for the conversations to begin.
        const MOMENT: Duration = Duration::from_millis(500);
        let folder = self.folder.join("wardline");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let mut gateway = Gateway::start(&folder, &self.options.programs, self.cpus)?;
        gateway.apply(&self.file(BEFORE, "json"))?;
        interrupt::sleep(MOMENT)?;
        let swap = gateway.apply(&self.file(corner.size, corner.format.ending()))?;
        interrupt::sleep(MOMENT)?;
        let without = gateway.at_rest(swap.answered)?;
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        Ok(vec![
            Measure("apply to in force", "s", swap.in_force.as_secs_f64()),
            Measure("apply to answered", "s", swap.answered.as_secs_f64()),
            Measure("data path stall", "us", us(swap.meanwhile.stall)),
            Measure("data path stall without a swap", "us", us(without.stall)),
            Measure("worker kept off its CPU", "us", us(swap.meanwhile.waited)),
            Measure(
                "worker kept off its CPU without a swap",
                "us",
                us(without.waited),
            ),
            Measure("resident memory", "MiB", gateway.memory_mib()?),
        ])
    }

    fn peer(
        &self,
        corner: &Corner,
        ending: &str,
        load: impl Fn(&Path, &Path, Cpus) -> Result<Load>,
    ) -> Result<Vec<Measure>> {
        let folder = self.folder.join("peer");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let load = load(&self.file(corner.size, ending), &folder, self.cpus)?;
        let time = load.time.as_secs_f64();
        let memory = load
            .memory_mib
            .map(|mib| Measure("resident memory", "MiB", mib));
        Ok(std::iter::once(Measure("apply to in force", "s", time))
            .chain(memory)
            .collect())
    }

    fn file(&self, size: Size, ending: &str) -> PathBuf {
        self.folder
            .join(format!("{}x{}.{ending}", size.devices, size.rules))
    }

    /// The policies of a corner, for everybody who gets them.
    fn write(&self, corner: &Corner) -> Result<()> {
        let write = |size, ending: &str, text: String| {
            let path = self.file(size, ending);
            // Written out before anything is measured, not by the kernel in the middle of it.
            fs::write(&path, text)
                .and_then(|()| File::open(&path)?.sync_all())
                .with_context(|| format!("writing {}", path.display()))
        };
        write(BEFORE, "json", BEFORE.policy(Format::Json)?)?;
        let (size, format) = (corner.size, corner.format);
        write(size, format.ending(), size.policy(format)?)?;
        if corner.peers[usize::from(!self.options.quick)] {
            write(size, "of", size.openflow()?)?;
            write(size, "nft", size.nftables()?)?;
        }
        Ok(())
    }
}

/// Metric, unit and number; of all of them less is better.
struct Measure(&'static str, &'static str, f64);

impl Measure {
    fn sample(self, corner: String, system: &str, round: u32) -> Sample {
        let Self(metric, unit, value) = self;
        Sample {
            suite: Suite::Policy,
            corner,
            system: system.to_owned(),
            round,
            metric: metric.to_owned(),
            unit: unit.to_owned(),
            value,
            better: Better::Lower,
        }
    }
}
