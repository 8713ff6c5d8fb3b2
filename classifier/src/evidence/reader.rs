//! Takes frames apart for those who follow conversations, and asks the parsers of frames.

use wardline_engine::{Fragment, L3, L4, PacketMeta};

use super::conversation::Way;
use super::exchanges::Exchanges;
use super::parsers::{self, Entry};
use super::streams::{Segment, Streams};
use super::{FrameFacts, FrameParser, Seen};

/// What a reader holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Conversations followed at a time over TCP, and as many over UDP; the oldest makes room.
    pub streams: usize,
    /// Bytes kept of each direction of a conversation over TCP, from its beginning.
    pub stream_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 2_048,
            // A DICOM association that proposes every class there is takes 10,000 to 17,000.
            stream_bytes: 20_480,
        }
    }
}

/// Reads frames and gives facts.
#[derive(Debug)]
pub struct Reader {
    streams: Streams,
    exchanges: Exchanges,
    plain: Vec<&'static Entry<FrameParser>>,
}

impl Reader {
    /// A reader that has seen nothing.
    pub fn new(limits: Limits) -> Self {
        Self {
            streams: Streams::new(limits, parsers::talks().collect()),
            exchanges: Exchanges::new(limits, parsers::datagrams().collect()),
            plain: parsers::frames().collect(),
        }
    }

    /// Reads one frame, whole or its beginning, as `wardline_engine::parse` understood it. `time_ns`
    /// may begin anywhere.
    pub fn read(
        &mut self,
        frame: &[u8],
        meta: &PacketMeta,
        time_ns: u64,
        sink: &mut dyn FnMut(Seen),
    ) {
        if meta.l3 == L3::Other {
            self.read_plain(frame, meta, sink);
        }
        if meta.fragment != Fragment::Whole {
            return;
        }
        let Some(way) = Way::new(meta) else {
            return;
        };
        let (payload, whole) = rest(frame, meta.payload_offset, meta);
        match meta.l4 {
            L4::Tcp { flags, seq, .. } => {
                let segment = Segment {
                    flags,
                    seq,
                    payload,
                    whole,
                };
                self.streams.read(&way, &segment, sink);
            }
            _ => self.exchanges.read(&way, payload, time_ns, sink),
        }
    }

    /// A frame without IP: what follows its type or length goes to the first that knows it.
    fn read_plain(&self, frame: &[u8], meta: &PacketMeta, sink: &mut dyn FnMut(Seen)) {
        let (there, _) = rest(frame, meta.l3_offset, meta);
        let mut found = Vec::new();
        let knows = |entry: &&&Entry<FrameParser>| {
            found.clear();
            let mut keep = |observed| found.push(observed);
            (entry.parse)(meta.ethertype, there, &mut FrameFacts::new(&mut keep))
        };
        if self.plain.iter().find(knows).is_some() {
            found.into_iter().map(Seen::Fact).for_each(sink);
        }
    }
}

