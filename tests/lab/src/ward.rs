//! The ward as a whole: bring it up, find it again, look inside, take it down.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::layout::{Addressing, Guest, HOSTS, STATIC_V6, Side, host};
use crate::netns::{self, Namespace, run};
use crate::process::{self, Register, Tracked};
use crate::{certs, gateway, services};

/// The namespaces that are not hosts: the box and the two switches.
const INFRASTRUCTURE: [&str; 3] = ["box", "wsw", "csw"];
/// The internet lives behind the router, on no switch of the VLAN.
const INTERNET: &str = "inet";
/// Where each ward keeps its files, by name.
const RUN_DIR: &str = "/run/wardline-lab";
/// A namespace for light extra devices, on the ward side.
const SWARM: &str = "swarm";

/// What to bring up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Prefix of every name the ward makes, 1 to 8 letters or digits.
    pub name: String,
    /// The gateway's program; `None` leaves the kernel bridge in its place.
    pub gateway: Option<PathBuf>,
    /// Policy the gateway starts with; the ward's own when `None`.
    pub policy: Option<PathBuf>,
    /// How many light extra devices to add.
    pub extra_devices: u16,
    /// Hosts beside the ward's own: cabled, but dark until [`Ward::plug_in`]. What they run is for
    /// the caller to start.
    pub guests: Vec<Guest>,
    /// Where to write every frame that crosses the box, from before the first host says anything.
    pub capture: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "wl".to_owned(),
            gateway: None,
            policy: None,
            extra_devices: 0,
            guests: Vec::new(),
            capture: None,
        }
    }
}

/// A ward that is up, or was: the value is a handle, dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct Ward {
    name: String,
    dir: PathBuf,
}

impl Ward {
    /// Brings the ward up: topology, box, services, devices. What an earlier run of the same name
    /// left behind is removed first.
    ///
    /// # Errors
    /// What could not be made. The partial ward is taken down before returning, unless the
    /// environment has `WARDLINE_LAB_KEEP`, for those who want to look at it.
    pub fn up(options: &Options) -> Result<Self> {
        let ward = Self::named(&options.name)?;
        ensure!(
            rustix::process::geteuid().is_root(),
            "the ward needs root: network namespaces"
        );
        ward.clean()
            .context("cannot remove what an earlier run left")?;
        match ward.build(options) {
            Ok(()) => Ok(ward),
            Err(error) => {
                if std::env::var_os("WARDLINE_LAB_KEEP").is_none() {
                    ward.clean()
                        .context("cannot clean up after a failed start")?;
                }
                Err(error)
            }
        }
    }

