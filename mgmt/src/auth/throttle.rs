//! Bounds on guessing and on haste. Both hold a fixed number of entries: whoever invents names or
//! addresses pushes out the entries that matter least.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::time::Time;

/// Entries that each of them holds.
const HELD: usize = 4_096;
/// One failure is forgotten in so many seconds: a crowd behind one address mistypes all day long.
const FORGET_S: i64 = 60;

/// Counts failures by key, and makes the next attempt wait, twice as long each time.
#[derive(Debug)]
pub struct Lockout {
    /// Failures in a row that cost nothing.
    free: u32,
    /// Longest wait, in seconds.
    longest_s: i64,
    entries: Mutex<HashMap<String, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    /// When all of them are forgotten: each adds to it.
    until: Time,
    last: Time,
}

impl Failures {
    fn new(count: u32, last: Time) -> Self {
        Self {
            until: last.plus_s(i64::from(count) * FORGET_S),
            last,
        }
    }

    /// How many are not forgotten yet.
    fn count(self, now: Time) -> u32 {
        let left_us = self.until.us().saturating_sub(now.us()).max(0);
        let each_us = FORGET_S * 1_000_000;
        u32::try_from(left_us.saturating_add(each_us - 1) / each_us).unwrap_or(u32::MAX)
    }

    /// Never negative: a clock that was put back must not make anybody wait longer.
    fn elapsed_s(self, now: Time) -> i64 {
        (now.seconds() - self.last.seconds()).max(0)
    }
}

impl Lockout {
    /// With so many failures that cost nothing, and a longest wait in seconds.
    pub fn new(free: u32, longest_s: i64) -> Self {
        Self {
            free,
            longest_s,
            entries: Mutex::default(),
        }
    }

    /// Begins an attempt. It counts as a failure until it is taken back, so that many at once get
    /// no more tries than one after the other. Returns the failures in a row.
    ///
    /// # Errors
    /// How many seconds to wait.
    pub fn attempt(&self, key: &str, now: Time) -> Result<u32, u32> {
        let mut entries = self.entries();
        let known = entries.get(key).copied();
        let mut failures = known.unwrap_or_else(|| Failures::new(0, now));
        let left = self.wait_s(failures.count(now)) - failures.elapsed_s(now);
        if left > 0 {
            return Err(u32::try_from(left).unwrap_or(u32::MAX));
        }
        failures.until = failures.until.max(now).plus_s(FORGET_S);
        failures.last = now;
        make_room(&mut entries, key, now);
        entries.insert(key.to_owned(), failures);
        Ok(failures.count(now))
    }

    /// Whether so many failures in a row make the next attempt wait.
    pub fn locks(&self, count: u32) -> bool {
        count >= self.free
    }

    /// Takes one attempt back: it succeeded.
    pub fn take_back(&self, key: &str) {
        let mut entries = self.entries();
        if let Some(failures) = entries.get_mut(key) {
            failures.until = failures.until.plus_s(-FORGET_S);
        }
    }

    /// Forgets all failures of a key.
    pub fn forget(&self, key: &str) {
        self.entries().remove(key);
    }

    /// Remembers failures from before a restart.
    pub fn remember(&self, key: &str, count: u32, last: Time) {
        let mut entries = self.entries();
        make_room(&mut entries, key, Time::now());
        entries.insert(key.to_owned(), Failures::new(count, last));
    }

