//! The classifier at work: one thread beside the packet path that fetches what the workers hand
//! out, and what it takes the devices for.
//!
//! It falls behind rather than hold anybody up: what it does not fetch in time is counted and gone.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use wardline_classifier::decide::Answer;
use wardline_classifier::identify::{Found, Identifier, Room};
use wardline_classifier::learn::{Lesson, Standing};
use wardline_classifier::model::Model;
use wardline_classifier::observer::Limits;
use wardline_control::view::ClassifierStatus;
use wardline_control::{EventKind, Evidence, Identity};
use wardline_policy::DeviceKey;

use crate::clock::{self, Clock};
use crate::config::Config;
use crate::events::{EventLog, NewEvent};
use crate::fleet::Fleet;
use crate::model::{Models, Offer};
use crate::roles::Roles;
use crate::watch::Watch;

/// How long the thread sleeps when nothing waits.
const REST: Duration = Duration::from_millis(20);
/// How often is learnt from devices that people named, when nobody says anything.
const LEARN: Duration = Duration::from_secs(3_600);
/// How often devices of which something new is known are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Samples and windows of a worker fetched at most between two looks at devices.
const PORTION: usize = 1_024;

/// What the devices are taken for.
#[derive(Debug, Default)]
pub struct Identities(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    devices: HashMap<DeviceKey, Arc<Identity>>,
    room: Room,
}

impl Identities {
    /// What a device is taken for.
    pub fn of(&self, device: DeviceKey) -> Option<Identity> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let identity = known.devices.get(&device);
        identity.map(|identity| Identity::clone(identity))
    }

    /// How many devices there was room for.
    pub fn status(&self) -> ClassifierStatus {
        let Room {
            stations,
            forgotten,
            unobserved,
            ..
        } = self.0.read().unwrap_or_else(PoisonError::into_inner).room;
        ClassifierStatus {
            stations: stations as u64,
            stations_forgotten: forgotten,
            unobserved,
        }
    }

    fn set(&self, device: DeviceKey, identity: Identity) {
        self.write().devices.insert(device, Arc::new(identity));
    }

    /// Takes note of how much room there was. What is not known any more is forgotten.
    fn heed(&self, room: Room, is_known: impl Fn(&DeviceKey) -> bool) {
        let mut known = self.write();
        if room.forgotten != known.room.forgotten {
            known.devices.retain(|device, _| is_known(device));
        }
        known.room = room;
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
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

/// Where answers go, and what they heed.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The answers.
    pub identities: Arc<Identities>,
    /// Changes of role.
    pub events: Arc<EventLog>,
    /// What names them.
    pub models: Arc<Models>,
    /// What people say of the devices.
    pub roles: Arc<Roles>,
    /// Told what the devices look like.
    pub watch: Arc<Watch>,
    /// When it is.
    pub clock: Clock,
}

