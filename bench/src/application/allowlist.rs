//! Who may talk to whom: one list, in the words of each system.

use std::fmt::Write;

use super::frame::Station;

/// Devices that may use a server, and nothing else.
#[derive(Debug, Clone)]
pub struct Allowlist {
    /// The devices, each bound to its network address.
    pub devices: Vec<Station>,
    /// The server.
    pub server: Station,
    /// Its TCP ports.
    pub ports: Vec<u16>,
}

/// A hardware address as people write it.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

impl Allowlist {
    /// As a Wardline policy. Devices that are not listed are enforced too, and so have nothing but
    /// the baseline.
    pub fn policy(&self) -> String {
        let mut text = format!(
            "version = 1\nname = \"bench\"\n\n[defaults]\nmode = \"enforce\"\n\
             unlisted_mode = \"enforce\"\nrefusal = \"silent\"\n\
             storm = {{ packets_per_s = 0, broadcasts_per_s = 0, new_flows_per_s = 0 }}\n\n\
             [groups.server]\naddresses = [\"{}\"]\n\n[roles.client]\n[[roles.client.rules]]\n\
             name = \"service\"\npeer = {{ group = \"server\" }}\nprotocol = \"tcp\"\n\
             ports = {:?}\n",
            self.server.ip, self.ports
        );
        for (number, device) in self.devices.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "\n[[devices]]\nname = \"client-{number}\"\nmac = \"{}\"\nrole = \"client\"\n\
                 addresses = \"{}\"\n",
                mac_text(device.mac),
                device.ip
            );
        }
        text
    }

    /// As an nftables ruleset for a bridge with the ports `ward0` and `core0`. Addresses are bound
    /// to devices where the bridge is, and connections are tracked where the bridge hands IPv4 to
    /// the IP hooks (`bridge-nf-call-iptables`): that works also on kernels whose bridge does not
    /// track by itself.
    pub fn nftables(&self) -> String {
        let ports: Vec<_> = self.ports.iter().map(u16::to_string).collect();
        let bindings = self.each(|device| format!("{} . {}", mac_text(device.mac), device.ip));
        let sources = self.each(|device| device.ip.to_string());
        let server = self.server.ip;
        format!(
            "table bridge binding {{\n  set clients {{ type ether_addr . ipv4_addr; \
             elements = {{ {bindings} }} }}\n  chain forward {{\n    \
             type filter hook forward priority -200; policy drop;\n    \
             ether type arp accept\n    \
             iifname \"core0\" ether type ip accept\n    \
             iifname \"ward0\" ether saddr . ip saddr @clients accept\n  }}\n}}\n\
             table ip allow {{\n  set clients {{ type ipv4_addr; elements = {{ {sources} }} }}\n  \
             chain forward {{\n    type filter hook forward priority 0; policy drop;\n    \
             ct state established,related counter accept\n    \
             ct state new ip saddr @clients ip daddr {server} tcp dport {{ {} }} \
             counter accept\n  }}\n}}\n",
            ports.join(", ")
        )
    }

    /// As OpenFlow rules with connection tracking; port 1 is the ward, 2 the core.
    pub fn openflow(&self) -> String {
        let mut text = String::from(
            "table=0,priority=100,arp,in_port=1,actions=output:2\n\
             table=0,priority=100,arp,in_port=2,actions=output:1\n\
             table=0,priority=50,ip,in_port=2,actions=ct(table=1)\n\
             table=0,priority=0,actions=drop\n\
             table=1,priority=100,ct_state=+trk+est,ip,in_port=1,actions=output:2\n\
             table=1,priority=100,ct_state=+trk+est,ip,in_port=2,actions=output:1\n\
             table=1,priority=0,actions=drop\n",
        );
        for device in &self.devices {
            let (mac, ip, server) = (mac_text(device.mac), device.ip, self.server.ip);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "table=0,priority=50,ip,in_port=1,dl_src={mac},nw_src={ip},actions=ct(table=1)"
            );
            for port in &self.ports {
                let _ = writeln!(
                    text,
                    "table=1,priority=50,ct_state=+trk+new,tcp,in_port=1,nw_src={ip},\
                     nw_dst={server},tp_dst={port},actions=ct(commit),output:2"
                );
            }
        }
        text
    }

    fn each(&self, words: impl Fn(&Station) -> String) -> String {
        self.devices
            .iter()
            .map(words)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use wardline_policy::{Format, compile, parse};

    use super::*;

    fn two_devices() -> Allowlist {
        let station = |last| Station {
            mac: [2, 0x77, 0, 0, 0, last],
            ip: Ipv4Addr::new(10, 77, 0, last),
        };
        Allowlist {
            devices: vec![station(16), station(17)],
            server: station(1),
            ports: vec![80, 104],
        }
    }

    #[test]
    fn the_policy_compiles_and_binds_each_device() {
        let (document, _) = parse(&two_devices().policy(), Format::Toml, "bench").unwrap();
        assert_eq!(document.devices.len(), 2);
        compile(&document, 1_795_000_000).unwrap();
    }

    #[test]
    fn every_form_names_the_same_devices_and_ports() {
        let list = two_devices();
        let (policy, rules, flows) = (list.policy(), list.nftables(), list.openflow());
        for device in &list.devices {
            for word in [mac_text(device.mac), device.ip.to_string()] {
                for form in [&policy, &rules, &flows] {
                    assert!(form.contains(&word), "{word} in {form}");
                }
            }
        }
        assert_eq!(flows.matches("tp_dst=104,").count(), 2, "{flows}");
        assert!(policy.contains("ports = [80, 104]"), "{policy}");
        assert!(rules.contains("tcp dport { 80, 104 }"), "{rules}");
    }
}
