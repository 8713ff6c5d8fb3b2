//! Every real capture at hand is read to its end or to an error that says why not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use wardline_capture::{ErrorKind, Reader};

/// Outside the repository; not everyone has them.
fn corpus() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = here.ancestors().skip(2).take(2).find_map(|root| {
        let candidate = root.join("../shared/captures");
        candidate.is_dir().then_some(candidate)
    });
    if found.is_none() {
        eprintln!("SKIPPED: no captures at ../shared/captures beside the repository");
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
}

#[test]
fn every_capture_at_hand() {
    let Some(folder) = corpus() else { return };
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    assert!(!paths.is_empty(), "an empty corpus proves nothing");
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    let mut packets = 0u64;
    for path in &paths {
        let mut reader = match Reader::open(path) {
            Ok(reader) => reader,
            Err(e) => {
                *outcomes.entry(outcome(&e.kind)).or_default() += 1;
                assert!(
                    !matches!(e.kind, ErrorKind::Io(_)),
                    "{}: {e}",
                    path.display()
                );
                continue;
            }
        };
        let end = loop {
            match reader.next_packet() {
                Ok(Some(_)) => packets += 1,
                Ok(None) => break "whole",
                Err(e) => {
                    eprintln!("{}: {e}", path.display());
                    break outcome(&e.kind);
                }
            }
        };
        *outcomes.entry(end).or_default() += 1;
    }
    eprintln!("{} files, {packets} packets: {outcomes:?}", paths.len());
    let whole = outcomes.get("whole").copied().unwrap_or(0) as usize;
    assert!(
        whole * 2 > paths.len(),
        "most captures are whole: {outcomes:?}"
    );
}

fn outcome(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Io(_) => "i/o",
        ErrorKind::Empty => "empty",
        ErrorKind::NotACapture(_) => "no capture",
        ErrorKind::LinkType { .. } => "not Ethernet",
        ErrorKind::Truncated { .. } => "truncated",
        ErrorKind::TooLarge { .. } => "too large",
        ErrorKind::Malformed(_) => "malformed",
    }
}
