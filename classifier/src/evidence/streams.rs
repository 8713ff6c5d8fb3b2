//! The beginnings of TCP conversations.

use core::cell::RefCell;

use super::conversation::{End, Table, Told, Way, about, opaque, speaks};
use super::half::Half;
use super::parsers::Entry;
use super::reader::Limits;
use super::{Outcome, Seen, Talk, TalkFacts, TalkParser};
use crate::{Fact, Observed};

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
/// How often parsers are asked about one conversation: enough for protocols whose messages
/// are a handful of bytes, and an end to those that tell nothing.
const MAX_ASKED: u8 = 64;
/// One bit for each in a [`Beginning`].
pub(super) const MAX_PARSERS: usize = 128;
/// What only hides another protocol: on any but its usual ports that one stays unknown.
const VEIL: &str = "tls";
const CLIENT: usize = 0;
const SERVER: usize = 1;

/// One segment as it was captured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) flags: u8,
    pub(super) seq: u32,
    pub(super) payload: &'a [u8],
    /// Whether all of the payload is there.
    pub(super) whole: bool,
}

impl Segment<'_> {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Sequence number of its first byte of data.
    fn data_seq(&self) -> u32 {
        self.seq.wrapping_add(u32::from(self.has(SYN)))
    }
}

/// All conversations followed.
#[derive(Debug)]
pub(super) struct Streams {
    table: Table<Stream>,
    parsers: Vec<&'static Entry<TalkParser>>,
    limit: usize,
}

impl Streams {
    /// Asks these parsers, at most [`MAX_PARSERS`].
    pub(super) fn new(limits: Limits, parsers: Vec<&'static Entry<TalkParser>>) -> Self {
        Self {
            table: Table::new(limits.streams),
            parsers,
            limit: limits.stream_bytes,
        }
    }

    pub(super) fn read(&mut self, way: &Way, segment: &Segment<'_>, sink: &mut dyn FnMut(Seen)) {
        let Some(slot) = self.place(way, segment) else {
            return;
        };
        let Self {
            table,
            parsers,
            limit,
        } = self;
        let stream = table.at(slot);
        let by_client = stream.client_is_source(way);
        stream.announce(way, segment, by_client, sink);
        let mut telling = Telling { by_client, sink };
        stream.advance(segment, by_client, parsers, *limit, &mut telling);
    }

    /// The conversation of a segment; a new one where it begins one, or none was known and it
    /// carries something.
    fn place(&mut self, way: &Way, segment: &Segment<'_>) -> Option<usize> {
        let key = way.key();
        let found = self.table.find(&key);
        let first_syn = segment.has(SYN) && !segment.has(RST);
        let fresh = match found {
            Some(slot) => first_syn && self.table.at(slot).is_replaced_by(way, segment),
            None => first_syn || !segment.payload.is_empty(),
        };
        if !fresh {
            return found;
        }
        // From a SYN-ACK when the SYN was missed.
        let stream = if first_syn {
            Stream::new(way, !segment.has(ACK), true, self.parsers.len())
        } else {
            Stream::new(
                way,
                self.client_seems_source(way),
                false,
                self.parsers.len(),
            )
        };
        match found {
            Some(slot) => {
                *self.table.at(slot) = stream;
                Some(slot)
            }
            None => Some(self.table.insert(key, stream)),
        }
    }

    /// Of one that was under way: the end whose port a parser knows is taken for the server, else
    /// the one with the lower port.
    fn client_seems_source(&self, way: &Way) -> bool {
        let known = |port: u16| self.parsers.iter().any(|entry| entry.ports.contains(&port));
        let rank = |port| (!known(port), port);
        rank(way.destination.port) <= rank(way.source.port)
    }
}

/// One conversation.
#[derive(Debug)]
struct Stream {
    client: End,
    /// Ports of client and server.
    ports: [u16; 2],
    /// Its SYN or SYN-ACK was seen, so that it is known who the client is.
    begun: bool,
    accepted: bool,
    opened_told: bool,
    /// `None` once there is nothing more to be learnt from it.
    beginning: Option<Box<Beginning>>,
}

/// What is kept of it while parsers are asked.
#[derive(Debug)]
struct Beginning {
    halves: [Half; 2],
    /// One bit for each parser that may still tell something.
    open: u128,
    /// One bit for each that recognised it.
    recognised: u128,
    asked: u8,
    told: Told,
    finished: [bool; 2],
}

/// Where facts about this frame's stations go.
struct Telling<'a> {
    by_client: bool,
    sink: &'a mut dyn FnMut(Seen),
}

impl Telling<'_> {
    fn tell(&mut self, told: &mut Told, of_client: bool, fact: Fact) {
        if told.is_new(of_client, &fact) {
            let about = about(self.by_client, of_client);
            (self.sink)(Seen::Fact(Observed { about, fact }));
        }
    }
}

impl Stream {
    fn new(way: &Way, source_is_client: bool, begun: bool, parsers: usize) -> Self {
        let (client, server) = if source_is_client {
            (way.source, way.destination)
        } else {
            (way.destination, way.source)
        };
        Self {
            client,
            ports: [client.port, server.port],
            begun,
            accepted: false,
            opened_told: false,
            beginning: Some(Box::new(Beginning::new(parsers))),
        }
    }

    fn client_is_source(&self, way: &Way) -> bool {
        self.client == way.source
    }

    /// Whether a SYN begins another conversation between the same ends, rather than being the one
    /// seen already or its answer.
    fn is_replaced_by(&self, way: &Way, segment: &Segment<'_>) -> bool {
        if segment.has(ACK) {
            return false;
        }
        let Some(beginning) = &self.beginning else {
            return true;
        };
        let same_side = self.client_is_source(way);
        !(self.begun && same_side && beginning.halves[CLIENT].begins_with(segment.data_seq()))
    }

