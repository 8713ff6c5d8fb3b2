//! Days on a ward. Every scenario runs with several seeds and says which one it is at.

use core::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use wardline_policy::{DeviceKey, Initiator, MacAddr, VlanKey};

use super::settings::{DAY, HOUR, MINUTE, SECOND};
use super::*;
use crate::Role;

const SEEDS: u64 = 8;
/// Scenarios begin on a midnight in UTC.
const START: u64 = 20_000 * DAY;
/// Days of ordinary life before anything happens.
const LEARNT_DAYS: u64 = 8;

const SERVER: &str = "10.20.0.5";
const CLOCK: &str = "10.20.0.1";
const OUTSIDE: &str = "203.0.113.9";

fn pump() -> DeviceKey {
    device(7)
}

fn device(n: u32) -> DeviceKey {
    let [a, b, c, d] = n.to_be_bytes();
    DeviceKey {
        mac: MacAddr([2, 0, a, b, c, d]),
        vlan: VlanKey::default(),
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// xorshift64*: the same on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 to below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A notice as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Raised,
    Joined,
    Changed,
    Resumed,
    Ended,
}

struct Ward {
    watch: Behaviour,
    chance: Chance,
    told: Vec<(Told, Alert)>,
    /// Bytes sent and received in the current minute.
    bytes: [u64; 2],
    minute_ends: u64,
}

impl Ward {
    fn new(seed: u64) -> Self {
        eprintln!("seed {seed}");
        Self {
            watch: Behaviour::new(Settings::default()),
            chance: Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            told: Vec::new(),
            bytes: [0; 2],
            minute_ends: START + MINUTE,
        }
    }

    /// One that has known the pump for some days.
    fn learnt(seed: u64) -> (Self, u64) {
        let mut ward = Self::new(seed);
        for day in 0..LEARNT_DAYS {
            ward.pump_day(START + day * DAY, &mut |_, _| {});
        }
        assert!(ward.watch.is_learnt(&pump()));
        assert_eq!(ward.told, []);
        (ward, START + LEARNT_DAYS * DAY)
    }

    fn converse(&mut self, talk: &Conversation<'_>) {
        self.bytes[0] += talk.sent;
        self.bytes[1] += talk.received;
        self.watch.converse(talk, &mut note(&mut self.told));
    }

    /// The minutes up to this time.
    fn advance(&mut self, now: u64) {
        while self.minute_ends <= now {
            let [sent, received] = core::mem::take(&mut self.bytes);
            let minute = Minute {
                time_ns: self.minute_ends,
                device: pump(),
                sent,
                received,
            };
            self.watch.minute(&minute, &mut note(&mut self.told));
            self.watch
                .advance(self.minute_ends, &mut note(&mut self.told));
            self.minute_ends += MINUTE;
        }
    }

    /// A day of a ward pump: a heartbeat to its server about every 30 s with a report now and
    /// then, its clock about every 17 minutes. `extra` is called between heartbeats.
    fn pump_day(&mut self, midnight: u64, extra: &mut dyn FnMut(&mut Self, u64)) {
        let mut now = midnight + self.chance.below(30 * SECOND);
        let mut clock = now;
        while now < midnight + DAY {
            self.advance(now);
            let report = self.chance.below(20) == 0;
            let sent = if report { 2_500 } else { 300 } + self.chance.below(100);
            self.converse(&Conversation {
                service: Some("hl7"),
                sent,
                received: 200,
                ..talk(now, SERVER, 2_575)
            });
            if now >= clock {
                self.converse(&Conversation {
                    protocol: 17,
                    service: Some("ntp"),
                    sent: 48,
                    received: 48,
                    ..talk(now, CLOCK, 123)
                });
                clock += 1_024 * SECOND;
            }
            extra(self, now);
            now += 25 * SECOND + self.chance.below(10 * SECOND);
        }
        self.advance(midnight + DAY);
    }

    fn count(&self, what: Told) -> usize {
        self.told.iter().filter(|(told, _)| *told == what).count()
    }

    /// The only alert there was, as it was told last: raised once, ended once at the end.
    #[track_caller]
    fn only_alert(&self) -> &Alert {
        let raised = self.told.iter().filter(|(told, _)| *told == Told::Raised);
        let reasons: Vec<_> = raised.map(|(_, alert)| alert.reasons()).collect();
        assert_eq!(reasons.len(), 1, "{reasons:#?}");
        let (last, alert) = self.told.last().unwrap();
        assert_eq!(*last, Told::Ended);
        alert
    }
}

fn note(told: &mut Vec<(Told, Alert)>) -> impl FnMut(Notice<'_>) {
    |notice| {
        told.push(match notice {
            Notice::Raised(alert) => (Told::Raised, alert.clone()),
            Notice::Joined(alert) => (Told::Joined, alert.clone()),
            Notice::Changed(alert) => (Told::Changed, alert.clone()),
            Notice::Resumed(alert) => (Told::Resumed, alert.clone()),
            Notice::Ended(alert) => (Told::Ended, alert.clone()),
        });
    }
}

/// A TCP conversation the pump opens, allowed, without bytes.
fn talk(now: u64, peer: &str, port: u16) -> Conversation<'static> {
    Conversation {
        time_ns: now,
        began_ns: now,
        device: pump(),
        initiator: Initiator::Device,
        peer: address(peer),
        protocol: 6,
        port,
        service: None,
        sent: 0,
        received: 0,
        outcome: Outcome::Allowed,
    }
}

