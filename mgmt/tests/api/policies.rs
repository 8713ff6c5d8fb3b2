//! Policies: versions, trials, and staying in step with the fast path.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value as Json, json};
use wardline_control::{PolicyFormat, PolicyText, Refused, RefusedKind};
use wardline_mgmt::auth::Role;

use crate::played::{Stage, device};
use crate::support::Server;

const WRITTEN: &str = "version = 1 # of the language\nname = \"ICU 3\"\n\n\
    [[devices]]\nname = \"pump-1\" # bed 1\nmac = \"00:09:fb:00:00:01\"\nvlan = 10\n";

fn named(name: &str) -> String {
    WRITTEN.replace("ICU 3", name)
}

fn from_command_line(name: &str) -> PolicyText {
    PolicyText {
        name: "site.toml".to_owned(),
        format: PolicyFormat::Toml,
        text: named(name),
    }
}

/// Keeps a document; answers with the number of the version.
async fn create(server: &Server, text: &str) -> i64 {
    let body = json!({ "format": "toml", "text": text, "reason": "tested" });
    let (status, version) = server
        .send(Role::Security, Method::POST, "/policies", &body)
        .await;
    assert_eq!(status, 201, "{version:#}");
    version["number"].as_i64().expect("a number")
}

/// Applies a version and waits for the job's end.
async fn apply(server: &Server, number: i64, confirm_within_s: Option<u32>) -> Json {
    let body = json!({ "confirm_within_s": confirm_within_s, "reason": "tested" });
    let path = format!("/policies/{number}/apply");
    let (status, job) = server
        .send(Role::Security, Method::POST, &path, &body)
        .await;
    assert_eq!(status, 202, "{job:#}");
    server.ended(&job).await
}

/// Waits until the wanted version has this number and is in force for good.
async fn in_step(server: &Server, number: i64) -> Json {
    let shows = |state: &Json| state["status"] == "in-step" && state["desired"]["number"] == number;
    server.read_until("/policies/state", shows).await
}

async fn audited(server: &Server, operation: &str) -> Vec<Json> {
    let list = server.read(&format!("/audit?operation={operation}")).await;
    let items = list["items"].as_array().expect("a list");
    items.iter().map(|item| item["record"].clone()).collect()
}

#[tokio::test]
async fn a_document_becomes_a_version_and_comes_into_force() {
    let server = Server::start().await;
    let none = server
        .read_until("/policies/state", |s| s["status"] == "none")
        .await;
    assert_eq!(none["desired"], Json::Null);
    let first = create(&server, WRITTEN).await;
    let text = server
        .request(
            Role::Viewer,
            Method::GET,
            &format!("/policies/{first}/document"),
        )
        .send()
        .await
        .expect("answer");
    assert_eq!(text.headers()["content-type"], "application/toml");
    assert_eq!(text.text().await.expect("a text"), WRITTEN);
    let job = apply(&server, first, None).await;
    assert_eq!(job["state"], "done", "{job:#}");
    let state = in_step(&server, first).await;
    assert_eq!(state["applied"]["content_id"], job["result"]["content_id"]);
    assert_eq!(state["desired"]["content_id"], job["result"]["content_id"]);
    assert_eq!(state["devices_listed"], 1);
    let second = create(&server, &WRITTEN.replace("vlan = 10", "vlan = 11")).await;
    let diff = server.read(&format!("/policies/{second}/diff")).await;
    assert_eq!(
        (diff["from"].as_i64(), diff["more"].as_i64()),
        (Some(first), Some(0))
    );
    assert_eq!(diff["changes"][0]["field"], "vlan", "{diff:#}");
    let list = server.read("/policies?limit=1").await;
    assert_eq!(list["items"][0]["number"], second);
    let cursor = list["next_cursor"].as_str().expect("more");
    let rest = server.read(&format!("/policies?cursor={cursor}")).await;
    assert_eq!(rest["items"][0]["number"], first);
    assert_eq!(audited(&server, "create_policy").await.len(), 2);
    let applied = audited(&server, "apply_policy").await;
    assert_eq!(applied[0]["who"], "token:security");
    assert_eq!(applied[0]["reason"], "tested");
}

