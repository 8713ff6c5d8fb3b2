//! Looking at the frames of a device: captures, and what was dropped last.

use std::time::{Duration, Instant};

use wardline_control::view::CaptureVerdict;
use wardline_control::{
    CaptureOrder, CapturePage, CaptureState, CapturedFrame, ClientError, RefusedKind, bounds,
};
use wardline_policy::{DeviceKey, Reason, Side};

use crate::gateway::{Gateway, GatewayOptions};
use crate::lab::{DEVICE_MAC, Wire, WireOptions};
use crate::policy::ENFORCED;
use crate::traffic::{Datagrams, pings};

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);
/// Captures that run at once.
const CAPTURES: usize = 4;
/// A port that the policy does not allow, and where UDP has its destination port in a frame.
const DENIED_PORT: u16 = 7003;
const UDP_PORT_AT: usize = 36;

fn device() -> DeviceKey {
    DeviceKey {
        mac: DEVICE_MAC.parse().expect("an address"),
        ..DeviceKey::default()
    }
}

const fn order(device: DeviceKey, packets_max: u32) -> CaptureOrder {
    CaptureOrder {
        device,
        packets_max,
        bytes_max: 100_000,
        snaplen: 60,
        seconds: 600,
    }
}

fn start(gateway: &Gateway, order: CaptureOrder) -> Result<u64, ClientError> {
    gateway.ask(|c| async move { c.capture_start(order).await })
}

fn read(gateway: &Gateway, id: u64) -> CapturePage {
    let page = gateway.ask(|c| async move { c.capture_read(id, 0, 1_000).await });
    page.expect("it is kept")
}

fn read_until(gateway: &Gateway, id: u64, is_so: impl Fn(&CapturePage) -> bool) -> CapturePage {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = read(gateway, id);
        if is_so(&page) {
            return page;
        }
        assert!(Instant::now() < deadline, "{page:#?}");
        std::thread::sleep(PAUSE);
    }
}

fn kind<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> RefusedKind {
    match answer {
        Err(ClientError::Refused(refused)) => refused.kind,
        other => panic!("{other:?}"),
    }
}

fn is_to_denied_port(frame: &CapturedFrame) -> bool {
    frame.bytes.0.get(UDP_PORT_AT..UDP_PORT_AT + 2) == Some(&DENIED_PORT.to_be_bytes())
}

#[test]
fn frames_of_a_device_are_captured_with_what_became_of_them() {
    const TEST: &str = "frames_of_a_device_are_captured_with_what_became_of_them";
    let Some(wire) = Wire::new(TEST, WireOptions::default()) else {
        return;
    };
    let options = GatewayOptions {
        policy: Some(ENFORCED),
        ..GatewayOptions::default()
    };
    let gateway = Gateway::start(&wire, &options);
    let id = start(&gateway, order(device(), 1_000)).expect("it begins");
    let other = start(&gateway, order(DeviceKey::default(), 1_000)).expect("it begins");
    assert!(pings(&wire.device, 3));
    let denied = Datagrams::start(&wire.device, &wire.hospital, DENIED_PORT, PAUSE);
    read_until(&gateway, id, |page| {
        page.frames.iter().any(is_to_denied_port)
    });
    denied.finish();

    let page = read(&gateway, id);
    assert_eq!((page.state, page.lost), (CaptureState::Running, 0));
    let sides = [Side::Ward, Side::Core].map(|side| page.frames.iter().any(|f| f.side == side));
    assert_eq!(sides, [true; 2], "both ways of the pings");
    for frame in &page.frames {
        let (verdict, reason) = (frame.verdict, frame.reason);
        let expected = if is_to_denied_port(frame) {
            assert_eq!(reason, Reason::NoRule);
            CaptureVerdict::Drop
        } else {
            CaptureVerdict::Forward
        };
        assert_eq!(verdict, expected, "{frame:?}");
        assert!(
            frame.bytes.0.len() <= 60 && frame.original_len >= 42,
            "{frame:?}"
        );
    }
    assert_eq!(read(&gateway, other).frames, [], "of another device");

    gateway
        .ask(|c| async move { c.capture_stop(id).await })
        .expect("it ends");
    let stopped = read(&gateway, id);
    assert_eq!(stopped.state, CaptureState::Stopped);
    assert!(pings(&wire.device, 2));
    let rest = gateway.ask(|c| async move { c.capture_read(id, stopped.next, 10).await });
    assert_eq!(rest.expect("it is kept").frames, []);

    let dropped = gateway.ask(|c| async move { c.last_dropped(device(), 2).await });
    let dropped = dropped.expect("two");
    assert_eq!(dropped.len(), 2);
    assert!(dropped.iter().all(is_to_denied_port), "{dropped:?}");
    assert!(dropped[0].time_us <= dropped[1].time_us);
    let nothing = gateway.ask(|c| async move { c.last_dropped(DeviceKey::default(), 2).await });
    assert_eq!(nothing.expect("none"), []);
}

#[test]
fn captures_keep_to_their_limits() {
    const TEST: &str = "captures_keep_to_their_limits";
    let Some(wire) = Wire::new(TEST, WireOptions::default()) else {
        return;
    };
    let gateway = Gateway::start(&wire, &GatewayOptions::default());
    let long = CaptureOrder {
        seconds: bounds::CAPTURE_SECONDS + 1,
        ..order(device(), 1)
    };
    for wrong in [long, order(device(), 0)] {
        assert_eq!(kind(start(&gateway, wrong)), RefusedKind::Argument);
    }
    let unknown = gateway.ask(|c| async move { c.capture_read(99, 0, 1).await });
    assert_eq!(kind(unknown), RefusedKind::Argument);

    let few = start(&gateway, order(device(), 2)).expect("it begins");
    let small = CaptureOrder {
        bytes_max: 150,
        ..order(device(), 1_000)
    };
    let small = start(&gateway, small).expect("it begins");
    for _ in 2..CAPTURES {
        start(&gateway, order(device(), 1_000)).expect("it begins");
    }
    let one_more = start(&gateway, order(device(), 1));
    assert_eq!(kind(one_more), RefusedKind::Unavailable);

    assert!(pings(&wire.device, 5));
    let done = |page: &CapturePage| page.state == CaptureState::Done;
    assert_eq!(read_until(&gateway, few, done).frames.len(), 2);
    let small = read_until(&gateway, small, done);
    let bytes = small.frames.iter().map(|f| f.bytes.0.len()).sum::<usize>();
    assert!((91..=150).contains(&bytes), "{bytes}");
    start(&gateway, order(device(), 1)).expect("one that is done makes room");
}
