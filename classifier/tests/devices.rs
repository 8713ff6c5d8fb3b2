//! What the evidence alone says of real devices, capture by capture.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wardline_capture::Reader;
use wardline_classifier::Role;
use wardline_classifier::decide::{Answer, Calibration, decide};
use wardline_classifier::device::Evidence;
use wardline_classifier::observer::{Limits, Observer};
use wardline_policy::MacAddr;

/// Captures of labelled devices, beside the repository.
fn folder() -> Option<PathBuf> {
    let roots = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut folders = roots.map(|root| root.join("../shared/captures/devices"));
    folders.find(|folder| folder.join("devices.json").exists())
}

struct Device {
    folder: PathBuf,
    mac: MacAddr,
    role: Role,
}

fn devices() -> Option<Vec<Device>> {
    let folder = folder()?;
    let text = std::fs::read_to_string(folder.join("devices.json"))
        .expect("the captures as their README says");
    let labels: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(&text).expect("the captures as their README says");
    let device = |(name, label): (String, BTreeMap<String, String>)| Device {
        folder: folder.join(name),
        mac: label["mac"]
            .parse()
            .expect("the captures as their README says"),
        role: label["role"]
            .parse()
            .expect("the captures as their README says"),
    };
    Some(labels.into_iter().map(device).collect())
}

fn captures(device: &Device) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(&device.folder).expect("the captures as their README says");
    let mut captures: Vec<_> = entries
        .map(|entry| entry.expect("the captures as their README says").path())
        .collect();
    captures.sort();
    captures
}

fn answers(capture: &Path) -> Vec<(MacAddr, Answer)> {
    let mut reader = Reader::open(capture).expect("the captures as their README says");
    let mut observer = Observer::new(Limits::default());
    while let Some(packet) = reader
        .next_packet()
        .expect("the captures as their README says")
    {
        observer.frame(packet.time_ns, packet.data, packet.original_bytes as usize);
    }
    let stations = observer.stations().iter();
    let calibration = Calibration::default();
    stations
        .map(|station| {
            let evidence = Evidence::of(station.facts(), station.forwards_for(), station.last_ns());
            (station.key().mac, decide(&evidence, None, &calibration))
        })
        .collect()
}

#[test]
fn evidence_alone_is_seldom_wrong_and_knows_what_it_does_not_know() {
    let Some(devices) = devices() else {
        eprintln!("SKIPPED: no captures at ../shared/captures/devices beside the repository");
        return;
    };
    let (mut total, mut named, mut wrong, mut missed_set) = (0, 0, 0, 0);
    for device in &devices {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut example = None;
        for capture in captures(device) {
            let answers = answers(&capture);
            let Some((_, answer)) = answers.into_iter().find(|(mac, _)| *mac == device.mac) else {
                continue;
            };
            total += 1;
            named += usize::from(answer.role.is_some());
            wrong += usize::from(answer.role.is_some_and(|role| role != device.role));
            let set = !answer.roles.is_empty() && !answer.roles.contains(&device.role);
            missed_set += usize::from(set);
            *counts.entry(answer.words()).or_default() += 1;
            example.get_or_insert(answer);
        }
        let name = device.folder.file_name().unwrap().to_string_lossy();
        println!("{name:<20} {:<10} {counts:?}", device.role);
        for reason in example.iter().flat_map(|answer| &answer.evidence).take(4) {
            println!(
                "    {:>5.1} {:?} {}",
                reason.weight, reason.strength, reason.sentence
            );
        }
    }
    println!("{named} of {total} named, {wrong} of them wrong; {missed_set} without the truth");
    assert!(wrong * 100 <= total, "{wrong} of {total} are wrong");
    assert!(
        named * 100 >= total * 60,
        "only {named} of {total} are named"
    );
}
