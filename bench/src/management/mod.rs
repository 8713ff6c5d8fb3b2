//! The management plane under load: how long lists, search and map take with many devices and a
//! long flow history, beside listeners to the event stream.
//!
//! The same questions are asked of a small and of a large history in one run, so that what a
//! machine is worth falls out of the comparison. A fast path is not needed: what it would tell is
//! written to the history meanwhile, by the same function.

mod fill;
mod load;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::process::Process;

pub use load::{Figure, Outcome};
pub use table::table;

/// How long the program may take to answer for the first time.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How much there is, smallest first.
    pub sizes: Vec<Size>,
    /// Requests of each kind.
    pub requests: u32,
    /// Requests under way at a time.
    pub connections: usize,
    /// Listeners to the event stream.
    pub listeners: usize,
    /// Decides what is asked for.
    pub seed: u64,
    /// Where our programs lie.
    pub programs: PathBuf,
    /// Where the databases are made; those that are there are used again.
    pub folder: PathBuf,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Devices.
    pub devices: u32,
    /// Records of the flow history, about.
    pub records: u64,
}

/// Everything of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// The seed.
    pub seed: u64,
    /// Requests under way at a time.
    pub connections: usize,
    /// Listeners.
    pub listeners: usize,
    /// For each size, smallest first.
    pub outcomes: Vec<Outcome>,
}

/// Measures each size in turn.
///
/// # Errors
/// When the program does not start, or answers something else than it should.
pub fn run(plan: &Plan) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut outcomes = Vec::new();
    for size in &plan.sizes {
        let folder = plan
            .folder
            .join(format!("{}-{}", size.devices, size.records));
        fs::create_dir_all(&folder)?;
        runtime.block_on(fill::fill(&folder.join("state"), *size))?;
        let server = Server::start(&plan.programs, &folder)?;
        outcomes.push(runtime.block_on(load::load(plan, *size, &server))?);
    }
    Ok(Measured {
        seed: plan.seed,
        connections: plan.connections,
        listeners: plan.listeners,
        outcomes,
    })
}

/// A management plane that answers.
#[derive(Debug)]
pub struct Server {
    process: Process,
    state: PathBuf,
    address: String,
    certificate: Vec<u8>,
    token: String,
}

/// What it says when it is ready.
#[derive(Debug, Deserialize)]
struct Ready {
    address: String,
    ca_certificate: PathBuf,
}

impl Server {
    fn start(programs: &Path, folder: &Path) -> Result<Self> {
        let (config, ready) = (folder.join("mgmt.toml"), folder.join("ready.json"));
        let state = folder.join("state");
        // A single client asks for more than any person would.
        let text = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n[state]\ndir = \"{}\"\n\
             [fastpath]\nsocket = \"{}\"\n[limits]\nrequests_per_second = 1000000\n",
            state.display(),
            folder.join("nobody.sock").display()
        );
        fs::write(&config, text)?;
        if ready.exists() {
            fs::remove_file(&ready)?;
        }
        let program = programs.join("wardline-mgmt");
        let token = make_token(&program, &config)?;
        let mut command = Command::new(&program);
        command
            .arg("--config")
            .arg(&config)
            .arg("--ready")
            .arg(&ready);
        command.stdin(Stdio::null());
        let mut process = Process::start("wardline-mgmt", &mut command, &folder.join("log"))?;
        let deadline = Instant::now() + START_LIMIT;
        while !ready.exists() {
            process.check()?;
            ensure!(Instant::now() < deadline, "wardline-mgmt does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        let ready: Ready = serde_json::from_str(&fs::read_to_string(&ready)?)?;
        Ok(Self {
            process,
            state,
            address: ready.address,
            certificate: fs::read(&ready.ca_certificate)?,
            token,
        })
    }
}

fn make_token(program: &Path, config: &Path) -> Result<String> {
    let mut command = Command::new(program);
    command
        .arg("--config")
        .arg(config)
        .args(["token", "create"]);
    let name = format!("load-{}", jiff::Timestamp::now().as_nanosecond());
    command.args(["--name", &name, "--role", "administrator", "--hours", "24"]);
    let output = command
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    if !output.status.success() {
        bail!(
            "no token: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
