//! Open vSwitch with its DPDK datapath, in a namespace and with a database of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::allowlist;
use super::corner::Corner;
use super::system::{Bench, Reading, Running, System};
use crate::cpus::Cpus;
use crate::interrupt;
use crate::process::{Process, bound_to, output};

/// Where Debian puts the variant with DPDK.
const VSWITCHD: &str = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk";
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// Its packet pool: so many buffers at most, whatever the ports need.
const BUFFERS_MAX: u32 = 262_144;
/// What they take.
const MEMORY_MIB: u64 = 1_024;
/// How long an answer may take: while its ports are set up, every frame goes through its slow path.
const PATIENCE: Duration = Duration::from_secs(60);
/// Conversations to track at most: the default of 3 M, said so that it cannot change unnoticed.
const CONNECTIONS_MAX: u32 = 3_000_000;

/// Open vSwitch with some rules.
#[derive(Debug, Clone, Copy)]
pub struct Ovs {
    /// As in the samples.
    pub name: &'static str,
    /// Whether it tracks connections and holds the allowlist, or forwards port to port.
    pub allowlist: bool,
}

impl System for Ovs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn packet_memory_mib(&self, _: &Corner) -> u64 {
        MEMORY_MIB
    }

    fn forwards(&self, corner: &Corner) -> f64 {
        if self.allowlist {
            corner.forwarded()
        } else {
            1.0
        }
    }

    fn start(&self, bench: &Bench<'_>) -> Result<Box<dyn Running>> {
        let needed = Bench::buffers(bench.corner);
        if needed > BUFFERS_MAX {
            bail!(
                "its packet pool has {BUFFERS_MAX} buffers at most, and {needed} are needed for the \
                 frames that both ports keep"
            );
        }
        let folder = Folder(bench.folder.to_owned());
        let database = folder.start_database(bench.cpus)?;
        folder.configure(bench)?;
        let mut switch = folder.start_switch(bench.cpus)?;
        folder.wait_for("vswitchd.ctl", &mut switch)?;
        folder.add_ports(bench, &mut switch)?;
        folder.add_rules(if self.allowlist {
            allowlist::openflow(bench.corner)
        } else {
            allowlist::FORWARD.to_owned()
        })?;
        if self.allowlist {
            let most = CONNECTIONS_MAX.to_string();
            folder.ask(&["dpctl/ct-set-maxconns", &most])?;
        }
        Ok(Box::new(RunningOvs {
            switch,
            _database: database,
            folder,
            begin: Instant::now(),
        }))
    }
}

