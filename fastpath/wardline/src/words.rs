//! Numbers, times and protocols as people say them.

use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::Serialize;
use wardline_policy::{DeviceKey, VlanKey};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

/// Now, in microseconds since the Unix epoch.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

/// RFC 3339 in UTC with nine digits of the second.
pub(crate) fn rfc3339_ns(ns: u64) -> String {
    // All of u64 lies before the year 2555, inside the library's range.
    Timestamp::from_nanosecond(ns.into()).map_or_else(|_| ns.to_string(), |t| format!("{t:.9}"))
}

/// RFC 3339 in UTC to the second.
pub(crate) fn rfc3339_s(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}

/// Clock time in UTC to the millisecond, for a list of events.
pub(crate) fn clock(us: u64) -> String {
    Timestamp::from_microsecond(us.cast_signed()).map_or_else(
        |_| us.to_string(),
        |t| t.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
    )
}

/// `3 s`, `5 min`, `2 h 10 min`, `4 d 3 h`.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// How long ago a moment was.
pub(crate) fn ago(us: u64, now_us: u64) -> String {
    match now_us.saturating_sub(us) / 1_000_000 {
        0 => "now".to_owned(),
        seconds => format!("{} ago", duration(seconds)),
    }
}

/// Who a MAC address is registered to, cut to what a table has room for.
pub(crate) fn maker(vendor: Option<&str>) -> String {
    const WIDTH: usize = 18;
    match vendor {
        None => "-".to_owned(),
        Some(name) if name.chars().count() <= WIDTH => name.to_owned(),
        Some(name) => name.chars().take(WIDTH - 1).chain(['…']).collect(),
    }
}

/// `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `512 B`, `1.5 kB`, `20 MB`: powers of ten, as network people count.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1_000 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1_000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let digits = usize::from(value < 9.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// The word serde writes for a fieldless variant: one name everywhere.
pub(crate) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// `-`, `10` or `10.20` (outer, inner).
pub(crate) fn vlan(vlan: VlanKey) -> String {
    match (vlan.outer, vlan.inner) {
        (0, _) => "-".to_owned(),
        (outer, 0) => outer.to_string(),
        (outer, inner) => format!("{outer}.{inner}"),
    }
}

/// The name of a device for people: from the policy, else its MAC address.
pub(crate) fn device(key: &DeviceKey, name: &str) -> String {
    if name.is_empty() {
        key.mac.to_string()
    } else {
        name.to_owned()
    }
}

/// `10.1.2.3:443`, `[fe80::1]:443`, or the address alone where there are no ports.
pub(crate) fn endpoint(address: IpAddr, protocol: u8, port: u16) -> String {
    if has_ports(protocol) {
        SocketAddr::new(address, port).to_string()
    } else {
        address.to_string()
    }
}

/// Whether the protocol has ports.
pub(crate) const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | SCTP)
}

/// `tcp`, `icmpv6`, or the number.
pub(crate) fn protocol(number: u8) -> String {
    match number {
        ICMP => "icmp",
        2 => "igmp",
        TCP => "tcp",
        UDP => "udp",
        41 => "ipv6 in ip",
        47 => "gre",
        50 => "esp",
        ICMPV6 => "icmpv6",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        SCTP => "sctp",
        _ => return format!("ip {number}"),
    }
    .to_owned()
}

/// What a conversation is by protocol and the responder's port: `tcp 104 (dicom)`,
/// `icmp 8/0 (echo)`.
pub(crate) fn service(number: u8, port: u16) -> String {
    let name = protocol(number);
    if has_ports(number) {
        return match port_name(number, port) {
            Some(word) => format!("{name} {port} ({word})"),
            None => format!("{name} {port}"),
        };
    }
    let (kind, code) = (port >> 8, port & 0xff);
    match (number, kind) {
        (ICMP, 8) | (ICMPV6, 128) => format!("{name} echo"),
        (ICMP | ICMPV6, _) => format!("{name} {kind}/{code}"),
        _ => name,
    }
}

