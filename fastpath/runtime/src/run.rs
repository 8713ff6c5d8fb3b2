//! The order of a start and of a stop.
//!
//! Start: everything that can fail without touching the wire comes first (policy, memory, control
//! path), the ports come late and the workers at once after them, so that frames wait as short
//! as possible. Stop: the kernel gets the frames first, then the workers forward what they hold,
//! and the ports stay open until the process is gone, since closing them would take the XDP
//! program off the interfaces.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use wardline_control::{EventKind, LinkState, view};
use wardline_dpdk::{Eal, EalConfig, Memory, Mempool, Queue};
use wardline_engine::Engine;

use crate::clock::Clock;
use crate::config::{Config, Driver, HugePages};
use crate::events::EventLog;
use crate::fleet::Fleet;
use crate::heartbeat;
use crate::mailbox::Mailbox;
use crate::policy::{self, Compiled, PolicyKeeper};
use crate::ports::{self, OpenPort, side_name};
use crate::server::{self, Gateway, Socket};
use crate::state::StateDir;
use crate::steer::Steering;
use crate::translate::Translator;
use crate::worker::{Pace, Worker};

/// How often what the workers told moves to the event log.
const COLLECT: Duration = Duration::from_millis(50);
/// How often the links are looked at.
const LINKS: Duration = Duration::from_millis(500);
/// How long a stop waits for the workers to forward what they hold.
const DRAIN: Duration = Duration::from_secs(2);

/// Runs the fast path until it is told to stop. `detach`: give the interfaces back then.
///
/// # Errors
/// It cannot start, or a worker does not end.
pub fn run(config: &Config, clock: Clock, detach: bool) -> Result<()> {
    server::check_alone(&config.control.socket)?;
    let state = StateDir::open(&config.state.dir).with_context(|| {
        format!(
            "cannot use state.dir {}; without it the policy would be lost at a restart",
            config.state.dir.display()
        )
    })?;
    let compiled = policy::at_start(&state, config.policy.initial.as_deref())?;

    let cores = cores(config)?;
    let eal = start_dpdk(config, &cores)?;
    let pools = cores
        .iter()
        .map(|_| Mempool::new(&eal, config.memory.buffers, config.ports.ward.mtu))
        .collect::<Result<Vec<_>, _>>()?;
    let mailboxes: Vec<_> = cores
        .iter()
        .map(|_| Arc::new(Mailbox::new(config.limits.events as usize)))
        .collect();
    let fleet = Fleet::new(mailboxes);
    let engines = engines(config, clock, &compiled, cores.len());
    let generation = engines.first().map_or(0, Engine::generation);
    let hearts = heartbeat::create(&config.state.heartbeat, cores.len())?;

    let (ports, queues) = ports::open(&eal, config, &pools)?;
    let workers = equip(config, clock, &fleet, engines, hearts, queues);
    let running = workers
        .into_iter()
        .zip(eal.workers())
        .map(|(worker, lcore)| {
            eal.launch(*lcore, move || {
                let _guard = DieWithMe;
                worker.run();
            })
        })
        .collect::<Result<Vec<_>, _>>()?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the control runtime")?;
    let events = Arc::new(EventLog::new());
    let translator = Arc::new(Translator::new(
        clock,
        generation,
        Arc::clone(&compiled.snapshot),
    ));
    let policy = Arc::new(PolicyKeeper::new(
        fleet.clone(),
        Arc::clone(&events),
        Arc::clone(&translator),
        state,
        compiled,
    ));
    let (stop, stopped) = mpsc::channel(1);
    let gateway = Gateway {
        fleet: fleet.clone(),
        ports,
        policy,
        translator,
        events,
        clock,
        startup: Duration::ZERO,
        memory: memory_status(eal.memory(), config.memory.huge_pages),
        poll: config.poll(),
        cores,
        stop,
    };
    let detach = detach | runtime.block_on(serve(config, gateway, stopped))?;
    drop(running);
    let _ = detach;
    Ok(())
}
