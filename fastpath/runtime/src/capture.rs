//! Captures: frames of a device in memory, for whoever asked for them, and never anywhere else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wardline_control::view::{CaptureVerdict, FrameBytes};
use wardline_control::{
    CaptureOrder, CapturePage, CaptureState, CapturedFrame, Refused, RefusedKind, bounds,
};
use wardline_engine::capture::{CAPTURES, Captured, Dropped, Order, Orders};
use wardline_engine::{Action, Verdict};

use crate::clock::WallTimes;
use crate::fleet::Fleet;

/// Bytes of the shortest frame there is.
const HEADER_BYTES: u32 = 14;
/// How long a capture that has ended can be read: what it holds is about patients.
const KEPT: Duration = Duration::from_secs(600);

/// The captures there are.
#[derive(Debug)]
pub struct Captures {
    times: WallTimes,
    inner: Mutex<Inner>,
    /// The workers get one set of orders after the other.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Inner {
    started: u64,
    list: Vec<Capture>,
    /// Numbers of those that the workers make; none when that is not known.
    told: Option<Vec<u64>>,
}

#[derive(Debug)]
struct Capture {
    order: Arc<Order>,
    wanted: CaptureOrder,
    frames: Vec<CapturedFrame>,
    bytes: usize,
    state: CaptureState,
    /// While it runs, when it ends; afterwards, when it is forgotten.
    due: Instant,
}

