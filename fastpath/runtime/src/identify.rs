//! The classifier at work: one thread beside the packet path that fetches what the workers hand
//! out, and what it takes the devices for.
//!
//! It falls behind rather than hold anybody up: what it does not fetch in time is counted and gone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use wardline_classifier::decide::Answer;
use wardline_classifier::identify::{Found, Identifier};
use wardline_classifier::model::{Model, Trust};
use wardline_classifier::observer::Limits;
use wardline_control::{EventKind, Evidence, Identity};
use wardline_policy::DeviceKey;

use crate::clock::{self, Clock};
use crate::config::Config;
use crate::events::{EventLog, NewEvent};
use crate::fleet::Fleet;

/// How long the thread sleeps when nothing waits.
const REST: Duration = Duration::from_millis(20);
/// How often devices of which something new is known are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What the devices are taken for.
#[derive(Debug, Default)]
pub struct Identities(RwLock<HashMap<DeviceKey, Arc<Identity>>>);

impl Identities {
    /// What a device is taken for.
    pub fn of(&self, device: DeviceKey) -> Option<Identity> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&device).map(|identity| Identity::clone(identity))
    }

    fn set(&self, device: DeviceKey, identity: Identity) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(device, Arc::new(identity));
    }
}

/// The running thread, if there is one.
#[derive(Debug)]
pub struct Identification {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Identification {
    /// Ends the thread and waits for it.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread
            && thread.join().is_err()
        {
            tracing::error!("the classifier failed; nothing else did");
        }
    }
}

/// Starts to name the devices, unless the configuration switches it off.
///
/// # Errors
/// No thread can be started, or the model named by the configuration does not pass.
pub fn start(
    config: &Config,
    fleet: &Fleet,
    (identities, events): (Arc<Identities>, Arc<EventLog>),
    clock: Clock,
) -> Result<Identification> {
    let stop = Arc::new(AtomicBool::new(false));
    if !config.classifier.enabled {
        return Ok(Identification { stop, thread: None });
    }
    let limits = Limits {
        // As many peers on the core side as devices.
        stations: 2 * config.limits.devices as usize,
        ..Limits::default()
    };
    let chosen = chosen_model(config)?;
    let fleet = fleet.clone();
    let stopped = Arc::clone(&stop);
    let work = move || {
        let mut work = Work {
            identifier: identifier(limits, chosen),
            fleet,
            identities,
            events,
            clock,
        };
        work.run(&stopped);
    };
    let thread = thread::Builder::new()
        .name("classifier".to_owned())
        .spawn(work)
        .context("cannot start the classifier's thread")?;
    Ok(Identification {
        stop,
        thread: Some(thread),
    })
}

/// The model that the configuration names, if it does.
fn chosen_model(config: &Config) -> Result<Option<Model>> {
    let Some(folder) = &config.classifier.model else {
        return Ok(None);
    };
    let refused = || format!("classifier.model {} is refused", folder.display());
    let trust = Trust::project().with_context(refused)?;
    Model::load(folder, &trust).map(Some).with_context(refused)
}

/// With the chosen model or the program's own. One that does not pass is no reason to leave the
/// devices unnamed: evidence decides alone then.
fn identifier(limits: Limits, chosen: Option<Model>) -> Identifier {
    let model = chosen.map_or_else(Model::built_in, Ok);
    let made = model.and_then(|model| Identifier::new(limits, Arc::new(model)));
    made.unwrap_or_else(|refusal| {
        tracing::error!(%refusal, "the model is refused; evidence decides alone");
        Identifier::without_model(limits)
    })
}

struct Work {
    identifier: Identifier,
    fleet: Fleet,
    identities: Arc<Identities>,
    events: Arc<EventLog>,
    clock: Clock,
}

impl Work {
    fn run(&mut self, stop: &AtomicBool) {
        let mut looked = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            if !self.fetch() {
                thread::sleep(REST);
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.look();
            }
        }
    }

    /// One sample and one window of each worker; whether there were any.
    fn fetch(&mut self) -> bool {
        let mut any = false;
        for mailbox in self.fleet.mailboxes() {
            if let Some(sample) = mailbox.next_sample() {
                self.identifier.sample(&sample);
                mailbox.return_sample(sample);
                any = true;
            }
            if let Some(window) = mailbox.next_window() {
                self.identifier.window(&window);
                any = true;
            }
        }
        any
    }

    fn look(&mut self) {
        let (identities, events, clock) = (&self.identities, &self.events, self.clock);
        self.identifier.look(clock.now_ns(), |found| {
            if let Some(event) = event(&found) {
                events.extend([event]);
            }
            identities.set(found.device, identity(found.answer, clock));
        });
    }
}

fn event(found: &Found<'_>) -> Option<NewEvent> {
    let name = |role: Option<wardline_classifier::Role>| role.map(|role| role.name().to_owned());
    let because = found.answer.evidence.first();
    Some(NewEvent {
        time_us: clock::wall_us(),
        device: Some(found.device),
        device_name: String::new(),
        kind: EventKind::Identified {
            role: name(found.answer.role),
            previous: name(found.changed_from?),
            because: because.map_or_else(String::new, |reason| reason.sentence.clone()),
        },
    })
}

fn identity(answer: &Answer, clock: Clock) -> Identity {
    let stated = |part: &Option<wardline_classifier::knowledge::Stated>| {
        part.as_ref().map(|stated| stated.value.clone())
    };
    let evidence = answer.evidence.iter().map(|reason| Evidence {
        sentence: reason.sentence.clone(),
        source: reason.source.clone(),
        field: reason.field.name().to_owned(),
        strength: reason.strength.name().to_owned(),
        time_us: clock.to_wall_us(reason.time_ns),
    });
    Identity {
        role: answer.role.map(|role| role.name().to_owned()),
        roles: answer.roles.iter().map(|r| r.name().to_owned()).collect(),
        words: answer.words(),
        probability_percent: (answer.probability.clamp(0.0, 1.0) * 100.0) as u8,
        may_enforce: answer.may_enforce,
        confirmed: answer.confirmed,
        evidence: evidence.collect(),
        traffic: answer.features.iter().map(|f| f.sentence.clone()).collect(),
        would_change: answer.would_change.clone(),
        conflict: answer.conflict.clone(),
        drift: answer.drift.clone(),
        kind: answer.kind.as_ref().map(|kind| kind.name.clone()),
        vendor: answer.vendor.as_ref().map(|vendor| vendor.name.clone()),
        model: stated(&answer.identity.model),
        serial: stated(&answer.identity.serial),
        software: stated(&answer.identity.software),
        asset_tags: answer.asset_tags.clone(),
        speaks_for: answer.speaks_for.clone(),
    }
}
