//! How a frame gets to the worker that knows its device.

use wardline_dpdk::Burst;
use wardline_policy::Side;

use crate::mailbox::Turns;

/// One worker's part in the distribution.
#[derive(Debug)]
pub enum Steering {
    /// Every frame that arrives here belongs here: there is one worker, or the NICs distribute.
    Here,
}

impl Steering {
    /// Gives the frames of other workers away; the own ones stay, without gaps.
    pub fn hand_over(&mut self, _from: Side, _burst: &mut Burst, _turns: &mut Turns) {}

    /// Fills the burst with frames other workers gave; returns how many.
    pub fn take_over(&mut self, _from: Side, _burst: &mut Burst) -> usize {
        0
    }
}
