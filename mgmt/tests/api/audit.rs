//! The record of who changed what, for programs, auditors and the command line.

use std::fs;

use reqwest::Method;
use serde_json::{Value as Json, json};
use wardline_mgmt::auth::Role;

use crate::devices::with_devices;
use crate::support::{Server, problem};

const KEY: &str = "/devices/00-09-fb-00-00-01.10";

/// A server with three changes of one device.
async fn with_changes() -> Server {
    let server = with_devices(1).await;
    for number in 1..=3 {
        let request = server
            .request(Role::Biomed, Method::PATCH, KEY)
            .header("If-Match", format!("\"{number}\""));
        let body = json!({ "bed": number.to_string(), "reason": format!("move {number}") });
        let answer = request.json(&body).send().await.expect("answer");
        assert_eq!(answer.status(), 200);
    }
    server
}

async fn text(server: &Server, path: &str) -> (String, String) {
    let request = server.request(Role::Auditor, Method::GET, path);
    let answer = request.send().await.expect("answer");
    assert_eq!(answer.status(), 200, "{path}");
    let kind = answer.headers()["content-type"]
        .to_str()
        .expect("text")
        .to_owned();
    (kind, answer.text().await.expect("a body"))
}

fn findings(server: &Server, args: &[&str]) -> (Option<i32>, Json) {
    let output = server.command(&[&["audit", "verify", "--json"], args].concat());
    let said = serde_json::from_slice(&output.stdout);
    (output.status.code(), said.expect("JSON"))
}

#[tokio::test]
async fn an_export_is_verified_without_the_appliance() {
    let server = with_changes().await;
    let (kind, export) = text(&server, "/audit/export").await;
    assert_eq!(kind, "application/jsonl");
    let lines: Vec<Json> = export
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    // Five tokens, the setup code and three changes.
    assert_eq!(lines.len(), 9);
    let (_, rest) = text(&server, "/audit/export?after=6").await;
    assert!(export.ends_with(&rest) && rest.lines().count() == 3);

    let file = server.dir().join("export.jsonl");
    let (file_name, key) = (file.display().to_string(), server.state().join("audit.pub"));
    let key = key.display().to_string();
    fs::write(&file, &export).expect("written");
    let args = ["--file", &file_name, "--key", &key];
    let (code, verdict) = findings(&server, &args);
    assert_eq!((code, verdict["records"].as_u64()), (Some(0), Some(9)));
    let printed = server.command(&["audit", "export"]);
    assert_eq!(String::from_utf8_lossy(&printed.stdout), export);

    fs::write(&file, export.replace("move 2", "move 9")).expect("written");
    let (code, verdict) = findings(&server, &args);
    assert_eq!(
        (code, verdict["findings"][0]["seq"].as_i64()),
        (Some(1), Some(8))
    );
    let short: String = export
        .lines()
        .take(7)
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&file, short).expect("written");
    assert_eq!(
        findings(&server, &args).0,
        Some(0),
        "nothing says how long it was"
    );
    let head = server.state().join("audit.head").display().to_string();
    let (code, verdict) = findings(&server, &[&args[..], &["--head", &head]].concat());
    assert_eq!(code, Some(1), "{verdict:#}");
}

#[tokio::test]
async fn the_log_is_verified_while_the_service_runs_and_on_a_damaged_copy() {
    let mut server = with_changes().await;
    let (code, verdict) = findings(&server, &[]);
    assert_eq!(
        (code, verdict["last"].as_i64()),
        (Some(0), Some(9)),
        "{verdict:#}"
    );
    assert_eq!(verdict["findings"], json!([]));

    server.kill();
    let copy = server.dir().join("copy");
    fs::create_dir(&copy).expect("a folder");
    for name in ["wardline.db", "wardline.db-wal", "audit.pub", "audit.head"] {
        fs::copy(server.state().join(name), copy.join(name)).expect(name);
    }
    let place = copy.display().to_string();
    assert_eq!(findings(&server, &["--state", &place]).0, Some(0));
    // The newest records are in the journal only: without it, the head tells.
    fs::remove_file(copy.join("wardline.db-wal")).expect("removed");
    let _ = fs::remove_file(copy.join("wardline.db-shm"));
    assert_eq!(findings(&server, &["--state", &place]).0, Some(1));
    fs::write(copy.join("wardline.db"), b"nothing of it is left").expect("damaged");
    let (code, verdict) = findings(&server, &["--state", &place]);
    let what = verdict["findings"].to_string();
    assert!(code == Some(1) && what.contains("damaged"), "{what}");
}

#[tokio::test]
async fn a_report_is_read_by_people_and_lets_nothing_in() {
    let server = with_changes().await;
    let (kind, page) = text(&server, "/audit/report").await;
    assert_eq!(kind, "text/markdown; charset=utf-8");
    assert!(
        page.contains("| token:biomed | update\\_device | 3 |"),
        "{page}"
    );
    assert!(page.contains("move 2"), "{page}");
    let (kind, page) = text(&server, "/audit/report?format=html").await;
    assert_eq!(kind, "text/html; charset=utf-8");
    assert!(page.contains("<td>move 2</td>"), "{page}");
    let printed = server.command(&["audit", "report"]);
    let printed = String::from_utf8_lossy(&printed.stdout);
    assert!(printed.contains("All 9 records were verified"), "{printed}");

    let ask = |path: &str| server.request(Role::Auditor, Method::GET, path).send();
    let wrong = "/audit/report?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z";
    for path in [wrong, "/audit/report?format=pdf", "/audit/export?after=-1"] {
        let answer = problem(ask(path).await.expect("answer")).await;
        assert_eq!(answer, (400, "invalid-query".to_owned()), "{path}");
    }
    let nosy = server.request(Role::Security, Method::GET, "/audit/export");
    assert_eq!(problem(nosy.send().await.expect("answer")).await.0, 403);
}
