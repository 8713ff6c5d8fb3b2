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

use anyhow::{Context as _, Result};
use rustix::thread::{sched_getaffinity, sched_setaffinity};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use wardline_control::{EventKind, LinkState, view};
use wardline_dpdk::{Eal, EalConfig, Layout, Memory, Mempool};
use wardline_engine::Engine;

use crate::capture::Captures;
use crate::clock::{Clock, WallTimes, wall_us};
use crate::config::{Config, Driver, HugePages, Ports};
use crate::context::Context;
use crate::events::EventLog;
use crate::fleet::Fleet;
use crate::heartbeat;
use crate::identify::{self, Identities, Surroundings};
use crate::mailbox::{Mailbox, Room};
use crate::model::Models;
use crate::policy::{self, Compiled, PolicyKeeper};
use crate::ports::{self, OpenPort, side_name};
use crate::roles::Roles;
use crate::server::{self, Gateway, Socket};
use crate::state::StateDir;
use crate::steer::Steering;
use crate::translate::Translator;
use crate::watch::{self, Watch};
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
        .map(|_| Mempool::new(&eal, buffers(config), config.ports.ward.mtu, layout(config)))
        .collect::<Result<Vec<_>, _>>()?;
    let mailboxes: Vec<_> = cores
        .iter()
        .map(|_| Arc::new(Mailbox::new(room(config))))
        .collect();
    let fleet = Fleet::new(mailboxes);
    let engines = engines(config, clock, &compiled, cores.len());
    let generation = engines.first().map_or(0, Engine::generation);
    let hearts = heartbeat::create(&config.state.heartbeat, cores.len())?;

    let (ports, queues) = ports::open(&eal, config, &pools)?;
    let steering = Steering::for_workers(cores.len());
    let equipment = engines.into_iter().zip(hearts).zip(queues).zip(steering);
    let workers =
        equipment
            .zip(fleet.mailboxes())
            .map(|((((engine, heart), ports), steering), mailbox)| Worker {
                engine,
                ports,
                steering,
                mailbox: Arc::clone(mailbox),
                clock,
                heart,
                pace: Pace::new(config.poll(), config.workers.max_park_us),
            });
    let running = workers
        .zip(eal.workers())
        .map(|(worker, lcore)| {
            eal.launch(*lcore, move || {
                let _guard = DieWithMe;
                worker.run();
            })
        })
        .collect::<Result<Vec<_>, _>>()?;

    leave_to_workers(&cores);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the control runtime")?;
    let events = Arc::new(EventLog::new());
    let translator = Arc::new(Translator::new(clock, Arc::clone(&compiled.snapshot)));
    let policy = Arc::new(PolicyKeeper::new(
        fleet.clone(),
        Arc::clone(&events),
        Arc::clone(&translator),
        state,
        compiled,
        generation,
    ));
    let (stop, stopped) = mpsc::channel(1);
    let around = Surroundings {
        identities: Arc::new(Identities::default()),
        models: Arc::new(Models::open(config)?),
        roles: Arc::new(Roles::open(&config.state.dir)),
        watch: Arc::new(Watch::open(
            &config.state.dir,
            watch::settings(&config.behaviour, &config.limits),
            Arc::clone(&events),
        )),
        events: Arc::clone(&events),
        clock,
    };
    let identification = identify::start(config, &fleet, around.clone())?;
    let watch = Arc::clone(&around.watch);
    let gateway = Gateway {
        identities: around.identities,
        models: around.models,
        roles: around.roles,
        watch: around.watch,
        fleet: fleet.clone(),
        ports,
        policy,
        translator,
        captures: Captures::new(WallTimes::new(clock)),
        context: Context::default(),
        events,
        clock,
        startup: Duration::ZERO,
        memory: memory_status(eal.memory(), config.memory.huge_pages),
        poll: config.poll(),
        cores,
        stop,
    };
    let socket_detach = runtime.block_on(serve(config, gateway, stopped))?;
    identification.stop();
    watch.save();
    stop_workers(config, &fleet, running, detach || socket_detach)
}

/// Lets this thread, and those it starts from now on, run on all CPUs but the workers', if there
/// are any.
fn leave_to_workers(cores: &[u16]) {
    let Ok(mut allowed) = sched_getaffinity(None) else {
        return;
    };
    for &core in cores {
        allowed.unset(usize::from(core));
    }
    if allowed.count() > 0 {
        // Without it a worker is interrupted now and then, nothing worse.
        let _ = sched_setaffinity(None, &allowed);
    }
}

