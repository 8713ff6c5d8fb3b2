//! The gateway at work on the ward: exchanges, attacks and a loss stream at the same time.
//!
//! Without a person it plays for a given time, writes a report and says by its exit code whether
//! care went on and every attack was stopped. With one it shows what happens until Ctrl-C.
//! Either way everything it made is gone afterwards. The management plane runs beside it, for whoever
//! wants to look in.

pub(crate) mod interrupt;
mod live;
mod naming;
mod privacy;
mod report;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use self::interrupt::Interrupt;
use self::report::{Allowed, Loss, Report};
use crate::attacks::{self, ALL};
use crate::control::Control;
use crate::exchange;
use crate::layout::{HOSTS, Side};
use crate::loss;
use crate::mgmt::{self, Management};
use crate::ward::{Options, Ward};

/// The loss stream is played in pieces of so many seconds, so that its count is never old.
const PIECE_S: u32 = 5;
/// How long the devices pause after a round of exchanges.
const PAUSE: Duration = Duration::from_secs(3);
/// How often the live view is drawn.
const REFRESH: Duration = Duration::from_secs(2);
/// In the live view, how long the attackers rest after having tried everything.
const REST: Duration = Duration::from_secs(30);

/// What to play.
#[derive(Debug, Clone)]
pub struct Play {
    /// Prefix of everything the ward makes.
    pub name: String,
    /// How long, once everything is up; without it, until interrupted.
    pub duration: Option<Duration>,
    /// Where the report goes.
    pub json: Option<PathBuf>,
    /// Where to say that everything is up.
    pub ready: Option<PathBuf>,
    /// Policy in place of the ward's own.
    pub policy: Option<PathBuf>,
    /// Where the management plane listens.
    pub management: SocketAddr,
    /// Whether to draw what happens.
    pub live: bool,
}

