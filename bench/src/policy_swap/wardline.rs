//! Wardline under full load, while another policy comes into force.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use etherparse::PacketBuilder;
use tokio::runtime::Runtime;
use wardline_capture::{Packet, PcapngWriter};
use wardline_control::{Client, EventKind};

use super::size::{mac, port, server};
use crate::control::connect;
use crate::cpus::Cpus;
use crate::interrupt;
use crate::process::{Process, bound_to};

/// Devices whose frames are under way, in every size of policy allowed by their first rule.
const TALKERS: u32 = 10;
/// Number of the first rule of a device, counted over all.
const RULES: u32 = 100;
/// Frames of each device.
const CONVERSATIONS: u32 = 100;
/// How long a policy may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for events in one call, in milliseconds.
const WAIT_MS: u32 = 200;
/// DPDK's name for the thread of the first worker.
const WORKER: &str = "rte-worker-1";
const MEMORY_MIB: u32 = 256;
const BUFFERS: u32 = 16_384;

/// A running fast path with frames that never end.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    runtime: Runtime,
    client: Client,
    folder: PathBuf,
    programs: PathBuf,
    cpus: Cpus,
}

/// What a change of policy took.
#[derive(Debug, Clone, Copy)]
pub struct Swap {
    /// From the command to the policy in force on the worker.
    pub in_force: Duration,
    /// From the command to its end: in force and saved.
    pub answered: Duration,
    /// What happened to the data path meanwhile.
    pub meanwhile: DataPath,
}

/// What happened to the data path in a stretch of time.
#[derive(Debug, Clone, Copy)]
pub struct DataPath {
    /// Longest round of the worker.
    pub stall: Duration,
    /// How long the worker was ready to run while something else had its CPU.
    pub waited: Duration,
}

impl Gateway {
    /// Starts it in an empty folder.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(folder: &Path, programs: &Path, cpus: Cpus) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let capture = folder.join("ward.pcapng");
        write_frames(&capture)?;
        let configuration = folder.join("fastpath.toml");
        fs::write(&configuration, configure(folder, &capture, cpus))
            .with_context(|| format!("writing {}", configuration.display()))?;
        // It binds its worker itself, to a CPU it must be allowed to use.
        let mut command = bound_to(
            &[cpus.rest, cpus.packets],
            programs.join("wardline-fastpath"),
        );
        command.arg("--config").arg(&configuration);
        let log = folder.join("fastpath.log");
        let mut process = Process::start("wardline", &mut command, &log)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = connect(&runtime, &folder.join("control.sock"), &mut process)?;
        Ok(Self {
            process,
            runtime,
            client,
            folder: folder.to_owned(),
            programs: programs.to_owned(),
            cpus,
        })
    }

    /// Applies a policy as a person does, with `wardline policy apply`.
    ///
    /// # Errors
    /// It is refused, or does not come into force.
    pub fn apply(&mut self, policy: &Path) -> Result<Swap> {
        let mut next = self.last_event()?;
        let before = self.look()?;
        let mut command = bound_to(&[self.cpus.rest], self.programs.join("wardline"));
        command
            .args(["policy", "apply"])
            .arg(policy)
            .arg("--socket")
            .arg(self.folder.join("control.sock"));
        let begin = Instant::now();
        let mut apply = Process::start("apply", &mut command, &self.folder.join("apply.log"))?;
        let in_force = loop {
            interrupt::check()?;
            let ended = apply.ended()?;
            let batch = self
                .runtime
                .block_on(self.client.events(next, 1_000, WAIT_MS))?;
            let applied = |kind: &EventKind| matches!(kind, EventKind::PolicyApplied { .. });
            if batch.events.iter().any(|event| applied(&event.kind)) {
                break begin.elapsed();
            }
            if let Some(status) = ended {
                bail!("no policy came into force, and `wardline` {status}");
            }
            if begin.elapsed() > PATIENCE {
                bail!("no policy came into force in {} s", PATIENCE.as_secs());
            }
            next = batch.next_seq;
        };
        apply.wait(PATIENCE)?;
        let answered = begin.elapsed();
        Ok(Swap {
            in_force,
            answered,
            meanwhile: self.since(&before)?,
        })
    }

    /// What happens to the data path when nobody changes anything for so long.
    ///
    /// # Errors
    /// It does not answer, or forwards nothing.
    pub fn at_rest(&mut self, time: Duration) -> Result<DataPath> {
        let before = self.look()?;
        interrupt::sleep(time)?;
        self.since(&before)
    }

    fn since(&mut self, before: &DataPath) -> Result<DataPath> {
        let now = self.look()?;
        Ok(DataPath {
            waited: now.waited - before.waited,
            ..now
        })
    }

    /// Longest round since the last look, and how long the worker has waited since its start.
    fn look(&mut self) -> Result<DataPath> {
        Ok(DataPath {
            stall: self.longest_round()?,
            waited: self.process.waited(WORKER)?,
        })
    }

    fn longest_round(&mut self) -> Result<Duration> {
        self.process.check()?;
        let status = self.runtime.block_on(self.client.status())?;
        if status.counters.ward.forwarded == 0 {
            bail!("no frame was forwarded");
        }
        let longest = status.workers.iter().map(|w| w.longest_round_ns).max();
        Ok(Duration::from_nanos(longest.unwrap_or(0)))
    }

    /// Memory it holds, in MiB.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory_mib(&self) -> Result<f64> {
        self.process.memory_mib()
    }

    /// The number after that of the newest event.
    fn last_event(&self) -> Result<u64> {
        let mut next = 0;
        loop {
            let batch = self.runtime.block_on(self.client.events(next, 1_000, 0))?;
            if batch.events.is_empty() {
                return Ok(batch.next_seq);
            }
            next = batch.next_seq;
        }
    }
}

fn configure(folder: &Path, capture: &Path, cpus: Cpus) -> String {
    let (folder, capture, cpu) = (folder.display(), capture.display(), cpus.packets);
    format!(
        r#"
[ports.ward]
driver = "devargs"
devargs = "net_pcap0,rx_pcap={capture},infinite_rx=1"
[ports.core]
driver = "devargs"
devargs = "net_null1,no-rx=1"
[workers]
poll = "busy"
cores = [{cpu}]
[memory]
mib = {MEMORY_MIB}
huge_pages = "never"
buffers = {BUFFERS}
[control]
socket = "{folder}/control.sock"
[state]
dir = "{folder}/state"
heartbeat = "{folder}/heartbeat"
"#
    )
}

fn write_frames(path: &Path) -> Result<()> {
    let doing = || format!("writing {}", path.display());
    let file = BufWriter::new(File::create(path).with_context(doing)?);
    let mut writer = PcapngWriter::new(file, "wardline-bench", &["frames"])?;
    for number in 0..TALKERS * CONVERSATIONS {
        let (device, conversation) = (number % TALKERS, number / TALKERS);
        let rule = device * RULES;
        let source_port = 20_000 + conversation as u16;
        let builder = PacketBuilder::ethernet2(mac(device).0, [2, 0, 0, 0, 0, 1])
            .ipv4([10, 200, 0, device as u8 + 1], server(rule).octets(), 64)
            .udp(source_port, port(rule));
        let payload = [0; 18];
        let mut data = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut data, &payload)?;
        let packet = Packet {
            time_ns: 0,
            data: &data,
            original_bytes: u32::try_from(data.len())?,
            interface: 0,
        };
        writer.write(&packet, None).with_context(doing)?;
    }
    writer.finish().with_context(doing)?;
    Ok(())
}
