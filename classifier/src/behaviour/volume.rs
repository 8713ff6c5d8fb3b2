//! How much a device sends and receives, against its own past at the same time of day.
//!
//! Totals of whole hours are kept, of the last [`DAYS`] days for each hour of the day (UTC). The
//! limit of an hour comes from the hours around it, so that neither daylight saving nor a shift
//! that starts late matters: it is far above their median in the measure of their own spread, four
//! times their largest, and never below half of the busiest hour on record, since patients come at
//! night too.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::alert::Way;
use super::settings::{HOUR, Settings};

/// Totals kept for each hour of the day.
const DAYS: usize = 14;
const HOURS: usize = 24;
/// Totals there must be before anything is said: at these hours, and altogether.
const LEAST_NEAR: usize = 6;
const LEAST: usize = 48;
/// Deviations above the median (of absolute deviations, scaled to a standard deviation), and the
/// least deviation, in logarithms.
const DEVIATIONS: f32 = 8.0;
const SCALE: f32 = 1.4826;
const LEAST_DEVIATION: f32 = 0.1;
/// Times the largest hour near.
const OVER_NEAR: f32 = 4.0;
/// Bounds in terms of the busiest hour on record.
const LEAST_OF_BUSIEST: f32 = 0.5;
const MOST_OF_BUSIEST: f32 = 10.0;
/// Peers whose part of the hour is kept.
const TALKERS: usize = 8;

/// The volume of one device.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Volume {
    /// Hours since the Unix epoch.
    hour: u64,
    sums: [u64; 2],
    /// Something was wrong in this hour.
    tainted: bool,
    /// Logarithms of totals by hour of the day, the latest last.
    history: Vec<Vec<[f32; 2]>>,
    limits: [Option<u64>; 2],
    talkers: Vec<Talker>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Talker {
    peer: IpAddr,
    bytes: [u64; 2],
}

/// An hour that is far above what is usual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Excess {
    pub(crate) way: Way,
    pub(crate) total: u64,
    pub(crate) limit: u64,
    /// The largest of the hours it was compared with.
    pub(crate) largest: u64,
    /// The peer that has most of it, if one has.
    pub(crate) peer: Option<IpAddr>,
}

impl Volume {
    /// Begins a new hour if it has come.
    pub(crate) fn turn(&mut self, now_ns: u64, clean: bool, settings: &Settings) {
        let hour = now_ns / HOUR;
        if hour <= self.hour {
            return;
        }
        if self.hour > 0 && clean && !self.tainted {
            self.keep();
        }
        self.hour = hour;
        self.sums = [0; 2];
        self.tainted = !clean;
        self.talkers.clear();
        self.set_limits(settings);
    }

    /// Bytes of a conversation, for naming the peer that has most of an hour.
    pub(crate) fn talked(&mut self, peer: IpAddr, bytes: [u64; 2]) {
        if bytes == [0, 0] {
            return;
        }
        let total = |t: &Talker| t.bytes[0].saturating_add(t.bytes[1]);
        let at = self.talkers.iter().position(|t| t.peer == peer);
        let at = at.or_else(|| {
            if self.talkers.len() < TALKERS {
                self.talkers.push(Talker {
                    peer,
                    bytes: [0; 2],
                });
                return Some(self.talkers.len() - 1);
            }
            let least = (0..TALKERS).min_by_key(|at| total(&self.talkers[*at]))?;
            let talker = Talker {
                peer,
                bytes: [0; 2],
            };
            let replaced = core::mem::replace(&mut self.talkers[least], talker);
            if total(&replaced) > bytes[0].saturating_add(bytes[1]) {
                self.talkers[least] = replaced;
                return None;
            }
            Some(least)
        });
        let Some(talker) = at.and_then(|at| self.talkers.get_mut(at)) else {
            return;
        };
        for (sum, more) in talker.bytes.iter_mut().zip(bytes) {
            *sum = sum.saturating_add(more);
        }
    }

    /// Bytes of a minute. What is too much by now; `clean`: nothing is wrong with the device, so
    /// that the hour counts as usual.
    pub(crate) fn minute(
        &mut self,
        now_ns: u64,
        bytes: [u64; 2],
        clean: bool,
        settings: &Settings,
    ) -> Vec<Excess> {
        // The minute that ends with the hour belongs to it.
        self.turn(now_ns.saturating_sub(1), clean, settings);
        for (sum, more) in self.sums.iter_mut().zip(bytes) {
            *sum = sum.saturating_add(more);
        }
        let excess: Vec<Excess> = Way::ALL
            .into_iter()
            .filter_map(|w| self.excess(w))
            .collect();
        self.tainted |= !excess.is_empty() || !clean;
        excess
    }

    /// Whether this much in a minute would be too much if it went on for an hour.
    pub(crate) fn is_high(&self, way: Way, bytes: u64) -> bool {
        self.limits[way as usize].is_some_and(|limit| bytes.saturating_mul(60) > limit)
    }

    /// Whether these bytes are most of what is too much in this hour.
    pub(crate) fn explains(&self, way: Way, bytes: u64) -> bool {
        let at = way as usize;
        self.limits[at].is_some_and(|limit| self.sums[at] > limit)
            && bytes.saturating_mul(2) > self.sums[at]
    }

    /// A person says that this hour is usual.
    pub(crate) fn accept(&mut self, settings: &Settings) {
        self.keep();
        self.tainted = false;
        self.set_limits(settings);
    }

    pub(crate) fn size(&self) -> usize {
        self.history.iter().map(Vec::len).sum::<usize>() + self.talkers.len()
    }