/// The switch's own directory: sockets, database, logs.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn start_database(&self, cpus: Cpus) -> Result<Process> {
        output(
            Command::new("ovsdb-tool")
                .arg("create")
                .args([&self.path("conf.db"), Path::new(SCHEMA)]),
        )?;
        let mut command = bound_to(&[cpus.rest], "ovsdb-server");
        command
            .arg(self.path("conf.db"))
            .arg("--no-chdir")
            .arg(format!("--remote=punix:{}", self.path("db.sock").display()))
            .arg(format!("--unixctl={}", self.path("db.ctl").display()));
        self.surroundings(&mut command);
        let log = self.path("ovsdb-server.log");
        let mut process = Process::start("ovsdb-server", &mut command, &log)?;
        self.wait_for("db.sock", &mut process)?;
        Ok(process)
    }

    fn start_switch(&self, cpus: Cpus) -> Result<Process> {
        // The bridge's local port is an interface: it must not appear among the machine's own.
        let mut command = bound_to(&[cpus.rest], "unshare");
        command
            .args(["--net", VSWITCHD, "--no-chdir"])
            .arg(format!("unix:{}", self.path("db.sock").display()))
            .arg(format!("--unixctl={}", self.path("vswitchd.ctl").display()));
        self.surroundings(&mut command);
        Process::start("ovs-vswitchd", &mut command, &self.path("vswitchd.log"))
    }

    fn surroundings(&self, command: &mut Command) {
        for name in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"] {
            command.env(name, &self.0);
        }
    }

    fn wait_for(&self, socket: &str, process: &mut Process) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.path(socket).exists() {
            process.check()?;
            if Instant::now() > deadline {
                bail!("no {socket} after {} s", PATIENCE.as_secs());
            }
            interrupt::sleep(Duration::from_millis(20))?;
        }
        Ok(())
    }

    fn configure(&self, bench: &Bench<'_>) -> Result<()> {
        let mask = |cpu: usize| format!("{:#x}", 1u128 << cpu);
        let extra = if bench.huge_pages {
            "--no-pci --no-telemetry".to_owned()
        } else {
            format!("--no-pci --no-telemetry --no-huge --no-shconf -m {MEMORY_MIB}")
        };
        let mut settings = vec![
            "other_config:dpdk-init=true".to_owned(),
            format!("other_config:pmd-cpu-mask={}", mask(bench.cpus.packets)),
            format!("other_config:dpdk-lcore-mask={}", mask(bench.cpus.rest)),
            format!("other_config:dpdk-extra=\"{extra}\""),
        ];
        if bench.huge_pages {
            settings.push(format!("other_config:dpdk-socket-mem=\"{MEMORY_MIB}\""));
        }
        let init = ["--no-wait", "init"].map(str::to_owned);
        self.database(&init)?;
        let set = ["--no-wait", "set", "Open_vSwitch", "."].map(str::to_owned);
        self.database(&[&set[..], &settings].concat())?;
        Ok(())
    }

    fn add_ports(&self, bench: &Bench<'_>, switch: &mut Process) -> Result<()> {
        let bridge = "add-br bench -- set bridge bench datapath_type=netdev fail-mode=secure";
        let mut words: Vec<String> = bridge.split(' ').map(str::to_owned).collect();
        for (number, port) in bench.ports().into_iter().enumerate() {
            let name = ["ward", "core"][number];
            let text = format!(
                "-- add-port bench {name} -- set Interface {name} type=dpdk ofport_request={}",
                number + 1
            );
            words.extend(text.split(' ').map(str::to_owned));
            words.push(format!("options:dpdk-devargs=\"{port}\""));
        }
        let said = self.database(&words);
        switch.check()?;
        said.with_context(|| format!("the switch says: {}", switch.last_words()))?;
        for name in ["ward", "core"] {
            let error = ["get", "Interface", name, "error"].map(str::to_owned);
            let error = self.database(&error)?;
            if error.trim() != "[]" {
                bail!("{}", error.trim().trim_matches('"'));
            }
        }
        Ok(())
    }

    fn add_rules(&self, rules: String) -> Result<()> {
        let file = self.path("rules.txt");
        fs::write(&file, rules).with_context(|| format!("writing {}", file.display()))?;
        let mut command = Command::new("ovs-ofctl");
        self.surroundings(&mut command);
        output(command.args(["add-flows", "bench"]).arg(&file))?;
        Ok(())
    }

    fn database(&self, words: &[String]) -> Result<String> {
        let mut command = Command::new("ovs-vsctl");
        self.surroundings(&mut command);
        let database = format!("--db=unix:{}", self.path("db.sock").display());
        let patience = format!("--timeout={}", PATIENCE.as_secs());
        output(command.args([database, patience]).args(words))
    }

    fn ask(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new("ovs-appctl");
        self.surroundings(&mut command);
        let target = self.path("vswitchd.ctl");
        output(command.arg("--target").arg(target).args(words))
    }
}

#[derive(Debug)]
struct RunningOvs {
    // Ends before its database.
    switch: Process,
    _database: Process,
    folder: Folder,
    begin: Instant,
}

impl Running for RunningOvs {
    fn process(&mut self) -> &mut Process {
        &mut self.switch
    }

    fn read(&mut self) -> Result<Reading> {
        self.switch.check()?;
        let asked = self.begin.elapsed();
        let said = self.folder.ask(&["dpctl/show", "--statistics"])?;
        let at = (asked + self.begin.elapsed()) / 2;
        let [received, forwarded, amiss] =
            statistics(&said).with_context(|| format!("an unknown answer: {said}"))?;
        Ok(Reading {
            at,
            received,
            forwarded,
            amiss: BTreeMap::from([("errors and drops of ports".to_owned(), amiss)]),
        })
    }
}

/// Received, sent and amiss, all DPDK ports together.
fn statistics(text: &str) -> Option<[u64; 3]> {
    let mut sum = [0; 3];
    let mut ports = 0;
    let mut counts = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("port ") {
            counts = line.contains("(dpdk");
            ports += u32::from(counts);
        }
        let field = |name: &str| {
            let rest = line.split_once(name)?.1;
            rest.split_whitespace().next()?.parse::<u64>().ok()
        };
        if counts && line.contains(" packets:") {
            let to = usize::from(line.starts_with("TX"));
            sum[to] += field("packets:")?;
            // A driver that does not count says "?".
            sum[2] += field("errors:").unwrap_or(0) + field("dropped:").unwrap_or(0);
        }
    }
    (ports == 2).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dpdk_ports_count() {
        let port = |name: &str| {
            format!(
                "  port 1: {name}\n    RX packets:10 errors:1 dropped:2 overruns:? frame:?\n    \
                 TX packets:9 errors:3 dropped:? aborted:? carrier:?\n    collisions:?\n"
            )
        };
        let ports = [
            "bench (tap)",
            "ward (dpdk: mtu=1500)",
            "core (dpdk: mtu=1500)",
        ];
        let text: String = ports.into_iter().map(port).collect();
        assert_eq!(statistics(&text), Some([20, 18, 12]));
        assert_eq!(statistics("netdev@ovs-netdev:\n"), None);
    }
}