    /// Finds a ward that is up.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn open(name: &str) -> Result<Self> {
        let ward = Self::named(name)?;
        ensure!(
            ward.ns("box").exists(),
            "no ward named `{name}` is up: start it with `wardline-lab up --name {name}`"
        );
        Ok(ward)
    }

    /// Switches on a guest's interface, which is dark until then.
    ///
    /// # Errors
    /// When the interface or its address cannot be set.
    pub fn plug_in(&self, guest: &Guest) -> Result<()> {
        self.connect(&guest.name, guest.ip, guest.addressing)
    }

    /// Takes the ward down: programs, namespaces, files.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn down(self) -> Result<()> {
        self.clean()
    }

    /// Removes whatever a ward of this name left, even if it is only half there.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn remove(name: &str) -> Result<()> {
        Self::named(name)?.clean()
    }

    /// The prefix of all names.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Directory of this run: configurations, logs, certificates, sockets.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The gateway's control socket, there once a gateway runs.
    pub fn control_socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// The namespace of a host, `box`, `wsw` (ward switch), `csw` (core switch) or `inet`.
    pub fn ns(&self, host: &str) -> Namespace {
        Namespace::new(format!("{}-{host}", self.name))
    }

    /// A command on a host.
    pub fn command(&self, host: &str, program: &str) -> Command {
        self.ns(host).command(program)
    }

    /// One of the lab's Python programs on a host, with the lab's own interpreter.
    pub fn actor(&self, host: &str, name: &str) -> Command {
        let mut command = self.ns(host).command(venv().join("bin/python"));
        command
            .arg("-u")
            .arg(source_dir().join("actors").join(format!("{name}.py")));
        // The source tree stays as it is.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Starts a long-running program on a host; its output goes to [`Ward::log`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, host: &str, service: &str, command: Command) -> Result<Tracked> {
        self.register()
            .spawn(host, service, command, &self.log(host, service))
    }

    /// Where a service writes what it sees.
    pub fn log(&self, host: &str, service: &str) -> PathBuf {
        self.dir.join("log").join(format!("{host}-{service}.log"))
    }

    /// The first JSON line of a service's log which contains `token` as the value of its key
    /// `token`: what that endpoint saw of one exchange.
    pub fn seen(&self, host: &str, service: &str, token: &str) -> Option<Value> {
        let text = fs::read_to_string(self.log(host, service)).ok()?;
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|value| value.get("token").and_then(Value::as_str) == Some(token))
    }

    /// Waits until a program listens on a TCP port of a host.
    ///
    /// # Errors
    /// When nothing listens there in time, or the program has ended.
    pub fn wait_for_port(&self, program: &Tracked, port: u16) -> Result<()> {
        let what = format!(
            "{} on {} listens on port {port}",
            program.service, program.host
        );
        self.wait_for(program, &what, Duration::from_secs(40), || {
            listens(program.pid, port)
        })
    }

    /// Waits until `ready`, as long as the program lives.
    ///
    /// # Errors
    /// When it does not become true in `limit`, or the program has ended.
    pub fn wait_for(
        &self,
        program: &Tracked,
        what: &str,
        limit: Duration,
        ready: impl Fn() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            if ready() {
                return Ok(());
            }
            let log = self.log(&program.host, &program.service);
            if !program.alive() {
                bail!("waiting until {what}: it ended: {}", tail(&log));
            }
            if Instant::now() > deadline {
                bail!("waited {} s until {what}: {}", limit.as_secs(), tail(&log));
            }
            sleep(Duration::from_millis(25));
        }
    }

    /// Every program started, with whether it still runs.
    pub fn programs(&self) -> Vec<(Tracked, bool)> {
        let programs = self.register().read();
        programs
            .into_iter()
            .map(|program| {
                let alive = program.alive();
                (program, alive)
            })
            .collect()
    }

    pub(crate) fn register(&self) -> Register {
        Register::new(self.dir.join("processes.jsonl"))
    }

    fn named(name: &str) -> Result<Self> {
        let fits = (1..=8).contains(&name.len())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        ensure!(
            fits,
            "`{name}` cannot name a ward: use 1 to 8 lower-case letters or digits"
        );
        let dir = Path::new(RUN_DIR).join(name);
        Ok(Self {
            name: name.to_owned(),
            dir,
        })
    }

    fn build(&self, options: &Options) -> Result<()> {
        let log = self.dir.join("log");
        fs::create_dir_all(&log).with_context(|| format!("cannot create {}", log.display()))?;
        certs::make(&self.dir.join("certs"), &options.guests)?;
        self.make_topology(options)?;
        if let Some(file) = &options.capture {
            self.capture(file)?;
        }
        if let Some(program) = &options.gateway {
            gateway::start(self, program, options.policy.as_deref())?;
        }
        services::start_hospital(self, &options.guests)?;
        services::start_devices(self)?;
        if options.extra_devices > 0 {
            services::start_swarm(self, options.extra_devices)?;
        }
        Ok(())
    }

    /// Every namespace of a ward of this name, or of which there are only the `/etc` files left.
    fn namespaces(&self) -> Result<Vec<Namespace>> {
        let ours = format!("{}-", self.name);
        let mut names = BTreeSet::new();
        for dir in [netns::NAMES, netns::ETC] {
            let entries = match fs::read_dir(dir) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                entries => entries.with_context(|| format!("cannot read {dir}"))?,
            };
            for entry in entries {
                let entry = entry.with_context(|| format!("cannot read {dir}"))?;
                names.insert(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.retain(|name| name.starts_with(&ours));
        Ok(names.into_iter().map(Namespace::new).collect())
    }

    fn make_topology(&self, options: &Options) -> Result<()> {
        let swarm = options.extra_devices > 0;
        let plugs: Vec<Plug<'_>> = HOSTS
            .iter()
            .map(|host| Plug::new(host.name, host.side, host.mac))
            .chain(swarm.then(|| Plug::new(SWARM, Side::Ward, "00:16:a4:20:02:00")))
            .chain(
                options
                    .guests
                    .iter()
                    .map(|guest| Plug::new(&guest.name, guest.side, &guest.mac)),
            )
            .collect();
        netns::ip(&self.creation(&plugs)).context("cannot make the topology")?;
        self.set_up_box()?;
        self.set_up_switch("wsw", Side::Ward, &plugs)?;
        self.set_up_switch("csw", Side::Core, &plugs)?;
        for plug in &plugs {
            self.ns(plug.host).shell(&quiet_interface("eth0"))?;
            if plug.side == Side::Core {
                // Servers have long been up when a device comes: nothing about them is tentative.
                let setting = "/proc/sys/net/ipv6/conf/eth0/accept_dad";
                self.ns(plug.host).shell(&format!("echo 0 > {setting}"))?;
            }
            self.ns(plug.host).ip(&format!(
                "link set lo up\nlink set eth0 address {} mtu 1500\n",
                plug.mac
            ))?;
        }
        if swarm {
            self.ns(SWARM).ip("link set eth0 up\n")?;
        }
        for host in HOSTS {
            self.connect(host.name, host.ip, host.addressing)?;
        }
        self.set_up_internet()
    }

    /// Namespaces and cables. Nothing is ever made in the caller's own namespace.
    fn creation(&self, plugs: &[Plug<'_>]) -> String {
        let name = &self.name;
        let cable = |a: &str, a_end: &str, b: &str, b_end: &str| {
            format!(
                "link add name {a_end} netns {name}-{a} type veth peer name {b_end} netns {name}-{b}\n"
            )
        };
        let spaces = INFRASTRUCTURE
            .into_iter()
            .chain([INTERNET])
            .chain(plugs.iter().map(|plug| plug.host))
            .map(|host| format!("netns add {name}-{host}\n"));
        let cables = plugs
            .iter()
            .map(|plug| cable(plug.switch(), plug.host, plug.host, "eth0"));
        spaces
            .chain([
                cable("wsw", "uplink", "box", "ward0"),
                cable("csw", "uplink", "box", "core0"),
                cable("router", "eth1", INTERNET, "eth0"),
            ])
            .chain(cables)
            .collect()
    }

    /// Two interfaces in a bridge which keeps silent itself: what the gateway falls back to.
    fn set_up_box(&self) -> Result<()> {
        let ns = self.ns("box");
        ns.shell(&format!(
            "{}\n{}",
            quiet_interface("ward0"),
            quiet_interface("core0")
        ))?;
        ns.shell(NO_IPV6)?;
        ns.ip("link set lo up\n\
             link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0 \
             group_fwd_mask 0x4008\n\
             link set br0 addrgenmode none arp off\n\
             link set ward0 addrgenmode none mtu 1500 master br0\n\
             link set core0 addrgenmode none mtu 1500 master br0\n\
             link set ward0 type bridge_slave learning off flood on mcast_flood on\n\
             link set core0 type bridge_slave learning off flood on mcast_flood on\n\
             link set ward0 up\n\
             link set core0 up\n\
             link set br0 up\n")
            .context("cannot set up the box")
    }

    fn set_up_switch(&self, switch: &str, side: Side, plugs: &[Plug<'_>]) -> Result<()> {
        let ns = self.ns(switch);
        let ports: Vec<&str> = ["uplink"]
            .into_iter()
            .chain(
                plugs
                    .iter()
                    .filter(|plug| plug.side == side)
                    .map(|plug| plug.host),
            )
            .collect();
        ns.shell(
            &ports
                .iter()
                .map(|port| quiet_interface(port))
                .collect::<String>(),
        )?;
        ns.shell(NO_IPV6)?;
        let mut lines = String::from(
            "link set lo up\n\
             link add sw0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0 \
             group_fwd_mask 0x4008\n\
             link set sw0 addrgenmode none up\n",
        );
        for port in ports {
            lines += &format!("link set {port} addrgenmode none master sw0 up\n");
        }
        ns.ip(&lines)
            .with_context(|| format!("cannot set up the switch {switch}"))
    }

    /// Switches the interface on; addresses it if that is done by hand.
    fn connect(&self, name: &str, ip: Ipv4Addr, addressing: Addressing) -> Result<()> {
        let ns = self.ns(name);
        ns.ip("link set eth0 up\n")?;
        // One file for each, since a DHCP client writes the name server it was given.
        let resolver = match addressing {
            Addressing::Static(22) => "search ward.test\nnameserver 10.20.0.2\n",
            _ => "",
        };
        ns.write_etc("resolv.conf", resolver)?;
        if let Addressing::Static(prefix) = addressing {
            let mut lines = format!("addr add {ip}/{prefix} brd + dev eth0\n");
            if prefix == 22 && name != "router" {
                lines += "route add default via 10.20.0.1\n";
            }
            ns.ip(&lines)?;
        }
        for (_, address) in STATIC_V6.iter().filter(|(host, _)| *host == name) {
            ns.ip(&format!("addr add {address}/64 dev eth0 nodad\n"))?;
        }
        Ok(())
    }

    /// Writes down both directions at the box's ward side: what a gateway would see.
    fn capture(&self, file: &Path) -> Result<()> {
        let mut command = self.command("box", "tcpdump");
        command.args(["-i", "ward0", "-s", "0", "-B", "65536", "-Z", "root", "-w"]);
        command.arg(file);
        let program = self.start("box", "capture", command)?;
        let what = format!("frames are written to {}", file.display());
        self.wait_for(&program, &what, Duration::from_secs(10), || {
            fs::metadata(file).is_ok_and(|file| file.len() > 0)
        })
    }

    fn set_up_internet(&self) -> Result<()> {
        self.ns("router")
            .ip("addr add 198.51.100.1/30 dev eth1\nlink set eth1 up\n\
             route add default via 198.51.100.2\n")?;
        self.ns("router")
            .shell("echo 1 > /proc/sys/net/ipv4/ip_forward")?;
        let mut lines = String::from(
            "link set lo up\naddr add 198.51.100.2/30 dev eth0\nlink set eth0 up\n\
             route add default via 198.51.100.1\n",
        );
        for address in crate::layout::INTERNET {
            lines += &format!("addr add {address}/32 dev lo\n");
        }
        self.ns(INTERNET)
            .ip(&lines)
            .context("cannot set up the internet")
    }

    fn clean(&self) -> Result<()> {
        process::end(&self.register().read());
        let namespaces = self.namespaces()?;
        for ns in namespaces.iter().filter(|ns| ns.exists()) {
            // Whoever lives in a namespace of ours was started by us, or by our children.
            process::kill(&ns.processes()?);
        }
        for ns in &namespaces {
            ns.remove()?;
        }
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir)
                .with_context(|| format!("cannot remove {}", self.dir.display()))?;
        }
        for shared in [Path::new(RUN_DIR), Path::new("/etc/netns")] {
            // Refused while somebody else has something there, which is as it should be.
            let _ = fs::remove_dir(shared);
        }
        Ok(())
    }
}

/// A host's cable.
#[derive(Debug)]
struct Plug<'a> {
    host: &'a str,
    side: Side,
    mac: &'a str,
}

