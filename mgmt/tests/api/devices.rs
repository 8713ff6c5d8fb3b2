//! The inventory.

use reqwest::Method;
use serde_json::json;
use wardline_mgmt::auth::Role;

use crate::played::device;
use crate::support::{Server, problem};

const KEY: &str = "/devices/00-09-fb-00-00-01.10";

pub async fn with_devices(count: u32) -> Server {
    let server = Server::start().await;
    let played = server.played.as_ref().expect("played");
    played.stage().devices = (1..=count).map(device).collect();
    let all =
        |list: &serde_json::Value| list["items"].as_array().map(Vec::len) == Some(count as usize);
    server.read_until("/devices", all).await;
    server
}

#[tokio::test]
async fn what_the_fast_path_sees_is_listed_page_by_page_and_found() {
    let server = with_devices(5).await;
    let first = server
        .read("/devices?limit=2&sort=name&order=descending")
        .await;
    assert_eq!(first["items"][0]["name"], "device-5");
    let cursor = first["next_cursor"].as_str().expect("more");
    let path = format!("/devices?limit=2&sort=name&order=descending&cursor={cursor}");
    assert_eq!(server.read(&path).await["items"][0]["name"], "device-3");
    let found = server.read("/devices?q=example+10.0.0.4").await;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(found["items"][0]["key"], "00-09-fb-00-00-04.10");
}

#[tokio::test]
async fn a_device_is_found_by_everything_that_is_said_of_it() {
    let server = with_devices(3).await;
    let change = json!({ "bed": "4", "ward": "ICU", "criticality": "high", "owner": "biomed" });
    let patch = server.request(Role::Biomed, Method::PATCH, KEY);
    let patch = patch.header("If-Match", "\"1\"").json(&change).send();
    assert_eq!(patch.await.expect("an answer").status(), 200);
    let asset = json!({ "tag": "BIO-0815" });
    let (status, asset) = server
        .send(Role::Biomed, Method::POST, "/assets", &asset)
        .await;
    assert_eq!(status, 201, "{asset:#}");
    let link = format!("/assets/{}{KEY}", asset["id"]);
    let link = server.request(Role::Biomed, Method::PUT, &link);
    let link = link
        .header("If-Match", "\"1\"")
        .json(&json!({}))
        .send()
        .await;
    assert!(link.expect("an answer").status().is_success());
    for (query, found) in [
        ("q=bio-0815", 1),
        ("q=bio-0816", 0),
        ("bed=4&ward=ICU&criticality=high&owner=biomed", 1),
        ("bed=5", 0),
        ("confirmed=true", 0),
        ("seen_before=2020-01-01T00:00:00Z", 0),
        ("q=bio-0815&sort=ward&limit=1", 1),
    ] {
        let list = server.read(&format!("/devices?{query}")).await;
        assert_eq!(
            list["items"].as_array().map(Vec::len),
            Some(found),
            "{query}"
        );
    }
    let gravest = server.read("/devices?sort=criticality").await;
    assert_eq!(gravest["items"][0]["bed"], "4");
    let file = server
        .request(Role::Viewer, Method::GET, "/devices/export?bed=4")
        .send();
    let file = file.await.expect("an answer").text().await.expect("a text");
    assert_eq!(file.lines().count(), 2, "{file}");
}

