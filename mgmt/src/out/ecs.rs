//! A message as one line of JSON, in the manner of Suricata's EVE, with the field names of the
//! Elastic Common Schema. What the schema has no name for stands under `wardline`.

use std::net::IpAddr;

use serde_json::{Map, Value as Json, json};
use wardline_control::view::FlowFacts;

use super::message::{self, Message, Subject};

/// Version of the schema.
const ECS: &str = "8.17.0";
/// Bytes of a line; of what is longer, `wardline.whole` stays behind.
const LINE_BYTES: usize = 64 * 1024;

/// One line, without its end.
pub fn line(message: &Message, host: &str) -> String {
    let mut document = document(message, host);
    let text = document.to_string();
    if text.len() <= LINE_BYTES {
        return text;
    }
    document["wardline"]["whole"] = json!("left out: too long");
    document.to_string()
}

fn document(message: &Message, host: &str) -> Json {
    let mut facts: Map<_, _> = message
        .facts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    facts.insert("whole".to_owned(), message.whole.clone());
    let mut document = json!({
        "@timestamp": message.time,
        "ecs": { "version": ECS },
        "event": event(message),
        "message": message.text,
        "observer": {
            "vendor": "Wardline",
            "product": "Wardline",
            "type": "ips",
            "version": env!("CARGO_PKG_VERSION"),
            "hostname": host,
        },
        "wardline": facts,
    });
    if let Some(device) = &message.device {
        let mut host = json!({ "id": device.key });
        if let Some(parts) = &device.parts {
            // As IEEE 802 and the schema write it.
            let mac = parts.mac.to_string().replace(':', "-").to_uppercase();
            host["mac"] = json!([mac]);
        }
        if !device.name.is_empty() {
            host["name"] = json!(device.name);
        }
        document["host"] = host;
    }
    if let Some(flow) = &message.flow {
        conversation(&mut document, message, flow);
    }
    if let Some(user) = &message.user {
        document["user"] = json!({ "name": user });
    }
    if let Some(address) = &message.user_address {
        document["source"] = json!({ "ip": address, "address": address });
    }
    document
}

fn event(message: &Message) -> Json {
    let (kind, category, of_type) = match message.subject {
        Some(Subject::Alerts) => ("alert", "intrusion_detection", "info"),
        Some(Subject::Verdicts) if message.action == "denied" => ("event", "network", "denied"),
        Some(Subject::Verdicts) => ("event", "network", "allowed"),
        Some(Subject::Audit) => ("event", "configuration", "change"),
        None => ("event", "process", "info"),
    };
    let mut event = json!({
        "id": message.id,
        "kind": kind,
        "category": [category],
        "type": [of_type],
        "action": message.action,
        "severity": message.severity,
        "provider": "wardline",
        "module": "wardline",
        "dataset": format!("wardline.{}", message.topic()),
    });
    let reason = message.facts.iter().find(|fact| fact.0 == "reason");
    if let Some((_, reason)) = reason {
        event["reason"] = json!(reason);
    }
    event
}

fn conversation(document: &mut Json, message: &Message, flow: &FlowFacts) {
    let [source, destination] = message::ends(flow);
    let ports = message::has_ports(flow.protocol);
    let end = |address: Option<IpAddr>, port: u16| {
        let mut end = Map::new();
        if let Some(address) = address {
            end.insert("ip".to_owned(), json!(address));
            end.insert("address".to_owned(), json!(address));
        }
        if ports {
            end.insert("port".to_owned(), json!(port));
        }
        Json::Object(end)
    };
    document["source"] = end(source, flow.source_port);
    document["destination"] = end(destination, flow.destination_port);
    let inbound = message::is_inbound(flow);
    let mut network = json!({ "direction": if inbound { "inbound" } else { "outbound" } });
    match source {
        Some(IpAddr::V4(_)) => network["type"] = json!("ipv4"),
        Some(IpAddr::V6(_)) => network["type"] = json!("ipv6"),
        None => {}
    }
    if flow.protocol != 0 {
        network["iana_number"] = json!(flow.protocol.to_string());
        if let Some(name) = message::protocol_name(flow.protocol) {
            network["transport"] = json!(name);
        }
    }
    if let Some(id) = message.community_id() {
        network["community_id"] = json!(id);
    }
    let vlan = message.device.as_ref().and_then(|device| device.parts);
    if let Some(parts) = vlan.filter(|parts| parts.vlan.outer != 0) {
        network["vlan"] = json!({ "id": parts.vlan.outer.to_string() });
    }
    document["network"] = network;
    if !flow.rule.is_empty() {
        document["rule"] = json!({ "name": flow.rule });
    }
}
