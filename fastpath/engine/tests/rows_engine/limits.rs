//! Limits, and that each says so.

use wardline_engine::Limits;
use wardline_policy::{Reason, Reason::*, Side};

use crate::frames::*;
use crate::ward::*;

fn log(port: u16) -> Vec<u8> {
    udp(&PUMP, &SERVER, (port, 514), b"")
}

fn logged(port: u16) -> Vec<u8> {
    udp(&SERVER, &PUMP, (514, port), b"")
}

fn storm(limits: &str) -> String {
    POLICY.replace(
        "name = \"pump-1\"",
        &format!("name = \"pump-1\"\nstorm = {{ {limits} }}"),
    )
}

fn count(verdicts: &[wardline_engine::Verdict], reason: Reason) -> usize {
    verdicts.iter().filter(|v| v.reason == reason).count()
}

#[test]
fn row_storm_of_packets() {
    let mut w = Ward::under(&storm("packets_per_s = 10"));
    w.ward(&log(40_000), Allowed);
    let verdicts = w.burst(Side::Core, &vec![logged(40_000); 30]);
    assert_eq!(count(&verdicts, Established), 10);
    assert_eq!(count(&verdicts, StormPackets), 20);
    // What the device sends is not limited.
    let verdicts = w.burst(Side::Ward, &vec![log(40_000); 30]);
    assert_eq!(count(&verdicts, Established), 30);
    w.wait_s(1);
    w.core(&logged(40_000), Established);
}

#[test]
fn row_storm_of_new_flows() {
    let mut w = Ward::under(&storm("new_flows_per_s = 3"));
    w.ward(&log(40_000), Allowed);
    let flows: Vec<_> = (0..10)
        .map(|n| udp(&SERVER, &PUMP, (41_000 + n, 5000), b""))
        .collect();
    let verdicts = w.burst(Side::Core, &flows);
    assert_eq!(count(&verdicts, Allowed), 3);
    assert_eq!(count(&verdicts, StormFlows), 7);
    w.wait_s(1);
    w.core(&udp(&SERVER, &PUMP, (42_000, 5000), b""), Allowed);
}

#[test]
fn row_storm_of_arp_replies() {
    let reply = arp(
        PUMP.mac,
        SERVER.mac,
        2,
        (PUMP.mac, PUMP.ip),
        (SERVER.mac, SERVER.ip),
    );
    for frame in [reply, arp_request(&PUMP, PUMP.ip)] {
        let mut w = Ward::new();
        let verdicts = w.burst(Side::Ward, &vec![frame.clone(); 30]);
        assert_eq!(count(&verdicts, Baseline), 20);
        assert_eq!(count(&verdicts, StormArp), 10);
        // Its questions, and what others say, are not limited.
        w.ward(&arp_request(&PUMP, GATEWAY.ip), Baseline);
        w.ward(&arp_request(&MONITOR, MONITOR.ip), Baseline);
        w.wait_s(1);
        w.ward(&frame, Baseline);
        let mut w = Ward::under(&pump_in("simulate"));
        let verdicts = w.burst(Side::Ward, &vec![frame; 30]);
        let would = verdicts.iter().filter(|v| v.would_drop == Some(StormArp));
        assert_eq!(would.count(), 10);
    }
}

#[test]
fn row_storm_of_broadcasts() {
    let mut w = Ward::under(&storm("broadcasts_per_s = 5"));
    w.ward(&log(40_000), Allowed);
    let ask = vec![arp_request(&SERVER, PUMP.ip); 20];
    let verdicts = w.burst(Side::Core, &ask);
    assert_eq!(count(&verdicts, Baseline), 5);
    assert_eq!(count(&verdicts, StormBroadcast), 15);
    w.wait_s(1);
    w.core(&ask[0], Baseline);
}

#[test]
fn row_flows_of_one_device() {
    let limits = Limits {
        flows_per_device: 4,
        ..no_grace()
    };
    let mut w = Ward::with(POLICY, limits);
    for port in 40_000..40_004 {
        w.ward(&log(port), Allowed);
        w.core(&logged(port), Established);
    }
    w.ward(&log(40_004), DeviceFlowLimit);
    // Answered conversations give no way, and other devices are not concerned.
    w.wait_s(10);
    w.ward(&log(40_004), DeviceFlowLimit);
    w.ward(&log(40_000), Established);
    w.ward(&udp(&MONITOR, &SERVER, (40_000, 514), b""), Allowed);
}

