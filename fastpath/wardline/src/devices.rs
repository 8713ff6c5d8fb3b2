//! `wardline devices`.

use std::io::Write;

use wardline_control::DeviceView;

use crate::cli::{ControlArgs, DevicesArgs};
use crate::control::Link;
use crate::failure::Failure;
use crate::table::Table;
use crate::words;

pub(crate) fn run(
    control: &ControlArgs,
    args: &DevicesArgs,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut devices = Link::open(&control.socket)?.devices()?;
    devices.retain(|d| args.role.is_none() || d.role == args.role);
    devices.retain(|d| args.mode.is_none_or(|mode| d.mode == mode));
    if control.json {
        serde_json::to_writer_pretty(&mut *out, &devices)?;
        return Ok(writeln!(out)?);
    }
    if devices.is_empty() {
        return Ok(writeln!(out, "No device was seen yet.")?);
    }
    Ok(table(&devices).write(out)?)
}

fn table(devices: &[DeviceView]) -> Table {
    let mut table = Table::new(&[
        "DEVICE",
        "MAC",
        "MAKER",
        "VLAN",
        "ROLE",
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
