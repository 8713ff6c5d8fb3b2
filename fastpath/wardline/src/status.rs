//! `wardline status`.

use std::io::Write;

use wardline_control::{Counters, PortStatus, SideCounters, Status};
use wardline_policy::Reason;

use crate::cli::ControlArgs;
use crate::control::Link;
use crate::failure::Failure;
use crate::table::{Table, printable};
use crate::words;

/// Raw device arguments can be long.
const PORT_CHARS: usize = 32;

pub(crate) fn run(args: &ControlArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let status = Link::open(&args.socket)?.call(|client| client.status())?;
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &status)?;
        return Ok(writeln!(out)?);
    }
    head(&status, out)?;
    writeln!(out)?;
    ports(&status.ports, out)?;
    writeln!(out)?;
    counters(&status.counters, out)
}

fn head(status: &Status, out: &mut dyn Write) -> Result<(), Failure> {
    let policy = &status.policy;
    writeln!(
        out,
        "Running for {} (version {}, process {}), {} devices, {} conversations.",
        words::duration(status.uptime_s),
        printable(&status.software_version),
        status.pid,
        words::count(status.devices),
        words::count(status.flows),
    )?;
    match policy.origin.as_str() {
        "none" => writeln!(out, "No policy was ever applied: everything is observed.")?,
        _ => writeln!(
            out,
            "Policy {} ({}), in force since {}.",
            printable(&policy.name),
            printable(&policy.id),
            words::rfc3339_s(policy.applied_us / 1_000_000),
        )?,
    }
    if let Some(at) = policy.rollback_at_s {
        writeln!(
            out,
            "It is rolled back at {} unless confirmed: wardline policy confirm",
            words::rfc3339_s(at)
        )?;
    }
    if let Some(at) = policy.next_boundary_s {
        writeln!(
            out,
            "A limited permission begins or ends at {}.",
            words::rfc3339_s(at)
        )?;
    }
    let (mib, note) = (status.memory.mib, printable(&status.memory.note));
    writeln!(out, "Memory of the packet path: {mib} MiB; {note}.")?;
    if status.events_dropped > 0 {
        let lost = words::count(status.events_dropped);
        writeln!(out, "{lost} events were lost because nobody fetched them.")?;
    }
    Ok(())
}

fn ports(ports: &[PortStatus], out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new(&[
        "SIDE",
        "PORT",
        "DRIVER",
        "LINK",
        ">MTU",
        ">RECEIVED",
        ">SENT",
        ">LOST",
        ">ERRORS",
    ]);
    for port in ports {
        let stats = &port.stats;
        table.row([
            words::word(port.side),
            words::shortened(&port.device, PORT_CHARS),
            port.driver.clone(),
            words::word(port.link),
            port.mtu.to_string(),
            words::count(stats.rx_frames),
            words::count(stats.tx_frames),
            words::count(stats.rx_missed + stats.rx_no_buffer),
            words::count(stats.rx_errors + stats.tx_errors),
        ]);
    }
    Ok(table.write(out)?)
}

fn counters(counters: &Counters, out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = Table::new(&["FROM", ">FRAMES", ">LET THROUGH", ">STOPPED", ">BYTES"]);
    for (name, side) in [("ward", &counters.ward), ("core", &counters.core)] {
        table.row([
            name.to_owned(),
            words::count(side.received),
            words::count(side.forwarded),
            words::count(side.dropped),
            words::bytes(side.received_bytes),
        ]);
    }
    table.write(out)?;
    writeln!(out)?;
    reasons(counters).write(out)?;
    if !counters.would_drop.is_empty() {
        writeln!(
            out,
            "\nLet through, but would have been stopped under enforcement:"
        )?;
        let mut table = Table::new(&["REASON", ">FRAMES", "MEANING"]);
        for (reason, frames) in &counters.would_drop {
            table.row([
                reason.name().to_owned(),
                words::count(*frames),
                reason.sentence().trim().to_owned(),
            ]);
        }
        table.write(out)?;
    }
    Ok(())
}

/// Every reason that occurred, with what it means.
fn reasons(counters: &Counters) -> Table {
    let mut table = Table::new(&["REASON", ">FROM WARD", ">FROM CORE", "MEANING"]);
    let of = |side: &SideCounters, reason| side.by_reason.get(&reason).copied().unwrap_or(0);
    for &reason in Reason::ALL {
        let (ward, core) = (of(&counters.ward, reason), of(&counters.core, reason));
        if ward + core > 0 {
            table.row([
                reason.name().to_owned(),
                words::count(ward),
                words::count(core),
                reason.sentence().trim().to_owned(),
            ]);
        }
    }
    table
}