    fn keep(&mut self) {
        self.history.resize(HOURS, Vec::new());
        let bucket = &mut self.history[(self.hour % HOURS as u64) as usize];
        if bucket.len() >= DAYS {
            bucket.remove(0);
        }
        bucket.push(self.sums.map(|sum| (sum as f32).ln_1p()));
    }

    fn set_limits(&mut self, settings: &Settings) {
        let floors = [settings.sent_floor_bytes, settings.received_floor_bytes];
        self.limits = Way::ALL.map(|way| {
            let limit = self.limit(way)?;
            Some(limit.max(floors[way as usize]))
        });
    }

    fn limit(&self, way: Way) -> Option<u64> {
        let mut near = self.near(way);
        let all = self.history.iter().flatten().map(|t| t[way as usize]);
        let (count, busiest) = all.fold((0, 0.0f32), |(n, most), x| (n + 1, most.max(x)));
        if near.len() < LEAST_NEAR || count < LEAST {
            return None;
        }
        let median = median(&mut near);
        let largest = near.iter().copied().fold(0.0, f32::max);
        let mut deviations: Vec<f32> = near.iter().map(|x| (x - median).abs()).collect();
        let deviation = (SCALE * self::median(&mut deviations)).max(LEAST_DEVIATION);
        let limit = (median + DEVIATIONS * deviation)
            .max(largest + OVER_NEAR.ln())
            .clamp(
                busiest + LEAST_OF_BUSIEST.ln(),
                busiest + MOST_OF_BUSIEST.ln(),
            );
        Some(limit.exp_m1() as u64)
    }

    /// Totals of the hour before, the hour itself and the hour after on other days.
    fn near(&self, way: Way) -> Vec<f32> {
        let hour = (self.hour % HOURS as u64) as usize;
        let around = [hour + HOURS - 1, hour, hour + 1];
        let buckets = around.iter().filter_map(|h| self.history.get(h % HOURS));
        buckets.flatten().map(|t| t[way as usize]).collect()
    }

    fn excess(&self, way: Way) -> Option<Excess> {
        let at = way as usize;
        let limit = self.limits[at].filter(|limit| self.sums[at] > *limit)?;
        let largest = self.near(way).into_iter().fold(0.0, f32::max);
        let most = self.talkers.iter().max_by_key(|t| t.bytes[at]);
        let most = most.filter(|t| t.bytes[at].saturating_mul(2) > self.sums[at]);
        Some(Excess {
            way,
            total: self.sums[at],
            limit,
            largest: largest.exp_m1() as u64,
            peer: most.map(|t| t.peer),
        })
    }
}

/// The middle value; 0 of none.
fn median(values: &mut [f32]) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::settings::{DAY, MINUTE};

    /// Days of whole hours with so many bytes sent; the excesses of the last day, by hour.
    fn days(count: u64, sent: impl Fn(u64, u64) -> u64) -> Vec<(u64, Excess)> {
        let settings = Settings::default();
        let mut volume = Volume::default();
        let mut seen = Vec::new();
        for day in 1..=count {
            for hour in 0..24 {
                let now = day * DAY + hour * HOUR + MINUTE;
                let excess = volume.minute(now, [sent(day, hour), 0], true, &settings);
                seen.extend(excess.into_iter().map(|e| (day * 24 + hour, e)));
            }
        }
        assert!(volume.size() <= DAYS * HOURS + TALKERS);
        seen
    }

    #[test]
    fn a_device_with_a_shift_may_shift() {
        // 200 MB in each hour of the day shift, little at night; the last day starts an hour late
        // and ends an hour late.
        let late = |day| u64::from(day == 20);
        let sent = |day, hour| {
            let shift = 7 + late(day)..19 + late(day);
            if shift.contains(&hour) {
                200 << 20
            } else {
                1 << 20
            }
        };
        assert_eq!(days(20, sent), []);
    }

    #[test]
    fn one_busy_hour_at_night_is_no_alarm_and_a_flood_is() {
        let usual = |hour| {
            if (8..18).contains(&hour) {
                2u64 << 30
            } else {
                1 << 20
            }
        };
        let one = |at: u64, bytes: u64| {
            move |day: u64, hour: u64| {
                if day == 20 && hour == at {
                    bytes
                } else {
                    usual(hour)
                }
            }
        };
        assert_eq!(days(20, one(3, 500 << 20)), []);
        let flood = days(20, one(3, 3 << 30));
        assert_eq!(flood.len(), 1);
        assert_eq!(flood[0].0, 20 * 24 + 3);
        assert!(flood[0].1.largest < 2 << 20);
    }

    #[test]
    fn nothing_is_said_before_there_is_a_past() {
        assert_eq!(days(2, |day, _| if day == 2 { 1 << 40 } else { 1_000 }), []);
    }

    #[test]
    fn what_was_wrong_does_not_become_usual() {
        // The second flood is as much of an alarm as the first.
        let sent = |day, hour| {
            if day >= 19 && hour == 3 {
                1 << 30
            } else {
                100_000
            }
        };
        assert_eq!(days(20, sent).len(), 2);
    }

    #[test]
    fn the_peer_with_most_of_an_hour_is_named_among_many() {
        let mut volume = Volume::default();
        let peer = |n: u32| IpAddr::from(core::net::Ipv4Addr::from_bits(n));
        for n in 0..100 {
            volume.talked(peer(n), [1_000 + u64::from(n), 0]);
            volume.talked(peer(7_777), [50_000, 0]);
        }
        assert!(volume.talkers.len() <= TALKERS);
        let most = volume.talkers.iter().max_by_key(|t| t.bytes[0]);
        assert_eq!(most.map(|t| t.peer), Some(peer(7_777)));
    }
}
