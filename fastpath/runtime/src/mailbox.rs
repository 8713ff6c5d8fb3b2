//! The way from the control thread to a worker: a bounded queue of commands which the worker
//! looks at once a round, and bounded queues of events, feature windows and samples back.
//!
//! Nothing here blocks the worker. What a command brings back goes through a one-shot channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;
use tokio::sync::oneshot;
use wardline_control::FlowFilter;
use wardline_engine::capture::{Captured, Dropped, Orders};
use wardline_engine::feature::Finished;
use wardline_engine::{Counters, DeviceView, Event, FlowView, Sample};
use wardline_policy::{DeviceKey, PolicySnapshot};

/// Commands that may wait at once. The control thread has few in flight; a full queue means a
/// worker that does not turn.
const COMMANDS: usize = 64;

/// What a worker is asked to do between two bursts.
#[derive(Debug)]
pub enum Command {
    /// Put another policy in force and hand the old one back, so that it is freed elsewhere.
    SetPolicy {
        snapshot: Arc<PolicySnapshot>,
        done: oneshot::Sender<Swapped>,
    },
    /// Copy the counters.
    Report(oneshot::Sender<Report>),
    /// Copy the device table.
    Devices(oneshot::Sender<Vec<DeviceView>>),
    /// Capture these devices and no others, and hand the orders before back.
    Capture {
        orders: Orders,
        done: oneshot::Sender<Orders>,
    },
    /// Copy the last dropped frames of a device, at most so many.
    Dropped {
        device: DeviceKey,
        limit: usize,
        done: oneshot::Sender<Vec<Dropped>>,
    },
    /// Copy a piece of the flow table.
    Flows {
        wanted: FlowsWanted,
        done: oneshot::Sender<FlowsFound>,
    },
    /// Forward what is still there, then return.
    Finish,
}

/// A policy swap that happened.
#[derive(Debug)]
pub struct Swapped {
    /// The policy before.
    pub old: Arc<PolicySnapshot>,
    /// The engine's number of the policy now in force.
    pub generation: u32,
}

/// A piece of the flow table.
#[derive(Debug, Clone)]
pub struct FlowsWanted {
    /// Which of them.
    pub filter: FlowFilter,
    /// Slot of the table to begin at.
    pub first: u32,
    /// Flows to look at.
    pub scan: usize,
    /// Flows to return at most.
    pub limit: usize,
}

/// A piece of the flow table as found.
#[derive(Debug)]
pub struct FlowsFound {
    /// The flows.
    pub flows: Vec<FlowView>,
    /// Slot to go on at; none at the end of the table.
    pub next: Option<u32>,
}

/// Counters of one worker at one moment.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The engine's, with frames the egress did not take put under their reason.
    pub counters: Counters,
    /// The loop's.
    pub turns: Turns,
    /// Devices known.
    pub devices: usize,
}

/// Counters of a worker's loop.
#[derive(Debug, Clone, Copy, Default)]
pub struct Turns {
    /// Rounds over both ports.
    pub polls: u64,
    /// Rounds that found nothing.
    pub empty_polls: u64,
    /// Sleeps.
    pub parks: u64,
    /// Bursts with frames.
    pub bursts: u64,
    /// Frames in them.
    pub frames: u64,
    /// Time spent in rounds with frames, in nanoseconds.
    pub busy_ns: u64,
    /// Time since the first round, in nanoseconds.
    pub elapsed_ns: u64,
    /// Longest time between the beginnings of two rounds since the last report.
    pub longest_round_ns: u64,
    /// Windows and samples that nobody fetched in time.
    pub unfetched: [u64; 2],
    /// Feature windows that came to a decision size or to the end of their span.
    pub feature_windows: u64,
    /// Frames given to the worker they belong to.
    pub handed_over: u64,
    /// Frames lost because that worker's ring was full, by side; also counted as `egress-full`.
    pub hand_over_drops: [u64; 2],
}

/// One worker's mailbox. Shared by the worker and the control thread.
#[derive(Debug)]
pub struct Mailbox {
    commands: ArrayQueue<Command>,
    events: ArrayQueue<Event>,
    events_dropped: AtomicU64,
    windows: ArrayQueue<Finished>,
    samples: ArrayQueue<Box<Sample>>,
    /// Samples that were read, on their way back.
    read: ArrayQueue<Box<Sample>>,
    captured: ArrayQueue<Box<Captured>>,
    /// Memory of captured frames that were taken in, on its way back.
    taken_in: ArrayQueue<Box<Captured>>,
}

/// How much a mailbox holds.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Events.
    pub events: usize,
    /// Feature windows.
    pub windows: usize,
    /// Samples.
    pub samples: usize,
    /// Captured frames.
    pub captured: usize,
}

impl Mailbox {
    /// An empty one.
    pub fn new(room: Room) -> Self {
        Self {
            commands: ArrayQueue::new(COMMANDS),
            events: ArrayQueue::new(room.events.max(1)),
            events_dropped: AtomicU64::new(0),
            windows: ArrayQueue::new(room.windows.max(1)),
            samples: ArrayQueue::new(room.samples.max(1)),
            read: ArrayQueue::new(room.samples.max(1)),
            captured: ArrayQueue::new(room.captured.max(1)),
            taken_in: ArrayQueue::new(room.captured.max(1)),
        }
    }

    /// The worker's window. Whether there was room.
    pub fn hand_window(&self, window: Finished) -> bool {
        self.windows.push(window).is_ok()
    }

    /// The oldest window not yet fetched.
    pub fn next_window(&self) -> Option<Finished> {
        self.windows.pop()
    }

    /// The worker's sample; given back if nobody fetches them.
    pub fn hand_sample(&self, sample: Box<Sample>) -> Result<(), Box<Sample>> {
        self.samples.push(sample)
    }

    /// The oldest sample not yet fetched.
    pub fn next_sample(&self) -> Option<Box<Sample>> {
        self.samples.pop()
    }

    /// Sends a sample back to be filled again.
    pub fn return_sample(&self, sample: Box<Sample>) {
        // There is room for all there are; one that found none would be freed here.
        let _ = self.read.push(sample);
    }

    /// A sample that comes back.
    pub fn returned_sample(&self) -> Option<Box<Sample>> {
        self.read.pop()
    }

    /// The worker's captured frame; given back without room, which there is for all there are.
    pub fn hand_captured(&self, copy: Box<Captured>) -> Result<(), Box<Captured>> {
        self.captured.push(copy)
    }

    /// The oldest captured frame not yet fetched.
    pub fn next_captured(&self) -> Option<Box<Captured>> {
        self.captured.pop()
    }

    /// Sends the memory of a captured frame back.
    pub fn return_captured(&self, copy: Box<Captured>) {
        let _ = self.taken_in.push(copy);
    }

    /// Memory that comes back.
    pub fn returned_captured(&self) -> Option<Box<Captured>> {
        self.taken_in.pop()
    }

    /// Leaves a command; gives it back if the worker is so far behind that there is no room.
    pub fn post(&self, command: Command) -> Result<(), Command> {
        self.commands.push(command)
    }

    /// The worker's look into the box.
    pub fn next_command(&self) -> Option<Command> {
        self.commands.pop()
    }

    /// The worker's event; dropped and counted if nobody fetches them.
    pub fn tell(&self, event: Event) {
        if self.events.push(event).is_err() {
            self.events_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The oldest event not yet fetched.
    pub fn next_event(&self) -> Option<Event> {
        self.events.pop()
    }

    /// Events dropped since the start.
    pub fn events_dropped(&self) -> u64 {
        self.events_dropped.load(Ordering::Relaxed)
    }
}
