//! A message as syslog (RFC 5424), in a frame with its length before it (RFC 6587, RFC 5425).

use std::fmt::Write as _;

use super::message::{self, Message, Subject};
use super::{Format, cef, ecs};

/// Facility "log audit".
const AUDIT: u8 = 13;
/// Facility "local use 0".
const LOCAL: u8 = 16;
/// Bytes of a value in structured data.
const VALUE_BYTES: usize = 1_024;
/// Bytes of the text at the end.
const TEXT_BYTES: usize = 4_096;
/// Structured data of programs without a number of their own at IANA: the number that RFC 5612
/// sets aside.
const OURS: &str = "wardline@32473";

/// A frame: the length in bytes, a space, the message.
pub fn frame(message: &Message, format: Format, host: &str) -> Vec<u8> {
    let text = text(message, format, host);
    format!("{} {text}", text.len()).into_bytes()
}

fn text(message: &Message, format: Format, host: &str) -> String {
    let (data, text) = match format {
        Format::Rfc5424 => {
            let text = super::cut(&message.text, TEXT_BYTES);
            (structured(message), text.replace(char::is_control, " "))
        }
        Format::Cef => ("-".to_owned(), cef::line(message, host)),
        Format::EcsJson => ("-".to_owned(), ecs::line(message, host)),
    };
    format!(
        "<{}>1 {} {} wardline {} {} {data} {text}",
        priority(message),
        message.time,
        token(host, 255),
        std::process::id(),
        token(&message.action, 32),
    )
}

fn priority(message: &Message) -> u8 {
    let facility = match message.subject {
        Some(Subject::Audit) => AUDIT,
        _ => LOCAL,
    };
    // Critical, error, warning, notice, informational.
    let severity = match message.severity {
        9.. => 2,
        7..=8 => 3,
        4..=6 => 4,
        2..=3 => 5,
        _ => 6,
    };
    facility * 8 + severity
}

/// What stands in the header: printable ASCII without spaces.
fn token(text: &str, longest: usize) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '_' })
        .take(longest)
        .collect();
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

fn structured(message: &Message) -> String {
    let mut data = format!(
        "[origin software=\"wardline\" swVersion=\"{}\"][{OURS}",
        env!("CARGO_PKG_VERSION")
    );
    for (name, value) in parameters(message) {
        if !value.is_empty() {
            // A string takes everything that is written to it.
            let _ = write!(data, " {name}=\"{}\"", escaped(&value));
        }
    }
    data.push(']');
    data
}

fn parameters(message: &Message) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("id", message.id.clone()),
        ("topic", message.topic().to_owned()),
        ("event", message.action.clone()),
    ];
    if let Some(device) = &message.device {
        all.push(("device", device.key.clone()));
        all.push(("device_name", device.name.clone()));
    }
    if let Some(flow) = &message.flow {
        let [source, destination] = message::ends(flow);
        let text = |address: Option<std::net::IpAddr>| address.map(|a| a.to_string());
        all.push(("src", text(source).unwrap_or_default()));
        all.push(("dst", text(destination).unwrap_or_default()));
        all.push(("proto", flow.protocol.to_string()));
        if message::has_ports(flow.protocol) {
            all.push(("spt", flow.source_port.to_string()));
            all.push(("dpt", flow.destination_port.to_string()));
        }
        all.push(("community_id", message.community_id().unwrap_or_default()));
    }
    all.push(("user", message.user.clone().unwrap_or_default()));
    let address = message.user_address.clone();
    all.push(("user_address", address.unwrap_or_default()));
    all.extend(message.facts.iter().cloned());
    all
}

fn escaped(value: &str) -> String {
    let mut text = String::new();
    for c in super::cut(value, VALUE_BYTES).chars() {
        match c {
            '"' | '\\' | ']' => text.extend(['\\', c]),
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::tests::{alert, verdict};

    fn read(frame: &[u8]) -> String {
        let text = String::from_utf8(frame.to_vec()).expect("UTF-8");
        let (length, rest) = text.split_once(' ').expect("a length");
        assert_eq!(length.parse(), Ok(rest.len()));
        rest.replace(&format!(" {} ", std::process::id()), " PID ")
    }

    #[test]
    fn structured_data_is_escaped() {
        let mut message = alert();
        message.facts = vec![("kind", "a]\"b\\c\nd".to_owned())];
        message.text = "one\ntwo".to_owned();
        let text = read(&frame(&message, Format::Rfc5424, "box 1"));
        assert_eq!(
            text,
            "<131>1 2026-09-21T14:13:20.123456Z box_1 wardline PID alert-raised \
             [origin software=\"wardline\" swVersion=\"0.1.0\"][wardline@32473 \
             id=\"alert-event-7\" topic=\"alert\" event=\"alert-raised\" \
             device=\"00-09-fb-00-00-01.10\" device_name=\"pump 1\" kind=\"a\\]\\\"b\\\\c d\"] \
             one two"
        );
    }

    #[test]
    fn a_verdict_in_the_common_event_format() {
        let text = read(&frame(&verdict(), Format::Cef, "box"));
        assert_eq!(
            text,
            "<132>1 2026-09-21T14:13:20.123456Z box wardline PID denied - \
             CEF:0|Wardline|Wardline|0.1.0|denied|denied|5|rt=1790000000123 \
             externalId=verdict-5-9 dvchost=box cat=verdict act=denied \
             msg=No rule of the device's allowlist permits this conversation. \
             src=192.168.1.52 dst=8.8.8.8 spt=54585 dpt=53 proto=UDP deviceDirection=1 \
             cs1=00-09-fb-00-00-01.10 cs1Label=device cs2=pump 1 cs2Label=deviceName \
             cs3=1:d/FP5EW3wiY1vCndhwleRRKHowQ\\= cs3Label=communityId cs4=no-rule \
             cs4Label=reason cs5=a \\= b cs5Label=rule cs6=3 cs6Label=repeated"
        );
    }

    #[test]
    fn a_verdict_as_json() {
        let text = read(&frame(&verdict(), Format::EcsJson, "box"));
        let (_, json) = text.split_once(" - ").expect("no structured data");
        let read: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(read["@timestamp"], "2026-09-21T14:13:20.123456Z");
        assert_eq!(read["event"]["type"][0], "denied");
        assert_eq!(read["event"]["reason"], "no-rule");
        assert_eq!(read["source"]["ip"], "192.168.1.52");
        assert_eq!(read["destination"]["port"], 53);
        let network = &read["network"];
        assert_eq!(network["community_id"], "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
        assert_eq!(network["transport"], "udp");
        assert_eq!(network["vlan"]["id"], "10");
        assert_eq!(read["host"]["mac"][0], "00-09-FB-00-00-01");
        assert_eq!(read["rule"]["name"], "a = b");
    }
}
