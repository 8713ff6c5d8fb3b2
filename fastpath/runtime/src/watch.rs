//! Each device against its own past: what the event log and the counters tell of it goes to the
//! classifier's watch, and its alerts come back as events.
//!
//! It reads the log like any client, so it can hold nobody up; what it is too slow for is counted
//! and gone. What it knows is kept over a restart.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use wardline_classifier::Role;
use wardline_classifier::behaviour::{
    Alert, Behaviour, Conversation, Looks, Memory, Minute, Notice, Outcome, Settings, State,
};
use wardline_control::view::{self, AlertChange, BehaviourStatus, FlowFacts};
use wardline_control::{AlertsPage, EventKind, EventRecord, Refused, RefusedKind};
use wardline_engine::{DeviceView, Limits};
use wardline_policy::{DeviceKey, Initiator, Side};

use crate::clock;
use crate::config;
use crate::events::{EventLog, NewEvent};
use crate::fleet::Fleet;
use crate::state::{load_json, replace};

const FILE: &str = "behaviour.json";
/// A file larger than this was not written by us.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// How often the log is read.
const READ: Duration = Duration::from_secs(1);
/// Events taken from the log under one lock.
const PORTION: usize = 1_024;
/// Rounds of [`READ`] in a minute, and between two times of saving.
const MINUTE: u64 = 60;
const SAVE: u64 = 10 * MINUTE;
const US: u64 = 1_000;

/// The watch over all devices.
#[derive(Debug)]
pub struct Watch {
    inner: Mutex<Inner>,
    events: Arc<EventLog>,
    file: PathBuf,
}

#[derive(Debug)]
struct Inner {
    behaviour: Behaviour,
    /// The next event to read.
    next_seq: u64,
    /// Events that were gone before they were read.
    lost: u64,
    /// Bytes sent and received until the last minute.
    totals: HashMap<DeviceKey, [u64; 2]>,
}

impl Watch {
    /// Goes on from what the state directory keeps; begins anew without it.
    pub fn open(state: &Path, settings: Settings, events: Arc<EventLog>) -> Self {
        let file = state.join(FILE);
        let behaviour = match load_json::<Memory>(&file, FILE_BYTES_MAX) {
            Ok(Some(memory)) => Behaviour::resume(settings, memory),
            Ok(None) => Behaviour::new(settings),
            Err(error) => {
                let aside = file.with_extension("damaged.json");
                tracing::error!(%error, file = %file.display(), aside = %aside.display(),
                    "what is usual for the devices cannot be read; they are learnt anew");
                // If it cannot be moved, the next save writes over it: nothing more is lost.
                let _ = fs::rename(&file, aside);
                Behaviour::new(settings)
            }
        };
        Self {
            inner: Mutex::new(Inner {
                behaviour,
                next_seq: 0,
                lost: 0,
                totals: HashMap::new(),
            }),
            events,
            file,
        }
    }

    /// Watches for ever.
    pub async fn run(&self, fleet: &Fleet) {
        let mut ticks = interval(READ);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 1_u64.. {
            ticks.tick().await;
            self.read();
            if round % MINUTE == 0 {
                match fleet.devices().await {
                    Ok(devices) => self.minute(&devices, clock::wall_ns()),
                    Err(error) => tracing::debug!(%error, "a minute goes uncounted"),
                }
            }
            self.advance(clock::wall_ns());
            if round % SAVE == 0 {
                self.save();
            }
        }
    }

    /// Keeps what is known. Called at the end, too.
    pub fn save(&self) {
        let memory = self.inner().behaviour.memory();
        let saved = replace(&self.file, |writer| {
            Ok(serde_json::to_writer(writer, &memory)?)
        });
        if let Err(error) = saved {
            tracing::error!(%error, file = %self.file.display(),
                "what is usual for the devices cannot be kept");
        }
    }

    /// Takes in what a device looks like.
    pub fn looks(&self, device: DeviceKey, confirmed: Option<Role>, roles: &[Role], time_ns: u64) {
        let looks = Looks {
            time_ns,
            device,
            confirmed,
            roles,
        };
        self.tell(|behaviour, sink| behaviour.looks(&looks, sink));
    }

    /// Whether something is wrong with a device, told or not.
    pub fn is_alarmed(&self, device: &DeviceKey) -> bool {
        self.inner().behaviour.is_alarmed(device)
    }

