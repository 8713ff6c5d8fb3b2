//! A small hospital whose pumps are not quite those of training.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use wardline_policy::{DeviceKey, MacAddr, VlanKey};

use super::*;
use crate::Role;

const ROLES: [Role; 4] = [
    Role::InfusionPump,
    Role::PatientMonitor,
    Role::Workstation,
    Role::Printer,
];
const ENTER: f32 = 0.9;
const HOUR: u64 = 3_600_000_000_000;

/// xorshift64*: the same on every machine.
struct Chance(u64);

impl Chance {
    /// About normal, deviation 1.
    fn normal(&mut self) -> f32 {
        let mut sum = 0.0;
        for _ in 0..12 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40;
            sum += bits as f32 / (1u64 << 24) as f32;
        }
        sum - 6.0
    }
}

/// Where a role lies in training: 8 features of its own are high.
fn middle(role: Role) -> Vec<f32> {
    let at = ROLES.iter().position(|r| *r == role).unwrap_or(7);
    (0..FEATURES)
        .map(|n| if n / 8 == at { 3.0 } else { 0.0 })
        .collect()
}

/// As a site's devices of a role lie: between two middles.
fn between(role: Role, other: Role, part: f32) -> Vec<f32> {
    let pairs = middle(role).into_iter().zip(middle(other));
    pairs.map(|(a, b)| a * (1.0 - part) + b * part).collect()
}

/// What a model trained on the middles thinks of features.
fn scores(features: &[f32]) -> Vec<f32> {
    let mut scores = vec![-20.0; SCORES];
    for role in ROLES {
        let squares = features
            .iter()
            .zip(middle(role))
            .map(|(x, m)| (x - m) * (x - m));
        scores[role.index()] = -0.12 * squares.sum::<f32>();
    }
    scores[SCORES - 1] = -0.12 * 90.0;
    scores
}

struct Site {
    chance: Chance,
    base: Base,
    standing: BTreeMap<DeviceKey, Standing>,
    samples: Samples,
    alarmed: Vec<DeviceKey>,
    current: Adaptation,
    next: u8,
}

impl Site {
    fn new(seed: u64) -> Self {
        eprintln!("seed {seed}");
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let prototype = |role| Prototype {
            mean: middle(role),
            spread: 0.4,
        };
        let mut replay = Vec::new();
        for role in ROLES {
            for _ in 0..10 {
                let window = window(&mut chance, &middle(role), 1);
                replay.push(Exemplar { role, window });
            }
        }
        let base = Base {
            centre: vec![0.0; FEATURES],
            scale: vec![1.0; FEATURES],
            prototypes: ROLES.into_iter().map(|r| (r, prototype(r))).collect(),
            replay,
            temperature: 1.0,
            quantiles: BTreeMap::new(),
            quantile: 0.85,
        };
        let current = Adaptation::none(&base, head()).unwrap();
        Self {
            chance,
            base,
            standing: BTreeMap::new(),
            samples: Samples::default(),
            alarmed: Vec::new(),
            current,
            next: 0,
        }
    }

    /// A device around these features that a person says has this role.
    fn named(&mut self, role: Role, place: &[f32]) -> DeviceKey {
        self.next += 1;
        let device = DeviceKey {
            mac: MacAddr([0xde, 0xad, 0xbe, 0xef, 0, self.next]),
            vlan: VlanKey::default(),
        };
        let word = Standing {
            role,
            from: None,
            sequence: self.next.into(),
            evidence: None,
        };
        self.standing.insert(device, word);
        for hour in 1..=6 {
            let window = window(&mut self.chance, place, hour);
            self.samples.offer(device, window, false).unwrap();
        }
        device
    }

