//! Addresses, ports and the allowlist: the same for every system.
//!
//! Each side has a host with a network stack (round trips, TCP) and a station that exists only in
//! frames: what is addressed to it is counted on arrival and dropped by the kernel at once, so that
//! receiving costs next to nothing.

use std::net::Ipv4Addr;

use wardline_policy::Side;

/// One party of the conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Party {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Its network address.
    pub ip: Ipv4Addr,
}

const fn party(prefix: [u8; 5], last: u8) -> Party {
    let [a, b, c, d, e] = prefix;
    Party {
        mac: [a, b, c, d, e, last],
        ip: Ipv4Addr::new(10, 77, 0, last),
    }
}

const WARD_PREFIX: [u8; 5] = [0x00, 0x09, 0xfb, 0x00, 0x00];
const CORE_PREFIX: [u8; 5] = [0x02, 0x00, 0x00, 0x00, 0x00];
const HOSTS: [Party; 2] = [party(WARD_PREFIX, 1), party(CORE_PREFIX, 2)];
const STATIONS: [Party; 2] = [party(WARD_PREFIX, 11), party(CORE_PREFIX, 12)];

/// The only port at which the core side may be reached, over UDP and TCP.
pub const ALLOWED_PORT: u16 = 7_000;
/// A port nobody allowed.
pub const DENIED_PORT: u16 = 7_999;
/// Conversations of the load.
pub const FLOWS: u16 = 64;
/// Source port of the first of them.
pub const FIRST_SOURCE_PORT: u16 = 20_000;

/// Both sides, ward first.
pub const SIDES: [Side; 2] = [Side::Ward, Side::Core];

/// The host on a side.
pub fn host(side: Side) -> Party {
    HOSTS[side as usize]
}

/// The station on a side.
pub fn station(side: Side) -> Party {
    STATIONS[side as usize]
}

/// The name of a side.
pub fn name(side: Side) -> &'static str {
    match side {
        Side::Ward => "ward",
        Side::Core => "core",
    }
}

/// The other side.
pub fn opposite(side: Side) -> Side {
    match side {
        Side::Ward => Side::Core,
        Side::Core => Side::Ward,
    }
}

/// A hardware address as text.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// The pairs that may talk: device side, core side.
pub fn allowed_pairs() -> [(Party, Party); 2] {
    [HOSTS, STATIONS].map(|[ward, core]| (ward, core))
}

/// The allowlist as a Wardline policy.
pub fn policy() -> String {
    let mut text = String::from(
        "version = 1\nname = \"bench\"\n\n[defaults]\nmode = \"enforce\"\n\
         unlisted_mode = \"enforce\"\n\
         storm = { packets_per_s = 0, broadcasts_per_s = 0, new_flows_per_s = 0 }\n",
    );
    for (number, (ward, core)) in allowed_pairs().into_iter().enumerate() {
        text += &format!(
            "\n[[devices]]\nname = \"device-{number}\"\nmac = \"{}\"\naddresses = \"{}\"\n",
            mac_text(ward.mac),
            ward.ip
        );
        for protocol in ["udp", "tcp"] {
            text += &format!(
                "\n[[devices.rules]]\nname = \"{protocol}\"\npeer = {{ address = \"{}\" }}\n\
                 protocol = \"{protocol}\"\nports = {ALLOWED_PORT}\n",
                core.ip
            );
        }
    }
    text
}

/// The allowlist as an nftables ruleset of a family (`bridge`, `inet`), for the forward hook.
pub fn ruleset(family: &str) -> String {
    let mut text = format!(
        "table {family} bench {{\n chain forward {{\n  \
         type filter hook forward priority 0; policy drop;\n  \
         ct state established,related counter accept\n"
    );
    if family == "bridge" {
        text += "  ether type arp accept\n";
    }
    for (ward, core) in allowed_pairs() {
        for protocol in ["udp", "tcp"] {
            text += &format!(
                "  ip saddr {} ip daddr {} {protocol} dport {ALLOWED_PORT} counter accept\n",
                ward.ip, core.ip
            );
        }
    }
    text + " }\n}\n"
}

/// The allowlist as OpenFlow rules with connection tracking; port 1 is the ward, 2 the core.
pub fn openflow() -> String {
    let mut text = String::from(
        "table=0,priority=100,arp,in_port=1,actions=output:2\n\
         table=0,priority=100,arp,in_port=2,actions=output:1\n\
         table=0,priority=50,ip,actions=ct(table=1)\n\
         table=0,priority=0,actions=drop\n\
         table=1,priority=100,ct_state=+trk+est,ip,in_port=1,actions=output:2\n\
         table=1,priority=100,ct_state=+trk+est,ip,in_port=2,actions=output:1\n\
         table=1,priority=0,actions=drop\n",
    );
    for (ward, core) in allowed_pairs() {
        for protocol in ["udp", "tcp"] {
            text += &format!(
                "table=1,priority=50,ct_state=+trk+new,{protocol},in_port=1,nw_src={},nw_dst={},\
                 tp_dst={ALLOWED_PORT},actions=ct(commit),output:2\n",
                ward.ip, core.ip
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use wardline_policy::{Format, compile, parse};

    use super::*;

    #[test]
    fn the_policy_compiles_and_lists_both_devices() {
        let (document, _) = parse(&policy(), Format::Toml, "bench").unwrap();
        assert_eq!(document.devices.len(), 2);
        compile(&document, 1_795_000_000).unwrap();
    }

    #[test]
    fn every_form_of_the_allowlist_names_the_same_pairs() {
        for text in [policy(), ruleset("inet"), openflow()] {
            for (ward, core) in allowed_pairs() {
                assert!(text.contains(&ward.ip.to_string()), "{text}");
                assert!(text.contains(&core.ip.to_string()), "{text}");
            }
            assert!(!text.contains(&DENIED_PORT.to_string()));
        }
    }
}
