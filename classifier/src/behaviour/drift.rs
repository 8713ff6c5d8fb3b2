//! Whether a device still looks like what it is.
//!
//! Each window votes: for another role one point against, unknown half a point, for its own role
//! one point back. Single odd windows cancel out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::settings::MINUTE;
use crate::Role;

/// Points that make a drift, and the most that are counted, so that it can end.
const ALARM: f32 = 6.0;
const MOST: f32 = 8.0;
/// It must have lasted this long.
const LASTING_NS: u64 = 10 * MINUTE;
/// Windows that establish a role nobody confirmed, and the part that must agree.
const LEAST_WINDOWS: u32 = 20;
const AGREEMENT: f32 = 0.9;

/// The role of one device and the votes against it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Drift {
    /// The role it has: confirmed, or steady while it was learnt.
    role: Option<Role>,
    confirmed: bool,
    /// Windows seen before it was established, by their role.
    votes: BTreeMap<Role, u32>,
    against: f32,
    since_ns: u64,
    drifting: bool,
    /// Whether it ever looked like its role: otherwise nothing has changed.
    #[serde(default)]
    recognised: bool,
}

/// What a window says of the role.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    /// It no longer looks like this role, since this time.
    Away {
        /// What it is.
        role: Role,
        /// Whether a person said so.
        confirmed: bool,
        /// Since when.
        since_ns: u64,
        /// What it looks like instead.
        now: Option<Role>,
    },
    /// It does again.
    Back,
}

impl Drift {
    /// A window while the device is learnt.
    pub(crate) fn learn(&mut self, confirmed: Option<Role>, roles: &[Role]) {
        self.establish(confirmed);
        self.recognise(roles);
        self.vote(roles);
    }

    /// Another model is in use: what the device looked like to the old one says nothing.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            drifting: self.drifting,
            ..Self::default()
        };
    }

    /// A window after that.
    pub(crate) fn window(
        &mut self,
        now_ns: u64,
        confirmed: Option<Role>,
        roles: &[Role],
    ) -> Option<Change> {
        let reset = self.establish(confirmed) && core::mem::take(&mut self.drifting);
        if reset {
            return Some(Change::Back);
        }
        if self.role.is_none() {
            self.role = self.steady();
            self.recognised = self.role.is_some();
        }
        let Some(role) = self.role else {
            self.vote(roles);
            return core::mem::take(&mut self.drifting).then_some(Change::Back);
        };
        if self.recognise(roles) {
            self.against = (self.against - 1.0).max(0.0);
            let back = self.against <= 0.0 && core::mem::take(&mut self.drifting);
            return back.then_some(Change::Back);
        }
        if !self.recognised && roles.is_empty() {
            return None;
        }
        if self.against <= 0.0 {
            self.since_ns = now_ns;
        }
        let points = if roles.is_empty() { 0.5 } else { 1.0 };
        self.against = (self.against + points).min(MOST);
        let lasting = now_ns.saturating_sub(self.since_ns) >= LASTING_NS;
        self.drifting |= self.against >= ALARM && lasting;
        self.drifting.then(|| Change::Away {
            role,
            confirmed: self.confirmed,
            since_ns: self.since_ns,
            now: roles.first().copied(),
        })
    }

    /// Takes the word of a person. Whether it is another one than before.
    fn establish(&mut self, confirmed: Option<Role>) -> bool {
        let Some(role) = confirmed else {
            self.confirmed = false;
            return false;
        };
        let changed = self.role != Some(role);
        self.confirmed = true;
        self.role = Some(role);
        if changed {
            self.against = 0.0;
            self.recognised = false;
        }
        changed
    }

    /// Whether these are looks of its role.
    fn recognise(&mut self, roles: &[Role]) -> bool {
        let recognised = self.role.is_some_and(|role| roles.contains(&role));
        self.recognised |= recognised;
        recognised
    }

    fn vote(&mut self, roles: &[Role]) {
        if let [role] = roles {
            let votes = self.votes.entry(*role).or_default();
            *votes = votes.saturating_add(1);
        }
    }

    /// The role nearly all windows agreed on.
    fn steady(&self) -> Option<Role> {
        let all: u64 = self.votes.values().map(|votes| u64::from(*votes)).sum();
        let (role, most) = self.votes.iter().max_by_key(|(_, votes)| **votes)?;
        let agreed = *most as f32 >= AGREEMENT * all as f32;
        (all >= u64::from(LEAST_WINDOWS) && agreed).then_some(*role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUMP: Role = Role::InfusionPump;
    const PC: Role = Role::Workstation;

    fn steady_pump() -> Drift {
        let mut drift = Drift::default();
        for _ in 0..LEAST_WINDOWS {
            drift.learn(None, &[PUMP]);
        }
        drift
    }

    #[test]
    fn single_odd_windows_are_no_drift() {
        let mut drift = steady_pump();
        for n in 0..1_000u64 {
            let roles: &[Role] = match n % 3 {
                0 => &[PC],
                1 => &[PUMP],
                _ => &[PUMP, PC],
            };
            assert_eq!(drift.window(n * MINUTE, None, roles), None);
        }
    }

    #[test]
    fn a_drift_is_seen_after_some_windows_and_ends_after_some() {
        let mut drift = steady_pump();
        let seen = (0..20).find(|n| drift.window(n * 2 * MINUTE, None, &[PC]).is_some());
        assert_eq!(seen, Some(5));
        let back =
            (20..60).find(|n| drift.window(n * 2 * MINUTE, None, &[PUMP]) == Some(Change::Back));
        assert_eq!(back, Some(25));
    }

    #[test]
    fn a_device_never_steady_has_nothing_to_drift_from() {
        let mut drift = Drift::default();
        for n in 0..100 {
            drift.learn(None, &[if n % 2 == 0 { PUMP } else { PC }]);
        }
        assert!((0..100).all(|n| drift.window(n * MINUTE, None, &[]).is_none()));
    }

    #[test]
    fn another_model_begins_anew() {
        let mut drift = steady_pump();
        for n in 0..30 {
            drift.window(n * MINUTE, None, &[PC]);
        }
        assert!(drift.drifting);
        drift.forget();
        assert_eq!(drift.window(30 * MINUTE, None, &[PC]), Some(Change::Back));
        assert!((31..200).all(|n| drift.window(n * MINUTE, None, &[PC]).is_none()));
        assert!((200..220).any(|n| drift.window(n * MINUTE, None, &[PUMP]).is_some()));
    }

    #[test]
    fn what_was_never_recognised_does_not_drift_into_the_unknown() {
        let mut drift = Drift::default();
        assert!((0..100).all(|n| drift.window(n * MINUTE, Some(PUMP), &[]).is_none()));
        // But it is told that it looks like something else, or that it no longer looks like it.
        let mut other = drift.clone();
        assert!((100..120).any(|n| other.window(n * MINUTE, Some(PUMP), &[PC]).is_some()));
        drift.window(100 * MINUTE, Some(PUMP), &[PUMP]);
        assert!((101..130).any(|n| drift.window(n * MINUTE, Some(PUMP), &[]).is_some()));
    }

    #[test]
    fn what_a_person_says_ends_the_drift() {
        let mut drift = steady_pump();
        for n in 0..30 {
            drift.window(n * MINUTE, Some(PUMP), &[PC]);
        }
        assert!(drift.drifting);
        assert_eq!(
            drift.window(31 * MINUTE, Some(PC), &[PC]),
            Some(Change::Back)
        );
        assert_eq!(drift.window(32 * MINUTE, Some(PC), &[PC]), None);
    }
}