/// Whether a heartbeat at `now` is the first one after this time.
fn first_after(now: u64, at: u64, done: &mut bool) -> bool {
    now >= at && !core::mem::replace(done, now >= at)
}

#[test]
fn a_day_of_a_ward_pump_is_no_alert() {
    for seed in 1..=SEEDS {
        let (mut ward, midnight) = Ward::learnt(seed);
        // Once a month the drug library comes: 6 MB from the server, in the heartbeat's
        // conversation, never seen while the pump was learnt.
        let (at, mut pushed) = (midnight + ward.chance.below(20) * HOUR, false);
        ward.pump_day(midnight, &mut |ward, now| {
            if first_after(now, at, &mut pushed) {
                ward.converse(&Conversation {
                    service: Some("hl7"),
                    received: 6 << 20,
                    sent: 90_000,
                    ..talk(now, SERVER, 2_575)
                });
            }
        });
        assert!(pushed);
        assert_eq!(ward.told, []);
        assert_eq!(ward.watch.alerts().count(), 0);
    }
}

#[test]
fn a_scan_is_one_alert_and_ends() {
    for seed in 1..=SEEDS {
        let (mut ward, midnight) = Ward::learnt(seed);
        let (at, mut done) = (midnight + ward.chance.below(20) * HOUR, false);
        ward.pump_day(midnight, &mut |ward, now| {
            if first_after(now, at, &mut done) {
                for n in 0..200u64 {
                    let peer = Ipv4Addr::new(10, 20, 1, n as u8).to_string();
                    ward.converse(&Conversation {
                        outcome: Outcome::Denied,
                        ..talk(now + n * SECOND / 10, &peer, 445)
                    });
                }
            }
        });
        let alert = ward.only_alert();
        assert_eq!(alert.kind(), Some(Kind::Scan));
        let reasons = alert.reasons();
        assert!(
            reasons[0].contains("addresses it has nothing to do with"),
            "{reasons:?}"
        );
        assert!(reasons[0].contains("SMB"), "{reasons:?}");
        assert!(reasons[0].contains("policy refused all"), "{reasons:?}");
        assert!(alert.score() > 0.7);
    }
}

#[test]
fn a_slow_scan_is_one_alert_too() {
    for seed in 1..=SEEDS {
        let (mut ward, midnight) = Ward::learnt(seed);
        let mut next = 0u8;
        ward.pump_day(midnight, &mut |ward, now| {
            if now >= midnight + HOUR && next < 150 {
                let peer = Ipv4Addr::new(10, 20, 1, next).to_string();
                ward.converse(&talk(now, &peer, 3_389));
                next += 1;
            }
        });
        let alert = ward.only_alert();
        assert_eq!(alert.kind(), Some(Kind::Scan));
        assert!(alert.reasons()[0].starts_with("Within an hour"));
    }
}

