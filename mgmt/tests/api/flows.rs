//! The flow history and the map.

use reqwest::Method;
use serde_json::json;
use wardline_control::EventKind;
use wardline_mgmt::auth::Role;
use wardline_policy::DeviceKey;

use crate::support::Server;

const KEY: &str = "00-09-fb-00-00-01.10";

fn key() -> DeviceKey {
    wardline_mgmt::store::device::parse_key(KEY).expect("a key")
}

fn ended(port: u16, bytes: u64) -> EventKind {
    let now = wardline_mgmt::time::Time::now().us();
    serde_json::from_value(json!({
        "event": "flow-ended", "from": "ward", "source": "10.0.0.1", "destination": "10.0.0.2",
        "protocol": 6, "ethertype": 2048, "source_port": 40_000, "destination_port": port,
        "reason": "allowed", "rule": "", "first_seen_us": now,
        "forth": { "frames": 2, "bytes": bytes }, "back": { "frames": 1, "bytes": 60 },
    }))
    .expect("an event")
}

fn denied() -> EventKind {
    serde_json::from_value(json!({
        "event": "denied", "dropped": true, "repeated": 4,
        "flow": { "from": "core", "source": "10.0.0.9", "destination": "10.0.0.1", "protocol": 6,
            "ethertype": 2048, "source_port": 40_000, "destination_port": 445,
            "reason": "no-rule", "rule": "" },
    }))
    .expect("an event")
}

#[tokio::test]
async fn conversations_are_added_up_and_found() {
    let server = Server::start().await;
    let played = server.played.as_ref().expect("played");
    // What ends before the first look is nobody's to count.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    for _ in 0..3 {
        played.tell(Some(key()), ended(104, 100));
    }
    played.tell(Some(key()), ended(2_575, 1));
    played.tell(Some(key()), denied());
    let three = |list: &serde_json::Value| list["items"].as_array().map(Vec::len) == Some(3);
    server.read_until("/flows", three).await;
    let dicom = server
        .read(&format!("/flows?device={KEY}&port=104&action=forward"))
        .await;
    assert_eq!(dicom["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(dicom["items"][0]["conversations"], 3);
    assert_eq!(dicom["items"][0]["bytes_sent"], 300);
    assert_eq!(dicom["items"][0]["bytes_got"], 180);
    let refused = server.read("/flows?action=drop&peer=10.0.0.9").await;
    assert_eq!(refused["items"][0]["conversations"], 5);
    assert_eq!(refused["items"][0]["initiator"], "peer");
    let first = server.read("/flows?limit=2").await;
    let cursor = first["next_cursor"].as_str().expect("more");
    let rest = server
        .read(&format!("/flows?limit=2&cursor={cursor}"))
        .await;
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest["next_cursor"], serde_json::Value::Null);
    let edges = server.read("/map/edges?since=2026-01-01T00:00:00Z").await;
    assert_eq!(edges["items"].as_array().map(Vec::len), Some(3));
    let before = server.read("/map/edges?until=2026-01-01T00:00:00Z").await;
    assert_eq!(before["items"], json!([]));
    let few = "/flows/export?action=forward&initiator=device&protocol=6&port=104&reason=allowed";
    let few = server.request(Role::Viewer, Method::GET, few).send().await;
    let few = few.expect("an answer").text().await.expect("a text");
    assert_eq!(few.lines().count(), 2, "{few}");
    let file = server.request(Role::Viewer, Method::GET, "/flows/export?action=forward");
    let file = file.send().await.expect("an answer").text().await;
    let file = file.expect("a text");
    let lines: Vec<_> = file.lines().collect();
    assert_eq!(lines.len(), 3, "{file}");
    assert!(
        lines[0].starts_with("begin,device,peer,initiator"),
        "{file}"
    );
    assert!(
        lines[1].contains(&format!(",{KEY},10.0.0.2,device,6,")),
        "{file}"
    );
}
