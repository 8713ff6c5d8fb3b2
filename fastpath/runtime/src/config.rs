//! The configuration: one TOML file, read once at start.
//!
//! The JSON Schema generated from these types is the one list of known keys: it is published as
//! `docs/fastpath.schema.json`, and [`check`] compares a file with it.

mod check;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use wardline_classifier::behaviour::Settings;
use wardline_engine::Limits;
use wardline_policy::scalar::Prefix;

pub use wardline_settings::ConfigError;

/// Configuration of the fast path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The two ports of the wire.
    pub ports: Ports,
    /// Worker loops.
    #[serde(default)]
    pub workers: Workers,
    /// Memory of the packet path.
    #[serde(default)]
    pub memory: Memory,
    /// The control socket.
    #[serde(default)]
    pub control: Control,
    /// What survives a restart.
    #[serde(default)]
    pub state: State,
    /// The policy before anyone applied one.
    #[serde(default)]
    pub policy: Policy,
    /// Fixed limits of each worker's tables, allocated at start.
    #[serde(default)]
    pub limits: Limits,
    /// Naming the devices.
    #[serde(default)]
    pub classifier: Classifier,
    /// Comparing each device with its own past.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// Log output.
    #[serde(default)]
    pub log: Log,
}

/// Comparing each device with its own past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Seconds a device is only learnt, pauses left out, before anything is said of it.
    pub learn_s: u64,
    /// Conversations it must have had by then; after twice the time it counts as learnt anyway.
    pub learn_conversations: u64,
    /// Seconds a first conversation with a new peer waits before it is told, so that a scan is
    /// told as a scan.
    pub settle_s: u64,
    /// Networks of the house beside the private ranges.
    pub internal: Vec<Prefix>,
}

impl Default for Behaviour {
    fn default() -> Self {
        let usual = Settings::default();
        Self {
            learn_s: usual.learn_s,
            learn_conversations: usual.learn_conversations,
            settle_s: usual.settle_s,
            internal: usual.internal,
        }
    }
}

/// Naming the devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Classifier {
    /// Whether devices are named at all. What they may do does not depend on it.
    pub enabled: bool,
    /// Folder with a signed model to use in place of the program's own.
    pub model: Option<PathBuf>,
}

impl Default for Classifier {
    fn default() -> Self {
        Self {
            enabled: true,
            model: None,
        }
    }
}

/// The two ports of the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// The port the devices are behind.
    pub ward: Port,
    /// The port the hospital network is behind.
    pub core: Port,
}

/// One port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// How DPDK reaches it.
    pub driver: Driver,
    /// Kernel interface, for `af_xdp` and `af_packet`.
    pub interface: Option<String>,
    /// PCI address such as `0000:03:00.0`, for `pci`.
    pub address: Option<String>,
    /// DPDK device arguments such as `net_pcap0,rx_pcap=in.pcap`, for `devargs`.
    pub devargs: Option<String>,
    /// Largest payload of an Ethernet frame in bytes; the same on both ports. VLAN tags are
    /// beside it.
    #[serde(default = "Port::default_mtu")]
    pub mtu: u16,
}

/// How DPDK reaches a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// A kernel interface through AF_XDP; falls back to the kernel when the process is gone.
    AfXdp,
    /// A kernel interface through AF_PACKET; carries 9,000 byte payloads, slower.
    AfPacket,
    /// A PCI device bound to vfio-pci (or a bifurcated driver).
    Pci,
    /// Any DPDK virtual device, by its raw device arguments.
    Devargs,
}

/// Worker loops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Workers {
    /// How many; each has one queue of both ports and a CPU core to itself.
    pub count: u16,
    /// What a worker does when there is nothing to do. Default: `busy` if both ports are `pci`,
    /// else `adaptive`.
    pub poll: Option<Poll>,
    /// Longest sleep of an idle `adaptive` worker in microseconds; a frame waits at most this
    /// long until it is seen, and as long as the kernel takes to wake the worker.
    pub max_park_us: u32,
    /// CPU cores, one for each worker. Default: the first ones this process may use.
    pub cores: Option<Vec<u16>>,
}

/// What a worker does when there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Poll {
    /// Polls on: least latency, one core at 100 %.
    Busy,
    /// Sleeps after a while without frames, for at most `max_park_us`.
    Adaptive,
}

