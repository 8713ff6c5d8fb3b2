//! Forwards every frame between two ports, unchanged: the smallest program on this crate.
//!
//! `wire PORT PORT` where PORT is `af_xdp:INTERFACE`, `af_packet:INTERFACE`, `pci:ADDRESS` or
//! `devargs:ARGUMENTS`; it runs until its standard input ends.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use wardline_dpdk::{
    Burst, Eal, EalConfig, HugePages, Layout, Mempool, Port, PortConfig, PortSpec, Queue,
};

/// How long the worker goes on after the kernel took over, to forward what is in the rings.
const DRAIN: Duration = Duration::from_millis(20);

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter("info").init();
    let specs = std::env::args()
        .skip(1)
        .map(|text| parse_port(&text))
        .collect::<Result<Vec<_>, _>>()?;
    let [left, right] = <[PortSpec; 2]>::try_from(specs)
        .ok()
        .context("usage: wire PORT PORT")?;

    let eal = Eal::init(&EalConfig {
        memory_mb: 256,
        huge: HugePages::Auto,
        worker_cpus: vec![0],
        pci: Vec::new(),
    })?;
    let pool = Mempool::new(&eal, Mempool::count_for(2), 1500, Layout::Pages)?;
    let (left, left_queue) = open(&eal, "left", left, pool)?;
    let (right, right_queue) = open(&eal, "right", right, pool)?;
    tracing::info!(memory = %eal.memory(), "forwarding");

    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let worker = eal.launch(eal.workers()[0], move || {
        forward(left_queue, right_queue, &stopped);
    })?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    left.hand_to_kernel()?;
    right.hand_to_kernel()?;
    std::thread::sleep(DRAIN);
    stop.store(true, Ordering::Relaxed);
    worker.join()?;
    tracing::info!(left = ?left.stats(), right = ?right.stats(), "stopped");
    Ok(())
}

fn open(eal: &Eal, name: &str, spec: PortSpec, pool: Mempool) -> anyhow::Result<(Port, Queue)> {
    let config = PortConfig {
        name: name.into(),
        spec,
        mtu: 1500,
        descriptors: None,
    };
    let (port, mut queues) = Port::open(eal, &config, &[pool])?;
    let queue = queues.pop().context("the port has no queue")?;
    Ok((port, queue))
}

fn forward(mut left: Queue, mut right: Queue, stop: &AtomicBool) {
    let mut burst = Burst::new();
    while !stop.load(Ordering::Relaxed) {
        if left.rx.receive(&mut burst) > 0 {
            right.tx.send(&mut burst, u64::MAX);
        }
        if right.rx.receive(&mut burst) > 0 {
            left.tx.send(&mut burst, u64::MAX);
        }
    }
}

fn parse_port(text: &str) -> anyhow::Result<PortSpec> {
    let (driver, rest) = text.split_once(':').context("PORT is DRIVER:DEVICE")?;
    let rest = rest.to_owned();
    match driver {
        "af_xdp" => Ok(PortSpec::AfXdp {
            interface: rest,
            busy_budget: None,
            force_copy: false,
        }),
        "af_packet" => Ok(PortSpec::AfPacket { interface: rest }),
        "pci" => Ok(PortSpec::Pci { address: rest }),
        "devargs" => Ok(PortSpec::Devargs { devargs: rest }),
        other => anyhow::bail!("no driver {other}"),
    }
}