#[tokio::test]
async fn what_is_wrong_with_a_document_has_its_place() {
    let server = Server::start().await;
    let text = format!("{WRITTEN}mode = \"obsrve\"\n");
    let body = json!({ "format": "toml", "text": text });
    let (status, problem) = server
        .send(Role::Security, Method::POST, "/policies", &body)
        .await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (422, Some("invalid-body"))
    );
    let error = &problem["errors"][0];
    assert_eq!(error["field"], "devices[0].mode", "{problem:#}");
    assert_eq!(error["line"], 8);
    assert!(
        error["column"].is_u64() && error["fix"].is_string(),
        "{error:#}"
    );
    let (status, check) = server
        .send(Role::Biomed, Method::POST, "/policies/check", &body)
        .await;
    assert_eq!((status, &check["valid"]), (200, &Json::Bool(false)));
    assert_eq!(check["errors"][0], *error);
    let body = json!({ "format": "json", "text": "{\"version\":1,\"name\":\"x\"}" });
    let (_, check) = server
        .send(Role::Biomed, Method::POST, "/policies/check", &body)
        .await;
    assert_eq!(check["valid"], true, "{check:#}");
    assert_eq!(server.read("/policies").await["items"], json!([]));
    let (status, _) = server
        .send(Role::Biomed, Method::POST, "/policies", &body)
        .await;
    assert_eq!(status, 403);
    let body = json!({ "format": "toml", "text": WRITTEN, "parent": 99 });
    let (status, problem) = server
        .send(Role::Security, Method::POST, "/policies", &body)
        .await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (422, &json!("parent"))
    );
}

#[tokio::test]
async fn a_trial_is_kept_when_confirmed_and_ends_by_itself_when_not() {
    let server = Server::start().await;
    let first = create(&server, &named("first")).await;
    apply(&server, first, None).await;
    let second = create(&server, &named("second")).await;
    apply(&server, second, Some(3_600)).await;
    let state = server.read("/policies/state").await;
    assert_eq!(
        (&state["status"], &state["desired"]["fallback"]),
        (&json!("on-trial"), &json!(first))
    );
    assert!(state["applied"]["rollback_at"].is_string(), "{state:#}");
    let path = format!("/policies/{second}/confirm");
    let (status, state) = server
        .send(Role::Security, Method::POST, &path, &json!({}))
        .await;
    assert_eq!(
        (status, &state["status"]),
        (200, &json!("in-step")),
        "{state:#}"
    );
    let (status, _) = server
        .send(Role::Security, Method::POST, &path, &json!({}))
        .await;
    assert_eq!(status, 409);
    let third = create(&server, &named("third")).await;
    apply(&server, third, Some(1)).await;
    let state = in_step(&server, second).await;
    assert_eq!(state["applied"]["number"], second);
    let record = &audited(&server, "roll_back_policy").await[0];
    assert_eq!(
        (&record["who"], &record["before"]),
        (&json!("system"), &json!(third))
    );
}

