//! Protocols of clinical devices and of buildings.

mod astm;
mod bacnet;
mod bytes;
mod coap;
mod dicom;
mod hl7;
mod lines;
mod medibus;
mod modbus;
mod mqtt;
mod philips;
mod poct1a;
mod rtsp;
mod sdc;
mod sip;
#[cfg(test)]
mod testing;
mod unity;
mod vendor;
mod xml;

use super::super::{DatagramParser, TalkParser};
use super::Entry;

const fn talk(name: &'static str, ports: &'static [u16], parse: TalkParser) -> Entry<TalkParser> {
    Entry { name, ports, parse }
}

const fn datagram(
    name: &'static str,
    ports: &'static [u16],
    parse: DatagramParser,
) -> Entry<DatagramParser> {
    Entry { name, ports, parse }
}

/// Parsers of TCP conversations.
pub(super) fn talks() -> impl Iterator<Item = &'static Entry<TalkParser>> {
    TALKS.iter().chain(vendor::TALKS)
}

/// Parsers of UDP datagrams.
pub(super) fn datagrams() -> impl Iterator<Item = &'static Entry<DatagramParser>> {
    DATAGRAMS.iter().chain(vendor::DATAGRAMS)
}

const TALKS: &[Entry<TalkParser>] = &[
    talk("dicom", &[104, 2761, 2762, 4242, 11_112], dicom::parse),
    talk("hl7", &[2575, 6661], hl7::parse),
    talk("astm", &[5000], astm::parse),
    talk("poct1a", &[3001, 3100], poct1a::parse),
    talk("dpws", &[5357, 5358, 6464], sdc::parse_metadata),
    talk("medibus", &[4001, 10_001], medibus::parse),
    talk("modbus", &[502], modbus::parse),
    talk("mqtt", &[1883], mqtt::parse),
    talk("rtsp", &[554, 8554], rtsp::parse),
    talk("sip", &[5060], sip::parse),
];

const DATAGRAMS: &[Entry<DatagramParser>] = &[
    datagram("ws-discovery", &[3702], sdc::parse_discovery),
    datagram("unity-announcement", &[7000], unity::parse_announcement),
    datagram("unity-time", &[2000], unity::parse_time),
    datagram("philips-export", &[24_005, 24_105], philips::parse),
    datagram("bacnet", &[47_808], bacnet::parse),
    datagram("sip", &[5060], sip::parse_datagram),
    datagram("coap", &[5683, 5684], coap::parse),
];
