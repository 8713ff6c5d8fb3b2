//! Web services of devices: WS-Discovery over UDP, and DPWS metadata over HTTP as IEEE 11073 SDC,
//! printers and cameras have them.

use super::bytes::{may_begin, named};
use super::xml;
use crate::Field;
use crate::evidence::{Datagram, FrameFacts, Outcome, Talk, TalkFacts};

/// Scopes that say what a device is or where it stands. Others may name a patient, an operator or
/// an order (`sdc.ctxt.pat`, `.opr`, `.wfl`).
const SCOPES: &[&str] = &[
    "sdc.ctxt.loc:",
    "sdc.cdc.type:",
    "sdc.mds.pkp:",
    "onvif://www.onvif.org/",
    "http://standards.ieee.org/",
];
/// Where a search may say nothing of types.
const ANYTHING: &str = "anything";

/// Parser of datagrams: WS-Discovery.
pub(super) fn parse_discovery(datagram: &Datagram<'_>, facts: &mut FrameFacts<'_>) -> bool {
    if !xml::may_begin(datagram.payload) {
        return false;
    }
    let mut known = false;
    let mut wanted = false;
    xml::closed(datagram.payload, &mut |path, text| {
        let [envelope, body, message, inner @ ..] = path else {
            return;
        };
        if envelope != "Envelope" || body != "Body" {
            return;
        }
        let probe = message == "Probe";
        let about_itself = matches!(
            message.as_str(),
            "Hello" | "Bye" | "ProbeMatches" | "ResolveMatches"
        );
        known |= about_itself || probe || message == "Resolve";
        match inner.last().map(String::as_str) {
            Some("Types") if about_itself => {
                each_word(text, &mut |word| {
                    facts.sender(Field::WsdTypes, without_prefix(word))
                });
            }
            Some("Scopes") if about_itself => each_word(text, &mut |word| {
                if SCOPES.iter().any(|scope| word.starts_with(scope)) {
                    facts.sender(Field::WsdScopes, word);
                }
            }),
            Some("Types") if probe => {
                wanted = true;
                each_word(text, &mut |word| {
                    facts.sender(Field::WsdProbes, without_prefix(word))
                });
            }
            None if probe && !wanted => facts.sender(Field::WsdProbes, ANYTHING),
            _ => {}
        }
    });
    known
}

fn each_word(text: &str, each: &mut dyn FnMut(&str)) {
    text.split_ascii_whitespace().for_each(each);
}

