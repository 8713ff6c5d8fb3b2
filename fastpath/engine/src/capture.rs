//! Frames for people: all of a device that somebody captures, and the beginnings of those that were
//! dropped last. Copies are made into memory that was there at the start; captured ones circulate
//! as samples do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wardline_policy::{DeviceKey, Reason, Side};

use crate::Verdict;
use crate::parse::parse;
use crate::sample::Sample;

/// Captures at once.
pub const CAPTURES: usize = 4;
/// Bytes kept of a dropped frame.
pub const DROPPED_BYTES: usize = 256;

/// A capture of one device.
#[derive(Debug)]
pub struct Order {
    /// Its number.
    pub id: u64,
    /// Whose frames.
    pub device: DeviceKey,
    /// Bytes of each frame at most; more than [`SAMPLE_BYTES`](crate::sample::SAMPLE_BYTES) are
    /// never kept.
    pub snaplen: usize,
    /// Frames that found no free memory.
    pub lost: AtomicU64,
}

/// The captures that run.
pub type Orders = [Option<Arc<Order>>; CAPTURES];

/// A frame that was captured, with what became of it.
#[derive(Debug, Clone)]
pub struct Captured {
    /// Number of the capture.
    pub order: u64,
    /// What became of it.
    pub verdict: Verdict,
    /// The frame.
    pub frame: Sample,
}

impl Captured {
    fn spare() -> Box<Self> {
        Box::new(Self {
            order: 0,
            verdict: Verdict::default(),
            frame: *Sample::spare(),
        })
    }
}

/// The captures of one engine.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "copies move between queues, and are 1.5 kB")]
pub(crate) struct Captures {
    orders: Orders,
    spare: Vec<Box<Captured>>,
    taken: VecDeque<Box<Captured>>,
    most: usize,
}

impl Captures {
    pub(crate) fn new(count: u32) -> Self {
        let most = count as usize;
        Self {
            orders: Orders::default(),
            spare: (0..most).map(|_| Captured::spare()).collect(),
            taken: VecDeque::with_capacity(most),
            most,
        }
    }

    /// Whether any of them runs.
    #[inline]
    pub(crate) const fn run(&self) -> bool {
        // They fill the places from the first on.
        self.orders[0].is_some()
    }

    pub(crate) fn set(&mut self, orders: Orders) -> Orders {
        std::mem::replace(&mut self.orders, orders)
    }

    /// Copies what belongs to captured devices out of a burst that was judged.
    #[cold]
    pub(crate) fn take(&mut self, from: Side, now_ns: u64, frames: &[&[u8]], verdicts: &[Verdict]) {
        for (frame, verdict) in frames.iter().zip(verdicts) {
            for order in self.orders.iter().flatten() {
                if !is_of(&order.device, frame) {
                    continue;
                }
                let Some(mut copy) = self.spare.pop() else {
                    order.lost.fetch_add(1, Ordering::Relaxed);
                    continue;
                };
                (copy.order, copy.verdict) = (order.id, *verdict);
                copy.frame.fill(from, frame, now_ns);
                copy.frame.cut(order.snaplen);
                self.taken.push_back(copy);
            }
        }
    }

    pub(crate) fn next(&mut self) -> Option<Box<Captured>> {
        self.taken.pop_front()
    }

    /// Takes one back; more than there were at the start are let go.
    pub(crate) fn give_back(&mut self, copy: Box<Captured>) {
        if self.spare.len() + self.taken.len() < self.most {
            self.spare.push(copy);
        }
    }
}

/// Whether the device sent the frame or it is addressed to it.
fn is_of(device: &DeviceKey, frame: &[u8]) -> bool {
    let Some((ends, _)) = frame.split_first_chunk::<12>() else {
        return false;
    };
    let mac = device.mac.0;
    if ends[..6] != mac && ends[6..] != mac {
        return false;
    }
    let meta = parse(frame).or_else(|error| error.meta.ok_or(()));
    meta.is_ok_and(|meta| meta.vlan == device.vlan)
}

/// A frame that was dropped, or its beginning.
#[derive(Debug, Clone, Copy)]
pub struct Dropped {
    /// When it came, Unix time in nanoseconds.
    pub time_ns: u64,
    /// The station on the ward side that it came from or was for.
    pub device: DeviceKey,
    /// Where it came from.
    pub from: Side,
    /// Why it was dropped.
    pub reason: Reason,
    /// Its length on the wire in bytes, without the frame check sequence.
    pub wire_bytes: usize,
    len: usize,
    bytes: [u8; DROPPED_BYTES],
}

impl Dropped {
    /// The bytes that were kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The frames of all devices that were dropped last.
#[derive(Debug)]
pub(crate) struct Drops {
    ring: Vec<Dropped>,
    /// Where the next one goes: the oldest is there.
    next: usize,
}

impl Drops {
    pub(crate) fn new(count: u32) -> Self {
        let blank = Dropped {
            time_ns: 0,
            device: DeviceKey::default(),
            from: Side::Ward,
            reason: Reason::Runt,
            wire_bytes: 0,
            len: 0,
            bytes: [0; DROPPED_BYTES],
        };
        Self {
            ring: vec![blank; count as usize],
            next: 0,
        }
    }

    pub(crate) fn note(
        &mut self,
        device: DeviceKey,
        reason: Reason,
        from: Side,
        frame: &[u8],
        now_ns: u64,
    ) {
        let Some(place) = self.ring.get_mut(self.next) else {
            return;
        };
        let len = frame.len().min(DROPPED_BYTES);
        place.bytes[..len].copy_from_slice(&frame[..len]);
        (place.len, place.wire_bytes) = (len, frame.len());
        (place.time_ns, place.from) = (now_ns, from);
        (place.device, place.reason) = (device, reason);
        self.next += 1;
        if self.next == self.ring.len() {
            self.next = 0;
        }
    }

    /// The last ones of a device, the newest first.
    pub(crate) fn of(&self, device: DeviceKey) -> impl Iterator<Item = &Dropped> {
        let (newer, older) = self.ring.split_at(self.next);
        let all = newer.iter().rev().chain(older.iter().rev());
        all.filter(move |dropped| dropped.device == device && dropped.wire_bytes > 0)
    }
}