#[test]
fn a_port_scan_of_the_device_is_one_alert() {
    for seed in 1..=SEEDS {
        let (mut ward, midnight) = Ward::learnt(seed);
        let (at, mut done) = (midnight + ward.chance.below(20) * HOUR, false);
        ward.pump_day(midnight, &mut |ward, now| {
            if first_after(now, at, &mut done) {
                for port in 1..500 {
                    ward.converse(&Conversation {
                        initiator: Initiator::Peer,
                        outcome: Outcome::Denied,
                        ..talk(now + u64::from(port) * SECOND / 50, "10.20.3.66", port)
                    });
                }
            }
        });
        let alert = ward.only_alert();
        assert_eq!(alert.kind(), Some(Kind::Scan));
        assert!(
            alert.reasons()[0].contains("10.20.3.66 tried"),
            "{:?}",
            alert.reasons()
        );
    }
}

#[test]
fn a_beacon_is_one_alert_and_ends() {
    for (seed, period_s) in (1..=SEEDS).zip([10, 60, 300, 900].into_iter().cycle()) {
        let (mut ward, midnight) = Ward::learnt(seed);
        let mut next = midnight + HOUR;
        ward.pump_day(midnight, &mut |ward, now| {
            if now >= next && now < midnight + 12 * HOUR {
                ward.converse(&Conversation {
                    service: Some("tls"),
                    sent: 400,
                    received: 150,
                    ..talk(now, OUTSIDE, 443)
                });
                let jitter = ward.chance.below(period_s * SECOND * 3 / 10);
                next = now + period_s * SECOND - jitter;
            }
        });
        let alert = ward.only_alert();
        assert_eq!(alert.kind(), Some(Kind::Beacon));
        let reasons = alert.reasons();
        assert!(reasons[0].contains("calls 203.0.113.9 (outside the house) about every"));
        assert_eq!(alert.key(), "02:00:00:00:00:07/peer/203.0.113.9");
    }
}

#[test]
fn calls_outside_seen_while_learning_are_no_beacon() {
    let mut ward = Ward::new(1);
    for day in 0..LEARNT_DAYS + 1 {
        ward.pump_day(START + day * DAY, &mut |ward, now| {
            ward.converse(&Conversation {
                service: Some("tls"),
                ..talk(now, OUTSIDE, 443)
            });
        });
    }
    assert_eq!(ward.told, []);
}

/// When a long conversation is told.
#[derive(Clone, Copy)]
enum Telling {
    BitByBit,
    AtBothEnds,
    AtTheEnd,
}

#[test]
fn an_exfiltration_is_one_alert_and_ends() {
    for seed in 1..=SEEDS {
        for telling in [Telling::BitByBit, Telling::AtBothEnds, Telling::AtTheEnd] {
            let (mut ward, midnight) = Ward::learnt(seed);
            let began = midnight + HOUR + ward.chance.below(20) * HOUR;
            let ends = began + 20 * MINUTE;
            let mut done = false;
            let mut total = 0;
            ward.pump_day(midnight, &mut |ward, now| {
                if now < began || done {
                    return;
                }
                done = now >= ends;
                let first = total == 0;
                let sent = 1_500_000;
                total += sent;
                ward.bytes[0] += sent;
                let told = match telling {
                    Telling::BitByBit => Some(sent),
                    Telling::AtBothEnds if first => Some(0),
                    _ => done.then_some(total),
                };
                if let Some(sent) = told {
                    let talk = Conversation {
                        began_ns: began,
                        service: Some("tls"),
                        sent,
                        ..talk(now, OUTSIDE, 443)
                    };
                    ward.watch.converse(&talk, &mut note(&mut ward.told));
                }
            });
            let alert = ward.only_alert();
            assert_eq!(alert.kind(), Some(Kind::Volume));
            let reasons = alert.reasons();
            assert!(reasons[0].starts_with("It sent "), "{reasons:?}");
            assert!(reasons[1].contains("203.0.113.9"), "{reasons:?}");
            assert!(alert.last_ns < ends + 70 * MINUTE);
        }
    }
}

