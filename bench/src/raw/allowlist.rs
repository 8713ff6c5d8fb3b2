//! The policy of a corner, in the words of each system: the same devices, the same rules.

use std::fmt::Write;

use wardline_policy::Mode;
use wardline_policy::document::{Device, Direction, Document, Peer, Rule};
use wardline_policy::scalar::{Many, PortRange, Protocol};

use super::corner::{Corner, Network, Transport};
use super::traffic::{device_address, device_mac, server_port, servers};

/// As a policy of Wardline's: every device enforced, at its address, with rules of its own.
pub fn document(corner: &Corner) -> Document {
    let mut document = Document::new("bench");
    document.devices = (0..corner.devices)
        .map(|number| device(corner, number))
        .collect();
    document
}

fn device(corner: &Corner, number: u32) -> Device {
    Device {
        name: format!("device-{number}"),
        mac: device_mac(number),
        vlan: corner.vlan(),
        role: None,
        mode: Some(Mode::Enforce),
        care: None,
        ward: None,
        owner: None,
        since: None,
        assets: Vec::new(),
        addresses: Many(vec![device_address(corner.network, number)]),
        refusal: None,
        storm: None,
        controller: None,
        mud: None,
        note: None,
        rules: rule_numbers(corner, number)
            .map(|rule| allow(corner, rule))
            .collect(),
    }
}

fn allow(corner: &Corner, rule: u32) -> Rule {
    let peer = Peer::Address(Many(vec![servers(corner.network, rule)]));
    let protocol = match corner.transport {
        Transport::Udp => Protocol::UDP,
        Transport::Tcp => Protocol::TCP,
    };
    Rule {
        ports: Some(Many(vec![PortRange::one(server_port(rule))])),
        ..Rule::allow(
            &format!("rule-{rule}"),
            Direction::FromDevice,
            vec![peer],
            protocol,
        )
    }
}

/// As OpenFlow rules with connection tracking, between port 1 (ward) and port 2 (core).
///
/// What belongs to a tracked conversation passes; a new one is committed if its device (by MAC
/// address, VLAN and IP address) has a rule for it; nothing else matches, so it is dropped.
pub fn openflow(corner: &Corner) -> String {
    let (ip, source, destination) = match corner.network {
        Network::Ipv4 | Network::Vlan => ("ip", "nw_src", "nw_dst"),
        Network::Ipv6 => ("ipv6", "ipv6_src", "ipv6_dst"),
    };
    let protocol = match (corner.transport, corner.network) {
        (Transport::Udp, Network::Ipv6) => "udp6",
        (Transport::Udp, _) => "udp",
        (Transport::Tcp, Network::Ipv6) => "tcp6",
        (Transport::Tcp, _) => "tcp",
    };
    let vlan = match corner.vlan().0.outer {
        0 => String::new(),
        vlan => format!("dl_vlan={vlan},"),
    };
    let mut text = format!(
        "table=0,{ip},actions=ct(table=1)\n\
         table=1,ct_state=+trk+est,in_port=1,actions=output:2\n\
         table=1,ct_state=+trk+est,in_port=2,actions=output:1\n"
    );
    for device in 0..corner.devices {
        let mac = device_mac(device);
        let address = device_address(corner.network, device);
        for rule in rule_numbers(corner, device) {
            let (peer, port) = (servers(corner.network, rule), server_port(rule));
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "table=1,ct_state=+trk+new,in_port=1,{vlan}{protocol},dl_src={mac},\
                 {source}={address},{destination}={peer},tp_dst={port},\
                 actions=ct(commit),output:2"
            );
        }
    }
    text
}

/// Without any policy: what comes in at one port goes out at the other.
pub const FORWARD: &str = "in_port=1,actions=output:2\nin_port=2,actions=output:1\n";

/// The numbers of a device's rules among those of all.
fn rule_numbers(corner: &Corner, device: u32) -> std::ops::Range<u32> {
    device * corner.rules..(device + 1) * corner.rules
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wardline_engine::{Engine, Limits, Verdict};
    use wardline_policy::{Reason, Side, compile};

    use super::super::corner::{FULL, Mix};
    use super::super::traffic::frame;
    use super::*;

    const NOW_NS: u64 = 1_800_000_000_000_000_000;

    /// What the engine says to the first conversations of a corner, played twice as in a loop.
    fn verdicts(corner: &Corner, flows: u32) -> Vec<[Reason; 2]> {
        let snapshot = Arc::new(compile(&document(corner), 0).unwrap());
        let mut engine = Engine::new(Limits::default(), 1, snapshot, NOW_NS);
        let mut judge = |number, from| {
            let frame = frame(corner, number, from == Side::Ward).unwrap();
            let mut verdict = [Verdict::default()];
            engine.process(from, NOW_NS, &[&frame], &mut verdict);
            verdict[0].reason
        };
        let mut pass = || -> Vec<[Reason; 2]> {
            let both = |number| [judge(number, Side::Ward), judge(number, Side::Core)];
            (0..flows).map(both).collect()
        };
        pass();
        pass()
    }

    #[test]
    fn what_a_corner_calls_allowed_is_allowed_and_the_rest_is_not() {
        for corner in FULL {
            let denied = [Reason::NoRule; 2];
            for (number, verdicts) in verdicts(corner, 200).into_iter().enumerate() {
                let turn = number as u32 / corner.devices;
                match corner.mix {
                    Mix::Denied => assert_eq!(verdicts, denied, "{corner}"),
                    Mix::HalfDenied if turn % 2 == 1 => assert_eq!(verdicts, denied, "{corner}"),
                    _ => assert_eq!(verdicts, [Reason::Established; 2], "{corner}"),
                }
            }
        }
    }

    #[test]
    fn openflow_has_a_line_for_each_rule() {
        for corner in FULL {
            let lines = openflow(corner).lines().count() as u32;
            assert_eq!(lines, 3 + corner.devices * corner.rules, "{corner}");
        }
    }

    #[test]
    fn openflow_names_the_same_stations_as_the_policy() {
        let text = openflow(&FULL[0]);
        assert!(
            text.ends_with(
                "table=1,ct_state=+trk+new,in_port=1,udp,dl_src=02:00:00:00:00:09,\
             nw_src=10.0.0.10,nw_dst=10.64.0.144/28,tp_dst=10009,actions=ct(commit),output:2\n"
            ),
            "{text}"
        );
    }
}
