//! What every device needs before it can do its work. The baseline carries it, no rule does.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::exchange::{Exchange, on};
use crate::layout::host;
use crate::services::{lease_environment, unconfined};
use crate::ward::{Ward, address_of, source_dir};

pub(super) const ALL: &[Exchange] = &[
    Exchange {
        name: "dhcp",
        device: "pump2",
        rules: &[],
        run: dhcp,
    },
    Exchange {
        name: "dns",
        device: "pc",
        rules: &[],
        run: dns,
    },
    Exchange {
        name: "ntp",
        device: "reading",
        rules: &[],
        run: ntp,
    },
];

/// The pump asks for its address once more, with all four messages.
fn dhcp(ward: &Ward) -> Result<String> {
    let device = host("pump2").context("no such host")?;
    let before = acknowledgements(ward, device.mac)?;
    let script = source_dir()
        .join("actors/dhcp-lease.sh")
        .display()
        .to_string();
    let settings =
        lease_environment(ward, "pump2").map(|(name, value)| format!("{name}={}", value.display()));
    on(
        ward,
        "pump2",
        "env",
        &[
            &settings[0],
            &settings[1],
            "udhcpc",
            "-f",
            "-n",
            "-q",
            "-i",
            "eth0",
            "-t",
            "3",
            "-T",
            "1",
            "-s",
            &script,
        ],
    )?;
    ensure!(
        acknowledgements(ward, device.mac)? > before,
        "the server noted no new lease"
    );
    Ok(format!("{} leased again, noted by the server", device.ip))
}

fn acknowledgements(ward: &Ward, mac: &str) -> Result<usize> {
    let log = fs::read_to_string(ward.log("infra", "dnsmasq")).context("no log of dnsmasq")?;
    Ok(log
        .lines()
        .filter(|line| line.contains("DHCPACK") && line.contains(mac))
        .count())
}

/// The workstation looks the PACS up by name.
fn dns(ward: &Ward) -> Result<String> {
    let answer = on(ward, "pc", "getent", &["ahostsv4", "pacs.ward.test"])?;
    ensure!(
        answer.starts_with("10.20.0.10 "),
        "the name server answered {answer}"
    );
    let log = fs::read_to_string(ward.log("infra", "dnsmasq")).context("no log of dnsmasq")?;
    let question = format!("pacs.ward.test from {}", address_of("pc")?);
    ensure!(log.contains(&question), "the name server noted no question");
    Ok("pacs.ward.test is 10.20.0.10, question noted by the server".to_owned())
}

/// The workstation compares its clock, without setting it.
fn ntp(ward: &Ward) -> Result<String> {
    let chronyd = unconfined("chronyd")?.display().to_string();
    let server = format!("server {} iburst maxsamples 2", address_of("infra")?);
    let pid = format!(
        "pidfile {}",
        ward.dir().join("data/chronyd-reading.pid").display()
    );
    let text = on(
        ward,
        "reading",
        "sh",
        &[
            "-c",
            "exec \"$@\" 2>&1",
            "sh",
            &chronyd,
            "-Q",
            "-t",
            "8",
            "-U",
            "-u",
            "root",
            &server,
            &pid,
            "cmdport 0",
            "bindcmdaddress /",
        ],
    )?;
    let offset = text
        .lines()
        .find(|line| line.contains("System clock wrong by"));
    let offset = offset.with_context(|| format!("no time from the server: {}", text.trim()))?;
    Ok(offset
        .split_once("System")
        .map_or(offset, |(_, rest)| rest.trim())
        .to_owned())
}
