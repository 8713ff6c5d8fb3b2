//! The fuzzer of one target, and what makes the inputs it begins with. The environment says which,
//! since libFuzzer takes the command line:
//!
//! - `WARDLINE_FUZZ=talk-tls` fuzzes that target with the arguments of libFuzzer;
//! - `WARDLINE_SEEDS=FOLDER` fills a folder for each target, from the capture files below
//!   `WARDLINE_CAPTURES` where that is given, and prints the names of all targets.

#![no_main]

mod seeds;

use std::env;
use std::path::PathBuf;
use std::process;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use wardline_classifier::evidence::fuzz::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: begin(),
    |input: &[u8]| {
        if let Some(target) = TARGET.get() {
            target.run(input);
        }
    }
);

fn begin() {
    let folder = |name| env::var_os(name).map(PathBuf::from);
    if let Some(seeds) = folder("WARDLINE_SEEDS") {
        let captures = folder("WARDLINE_CAPTURES");
        let made = seeds::make(&seeds, captures.as_deref());
        end(made.map_err(|error| format!("{error:#}")));
    }
    let name = env::var("WARDLINE_FUZZ").unwrap_or_default();
    match Target::named(&name) {
        Some(target) => {
            TARGET.get_or_init(|| target);
        }
        None => end(Err(format!("there is no target `{name}`"))),
    }
}

fn end(outcome: Result<(), String>) -> ! {
    if let Err(error) = &outcome {
        eprintln!("error: {error}");
    }
    process::exit(outcome.is_err().into())
}
