//! What the reader makes of real traffic. The captures lie beside the repository; without them the
//! tests say so and pass.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use wardline_capture as capture;
use wardline_classifier::About;
use wardline_classifier::evidence::{Limits, Reader, Seen};
use wardline_engine::parse::parse;
use wardline_policy::MacAddr;

type Facts = BTreeMap<MacAddr, BTreeSet<(&'static str, String)>>;

fn captures(folder: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = here.ancestors().skip(1).take(2).find_map(|root| {
        let candidate = root.join("../shared/captures").join(folder);
        candidate.is_dir().then_some(candidate)
    });
    if found.is_none() {
        eprintln!("SKIPPED: no captures at ../shared/captures/{folder} beside the repository");
    }
    found
}

/// Everything said in one capture, by the station it is about.
fn read(path: &Path, facts: &mut Facts) {
    let Ok(mut packets) = capture::Reader::open(path) else {
        return;
    };
    let mut reader = Reader::new(Limits::default());
    let mut time_ns = 0;
    while let Ok(Some(packet)) = packets.next_packet() {
        time_ns += 1_000_000;
        let Ok(meta) = parse(packet.data) else {
            continue;
        };
        reader.read(packet.data, &meta, time_ns, &mut |seen| {
            if let Seen::Fact(observed) = seen {
                let station = match observed.about {
                    About::Sender => meta.source_mac,
                    About::Receiver => meta.destination_mac,
                };
                let fact = (observed.fact.field.name(), observed.fact.value);
                facts.entry(station).or_default().insert(fact);
            }
        });
    }
}

#[test]
fn print_devices() {
    let Some(folder) = captures("devices") else {
        return;
    };
    let text = std::fs::read_to_string(folder.join("devices.json")).unwrap();
    let devices: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (name, device) in devices.as_object().unwrap() {
        let mac: MacAddr = device["mac"].as_str().unwrap().parse().unwrap();
        let mut facts = Facts::new();
        for file in std::fs::read_dir(folder.join(name)).unwrap() {
            read(&file.unwrap().path(), &mut facts);
        }
        println!("===== {name}");
        for (field, value) in facts.remove(&mac).unwrap_or_default() {
            println!("{field:24} {value}");
        }
    }
}

#[test]
fn print_protocols() {
    let Some(folder) = captures("protocols") else {
        return;
    };
    for suite in ["suricata-verify", "tapirx", "tcpdump", "zeek"] {
        let mut files: Vec<_> = std::fs::read_dir(folder.join(suite))
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            let mut facts = Facts::new();
            read(&file, &mut facts);
            println!(
                "===== {suite}/{}",
                file.file_name().unwrap().to_string_lossy()
            );
            for (mac, facts) in facts {
                for (field, value) in facts {
                    println!("{mac} {field:24} {value}");
                }
            }
        }
    }
}
