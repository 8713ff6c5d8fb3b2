//! Makers' own protocols in which things of a building name themselves. Each fact is
//! `maker.field=value` in [`Field::VendorDiscovery`](crate::Field::VendorDiscovery); names that
//! people gave are left out.

mod dlink;
mod edimax;
mod max;
mod modules;
mod tplink;
mod tuya;
mod wemo;

use super::{datagram, talk};
use crate::evidence::parsers::Entry;
use crate::evidence::{DatagramParser, TalkParser};

pub(super) const TALKS: &[Entry<TalkParser>] = &[
    talk("tplink", &[9999], tplink::parse),
    talk("tuya", &[6668], tuya::parse),
    talk("hnap", &[80], dlink::parse_hnap),
    talk("max", &[62_910], max::parse),
    talk("icomen", &[7531, 7533], modules::parse_icomen),
    talk("wemo-relay", &[3475], wemo::parse),
    talk("edimax-relay", &[8767], edimax::parse_relay),
];

pub(super) const DATAGRAMS: &[Entry<DatagramParser>] = &[
    datagram("tplink", &[9999], tplink::parse_datagram),
    datagram("tuya", &[6666, 6667], tuya::parse_datagram),
    datagram("dlink-discovery", &[62_976], dlink::parse_discovery),
    datagram("edimax", &[8765, 20_560], edimax::parse),
    datagram("max", &[23_272], max::parse_datagram),
    datagram("hi-flying", &[48_899, 49_999], modules::parse_hi_flying),
];
