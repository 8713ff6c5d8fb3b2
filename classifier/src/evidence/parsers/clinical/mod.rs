//! Protocols of clinical devices and of buildings.

use super::super::{DatagramParser, TalkParser};
use super::Entry;

pub(super) const TALKS: &[Entry<TalkParser>] = &[];
pub(super) const DATAGRAMS: &[Entry<DatagramParser>] = &[];
