//! Every exchange needs its rules: with them taken out of the policy it fails, and the gateway
//! says why.
//!
//! Exchanges of different devices that share no rule are tried at the same time, since each must
//! wait until its programs give up.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use wardline_policy::Reason;

use crate::control::Control;
use crate::exchange::{self, Exchange};
use crate::layout::host;
use crate::policy;
use crate::ward::Ward;

/// What the gateway may give as the reason: no rule for a new conversation, or the rule of an old
/// one taken back.
const REASONS: [Reason; 2] = [Reason::NoRule, Reason::Revoked];

/// What became of an exchange without its rules.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The exchange.
    pub name: &'static str,
    /// The rules taken out.
    pub rules: &'static [&'static str],
    /// Whether it failed, as it must.
    pub failed: bool,
    /// Frames the gateway dropped meanwhile for want of a rule.
    pub reasons: BTreeMap<Reason, u64>,
    /// What its ends saw.
    pub detail: String,
}

impl Outcome {
    /// It failed, and the gateway says why.
    pub fn as_it_must(&self) -> bool {
        self.failed && !self.reasons.is_empty()
    }
}

/// Tries every exchange without its rules, then all of them with their rules back.
///
/// # Errors
/// When the gateway refuses a policy, or an exchange still fails with its rules back.
pub fn try_without(ward: &Ward, control: &Control) -> Result<Vec<Outcome>> {
    let whole = control.policy()?.text;
    let mut outcomes = Vec::new();
    for round in rounds(exchange::all()) {
        let out: BTreeSet<&str> = round
            .iter()
            .flat_map(|exchange| exchange.rules)
            .copied()
            .collect();
        control.apply("rules-out", without(&out)?)?;
        let before = Drops::read(control)?;
        let tried = exchange::perform(ward, &round);
        let after = Drops::read(control)?;
        control.apply("rules-back", whole.clone())?;
        outcomes.extend(tried.into_iter().map(|outcome| Outcome {
            name: outcome.name,
            rules: outcome.rules,
            failed: !outcome.success,
            reasons: after.since(&before, outcome.device),
            detail: outcome.detail,
        }));
    }
    all_succeed(ward)?;
    Ok(outcomes)
}

fn all_succeed(ward: &Ward) -> Result<()> {
    let outcomes = exchange::perform(ward, &exchange::all());
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| !outcome.success)
        .map(|outcome| format!("{}: {}", outcome.name, outcome.detail))
        .collect();
    ensure!(
        failed.is_empty(),
        "with all rules back these still fail: {}",
        failed.join("; ")
    );
    Ok(())
}

/// Puts exchanges together that have neither device nor rule in common.
fn rounds(exchanges: Vec<Exchange>) -> Vec<Vec<Exchange>> {
    let mut rounds: Vec<Vec<Exchange>> = Vec::new();
    for exchange in exchanges
        .into_iter()
        .filter(|exchange| !exchange.rules.is_empty())
    {
        let apart = |other: &Exchange| {
            other.device != exchange.device
                && !other.rules.iter().any(|rule| exchange.rules.contains(rule))
        };
        match rounds.iter_mut().find(|round| round.iter().all(apart)) {
            Some(round) => round.push(exchange),
            None => rounds.push(vec![exchange]),
        }
    }
    rounds
}

/// The ward's policy without the rules of these names, as text.
///
/// # Errors
/// When it has no rule of one of the names.
pub(crate) fn without(names: &BTreeSet<&str>) -> Result<String> {
    let whole = policy::load()?;
    let rest = names
        .iter()
        .try_fold(whole, |document, name| policy::without(document, name))?;
    toml::to_string(&rest).context("writing the policy without its rules")
}

/// Drops for want of a rule, of each device and of frames to no single device.
#[derive(Debug)]
struct Drops {
    by_device: BTreeMap<String, BTreeMap<Reason, u64>>,
}

impl Drops {
    fn read(control: &Control) -> Result<Self> {
        let mut by_device = BTreeMap::new();
        for device in control.devices()? {
            by_device.insert(device.key.mac.to_string(), device.by_reason);
        }
        Ok(Self { by_device })
    }

    fn since(&self, before: &Self, name: &str) -> BTreeMap<Reason, u64> {
        let mac = host(name).map_or("", |host| host.mac);
        let of = |drops: &Self, reason| {
            let counts = drops.by_device.get(mac);
            counts
                .and_then(|counts| counts.get(&reason))
                .copied()
                .unwrap_or(0)
        };
        REASONS
            .into_iter()
            .map(|reason| (reason, of(self, reason).saturating_sub(of(before, reason))))
            .filter(|(_, frames)| *frames > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::HOSTS;

    #[test]
    fn a_round_shares_neither_device_nor_rule() {
        let all = exchange::all();
        let rounds = rounds(all.clone());
        let with_rules = all
            .iter()
            .filter(|exchange| !exchange.rules.is_empty())
            .count();
        assert_eq!(rounds.iter().map(Vec::len).sum::<usize>(), with_rules);
        for round in &rounds {
            let devices: BTreeSet<_> = round.iter().map(|exchange| exchange.device).collect();
            assert_eq!(devices.len(), round.len());
        }
        assert!(
            all.iter()
                .all(|exchange| HOSTS.iter().any(|host| host.name == exchange.device))
        );
    }
}
