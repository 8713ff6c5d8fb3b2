//! The systems under test between two namespaces, each with the same allowlist.
//!
//! Both ends share one CPU core and what is between them has another: the kernel is told so by
//! receive packet steering, a gateway by its configuration.

use std::fs;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use wardline_lab::control::Control;

use super::allowlist::{Allowlist, mac_text};
use super::frame::Station;
use crate::cpus::Cpus;
use crate::process::{Process, bound_to, output};
use crate::wire::lane::System as _;
use crate::wire::space::Namespace;
use crate::wire::vswitch::OpenVswitch;
use crate::{Options, interrupt};

/// The gateway's policy file; a gateway that never got one calls its policy otherwise.
const POLICY: &str = "policy.toml";
/// How long a gateway may take to answer.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What is between the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Nothing: the ends are the two sides of one veth pair.
    Direct,
    /// The kernel's bridge, which lets everything pass.
    Bridge,
    /// The kernel's bridge with nftables and connection tracking.
    BridgeNftables,
    /// Open vSwitch with its data path and connection tracking in user space, on AF_XDP ports.
    OpenVswitch,
    /// Wardline on AF_XDP ports.
    WardlineXdp,
    /// Wardline on AF_PACKET ports.
    WardlinePacket,
}

impl System {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Direct,
        Self::Bridge,
        Self::BridgeNftables,
        Self::OpenVswitch,
        Self::WardlineXdp,
        Self::WardlinePacket,
    ];

    /// Its name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bridge => "linux bridge",
            Self::BridgeNftables => "linux bridge + nftables",
            Self::OpenVswitch => "open vswitch",
            Self::WardlineXdp => "wardline af_xdp",
            Self::WardlinePacket => "wardline af_packet",
        }
    }

    /// Whether it keeps to the allowlist.
    pub const fn enforces(self) -> bool {
        !matches!(self, Self::Direct | Self::Bridge)
    }

    const fn driver(self) -> Option<&'static str> {
        match self {
            Self::WardlineXdp => Some("af_xdp"),
            Self::WardlinePacket => Some("af_packet"),
            _ => None,
        }
    }
}

/// What every system is started with.
#[derive(Debug, Clone, Copy)]
pub struct Bench<'a> {
    /// Where programs and files lie.
    pub options: &'a Options,
    /// A core for the ends and one for the system.
    pub cpus: Cpus,
}

/// Room in the gateway's tables.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Connections at once.
    pub flows: u32,
    /// Connections of one device.
    pub per_device: u32,
}

/// The two ends and a system between them. Dropping it ends and removes everything.
#[derive(Debug)]
pub struct Dut {
    // Programs end before the namespaces they run in are removed.
    gateway: Option<Gateway>,
    switch: Option<OpenVswitch>,
    spaces: Spaces,
    system: System,
}

#[derive(Debug)]
struct Gateway {
    process: Process,
    control: Control,
}

/// The namespaces. Interfaces go with them.
#[derive(Debug)]
struct Spaces {
    ward: Namespace,
    core: Namespace,
    between: Namespace,
}

impl Dut {
    /// Lays the cables and starts the system. The first device of the allowlist is the client, on
    /// `eth0` of the ward; the server is on `eth0` of the core.
    ///
    /// # Errors
    /// When something does not start: whoever failed says why.
    pub fn start(
        system: System,
        allowlist: &Allowlist,
        room: Room,
        bench: Bench<'_>,
    ) -> Result<Self> {
        interrupt::check()?;
        let Bench { options, cpus } = bench;
        let spaces = Spaces {
            ward: Namespace::add("app-ward")?,
            core: Namespace::add("app-core")?,
            between: Namespace::add("app-box")?,
        };
        lay_cables(&spaces, system, cpus)?;
        let client = allowlist.devices.first().context("no device is listed")?;
        configure_end(&spaces.ward, client, &allowlist.server, cpus)?;
        configure_end(&spaces.core, &allowlist.server, client, cpus)?;
        let mut dut = Self {
            gateway: None,
            switch: None,
            spaces,
            system,
        };
        match system {
            System::Direct => {}
            System::Bridge => dut.bridge()?,
            System::BridgeNftables => {
                dut.bridge()?;
                dut.filter(allowlist, &options.scratch)?;
            }
            System::OpenVswitch => dut.switch = Some(dut.start_switch(allowlist, bench)?),
            System::WardlineXdp | System::WardlinePacket => {
                dut.gateway = Some(dut.start_gateway(allowlist, room, bench)?);
            }
        }
        Ok(dut)
    }

    /// The devices' side.
    pub fn ward(&self) -> &Namespace {
        &self.spaces.ward
    }

    /// The hospital's side.
    pub fn core(&self) -> &Namespace {
        &self.spaces.core
    }

