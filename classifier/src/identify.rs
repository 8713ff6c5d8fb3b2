//! Names the devices of a running gateway as their traffic goes on: samples and windows in, steady
//! answers out.

use std::collections::BTreeMap;
use std::sync::Arc;

use wardline_engine::Sample;
use wardline_engine::feature::Finished;
use wardline_engine::parse::parse;
use wardline_policy::{DeviceKey, Side};

use crate::Role;
use crate::decide::{Answer, Calibration, Holder, Opinion, Steadiness, decide};
use crate::device::Evidence;
use crate::model::{Model, Refusal, Session, Window};
use crate::observer::{Limits, Observer, Station};

/// What is known of all devices, and who they are taken for.
#[derive(Debug)]
pub struct Identifier {
    observer: Observer,
    session: Option<Session>,
    calibration: Calibration,
    steadiness: Steadiness,
    devices: BTreeMap<DeviceKey, Known>,
}

/// One device.
#[derive(Debug, Default)]
struct Known {
    holder: Holder,
    windows: u64,
    /// What had come at the last look: facts and windows.
    looked_at: Option<(usize, u64)>,
}

/// What a look found.
#[derive(Debug)]
pub struct Found<'a> {
    /// The device.
    pub device: DeviceKey,
    /// What it is taken for now.
    pub answer: &'a Answer,
    /// Its role before, if that was another one.
    pub changed_from: Option<Option<Role>>,
}

impl Identifier {
    /// One that has seen nothing, with evidence and a model to decide by.
    ///
    /// # Errors
    /// When the model cannot be run.
    pub fn new(limits: Limits, model: Arc<Model>) -> Result<Self, Refusal> {
        Ok(Self {
            calibration: model.calibration().clone(),
            session: Some(Session::new(model)?),
            ..Self::without_model(limits)
        })
    }

    /// The same with evidence alone.
    pub fn without_model(limits: Limits) -> Self {
        Self {
            observer: Observer::new(limits),
            session: None,
            calibration: Calibration::default(),
            steadiness: Steadiness::default(),
            devices: BTreeMap::new(),
        }
    }

    /// Takes a sample.
    pub fn sample(&mut self, sample: &Sample) {
        let (bytes, time_ns) = (sample.bytes(), sample.time_ns);
        self.observer.read(time_ns, bytes, sample.wire_bytes);
        if sample.from != Side::Ward {
            return;
        }
        let meta = parse(bytes).or_else(|error| error.meta.ok_or(()));
        if let Ok(meta) = meta {
            let (mac, vlan) = (meta.source_mac, meta.vlan);
            self.devices.entry(DeviceKey { mac, vlan }).or_default();
        }
    }

    /// Takes a window.
    pub fn window(&mut self, finished: &Finished) {
        self.observer.window(finished);
        self.devices.entry(finished.device).or_default().windows += 1;
    }

    /// Looks at each device of which something new is known.
    pub fn look(&mut self, now_ns: u64, mut tell: impl FnMut(Found<'_>)) {
        for (&device, known) in &mut self.devices {
            let Some(station) = self.observer.station(device) else {
                continue;
            };
            let there = (station.facts().count(), known.windows);
            if known.looked_at == Some(there) {
                continue;
            }
            known.looked_at = Some(there);
            let evidence = Evidence::of(station.facts(), station.forwards_for(), station.last_ns());
            let opinion = opinion(self.session.as_mut(), station);
            let fresh = decide(&evidence, opinion.as_ref(), &self.calibration);
            let before = known.holder.role();
            let answer = known.holder.look(fresh, now_ns, &self.steadiness);
            tell(Found {
                device,
                answer: &answer,
                changed_from: (answer.role != before).then_some(before),
            });
        }
    }
}

/// What the model makes of a device; nothing without a model, or without traffic to speak of.
fn opinion(session: Option<&mut Session>, station: &Station) -> Option<Opinion> {
    let facts = station.facts().map(|(fact, _)| fact);
    let window = Window::new(station.features_so_far(), facts, station.key().mac);
    // A plan that ran when it was made fails on no input; if it did, evidence decides alone.
    session?.opinion(&window).ok()
}