#[test]
fn an_exfiltration_to_the_usual_server_is_one_alert() {
    let (mut ward, midnight) = Ward::learnt(3);
    ward.pump_day(midnight, &mut |ward, now| {
        if (midnight + 5 * HOUR..midnight + 7 * HOUR).contains(&now) {
            ward.converse(&Conversation {
                service: Some("hl7"),
                sent: 1_000_000,
                ..talk(now, SERVER, 2_575)
            });
        }
    });
    let alert = ward.only_alert();
    assert_eq!(alert.kind(), Some(Kind::Volume));
    assert!(alert.reasons()[0].contains("Most of it went to 10.20.0.5"));
}

#[test]
fn a_new_direction_is_one_alert_and_ends() {
    for seed in 1..=SEEDS {
        let (mut ward, midnight) = Ward::learnt(seed);
        let (at, mut done) = (midnight + ward.chance.below(20) * HOUR, false);
        ward.pump_day(midnight, &mut |ward, now| {
            if first_after(now, at, &mut done) {
                ward.converse(&Conversation {
                    initiator: Initiator::Peer,
                    ..talk(now, SERVER, 23)
                });
            }
        });
        let alert = ward.only_alert();
        assert_eq!(alert.kind(), Some(Kind::NewDirection));
        assert_eq!(
            alert.reasons(),
            [
                "10.20.0.5 opened a conversation with it: remote login, telnet (23/tcp). In 8 days \
                 that address never called it but was called by it."
            ]
        );
    }
}

#[test]
fn a_new_service_with_a_known_peer_is_one_alert() {
    let (mut ward, midnight) = Ward::learnt(1);
    let mut done = false;
    ward.pump_day(midnight, &mut |ward, now| {
        if first_after(now, midnight + HOUR, &mut done) {
            ward.converse(&talk(now, SERVER, 445));
        }
    });
    let alert = ward.only_alert();
    assert_eq!(alert.kind(), Some(Kind::NewService));
    assert!(alert.reasons()[0].ends_with("In 8 days it was only hl7 with that address."));
}

#[test]
fn new_peers_of_one_service_at_a_time_are_one_alert() {
    let (mut ward, midnight) = Ward::learnt(1);
    let mut next = 0;
    ward.pump_day(midnight, &mut |ward, now| {
        if now > midnight + HOUR && next < 5 {
            next += 1;
            let peer = format!("10.20.0.{}", 100 + next);
            ward.converse(&Conversation {
                service: Some("hl7"),
                ..talk(now, &peer, 2_575)
            });
        }
    });
    let alert = ward.only_alert();
    assert_eq!(alert.kind(), Some(Kind::NewPeer));
    assert_eq!(
        alert.reasons()[1],
        "5 peers are concerned: 10.20.0.101, 10.20.0.102, 10.20.0.103 and 2 more."
    );
}

#[test]
fn what_comes_and_goes_is_raised_once_and_what_is_accepted_no_more() {
    let (mut ward, midnight) = Ward::learnt(1);
    let mut next = midnight;
    let visits = &mut |ward: &mut Ward, now: u64| {
        if now >= next {
            next += 2 * HOUR;
            ward.converse(&talk(now, "10.20.0.99", 8_443));
        }
    };
    ward.pump_day(midnight, visits);
    assert_eq!(ward.count(Told::Raised), 1);
    // Each time it takes twice as long until it counts as gone.
    assert!((3..=5).contains(&ward.count(Told::Resumed)));
    assert!((3..=5).contains(&ward.count(Told::Ended)));

    let id = ward.told[0].1.id;
    assert!(ward.watch.accept(id, &mut |_| {}));
    assert!(!ward.watch.accept(id, &mut |_| {}));
    ward.told.clear();
    ward.pump_day(midnight + DAY, visits);
    assert_eq!(ward.told, []);
}

#[test]
fn a_drift_is_one_alert_and_ends_when_the_device_is_itself_again() {
    let (mut ward, midnight) = Ward::learnt(1);
    let compromised = midnight + 3 * HOUR..midnight + 6 * HOUR;
    ward.pump_day(midnight, &mut |ward, now| {
        let roles: &[Role] = if compromised.contains(&now) {
            &[Role::Workstation]
        } else {
            &[Role::InfusionPump]
        };
        let looks = Looks {
            time_ns: now,
            device: pump(),
            confirmed: Some(Role::InfusionPump),
            roles,
        };
        ward.watch.looks(&looks, &mut note(&mut ward.told));
    });
    let alert = ward.only_alert();
    assert_eq!(alert.kind(), Some(Kind::RoleDrift));
    let reason = &alert.reasons()[0];
    assert!(
        reason.starts_with("It no longer behaves as: infusion pump. For "),
        "{reason}"
    );
    assert!(
        reason.ends_with("it looks like: workstation. It was confirmed to be one."),
        "{reason}"
    );
    let ended = alert.last_ns;
    assert!(ended < compromised.end && ended > compromised.end - HOUR);
}

