//! What is remembered of an SCTP association: the verification tags its packets carry
//! (RFC 9260 §8.5). Whoever does not see the packets cannot guess them.

use super::State;
use super::tcp::Step;

/// Chunk types (RFC 9260 §3.2).
pub(crate) const INIT: u8 = 1;
pub(crate) const INIT_ACK: u8 = 2;
pub(crate) const ABORT: u8 = 6;
const SHUTDOWN_ACK: u8 = 8;
const COOKIE_ECHO: u8 = 10;
pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;

/// One packet, as the tracker sees it: its common header and its first chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet {
    /// Not 0 except in an INIT.
    pub(crate) tag: u32,
    pub(crate) chunk: u8,
    /// The T bit: the tag is the one the packet answers, not the receiver's.
    pub(crate) reflects: bool,
    /// The tag the sender of an INIT or INIT ACK chose for itself.
    pub(crate) initiate: u32,
}

impl Packet {
    /// The endpoint whose tag the packet carries; `from` sent it.
    const fn tag_of(&self, from: usize) -> usize {
        if self.reflects { from } else { 1 - from }
    }
}

/// Tags of both endpoints; index 0 is the initiator. A tag of 0 is not known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Association {
    /// What packets towards each endpoint carry.
    tags: [u32; 2],
    /// Who sent the last INIT, and the tag in it.
    opener: u8,
    offered: u32,
    /// The tags of the last two INIT ACKs to it: a repeated INIT gets another one, and either
    /// may arrive.
    answers: [u32; 2],
}

impl Association {
    pub(crate) const fn blank() -> Self {
        Self {
            tags: [0; 2],
            opener: 0,
            offered: 0,
            answers: [0; 2],
        }
    }

    /// An association that begins with this INIT of its initiator.
    pub(crate) fn begin(packet: &Packet) -> Self {
        let mut association = Self::blank();
        association.open(packet, 0);
        association
    }

    /// An association older than this process, of which this is a packet.
    pub(crate) fn midstream(packet: &Packet, from: usize) -> Self {
        let mut association = Self::blank();
        association.tags[packet.tag_of(from)] = packet.tag;
        association
    }

    /// Takes the next packet; `from` is 0 for the initiator.
    pub(crate) fn step(&mut self, state: State, packet: &Packet, from: usize) -> Step {
        let over = matches!(state, State::Closing | State::Reset);
        match packet.chunk {
            INIT if over => Step::Reopens,
            INIT if state == State::SynSent && from == 1 => Step::Simultaneous,
            INIT => {
                self.open(packet, from);
                Step::To(state)
            }
            INIT_ACK if self.answer(packet, from) => Step::To(match state {
                State::SynSent => State::SynReceived,
                state => state,
            }),
            COOKIE_ECHO if !over && self.agree(packet, from) => Step::To(State::Established),
            _ if self.belongs(packet, from) => Step::To(after(state, packet.chunk)),
            // The answer to an INIT that comes to nothing; an open association stands.
            ABORT if self.refuses(packet, from) => {
                Step::To(if self.is_open() { state } else { State::Reset })
            }
            _ => Step::NoHandshake,
        }
    }

    /// Takes an INIT. An open association stands until the handshake is over, since anybody can
    /// send an INIT (RFC 9260 §5.2.2).
    pub(crate) fn open(&mut self, packet: &Packet, from: usize) {
        if (usize::from(self.opener), self.offered) != (from, packet.initiate) {
            self.opener = from as u8;
            self.offered = packet.initiate;
            self.answers = [0; 2];
        }
    }

    /// Takes an INIT ACK, if it answers the last INIT.
    fn answer(&mut self, packet: &Packet, from: usize) -> bool {
        let answers = from != usize::from(self.opener) && packet.tag == self.offered;
        if answers && !self.answers.contains(&packet.initiate) {
            self.answers = [packet.initiate, self.answers[0]];
        }
        answers
    }

    /// Puts the tags of the handshake in force, if the COOKIE ECHO ends it.
    fn agree(&mut self, packet: &Packet, from: usize) -> bool {
        let agrees = from == usize::from(self.opener) && self.answers.contains(&packet.tag);
        if agrees {
            self.tags[from] = self.offered;
            self.tags[1 - from] = packet.tag;
        }
        agrees
    }

    /// Whether the packet has the tag it must have. Of an association older than this process
    /// the first tag in each direction is believed.
    fn belongs(&mut self, packet: &Packet, from: usize) -> bool {
        let open = self.is_open();
        let tag = &mut self.tags[packet.tag_of(from)];
        if open && *tag == 0 {
            *tag = packet.tag;
        }
        *tag == packet.tag
    }

    /// Whether an ABORT carries the tag of the last INIT.
    fn refuses(&self, packet: &Packet, from: usize) -> bool {
        packet.tag_of(from) == usize::from(self.opener) && packet.tag == self.offered
    }

    fn is_open(&self) -> bool {
        self.tags != [0; 2]
    }
}

/// The state after a packet that belongs to the association.
const fn after(state: State, chunk: u8) -> State {
    match (state, chunk) {
        (State::Reset, _) | (_, ABORT) => State::Reset,
        (_, SHUTDOWN_ACK) => State::FinWait,
        (_, SHUTDOWN_COMPLETE) => State::Closing,
        (state, _) => state,
    }
}
