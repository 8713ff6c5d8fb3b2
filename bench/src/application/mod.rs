//! Applications through each system: the key performance indicators of RFC 9411 (section 6.3).
//!
//! | family | RFC 9411 | what is done |
//! |---|---|---|
//! | `connections` | 7.2 | HTTP transactions of 1 kB, each on a TCP connection of its own |
//! | `transactions` | 7.3 | HTTP transactions of 1 kB on connections that stay open |
//! | `goodput` | 7.3 | the same with objects of 1, 16, 64 and 256 kB, in payload |
//! | `dicom` | 7.1 | images of several modalities stored in an archive |
//! | `latency` | 7.4 | time to first and last byte at half of the load found |
//! | `attack` | 7.2, 7.3 | connections and goodput while an attack list runs |
//! | `held` | 7.5 | connections open at once |
//!
//! Clients, servers and attackers share one CPU core and the system under test has the other, so
//! what is found is bound by both. Ratios between systems within one round are what counts.

mod allowlist;
mod attack;
mod capacity;
mod dicom;
mod dut;
mod frame;
mod held;
mod http;
mod kernel;
mod kpi;
mod latency;
mod packet;
mod record;
mod timing;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;

use self::allowlist::Allowlist;
use self::dicom::Images;
use self::dut::{Bench, Dut, Room, System};
use self::frame::Station;
use self::http::Server;
use self::kpi::Turn;
use self::record::Record;
use crate::cpus;
use crate::wire::pinned::Pinned;
use crate::wire::space;
use crate::{Findings, Options};

/// The names of the systems.
pub const SYSTEMS: [&str; System::ALL.len()] = {
    let mut names = [""; System::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = System::ALL[at].name();
        at += 1;
    }
    names
};

/// The names of the corner families.
pub const FAMILIES: [&str; 7] = [
    "connections",
    "transactions",
    "goodput",
    "dicom",
    "latency",
    "attack",
    "held",
];

/// A thousand bytes, as object sizes are given.
const KB: u64 = 1_000;
/// Programs that are needed besides those of HTTP and DICOM.
const TOOLS: [&str; 4] = ["ethtool", "nft", "taskset", "tcpdump"];
/// Systems of a quick run.
const QUICK: [System; 2] = [System::BridgeNftables, System::WardlineXdp];

const SERVER: Station = Station {
    mac: [0x02, 0x77, 0, 0, 0, 1],
    ip: Ipv4Addr::new(10, 77, 0, 1),
};
const CLIENT: Station = Station {
    mac: [0x02, 0x77, 0, 0, 0, 16],
    ip: Ipv4Addr::new(10, 77, 0, 16),
};
const ATTACKER: Station = Station {
    mac: [0x02, 0xbb, 0, 0, 0, 66],
    ip: Ipv4Addr::new(10, 77, 0, 66),
};

/// Runs the suite.
///
/// # Errors
/// When the run was interrupted or the disk refuses; what a system cannot do is among the findings.
pub fn run(options: &Options) -> Result<Findings> {
    let mut record = Record::default();
    let planned: &[System] = if options.quick { &QUICK } else { &System::ALL };
    let systems = wanted(options, planned);
    let missing = missing_programs();
    if !missing.is_empty() {
        for system in systems {
            record.absent(system, "", format!("not installed: {}", missing.join(", ")));
        }
        return Ok(record.findings());
    }
    // Whatever is started from here on stays there too, unless it says otherwise.
    space::remove_leftovers();
    let cpus = cpus::choose()?;
    let _pinned = Pinned::to(cpus.rest)?;
    let bench = Bench { options, cpus };
    if FAMILIES
        .iter()
        .any(|family| *family != "held" && wants(options, family))
    {
        let images = wants(options, "dicom").then(|| Images::make(&options.scratch));
        let images = images.transpose()?;
        for round in options.round() {
            for &system in &systems {
                eprintln!("application: round {round}, {}", system.name());
                let outcome = take_turn(system, round, images.as_ref(), bench, &mut record);
                record.note(system, "", outcome)?;
            }
        }
    }
    if wants(options, "held") {
        for system in wanted(options, &capacity::SYSTEMS) {
            eprintln!("application: held connections, {}", system.name());
            let outcome = capacity::measure(system, bench, &mut record);
            record.note(system, "held connections", outcome)?;
        }
    }
    Ok(record.findings())
}

fn wanted(options: &Options, systems: &[System]) -> Vec<System> {
    let wants = |system: &System| options.wants(&SYSTEMS, system.name());
    systems.iter().copied().filter(wants).collect()
}

/// Whether a family is wanted, and part of a quick run if it is one.
fn wants(options: &Options, family: &str) -> bool {
    let quick = ["connections", "goodput", "held"];
    (!options.quick || quick.contains(&family)) && options.wants(&FAMILIES, family)
}

fn missing_programs() -> Vec<&'static str> {
    let needed = http::PROGRAMS.iter().chain(&dicom::PROGRAMS).chain(&TOOLS);
    needed
        .copied()
        .filter(|program| !http::is_installed(program))
        .collect()
}

/// One system's turn in a round.
fn take_turn(
    system: System,
    round: u32,
    images: Option<&Images>,
    bench: Bench<'_>,
    record: &mut Record,
) -> Result<()> {
    let options = bench.options;
    let allowlist = Allowlist {
        devices: vec![CLIENT],
        server: SERVER,
        ports: vec![http::PORT, dicom::PORT],
    };
    // Closed connections stay in the tables for minutes.
    let room = Room {
        flows: 262_144,
        per_device: 131_072,
    };
    let mut dut = Dut::start(system, &allowlist, room, bench)?;
    let address = SocketAddr::from((SERVER.ip, http::PORT));
    let scratch = &options.scratch;
    let server = Server::start(dut.core(), address, &kpi::sizes(), scratch)?;
    let turn = Turn {
        dut: &dut,
        server: &server,
        system,
        round,
    };
    for kpi in kpi::ALL.iter().filter(|kpi| kpi.quick || !options.quick) {
        let timed = kpi.timed && wants(options, "latency");
        let attacked = kpi.attacked && wants(options, "attack");
        if timed || attacked || wants(options, kpi.family) {
            let outcome = turn.measure(kpi, timed, attacked, record);
            record.note(system, kpi.corner, outcome)?;
        }
    }
    if let Some(images) = images {
        let outcome = turn.store(images, options, record);
        record.note(system, kpi::IMAGES, outcome)?;
    }
    dut.prove_enforcement()
}