/// Starts to name the devices, unless the configuration switches it off.
///
/// # Errors
/// No thread can be started.
pub fn start(config: &Config, fleet: &Fleet, around: Surroundings) -> Result<Identification> {
    let stop = Arc::new(AtomicBool::new(false));
    if !config.classifier.enabled {
        return Ok(Identification { stop, thread: None });
    }
    let limits = Limits {
        // As many peers on the core side as devices.
        stations: 2 * config.limits.devices as usize,
        ..Limits::default()
    };
    let fleet = fleet.clone();
    let stopped = Arc::clone(&stop);
    let work = move || {
        let mut work = Work {
            identifier: identifier(limits, around.models.begin()),
            fleet,
            around,
            heard: 0,
            standing: BTreeMap::new(),
            learnt: Instant::now(),
        };
        work.resume();
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

/// Without a model that passes, evidence decides alone.
fn identifier(limits: Limits, model: Option<Arc<Model>>) -> Identifier {
    let made = model.map(|model| Identifier::new(limits, model));
    match made {
        Some(Ok(identifier)) => return identifier,
        Some(Err(refusal)) => tracing::error!(%refusal, "the model is refused"),
        None => {}
    }
    tracing::warn!("no model: evidence alone decides what devices are");
    Identifier::without_model(limits)
}

struct Work {
    identifier: Identifier,
    fleet: Fleet,
    around: Surroundings,
    /// The version of people's words that was heeded last.
    heard: u64,
    /// What they come to.
    standing: BTreeMap<DeviceKey, Standing>,
    /// When was learnt from them last.
    learnt: Instant,
}

impl Work {
    fn run(&mut self, stop: &AtomicBool) {
        let (mut looked, mut looking) = (Instant::now(), false);
        while !stop.load(Ordering::Relaxed) {
            let fetched = self.fetch();
            if let Some(offer) = self.around.models.next_offer() {
                self.exchange(offer);
            }
            if !looking && looked.elapsed() >= LOOK {
                (looked, looking) = (Instant::now(), true);
                self.heed();
            }
            if looking {
                looking = self.look();
            } else if !fetched {
                thread::sleep(REST);
            }
        }
    }

    /// What waits at each worker, up to some; whether there was anything.
    fn fetch(&mut self) -> bool {
        let mut any = false;
        for mailbox in self.fleet.mailboxes() {
            for _ in 0..PORTION {
                let (sample, window) = (mailbox.next_sample(), mailbox.next_window());
                if sample.is_none() && window.is_none() {
                    break;
                }
                if let Some(sample) = sample {
                    self.identifier.sample(&sample);
                    mailbox.return_sample(sample);
                }
                if let Some(window) = window {
                    self.identifier.window(&window);
                }
                any = true;
            }
        }
        any
    }

    /// Looks at a few devices; whether there may be more with news.
    fn look(&mut self) -> bool {
        let around = &self.around;
        let now_ns = around.clock.now_ns();
        let is_alarmed = |device: &DeviceKey| around.watch.is_alarmed(device);
        let more = self.identifier.look(now_ns, &is_alarmed, |found| {
            if let Some(event) = event(&found) {
                around.events.extend([event]);
            }
            let confirmed = found.answer.role.filter(|_| found.answer.confirmed);
            let watch = &around.watch;
            watch.looks(found.device, confirmed, found.seen, clock::wall_ns());
            let identity = identity(found.answer, around.clock);
            around.identities.set(found.device, identity);
        });
        let known = &self.identifier;
        let is_known = |device: &DeviceKey| known.knows(device);
        around.identities.heed(known.room(), is_known);
        more
    }

    /// Goes on with another model, and learns with it what was learnt with the one before.
    fn exchange(&mut self, offer: Offer) {
        if offer.done.is_closed() {
            // Nobody waits for it any more, and another one counts as the one in use.
            return;
        }
        let used = self.identifier.exchange(offer.model);
        if used.is_ok() {
            self.around.watch.forget_looks();
            if !self.standing.is_empty() {
                self.learn();
            }
        }
        // Who gives up at this very moment is told that it was not used, and may ask again.
        let _ = offer.done.send(used);
    }

    /// Holds to what people say and learns from it; now and then also from what was seen since. What
    /// devices did since something is wrong with them is not learnt from.
    fn heed(&mut self) {
        let version = self.around.roles.version();
        if version != self.heard {
            self.heard = version;
            self.hold();
            self.learn();
        } else if self.learnt.elapsed() >= LEARN && !self.standing.is_empty() {
            self.learn();
        }
        for device in self.standing.keys() {
            if let Some(since_ns) = self.around.watch.alarmed_since(device) {
                self.identifier.distrust(device, since_ns);
            }
        }
    }

    fn hold(&mut self) {
        let now_ns = self.around.clock.now_ns();
        let standing = self.around.roles.standing();
        for device in self.standing.keys().filter(|d| !standing.contains_key(d)) {
            self.identifier.state(*device, None, now_ns);
        }
        for (device, word) in &standing {
            if self.standing.get(device) != Some(word) {
                self.identifier.state(*device, Some(word.role), now_ns);
            }
        }
        self.standing = standing;
    }

    fn learn(&mut self) {
        self.learnt = Instant::now();
        let Surroundings { roles, watch, .. } = &self.around;
        let Some(journal) = roles.head() else {
            return;
        };
        let is_alarmed = |device: &DeviceKey| watch.is_alarmed(device);
        let bundle = |lesson: &Lesson<'_>| roles.bundle(lesson);
        let learnt = self
            .identifier
            .learn(journal, &self.standing, &is_alarmed, bundle);
        let Some(update) = learnt else {
            return;
        };
        let (samples, learnt) = self.identifier.learnt();
        roles.keep(&update, samples, learnt);
    }

    /// Goes on with what was learnt before the restart.
    fn resume(&mut self) {
        if let Some((samples, learnt)) = self.around.roles.kept()
            && !self.identifier.resume(samples, learnt)
        {
            tracing::info!("the model is another one: what was learnt with the last is left out");
        }
    }
}

fn event(found: &Found<'_>) -> Option<NewEvent> {
    let name = |role: Option<wardline_classifier::Role>| role.map(|role| role.name().to_owned());
    let because = found.answer.evidence.first();
    let kind = EventKind::Identified {
        role: name(found.answer.role),
        previous: name(found.changed_from?),
        because: because.map_or_else(String::new, |reason| reason.sentence.clone()),
    };
    Some(NewEvent::now(Some(found.device), kind))
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
        recalled_us: None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wardline_classifier::Role;
    use wardline_classifier::behaviour::Settings;
    use wardline_classifier::model::Trust;
    use wardline_policy::MacAddr;

    use super::*;
    use crate::config;

    /// A classifier at work where there is no traffic.
    fn work(state: &Path) -> Work {
        let events = Arc::new(EventLog::new());
        let settings = Settings {
            learn_s: 0,
            learn_at_most_s: 0,
            ..Settings::default()
        };
        let trust = Trust::project().expect("keys");
        let models = Models::trusting(trust, &config::Classifier::default(), state);
        let around = Surroundings {
            identities: Arc::new(Identities::default()),
            models: Arc::new(models.expect("nothing is named")),
            roles: Arc::new(Roles::open(state)),
            watch: Arc::new(Watch::open(state, settings, Arc::clone(&events))),
            events,
            clock: Clock::start(),
        };
        Work {
            identifier: identifier(Limits::default(), around.models.begin()),
            fleet: Fleet::new(Vec::new()),
            around,
            heard: 0,
            standing: BTreeMap::new(),
            learnt: Instant::now(),
        }
    }

    #[test]
    fn what_looked_odd_to_one_model_is_forgotten_with_it() {
        const MINUTE_NS: u64 = 60_000_000_000;
        let temp = tempfile::tempdir().expect("a directory");
        let mut work = work(temp.path());
        let watch = Arc::clone(&work.around.watch);
        let (device, pump) = (DeviceKey::default(), Role::InfusionPump);
        let looks = |minute: u64, role| {
            watch.looks(device, Some(pump), &[role], minute * MINUTE_NS);
        };
        looks(1, pump);
        (2..30).for_each(|minute| looks(minute, Role::Workstation));
        assert!(watch.is_alarmed(&device));
        let (done, mut used) = tokio::sync::oneshot::channel();
        let model = Arc::new(Model::built_in().expect("it passes"));
        work.exchange(Offer { model, done });
        assert!(used.try_recv().expect("an answer").is_ok());
        looks(30, Role::Workstation);
        assert!(!watch.is_alarmed(&device));
    }

    #[test]
    fn an_answer_goes_with_the_device_that_made_room() {
        let identities = Identities::default();
        let keys = [1, 2].map(|last| DeviceKey {
            mac: MacAddr([2, 0, 0, 0, 0, last]),
            ..DeviceKey::default()
        });
        for key in keys {
            identities.set(key, Identity::default());
        }
        let room = Room {
            devices: 1,
            stations: 1,
            forgotten: 1,
            unobserved: 3,
        };
        identities.heed(room, |device| *device == keys[1]);
        assert!(identities.of(keys[0]).is_none() && identities.of(keys[1]).is_some());
        let status = identities.status();
        assert_eq!((status.stations_forgotten, status.unobserved), (1, 3));
    }
}
