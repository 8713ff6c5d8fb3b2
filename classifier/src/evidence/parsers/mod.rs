//! One module for each protocol, and the lists the reader goes through.
//!
//! A name is that of the protocol in [`Field::Client`](crate::Field::Client) and
//! [`Field::Server`](crate::Field::Server). Ports say which parser is asked first, nothing more.

mod clinical;
mod common;

use super::{DatagramParser, FrameParser, TalkParser};

/// A parser with its protocol's name and usual ports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<P> {
    pub(super) name: &'static str,
    pub(super) ports: &'static [u16],
    pub(super) parse: P,
}

/// Parsers of TCP conversations.
pub(super) fn talks() -> impl Iterator<Item = &'static Entry<TalkParser>> {
    clinical::talks().chain(common::TALKS)
}

/// Parsers of UDP datagrams.
pub(super) fn datagrams() -> impl Iterator<Item = &'static Entry<DatagramParser>> {
    clinical::datagrams().chain(common::DATAGRAMS)
}

/// Parsers of frames without IP.
pub(super) fn frames() -> impl Iterator<Item = &'static Entry<FrameParser>> {
    common::FRAMES.iter()
}
