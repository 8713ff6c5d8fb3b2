//! Time of each stage: `cargo bench --package wardline-bench --bench stages --profile dev`.
//!
//! With `--profile dev` nothing compiles twice: it is the profile of the tests, with overflow
//! checks and without link-time optimisation. Without it cargo takes the release profile that the
//! product is built with. Say which one a figure comes from.

use std::hint::black_box;
use std::slice;
use std::time::{Duration, Instant};

use anyhow::Result;
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use wardline_bench::fixture::{Fixture, bursts, policy};
use wardline_bench::traffic::{Sided, Traffic, Transport, Version, odd_frame, scattered};
use wardline_engine::BURST;
use wardline_engine::parse::parse;
use wardline_policy::{Side, compile};

/// Table entries looked at in one portion of upkeep.
const UPKEEP: usize = 256;
/// For what takes long to prepare.
const SHORT: Duration = Duration::from_millis(50);
/// Time after which every conversation of a fixture is over.
const LATER_NS: u64 = 600 * 1_000_000_000;

const COMMON: Traffic = Traffic::COMMON;
const TCP4: Traffic = Traffic {
    transport: Transport::Tcp,
    ..COMMON
};
const UDP6: Traffic = Traffic {
    version: Version::V6,
    ..COMMON
};
const TCP6: Traffic = Traffic {
    transport: Transport::Tcp,
    ..UDP6
};

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    parsing(&mut criterion)?;
    device_lookup(&mut criterion)?;
    flow_hit(&mut criterion)?;
    feature_update(&mut criterion)?;
    flow_miss(&mut criterion)?;
    decision(&mut criterion)?;
    expiry(&mut criterion)?;
    policy_change(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn parsing(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(1));
    for (name, frame) in [
        ("udp4", COMMON.frame(&COMMON.flow(0), Side::Ward)?),
        ("tcp4", TCP4.frame(&TCP4.flow(0), Side::Ward)?),
        ("udp6", UDP6.frame(&UDP6.flow(0), Side::Ward)?),
        ("odd", odd_frame()?),
    ] {
        group.bench_function(name, |b| b.iter(|| parse(black_box(&frame))));
    }
    group.finish();
    Ok(())
}

/// The policy's own table. The engine asks it once for each device and policy; its own device
/// table is reached with the first frame of a conversation only, so it is part of `miss`.
fn device_lookup(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("device-lookup");
    for devices in [10, 1_000, 10_000] {
        let traffic = Traffic { devices, ..COMMON };
        let policy = policy(&traffic)?;
        let keys: Vec<_> = scattered(devices as usize)
            .map(|number| traffic.device_key(number as u32))
            .collect();
        group.throughput(Throughput::Elements(u64::from(devices)));
        group.bench_function(BenchmarkId::from_parameter(devices), |b| {
            b.iter(|| keys.iter().fold(0, |sum, key| sum ^ policy.lookup(key).0));
        });
    }
    group.finish();
    Ok(())
}

/// Frames of known conversations, in an order that follows no table, in bursts.
fn flow_hit(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("hit");
    for flows in [1 << 10, 1 << 16, 1 << 20] {
        for (name, traffic) in [
            ("udp4", COMMON),
            ("tcp4", TCP4),
            ("udp6", UDP6),
            ("tcp6", TCP6),
        ] {
            let traffic = Traffic { flows, ..traffic };
            bench_hits(&mut group, BenchmarkId::new(name, flows), traffic)?;
        }
    }
    group.finish();
    Ok(())
}

/// One burst after the other, time and again.
fn bench_hits(group: &mut Group<'_>, id: BenchmarkId, traffic: Traffic) -> Result<()> {
    let mut fixture = Fixture::established(traffic)?;
    let frames = fixture.steady()?;
    bench_bursts(group, id, &mut fixture, &frames);
    Ok(())
}

fn bench_bursts(group: &mut Group<'_>, id: BenchmarkId, fixture: &mut Fixture, frames: &[Sided]) {
    let bursts = bursts(frames);
    let mut turns = bursts.iter().cycle();
    group.throughput(Throughput::Elements(BURST as u64));
    group.bench_function(id, |b| {
        b.iter(|| {
            turns
                .next()
                .map(|burst| fixture.play(slice::from_ref(burst)))
        });
    });
}

/// As a hit, but every frame has a part in its device's feature window: after each turn the spans
/// of all windows are over. The group `hit` has full windows, which cost nothing more.
fn feature_update(criterion: &mut Criterion) -> Result<()> {
    let traffic = Traffic {
        devices: 512,
        ..COMMON
    };
    let span_ns = u64::from(traffic.limits().window_s + 1) * 1_000_000_000;
    let mut fixture = Fixture::established(traffic)?;
    let frames = fixture.steady()?;
    let bursts = bursts(&frames);
    let mut turns = bursts.iter();
    let mut group = criterion.benchmark_group("features");
    group.throughput(Throughput::Elements(BURST as u64));
    group.bench_function("hit with an open window", |b| {
        b.iter(|| {
            let burst = turns.next().or_else(|| {
                fixture.now_ns += span_ns;
                fixture.engine.drain_windows(drop);
                turns = bursts.iter();
                turns.next()
            });
            fixture.play(burst.map_or(&[], slice::from_ref));
        });
    });
    group.finish();
    Ok(())
}

