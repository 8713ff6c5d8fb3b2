//! The measurement of the management plane from end to end, with little to ask about.

use std::env;

use wardline_bench::management::{self, Plan, Size};

#[test]
fn every_question_is_answered_beside_listeners() {
    let this = env::current_exe().expect("the test");
    let programs = this.ancestors().nth(2).expect("the folder of programs");
    let scratch = tempfile::tempdir().expect("a folder");
    let plan = Plan {
        sizes: vec![Size {
            devices: 200,
            records: 5_000,
        }],
        requests: 4,
        connections: 2,
        listeners: 3,
        seed: fastrand::u64(..),
        programs: programs.to_owned(),
        folder: scratch.path().to_owned(),
    };
    println!("seed {}", plan.seed);
    let measured = management::run(&plan).expect("measured");
    let outcome = &measured.outcomes[0];
    for figure in &outcome.figures {
        assert_eq!(figure.answers, 4, "{}", figure.name);
        assert!(figure.p50_ms <= figure.p99_ms, "{}", figure.name);
    }
    assert!(outcome.notes > 0 && outcome.heard > 0 && outcome.resident_mib > 0.0);
    let table = management::table(&measured);
    assert!(table.contains("| map, by role |"), "{table}");
}
