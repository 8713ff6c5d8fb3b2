//! After it was made, the engine allocates nothing: not for known conversations, not for new
//! ones, not for denied, malformed, snooped or refused frames, not in upkeep.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "engine/lab.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod lab;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use lab::*;
use wardline_engine::capture::{Order, Orders};
use wardline_engine::{Limits, Verdict};
use wardline_policy::{DeviceKey, MacAddr, Side};

/// Frames of every sort, by side.
fn traffic() -> Vec<(Side, Vec<u8>)> {
    let (ward, core) = (Side::Ward, Side::Core);
    let ports = (40_000, 104);
    let back = (104, 40_000);
    let cloud = v4("203.0.113.5");
    let lease = dhcp(
        1,
        77,
        MODALITY.mac,
        v4("0.0.0.0"),
        &[53, 1, 3, 12, 2, b'c', b't'],
    );
    let client = Station {
        ip: v4("0.0.0.0"),
        ..MODALITY
    };
    let probe = udp_group(&MONITOR, v4("239.255.255.250"), (50_000, 3702), b"Probe");
    let piece = |offset, more, payload: &[u8]| {
        let udp = etherparse::IpNumber::UDP;
        let packet = ipv4_part(MODALITY.ip, PACS.ip, udp, 5, (offset, more), payload);
        ethernet(MODALITY.mac, PACS.mac, &[], 0x0800, &packet)
    };
    let mut frames = vec![
        (ward, arp_request(&MODALITY, PACS.ip)),
        (core, arp_request(&PACS, MODALITY.ip)),
        (ward, arp_request(&MONITOR, PACS.ip)),
        (ward, syn(&MODALITY, &PACS, ports)),
        (
            core,
            tcp(&PACS, &MODALITY, back, SYN | ACK, (5000, 1001), b""),
        ),
        (
            ward,
            tcp(&MODALITY, &PACS, ports, ACK, (1001, 5001), b"data"),
        ),
        (
            core,
            tcp(&PACS, &MODALITY, back, ACK, (5001, 1005), b"data"),
        ),
        (
            ward,
            udp_group(&client, v4("255.255.255.255"), (68, 67), &lease),
        ),
        (
            core,
            udp(
                &PACS,
                &MODALITY,
                (67, 68),
                &dhcp(2, 77, MODALITY.mac, v4("10.0.0.1"), &[53, 1, 5]),
            ),
        ),
        (
            ward,
            udp(
                &MODALITY,
                &RESOLVER,
                (50_000, 53),
                &dns(7, "updates.example", None),
            ),
        ),
        (
            core,
            udp(
                &RESOLVER,
                &MODALITY,
                (53, 50_000),
                &dns(7, "updates.example", Some((cloud, 60))),
            ),
        ),
        (ward, probe),
        (
            core,
            udp(&CONSUMER, &MONITOR, (3702, 50_000), b"ProbeMatch"),
        ),
        (
            core,
            udp_group(&CONSUMER, v4("239.255.255.250"), (51_000, 3702), b"Probe"),
        ),
        (
            ward,
            piece(0, true, &udp_datagram((6000, 5000), &[7; 120])[..64]),
        ),
        (ward, piece(64, false, &[7; 64])),
        (ward, vec![0; 13]),
        (ward, vec![0xff; 60]),
    ];
    // A scan, some of which is refused by resets, and new conversations beyond every limit.
    frames.extend((0..200).map(|port| (ward, syn(&PUMP, &ATTACKER, (40_000, port)))));
    frames.extend((0..200).map(|port| (ward, syn(&MODALITY, &PACS, (50_000 + port, 104)))));
    frames
}

/// A device of which everything is captured.
fn captures() -> Orders {
    let order = Order {
        id: 1,
        device: DeviceKey {
            mac: MacAddr(PUMP.mac),
            ..DeviceKey::default()
        },
        snaplen: 128,
        lost: AtomicU64::new(0),
    };
    [Some(Arc::new(order)), None, None, None]
}

#[test]
fn the_packet_path_allocates_nothing() {
    let limits = Limits {
        flows: 64,
        half_open_per_device: 16,
        events: 128,
        devices: 16,
        bindings: 8,
        ..Limits::default()
    };
    let mut lab = Lab::young(WARD, limits);
    let frames = traffic();
    let policies = [
        snapshot(WARD),
        snapshot(&WARD.replace("ports = 5000", "ports = 5001")),
    ];
    let mut forwarded = 0u32;
    let mut captured = 0u32;
    lab.engine.set_captures(captures());
    let allocations = allocation_counter::measure(|| {
        for round in 0..200 {
            for (side, frame) in &frames {
                let mut verdict = [Verdict::default()];
                lab.engine
                    .process(*side, lab.now_ns, &[frame], &mut verdict);
                forwarded += u32::from(verdict[0].reason.forwards());
            }
            lab.engine.clear_refusals();
            lab.engine.idle(lab.now_ns, 256);
            while let Some(sample) = lab.engine.next_sample() {
                lab.engine.give_back(sample);
            }
            while let Some(copy) = lab.engine.next_captured() {
                captured += 1;
                lab.engine.give_captured_back(copy);
            }
            if round % 50 == 49 {
                lab.engine.drain_events(|_| {});
                lab.now_ns += 200 * SECOND;
            }
            if round % 7 == 0 {
                lab.engine.set_snapshot(policies[round % 2].clone());
            }
            lab.now_ns += SECOND / 100;
        }
    });
    assert_eq!(allocations.count_total, 0);
    assert!(forwarded > 1_000, "{forwarded}");
    assert!(captured > 1_000, "{captured}");
}

#[test]
fn the_counter_counts() {
    let allocations = allocation_counter::measure(|| drop(std::hint::black_box(vec![1u8; 64])));
    assert_eq!(allocations.count_total, 1);
}
