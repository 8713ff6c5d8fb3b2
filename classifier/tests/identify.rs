//! The classifier of a running gateway: what people say holds, and something is learnt from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use etherparse::PacketBuilder;
use wardline_classifier::Role;
use wardline_classifier::behaviour::{Behaviour, Looks, Settings};
use wardline_classifier::decide::Answer;
use wardline_classifier::identify::Identifier;
use wardline_classifier::learn::{Digest, Head, Refusal, Standing, Update};
use wardline_classifier::model::Model;
use wardline_classifier::observer::Limits;
use wardline_engine::Sample;
use wardline_engine::feature::{Cast, DECISIONS, Finished, Protocol, Window};
use wardline_policy::{DeviceKey, MacAddr, Side};

const MINUTE: u64 = 60_000_000_000;
/// Windows to learn from are at least ten minutes apart.
const APART: u64 = 11 * MINUTE;

fn head() -> Head {
    Head {
        sequence: 1,
        digest: Digest([7; 32]),
    }
}

fn device(number: u8) -> DeviceKey {
    DeviceKey {
        mac: MacAddr([2, 0, 0, 0, 0, number]),
        ..DeviceKey::default()
    }
}

fn standing(devices: &[DeviceKey], role: Role) -> BTreeMap<DeviceKey, Standing> {
    let word = Standing {
        role,
        from: None,
        sequence: 1,
        evidence: None,
    };
    devices.iter().map(|device| (*device, word)).collect()
}

/// A device that reports a number to a server every second, in a protocol nobody knows, each time
/// another one: something new is known of it.
fn speak(identifier: &mut Identifier, device: DeviceKey, from_ns: u64) {
    for second in 0..30 {
        let last = device.mac.0[5];
        let builder = PacketBuilder::ethernet2(device.mac.0, [2, 0, 0, 0, 1, 1])
            .ipv4([10, 0, 0, last], [10, 0, 1, 1], 64)
            .udp(40_000 + u16::from(last), 30_000 + (from_ns / MINUTE) as u16);
        let mut frame = Vec::new();
        builder.write(&mut frame, &[second; 24]).expect("a frame");
        let mut sample = Sample::spare();
        sample.fill(
            Side::Ward,
            &frame,
            from_ns + u64::from(second) * 1_000_000_000,
        );
        identifier.sample(&sample);
    }
}

fn answers(identifier: &mut Identifier, now_ns: u64) -> BTreeMap<DeviceKey, Answer> {
    let mut answers = BTreeMap::new();
    while identifier.look(now_ns, &|_| false, |found| {
        answers.insert(found.device, found.answer.clone());
    }) {}
    answers
}

fn identifier() -> Identifier {
    let model = Model::built_in().expect("the built-in model passes");
    Identifier::new(Limits::default(), Arc::new(model)).expect("it runs")
}

#[test]
fn a_persons_word_is_the_answer_until_it_is_taken_back() {
    let mut identifier = identifier();
    speak(&mut identifier, device(1), MINUTE);
    assert_eq!(answers(&mut identifier, 2 * MINUTE)[&device(1)].role, None);
    assert!(
        answers(&mut identifier, 2 * MINUTE).is_empty(),
        "nothing new"
    );

    identifier.state(device(1), Some(Role::InfusionPump), 3 * MINUTE);
    let stated = answers(&mut identifier, 3 * MINUTE);
    assert_eq!(stated[&device(1)].role, Some(Role::InfusionPump));
    assert!(stated[&device(1)].confirmed && stated[&device(1)].may_enforce);

    identifier.state(device(1), None, 4 * MINUTE);
    let taken_back = answers(&mut identifier, 4 * MINUTE);
    assert_eq!(taken_back[&device(1)].role, None);
    assert!(!taken_back[&device(1)].may_enforce);
}

