//! What receivers are told, before it is put into the words of one of them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use utoipa::ToSchema;
use wardline_control::view::FlowFacts;
use wardline_policy::{DeviceKey, Side};

use super::Denial;
use super::community::Tuple;
use crate::audit::Body;
use crate::store::device;
use crate::store::receiver::AlertEvent;
use crate::time::Time;

/// What a receiver may be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// Alerts: raised, changed, ended, resumed, accepted.
    Alerts,
    /// Conversations that were refused or would have been.
    Verdicts,
    /// Records of the audit log.
    Audit,
}

/// What happened, for whichever format.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The same each time it is sent: what a receiver knows it by.
    pub id: String,
    /// When it happened.
    pub time: Time,
    /// What it is about; absent for a test.
    pub subject: Option<Subject>,
    /// What happened, such as `alert-raised`, `denied` or `update_device`.
    pub action: String,
    /// How grave it is, from 0 to 10.
    pub severity: u8,
    /// What happened, in a sentence.
    pub text: String,
    /// The device it is about.
    pub device: Option<Device>,
    /// The conversation.
    pub flow: Option<FlowFacts>,
    /// Who did it.
    pub user: Option<String>,
    /// From where.
    pub user_address: Option<String>,
    /// What there is no common name for: ours, in their order.
    pub facts: Vec<(&'static str, String)>,
    /// The same whole, as the API has it.
    pub whole: Json,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// As in `/devices/{key}`.
    pub key: String,
    /// Its MAC address and VLAN.
    pub parts: Option<DeviceKey>,
    /// Its name; empty when it has none.
    pub name: String,
}

impl Device {
    fn new(key: &str, name: &str) -> Self {
        Self {
            key: key.to_owned(),
            parts: device::parse_key(key),
            name: name.to_owned(),
        }
    }
}

impl Message {
    fn new(id: String, time: Time, subject: Option<Subject>, action: &str) -> Self {
        Self {
            id,
            time,
            subject,
            action: action.to_owned(),
            severity: 1,
            text: String::new(),
            device: None,
            flow: None,
            user: None,
            user_address: None,
            facts: Vec::new(),
            whole: Json::Null,
        }
    }

    /// Of an alert, about a device of that name.
    pub fn alert(event: AlertEvent, name: &str) -> Self {
        let AlertEvent {
            id,
            time,
            event,
            alert,
        } = event;
        let id = format!("alert-event-{id}");
        let mut message = Self::new(id, time, Some(Subject::Alerts), &event);
        let text = |field: &str| alert[field].as_str().unwrap_or_default().to_owned();
        let number = |field: &str| alert[field].as_u64().unwrap_or(0);
        let score = number("score_percent").min(100);
        // What is over is for the record.
        let over = text("state") == "ended";
        message.severity = if over {
            1
        } else {
            u8::try_from(score / 10).unwrap_or(10)
        };
        let reasons = alert["reasons"].as_array().into_iter().flatten();
        let reasons: Vec<_> = reasons.filter_map(Json::as_str).collect();
        message.text = reasons.join("; ");
        message.device = Some(Device::new(&text("device"), name));
        message.user = alert["accepted"]["by"].as_str().map(str::to_owned);
        message.facts = vec![
            ("alert", number("id").to_string()),
            ("kind", text("kind")),
            ("state", text("state")),
            ("score", score.to_string()),
            ("observations", number("observations").to_string()),
        ];
        message.whole = alert;
        message
    }

    /// Of a conversation that was refused, or would have been.
    pub fn verdict(denial: &Denial) -> Self {
        let Denial {
            process_us,
            seq,
            time,
            device,
            device_name,
            flow,
            dropped,
            repeated,
        } = denial;
        let action = if *dropped { "denied" } else { "would-deny" };
        let id = format!("verdict-{process_us}-{seq}");
        let mut message = Self::new(id, *time, Some(Subject::Verdicts), action);
        message.severity = if *dropped { 5 } else { 3 };
        message.text = flow.reason.sentence().trim().to_owned();
        let key = device.as_ref().map(device::key_text);
        message.device = key.map(|key| Device::new(&key, device_name));
        message.facts = vec![
            ("reason", flow.reason.name().to_owned()),
            ("rule", flow.rule.clone()),
            ("repeated", repeated.to_string()),
        ];
        message.whole = json!({ "flow": flow, "dropped": dropped, "repeated": repeated });
        message.flow = Some(flow.clone());
        message
    }

    /// Of a record of the audit log, with its hash.
    pub fn audit(body: Body, hash: &str) -> Self {
        let id = format!("audit-{}", body.seq);
        let mut message = Self::new(id, body.time, Some(Subject::Audit), &body.operation);
        message.severity = 2;
        message.text = format!("{} by {} on {}", body.operation, body.who, body.subject);
        message.user = Some(body.who.clone());
        message.user_address.clone_from(&body.address);
        message.facts = vec![
            ("seq", body.seq.to_string()),
            ("subject", body.subject.clone()),
            ("because", body.reason.clone().unwrap_or_default()),
            ("hash", hash.to_owned()),
        ];
        message.whole = serde_json::to_value(body).unwrap_or_default();
        message
    }

    /// That somebody tries a receiver.
    pub fn test(who: &str) -> Self {
        let time = Time::now();
        let mut message = Self::new(format!("test-{}", time.us()), time, None, "test");
        message.text = "This is a test of Wardline; nothing has happened.".to_owned();
        message.user = Some(who.to_owned());
        message.whole = json!({});
        message
    }

    /// What it is about, in a word.
    pub fn topic(&self) -> &'static str {
        match self.subject {
            Some(Subject::Alerts) => "alert",
            Some(Subject::Verdicts) => "verdict",
            Some(Subject::Audit) => "audit",
            None => "test",
        }
    }

    /// The community ID of its conversation.
    pub fn community_id(&self) -> Option<String> {
        let flow = self.flow.as_ref()?;
        let (from, to) = ports(flow);
        let tuple = Tuple {
            source: flow.source?,
            destination: flow.destination?,
            protocol: flow.protocol,
            from,
            to,
        };
        Some(tuple.community_id())
    }
}

/// The ports of a conversation; for ICMP, type and code.
pub(super) fn ports(flow: &FlowFacts) -> (u16, u16) {
    if is_icmp(flow.protocol) {
        let [kind, code] = flow.destination_port.to_be_bytes();
        return (kind.into(), code.into());
    }
    (flow.source_port, flow.destination_port)
}

/// Whether a protocol has no ports but types.
pub(super) fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, 1 | 58)
}

/// Whether it has ports.
pub(super) fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 132)
}

/// A protocol by its name, as the standards for logs have it.
pub(super) fn protocol_name(protocol: u8) -> Option<&'static str> {
    Some(match protocol {
        1 => "icmp",
        2 => "igmp",
        6 => "tcp",
        17 => "udp",
        58 => "ipv6-icmp",
        132 => "sctp",
        _ => return None,
    })
}

/// Whether it came from the hospital's side towards the devices.
pub(super) fn is_inbound(flow: &FlowFacts) -> bool {
    flow.from == Side::Core
}

/// Both ends, if they have addresses of IP.
pub(super) fn ends(flow: &FlowFacts) -> [Option<IpAddr>; 2] {
    [flow.source, flow.destination]
}
