//! Each device against its own past: new peer, service or direction, scan, beacon, volume, role
//! drift.
//!
//! [`Behaviour`] is told of conversations, of volumes by the minute and of what a device looks
//! like, and tells of alerts. It has no clock: time comes with what it is told, and
//! [`Behaviour::advance`] must be called about once a minute for alerts to settle and to end.
//!
//! A device is learnt first ([`Settings::learn_s`], [`Settings::learn_conversations`]); nothing
//! is said of it meanwhile. Afterwards what is usual grows only by what a person accepts
//! ([`Behaviour::accept`]), so that nobody becomes usual by going on; volumes follow slowly while
//! nothing is wrong. Observations with the same cause belong to one alert, which ends when the
//! cause was quiet for a while and resumes when it comes back soon. What one peer does to many
//! devices is raised once; the alerts about the others join it.
//!
//! All memory is bounded, for each device and altogether; what finds no room is counted in
//! [`Counters`]. The state can be saved and resumed.

mod alert;
mod beacon;
mod device;
mod drift;
mod habit;
mod input;
mod ledger;
mod scan;
mod settings;
mod volume;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wardline_policy::DeviceKey;

pub use alert::{Alert, Cause, Kind, News, Notice, Reason, Service, State, Way};
pub use input::{Conversation, Looks, Minute, Outcome};
pub use settings::{Counters, Settings};

use device::{Watch, Watched};
use ledger::{Desk, Sink};
use settings::{MINUTE, SECOND};

/// Watches all devices.
#[derive(Debug)]
pub struct Behaviour {
    settings: Settings,
    now_ns: u64,
    devices: BTreeMap<DeviceKey, Watched>,
    desk: Desk,
    /// Nothing makes room until then: none did when it was last tried.
    full_until_ns: u64,
}

/// This part of all devices makes room at once, so that a new one costs little.
const ROOM: usize = 16;

/// Everything that is known of all devices, to be kept over a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Memory {
    now_ns: u64,
    devices: Vec<Watched>,
    desk: Desk,
}