#[tokio::test]
async fn a_field_that_is_wrong_is_named_whatever_is_wrong_with_it() {
    let server = with_devices(1).await;
    for (body, field) in [
        (json!({ "mode": "observe", "owner": "biomed" }), "reason"),
        (
            json!({ "mode": 5, "owner": "biomed", "reason": "r" }),
            "mode",
        ),
        (
            json!({ "mode": "observe", "owner": "", "reason": "r" }),
            "owner",
        ),
        (
            json!({ "mode": "observe", "owner": "b", "reason": "r", "colour": 1 }),
            "colour",
        ),
    ] {
        let path = format!("{KEY}/mode");
        let (status, problem) = server.send(Role::Biomed, Method::PUT, &path, &body).await;
        assert_eq!(status, 422, "{problem:#}");
        assert_eq!(problem["errors"][0]["field"], field, "{problem:#}");
    }
    let live = server
        .request(Role::Viewer, Method::GET, "/flows/live?address=x")
        .send();
    let problem: serde_json::Value = live.await.expect("answer").json().await.expect("JSON");
    assert_eq!(problem["errors"][0]["field"], "address", "{problem:#}");
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere_and_other_answers_nothing_at_all() {
    let server = Server::start().await;
    let client = reqwest::Client::builder().tls_certs_only([server.authority()]);
    let client = client.build().expect("a client");
    let policy = async |path: &str| {
        let url = server
            .anonymous(Method::GET, "")
            .build()
            .expect("a request");
        let url = url.url().join(path).expect("a path");
        let answer = client.get(url).send().await.expect("an answer");
        let policy = answer.headers()["content-security-policy"].to_str();
        let policy = policy.expect("a text").to_owned();
        (
            answer.url().path().to_owned(),
            policy,
            answer.text().await.expect("a text"),
        )
    };
    let (path, page_policy, page) = policy("/").await;
    assert_eq!(path, "/api/docs/", "the way to the page");
    assert!(page_policy.contains("script-src 'self'"), "{page_policy}");
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
    let (_, api_policy, _) = policy("/api/v1/openapi.json").await;
    assert!(!api_policy.contains("self"), "{api_policy}");
}

#[tokio::test]
async fn nobody_overwrites_what_another_wrote() {
    let server = with_devices(1).await;
    let patch = |tag: Option<&str>, bed: &str| {
        let request = server.request(Role::Biomed, Method::PATCH, KEY);
        let request = tag
            .iter()
            .fold(request, |r, tag| r.header("If-Match", *tag));
        request
            .json(&json!({ "bed": bed, "reason": "moved" }))
            .send()
    };
    assert_eq!(
        problem(patch(None, "1").await.expect("answer")).await.0,
        428
    );
    let changed = patch(Some("\"1\""), "1").await.expect("answer");
    assert_eq!(
        (changed.status().as_u16(), &changed.headers()["etag"]),
        (200, &"\"2\"".parse().expect("a tag"))
    );
    assert_eq!(
        problem(patch(Some("\"1\""), "2").await.expect("answer"))
            .await
            .0,
        412
    );
    assert_eq!(server.read(KEY).await["bed"], "1");
    let audit = server.read("/audit?operation=update_device").await;
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(audit["items"][0]["record"]["who"], "token:biomed");
    assert_eq!(audit["items"][0]["record"]["reason"], "moved");
    assert_eq!(audit["items"][0]["record"]["after"]["bed"], "1");
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let server = with_devices(1).await;
    let get = |path: &'static str| server.request(Role::Viewer, Method::GET, path).send();
    for path in [
        "/devices?limit=0",
        "/devices?colour=red",
        "/devices?cursor=x",
        "/devices?sort=size",
        "/devices/export?colour=red",
        "/devices/export?limit=5",
    ] {
        let answer = problem(get(path).await.expect("answer")).await;
        assert_eq!(answer, (400, "invalid-query".to_owned()), "{path}");
    }
    assert_eq!(
        problem(get("/devices/nothing").await.expect("answer"))
            .await
            .0,
        404
    );
    let request = server
        .request(Role::Biomed, Method::PATCH, KEY)
        .header("If-Match", "\"1\"");
    let answer = request
        .json(&json!({ "bde": "1" }))
        .send()
        .await
        .expect("answer");
    assert_eq!(problem(answer).await, (422, "invalid-body".to_owned()));
}

#[tokio::test]
async fn a_crash_loses_nothing_that_was_acknowledged() {
    let mut server = with_devices(1).await;
    let request = server
        .request(Role::Biomed, Method::PATCH, KEY)
        .header("If-Match", "\"1\"");
    let answer = request
        .json(&json!({ "location": "ICU 3" }))
        .send()
        .await
        .expect("answer");
    assert_eq!(answer.status(), 200);
    server.crash().await;
    assert_eq!(server.read(KEY).await["location"], "ICU 3");
}

#[tokio::test]
async fn whoever_is_refused_while_sending_learns_why() {
    let server = with_devices(1).await;
    let notes = "x".repeat(900_000);
    let send = || {
        server
            .anonymous(Method::PATCH, KEY)
            .json(&json!({ "notes": notes }))
            .send()
    };
    // One that was answered must not have reset the connection of the next.
    for _ in 0..20 {
        let answer = send().await.expect("an answer, not a broken connection");
        assert_eq!(problem(answer).await.0, 401);
    }
}
