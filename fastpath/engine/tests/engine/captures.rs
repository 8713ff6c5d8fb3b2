//! Frames for people: captured ones, and those that were dropped last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wardline_engine::capture::{DROPPED_BYTES, Order, Orders};
use wardline_engine::{Action, Limits};
use wardline_policy::{DeviceKey, MacAddr, Reason, Side};

use crate::lab::*;

const SNAPLEN: usize = 50;

fn key(station: &Station) -> DeviceKey {
    DeviceKey {
        mac: MacAddr(station.mac),
        ..DeviceKey::default()
    }
}

fn order(id: u64, station: &Station) -> Arc<Order> {
    Arc::new(Order {
        id,
        device: key(station),
        snaplen: SNAPLEN,
        lost: AtomicU64::new(0),
    })
}

fn one(order: &Arc<Order>) -> Orders {
    [Some(Arc::clone(order)), None, None, None]
}

impl Lab {
    /// What was captured since the last call, given back: capture, side, reason, bytes.
    fn captured(&mut self) -> Vec<(u64, Side, Reason, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(copy) = self.engine.next_captured() {
            let bytes = copy.frame.bytes().to_vec();
            all.push((copy.order, copy.frame.from, copy.verdict.reason, bytes));
            self.engine.give_captured_back(copy);
        }
        all
    }
}

#[test]
fn all_frames_of_a_captured_device_are_copied_with_their_verdict() {
    let mut lab = Lab::new();
    lab.engine.set_captures(one(&order(7, &MODALITY)));
    let asks = udp(&MODALITY, &PACS, (6000, 5000), &[1; 40]);
    let answers = udp(&PACS, &MODALITY, (5000, 6000), b"2");
    let denied = udp(&MODALITY, &ATTACKER, (6000, 9), b"3");
    let other = udp(&PUMP, &ATTACKER, (6000, 9), b"4");
    let tagged = {
        let packet = datagram(&asks).to_vec();
        ethernet(MODALITY.mac, PACS.mac, &[5], 0x0800, &packet)
    };
    passes(lab.ward(&asks), Reason::Allowed);
    passes(lab.core(&answers), Reason::Established);
    for _ in 0..100 {
        passes(lab.ward(&asks), Reason::Established);
    }
    drops(lab.ward(&denied), Reason::NoRule);
    drops(lab.ward(&other), Reason::NoRule);
    lab.ward(&tagged);

    let captured = lab.captured();
    assert_eq!(captured.len(), 103, "none of another device or VLAN");
    let cut = asks[..SNAPLEN].to_vec();
    assert_eq!(captured[0], (7, Side::Ward, Reason::Allowed, cut.clone()));
    assert_eq!(captured[1], (7, Side::Core, Reason::Established, answers));
    assert_eq!(captured[101], (7, Side::Ward, Reason::Established, cut));
    assert_eq!(captured[102], (7, Side::Ward, Reason::NoRule, denied));

    lab.engine.set_captures(Orders::default());
    lab.ward(&asks);
    assert_eq!(lab.captured(), []);
}

#[test]
fn two_captures_of_a_device_get_a_copy_each() {
    let mut lab = Lab::new();
    let orders = [Some(order(1, &PUMP)), Some(order(2, &PUMP)), None, None];
    lab.engine.set_captures(orders);
    lab.ward(&udp(&PUMP, &ATTACKER, (6000, 9), b"x"));
    let numbers: Vec<u64> = lab.captured().iter().map(|copy| copy.0).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn frames_without_free_memory_are_counted_as_lost() {
    let limits = Limits {
        captured: 2,
        ..Limits::default()
    };
    let mut lab = Lab::young(WARD, limits);
    let order = order(1, &PUMP);
    lab.engine.set_captures(one(&order));
    let frame = udp(&PUMP, &ATTACKER, (6000, 9), b"x");
    for _ in 0..5 {
        lab.ward(&frame);
    }
    assert_eq!(order.lost.load(Ordering::Relaxed), 3);
    assert_eq!(lab.captured().len(), 2);
    lab.ward(&frame);
    assert_eq!(lab.captured().len(), 1, "they circulate");
}

#[test]
fn the_last_dropped_frames_of_a_device_are_kept() {
    let limits = Limits {
        dropped: 4,
        ..Limits::default()
    };
    let mut lab = Lab::young(WARD, limits);
    let to = |port| udp(&PUMP, &ATTACKER, (6000, port), &[7; 400]);
    for port in [1, 2, 3] {
        drops(lab.ward(&to(port)), Reason::NoRule);
    }
    drops(
        lab.ward(&udp(&MODALITY, &ATTACKER, (6000, 9), b"x")),
        Reason::NoRule,
    );
    drops(lab.ward(&to(4)), Reason::NoRule);
    let kept: Vec<_> = lab.engine.dropped(key(&PUMP)).collect();
    let bytes: Vec<&[u8]> = kept.iter().map(|dropped| dropped.bytes()).collect();
    let expected = [4, 3, 2].map(|port| to(port)[..DROPPED_BYTES].to_vec());
    assert_eq!(
        bytes, expected,
        "the newest first, and the oldest made room"
    );
    let newest = kept[0];
    assert_eq!((newest.reason, newest.from), (Reason::NoRule, Side::Ward));
    assert_eq!(newest.wire_bytes, to(4).len());
    assert_eq!(lab.engine.dropped(key(&MODALITY)).count(), 1);
}

#[test]
fn what_would_only_have_been_dropped_is_not_kept_as_dropped() {
    let mut lab = Lab::in_mode("observe");
    let verdict = lab.ward(&udp(&PUMP, &ATTACKER, (6000, 9), b"x"));
    assert_ne!(verdict.action, Action::Drop);
    assert_eq!(lab.engine.dropped(key(&PUMP)).count(), 0);
}
