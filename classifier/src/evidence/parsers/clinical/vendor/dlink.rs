//! D-Link: the announcement of cameras (UDP 62976), and HNAP, SOAP over HTTP that tells a device's
//! settings.

use super::super::bytes::{is_printable, may_begin, named, until_zero};
use super::super::{sdc, xml};
use crate::Field;
use crate::evidence::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};

/// First bytes of an announcement, and where its description begins.
const ANNOUNCEMENT: &[u8] = &[0xff, 0xff];
const PORT: u16 = 62_976;
const DESCRIPTION: usize = 22;
const MAX_DESCRIPTION: usize = 48;

/// Elements of the device's settings.
const SETTINGS: &[(&str, &str)] = &[
    ("Type", "hnap.type"),
    ("VendorName", "hnap.vendor"),
    ("ModelDescription", "hnap.description"),
    ("ModelName", "hnap.model"),
    ("FirmwareVersion", "hnap.firmware"),
    ("HardwareVersion", "hnap.hardware"),
];

/// Parser of datagrams.
pub(in super::super) fn parse_discovery(
    datagram: &Datagram<'_>,
    facts: &mut FrameFacts<'_>,
) -> bool {
    if datagram.source_port != PORT || !datagram.payload.starts_with(ANNOUNCEMENT) {
        return false;
    }
    let text = datagram.payload.get(DESCRIPTION..).unwrap_or_default();
    let text = until_zero(&text[..text.len().min(MAX_DESCRIPTION)]);
    let known = is_printable(text);
    if known {
        facts.sender(Field::VendorDiscovery, &named("dlink.description", text));
    }
    known
}

/// Parser of conversations.
pub(in super::super) fn parse_hnap(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    let asks = [&b"POST /HNAP1"[..], b"GET /HNAP1"];
    let Some(start) = asks.iter().find(|start| may_begin(talk.client, start)) else {
        return Outcome::NotMine;
    };
    if !may_begin(talk.server, b"HTTP/1.") {
        return Outcome::NotMine;
    }
    if talk.client.len() < start.len() {
        return Outcome::More;
    }
    if let Some(body) = sdc::body_of(talk.server) {
        xml::closed(body, &mut |path, text| {
            let mut inside = path.iter().rev().map(String::as_str);
            let (name, section) = (inside.next(), inside.next());
            let known = SETTINGS.iter().find(|(element, _)| Some(*element) == name);
            if let (Some((_, name)), Some("GetDeviceSettingsResponse")) = (known, section) {
                facts.server(Field::VendorDiscovery, &named(name, text.as_bytes()));
            }
        });
    }
    // The settings may be the second thing asked for.
    Outcome::Known
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{ask, ask_datagram, prefixes_tell_nothing_else};
    use super::*;

    #[test]
    fn an_announcement_tells_the_description() {
        let mut payload = vec![0; 100];
        payload[..2].copy_from_slice(ANNOUNCEMENT);
        payload[DESCRIPTION..DESCRIPTION + 24].copy_from_slice(b"Wireless Internet Camera");
        assert_eq!(
            ask_datagram(parse_discovery, [PORT, PORT], true, &payload).unwrap(),
            ["sender vendor.discovery dlink.description=Wireless Internet Camera"]
        );
        assert_eq!(
            ask_datagram(parse_discovery, [PORT, PORT], true, &payload[..22]),
            None
        );
    }

    #[test]
    fn the_settings_tell_the_model() {
        let client = b"POST /HNAP1/ HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n<x/>";
        let server = b"HTTP/1.1 200 OK\r\n\r\n<?xml version=\"1.0\"?><soap:Envelope><soap:Body>\
<GetDeviceSettingsResponse xmlns='http://purenetworks.com/HNAP1/'><DeviceName>Jane</DeviceName>\
<VendorName>D-Link</VendorName><ModelName>DCH-X1</ModelName></GetDeviceSettingsResponse>\
</soap:Body></soap:Envelope>";
        let (outcome, told) = ask(parse_hnap, client, server);
        assert_eq!(outcome, Outcome::Known);
        assert_eq!(
            told,
            [
                "server vendor.discovery hnap.vendor=D-Link",
                "server vendor.discovery hnap.model=DCH-X1"
            ]
        );
        prefixes_tell_nothing_else(parse_hnap, client, server);
        assert_eq!(
            ask(parse_hnap, b"POST /x HTTP/1.1\r\n", b"").0,
            Outcome::NotMine
        );
    }
}
