//! Frames of a device, for whoever looks into a fault. They hold patient data: they are kept in
//! memory only, for an hour, and never logged.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use wardline_capture::{Packet, PcapngWriter};
use wardline_control::bounds::{CAPTURE_BYTES, PAGE};
use wardline_control::view::CaptureVerdict;
use wardline_control::{CaptureOrder, CapturePage, CaptureState, CapturedFrame, Client};
use wardline_policy::Side;

use crate::api::problem::Problem;
use crate::jobs::Handle;
use crate::store::device;

/// How long frames are kept after a capture ended.
const KEPT: Duration = Duration::from_secs(3_600);
/// Captures that are kept; the oldest make room.
const CAPTURES: usize = 8;
/// How often a capture that runs is read.
const READ_EVERY: Duration = Duration::from_millis(500);

/// The captures that are kept, by the numbers of their jobs.
#[derive(Debug, Default)]
pub struct Shelf {
    held: Mutex<BTreeMap<i64, Held>>,
}

#[derive(Debug)]
struct Held {
    frames: Vec<CapturedFrame>,
    bytes: usize,
    /// When it is forgotten; absent while it runs.
    until: Option<Instant>,
}

impl Shelf {
    /// The frames of a capture as a pcapng file; none if there is no such capture (any more).
    pub fn file(&self, id: i64) -> Option<io::Result<Vec<u8>>> {
        self.held().get(&id).map(|held| pcapng(&held.frames))
    }

    /// Lets go of what is old.
    pub fn forget(&self) {
        let now = Instant::now();
        self.held()
            .retain(|_, held| held.until.is_none_or(|until| now < until));
    }