#[tokio::test]
async fn what_the_command_line_applies_is_taken_in_once() {
    let server = Server::start().await;
    let first = create(&server, &named("first")).await;
    apply(&server, first, None).await;
    server.stage().put(from_command_line("theirs"));
    let state = in_step(&server, first + 1).await;
    assert_eq!(state["desired"]["by"], "fastpath");
    let version = server.read(&format!("/policies/{}", first + 1)).await;
    assert_eq!(
        (&version["origin"], &version["parent"]),
        (&json!("fastpath"), &json!(first))
    );
    // An older version that somebody applies there becomes the wanted one; none is made of it.
    server.stage().put(from_command_line("first"));
    in_step(&server, first).await;
    let changes = server.stage().generation;
    tokio::time::sleep(Duration::from_secs(4)).await;
    in_step(&server, first).await;
    assert_eq!(server.stage().generation, changes, "it flaps");
    assert_eq!(
        server.read("/policies").await["items"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(audited(&server, "adopt_policy").await.len(), 2);
}

#[tokio::test]
async fn a_fast_path_that_is_behind_is_brought_into_step() {
    let mut server = Server::start().await;
    let first = create(&server, &named("first")).await;
    apply(&server, first, None).await;
    let mut saved = Stage::default();
    saved.put(from_command_line("first"));
    let second = create(&server, &named("second")).await;
    apply(&server, second, None).await;
    // It comes back with nothing, then with what it had before.
    server.fastpath_goes();
    server.fastpath_comes();
    in_step(&server, second).await;
    server.fastpath_goes();
    server.fastpath_comes_with(saved);
    in_step(&server, second).await;
    assert!(
        server
            .stage()
            .policy
            .as_ref()
            .is_some_and(|policy| policy.text == named("second"))
    );
    // The record is written when the fast path has answered, so it may come a little later.
    let twice = |list: &Json| {
        let items = list["items"].as_array().expect("a list");
        let by_itself = items.iter();
        let by_itself = by_itself.filter(|item| item["record"]["who"] == "system");
        by_itself.count() == 2
    };
    server
        .read_until("/audit?operation=apply_policy", twice)
        .await;
}

#[tokio::test]
async fn what_the_fast_path_refuses_is_not_wanted() {
    let mut server = Server::start().await;
    let first = create(&server, &named("first")).await;
    apply(&server, first, None).await;
    let second = create(&server, &named("second")).await;
    server.stage().refusal = Some(Refused {
        kind: RefusedKind::Unavailable,
        message: "a worker does not answer".to_owned(),
        diagnostics: Vec::new(),
    });
    let job = apply(&server, second, None).await;
    assert_eq!(job["state"], "failed");
    assert_eq!(job["message"], "a worker does not answer");
    in_step(&server, first).await;
    let path = format!("/policies/{second}/apply");
    let body = json!({ "expected_number": second, "reason": "tested" });
    let (status, problem) = server
        .send(Role::Security, Method::POST, &path, &body)
        .await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("conflict")));
    server.fastpath_goes();
    server
        .read_until("/policies/state", |state| state["status"] == "away")
        .await;
    let body = json!({ "reason": "tested" });
    let (status, problem) = server
        .send(Role::Security, Method::POST, &path, &body)
        .await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (503, Some("fastpath-away"))
    );
    let (status, _) = server
        .send(Role::Security, Method::POST, "/policies/99/apply", &body)
        .await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_crash_while_it_is_applied_loses_nothing() {
    let mut server = Server::start().await;
    let number = create(&server, WRITTEN).await;
    server.stage().apply_takes = Duration::from_secs(3_600);
    let path = format!("/policies/{number}/apply");
    let body = json!({ "reason": "tested" });
    let (_, job) = server
        .send(Role::Security, Method::POST, &path, &body)
        .await;
    let wanted = |state: &Json| state["desired"]["number"] == number;
    server.read_until("/policies/state", wanted).await;
    server.stage().apply_takes = Duration::ZERO;
    server.crash().await;
    let job = server.read(&format!("/jobs/{}", job["id"])).await;
    assert_eq!(job["state"], "failed");
    assert_eq!(
        job["message"],
        "the management process ended before the job did"
    );
    in_step(&server, number).await;
    assert_eq!(audited(&server, "apply_policy").await[0]["who"], "system");
}

