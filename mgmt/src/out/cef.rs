//! A message in ArcSight's Common Event Format, version 0.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::message::{self, Message};

/// Bytes of a value; ArcSight's own limit for `msg`.
const VALUE_BYTES: usize = 1_023;

/// One line, without its end.
pub fn line(message: &Message, host: &str) -> String {
    let signature = match message.topic() {
        topic @ ("audit" | "test") => topic,
        _ => &message.action,
    };
    let mut line = format!(
        "CEF:0|Wardline|Wardline|{}|{}|{}|{}|",
        env!("CARGO_PKG_VERSION"),
        head(signature),
        head(&message.action),
        message.severity
    );
    for (number, (key, value)) in extension(message, host).iter().enumerate() {
        let space = if number == 0 { "" } else { " " };
        // A string takes everything that is written to it.
        let _ = write!(line, "{space}{key}={}", escaped(value));
    }
    line
}

fn extension(message: &Message, host: &str) -> Vec<(&'static str, String)> {
    let mut pairs = vec![
        ("rt", message.time.us().div_euclid(1_000).to_string()),
        ("externalId", message.id.clone()),
        ("dvchost", host.to_owned()),
        ("cat", message.topic().to_owned()),
        ("act", message.action.clone()),
        ("msg", message.text.clone()),
    ];
    if let Some(flow) = &message.flow {
        let labels = [
            ("src", "c6a2", "c6a2Label", "Source IPv6 Address"),
            ("dst", "c6a3", "c6a3Label", "Destination IPv6 Address"),
        ];
        for (address, (four, six, label, words)) in message::ends(flow).into_iter().zip(labels) {
            match address {
                Some(IpAddr::V4(address)) => pairs.push((four, address.to_string())),
                Some(IpAddr::V6(address)) => {
                    pairs.push((six, address.to_string()));
                    pairs.push((label, words.to_owned()));
                }
                None => {}
            }
        }
        if message::has_ports(flow.protocol) {
            pairs.push(("spt", flow.source_port.to_string()));
            pairs.push(("dpt", flow.destination_port.to_string()));
        }
        if let Some(name) = message::protocol_name(flow.protocol) {
            pairs.push(("proto", name.to_uppercase()));
        }
        let inbound = message::is_inbound(flow);
        pairs.push((
            "deviceDirection",
            if inbound { "0" } else { "1" }.to_owned(),
        ));
    }
    if let Some(user) = &message.user {
        pairs.push(("suser", user.clone()));
    }
    if let Some(address) = &message.user_address {
        let key = if address.contains(':') { "c6a2" } else { "src" };
        pairs.push((key, address.clone()));
    }
    own(message, &mut pairs);
    pairs
}

/// What the format has no key for.
fn own(message: &Message, pairs: &mut Vec<(&'static str, String)>) {
    const STRINGS: [(&str, &str); 6] = [
        ("cs1", "cs1Label"),
        ("cs2", "cs2Label"),
        ("cs3", "cs3Label"),
        ("cs4", "cs4Label"),
        ("cs5", "cs5Label"),
        ("cs6", "cs6Label"),
    ];
    let device = message.device.iter().flat_map(|device| {
        let name = Some(("deviceName", device.name.clone()));
        [
            Some(("device", device.key.clone())),
            name.filter(|(_, name)| !name.is_empty()),
        ]
    });
    let community = message.community_id().map(|id| ("communityId", id));
    let facts = message.facts.iter().cloned();
    let all = device.flatten().chain(community).chain(facts);
    let all = all.filter(|(_, value)| !value.is_empty());
    for ((key, label), (name, value)) in STRINGS.into_iter().zip(all) {
        pairs.push((key, value));
        pairs.push((label, name.to_owned()));
    }
}

/// A field before the extension.
fn head(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('|', "\\|");
    text.replace(['\n', '\r'], " ")
}

fn escaped(value: &str) -> String {
    let cut = super::cut(value, VALUE_BYTES);
    let text = cut.replace('\\', "\\\\").replace('=', "\\=");
    text.replace('\n', "\\n").replace('\r', "\\r")
}
