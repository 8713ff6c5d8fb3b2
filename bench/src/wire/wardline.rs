//! Wardline as it is shipped: the process, its configuration and its control socket.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use wardline_control::{Client, Status};
use wardline_policy::Reason;

use super::lane::{Reset, System};
use super::plan;
use super::space::Namespace;
use crate::interrupt;
use crate::process::{Process, bound_to};

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How it reaches its interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Through AF_XDP, in front of a kernel bridge that takes over when the process is gone.
    AfXdp,
    /// Through AF_PACKET. No bridge: it would forward each frame a second time.
    AfPacket,
}

/// What differs between gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Its driver.
    pub port: Port,
    /// What its worker does without frames: `busy` or `adaptive`.
    pub poll: &'static str,
    /// The core of its worker, and of all its other threads.
    pub cpu: usize,
}

/// A running gateway.
#[derive(Debug)]
pub struct Wardline {
    process: Option<Process>,
    cpu: usize,
    program: PathBuf,
    folder: PathBuf,
    prefix: Vec<String>,
    runtime: tokio::runtime::Runtime,
}

impl Wardline {
    /// Starts it between `ward0` and `core0`, with the allowlist enforced.
    ///
    /// # Errors
    /// What did not come up, with the end of its log.
    pub fn start(
        space: &Namespace,
        program: &Path,
        folder: &Path,
        settings: Settings,
    ) -> Result<Self> {
        ensure!(
            program.exists(),
            "there is no {}: build it with `cargo build -p wardline-fastpath`",
            program.display()
        );
        if settings.port == Port::AfXdp {
            space.shell(
                "ip link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
                 for port in ward0 core0; do ip link set $port master br0; done\n\
                 ip link set br0 addrgenmode none up",
            )?;
        }
        configure(folder, settings)?;
        let mut wardline = Self {
            process: None,
            cpu: settings.cpu,
            program: program.to_owned(),
            folder: folder.to_owned(),
            prefix: space.prefix().map(str::to_owned).to_vec(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        };
        wardline.launch()?;
        Ok(wardline)
    }

    fn launch(&mut self) -> Result<()> {
        let socket = self.folder.join("control.sock");
        if socket.exists() {
            fs::remove_file(&socket).with_context(|| socket.display().to_string())?;
        }
        let mut command = bound_to(&[self.cpu], &self.prefix[0]);
        command
            .args(&self.prefix[1..])
            .arg(&self.program)
            .arg("--config")
            .arg(self.folder.join("fastpath.toml"));
        let log = self.folder.join("fastpath.log");
        let process = self
            .process
            .insert(Process::start("wardline-fastpath", &mut command, &log)?);
        let deadline = Instant::now() + START_LIMIT;
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            process.check()?;
            ensure!(
                Instant::now() < deadline,
                "wardline-fastpath does not answer after {} s, see {}",
                START_LIMIT.as_secs(),
                log.display()
            );
            interrupt::sleep(Duration::from_millis(5))?;
        }
        Ok(())
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// It does not answer.
    pub fn status(&self) -> Result<Status> {
        let socket = self.folder.join("control.sock");
        self.runtime.block_on(async {
            let client = Client::connect(&socket, "wardline-bench").await?;
            Ok(client.status().await?)
        })
    }
}

impl System for Wardline {
    fn pause(&mut self) -> Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::pause)
    }

    fn resume(&mut self) -> Result<()> {
        let process = self.process.as_mut().context("it is not running")?;
        process.check()?;
        process.resume()
    }

    fn established(&mut self) -> Result<Option<u64>> {
        let counters = self.status()?.counters;
        let known = [&counters.ward, &counters.core]
            .map(|side| side.by_reason.get(&Reason::Established).copied())
            .map(Option::unwrap_or_default);
        Ok(Some(known.iter().sum()))
    }

    fn resets(&self) -> &'static [Reset] {
        &[Reset::Planned, Reset::Killed]
    }

    fn reset(&mut self, how: Reset, _space: &Namespace) -> Result<()> {
        if how == Reset::Killed
            && let Some(process) = &mut self.process
        {
            process.kill();
        }
        // Dropping it ends it in order, if it still runs.
        self.process = None;
        self.launch()
    }
}

fn configure(folder: &Path, settings: Settings) -> Result<()> {
    let Settings { port, poll, cpu } = settings;
    let driver = match port {
        Port::AfXdp => "af_xdp",
        Port::AfPacket => "af_packet",
    };
    let folder_name = folder.display();
    let config = format!(
        "[ports.ward]\ndriver = \"{driver}\"\ninterface = \"ward0\"\n\n\
         [ports.core]\ndriver = \"{driver}\"\ninterface = \"core0\"\n\n\
         [workers]\npoll = \"{poll}\"\ncores = [{cpu}]\n\n\
         [memory]\nhuge_pages = \"never\"\n\n\
         [control]\nsocket = \"{folder_name}/control.sock\"\n\n\
         [state]\ndir = \"{folder_name}/state\"\nheartbeat = \"{folder_name}/heartbeat\"\n\n\
         [policy]\ninitial = \"{folder_name}/policy.toml\"\n"
    );
    fs::create_dir_all(folder.join("state")).context("a folder for the state")?;
    for (name, text) in [("policy.toml", plan::policy()), ("fastpath.toml", config)] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
