//! What the traffic of each device looks like: windows of numbers that hold no address, no name
//! and no time of day, for whoever learns what the device is.
//!
//! A window takes the first frames of its device within a fixed span; then the device costs
//! nothing more until the span is over. It is handed out at three sizes, because an early answer
//! is worth having and a late one is better.

use std::collections::VecDeque;

use wardline_policy::{DeviceKey, MacAddr, Side};

/// Sizes of a window at which it is handed out, in frames; the last one fills it.
pub const DECISIONS: [u16; 3] = [20, 60, FRAMES];
/// Frames of a full window.
pub const FRAMES: u16 = 300;
/// Classes of frame length: up to 64, 128, 256, 512, 768, 1024, 1280 bytes, and longer.
pub const SIZES: usize = 8;
/// Classes of the time between two frames, by powers of four from 16 µs; the last is open.
pub const GAPS: usize = 12;

const SIZE_LIMITS: [usize; SIZES - 1] = [64, 128, 256, 512, 768, 1024, 1280];
const FIRST_GAP_SHIFT: u32 = 14;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6.
    Icmp,
    /// IP with another protocol.
    OtherIp,
    /// ARP.
    Arp,
    /// Neither IP nor ARP.
    Other,
}

/// Number of protocols.
pub const PROTOCOLS: usize = 6;

/// One device's traffic over a part of the time. Index 0 of a pair is from the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(align(64))]
pub struct Window {
    /// Frames by class of length, Ethernet header included.
    pub sizes: [[u16; SIZES]; 2],
    /// Frames by class of the time since the one before.
    pub gaps: [u16; GAPS],
    /// Frames by what they carry.
    pub protocols: [u16; PROTOCOLS],
    /// Bytes.
    pub bytes: [u32; 2],
    /// How often the direction changed.
    pub turns: u16,
    /// How often a gap was of the class of the one before: the more, the steadier the rhythm.
    pub steady: u16,
    /// Frames from the device to a multicast group and to everybody.
    pub groups: [u16; 2],
    /// Length of the longest frame.
    pub longest: [u16; 2],
    /// Time from the first frame to the last.
    pub span_ns: u64,
    last_gap: u8,
    last_from: Option<Side>,
    last_ns: u64,
}

/// Whom a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// One station.
    One,
    /// A multicast group.
    Group,
    /// Everybody.
    All,
}

impl Cast {
    /// By the destination address.
    #[inline]
    pub fn of(destination: MacAddr) -> Self {
        match destination.is_group() {
            false => Self::One,
            true if destination.0 == [0xff; 6] => Self::All,
            true => Self::Group,
        }
    }
}

impl Window {
    /// Adds a frame: where it came from, whom it is for, its length with the Ethernet header, what
    /// it carries, and when. At most [`FRAMES`] frames may be added to a window.
    #[inline]
    pub fn add(&mut self, (from, cast): (Side, Cast), len: usize, carries: Protocol, now_ns: u64) {
        let direction = from as usize;
        let size = SIZE_LIMITS.iter().filter(|limit| len > **limit).count();
        self.sizes[direction][size] += 1;
        self.bytes[direction] = self.bytes[direction].saturating_add(len as u32);
        self.longest[direction] =
            self.longest[direction].max(u16::try_from(len).unwrap_or(u16::MAX));
        self.protocols[carries as usize] += 1;
        if from == Side::Ward && cast != Cast::One {
            self.groups[usize::from(cast == Cast::All)] += 1;
        }
        if let Some(last) = self.last_from {
            let since_ns = now_ns.saturating_sub(self.last_ns);
            let gap = gap(since_ns);
            self.turns += u16::from(last != from);
            self.steady += u16::from(usize::from(self.last_gap) == gap);
            self.gaps[gap] += 1;
            self.span_ns = self.span_ns.saturating_add(since_ns);
            self.last_gap = gap as u8;
        }
        (self.last_from, self.last_ns) = (Some(from), now_ns);
    }
}

/// The class of a time between two frames.
const fn gap(ns: u64) -> usize {
    let octaves = u64::BITS - (ns >> FIRST_GAP_SHIFT).leading_zeros();
    let class = octaves.div_ceil(2) as usize;
    if class < GAPS { class } else { GAPS - 1 }
}

/// A window that is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Whose it is.
    pub device: DeviceKey,
    /// Unix time in nanoseconds of its last frame, or of the end of its span.
    pub time_ns: u64,
    /// Frames in it: one of [`DECISIONS`], or fewer at the end of the span.
    pub frames: u16,
    /// The numbers.
    pub window: Window,
}

/// Where the window of one device stands; beside the device's counters, where every frame looks
/// anyway.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gate {
    until_ns: u64,
    frames: u16,
}

impl Gate {
    /// Whether a frame at this time has no part in any window.
    #[inline]
    pub(crate) const fn is_shut(&self, now_ns: u64) -> bool {
        self.frames >= FRAMES && now_ns < self.until_ns
    }
}