    /// Since when something has been wrong with a device, in nanoseconds since the Unix epoch.
    pub fn alarmed_since(&self, device: &DeviceKey) -> Option<u64> {
        self.inner().behaviour.alarmed_since(device)
    }

    /// What there was room for, and what was held back.
    pub fn status(&self) -> BehaviourStatus {
        let inner = self.inner();
        let counters = inner.behaviour.counters();
        BehaviourStatus {
            devices: inner.behaviour.devices() as u64,
            devices_full: counters.devices_full,
            devices_forgotten: counters.devices_forgotten,
            services_full: counters.services_full,
            held_back: counters.over_device_rate + counters.over_rate,
            alerts_full: counters.alerts_full,
            events_lost: inner.lost,
        }
    }

    /// Another model is in use: what devices looked like to the old one says nothing.
    pub fn forget_looks(&self) {
        self.inner().behaviour.forget_looks();
    }

    /// A page of alerts, by number from `cursor` on.
    pub fn alerts(&self, cursor: u64, limit: usize) -> AlertsPage {
        let inner = self.inner();
        let told = inner.behaviour.alerts().filter_map(shown);
        let mut alerts: Vec<view::Alert> = told.filter(|alert| alert.id >= cursor).collect();
        alerts.sort_by_key(|alert| alert.id);
        let next = alerts.get(limit).map(|alert| alert.id);
        alerts.truncate(limit);
        AlertsPage { alerts, next }
    }

    /// What an alert is about is usual from now on.
    ///
    /// # Errors
    /// There is no such alert.
    pub fn accept(&self, id: u64, who: &str, reason: &str) -> Result<(), Refused> {
        let device = {
            let inner = self.inner();
            let mut alerts = inner.behaviour.alerts();
            alerts
                .find(|alert| alert.id == id)
                .map(|alert| alert.device)
        };
        let mut found = false;
        self.tell(|behaviour, sink| found = behaviour.accept(id, sink));
        if !found {
            return Err(Refused::new(
                RefusedKind::Argument,
                format!("there is no alert {id}; `wardline alerts` lists them"),
            ));
        }
        let accepted = EventKind::AlertAccepted {
            alert: id,
            who: who.to_owned(),
            reason: reason.to_owned(),
        };
        self.events.extend([NewEvent::now(device, accepted)]);
        // A person's word survives a crash.
        self.save();
        Ok(())
    }

    /// Reads what is new in the log.
    fn read(&self) {
        loop {
            let from = self.inner().next_seq;
            let batch = self.events.since(from, PORTION);
            let last = batch.events.len() < PORTION;
            self.inner().take_note(batch.next_seq, batch.lost);
            self.tell(|behaviour, sink| {
                for told in batch.events.iter().filter_map(conversation) {
                    behaviour.converse(&told, sink);
                }
            });
            if last {
                return;
            }
        }
    }

    fn minute(&self, devices: &[DeviceView], time_ns: u64) {
        let minutes: Vec<Minute> = {
            let mut inner = self.inner();
            let totals = devices.iter().map(|d| (d.key, [d.sent.bytes, d.got.bytes]));
            let totals: HashMap<DeviceKey, [u64; 2]> = totals.collect();
            let before = std::mem::replace(&mut inner.totals, totals);
            let grown = |(device, now): (&DeviceKey, &[u64; 2])| {
                let before = before.get(device)?;
                // Below the last total: the engine forgot the device meanwhile and began anew.
                let bytes = |way: usize| now[way].checked_sub(before[way]).unwrap_or(now[way]);
                Some(Minute {
                    time_ns,
                    device: *device,
                    sent: bytes(0),
                    received: bytes(1),
                })
            };
            inner.totals.iter().filter_map(grown).collect()
        };
        self.tell(|behaviour, sink| {
            let busy = minutes.iter().filter(|m| m.sent + m.received > 0);
            busy.for_each(|minute| behaviour.minute(minute, sink));
        });
    }

    fn advance(&self, time_ns: u64) {
        self.tell(|behaviour, sink| behaviour.advance(time_ns, sink));
    }

