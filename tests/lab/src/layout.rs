//! Who is on the ward: every host with its place, hardware address and network address.
//!
//! One flat clinical VLAN, 10.20.0.0/22, as hospitals build them: servers under 10.20.0.x, devices
//! under 10.20.1.x by DHCP reservation, IPv6 addresses by router advertisement. The hardware addresses carry prefixes that the IEEE gave to
//! makers of such equipment. The monitors of the broadcast pair keep the 126.0.0.0/8 addresses
//! their real models compute for themselves.

use std::net::Ipv4Addr;

use serde::Deserialize;
use wardline_classifier::Role;

/// On which side of the gateway a host is plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Behind the gateway, with the devices.
    Ward,
    /// On the hospital's side.
    Core,
}

/// How a host comes to its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// Asks by DHCP with busybox `udhcpc`.
    Udhcpc,
    /// Asks by DHCP with ISC `dhclient`.
    Dhclient,
    /// Configured by hand, prefix length in bits.
    Static(u8),
}

/// One host of the ward.
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// Short name: the namespace is `WARD-name`, the DNS name `name.ward.test`.
    pub name: &'static str,
    /// What it plays, in a few words.
    pub plays: &'static str,
    /// The role whoever looks at its traffic may give it; any other is wrong. `None` where no role
    /// names it.
    pub role: Option<Role>,
    /// Where it is plugged in.
    pub side: Side,
    /// Its hardware address.
    pub mac: &'static str,
    /// Its address once it is up.
    pub ip: Ipv4Addr,
    /// How it gets that address.
    pub addressing: Addressing,
}

/// A host that comes to the ward beside those of [`HOSTS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Short name, as of a [`Host`]; at most 15 bytes, since it names its port of the switch too.
    pub name: String,
    /// Where it is plugged in.
    pub side: Side,
    /// Its hardware address.
    pub mac: String,
    /// Its address: configured by hand, or kept for it by the DHCP server.
    pub ip: Ipv4Addr,
    /// How it gets that address.
    pub addressing: Addressing,
    /// Subject of its certificate in the notation of `openssl`, when it speaks TLS.
    pub subject: Option<String>,
}

/// Network of the clinical VLAN.
pub const SUBNET: &str = "10.20.0.0/22";
/// Netmask of [`SUBNET`] as DHCP hands it out.
pub const NETMASK: Ipv4Addr = Ipv4Addr::new(255, 255, 252, 0);
/// DNS domain and, in capitals, Kerberos realm of the hospital.
pub const DOMAIN: &str = "ward.test";
/// Prefix from which every host makes itself an IPv6 address, announced by `infra`.
pub const PREFIX_V6: &str = "fd20:20::";
/// IPv6 addresses set by hand: the announcer's and that of a service that devices use over IPv6.
pub const STATIC_V6: [(&str, &str); 2] = [("infra", "fd20:20::2"), ("broker", "fd20:20::18")];
/// Where the "internet" answers, behind the router.
pub const INTERNET: [Ipv4Addr; 3] = [
    Ipv4Addr::new(203, 0, 113, 10),
    Ipv4Addr::new(203, 0, 113, 119),
    Ipv4Addr::new(1, 1, 1, 1),
];
/// The public address that the vital-signs monitor `contec` calls at start, as a real product did
/// (a documentation address stands for the real one).
pub const HARD_CODED_HOST: Ipv4Addr = INTERNET[1];

const fn core(
    name: &'static str,
    plays: &'static str,
    role: Option<Role>,
    mac: &'static str,
    last: u8,
) -> Host {
    let ip = Ipv4Addr::new(10, 20, 0, last);
    Host {
        name,
        plays,
        role,
        side: Side::Core,
        mac,
        ip,
        addressing: Addressing::Static(22),
    }
}

const fn device(
    name: &'static str,
    plays: &'static str,
    role: Role,
    mac: &'static str,
    last: u8,
    addressing: Addressing,
) -> Host {
    let ip = Ipv4Addr::new(10, 20, 1, last);
    Host {
        name,
        plays,
        role: Some(role),
        side: Side::Ward,
        mac,
        ip,
        addressing,
    }
}

const fn unity(
    name: &'static str,
    plays: &'static str,
    role: Role,
    side: Side,
    mac: &'static str,
    ip: Ipv4Addr,
) -> Host {
    Host {
        name,
        plays,
        role: Some(role),
        side,
        mac,
        ip,
        addressing: Addressing::Static(8),
    }
}

use Addressing::{Dhclient, Udhcpc};

