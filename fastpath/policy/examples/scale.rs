//! Compiles a policy of 10,000 devices with 100 distinct rules each and prints what it takes:
//! time, memory, probes of a decision and what a scan of the rules would cost instead.
//!
//! `cargo run -p wardline-policy --release --example scale [DEVICES [RULES]]`

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use wardline_policy::document::{Device, Direction, Document, Peer, Rule};
use wardline_policy::reference::Reference;
use wardline_policy::scalar::{Many, PortRange, Prefix, Protocol, Vlan};
use wardline_policy::types::MacAddr;
use wardline_policy::{Cast, Format, Initiator, Mode, PolicySnapshot, Query, compile, parse};

fn main() {
    let mut numbers = std::env::args().skip(1).map(|arg| arg.parse::<u32>());
    let mut number = |default| numbers.next().and_then(Result::ok).unwrap_or(default);
    let (devices, rules) = (number(10_000), number(100));
    let document = document(devices, rules);
    println!("{devices} devices with {rules} rules each");
    println!("document in memory: {} MiB", resident_mib());

    let begin = Clock::now();
    let policy = match compile(&document, 0) {
        Ok(policy) => policy,
        Err(errors) => return eprintln!("{errors}"),
    };
    println!(
        "compiled in {begin}, {} MiB with the document",
        resident_mib()
    );
    lookups(&document, &policy);
    drop(document);
    println!("snapshot alone: {} MiB", resident_mib());
    drop(policy);
    text(devices, rules);
}

/// A million distinct rules: no device shares an address with another.
fn document(devices: u32, rules: u32) -> Document {
    let mut document = Document::new("scale");
    document.devices = (0..devices)
        .map(|index| {
            let [_, a, b, c] = index.to_be_bytes();
            Device {
                name: format!("pump-{index}"),
                mac: MacAddr([2, 0, 0, a, b, c]),
                vlan: Vlan::one(10),
                role: None,
                mode: Some(Mode::Enforce),
                care: None,
                ward: None,
                owner: None,
                since: None,
                assets: Vec::new(),
                addresses: Many::default(),
                refusal: None,
                storm: None,
                controller: None,
                mud: None,
                note: None,
                rules: (0..rules)
                    .map(|rule| distinct_rule(index * rules + rule))
                    .collect(),
            }
        })
        .collect();
    document
}

fn distinct_rule(number: u32) -> Rule {
    let peer = Peer::Address(Many(vec![Prefix::host(server(number))]));
    Rule {
        ports: Some(Many(vec![PortRange::one(
            10_000 + (number % 50_000) as u16,
        )])),
        ..Rule::allow(
            &format!("rule-{number}"),
            Direction::FromDevice,
            vec![peer],
            Protocol::TCP,
        )
    }
}

fn server(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

/// Asks for rules all over the policy, each time one that exists and one that does not.
fn lookups(document: &Document, policy: &PolicySnapshot) {
    let keys: Vec<_> = policy.devices().collect();
    let rules = document
        .devices
        .first()
        .map_or(0, |device| device.rules.len()) as u32;
    let mut query = Query {
        initiator: Initiator::Device,
        cast: Cast::Unicast,
        peer: server(0),
        destination: server(0),
        protocol: 6,
        source_port: 40_000,
        destination_port: 0,
        tags: &[],
    };
    let mut ask = |decide: &mut dyn FnMut(usize, &Query<'_>) -> bool, count: usize| {
        let mut allowed = 0;
        let begin = Clock::processor();
        for turn in 0..count {
            let at = (turn * 7_919) % keys.len();
            let [.., a, b, c] = keys[at].0.mac.0;
            let device = u32::from_be_bytes([0, a, b, c]);
            let number = device * rules + (turn as u32 % rules);
            query.peer = server(number);
            query.destination_port = 10_000 + (number % 50_000) as u16 + (turn % 2) as u16;
            allowed += usize::from(decide(at, &query));
        }
        ((Clock::processor() - begin) / count as u32, allowed)
    };
    let (each, allowed) = ask(
        &mut |at, q| policy.decide(black_box(keys[at].1), q).allow,
        1_000_000,
    );
    println!("a decision: {each:?} ({allowed} of 1000000 allowed)");
    let reference = Reference { document, now_s: 0 };
    let (each, allowed) = ask(
        &mut |at, q| reference.decide(&keys[at].0, q, &[]).allow,
        1_000,
    );
    println!("by scanning: {each:?} ({allowed} of 1000 allowed)");
}

/// The same policy as text.
fn text(devices: u32, rules: u32) {
    let document = document(devices, rules);
    for (format, text) in [
        (Format::Toml, to_toml(&document)),
        (
            Format::Json,
            serde_json::to_string(&document).unwrap_or_default(),
        ),
    ] {
        let begin = Clock::now();
        let parsed = parse(&text, format, "scale").is_ok_and(|(parsed, _)| parsed == document);
        let (mib, took) = (text.len() >> 20, begin.to_string());
        println!("{format:?}, {mib} MiB of text: read in {took}, the same document: {parsed}");
    }
}

/// Device by device: the TOML writer moves all it has written for each new table.
fn to_toml(document: &Document) -> String {
    let mut text = format!("version = 1\nname = \"{}\"\n", document.name);
    for device in &document.devices {
        let one = Document {
            devices: vec![device.clone()],
            ..Document::new("")
        };
        let one = toml::to_string(&one).unwrap_or_default();
        let from = one.find("[[devices]]").unwrap_or(one.len());
        let until = one.find("[baseline]").unwrap_or(one.len());
        text.push_str(one.get(from..until).unwrap_or_default());
    }
    text
}

/// A stopwatch that also knows how long this thread had a processor: on a busy machine the wall
/// clock says little.
struct Clock {
    wall: Instant,
    processor: Duration,
}

impl Clock {
    fn now() -> Self {
        Self {
            wall: Instant::now(),
            processor: Self::processor(),
        }
    }

    fn processor() -> Duration {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let ns = stat
            .split_whitespace()
            .next()
            .and_then(|ns| ns.parse().ok());
        Duration::from_nanos(ns.unwrap_or(0))
    }
}

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let processor = Self::processor().saturating_sub(self.processor);
        write!(f, "{:.2?} (processor {processor:.2?})", self.wall.elapsed())
    }
}

/// Resident memory of this process, as the kernel tells it.
fn resident_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
    kib.unwrap_or(0) / 1024
}
