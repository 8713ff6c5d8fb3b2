//! What the harness measures: one number of one system in one corner and round.

use serde::{Deserialize, Serialize};

/// A group of figures that are taken on the same ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// Forwarding cost on `net_pcap` ports: no kernel in the way.
    Raw,
    /// Packets over veth pairs between network namespaces.
    Wire,
    /// Applications over veth pairs between network namespaces.
    Application,
    /// The policy: time to force, stall of the data path, memory.
    Policy,
}

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// Throughput.
    Higher,
    /// Latency, loss, memory.
    Lower,
}

/// One measured number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The suite it belongs to.
    pub suite: Suite,
    /// What was done, with the values that make it this corner of the matrix, in a stable order:
    /// `64 B, 4096 flows, 1 rule, 10 devices, IPv4, allowed`.
    pub corner: String,
    /// Who did it: `wardline`, `ovs-dpdk conntrack`, `testpmd io`, …
    pub system: String,
    /// Number of the round, from 0; in one round every system has its turn at every corner.
    pub round: u32,
    /// What was measured: `throughput`, `latency p99`, …
    pub metric: String,
    /// Its unit: `Mpps`, `Gbit/s`, `us`, `MiB`, `B`, `1`.
    pub unit: String,
    /// The number.
    pub value: f64,
    /// Which way it is better.
    pub better: Better,
}

/// A system, or one of its corners, that could not be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// The suite.
    pub suite: Suite,
    /// The corner; empty for all of the suite.
    pub corner: String,
    /// The system.
    pub system: String,
    /// Why, as a sentence.
    pub reason: String,
}

/// Everything a run found out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The numbers.
    pub samples: Vec<Sample>,
    /// What is missing, and why.
    pub absent: Vec<Absent>,
}