#[test]
fn a_change_of_shift_is_no_alert() {
    for seed in 1..=SEEDS {
        let mut ward = Ward::new(seed);
        // A workstation: logons and many web sites at 7, 15 and 23 o'clock, less in between. On
        // the last day the clocks change: everything is an hour later.
        let days = LEARNT_DAYS + 2;
        for day in 0..days {
            let shift = u64::from(day + 1 == days);
            ward.pump_day(START + day * DAY, &mut |ward, now| {
                let hour = (now % DAY) / HOUR;
                let busy = [7, 15, 23].contains(&((hour + 24 - shift) % 24));
                let calls = if busy { 6 } else { ward.chance.below(2) };
                for _ in 0..calls {
                    let site = ward.chance.below(3_000) as u32;
                    let peer = Ipv4Addr::from_bits(0x0b00_0000 + site * 997).to_string();
                    let sent = 20_000 + ward.chance.below(60_000);
                    ward.converse(&Conversation {
                        service: Some("tls"),
                        sent,
                        received: 10 * sent,
                        ..talk(now, &peer, 443)
                    });
                }
            });
        }
        let told: Vec<_> = ward.told.iter().map(|(t, a)| (t, a.reasons())).collect();
        assert!(told.is_empty(), "{told:#?}");
    }
}

#[test]
fn a_printer_may_be_called_by_whoever_prints() {
    let mut ward = Ward::new(1);
    for day in 0..LEARNT_DAYS + 2 {
        ward.pump_day(START + day * DAY, &mut |ward, now| {
            let client = Ipv4Addr::new(10, 30, 1, ward.chance.below(250) as u8).to_string();
            ward.converse(&Conversation {
                initiator: Initiator::Peer,
                service: Some("ipp"),
                ..talk(now, &client, 631)
            });
        });
    }
    assert_eq!(ward.told, []);
}

#[test]
fn the_memory_survives_a_restart() {
    let (ward, midnight) = Ward::learnt(1);
    let written = serde_json::to_string(&ward.watch.memory()).unwrap();
    let read: Memory = serde_json::from_str(&written).unwrap();
    let mut resumed = Behaviour::resume(Settings::default(), read);
    let again = serde_json::to_string(&resumed.memory()).unwrap();
    assert_eq!(written, again);
    let mut told = Vec::new();
    resumed.converse(&talk(midnight, OUTSIDE, 443), &mut note(&mut told));
    assert!(resumed.is_alarmed(&pump()));
    assert_eq!(resumed.alarmed_since(&pump()), Some(midnight));
    assert_eq!(resumed.alarmed_since(&device(999)), None);
    resumed.advance(midnight + MINUTE, &mut note(&mut told));
    assert_eq!(told.len(), 1);
}

#[test]
fn a_million_peers_leave_memory_bounded_and_few_alerts() {
    let (mut ward, midnight) = Ward::learnt(1);
    let before = ward.watch.size();
    for n in 0..1_000_000u32 {
        let now = midnight + u64::from(n) * SECOND / 20;
        let mut talk = talk(now, OUTSIDE, (n % 60_000) as u16);
        talk.peer = Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761)).into();
        talk.initiator = if n % 2 == 0 {
            Initiator::Device
        } else {
            Initiator::Peer
        };
        ward.watch.converse(&talk, &mut note(&mut ward.told));
        if n % 1_200 == 0 {
            ward.watch.advance(now, &mut note(&mut ward.told));
        }
    }
    assert!(ward.watch.size() < before + 1_000, "{}", ward.watch.size());
    let written = serde_json::to_string(&ward.watch.memory()).unwrap();
    assert!(written.len() < 200_000, "{}", written.len());
    // Nearly 14 hours at six an hour, and the first hour's share at once.
    assert!(
        ward.count(Told::Raised) <= 6 * 15,
        "{}",
        ward.count(Told::Raised)
    );
    let counters = ward.watch.counters();
    assert!(counters.folded > 0);
}