/// Well-known ports of clinical and everyday networks (IANA registry; `hl7` and `dicom-alt` as
/// makers use them).
fn port_name(protocol: u8, port: u16) -> Option<&'static str> {
    Some(match (protocol, port) {
        (TCP, 20) => "ftp-data",
        (TCP, 21) => "ftp",
        (TCP, 22) => "ssh",
        (TCP, 23) => "telnet",
        (TCP, 25) => "smtp",
        (_, 53) => "dns",
        (UDP, 67 | 68) => "dhcp",
        (UDP, 69) => "tftp",
        (TCP, 80) => "http",
        (_, 88) => "kerberos",
        (TCP, 104) => "dicom",
        (UDP, 123) => "ntp",
        (TCP, 135) => "msrpc",
        (UDP, 137 | 138) => "netbios",
        (TCP, 139) => "netbios",
        (UDP, 161 | 162) => "snmp",
        (_, 389) => "ldap",
        (TCP, 443) => "https",
        (UDP, 443) => "quic",
        (TCP, 445) => "smb",
        (UDP, 514) => "syslog",
        (TCP, 515) => "printer",
        (UDP, 546 | 547) => "dhcpv6",
        (TCP, 554) => "rtsp",
        (TCP, 631) => "ipp",
        (TCP, 636) => "ldaps",
        (TCP, 1433) => "mssql",
        (TCP, 1883) => "mqtt",
        (UDP, 1900) => "ssdp",
        (_, 2049) => "nfs",
        (TCP, 2575) => "hl7",
        (TCP, 2762) => "dicom-tls",
        (TCP, 3389) => "rdp",
        (_, 3702) => "ws-discovery",
        (_, 5060) => "sip",
        (UDP, 5353) => "mdns",
        (UDP, 5355) => "llmnr",
        (TCP, 5900) => "vnc",
        (TCP, 8883) => "mqtts",
        (TCP, 11112) => "dicom-alt",
        (UDP, 24105) => "med-ci",
        (UDP, 47808) => "bacnet",
        _ => return None,
    })
}

/// At most so many characters, the last of them an ellipsis if some are missing.
pub(crate) fn shortened(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    text.chars().take(chars - 1).chain(['…']).collect()
}

/// `arp`, `lldp`, or the number.
pub(crate) fn ethertype(number: u16) -> String {
    match number {
        0..=1500 => "llc (802.3)",
        0x0800 => "ipv4",
        0x0806 => "arp",
        0x86dd => "ipv6",
        0x8808 => "pause",
        0x8809 => "slow protocols (LACP)",
        0x888e => "eapol (802.1X)",
        0x88cc => "lldp",
        0x88f7 => "ptp",
        _ => return format!("ethertype 0x{number:04x}"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500), "1.5 kB");
        assert_eq!(bytes(999_999), "1.0 MB");
        assert_eq!(bytes(20_000_000), "20 MB");
        assert_eq!(bytes(u64::MAX), "18 EB");
    }

    #[test]
    fn times() {
        assert_eq!(
            rfc3339_ns(1_500_000_000_000_000_005),
            "2017-07-14T02:40:00.000000005Z"
        );
        assert_eq!(rfc3339_ns(u64::MAX), "2554-07-21T23:34:33.709551615Z");
        assert_eq!(rfc3339_s(0), "1970-01-01T00:00:00Z");
        assert_eq!(clock(1_500_000_000_123_456), "2017-07-14 02:40:00.123");
        assert_eq!(duration(59), "59 s");
        assert_eq!(shortened("net_pcap0", 9), "net_pcap0");
        assert_eq!(shortened("net_pcap10", 9), "net_pcap…");
        assert_eq!(duration(7_800), "2 h 10 min");
        assert_eq!(duration(100_000), "1 d 3 h");
        assert_eq!(ago(5_000_000, 4_000_000), "now");
    }

    #[test]
    fn protocols() {
        assert_eq!(service(6, 104), "tcp 104 (dicom)");
        assert_eq!(service(17, 9), "udp 9");
        assert_eq!(service(1, 8 << 8), "icmp echo");
        assert_eq!(service(58, 135 << 8), "icmpv6 135/0");
        assert_eq!(endpoint([10, 0, 0, 1].into(), 1, 2048), "10.0.0.1");
        assert_eq!(ethertype(0x88cc), "lldp");
        assert_eq!(word(wardline_policy::Mode::BreakGlass), "break-glass");
    }
}
