//! `wardline classify`: what the devices in captures are, and why.

use std::fmt::Display;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::Serialize;
use wardline_capture::{Error, Reader};
use wardline_classifier::decide::{
    Answer, Calibration, Contribution, NamedBy, Opinion, Reason, decide,
};
use wardline_classifier::device::Evidence;
use wardline_classifier::knowledge::Stated;
use wardline_classifier::model::{Model, Session, Trust, Window};
use wardline_classifier::observer::{Limits, Observer, Said, Station};
use wardline_classifier::{Fact, Field, Strength};
use wardline_policy::{DeviceKey, MacAddr, VlanKey};

use crate::cli::ClassifyArgs;
use crate::failure::Failure;
use crate::table::Table;
use crate::words;

/// Sentences a person sees of one device.
const SENTENCES: usize = 3;

pub(crate) fn run(args: &ClassifyArgs, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let model = model(args.model.as_deref());
    let seen: Vec<Seen> = args.captures.par_iter().map(|path| see(path)).collect();
    let mut troubled = false;
    for Seen { path, trouble, .. } in &seen {
        if let Some(trouble) = trouble {
            eprintln!("wardline: {}: {trouble}", path.display());
            troubled = true;
        }
    }
    let groups: Vec<&[Seen]> = if args.each {
        seen.chunks(1).collect()
    } else {
        vec![&seen]
    };
    let mut devices = 0;
    for group in groups {
        let capture = args.each.then(|| group[0].path.as_path());
        let known = together(group);
        devices += known.len();
        let answers = answers(&known, model.as_ref());
        if json {
            write_json(capture, &known, &answers, out)?;
        } else {
            write_words(capture, &known, &answers, out)?;
        }
    }
    if troubled {
        return Err(Failure::input(
            "not every capture could be read to its end; the result covers what could",
        ));
    }
    if devices == 0 {
        return Err(Failure::failed(format!(
            "no device is in {}: no frame has the address of a station as its sender",
            names(&args.captures)
        )));
    }
    Ok(())
}

/// The model in the folder asked for, else the one the program was built with. A model that is
/// refused is said to be, and the last good one is used; without any, evidence decides alone.
fn model(folder: Option<&Path>) -> Option<Arc<Model>> {
    let refused = |name: &dyn Display, why: &dyn Display| {
        eprintln!("wardline: {name} is not used: {why}");
    };
    let asked = folder.and_then(|folder| {
        let loaded = Trust::project().and_then(|trust| Model::load(folder, &trust));
        let shown = folder.display();
        loaded
            .inspect_err(|why| refused(&format_args!("the model in {shown}"), why))
            .ok()
    });
    let built_in = || {
        Model::built_in()
            .inspect_err(|why| refused(&"the built-in model", why))
            .ok()
    };
    asked.or_else(built_in).map(Arc::new)
}

/// The answer for each device.
fn answers(known: &[Known], model: Option<&Arc<Model>>) -> Vec<Answer> {
    let session = || Session::new(Arc::clone(model?)).ok();
    let answers = known.par_iter().map_init(session, Known::answer);
    answers.collect()
}

/// What one capture shows.
struct Seen {
    path: PathBuf,
    stations: Vec<Known>,
    /// Why it could not be read, or not to its end.
    trouble: Option<Error>,
}

/// What is known of one device.
#[derive(Clone)]
struct Known {
    key: DeviceKey,
    addresses: Vec<IpAddr>,
    /// With the times they were said first and last.
    facts: Vec<(Fact, u64, u64)>,
    forwards_for: usize,
    first_ns: u64,
    last_ns: u64,
    /// The numbers of its traffic in each capture, with what it had said there.
    windows: Vec<Window>,
}

fn see(path: &Path) -> Seen {
    let mut observer = Observer::new(Limits::default());
    let trouble = observe(path, &mut observer).err();
    Seen {
        path: path.to_owned(),
        stations: observer.stations().iter().map(Known::of).collect(),
        trouble,
    }
}

fn observe(path: &Path, observer: &mut Observer) -> Result<(), Error> {
    let mut reader = Reader::open(path)?;
    while let Some(packet) = reader.next_packet()? {
        observer.frame(packet.time_ns, packet.data, packet.original_bytes as usize);
    }
    Ok(())
}

/// The devices of several captures: one with the same address is the same device.
fn together(seen: &[Seen]) -> Vec<Known> {
    let mut devices: Vec<Known> = Vec::new();
    for known in seen.iter().flat_map(|seen| &seen.stations) {
        match devices.iter_mut().find(|device| device.key == known.key) {
            Some(device) => device.add(known),
            None => devices.push(known.clone()),
        }
    }
    devices
}

impl Known {
    fn of(station: &Station) -> Self {
        let facts = station
            .facts()
            .map(|said| (said.fact.clone(), said.first_ns, said.last_ns));
        Self {
            key: station.key(),
            addresses: station.addresses().map(|a| a.to_canonical()).collect(),
            facts: facts.collect(),
            forwards_for: station.forwards_for(),
            first_ns: station.first_ns(),
            last_ns: station.last_ns(),
            windows: vec![Window::new(
                station.features_so_far(),
                station.facts().map(|said| said.fact),
                station.key().mac,
            )],
        }
    }

    fn add(&mut self, other: &Self) {
        for address in &other.addresses {
            if !self.addresses.contains(address) {
                self.addresses.push(*address);
            }
        }
        self.facts.extend(other.facts.iter().cloned());
        self.forwards_for = self.forwards_for.max(other.forwards_for);
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        self.windows.extend(other.windows.iter().cloned());
    }