    fn with<T>(&self, then: impl FnOnce(&Lesson<'_>) -> T) -> T {
        then(&Lesson {
            base: &self.base,
            current: &self.current,
            journal: head(),
            standing: &self.standing,
            samples: &self.samples,
            is_alarmed: &|device| self.alarmed.contains(device),
            enter: ENTER,
        })
    }

    fn update(&self) -> Update {
        self.with(|lesson| update(lesson).unwrap())
    }

    /// What is learnt and may be used.
    fn learn(&self) -> Adaptation {
        let update = self.update();
        let learnt = update.accepted();
        learnt
            .unwrap_or_else(|| panic!("{}", update.words()))
            .clone()
    }

    fn chance_of(&self, adaptation: &Adaptation, role: Role, window: &Window) -> f32 {
        adaptation.chances(&self.base, window)[role.index()]
    }
}

fn head() -> Head {
    Head::beginning(&SigningKey::from_bytes(&[7; 32]).verifying_key())
}

fn window(chance: &mut Chance, place: &[f32], hour: u64) -> Window {
    let features: Vec<f32> = place.iter().map(|x| x + 0.6 * chance.normal()).collect();
    Window::new(hour * HOUR, &features, &scores(&features)).unwrap()
}

fn outcome(report: &Report, trial: Trial) -> &Outcome {
    report.outcomes.iter().find(|o| o.trial == trial).unwrap()
}

#[test]
fn pumps_of_this_house_are_recognised_after_some_were_named() {
    for seed in 1..=5 {
        let mut site = Site::new(seed);
        // Features that no device in training had: nearly as far from pumps as from everything.
        let mut here = middle(Role::InfusionPump);
        here[FEATURES - 8..].fill(2.6);
        for _ in 0..6 {
            site.named(Role::InfusionPump, &here);
        }
        for role in ROLES {
            site.named(role, &middle(role));
        }
        let (update, learnt) = (site.update(), site.learn());
        let pump = Role::InfusionPump;
        for trial in [Trial::Named, Trial::FromOthers] {
            let outcome = outcome(&update.report, trial);
            let (before, after) = (outcome.before[&pump], outcome.after[&pump]);
            assert!(before.recognised <= 4, "{trial:?} {before:?}");
            assert_eq!((after.recognised, after.devices), (7, 7), "{trial:?}");
        }
        // A pump nobody named profits too, and a monitor stays a monitor.
        let pump = window(&mut site.chance, &here, 1);
        assert!(site.chance_of(&learnt, Role::InfusionPump, &pump) > ENTER);
        let monitor = window(&mut site.chance, &middle(Role::PatientMonitor), 1);
        assert!(site.chance_of(&learnt, Role::PatientMonitor, &monitor) > ENTER);
    }
}

#[test]
fn an_update_that_costs_a_protected_role_is_refused_with_the_reason() {
    let mut site = Site::new(1);
    for _ in 0..3 {
        site.named(Role::InfusionPump, &middle(Role::InfusionPump));
    }
    // Somebody names what looks like pumps workstations, again and again.
    let almost = between(Role::InfusionPump, Role::Workstation, 0.1);
    for _ in 0..40 {
        site.named(Role::Workstation, &almost);
    }
    let refused = site.update();
    assert_eq!(refused.accepted(), None);
    let said = refused.words();
    assert!(
        said.starts_with("nothing is learnt: infusion pump: of the "),
        "{said}"
    );
    assert!(refused.refusals.iter().any(|reason| matches!(
        reason,
        Refusal::RecallFalls {
            role: Role::InfusionPump,
            ..
        }
    )));
    assert_eq!(refused.report.learnt_from, 43);
}

#[test]
fn a_poisoned_device_teaches_nothing() {
    let mut site = Site::new(1);
    for _ in 0..4 {
        site.named(Role::InfusionPump, &middle(Role::InfusionPump));
    }
    let clean = site.learn();

    // A confirmed pump that behaves as a workstation, with an open alert.
    let poisoned = site.named(Role::InfusionPump, &middle(Role::Workstation));
    site.alarmed.push(poisoned);
    let again = site.update();
    assert_eq!(again.accepted(), Some(&clean));
    assert_eq!((again.report.learnt_from, again.report.alarmed), (4, 1));
    let odd = window(&mut site.chance, &middle(Role::Workstation), 9);
    assert_eq!(site.samples.offer(poisoned, odd, true), Err(Unfit::Alarmed));

    // The alert is over; what came since it began is forgotten, so there is nothing left.
    site.alarmed.clear();
    site.samples.distrust(&poisoned, 0);
    let after = site.update();
    assert_eq!(after.accepted(), Some(&clean));
    assert_eq!(after.report.without_windows, 1);
}

#[test]
fn what_is_undone_is_unlearnt() {
    let mut site = Site::new(1);
    site.named(Role::Printer, &middle(Role::Printer));
    let before = site.learn();
    let device = site.named(
        Role::PatientMonitor,
        &between(Role::PatientMonitor, Role::Printer, 0.2),
    );
    assert_ne!(site.learn(), before);
    site.standing.remove(&device);
    assert_eq!(site.learn(), before);
}

#[test]
fn what_hardly_moves_is_what_is_in_use() {
    for seed in 1..=5 {
        let mut site = Site::new(seed);
        let mut here = middle(Role::InfusionPump);
        here[FEATURES - 8..].fill(2.6);
        let devices: Vec<DeviceKey> = (0..8)
            .map(|_| site.named(Role::InfusionPump, &here))
            .collect();
        site.current = site.learn();
        let digest = site.current.digest().unwrap();
        // An hour later each has one more window, and the journal one more record.
        for hour in 7..=12 {
            for device in &devices {
                let again = window(&mut site.chance, &here, hour);
                site.samples.offer(*device, again, false).unwrap();
            }
            let journal = Head {
                sequence: hour,
                ..head()
            };
            let update = site.with(|lesson| update(&Lesson { journal, ..*lesson }).unwrap());
            assert_eq!(update.accepted(), Some(&site.current), "seed {seed}");
            assert_eq!(update.digest().unwrap(), digest);
        }
        // What does move is learnt.
        site.named(Role::InfusionPump, &middle(Role::InfusionPump));
        assert_ne!(site.learn(), site.current);
    }
}

#[test]
fn the_head_of_the_journal_is_no_part_of_what_was_learnt() {
    let mut site = Site::new(1);
    site.named(Role::Printer, &middle(Role::Printer));
    let learnt = site.learn();
    let later = Adaptation {
        journal: Head {
            sequence: 9,
            ..learnt.journal
        },
        ..learnt.clone()
    };
    assert_eq!(learnt.digest().unwrap(), later.digest().unwrap());
}

#[test]
fn nothing_is_learnt_from_nothing() {
    let site = Site::new(1);
    assert_eq!(site.update().refusals, [Refusal::NothingToLearn]);
}

#[test]
fn the_model_becomes_less_sure_where_it_is_wrong_and_never_surer() {
    let mut site = Site::new(1);
    for _ in 0..12 {
        site.named(Role::Printer, &middle(Role::Printer));
    }
    let easy = site.learn();
    assert_eq!(easy.temperature, site.base.temperature);
    assert_eq!(easy.quantile(&site.base, Role::Printer), 0.85);

    // A role the model was not trained on, in the middle of another one.
    for _ in 0..12 {
        site.named(Role::Camera, &middle(Role::Workstation));
    }
    let hard = site.update().learnt;
    assert!(hard.temperature > 1.2 * site.base.temperature);
    assert!(hard.quantile(&site.base, Role::Camera) > 0.5);
}

#[test]
fn a_bundle_names_no_device_and_no_person_and_shows_any_change() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let mut site = Site::new(1);
    let device = site.named(Role::InfusionPump, &middle(Role::InfusionPump));
    let alarmed = site.named(Role::InfusionPump, &middle(Role::InfusionPump));
    site.alarmed.push(alarmed);
    let make = |secret| {
        let bundle = |lesson: &Lesson<'_>| Bundle::new(lesson, Digest([1; 32]), 5, secret);
        site.with(bundle).unwrap()
    };
    let bundle = make(&[5; 32]);
    assert_eq!(bundle.devices.len(), 1);
    assert_eq!(bundle.devices[0].windows, site.samples.of(&device));
    assert_eq!(
        bundle.devices[0].pseudonym,
        make(&[5; 32]).devices[0].pseudonym
    );
    assert_ne!(
        bundle.devices[0].pseudonym,
        make(&[6; 32]).devices[0].pseudonym
    );