#[test]
fn row_unanswered_conversations_of_the_same_device_give_way() {
    let limits = Limits {
        flows_per_device: 4,
        ..no_grace()
    };
    let mut w = Ward::with(POLICY, limits);
    w.open_from_ward(&PUMP, &SERVER, (40_000, 104));
    w.ward(&udp(&MONITOR, &SERVER, (40_000, 514), b""), Allowed);
    for port in 40_001..40_004 {
        w.ward(&log(port), Allowed);
    }
    w.wait_s(5);
    w.ward(&log(40_004), Allowed);
    assert_eq!(w.state(40_001), None, "the oldest went");
    assert_eq!(w.state(40_002), Some("unanswered"));
    w.ward(
        &tcp(&PUMP, &SERVER, (40_000, 104), ACK, (1001, 5001), b""),
        Established,
    );
    w.ward(&udp(&MONITOR, &SERVER, (40_000, 514), b""), Established);
}

#[test]
fn row_half_open_of_one_device() {
    let limits = Limits {
        half_open_per_device: 2,
        ..no_grace()
    };
    let mut w = Ward::with(POLICY, limits);
    w.open_from_ward(&PUMP, &SERVER, (39_000, 104));
    for port in 40_000..40_002 {
        w.ward(&syn(&PUMP, &SERVER, (port, 104)), Allowed);
    }
    w.ward(&syn(&PUMP, &SERVER, (40_002, 104)), HalfOpenLimit);
    // Other devices and other protocols have their own.
    w.ward(&syn(&MONITOR, &SERVER, (40_000, 104)), Allowed);
    w.ward(&log(40_003), Allowed);
    // The oldest makes room once it had time to be answered.
    w.wait_s(5);
    w.ward(&syn(&PUMP, &SERVER, (40_002, 104)), Allowed);
    assert_eq!(w.state(39_000), Some("established"));
}

#[test]
fn row_full_table_keeps_established_flows() {
    let limits = Limits {
        flows: 32,
        half_open_divisor: 4,
        flows_per_device: 1000,
        half_open_per_device: 1000,
        ..no_grace()
    };
    let mut w = Ward::with(POLICY, limits);
    w.open_from_ward(&PUMP, &SERVER, (40_000, 104));
    // Another device floods.
    let mut refused = 0;
    for n in 0..100 {
        let frames = [
            udp(&MONITOR, &SERVER, (41_000 + n, 514), b""),
            syn(&MONITOR, &SERVER, (42_000 + n, 104)),
        ];
        let verdicts = w.burst(Side::Ward, &frames);
        refused += count(&verdicts, FlowTableFull);
    }
    assert!(refused > 0);
    assert!(w.engine.counters().flows <= 32);
    w.ward(
        &tcp(&PUMP, &SERVER, (40_000, 104), ACK, (1001, 5001), b"data"),
        Established,
    );
    w.core(
        &tcp(&SERVER, &PUMP, (104, 40_000), ACK, (5001, 1005), b"data"),
        Established,
    );
}

#[test]
fn row_budget_of_new_flows_in_a_burst() {
    let limits = Limits {
        new_flows_per_burst: 8,
        ..no_grace()
    };
    let mut w = Ward::with(POLICY, limits);
    w.open_from_ward(&PUMP, &SERVER, (39_000, 104));
    let mut frames: Vec<_> = (0..20).map(|n| log(40_000 + n)).collect();
    frames.push(tcp(&PUMP, &SERVER, (39_000, 104), ACK, (1001, 5001), b""));
    let verdicts = w.burst(Side::Ward, &frames);
    assert_eq!(count(&verdicts, Allowed), 8);
    assert_eq!(count(&verdicts, NewFlowBudget), 12);
    assert_eq!(verdicts[20].reason, Established);
    // The next burst has its own.
    w.ward(&log(40_019), Allowed);
}

#[test]
fn row_limits_never_stop_an_observed_device() {
    let limits = Limits {
        flows: 16,
        flows_per_device: 2,
        half_open_per_device: 1,
        new_flows_per_burst: 1,
        fragments: 1,
        ..no_grace()
    };
    let mut w = Ward::with(&pump_in("observe"), limits);
    let frames: Vec<_> = (0..60)
        .map(|n| syn(&PUMP, &SERVER, (40_000 + n, 104)))
        .collect();
    let verdicts = w.burst(Side::Ward, &frames);
    assert_eq!(count(&verdicts, Observed), 60);
}

#[test]
fn row_device_table_is_bounded_and_keeps_room_for_listed_devices() {
    let limits = Limits {
        devices: 8,
        ..no_grace()
    };
    let policy = POLICY.replace("unlisted_mode = \"enforce\"", "unlisted_mode = \"observe\"");
    let mut w = Ward::with(&policy, limits);
    for n in 0..40 {
        let guest = Station::new(0x80 + n, [10, 0, 0, 100 + n]);
        w.ward(&arp_request(&guest, SERVER.ip), Observed);
    }
    assert!(w.engine.devices().count() <= 8);
    w.ward(&log(40_000), Allowed);
    assert!(w.engine.devices().any(|d| d.key.mac.0 == PUMP.mac));
}
