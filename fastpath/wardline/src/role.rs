//! `wardline role`: a person's word on what a device is.

use std::io::Write;

use wardline_control::RoleStatement;
use wardline_policy::DeviceKey;

use crate::cli::{ControlArgs, DeviceArgs, RoleCommand};
use crate::control::Link;
use crate::failure::Failure;
use crate::words;

pub(crate) fn run(
    control: &ControlArgs,
    command: &RoleCommand,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let link = Link::open(&control.socket)?;
    let (device, role, said) = match command {
        RoleCommand::Set(args) => (&args.device, Some(args.role.clone()), &args.words),
        RoleCommand::Clear(args) => (&args.device, None, &args.words),
        RoleCommand::Export => return export(&link, out),
    };
    let device = find(&link, device)?;
    let statement = RoleStatement {
        device,
        role: role.clone(),
        who: said.who.clone(),
        reason: said.reason.clone(),
    };
    let record = link.call(|client| client.state_role(statement.clone()))?;
    if control.json {
        let answer = serde_json::json!({ "device": device, "role": role, "record": record });
        return Ok(writeln!(out, "{answer}")?);
    }
    let name = words::device(&device, "");
    let sentence = match role {
        Some(role) => format!("{name} is {role} from now on"),
        None => format!("{name} is what it looks like from now on"),
    };
    Ok(writeln!(out, "{sentence} (record {record}).")?)
}

fn export(link: &Link, out: &mut dyn Write) -> Result<(), Failure> {
    let bundle = link.call(wardline_control::Client::export_lessons)?;
    Ok(writeln!(out, "{}", bundle.trim_end())?)
}

/// The device that is meant.
fn find(link: &Link, wanted: &DeviceArgs) -> Result<DeviceKey, Failure> {
    let mac = wanted.mac;
    let is_meant = |key: &DeviceKey| {
        let vlan = wanted.vlan.as_ref();
        key.mac == mac && vlan.is_none_or(|vlan| words::vlan(key.vlan) == *vlan)
    };
    let mut seen = link.devices()?;
    seen.retain(|device| is_meant(&device.key));
    match seen.as_slice() {
        [one] => Ok(one.key),
        [] => Err(Failure::input(format!(
            "no device with the address {mac} was seen{}",
            wanted
                .vlan
                .as_ref()
                .map_or_else(String::new, |vlan| format!(" in VLAN {vlan}"))
        ))),
        several => {
            let vlans: Vec<String> = several.iter().map(|d| words::vlan(d.key.vlan)).collect();
            Err(Failure::input(format!(
                "{mac} is in several VLANs ({}); say which with --vlan",
                vlans.join(", ")
            )))
        }
    }
}
