//! Open vSwitch with connection tracking and the allowlist as OpenFlow rules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::lane::System;
use super::space::Namespace;
use crate::interrupt;
use crate::process::{Process, bound_to, output};

/// How long a part may take to start.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Statistics of rules come from the data path with a delay of this order.
const STATISTICS: Duration = Duration::from_millis(1_500);

/// The userspace data path on AF_XDP sockets. Dropping it ends its processes.
#[derive(Debug)]
pub struct OpenVswitch {
    // In this order they end.
    switch: Process,
    _database: Process,
    folder: PathBuf,
    prefix: Vec<String>,
}

/// Why the kernel's own data path of Open vSwitch is not measured; none if the kernel has it.
pub fn without_kernel_datapath() -> Option<String> {
    let there = Path::new("/sys/module/openvswitch").exists()
        || output(Command::new("modprobe").arg("openvswitch")).is_ok();
    (!there).then(|| "the kernel has no module openvswitch (CONFIG_OPENVSWITCH)".to_owned())
}

impl OpenVswitch {
    /// Starts it between `ward0` and `core0`, which are its ports 1 and 2, with OpenFlow rules.
    ///
    /// # Errors
    /// What did not come up.
    pub fn start(space: &Namespace, folder: &Path, cpu: usize, rules: &str) -> Result<Self> {
        ensure!(
            output(Command::new("ovs-vswitchd").arg("--version")).is_ok(),
            "the package openvswitch-switch is not installed"
        );
        let prefix = space.prefix().map(str::to_owned).to_vec();
        let database = start_database(&prefix, folder, cpu)?;
        let switch = start_switch(&prefix, folder, cpu)?;
        let switch = Self {
            switch,
            _database: database,
            folder: folder.to_owned(),
            prefix,
        };
        switch.configure(rules)?;
        Ok(switch)
    }

    fn configure(&self, text: &str) -> Result<()> {
        let rules = self.folder.join("openflow.txt");
        fs::write(&rules, text).with_context(|| format!("writing {}", rules.display()))?;
        let mut words =
            vec!["add-br br0 -- set bridge br0 datapath_type=netdev fail-mode=secure".to_owned()];
        for (number, port) in ["ward0", "core0"].into_iter().enumerate() {
            words.push(format!(
                "-- add-port br0 {port} -- set interface {port} type=afxdp ofport_request={} \
                 options:xdp-mode=native options:n_rxq=1",
                number + 1
            ));
        }
        self.vsctl(&words.join(" "))?;
        for port in ["ward0", "core0"] {
            let error = self.vsctl(&format!("get interface {port} error"))?;
            ensure!(error.trim() == "[]", "port {port}: {}", error.trim());
        }
        let rules = rules.display().to_string();
        self.ofctl(&["add-flows", "br0", &rules]).map(drop)
    }

    fn vsctl(&self, words: &str) -> Result<String> {
        vsctl(&self.prefix, &self.folder, words)
    }

    fn ofctl(&self, words: &[&str]) -> Result<String> {
        let mut command = inside(&self.prefix, &self.folder, "ovs-ofctl");
        output(command.args(words))
    }
}

impl System for OpenVswitch {
    fn pause(&mut self) -> Result<()> {
        self.switch.pause()
    }

    fn resume(&mut self) -> Result<()> {
        self.switch.check()?;
        self.switch.resume()
    }

    fn established(&mut self) -> Result<Option<u64>> {
        interrupt::sleep(STATISTICS)?;
        Ok(Some(established(&self.ofctl(&["dump-flows", "br0"])?)))
    }
}

fn start_database(prefix: &[String], folder: &Path, cpu: usize) -> Result<Process> {
    let file = folder.join("conf.db");
    output(
        Command::new("ovsdb-tool")
            .arg("create")
            .arg(&file)
            .arg("/usr/share/openvswitch/vswitch.ovsschema"),
    )?;
    let mut command = bound_inside(prefix, folder, cpu, "ovsdb-server");
    command
        .arg(&file)
        .arg(format!(
            "--remote=punix:{}",
            folder.join("db.sock").display()
        ))
        .arg(format!("--unixctl={}", folder.join("db.ctl").display()));
    let mut database = Process::start("ovsdb-server", &mut command, &folder.join("ovsdb.log"))?;
    wait_for(&mut database, &folder.join("db.sock"))?;
    vsctl(
        prefix,
        folder,
        &format!(
            "--no-wait init -- set Open_vSwitch . other_config:pmd-cpu-mask={:#x}",
            1_u64 << cpu
        ),
    )?;
    Ok(database)
}

fn start_switch(prefix: &[String], folder: &Path, cpu: usize) -> Result<Process> {
    let mut command = bound_inside(prefix, folder, cpu, "ovs-vswitchd");
    command
        .arg(database(folder))
        .arg("--no-chdir")
        .arg(format!("--unixctl={}", folder.join("switch.ctl").display()));
    let mut switch = Process::start("ovs-vswitchd", &mut command, &folder.join("switch.log"))?;
    wait_for(&mut switch, &folder.join("switch.ctl"))?;
    Ok(switch)
}

fn wait_for(process: &mut Process, socket: &Path) -> Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    while !socket.exists() {
        process.check()?;
        ensure!(
            Instant::now() < deadline,
            "no {} after {} s",
            socket.display(),
            START_LIMIT.as_secs()
        );
        interrupt::sleep(Duration::from_millis(10))?;
    }
    Ok(())
}

fn vsctl(prefix: &[String], folder: &Path, words: &str) -> Result<String> {
    let mut command = inside(prefix, folder, "ovs-vsctl");
    command
        .args(["--timeout=10", &format!("--db={}", database(folder))])
        .args(words.split_whitespace());
    output(&mut command)
}

fn database(folder: &Path) -> String {
    format!("unix:{}", folder.join("db.sock").display())
}

/// A command in the switch's namespace with the switch's own run directory.
fn inside(prefix: &[String], folder: &Path, program: &str) -> Command {
    let mut command = Command::new(&prefix[0]);
    command.args(&prefix[1..]).arg(program);
    own_folder(&mut command, folder);
    command
}

fn bound_inside(prefix: &[String], folder: &Path, cpu: usize, program: &str) -> Command {
    let mut command = bound_to(&[cpu], &prefix[0]);
    command.args(&prefix[1..]).arg(program);
    own_folder(&mut command, folder);
    command
}

fn own_folder(command: &mut Command, folder: &Path) {
    for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"] {
        command.env(variable, folder);
    }
}

/// Packets of the rules for known conversations.
fn established(flows: &str) -> u64 {
    flows
        .lines()
        .filter(|line| line.contains("ct_state=+est+trk") || line.contains("ct_state=+trk+est"))
        .filter_map(|line| {
            line.split("n_packets=")
                .nth(1)?
                .split(',')
                .next()?
                .parse::<u64>()
                .ok()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_known_conversations_are_added_up() {
        let flows = " cookie=0x0, duration=1.1s, table=0, n_packets=9, n_bytes=9, priority=50,ip \
                     actions=ct(table=1)\n cookie=0x0, duration=1.1s, table=1, n_packets=40, \
                     n_bytes=2400, priority=100,ct_state=+est+trk,ip,in_port=1 actions=output:2\n \
                     cookie=0x0, duration=1.1s, table=1, n_packets=2, n_bytes=120, \
                     priority=100,ct_state=+est+trk,ip,in_port=2 actions=output:1\n";
        assert_eq!(established(flows), 42);
    }
}
