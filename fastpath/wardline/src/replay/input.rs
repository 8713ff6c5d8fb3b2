//! Packets from one capture after the other, or from both sides of the box at once.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use wardline_capture::{Error, Reader};
use wardline_policy::Side;

/// A frame that crosses the box shows on both sides within this time.
const CROSSING_NS: u64 = 1_000_000_000;
/// Frames remembered while they may still show on the other side.
const CROSSING_FRAMES: usize = 65_536;

/// A packet with what the capture says of it; used again for the next one.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    /// The side whose capture it is from, where that is known.
    pub from: Option<Side>,
    /// Index of its capture.
    pub capture: usize,
    pub time_ns: u64,
    /// Length on the wire.
    pub original_bytes: u32,
    pub data: Vec<u8>,
}

/// One capture and how far it got.
#[derive(Debug)]
pub(crate) struct Capture {
    pub path: PathBuf,
    pub packets: u64,
    /// Why it could not be read, or not to its end.
    pub trouble: Option<Error>,
}

/// Where packets come from.
#[derive(Debug)]
pub(crate) struct Input {
    pub captures: Vec<Capture>,
    order: Order,
    /// Frames left out because they were the other side's view of one already judged.
    pub crossings: u64,
}

#[derive(Debug)]
enum Order {
    /// One after the other; the number of the next, and the open one.
    Sequence { next: usize, open: Option<Reader> },
    /// Two at once, earliest packet first.
    Pair {
        ward: Head,
        core: Head,
        crossing: Box<Crossing>,
    },
}

/// A capture with its next packet at hand.
#[derive(Debug)]
struct Head {
    reader: Option<Reader>,
    next: Option<Captured>,
}

impl Input {
    pub(crate) fn sequence(paths: &[PathBuf]) -> Self {
        Self {
            captures: paths.iter().map(|path| Capture::new(path)).collect(),
            order: Order::Sequence {
                next: 0,
                open: None,
            },
            crossings: 0,
        }
    }

    pub(crate) fn pair(ward: &Path, core: &Path) -> Self {
        let mut captures = vec![Capture::new(ward), Capture::new(core)];
        let mut head = |index: usize, side| {
            let mut head = Head {
                reader: captures[index].open(),
                next: Some(Captured {
                    from: Some(side),
                    capture: index,
                    ..Captured::default()
                }),
            };
            head.advance(&mut captures[index]);
            head
        };
        let order = Order::Pair {
            ward: head(0, Side::Ward),
            core: head(1, Side::Core),
            crossing: Box::default(),
        };
        Self {
            captures,
            order,
            crossings: 0,
        }
    }

    /// The next packet, in place of the one before. `false` at the end of all captures.
    pub(crate) fn read(&mut self, into: &mut Captured) -> bool {
        match &mut self.order {
            Order::Sequence { next, open } => loop {
                let Some(reader) = open else {
                    let Some(capture) = self.captures.get_mut(*next) else {
                        return false;
                    };
                    *open = capture.open();
                    *next += 1;
                    continue;
                };
                into.capture = *next - 1;
                if self.captures[*next - 1].fetch(reader, into) {
                    return true;
                }
                *open = None;
            },
            Order::Pair {
                ward,
                core,
                crossing,
            } => loop {
                let head = match (&ward.next, &core.next) {
                    (Some(w), Some(c)) if c.time_ns < w.time_ns => &mut *core,
                    (Some(_), _) => &mut *ward,
                    (None, Some(_)) => &mut *core,
                    (None, None) => return false,
                };
                let Some(packet) = &mut head.next else {
                    return false;
                };
                std::mem::swap(into, packet);
                packet.from = into.from;
                packet.capture = into.capture;
                head.advance(&mut self.captures[into.capture]);
                if !crossing.is_echo(into) {
                    return true;
                }
                self.crossings += 1;
            },
        }
    }

    /// Whether any capture could not be read to its end.
    pub(crate) fn troubled(&self) -> bool {
        self.captures.iter().any(|c| c.trouble.is_some())
    }
}

impl Capture {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            packets: 0,
            trouble: None,
        }
    }

    fn open(&mut self) -> Option<Reader> {
        match Reader::open(&self.path) {
            Ok(reader) => Some(reader),
            Err(error) => {
                self.note(error);
                None
            }
        }
    }

    fn fetch(&mut self, reader: &mut Reader, into: &mut Captured) -> bool {
        match reader.next_packet() {
            Ok(Some(packet)) => {
                self.packets += 1;
                into.time_ns = packet.time_ns;
                into.original_bytes = packet.original_bytes;
                into.data.clear();
                into.data.extend_from_slice(packet.data);
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.note(error);
                false
            }
        }
    }

    fn note(&mut self, error: Error) {
        eprintln!("wardline: {}: {error}", self.path.display());
        self.trouble = Some(error);
    }
}

impl Head {
    fn advance(&mut self, capture: &mut Capture) {
        let more = match (&mut self.reader, &mut self.next) {
            (Some(reader), Some(next)) => capture.fetch(reader, next),
            _ => false,
        };
        if !more {
            self.next = None;
        }
    }
}

/// Recognizes a frame that was seen on the other side a moment ago: both captures hold what went
/// in and what came out, and only what went in is to be judged.
#[derive(Debug, Default)]
struct Crossing {
    hasher: RandomState,
    /// When and where frames were seen, by their content.
    seen: HashMap<u64, VecDeque<(u64, Side)>>,
    /// The same in order of time.
    order: VecDeque<(u64, u64)>,
}

impl Crossing {
    fn is_echo(&mut self, packet: &Captured) -> bool {
        let Some(side) = packet.from else {
            return false;
        };
        let now = packet.time_ns;
        self.forget(now);
        let content = self.hasher.hash_one(&packet.data);
        let sightings = self.seen.entry(content).or_default();
        if let Some(i) = sightings.iter().position(|(_, at)| *at == side.other()) {
            sightings.remove(i);
            return true;
        }
        sightings.push_back((now, side));
        self.order.push_back((now, content));
        false
    }

    fn forget(&mut self, now: u64) {
        while let Some(&(time, content)) = self.order.front() {
            let recent = now.saturating_sub(time) <= CROSSING_NS;
            if recent && self.order.len() < CROSSING_FRAMES {
                return;
            }
            self.order.pop_front();
            if let Some(sightings) = self.seen.get_mut(&content) {
                // Gone already if it showed on the other side.
                if sightings.front().is_some_and(|(at, _)| *at == time) {
                    sightings.pop_front();
                }
                if sightings.is_empty() {
                    self.seen.remove(&content);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(time_ns: u64, side: Side, byte: u8) -> Captured {
        Captured {
            from: Some(side),
            time_ns,
            data: vec![byte],
            ..Captured::default()
        }
    }

    #[test]
    fn an_echo_is_the_same_frame_on_the_other_side_within_a_second() {
        let mut crossing = Crossing::default();
        let mut echo = |time, side, byte| crossing.is_echo(&packet(time, side, byte));
        assert!(!echo(0, Side::Ward, 1));
        assert!(!echo(1, Side::Ward, 1), "sent twice, went in twice");
        assert!(!echo(2, Side::Ward, 2));
        assert!(echo(3, Side::Core, 1));
        assert!(echo(4, Side::Core, 1));
        assert!(!echo(5, Side::Core, 1), "a third has no original");
        assert!(
            !echo(3 + CROSSING_NS, Side::Core, 2),
            "too late to be the same"
        );
        assert!(crossing.order.len() <= 3);
    }
}
