//! The hospital's side: each server on a host of its own.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::{data_dir, domain, unconfined, unity_node, wait_for_ports, write_config};
use crate::layout::{Addressing, DOMAIN, Guest, HOSTS, NETMASK, PREFIX_V6};
use crate::netns::run;
use crate::process::Tracked;
use crate::ward::{Ward, address_of};

/// TCP port of the PACS for DICOM.
pub const PACS_PORT: u16 = 104;
/// TCP port of the departmental system's worklist.
pub const WORKLIST_PORT: u16 = 11112;
/// TCP port of HL7 over MLLP.
pub const MLLP_PORT: u16 = 2575;

/// One scheduled CT examination, in the notation of `dump2dcm`.
const WORKLIST: &str = "\
(0008,0005) CS [ISO_IR 100]
(0008,0050) SH [ACC0001]
(0010,0010) PN [TEST^PATIENT]
(0010,0020) LO [TEST0001]
(0010,0030) DA [19700101]
(0010,0040) CS [O]
(0020,000d) UI [1.2.276.0.7230010.3.2.101]
(0032,1060) LO [CT HEAD]
(0040,0100) SQ
(fffe,e000) -
(0008,0060) CS [CT]
(0040,0001) AE [CT1]
(0040,0002) DA [20300101]
(0040,0003) TM [080000]
(0040,0006) PN [TEST^PHYSICIAN]
(0040,0007) LO [CT HEAD]
(0040,0009) SH [SPD0001]
(fffe,e00d) -
(fffe,e0dd) -
(0040,1001) SH [RP0001]
";

pub(super) fn start(ward: &Ward, guests: &[Guest]) -> Result<()> {
    let certs = ward.dir().join("certs").display().to_string();
    let programs = [
        dnsmasq(ward, guests)?,
        chrony(ward)?,
        orthanc(ward)?,
        engine(ward)?,
        mosquitto(ward)?,
        actor(ward, "pumpsrv", "pump_server", &[&certs], 3613)?,
        actor(ward, "lis", "lis", &[], 5000)?,
        worklist(ward)?,
        actor(ward, "inet", "web", &["80"], 80)?,
    ];
    let dc = domain::start(ward)?;
    ward.start(
        "unityc",
        "unity",
        unity_node(ward, "unityc", &["--central"])?,
    )?;
    ward.start("infra", "echo", stream_echo(ward))?;
    wait_for_ports(ward, &programs)?;
    domain::wait(ward, &dc)?;
    call_server(ward)
}

/// One of the lab's own servers.
fn actor(
    ward: &Ward,
    host: &str,
    name: &str,
    arguments: &[&str],
    port: u16,
) -> Result<(Tracked, u16)> {
    let mut command = ward.actor(host, name);
    command.args(arguments);
    Ok((ward.start(host, name, command)?, port))
}

/// The far end of the loss measurement (see [`crate::loss`]).
fn stream_echo(ward: &Ward) -> Command {
    let mut command = ward.actor("infra", "udp_stream");
    command.args(["echo", &crate::loss::PORT.to_string()]);
    command
}

/// The call server, then the telephone that registers with it.
fn call_server(ward: &Ward) -> Result<()> {
    let mut server = ward.actor("callsrv", "sip");
    server.arg("server");
    ward.start("callsrv", "sip", server)?;
    let mut phone = ward.actor("phone", "sip");
    phone.args([
        "phone",
        "phone",
        &address_of("phone")?,
        &address_of("callsrv")?,
    ]);
    let phone = ward.start("phone", "sip", phone)?;
    ward.wait_for(
        &phone,
        "the telephone is registered",
        Duration::from_secs(10),
        || ward.seen("phone", "sip", "registered").is_some(),
    )
}

/// The departmental system with the scanner's worklist, one patient expected.
fn worklist(ward: &Ward) -> Result<(Tracked, u16)> {
    let dir = data_dir(ward, "worklist/RIS")?;
    fs::write(dir.join("lockfile"), "").context("cannot write the worklist's lock file")?;
    let entry = write_config(ward, "worklist.dump", WORKLIST)?;
    run(Command::new("dump2dcm")
        .arg(entry)
        .arg(dir.join("expected.wl")))?;
    let mut command = ward.command("pacs", "wlmscpfs");
    command
        .args(["-v", "-dfp"])
        .arg(data_dir(ward, "worklist")?)
        .arg(WORKLIST_PORT.to_string());
    Ok((ward.start("pacs", "worklist", command)?, WORKLIST_PORT))
}

/// DHCP with a reservation for each device, DNS for the whole hospital, and router advertisements
/// that announce an IPv6 prefix but no way out.
fn dnsmasq(ward: &Ward, guests: &[Guest]) -> Result<(Tracked, u16)> {
    let mut config = format!(
        "port=53\nno-resolv\nno-hosts\nno-ping\ninterface=eth0\nbind-interfaces\nuser=root\n\
         domain={DOMAIN}\nserver=/{DOMAIN}/10.20.0.14\nlog-queries\nlog-dhcp\n\
         log-facility=-\ndhcp-authoritative\ndhcp-leasefile={dir}/dhcp.leases\n\
         dhcp-range=10.20.2.0,10.20.3.250,{NETMASK},2h\n\
         dhcp-option=option:router,10.20.0.1\ndhcp-option=option:dns-server,10.20.0.2\n\
         dhcp-option=option:ntp-server,10.20.0.2\n\
         enable-ra\ndhcp-range={PREFIX_V6},ra-only\nra-param=eth0,10,0\n\
         address=/update.vendor.test/203.0.113.10\n",
        dir = ward.dir().display(),
    );
    for host in HOSTS {
        config += &format!("host-record={}.{DOMAIN},{}\n", host.name, host.ip);
        if !matches!(host.addressing, Addressing::Static(_)) {
            config += &format!("dhcp-host={},{},{}\n", host.mac, host.ip, host.name);
        }
    }
    for guest in guests {
        config += &format!("host-record={}.{DOMAIN},{}\n", guest.name, guest.ip);
        if !matches!(guest.addressing, Addressing::Static(_)) {
            // Without a name: a guest's says what it plays, and the answer would carry it.
            config += &format!("dhcp-host={},{}\n", guest.mac, guest.ip);
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
