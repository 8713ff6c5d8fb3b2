//! Jobs, and those that keep the databases.

use reqwest::Method;
use serde_json::{Value as Json, json};
use wardline_mgmt::auth::Role;

use crate::support::Server;

async fn start(server: &Server, path: &str) -> Json {
    let (status, job) = server
        .send(Role::Administrator, Method::POST, path, &Json::Null)
        .await;
    assert_eq!(status, 202, "{job:#}");
    server.ended(&job).await
}

#[tokio::test]
async fn a_backup_is_a_whole_database() {
    let server = Server::start().await;
    let job = start(&server, "/system/backups").await;
    assert_eq!(
        (&job["state"], &job["percent"]),
        (&json!("done"), &json!(100)),
        "{job:#}"
    );
    let list = server.read("/system/backups").await;
    assert_eq!(list["items"][0]["name"], job["result"]["name"]);
    let name = job["result"]["name"].as_str().expect("a name");
    let copy = tempfile::tempdir().expect("a folder");
    let from = server.state().join("backups").join(name);
    std::fs::copy(from, copy.path().join("wardline.db")).expect("copied");
    let store = wardline_mgmt::store::Store::open(copy.path())
        .await
        .expect("it opens");
    let tokens: Vec<(String,)> = sqlx::query_as("SELECT name FROM token")
        .fetch_all(store.main.read())
        .await
        .expect("read");
    assert_eq!(tokens.len(), Role::ALL.len());
    let (status, _) = server
        .send(Role::Security, Method::POST, "/system/backups", &Json::Null)
        .await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn jobs_are_listed_and_one_that_ended_stays() {
    let server = Server::start().await;
    let check = start(&server, "/system/check").await;
    assert_eq!(check["result"]["ok"], true, "{check:#}");
    start(&server, "/system/backups").await;
    let list = server.read("/jobs?kind=check&state=done").await;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        server.read("/jobs?limit=1").await["items"][0]["kind"],
        "backup"
    );
    let path = format!("/jobs/{}/cancel", check["id"]);
    let (status, problem) = server
        .send(Role::Administrator, Method::POST, &path, &Json::Null)
        .await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")));
    let path = "/jobs/99/cancel";
    let (status, _) = server
        .send(Role::Administrator, Method::POST, path, &Json::Null)
        .await;
    assert_eq!(status, 404);
    assert_eq!(
        server.read("/audit?operation=create_backup").await["items"][0]["record"]["who"],
        "token:administrator"
    );
}
