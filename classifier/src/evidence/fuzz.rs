//! Doors for the fuzzer in `classifier/fuzz`: every parser there is, by name, and the reader around
//! them. Open when built with `--cfg fuzzing`; the tests go through them to try again what was
//! once found.

use core::cell::Cell;
use core::fmt;

use wardline_engine::parse::parse;

use super::parsers;
use super::{
    Datagram, DatagramParser, FrameFacts, FrameParser, Limits, Outcome, Reader, Seen, Talk,
    TalkFacts, TalkParser,
};
use crate::Fact;
use crate::fact::VALUE_MAX;

/// A port that no protocol has.
const FREE_PORT: u16 = 40_000;
/// In the first byte of a datagram: it comes from the protocol's port, and goes to a group.
const FROM_PORT: u8 = 1;
const TO_GROUP: u8 = 2;
/// Small enough that conversations make room for one another and run full.
const LIMITS: Limits = Limits {
    streams: 8,
    stream_bytes: 2_048,
};

/// What can be fuzzed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    name: &'static str,
    /// The first of the protocol's usual ports.
    port: u16,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Talk(TalkParser),
    Datagram(DatagramParser),
    Frame(FrameParser),
    Reader,
}

impl Target {
    /// All of them: each parser, and the whole way from frames to facts.
    pub fn all() -> Vec<Self> {
        let first = |ports: &[u16]| ports.first().copied().unwrap_or(FREE_PORT);
        let target = |name, ports, kind| Self {
            name,
            port: first(ports),
            kind,
        };
        let talks = parsers::talks().map(|e| target(e.name, e.ports, Kind::Talk(e.parse)));
        let datagrams =
            parsers::datagrams().map(|e| target(e.name, e.ports, Kind::Datagram(e.parse)));
        let frames = parsers::frames().map(|e| target(e.name, e.ports, Kind::Frame(e.parse)));
        let reader = target("reader", &[], Kind::Reader);
        talks
            .chain(datagrams)
            .chain(frames)
            .chain([reader])
            .collect()
    }

    /// The target of that name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::all().into_iter();
        all.find(|target| target.to_string() == name)
    }

    /// Whether the input was recognised.
    ///
    /// # Panics
    /// Where the parser does, or a fact breaks what is promised of facts.
    pub fn run(&self, input: &[u8]) -> bool {
        self.hear(input, &check)
    }

    /// The same, with each fact given to `hear`.
    fn hear(&self, input: &[u8], hear: &dyn Fn(Fact)) -> bool {
        match self.kind {
            Kind::Talk(parse) => self.run_talk(parse, input, hear),
            Kind::Datagram(parse) => self.run_datagram(parse, input, hear),
            Kind::Frame(parse) => run_frame(parse, input, hear),
            Kind::Reader => read(input, hear),
        }
    }

    /// The input that is this conversation. `None` when the target takes none.
    pub fn conversation(&self, client: &[u8], server: &[u8]) -> Option<Vec<u8>> {
        let len = u16::try_from(client.len()).ok()?;
        let taken = matches!(self.kind, Kind::Talk(_));
        taken.then(|| [&len.to_be_bytes(), client, server].concat())
    }

    /// The input that is this datagram. `None` when the target takes none.
    pub fn datagram(&self, source_port: u16, to_group: bool, payload: &[u8]) -> Option<Vec<u8>> {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(source_port == self.port, FROM_PORT) | flag(to_group, TO_GROUP);
        matches!(self.kind, Kind::Datagram(_)).then(|| [&[flags], payload].concat())
    }

    /// The input that is this frame. `None` when the target takes none.
    pub fn frame(&self, ethertype: u16, rest: &[u8]) -> Option<Vec<u8>> {
        let taken = matches!(self.kind, Kind::Frame(_));
        taken.then(|| [&ethertype.to_be_bytes(), rest].concat())
    }

    /// The input that is these frames. `None` when the target takes none.
    pub fn frames<'a>(&self, frames: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
        let short = frames.filter_map(|frame| Some((u16::try_from(frame.len()).ok()?, frame)));
        let behind_len = |(len, frame): (u16, &[u8])| [&len.to_be_bytes(), frame].concat();
        matches!(self.kind, Kind::Reader).then(|| short.flat_map(behind_len).collect())
    }

    fn run_talk(&self, parse: TalkParser, input: &[u8], hear: &dyn Fn(Fact)) -> bool {
        let (client, server) = split_behind_len(input);
        let talk = Talk {
            client,
            server,
            port: self.port,
        };
        let told = Cell::new(false);
        let note = |fact| {
            hear(fact);
            told.set(true);
        };
        let (mut of_client, mut of_server) = (note, note);
        match parse(&talk, &mut TalkFacts::new(&mut of_client, &mut of_server)) {
            Outcome::NotMine => false,
            Outcome::More => told.get(),
            Outcome::Known | Outcome::Done => true,
        }
    }

    fn run_datagram(&self, parse: DatagramParser, input: &[u8], hear: &dyn Fn(Fact)) -> bool {
        let Some((&flags, payload)) = input.split_first() else {
            return false;
        };
        let mut ports = [self.port, FREE_PORT];
        if flags & FROM_PORT == 0 {
            ports.reverse();
        }
        let datagram = Datagram {
            payload,
            source_port: ports[0],
            destination_port: ports[1],
            to_group: flags & TO_GROUP != 0,
        };
        parse(&datagram, &mut FrameFacts::new(&mut |o| hear(o.fact)))
    }
}

