//! What it costs to ask the model: time and allocations for a window, alone and in batches.
//! `cargo bench -p wardline-classifier --bench inference`; one JSON object a line.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use wardline_classifier::features::{COUNT, Features};
use wardline_classifier::model::{Model, Refusal, Session, Window};
use wardline_classifier::{Fact, Field};
use wardline_policy::MacAddr;

/// Runs before anything is measured.
const WARM_UP: usize = 500;
/// Runs that are measured.
const RUNS: usize = 20_000;
/// The plans there are.
const BATCHES: [usize; 3] = [1, 8, 32];

fn main() -> Result<(), Refusal> {
    let mut session = Session::new(Arc::new(Model::built_in()?))?;
    let windows: Vec<Window> = (0..64).map(window).collect();
    for batch in BATCHES {
        let features = vec![numbers(1); batch];
        measure("network", batch, || {
            session.raw(&features).map(black_box).map(drop)
        })?;
        measure("opinion", batch, || {
            session.opinions(&windows[..batch]).map(black_box).map(drop)
        })?;
    }
    measure("opinion with reasons", 1, || {
        session.opinion(&windows[0]).map(black_box).map(drop)
    })
}

fn numbers(seed: usize) -> Features {
    std::array::from_fn(|index| ((seed * 31 + index * 7) % 17) as f32 / 17.0)
}

/// A window of a device that has said as much as most do.
fn window(seed: usize) -> Window {
    let said = [
        (Field::DhcpHostname, "DCH-S150"),
        (Field::DhcpParameters, "1,3,6,12,15,28,42"),
        (Field::DhcpVendorClass, "udhcp 1.19.4"),
        (Field::Client, "dns"),
        (Field::Client, "http"),
        (Field::DnsQuery, "api.example.com"),
        (Field::SsdpServer, "Linux/3.14.0 UPnP/1.0 IpBridge/1.9.0"),
        (Field::MdnsService, "_http._tcp"),
    ];
    let facts: Vec<Fact> = said
        .iter()
        .filter_map(|(field, value)| Fact::new(*field, value))
        .collect();
    Window::new(
        numbers(seed),
        &facts,
        MacAddr([0, 9, 0xfb, 0, 0, seed as u8]),
    )
}

fn measure(
    what: &str,
    batch: usize,
    mut run: impl FnMut() -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for _ in 0..WARM_UP {
        run()?;
    }
    let mut failed = Ok(());
    let counted = allocation_counter::measure(|| failed = run());
    failed?;
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let micros = |time: Duration| (time.as_secs_f64() * 1e8).round() / 1e2;
    let whole: Duration = times.iter().sum();
    let line = json!({
        "what": what,
        "windows": batch,
        "p50_us": micros(times[RUNS / 2]),
        "p99_us": micros(times[RUNS * 99 / 100]),
        "windows_per_s": ((RUNS * batch) as f64 / whole.as_secs_f64()).round(),
        "allocations": counted.count_total,
        "allocated_bytes": counted.bytes_total,
        "features": COUNT,
    });
    println!("{line}");
    Ok(())
}