#[tokio::test]
async fn changes_of_modes_at_once_lose_none() {
    let server = Server::start().await;
    server.stage().devices = (1..=6).map(device).collect();
    let all = |list: &Json| list["items"].as_array().map(Vec::len) == Some(6);
    server.read_until("/devices", all).await;
    let body = json!({ "mode": "enforce", "owner": "biomed", "reason": "ready" });
    let path = "/devices/00-09-fb-00-00-03.10/mode";
    let (status, problem) = server.send(Role::Biomed, Method::PUT, path, &body).await;
    assert_eq!(status, 409, "nobody said what it may do: {problem:#}");
    let listed = (2..=6).map(|n| {
        format!(
            "[[devices]]\nname = \"pump-{n}\"\nmac = \"00:09:fb:00:00:0{n}\"\nvlan = 10\n\
             role = \"pump\"\n"
        )
    });
    let text = format!(
        "{WRITTEN}role = \"pump\"\n{}[roles.pump]\nrules = []\n",
        listed.collect::<String>()
    );
    let first = create(&server, &text).await;
    apply(&server, first, None).await;
    let puts = (1..=6).map(|n| {
        let (server, body) = (&server, &body);
        async move {
            let path = format!("/devices/00-09-fb-00-00-0{n}.10/mode");
            server.send(Role::Biomed, Method::PUT, &path, body).await
        }
    });
    for (status, answer) in futures::future::join_all(puts).await {
        assert_eq!(status, 200, "{answer:#}");
    }
    in_step(&server, first + 6).await;
    let text = server.stage().policy.clone().expect("in force").text;
    assert!(
        text.contains("# bed 1") && text.contains("# of the language"),
        "{text}"
    );
    assert_eq!(text.matches("mode = \"enforce\"").count(), 6, "{text}");
    let ladder = &server.read("/devices/00-09-fb-00-00-03.10").await["ladder"];
    assert_eq!(
        (&ladder["mode"], &ladder["owner"]),
        (&json!("enforce"), &json!("biomed"))
    );
    assert!(ladder["age_s"].is_i64(), "{ladder:#}");
    let differing = server.read("/policies/state/devices?differs=true").await;
    assert_eq!(differing["items"].as_array().map(Vec::len), Some(6));
    assert_eq!(differing["items"][0]["applied_mode"], "observe");
    assert_eq!(audited(&server, "set_device_mode").await.len(), 6);
    // Once more changes nothing.
    let (_, again) = server.send(Role::Biomed, Method::PUT, path, &body).await;
    assert_eq!(again["version"], first + 6);
}

#[tokio::test]
async fn many_devices_change_in_one_version() {
    let server = Server::start().await;
    server.stage().devices = (1..=3).map(device).collect();
    let all = |list: &Json| list["items"].as_array().map(Vec::len) == Some(3);
    server.read_until("/devices", all).await;
    let keys: Vec<_> = (1..=3).map(|n| format!("00-09-fb-00-00-0{n}.10")).collect();
    let order = |devices: &[String]| {
        let (mode, owner) = ("simulate", "biomed");
        json!({ "devices": devices, "mode": mode, "owner": owner, "reason": "week 1" })
    };
    let (status, answer) = server
        .send(Role::Biomed, Method::POST, "/devices/mode", &order(&keys))
        .await;
    assert_eq!(
        (status, &answer["version"], &answer["devices"]),
        (200, &json!(1), &json!(3))
    );
    let state = in_step(&server, 1).await;
    assert_eq!(state["devices_listed"], 3);
    let unknown = ["00-00-00-00-00-09".to_owned()];
    let (status, problem) = server
        .send(
            Role::Biomed,
            Method::POST,
            "/devices/mode",
            &order(&unknown),
        )
        .await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (422, &json!("devices[0]"))
    );
    let body = json!({ "mode": "enforce", "owner": "biomed", "reason": "ready" });
    let path = "/devices/00-00-00-00-00-09/mode";
    assert_eq!(
        server.send(Role::Biomed, Method::PUT, path, &body).await.0,
        404
    );
    assert_eq!(
        server.send(Role::Viewer, Method::PUT, path, &body).await.0,
        403
    );
}
