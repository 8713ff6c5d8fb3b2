//! When each device of the ward got its name, seen while the demo plays.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use wardline_classifier::Role;
use wardline_control::DeviceView;

use crate::layout::{HOSTS, Host, Side};

/// How often the gateway is asked: names are no older than this when they are seen.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// A device that gets a name should have it so long after its first frame at most. It is counted and
/// told, and no fault: on a machine with other work the ward itself takes longer.
pub(super) const SOON: Duration = Duration::from_secs(60);
/// As many devices of the ward must be named, and rightly. Fewer would be named by a classifier that
/// has lost a protocol.
const NAMED_MIN: usize = 12;

/// From a device's first frame until it was first seen with its name, by its short name.
pub(super) type Times = BTreeMap<&'static str, Duration>;

/// A device of the ward and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Naming {
    device: &'static str,
    expected: Option<&'static str>,
    /// Its role at the end.
    role: Option<String>,
    /// From its first frame until it was first seen with its role, in milliseconds.
    named_after_ms: Option<u64>,
    #[serde(skip)]
    has_evidence: bool,
}

/// Notes the devices that have their role now and had none before.
pub(super) fn note(times: &mut Times, devices: &[DeviceView]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    for host in of_ward() {
        let Some(device) = seen(devices, host) else {
            continue;
        };
        let role = device.identity.as_ref().and_then(|i| i.role.as_deref());
        if role.is_some() && role == host.role.map(Role::name) {
            let first = Duration::from_micros(device.first_seen_us);
            let took = now.saturating_sub(first);
            times.entry(host.name).or_insert(took);
        }
    }
}

/// All devices of the ward at the end of the play.
pub(super) fn all(times: &Times, devices: &[DeviceView]) -> Vec<Naming> {
    let naming = |host: &Host| {
        let identity = seen(devices, host).and_then(|device| device.identity.as_ref());
        let took = times.get(host.name);
        Naming {
            device: host.name,
            expected: host.role.map(Role::name),
            role: identity.and_then(|identity| identity.role.clone()),
            named_after_ms: took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            has_evidence: identity.is_some_and(|identity| !identity.evidence.is_empty()),
        }
    };
    of_ward().map(naming).collect()
}

/// What is not as it should be: a wrong name, none for too many, or one without evidence.
/// "Unknown" by itself is not wrong, nor is a choice.
pub(super) fn faults(all: &[Naming]) -> Vec<String> {
    let mut faults: Vec<String> = all.iter().filter_map(Naming::fault).collect();
    let named = all.iter().filter(|naming| naming.is_right()).count();
    if named < NAMED_MIN {
        let (of, least) = (all.len(), NAMED_MIN);
        faults.push(format!(
            "{named} of {of} devices of the ward have their role, and at least {least} should"
        ));
    }
    faults
}

impl Naming {
    pub(super) fn is_right(&self) -> bool {
        self.role.is_some() && self.role.as_deref() == self.expected
    }

    fn fault(&self) -> Option<String> {
        let Self {
            device, expected, ..
        } = self;
        if let Some(role) = &self.role
            && !self.is_right()
        {
            let expected = expected.unwrap_or("thing without a role");
            return Some(format!(
                "{device} is taken for a {role} and is a {expected}"
            ));
        }
        (!self.has_evidence).then(|| format!("there is no evidence of what {device} is"))
    }

    /// Whether it has its role, and had it soon.
    pub(super) fn was_soon(&self) -> bool {
        let took = self.named_after_ms.map(Duration::from_millis);
        self.is_right() && took.is_some_and(|took| took <= SOON)
    }
}

fn of_ward() -> impl Iterator<Item = &'static Host> {
    HOSTS.iter().filter(|host| host.side == Side::Ward)
}

fn seen<'a>(devices: &'a [DeviceView], host: &Host) -> Option<&'a DeviceView> {
    let mut devices = devices.iter();
    devices.find(|device| device.key.mac.to_string() == host.mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All devices as they should be.
    fn ward() -> Vec<Naming> {
        let naming = |host: &Host| Naming {
            device: host.name,
            expected: host.role.map(Role::name),
            role: host.role.map(|role| role.name().to_owned()),
            named_after_ms: Some(20_000),
            has_evidence: true,
        };
        of_ward().map(naming).collect()
    }

    #[test]
    fn a_few_unknown_devices_are_no_fault_and_unknown_everywhere_is() {
        let mut all = ward();
        assert_eq!(faults(&all), Vec::<String>::new());
        for naming in &mut all[NAMED_MIN..] {
            (naming.role, naming.named_after_ms) = (None, None);
        }
        assert_eq!(faults(&all), Vec::<String>::new());
        all[0].role = None;
        assert_eq!(faults(&all).len(), 1, "{:?}", faults(&all));
    }

    #[test]
    fn a_wrong_name_and_one_without_evidence_are_faults() {
        let spoil: [fn(&mut Naming); 2] = [
            |naming| naming.role = Some("toaster".to_owned()),
            |naming| naming.has_evidence = false,
        ];
        for (number, spoil) in spoil.into_iter().enumerate() {
            let mut all = ward();
            spoil(&mut all[3]);
            let faults = faults(&all);
            assert_eq!(faults.len(), 1, "{number}: {faults:?}");
            assert!(faults[0].contains(all[3].device), "{faults:?}");
        }
    }
}
