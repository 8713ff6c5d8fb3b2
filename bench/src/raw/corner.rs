//! The corners of the matrix: what is sent, under how large a policy.

use std::fmt;

use crate::traffic::Transport;

/// Sizes of frames on the wire: with the frame check sequence, which no capture holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// All of one size; headers that need more make it larger.
    One(u16),
    /// Seven of 64 bytes, four of 594 and one of 1,518.
    Imix,
}

/// Network layer of the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// IPv4, untagged.
    Ipv4,
    /// IPv6, untagged.
    Ipv6,
    /// IPv4 with one 802.1Q tag.
    Vlan,
}

/// What the policy says to the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Every flow has a rule.
    Allowed,
    /// Every other flow has none.
    HalfDenied,
    /// No flow has one: each frame is a miss that policy is asked about.
    Denied,
}

/// Who is measured at a corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Wardline and every peer.
    Everybody,
    /// Wardline, the ceiling and the peer that does the same job: where memory is short.
    Few,
    /// Wardline alone: its own scaling.
    Wardline,
}

impl Who {
    /// Whether the system is measured.
    pub fn includes(self, system: &str) -> bool {
        match self {
            Self::Everybody => true,
            Self::Few => ["wardline", "testpmd io", "ovs-dpdk conntrack"].contains(&system),
            Self::Wardline => system == "wardline",
        }
    }
}

/// One corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corner {
    /// What is varied: a name for `--only`.
    pub family: &'static str,
    /// Sizes of the frames.
    pub sizes: Sizes,
    /// Conversations; each has one frame in each direction.
    pub flows: u32,
    /// Allow rules of each device.
    pub rules: u32,
    /// Devices, all enforced.
    pub devices: u32,
    /// Network layer.
    pub network: Network,
    /// Transport layer.
    pub transport: Transport,
    /// What the policy says.
    pub mix: Mix,
    /// Who is measured.
    pub who: Who,
}

const BASE: Corner = Corner {
    family: "flows",
    sizes: Sizes::One(64),
    flows: 4_096,
    rules: 1,
    devices: 10,
    network: Network::Ipv4,
    transport: Transport::Udp,
    mix: Mix::Allowed,
    who: Who::Everybody,
};
/// Many flows: more than the second-level cache holds, and enough for each of 10,000 devices.
const MANY: u32 = 65_536;

const fn flows(flows: u32) -> Corner {
    Corner { flows, ..BASE }
}

const fn sizes(sizes: Sizes) -> Corner {
    Corner {
        family: "sizes",
        sizes,
        ..BASE
    }
}

const fn rules(rules: u32, mix: Mix, who: Who) -> Corner {
    Corner {
        family: "rules",
        flows: MANY,
        rules,
        mix,
        who,
        ..BASE
    }
}

const fn devices(devices: u32) -> Corner {
    Corner {
        family: "devices",
        flows: MANY,
        devices,
        who: Who::Wardline,
        ..BASE
    }
}

const fn protocol(network: Network, transport: Transport) -> Corner {
    Corner {
        family: "protocols",
        network,
        transport,
        ..BASE
    }
}

/// The corners of a full run, one dimension varied at a time. A corner that two families share
/// is listed once.
pub const FULL: &[Corner] = &[
    flows(1_024),
    flows(4_096),
    flows(MANY),
    Corner {
        who: Who::Few,
        ..flows(1_048_576)
    },
    sizes(Sizes::Imix),
    sizes(Sizes::One(1_500)),
    rules(50, Mix::Allowed, Who::Everybody),
    rules(1_000, Mix::Allowed, Who::Everybody),
    rules(1, Mix::Denied, Who::Wardline),
    rules(50, Mix::Denied, Who::Wardline),
    rules(1_000, Mix::Denied, Who::Wardline),
    devices(1_000),
    devices(10_000),
    protocol(Network::Ipv6, Transport::Udp),
    protocol(Network::Vlan, Transport::Udp),
    protocol(Network::Ipv4, Transport::Tcp),
    Corner {
        family: "denied",
        mix: Mix::HalfDenied,
        ..BASE
    },
];

/// The corners of a quick run.
pub const QUICK: &[Corner] = &[flows(4_096), rules(50, Mix::Allowed, Who::Everybody)];

/// The established part of a flood of new flows, measured without ports.
pub const FLOOD: Corner = Corner {
    family: "new-flows",
    rules: 50,
    who: Who::Wardline,
    ..BASE
};

/// The families, for `--only`.
pub const FAMILIES: &[&str] = &[
    "flows",
    "sizes",
    "rules",
    "devices",
    "protocols",
    "denied",
    "new-flows",
];

impl Corner {
    /// Part of the frames that a gateway under this policy forwards.
    pub const fn forwarded(&self) -> f64 {
        match self.mix {
            Mix::Allowed => 1.0,
            Mix::HalfDenied => 0.5,
            Mix::Denied => 0.0,
        }
    }
}

impl fmt::Display for Corner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = match self.sizes {
            Sizes::One(bytes) => format!("{bytes} B"),
            Sizes::Imix => "IMIX".to_owned(),
        };
        let network = match self.network {
            Network::Ipv4 => "IPv4",
            Network::Ipv6 => "IPv6",
            Network::Vlan => "VLAN IPv4",
        };
        let transport = match self.transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        };
        let mix = match self.mix {
            Mix::Allowed => "allowed",
            Mix::HalfDenied => "50 % denied",
            Mix::Denied => "denied",
        };
        let plural = |number: u32| if number == 1 { "" } else { "s" };
        write!(
            f,
            "{sizes}, {} flows, {} rule{}, {} devices, {network} {transport}, {mix}",
            self.flows,
            self.rules,
            plural(self.rules),
            self.devices
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_corner_is_named_by_what_makes_it() {
        assert_eq!(
            BASE.to_string(),
            "64 B, 4096 flows, 1 rule, 10 devices, IPv4 UDP, allowed"
        );
    }

    #[test]
    fn corners_are_listed_once_and_belong_to_a_family() {
        for list in [FULL, QUICK] {
            let names: BTreeSet<_> = list.iter().map(ToString::to_string).collect();
            assert_eq!(names.len(), list.len());
            assert!(list.iter().all(|c| FAMILIES.contains(&c.family)));
        }
    }

    #[test]
    fn every_device_and_rule_of_a_corner_has_a_flow() {
        for corner in FULL.iter().chain(QUICK) {
            assert!(corner.devices * corner.rules <= corner.flows, "{corner}");
        }
    }
}
