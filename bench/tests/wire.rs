//! The suite `wire` from end to end, with systems that every kernel has.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use wardline_bench::{Options, wire};

const SYSTEMS: [&str; 3] = ["direct", "linux bridge", "linux bridge + nftables"];

#[test]
fn every_wanted_system_is_measured_and_nothing_stays_behind() {
    if !rustix::process::geteuid().is_root() {
        // Not through `eprintln!`, which the test harness hides.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED wire: network namespaces need root"
        );
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let found = wire::run(&Options {
        quick: true,
        rounds: 1,
        only: SYSTEMS.map(str::to_owned).to_vec(),
        programs: PathBuf::new(),
        scratch: scratch.path().to_owned(),
    })
    .unwrap();
    for system in SYSTEMS {
        let absent = found.absent.iter().find(|absent| absent.system == system);
        assert_eq!(absent, None);
        for metric in ["throughput (0.1 % loss)", "latency p50", "latency p99"] {
            let measured = found
                .samples
                .iter()
                .any(|s| s.system == system && s.metric == metric && s.value > 0.0);
            assert!(measured, "no {metric} of {system}");
        }
    }
    let ours = format!("-{}-", std::process::id());
    let left: Vec<_> = fs::read_dir("/run/netns")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.contains(&ours))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
