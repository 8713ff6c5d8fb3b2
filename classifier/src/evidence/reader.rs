//! Follows conversations from their beginning and asks the parsers.

use wardline_engine::PacketMeta;

use super::parsers;
use crate::Observed;

/// What a reader holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Conversations followed at a time; the oldest makes room.
    pub streams: usize,
    /// Bytes kept of each direction of a conversation, from its beginning.
    pub stream_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 4_096,
            stream_bytes: 8_192,
        }
    }
}

/// Reads frames and gives facts.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
}

impl Reader {
    /// A reader that has seen nothing.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// Reads one frame, whole or its beginning, as `wardline_engine::parse` understood it.
    pub fn read(
        &mut self,
        frame: &[u8],
        meta: &PacketMeta,
        time_ns: u64,
        sink: &mut dyn FnMut(Observed),
    ) {
        let _ = (frame, meta, time_ns, sink, self.limits);
        let _ = (parsers::talks(), parsers::datagrams(), parsers::frames());
    }
}