/// Frames of no known conversation.
fn flow_miss(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("miss");
    for (name, traffic) in [
        ("udp4", COMMON),
        ("tcp4", TCP4),
        ("udp6", UDP6),
        ("tcp6", TCP6),
    ] {
        bench_beginnings(&mut group, BenchmarkId::new("allowed", name), traffic)?;
    }
    // No two are alike, so that no device remembers its denials.
    let mut fixture = Fixture::new(COMMON)?;
    let denied = (0..COMMON.flows).map(|number| COMMON.denied_flow(number));
    let frames = fixture.firsts(denied)?;
    let id = BenchmarkId::new("denied", "each another");
    bench_bursts(&mut group, id, &mut fixture, &frames);
    // One for each device, which remembers it.
    let traffic = Traffic {
        devices: 512,
        ..COMMON
    };
    let mut fixture = Fixture::new(traffic)?;
    let denied = (0..traffic.devices).map(|number| traffic.denied_flow(number));
    let frames = fixture.firsts(denied)?;
    let id = BenchmarkId::new("denied", "the same again");
    bench_bursts(&mut group, id, &mut fixture, &frames);
    group.finish();
    Ok(())
}

/// Bursts of new conversations only. When the table is half full, all of them are ended, which
/// is not timed.
fn bench_beginnings(group: &mut Group<'_>, id: BenchmarkId, traffic: Traffic) -> Result<()> {
    let mut fixture = Fixture::new(traffic)?;
    let flows = traffic.flows / 2;
    let frames = fixture.firsts((0..flows).map(|number| traffic.flow(number)))?;
    let bursts = bursts(&frames);
    let mut turns = bursts.iter();
    group.throughput(Throughput::Elements(BURST as u64));
    group.bench_function(id, |b| {
        b.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            for _ in 0..iterations {
                let burst = turns.next().or_else(|| {
                    forget(&mut fixture);
                    turns = bursts.iter();
                    turns.next()
                });
                let begin = Instant::now();
                fixture.play(burst.map_or(&[], slice::from_ref));
                took += begin.elapsed();
            }
            took
        });
    });
    Ok(())
}

/// Ends every conversation.
fn forget(fixture: &mut Fixture) {
    fixture.now_ns += LATER_NS;
    while fixture.engine.counters().flows > 0 {
        fixture.engine.idle(fixture.now_ns, UPKEEP);
    }
    fixture.engine.drain_events(drop);
}

/// What the policy says to the first packet of a conversation.
fn decision(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("decide");
    for rules in [1, 50, 1_000] {
        let traffic = Traffic { rules, ..COMMON };
        let policy = policy(&traffic)?;
        let entry = |number| policy.lookup(&traffic.device_key(number % traffic.devices));
        let numbers = || scattered(COMMON.flows as usize).map(|number| number as u32);
        let allowed: Vec<_> = numbers().map(|n| (entry(n), traffic.flow(n))).collect();
        let denied: Vec<_> = numbers()
            .map(|n| (entry(n), traffic.denied_flow(n)))
            .collect();
        group.throughput(Throughput::Elements(1));
        for (name, flows) in [("allowed", allowed), ("denied", denied)] {
            let questions: Vec<_> = flows
                .iter()
                .map(|(entry, flow)| (*entry, traffic.question(flow)))
                .collect();
            let mut turns = questions.iter().cycle();
            group.bench_function(BenchmarkId::new(name, rules), |b| {
                b.iter(|| {
                    turns
                        .next()
                        .map(|(entry, query)| policy.decide(*entry, query))
                });
            });
        }
    }
    group.finish();
    Ok(())
}

fn expiry(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("expiry");
    // A portion of upkeep in which nothing ends.
    let mut fixture = Fixture::established(COMMON)?;
    group.throughput(Throughput::Elements(UPKEEP as u64));
    group.bench_function("nothing to end", |b| {
        b.iter(|| fixture.engine.idle(fixture.now_ns, UPKEEP));
    });
    group.throughput(Throughput::Elements(u64::from(COMMON.flows)));
    group.sample_size(10).measurement_time(SHORT);
    group.bench_function("all conversations end", |b| {
        let fresh = || Fixture::established(COMMON);
        b.iter_batched(
            fresh,
            |fixture| {
                fixture.map(|mut fixture| {
                    forget(&mut fixture);
                    fixture
                })
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    Ok(())
}

/// From a document to a policy in force.
fn policy_change(criterion: &mut Criterion) -> Result<()> {
    let traffic = Traffic {
        devices: 1_000,
        rules: 10,
        ..COMMON
    };
    let mut group = criterion.benchmark_group("policy");
    let document = traffic.document();
    group.sample_size(10);
    group.throughput(Throughput::Elements(u64::from(
        traffic.devices * traffic.rules,
    )));
    group.bench_function("compile 1000 devices of 10 rules", |b| {
        b.iter(|| compile(&document, 0));
    });
    let mut fixture = Fixture::established(traffic)?;
    let mut next = policy(&traffic)?;
    group.throughput(Throughput::Elements(1));
    group.bench_function("swap", |b| {
        b.iter(|| next = fixture.engine.set_snapshot(next.clone()));
    });
    // The first frame of each conversation after it is decided by policy again.
    let frames = fixture.steady()?;
    let bursts = bursts(&frames);
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function("swap and one frame of each of 4096 conversations", |b| {
        b.iter(|| {
            next = fixture.engine.set_snapshot(next.clone());
            fixture.play(&bursts);
        });
    });
    group.finish();
    Ok(())
}