#[test]
fn ever_new_addresses_take_bounded_room_and_no_word_of_a_person() {
    const ROOM: usize = 64;
    let mut identifier = Identifier::without_model(Limits {
        stations: ROOM,
        ..Limits::default()
    });
    identifier.state(device(1), Some(Role::InfusionPump), MINUTE);
    speak(&mut identifier, device(1), MINUTE);
    for number in 0..20_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let builder = PacketBuilder::ethernet2([6, 0, 0, a, b, c], [0xff; 6])
            .ipv4([10, a, b, c], [255; 4], 64)
            .udp(40_000, 30_000);
        let mut frame = Vec::new();
        builder.write(&mut frame, &[0; 24]).expect("a frame");
        let mut sample = Sample::spare();
        let time_ns = 2 * MINUTE + u64::from(number) * 1_000_000;
        sample.fill(Side::Ward, &frame, time_ns);
        identifier.sample(&sample);
        let room = identifier.room();
        assert!(room.stations <= ROOM && room.devices <= ROOM, "{room:?}");
    }
    let room = identifier.room();
    assert!(room.forgotten > 19_000 && room.unobserved == 0, "{room:?}");
    assert_eq!(
        answers(&mut identifier, APART)[&device(1)].role,
        Some(Role::InfusionPump)
    );
    // The one that comes now is named as ever.
    speak(&mut identifier, device(2), APART);
    assert!(answers(&mut identifier, 2 * APART).contains_key(&device(2)));
}

/// A device announces what it is by WS-Discovery.
fn announce(identifier: &mut Identifier, device: DeviceKey, kind: &str, now_ns: u64) {
    let payload = format!("<Envelope><Body><Hello><Types>{kind}</Types></Hello></Body></Envelope>");
    let builder = PacketBuilder::ethernet2(device.mac.0, [1, 0, 0x5e, 0x7f, 0xff, 0xfa])
        .ipv4([10, 0, 0, device.mac.0[5]], [239, 255, 255, 250], 4)
        .udp(3_702, 3_702);
    let mut frame = Vec::new();
    builder
        .write(&mut frame, payload.as_bytes())
        .expect("a frame");
    let mut sample = Sample::spare();
    sample.fill(Side::Ward, &frame, now_ns);
    identifier.sample(&sample);
}

/// A window of frames of one length.
fn send(identifier: &mut Identifier, device: DeviceKey, len: usize, now_ns: u64) {
    let mut window = Window::default();
    for frame in 0..u64::from(DECISIONS[0]) {
        let (way, time_ns) = ((Side::Ward, Cast::One), now_ns + frame * 1_000_000_000);
        window.add(way, len, Protocol::Udp, time_ns);
    }
    identifier.window(&Finished {
        device,
        time_ns: now_ns,
        frames: DECISIONS[0],
        window,
    });
}

#[test]
fn a_confirmed_device_that_becomes_another_drifts_and_the_others_do_not() {
    const HOUR: u64 = 60 * MINUTE;
    const CAMERA: &str = "NetworkVideoTransmitter";
    let mut identifier = identifier();
    let mut behaviour = Behaviour::new(Settings {
        learn_s: 0,
        learn_at_most_s: 0,
        ..Settings::default()
    });
    let [other, same, silent] = [1, 2, 3].map(device);
    let mut drifts = BTreeMap::new();
    for device in [other, same, silent] {
        identifier.state(device, Some(Role::Camera), HOUR);
    }
    for hour in 1..=140 {
        let now_ns = hour * HOUR;
        // It was a camera for four days, and whatever it said then goes on to prove it.
        let (kind, len) = if hour > 100 {
            ("NothingKnown", 1_400)
        } else {
            (CAMERA, 200)
        };
        announce(&mut identifier, other, kind, now_ns);
        announce(&mut identifier, same, CAMERA, now_ns);
        if hour == 1 {
            announce(&mut identifier, silent, CAMERA, now_ns);
        }
        for (device, len) in [(other, len), (same, 200), (silent, 200)] {
            send(&mut identifier, device, len, now_ns);
        }
        while identifier.look(now_ns, &|_| false, |found| {
            let looks = Looks {
                time_ns: now_ns,
                device: found.device,
                confirmed: found.answer.role,
                roles: found.seen,
            };
            behaviour.looks(&looks, &mut |_| {});
            drifts.insert(found.device, found.answer.drift.clone());
            assert_eq!(found.answer.role, Some(Role::Camera));
        }) {}
        if hour <= 100 {
            assert!(drifts.values().all(Option::is_none), "{hour}: {drifts:?}");
        }
    }
    let said = drifts[&other].as_deref().expect("it became another");
    assert!(said.starts_with("No longer behaves as camera"), "{said}");
    assert!(behaviour.is_alarmed(&other));
    for device in [same, silent] {
        assert_eq!(drifts[&device], None);
        assert!(!behaviour.is_alarmed(&device));
    }
}