impl<'a> Plug<'a> {
    fn new(host: &'a str, side: Side, mac: &'a str) -> Self {
        Self { host, side, mac }
    }

    fn switch(&self) -> &'static str {
        match self.side {
            Side::Ward => "wsw",
            Side::Core => "csw",
        }
    }
}

const NO_IPV6: &str = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6\n\
                       echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6\n";

/// Frames must cross the ward as a wire would carry them: no merged segments, no checksums left to
/// hardware that is not there, no VLAN tag beside the frame.
fn quiet_interface(name: &str) -> String {
    format!(
        "ethtool -K {name} tx off sg off tso off gso off gro off rxvlan off txvlan off \
         tx-vlan-stag-hw-insert off rx-vlan-stag-hw-parse off >/dev/null\n"
    )
}

/// Whether a process's namespace has a listener on the TCP port, IPv4 or IPv6.
fn listens(pid: i32, port: u16) -> bool {
    let suffix = format!(":{port:04X}");
    ["tcp", "tcp6"].iter().any(|table| {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        text.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next().is_some_and(|local| local.ends_with(&suffix))
                && fields.nth(1) == Some("0A")
        })
    })
}

/// The last lines of a log, for error messages.
pub(crate) fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(5)..];
    format!("{} ends with: {}", path.display(), last.join(" | "))
}

/// Where the lab's own files are.
pub fn source_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the lab keeps what is worth keeping between runs: `target/lab`.
pub fn cache_dir() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| source_dir().join("../../target"), PathBuf::from);
    target.join("lab")
}

/// The Python environment made from `requirements.txt`.
pub fn venv() -> PathBuf {
    std::env::var_os("WARDLINE_LAB_VENV").map_or_else(|| cache_dir().join("venv"), PathBuf::from)
}

/// The address of a host by its short name.
///
/// # Errors
/// When there is no such host, which is a mistake in the lab.
pub fn address_of(name: &str) -> Result<String> {
    host(name)
        .map(|host| host.ip.to_string())
        .with_context(|| format!("no host named {name}"))
}

/// Checks that a program can be found, so that a missing package is named before anything starts.
///
/// # Errors
/// The program that is missing.
pub fn require_program(program: &str) -> Result<()> {
    run(Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]))
        .map(drop)
        .with_context(|| format!("`{program}` is missing: install what packages.txt lists"))
}
