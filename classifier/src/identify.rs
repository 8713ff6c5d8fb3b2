//! Names the devices of a running gateway as their traffic goes on: samples and windows in, steady
//! answers out.

use std::collections::BTreeMap;
use std::sync::Arc;

use wardline_engine::Sample;
use wardline_engine::feature::Finished;
use wardline_policy::{DeviceKey, Side};

use crate::decide::{
    Answer, Calibration, Contribution, Holder, Opinion, Steadiness, decide_with, glance,
    log_chances,
};
use crate::device::Evidence;
use crate::knowledge::Meanings;
use crate::learn::{self, Adaptation, Head, Lesson, Samples, Standing, Update, update};
use crate::model::{Model, Refusal, Session, Window};
use crate::observer::{Limits, Observer, Station};
use crate::{Fact, Role};

/// What is known of all devices, and who they are taken for.
#[derive(Debug)]
pub struct Identifier {
    observer: Observer,
    session: Option<Session>,
    /// As fitted by the training, and with what was learnt here.
    shipped: Calibration,
    calibration: Calibration,
    steadiness: Steadiness,
    devices: BTreeMap<DeviceKey, Known>,
    meanings: Meanings,
    /// The device to go on with; the first one if there is none.
    next: Option<DeviceKey>,
    /// Stations forgotten by the observer when devices were forgotten last.
    forgotten: u64,
    learnt: Option<Adaptation>,
    samples: Samples,
}

/// One device.
#[derive(Debug, Default)]
struct Known {
    holder: Holder,
    windows: u64,
    /// What had come at the last look: news and windows.
    looked_at: Option<(u64, u64)>,
    /// What moved the model, and for which answer that was asked.
    reasons: Vec<Contribution>,
    shown: Option<Shown>,
}

/// How many devices there was room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Devices known now: stations of the ward side.
    pub devices: usize,
    /// Stations known now, on both sides.
    pub stations: usize,
    /// Stations forgotten to make room for others.
    pub forgotten: u64,
    /// Frames and windows of stations that found none.
    pub unobserved: u64,
}