/// Every host, hospital side first (services must be up before devices ask for them).
pub const HOSTS: &[Host] = &[
    core(
        "router",
        "default gateway to the internet",
        Some(Role::NetworkInfrastructure),
        "00:00:0c:20:00:01",
        1,
    ),
    core(
        "infra",
        "DHCP, DNS and NTP",
        Some(Role::NetworkInfrastructure),
        "00:0c:29:20:00:02",
        2,
    ),
    core(
        "pacs",
        "PACS and worklist",
        Some(Role::Pacs),
        "00:25:90:20:00:0a",
        10,
    ),
    core(
        "engine",
        "HL7 integration engine",
        Some(Role::ClinicalSystem),
        "00:0c:29:20:00:0b",
        11,
    ),
    core(
        "pumpsrv",
        "infusion pump server",
        Some(Role::ClinicalSystem),
        "00:0c:29:20:00:0c",
        12,
    ),
    core(
        "central",
        "SDC central station",
        Some(Role::CentralStation),
        "00:30:e6:20:00:0d",
        13,
    ),
    core(
        "dc",
        "domain controller and file share",
        Some(Role::NetworkInfrastructure),
        "00:0c:29:20:00:0e",
        14,
    ),
    core(
        "vendor",
        "vendor's remote-access host",
        Some(Role::Workstation),
        "00:0c:29:20:00:10",
        16,
    ),
    core(
        "lis",
        "laboratory information system",
        Some(Role::ClinicalSystem),
        "00:0c:29:20:00:11",
        17,
    ),
    core(
        "broker",
        "MQTT broker",
        Some(Role::NetworkInfrastructure),
        "00:0c:29:20:00:12",
        18,
    ),
    core(
        "nvr",
        "network video recorder",
        None,
        "ac:cc:8e:20:00:13",
        19,
    ),
    core(
        "bms",
        "building management system",
        Some(Role::BuildingControl),
        "00:10:8d:20:00:14",
        20,
    ),
    core(
        "desk",
        "registration desk that prints",
        Some(Role::Workstation),
        "00:06:5b:20:00:15",
        21,
    ),
    core("callsrv", "call server", None, "00:09:ef:20:00:16", 22),
    core(
        "phone",
        "nurse station telephone",
        Some(Role::Phone),
        "00:04:f2:20:00:17",
        23,
    ),
    core(
        "attacker",
        "compromised machine on the hospital side",
        None,
        "00:06:5b:20:00:42",
        66,
    ),
    unity(
        "unityc",
        "central monitor of the broadcast pair",
        Role::CentralStation,
        Side::Core,
        "08:00:19:20:00:81",
        Ipv4Addr::new(126, 32, 0, 129),
    ),
    device(
        "ct",
        "CT scanner",
        Role::ImagingModality,
        "00:18:65:20:01:0a",
        10,
        Udhcpc,
    ),
    device(
        "reading",
        "reading workstation",
        Role::Workstation,
        "00:06:5b:20:01:0b",
        11,
        Dhclient,
    ),
    device(
        "mon1",
        "patient monitor, bed 1",
        Role::PatientMonitor,
        "00:30:e6:20:01:14",
        20,
        Udhcpc,
    ),
    device(
        "mon2",
        "patient monitor, bed 2",
        Role::PatientMonitor,
        "00:30:e6:20:01:15",
        21,
        Udhcpc,
    ),
    device(
        "vent",
        "ventilator",
        Role::Ventilator,
        "00:10:5d:20:01:16",
        22,
        Udhcpc,
    ),
    device(
        "pump1",
        "infusion pump",
        Role::InfusionPump,
        "00:d0:75:20:01:1e",
        30,
        Udhcpc,
    ),
    device(
        "pump2",
        "infusion pump",
        Role::InfusionPump,
        "00:d0:75:20:01:1f",
        31,
        Udhcpc,
    ),
    device(
        "dock",
        "pump station: two pumps on one address",
        Role::DeviceGateway,
        "00:12:21:20:01:20",
        32,
        Udhcpc,
    ),
    device(
        "analyser",
        "laboratory analyser",
        Role::LabAnalyser,
        "00:60:19:20:01:28",
        40,
        Udhcpc,
    ),
    device(
        "gluco",
        "glucometer dock",
        Role::GlucoseGateway,
        "c0:a2:6d:20:01:29",
        41,
        Udhcpc,
    ),
    device(
        "badge",
        "nurse call badge",
        Role::NurseCall,
        "00:23:3d:20:01:32",
        50,
        Udhcpc,
    ),
    device(
        "vbadge",
        "voice badge",
        Role::Phone,
        "00:09:ef:20:01:33",
        51,
        Udhcpc,
    ),
    device(
        "camera",
        "IP camera",
        Role::Camera,
        "00:40:8c:20:01:3c",
        60,
        Udhcpc,
    ),
    device(
        "printer",
        "network printer",
        Role::Printer,
        "00:01:e6:20:01:3d",
        61,
        Udhcpc,
    ),
    device(
        "hvac",
        "building controller",
        Role::BuildingControl,
        "00:10:8d:20:01:3e",
        62,
        Udhcpc,
    ),
    device(
        "pc",
        "physician's workstation",
        Role::Workstation,
        "00:06:5b:20:01:46",
        70,
        Dhclient,
    ),
    device(
        "cabinet",
        "medication cabinet",
        Role::MedicationCabinet,
        "00:0b:ab:20:01:47",
        71,
        Dhclient,
    ),
    device(
        "contec",
        "monitor with a hard-coded public address",
        Role::PatientMonitor,
        "00:80:4c:20:01:50",
        80,
        Udhcpc,
    ),
    unity(
        "unitym",
        "bedside monitor of the broadcast pair",
        Role::PatientMonitor,
        Side::Ward,
        "08:00:19:20:01:05",
        Ipv4Addr::new(126, 32, 1, 5),
    ),
];

/// Finds a host by its short name.
pub fn host(name: &str) -> Option<&'static Host> {
    HOSTS.iter().find(|host| host.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_addresses_are_unique() {
        let names: HashSet<_> = HOSTS.iter().map(|host| host.name).collect();
        let macs: HashSet<_> = HOSTS.iter().map(|host| host.mac).collect();
        let ips: HashSet<_> = HOSTS.iter().map(|host| host.ip).collect();
        assert_eq!([names.len(), macs.len(), ips.len()], [HOSTS.len(); 3]);
    }

    #[test]
    fn every_device_of_the_ward_has_a_role_to_be_found() {
        let without = HOSTS
            .iter()
            .find(|host| host.side == Side::Ward && host.role.is_none());
        assert_eq!(without.map(|host| host.name), None);
    }

    #[test]
    fn every_hardware_address_is_unicast_and_global() {
        for host in HOSTS {
            let first = u8::from_str_radix(&host.mac[..2], 16).unwrap();
            assert_eq!(first & 0b11, 0, "{}", host.name);
        }
    }
}
