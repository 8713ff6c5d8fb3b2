//! Every attack there is.

use super::{Attack, Permitted, Target, Tool};
use crate::layout::{HARD_CODED_HOST, INTERNET};

/// What most attacks share: a frame of it at the target is one too many.
const PLAIN: Attack = Attack {
    name: "",
    what: "",
    from: "pump1",
    target: Target::Host("dc"),
    other: None,
    tool: Tool::Program(&[]),
    arrival: "",
    permitted: Permitted::Nothing,
    meanwhile: None,
};

/// Every attack, in the order in which they are played.
pub const ALL: &[Attack] = &[
    Attack {
        name: "lateral-smb",
        what: "a pump lists the shares of the file server",
        tool: Tool::Program(&["smbclient", "-N", "-t", "2", "-L", "//{target}"]),
        arrival: "src host {from} and tcp dst port 445",
        ..PLAIN
    },
    Attack {
        name: "lateral-rdp",
        what: "a pump opens a remote desktop",
        target: Target::Host("desk"),
        tool: Tool::Script("lateral-rdp"),
        arrival: "src host {from} and tcp dst port 3389",
        ..PLAIN
    },
    Attack {
        name: "lateral-ssh",
        what: "a pump opens a secure shell on the PACS",
        target: Target::Host("pacs"),
        tool: Tool::Script("lateral-ssh"),
        arrival: "src host {from} and tcp dst port 22",
        ..PLAIN
    },
    Attack {
        name: "lateral-telnet",
        what: "a pump opens a Telnet session on the call server",
        target: Target::Host("callsrv"),
        tool: Tool::Script("lateral-telnet"),
        arrival: "src host {from} and tcp dst port 23",
        ..PLAIN
    },
    Attack {
        name: "inbound-telnet",
        what: "a compromised hospital machine opens a Telnet session on a pump",
        from: "attacker",
        target: Target::Host("pump2"),
        tool: Tool::Script("lateral-telnet"),
        arrival: "src host {from} and tcp dst port 23",
        ..PLAIN
    },
    Attack {
        name: "port-scan",
        what: "a pump scans a server's ports with nmap",
        target: Target::Host("pacs"),
        tool: Tool::Program(SCAN),
        arrival: "src host {from} and tcp",
        ..PLAIN
    },
    Attack {
        name: "inbound-port-scan",
        what: "a compromised hospital machine scans a pump's ports with nmap",
        from: "attacker",
        target: Target::Host("pump2"),
        tool: Tool::Program(SCAN),
        arrival: "src host {from} and tcp",
        ..PLAIN
    },
    Attack {
        name: "outside-host",
        what: "a monitor calls a host on the internet",
        from: "mon1",
        target: Target::Outside(INTERNET[0]),
        tool: Tool::Script("outside-host"),
        arrival: "src host {from}",
        ..PLAIN
    },
    Attack {
        name: "dns-tunnel",
        what: "a monitor carries data out in names, asked of an unlisted resolver",
        from: "mon1",
        target: Target::Outside(INTERNET[2]),
        tool: Tool::Script("dns-tunnel"),
        arrival: "src host {from} and port 53",
        ..PLAIN
    },
    Attack {
        name: "hard-coded-address",
        what: "a monitor sends patient data to the public address built into it",
        from: "contec",
        target: Target::Outside(HARD_CODED_HOST),
        tool: Tool::Script("hard-coded-address"),
        arrival: "src host {from}",
        ..PLAIN
    },
    Attack {
        name: "mac-of-hospital-host",
        what: "a pump sends with the hardware address of a hospital machine",
        other: Some("desk"),
        tool: Tool::Script("mac-of-host"),
        arrival: "ether src {other.mac} and tcp src port 39001",
        ..PLAIN
    },
    Attack {
        name: "mac-of-device",
        what: "a pump sends with the hardware address of a monitor",
        other: Some("contec"),
        tool: Tool::Script("mac-of-device"),
        arrival: "ether src {other.mac} and src host {from}",
        ..PLAIN
    },
    Attack {
        name: "mac-of-nobody",
        what: "a pump sends with a hardware address made up on the spot",
        tool: Tool::Script("mac-of-nobody"),
        arrival: "ether src 02:13:37:00:00:01",
        ..PLAIN
    },
    Attack {
        name: "ip-of-device",
        what: "a pump sends with the network address of a monitor",
        target: Target::Host("central"),
        other: Some("mon1"),
        tool: Tool::Script("ip-of-device"),
        arrival: "ether src {from.mac} and src host {other}",
        ..PLAIN
    },
    Attack {
        name: "arp-spoofing",
        what: "a pump claims the router's address",
        target: Target::Host("pacs"),
        other: Some("router"),
        tool: Tool::Script("arp-spoofing"),
        arrival: "ether src {from.mac} and (arp src host {other} or arp src host 10.20.0.66)",
        ..PLAIN
    },
    Attack {
        name: "nd-spoofing",
        what: "a pump claims a monitor's IPv6 address",
        target: Target::Host("central"),
        other: Some("mon1"),
        tool: Tool::Script("nd-spoofing"),
        arrival: "ether src {from.mac} and ether dst {target.mac} and icmp6 and ip6[40] = 136",
        ..PLAIN
    },
    Attack {
        name: "rogue-dhcp",
        what: "a pump plays DHCP server",
        target: Target::Host("desk"),
        tool: Tool::Script("rogue-dhcp"),
        arrival: "ether src {from.mac} and udp src port 67",
        ..PLAIN
    },
    Attack {
        name: "rogue-ra",
        what: "a pump plays IPv6 router, also behind an extension header",
        target: Target::Host("desk"),
        tool: Tool::Script("rogue-ra"),
        arrival: "ether src {from.mac} and ip6 and (ip6[40] = 134 or ip6[6] = 60)",
        ..PLAIN
    },
    Attack {
        name: "icmp-redirect",
        what: "a compromised hospital machine redirects a pump's traffic to itself",
        from: "attacker",
        target: Target::Host("pump1"),
        other: Some("router"),
        tool: Tool::Script("icmp-redirect"),
        arrival: "icmp[icmptype] = icmp-redirect",
        ..PLAIN
    },
    Attack {
        name: "icmp-redirect-from-ward",
        what: "a pump redirects a server's traffic to itself",
        target: Target::Host("pacs"),
        other: Some("router"),
        tool: Tool::Script("icmp-redirect"),
        arrival: "icmp[icmptype] = icmp-redirect",
        ..PLAIN
    },
    Attack {
        name: "vlan-hopping",
        what: "a pump sends into another VLAN by double tags, and by a tag of its own",
        target: Target::Host("pacs"),
        tool: Tool::Script("vlan-hopping"),
        arrival: "ether src {from.mac} and ether dst {target.mac} and \
                  (not (ip or ip6 or arp) or vlan)",
        ..PLAIN
    },
    Attack {
        name: "fragments-hidden-port",
        what: "a pump sends fragments without the first one, which would show the port",
        target: Target::Host("pacs"),
        tool: Tool::Script("fragments-hidden-port"),
        arrival: "src host {from} and ip[6:2] & 0x1fff = 3",
        ..PLAIN
    },
    Attack {
        name: "fragments-tiny-first",
        what: "a pump cuts the TCP header in two",
        target: Target::Host("pacs"),
        tool: Tool::Script("fragments-tiny-first"),
        arrival: "src host {from} and ip proto 6 and ip[6:2] & 0x3fff != 0",
        ..PLAIN
    },
    Attack {
        name: "fragments-overlap",
        what: "a pump writes a denied port over an allowed datagram by overlapping fragments",
        target: Target::Host("infra"),
        tool: Tool::Script("fragments-overlap"),
        arrival: "src host {from} and \
                  (ip[6:2] & 0x1fff = 1 or (udp src port 39012 and udp dst port 445))",
        ..PLAIN
    },
    Attack {
        name: "ipv6-extension-headers",
        what: "a pump hides the port behind chains of IPv6 headers",
        target: Target::Host("pacs"),
        tool: Tool::Script("ipv6-extension-headers"),
        arrival: "ip6 and ether src {from.mac} and ether dst {target.mac}",
        ..PLAIN
    },
    Attack {
        name: "tcp-no-handshake",
        what: "a pump sends segments of connections that never began to an allowed port",
        target: Target::Host("engine"),
        tool: Tool::Script("tcp-no-handshake"),
        arrival: "src host {from} and tcp[0:2] >= 39100 and tcp[0:2] < 39200",
        ..PLAIN
    },
    Attack {
        name: "storm",
        what: "a hospital machine floods a ventilator with what policy permits",
        from: "attacker",
        target: Target::Host("vent"),
        tool: Tool::Script("storm"),
        arrival: "arp and ether src {from.mac}",
        permitted: Permitted::Rate {
            per_second: 1_000,
            burst: 1_000,
        },
        ..PLAIN
    },
    Attack {
        name: "broadcast-storm",
        what: "a hospital machine floods the ward with broadcasts",
        from: "attacker",
        target: Target::Host("vent"),
        tool: Tool::Script("broadcast-storm"),
        arrival: "arp and ether src {from.mac}",
        permitted: Permitted::Rate {
            per_second: 100,
            burst: 100,
        },
        ..PLAIN
    },
    Attack {
        name: "new-flow-flood",
        what: "a pump opens connections without end while the scanner stores a study",
        target: Target::Host("pacs"),
        tool: Tool::Script("new-flow-flood"),
        arrival: "src host {from} and tcp",
        meanwhile: Some("dicom-store"),
        ..PLAIN
    },
];

const SCAN: &[&str] = &[
    "nmap",
    "-Pn",
    "-n",
    "-sS",
    "--disable-arp-ping",
    "-T4",
    "--max-retries",
    "0",
    "--min-rate",
    "500",
    "-p",
    "1-1000",
    "{target}",
];
