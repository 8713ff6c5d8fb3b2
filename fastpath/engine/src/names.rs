//! Which names a device was told an address has, from DNS answers to its own questions.
//!
//! A name holds for its time to live, but at least [`LEAST_S`] (clients connect a moment after
//! the answer, some answers live for 0 s) and at most [`MOST_S`]. Conversations that began
//! while it held outlive it, also when they are decided anew.

use arrayvec::ArrayVec;

use crate::binding::Tenancies;
use crate::bounded::Bounded;
use crate::clock::{Tick, seconds};
use crate::snoop::dns::Name;

/// Shortest time a name holds, in seconds.
pub(crate) const LEAST_S: u32 = 30;
/// Longest time a name holds, in seconds: a day.
pub(crate) const MOST_S: u32 = 86_400;
/// How long an expired name is kept for conversations that began under it, in seconds.
const LINGER_S: u32 = 86_400;
/// Names of one address as one device sees it.
pub(crate) const NAMES: usize = 4;

#[derive(Debug, Clone, Copy)]
struct Told {
    name: u32,
    holds_until: Tick,
}

/// A device by its slot, and which tenancy of it.
type Listener = (u32, u32);

/// The names told to devices.
#[derive(Debug)]
pub(crate) struct Names {
    /// Texts, numbered by their slot.
    texts: Bounded<Name, ()>,
    told: Bounded<(Listener, [u8; 16]), ArrayVec<Told, NAMES>>,
    tenancies: Tenancies,
    /// Next slot looked at for what forgotten devices were told.
    hand: u32,
    /// Changes with every answer learnt.
    pub(crate) version: u32,
}

impl Names {
    pub(crate) fn new(capacity: u32, devices: u32, seed: u64) -> Self {
        /// Answers for each name, as a rule of thumb.
        const ANSWERS_PER_NAME: u32 = 4;
        Self {
            texts: Bounded::new((capacity / ANSWERS_PER_NAME).max(1), seed),
            told: Bounded::new(capacity, seed.rotate_left(7)),
            tenancies: Tenancies::new(devices),
            hand: 0,
            version: 0,
        }
    }

    /// The device was told that the name has this address for `ttl_s` seconds.
    pub(crate) fn learn(
        &mut self,
        device: u32,
        name: &Name,
        address: [u8; 16],
        ttl_s: u32,
        now: Tick,
    ) {
        let holds_until = now.saturating_add(seconds(ttl_s.clamp(LEAST_S, MOST_S)));
        let kept_until = holds_until.saturating_add(seconds(LINGER_S));
        // The text must outlive every answer that refers to it.
        let text_until = now.saturating_add(seconds(MOST_S + LINGER_S + LEAST_S));
        let text = match self.texts.find(name, now) {
            Some(slot) => {
                self.texts.set_expires(slot, text_until);
                Some(slot)
            }
            None => self.texts.insert(*name, (), text_until, now),
        };
        let Some(name) = text else { return };
        let told = Told { name, holds_until };
        let key = (self.listener(device), address);
        self.version = self.version.wrapping_add(1);
        let Some(slot) = self.told.find(&key, now) else {
            let mut list = ArrayVec::new();
            list.push(told);
            self.told.insert(key, list, kept_until, now);
            return;
        };
        let Some(list) = self.told.get_mut(slot) else {
            return;
        };
        list.retain(|t| t.name != name);
        if list.is_full() {
            list.remove(0);
        }
        list.push(told);
        self.told.set_expires(slot, kept_until);
    }

    /// The names of an address as the device knows it; `lingering`: expired ones as well.
    pub(crate) fn of(
        &self,
        device: u32,
        address: [u8; 16],
        lingering: bool,
        now: Tick,
    ) -> impl Iterator<Item = &str> {
        let told = self.told.value(&(self.listener(device), address), now);
        let holds = move |t: &&Told| lingering || t.holds_until > now;
        told.into_iter()
            .flatten()
            .filter(holds)
            .filter_map(|t| self.texts.key(t.name))
            .map(|n| n.as_str())
    }

    /// Forgets what a device was told whose slot is given to another; the sweep makes the room
    /// free.
    pub(crate) fn forget(&mut self, device: u32) {
        self.tenancies.end(device);
        self.version = self.version.wrapping_add(1);
    }

    pub(crate) fn sweep(&mut self, now: Tick, budget: usize) {
        self.told.sweep(now, budget);
        self.texts.sweep(now, budget);
        for _ in 0..budget {
            let key = self.told.key(self.hand).copied();
            if key.is_some_and(|(listener, _)| listener != self.listener(listener.0)) {
                self.told.remove(self.hand);
            }
            self.hand = (self.hand + 1) % self.told.capacity() as u32;
        }
    }

    fn listener(&self, device: u32) -> Listener {
        (device, self.tenancies.of(device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(s: &str) -> Name {
        Name::from(s).expect("it is short")
    }

    #[test]
    fn a_name_holds_for_its_time_to_live_and_lingers_for_old_conversations() {
        let mut names = Names::new(16, 8, 1);
        names.learn(3, &name("pacs.example"), [7; 16], 60, 0);
        let of = |n: &Names, device, lingering, now| n.of(device, [7; 16], lingering, now).count();
        assert_eq!(of(&names, 3, false, seconds(59)), 1);
        assert_eq!(of(&names, 3, false, seconds(61)), 0);
        assert_eq!(of(&names, 3, true, seconds(61)), 1);
        assert_eq!(of(&names, 4, true, 0), 0, "another device was told nothing");
    }

    #[test]
    fn very_short_lives_are_lengthened() {
        let mut names = Names::new(16, 8, 1);
        names.learn(3, &name("a.example"), [7; 16], 0, 0);
        assert_eq!(
            names.of(3, [7; 16], false, seconds(20)).next(),
            Some("a.example")
        );
    }

    #[test]
    fn one_address_may_have_several_names() {
        let mut names = Names::new(64, 8, 1);
        for n in [
            "a.example",
            "b.example",
            "c.example",
            "d.example",
            "e.example",
        ] {
            names.learn(3, &name(n), [7; 16], 60, 0);
        }
        let all: Vec<&str> = names.of(3, [7; 16], false, 1).collect();
        assert_eq!(all, ["b.example", "c.example", "d.example", "e.example"]);
    }

    #[test]
    fn the_next_device_of_a_slot_was_told_nothing() {
        let mut names = Names::new(1, 8, 1);
        names.learn(3, &name("pacs.example"), [7; 16], 3_600, 0);
        names.forget(3);
        assert_eq!(names.of(3, [7; 16], true, 1).count(), 0);
        names.sweep(1, 1);
        names.learn(5, &name("pacs.example"), [9; 16], 3_600, 1);
        assert_eq!(
            names.of(5, [9; 16], false, 2).count(),
            1,
            "there is room again"
        );
    }
}
