//! Numbers and services as a person reads them.

use core::fmt::Write as _;

use super::alert::Service;
use super::settings::{DAY, HOUR, MINUTE, SECOND};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const ICMP: [u8; 2] = [1, 58];

/// `4.2 MB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1_000 {
        return format!("{count} bytes");
    }
    let mut value = count as f64 / 1_000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let digits = usize::from(value < 9.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// `9 days`, `3 hours`, `45 s`.
pub(crate) fn span(ns: u64) -> String {
    let counted = |unit: u64, name: &str| {
        let count = (ns + unit / 2) / unit;
        format!("{count} {name}{}", if count == 1 { "" } else { "s" })
    };
    match ns {
        n if n >= 2 * DAY => counted(DAY, "day"),
        n if n >= 2 * HOUR => counted(HOUR, "hour"),
        n if n >= 2 * MINUTE => counted(MINUTE, "minute"),
        n => format!("{:.0} s", n as f64 / SECOND as f64),
    }
}

/// `HL7`, `ssh (22/tcp)`, `port 4001/tcp`.
pub(crate) fn service(service: &Service) -> String {
    match service {
        Service::Named(name) => name.clone(),
        Service::Port { protocol, port } => match port_name(*protocol, *port) {
            Some(name) => format!("{name} ({})", numbers(*protocol, *port)),
            None => format!("port {}", numbers(*protocol, *port)),
        },
        Service::HighPorts { protocol } => format!("high {} ports", protocol_name(*protocol)),
    }
}

/// `10.0.0.5, 10.0.0.6 and 3 more`.
pub(crate) fn list(items: &[String], shown: usize) -> String {
    let mut text = items[..items.len().min(shown)].join(", ");
    if items.len() > shown {
        let _ = write!(text, " and {} more", items.len() - shown);
    }
    text
}

/// Whether a port is one that intruders move along: remote control, file sharing, databases.
pub(crate) fn is_lateral(protocol: u8, port: u16) -> bool {
    protocol == TCP && LATERAL.iter().any(|(known, _)| *known == port)
}

/// Whether ports of this protocol are numbers a program may choose.
pub(crate) fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | SCTP)
}

const LATERAL: [(u16, &str); 11] = [
    (22, "remote login, ssh"),
    (23, "remote login, telnet"),
    (135, "Windows remote procedures"),
    (139, "file sharing, SMB"),
    (445, "file sharing, SMB"),
    (1_433, "SQL Server"),
    (3_389, "remote desktop"),
    (5_900, "screen sharing, VNC"),
    (5_985, "Windows remote management"),
    (5_986, "Windows remote management"),
    (9_100, "raw printing"),
];

fn port_name(protocol: u8, port: u16) -> Option<&'static str> {
    if ICMP.contains(&protocol) {
        return Some("ICMP");
    }
    let known = LATERAL.iter().find(|(known, _)| *known == port)?;
    (protocol == TCP).then_some(known.1)
}

fn numbers(protocol: u8, port: u16) -> String {
    if ICMP.contains(&protocol) {
        return format!("type {}", port >> 8);
    }
    format!("{port}/{}", protocol_name(protocol))
}

fn protocol_name(protocol: u8) -> String {
    match protocol {
        TCP => "tcp".into(),
        UDP => "udp".into(),
        SCTP => "sctp".into(),
        other => format!("protocol {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_times_read_well() {
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(4_200_000), "4.2 MB");
        assert_eq!(bytes(999_999), "1.0 MB");
        assert_eq!(bytes(52_000_000_000), "52 GB");
        assert_eq!(span(45 * SECOND), "45 s");
        assert_eq!(span(9 * DAY), "9 days");
        assert_eq!(span(120 * SECOND), "2 minutes");
    }

    #[test]
    fn services_have_the_names_people_use() {
        let port = |protocol, port| service(&Service::Port { protocol, port });
        assert_eq!(port(6, 22), "remote login, ssh (22/tcp)");
        assert_eq!(port(17, 22), "port 22/udp");
        assert_eq!(port(1, 8 << 8), "ICMP (type 8)");
        assert_eq!(service(&Service::Named("hl7".into())), "hl7");
    }
}
