//! What the table keeps of one conversation: a line that every hit reads and writes, and what
//! only some of them need.

use wardline_policy::{Cast, Initiator, MacAddr, Mode, Reason, RuleId};

use super::NONE;
use super::key::{FlowKey, Narrow};
use super::sctp::Association;
use super::tcp::Tracker;
use crate::clock::Tick;

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// TCP: the initiator's SYN passed. SCTP: its INIT.
    SynSent,
    /// TCP: the responder's SYN passed as well.
    SynReceived,
    /// TCP and SCTP: open.
    Established,
    /// TCP: one side has finished.
    FinWait,
    /// TCP: both have.
    Closing,
    /// TCP: reset.
    Reset,
    /// Other protocols: only the initiator spoke.
    Unanswered,
    /// Other protocols: both did.
    Answered,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SynSent | Self::SynReceived => "half-open",
            Self::Established => "established",
            Self::FinWait => "closing",
            Self::Closing => "closed",
            Self::Reset => "reset",
            Self::Unanswered => "unanswered",
            Self::Answered => "answered",
        }
    }

    /// The list of conversations that may give way to others of their device.
    pub(super) const fn pending(self) -> Option<Pending> {
        match self {
            Self::SynSent | Self::SynReceived => Some(Pending::HalfOpen),
            Self::Unanswered => Some(Pending::Unanswered),
            _ => None,
        }
    }
}

/// The two sorts of conversations that wait for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pending {
    HalfOpen,
    Unanswered,
}

/// The initiator is endpoint `a` of the key.
pub(crate) const INITIATOR_IS_A: u8 = 1;
/// The initiator is on the ward side.
pub(crate) const FROM_WARD: u8 = 2;
/// Sent to a group MAC address: one direction only.
pub(crate) const GROUP: u8 = 4;
/// Its payload is read (DHCP, DNS).
pub(crate) const SNOOP: u8 = 8;
/// Its device has a limit on packets.
pub(crate) const GUARDED: u8 = 16;
/// Picked up midstream: policy may allow it in either role.
pub(crate) const MIDSTREAM: u8 = 32;
/// The slot is in use.
pub(super) const USED: u8 = 64;
/// Its beginning is handed out in samples.
pub(crate) const WATCHED: u8 = 128;

/// The line a hit reads and writes. Index 0 of the counters is from the initiator.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Hot {
    pub(crate) ends: u64,
    pub(crate) rest: u64,
    pub(crate) generation: u32,
    pub(crate) device: u32,
    pub(crate) last: Tick,
    pub(crate) rule: RuleId,
    /// Stays at the largest number there is.
    pub(crate) frames: [u32; 2],
    /// The lower half.
    pub(crate) bytes: [u32; 2],
    pub(crate) kind: u16,
    /// The ward-side station; the group for group frames from the core side.
    pub(crate) mac: MacAddr,
    /// Destination port of the first packet as policy knows it (`type << 8 | code` for ICMP).
    pub(crate) asked_port: u16,
    pub(crate) state: State,
    pub(crate) flags: u8,
    pub(crate) reason: Reason,
    pub(crate) would_drop: Option<Reason>,
    /// Of the device, when policy was last asked.
    pub(crate) mode: Mode,
    pub(crate) cast: Cast,
}

impl Hot {
    pub(crate) const BLANK: Self = Self {
        ends: Narrow::BLANK.ends,
        rest: Narrow::BLANK.rest,
        kind: Narrow::BLANK.kind,
        generation: 0,
        device: NONE,
        last: 0,
        rule: RuleId(0),
        frames: [0; 2],
        bytes: [0; 2],
        mac: MacAddr([0; 6]),
        asked_port: 0,
        state: State::Reset,
        flags: 0,
        reason: Reason::Established,
        would_drop: None,
        mode: Mode::Observe,
        cast: Cast::Unicast,
    };

    #[inline]
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    #[inline]
    pub(crate) const fn is(&self, key: &Narrow) -> bool {
        self.ends == key.ends && self.rest == key.rest && self.kind == key.kind
    }

    /// Counts a packet of `len` bytes; `from` is 0 for the initiator.
    #[inline]
    pub(crate) const fn count(&mut self, warm: &mut Warm, from: usize, len: usize) {
        self.frames[from] = self.frames[from].saturating_add(1);
        let (low, carry) = self.bytes[from].overflowing_add(len as u32);
        self.bytes[from] = low;
        if carry {
            warm.high[from] = warm.high[from].saturating_add(1);
        }
    }

    pub(super) const fn narrow(&self) -> Narrow {
        Narrow {
            ends: self.ends,
            rest: self.rest,
            kind: self.kind,
        }
    }

    pub(crate) const fn initiator(&self) -> Initiator {
        if self.has(FROM_WARD) {
            Initiator::Device
        } else {
            Initiator::Peer
        }
    }
}

/// What a connection-oriented protocol has said so far.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Progress {
    Tcp(Tracker),
    Sctp(Association),
    Other,
}

impl Progress {
    pub(crate) const fn tcp(&self) -> Option<&Tracker> {
        match self {
            Self::Tcp(tracker) => Some(tracker),
            _ => None,
        }
    }

    pub(crate) const fn tcp_mut(&mut self) -> Option<&mut Tracker> {
        match self {
            Self::Tcp(tracker) => Some(tracker),
            _ => None,
        }
    }

    pub(crate) const fn sctp_mut(&mut self) -> Option<&mut Association> {
        match self {
            Self::Sctp(association) => Some(association),
            _ => None,
        }
    }
}

/// What a hit on UDP does not need.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Warm {
    pub(crate) progress: Progress,
    /// Of the device, when policy was last asked.
    pub(crate) epoch: u32,
    pub(crate) first: Tick,
    /// Neighbours in the list of pending ones; of a free slot, the next free one is `newer`.
    pub(super) older: u32,
    pub(super) newer: u32,
    /// The upper part of the byte counters.
    pub(super) high: [u16; 2],
}

impl Warm {
    pub(super) const BLANK: Self = Self {
        progress: Progress::Other,
        epoch: 0,
        first: 0,
        older: NONE,
        newer: NONE,
        high: [0; 2],
    };
}

/// A conversation about to begin, with its first packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewFlow {
    pub(crate) key: FlowKey,
    pub(crate) hot: Hot,
    pub(crate) progress: Progress,
    pub(crate) epoch: u32,
    /// From the responder, which happens midstream.
    pub(crate) back: bool,
    /// Bytes of the first packet.
    pub(crate) len: usize,
}
