//! What people say of devices: it holds, over a restart, until it is taken back.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use wardline_control::{ClientError, DeviceView, Identity, RefusedKind, RoleStatement};
use wardline_policy::DeviceKey;

use crate::gateway::{Gateway, GatewayOptions};
use crate::lab::{Wire, WireOptions};
use crate::traffic::pings;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_role_that_a_person_states_holds_until_it_is_taken_back() {
    const TEST: &str = "a_role_that_a_person_states_holds_until_it_is_taken_back";
    let Some(wire) = Wire::new(TEST, WireOptions::default()) else {
        return;
    };
    let mut gateway = Gateway::start(&wire, &GatewayOptions::default());
    let device = speak(&gateway, &wire);
    let role = |identity: &Identity| (identity.confirmed, identity.role.clone());
    let stated = (true, Some("infusion-pump".to_owned()));

    let first = state(&gateway, device, Some("infusion-pump")).expect("written down");
    wait_for(&gateway, &wire, |identity| role(identity) == stated);

    gateway.signal(Signal::KILL);
    gateway.wait();
    gateway.restart(&wire);
    gateway.wait_until_it_serves();
    wait_for(&gateway, &wire, |identity| role(identity) == stated);

    let last = state(&gateway, device, None).expect("taken back");
    assert!(last > first);
    wait_for(&gateway, &wire, |identity| !identity.confirmed);

    let kind = |error| match error {
        ClientError::Refused(refused) => refused.kind,
        other => panic!("{other}"),
    };
    let again = state(&gateway, device, None).expect_err("nothing to take back");
    assert_eq!(kind(again), RefusedKind::Argument);
    let wrong = state(&gateway, device, Some("toaster")).expect_err("no role");
    assert_eq!(kind(wrong), RefusedKind::Argument);
    let no_alert = gateway
        .ask(|c| async move { c.accept_alert(7, "somebody".into(), "because".into()).await })
        .expect_err("no alert");
    assert_eq!(kind(no_alert), RefusedKind::Argument);
}

fn state(gateway: &Gateway, device: DeviceKey, role: Option<&str>) -> Result<u64, ClientError> {
    let statement = RoleStatement {
        device,
        role: role.map(str::to_owned),
        who: "a technician".to_owned(),
        reason: "read the label".to_owned(),
    };
    gateway.ask(|c| async move { c.state_role(statement).await })
}

/// The first device on the ward side, once it has said something.
pub fn speak(gateway: &Gateway, wire: &Wire) -> DeviceKey {
    assert!(pings(&wire.device, 1));
    devices(gateway).first().expect("it was seen").key
}

fn devices(gateway: &Gateway) -> Vec<DeviceView> {
    let page = gateway.ask(|c| async move { c.devices(0, 10).await });
    page.expect("devices").devices
}

pub fn wait_for(gateway: &Gateway, wire: &Wire, is_so: impl Fn(&Identity) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        pings(&wire.device, 1);
        let devices = devices(gateway);
        let mut identities = devices.iter().filter_map(|d| d.identity.as_ref());
        if identities.any(&is_so) {
            return;
        }
        assert!(Instant::now() < deadline, "{devices:#?}");
    }
}
