//! Answer windows: a question to a group may be answered by unicast, by stations the asker does
//! not know yet.

use arrayvec::ArrayVec;
use wardline_policy::{RuleId, VlanKey};

use crate::bounded::Bounded;
use crate::clock::{Tick, seconds};
use crate::talk::Talk;

/// Questions open at once from one port: a device that asks several groups does so from one
/// socket.
const QUESTIONS: usize = 4;

/// An open question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// The question.
    pub(crate) talk: Talk,
    /// The slot of the device that asked; `u32::MAX` if the core side did.
    pub(crate) device: u32,
    /// The rule that allowed it, as of `generation`.
    pub(crate) rule: RuleId,
    pub(crate) generation: u32,
    expires: Tick,
}

/// Who waits for answers.
type Asker = ([u8; 16], u16, VlanKey);

/// The open questions.
#[derive(Debug)]
pub(crate) struct Windows {
    table: Bounded<Asker, ArrayVec<Window, QUESTIONS>>,
}

impl Windows {
    pub(crate) fn new(capacity: u32, seed: u64) -> Self {
        Self {
            table: Bounded::new(capacity, seed),
        }
    }

    /// Opens a window of `seconds` for answers to the question, or opens it anew. `false` if the
    /// table is full.
    pub(crate) fn open(
        &mut self,
        talk: Talk,
        device: u32,
        rule: RuleId,
        generation: u32,
        open_s: u16,
        now: Tick,
    ) -> bool {
        let asker = (talk.source, talk.source_port, talk.vlan);
        let expires = now.saturating_add(seconds(u32::from(open_s)));
        let window = Window {
            talk,
            device,
            rule,
            generation,
            expires,
        };
        let Some(slot) = self.table.find(&asker, now) else {
            let mut windows = ArrayVec::new();
            windows.push(window);
            return self.table.insert(asker, windows, expires, now).is_some();
        };
        let Some(windows) = self.table.get_mut(slot) else {
            return false;
        };
        windows.retain(|w| w.expires > now && w.talk != talk);
        if windows.is_full() {
            windows.remove(0);
        }
        windows.push(window);
        let latest = windows.iter().map(|w| w.expires).max().unwrap_or(expires);
        self.table.set_expires(slot, latest);
        true
    }

    /// The open questions an answer to this address and port may belong to.
    pub(crate) fn waiting(
        &self,
        address: [u8; 16],
        port: u16,
        vlan: VlanKey,
        now: Tick,
    ) -> ArrayVec<Window, QUESTIONS> {
        let mut waiting = ArrayVec::new();
        if let Some(windows) = self.table.value(&(address, port, vlan), now) {
            waiting.extend(windows.iter().filter(|w| w.expires > now).copied());
        }
        waiting
    }

    pub(crate) fn sweep(&mut self, now: Tick, budget: usize) {
        self.table.sweep(now, budget);
    }
}

#[cfg(test)]
mod tests {
    use wardline_policy::{Cast, Initiator};

    use super::*;

    fn probe(group: u8) -> Talk {
        Talk {
            initiator: Initiator::Device,
            cast: Cast::Multicast,
            source: [1; 16],
            destination: [group; 16],
            protocol: 17,
            source_port: 50_000,
            destination_port: 3702,
            vlan: VlanKey::default(),
        }
    }

    #[test]
    fn a_window_closes_after_its_seconds_and_a_new_question_opens_it_again() {
        let mut windows = Windows::new(4, 1);
        assert!(windows.open(probe(9), 0, RuleId(5), 1, 3, 0));
        let waiting = |w: &Windows, now| w.waiting([1; 16], 50_000, VlanKey::default(), now).len();
        assert_eq!(waiting(&windows, seconds(2)), 1);
        assert_eq!(waiting(&windows, seconds(3)), 0);
        assert!(windows.open(probe(9), 0, RuleId(5), 1, 3, seconds(4)));
        assert_eq!(waiting(&windows, seconds(5)), 1);
        assert_eq!(
            windows
                .waiting([1; 16], 50_001, VlanKey::default(), seconds(5))
                .len(),
            0
        );
    }

    #[test]
    fn questions_to_several_groups_wait_beside_each_other() {
        let mut windows = Windows::new(4, 1);
        for group in 0..6 {
            assert!(windows.open(probe(group), 0, RuleId(5), 1, 3, 0));
        }
        assert_eq!(
            windows
                .waiting([1; 16], 50_000, VlanKey::default(), 1)
                .len(),
            QUESTIONS
        );
    }
}