#[test]
fn a_million_peers_while_learning_leave_memory_bounded() {
    let mut watch = Behaviour::new(Settings::default());
    for n in 0..1_000_000u32 {
        let mut talk = talk(
            START + u64::from(n) * SECOND / 20,
            OUTSIDE,
            (n % 60_000) as u16,
        );
        talk.peer = Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761)).into();
        watch.converse(&talk, &mut |_| {});
    }
    assert!(watch.size() < 48 * 33 + 128 + 32 * 18, "{}", watch.size());
    assert!(watch.counters().services_full > 0);
}

/// Learns a device after three days with something said on each.
fn few(devices: usize) -> Behaviour {
    Behaviour::new(Settings {
        devices,
        learn_s: HOUR / SECOND,
        learn_conversations: 30,
        learn_at_most_s: 2 * HOUR / SECOND,
        ..Settings::default()
    })
}

fn one_talk(watch: &mut Behaviour, n: u32, now: u64) {
    let talk = Conversation {
        device: device(n),
        ..talk(now, SERVER, 1)
    };
    watch.converse(&talk, &mut |_| {});
}

#[test]
fn one_device_more_than_there_is_room_for_is_counted() {
    let mut watch = few(2);
    for day in 0..3 {
        for n in [1, 2] {
            one_talk(&mut watch, n, START + day * DAY);
        }
    }
    assert!([1, 2].iter().all(|n| watch.is_learnt(&device(*n))));
    one_talk(&mut watch, 2, START + 20 * DAY);
    one_talk(&mut watch, 3, START + 20 * DAY);
    assert_eq!(watch.counters().devices_full, 1);
    one_talk(&mut watch, 3, START + 33 * DAY);
    let counters = watch.counters();
    assert_eq!((counters.devices_full, counters.devices_forgotten), (1, 1));
    assert!(watch.is_learnt(&device(2)) && !watch.is_learnt(&device(1)));
}

#[test]
fn ever_new_devices_make_room_for_each_other_and_not_for_those_learnt() {
    const ROOM: usize = 64;
    let mut watch = few(ROOM);
    for day in 0..3 {
        one_talk(&mut watch, 1, START + day * DAY);
    }
    let now = START + 3 * DAY;
    // Being learnt, silent for a while.
    for minute in 0..30 {
        one_talk(&mut watch, 2, now + minute * MINUTE);
    }
    for n in 0..100_000_u32 {
        one_talk(
            &mut watch,
            1_000 + n,
            now + 30 * MINUTE + u64::from(n) * SECOND / 100,
        );
        assert!(watch.devices() <= ROOM);
    }
    let counters = watch.counters();
    assert_eq!(counters.devices_full, 0);
    assert!(counters.devices_forgotten > 99_000);
    assert!(watch.is_learnt(&device(1)));
    // What was learnt of it so far is still there.
    one_talk(&mut watch, 2, now + 80 * MINUTE);
    assert!(watch.is_learnt(&device(2)));
}

#[test]
fn the_rate_holds_alerts_back_and_tells_them_later() {
    let (mut ward, midnight) = Ward::learnt(1);
    let now = midnight + HOUR;
    for n in 0..10 {
        let service = format!("odd{n}");
        let peer = format!("10.2{n}.0.1");
        // Far enough apart not to be a scan.
        ward.watch.converse(
            &Conversation {
                service: Some(&service),
                ..talk(now + n * 4 * SECOND, &peer, 5_000)
            },
            &mut note(&mut ward.told),
        );
    }
    ward.watch
        .advance(now + 2 * MINUTE, &mut note(&mut ward.told));
    assert_eq!(ward.count(Told::Raised), 6);
    assert_eq!(ward.watch.counters().over_device_rate, 4);
    // One more each ten minutes; the last ones have gone quiet by then.
    ward.watch
        .advance(now + 12 * MINUTE, &mut note(&mut ward.told));
    assert_eq!(ward.count(Told::Raised), 7);
    ward.watch
        .advance(now + 60 * MINUTE, &mut note(&mut ward.told));
    assert_eq!(ward.count(Told::Raised), 7);
    assert_eq!(ward.count(Told::Ended), 7);
    assert!(!ward.watch.is_alarmed(&pump()));
}

