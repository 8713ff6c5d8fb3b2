//! Many devices at once, and whole lists as files.

use reqwest::Method;
use serde_json::{Value as Json, json};
use wardline_mgmt::auth::Role;

use crate::devices::with_devices;
use crate::support::Server;

const FIRST: &str = "00-09-fb-00-00-01.10";
const GONE: &str = "00-09-fb-00-00-99.10";

async fn bulk(server: &Server, body: &Json) -> (u16, Json) {
    server
        .send(Role::Biomed, Method::POST, "/devices/bulk", body)
        .await
}

#[tokio::test]
async fn many_devices_are_changed_each_with_its_record() {
    let server = with_devices(3).await;
    let set = json!({ "criticality": "high", "owner": "Biomed" });
    let body = json!({ "devices": [FIRST, GONE, FIRST], "set": set, "reason": "moved" });
    let (status, answer) = bulk(&server, &body).await;
    let results: Vec<_> = answer["items"]
        .as_array()
        .expect("results")
        .iter()
        .map(|r| &r["result"])
        .collect();
    assert_eq!(status, 200);
    assert_eq!(results, ["changed", "not-found", "same"]);
    assert_eq!(
        server.read(&format!("/devices/{FIRST}")).await["owner"],
        "Biomed"
    );

    let body = json!({ "filter": { "role": "infusion-pump" }, "set": { "owner": "Ward" },
        "confirm_role": true, "expected": 3 });
    let (status, answer) = bulk(&server, &body).await;
    assert_eq!(
        (status, answer["items"].as_array().map(Vec::len)),
        (200, Some(3)),
        "{answer:#}"
    );
    assert_eq!(server.stage().statements.len(), 3);
    let audit = server.read("/audit?operation=change_devices").await;
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(1 + 3 + 3));
    let body = json!({ "filter": {}, "set": { "owner": null }, "expected": 2 });
    assert_eq!(bulk(&server, &body).await.0, 409);
    assert_eq!(
        server.read(&format!("/devices/{FIRST}")).await["owner"],
        "Ward"
    );
    for wrong in [
        json!({}),
        json!({ "devices": [], "set": {} }),
        json!({ "devices": [FIRST], "filter": {} }),
    ] {
        assert_eq!(bulk(&server, &wrong).await.0, 422);
    }
}

async fn export(server: &Server, path: &str) -> (String, String) {
    let request = server.request(Role::Viewer, Method::GET, path);
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"]
        .to_str()
        .expect("text")
        .to_owned();
    (kind, answer.text().await.expect("a body"))
}

#[tokio::test]
async fn lists_are_exported_whole() {
    let server = with_devices(3).await;
    let (kind, csv) = export(&server, "/devices/export").await;
    assert_eq!(
        (kind.as_str(), csv.lines().count()),
        ("text/csv; charset=utf-8", 4)
    );
    assert!(csv.starts_with("key,mac,vlan,"), "{csv}");
    let (_, text) = export(&server, "/devices/export?format=json").await;
    let list: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(list, server.read("/devices").await["items"]);
}

#[tokio::test]
async fn no_spreadsheet_computes_what_is_exported_and_it_comes_back_the_same() {
    let server = Server::start().await;
    assert_eq!(
        export(&server, "/assets/export?format=json").await.1.trim(),
        "[]"
    );
    // More than are read at a time.
    let mut list = "tag,notes\n".to_owned();
    for number in 0..1_001 {
        list.push_str(&format!("A-{number:04},\"=HYPERLINK(\"\"x\"\")\"\n"));
    }
    let body = json!({ "text": list });
    let (_, import) = server
        .send(Role::Biomed, Method::POST, "/assets/imports", &body)
        .await;
    let path = format!("/assets/imports/{}/apply", import["id"]);
    let applied = server
        .send(Role::Biomed, Method::POST, &path, &json!({}))
        .await;
    assert_eq!(applied.0, 200);
    let (_, csv) = export(&server, "/assets/export?format=csv").await;
    assert!(csv.contains("\"'=HYPERLINK(\"\"x\"\")\""), "{csv}");
    let body = json!({ "text": csv });
    let (status, import) = server
        .send(Role::Biomed, Method::POST, "/assets/imports", &body)
        .await;
    assert_eq!(
        (status, &import["same"]),
        (201, &json!(1_001)),
        "{import:#}"
    );
    assert_eq!(import["ignored_columns"], json!(["devices"]));
}
