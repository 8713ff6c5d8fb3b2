//! One case under callgrind, and what its profile says.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::cases::Case;

/// The function inside of which callgrind counts.
const MEASURED: &str = "wardline_bench::cost::cases::measured";
/// The crates whose functions are stages of the packet path.
const OURS: [&str; 2] = ["wardline_engine::", "wardline_policy::"];
/// The compiler's own sources, as debug information names them.
const LIBRARY: &str = "/library/";
/// Where cargo keeps the sources of dependencies.
const REGISTRY: &str = "/registry/src/";
/// What costs less than this per unit is not kept.
const LEAST: f64 = 1.0;

/// Instructions for one unit of a case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Of everything.
    pub instructions: f64,
    /// Of each function of the engine and the policy, with what it calls.
    pub functions: BTreeMap<String, f64>,
    /// Of the lines of each source file, whatever function they were inlined into.
    pub files: BTreeMap<String, f64>,
}

/// The version of the valgrind there is.
///
/// # Errors
/// When there is none.
pub fn version() -> Result<String> {
    let output = Command::new("valgrind")
        .arg("--version")
        .output()
        .context("valgrind does not start: `cargo xtask setup` installs it")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Counts one case in a process of its own, which is this program once more.
///
/// # Errors
/// When it does not run, or nothing was counted.
pub fn count(case: &Case) -> Result<Cost> {
    let profile = tempfile::NamedTempFile::new().context("making room for a profile")?;
    let mut option = std::ffi::OsString::from("--callgrind-out-file=");
    option.push(profile.path());
    // Neither the environment nor its length reaches what is measured.
    let output = Command::new("valgrind")
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--toggle-collect={MEASURED}"))
        .args(["--compress-strings=no", "--compress-pos=no"])
        .arg(option)
        .arg(env::current_exe().context("where this program lies")?)
        .args(["run", case.name])
        .output()
        .context("valgrind does not start: `cargo xtask setup` installs it")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} under callgrind: {}", case.name, said.trim());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let units: f64 = said
        .trim()
        .parse()
        .with_context(|| format!("{} says it did `{}` units", case.name, said.trim()))?;
    let text = fs::read_to_string(profile.path()).context("reading the profile")?;
    let cost = read(&text, units);
    ensure!(
        cost.instructions > 0.0,
        "callgrind counted nothing: it found no function {MEASURED}"
    );
    Ok(cost)
}

/// Reads a profile in callgrind's format (with neither names nor positions compressed).
fn read(profile: &str, units: f64) -> Cost {
    let mut total = 0;
    let (mut functions, mut files) = (BTreeMap::new(), BTreeMap::new());
    let (mut function, mut file) = ("", String::new());
    let mut is_call = false;
    for line in profile.lines() {
        match line.split_once('=') {
            Some(("fn", name)) => function = name,
            Some(("fl" | "fi" | "fe", path)) => file = source(path),
            Some(("calls", _)) => is_call = true,
            Some(_) => {}
            None => {
                let Some(cost) = cost_of(line) else { continue };
                *functions.entry(function).or_insert(0) += cost;
                // The line after `calls=` repeats what the callee has cost.
                if !std::mem::take(&mut is_call) {
                    *files.entry(file.clone()).or_insert(0) += cost;
                    total += cost;
                }
            }
        }
    }
    let ours = functions
        .into_iter()
        .filter(|(name, _)| OURS.iter().any(|own| name.contains(own)))
        .map(|(name, cost)| (name.to_owned(), cost));
    Cost {
        instructions: each(total, units),
        functions: worth_keeping(ours, units),
        files: worth_keeping(files.into_iter(), units),
    }
}

/// The instructions of a line with a position and a cost.
fn cost_of(line: &str) -> Option<u64> {
    let (position, cost) = line.split_once(' ')?;
    position.parse::<u64>().ok()?;
    cost.parse().ok()
}

fn worth_keeping(costs: impl Iterator<Item = (String, u64)>, units: f64) -> BTreeMap<String, f64> {
    costs
        .map(|(name, cost)| (name, each(cost, units)))
        .filter(|(_, cost)| *cost >= LEAST)
        .collect()
}

/// To a tenth of an instruction.
fn each(total: u64, units: f64) -> f64 {
    (total as f64 / units * 10.0).round() / 10.0
}

/// A source file by a name that is the same on every machine: by its place in the repository or
/// in its crate. The compiler's library and the C library count as one each.
fn source(path: &str) -> String {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    if let Some(own) = repository.and_then(|root| Path::new(path).strip_prefix(root).ok()) {
        return own.display().to_string();
    }
    if let Some((_, rest)) = path.split_once(REGISTRY) {
        let mut parts: PathBuf = Path::new(rest).components().skip(1).collect();
        parts = without_version(&parts);
        return parts.display().to_string();
    }
    if let Some((_, rest)) = path.split_once(LIBRARY) {
        let name = rest.split('/').next().unwrap_or(rest);
        return format!("Rust {name}");
    }
    "C library".to_owned()
}

/// `etherparse-0.21.0/src/lib.rs` as `etherparse/src/lib.rs`.
fn without_version(path: &Path) -> PathBuf {
    let mut parts = path.components();
    let package = parts.next().map(|part| part.as_os_str().to_string_lossy());
    let package = package.unwrap_or_default();
    let name = package.rsplit_once('-').map_or(&*package, |(name, _)| name);
    Path::new(name).join(parts.as_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
# callgrind format
positions: line
events: Ir
summary: 1700

ob=/somewhere/wardline-cost
fl=/somewhere/bench/src/cost/cases.rs
fn=wardline_bench::cost::cases::measured
84 100
cfn=wardline_engine::engine::Engine::process
calls=2 200
84 1600

fl=/x/registry/src/index-1/wardline-engine-0.1.0/src/engine/mod.rs
fn=wardline_engine::engine::Engine::process
200 1000
fi=/x/registry/src/index-1/foldhash-0.2.0/src/fast.rs
30 500
fe=/x/registry/src/index-1/wardline-engine-0.1.0/src/engine/mod.rs
201 50
fi=/rustc/0123/library/core/src/option.rs
9 50

totals: 1700
";

    #[test]
    fn a_profile_is_read_by_function_and_by_file() {
        let cost = read(PROFILE, 10.0);
        assert_eq!(cost.instructions, 170.0);
        let process = "wardline_engine::engine::Engine::process".to_owned();
        assert_eq!(cost.functions, BTreeMap::from([(process, 160.0)]));
        let files = [
            ("C library", 10.0),
            ("Rust core", 5.0),
            ("foldhash/src/fast.rs", 50.0),
            ("wardline-engine/src/engine/mod.rs", 105.0),
        ];
        let files = files.map(|(name, cost)| (name.to_owned(), cost));
        assert_eq!(cost.files, BTreeMap::from(files));
    }

    #[test]
    fn a_source_of_the_repository_is_named_from_its_root() {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
        assert_eq!(source(own), "bench/src/lib.rs");
    }
}
