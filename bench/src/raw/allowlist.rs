//! The policy of a corner in the words of Open vSwitch: the same devices, the same rules.

use std::fmt::Write;

use super::corner::{Corner, Network};
use super::traffic::traffic;
use crate::traffic::{Transport, mac, service};

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
    let traffic = traffic(corner);
    let vlan = traffic
        .vlan
        .map_or_else(String::new, |vlan| format!("dl_vlan={vlan},"));
    let mut text = format!(
        "table=0,{ip},actions=ct(table=1)\n\
         table=1,ct_state=+trk+est,in_port=1,actions=output:2\n\
         table=1,ct_state=+trk+est,in_port=2,actions=output:1\n"
    );
    for device in 0..corner.devices {
        let (mac, address) = (mac(device), traffic.client(device));
        for rule in traffic.rules_of(device) {
            let (peer, port) = (traffic.servers(rule), service(rule));
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
        let snapshot = Arc::new(compile(&traffic(corner).document(), 0).unwrap());
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