    /// With two ports there is nothing to learn: a bridge that learns can be told by one frame of
    /// an attacker that a server is in the ward.
    fn bridge(&self) -> Result<()> {
        let script = "ip link add br0 type bridge mcast_snooping 0\n\
                      for port in ward0 core0; do\n\
                      ip link set $port master br0\n\
                      bridge link set dev $port learning off flood on\n\
                      done\n\
                      ip link set br0 up";
        self.spaces.between.shell(script).map(drop)
    }

    fn filter(&self, allowlist: &Allowlist, scratch: &Path) -> Result<()> {
        let rules = scratch.join("allowlist.nft");
        fs::write(&rules, allowlist.nftables())
            .with_context(|| format!("writing {}", rules.display()))?;
        let space = &self.spaces.between;
        // The switch belongs to the namespace since Linux 5.1 and may be missing from the kernel.
        space
            .shell("echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables")
            .context("this kernel's bridge does not hand frames to the IP hooks (br_netfilter)")?;
        output(space.command("nft").arg("-f").arg(&rules)).map(drop)
    }

    fn start_switch(&self, allowlist: &Allowlist, bench: Bench<'_>) -> Result<OpenVswitch> {
        let home = empty_folder(&bench.options.scratch.join("switch"))?;
        let (space, cpu) = (&self.spaces.between, bench.cpus.packets);
        OpenVswitch::start(space, &home, cpu, &allowlist.openflow())
    }

    fn start_gateway(
        &self,
        allowlist: &Allowlist,
        room: Room,
        bench: Bench<'_>,
    ) -> Result<Gateway> {
        let Bench { options, cpus } = bench;
        let home = empty_folder(&options.scratch.join("gateway"))?;
        let driver = self.system.driver().context("no gateway")?;
        let files = [
            (POLICY, allowlist.policy()),
            (
                "fastpath.toml",
                configure(&home, driver, allowlist, room, cpus),
            ),
        ];
        for (name, text) in files {
            fs::write(home.join(name), text).with_context(|| format!("writing {name}"))?;
        }
        let fastpath: PathBuf = options.programs.join("wardline-fastpath");
        ensure!(fastpath.exists(), "{} was not built", fastpath.display());
        let mut command = bound_to(&[cpus.packets], "ip");
        command.args(["netns", "exec", self.spaces.between.name()]);
        command
            .arg(fastpath)
            .arg("--config")
            .arg(home.join("fastpath.toml"));
        command.process_group(0);
        let mut process = Process::start("gateway", &mut command, &home.join("log"))?;
        let socket = home.join("control.sock");
        wait_for_socket(&socket, &mut process)?;
        let control = Control::connect(&socket)?;
        Ok(Gateway { process, control })
    }

    /// Fails unless the system's own counters show that it kept to the allowlist and let the
    /// client's connections pass.
    ///
    /// # Errors
    /// What its counters show instead.
    pub fn prove_enforcement(&mut self) -> Result<()> {
        if let Some(switch) = &mut self.switch {
            ensure!(
                switch.established()? > Some(0),
                "the switch's rules for known connections counted nothing"
            );
        } else if let Some(gateway) = &self.gateway {
            let status = gateway.control.status()?;
            ensure!(
                status.policy.name.ends_with(POLICY),
                "the gateway enforces the policy `{}`",
                status.policy.name
            );
            let counters = status.counters;
            ensure!(
                counters.flows_begun > 0 && counters.ward.forwarded > 0,
                "the gateway saw no connection: {counters:?}"
            );
        } else if self.system == System::BridgeNftables {
            let rules = output(
                self.spaces
                    .between
                    .command("nft")
                    .args(["list", "table", "ip", "allow"]),
            )?;
            let passed = counted(&rules);
            ensure!(
                passed.len() == 2 && passed.iter().all(|&packets| packets > 0),
                "the ruleset's counters show no connection: {rules}"
            );
        }
        Ok(())
    }

    /// Memory of the gateway's process in bytes, huge pages included.
    ///
    /// # Errors
    /// When the process is gone. `None` without a gateway.
    pub fn gateway_memory(&self) -> Result<Option<f64>> {
        let memory = |gateway: &Gateway| gateway.process.memory_mib();
        let mib = self.gateway.as_ref().map(memory).transpose()?;
        Ok(mib.map(|mib| mib * f64::from(1 << 20)))
    }

    /// Connections the system holds by its own count. `None` for one that keeps none.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn connections(&self) -> Result<Option<u64>> {
        if let Some(gateway) = &self.gateway {
            return Ok(Some(gateway.control.status()?.flows));
        }
        if self.system != System::BridgeNftables {
            return Ok(None);
        }
        let mut command = self.spaces.between.command("cat");
        let text = output(command.arg("/proc/sys/net/netfilter/nf_conntrack_count"))?;
        let count = text
            .trim()
            .parse()
            .context("the kernel's count of connections")?;
        Ok(Some(count))
    }
}

