//! Protocols that every network has.

use super::super::{DatagramParser, FrameParser, TalkParser};
use super::Entry;

pub(super) const TALKS: &[Entry<TalkParser>] = &[];
pub(super) const DATAGRAMS: &[Entry<DatagramParser>] = &[];
pub(super) const FRAMES: &[Entry<FrameParser>] = &[];
