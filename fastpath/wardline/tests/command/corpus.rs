//! Every real capture at hand goes through a replay.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::command;

#[test]
fn every_protocol_capture_at_hand_is_replayed_without_a_panic() {
    let Some(folder) = corpus() else { return };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    assert!(!paths.is_empty(), "an empty corpus proves nothing");
    // Some hundred captures a process: one engine sees them all, as different as they are.
    let mut packets = 0;
    for group in paths.chunks(100) {
        let output = command()
            .args(["replay", "--json", "--mode", "enforce"])
            .args(group)
            .stdout(Stdio::piped())
            .output()
            .expect("the command was built");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!message.contains("panicked"), "{message}");
        // 2: some of them are cut short or not of Ethernet, which is said of each.
        assert!(matches!(output.status.code(), Some(0 | 2)), "{message}");
        let last = output
            .stdout
            .split(|b| *b == b'\n')
            .rev()
            .nth(1)
            .expect("a summary");
        let summary: serde_json::Value = serde_json::from_slice(last).expect("JSON");
        let captures = summary["captures"].as_array().expect("a list");
        assert_eq!(captures.len(), group.len());
        let lines = output.stdout.iter().filter(|b| **b == b'\n').count() as u64 - 1;
        assert_eq!(summary["packets"], lines, "one line for each packet");
        packets += lines;
    }
    eprintln!("{} captures, {packets} packets", paths.len());
    assert!(packets > 0);
}

#[test]
fn every_protocol_capture_at_hand_is_classified_without_a_panic() {
    let Some(folder) = corpus() else { return };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let output = command()
        .args(["classify", "--json", "--each"])
        .args(&paths)
        .output()
        .expect("the command was built");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!message.contains("panicked"), "{message}");
    assert!(matches!(output.status.code(), Some(0 | 2)), "{message}");
    let mut devices = 0;
    for line in output
        .stdout
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
    {
        let device: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        let evidence = device["evidence"].as_array().expect("a list");
        let roles = device["roles"].as_array().expect("a list");
        let named = device["role"] != "unknown";
        assert!(
            !named || roles.len() == 1 && roles[0] == device["role"],
            "{device}"
        );
        assert!(!named || !evidence.is_empty(), "{device}");
        assert!(
            device["probability"]
                .as_f64()
                .is_some_and(|p| (0.0..=1.0).contains(&p))
        );
        assert!(device["may_enforce"] == false || named, "{device}");
        devices += 1;
    }
    eprintln!("{} captures, {devices} devices", paths.len());
    assert!(devices > 0);
}

/// Outside the repository; not everyone has them.
fn corpus() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = here
        .ancestors()
        .nth(2)
        .map(|root| root.join("../shared/captures/protocols"))
        .filter(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("SKIPPED: no captures at ../shared/captures/protocols beside the repository");
    }
    found
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files(&path, into);
        } else if path
            .extension()
            .is_some_and(|e| e == "pcap" || e == "pcapng")
        {
            into.push(path);
        }
    }
    into.sort();
}
