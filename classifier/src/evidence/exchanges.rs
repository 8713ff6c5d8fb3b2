//! Conversations over UDP: who spoke first, and what the datagrams say.

use super::conversation::{End, Table, Told, Way, about, opaque, speaks};
use super::parsers::Entry;
use super::reader::Limits;
use super::{Datagram, DatagramParser, FrameFacts, Seen};
use crate::{About, Observed};

/// Datagrams of one conversation that parsers are asked about in one [`PERIOD_NS`].
const MAX_ASKED: u8 = 32;
/// The same of one that nobody has recognised.
const MAX_STRANGE: u8 = 4;
const PERIOD_NS: u64 = 60_000_000_000;
/// Ports below are those of services.
const FIRST_FREE_PORT: u16 = 1024;

/// All conversations followed.
#[derive(Debug)]
pub(super) struct Exchanges {
    table: Table<Exchange>,
    parsers: Vec<&'static Entry<DatagramParser>>,
}

/// One conversation.
#[derive(Debug)]
struct Exchange {
    client: End,
    /// The port that was asked.
    port: u16,
    /// It began with its first datagram, not before.
    begun: bool,
    answered: bool,
    /// Number of the parser that recognised a datagram of it.
    recognised: Option<usize>,
    opaque_told: bool,
    asked: u8,
    /// When `asked` began at 0.
    since_ns: u64,
    told: Told,
}

impl Exchange {
    fn new(client: End, port: u16, begun: bool, time_ns: u64) -> Self {
        Self {
            client,
            port,
            begun,
            answered: false,
            recognised: None,
            opaque_told: false,
            asked: 0,
            since_ns: time_ns,
            told: Told::default(),
        }
    }

    /// Whether one more datagram is to be read.
    fn may_ask(&mut self, time_ns: u64) -> bool {
        if time_ns.saturating_sub(self.since_ns) >= PERIOD_NS {
            (self.asked, self.since_ns) = (0, time_ns);
        }
        let most = if self.recognised.is_some() {
            MAX_ASKED
        } else {
            MAX_STRANGE
        };
        let may = self.asked < most;
        self.asked += u8::from(may);
        may
    }
}

impl Exchanges {
    pub(super) fn new(limits: Limits, parsers: Vec<&'static Entry<DatagramParser>>) -> Self {
        Self {
            table: Table::new(limits.streams),
            parsers,
        }
    }

    pub(super) fn read(
        &mut self,
        way: &Way,
        payload: &[u8],
        time_ns: u64,
        sink: &mut dyn FnMut(Seen),
    ) {
        let slot = self.place(way, time_ns, sink);
        let exchange = self.table.at(slot);
        let by_client = exchange.client == way.source;
        if !by_client && !exchange.answered {
            exchange.answered = true;
            if exchange.begun {
                sink(Seen::Accepted(way.conversation(false, exchange.port)));
            }
        }
        if payload.is_empty() || !exchange.may_ask(time_ns) {
            return;
        }
        let first = exchange.recognised;
        match self.recognise(way, payload, first) {
            Some((number, found)) => self.tell(slot, way, number, found, sink),
            None => self.tell_strange(slot, way, sink),
        }
    }

    /// The conversation of a datagram, a new one where none was known.
    fn place(&mut self, way: &Way, time_ns: u64, sink: &mut dyn FnMut(Seen)) -> usize {
        let key = way.key();
        if let Some(slot) = self.table.find(&key) {
            return slot;
        }
        let asked_group = self.table.find(&way.group_key(way.destination));
        let asked_group = asked_group.filter(|_| !way.to_group);
        let answers = asked_group.map(|slot| self.table.at(slot).port);
        let begun = answers.is_some() || !self.looks_like_an_answer(way);
        let by_client = answers.is_none() && begun;
        let (client, server) = if by_client {
            (way.source, way.destination)
        } else {
            (way.destination, way.source)
        };
        let port = answers.unwrap_or(server.port);
        if way.to_group {
            self.note_group(way, time_ns);
        }
        if begun {
            sink(Seen::Opened(way.conversation(by_client, port)));
        }
        let exchange = Exchange::new(client, port, begun, time_ns);
        self.table.insert(key, exchange)
    }