    let sealed = bundle.clone().seal(&key).unwrap();
    let text = String::from_utf8(sealed.clone()).unwrap().to_lowercase();
    for spelling in [
        "de:ad:be:ef",
        "de-ad-be-ef",
        "deadbeef",
        "222,173,190,239",
        "3q2+7w",
    ] {
        assert!(!text.contains(spelling), "{spelling}");
    }
    assert_eq!(Bundle::open(&sealed, &key.verifying_key()), Ok(bundle));
    for at in (0..sealed.len()).step_by(97) {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(
            Bundle::open(&altered, &key.verifying_key()).is_err(),
            "{at}"
        );
    }
    let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
    assert_eq!(Bundle::open(&sealed, &other), Err(BundleError::Forged));
}

#[test]
fn a_base_is_read_as_it_was_written_and_nonsense_is_refused() {
    let site = Site::new(1);
    let written = serde_json::to_vec(&site.base).unwrap();
    assert_eq!(Base::from_json(&written).unwrap(), site.base);
    let refused = |change: &dyn Fn(&mut Base)| {
        let mut base = site.base.clone();
        change(&mut base);
        Base::from_json(&serde_json::to_vec(&base).unwrap()).is_err()
    };
    assert!(refused(&|base| base.scale[5] = 0.0));
    assert!(refused(&|base| base.centre.truncate(63)));
    assert!(refused(&|base| base.temperature = 0.0));
    assert!(refused(&|base| base.quantile = 1.5));
    assert!(refused(&|base| {
        let pump = base.prototypes.get_mut(&Role::InfusionPump).unwrap();
        pump.spread = -1.0;
    }));
}

proptest! {
    #[test]
    fn where_nothing_is_learnt_nothing_changes(
        features in prop::collection::vec(-1e6..1e6f32, FEATURES),
        scores in prop::collection::vec(-100.0..0.0f32, SCORES),
    ) {
        let site = Site::new(1);
        let window = Window::new(0, &features, &scores).unwrap();
        prop_assert_eq!(site.current.scores(&site.base, &window), scores);
    }

    #[test]
    fn what_is_learnt_changes_scores_within_bounds(
        features in prop::collection::vec(-10.0..10.0f32, FEATURES),
        far in any::<bool>(),
    ) {
        let mut site = Site::new(1);
        for n in 0..5 {
            let part = n as f32 / 10.0;
            site.named(Role::Pacs, &between(Role::Printer, Role::Workstation, part));
        }
        let adaptation = site.update().learnt;
        let features: Vec<f32> = if far { vec![8.0; FEATURES] } else { features };
        let window = Window::new(0, &features, &[0.0; SCORES]).unwrap();
        let scores = adaptation.scores(&site.base, &window);
        prop_assert!(scores.iter().all(|s| s.abs() < 4.7));
        prop_assert!(!far || scores.iter().all(|s| *s == 0.0));
        let chances = adaptation.chances(&site.base, &window);
        prop_assert!((chances.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    }
}