/// A qualified name by its local part, which tells enough; prefixes are the sender's own.
fn without_prefix(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Parser of conversations: what a device answers when asked for its metadata.
pub(super) fn parse_metadata(talk: &Talk<'_>, facts: &mut TalkFacts<'_>) -> Outcome {
    if !may_begin(talk.client, b"POST /") || !may_begin(talk.server, b"HTTP/1.") {
        return Outcome::NotMine;
    }
    let Some(body) = body_of(talk.server) else {
        return Outcome::More;
    };
    let mut found = false;
    let mut over = false;
    xml::closed(body, &mut |path, text| {
        let mut inside = path.iter().rev().map(String::as_str);
        let (name, section) = (inside.next(), inside.next());
        over |= name == Some("Envelope");
        found |= matches!(section, Some("ThisModel" | "ThisDevice"));
        match (section, name) {
            (Some("ThisModel"), Some("Manufacturer")) => facts.server(Field::SdcMaker, text),
            (Some("ThisModel"), Some("ModelName")) => facts.server(Field::SdcModel, text),
            (Some("ThisDevice"), Some("FirmwareVersion")) => {
                facts.server(Field::SdcDevice, &named("firmware", text.as_bytes()));
            }
            (Some("ThisDevice"), Some("SerialNumber")) => {
                facts.server(Field::SdcDevice, &named("serial", text.as_bytes()));
            }
            _ => {}
        }
    });
    match (found, over) {
        (true, true) => Outcome::Done,
        (true, false) => Outcome::Known,
        // A connection may carry other requests first, which only HTTP knows.
        (false, _) => Outcome::More,
    }
}

/// What stands behind the headers, from the first angle bracket on: before it may be the length
/// of a chunk.
pub(super) fn body_of(message: &[u8]) -> Option<&[u8]> {
    let headers = message
        .windows(4)
        .position(|window| window == b"\r\n\r\n")?;
    let body = &message[headers..];
    let start = body.iter().position(|&byte| byte == b'<')?;
    Some(&body[start..])
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{ask, ask_datagram, prefixes_tell_nothing_else};
    use super::*;

    /// As the SDC provider of PyPI `sdc11073` 3.0 announces itself, with a patient's context added.
    pub(in super::super) const HELLO: &[u8] = br#"<?xml version='1.0' encoding='UTF-8'?>
<s12:Envelope xmlns:dpws="http://docs.oasis-open.org/ws-dd/ns/dpws/2009/01"
 xmlns:mdpws="http://standards.ieee.org/downloads/11073/11073-20702-2016"
 xmlns:s12="http://www.w3.org/2003/05/soap-envelope"
 xmlns:wsa="http://www.w3.org/2005/08/addressing"
 xmlns:wsd="http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01"><s12:Header>
<wsa:Action>http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01/Hello</wsa:Action></s12:Header>
<s12:Body><wsd:Hello><wsa:EndpointReference><wsa:Address>urn:uuid:0</wsa:Address>
</wsa:EndpointReference><wsd:Types>dpws:Device mdpws:MedicalDevice</wsd:Types>
<wsd:Scopes>sdc.ctxt.loc:/sdc.ctxt.loc.detail/HOSPITAL%2F%2F%2FWARD%2F%2Fmon1?bed=mon1
 sdc.mds.pkp:1.2.840.10004.20701.1.1 sdc.ctxt.pat:/x/TEST0001</wsd:Scopes>
<wsd:XAddrs>https://10.20.1.20:6464/0</wsd:XAddrs><wsd:MetadataVersion>1</wsd:MetadataVersion>
</wsd:Hello></s12:Body></s12:Envelope>"#;

    const PORTS: [u16; 2] = [3702, 3702];

    #[test]
    fn a_hello_tells_types_and_harmless_scopes() {
        assert_eq!(
            ask_datagram(parse_discovery, PORTS, true, HELLO).unwrap(),
            [
                "sender wsd.types Device",
                "sender wsd.types MedicalDevice",
                "sender wsd.scopes sdc.ctxt.loc:/sdc.ctxt.loc.detail/HOSPITAL%2F%2F%2FWARD%2F%2Fmon1?bed=mon1",
                "sender wsd.scopes sdc.mds.pkp:1.2.840.10004.20701.1.1",
            ]
        );
    }

    #[test]
    fn a_probe_tells_what_is_looked_for() {
        let probe = |inner: &str| {
            let xml = format!("<e:Envelope><e:Body>{inner}</e:Body></e:Envelope>");
            ask_datagram(parse_discovery, PORTS, true, xml.as_bytes()).unwrap()
        };
        let told = probe("<d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe>");
        assert_eq!(told, ["sender wsd.probes NetworkVideoTransmitter"]);
        assert_eq!(probe("<d:Probe/>"), ["sender wsd.probes anything"]);
        assert!(probe("<d:Resolve/>").is_empty());
    }

    #[test]
    fn matches_tell_types_too() {
        let told = ask_datagram(
            parse_discovery,
            PORTS,
            false,
            b"<Envelope><Body><ProbeMatches><ProbeMatch><Types>wprt:PrintDeviceType</Types>\
</ProbeMatch></ProbeMatches></Body></Envelope>",
        );
        assert_eq!(told.unwrap(), ["sender wsd.types PrintDeviceType"]);
    }

    #[test]
    fn other_xml_is_not_discovery() {
        for payload in [
            &b"<html><body><p>Probe</p></body></html>"[..],
            b"M-SEARCH * HTTP/1.1",
        ] {
            assert_eq!(ask_datagram(parse_discovery, PORTS, true, payload), None);
        }
    }

    pub(in super::super) const GET: &[u8] =
        b"POST /0 HTTP/1.1\r\nContent-Type: application/soap+xml\r\n\r\n<s:Envelope/>";
    pub(in super::super) const METADATA: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n\
<s:Envelope><s:Body><mex:Metadata><mex:MetadataSection Dialect='x'><dpws:ThisModel>\
<dpws:Manufacturer xml:lang='en'>Ward Test</dpws:Manufacturer>\
<dpws:ModelName>monitor</dpws:ModelName></dpws:ThisModel></mex:MetadataSection>\
<mex:MetadataSection><dpws:ThisDevice><dpws:FriendlyName>bed 1</dpws:FriendlyName>\
<dpws:FirmwareVersion>2.0n</dpws:FirmwareVersion><dpws:SerialNumber>SN1</dpws:SerialNumber>\
</dpws:ThisDevice></mex:MetadataSection></mex:Metadata></s:Body></s:Envelope>";

    #[test]
    fn metadata_tell_maker_model_and_device() {
        let (outcome, told) = ask(parse_metadata, GET, METADATA);
        assert_eq!(outcome, Outcome::Done);
        assert_eq!(
            told,
            [
                "server sdc.manufacturer Ward Test",
                "server sdc.model monitor",
                "server sdc.device firmware=2.0n",
                "server sdc.device serial=SN1",
            ]
        );
        prefixes_tell_nothing_else(parse_metadata, GET, METADATA);
    }

    #[test]
    fn other_answers_tell_nothing() {
        let (outcome, told) = ask(parse_metadata, GET, b"HTTP/1.1 200 OK\r\n\r\n<html></html>");
        assert_eq!((outcome, told), (Outcome::More, Vec::new()));
        assert_eq!(
            ask(parse_metadata, b"GET / HTTP/1.1", b"").0,
            Outcome::NotMine
        );
    }
}