#[test]
fn devices_are_looked_at_a_few_at_a_time_and_each_answer_has_its_reasons() {
    let mut identifier = identifier();
    let devices: Vec<DeviceKey> = (1..=40).map(device).collect();
    let mut reasons = BTreeMap::new();
    for turn in 1..=3 {
        for device in &devices {
            speak(&mut identifier, *device, turn * MINUTE);
            send(&mut identifier, *device, 300, turn * MINUTE);
        }
        let mut slices = Vec::new();
        loop {
            let mut slice = Vec::new();
            let more = identifier.look(turn * MINUTE, &|_| false, |found| {
                let given = &found.answer.features;
                assert!(!given.is_empty(), "an answer without reasons");
                reasons.insert(found.device, given.clone());
                slice.push(found.device);
            });
            slices.push(slice);
            if !more {
                break;
            }
        }
        assert!(slices.len() > 1 && slices.iter().all(|slice| slice.len() <= 16));
        assert_eq!(slices.concat(), devices, "each once");
    }
    assert_eq!(reasons.len(), devices.len());
}

/// An identifier that has watched six devices people named so, and what came of learning.
fn taught(role: Role) -> (Identifier, Update) {
    let mut identifier = identifier();
    let named: Vec<DeviceKey> = (1..=6).map(device).collect();
    for device in &named {
        identifier.state(*device, Some(role), MINUTE);
    }
    for turn in 1..=4 {
        for device in &named {
            speak(&mut identifier, *device, turn * APART);
        }
        answers(&mut identifier, turn * APART + MINUTE);
    }
    assert_eq!(identifier.learnt().0.of(&named[0]).len(), 4);
    let words = standing(&named, role);
    let mut seen = 0;
    let update = identifier
        .learn(head(), &words, &|_| false, |_| seen += 1)
        .expect("there is a model");
    assert_eq!((seen, update.report.learnt_from), (1, named.len()));
    (identifier, update)
}

#[test]
fn what_is_learnt_is_used_unless_it_is_refused() {
    for role in Role::ALL.iter().copied() {
        let (identifier, update) = taught(role);
        let in_use = identifier.learnt().1;
        assert_eq!(in_use, update.accepted(), "{role}: {}", update.words());
    }
}

#[test]
fn what_is_learnt_from_named_devices_is_forgotten_with_the_words() {
    let accepted = Role::ALL.iter().copied().find_map(|role| {
        let (identifier, update) = taught(role);
        update.accepted().is_some().then_some((role, identifier))
    });
    let (role, mut identifier) = accepted.expect("what people say counts for some role at least");
    let (samples, learnt) = identifier.learnt();
    let (samples, learnt) = (samples.clone(), learnt.expect("it is in use").clone());
    assert!(learnt.middles.contains_key(&role));

    // Over a restart it is in use again, but not with another model.
    let mut restarted = self::identifier();
    assert!(restarted.resume(samples.clone(), Some(learnt.clone())));
    assert_eq!(restarted.learnt().1, Some(&learnt));
    let mut foreign = learnt;
    foreign.base = Digest([1; 32]);
    assert!(!restarted.resume(samples, Some(foreign)));
    assert_eq!(restarted.learnt().1, None);

    let nobody = BTreeMap::new();
    let update = identifier
        .learn(head(), &nobody, &|_| false, |_| {})
        .expect("there is a model");
    assert!(update.refusals.contains(&Refusal::NothingToLearn));
    assert_eq!(identifier.learnt().1, None);
}

#[test]
fn nothing_is_learnt_from_a_device_with_an_open_alert() {
    let mut identifier = identifier();
    identifier.state(device(1), Some(Role::InfusionPump), MINUTE);
    speak(&mut identifier, device(1), APART);
    answers(&mut identifier, APART + MINUTE);
    assert_eq!(identifier.learnt().0.of(&device(1)).len(), 1);
    identifier.distrust(&device(1), APART);
    assert_eq!(identifier.learnt().0.of(&device(1)).len(), 0);
    speak(&mut identifier, device(1), 2 * APART);
    identifier.look(2 * APART + MINUTE, &|_| true, |_| {});
    assert_eq!(identifier.learnt().0.of(&device(1)).len(), 0);
    let words = standing(&[device(1)], Role::InfusionPump);
    let update = identifier
        .learn(head(), &words, &|_| true, |_| {})
        .expect("there is a model");
    assert_eq!(update.report.alarmed, 1);
    assert_eq!(update.refusals, [Refusal::NothingToLearn]);
}
