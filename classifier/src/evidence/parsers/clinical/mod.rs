//! Protocols of clinical devices and of buildings.

mod astm;
mod bacnet;
mod bytes;
mod coap;
mod dicom;
mod espax;
mod hl7;
mod lines;
mod medibus;
mod modbus;
mod mqtt;
mod philips;
mod poct1a;
mod rtp;
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
    talk("espa-x", &[2023], espax::parse),
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
    datagram("rtp", &[], rtp::parse),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::testing::{ask, ask_datagram};
    use super::*;
    use crate::evidence::parsers;

    /// Conversations as they should be, to break.
    const SEEDS: &[(&[u8], &[u8])] = &[
        (dicom::tests::REQUEST, dicom::tests::ACCEPT),
        (dicom::tests::STORE, dicom::tests::STORE_ACCEPT),
        (hl7::tests::ORU, hl7::tests::ACK),
        (astm::tests::RESULT, astm::tests::SIGNS),
        (poct1a::tests::DEVICE, poct1a::tests::REVIEWER),
        (sdc::tests::GET, sdc::tests::METADATA),
        (sdc::tests::HELLO, b""),
        (rtsp::tests::REQUEST, rtsp::tests::ANSWER),
        (sip::tests::REGISTER, sip::tests::OK),
        (mqtt::tests::CONNECT, b"\x20\x02\0\0"),
        (
            b"\0\x01\0\0\0\x05\x01\x2b\x0e\x01\0",
            b"\0\x01\0\0\0\x0c\x01\x2b\x0e\x01\x01\0\0\x01\0\x02AB",
        ),
        (
            b"\x81\x0a\0\x15\x01\0\x10\0\xc4\x02\0\x08\x99\x22\x04\0\x91\0\x22\x03\xe7",
            b"",
        ),
        (b"\x1bR6D\r", b"\x01R8210'Evita'07.00BB\r"),
        (
            b"\x42\x01\x12\x34ab\xbb.well-known\x04core",
            b"H:KEQ0000001,0abc12,0113\r\n",
        ),
    ];

    /// Bytes from a seed, cut off and with some of them changed.
    fn broken(seed: &[u8], end: &Index, changes: &[(Index, u8)]) -> Vec<u8> {
        let mut bytes = seed[..end.index(seed.len() + 1)].to_vec();
        for (place, byte) in changes {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
        }
        bytes
    }

    fn ask_everybody(client: &[u8], server: &[u8], ports: [u16; 2]) {
        for entry in parsers::talks() {
            ask(entry.parse, client, server);
        }
        for entry in parsers::datagrams() {
            for payload in [client, server] {
                ask_datagram(entry.parse, ports, true, payload);
                ask_datagram(entry.parse, ports, false, payload);
            }
        }
    }

    proptest! {
        #[test]
        fn no_parser_panics_whatever_the_bytes(
            client in prop::collection::vec(any::<u8>(), 0..300),
            server in prop::collection::vec(any::<u8>(), 0..300),
            ports in any::<[u16; 2]>(),
        ) {
            ask_everybody(&client, &server, ports);
        }

        #[test]
        fn no_parser_panics_on_broken_conversations(
            seed in select(SEEDS),
            ends in any::<[Index; 2]>(),
            changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        ) {
            let client = broken(seed.0, &ends[0], &changes);
            let server = broken(seed.1, &ends[1], &changes);
            ask_everybody(&client, &server, [24_105, 5683]);
        }
    }
}
