//! Clinical exchanges: what the ward must be able to do, each judged at both of its ends.

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::exchanges;
use crate::netns::run;
use crate::ward::Ward;

/// How long one command of an exchange may take before the exchange counts as failed.
const PATIENCE: Duration = Duration::from_secs(9);
/// Exchanges under way at once: enough to mix their traffic, few enough for a small machine.
const AT_ONCE: usize = 6;

/// One thing the ward does for a patient, or for those who look after the ward.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// Its name, as results show it.
    pub name: &'static str,
    /// The device that needs it (see [`crate::layout::HOSTS`]).
    pub device: &'static str,
    /// Names of the policy rules without which it must fail. Empty: the baseline carries it.
    pub rules: &'static [&'static str],
    /// Does it once. `Ok` holds a sentence on what each end saw.
    pub run: fn(&Ward) -> Result<String>,
}

/// How one exchange went.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The exchange.
    pub name: &'static str,
    /// The device that needs it.
    pub device: &'static str,
    /// Rules that carry it.
    pub rules: &'static [&'static str],
    /// Whether both ends saw it succeed.
    pub success: bool,
    /// What the ends saw, or what went wrong.
    pub detail: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

impl Exchange {
    /// Does the exchange once and judges it.
    pub fn perform(&self, ward: &Ward) -> Outcome {
        let start = Instant::now();
        let result = (self.run)(ward);
        let success = result.is_ok();
        let detail = result.unwrap_or_else(|error| format!("{error:#}"));
        let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Outcome {
            name: self.name,
            device: self.device,
            rules: self.rules,
            success,
            detail,
            duration_ms,
        }
    }
}

/// Every exchange of the ward.
pub fn all() -> Vec<Exchange> {
    exchanges::all()
}

/// Finds an exchange by name.
pub fn named(name: &str) -> Option<Exchange> {
    all().into_iter().find(|exchange| exchange.name == name)
}

/// Performs exchanges, several at a time, and returns their outcomes in the order given.
pub fn perform(ward: &Ward, exchanges: &[Exchange]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::with_capacity(exchanges.len()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(exchanges.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(exchange) = exchanges.get(index) else {
                        break;
                    };
                    let outcome = exchange.perform(ward);
                    outcomes
                        .lock()
                        .unwrap_or_else(|held| held.into_inner())
                        .push((index, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes
        .into_inner()
        .unwrap_or_else(|held| held.into_inner());
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// A mark that appears nowhere else, carried by one exchange so that both ends can be asked for it.
pub(crate) fn token(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() % 1_000_000_000);
    format!("{prefix}{time}{count:02}")
}

/// Runs a program on a host, gives up after [`PATIENCE`], returns what it printed.
pub(crate) fn on(ward: &Ward, host: &str, program: &str, arguments: &[&str]) -> Result<String> {
    run(limited(ward.command(host, program)).args(arguments))
}

/// Runs one of the lab's actors on a host and returns the JSON object of its last line.
pub(crate) fn act(ward: &Ward, host: &str, actor: &str, arguments: &[&str]) -> Result<Value> {
    let text = run(limited(ward.actor(host, actor)).args(arguments))?;
    let last = text
        .lines()
        .last()
        .with_context(|| format!("{actor} on {host} said nothing"))?;
    serde_json::from_str(last).with_context(|| format!("{actor} on {host} said: {last}"))
}

/// The same command with an end: a denied conversation may otherwise wait for minutes.
fn limited(command: Command) -> Command {
    let mut limited = Command::new("timeout");
    limited.args(["-k", "1", &PATIENCE.as_secs().to_string()]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    limited
}

/// What the service at the other end saw of `token`; it may take a moment to write it down.
pub(crate) fn seen(ward: &Ward, host: &str, service: &str, token: &str) -> Result<Value> {
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        if let Some(value) = ward.seen(host, service, token) {
            return Ok(value);
        }
        ensure!(
            Instant::now() < deadline,
            "{service} on {host} saw nothing of {token}, though the device thinks it sent it"
        );
        thread::sleep(Duration::from_millis(30));
    }
}