    /// Tells the watch something and the log what it says to that.
    fn tell(&self, something: impl FnOnce(&mut Behaviour, &mut dyn FnMut(Notice<'_>))) {
        let mut said = Vec::new();
        something(&mut self.inner().behaviour, &mut |notice| {
            said.push(event(notice));
        });
        self.events.extend(said);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each piece of news is taken in whole or was not told; a panic loses one at most.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn take_note(&mut self, next_seq: u64, lost: u64) {
        // Before the first read nothing was ours to lose.
        if lost > 0 && self.next_seq > 0 {
            self.lost += lost;
            tracing::warn!(
                lost,
                "events came faster than the watch over the devices reads"
            );
        }
        self.next_seq = next_seq;
    }
}

/// How the devices are watched by the configuration.
pub fn settings(config: &config::Behaviour, limits: &Limits) -> Settings {
    Settings {
        devices: limits.devices as usize,
        learn_s: config.learn_s,
        learn_conversations: config.learn_conversations,
        // As much longer than the least as by default.
        learn_at_most_s: config.learn_s.saturating_mul(2),
        settle_s: config.settle_s,
        internal: config.internal.clone(),
        ..Settings::default()
    }
}

/// An event as a conversation of its device, if it is one between two addresses.
fn conversation(event: &EventRecord) -> Option<Conversation<'_>> {
    let (flow, outcome) = match &event.kind {
        EventKind::FlowBegun(flow) => (flow, Outcome::Allowed),
        EventKind::Denied { flow, .. } => (flow, Outcome::Denied),
        _ => return None,
    };
    let FlowFacts {
        source,
        destination,
        ..
    } = flow;
    let (initiator, peer) = match flow.from {
        Side::Ward => (Initiator::Device, destination),
        Side::Core => (Initiator::Peer, source),
    };
    let time_ns = event.time_us * US;
    Some(Conversation {
        time_ns,
        began_ns: time_ns,
        device: event.device?,
        initiator,
        peer: (*peer)?,
        protocol: flow.protocol,
        port: flow.destination_port,
        service: None,
        // Volumes come by the minute.
        sent: 0,
        received: 0,
        outcome,
    })
}

fn event(notice: Notice<'_>) -> NewEvent {
    let (alert, change) = match notice {
        Notice::Raised(alert) | Notice::Joined(alert) => (alert, AlertChange::Raised),
        Notice::Changed(alert) => (alert, AlertChange::Changed),
        Notice::Resumed(alert) => (alert, AlertChange::Resumed),
        Notice::Ended(alert) => (alert, AlertChange::Ended),
    };
    let kind = EventKind::Behaviour {
        alert: alert.id,
        change,
        score_percent: percent(alert),
        reasons: alert.reasons(),
        part_of: alert.part_of,
    };
    NewEvent::now(Some(alert.device), kind)
}

/// An alert as clients see it; nothing before it is told.
fn shown(alert: &Alert) -> Option<view::Alert> {
    let state = match alert.state {
        State::Pending { .. } => return None,
        State::Open => view::AlertState::Open,
        State::Ended { .. } => view::AlertState::Ended,
    };
    Some(view::Alert {
        id: alert.id,
        device: alert.device,
        state,
        kind: alert
            .kind()
            .map_or_else(String::new, |kind| kind.name().to_owned()),
        score_percent: percent(alert),
        reasons: alert.reasons(),
        began_us: alert.began_ns / US,
        last_us: alert.last_ns / US,
        observations: alert.observations,
        part_of: alert.part_of,
    })
}

fn percent(alert: &Alert) -> u8 {
    (alert.score().clamp(0.0, 1.0) * 100.0) as u8
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use wardline_control::AlertState;
    use wardline_policy::{MacAddr, Reason};

    use super::*;

    const MINUTE_US: u64 = 60_000_000;

    fn device() -> DeviceKey {
        DeviceKey {
            mac: MacAddr([2, 0, 0, 0, 0, 7]),
            ..DeviceKey::default()
        }
    }

    fn began(time_us: u64, peer: [u8; 4]) -> NewEvent {
        NewEvent {
            time_us,
            device: Some(device()),
            device_name: String::new(),
            kind: EventKind::FlowBegun(FlowFacts {
                from: Side::Ward,
                source: Some(IpAddr::from([10, 0, 0, 7])),
                destination: Some(IpAddr::from(peer)),
                protocol: 6,
                ethertype: 0x0800,
                source_port: 40_000,
                destination_port: 104,
                reason: Reason::Allowed,
                rule: String::new(),
                first_seen_us: Some(time_us),
            }),
        }
    }

    /// A watch that has learnt a device with one peer by `learnt_us`.
    fn learnt(state: &Path) -> (Watch, Arc<EventLog>, u64) {
        let events = Arc::new(EventLog::new());
        let config = config::Behaviour {
            learn_s: 600,
            learn_conversations: 10,
            settle_s: 0,
            ..config::Behaviour::default()
        };
        let settings = settings(&config, &Limits::default());
        let watch = Watch::open(state, settings, Arc::clone(&events));
        for minute in 1..=60 {
            events.extend([began(minute * MINUTE_US, [10, 1, 0, 1])]);
            watch.read();
            watch.advance(minute * MINUTE_US * US);
        }
        (watch, events, 60 * MINUTE_US)
    }

    fn kinds(watch: &Watch, state: AlertState) -> Vec<String> {
        let alerts = watch.alerts(0, 100).alerts.into_iter();
        let wanted = alerts.filter(|alert| alert.state == state);
        wanted.map(|alert| alert.kind).collect()
    }

    #[test]
    fn a_new_peer_is_told_and_is_usual_once_accepted() {
        let temp = tempfile::tempdir().expect("a directory");
        let (watch, events, learnt_us) = learnt(temp.path());
        assert_eq!(kinds(&watch, AlertState::Open), [""; 0]);

        let stranger = [10, 9, 9, 9];
        events.extend([began(learnt_us + MINUTE_US, stranger)]);
        watch.read();
        watch.advance((learnt_us + 2 * MINUTE_US) * US);
        assert_eq!(kinds(&watch, AlertState::Open), ["new-peer"]);
        assert!(watch.is_alarmed(&device()));

        let id = watch.alerts(0, 1).alerts[0].id;
        let refused = watch.accept(id + 1, "somebody", "because");
        assert!(
            refused
                .expect_err("no such alert")
                .message
                .contains("no alert")
        );
        watch
            .accept(id, "somebody", "a new archive")
            .expect("there");
        assert_eq!(kinds(&watch, AlertState::Open), [""; 0]);
        assert!(!watch.is_alarmed(&device()));
        events.extend([began(learnt_us + 3 * MINUTE_US, stranger)]);
        watch.read();
        watch.advance((learnt_us + 4 * MINUTE_US) * US);
        assert_eq!(kinds(&watch, AlertState::Open), [""; 0]);

        let told = events.since(0, 1_000).events;
        let accepted = |event: &EventRecord| matches!(&event.kind, EventKind::AlertAccepted { who, .. } if who == "somebody");
        assert!(told.iter().any(accepted), "{told:?}");
    }

    #[test]
    fn what_is_usual_survives_a_restart_and_a_damaged_file_is_set_aside() {
        let temp = tempfile::tempdir().expect("a directory");
        let (watch, ..) = learnt(temp.path());
        watch.save();
        let size = |watch: &Watch| watch.inner().behaviour.size();
        let known = size(&watch);
        assert!(known > 0);
        let open = || {
            let events = Arc::new(EventLog::new());
            Watch::open(temp.path(), Settings::default(), events)
        };
        assert_eq!(size(&open()), known);

        let file = temp.path().join(FILE);
        fs::write(&file, "{\"now_ns\":").expect("written");
        assert_eq!(size(&open()), 0);
        assert!(file.with_extension("damaged.json").exists());
    }

    #[test]
    fn a_flood_of_events_is_counted_where_it_cannot_be_read() {
        let temp = tempfile::tempdir().expect("a directory");
        let (watch, events, learnt_us) = learnt(temp.path());
        events.extend((0..40_000).map(|n| began(learnt_us + n, [10, 1, 0, 1])));
        watch.read();
        assert!(watch.status().events_lost > 0);
        watch.read();
    }

    #[test]
    fn as_many_devices_are_watched_as_are_known_and_what_is_left_out_is_told() {
        let temp = tempfile::tempdir().expect("a directory");
        let events = Arc::new(EventLog::new());
        let limits = Limits {
            devices: 4,
            ..Limits::default()
        };
        let settings = settings(&config::Behaviour::default(), &limits);
        let watch = Watch::open(temp.path(), settings, Arc::clone(&events));
        events.extend((1..=10).map(|last| {
            let device = DeviceKey {
                mac: MacAddr([2, 0, 0, 0, 1, last]),
                ..DeviceKey::default()
            };
            NewEvent {
                device: Some(device),
                ..began(MINUTE_US, [10, 1, 0, 1])
            }
        }));
        watch.read();
        let status = watch.status();
        assert_eq!((status.devices, status.devices_forgotten), (4, 6));
        assert_eq!((status.devices_full, status.held_back), (0, 0));
    }
}
