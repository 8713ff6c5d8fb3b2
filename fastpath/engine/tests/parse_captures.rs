//! Every Ethernet capture at hand goes through the readers without a panic.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod parse_support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use parse_support::exercise;
use wardline_capture::Reader;
use wardline_engine::parse::parse;

#[test]
fn captures_never_panic() {
    // Beside the repository, not part of it.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures/protocols");
    if !folder.is_dir() {
        println!("SKIPPED: no captures in {}", folder.display());
        return;
    }
    let mut files = Vec::new();
    collect(&folder, &mut files);
    let mut outcomes = BTreeMap::new();
    let (mut read, mut unread) = (0, 0);
    for file in &files {
        match exercise_file(file, &mut outcomes) {
            Ok(()) => read += 1,
            Err(_) => unread += 1,
        }
    }
    println!("{read} files read to the end, {unread} of other link types or cut");
    for (outcome, frames) in &outcomes {
        println!("{frames:>9} {outcome}");
    }
    assert!(outcomes.get("accepted").is_some_and(|frames| *frames > 0));
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn exercise_file(
    file: &Path,
    outcomes: &mut BTreeMap<&'static str, usize>,
) -> Result<(), wardline_capture::Error> {
    let mut reader = Reader::open(file)?;
    while let Some(packet) = reader.next_packet()? {
        exercise(packet.data);
        let outcome = parse(packet.data).map_or_else(|e| e.reason.name(), |_| "accepted");
        *outcomes.entry(outcome).or_default() += 1;
    }
    Ok(())
}
