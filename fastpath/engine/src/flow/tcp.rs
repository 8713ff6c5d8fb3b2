//! What is remembered of a TCP connection: enough to tell a segment that belongs to it from one
//! that was thrown at it, and no more. Whatever is in doubt passes: the endpoints know better.

use super::State;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// Least slack left of and right of the window, in bytes: "grossly outside" is further away.
const LEAST_SLACK: u32 = 65_535;
/// Half a byte; all of it set in `Tracker::scales`: no scale offered.
const NIBBLE: u8 = 15;

/// One segment, as the tracker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) scale: u8,
    /// Bytes of payload.
    pub(crate) len: u32,
}

impl Segment {
    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Opens a connection: SYN without ACK.
    pub(crate) const fn is_syn(&self) -> bool {
        self.flags & (SYN | ACK) == SYN
    }

    /// The sequence number behind the segment.
    fn end(&self) -> u32 {
        let control = u32::from(self.has(SYN)) + u32::from(self.has(FIN));
        self.seq.wrapping_add(self.len).wrapping_add(control)
    }
}

/// What both endpoints have sent; index 0 is the initiator.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tracker {
    /// Behind the last byte each sent.
    end: [u32; 2],
    /// What the other acknowledged of it last: the next byte the other expects.
    acked: [u32; 2],
    /// Largest window each offered, as the exponent of the next power of two of bytes.
    reach: [u8; 2],
    /// Window scale in the SYN of each: the initiator's in the lower half.
    scales: u8,
    known: u8,
}

/// Bits of `Tracker::known`: SYN seen of each half; both make the window checks possible.
const SEEN: [u8; 2] = [1, 2];
const BOTH: u8 = 3;
/// Bits of `Tracker::known`: FIN seen of each half.
const FINISHED: [u8; 2] = [4, 8];
/// Bit of `Tracker::known`: a reset passed that was not exactly the next expected byte.
const RESET_IN_DOUBT: u8 = 16;

/// What a segment does to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It belongs to it; the connection is in this state now.
    To(State),
    /// A SYN that may begin a new connection in the place of a finished one.
    Reopens,
    /// A SYN of the responder that crosses the initiator's.
    Simultaneous,
    /// No such segment can occur before the handshake is over.
    NoHandshake,
    /// Grossly outside of what the receiver can take.
    OutOfWindow,
}

impl Tracker {
    /// A connection that begins with this segment of its initiator.
    pub(crate) fn begin(segment: &Segment) -> Self {
        let mut tracker = Self::default();
        tracker.note(segment, 0);
        tracker
    }

    /// A connection older than this process, of which this is a segment: nothing is known of
    /// its windows.
    pub(crate) fn midstream(segment: &Segment, from: usize) -> Self {
        let mut tracker = Self::default();
        tracker.end[1 - from] = segment.ack;
        tracker.note(segment, from);
        if segment.has(FIN) {
            tracker.known |= FINISHED[from];
        }
        tracker
    }

    /// Takes the next segment; `from` is 0 for the initiator.
    pub(crate) fn step(&mut self, state: State, segment: &Segment, from: usize) -> Step {
        let next = match state {
            State::SynSent if from == 0 && segment.is_syn() => {
                // Another attempt from the same port may count from another number.
                *self = Self::begin(segment);
                return Step::To(State::SynSent);
            }
            State::SynSent => self.opening(segment, from),
            State::SynReceived => self.answered(segment, from),
            State::Closing | State::Reset if segment.is_syn() => Step::Reopens,
            State::Reset => Step::To(State::Reset),
            // The receiver sends a challenge ACK; the connection stands, and the numbers of the
            // SYN are not its numbers (RFC 5961 §4).
            _ if segment.has(SYN) => return Step::To(state),
            _ => self.open(state, segment, from),
        };
        if matches!(next, Step::To(_)) {
            self.note(segment, from);
        }
        next
    }

    /// The responder's SYN crossed the initiator's.
    pub(crate) fn cross(&mut self, segment: &Segment) {
        self.note(segment, 1);
    }

    /// Whether a sequence number quoted by an ICMP error can be of data in flight (RFC 5927 §4).
    pub(crate) fn in_flight(&self, seq: u32, from: usize) -> bool {
        if self.known & BOTH != BOTH {
            return true;
        }
        let end = self.end[from];
        !after(seq, end) && !after(end.wrapping_sub(self.slack(from)), seq)
    }

