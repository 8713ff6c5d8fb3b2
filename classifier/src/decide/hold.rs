//! Keeps an answer steady from look to look.

use super::{Answer, Glance};
use crate::Role;

/// When an answer changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steadiness {
    /// Looks in a row that must agree before a role is named without proof, or given up.
    pub looks: u32,
    /// A role is given up when it is no more probable than this.
    pub leave: f64,
    /// Shortest time a role is kept once it was proven.
    pub dwell_ns: u64,
}

impl Default for Steadiness {
    fn default() -> Self {
        Self {
            looks: 3,
            leave: 0.60,
            dwell_ns: 600_000_000_000,
        }
    }
}

/// The held answer of one device.
#[derive(Debug, Clone, Default)]
pub struct Holder {
    held: Option<Held>,
    /// The role that was seen at the last looks, and at how many.
    candidate: Option<(Role, u32)>,
    /// Looks in a row that speak against the held role.
    doubts: u32,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    role: Role,
    since_ns: u64,
    confirmed: bool,
    /// Whether something the device said ever proved the role.
    proven: bool,
    /// Whether its traffic ever looked like the role.
    recognised: bool,
}

impl Holder {
    /// The role held now.
    pub fn role(&self) -> Option<Role> {
        self.held.map(|held| held.role)
    }

    /// Whether a person said what the device is.
    pub fn is_confirmed(&self) -> bool {
        self.held.is_some_and(|held| held.confirmed)
    }

    /// A person says what the device is; `None` takes it back.
    pub fn confirm(&mut self, role: Option<Role>, time_ns: u64) {
        *self = Self::default();
        self.held = role.map(|role| Held {
            role,
            since_ns: time_ns,
            confirmed: true,
            proven: false,
            recognised: false,
        });
    }

    /// Another model is in use: what the device looked like to the old one says nothing.
    pub fn forget_looks(&mut self) {
        (self.candidate, self.doubts) = (None, 0);
        if let Some(held) = &mut self.held {
            held.recognised = false;
        }
    }

    /// Makes the answer of this look the steady one. Looks come in order of time. Whether a
    /// device still is what a person said is judged by what it did `lately`: all it ever did would
    /// hide a change for as long as it was watched before.
    pub fn look(
        &mut self,
        fresh: Answer,
        lately: &Glance,
        time_ns: u64,
        steadiness: &Steadiness,
    ) -> Answer {
        self.candidate = match (fresh.role, self.candidate) {
            (Some(role), Some((before, looks))) if role == before => Some((role, looks + 1)),
            (Some(role), _) => Some((role, 1)),
            (None, _) => None,
        };
        if let Some(held) = self.held {
            if held.confirmed {
                return self.confirmed(held, fresh, lately, steadiness);
            }
            if !self.gives_up(held, &fresh, time_ns, steadiness) {
                return kept(held.role, fresh);
            }
            self.held = None;
            self.doubts = 0;
        }
        self.enter(fresh, time_ns, steadiness)
    }

    fn enter(&mut self, mut fresh: Answer, time_ns: u64, steadiness: &Steadiness) -> Answer {
        let Some((role, looks)) = self.candidate else {
            return fresh;
        };
        if fresh.may_enforce || looks >= steadiness.looks {
            self.held = Some(Held {
                role,
                since_ns: time_ns,
                confirmed: false,
                proven: fresh.may_enforce,
                recognised: true,
            });
        } else {
            fresh.role = None;
            fresh.may_enforce = false;
        }
        fresh
    }

    fn gives_up(
        &mut self,
        mut held: Held,
        fresh: &Answer,
        time_ns: u64,
        steadiness: &Steadiness,
    ) -> bool {
        held.proven |= fresh.may_enforce && fresh.role == Some(held.role);
        self.held = Some(held);
        self.doubts = if fresh.chances.of(held.role) <= steadiness.leave {
            self.doubts + 1
        } else {
            0
        };
        let stayed_ns = time_ns.saturating_sub(held.since_ns);
        if held.proven {
            return self.doubts >= steadiness.looks && stayed_ns >= steadiness.dwell_ns;
        }
        // A guess gives way to a proof at once.
        let proven_otherwise = fresh.may_enforce && fresh.role != Some(held.role);
        proven_otherwise || self.doubts >= steadiness.looks
    }

