//! Every exchange needs its rules: with them taken out of the policy it fails, and the gateway
//! says why.
//!
//! Exchanges of different devices that share no rule are tried at the same time, since each must
//! wait until its programs give up.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Serialize;
use wardline_control::view::ByReason;
use wardline_policy::Reason;

use crate::control::Control;
use crate::exchange::{self, Exchange};
use crate::layout::host;
use crate::policy;
use crate::ward::Ward;

/// What the gateway may give as the reason: no rule for a new conversation, or the rule of an old
/// one taken back.
const REASONS: [Reason; 2] = [Reason::NoRule, Reason::Revoked];

/// How often an exchange may be tried once its rules are back.
const TRIES: usize = 3;

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
    pub reasons: ByReason,
    /// What its ends saw.
    pub detail: String,
}

impl Outcome {
    fn new(tried: &exchange::Outcome, after: &ByReason, before: &ByReason) -> Self {
        let count = |drops: &ByReason, reason| drops.get(&reason).copied().unwrap_or(0);
        let since = |reason| {
            (
                reason,
                count(after, reason).saturating_sub(count(before, reason)),
            )
        };
        Self {
            name: tried.name,
            rules: tried.rules,
            failed: !tried.success,
            reasons: REASONS
                .map(since)
                .into_iter()
                .filter(|(_, frames)| *frames > 0)
                .collect(),
            detail: tried.detail.clone(),
        }
    }

    /// It failed, and the gateway says why.
    pub fn as_it_must(&self) -> bool {
        self.failed && !self.reasons.is_empty()
    }
}

/// Tries every exchange without its rules.
///
/// # Errors
/// When the gateway refuses a policy.
pub fn try_without(ward: &Ward, control: &Control) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for round in rounds(exchange::all()) {
        outcomes.extend(try_round(ward, control, &round)?);
    }
    for outcome in outcomes.iter_mut().filter(|outcome| !outcome.as_it_must()) {
        // A question to everybody on the ward counts for no device, and an exchange may rest on
        // another one of its round: alone, each drop is its own.
        if let Some(exchange) = exchange::named(outcome.name) {
            *outcome = try_alone(ward, control, exchange)?;
        }
    }
    Ok(outcomes)
}

fn try_round(ward: &Ward, control: &Control, round: &[Exchange]) -> Result<Vec<Outcome>> {
    let before = Drops::read(control)?;
    let tried = perform_without_rules(ward, control, round)?;
    let after = Drops::read(control)?;
    let outcome = |tried: exchange::Outcome| {
        Outcome::new(&tried, after.of(tried.device), before.of(tried.device))
    };
    Ok(tried.into_iter().map(outcome).collect())
}

fn try_alone(ward: &Ward, control: &Control, exchange: Exchange) -> Result<Outcome> {
    let before = Drops::read(control)?;
    let tried = perform_without_rules(ward, control, &[exchange])?;
    let after = Drops::read(control)?;
    let tried = tried.first().context("the exchange was not performed")?;
    Ok(Outcome::new(tried, &after.all, &before.all))
}

/// Takes the rules of the exchanges out, performs them, and puts the rules back.
fn perform_without_rules(
    ward: &Ward,
    control: &Control,
    exchanges: &[Exchange],
) -> Result<Vec<exchange::Outcome>> {
    let whole = control.policy()?.text;
    let rules = exchanges.iter().flat_map(|exchange| exchange.rules);
    control.apply("rules-out", without(&rules.copied().collect())?)?;
    let outcomes = exchange::perform(ward, exchanges);
    control.apply("rules-back", whole)?;
    Ok(outcomes)
}

/// Tries every exchange with all rules back, and again those that fail: a device may need a
/// moment to find its peer once more. Returns the outcomes of those that still fail.
pub fn try_with(ward: &Ward) -> Vec<exchange::Outcome> {
    let mut failed = Vec::new();
    let mut exchanges = exchange::all();
    for _ in 0..TRIES {
        failed = exchange::perform(ward, &exchanges);
        failed.retain(|outcome| !outcome.success);
        exchanges.retain(|exchange| failed.iter().any(|outcome| outcome.name == exchange.name));
    }
    failed
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

/// Verdicts by reason: of each device by its hardware address, and of all frames.
#[derive(Debug)]
struct Drops {
    by_device: BTreeMap<String, ByReason>,
    all: ByReason,
}

impl Drops {
    fn read(control: &Control) -> Result<Self> {
        let devices = control.devices()?.into_iter();
        let counters = control.status()?.counters;
        let mut all = counters.ward.by_reason;
        for (reason, frames) in counters.core.by_reason {
            *all.entry(reason).or_default() += frames;
        }
        let by_device = devices.map(|device| (device.key.mac.to_string(), device.by_reason));
        Ok(Self {
            by_device: by_device.collect(),
            all,
        })
    }

    fn of(&self, device: &str) -> &ByReason {
        const NONE: &ByReason = &ByReason::new();
        host(device)
            .and_then(|host| self.by_device.get(host.mac))
            .unwrap_or(NONE)
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