    /// Whether a reset in doubt passed and nothing after it.
    pub(crate) const fn reset_in_doubt(&self) -> bool {
        self.known & RESET_IN_DOUBT != 0
    }

    fn opening(&self, segment: &Segment, from: usize) -> Step {
        match (from, segment.flags & (SYN | ACK | RST)) {
            (0, RST) => Step::To(State::Reset),
            (0, _) => Step::NoHandshake,
            (_, flags) if flags == SYN | ACK => Step::To(State::SynReceived),
            (_, SYN) => Step::Simultaneous,
            // The refusal of a closed port acknowledges the SYN; any other reset is not one.
            (_, flags) if flags & RST != 0 => {
                let refusal = segment.has(ACK) && segment.ack == self.end[0];
                Step::To(if refusal {
                    State::Reset
                } else {
                    State::SynSent
                })
            }
            // A challenge ACK of a host that still holds an older connection (RFC 5961 §4).
            (_, _) => Step::To(State::SynSent),
        }
    }

    fn answered(&mut self, segment: &Segment, from: usize) -> Step {
        if segment.has(RST) {
            return Step::To(self.reset(State::SynReceived, segment, from));
        }
        // The initiator's first ACK ends the handshake.
        let confirms = from == 0 && segment.has(ACK) && !segment.has(SYN);
        Step::To(match (confirms, segment.has(FIN)) {
            (true, true) => {
                self.known |= FINISHED[from];
                State::FinWait
            }
            (true, false) => State::Established,
            (false, _) => State::SynReceived,
        })
    }

    fn open(&mut self, state: State, segment: &Segment, from: usize) -> Step {
        if self.grossly_outside(segment, from) {
            return Step::OutOfWindow;
        }
        if segment.has(RST) {
            return Step::To(self.reset(state, segment, from));
        }
        self.known &= !RESET_IN_DOUBT;
        if !segment.has(FIN) {
            return Step::To(state);
        }
        self.known |= FINISHED[from];
        let both = FINISHED[0] | FINISHED[1];
        Step::To(if self.known & both == both {
            State::Closing
        } else {
            State::FinWait
        })
    }

    /// Only a reset at exactly the next expected byte is believed (RFC 5961 §3).
    fn reset(&mut self, state: State, segment: &Segment, from: usize) -> State {
        if segment.seq == self.end[from] || segment.seq == self.acked[from] {
            return State::Reset;
        }
        self.known |= RESET_IN_DOUBT;
        state
    }

    fn grossly_outside(&self, segment: &Segment, from: usize) -> bool {
        if self.known & BOTH != BOTH {
            return false;
        }
        let slack = self.slack(from);
        // Up to where the other allows it to send, and a window more.
        let limit = self.acked[from].wrapping_add(self.window(1 - from));
        let least = self.end[from].wrapping_sub(slack.saturating_mul(2));
        after(segment.seq, limit.wrapping_add(slack)) || after(least, segment.end())
    }

    fn slack(&self, from: usize) -> u32 {
        self.window(1 - from).max(LEAST_SLACK)
    }

    /// The largest window an endpoint offered, rounded up.
    const fn window(&self, of: usize) -> u32 {
        1 << self.reach[of]
    }

    fn note(&mut self, segment: &Segment, from: usize) {
        if segment.has(RST) {
            return;
        }
        let end = segment.end();
        if segment.has(SYN) && self.known & SEEN[from] == 0 {
            self.known |= SEEN[from];
            self.set_scale(from, segment.scale);
            self.end[from] = end;
            // Until the other says something, it may send what fits a SYN (Fast Open).
            self.acked[from] = end;
        }
        let window = u32::from(segment.window) << self.shift(segment, from);
        self.reach[from] = self.reach[from].max(exponent(window));
        // A SYN cannot move what another one began.
        let moves = !segment.has(SYN) && after(end, self.end[from]);
        if self.end[from] == 0 || moves {
            self.end[from] = end;
        }
        if segment.has(ACK) && self.acknowledges(segment.ack, 1 - from) {
            self.acked[1 - from] = segment.ack;
        }
    }

    /// Whether an acknowledgement moves on, over data that was sent; nobody can move the window
    /// of another by a number out of thin air.
    const fn acknowledges(&self, ack: u32, of: usize) -> bool {
        let sound = after(ack, self.acked[of]) && !after(ack, self.end[of]);
        sound || self.known & BOTH != BOTH
    }

