//! Simple service discovery (UPnP Device Architecture 1.1, chapter 1).

use super::super::super::{Datagram, FrameFacts};
use super::head::{self, Head};
use crate::Field;

pub(super) fn parse(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    let Some(head) = Head::read(datagram.payload) else {
        return false;
    };
    if head.start.starts_with(b"M-SEARCH * HTTP/1.") {
        tell(&head, "st", Field::SsdpSearch, facts);
    } else if head.start.starts_with(b"NOTIFY * HTTP/1.") {
        tell_type(head.field("nt"), facts);
        tell_offer(&head, facts);
    } else if head.start.starts_with(b"HTTP/1.") && is_answer(&head) {
        tell_type(head.field("st"), facts);
        tell_offer(&head, facts);
    } else {
        return false;
    }
    for name in ["server", "user-agent", "x-user-agent"] {
        tell(&head, name, Field::SsdpServer, facts);
    }
    true
}

/// Nothing else answers in one datagram with a unique service name.
fn is_answer(head: &Head<'_>) -> bool {
    head.field("st").is_some() && head.field("usn").is_some()
}

fn tell_offer(head: &Head<'_>, facts: &mut FrameFacts<'_>) {
    tell(head, "usn", Field::SsdpUsn, facts);
    let usn = head.field("usn").map(|usn| String::from_utf8_lossy(usn));
    if let Some((_, kind)) = usn.as_deref().and_then(|usn| usn.split_once("::")) {
        facts.sender(Field::SsdpType, kind);
    }
    if let Some(path) = head.field("location").and_then(location_path) {
        facts.sender(Field::VendorDiscovery, &format!("ssdp.location={path}"));
    }
}

fn tell(head: &Head<'_>, name: &str, field: Field, facts: &mut FrameFacts<'_>) {
    if let Some(value) = head.field(name) {
        facts.sender_bytes(field, value);
    }
}

/// A type that is a mere identifier says nothing the unique service name does not.
fn tell_type(kind: Option<&[u8]>, facts: &mut FrameFacts<'_>) {
    if let Some(kind) = kind.filter(|kind| !kind.starts_with(b"uuid:")) {
        facts.sender_bytes(Field::SsdpType, kind);
    }
}

/// Where the description lies on the device: names of files differ by maker.
fn location_path(location: &[u8]) -> Option<String> {
    let location = String::from_utf8_lossy(head::path(location)).into_owned();
    let (_, rest) = location.split_once("://")?;
    let slash = rest.find('/')?;
    (slash + 1 < rest.len()).then(|| rest[slash..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::parsers::common::testing::*;

    #[test]
    fn an_announcement_tells_type_software_and_place() {
        let notify = b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNTS: ssdp:alive\r\n\
            LOCATION: http://10.0.0.6:80/description.xml\r\n\
            SERVER: Linux/3.14.0 UPnP/1.0 IpBridge/1.9.0\r\nNT: uuid:2f402f80\r\n\
            USN: uuid:2f402f80::urn:schemas-upnp-org:device:Basic:1\r\n\r\n";
        let whole = datagram(notify, 1900, 1900);
        assert_eq!(
            hear_datagram(parse, &whole).unwrap(),
            [
                sender(
                    Field::SsdpUsn,
                    "uuid:2f402f80::urn:schemas-upnp-org:device:Basic:1"
                ),
                sender(Field::SsdpType, "urn:schemas-upnp-org:device:Basic:1"),
                sender(Field::VendorDiscovery, "ssdp.location=/description.xml"),
                sender(Field::SsdpServer, "Linux/3.14.0 UPnP/1.0 IpBridge/1.9.0"),
            ]
        );
        datagram_withstands(parse, &whole);
    }

    #[test]
    fn a_search_tells_what_is_looked_for() {
        let search = b"M-SEARCH * HTTP/1.1\r\nMAN: \"ssdp:discover\"\r\nMX: 3\r\n\
            ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n";
        let whole = datagram(search, 40_000, 1900);
        assert_eq!(
            hear_datagram(parse, &whole).unwrap(),
            [sender(
                Field::SsdpSearch,
                "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
            ),]
        );
        datagram_withstands(parse, &whole);
    }

    #[test]
    fn an_answer_is_told_by_its_unique_name() {
        let answer = b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\
            USN: uuid:Socket-1_0-221517K::upnp:rootdevice\r\n\r\n";
        let said = hear_datagram(parse, &datagram(answer, 1900, 40_000)).unwrap();
        assert_eq!(said[0], sender(Field::SsdpType, "upnp:rootdevice"));
        let other = b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n";
        assert_eq!(hear_datagram(parse, &datagram(other, 1900, 40_000)), None);
    }
}