/// What a look found.
#[derive(Debug)]
pub struct Found<'a> {
    /// The device.
    pub device: DeviceKey,
    /// What it is taken for now.
    pub answer: &'a Answer,
    /// The roles it may have by what was seen of it lately, whatever is held or was said.
    pub seen: &'a [Role],
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
            shipped: model.calibration().clone(),
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
            shipped: Calibration::default(),
            calibration: Calibration::default(),
            steadiness: Steadiness::default(),
            devices: BTreeMap::new(),
            meanings: Meanings::default(),
            next: None,
            forgotten: 0,
            learnt: None,
            samples: Samples::default(),
        }
    }

    /// Takes a sample.
    pub fn sample(&mut self, sample: &Sample) {
        let (bytes, time_ns) = (sample.bytes(), sample.time_ns);
        let sender = self.observer.read(time_ns, bytes, sample.wire_bytes);
        self.forget();
        if let Some(device) = sender.filter(|_| sample.from == Side::Ward) {
            self.devices.entry(device).or_default();
        }
    }

    /// Takes a window.
    pub fn window(&mut self, finished: &Finished) {
        let observed = self.observer.window(finished);
        self.forget();
        if observed {
            self.devices.entry(finished.device).or_default().windows += 1;
        }
    }

    /// Forgets the devices that made room for others, but no word of a person.
    fn forget(&mut self) {
        if self.forgotten != self.observer.forgotten {
            self.forgotten = self.observer.forgotten;
            let observer = &self.observer;
            self.devices.retain(|key, known| {
                known.holder.is_confirmed() || observer.station(*key).is_some()
            });
        }
    }

    /// Whether anything is known of a device.
    pub fn knows(&self, device: &DeviceKey) -> bool {
        self.devices.contains_key(device)
    }

    /// How many devices there was room for.
    pub fn room(&self) -> Room {
        Room {
            devices: self.devices.len(),
            stations: self.observer.stations().len(),
            forgotten: self.observer.forgotten,
            unobserved: self.observer.unobserved,
        }
    }

    /// A person says what a device is; `None` takes it back. It is looked at anew, and kept until
    /// then however silent it is.
    pub fn state(&mut self, device: DeviceKey, role: Option<Role>, now_ns: u64) {
        self.observer.hold(device, role.is_some());
        if role.is_none() && self.observer.station(device).is_none() {
            self.devices.remove(&device);
            return;
        }
        let known = self.devices.entry(device).or_default();
        known.holder.confirm(role, now_ns);
        known.looked_at = None;
    }

    /// Learns from the devices that people named. `None` without a model to begin from. What comes
    /// out is in use at once, unless it is refused; when nothing is left to learn from, what was
    /// learnt before is forgotten. `taken_from` is shown what was learnt from.
    pub fn learn(
        &mut self,
        journal: Head,
        standing: &BTreeMap<DeviceKey, Standing>,
        is_alarmed: &dyn Fn(&DeviceKey) -> bool,
        taken_from: impl FnOnce(&Lesson<'_>),
    ) -> Option<Update> {
        let model = Arc::clone(self.session.as_ref()?.model());
        self.samples.retain(|device| standing.contains_key(device));
        let none = Adaptation::none(model.base(), journal).ok()?;
        let lesson = Lesson {
            base: model.base(),
            current: self.learnt.as_ref().unwrap_or(&none),
            journal,
            standing,
            samples: &self.samples,
            is_alarmed,
            enter: self.shipped.enter as f32,
        };
        taken_from(&lesson);
        let update = update(&lesson).ok()?;
        if let Some(learnt) = update.accepted() {
            self.adopt(Some(learnt.clone()));
        } else if update.refusals.contains(&learn::Refusal::NothingToLearn) {
            self.adopt(None);
        }
        Some(update)
    }

    /// Goes on with what was learnt and kept before. What was learnt with another model is left
    /// out; `false` then.
    pub fn resume(&mut self, samples: Samples, learnt: Option<Adaptation>) -> bool {
        self.samples = samples;
        let all = learnt.as_ref().is_none_or(|learnt| self.fits(learnt));
        self.adopt(learnt.filter(|_| all));
        all
    }

    /// Goes on with another model. What was learnt with the one before is forgotten unless it was
    /// trained on the same; everything is looked at anew.
    ///
    /// # Errors
    /// When the model cannot be run; the one before stays.
    pub fn exchange(&mut self, model: Arc<Model>) -> Result<(), Refusal> {
        let shipped = model.calibration().clone();
        self.session = Some(Session::new(model)?);
        self.shipped = shipped;
        let learnt = self.learnt.take().filter(|learnt| self.fits(learnt));
        self.take_up(learnt);
        for known in self.devices.values_mut() {
            known.holder.forget_looks();
            known.shown = None;
        }
        Ok(())
    }

    /// Something has been wrong with a device since then: nothing is learnt from what it did.
    pub fn distrust(&mut self, device: &DeviceKey, since_ns: u64) {
        self.samples.distrust(device, since_ns);
    }

    /// What to keep over a restart.
    pub fn learnt(&self) -> (&Samples, Option<&Adaptation>) {
        (&self.samples, self.learnt.as_ref())
    }

    fn adopt(&mut self, learnt: Option<Adaptation>) {
        if self.learnt != learnt {
            self.take_up(learnt);
        }
    }

    /// Whether it was learnt with the model in use.
    fn fits(&self, learnt: &Adaptation) -> bool {
        let session = self.session.as_ref();
        let base = session.and_then(|s| s.model().base().digest().ok());
        base.as_ref() == Some(&learnt.base)
    }

    fn take_up(&mut self, learnt: Option<Adaptation>) {
        let model = self.session.as_ref().map(Session::model);
        self.calibration = match (&learnt, model) {
            (Some(learnt), Some(model)) => learnt.calibration(model.base(), &self.shipped),
            _ => self.shipped.clone(),
        };
        self.learnt = learnt;
        for known in self.devices.values_mut() {
            known.looked_at = None;
        }
    }

    /// Looks at the next few devices of which something new is known; `true` while there may be
    /// more, so that whoever has other things to do can do them between two looks. Windows of
    /// devices that people named are kept to learn from, but of none that `is_alarmed`.
    pub fn look(
        &mut self,
        now_ns: u64,
        is_alarmed: &dyn Fn(&DeviceKey) -> bool,
        mut tell: impl FnMut(Found<'_>),
    ) -> bool {
        let views = self.views();
        let opinions = self.opinions(&views);
        for (view, [opinion, lately]) in views.iter().zip(&opinions) {
            let Some(known) = self.devices.get_mut(&view.device) else {
                continue;
            };
            let (device, features) = (view.device, view.now.features());
            if known.holder.is_confirmed() {
                let scores = log_chances(&view.evidence, opinion.as_ref(), &self.shipped);
                // A window too soon after the last one, or of an alarmed device, is not kept.
                if let Ok(window) = learn::Window::new(now_ns, features, &scores) {
                    let _ = self.samples.offer(device, window, is_alarmed(&device));
                }
            }
            let base = self.session.as_ref().map(|session| session.model().base());
            let learnt = self.learnt.as_ref().zip(base);
            let change = |window: &Window| {
                learnt.map_or_else(Vec::new, |(learnt, base)| {
                    learnt.change(base, window.features())
                })
            };
            let seen = glance(
                view.evidence_lately(),
                lately.as_ref(),
                &self.calibration,
                &change(&view.lately),
            );
            let opinion = opinion.as_ref();
            let change = change(&view.now);
            let fresh = decide_with(&view.evidence, opinion, &self.calibration, &change);
            let before = known.holder.role();
            let mut answer = known.holder.look(fresh, &seen, now_ns, &self.steadiness);
            if let (Some(session), Some(opinion)) = (&mut self.session, opinion) {
                let shown = Shown::of(&answer, opinion, now_ns);
                if !shown.is_as(known.shown.as_ref()) {
                    known.shown = Some(shown);
                    // As in `opinions`: what cannot be asked gives no reasons.
                    known.reasons = session.reasons(&view.now, opinion).unwrap_or_default();
                }
                answer.features.clone_from(&known.reasons);
            }
            tell(Found {
                device,
                answer: &answer,
                seen: &seen.roles,
                changed_from: (answer.role != before).then_some(before),
            });
        }
        self.next.is_some()
    }

    /// The next devices with news. After the last one it goes on with the first.
    fn views(&mut self) -> Vec<View> {
        let mut views = Vec::new();
        let from = self.next.take().unwrap_or_default();
        for (&device, known) in self.devices.range_mut(from..) {
            let Some(station) = self.observer.station(device) else {
                continue;
            };
            let there = (station.news(), known.windows);
            if known.looked_at == Some(there) {
                continue;
            }
            if views.len() >= SLICE {
                self.next = Some(device);
                break;
            }
            known.looked_at = Some(there);
            views.push(View::of(station, &mut self.meanings));
        }
        views
    }

    /// What the model makes of each: of all it did, and of what it did lately. Nothing without a
    /// model.
    fn opinions(&mut self, views: &[View]) -> Vec<[Option<Opinion>; 2]> {
        let windows = views.iter().flat_map(|view| [&view.now, &view.lately]);
        let windows: Vec<Window> = windows.cloned().collect();
        // A plan that ran when it was made fails on no input; if it did, evidence decides alone.
        let session = self.session.as_mut();
        let made = session.and_then(|session| session.opinions(&windows).ok());
        let mut made = made.unwrap_or_default().into_iter();
        views.iter().map(|_| [made.next(), made.next()]).collect()
    }
}

/// Devices looked at in one go: with two windows each they fill the largest plan of the model.
const SLICE: usize = 16;
/// The reasons of the model are given anew when the chances moved by so much.
const MOVED: f64 = 0.05;
/// Older reasons are given anew, too: the numbers in them are from then.
const REASONS_NS: u64 = 600_000_000_000;

/// A device as it is looked at.
struct View {
    device: DeviceKey,
    evidence: Evidence,
    /// Nothing when it is the same.
    lately_said: Option<Evidence>,
    now: Window,
    lately: Window,
}

impl View {
    fn of(station: &Station, meanings: &mut Meanings) -> Self {
        let (forwards, last_ns, mac) =
            (station.forwards_for(), station.last_ns(), station.key().mac);
        let is_all = station.facts_lately().count() == station.facts().count();
        let mut meaning = |fact: &Fact| meanings.of(fact);
        let evidence = Evidence::with_meanings(station.facts(), forwards, last_ns, &mut meaning);
        let lately_said = (!is_all).then(|| {
            Evidence::with_meanings(station.facts_lately(), forwards, last_ns, &mut meaning)
        });
        Self {
            device: station.key(),
            evidence,
            lately_said,
            now: Window::new(
                station.features_so_far(),
                station.facts().map(|said| said.fact),
                mac,
            ),
            lately: Window::new(
                station.features_lately(),
                station.facts_lately().map(|said| said.fact),
                mac,
            ),
        }
    }

    fn evidence_lately(&self) -> &Evidence {
        self.lately_said.as_ref().unwrap_or(&self.evidence)
    }
}

/// What of an answer the reasons of the model were given for.
#[derive(Debug)]
struct Shown {
    role: Option<Role>,
    roles: Vec<Role>,
    /// What the model takes it for.
    best: Option<Role>,
    probability: f64,
    time_ns: u64,
}

impl Shown {
    fn of(answer: &Answer, opinion: &Opinion, time_ns: u64) -> Self {
        Self {
            role: answer.role,
            roles: answer.roles.clone(),
            best: opinion.best_role().map(|(role, _)| role),
            probability: answer.probability,
            time_ns,
        }
    }

    /// Whether the reasons given before still do.
    fn is_as(&self, before: Option<&Self>) -> bool {
        before.is_some_and(|before| {
            (self.role, self.best) == (before.role, before.best)
                && self.roles == before.roles
                && (self.probability - before.probability).abs() < MOVED
                && self.time_ns.saturating_sub(before.time_ns) < REASONS_NS
        })
    }
}
