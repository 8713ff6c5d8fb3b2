//! What support gets, and what it must never get.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::Value as Json;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Row as _};
use wardline_control::Status;

use crate::support::Server;

/// Stands in every text of every table, in the configuration, the log and what the fast path says.
const CANARY: &str = "canary";

// The played fast path answers while the command runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_tells_how_things_are_and_names_nobody() {
    let mut server = Server::start().await;
    let config = server.dir().join("mgmt.toml");
    let text = fs::read_to_string(&config).expect("read");
    let names = format!("[listen]\nnames = [\"{CANARY}.example\"]\n");
    fs::write(&config, text.replace("[listen]\n", &names)).expect("written");
    let played = server.played.as_ref().expect("played");
    played.stage().status = Some(status());
    server.kill();
    let mut planted = Vec::new();
    for name in ["wardline.db", "history.db"] {
        planted.extend(plant(&server.state().join(name)).await);
    }
    assert!(planted.len() > 10, "{planted:?}");
    let log = server.dir().join("canary.log");
    fs::write(&log, log_lines()).expect("written");

    let output = server.dir().join("bundle.tar.gz");
    let (output, log) = (output.display().to_string(), log.display().to_string());
    let done = server.command(&["support-bundle", "--output", &output, "--log", &log]);
    assert!(done.status.success(), "{done:?}");
    let files = unpack(&output);
    for (name, text) in &files {
        assert!(!text.contains(CANARY), "{name} holds a canary:\n{text}");
    }
    let read = |name: &str| -> Json { serde_json::from_str(&files[name]).expect("JSON") };
    let databases = read("database.json");
    for (database, table) in &planted {
        let rows = databases[database]["rows"][table].as_i64();
        assert!(rows > Some(0), "{database} {table}: {databases:#}");
    }
    assert_eq!(databases["wardline.db"]["check"], "ok");
    assert_eq!(read("fastpath.json")["counters"]["ward"]["received"], 7);
    assert_eq!(read("config.json")["listen"]["names"][0], "(14 bytes)");
    assert!(read("system.json")["disk"]["free_bytes"].is_u64());
    assert_eq!(files["log.txt"].lines().count(), 3, "{}", files["log.txt"]);
    assert_eq!(files["trouble.txt"].lines().count(), 1);
}

#[tokio::test]
async fn a_bundle_is_made_of_a_broken_appliance() {
    let mut server = Server::start().await;
    server.kill();
    server.fastpath_goes();
    fs::write(server.state().join("wardline.db"), b"nothing of it is left").expect("damaged");
    let output = server.dir().join("bundle.tar.gz").display().to_string();
    let done = server.command(&["support-bundle", "--output", &output]);
    assert!(done.status.success(), "{done:?}");
    let files = unpack(&output);
    assert!(
        files["database.json"].contains("damaged"),
        "{}",
        files["database.json"]
    );
    let fastpath: Json = serde_json::from_str(&files["fastpath.json"]).expect("JSON");
    assert!(fastpath["error"].is_string(), "{fastpath:#}");
}

/// A row full of canaries in every table; gives back their names.
async fn plant(path: &std::path::Path) -> Vec<(String, String)> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(false);
    let pool = SqlitePoolOptions::new().max_connections(1);
    let db = pool.connect_with(options).await.expect("opened");
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .fetch_all(&db)
            .await
            .expect("tables");
    let database = path
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let mut planted = Vec::new();
    // The names of its own tables begin so.
    for table in tables
        .into_iter()
        .filter(|table| !table.starts_with("sqlite_"))
    {
        let columns = sqlx::query("SELECT name, type FROM pragma_table_info(?1)")
            .bind(&table)
            .fetch_all(&db)
            .await
            .expect("columns");
        let values: Vec<_> = columns
            .iter()
            .map(|column| match column.get::<&str, _>("type") {
                "TEXT" => format!("'{CANARY}-{}'", column.get::<&str, _>("name")),
                "BLOB" => format!("CAST('{CANARY}' AS BLOB)"),
                "REAL" => "1.0".to_owned(),
                _ => "1".to_owned(),
            })
            .collect();
        let insert = format!(
            "INSERT OR REPLACE INTO \"{table}\" VALUES ({})",
            values.join(",")
        );
        sqlx::query(AssertSqlSafe(insert))
            .execute(&db)
            .await
            .expect(&table);
        planted.push((database.clone(), table));
    }
    db.close().await;
    planted
}

fn log_lines() -> String {
    let line = |level: &str, text: &str| {
        format!("2026-11-24T22:00:00.000000Z  {level} wardline_mgmt::auth: {text}\n")
    };
    [
        line(
            "INFO",
            &format!("a login user={CANARY} reason=\"{CANARY}'s bed\""),
        ),
        line(
            "WARN",
            &format!("refused error=the name `{CANARY}` is taken"),
        ),
        format!("{CANARY} is not a line of ours\n"),
    ]
    .concat()
}

fn status() -> Status {
    let side = serde_json::json!({ "received": 7, "received_bytes": 448, "forwarded": 7,
        "dropped": 0, "by_reason": { "allowed": 7 } });
    serde_json::from_value(serde_json::json!({
        "software_version": "played", "pid": 1, "started_us": 1, "uptime_s": 1, "startup_ms": 1,
        "memory": { "huge_pages": false, "note": CANARY, "mib": 64 },
        "ports": [], "workers": [],
        "counters": { "ward": side, "core": side, "would_drop": {}, "refusals_to_ward": 0,
            "refusals_to_core": 0, "flows_begun": 1 },
        "policy": { "id": "0123", "name": CANARY, "applied_us": 1, "generation": 1,
            "next_boundary_s": null, "rollback_at_s": null, "origin": "control" },
        "devices": 1, "flows": 1, "events_dropped": 0,
    }))
    .expect("a status")
}

fn unpack(path: &str) -> HashMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(path).expect("a file")));
    let mut files = HashMap::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").into_owned();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        files.insert(name, text);
    }
    files
}
