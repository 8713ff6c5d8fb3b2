//! Wardline itself, with everything on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::runtime::Runtime;
use wardline_control::Client;
use wardline_control::view::{SideCounters, Status};
use wardline_policy::Reason;

use super::corner::{Corner, Mix};
use super::system::{Bench, Reading, Running, System};
use super::traffic::traffic;
use crate::control::connect;
use crate::process::{Process, bound_to};

/// Bytes of a packet buffer with its description, on ordinary pages.
const BUFFER_BYTES: u64 = 2_056;
/// What DPDK and the rings take beside the buffers, in MiB.
const BESIDE_MIB: u64 = 96;

/// The fast path of this repository.
#[derive(Debug, Clone, Copy)]
pub struct Wardline {
    /// As in the samples.
    pub name: &'static str,
    /// Whether it names the devices.
    pub classifier: bool,
}

impl System for Wardline {
    fn name(&self) -> &'static str {
        self.name
    }

    fn packet_memory_mib(&self, corner: &Corner) -> u64 {
        u64::from(Bench::buffers(corner)) * BUFFER_BYTES / (1 << 20) + BESIDE_MIB
    }

    fn forwards(&self, corner: &Corner) -> f64 {
        corner.forwarded()
    }

    fn start(&self, bench: &Bench<'_>) -> Result<Box<dyn Running>> {
        let policy = bench.folder.join("policy.json");
        let document = serde_json::to_vec(&traffic(bench.corner).document())?;
        write(&policy, &document)?;
        let configuration = bench.folder.join("fastpath.toml");
        write(&configuration, self.configuration(bench).as_bytes())?;
        // It binds its worker itself, to a CPU it must be allowed to use.
        let cpus = [bench.cpus.rest, bench.cpus.packets];
        let mut command = bound_to(&cpus, bench.programs.join("wardline-fastpath"));
        command.arg("--config").arg(&configuration);
        let log = bench.folder.join("fastpath.log");
        let mut process = Process::start(self.name(), &mut command, &log)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let socket = bench.folder.join("control.sock");
        let client = connect(&runtime, &socket, &mut process)?;
        Ok(Box::new(RunningWardline {
            process,
            runtime,
            client,
            expected: expected(bench.corner.mix),
        }))
    }
}

impl Wardline {
    fn configuration(&self, bench: &Bench<'_>) -> String {
        let [ward, core] = bench.ports();
        let folder = bench.folder.display();
        let memory = self.packet_memory_mib(bench.corner);
        let buffers = Bench::buffers(bench.corner);
        let huge = if bench.huge_pages { "require" } else { "never" };
        let cpu = bench.cpus.packets;
        let classifier = self.classifier;
        // Room for half as many again: the part for half-open conversations is not for these.
        let flows = (bench.corner.flows + bench.corner.flows / 2).max(262_144);
        format!(
            r#"
[ports.ward]
driver = "devargs"
devargs = "{ward}"
[ports.core]
driver = "devargs"
devargs = "{core}"
[workers]
poll = "busy"
cores = [{cpu}]
[memory]
mib = {memory}
huge_pages = "{huge}"
buffers = {buffers}
[control]
socket = "{folder}/control.sock"
[state]
dir = "{folder}/state"
heartbeat = "{folder}/heartbeat"
[policy]
initial = "{folder}/policy.json"
[classifier]
enabled = {classifier}
[limits]
flows = {flows}
flows_per_device = {flows}
"#
        )
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

/// The reasons frames may have once every conversation is known.
fn expected(mix: Mix) -> &'static [Reason] {
    match mix {
        Mix::Allowed => &[Reason::Established],
        Mix::HalfDenied => &[Reason::Established, Reason::NoRule],
        Mix::Denied => &[Reason::NoRule],
    }
}

#[derive(Debug)]
struct RunningWardline {
    process: Process,
    runtime: Runtime,
    client: Client,
    expected: &'static [Reason],
}

impl Running for RunningWardline {
    fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn read(&mut self) -> Result<Reading> {
        self.process.check()?;
        let status = self.runtime.block_on(self.client.status())?;
        Ok(reading(&status, self.expected))
    }
}

fn reading(status: &Status, expected: &[Reason]) -> Reading {
    let sides: [&SideCounters; 2] = [&status.counters.ward, &status.counters.core];
    let mut amiss = BTreeMap::new();
    for (reason, count) in sides.into_iter().flat_map(|side| &side.by_reason) {
        if !expected.contains(reason) {
            *amiss.entry(reason.name().to_owned()).or_default() += count;
        }
    }
    // The worker's own clock, read with its counters.
    let at = status.workers.first().map_or(0, |w| w.elapsed_ns);
    Reading {
        at: Duration::from_nanos(at),
        received: sides.iter().map(|side| side.received).sum(),
        forwarded: sides.iter().map(|side| side.forwarded).sum(),
        amiss,
    }
}
