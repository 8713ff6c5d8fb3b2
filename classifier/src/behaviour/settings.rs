//! What is kept at most, and when the watch speaks.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use wardline_policy::scalar::Prefix;

/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;
/// Nanoseconds in a minute.
pub(crate) const MINUTE: u64 = 60 * SECOND;
/// Nanoseconds in an hour.
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// Nanoseconds in a day.
pub(crate) const DAY: u64 = 24 * HOUR;

/// What is kept at most, and when the watch speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Devices watched. When there are more, those not yet learnt make room; if there are none, one
    /// more is counted and not watched.
    pub devices: usize,
    /// A device not heard of for this long makes room, too.
    pub forget_s: u64,
    /// Time a device must have been observed, pauses left out, before anything is said of it.
    pub learn_s: u64,
    /// Conversations it must have had by then.
    pub learn_conversations: u64,
    /// Learning ends after this time of observation, however few conversations there were. Until
    /// then a service whose peers keep changing goes on learning them.
    pub learn_at_most_s: u64,
    /// A first conversation with a new peer waits this long before it is told, so that a scan is
    /// told as a scan.
    pub settle_s: u64,
    /// An alert is over when its cause was not seen for this long.
    pub quiet_s: u64,
    /// The same cause within this time after the end resumes the alert instead of raising another.
    pub suppress_s: u64,
    /// Several new peers of one service belong to one alert while it is younger than this; so do
    /// alerts about several devices for the same peer while the last one is.
    pub gather_s: u64,
    /// Alerts raised for one device in an hour.
    pub device_alerts_per_hour: u32,
    /// Alerts raised for all devices together in an hour.
    pub alerts_per_hour: u32,
    /// Unfamiliar peers, or ports of one peer, within a minute that make a scan.
    pub spread_per_minute: usize,
    /// The same within an hour.
    pub spread_per_hour: usize,
    /// Sending less than this in an hour is never too much.
    pub sent_floor_bytes: u64,
    /// Receiving less than this in an hour is never too much: a drug library or a firmware image
    /// may come once in months.
    pub received_floor_bytes: u64,
    /// Networks of the house beside the private ranges: many monitors have fixed public addresses.
    pub internal: Vec<Prefix>,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY_S: u64 = 86_400;
        Self {
            devices: 4_096,
            forget_s: 30 * DAY_S,
            learn_s: 7 * DAY_S,
            learn_conversations: 100,
            learn_at_most_s: 14 * DAY_S,
            settle_s: 60,
            quiet_s: 900,
            suppress_s: DAY_S,
            gather_s: 3_600,
            device_alerts_per_hour: 6,
            alerts_per_hour: 120,
            spread_per_minute: 20,
            spread_per_hour: 60,
            sent_floor_bytes: 4 << 20,
            received_floor_bytes: 64 << 20,
            internal: Vec::new(),
        }
    }
}

impl Settings {
    /// Whether an address is outside the house: a single station, in no private, local or named
    /// network.
    pub fn is_external(&self, address: IpAddr) -> bool {
        let local = match address {
            IpAddr::V4(a) => {
                a.is_private()
                    || a.is_loopback()
                    || a.is_link_local()
                    || a.is_broadcast()
                    || a.is_unspecified()
            }
            IpAddr::V6(a) => {
                a.is_loopback()
                    || a.is_unspecified()
                    || a.is_unique_local()
                    || a.is_unicast_link_local()
            }
        };
        let named = || {
            self.internal
                .iter()
                .any(|network| network.contains(address))
        };
        !local && !address.is_multicast() && !named()
    }
}

/// What happened, in numbers: nothing is left out uncounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Times something was told of a device for which there was no room.
    pub devices_full: u64,
    /// Devices forgotten to make room.
    pub devices_forgotten: u64,
    /// Services of a device that found no room in what it usually does.
    pub services_full: u64,
    /// Alerts raised.
    pub raised: u64,
    /// Alerts that joined one about another device, for the same peer.
    pub joined: u64,
    /// Alerts whose cause came back within the time of suppression.
    pub resumed: u64,
    /// Alerts that ended.
    pub ended: u64,
    /// Observations that belonged to an alert that was there already.
    pub folded: u64,
    /// Observations not told because the device had raised its share of the hour.
    pub over_device_rate: u64,
    /// Observations not told because all devices together had raised theirs.
    pub over_rate: u64,
    /// Observations not told because the device had as many alerts as are kept.
    pub alerts_full: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_what_is_private_and_what_is_named() {
        let mut settings = Settings::default();
        let external = |s: &Settings, a: &str| s.is_external(a.parse().unwrap());
        for inside in [
            "10.1.2.3",
            "169.254.1.1",
            "224.0.0.251",
            "fe80::1",
            "fd00::1",
        ] {
            assert!(!external(&settings, inside), "{inside}");
        }
        assert!(external(&settings, "126.16.0.5"));
        assert!(external(&settings, "2001:db8::1"));
        settings.internal.push("126.16.0.0/16".parse().unwrap());
        assert!(!external(&settings, "126.16.0.5"));
    }
}
