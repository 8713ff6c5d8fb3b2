//! Captures: patient data, for few, for a while, and never unseen.

use reqwest::Method;
use serde_json::{Value as Json, json};
use wardline_control::view::{CaptureVerdict, FrameBytes};
use wardline_control::{CaptureState, CapturedFrame};
use wardline_mgmt::auth::Role;
use wardline_policy::{Reason, Side};

use crate::played::device;
use crate::support::Server;

const KEY: &str = "00-09-fb-00-00-01.10";
/// What must be seen nowhere but in the file.
const NAME: &[u8] = b"PATIENT^NAME";

fn frame(side: Side) -> CapturedFrame {
    CapturedFrame {
        time_us: 1_790_000_000_000_000,
        side,
        verdict: CaptureVerdict::Drop,
        reason: Reason::NoRule,
        bytes: FrameBytes(NAME.to_vec()),
        original_len: 90,
    }
}

async fn with_device() -> Server {
    let server = Server::start().await;
    server.stage().devices = vec![device(1)];
    let there = |list: &Json| list["items"].as_array().map(Vec::len) == Some(1);
    server.read_until("/devices", there).await;
    server
}

async fn start(server: &Server, role: Role, seconds: u32) -> (u16, Json) {
    let body = json!({ "device": KEY, "packets_max": 10, "seconds": seconds,
        "reason": "work order 7" });
    server.send(role, Method::POST, "/captures", &body).await
}

async fn file(server: &Server, role: Role, id: &Json) -> reqwest::Response {
    let path = format!("/captures/{id}/file");
    server
        .request(role, Method::GET, &path)
        .send()
        .await
        .expect("an answer")
}

#[tokio::test]
async fn a_capture_becomes_a_file_for_few() {
    let mut server = with_device().await;
    for role in [Role::Viewer, Role::Biomed, Role::Auditor] {
        assert_eq!(start(&server, role, 60).await.0, 403);
    }
    let (status, job) = start(&server, Role::Security, 60).await;
    assert_eq!(status, 202, "{job:#}");
    let running = |job: &Json| job["state"] == "running";
    server
        .read_until(&format!("/jobs/{}", job["id"]), running)
        .await;
    server
        .read_until(&format!("/jobs/{}", job["id"]), |_| {
            !server.stage().captures.is_empty()
        })
        .await;
    let frames = vec![frame(Side::Ward), frame(Side::Core)];
    server.stage().captures[0].frames = frames;
    server.stage().captures[0].state = CaptureState::Done;
    let job = server.ended(&job).await;
    assert_eq!(
        (&job["state"], &job["result"]["packets"]),
        (&json!("done"), &json!(2)),
        "{job:#}"
    );
    assert_eq!(file(&server, Role::Biomed, &job["id"]).await.status(), 403);
    let answer = file(&server, Role::Security, &job["id"]).await;
    assert_eq!(answer.headers()["content-type"], "application/x-pcapng");
    let bytes = answer.bytes().await.expect("a file");
    let count = |wanted: &[u8]| {
        bytes
            .windows(wanted.len())
            .filter(|part| *part == wanted)
            .count()
    };
    assert_eq!(
        (count(NAME), count(b"verdict: drop, reason: no-rule")),
        (2, 2)
    );
    let audit = server.read("/audit?operation=start_capture").await;
    assert_eq!(audit["items"][0]["record"]["reason"], "work order 7");
    let audit = server.read("/audit?operation=read_capture").await;
    assert_eq!(audit["items"][0]["record"]["who"], "token:security");
    // Nothing of it is on the disk or in the log.
    for file in ["state/wardline.db", "state/wardline.db-wal", "log"] {
        let kept = std::fs::read(server.dir().join(file)).unwrap_or_default();
        assert!(!kept.windows(NAME.len()).any(|part| part == NAME), "{file}");
    }
    server.crash().await;
    assert_eq!(
        file(&server, Role::Security, &job["id"]).await.status(),
        404
    );
}

#[tokio::test]
async fn a_capture_that_is_cancelled_keeps_what_it_has() {
    let server = with_device().await;
    let (_, job) = start(&server, Role::Administrator, 3_600).await;
    let path = format!("/jobs/{}", job["id"]);
    server
        .read_until(&path, |_| !server.stage().captures.is_empty())
        .await;
    server.stage().captures[0].frames = vec![frame(Side::Ward)];
    let cancel = format!("{path}/cancel");
    let (status, _) = server
        .send(Role::Security, Method::POST, &cancel, &Json::Null)
        .await;
    assert_eq!(status, 202);
    let job = server.ended(&job).await;
    assert_eq!(
        (&job["state"], &job["result"]["ended"]),
        (&json!("done"), &json!("stopped"))
    );
    assert_eq!(job["result"]["packets"], 1);
    assert_eq!(
        file(&server, Role::Security, &job["id"]).await.status(),
        200
    );
}

#[tokio::test]
async fn what_was_dropped_last_is_shown() {
    let server = with_device().await;
    server.stage().dropped = vec![frame(Side::Ward)];
    let path = format!("/devices/{KEY}/dropped");
    let dropped = server.read(&path).await;
    assert_eq!(dropped["items"][0]["reason"], "no-rule");
    assert_eq!(dropped["items"][0]["bytes"], "UEFUSUVOVF5OQU1F");
    let request = server.request(
        Role::Security,
        Method::GET,
        &format!("{path}?format=pcapng"),
    );
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "application/x-pcapng");
    assert!(!answer.bytes().await.expect("a file").is_empty());
    let request = server.request(Role::Auditor, Method::GET, &path);
    assert_eq!(request.send().await.expect("an answer").status(), 403);
    let request = server.request(Role::Security, Method::GET, &format!("{path}?limit=257"));
    assert_eq!(request.send().await.expect("an answer").status(), 400);
    let audit = server.read("/audit?operation=read_dropped").await;
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(2));
    let body = json!({ "device": "00-00-00-00-00-09", "seconds": 0, "reason": "x" });
    let (status, problem) = server
        .send(Role::Security, Method::POST, "/captures", &body)
        .await;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (422, &json!("seconds"))
    );
}