/// The windows of all devices, and those waiting to be fetched.
#[derive(Debug)]
pub(crate) struct Windows {
    open: Vec<Window>,
    finished: VecDeque<Finished>,
    finished_max: usize,
    span_ns: u64,
    pub(crate) dropped: u64,
}

impl Windows {
    /// `span_s` 0: there are no windows.
    pub(crate) fn new(devices: u32, finished_max: u32, span_s: u32) -> Self {
        let devices = if span_s == 0 { 0 } else { devices as usize };
        Self {
            open: vec![Window::default(); devices],
            finished: VecDeque::with_capacity(finished_max as usize),
            finished_max: finished_max as usize,
            span_ns: u64::from(span_s) * 1_000_000_000,
            dropped: 0,
        }
    }

    /// Adds a frame to the window of the device in this slot.
    pub(crate) fn add(
        &mut self,
        (slot, device): (u32, DeviceKey),
        gate: &mut Gate,
        (whence, len, carries): ((Side, Cast), usize, Protocol),
        now_ns: u64,
    ) {
        let Some(window) = self.open.get_mut(slot as usize) else {
            // No windows are wanted: shut for good.
            (gate.frames, gate.until_ns) = (FRAMES, u64::MAX);
            return;
        };
        let mut ended = None;
        if now_ns >= gate.until_ns {
            let unfinished = gate.frames != 0 && !DECISIONS.contains(&gate.frames);
            ended = unfinished.then_some((*window, gate.frames, gate.until_ns));
            *window = Window::default();
            (gate.frames, gate.until_ns) = (0, now_ns.saturating_add(self.span_ns));
        }
        window.add(whence, len, carries, now_ns);
        gate.frames += 1;
        let decided = DECISIONS.contains(&gate.frames);
        let reached = decided.then_some((*window, gate.frames, now_ns));
        for (window, frames, time_ns) in ended.into_iter().chain(reached) {
            self.finish(Finished {
                device,
                time_ns,
                frames,
                window,
            });
        }
    }

    fn finish(&mut self, window: Finished) {
        if self.finished.len() < self.finished_max {
            self.finished.push_back(window);
        } else {
            self.dropped += 1;
        }
    }

    pub(crate) fn next(&mut self) -> Option<Finished> {
        self.finished.pop_front()
    }

    /// Bytes of the open windows.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.open.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn feed(windows: &mut Windows, gate: &mut Gate, frames: u64, start_ns: u64, step_ns: u64) {
        for n in 0..frames {
            let now_ns = start_ns + n * step_ns;
            if !gate.is_shut(now_ns) {
                let from = if n % 2 == 0 { Side::Ward } else { Side::Core };
                let frame = ((from, Cast::One), 100, Protocol::Udp);
                windows.add((0, DeviceKey::default()), gate, frame, now_ns);
            }
        }
    }

    fn sizes(windows: &mut Windows) -> Vec<u16> {
        std::iter::from_fn(|| windows.next())
            .map(|w| w.frames)
            .collect()
    }

    #[test]
    fn a_window_is_handed_out_at_each_size_and_rests_when_it_is_full() {
        let (mut windows, mut gate) = (Windows::new(1, 8, 60), Gate::default());
        feed(&mut windows, &mut gate, 1_000, SECOND, 1_000_000);
        assert_eq!(sizes(&mut windows), [20, 60, 300]);
        feed(&mut windows, &mut gate, 25, 62 * SECOND, 1_000_000);
        assert_eq!(sizes(&mut windows), [20]);
        // The span ends with 25 frames in the window.
        feed(&mut windows, &mut gate, 1, 200 * SECOND, 1);
        assert_eq!(sizes(&mut windows), [25]);
    }

    #[test]
    fn every_frame_is_counted_in_each_of_its_ways() {
        let (mut windows, mut gate) = (Windows::new(1, 8, 60), Gate::default());
        feed(&mut windows, &mut gate, 20, SECOND, 1_000_000);
        let window = windows.next().expect("it is full").window;
        assert_eq!(window.sizes[0][1] + window.sizes[1][1], 20);
        assert_eq!(window.protocols[Protocol::Udp as usize], 20);
        assert_eq!(window.bytes, [1_000, 1_000]);
        assert_eq!(window.turns, 19);
        // 1 ms lies between 16 µs × 4³ and 16 µs × 4⁴.
        assert_eq!(window.gaps[gap(1_000_000)], 19);
        assert_eq!(
            (gap(0), gap(16_384), gap(1_000_000), gap(u64::MAX)),
            (0, 1, 3, GAPS - 1)
        );
    }

    #[test]
    fn windows_nobody_fetches_are_dropped_and_counted() {
        let (mut windows, mut gate) = (Windows::new(1, 1, 60), Gate::default());
        feed(&mut windows, &mut gate, 60, SECOND, 1);
        assert_eq!((sizes(&mut windows), windows.dropped), (vec![20], 1));
    }

    #[test]
    fn without_a_span_there_are_no_windows() {
        let (mut windows, mut gate) = (Windows::new(1, 8, 0), Gate::default());
        feed(&mut windows, &mut gate, 100, SECOND, 1);
        assert!(windows.next().is_none() && gate.is_shut(SECOND));
    }
}
