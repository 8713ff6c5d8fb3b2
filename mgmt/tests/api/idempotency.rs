//! What is asked twice is done once.

use reqwest::{Method, Response};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use wardline_mgmt::auth::Role;
use wardline_mgmt::store::idempotency;
use wardline_mgmt::time::Time;

use crate::support::{Server, problem};

async fn post(server: &Server, role: Role, path: &str, key: &str, body: &Json) -> Response {
    let request = server.request(role, Method::POST, path);
    let request = request.header("Idempotency-Key", key).json(body);
    request.send().await.expect("an answer")
}

async fn create(server: &Server, key: &str, body: &Json) -> Response {
    post(server, Role::Biomed, "/assets", key, body).await
}

#[tokio::test]
async fn the_answer_is_given_again_also_after_a_crash() {
    let mut server = Server::start().await;
    let body = json!({ "tag": "A-1" });
    let first = create(&server, "k-1", &body).await;
    assert_eq!(first.status(), 201);
    let (tag, place) = (
        first.headers()["etag"].clone(),
        first.headers()["location"].clone(),
    );
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let first = first.text().await.expect("a body");
    server.crash().await;
    let again = create(&server, "k-1", &body).await;
    assert_eq!(again.status(), 201);
    assert_eq!(
        (&again.headers()["etag"], &again.headers()["location"]),
        (&tag, &place)
    );
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(again.text().await.expect("a body"), first);
    let assets = server.read("/assets").await;
    assert_eq!(assets["items"].as_array().map(Vec::len), Some(1));

    let other = create(&server, "k-1", &json!({ "tag": "A-2" })).await;
    assert_eq!(
        problem(other).await,
        (422, "idempotency-key-reused".to_owned())
    );
    // Somebody else's key is another key.
    let theirs = post(
        &server,
        Role::Security,
        "/assets",
        "k-1",
        &json!({ "tag": "A-3" }),
    )
    .await;
    assert_eq!(theirs.status(), 201);
}

#[tokio::test]
async fn what_did_nothing_may_be_asked_again() {
    let server = Server::start().await;
    assert_eq!(
        create(&server, "k-1", &json!({ "tag": "" })).await.status(),
        422
    );
    assert_eq!(
        create(&server, "k-1", &json!({ "tag": "A-1" }))
            .await
            .status(),
        201
    );
    let spaces = create(&server, "a key", &json!({ "tag": "A-2" })).await;
    assert_eq!(problem(spaces).await.0, 400);
}

#[tokio::test]
async fn two_at_once_do_it_once() {
    let server = Server::start().await;
    let body = json!({ "tag": "A-1" });
    let all = (0..8).map(|_| create(&server, "k-1", &body));
    let statuses: Vec<_> = futures::future::join_all(all)
        .await
        .iter()
        .map(|r| r.status().as_u16())
        .collect();
    assert!(
        statuses.iter().all(|status| [201, 409].contains(status)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&201));
    let audit = server.read("/audit?operation=create_asset").await;
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn what_was_cut_off_is_not_done_again() {
    let mut server = Server::start().await;
    server.kill();
    let body = json!({ "tag": "A-1" });
    // As the process that died left it.
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(format!("/api/v1/assets\0{body}")));
    let store = server.store().await;
    let mut transaction = store.main.begin().await.expect("a transaction");
    let name = ("token:biomed", "k-1");
    let known = idempotency::begin(&mut transaction, name, &digest).await;
    assert_eq!(known.expect("kept"), None);
    transaction.commit().await.expect("kept");
    store.close().await;
    server.start_again().await;
    let answer = create(&server, "k-1", &body).await;
    assert_eq!(problem(answer).await, (409, "outcome-unknown".to_owned()));
    assert_eq!(server.read("/assets").await["items"], json!([]));
}

#[tokio::test]
async fn answers_that_hold_secrets_are_not_kept() {
    let server = Server::start().await;
    let expires = Time::now().plus_s(600);
    let body = json!({ "name": "one", "role": "viewer", "expires": expires });
    let made = post(&server, Role::Administrator, "/tokens", "k-1", &body).await;
    assert_eq!(made.status(), 201);
    let store = server.store().await;
    let mut db = store.main.read().acquire().await.expect("a connection");
    let known = idempotency::find(&mut db, ("token:administrator", "k-1")).await;
    assert_eq!(known.expect("read"), None);
}