/// Plays to the end; true when all exchanges succeeded, no attack arrived and nothing was lost.
///
/// # Errors
/// When the ward or the gateway does not come up, or the lab itself fails.
pub fn run(play: &Play) -> Result<bool> {
    let interrupt = Interrupt::install(&play.name)?;
    let stage = match Stage::set(play) {
        Err(_) if interrupt.came() => return Ok(false),
        stage => stage?,
    };
    if let Some(file) = &play.ready {
        stage.write_ready(file)?;
    }
    let score = Mutex::new(Score::default());
    stage.play(play, &interrupt, &score)?;
    if interrupt.came() && play.duration.is_some() {
        println!("interrupted");
        stage.strike()?;
        return Ok(false);
    }
    let report = stage.report(score.into_inner().unwrap_or_else(|held| held.into_inner()));
    let struck = stage.strike();
    let report = report?;
    struck?;
    if let Some(file) = &play.json {
        write_whole(file, &serde_json::to_string_pretty(&report)?)?;
    }
    print!("{report}");
    Ok(report.is_good())
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Score {
    allowed: Vec<Allowed>,
    attacks: Vec<attacks::Outcome>,
    loss: Loss,
    /// When devices got their names.
    named: naming::Times,
}

impl Score {
    fn exchanged(&mut self, outcomes: Vec<exchange::Outcome>) {
        for outcome in outcomes {
            match self
                .allowed
                .iter_mut()
                .find(|allowed| allowed.name == outcome.name)
            {
                Some(allowed) => allowed.again(outcome),
                None => self.allowed.push(Allowed::first(outcome)),
            }
        }
    }

    fn attacked(&mut self, outcome: attacks::Outcome) {
        match self
            .attacks
            .iter_mut()
            .find(|known| known.name == outcome.name)
        {
            // What got through once is not forgotten.
            Some(known) if known.stopped() => *known = outcome,
            Some(_) => {}
            None => self.attacks.push(outcome),
        }
    }
}

/// The ward with the gateway in it; taken down when dropped.
#[derive(Debug)]
struct Stage {
    ward: Option<Ward>,
    control: Control,
    management: Management,
    ward_up: Duration,
}

impl Stage {
    fn set(play: &Play) -> Result<Self> {
        let begin = Instant::now();
        let ward = Ward::up(&Options {
            name: play.name.clone(),
            gateway: Some(gateway_program()?),
            policy: play.policy.clone(),
            ..Options::default()
        })?;
        let around = Control::connect(&ward.control_socket()).and_then(|control| {
            let management = mgmt::start(&ward, &management_program()?, play.management)?;
            Ok((control, management))
        });
        let (control, management) = match around {
            Ok(around) => around,
            Err(error) => {
                ward.down()?;
                return Err(error);
            }
        };
        Ok(Self {
            ward: Some(ward),
            control,
            management,
            ward_up: begin.elapsed(),
        })
    }

    fn ward(&self) -> Result<&Ward> {
        self.ward.as_ref().context("the ward is down already")
    }

    /// What an outside program needs to look in.
    fn write_ready(&self, file: &Path) -> Result<()> {
        let ward = self.ward()?;
        let hosts: Vec<_> = HOSTS
            .iter()
            .map(|host| {
                json!({
                    "name": host.name,
                    "plays": host.plays,
                    "side": match host.side { Side::Ward => "ward", Side::Core => "core" },
                    "namespace": ward.ns(host.name).name(),
                    "interface": "eth0",
                    "mac": host.mac,
                    "ip": host.ip,
                })
            })
            .collect();
        let ready = json!({
            "pid": std::process::id(),
            "directory": ward.dir(),
            "control_socket": ward.control_socket(),
            "gateway": {
                "namespace": ward.ns("box").name(), "ward_port": "ward0", "core_port": "core0",
            },
            "internet": { "namespace": ward.ns("inet").name() },
            "management": {
                "address": self.management.address,
                "ca_certificate": self.management.ca_certificate,
                "token": self.management.token,
            },
            "hosts": hosts,
        });
        // The token is for whoever started the demo.
        write_private(file, &serde_json::to_string_pretty(&ready)?)
    }

    fn play(&self, play: &Play, interrupt: &Interrupt, score: &Mutex<Score>) -> Result<()> {
        let ward = self.ward()?;
        let end = play.duration.map(|duration| Instant::now() + duration);
        // Care must go on, and be measured, for as long as somebody attacks.
        let attacked = AtomicBool::new(false);
        let over = || {
            let time_is_up = end.is_some_and(|end| Instant::now() >= end);
            interrupt.came() || (time_is_up && attacked.load(Ordering::Relaxed))
        };
        let results = thread::scope(|scope| {
            let exchanges = scope.spawn(|| exchange_all(ward, &over, interrupt, score));
            let stream = scope.spawn(|| stream_all(ward, &over, score));
            let names = scope.spawn(|| watch_names(ward, &over, interrupt, score));
            let attacks = scope.spawn(|| {
                let result = attack_all(ward, end.is_none(), interrupt, score);
                attacked.store(true, Ordering::Relaxed);
                result
            });
            if play.live {
                while !over() {
                    live::draw(&self.control, &self.management, &held(score));
                    interrupt.wait(REFRESH);
                }
            }
            [
                exchanges.join(),
                stream.join(),
                names.join(),
                attacks.join(),
            ]
        });
        for result in results {
            let result = result.ok().context("a part of the play panicked")?;
            // What an interruption breaks is no failure.
            if !interrupt.came() {
                result?;
            }
        }
        Ok(())
    }

    fn report(&self, score: Score) -> Result<Report> {
        let ward = self.ward()?;
        Report::new(score, ward, &self.control, &self.management, self.ward_up)
    }

    fn strike(mut self) -> Result<()> {
        self.ward.take().map_or(Ok(()), Ward::down)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(ward) = self.ward.take()
            && let Err(error) = ward.down()
        {
            eprintln!("the ward could not be removed: {error:#}");
        }
    }
}

/// Performs every exchange again and again until it is over, at least once each.
fn exchange_all(
    ward: &Ward,
    over: &dyn Fn() -> bool,
    interrupt: &Interrupt,
    score: &Mutex<Score>,
) -> Result<()> {
    let exchanges = exchange::all();
    loop {
        let outcomes = exchange::perform(ward, &exchanges);
        if interrupt.came() {
            // Whoever was under way then failed because we ended it.
            return Ok(());
        }
        held(score).exchanged(outcomes);
        if over() {
            return Ok(());
        }
        interrupt.wait(PAUSE);
    }
}

/// Plays every attack once, or again and again until interrupted.
fn attack_all(ward: &Ward, again: bool, interrupt: &Interrupt, score: &Mutex<Score>) -> Result<()> {
    loop {
        for attack in ALL {
            if interrupt.came() {
                return Ok(());
            }
            let outcome = attack.perform(ward)?;
            held(score).attacked(outcome);
        }
        if !again {
            return Ok(());
        }
        interrupt.wait(REST);
    }
}

/// Plays the loss stream until it is over.
fn stream_all(ward: &Ward, over: &dyn Fn() -> bool, score: &Mutex<Score>) -> Result<()> {
    while !over() {
        let piece = loss::start(ward, PIECE_S)?.finish()?;
        held(score).loss.add(&piece);
    }
    Ok(())
}

/// Notes who has got a name, until it is over.
fn watch_names(
    ward: &Ward,
    over: &dyn Fn() -> bool,
    interrupt: &Interrupt,
    score: &Mutex<Score>,
) -> Result<()> {
    let control = Control::connect(&ward.control_socket())?;
    while !over() {
        naming::note(&mut held(score).named, &control.devices()?);
        interrupt.wait(naming::EVERY);
    }
    Ok(())
}

fn held(score: &Mutex<Score>) -> MutexGuard<'_, Score> {
    score.lock().unwrap_or_else(|held| held.into_inner())
}

/// The gateway's program.
///
/// # Errors
/// When it is not there.
pub fn gateway_program() -> Result<PathBuf> {
    program("wardline-fastpath")
}

/// The management plane's program.
///
/// # Errors
/// When it is not there.
pub fn management_program() -> Result<PathBuf> {
    program("wardline-mgmt")
}

/// One of our programs: cargo puts it beside this one.
fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("where this program lies")?;
    let program = own.with_file_name(name);
    ensure!(
        program.exists(),
        "{} is not there: build it with `cargo build --package {name}`",
        program.display()
    );
    Ok(program)
}

/// Writes a file so that a reader sees all of it or nothing.
pub(crate) fn write_whole(file: &Path, text: &str) -> Result<()> {
    write_with_mode(file, text, 0o644)
}

/// The same, for its owner's eyes only.
fn write_private(file: &Path, text: &str) -> Result<()> {
    write_with_mode(file, text, 0o600)
}

fn write_with_mode(file: &Path, text: &str, mode: u32) -> Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let write = || {
        // Left over from a run that was cut off, perhaps with another mode.
        let _ = fs::remove_file(&beside);
        let mut new = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        new.write_all(text.as_bytes())?;
        fs::rename(&beside, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}