    fn wait_s(&self, count: u32) -> i64 {
        match count.checked_sub(self.free) {
            None => 0,
            Some(beyond) => self.longest_s.min(1 << beyond.min(32)),
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Failures>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry with the fewest failures goes, so that a locked one cannot be flooded out.
fn make_room(entries: &mut HashMap<String, Failures>, key: &str, now: Time) {
    if entries.len() < HELD || entries.contains_key(key) {
        return;
    }
    entries.retain(|_, failures| failures.count(now) > 0);
    while entries.len() >= HELD {
        let least = entries.iter().min_by_key(|(_, failures)| failures.until);
        let Some(least) = least.map(|(key, _)| key.clone()) else {
            return;
        };
        entries.remove(&least);
    }
}

/// Bounds the requests of each principal: so many a second, and twice that at once.
#[derive(Debug)]
pub struct Pace {
    /// Time that one request uses up.
    each: Duration,
    /// How far a principal may run ahead of its pace.
    ahead: Duration,
    /// When each would be back at its pace.
    entries: Mutex<HashMap<String, Instant>>,
}

impl Pace {
    /// So many requests a second.
    pub fn new(per_second: u32) -> Self {
        let each = Duration::from_secs(1) / per_second.max(1);
        Self {
            each,
            ahead: Duration::from_secs(2).saturating_sub(each),
            entries: Mutex::default(),
        }
    }

    /// Whether one more request is within the pace.
    pub fn allows(&self, key: &str, now: Instant) -> bool {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let due = entries.get(key).map_or(now, |due| (*due).max(now));
        if due - now > self.ahead {
            return false;
        }
        if entries.len() >= HELD && !entries.contains_key(key) {
            entries.retain(|_, due| *due > now);
        }
        // All of them in a hurry at once: whoever is nearest its pace gains least by it.
        while entries.len() >= HELD && !entries.contains_key(key) {
            let Some(least) = entries.iter().min_by_key(|(_, due)| **due) else {
                break;
            };
            let least = least.0.clone();
            entries.remove(&least);
        }
        entries.insert(key.to_owned(), due + self.each);
        true
    }
}

/// What an address counts as: whoever has one IPv6 address has the whole /64.
pub fn network(address: Option<IpAddr>) -> String {
    match address {
        None => String::new(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_until_it_is_forgotten() {
        let lockout = Lockout::new(3, 60);
        let begin = Time::now();
        for count in 1..=3 {
            assert_eq!(lockout.attempt("anna", begin), Ok(count));
        }
        assert_eq!(lockout.attempt("anna", begin), Err(1));
        assert_eq!(lockout.attempt("bert", begin), Ok(1));
        assert_eq!(lockout.attempt("anna", begin.plus_s(1)), Ok(4));
        assert_eq!(lockout.attempt("anna", begin.plus_s(1)), Err(2));
        lockout.remember("anna", 1_000, begin);
        assert_eq!(lockout.attempt("anna", begin), Err(60));
        assert_eq!(lockout.attempt("anna", begin.plus_s(-1_000)), Err(60));
        assert_eq!(
            lockout.attempt("anna", begin.plus_s(1_000 * FORGET_S)),
            Ok(1)
        );
    }

    #[test]
    fn a_crowd_that_mistypes_now_and_then_does_not_wait() {
        let lockout = Lockout::new(3, 60);
        let begin = Time::now();
        for minute in 0..1_000 {
            assert_eq!(
                lockout.attempt("crowd", begin.plus_s(minute * FORGET_S)),
                Ok(1)
            );
        }
    }

    #[test]
    fn success_is_no_failure() {
        let lockout = Lockout::new(2, 60);
        let now = Time::now();
        for _ in 0..10 {
            assert!(lockout.attempt("::/64", now).is_ok());
            lockout.take_back("::/64");
        }
        for _ in 0..10 {
            assert!(lockout.attempt("anna", now).is_ok());
            lockout.forget("anna");
        }
    }

    #[test]
    fn invented_names_do_not_push_out_a_locked_one() {
        let lockout = Lockout::new(2, 60);
        let now = Time::now();
        while lockout.attempt("anna", now).is_ok() {}
        for number in 0..2 * HELD {
            let _ = lockout.attempt(&number.to_string(), now);
        }
        assert!(lockout.attempt("anna", now).is_err());
        assert_eq!(lockout.entries().len(), HELD);
    }

    #[test]
    fn a_pace_is_kept_by_each_for_itself() {
        let pace = Pace::new(10);
        let now = Instant::now();
        let burst = (0..100).filter(|_| pace.allows("a", now)).count();
        assert_eq!(burst, 20);
        assert!(pace.allows("b", now));
        let later = now + Duration::from_secs(1);
        let more = (0..100).filter(|_| pace.allows("a", later)).count();
        assert_eq!(more, 10);
        for number in 0..2 * HELD {
            pace.allows(&number.to_string(), later);
        }
        assert_eq!(pace.entries.lock().expect("whole").len(), HELD);
    }

    #[test]
    fn an_ipv6_network_is_one_guesser() {
        let network = |text: &str| network(Some(text.parse().expect("an address")));
        assert_eq!(network("2001:db8::1"), network("2001:db8::2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
    }
}
