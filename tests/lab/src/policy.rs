//! The ward's policy as the gateway gets it.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use wardline_policy::document::{Document, Rule};
use wardline_policy::scalar::Time;
use wardline_policy::{Format, parse};

use crate::ward::source_dir;

/// How long the vendor visit of the policy lasts once the ward is up, in seconds.
const VISIT_S: u64 = 12 * 3600;

/// Reads `ward.toml` and moves its vendor visits to the present.
///
/// # Errors
/// What is wrong with the file, with line and reason.
pub fn load() -> Result<Document> {
    let path = source_dir().join("ward.toml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.display().to_string();
    let (mut document, _) =
        parse(&text, Format::Toml, &name).map_err(|wrong| anyhow!("{wrong}"))?;
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    let from = Time {
        unix_s: now_s.as_secs().saturating_sub(60),
    };
    let until = Time {
        unix_s: now_s.as_secs() + VISIT_S,
    };
    for visit in &mut document.visits {
        (visit.from, visit.until) = (from, until);
    }
    Ok(document)
}

/// The same policy with one rule taken out, wherever rules of that name stand.
///
/// # Errors
/// When there is no such rule.
pub fn without(mut document: Document, rule: &str) -> Result<Document> {
    let before = rules(&document).count();
    let keep = |list: &mut Vec<Rule>| list.retain(|other| other.name != rule);
    document
        .roles
        .values_mut()
        .for_each(|role| keep(&mut role.rules));
    document
        .devices
        .iter_mut()
        .for_each(|device| keep(&mut device.rules));
    document
        .visits
        .iter_mut()
        .for_each(|visit| keep(&mut visit.rules));
    keep(&mut document.baseline.rules);
    // A visit or a role that has lost its last rule would only draw a warning.
    document.visits.retain(|visit| !visit.rules.is_empty());
    ensure!(
        rules(&document).count() < before,
        "the ward's policy has no rule named `{rule}`"
    );
    Ok(document)
}

/// Every rule of a document, wherever it stands.
pub fn rules(document: &Document) -> impl Iterator<Item = &Rule> {
    let roles = document.roles.values().flat_map(|role| &role.rules);
    let devices = document.devices.iter().flat_map(|device| &device.rules);
    let visits = document.visits.iter().flat_map(|visit| &visit.rules);
    roles
        .chain(devices)
        .chain(visits)
        .chain(&document.baseline.rules)
}

/// Writes a document where the gateway or the command can read it.
///
/// # Errors
/// When the file cannot be written.
pub fn write(document: &Document, path: &Path) -> Result<()> {
    let text = toml::to_string(document).context("cannot encode the policy")?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wardline_policy::compile;

    use super::*;
    use crate::exchange;
    use crate::layout::{HOSTS, Side};

    #[test]
    fn the_ward_policy_compiles() {
        compile(&load().unwrap(), 1_795_000_000).unwrap();
    }

    #[test]
    fn it_lists_exactly_the_devices_of_the_ward() {
        let document = load().unwrap();
        let listed: BTreeSet<_> = document
            .devices
            .iter()
            .map(|d| (d.name.as_str(), d.mac.to_string()))
            .collect();
        let there: BTreeSet<_> = HOSTS
            .iter()
            .filter(|host| host.side == Side::Ward)
            .map(|host| (host.name, host.mac.to_owned()))
            .collect();
        assert_eq!(listed, there);
    }

    #[test]
    fn every_exchange_names_rules_that_exist() {
        let document = load().unwrap();
        let names: BTreeSet<_> = rules(&document).map(|rule| rule.name.as_str()).collect();
        for exchange in exchange::all() {
            for rule in exchange.rules {
                assert!(names.contains(rule), "{} needs {rule}", exchange.name);
            }
        }
    }

    #[test]
    fn every_rule_an_exchange_needs_can_be_taken_out() {
        for rule in exchange::all().iter().flat_map(|exchange| exchange.rules) {
            let less = without(load().unwrap(), rule).unwrap();
            assert!(rules(&less).all(|other| other.name != *rule));
            compile(&less, 1_795_000_000).unwrap();
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let document = load().unwrap();
        let text = toml::to_string(&document).unwrap();
        let (again, _) = parse(&text, Format::Toml, "again").unwrap();
        assert_eq!(again, document);
    }
}