    /// From what it said, and from what a model thinks of its traffic if there is one.
    fn answer(session: &mut Option<Session>, known: &Self) -> Answer {
        let facts = known.facts.iter();
        let facts = facts.map(|&(ref fact, first_ns, last_ns)| Said {
            fact,
            first_ns,
            last_ns,
        });
        let evidence = Evidence::of(facts, known.forwards_for, known.last_ns);
        let Some(session) = session else {
            return decide(&evidence, None, &Calibration::default());
        };
        let windows = known.windows.iter();
        let opinions: Vec<_> = windows.flat_map(|window| session.opinion(window)).collect();
        let opinion = Opinion::mean(&opinions);
        decide(&evidence, opinion.as_ref(), session.model().calibration())
    }
}

/// One device as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<&'a Path>,
    mac: MacAddr,
    vlan: VlanKey,
    addresses: &'a [IpAddr],
    /// Name of the role, or `unknown`.
    role: &'static str,
    /// The roles it may have while that is undecided.
    roles: Vec<&'static str>,
    probability: f64,
    may_enforce: bool,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    type_by: Option<NamedBy>,
    vendor: Option<&'a str>,
    vendor_by: Option<NamedBy>,
    model: Option<&'a str>,
    serial: Option<&'a str>,
    software: Option<&'a str>,
    asset_tags: &'a [String],
    speaks_for: &'a [String],
    conflict: Option<&'a str>,
    evidence: Vec<Piece<'a>>,
    features: &'a [Contribution],
    would_change: &'a [String],
    first_seen: String,
    last_seen: String,
}

/// A piece of evidence.
#[derive(Serialize)]
struct Piece<'a> {
    sentence: &'a str,
    source: &'a str,
    field: Field,
    value: &'a str,
    strength: Strength,
    time: String,
    /// The role it speaks for most, and how much, as log-odds.
    role: Option<&'static str>,
    weight: f64,
}

fn write_json(
    capture: Option<&Path>,
    known: &[Known],
    answers: &[Answer],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    for (known, answer) in known.iter().zip(answers) {
        serde_json::to_writer(&mut *out, &line(capture, known, answer))?;
        writeln!(out)?;
    }
    Ok(())
}

fn line<'a>(capture: Option<&'a Path>, known: &'a Known, answer: &'a Answer) -> Line<'a> {
    let identity = &answer.identity;
    let stated = |part: &'a Option<Stated>| part.as_ref().map(|stated| stated.value.as_str());
    Line {
        capture,
        mac: known.key.mac,
        vlan: known.key.vlan,
        addresses: &known.addresses,
        role: answer.role.map_or("unknown", |role| role.name()),
        roles: answer.roles.iter().map(|role| role.name()).collect(),
        probability: rounded(answer.probability),
        may_enforce: answer.may_enforce,
        kind: answer.kind.as_ref().map(|named| named.name.as_str()),
        type_by: answer.kind.as_ref().map(|named| named.by),
        vendor: answer.vendor.as_ref().map(|named| named.name.as_str()),
        vendor_by: answer.vendor.as_ref().map(|named| named.by),
        model: stated(&identity.model),
        serial: stated(&identity.serial),
        software: stated(&identity.software),
        asset_tags: &answer.asset_tags,
        speaks_for: &answer.speaks_for,
        conflict: answer.conflict.as_deref(),
        evidence: answer.evidence.iter().map(piece).collect(),
        features: &answer.features,
        would_change: &answer.would_change,
        first_seen: words::rfc3339_ns(known.first_ns),
        last_seen: words::rfc3339_ns(known.last_ns),
    }
}

fn piece(reason: &Reason) -> Piece<'_> {
    Piece {
        sentence: &reason.sentence,
        source: &reason.source,
        field: reason.field,
        value: &reason.value,
        strength: reason.strength,
        time: words::rfc3339_ns(reason.time_ns),
        role: reason.role.map(|role| role.name()),
        weight: rounded(reason.weight.into()),
    }
}

/// Nobody believes more digits.
fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

fn write_words(
    capture: Option<&Path>,
    known: &[Known],
    answers: &[Answer],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if let Some(capture) = capture {
        writeln!(out, "{}:", capture.display())?;
    }
    if known.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["DEVICE", "ADDRESS", "MAKER", "ROLE", ">SURE", "BECAUSE"]);
    for (known, answer) in known.iter().zip(answers) {
        let mut sentences = sentences(answer).into_iter();
        table.row([
            station(known.key),
            known
                .addresses
                .first()
                .map_or_else(|| "-".to_owned(), ToString::to_string),
            words::maker(answer.vendor.as_ref().map(|vendor| vendor.name.as_str())),
            answer.words(),
            sure(answer),
            sentences
                .next()
                .unwrap_or_else(|| "It says nothing of itself".to_owned()),
        ]);
        for sentence in sentences {
            let [device, address, maker, role, sure] = [(); 5].map(|()| String::new());
            table.row([device, address, maker, role, sure, sentence]);
        }
    }
    Ok(table.write(out)?)
}

fn station(key: DeviceKey) -> String {
    if key.vlan == VlanKey::default() {
        return key.mac.to_string();
    }
    format!("{} VLAN {}", key.mac, words::vlan(key.vlan))
}

fn sure(answer: &Answer) -> String {
    if answer.roles.is_empty() {
        return "-".to_owned();
    }
    format!("{:.0} %", (answer.probability * 100.0).floor())
}

/// What a person reads first: a contradiction, several devices in one, then the reasons.
fn sentences(answer: &Answer) -> Vec<String> {
    let mut sentences: Vec<String> = answer.conflict.iter().cloned().collect();
    for reason in &answer.evidence {
        if sentences.len() < SENTENCES && !sentences.contains(&reason.sentence) {
            sentences.push(reason.sentence.clone());
        }
    }
    sentences
}

fn names(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    names.join(", ")
}