/// Memory of the packet path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// DPDK's memory in MiB. Default: what the packet buffers take, and 64.
    pub mib: Option<u32>,
    /// Whether to use huge pages.
    pub huge_pages: HugePages,
    /// Packet buffers of each worker. Default: enough to fill every ring of both ports.
    pub buffers: Option<u32>,
}

/// Whether to use huge pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HugePages {
    /// If the system has enough free ones.
    Auto,
    /// Refuse to start without them.
    Require,
    /// Never.
    Never,
}

/// The control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// Path of the Unix socket.
    pub socket: PathBuf,
    /// Its permissions; TOML writes them `0o660`.
    pub mode: u32,
    /// Group that owns the socket file, by number; without it the process's own group.
    pub gid: Option<u32>,
    /// Users that may connect, by number, besides root and the user of this process.
    pub allow_uids: Vec<u32>,
    /// Groups whose members may connect, by number. The primary group of the peer counts.
    pub allow_gids: Vec<u32>,
}

/// What survives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// Directory for the last accepted policy.
    pub dir: PathBuf,
    /// File in memory (tmpfs) with the workers' heartbeats, for a watchdog.
    pub heartbeat: PathBuf,
}

/// The policy before anyone applied one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Document (`.toml` or `.json`) for the first start. Later starts use the last accepted
    /// policy in `state.dir`. Without either, everything is observed and nothing denied.
    pub initial: Option<PathBuf>,
}

/// Log output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Least severe level to write.
    pub level: LogLevel,
}

/// Level of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something a person should look at.
    Warn,
    /// Starts, stops, policies.
    Info,
    /// For finding a fault.
    Debug,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, has an unknown key or a value that cannot work;
    /// each with line and what to do.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        wardline_settings::load(path, check::values)
    }

    /// What a worker does when there is nothing to do, the default resolved.
    pub fn poll(&self) -> Poll {
        let hardware = |port: &Port| port.driver == Driver::Pci;
        self.workers.poll.unwrap_or(
            if hardware(&self.ports.ward) && hardware(&self.ports.core) {
                Poll::Busy
            } else {
                Poll::Adaptive
            },
        )
    }
}

impl Port {
    const fn default_mtu() -> u16 {
        1_500
    }

    /// The interface, address or device arguments: what names the port to its driver.
    pub fn device(&self) -> &str {
        let name = match self.driver {
            Driver::AfXdp | Driver::AfPacket => &self.interface,
            Driver::Pci => &self.address,
            Driver::Devargs => &self.devargs,
        };
        name.as_deref().unwrap_or_default()
    }
}

impl Driver {
    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfXdp => "af_xdp",
            Self::AfPacket => "af_packet",
            Self::Pci => "pci",
            Self::Devargs => "devargs",
        }
    }

    /// The largest MTU it carries: a page less DPDK's and XDP's headroom and room for two VLAN
    /// tags on AF_XDP, jumbo frames elsewhere.
    pub const fn max_mtu(self) -> u16 {
        match self {
            Self::AfXdp => 3_498,
            Self::AfPacket | Self::Pci | Self::Devargs => 9_000,
        }
    }
}

impl Poll {
    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Adaptive => "adaptive",
        }
    }
}

impl LogLevel {
    /// The same in the words of `tracing`.
    pub const fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
        }
    }
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            count: 1,
            poll: None,
            max_park_us: 200,
            cores: None,
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            mib: None,
            huge_pages: HugePages::Auto,
            buffers: None,
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self {
            socket: wardline_control::DEFAULT_SOCKET.into(),
            mode: 0o600,
            gid: None,
            allow_uids: Vec::new(),
            allow_gids: Vec::new(),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            dir: "/var/lib/wardline".into(),
            heartbeat: "/run/wardline/heartbeat".into(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_schema_is_the_one_in_force() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/fastpath.schema.json"
        );
        let mut schema = wardline_settings::schema::<Config>();
        schema.insert("title".into(), "Wardline fast path configuration".into());
        let mut text = serde_json::to_string_pretty(&schema).expect("JSON");
        text.push('\n');
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &text).expect("written");
        }
        let published = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            text == published,
            "docs/fastpath.schema.json is stale: run this test with UPDATE_SCHEMA=1"
        );
    }
}