    /// What a person said stays, whatever is seen; that it no longer fits is said.
    fn confirmed(
        &mut self,
        mut held: Held,
        fresh: Answer,
        lately: &Glance,
        steadiness: &Steadiness,
    ) -> Answer {
        held.recognised |= lately.role == Some(held.role);
        self.held = Some(held);
        let another = lately.role.is_some_and(|role| role != held.role);
        let lost = held.recognised && lately.chances.of(held.role) <= steadiness.leave;
        self.doubts = if another || lost { self.doubts + 1 } else { 0 };
        let drift = (self.doubts >= steadiness.looks).then(|| {
            let now = lately.role.map_or_else(
                || "what it does now fits no role".to_owned(),
                |role| format!("what it does now is that of a {}", role.words()),
            );
            format!("No longer behaves as {}: {now}", held.role.words())
        });
        Answer {
            drift,
            confirmed: true,
            may_enforce: true,
            ..kept(held.role, fresh)
        }
    }
}

/// The fresh answer with the role that is held instead of its own.
fn kept(role: Role, fresh: Answer) -> Answer {
    let same = fresh.role == Some(role);
    Answer {
        role: Some(role),
        probability: fresh.chances.of(role),
        roles: vec![role],
        may_enforce: same && fresh.may_enforce,
        ..fresh
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decide::{Calibration, Opinion, decide};
    use crate::device::Evidence;
    use crate::observer::Said;
    use crate::{Fact, Field};

    const SECOND: u64 = 1_000_000_000;

    impl Holder {
        /// A look at a device that does what it always did.
        fn see(&mut self, fresh: Answer, time_ns: u64, steadiness: &Steadiness) -> Answer {
            let lately = Glance {
                role: fresh.role,
                roles: fresh.roles.clone(),
                chances: fresh.chances.clone(),
            };
            self.look(fresh, &lately, time_ns, steadiness)
        }
    }

    /// What a model says of a plug: with this probability.
    fn look(chance: f64) -> Answer {
        look_of(Role::Plug, chance)
    }

    fn look_of(role: Role, chance: f64) -> Answer {
        let rest = if role == Role::Hub {
            Role::Plug
        } else {
            Role::Hub
        };
        let opinion = Opinion {
            roles: vec![(role, chance), (rest, 1.0 - chance)],
            ..Opinion::default()
        };
        let calibration = Calibration {
            model_floor: 1e-6,
            enter_alone: 0.9,
            ..Calibration::default()
        };
        decide(&Evidence::default(), Some(&opinion), &calibration)
    }

    /// A device that says what it is.
    fn proven(field: Field, value: &str) -> Answer {
        let fact = Fact::new(field, value).unwrap();
        let evidence = Evidence::of([Said::once(&fact, 0)], 0, 0);
        decide(&evidence, None, &Calibration::default())
    }

    #[test]
    fn a_guess_is_named_at_the_third_look_and_kept_through_doubt() {
        let (mut holder, steadiness) = (Holder::default(), Steadiness::default());
        let roles = |holder: &mut Holder, chances: &[f64]| -> Vec<Option<Role>> {
            let answers = chances.iter().zip(1..);
            answers
                .map(|(&chance, s)| holder.see(look(chance), s * SECOND, &steadiness).role)
                .collect()
        };
        let plug = Some(Role::Plug);
        assert_eq!(
            roles(&mut holder, &[0.95, 0.95, 0.7, 0.95, 0.95, 0.95]),
            [None, None, None, None, None, plug]
        );
        assert_eq!(
            roles(&mut holder, &[0.7, 0.55, 0.55, 0.7, 0.5, 0.5, 0.5]),
            [plug, plug, plug, plug, plug, plug, None]
        );
    }

    #[test]
    fn a_proof_is_named_at_once_and_takes_the_place_of_a_guess() {
        let (mut holder, steadiness) = (Holder::default(), Steadiness::default());
        for s in 1..=3 {
            holder.see(look(0.95), s * SECOND, &steadiness);
        }
        assert_eq!(holder.role(), Some(Role::Plug));
        let proof = proven(Field::WsdTypes, "NetworkVideoTransmitter");
        let answer = holder.see(proof, 4 * SECOND, &steadiness);
        assert_eq!(answer.role, Some(Role::Camera));
        assert!(answer.may_enforce);
        // A proven role dwells, whatever the traffic looks like.
        for s in 5..=600 {
            let answer = holder.see(look(0.95), s * SECOND, &steadiness);
            assert_eq!(answer.role, Some(Role::Camera));
        }
    }

    #[test]
    fn what_a_person_confirmed_stays_and_its_drift_is_said() {
        let (mut holder, steadiness) = (Holder::default(), Steadiness::default());
        holder.confirm(Some(Role::Plug), 0);
        let first = holder.see(look(0.95), SECOND, &steadiness);
        assert!(first.may_enforce && first.confirmed && first.drift.is_none());
        let mut last = first;
        for s in 2..=4 {
            last = holder.see(look_of(Role::Hub, 0.97), s * SECOND, &steadiness);
        }
        assert_eq!(last.role, Some(Role::Plug));
        assert!(last.may_enforce, "drift changes no policy");
        let drift = last.drift.unwrap();
        assert!(
            drift.contains("No longer behaves as switchable plug"),
            "{drift}"
        );
        assert!(drift.contains("smart-home hub"), "{drift}");
        holder.confirm(None, 5 * SECOND);
        let taken_back = holder.see(look(0.95), 6 * SECOND, &steadiness);
        assert!(!taken_back.confirmed && taken_back.role.is_none());
    }

    #[test]
    fn another_model_makes_no_drift() {
        let (mut holder, steadiness) = (Holder::default(), Steadiness::default());
        holder.confirm(Some(Role::Plug), 0);
        holder.see(look(0.95), SECOND, &steadiness);
        holder.forget_looks();
        for s in 2..=10 {
            let answer = holder.see(look(0.5), s * SECOND, &steadiness);
            assert_eq!((answer.role, answer.drift), (Some(Role::Plug), None));
        }
    }

    #[test]
    fn a_confirmed_device_that_was_never_recognised_does_not_drift() {
        let (mut holder, steadiness) = (Holder::default(), Steadiness::default());
        holder.confirm(Some(Role::NurseCall), 0);
        for s in 1..=10 {
            let answer = holder.see(look(0.6), s * SECOND, &steadiness);
            assert_eq!((answer.role, answer.drift), (Some(Role::NurseCall), None));
        }
    }

    proptest! {
        /// Between two roles that are named there are as many looks as steadiness asks for.
        #[test]
        fn noise_never_makes_a_role_flap(chances in prop::collection::vec(0.0..1f64, 1..200)) {
            let (mut holder, steadiness) = (Holder::default(), Steadiness::default());
            let mut changes = Vec::new();
            let mut named = None;
            for (i, chance) in chances.iter().enumerate() {
                let time_ns = i as u64 * 10 * SECOND;
                holder.see(look(*chance), time_ns, &steadiness);
                if holder.role().is_some() && holder.role() != named {
                    changes.push(i);
                    named = holder.role();
                }
            }
            for pair in changes.windows(2) {
                prop_assert!(pair[1] - pair[0] >= steadiness.looks as usize, "{changes:?}");
            }
        }

        /// Noise around a good look that never falls to the leaving threshold changes nothing.
        #[test]
        fn noise_above_the_leaving_threshold_changes_nothing(
            chances in prop::collection::vec(0.62..1f64, 1..200),
        ) {
            let (mut holder, steadiness) = (Holder::default(), Steadiness::default());
            for s in 0..3 {
                holder.see(look(0.99), s * SECOND, &steadiness);
            }
            for (i, chance) in chances.iter().enumerate() {
                let answer = holder.see(look(*chance), i as u64 * SECOND, &steadiness);
                prop_assert_eq!(answer.role, Some(Role::Plug));
            }
        }
    }
}
