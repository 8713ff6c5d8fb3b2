//! How large a policy is, and the same policy in the words of each system.
//!
//! No two devices share an address or a rule: nothing can be saved by keeping equal things once.

use std::fmt::Write;
use std::net::Ipv4Addr;

use anyhow::Result;
use serde::Serialize;
use wardline_policy::types::MacAddr;

/// Devices and rules of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Devices.
    pub devices: u32,
    /// Rules of each device.
    pub rules: u32,
}

/// How a policy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// TOML.
    Toml,
}

impl Format {
    /// As the ending of a file's name.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Toml => "toml",
        }
    }

    /// As in the names of corners.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Toml => "TOML",
        }
    }
}

/// Most rules of one device in any size: a rule has the same number in all of them.
const RULES: u32 = 100;

impl Size {
    /// As in the names of corners.
    pub fn name(self) -> String {
        let plural =
            |count: u32, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (devices, rules) = (plural(self.devices, "device"), plural(self.rules, "rule"));
        format!("{devices}, {rules}")
    }

    fn each(self) -> impl Iterator<Item = (u32, u32)> {
        (0..self.devices).flat_map(move |d| (0..self.rules).map(move |r| (d, d * RULES + r)))
    }

    /// As a policy of Wardline's.
    ///
    /// # Errors
    /// Never: it is made of text and numbers.
    pub fn policy(self, format: Format) -> Result<String> {
        Ok(match format {
            Format::Json => serde_json::to_string(&Policy::new(self))?,
            Format::Toml => self.toml()?,
        })
    }

    /// As a person writes it: a table for each rule, its peer in the same line.
    fn toml(self) -> Result<String> {
        let mut text = format!("version = 1\nname = \"{}\"\n", self.name());
        for device in Policy::new(self).devices {
            let Device {
                name, mac, mode, ..
            } = &device;
            write!(
                text,
                "\n[[devices]]\nname = \"{name}\"\nmac = \"{mac}\"\nmode = \"{mode}\"\n"
            )?;
            for rule in &device.rules {
                write!(
                    text,
                    "\n[[devices.rules]]\nname = \"{}\"\npeer = {{ address = \"{}\" }}\n\
                     protocol = \"{}\"\nports = {}\n",
                    rule.name, rule.peer.address, rule.protocol, rule.ports
                )?;
            }
        }
        Ok(text)
    }

    /// As OpenFlow rules.
    ///
    /// # Errors
    /// Never: text takes what is written to it.
    pub fn openflow(self) -> Result<String> {
        let mut text = String::new();
        for (device, rule) in self.each() {
            let (mac, server, port) = (mac(device), server(rule), port(rule));
            writeln!(
                text,
                "priority=10,udp,dl_src={mac},nw_dst={server},tp_dst={port},actions=NORMAL"
            )?;
        }
        Ok(text)
    }

    /// As a set of nftables, which is how a table of this size is kept there.
    ///
    /// # Errors
    /// Never: text takes what is written to it.
    pub fn nftables(self) -> Result<String> {
        let mut text = String::from(
            "table bridge bench {\n set allowed {\n  type ether_addr . ipv4_addr . inet_service\n  \
             elements = {\n",
        );
        for (device, rule) in self.each() {
            let (mac, server, port) = (mac(device), server(rule), port(rule));
            writeln!(text, "   {mac} . {server} . {port},")?;
        }
        text.push_str(
            "  }\n }\n chain forward {\n  type filter hook forward priority 0; policy drop;\n  \
             ether saddr . ip daddr . udp dport @allowed accept\n }\n}\n",
        );
        Ok(text)
    }
}

/// The MAC address of a device.
pub fn mac(device: u32) -> MacAddr {
    let [_, a, b, c] = device.to_be_bytes();
    MacAddr([0x02, 0x77, 0, a, b, c])
}

/// The server a rule is about.
pub fn server(rule: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 64, 0, 0).to_bits() + rule)
}

/// The port of that server.
pub const fn port(rule: u32) -> u16 {
    10_000 + (rule % 50_000) as u16
}

#[derive(Serialize)]
struct Policy {
    version: u32,
    name: String,
    devices: Vec<Device>,
}

#[derive(Serialize)]
struct Device {
    name: String,
    mac: String,
    mode: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
struct Rule {
    name: String,
    peer: Peer,
    protocol: &'static str,
    ports: u16,
}

#[derive(Serialize)]
struct Peer {
    address: Ipv4Addr,
}

impl Policy {
    fn new(size: Size) -> Self {
        let rule = |number: u32| Rule {
            name: format!("rule-{number}"),
            peer: Peer {
                address: server(number),
            },
            protocol: "udp",
            ports: port(number),
        };
        let device = |number: u32| Device {
            name: format!("device-{number}"),
            mac: mac(number).to_string(),
            mode: "enforce",
            rules: (0..size.rules).map(|r| rule(number * RULES + r)).collect(),
        };
        Self {
            version: 1,
            name: size.name(),
            devices: (0..size.devices).map(device).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Size = Size {
        devices: 3,
        rules: 2,
    };

    #[test]
    fn both_formats_are_the_same_policy() {
        use wardline_policy::{Format as Kind, parse};
        let read = |format: Format, kind| {
            let text = SMALL.policy(format).unwrap();
            parse(&text, kind, "policy").unwrap()
        };
        let (json, warnings) = read(Format::Json, Kind::Json);
        assert_eq!(json, read(Format::Toml, Kind::Toml).0);
        assert!(warnings.is_empty());
        assert_eq!(json.devices.len(), 3);
        assert!(json.devices.iter().all(|d| d.rules.len() == 2));
    }

    #[test]
    fn peers_get_as_many_rules() {
        assert_eq!(SMALL.openflow().unwrap().lines().count(), 6);
        assert_eq!(SMALL.nftables().unwrap().matches(" . 10.64.").count(), 6);
        assert_eq!(SMALL.name(), "3 devices, 2 rules");
    }
}
