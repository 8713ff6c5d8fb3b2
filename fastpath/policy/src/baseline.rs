//! The baseline that holds when a document names none: what a network needs to work at all.
//!
//! Name service and time are not in it on purpose. A rule that lets every device ask every
//! resolver is a way out for data; name your resolvers in a group and allow that.

use crate::document::{Action, Baseline, Direction, EtherRule, Peer, Rule};
use crate::scalar::{
    EtherMatch, FrameTarget, IcmpKind, IcmpName, Many, PortRange, Prefix, Protocol,
};
use crate::types::Side;

use Direction::{FromDevice, ToDevice};

impl Default for Baseline {
    fn default() -> Self {
        Self {
            double_tags: Vec::new(),
            ethertypes: default_frames(),
            rules: default_rules(),
        }
    }
}

impl Baseline {
    /// A baseline that lets everything through, like a piece of wire.
    pub fn wire() -> Self {
        let everything = || {
            vec![
                Peer::Any,
                Peer::Broadcast,
                multicast(&["224.0.0.0/4", "ff00::/8"]),
            ]
        };
        Self {
            double_tags: vec![Side::Ward, Side::Core],
            ethertypes: vec![frame("everything", EtherMatch::Any, FrameTarget::Any)],
            rules: vec![
                Rule::allow("everything-out", FromDevice, everything(), Protocol::Any),
                Rule::allow("everything-in", ToDevice, everything(), Protocol::Any),
            ],
        }
    }
}

/// The frames a bridge must carry for links, addresses and clocks to work.
fn default_frames() -> Vec<EtherRule> {
    vec![
        frame("arp", EtherMatch::Number(0x0806), FrameTarget::Any),
        frame("eapol", EtherMatch::Number(0x888e), FrameTarget::Any),
        frame("lldp", EtherMatch::Number(0x88cc), FrameTarget::LinkLocal),
        frame("spanning-tree", EtherMatch::Llc, FrameTarget::LinkLocal),
        frame(
            "slow-protocols",
            EtherMatch::Number(0x8809),
            FrameTarget::LinkLocal,
        ),
        frame("ptp", EtherMatch::Number(0x88f7), FrameTarget::Any),
    ]
}

/// Address configuration and group membership, for both versions of IP.
fn default_rules() -> Vec<Rule> {
    let dhcp_servers = vec![Peer::Any, Peer::Broadcast];
    let dhcpv6_servers = vec![Peer::Any, multicast(&["ff02::1:2"])];
    let link = || vec![Peer::Any, multicast(&["ff02::/16"])];
    let mut rules = vec![
        udp("dhcp-request", FromDevice, dhcp_servers.clone(), 68, 67),
        udp("dhcp-reply", ToDevice, dhcp_servers, 67, 68),
        udp("dhcpv6-request", FromDevice, dhcpv6_servers, 546, 547),
        udp("dhcpv6-reply", ToDevice, vec![Peer::Any], 547, 546),
        icmpv6(
            "neighbour-discovery-out",
            FromDevice,
            link(),
            &[
                IcmpName::RouterSolicitation,
                IcmpName::NeighbourSolicitation,
                IcmpName::NeighbourAdvertisement,
            ],
        ),
        icmpv6(
            "neighbour-discovery-in",
            ToDevice,
            link(),
            &[
                IcmpName::RouterAdvertisement,
                IcmpName::NeighbourSolicitation,
                IcmpName::NeighbourAdvertisement,
            ],
        ),
    ];
    for (name, direction) in [("out", FromDevice), ("in", ToDevice)] {
        rules.push(Rule::allow(
            &format!("igmp-{name}"),
            direction,
            vec![multicast(&["224.0.0.0/4"])],
            Protocol::Number(2),
        ));
        rules.push(icmpv6(
            &format!("mld-{name}"),
            direction,
            vec![multicast(&["ff00::/8"])],
            &[
                IcmpName::MulticastListenerQuery,
                IcmpName::MulticastListenerReport,
                IcmpName::MulticastListenerDone,
                IcmpName::MulticastListenerReportV2,
            ],
        ));
    }
    for rule in &mut rules {
        rule.rescue = true;
    }
    rules
}

fn frame(name: &str, ethertype: EtherMatch, destination: FrameTarget) -> EtherRule {
    EtherRule {
        name: name.into(),
        action: Action::Allow,
        ethertype,
        from: Many(vec![Side::Ward, Side::Core]),
        destination,
        note: None,
    }
}

fn udp(name: &str, direction: Direction, peer: Vec<Peer>, source: u16, port: u16) -> Rule {
    Rule {
        ports: Some(Many(vec![PortRange::one(port)])),
        source_ports: Some(Many(vec![PortRange::one(source)])),
        ..Rule::allow(name, direction, peer, Protocol::UDP)
    }
}

fn icmpv6(name: &str, direction: Direction, peer: Vec<Peer>, kinds: &[IcmpName]) -> Rule {
    Rule {
        icmp: Some(kinds.iter().copied().map(IcmpKind::Named).collect()),
        ..Rule::allow(name, direction, peer, Protocol::ICMPV6)
    }
}

/// The multicast networks written here; what does not parse is left out, and a test holds that
/// nothing is.
fn multicast(networks: &[&str]) -> Peer {
    Peer::Multicast(
        networks
            .iter()
            .filter_map(|n| n.parse::<Prefix>().ok())
            .collect(),
    )
}