    fn announce(
        &mut self,
        way: &Way,
        segment: &Segment<'_>,
        by_client: bool,
        sink: &mut dyn FnMut(Seen),
    ) {
        if !self.begun || !segment.has(SYN) {
            return;
        }
        let conversation = way.conversation(by_client, self.ports[SERVER]);
        if !self.opened_told {
            self.opened_told = true;
            sink(Seen::Opened(conversation));
        }
        if !by_client && !self.accepted {
            self.accepted = true;
            sink(Seen::Accepted(conversation));
        }
    }

    /// Takes a segment in, asks the parsers when there is more than before, and ends what is over.
    fn advance(
        &mut self,
        segment: &Segment<'_>,
        by_client: bool,
        parsers: &[&'static Entry<TalkParser>],
        limit: usize,
        telling: &mut Telling<'_>,
    ) {
        let (begun, ports) = (self.begun, self.ports);
        let Some(beginning) = &mut self.beginning else {
            return;
        };
        if beginning.take(segment, by_client, limit) {
            beginning.ask(parsers, ports, begun, telling);
        }
        if beginning.is_over(segment, limit) {
            if begun && beginning.recognised == 0 {
                beginning.tell_opaque(ports[SERVER], telling);
            }
            self.beginning = None;
        }
    }
}

impl Beginning {
    /// One about which none of so many parsers has been asked.
    fn new(parsers: usize) -> Self {
        let unused = MAX_PARSERS.saturating_sub(parsers) as u32;
        Self {
            halves: Default::default(),
            open: u128::MAX.checked_shr(unused).unwrap_or(0),
            recognised: 0,
            asked: 0,
            told: Told::default(),
            finished: [false; 2],
        }
    }

    fn take(&mut self, segment: &Segment<'_>, by_client: bool, limit: usize) -> bool {
        let side = if by_client { CLIENT } else { SERVER };
        let half = &mut self.halves[side];
        if segment.has(SYN) {
            half.begin(segment.data_seq());
        }
        self.finished[side] |= segment.has(FIN);
        half.take(segment.data_seq(), segment.payload, segment.whole, limit)
    }

    /// Asks those whose port it is first, so that what they say comes first.
    fn ask(
        &mut self,
        parsers: &[&'static Entry<TalkParser>],
        ports: [u16; 2],
        begun: bool,
        telling: &mut Telling<'_>,
    ) {
        self.asked += 1;
        for usual in [true, false] {
            for (entry, number) in parsers.iter().zip(0..MAX_PARSERS) {
                let open = self.open & (1 << number) != 0;
                if open && entry.ports.contains(&ports[SERVER]) == usual {
                    self.ask_one(number, entry, ports, begun, telling);
                }
            }
        }
    }

    fn ask_one(
        &mut self,
        number: usize,
        entry: &Entry<TalkParser>,
        ports: [u16; 2],
        begun: bool,
        telling: &mut Telling<'_>,
    ) {
        let found = RefCell::new(Vec::new());
        let outcome = {
            let mut client = |fact| found.borrow_mut().push((true, fact));
            let mut server = |fact| found.borrow_mut().push((false, fact));
            let talk = Talk {
                client: self.halves[CLIENT].bytes(),
                server: self.halves[SERVER].bytes(),
                port: ports[SERVER],
            };
            (entry.parse)(&talk, &mut TalkFacts::new(&mut client, &mut server))
        };
        let found = found.into_inner();
        let bit = 1u128 << number;
        if matches!(outcome, Outcome::NotMine | Outcome::Done) {
            self.open &= !bit;
        }
        let recognised = match outcome {
            Outcome::NotMine => return,
            Outcome::More => !found.is_empty(),
            Outcome::Known | Outcome::Done => true,
        };
        if recognised && self.recognised & bit == 0 {
            self.recognised |= bit;
            let usual = |side: usize| entry.ports.contains(&ports[side]);
            // Without its beginning only the ports tell who began it.
            if begun || (usual(SERVER) && !usual(CLIENT)) {
                self.tell_speaks(entry.name, telling);
            }
            if begun && entry.name == VEIL && !usual(SERVER) {
                self.tell_opaque(ports[SERVER], telling);
            }
        }
        for (of_client, fact) in found {
            telling.tell(&mut self.told, of_client, fact);
        }
    }

    fn tell_speaks(&mut self, name: &str, telling: &mut Telling<'_>) {
        for of_client in [true, false] {
            if let Some(fact) = speaks(of_client, name) {
                telling.tell(&mut self.told, of_client, fact);
            }
        }
    }

    /// Whether nothing more is to be learnt, `segment` being the last.
    fn is_over(&self, segment: &Segment<'_>, limit: usize) -> bool {
        let [client, server] = &self.halves;
        let both_spoke = !client.bytes().is_empty() && !server.bytes().is_empty();
        let one_is_full = client.is_over(limit) || server.is_over(limit);
        let decided = self.open == 0 && (self.recognised != 0 || both_spoke || one_is_full);
        let exhausted = self.asked >= MAX_ASKED || (client.is_over(limit) && server.is_over(limit));
        decided || exhausted || segment.has(RST) || self.finished == [true; 2]
    }

    fn tell_opaque(&mut self, port: u16, telling: &mut Telling<'_>) {
        if self.halves.iter().all(|half| half.bytes().is_empty()) {
            return;
        }
        for of_client in [true, false] {
            if let Some(fact) = opaque(of_client, "tcp", port) {
                telling.tell(&mut self.told, of_client, fact);
            }
        }
    }
}
