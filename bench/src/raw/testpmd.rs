//! DPDK's own forwarder: the ceiling of what the ports give.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::corner::Corner;
use super::system::{Bench, Reading, Running, System};
use crate::interrupt;
use crate::process::{Process, bound_to};

/// Bytes for the frame in a packet buffer: testpmd's own default, and a smaller one.
const ROOM: u32 = 2_176;
const SMALL_ROOM: u32 = 512;
/// Bytes of a packet buffer beside that.
const BESIDE_BYTES: u32 = 320;
/// What DPDK and the rings take beside the buffers, in MiB.
const BESIDE_MIB: u64 = 96;
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// `dpdk-testpmd` in one of its forwarding modes.
#[derive(Debug, Clone, Copy)]
pub struct Testpmd {
    /// As in the samples.
    pub name: &'static str,
    /// What `--forward-mode` gets.
    pub mode: &'static str,
}

impl System for Testpmd {
    fn name(&self) -> &'static str {
        self.name
    }

    fn packet_memory_mib(&self, corner: &Corner) -> u64 {
        let bytes = u64::from(room(corner) + BESIDE_BYTES);
        u64::from(Bench::buffers(corner)) * bytes / (1 << 20) + BESIDE_MIB
    }

    fn forwards(&self, _: &Corner) -> f64 {
        1.0
    }

    fn start(&self, bench: &Bench<'_>) -> Result<Box<dyn Running>> {
        let log = bench.folder.join("testpmd.log");
        let memory = self.packet_memory_mib(bench.corner).to_string();
        // Whole lines at once, though it does not write to a terminal.
        let mut command = bound_to(&[bench.cpus.rest], "stdbuf");
        command.args(["-oL", "dpdk-testpmd", "--lcores"]);
        command.arg(format!("0@{},1@{}", bench.cpus.rest, bench.cpus.packets));
        command.args(memory_arguments(bench.huge_pages));
        command.args(["-m", &memory, "--no-pci", "--no-telemetry"]);
        for port in bench.ports() {
            command.args(["--vdev", &port]);
        }
        command.args(["--", "--interactive", "--nb-cores=1"]);
        command.arg(format!("--forward-mode={}", self.mode));
        command.arg(format!(
            "--total-num-mbufs={}",
            Bench::buffers(bench.corner)
        ));
        command.stdin(Stdio::piped());
        let mut running = RunningTestpmd {
            process: Process::start(self.name, &mut command, &log)?,
            read: 0,
            begin: Instant::now(),
        };
        running.say("start")?;
        Ok(Box::new(running))
    }
}

/// With a million frames in memory twice, the size of a buffer decides whether they fit.
fn room(corner: &Corner) -> u32 {
    if corner.needs_small_buffers() {
        SMALL_ROOM
    } else {
        ROOM
    }
}

/// How DPDK programs are told where their memory comes from.
fn memory_arguments(huge_pages: bool) -> &'static [&'static str] {
    if huge_pages {
        &["--in-memory"]
    } else {
        // DPDK 22.11 refuses --in-memory with ordinary pages.
        &["--no-huge", "--no-shconf"]
    }
}

#[derive(Debug)]
struct RunningTestpmd {
    process: Process,
    /// Bytes of its output that were looked at.
    read: usize,
    begin: Instant,
}

impl RunningTestpmd {
    fn say(&mut self, command: &str) -> Result<()> {
        self.process.check()?;
        let input = self.process.input().context("testpmd has no input")?;
        writeln!(input, "{command}").context("testpmd does not listen")
    }
}

impl Running for RunningTestpmd {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn read(&mut self) -> Result<Reading> {
        let asked = self.begin.elapsed();
        self.say("show port stats all")?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let output = fs::read(self.process.log()).context("reading testpmd's output")?;
            let news = String::from_utf8_lossy(&output[self.read.min(output.len())..]);
            if let Some([received, forwarded, amiss]) = statistics(&news) {
                let at = (asked + self.begin.elapsed()) / 2;
                self.read = output.len();
                return Ok(Reading {
                    at,
                    received,
                    forwarded,
                    amiss: [("missed or damaged".to_owned(), amiss)].into(),
                });
            }
            self.process.check()?;
            interrupt::sleep(Duration::from_millis(1))?;
        }
        bail!("testpmd did not answer in {} s", PATIENCE.as_secs());
    }
}

/// Received, sent and amiss of both ports together, once the whole answer is there.
fn statistics(output: &str) -> Option<[u64; 3]> {
    let sum = |name: &str| {
        let values: Vec<u64> = output
            .split(name)
            .skip(1)
            .filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
            .collect();
        (values.len() == 2).then(|| values.iter().sum::<u64>())
    };
    // The last line of a port's answer; it is there when all is.
    let complete = output.matches("Tx-bps:").count() == 2;
    let amiss = sum("RX-missed:")? + sum("RX-errors:")? + sum("RX-nombuf:")? + sum("TX-errors:")?;
    complete.then_some([sum("RX-packets:")?, sum("TX-packets:")?, amiss])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: &str = "\
  ######################## NIC statistics for port 0  ########################
  RX-packets: 100        RX-missed: 1          RX-bytes:  6000
  RX-errors: 2
  RX-nombuf:  3
  TX-packets: 90         TX-errors: 4          TX-bytes:  5400

  Throughput (since last show)
  Rx-pps:     59824103          Rx-bps:  28715569520
  Tx-pps:     59824103          Tx-bps:  28715569520
  ############################################################################
";

    #[test]
    fn both_ports_are_added_up() {
        assert_eq!(statistics(&PORT.repeat(2)), Some([200, 180, 20]));
    }

    #[test]
    fn half_an_answer_is_none() {
        assert_eq!(statistics(PORT), None);
        let text = PORT.repeat(2);
        let cut = text.rfind("Tx-bps").unwrap();
        assert_eq!(statistics(&text[..cut]), None);
    }
}