/// What each worker's mailbox must hold.
fn room(config: &Config) -> Room {
    let limits = &config.limits;
    Room {
        events: limits.events as usize,
        windows: limits.windows as usize,
        samples: limits.samples as usize,
        captured: limits.captured as usize,
    }
}

/// Aborts the process when a worker panics: its sockets close, and the kernel's bridge carries on
/// at the next frame. Any other ending would leave a port that swallows frames.
struct DieWithMe;

impl Drop for DieWithMe {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a worker failed; the process ends so that the kernel takes over");
            std::process::abort();
        }
    }
}

fn cores(config: &Config) -> Result<Vec<u16>> {
    if let Some(cores) = &config.workers.cores {
        return Ok(cores.clone());
    }
    let allowed = allowed_cores()?;
    let wanted = usize::from(config.workers.count);
    anyhow::ensure!(
        allowed.len() >= wanted,
        "workers.count is {wanted}, but this process may use {} CPU cores; each worker needs its \
         own",
        allowed.len()
    );
    Ok(allowed.into_iter().take(wanted).collect())
}

fn allowed_cores() -> Result<Vec<u16>> {
    let status = std::fs::read_to_string("/proc/self/status")
        .context("cannot read /proc/self/status for the CPU cores this process may use")?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .context("/proc/self/status names no CPU cores")?;
    parse_cores(list.trim()).context("/proc/self/status names CPU cores in an unknown form")
}

/// `0-3,8` as numbers.
fn parse_cores(list: &str) -> Option<Vec<u16>> {
    let mut cores = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cores.extend(first.parse::<u16>().ok()?..=last.parse().ok()?);
    }
    Some(cores)
}

fn start_dpdk(config: &Config, cores: &[u16]) -> Result<Eal> {
    let ports = [&config.ports.ward, &config.ports.core];
    let pci = ports.into_iter().filter(|p| p.driver == Driver::Pci);
    let eal = Eal::init(&EalConfig {
        memory_mb: memory_mib(config),
        huge: match config.memory.huge_pages {
            HugePages::Auto => wardline_dpdk::HugePages::Auto,
            HugePages::Require => wardline_dpdk::HugePages::Always,
            HugePages::Never => wardline_dpdk::HugePages::Never,
        },
        worker_cpus: cores.iter().map(|core| u32::from(*core)).collect(),
        pci: pci.map(|p| p.device().to_owned()).collect(),
    })
    .context("cannot start DPDK")?;
    tracing::info!(memory = %eal.memory(), "DPDK started");
    Ok(eal)
}

/// Packet buffers of one worker.
fn buffers(config: &Config) -> u32 {
    let enough = Mempool::count_for(2);
    config.memory.buffers.unwrap_or(enough)
}

/// How the packet buffers must lie for the drivers of both ports.
fn layout(config: &Config) -> Layout {
    let Ports { ward, core } = &config.ports;
    Layout::of(&[ward, core].map(ports::spec))
}

/// DPDK's memory: the pools, and as much as the ports and DPDK itself need beside them.
fn memory_mib(config: &Config) -> u32 {
    const BESIDE_MIB: u64 = 64;
    let pool = Mempool::bytes_for(buffers(config), config.ports.ward.mtu, layout(config));
    let pools_mib = (pool * u64::from(config.workers.count)).div_ceil(1 << 20);
    let enough = u32::try_from(pools_mib + BESIDE_MIB).unwrap_or(u32::MAX);
    config.memory.mib.unwrap_or(enough)
}

fn memory_status(memory: Memory, wanted: HugePages) -> view::MemoryStatus {
    let (huge_pages, mib) = match memory {
        Memory::Huge { memory_mb } => (true, memory_mb),
        Memory::Ordinary { memory_mb } => (false, memory_mb),
    };
    let note = match (huge_pages, wanted) {
        (true, _) => "huge pages are in use",
        (false, HugePages::Never) => "huge pages are switched off by memory.huge_pages",
        (false, _) => "no huge pages: the system has not enough free ones",
    };
    view::MemoryStatus {
        huge_pages,
        note: note.to_owned(),
        mib,
    }
}

fn engines(config: &Config, clock: Clock, compiled: &Compiled, count: usize) -> Vec<Engine> {
    // A random key for each start, so that nobody outside can aim at one place of a table.
    let seed = RandomState::new().hash_one("flow table");
    let mut limits = config.limits.clone();
    if !config.classifier.enabled {
        // Nobody would fetch them.
        (limits.window_s, limits.samples) = (0, 0);
    }
    (0..count)
        .map(|_| {
            let snapshot = Arc::clone(&compiled.snapshot);
            Engine::new(limits.clone(), seed, snapshot, clock.now_ns())
        })
        .collect()
}

