//! Memory: what one more conversation, device or rule takes.
//!
//! Counted by an allocator, so that every byte is in it, whatever table it belongs to: two
//! engines, or two policies, that differ in one number only, and the difference divided by it. A
//! counting allocator serves the whole of a program, so this has one of its own,
//! `wardline-memory`.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use wardline_engine::{Engine, IPV6_FLOW_BYTES, Limits};

use crate::fixture::policy;
use crate::traffic::Traffic;
use crate::{Better, Findings, Options, Sample, Suite};

/// The program that counts.
pub const PROGRAM: &str = "wardline-memory";

/// Counts the bytes that what a function makes takes, as long as it lives.
pub type Count = fn(&mut dyn FnMut() -> Result<Kept>) -> Result<u64>;

/// What is kept while it is counted.
#[derive(Debug)]
pub enum Kept {
    /// An engine.
    Engine(Box<Engine>),
    /// A policy.
    Policy(std::sync::Arc<wardline_policy::PolicySnapshot>),
}

/// Lets the program count and takes over what it found.
///
/// # Errors
/// When it does not run or tells something else.
pub fn run(options: &Options) -> Result<Findings> {
    let program = options.programs.join(PROGRAM);
    let output = Command::new(&program)
        .arg("--json")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    ensure!(
        output.status.success(),
        "{PROGRAM} ended with {}",
        output.status
    );
    let samples = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("reading what {PROGRAM} printed"))?;
    Ok(Findings {
        samples,
        absent: Vec::new(),
    })
}

/// Counts everything.
///
/// # Errors
/// When a policy or an engine cannot be made.
pub fn samples(count: Count) -> Result<Vec<Sample>> {
    let bytes = |metric: &str, value| sample(metric, "B", value);
    let per_flow = per_flow(count)?;
    Ok(vec![
        bytes("bytes per IPv4 flow", per_flow - IPV6_FLOW_BYTES as f64),
        bytes("bytes per IPv6 flow", per_flow),
        bytes("bytes per device", per_device(count)?),
        bytes("policy bytes per device", policy_per_device(count)?),
        bytes("policy bytes per rule", policy_per_rule(count)?),
        sample("tables at the default limits", "MiB", by_default(count)?),
    ])
}

fn sample(metric: &str, unit: &str, value: f64) -> Sample {
    Sample {
        suite: Suite::Policy,
        corner: "memory".to_owned(),
        system: "wardline".to_owned(),
        round: 0,
        metric: metric.to_owned(),
        unit: unit.to_owned(),
        value: (value * 10.0).round() / 10.0,
        better: Better::Lower,
    }
}

/// One more conversation that the tables have room for. [`IPV6_FLOW_BYTES`] of it are zeros that
/// the system gives no memory for until an IPv6 conversation writes them.
fn per_flow(count: Count) -> Result<f64> {
    const FLOWS: u32 = 1 << 18;
    growth(FLOWS, |flows| {
        engine(
            count,
            Limits {
                flows,
                ..Limits::default()
            },
        )
    })
}

/// One more device that the tables have room for, with its counters and its feature window.
fn per_device(count: Count) -> Result<f64> {
    const DEVICES: u32 = 1 << 12;
    growth(DEVICES, |devices| {
        engine(
            count,
            Limits {
                devices,
                ..Limits::default()
            },
        )
    })
}

fn by_default(count: Count) -> Result<f64> {
    Ok(engine(count, Limits::default())? as f64 / f64::from(1 << 20))
}

/// One more device with one rule of its own.
fn policy_per_device(count: Count) -> Result<f64> {
    const DEVICES: u32 = 1 << 10;
    growth(DEVICES, |devices| {
        compiled(
            count,
            Traffic {
                devices,
                ..Traffic::COMMON
            },
        )
    })
}

/// One more rule, unlike every other one.
fn policy_per_rule(count: Count) -> Result<f64> {
    const RULES: u32 = 1 << 6;
    const DEVICES: u32 = 1 << 8;
    let each_device = growth(RULES, |rules| {
        compiled(
            count,
            Traffic {
                devices: DEVICES,
                rules,
                ..Traffic::COMMON
            },
        )
    })?;
    Ok(each_device / f64::from(DEVICES))
}

/// The bytes that a size takes beyond half of it, for each unit of that half.
fn growth(half: u32, bytes: impl Fn(u32) -> Result<u64>) -> Result<f64> {
    let (less, more) = (bytes(half)?, bytes(2 * half)?);
    Ok((more as f64 - less as f64) / f64::from(half))
}

fn engine(count: Count, limits: Limits) -> Result<u64> {
    let policy = policy(&Traffic::COMMON)?;
    count(&mut || {
        let engine = Engine::new(limits.clone(), 1, policy.clone(), 0);
        Ok(Kept::Engine(Box::new(engine)))
    })
}

fn compiled(count: Count, traffic: Traffic) -> Result<u64> {
    count(&mut || Ok(Kept::Policy(policy(&traffic)?)))
}
