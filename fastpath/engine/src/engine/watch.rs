//! Which frames are handed out as samples: of each conversation the beginning, and of what belongs
//! to none (group frames, denied ones) what its device's share allows.

use super::{Engine, Frame, Keyed};
use crate::flow::WATCHED;
use crate::sample;

impl Engine {
    /// A frame that belonged to no conversation when it came. If it has begun one, that is watched
    /// from here on.
    pub(super) fn sample_first(&mut self, frame: &Frame<'_>, keyed: Option<&Keyed>, device: u32) {
        if !self.samples.wanted() || !self.may_sample(device, frame.now_ns) {
            return;
        }
        self.samples.take(frame.from, frame.bytes, frame.now_ns);
        let begun = keyed.and_then(|k| self.flows.find(&k.key, k.hash));
        if let Some(slot) = begun {
            self.flows.hot_mut(slot).flags |= WATCHED;
        }
    }

    /// A further frame of a watched conversation.
    pub(super) fn sample_beginning(&mut self, frame: &Frame<'_>, slot: u32) {
        self.samples.take(frame.from, frame.bytes, frame.now_ns);
        let hot = self.flows.hot_mut(slot);
        if hot
            .frames
            .iter()
            .fold(0u32, |sum, n| sum.saturating_add(*n))
            >= sample::FRAMES
        {
            hot.flags &= !WATCHED;
        }
    }

    fn may_sample(&mut self, device: u32, now_ns: u64) -> bool {
        match self.devices.get_mut(device) {
            Some(device) => device.samples.take(sample::PER_DEVICE_PER_S, now_ns),
            None => self.samples.others_may(now_ns),
        }
    }
}
