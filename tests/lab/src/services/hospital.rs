//! The hospital's side: each server on a host of its own.

use anyhow::Result;
use serde_json::json;

use super::{data_dir, unconfined, wait_for_ports, write_config};
use crate::layout::{Addressing, DOMAIN, HOSTS, NETMASK};
use crate::process::Tracked;
use crate::ward::{Ward, address_of};

/// TCP port of the PACS for DICOM.
pub const PACS_PORT: u16 = 104;
/// TCP port of HL7 over MLLP.
pub const MLLP_PORT: u16 = 2575;

pub(super) fn start(ward: &Ward) -> Result<()> {
    let programs = [
        dnsmasq(ward)?,
        chrony(ward)?,
        orthanc(ward)?,
        engine(ward)?,
        mosquitto(ward)?,
    ];
    wait_for_ports(ward, &programs)
}

/// DHCP with a reservation for each device, and DNS for the whole hospital.
fn dnsmasq(ward: &Ward) -> Result<(Tracked, u16)> {
    let mut config = format!(
        "port=53\nno-resolv\nno-hosts\ninterface=eth0\nbind-interfaces\nuser=root\n\
         domain={DOMAIN}\nlocal=/{DOMAIN}/\nserver=/{DOMAIN}/10.20.0.14\nlog-queries\nlog-dhcp\n\
         log-facility=-\ndhcp-authoritative\ndhcp-leasefile={dir}/dhcp.leases\n\
         dhcp-range=10.20.2.0,10.20.3.250,{NETMASK},2h\n\
         dhcp-option=option:router,10.20.0.1\ndhcp-option=option:dns-server,10.20.0.2\n\
         dhcp-option=option:ntp-server,10.20.0.2\n\
         address=/update.vendor.test/203.0.113.10\n",
        dir = ward.dir().display(),
    );
    for host in HOSTS {
        config += &format!("host-record={}.{DOMAIN},{}\n", host.name, host.ip);
        if !matches!(host.addressing, Addressing::Static(_)) {
            config += &format!("dhcp-host={},{},{}\n", host.mac, host.ip, host.name);
        }
    }
    let file = write_config(ward, "dnsmasq.conf", &config)?;
    let mut command = ward.command("infra", "dnsmasq");
    command
        .arg("--keep-in-foreground")
        .arg(format!("--conf-file={}", file.display()));
    Ok((ward.start("infra", "dnsmasq", command)?, 53))
}

/// NTP that serves the machine's own clock and never touches it.
fn chrony(ward: &Ward) -> Result<(Tracked, u16)> {
    let mut command = ward.ns("infra").command(unconfined("chronyd")?);
    let dir = data_dir(ward, "chrony")?;
    command.args([
        "-d",
        "-x",
        "-U",
        "-u",
        "root",
        "local stratum 8",
        "allow all",
        "cmdport 0",
    ]);
    command.arg(format!("pidfile {}/chronyd.pid", dir.display()));
    command.arg(format!("bindcmdaddress {}/chronyd.sock", dir.display()));
    // NTP is UDP: dnsmasq's port on the same host stands for "up".
    Ok((ward.start("infra", "chrony", command)?, 53))
}

/// The PACS: storage, query, C-MOVE and storage commitment, REST for the lab's own questions.
fn orthanc(ward: &Ward) -> Result<(Tracked, u16)> {
    let storage = data_dir(ward, "orthanc")?;
    let config = json!({
        "Name": "WARD PACS",
        "StorageDirectory": storage,
        "IndexDirectory": storage,
        "Plugins": [],
        "HttpPort": 8042,
        "RemoteAccessAllowed": false,
        "AuthenticationEnabled": false,
        "DicomAet": "PACS",
        "DicomCheckCalledAet": true,
        "DicomPort": PACS_PORT,
        "DicomModalities": {
            "ct": ["CT1", address_of("ct")?, 104],
            "reading": ["READING", address_of("reading")?, 104],
        },
        "StableAge": 1,
        "ConcurrentJobs": 2,
        "DicomAssociationCloseDelay": 1,
    });
    let file = write_config(ward, "orthanc.json", &config.to_string())?;
    let mut command = ward.command("pacs", "Orthanc");
    command.arg(file);
    Ok((ward.start("pacs", "orthanc", command)?, PACS_PORT))
}

fn engine(ward: &Ward) -> Result<(Tracked, u16)> {
    let mut command = ward.actor("engine", "hl7_engine");
    command.args(["--port", &MLLP_PORT.to_string()]);
    Ok((ward.start("engine", "hl7", command)?, MLLP_PORT))
}

fn mosquitto(ward: &Ward) -> Result<(Tracked, u16)> {
    let config = "listener 1883\nallow_anonymous true\npersistence false\nuser root\n";
    let file = write_config(ward, "mosquitto.conf", config)?;
    let mut command = ward.command("broker", "mosquitto");
    command.arg("-c").arg(file);
    Ok((ward.start("broker", "mosquitto", command)?, 1883))
}