    fn begin(&self, id: i64) {
        let mut held = self.held();
        if held.len() >= CAPTURES {
            let oldest = held.iter().find(|(_, held)| held.until.is_some());
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                held.remove(&oldest);
            }
        }
        held.insert(
            id,
            Held {
                frames: Vec::new(),
                bytes: 0,
                until: None,
            },
        );
    }

    /// Adds frames; answers with how many frames and bytes there are.
    fn add(&self, id: i64, frames: Vec<CapturedFrame>) -> (usize, usize) {
        let mut held = self.held();
        let Some(held) = held.get_mut(&id) else {
            return (0, 0);
        };
        for frame in frames {
            // The fast path keeps to the order; this keeps our memory bounded if it does not.
            if held.bytes + frame.bytes.0.len() > CAPTURE_BYTES as usize {
                break;
            }
            held.bytes += frame.bytes.0.len();
            held.frames.push(frame);
        }
        (held.frames.len(), held.bytes)
    }

    fn end(&self, id: i64) {
        if let Some(held) = self.held().get_mut(&id) {
            held.until = Some(Instant::now() + KEPT);
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<i64, Held>> {
        // Frames come whole; a panic leaves none half.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets go of old captures until the process ends; never returns.
pub async fn forget(shelf: &Shelf) {
    loop {
        tokio::time::sleep(Duration::from_secs(30)).await;
        shelf.forget();
    }
}

/// Captures until a limit of the order is reached or somebody cancels the job. What was captured
/// until the fast path was lost is kept.
///
/// # Errors
/// When the fast path refuses, or is lost.
pub async fn run(mut handle: Handle, order: CaptureOrder) -> Result<Json, Problem> {
    let client = handle.app.fastpath.client()?;
    let there = client.capture_start(order).await?;
    handle.app.captures.begin(handle.id());
    let result = gather(&mut handle, &client, there, &order).await;
    handle.app.captures.end(handle.id());
    if result.is_err() {
        // The fast path holds frames no longer than they are of use.
        let _ = client.capture_stop(there).await;
    }
    result
}

async fn gather(
    handle: &mut Handle,
    client: &Client,
    there: u64,
    order: &CaptureOrder,
) -> Result<Json, Problem> {
    let (id, began) = (handle.id(), Instant::now());
    let (mut from, mut told, mut stopped) = (0, 0, false);
    loop {
        let page = client.capture_read(there, from, PAGE).await?;
        let CapturePage {
            frames,
            next,
            state,
            lost,
        } = page;
        let more = !frames.is_empty();
        from = next;
        let (packets, bytes) = handle.app.captures.add(id, frames);
        if more {
            continue;
        }
        if state != CaptureState::Running {
            let ended = match state {
                CaptureState::Stopped => "stopped",
                _ => "limit",
            };
            return Ok(
                json!({ "device": device::key_text(&order.device), "packets": packets,
                "bytes": bytes, "lost": lost, "ended": ended }),
            );
        }
        let percent = progress(order, packets, bytes, began.elapsed());
        if percent != told {
            told = percent;
            handle.progress(percent, &format!("{packets} frames")).await;
        }
        tokio::select! {
            () = tokio::time::sleep(READ_EVERY) => {}
            _ = handle.stopped(), if !stopped => {
                stopped = true;
                client.capture_stop(there).await?;
            }
        }
    }
}

/// How far the nearest limit is, in percent.
fn progress(order: &CaptureOrder, packets: usize, bytes: usize, elapsed: Duration) -> u8 {
    let part = |is: u64, most: u32| is.saturating_mul(100) / u64::from(most.max(1));
    let parts = [
        part(packets as u64, order.packets_max),
        part(bytes as u64, order.bytes_max),
        part(elapsed.as_secs(), order.seconds),
    ];
    let nearest = parts.into_iter().max().unwrap_or_default().min(99);
    u8::try_from(nearest).unwrap_or(99)
}

/// Frames as a pcapng file: the side each came from as its interface, and what became of it as its
/// comment.
///
/// # Errors
/// When a frame is longer than any reader accepts.
pub fn pcapng(frames: &[CapturedFrame]) -> io::Result<Vec<u8>> {
    let application = concat!("wardline-mgmt ", env!("CARGO_PKG_VERSION"));
    let mut file = PcapngWriter::new(Vec::new(), application, &["ward", "core"])?;
    for frame in frames {
        let packet = Packet {
            time_ns: frame.time_us.saturating_mul(1_000),
            data: &frame.bytes.0,
            original_bytes: frame.original_len,
            interface: match frame.side {
                Side::Ward => 0,
                Side::Core => 1,
            },
        };
        let comment = format!(
            "verdict: {}, reason: {}",
            verdict(frame),
            frame.reason.name()
        );
        file.write(&packet, Some(&comment))?;
    }
    file.finish()
}

/// What became of a frame, in a word.
pub fn verdict(frame: &CapturedFrame) -> &'static str {
    match frame.verdict {
        CaptureVerdict::Forward => "forward",
        CaptureVerdict::Drop => "drop",
        CaptureVerdict::WouldDrop => "would-drop",
    }
}

#[cfg(test)]
mod tests {
    use wardline_capture::Reader;
    use wardline_control::view::FrameBytes;
    use wardline_policy::Reason;

    use super::*;

    fn frame(side: Side, bytes: usize) -> CapturedFrame {
        CapturedFrame {
            time_us: 1_790_000_000_000_001,
            side,
            verdict: CaptureVerdict::Drop,
            reason: Reason::NoRule,
            bytes: FrameBytes(vec![7; bytes]),
            original_len: 1_500,
        }
    }

    #[test]
    fn a_file_says_side_verdict_and_reason() {
        let file = pcapng(&[frame(Side::Ward, 60), frame(Side::Core, 64)]).expect("a file");
        let mut reader = Reader::new(io::Cursor::new(file.clone())).expect("pcapng");
        let mut read = Vec::new();
        while let Some(packet) = reader.next_packet().expect("a packet") {
            read.push((
                packet.interface,
                packet.data.len(),
                packet.original_bytes,
                packet.time_ns,
            ));
        }
        let time_ns = 1_790_000_000_000_001_000;
        assert_eq!(read, [(0, 60, 1_500, time_ns), (1, 64, 1_500, time_ns)]);
        let comment = b"verdict: drop, reason: no-rule";
        let found = file.windows(comment.len()).filter(|part| part == comment);
        assert_eq!(found.count(), 2);
    }

    #[test]
    fn the_shelf_is_bounded_and_forgets() {
        let shelf = Shelf::default();
        for id in 0..CAPTURES as i64 + 2 {
            shelf.begin(id);
            shelf.add(id, vec![frame(Side::Ward, 60)]);
            shelf.end(id);
        }
        assert!(shelf.file(1).is_none() && shelf.file(2).is_some());
        let most = CAPTURE_BYTES as usize / 60;
        let (packets, bytes) = shelf.add(9, vec![frame(Side::Ward, 60); most + 5]);
        assert_eq!(packets, most);
        assert!(bytes <= CAPTURE_BYTES as usize);
        for held in shelf.held().values_mut() {
            held.until = Some(Instant::now());
        }
        shelf.forget();
        assert!(shelf.file(9).is_none());
    }
}
