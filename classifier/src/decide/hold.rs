//! Keeps an answer steady from look to look.

use super::Answer;
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

    /// Makes the answer of this look the steady one. Looks come in order of time.
    pub fn look(&mut self, fresh: Answer, time_ns: u64, steadiness: &Steadiness) -> Answer {
        self.candidate = match (fresh.role, self.candidate) {
            (Some(role), Some((before, looks))) if role == before => Some((role, looks + 1)),
            (Some(role), _) => Some((role, 1)),
            (None, _) => None,
        };
        if let Some(held) = self.held {
            if held.confirmed {
                return self.confirmed(held, fresh, steadiness);
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
    fn confirmed(&mut self, mut held: Held, fresh: Answer, steadiness: &Steadiness) -> Answer {
        held.recognised |= fresh.role == Some(held.role);
        self.held = Some(held);
        let another = fresh.role.is_some_and(|role| role != held.role);
        let lost = held.recognised && fresh.chances.of(held.role) <= steadiness.leave;
        self.doubts = if another || lost { self.doubts + 1 } else { 0 };
        let drift = (self.doubts >= steadiness.looks).then(|| {
            let now = fresh.role.map_or_else(
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
