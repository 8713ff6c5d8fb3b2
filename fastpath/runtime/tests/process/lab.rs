//! A device, a gateway and a hospital, each in a network namespace of its own.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The device's addresses.
pub const DEVICE_MAC: &str = "00:09:fb:00:00:01";
pub const DEVICE_IP: &str = "10.77.0.1";
/// The hospital's.
pub const HOSPITAL_MAC: &str = "02:00:00:00:00:02";
pub const HOSPITAL_IP: &str = "10.77.0.2";

const PREFIX: &str = "wlr";

/// What a wire is made of.
#[derive(Debug, Clone, Copy)]
pub struct WireOptions {
    pub mtu: u32,
    /// Give both ends addresses; without them they are silent.
    pub addresses: bool,
    /// Put the gateway's interfaces into a kernel bridge.
    pub bridge: bool,
    /// Queues of each interface.
    pub queues: u32,
}

impl Default for WireOptions {
    fn default() -> Self {
        Self {
            mtu: 1_500,
            addresses: true,
            bridge: false,
            queues: 1,
        }
    }
}

/// device `eth0` — `ward` gateway `core` — `eth0` hospital. Gone when dropped.
#[derive(Debug)]
pub struct Wire {
    pub device: Namespace,
    pub gateway: Namespace,
    pub hospital: Namespace,
    /// Wires exist one after the other: two CPU cores carry one busy gateway.
    _turn: MutexGuard<'static, ()>,
}

/// A network namespace, removed when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Wire {
    /// Makes the wire, or says why not. `test` is the name in that message.
    pub fn new(test: &str, options: WireOptions) -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            skip(test, "network namespaces and AF_XDP need root");
            return None;
        }
        // A test that failed while it had its turn leaves nothing behind that matters.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        remove_leftovers();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let [device, gateway, hospital] = ["d", "g", "h"].map(|role| Namespace::add(number, role));
        connect(&device, &gateway, "ward", options);
        connect(&hospital, &gateway, "core", options);
        if options.bridge {
            gateway.ip("link add bridge type bridge mcast_snooping 0 stp_state 0");
            for port in ["ward", "core"] {
                gateway.ip(&format!("link set {port} master bridge"));
            }
            gateway.ip("link set bridge up");
        }
        for (end, mac, address) in [
            (&device, DEVICE_MAC, DEVICE_IP),
            (&hospital, HOSPITAL_MAC, HOSPITAL_IP),
        ] {
            end.ip(&format!("link set eth0 address {mac}"));
            if options.addresses {
                end.ip(&format!("address add {address}/24 dev eth0"));
            } else {
                end.ip("link set eth0 arp off");
            }
        }
        Some(Self {
            device,
            gateway,
            hospital,
            _turn: turn,
        })
    }
}

/// Says that a test did not run. Not through `eprintln!`, which the test harness hides.
pub fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

fn connect(end: &Namespace, gateway: &Namespace, port: &str, options: WireOptions) {
    let WireOptions { mtu, queues, .. } = options;
    gateway.ip(&format!(
        "link add {port} mtu {mtu} numrxqueues {queues} numtxqueues {queues} type veth \
         peer name eth0 mtu {mtu} numrxqueues {queues} numtxqueues {queues} netns {}",
        end.name
    ));
    for (namespace, interface) in [(end, "eth0"), (gateway, port)] {
        namespace.run(
            "ethtool",
            &format!("-K {interface} tx off gso off tso off gro off rxvlan off txvlan off"),
        );
        namespace.ip(&format!("link set {interface} up"));
    }
}

impl Namespace {
    fn add(number: u32, role: &str) -> Self {
        let name = format!("{PREFIX}-{}-{number}-{role}", std::process::id());
        command("ip", &format!("netns add {name}"));
        let namespace = Self { name };
        // Nobody speaks unless a test makes it.
        namespace.run("sysctl", "-qw net.ipv6.conf.all.disable_ipv6=1");
        namespace.run("sysctl", "-qw net.ipv6.conf.default.disable_ipv6=1");
        namespace
    }

    /// A command that will run here.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a command that must succeed and returns what it printed.
    pub fn run(&self, program: &str, arguments: &str) -> String {
        finish(self.command(program).args(arguments.split_whitespace()))
    }

    /// `ip` with these arguments.
    pub fn ip(&self, arguments: &str) -> String {
        self.run("ip", arguments)
    }

    /// Runs `work` on a thread of its own here; sockets it makes stay here.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        let path = PathBuf::from("/run/netns").join(&self.name);
        std::thread::spawn(move || {
            let namespace = File::open(path).expect("the namespace is there");
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter it");
            work()
        })
    }

    /// Runs `work` here and waits for it.
    pub fn within<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match self.spawn(work).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Interfaces go with it; what cannot be removed now is a leftover for the next run.
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}

/// Namespaces of test processes that were killed.
fn remove_leftovers() {
    let Ok(entries) = fs::read_dir("/run/netns") else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut parts = name.split('-');
        let ours = parts.next() == Some(PREFIX);
        let Some(pid) = parts.next().filter(|_| ours) else {
            continue;
        };
        if !PathBuf::from("/proc").join(pid).exists() {
            let _ = Command::new("ip").args(["netns", "del", &name]).status();
        }
    }
}

fn command(program: &str, arguments: &str) -> String {
    finish(Command::new(program).args(arguments.split_whitespace()))
}

fn finish(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