impl Captures {
    /// None.
    pub fn new(times: WallTimes) -> Self {
        Self {
            times,
            inner: Mutex::default(),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Begins a capture. Its number.
    ///
    /// # Errors
    /// The order is out of bounds, as many run already, or a worker does not answer.
    pub async fn start(&self, wanted: CaptureOrder, fleet: &Fleet) -> Result<u64, Refused> {
        check(&wanted)?;
        let id = self.add(wanted)?;
        if let Err(refused) = self.tell_workers(fleet).await {
            self.inner().list.retain(|capture| capture.order.id != id);
            return Err(refused);
        }
        tracing::info!(capture = id, device = ?wanted.device, packets = wanted.packets_max,
            seconds = wanted.seconds, "a capture begins");
        Ok(id)
    }

    /// What was captured from this frame on.
    ///
    /// # Errors
    /// There is no such capture.
    pub fn read(&self, id: u64, from: u64, limit: usize) -> Result<CapturePage, Refused> {
        let mut inner = self.inner();
        let capture = inner.find(id)?;
        let skip = usize::try_from(from).unwrap_or(usize::MAX);
        let frames = capture.frames.iter().skip(skip).take(limit);
        let frames: Vec<CapturedFrame> = frames.cloned().collect();
        Ok(CapturePage {
            next: from.min(capture.frames.len() as u64) + frames.len() as u64,
            state: capture.state,
            lost: capture.order.lost.load(Ordering::Relaxed),
            frames,
        })
    }

    /// Ends a capture; it can be read for a while.
    ///
    /// # Errors
    /// There is no such capture, or a worker does not answer.
    pub async fn stop(&self, id: u64, fleet: &Fleet) -> Result<(), Refused> {
        self.inner().find(id)?.end(CaptureState::Stopped);
        self.tell_workers(fleet).await
    }

    /// Takes in what the workers copied, ends what is due and forgets what is old.
    pub async fn collect(&self, fleet: &Fleet) {
        for mailbox in fleet.mailboxes() {
            while let Some(copy) = mailbox.next_captured() {
                self.inner().take(&copy, &self.times);
                mailbox.return_captured(copy);
            }
        }
        if self.inner().is_news(Instant::now())
            && let Err(refused) = self.tell_workers(fleet).await
        {
            // It is tried again; what comes meanwhile is let go.
            tracing::warn!(%refused, "a capture that has ended still costs time");
        }
    }

    /// A dropped frame as clients see it.
    pub fn dropped(&self, dropped: &Dropped) -> CapturedFrame {
        CapturedFrame {
            time_us: self.times.us(dropped.time_ns),
            side: dropped.from,
            verdict: CaptureVerdict::Drop,
            reason: dropped.reason,
            bytes: FrameBytes(dropped.bytes().to_vec()),
            original_len: length(dropped.wire_bytes),
        }
    }

    fn add(&self, wanted: CaptureOrder) -> Result<u64, Refused> {
        let mut inner = self.inner();
        if inner.list.len() == CAPTURES {
            // The oldest that has ended makes room.
            let ended = inner
                .list
                .iter()
                .position(|c| c.state != CaptureState::Running);
            let ended = ended.ok_or_else(|| {
                let message = format!("{CAPTURES} captures run already; stop one of them first");
                Refused::new(RefusedKind::Unavailable, message)
            })?;
            inner.list.remove(ended);
        }
        inner.started += 1;
        let id = inner.started;
        inner.list.push(Capture {
            order: Arc::new(Order {
                id,
                device: wanted.device,
                snaplen: wanted.snaplen as usize,
                lost: AtomicU64::new(0),
            }),
            wanted,
            frames: Vec::new(),
            bytes: 0,
            state: CaptureState::Running,
            due: Instant::now() + Duration::from_secs(wanted.seconds.into()),
        });
        Ok(id)
    }

    async fn tell_workers(&self, fleet: &Fleet) -> Result<(), Refused> {
        let _turn = self.turn.lock().await;
        self.inner().told = None;
        let orders = self.inner().orders();
        fleet.capture(&orders).await?;
        self.inner().told = Some(numbers(&orders));
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic leaves a capture without its last frame at most.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn find(&mut self, id: u64) -> Result<&mut Capture, Refused> {
        let found = self.list.iter_mut().find(|capture| capture.order.id == id);
        found.ok_or_else(|| {
            Refused::new(
                RefusedKind::Argument,
                format!(
                    "there is no capture {id}; they are forgotten {} s after their end, or when \
                     others begin",
                    KEPT.as_secs()
                ),
            )
        })
    }

    fn orders(&self) -> Orders {
        let running = self
            .list
            .iter()
            .filter(|c| c.state == CaptureState::Running);
        let mut orders = Orders::default();
        for (place, capture) in orders.iter_mut().zip(running) {
            *place = Some(Arc::clone(&capture.order));
        }
        orders
    }

    fn take(&mut self, copy: &Captured, times: &WallTimes) {
        let Ok(capture) = self.find(copy.order) else {
            return;
        };
        let bytes = copy.frame.bytes();
        let (frames_max, bytes_max) = (capture.wanted.packets_max, capture.wanted.bytes_max);
        let full = capture.frames.len() >= frames_max as usize
            || capture.bytes + bytes.len() > bytes_max as usize;
        if capture.state != CaptureState::Running || full {
            capture.end(CaptureState::Done);
            return;
        }
        capture.bytes += bytes.len();
        capture.frames.push(frame(copy, times));
        if capture.frames.len() == frames_max as usize {
            capture.end(CaptureState::Done);
        }
    }

    /// Ends what is due and forgets what is old. Whether the workers must hear of it.
    fn is_news(&mut self, now: Instant) -> bool {
        for capture in &mut self.list {
            if capture.due <= now {
                capture.end(CaptureState::Done);
            }
        }
        self.list
            .retain(|c| c.state == CaptureState::Running || now < c.due);
        self.told.as_ref() != Some(&numbers(&self.orders()))
    }
}

impl Capture {
    fn end(&mut self, state: CaptureState) {
        if self.state == CaptureState::Running {
            self.state = state;
            self.due = Instant::now() + KEPT;
        }
    }
}

fn numbers(orders: &Orders) -> Vec<u64> {
    orders.iter().flatten().map(|order| order.id).collect()
}

fn frame(copy: &Captured, times: &WallTimes) -> CapturedFrame {
    let Verdict {
        action,
        reason,
        would_drop,
        ..
    } = copy.verdict;
    let (verdict, reason) = match (action, would_drop) {
        (Action::Drop, _) => (CaptureVerdict::Drop, reason),
        (Action::Forward(_), Some(would)) => (CaptureVerdict::WouldDrop, would),
        (Action::Forward(_), None) => (CaptureVerdict::Forward, reason),
    };
    CapturedFrame {
        time_us: times.us(copy.frame.time_ns),
        side: copy.frame.from,
        verdict,
        reason,
        bytes: FrameBytes(copy.frame.bytes().to_vec()),
        original_len: length(copy.frame.wire_bytes),
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn check(order: &CaptureOrder) -> Result<(), Refused> {
    let ranges = [
        ("packets_max", order.packets_max, 1, bounds::CAPTURE_PACKETS),
        ("bytes_max", order.bytes_max, 1, bounds::CAPTURE_BYTES),
        (
            "snaplen",
            order.snaplen,
            HEADER_BYTES,
            bounds::CAPTURE_SNAPLEN,
        ),
        ("seconds", order.seconds, 1, bounds::CAPTURE_SECONDS),
    ];
    for (name, value, least, most) in ranges {
        if !(least..=most).contains(&value) {
            return Err(Refused::new(
                RefusedKind::Argument,
                format!("{name} of a capture is {value}; it must be {least} to {most}"),
            ));
        }
    }
    Ok(())
}
