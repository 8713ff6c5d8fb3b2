//! Starts and ends of the process, wanted and not.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::gateway::{Gateway, GatewayOptions};
use crate::lab::{Wire, WireOptions};
use crate::policy::ENFORCED;
use crate::traffic::{Conversation, Datagrams, TcpEcho, pings};

const PATIENCE: Duration = Duration::from_secs(10);
/// The requirement on a restart.
const RESTART: Duration = Duration::from_secs(2);

#[test]
fn killed_and_started_again_it_forwards_within_two_seconds() {
    let options = WireOptions::default();
    let Some(wire) = Wire::new(
        "killed_and_started_again_it_forwards_within_two_seconds",
        options,
    ) else {
        return;
    };
    let enforced = GatewayOptions {
        policy: Some(ENFORCED),
        ..GatewayOptions::default()
    };
    let mut gateway = Gateway::start(&wire, &enforced);
    let _echo = TcpEcho::serve(&wire.hospital, 7000);
    let mut conversation =
        Conversation::begin(&wire.device, 7000, PATIENCE).expect("an allowed conversation");
    assert!(conversation.speaks(PATIENCE));

    gateway.signal(Signal::KILL);
    gateway.wait();
    // Without a bridge behind it nothing passes now.
    assert!(!pings(&wire.device, 1));
    let started = Instant::now();
    gateway.restart(&wire);
    let arrived = loop {
        let datagrams =
            Datagrams::start(&wire.device, &wire.hospital, 7001, Duration::from_millis(2));
        gateway.wait_until_it_serves();
        let forwarding = started.elapsed();
        if !datagrams.finish().arrived.is_empty() {
            break forwarding;
        }
        assert!(started.elapsed() < PATIENCE, "nothing passes any more");
    };
    println!("served {arrived:?} after the start; {}", gateway.log());
    assert!(arrived < RESTART, "forwarding after {arrived:?}");
    assert!(
        conversation.speaks(PATIENCE),
        "the established conversation survives"
    );
    assert!(!reaches_forbidden(&wire), "policy is in force again");
}

/// Whether the device reaches a port no rule names.
fn reaches_forbidden(wire: &Wire) -> bool {
    let _echo = TcpEcho::serve(&wire.hospital, 7999);
    Conversation::begin(&wire.device, 7999, Duration::from_millis(500)).is_some()
}

#[test]
fn a_planned_stop_leaves_the_kernel_bridge_in_charge() {
    let options = WireOptions {
        bridge: true,
        ..WireOptions::default()
    };
    let Some(wire) = Wire::new("a_planned_stop_leaves_the_kernel_bridge_in_charge", options) else {
        return;
    };
    let mut gateway = Gateway::start(&wire, &GatewayOptions::default());
    let stream = Datagrams::start(&wire.device, &wire.hospital, 7001, Duration::from_millis(1));
    std::thread::sleep(Duration::from_millis(300));
    gateway.signal(Signal::TERM);
    assert!(gateway.wait().success(), "{}", gateway.log());
    assert!(pings(&wire.device, 3), "the bridge carries on");
    assert!(
        xdp_programs(&wire) == 2,
        "the programs stay for the next start"
    );
    gateway.restart(&wire);
    gateway.wait_until_it_serves();
    assert!(pings(&wire.device, 3), "the next start takes over");
    assert!(gateway.status().counters.ward.forwarded > 0);
    std::thread::sleep(Duration::from_millis(300));
    let tally = stream.finish();
    println!("{} of {} datagrams lost", tally.lost(), tally.sent);
    // A start of the driver resets its queues, and with them what they hold; a stop loses nothing.
    assert!(
        tally.lost() < tally.sent / 10,
        "lost {} of {}",
        tally.lost(),
        tally.sent
    );
}

#[test]
fn detached_it_gives_the_interfaces_back() {
    let options = WireOptions {
        bridge: true,
        ..WireOptions::default()
    };
    let Some(wire) = Wire::new("detached_it_gives_the_interfaces_back", options) else {
        return;
    };
    let mut gateway = Gateway::start(&wire, &GatewayOptions::default());
    assert_eq!(xdp_programs(&wire), 2);
    gateway
        .ask(|c| async move { c.stop(true).await })
        .expect("it stops");
    assert!(gateway.wait().success(), "{}", gateway.log());
    assert_eq!(xdp_programs(&wire), 0);
    assert!(!gateway.file("socket").exists());
    assert!(pings(&wire.device, 3), "the bridge carries on");
}

#[test]
fn the_heartbeat_stops_with_the_worker() {
    let options = WireOptions::default();
    let Some(wire) = Wire::new("the_heartbeat_stops_with_the_worker", options) else {
        return;
    };
    let gateway = Gateway::start(&wire, &GatewayOptions::default());
    let beats = || {
        let content = std::fs::read(gateway.file("heartbeat")).expect("there");
        assert_eq!(content[..4], *b"WLHB");
        u64::from_le_bytes(content[64..72].try_into().expect("eight bytes"))
    };
    let before = beats();
    let deadline = Instant::now() + PATIENCE;
    while beats() == before {
        assert!(Instant::now() < deadline, "no beat");
    }
    gateway.signal(Signal::STOP);
    // The signal takes effect at the worker's next instruction, not at ours.
    std::thread::sleep(Duration::from_millis(200));
    let stopped = beats();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(beats(), stopped);
    gateway.signal(Signal::CONT);
}

fn xdp_programs(wire: &Wire) -> usize {
    let links = wire.gateway.ip("-details link show");
    links
        .lines()
        .filter(|line| line.contains("prog/xdp"))
        .count()
}
