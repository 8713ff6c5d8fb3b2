//! Windows of devices that people named: what is learnt from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wardline_policy::DeviceKey;

use crate::Role;

/// Numbers of a feature window.
pub const FEATURES: usize = 64;
/// Scores of a window: one for each role, the last one for "none of them".
pub const SCORES: usize = Role::COUNT + 1;

/// Devices kept at most.
const DEVICES: usize = 256;
/// Windows kept of each, the latest.
const WINDOWS: usize = 24;
/// They are at least this far apart, so that they show more than one moment.
const APART_NS: u64 = 600_000_000_000;

/// A finished window and what was thought of it before anybody was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Window {
    time_ns: u64,
    features: Vec<f32>,
    scores: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    time_ns: u64,
    features: Vec<f32>,
    scores: Vec<f32>,
}

/// A window that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a window has {FEATURES} features and {SCORES} scores, all finite numbers")]
pub struct BadWindow;

impl Window {
    /// A window that ended at `time_ns`. `scores` are the logarithms of the chance of each role
    /// and of none, from evidence and model together, before the temperature and without the word
    /// of a person.
    ///
    /// # Errors
    /// When there are not [`FEATURES`] and [`SCORES`] finite numbers.
    pub fn new(time_ns: u64, features: &[f32], scores: &[f32]) -> Result<Self, BadWindow> {
        let finite = features
            .iter()
            .chain(scores)
            .all(|number| number.is_finite());
        if features.len() != FEATURES || scores.len() != SCORES || !finite {
            return Err(BadWindow);
        }
        Ok(Self {
            time_ns,
            features: features.to_vec(),
            scores: scores.to_vec(),
        })
    }

    /// When it ended, in nanoseconds since the Unix epoch.
    pub fn time_ns(&self) -> u64 {
        self.time_ns
    }

    /// Its numbers.
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// What was thought of it.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }
}

impl TryFrom<Unchecked> for Window {
    type Error = BadWindow;

    fn try_from(read: Unchecked) -> Result<Self, BadWindow> {
        Self::new(read.time_ns, &read.features, &read.scores)
    }
}

/// Why a window is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Something is wrong with the device.
    #[error("the device has an open alert")]
    Alarmed,
    /// Another one was kept a moment ago.
    #[error("less than ten minutes after the one before")]
    TooSoon,
    /// There is no room for another device.
    #[error("windows of {DEVICES} devices are kept already")]
    Full,
}

/// The windows kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    devices: Vec<(DeviceKey, Vec<Window>)>,
}

impl Samples {
    /// Keeps a window of a device that a person named, the oldest one making room. `alarmed`: the
    /// device has an open alert.
    ///
    /// # Errors
    /// With why it is not kept.
    pub fn offer(&mut self, device: DeviceKey, window: Window, alarmed: bool) -> Result<(), Unfit> {
        if alarmed {
            return Err(Unfit::Alarmed);
        }
        let at = match self.devices.binary_search_by_key(&device, |(key, _)| *key) {
            Ok(at) => at,
            Err(_) if self.devices.len() >= DEVICES => return Err(Unfit::Full),
            Err(at) => {
                self.devices.insert(at, (device, Vec::new()));
                at
            }
        };
        let windows = &mut self.devices[at].1;
        let last = windows
            .last()
            .map(|last| last.time_ns.saturating_add(APART_NS));
        if last.is_some_and(|earliest| window.time_ns < earliest) {
            return Err(Unfit::TooSoon);
        }
        if windows.len() >= WINDOWS {
            windows.remove(0);
        }
        windows.push(window);
        Ok(())
    }

    /// Forgets what was kept of a device since then: something was wrong already.
    pub fn distrust(&mut self, device: &DeviceKey, since_ns: u64) {
        for (_, windows) in self.devices.iter_mut().filter(|(key, _)| key == device) {
            windows.retain(|window| window.time_ns < since_ns);
        }
    }

    /// Forgets all devices that no person's word stands for any more.
    pub fn retain(&mut self, is_named: impl Fn(&DeviceKey) -> bool) {
        self.devices.retain(|(device, _)| is_named(device));
    }

    /// The windows of a device, the oldest first.
    pub fn of(&self, device: &DeviceKey) -> &[Window] {
        let at = self.devices.binary_search_by_key(device, |(key, _)| *key);
        at.map_or(&[], |at| &self.devices[at].1)
    }
}

/// A device whose role is known, to learn from or to be tried on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Example<'a> {
    pub(crate) role: Role,
    pub(crate) windows: &'a [Window],
}

/// Devices of a whole journal with something to learn from, in a fixed order.
pub(crate) type Examples<'a> = BTreeMap<DeviceKey, Example<'a>>;

#[cfg(test)]
mod tests {
    use wardline_policy::{MacAddr, VlanKey};

    use super::*;

    fn device(n: u32) -> DeviceKey {
        let [a, b, c, d] = n.to_be_bytes();
        DeviceKey {
            mac: MacAddr([2, 0, a, b, c, d]),
            vlan: VlanKey::default(),
        }
    }

    fn window(n: u64) -> Window {
        Window::new(n * APART_NS, &[0.5; FEATURES], &[-3.0; SCORES]).unwrap()
    }

    #[test]
    fn the_latest_windows_of_some_devices_are_kept_apart_in_time() {
        let mut samples = Samples::default();
        for n in 1..100 {
            assert_eq!(samples.offer(device(1), window(n), false), Ok(()));
            assert_eq!(
                samples.offer(device(1), window(n), false),
                Err(Unfit::TooSoon)
            );
        }
        assert_eq!(samples.of(&device(1)).len(), WINDOWS);
        assert_eq!(samples.of(&device(1))[0], window(100 - WINDOWS as u64));
        let kept = (2..1_000)
            .filter(|n| samples.offer(device(*n), window(1), false).is_ok())
            .count();
        assert_eq!(kept, DEVICES - 1);
        assert_eq!(
            samples.offer(device(5_000), window(1), false),
            Err(Unfit::Full)
        );
        samples.retain(|key| *key == device(1));
        assert_eq!(samples.of(&device(2)), []);
        assert_eq!(samples.offer(device(5_000), window(1), false), Ok(()));
    }

    #[test]
    fn nothing_is_kept_while_something_is_wrong_nor_what_came_just_before() {
        let mut samples = Samples::default();
        for n in 1..5 {
            samples.offer(device(1), window(n), false).unwrap();
        }
        assert_eq!(
            samples.offer(device(1), window(5), true),
            Err(Unfit::Alarmed)
        );
        samples.distrust(&device(1), 3 * APART_NS);
        assert_eq!(samples.of(&device(1)), [window(1), window(2)]);
    }

    #[test]
    fn nonsense_is_no_window() {
        let mut features = [0.0; FEATURES];
        assert!(Window::new(0, &features[1..], &[0.0; SCORES]).is_err());
        features[3] = f32::NAN;
        assert!(Window::new(0, &features, &[0.0; SCORES]).is_err());
        let short = r#"{"time_ns":1,"features":[1.0],"scores":[]}"#;
        assert!(serde_json::from_str::<Window>(short).is_err());
        let written = serde_json::to_string(&window(1)).unwrap();
        assert_eq!(serde_json::from_str::<Window>(&written).unwrap(), window(1));
    }
}