/// What is there of the frame from `start` to its end, and whether it is all of it.
fn rest<'a>(frame: &'a [u8], start: u16, meta: &PacketMeta) -> (&'a [u8], bool) {
    let end = usize::from(meta.end);
    let there = frame.get(usize::from(start)..end.min(frame.len()));
    (there.unwrap_or_default(), end <= frame.len())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::super::streams::MAX_PARSERS;
    use super::super::testing::{Tcp, Udp, any_frame, read};
    use super::super::{Datagram, DatagramParser, Outcome, Talk, TalkFacts, TalkParser};
    use super::*;
    use crate::Field;

    /// `HELLO name.` of the client, `WELCOME name.` of the server.
    fn hello(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
        let begins = |bytes: &[u8], word: &[u8]| bytes.iter().zip(word).all(|(a, b)| a == b);
        if !begins(talk.client, b"HELLO ") || !begins(talk.server, b"WELCOME ") {
            return Outcome::NotMine;
        }
        let client = talk.client.strip_suffix(b".");
        let server = talk.server.strip_suffix(b".");
        if let Some(client) = client {
            facts.client_bytes(Field::Banner, &client[6..]);
        }
        if let Some(server) = server {
            facts.server_bytes(Field::Banner, &server[8..]);
        }
        if client.is_some() && server.is_some() {
            Outcome::Done
        } else {
            Outcome::More
        }
    }

    /// Says something of everything and then that it was wrong.
    fn doubtful(_: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
        facts.client(Field::Banner, "wrong");
        Outcome::NotMine
    }

    fn echo(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
        facts.sender_bytes(Field::Banner, datagram.payload);
        datagram.payload.starts_with(b"echo")
    }

    fn veil(talk: &Talk<'_>, _: &mut TalkFacts<'_>) -> Outcome {
        if talk.client.starts_with(b"hidden") {
            Outcome::Done
        } else {
            Outcome::NotMine
        }
    }

    static VEIL: Entry<TalkParser> = Entry {
        name: "tls",
        ports: &[443],
        parse: veil,
    };
    static HELLO: Entry<TalkParser> = Entry {
        name: "hello",
        ports: &[700],
        parse: hello,
    };
    static DOUBTFUL: Entry<TalkParser> = Entry {
        name: "doubtful",
        ports: &[],
        parse: doubtful,
    };
    static ECHO: Entry<DatagramParser> = Entry {
        name: "echo",
        ports: &[7000],
        parse: echo,
    };

    fn reader(stream_bytes: usize) -> Reader {
        let limits = Limits {
            streams: 8,
            stream_bytes,
        };
        Reader {
            streams: Streams::new(limits, vec![&DOUBTFUL, &HELLO, &VEIL]),
            exchanges: Exchanges::new(limits, vec![&ECHO]),
            plain: parsers::frames().collect(),
        }
    }

    #[test]
    fn there_is_a_bit_for_each_parser() {
        assert!(parsers::talks().count() <= MAX_PARSERS);
    }

    #[test]
    fn a_conversation_is_recognised_piece_by_piece_and_told_once() {
        let (mut reader, tcp) = (reader(100), Tcp::new(40_000, 9));
        assert_eq!(read(&mut reader, &tcp.syn()), ["client opened tcp/9"]);
        assert!(read(&mut reader, &tcp.syn()).is_empty());
        assert_eq!(read(&mut reader, &tcp.syn_ack()), ["client accepted tcp/9"]);
        assert!(read(&mut reader, &tcp.client(6, b"a.")).is_empty());
        assert_eq!(
            read(&mut reader, &tcp.client(0, b"HELLO ")),
            [
                "client protocol.client hello",
                "server protocol.server hello",
                "client banner.text a"
            ]
        );
        assert!(read(&mut reader, &tcp.client(0, b"HELLO a.")).is_empty());
        assert!(read(&mut reader, &tcp.server(0, b"WELC")).is_empty());
        let answer = tcp.server(0, b"WELCOME b.");
        assert_eq!(read(&mut reader, &answer), ["server banner.text b"]);
        assert!(read(&mut reader, &answer).is_empty());
        assert!(read(&mut reader, &tcp.fin()).is_empty());
    }

    #[test]
    fn a_strange_conversation_is_told_when_both_have_spoken() {
        let (mut reader, tcp) = (reader(100), Tcp::new(40_000, 9));
        read(&mut reader, &tcp.syn());
        read(&mut reader, &tcp.syn_ack());
        assert!(read(&mut reader, &tcp.client(0, b"what")).is_empty());
        assert_eq!(
            read(&mut reader, &tcp.server(0, b"ever")),
            ["client port.client tcp/9", "server port.server tcp/9"]
        );
        assert!(read(&mut reader, &tcp.client(4, b"more")).is_empty());
    }

    #[test]
    fn what_is_hidden_is_told_with_its_port() {
        let speaks = ["client protocol.client tls", "server protocol.server tls"];
        let hides = ["client port.client tcp/3613", "server port.server tcp/3613"];
        for (port, told) in [(443, speaks.to_vec()), (3613, [speaks, hides].concat())] {
            let (mut reader, tcp) = (reader(100), Tcp::new(40_000, port));
            read(&mut reader, &tcp.syn());
            assert_eq!(read(&mut reader, &tcp.client(0, b"hidden")), told);
        }
    }

    #[test]
    fn a_strange_conversation_is_told_at_its_limit_and_at_its_end() {
        let told = ["client port.client tcp/9", "server port.server tcp/9"];
        for (first, last) in [
            (Tcp::client as fn(&Tcp, u32, &[u8]) -> Vec<u8>, None),
            (Tcp::client, Some(Tcp::reset as fn(&Tcp) -> Vec<u8>)),
        ] {
            let (mut reader, tcp) = (reader(4), Tcp::new(40_000, 9));
            read(&mut reader, &tcp.syn());
            let bytes: &[u8] = if last.is_some() { b"wha" } else { b"whatever" };
            let mut seen = read(&mut reader, &first(&tcp, 0, bytes));
            if let Some(last) = last {
                assert!(seen.is_empty());
                seen = read(&mut reader, &last(&tcp));
            }
            assert_eq!(seen, told);
        }
    }

    #[test]
    fn without_its_beginning_a_conversation_tells_only_what_its_content_proves() {
        let (mut reader, tcp) = (reader(100), Tcp::new(40_000, 9));
        assert_eq!(
            read(&mut reader, &tcp.client(0, b"HELLO a.")),
            ["client banner.text a"]
        );
        // Nothing is said of the port, or of who began it.
        let other = Tcp::new(40_001, 9);
        assert!(read(&mut reader, &other.client(0, b"what")).is_empty());
        assert!(read(&mut reader, &other.server(0, b"ever")).is_empty());
        // The usual port tells who began it.
        let usual = Tcp::new(40_002, 700);
        read(&mut reader, &usual.server(0, b"WELCOME "));
        assert_eq!(
            read(&mut reader, &usual.server(8, b"b.")),
            [
                "client protocol.client hello",
                "server protocol.server hello",
                "server banner.text b"
            ]
        );
    }

    #[test]
    fn the_same_ends_may_begin_again() {
        let (mut reader, tcp) = (reader(100), Tcp::new(40_000, 9));
        for _ in 0..2 {
            let mut again = tcp;
            again.isn = 77;
            for tcp in [tcp, again] {
                assert_eq!(read(&mut reader, &tcp.syn()), ["client opened tcp/9"]);
                read(&mut reader, &tcp.syn_ack());
                assert_eq!(read(&mut reader, &tcp.client(0, b"HELLO a.")).len(), 3);
            }
        }
    }

    #[test]
    fn a_sample_of_a_frame_is_read_as_far_as_it_goes() {
        let (mut reader, tcp) = (reader(100), Tcp::new(40_000, 9));
        read(&mut reader, &tcp.syn());
        let whole = tcp.client(0, b"HELLO abc.");
        let meta = wardline_engine::parse::parse(&whole).unwrap();
        for cut in 0..whole.len() {
            reader.read(&whole[..cut], &meta, 0, &mut |seen| {
                panic!("{cut}: {seen:?}")
            });
        }
    }

    #[test]
    fn who_asks_a_group_is_the_client_of_what_answers() {
        let (mut reader, udp) = (reader(100), Udp::new(50_000, 7001));
        assert_eq!(
            read(&mut reader, &udp.group(b"echo?")),
            [
                "client opened udp/7001",
                "client protocol.client echo",
                "client banner.text echo?"
            ]
        );
        let answer = Udp::new(50_000, 7002).server(b"echo!");
        assert_eq!(
            read(&mut reader, &answer),
            [
                "client opened udp/7001",
                "client accepted udp/7001",
                "server protocol.server echo",
                "server banner.text echo!"
            ]
        );
    }

    #[test]
    fn strange_datagrams_are_told_once_and_no_longer_read() {
        let (mut reader, udp) = (reader(100), Udp::new(50_000, 9));
        assert_eq!(
            read(&mut reader, &udp.client(b"a")),
            ["client opened udp/9"]
        );
        assert_eq!(
            read(&mut reader, &udp.server(b"b")),
            [
                "client accepted udp/9",
                "client port.client udp/9",
                "server port.server udp/9"
            ]
        );
        for _ in 0..3 {
            assert!(read(&mut reader, &udp.client(b"c")).is_empty());
        }
        assert!(read(&mut reader, &udp.client(b"echo")).is_empty());
    }

    #[test]
    fn an_answer_seen_first_does_not_make_a_client() {
        let (mut reader, udp) = (reader(100), Udp::new(50_000, 7000));
        assert_eq!(
            read(&mut reader, &udp.server(b"echo")),
            ["server protocol.server echo", "server banner.text echo"]
        );
    }

    #[test]
    fn memory_is_bounded_by_the_limits() {
        let mut reader = reader(100);
        for port in 1..500 {
            let tcp = Tcp::new(port, 9);
            read(&mut reader, &tcp.syn());
            read(&mut reader, &tcp.client(0, &[b'x'; 1000]));
            read(&mut reader, &Udp::new(port, 9).client(b"x"));
        }
        let mut shown = String::new();
        write!(shown, "{reader:?}").unwrap();
        assert!(shown.len() < 20_000, "{}", shown.len());
    }

    proptest! {
        #[test]
        fn never_panics_whatever_the_frames(
            frames in prop::collection::vec(any_frame(), 0..40),
            cut in 0usize..200,
        ) {
            let mut reader = Reader::new(Limits { streams: 3, stream_bytes: 300 });
            for frame in frames {
                if let Ok(meta) = wardline_engine::parse::parse(&frame) {
                    let sample = &frame[..frame.len().saturating_sub(cut)];
                    reader.read(sample, &meta, 0, &mut |_| ());
                }
            }
        }
    }
}