/// A watch that has known so many devices, all of which call one server.
fn many(devices: u32) -> (Behaviour, u64) {
    let mut watch = Behaviour::new(Settings::default());
    let mut now = START;
    for _ in 0..LEARNT_DAYS * 48 {
        now += HOUR / 2;
        for n in 0..devices {
            let talk = Conversation {
                device: device(n),
                ..talk(now, SERVER, 2_575)
            };
            watch.converse(&talk, &mut |_| panic!("still learning"));
        }
    }
    assert!((0..devices).all(|n| watch.is_learnt(&device(n))));
    (watch, now)
}

#[test]
fn what_one_peer_does_to_many_devices_is_raised_once() {
    let sweep = |n: u32, port: u16, now| Conversation {
        device: device(n),
        initiator: Initiator::Peer,
        ..talk(now, "10.20.3.66", port)
    };
    let moved = |n: u32, _, now| Conversation {
        device: device(n),
        ..talk(now, "10.20.0.6", 2_575)
    };
    type Talk<'a> = &'a dyn Fn(u32, u16, u64) -> Conversation<'static>;
    for (talk, kind) in [(&sweep as Talk<'_>, Kind::Scan), (&moved, Kind::NewPeer)] {
        let (mut watch, now) = many(50);
        let mut told = Vec::new();
        for n in 0..50 {
            for port in 1..100 {
                let now = now + u64::from(n) * 10 * SECOND + u64::from(port) * SECOND / 20;
                watch.converse(&talk(n, port, now), &mut note(&mut told));
            }
        }
        assert!((0..50).all(|n| watch.is_alarmed(&device(n))));
        for minute in 0..60 {
            watch.advance(now + minute * MINUTE, &mut note(&mut told));
        }
        let all = |what| told.iter().filter(move |(told, _)| *told == what);
        assert_eq!(all(Told::Raised).count(), 1);
        assert_eq!(all(Told::Joined).count(), 49);
        assert_eq!(all(Told::Ended).count(), 50);
        let leader = all(Told::Raised).next().map(|(_, alert)| alert.id);
        assert!(all(Told::Joined).all(|(_, a)| a.part_of == leader && a.kind() == Some(kind)));
    }
}

#[test]
fn the_same_told_twice_is_the_same_answer() {
    let run = || {
        let (mut ward, midnight) = Ward::learnt(5);
        ward.pump_day(midnight, &mut |ward, now| {
            let site = ward.chance.below(1 << 32) as u32;
            let peer = Ipv4Addr::from_bits(site).to_string();
            ward.converse(&talk(now, &peer, (site >> 16) as u16));
        });
        (
            ward.told,
            serde_json::to_string(&ward.watch.memory()).unwrap(),
        )
    };
    assert_eq!(run(), run());
}

/// Anything that may be told.
#[derive(Debug, Clone)]
enum Any {
    Talk {
        device: u32,
        peer: u32,
        port: u16,
        ports: u8,
        out: bool,
        named: bool,
        bytes: u64,
    },
    Minute {
        device: u32,
        bytes: [u64; 2],
    },
    Looks {
        device: u32,
        confirmed: bool,
        role: Option<usize>,
    },
    Accept {
        id: u64,
    },
    Advance,
}

fn anything() -> impl Strategy<Value = (u64, Any)> {
    let step = prop_oneof![
        8 => 0..2 * MINUTE,
        2 => 0..2 * HOUR,
        1 => 0..3 * DAY,
        1 => Just(0),
    ];
    let device = 0..3u32;
    let bytes = || prop_oneof![4 => 0..10_000u64, 1 => any::<u64>()];
    let peer = prop_oneof![3 => 0x0a14_0000..0x0a14_0008u32, 1 => any::<u32>()];
    let talk = (
        device.clone(),
        peer,
        any::<u16>(),
        1..40u8,
        any::<bool>(),
        any::<bool>(),
        bytes(),
    )
        .prop_map(|(device, peer, port, ports, out, named, bytes)| Any::Talk {
            device,
            peer,
            port,
            ports,
            out,
            named,
            bytes,
        });
    let minute = (device.clone(), bytes(), bytes()).prop_map(|(device, a, b)| Any::Minute {
        device,
        bytes: [a, b],
    });
    let role = prop::option::of(0..Role::COUNT);
    let looks = (device, any::<bool>(), role).prop_map(|(device, confirmed, role)| Any::Looks {
        device,
        confirmed,
        role,
    });
    let any = prop_oneof![
        6 => talk,
        2 => minute,
        2 => looks,
        1 => (0..30u64).prop_map(|id| Any::Accept { id }),
        2 => Just(Any::Advance),
    ];
    (step, any)
}

/// Tells it; what comes of it goes to the sink.
fn tell(watch: &mut Behaviour, now: u64, what: &Any, sink: &mut dyn FnMut(Notice<'_>)) {
    match *what {
        Any::Talk {
            device: n,
            peer,
            port,
            ports,
            out,
            named,
            bytes,
        } => {
            for offset in 0..u16::from(ports) {
                let talk = Conversation {
                    device: device(n),
                    initiator: if out {
                        Initiator::Device
                    } else {
                        Initiator::Peer
                    },
                    peer: Ipv4Addr::from_bits(peer).into(),
                    service: named.then_some("dicom"),
                    sent: bytes,
                    received: bytes,
                    ..talk(now, SERVER, port.wrapping_add(offset))
                };
                watch.converse(&talk, sink);
            }
        }
        Any::Minute {
            device: n,
            bytes: [sent, received],
        } => {
            let minute = Minute {
                time_ns: now,
                device: device(n),
                sent,
                received,
            };
            watch.minute(&minute, sink);
        }
        Any::Looks {
            device: n,
            confirmed,
            role,
        } => {
            let role = role.map(|at| Role::ALL[at]);
            let looks = Looks {
                time_ns: now,
                device: device(n),
                confirmed: confirmed.then_some(Role::InfusionPump),
                roles: role.as_slice(),
            };
            watch.looks(&looks, sink);
        }
        Any::Accept { id } => drop(watch.accept(id, sink)),
        Any::Advance => watch.advance(now, sink),
    }
}

proptest! {
    #[test]
    fn an_alert_is_raised_once_and_ends_only_while_it_is_open(
        start in prop_oneof![4 => Just(START), 1 => Just(0), 1 => Just(u64::MAX - 20 * DAY)],
        events in prop::collection::vec(anything(), 0..400),
    ) {
        // Quick learners, so that much is said.
        let settings = Settings { learn_s: 3_600, learn_conversations: 5, ..Settings::default() };
        let mut watch = Behaviour::new(settings.clone());
        let mut now = start;
        let mut open = std::collections::BTreeMap::new();
        let mut wrong = Vec::new();
        for (step, what) in &events {
            now = now.saturating_add(*step);
            tell(&mut watch, now, what, &mut |notice| {
                let (alert, before, after) = match notice {
                    Notice::Raised(a) | Notice::Joined(a) => (a, None, true),
                    Notice::Changed(a) => (a, Some(true), true),
                    Notice::Resumed(a) => (a, Some(false), true),
                    Notice::Ended(a) => (a, Some(true), false),
                };
                if open.insert(alert.id, after) != before || alert.reasons().is_empty() {
                    wrong.push(format!("{notice:?}"));
                }
                if !(0.0..=1.0).contains(&alert.score()) || alert.is_over() == after {
                    wrong.push(format!("{notice:?}"));
                }
            });
            prop_assert!(wrong.is_empty(), "{wrong:?}");
        }
        prop_assert!(watch.size() <= 3 * (48 * 33 + 2 * 128 + 32 * 18 + 24 * 14 + 8 + 16));
        let counters = watch.counters();
        let told = open.len() as u64;
        prop_assert_eq!(counters.raised + counters.joined, told);
        let written = serde_json::to_string(&watch.memory()).unwrap();
        let read = serde_json::from_str(&written).unwrap();
        let again = Behaviour::resume(settings, read);
        prop_assert_eq!(serde_json::to_string(&again.memory()).unwrap(), written);
    }
}
