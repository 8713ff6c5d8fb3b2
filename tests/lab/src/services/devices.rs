//! What the devices themselves serve.

use std::fs;

use anyhow::{Context, Result};

use super::{data_dir, unity_node, wait_for_ports, write_config};
use crate::layout::HARD_CODED_HOST;
use crate::process::Tracked;
use crate::ward::{Ward, address_of};

/// TCP port of the SDC devices, registered for that purpose.
pub const SDC_PORT: u16 = 6464;
/// Passive data ports of the ventilator's service access, pinned so that a policy can name them.
pub const FTP_DATA_PORTS: (u16, u16) = (49500, 49509);

pub(super) fn start(ward: &Ward) -> Result<()> {
    let programs = [
        sdc(ward, "mon1", "monitor")?,
        sdc(ward, "mon2", "monitor")?,
        sdc(ward, "vent", "ventilator")?,
        service_access(ward)?,
        camera(ward)?,
        printer(ward)?,
        reading_storage(ward)?,
    ];
    ward.start("unitym", "unity", unity_node(ward, "unitym", &[])?)?;
    building_controller(ward)?;
    let mut monitor = ward.actor("contec", "contec");
    monitor.arg(HARD_CODED_HOST.to_string());
    ward.start("contec", "contec", monitor)?;
    wait_for_ports(ward, &programs)
}

/// Light extra devices for scale.
///
/// # Errors
/// When the program that plays them cannot be started.
pub fn start_swarm(ward: &Ward, devices: u16) -> Result<()> {
    let mut command = ward.actor("swarm", "swarm");
    command.args(["--devices", &devices.to_string()]);
    ward.start("swarm", "swarm", command).map(drop)
}

fn sdc(ward: &Ward, host: &str, kind: &str) -> Result<(Tracked, u16)> {
    let mut command = ward.actor(host, "sdc_provider");
    command.args([
        "--host",
        host,
        "--address",
        &address_of(host)?,
        "--kind",
        kind,
        "--certs",
    ]);
    command
        .arg(ward.dir().join("certs"))
        .args(["--port", &SDC_PORT.to_string()]);
    Ok((ward.start(host, "sdc", command)?, SDC_PORT))
}

/// The ventilator's FTP access for the vendor's engineer.
fn service_access(ward: &Ward) -> Result<(Tracked, u16)> {
    let root = data_dir(ward, "vent-ftp")?;
    fs::create_dir_all(root.join("log")).context("cannot create the service directory")?;
    fs::write(
        root.join("log/service.log"),
        "self test passed\n".repeat(2000),
    )
    .context("cannot write the service log")?;
    let config = format!(
        "listen=YES\nlisten_ipv6=NO\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\n\
         write_enable=NO\nanon_root={root}\nno_anon_password=YES\nftp_username=ftp\n\
         secure_chroot_dir={empty}\npasv_enable=YES\npasv_min_port={low}\npasv_max_port={high}\n\
         xferlog_enable=YES\nvsftpd_log_file={log}\nseccomp_sandbox=NO\n",
        root = root.display(),
        empty = data_dir(ward, "empty")?.display(),
        log = ward.log("vent", "transfers").display(),
        low = FTP_DATA_PORTS.0,
        high = FTP_DATA_PORTS.1,
    );
    let file = write_config(ward, "vsftpd.conf", &config)?;
    let mut command = ward.command("vent", "vsftpd");
    command.arg(file);
    Ok((ward.start("vent", "ftp", command)?, 21))
}

fn camera(ward: &Ward) -> Result<(Tracked, u16)> {
    let mut command = ward.actor("camera", "camera_rtsp");
    command.arg(address_of("camera")?);
    Ok((ward.start("camera", "rtsp", command)?, 554))
}

/// An IPP printer that keeps what it prints. It insists on a message bus for its DNS-SD entry, so
/// it gets one of its own. A command that does nothing spares us the seconds it would pretend to
/// print.
fn printer(ward: &Ward) -> Result<(Tracked, u16)> {
    let script = format!(
        "export DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS; exec ippeveprinter -v -k \
         -p 631 -r off -c /bin/true -d {} -f application/pdf,text/plain ward",
        data_dir(ward, "printed")?.display(),
    );
    let mut command = ward.command("printer", "dbus-run-session");
    command.args(["--", "sh", "-c", &script]);
    Ok((ward.start("printer", "ipp", command)?, 631))
}

/// The reading workstation's own storage, where the PACS sends what was asked for.
fn reading_storage(ward: &Ward) -> Result<(Tracked, u16)> {
    let mut command = ward.command("reading", "storescp");
    command
        .args(["-aet", "READING", "-od"])
        .arg(data_dir(ward, "reading")?)
        .arg("104");
    Ok((ward.start("reading", "storescp", command)?, 104))
}

fn building_controller(ward: &Ward) -> Result<()> {
    let mut command = ward.actor("hvac", "bacnet_controller");
    command.args([
        format!("{}/22", address_of("hvac")?),
        BACNET_INSTANCE.to_string(),
    ]);
    ward.start("hvac", "bacnet", command).map(drop)
}

/// The building controller's device instance.
pub const BACNET_INSTANCE: u32 = 2201;
