//! The same number of rules loaded into the alternatives, in a network namespace of its own and
//! without traffic. They begin empty: this is loading, not replacing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cpus::Cpus;
use crate::interrupt;
use crate::process::{Process, bound_to, output};

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const PATIENCE: Duration = Duration::from_secs(20);

/// What loading took.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// From the command to its end.
    pub time: Duration,
    /// Memory of the process that holds the rules, in MiB; the kernel's is not known.
    pub memory_mib: Option<f64>,
}

/// Loads a file with `nft -f`.
///
/// # Errors
/// `nft` is missing or refuses.
pub fn nftables(rules: &Path, cpus: Cpus) -> Result<Load> {
    let mut command = bound_to(&[cpus.rest], "unshare");
    command.args(["--net", "nft", "-f"]).arg(rules);
    let begin = Instant::now();
    output(&mut command)?;
    Ok(Load {
        time: begin.elapsed(),
        memory_mib: None,
    })
}

/// Loads a file with `ovs-ofctl add-flows` into a switch of the userspace datapath.
///
/// # Errors
/// Open vSwitch is missing or refuses.
pub fn open_vswitch(rules: &Path, folder: &Path, cpus: Cpus) -> Result<Load> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let switch = Switch(folder.to_owned());
    let _database = switch.start_database(cpus)?;
    let daemon = switch.start_daemon(cpus)?;
    let bridge = "add-br bench -- set bridge bench datapath_type=netdev fail-mode=secure";
    switch.database(bridge)?;
    let mut command = bound_to(&[cpus.rest], "ovs-ofctl");
    switch.surroundings(&mut command);
    command.args(["add-flows", "bench"]).arg(rules);
    let begin = Instant::now();
    output(&mut command)?;
    Ok(Load {
        time: begin.elapsed(),
        memory_mib: Some(daemon.memory_mib()?),
    })
}

/// The directory of a switch: sockets, database, logs.
#[derive(Debug)]
struct Switch(PathBuf);

impl Switch {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn start_database(&self, cpus: Cpus) -> Result<Process> {
        let files = [self.path("conf.db"), PathBuf::from(SCHEMA)];
        output(Command::new("ovsdb-tool").arg("create").args(&files))?;
        let mut command = bound_to(&[cpus.rest], "ovsdb-server");
        command
            .arg(self.path("conf.db"))
            .arg("--no-chdir")
            .arg(format!("--remote=punix:{}", self.path("db.sock").display()))
            .arg(format!("--unixctl={}", self.path("db.ctl").display()));
        self.start("ovsdb-server", command, "db.sock")
    }

    fn start_daemon(&self, cpus: Cpus) -> Result<Process> {
        let init = "--no-wait init";
        self.database(init)?;
        // The bridge's local port is an interface: it must not appear among the machine's own.
        let mut command = bound_to(&[cpus.rest], "unshare");
        command
            .args(["--net", "ovs-vswitchd", "--no-chdir"])
            .arg(format!("unix:{}", self.path("db.sock").display()))
            .arg(format!("--unixctl={}", self.path("vswitchd.ctl").display()));
        self.start("ovs-vswitchd", command, "vswitchd.ctl")
    }

    /// Starts a program and waits for its socket.
    fn start(&self, name: &str, mut command: Command, socket: &str) -> Result<Process> {
        self.surroundings(&mut command);
        let log = self.path(&format!("{name}.log"));
        let mut process = Process::start(name, &mut command, &log)?;
        let deadline = Instant::now() + PATIENCE;
        while !self.path(socket).exists() {
            process.check()?;
            if Instant::now() > deadline {
                bail!("no {socket} after {} s", PATIENCE.as_secs());
            }
            interrupt::sleep(Duration::from_millis(20))?;
        }
        Ok(process)
    }

    fn database(&self, words: &str) -> Result<()> {
        let mut command = Command::new("ovs-vsctl");
        self.surroundings(&mut command);
        let database = format!("--db=unix:{}", self.path("db.sock").display());
        let patience = format!("--timeout={}", PATIENCE.as_secs());
        command.args([database, patience]).args(words.split(' '));
        output(&mut command).map(drop)
    }

    fn surroundings(&self, command: &mut Command) {
        for name in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"] {
            command.env(name, &self.0);
        }
    }
}
