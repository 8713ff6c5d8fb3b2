//! Messages that the tests of the formats write.

use serde_json::json;
use wardline_control::view::FlowFacts;
use wardline_policy::{Reason, Side};

use super::Denial;
use super::message::Message;
use crate::store::device;
use crate::store::receiver::AlertEvent;
use crate::time::Time;

const TIME: Time = Time::from_us(1_790_000_000_123_456);
const DEVICE: &str = "00-09-fb-00-00-01.10";

/// An alert was raised.
pub(super) fn alert() -> Message {
    let event = AlertEvent {
        id: 7,
        time: TIME,
        event: "alert-raised".to_owned(),
        alert: json!({ "id": 3, "device": DEVICE, "state": "open", "kind": "scan",
            "score_percent": 80, "reasons": ["asks many"], "observations": 2 }),
    };
    Message::alert(event, "pump 1")
}

/// A question was refused.
pub(super) fn verdict() -> Message {
    Message::verdict(&Denial {
        process_us: 5,
        seq: 9,
        time: TIME,
        device: device::parse_key(DEVICE),
        device_name: "pump 1".to_owned(),
        flow: FlowFacts {
            from: Side::Ward,
            source: "192.168.1.52".parse().ok(),
            destination: "8.8.8.8".parse().ok(),
            protocol: 17,
            ethertype: 0x0800,
            source_port: 54_585,
            destination_port: 53,
            reason: Reason::NoRule,
            rule: "a = b".to_owned(),
            first_seen_us: None,
        },
        dropped: true,
        repeated: 3,
    })
}

#[test]
fn the_gravity_of_an_alert_is_its_score_until_it_is_over() {
    assert_eq!(alert().severity, 8);
    let event = AlertEvent {
        id: 8,
        time: TIME,
        event: "alert-ended".to_owned(),
        alert: json!({ "state": "ended", "score_percent": 80 }),
    };
    assert_eq!(Message::alert(event, "").severity, 1);
}