/// The kind and the name: `talk-tls`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Talk(_) => "talk-",
            Kind::Datagram(_) => "datagram-",
            Kind::Frame(_) => "frame-",
            Kind::Reader => "",
        };
        write!(f, "{kind}{}", self.name)
    }
}

fn run_frame(parse: FrameParser, input: &[u8], hear: &dyn Fn(Fact)) -> bool {
    let Some((ethertype, rest)) = input.split_first_chunk() else {
        return false;
    };
    let ethertype = u16::from_be_bytes(*ethertype);
    parse(ethertype, rest, &mut FrameFacts::new(&mut |o| hear(o.fact)))
}

/// Reads frames, each behind its length; whether any told something.
fn read(mut input: &[u8], hear: &dyn Fn(Fact)) -> bool {
    let mut reader = Reader::new(LIMITS);
    let mut told = false;
    while !input.is_empty() {
        let (frame, rest) = split_behind_len(input);
        input = rest;
        let Ok(meta) = parse(frame) else { continue };
        reader.read(frame, &meta, 0, &mut |seen| {
            if let Seen::Fact(observed) = seen {
                hear(observed.fact);
                told = true;
            }
        });
    }
    told
}

/// A part behind its length of two bytes, and the rest; where the length says more than there is,
/// all is the part.
fn split_behind_len(input: &[u8]) -> (&[u8], &[u8]) {
    let Some((len, rest)) = input.split_first_chunk() else {
        return (&[], &[]);
    };
    let len = usize::from(u16::from_be_bytes(*len));
    rest.split_at(len.min(rest.len()))
}

fn check(fact: Fact) {
    assert!(fact.value.len() <= VALUE_MAX, "too long: {fact:?}");
    let printable = !fact.value.contains(char::is_control);
    assert!(
        printable && !fact.value.is_empty(),
        "not printable: {fact:?}"
    );
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::Field;

    #[test]
    fn every_target_has_a_name_of_its_own() {
        let all = Target::all();
        for target in &all {
            let same = all.iter().filter(|t| t.to_string() == target.to_string());
            assert_eq!(same.count(), 1, "{target}");
            assert!(Target::named(&target.to_string()).is_some());
        }
    }

    #[test]
    fn inputs_are_made_as_they_are_taken_apart() {
        let dns = Target::named("talk-dns").unwrap();
        let query = b"\0\x13\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        assert!(dns.run(&dns.conversation(query, b"answer").unwrap()));
        assert!(!dns.run(&dns.conversation(b"answer", query).unwrap()));
        assert_eq!(dns.datagram(53, false, query), None);
        let ntp = Target::named("datagram-ntp").unwrap();
        let payload = [&[0x1b][..], &[0; 47]].concat();
        assert!(ntp.run(&ntp.datagram(40_000, false, &payload).unwrap()));
        let reader = Target::named("reader").unwrap();
        let lldp = b"\x01\x80\xc2\0\0\x0e\x02\0\0\0\0\x07\x88\xcc\x02\x02\x07\x01\x0a\x01A\0\0";
        let frames = [&lldp[..]; 2].into_iter();
        assert!(reader.run(&reader.frames(frames).unwrap()));
    }

    /// A field that no parser tells would be believed in and never come: each is told of one of the
    /// inputs in `fuzz/seeds`, and each target has some. What is not in the list below is counted
    /// or looked up, not parsed.
    #[test]
    fn every_field_is_told_of_some_seed_and_every_target_knows_one() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
        let told = RefCell::new(vec![
            Field::Oui,
            Field::Client,
            Field::Server,
            Field::OpaqueClient,
            Field::OpaqueServer,
            Field::Forwards,
        ]);
        let hear = |fact: Fact| told.borrow_mut().push(fact.field);
        for target in Target::all() {
            let folder = seeds.join(target.to_string());
            let files = fs::read_dir(&folder).map(|files| files.map(|file| file.unwrap().path()));
            let files = files.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let known = files.filter(|file| target.hear(&fs::read(file).unwrap(), &hear));
            assert!(known.count() > 0, "{target} knows none of its seeds");
        }
        let told = told.into_inner();
        let silent: Vec<_> = Field::ALL
            .iter()
            .filter(|field| !told.contains(field))
            .collect();
        assert!(
            silent.is_empty(),
            "told by no parser of any seed: {silent:?}"
        );
    }

    /// Files in `fuzz/crashes/TARGET`, named after what was wrong.
    #[test]
    fn what_was_once_found_is_found_no_more() {
        let crashes = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/crashes");
        for target in Target::all() {
            let Ok(files) = fs::read_dir(crashes.join(target.to_string())) else {
                continue;
            };
            for file in files {
                target.run(&fs::read(file.unwrap().path()).unwrap());
            }
        }
    }
}