impl Behaviour {
    /// A watch that knows nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            now_ns: 0,
            devices: BTreeMap::new(),
            desk: Desk::default(),
            full_until_ns: 0,
        }
    }

    /// Goes on from what was kept; devices beyond the settings' limit are left out and counted.
    pub fn resume(settings: Settings, memory: Memory) -> Self {
        let mut behaviour = Self {
            now_ns: memory.now_ns,
            desk: memory.desk,
            ..Self::new(settings)
        };
        for device in memory.devices {
            if behaviour.devices.len() < behaviour.settings.devices {
                behaviour.devices.insert(device.key, device);
            } else {
                behaviour.desk.counters.devices_full += 1;
            }
        }
        behaviour
    }

    /// What to keep.
    pub fn memory(&self) -> Memory {
        Memory {
            now_ns: self.now_ns,
            devices: self.devices.values().cloned().collect(),
            desk: self.desk.clone(),
        }
    }

    /// Takes a conversation in.
    pub fn converse(&mut self, told: &Conversation<'_>, sink: &mut dyn FnMut(Notice<'_>)) {
        self.with(told.device, told.time_ns, sink, |device, watch| {
            device.converse(told, watch);
        });
    }

    /// Takes the volume of a minute in. Minutes without traffic need not be told.
    pub fn minute(&mut self, told: &Minute, sink: &mut dyn FnMut(Notice<'_>)) {
        self.with(told.device, told.time_ns, sink, |device, watch| {
            device.minute(told, watch);
        });
    }

    /// Takes in what a finished window of a device looks like.
    pub fn looks(&mut self, told: &Looks<'_>, sink: &mut dyn FnMut(Notice<'_>)) {
        self.with(told.device, told.time_ns, sink, |device, watch| {
            device.looks(told, watch);
        });
    }

    /// Another model is in use: what devices looked like to the old one says nothing of drift.
    pub fn forget_looks(&mut self) {
        self.devices.values_mut().for_each(Watched::forget_looks);
    }

    /// Time has come so far: alerts settle and end.
    pub fn advance(&mut self, now_ns: u64, sink: &mut dyn FnMut(Notice<'_>)) {
        self.now_ns = self.now_ns.max(now_ns);
        let mut watch = Watch {
            now_ns: self.now_ns,
            settings: &self.settings,
            desk: &mut self.desk,
            sink,
        };
        for device in self.devices.values_mut() {
            device.advance(&mut watch);
        }
    }

    /// A person says that what an alert is about is usual for the device from now on. `false`: no
    /// such alert.
    pub fn accept(&mut self, id: u64, sink: &mut dyn FnMut(Notice<'_>)) -> bool {
        let taken = self
            .devices
            .values_mut()
            .find_map(|device| device.alerts.take(id).map(|alert| (device, alert)));
        let Some((device, mut alert)) = taken else {
            return false;
        };
        let watch = Watch {
            now_ns: self.now_ns,
            settings: &self.settings,
            desk: &mut self.desk,
            sink,
        };
        device.accept(&alert.causes, &alert.news, &watch);
        if alert.state == State::Open {
            alert.state = State::Ended { at_ns: self.now_ns };
            watch.desk.counters.ended += 1;
            (watch.sink)(Notice::Ended(&alert));
        }
        true
    }

    /// All alerts, those that ended lately and those not yet told included.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.devices.values().flat_map(|d| d.alerts.iter())
    }

    /// Whether something is wrong with a device: nothing may be learnt from it meanwhile. Also
    /// `true` before an alert is told.
    pub fn is_alarmed(&self, device: &DeviceKey) -> bool {
        let watched = self.devices.get(device);
        watched.is_some_and(|d| d.alerts.is_alarmed())
    }

    /// Since when something has been wrong with a device, in nanoseconds since the Unix epoch. Also
    /// known before an alert is told.
    pub fn alarmed_since(&self, device: &DeviceKey) -> Option<u64> {
        self.devices.get(device)?.alerts.alarmed_since()
    }

    /// Whether enough of a device was seen to speak of it.
    pub fn is_learnt(&self, device: &DeviceKey) -> bool {
        self.devices.get(device).is_some_and(Watched::is_learnt)
    }

    /// Devices watched now.
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// What happened, in numbers.
    pub fn counters(&self) -> Counters {
        self.desk.counters
    }

    /// Everything that is kept, in entries: peers, targets, beginnings of calls, totals, alerts.
    pub fn size(&self) -> usize {
        self.devices.values().map(Watched::size).sum()
    }

    fn with(
        &mut self,
        key: DeviceKey,
        time_ns: u64,
        sink: Sink<'_>,
        then: impl FnOnce(&mut Watched, &mut Watch<'_, '_>),
    ) {
        self.now_ns = self.now_ns.max(time_ns);
        if !self.devices.contains_key(&key) && !self.make_room() {
            self.desk.counters.devices_full += 1;
            return;
        }
        let now_ns = self.now_ns;
        let device = self
            .devices
            .entry(key)
            .or_insert_with(|| Watched::new(key, now_ns));
        let mut watch = Watch {
            now_ns,
            settings: &self.settings,
            desk: &mut self.desk,
            sink,
        };
        then(device, &mut watch);
    }

    /// Whether one more device fits. If need be, a part of those not yet learnt makes room, those
    /// first that were watched for the shortest time and are silent for longest; and then those
    /// that are long gone.
    fn make_room(&mut self) -> bool {
        let settings = &self.settings;
        if self.devices.len() < settings.devices {
            return true;
        }
        if self.now_ns < self.full_until_ns {
            return false;
        }
        let part = (settings.devices / ROOM).max(1);
        let gone_ns = self.now_ns.saturating_sub(settings.forget_s * SECOND);
        let spare = |d: &&Watched| !d.is_learnt() || d.last_ns <= gone_ns;
        let mut spare: Vec<_> = self
            .devices
            .values()
            .filter(spare)
            .map(|device| (device.is_learnt(), device.kept_until_ns(), device.key))
            .collect();
        if part < spare.len() {
            spare.select_nth_unstable(part);
            spare.truncate(part);
        }
        for (.., key) in &spare {
            self.devices.remove(key);
        }
        self.desk.counters.devices_forgotten += spare.len() as u64;
        if spare.is_empty() {
            self.full_until_ns = self.now_ns + MINUTE;
        }
        !spare.is_empty()
    }
}

#[cfg(test)]
mod tests;
