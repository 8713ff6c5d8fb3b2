//! `cargo xtask tidy`: the repository's own rules, checked on the files git knows.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tools;

/// Words that name unfinished work. Split, so that this file passes its own check.
const UNFINISHED: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];
/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 3] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
];
/// The crates that may hold `unsafe` code.
const UNSAFE_CRATES: [&str; 3] = ["dpdk-sys", "wardline-dpdk", "wardline-hint"];

/// Checks every rule and lists each place that breaks one.
///
/// # Errors
/// When a rule is broken, or the repository cannot be read.
pub fn run() -> Result<()> {
    let mut broken = Vec::new();
    check_texts(&mut broken)?;
    check_crates(&mut broken)?;
    if broken.is_empty() {
        return Ok(());
    }
    for place in &broken {
        eprintln!("{place}");
    }
    bail!("{} places break the repository's rules", broken.len());
}

fn check_texts(broken: &mut Vec<String>) -> Result<()> {
    let root = tools::root()?;
    let listed = tools::output(
        Command::new("git")
            .arg("-C")
            .arg(&root)
            .args(["ls-files", "-z"]),
    )?;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        // What is not text (captures, pictures) has no lines to check.
        let Ok(text) = fs::read_to_string(root.join(name)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if let Some(why) = fault(line) {
                broken.push(format!("{name}:{}: {why}", number + 1));
            }
        }
    }
    Ok(())
}

fn fault(line: &str) -> Option<String> {
    if let Some(word) = UNFINISHED.iter().find(|word| line.contains(*word)) {
        return Some(format!("unfinished work: {word}"));
    }
    let path = MACHINE_PATHS.iter().find(|path| line.contains(*path))?;
    Some(format!("a path of one machine: {path}"))
}

fn check_crates(broken: &mut Vec<String>) -> Result<()> {
    let root = tools::root()?;
    let read =
        |name: &str| fs::read_to_string(root.join(name)).with_context(|| format!("reading {name}"));
    let architecture = read("docs/architecture.md")?;
    let reasons = read("docs/dependencies.md")?;
    let metadata =
        tools::output(tools::cargo()?.args(["metadata", "--no-deps", "--format-version=1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("reading cargo's metadata")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo's metadata lists no packages")?;

    let mut outside = BTreeSet::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        if !names(&architecture, name) {
            broken.push(format!(
                "docs/architecture.md: does not mention the crate {name}"
            ));
        }
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let manifest =
            fs::read_to_string(manifest).with_context(|| format!("reading {manifest}"))?;
        if !UNSAFE_CRATES.contains(&name) && !manifest.contains("[lints]\nworkspace = true") {
            broken.push(format!("crate {name}: does not take the workspace's lints"));
        }
        let dependencies = package["dependencies"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let foreign = dependencies
            .iter()
            .filter(|dependency| dependency["path"].is_null());
        outside.extend(foreign.filter_map(|dependency| dependency["name"].as_str()));
    }
    for name in outside.into_iter().filter(|name| !names(&reasons, name)) {
        broken.push(format!("docs/dependencies.md: gives no reason for {name}"));
    }
    Ok(())
}

/// Whether the page has the name in code quotes, as both pages write them.
fn names(page: &str, name: &str) -> bool {
    page.contains(&format!("`{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_unfinished_work_or_a_machine_path_is_a_fault() {
        assert!(fault(concat!("// TO", "DO: later")).is_some());
        assert!(fault(concat!("open(\"/ro", "ot/key\")")).is_some());
        assert_eq!(fault("let todos = 3; // a list of things to do"), None);
    }

    #[test]
    fn a_page_names_a_crate_only_in_code_quotes_and_whole() {
        assert!(names("| `toml` | policy files |", "toml"));
        assert!(!names("| `toml_edit` | toml |", "toml"));
    }
}