/// A folder without what the last turn left there, such as a saved policy.
fn empty_folder(path: &Path) -> Result<PathBuf> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("removing {}", path.display()))?;
    }
    fs::create_dir_all(path).with_context(|| format!("creating {}", path.display()))?;
    Ok(path.to_owned())
}

/// Both ends on one veth pair, or each on one that leads to the system.
fn lay_cables(spaces: &Spaces, system: System, cpus: Cpus) -> Result<()> {
    let Spaces {
        ward,
        core,
        between,
    } = spaces;
    let cable = |end: &Namespace, other: &Namespace, name: &str| {
        let other = other.name();
        end.shell(&format!(
            "ip link add eth0 type veth peer name {name} netns {other}"
        ))
    };
    if system == System::Direct {
        return cable(ward, core, "eth0").map(drop);
    }
    for (end, port) in [(ward, "ward0"), (core, "core0")] {
        cable(end, between, port)?;
        let wire = as_a_wire(port, cpus.packets);
        between.shell(&format!("{wire}ip link set {port} up"))?;
    }
    Ok(())
}

/// Frames cross as a wire would carry them: none merged, checksums complete.
fn as_a_wire(interface: &str, cpu: usize) -> String {
    let mask = 1_u64 << cpu;
    format!(
        "ethtool -K {interface} tx off sg off tso off gso off gro off rxvlan off txvlan off \
         tx-vlan-stag-hw-insert off rx-vlan-stag-hw-parse off >/dev/null\n\
         echo {mask:x} > /sys/class/net/{interface}/queues/rx-0/rps_cpus\n"
    )
}

fn configure_end(space: &Namespace, own: &Station, peer: &Station, cpus: Cpus) -> Result<()> {
    let wire = as_a_wire("eth0", cpus.rest);
    // Short connections in quick succession: many ports, each free again soon (RFC 6191).
    space
        .shell(&format!(
            "ip link set eth0 address {mac}\n{wire}ip link set eth0 up\n\
         ip address add {ip}/16 dev eth0\n\
         ip neighbour replace {peer_ip} lladdr {peer_mac} dev eth0 nud permanent\n\
         echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range\n\
         echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse\n\
         echo 4096 > /proc/sys/net/core/somaxconn\n\
         echo 8192 > /proc/sys/net/ipv4/tcp_max_syn_backlog\n",
            mac = mac_text(own.mac),
            ip = own.ip,
            peer_ip = peer.ip,
            peer_mac = mac_text(peer.mac),
        ))
        .map(drop)
}

fn configure(home: &Path, driver: &str, allowlist: &Allowlist, room: Room, cpus: Cpus) -> String {
    let home = home.display();
    let Room { flows, per_device } = room;
    let devices = allowlist.devices.len() + 1_024;
    let cpu = cpus.packets;
    // AF_XDP needs its buffers in one piece, which is more than a huge page of the usual size.
    format!(
        "[ports.ward]\ndriver = \"{driver}\"\ninterface = \"ward0\"\n\n\
         [ports.core]\ndriver = \"{driver}\"\ninterface = \"core0\"\n\n\
         [workers]\ncores = [{cpu}]\npoll = \"busy\"\n\n\
         [memory]\nhuge_pages = \"never\"\n\n\
         [control]\nsocket = \"{home}/control.sock\"\n\n\
         [state]\ndir = \"{home}\"\nheartbeat = \"{home}/heartbeat\"\n\n\
         [policy]\ninitial = \"{home}/{POLICY}\"\n\n\
         [limits]\nflows = {flows}\nflows_per_device = {per_device}\n\
         half_open_per_device = {per_device}\ndevices = {devices}\nnew_flows_per_burst = 64\n"
    )
}

fn wait_for_socket(socket: &Path, process: &mut Process) -> Result<()> {
    let deadline = Instant::now() + START_LIMIT;
    while UnixStream::connect(socket).is_err() {
        process.check()?;
        ensure!(Instant::now() < deadline, "the gateway does not answer");
        interrupt::sleep(Duration::from_millis(20))?;
    }
    Ok(())
}

/// The packets of each counter in a ruleset that nft prints.
fn counted(rules: &str) -> Vec<u64> {
    let after = rules.split("counter packets ").skip(1);
    after
        .filter_map(|text| text.split_whitespace().next()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_a_ruleset_are_found_in_order() {
        let rules = "ct state established,related counter packets 120 bytes 9000 accept\n\
                     tcp dport { 80, 104 } counter packets 3 bytes 180 accept\n";
        assert_eq!(counted(rules), [120, 3]);
        assert!(counted("chain forward { }").is_empty());
    }
}
