//! Named sets of devices, and the networks of the hospital.

use reqwest::Method;
use serde_json::{Value as Json, json};
use wardline_mgmt::auth::Role;

use crate::devices::with_devices;
use crate::support::Server;

const FIRST: &str = "00-09-fb-00-00-01.10";

async fn changed(server: &Server, method: Method, path: &str, revision: u32, body: &Json) -> u16 {
    let request = server.request(Role::Security, method, path).json(body);
    let request = request.header("If-Match", format!("\"{revision}\""));
    request.send().await.expect("an answer").status().as_u16()
}

async fn make(server: &Server, path: &str, body: &Json) -> u16 {
    server
        .send(Role::Security, Method::POST, path, body)
        .await
        .0
}

#[tokio::test]
async fn a_group_has_members_and_what_they_have_in_common() {
    let server = with_devices(3).await;
    let path = format!("/devices/{FIRST}");
    assert_eq!(
        changed(&server, Method::PATCH, &path, 1, &json!({ "ward": "ICU" })).await,
        200
    );
    let icu = json!({ "name": "icu", "members": ["00-09-fb-00-00-02.10"],
        "filter": { "ward": "ICU", "role": "infusion-pump" } });
    assert_eq!(make(&server, "/groups", &icu).await, 201);
    assert_eq!(make(&server, "/groups", &icu).await, 409);
    assert_eq!(
        make(&server, "/groups", &json!({ "name": "nobody" })).await,
        201
    );
    let groups = server.read("/groups").await;
    let counts: Vec<_> = groups["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|g| &g["devices"])
        .collect();
    assert_eq!(counts, [2, 0]);
    let found = server.read("/devices?group=icu").await;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(server.read(&path).await["groups"], json!(["icu"]));

    let other = json!({ "name": "icu", "filter": { "criticality": "high" } });
    assert_eq!(
        changed(&server, Method::PUT, "/groups/1", 1, &other).await,
        200
    );
    assert_eq!(server.read("/devices?group=icu").await["items"], json!([]));
    assert_eq!(
        changed(&server, Method::DELETE, "/groups/1", 1, &json!({})).await,
        412
    );
    assert_eq!(
        changed(&server, Method::DELETE, "/groups/1", 2, &json!({})).await,
        204
    );
    let wrong = json!({ "name": "x", "members": ["nothing"] });
    assert_eq!(make(&server, "/groups", &wrong).await, 422);
}

#[tokio::test]
async fn a_device_shows_its_networks_and_one_in_use_stays() {
    let server = with_devices(1).await;
    for body in [
        json!({ "name": "pumps", "vlan": 10, "subnets": ["10.0.0.0/24"], "purpose": "therapy" }),
        json!({ "name": "elsewhere", "vlan": 11 }),
        json!({ "name": "everything", "subnets": ["10.0.0.0/8", "fd00::/8"] }),
    ] {
        assert_eq!(make(&server, "/networks", &body).await, 201);
    }
    for wrong in [
        json!({ "name": "x" }),
        json!({ "name": "x", "vlan": 4_095 }),
        json!({ "name": "x", "subnets": ["10.0.0.1/24"] }),
    ] {
        assert_eq!(make(&server, "/networks", &wrong).await, 422);
    }
    let device = server.read(&format!("/devices/{FIRST}")).await;
    assert_eq!(device["networks"], json!(["everything", "pumps"]));

    let text = "version = 1\nname = \"Ward\"\n[groups.pumps]\naddresses = [\"10.0.0.0/24\"]\n";
    let policy = json!({ "format": "toml", "text": text, "reason": "test" });
    let (status, version) = server
        .send(Role::Security, Method::POST, "/policies", &policy)
        .await;
    assert_eq!(status, 201, "{version:#}");
    let path = format!("/policies/{}/apply", version["number"]);
    let (status, job) = server
        .send(
            Role::Security,
            Method::POST,
            &path,
            &json!({ "reason": "test" }),
        )
        .await;
    assert_eq!(status, 202, "{job:#}");
    assert_eq!(server.ended(&job).await["state"], "done");
    let request = server.request(Role::Security, Method::DELETE, "/networks/1");
    let answer = request
        .header("If-Match", "\"1\"")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 409);
    let answer: Json = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
    assert!(
        answer["errors"][0]["field"]
            .as_str()
            .expect("where")
            .ends_with("groups.pumps")
    );
    assert_eq!(
        changed(&server, Method::DELETE, "/networks/2", 1, &json!({})).await,
        204
    );
    let (status, _) = server
        .send(
            Role::Biomed,
            Method::POST,
            "/networks",
            &json!({ "name": "x", "vlan": 1 }),
        )
        .await;
    assert_eq!(status, 403);
}
