//! `wardline flows`.

use std::io::Write;

use wardline_control::{FlowFilter, FlowView};

use crate::cli::{ControlArgs, FlowsArgs};
use crate::control::Link;
use crate::failure::Failure;
use crate::table::Table;
use crate::words;

pub(crate) fn run(
    control: &ControlArgs,
    args: &FlowsArgs,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let filter = FlowFilter {
        mac: args.mac,
        address: args.address,
        port: args.port,
        protocol: None,
        reason: args.reason,
    };
    let link = Link::open(&control.socket)?;
    if control.json {
        return json(&link, &filter, out);
    }
    let mut any = false;
    link.flows(&filter, |page| {
        if !page.flows.is_empty() {
            any = true;
            table(&page.flows).write(out)?;
        }
        Ok(())
    })?;
    if !any {
        writeln!(out, "No conversation is in progress.")?;
    }
    Ok(())
}

/// One array, written as the pages come.
fn json(link: &Link, filter: &FlowFilter, out: &mut dyn Write) -> Result<(), Failure> {
    let mut separator = "[\n";
    link.flows(filter, |page| {
        for flow in &page.flows {
            write!(out, "{separator}  ")?;
            serde_json::to_writer(&mut *out, flow)?;
            separator = ",\n";
        }
        Ok(())
    })?;
    match separator {
        "[\n" => writeln!(out, "[]")?,
        _ => writeln!(out, "\n]")?,
    }
    Ok(())
}

fn table(flows: &[FlowView]) -> Table {
    let mut table = Table::new(&[
        "DEVICE",
        "FROM",
        "TO",
        "WHAT",
        "STATE",
        ">SENT",
        ">ANSWERED",
        "LAST",
        "WHY",
        "RULE",
    ]);
    let now_us = words::now_us();
    for f in flows {
        table.row([
            words::device(&f.device, &f.device_name),
            words::endpoint(f.source, f.protocol, f.source_port),
            words::endpoint(f.destination, f.protocol, f.destination_port),
            words::service(f.protocol, f.destination_port),
            f.state.clone(),
            words::bytes(f.forth.bytes),
            words::bytes(f.back.bytes),
            words::ago(f.last_seen_us, now_us),
            f.reason.name().to_owned(),
            f.rule.clone(),
        ]);
    }
    table
}
