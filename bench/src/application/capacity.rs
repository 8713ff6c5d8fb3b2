//! How many connections a system holds, and what each costs it (RFC 9411, section 7.5).

use anyhow::{Context, Result, ensure};

use super::allowlist::Allowlist;
use super::dut::{Bench, Dut, Room, System};
use super::held::{Crowd, Ends};
use super::kernel::{Setting, slab};
use super::packet::{Listener, Sender};
use super::record::{Place, Record};
use super::{SERVER, http};
use crate::Better;

/// How many connections, in a full and in a quick run.
const FULL: (u32, u32) = (1_000_000, 1_000);
const QUICK: (u32, u32) = (20_000, 20);
/// The kernel's limit on connections it tracks, for all namespaces.
const LIMIT: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
/// Room for so many is next to none.
const HARDLY_ANY: u32 = 1_024;

/// Systems that hold connections; the others only forward.
pub const SYSTEMS: [System; 2] = [System::BridgeNftables, System::WardlineXdp];

/// Opens the connections, checks each when all are open, and weighs the system.
///
/// # Errors
/// When the system does not start, or the ends fail.
pub fn measure(system: System, bench: Bench<'_>, record: &mut Record) -> Result<()> {
    let (count, devices) = if bench.options.quick { QUICK } else { FULL };
    let crowd = Crowd {
        count,
        devices,
        server: SERVER,
        port: http::PORT,
    };
    let allowlist = Allowlist {
        devices: (0..devices).map(Crowd::device).collect(),
        server: SERVER,
        ports: vec![http::PORT],
    };
    // Both keep part of their room for connections that are not yet established.
    let room = count + count / 4;
    let _limit = Setting::raise(LIMIT, room.into())?;
    let empty = weigh_empty(system, &allowlist, bench)?;
    let mut dut = Dut::start(system, &allowlist, room_for(room, &crowd), bench)?;
    let ends = Ends {
        ward: both(&dut, End::Ward)?,
        core: both(&dut, End::Core)?,
    };
    let opened = ends.open(&crowd)?;
    let outcome = ends.verify(&crowd, &opened)?;
    let full = weigh(&dut)?;
    dut.prove_enforcement()?;
    let known = dut
        .connections()?
        .context("the system counts no connections")?;
    ensure!(
        known >= u64::from(outcome.held),
        "{} connections passed a segment, of which the system knows only {known}",
        outcome.held
    );
    let place = Place {
        system,
        round: 0,
        corner: format!("{count} held connections of {devices} devices"),
    };
    let lost = f64::from(count - outcome.held);
    let each = (full - empty) / f64::from(outcome.held.max(1));
    record.add(
        &place,
        "connections held",
        "1",
        outcome.held.into(),
        Better::Higher,
    );
    record.add(&place, "connections lost", "1", lost, Better::Lower);
    record.add(
        &place,
        "segments sent again",
        "1",
        outcome.repeated as f64,
        Better::Lower,
    );
    record.add(
        &place,
        "memory for each connection",
        "B",
        each,
        Better::Lower,
    );
    record.add(
        &place,
        "memory",
        "MiB",
        full / f64::from(1 << 20),
        Better::Lower,
    );
    Ok(())
}

/// The memory of the same system with the same devices and room for hardly any connection: tables
/// are allocated at start, so a look before and after the connections would see no difference.
fn weigh_empty(system: System, allowlist: &Allowlist, bench: Bench<'_>) -> Result<f64> {
    let room = Room {
        flows: HARDLY_ANY,
        per_device: HARDLY_ANY,
    };
    weigh(&Dut::start(system, allowlist, room, bench)?)
}

/// The gateway's memory, or what the kernel tracks connections with, in bytes.
fn weigh(dut: &Dut) -> Result<f64> {
    match dut.gateway_memory()? {
        Some(bytes) => Ok(bytes),
        None => Ok(slab("nf_conntrack")? as f64),
    }
}

fn room_for(flows: u32, crowd: &Crowd) -> Room {
    Room {
        flows,
        per_device: 2 * crowd.count / crowd.devices,
    }
}

#[derive(Debug, Clone, Copy)]
enum End {
    Ward,
    Core,
}

fn both(dut: &Dut, end: End) -> Result<(Sender, Listener)> {
    let space = match end {
        End::Ward => dut.ward(),
        End::Core => dut.core(),
    };
    Ok((Sender::open(space, "eth0")?, Listener::open(space, "eth0")?))
}
