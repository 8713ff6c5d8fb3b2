//! `wardline devices`.

use std::io::Write;

use wardline_control::DeviceView;

use crate::cli::{ControlArgs, DevicesArgs};
use crate::control::Link;
use crate::failure::Failure;
use crate::table::{Table, printable};
use crate::words;

pub(crate) fn run(
    control: &ControlArgs,
    args: &DevicesArgs,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut devices = Link::open(&control.socket)?.devices()?;
    devices.retain(|d| args.role.is_none() || role(d) == args.role.as_deref());
    devices.retain(|d| args.mac.is_none_or(|mac| d.key.mac == mac));
    devices.retain(|d| args.mode.is_none_or(|mode| d.mode == mode));
    if control.json {
        serde_json::to_writer_pretty(&mut *out, &devices)?;
        return Ok(writeln!(out)?);
    }
    if devices.is_empty() {
        return Ok(writeln!(out, "No device was seen yet.")?);
    }
    if args.mac.is_some() {
        return devices.iter().try_for_each(|device| detail(device, out));
    }
    Ok(table(&devices).write(out)?)
}

/// The role a person gave it in the policy; else the one it is taken for.
fn role(device: &DeviceView) -> Option<&str> {
    let taken_for = device.identity.as_ref().and_then(|i| i.role.as_deref());
    device.role.as_deref().or(taken_for)
}

/// What one device is taken for and why.
fn detail(device: &DeviceView, out: &mut dyn Write) -> Result<(), Failure> {
    let mut line = |text: &str| writeln!(out, "{}", printable(text));
    line(&format!("{}  {}", device.key.mac, name(device)))?;
    let Some(identity) = &device.identity else {
        return Ok(line("  nothing is known of it yet")?);
    };
    line(&format!("  looks like: {}", looks_like(device)))?;
    let parts = [
        ("in the policy", &device.role),
        ("type", &identity.kind),
        ("maker", &identity.vendor),
        ("model", &identity.model),
        ("serial number", &identity.serial),
        ("software", &identity.software),
        ("conflict", &identity.conflict),
        ("changed", &identity.drift),
    ];
    for (what, value) in parts {
        if let Some(value) = value {
            line(&format!("  {what}: {value}"))?;
        }
    }
    for evidence in &identity.evidence {
        let (sentence, strength) = (&evidence.sentence, &evidence.strength);
        line(&format!("  - {sentence} ({strength})"))?;
    }
    for sentence in &identity.traffic {
        line(&format!("  ~ {sentence}"))?;
    }
    for sentence in &identity.would_change {
        line(&format!("  ? {sentence}"))?;
    }
    Ok(())
}

fn looks_like(device: &DeviceView) -> String {
    match &device.identity {
        None => "-".to_owned(),
        Some(identity) if identity.roles.is_empty() => identity.words.clone(),
        Some(identity) => format!("{} {} %", identity.words, identity.probability_percent),
    }
}

fn table(devices: &[DeviceView]) -> Table {
    let mut table = Table::new(&[
        "DEVICE",
        "MAC",
        "MAKER",
        "VLAN",
        "ROLE",
        "LOOKS LIKE",
        "MODE",
        "ADDRESS",
        "LAST SEEN",
        ">TALKS TO",
        ">STOPPED",
        ">WOULD STOP",
    ]);
    let now_us = words::now_us();
    for d in devices {
        table.row([
            name(d),
            d.key.mac.to_string(),
            words::maker(d.vendor.as_deref()),
            words::vlan(d.key.vlan),
            d.role.clone().unwrap_or_else(|| "-".to_owned()),
            looks_like(d),
            words::word(d.mode),
            addresses(d),
            words::ago(d.last_seen_us, now_us),
            words::count(d.flows.into()),
            words::count(stopped(d)),
            words::count(d.would_drop.values().sum()),
        ]);
    }
    table
}

/// The policy's name; else what the device calls itself, marked as its own claim.
pub(crate) fn name(device: &DeviceView) -> String {
    match &device.dhcp {
        _ if !device.name.is_empty() => device.name.clone(),
        Some(dhcp) if !dhcp.hostname.is_empty() => format!("({})", dhcp.hostname),
        _ => "-".to_owned(),
    }
}

/// Frames from and to it that were not let through.
pub(crate) fn stopped(device: &DeviceView) -> u64 {
    let refused = device
        .by_reason
        .iter()
        .filter(|(reason, _)| !reason.forwards());
    refused.map(|(_, frames)| frames).sum()
}

fn addresses(device: &DeviceView) -> String {
    match device.addresses.as_slice() {
        [] => "-".to_owned(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
    }
}
