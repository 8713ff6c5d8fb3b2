//! How a frame gets to the worker that knows its device.
//!
//! Several workers share nothing, so everything about a device has to meet on one of them: its
//! conversations in both directions, its fragments, addresses, answer windows and limits. A hash
//! of the addresses, which is what NICs offer, does not do that: the answer to a question that was
//! asked by multicast comes from another address. So the worker that received a frame looks at
//! the device's MAC address and hands the frame to its owner through a bounded ring; the NIC's
//! hash only spreads the work of receiving.

use std::hash::BuildHasher;
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use wardline_dpdk::{BURST, Burst, Frame};
use wardline_policy::Side;

use crate::mailbox::Turns;

/// Frames on their way to one worker from one side. More are dropped and counted.
const RING: usize = 512;

/// One worker's part in the distribution.
#[derive(Debug)]
pub enum Steering {
    /// There is one worker.
    Here,
    /// Frames are handed to the worker their device belongs to.
    ByDevice {
        /// Number of this worker.
        own: usize,
        /// Where all of them get frames from others.
        inboxes: Arc<[Inbox]>,
    },
}

/// What others handed to one worker, by side.
#[derive(Debug)]
pub struct Inbox([ArrayQueue<Frame>; 2]);

impl Steering {
    /// The parts of so many workers.
    pub fn for_workers(workers: usize) -> Vec<Self> {
        if workers == 1 {
            return vec![Self::Here];
        }
        let rings = || [ArrayQueue::new(RING), ArrayQueue::new(RING)];
        let inboxes: Arc<[Inbox]> = (0..workers).map(|_| Inbox(rings())).collect();
        (0..workers)
            .map(|own| Self::ByDevice {
                own,
                inboxes: Arc::clone(&inboxes),
            })
            .collect()
    }

    /// Gives the frames of other workers away; the own ones stay, in order and without gaps.
    pub fn hand_over(&mut self, from: Side, burst: &mut Burst, turns: &mut Turns) {
        let Self::ByDevice { own, inboxes } = self else {
            return;
        };
        let mut owners = [*own; BURST];
        let mut foreign = 0u64;
        for (index, frame) in burst.frames().iter().enumerate() {
            owners[index] = owner(from, frame, inboxes.len());
            foreign |= u64::from(owners[index] != *own) << index;
        }
        if foreign == 0 {
            return;
        }
        burst.split_off(foreign, |index, frame| {
            turns.handed_over += 1;
            // A frame that does not fit is freed here.
            if inboxes[owners[index]].0[from as usize].push(frame).is_err() {
                turns.hand_over_drops[from as usize] += 1;
            }
        });
    }

    /// Fills the empty burst with frames other workers handed over; returns how many.
    pub fn take_over(&mut self, from: Side, burst: &mut Burst) -> usize {
        let Self::ByDevice { own, inboxes } = self else {
            return 0;
        };
        let inbox = &inboxes[*own].0[from as usize];
        while burst.len() < BURST {
            let Some(frame) = inbox.pop() else { break };
            // There is room, as just seen.
            let _ = burst.push(frame);
        }
        burst.len()
    }
}

/// The worker of the frame's device: source on the ward side, destination on the core side.
/// Group addresses have a worker as well, so that all frames to a group keep their order.
fn owner(from: Side, frame: &[u8], workers: usize) -> usize {
    let mac = match from {
        Side::Ward => frame.get(6..12),
        Side::Core => frame.get(..6),
    };
    // Not even a header: the engine of whoever has it will say so.
    let Some(mac) = mac else { return 0 };
    let mut key = [0; 8];
    key[..6].copy_from_slice(mac);
    // The same on all workers and over restarts; nothing is gained by choosing one's worker.
    let hash = foldhash::fast::FixedState::with_seed(0).hash_one(u64::from_le_bytes(key));
    // The upper half decides, scaled rather than divided.
    usize::try_from(((hash >> 32) * workers as u64) >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(destination: [u8; 6], source: [u8; 6]) -> Vec<u8> {
        [&destination[..], &source, &[8, 0]].concat()
    }

    #[test]
    fn both_directions_of_a_device_have_one_owner_and_devices_spread() {
        let peer = [2, 0, 0, 0, 0, 9];
        let mut seen = [0; 4];
        for number in 0..=255 {
            let device = [0, 9, 0xfb, 0, 0, number];
            let out = owner(Side::Ward, &frame(peer, device), 4);
            assert_eq!(out, owner(Side::Core, &frame(device, peer), 4));
            seen[out] += 1;
        }
        assert!(seen.iter().all(|count| *count > 32), "{seen:?}");
    }

    #[test]
    fn a_runt_has_an_owner() {
        assert_eq!(owner(Side::Ward, &[1, 2, 3], 4), 0);
    }
}