    /// How far the window field is shifted: only if both offer it, and never in a SYN (RFC 7323
    /// §2.2).
    fn shift(&self, segment: &Segment, from: usize) -> u8 {
        let scales = [self.scales & NIBBLE, self.scales >> 4];
        if segment.has(SYN) || scales.contains(&NIBBLE) {
            return 0;
        }
        scales[from].min(14)
    }

    fn set_scale(&mut self, of: usize, scale: u8) {
        let scale = scale.min(NIBBLE);
        self.scales = if of == 0 {
            self.scales & !NIBBLE | scale
        } else {
            self.scales & NIBBLE | scale << 4
        };
    }
}

/// Of the least power of two that is no less: at most 30 for a window.
const fn exponent(window: u32) -> u8 {
    if window <= 1 {
        0
    } else {
        (u32::BITS - (window - 1).leading_zeros()) as u8
    }
}

/// Whether `a` is behind `b` in sequence space.
const fn after(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(flags: u8, seq: u32, ack: u32, len: u32) -> Segment {
        Segment {
            flags,
            seq,
            ack,
            window: 65_535,
            scale: if flags & SYN != 0 { 7 } else { 255 },
            len,
        }
    }

    fn established() -> Tracker {
        let mut t = Tracker::begin(&segment(SYN, 1000, 0, 0));
        let s = t.step(State::SynSent, &segment(SYN | ACK, 5000, 1001, 0), 1);
        assert_eq!(s, Step::To(State::SynReceived));
        let s = t.step(State::SynReceived, &segment(ACK, 1001, 5001, 0), 0);
        assert_eq!(s, Step::To(State::Established));
        t
    }

    #[test]
    fn a_connection_opens_and_closes() {
        let mut t = established();
        let up = State::Established;
        assert_eq!(t.step(up, &segment(ACK, 1001, 5001, 100), 0), Step::To(up));
        assert_eq!(
            t.step(up, &segment(FIN | ACK, 1101, 5001, 0), 0),
            Step::To(State::FinWait)
        );
        let s = t.step(State::FinWait, &segment(FIN | ACK, 5001, 1102, 0), 1);
        assert_eq!(s, Step::To(State::Closing));
        let s = t.step(State::Closing, &segment(ACK, 1102, 5002, 0), 0);
        assert_eq!(s, Step::To(State::Closing));
        assert_eq!(
            t.step(State::Closing, &segment(SYN, 9, 0, 0), 0),
            Step::Reopens
        );
    }

    #[test]
    fn data_before_the_answer_is_no_handshake() {
        let mut t = Tracker::begin(&segment(SYN, 1000, 0, 0));
        assert_eq!(
            t.step(State::SynSent, &segment(ACK, 1001, 77, 10), 0),
            Step::NoHandshake
        );
    }

    #[test]
    fn a_reset_is_believed_at_the_next_byte_only() {
        let up = State::Established;
        let mut t = established();
        assert_eq!(t.step(up, &segment(RST, 5001 + 700, 0, 0), 1), Step::To(up));
        assert!(t.reset_in_doubt());
        assert_eq!(t.step(up, &segment(ACK, 1001, 5001, 1), 0), Step::To(up));
        assert!(!t.reset_in_doubt());
        assert_eq!(
            t.step(up, &segment(RST, 5001, 0, 0), 1),
            Step::To(State::Reset)
        );
    }

    #[test]
    fn grossly_outside_needs_known_windows() {
        let up = State::Established;
        let far = segment(ACK, 0x5000_0000, 5001, 10);
        assert_eq!(established().step(up, &far, 0), Step::OutOfWindow);
        let mut t = Tracker::midstream(&segment(ACK, 1000, 5000, 10), 0);
        assert_eq!(t.step(up, &far, 0), Step::To(up));
    }

    #[test]
    fn windows_wider_than_the_field_are_scaled() {
        let up = State::Established;
        let mut t = established();
        assert_eq!(t.step(up, &segment(ACK, 5001, 1001, 0), 1), Step::To(up));
        // 65,535 << 7 bytes in flight.
        assert_eq!(
            t.step(up, &segment(ACK, 1001 + 8_000_000, 5001, 1000), 0),
            Step::To(up)
        );
    }

    #[test]
    fn quoted_data_must_have_been_sent() {
        let t = established();
        assert!(t.in_flight(1000, 0));
        assert!(!t.in_flight(9_000_000, 0));
        assert!(Tracker::midstream(&segment(ACK, 1, 1, 0), 0).in_flight(9_000_000, 0));
    }
}