/// Serves clients until someone asks to stop. Returns whether to give the interfaces back.
async fn serve(
    config: &Config,
    mut gateway: Gateway,
    mut stopped: mpsc::Receiver<bool>,
) -> Result<bool> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // The first answer means that every worker has looked at both its ports.
    gateway.fleet.reports().await?;
    gateway.startup = gateway.clock.elapsed();
    let socket = Socket::bind(&config.control)?;
    announce(config, &gateway);
    let gateway = Arc::new(gateway);
    let policy = Arc::clone(&gateway.policy);
    tokio::select! {
        () = socket.serve(Arc::clone(&gateway)) => Ok(false),
        () = policy.keep_time() => Ok(false),
        () = collect(&gateway) => Ok(false),
        () = gateway.watch.run(&gateway.fleet) => Ok(false),
        () = watch_links(&gateway) => Ok(false),
        _ = terminate.recv() => Ok(false),
        _ = interrupt.recv() => Ok(false),
        wish = stopped.recv() => {
            // The answer to the one who asked goes out first.
            tokio::time::sleep(COLLECT).await;
            Ok(wish.unwrap_or(false))
        }
    }
}

fn announce(config: &Config, gateway: &Gateway) {
    for port in gateway.ports.iter().map(OpenPort::status) {
        tracing::info!(
            side = side_name(port.side),
            driver = port.driver,
            device = port.device,
            mtu = port.mtu,
            queues = port.queues,
            link = ?port.link,
            "port"
        );
    }
    let policy = gateway.policy.status();
    if policy.origin == "none" {
        tracing::warn!("no policy yet: everything is forwarded, nothing denied");
    }
    tracing::info!(
        policy = policy.id,
        origin = policy.origin,
        workers = gateway.cores.len(),
        poll = gateway.poll.name(),
        socket = %config.control.socket.display(),
        startup_ms = gateway.startup.as_millis(),
        "forwarding"
    );
    gateway
        .events
        .tell(EventKind::Started { policy: policy.id });
}

async fn collect(gateway: &Gateway) {
    let mut tick = tokio::time::interval(COLLECT);
    loop {
        tick.tick().await;
        gateway.translator.collect(&gateway.fleet, &gateway.events);
        gateway.captures.collect(&gateway.fleet).await;
        gateway.context.expire(wall_us());
    }
}

async fn watch_links(gateway: &Gateway) {
    let mut known = gateway.ports.each_ref().map(OpenPort::link);
    let mut tick = tokio::time::interval(LINKS);
    loop {
        tick.tick().await;
        for (port, known) in gateway.ports.iter().zip(&mut known) {
            let link = port.link();
            if link == *known {
                continue;
            }
            *known = link;
            let side = port.side();
            if link == LinkState::Up {
                tracing::info!(side = side_name(side), "link up");
            } else {
                tracing::warn!(side = side_name(side), ?link, "link changed");
            }
            gateway.events.tell(EventKind::Link { side, link });
        }
    }
}

/// The planned end of the workers.
fn stop_workers(
    config: &Config,
    fleet: &Fleet,
    running: Vec<wardline_dpdk::Worker<()>>,
    detach: bool,
) -> Result<()> {
    tracing::info!(detach, "stopping");
    // From here on new frames go to the kernel, and what the rings hold is forwarded.
    let interfaces = af_xdp_interfaces(config);
    for interface in &interfaces {
        wardline_dpdk::xdp::empty_socket_map(interface)
            .with_context(|| format!("cannot hand {interface} to the kernel"))?;
    }
    fleet.finish();
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let result = running
            .into_iter()
            .try_for_each(wardline_dpdk::Worker::join);
        // Nobody waits any more if it took too long.
        let _ = ended.send(result);
    });
    end.recv_timeout(DRAIN)
        .context("the workers do not end; the process ends without them")??;
    if detach {
        for interface in &interfaces {
            wardline_dpdk::xdp::detach(interface)
                .with_context(|| format!("cannot give {interface} back"))?;
        }
    }
    tracing::info!("stopped");
    Ok(())
}

fn af_xdp_interfaces(config: &Config) -> Vec<&str> {
    [&config.ports.ward, &config.ports.core]
        .into_iter()
        .filter(|port| port.driver == Driver::AfXdp)
        .map(|port| port.device())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_lists_of_the_kernel_are_understood() {
        assert_eq!(parse_cores("0"), Some(vec![0]));
        assert_eq!(parse_cores("0-2,8,10-11"), Some(vec![0, 1, 2, 8, 10, 11]));
        assert_eq!(parse_cores("x"), None);
    }
}
