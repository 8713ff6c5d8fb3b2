//! Protocols that every network has.

mod ber;
mod certificate;
mod description;
mod dhcp;
mod dns;
mod domain;
mod head;
mod hello;
mod http;
mod llmnr;
mod mdns;
mod private;
mod ssdp;
#[cfg(test)]
mod testing;
mod tls;
mod wire;

use super::super::{DatagramParser, FrameParser, TalkParser};
use super::Entry;

pub(super) const TALKS: &[Entry<TalkParser>] = &[
    Entry {
        name: "dns",
        ports: &[53],
        parse: dns::parse_talk,
    },
    Entry {
        name: "http",
        ports: &[80, 8080],
        parse: http::parse,
    },
    Entry {
        name: "tls",
        ports: &[443, 8443],
        parse: tls::parse,
    },
];

pub(super) const DATAGRAMS: &[Entry<DatagramParser>] = &[
    Entry {
        name: "dhcp",
        ports: &[67, 68],
        parse: dhcp::parse,
    },
    Entry {
        name: "dns",
        ports: &[53],
        parse: dns::parse,
    },
    Entry {
        name: "mdns",
        ports: &[mdns::PORT],
        parse: mdns::parse,
    },
    Entry {
        name: "llmnr",
        ports: &[llmnr::PORT],
        parse: llmnr::parse,
    },
    Entry {
        name: "ssdp",
        ports: &[1900],
        parse: ssdp::parse,
    },
];

pub(super) const FRAMES: &[Entry<FrameParser>] = &[];
