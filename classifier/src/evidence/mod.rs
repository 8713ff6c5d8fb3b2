//! What devices say of themselves, read from the first packets of their conversations and from
//! the protocols of discovery.
//!
//! [`Reader`] takes frames in the order they came and gives facts. It follows at most
//! [`Limits::streams`] conversations, [`Limits::stream_bytes`] of each direction; a parser sees a
//! slice of what is there and may read nothing else, allocates for what it found and never for
//! what a length field claims, and gives no field that could hold a patient's name or number.
//!
//! A conversation is recognised by its content; a port is a reason to try one parser first and
//! never a reason to believe it.

mod conversation;
mod exchanges;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod half;
mod parsers;
#[cfg(test)]
mod privacy;
mod reader;
mod streams;
#[cfg(test)]
mod testing;

pub use reader::{Limits, Reader};

use core::net::IpAddr;

use crate::{About, Fact, Field, Observed};

/// What the reader tells of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A station says something, or is shown by what it sends. Once in a conversation.
    Fact(Observed),
    /// Somebody begins a conversation: its first packet, whether or not anybody answers. Not told
    /// of conversations that were already going on.
    Opened(Conversation),
    /// The first packet back (of TCP: a SYN-ACK, so never a refusal).
    Accepted(Conversation),
}

/// Who talks to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversation {
    /// Which station of this frame began it.
    pub client: About,
    /// IP protocol number: 6 or 17.
    pub protocol: u8,
    /// The responder's port.
    pub port: u16,
    /// Address of the one who began it.
    pub client_address: IpAddr,
    /// Address of the one who was asked: that of a group, when a group was.
    pub server_address: IpAddr,
}

/// The beginning of a TCP conversation, as far as it was seen, without gaps.
#[derive(Debug, Clone, Copy)]
pub struct Talk<'a> {
    /// What the initiator sent.
    pub client: &'a [u8],
    /// What the responder sent.
    pub server: &'a [u8],
    /// The responder's port.
    pub port: u16,
}

/// What a parser of conversations found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Another protocol: do not ask again.
    NotMine,
    /// It may be this protocol, and may tell more when more has come. With a fact it counts as
    /// recognised.
    More,
    /// It is this protocol, and may tell more when more has come.
    Known,
    /// It is this protocol and everything has been told.
    Done,
}

/// A parser of conversations. Called again from the start whenever more has come, so it keeps no
/// state; a fact given twice counts once, and what it gave with [`Outcome::NotMine`] not at all.
///
/// Several may recognise one conversation, where one protocol stands on another: each must be sure
/// by the content alone. Who is the client of a conversation that was under way when the reader
/// came is guessed from the ports.
pub type TalkParser = fn(&Talk<'_>, &mut TalkFacts<'_>) -> Outcome;

/// The payload of a UDP datagram.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// What it carries, as far as it was captured.
    pub payload: &'a [u8],
    /// Port of the sender.
    pub source_port: u16,
    /// Port of the receiver.
    pub destination_port: u16,
    /// Whether it went to a group or to everybody.
    pub to_group: bool,
}

/// A parser of datagrams: whether the datagram is of its protocol. The first to say so is the last
/// that is asked; what the others gave does not count.
pub type DatagramParser = fn(&Datagram<'_>, &mut FrameFacts<'_>) -> bool;

/// A parser of frames without IP: the EtherType (802.3 frames: at most 1500) and what follows it.
pub type FrameParser = fn(u16, &[u8], &mut FrameFacts<'_>) -> bool;

/// Where a parser of conversations puts what it found, by whom it is about.
#[expect(missing_debug_implementations, reason = "holds two closures")]
pub struct TalkFacts<'a> {
    client: &'a mut dyn FnMut(Fact),
    server: &'a mut dyn FnMut(Fact),
}

impl<'a> TalkFacts<'a> {
    /// Facts go to these two.
    pub fn new(client: &'a mut dyn FnMut(Fact), server: &'a mut dyn FnMut(Fact)) -> Self {
        Self { client, server }
    }

    /// Something about the initiator.
    pub fn client(&mut self, field: Field, value: &str) {
        Fact::new(field, value)
            .into_iter()
            .for_each(&mut *self.client);
    }

    /// The same from bytes of the wire.
    pub fn client_bytes(&mut self, field: Field, value: &[u8]) {
        Fact::from_bytes(field, value)
            .into_iter()
            .for_each(&mut *self.client);
    }

    /// Something about the responder.
    pub fn server(&mut self, field: Field, value: &str) {
        Fact::new(field, value)
            .into_iter()
            .for_each(&mut *self.server);
    }

    /// The same from bytes of the wire.
    pub fn server_bytes(&mut self, field: Field, value: &[u8]) {
        Fact::from_bytes(field, value)
            .into_iter()
            .for_each(&mut *self.server);
    }
}

/// Where a parser of single frames puts what it found.
#[expect(missing_debug_implementations, reason = "holds a closure")]
pub struct FrameFacts<'a>(&'a mut dyn FnMut(Observed));

impl<'a> FrameFacts<'a> {
    /// Facts go there.
    pub fn new(sink: &'a mut dyn FnMut(Observed)) -> Self {
        Self(sink)
    }

    /// Something about the sender.
    pub fn sender(&mut self, field: Field, value: &str) {
        self.tell(About::Sender, Fact::new(field, value));
    }

    /// The same from bytes of the wire.
    pub fn sender_bytes(&mut self, field: Field, value: &[u8]) {
        self.tell(About::Sender, Fact::from_bytes(field, value));
    }

    /// Something about the receiver.
    pub fn receiver(&mut self, field: Field, value: &str) {
        self.tell(About::Receiver, Fact::new(field, value));
    }

    fn tell(&mut self, about: About, fact: Option<Fact>) {
        if let Some(fact) = fact {
            (self.0)(Observed { about, fact });
        }
    }
}
