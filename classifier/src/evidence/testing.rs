//! Frames for tests: two stations, `client` and `server`, and what a reader tells of them.

use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep, TcpHeader, UdpHeader};
use proptest::prelude::*;

use wardline_engine::parse::parse;

use super::{Conversation, Reader, Seen};
use crate::{About, Observed};

const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xc];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 5];
const GROUP_MAC: [u8; 6] = [1, 0, 0x5e, 0, 0, 1];
const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 0, 2];
const GROUP: [u8; 4] = [239, 0, 0, 1];

/// Packets of one TCP conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tcp {
    ports: [u16; 2],
    pub(super) isn: u32,
}

impl Tcp {
    pub(super) fn new(client: u16, server: u16) -> Self {
        Self {
            ports: [client, server],
            isn: u32::MAX - 3,
        }
    }

    pub(super) fn syn(&self) -> Vec<u8> {
        let [client, server] = self.ports;
        tcp(to_server().tcp(client, server, self.isn, 1000).syn(), b"")
    }

    pub(super) fn syn_ack(&self) -> Vec<u8> {
        let [client, server] = self.ports;
        let acknowledged = self.isn.wrapping_add(1);
        let step = to_client().tcp(server, client, self.isn, 1000);
        tcp(step.syn().ack(acknowledged), b"")
    }

    /// Data of the client, `offset` bytes after its beginning.
    pub(super) fn client(&self, offset: u32, data: &[u8]) -> Vec<u8> {
        let [client, server] = self.ports;
        let seq = self.isn.wrapping_add(1).wrapping_add(offset);
        tcp(to_server().tcp(client, server, seq, 1000).ack(0), data)
    }

    /// The same of the server.
    pub(super) fn server(&self, offset: u32, data: &[u8]) -> Vec<u8> {
        let [client, server] = self.ports;
        let seq = self.isn.wrapping_add(1).wrapping_add(offset);
        tcp(to_client().tcp(server, client, seq, 1000).ack(0), data)
    }

    pub(super) fn fin(&self) -> Vec<u8> {
        let [client, server] = self.ports;
        tcp(to_server().tcp(client, server, self.isn, 1000).fin(), b"")
    }

    pub(super) fn reset(&self) -> Vec<u8> {
        let [client, server] = self.ports;
        tcp(to_server().tcp(client, server, self.isn, 1000).rst(), b"")
    }
}

/// Packets of one conversation over UDP.
#[derive(Debug, Clone, Copy)]
pub(super) struct Udp {
    ports: [u16; 2],
}

impl Udp {
    pub(super) fn new(client: u16, server: u16) -> Self {
        Self {
            ports: [client, server],
        }
    }

    pub(super) fn client(&self, data: &[u8]) -> Vec<u8> {
        let [client, server] = self.ports;
        udp(to_server().udp(client, server), data)
    }

    pub(super) fn server(&self, data: &[u8]) -> Vec<u8> {
        let [client, server] = self.ports;
        udp(to_client().udp(server, client), data)
    }

    pub(super) fn group(&self, data: &[u8]) -> Vec<u8> {
        let [client, server] = self.ports;
        let step = PacketBuilder::ethernet2(CLIENT_MAC, GROUP_MAC).ipv4(CLIENT, GROUP, 1);
        udp(step.udp(client, server), data)
    }
}

fn to_server() -> PacketBuilderStep<IpHeaders> {
    PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC).ipv4(CLIENT, SERVER, 64)
}

fn to_client() -> PacketBuilderStep<IpHeaders> {
    PacketBuilder::ethernet2(SERVER_MAC, CLIENT_MAC).ipv4(SERVER, CLIENT, 64)
}

fn tcp(step: PacketBuilderStep<TcpHeader>, data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    step.write_to_vec(&mut frame, data).unwrap();
    frame
}

fn udp(step: PacketBuilderStep<UdpHeader>, data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    step.write_to_vec(&mut frame, data).unwrap();
    frame
}

/// What a reader tells of a frame: `client opened tcp/104`, `server http.server nginx`.
pub(super) fn read(reader: &mut Reader, frame: &[u8]) -> Vec<String> {
    let meta = parse(frame).unwrap();
    let of_client = meta.source_mac.0 == CLIENT_MAC;
    let station = |about| {
        if of_client == (about == About::Sender) {
            "client"
        } else {
            "server"
        }
    };
    let mut lines = Vec::new();
    reader.read(frame, &meta, 0, &mut |seen| {
        lines.push(match seen {
            Seen::Fact(Observed { about, fact }) => {
                format!("{} {} {}", station(about), fact.field, fact.value)
            }
            Seen::Opened(talk) => format!("{} opened {}", station(talk.client), port(&talk)),
            Seen::Accepted(talk) => format!("{} accepted {}", station(talk.client), port(&talk)),
        });
    });
    lines
}

fn port(talk: &Conversation) -> String {
    let transport = if talk.protocol == 6 { "tcp" } else { "udp" };
    format!("{transport}/{}", talk.port)
}

/// Frames of a few conversations, with any bytes in them.
pub(super) fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let ports = (
        0u16..3,
        prop::sample::select(vec![9u16, 104, 2575, 7000, 47808]),
    );
    let bytes = prop::collection::vec(any::<u8>(), 0..100);
    (ports, 0u8..9, 0u32..400, bytes).prop_map(|((client, server), kind, offset, bytes)| {
        let client = 40_000 + client;
        let (tcp, udp) = (Tcp::new(client, server), Udp::new(client, server));
        match kind {
            0 => tcp.syn(),
            1 => tcp.syn_ack(),
            2 | 3 => tcp.client(offset, &bytes),
            4 => tcp.server(offset, &bytes),
            5 => tcp.fin(),
            6 => udp.client(&bytes),
            7 => udp.server(&bytes),
            _ => udp.group(&bytes),
        }
    })
}