    /// Remembers that the sender asked a group: answers come from other addresses.
    fn note_group(&mut self, way: &Way, time_ns: u64) {
        let key = way.group_key(way.source);
        let note = Exchange::new(way.source, way.destination.port, true, time_ns);
        match self.table.find(&key) {
            Some(slot) => *self.table.at(slot) = note,
            None => {
                self.table.insert(key, note);
            }
        }
    }

    /// Whether the first datagram of a conversation seems to come from the one that was asked,
    /// before the reader was there or from another address.
    fn looks_like_an_answer(&self, way: &Way) -> bool {
        let rank = |port: u16| (self.is_usual(port), port < FIRST_FREE_PORT);
        rank(way.source.port) > rank(way.destination.port)
    }

    fn is_usual(&self, port: u16) -> bool {
        self.parsers.iter().any(|entry| entry.ports.contains(&port))
    }

    /// Asks the parser that recognised the last one, then those whose port it is, then the others.
    fn recognise(
        &self,
        way: &Way,
        payload: &[u8],
        last: Option<usize>,
    ) -> Option<(usize, Vec<Observed>)> {
        let datagram = Datagram {
            payload,
            source_port: way.source.port,
            destination_port: way.destination.port,
            to_group: way.to_group,
        };
        let mut found = Vec::new();
        let mut asks = |number: usize| {
            found.clear();
            let mut sink = |observed| found.push(observed);
            (self.parsers[number].parse)(&datagram, &mut FrameFacts::new(&mut sink))
        };
        let usual = |number: &usize| way.ports_of(self.parsers[*number].ports).contains(&true);
        let all = || (0..self.parsers.len()).filter(|number| Some(*number) != last);
        let order = last.into_iter().chain(all().filter(|n| usual(n)));
        let mut order = order.chain(all().filter(|n| !usual(n)));
        let number = order.find(|&number| asks(number))?;
        Some((number, found))
    }

    fn tell(
        &mut self,
        slot: usize,
        way: &Way,
        number: usize,
        found: Vec<Observed>,
        sink: &mut dyn FnMut(Seen),
    ) {
        let entry = self.parsers[number];
        let exchange = self.table.at(slot);
        exchange.recognised = Some(number);
        let by_client = match way.ports_of(entry.ports) {
            [true, false] => false,
            [false, true] => true,
            _ => exchange.client == way.source,
        };
        let speaks = speaks(by_client, entry.name).map(|fact| Observed {
            about: About::Sender,
            fact,
        });
        for observed in speaks.into_iter().chain(found) {
            let of_client = (observed.about == About::Sender) == by_client;
            // Nobody in particular receives what goes to a group.
            let of_station = observed.about == About::Sender || !way.to_group;
            if of_station && exchange.told.is_new(of_client, &observed.fact) {
                sink(Seen::Fact(observed));
            }
        }
    }

    /// Tells once of a conversation nobody recognises: when it was answered, when as many went
    /// unanswered as are read, or at once if a group was asked, which does not answer.
    fn tell_strange(&mut self, slot: usize, way: &Way, sink: &mut dyn FnMut(Seen)) {
        let exchange = self.table.at(slot);
        let due = exchange.answered || way.to_group || exchange.asked == MAX_STRANGE;
        if exchange.recognised.is_some() || exchange.opaque_told || !exchange.begun || !due {
            return;
        }
        exchange.opaque_told = true;
        let by_client = exchange.client == way.source;
        for of_client in [true, false] {
            if !(of_client || exchange.answered) {
                continue;
            }
            if let Some(fact) = opaque(of_client, "udp", exchange.port) {
                let about = about(by_client, of_client);
                sink(Seen::Fact(Observed { about, fact }));
            }
        }
    }
}
