//! Tokens of programs.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value as Json, json};
use wardline_mgmt::auth::Role;
use wardline_mgmt::time::Time;

use crate::support::{Server, problem};

/// Asks with a token that a test got.
async fn ask(server: &Server, token: &str, method: Method, path: &str, body: Json) -> Response {
    let request = server.anonymous(method, path).bearer_auth(token);
    let request = if body.is_null() {
        request
    } else {
        request.json(&body)
    };
    request.send().await.expect("an answer")
}

async fn get(server: &Server, token: &str, path: &str) -> StatusCode {
    ask(server, token, Method::GET, path, Json::Null)
        .await
        .status()
}

fn wish(name: &str, scopes: &[&str], minutes: i64) -> Json {
    let expires = Time::now().plus_s(minutes * 60);
    json!({ "name": name, "role": "administrator", "scopes": scopes, "expires": expires })
}

async fn make(server: &Server, body: &Json) -> Response {
    let request = server.request(Role::Administrator, Method::POST, "/tokens");
    request.json(body).send().await.expect("an answer")
}

async fn token_of(answer: Response) -> String {
    assert_eq!(answer.status(), StatusCode::CREATED);
    let body: Json = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
    body["token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_until_it_is_removed() {
    let server = Server::start().await;
    let token = token_of(make(&server, &wish("backup", &["devices:read"], 1)).await).await;
    assert!(token.starts_with("wardline_"));
    assert_eq!(get(&server, &token, "/devices").await, StatusCode::OK);
    assert_eq!(get(&server, &token, "/audit").await, StatusCode::FORBIDDEN);
    let patch = ask(&server, &token, Method::PATCH, "/devices/x", json!({})).await;
    assert_eq!(patch.status(), StatusCode::FORBIDDEN);
    let ours = |list: &Json| {
        let mut all = list["items"].as_array().expect("a list").iter();
        all.find(|token| token["name"] == "backup")
            .expect("listed")
            .clone()
    };
    let list = server
        .read_until("/tokens", |list| ours(list)["used"].is_string())
        .await;
    assert_eq!(ours(&list)["scopes"], json!(["devices:read"]));
    assert!(!list.to_string().contains(&token), "the list shows a token");
    assert_eq!(
        make(&server, &wish("backup", &[], 1)).await.status(),
        StatusCode::CONFLICT
    );
    let remove = server.request(Role::Administrator, Method::DELETE, "/tokens/backup");
    assert_eq!(
        remove.send().await.expect("an answer").status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        get(&server, &token, "/devices").await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn what_cannot_be_a_token_is_refused() {
    let server = Server::start().await;
    for (body, field) in [
        (wish("t", &["devices:delete"], 1), "scopes[0]"),
        (wish("t", &["devices:read", "nothing:read"], 1), "scopes[1]"),
        (wish("t", &["users:write"], 1), "scopes[0]"),
        (wish("t", &[], 366 * 24 * 60), "expires"),
        (wish("t", &[], -1), "expires"),
        (wish("T", &[], 1), "name"),
    ] {
        let answer = make(&server, &body).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let answer: Json =
            serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        assert_eq!(answer["errors"][0]["field"], field, "{answer}");
    }
    let forever = json!({ "name": "t", "role": "viewer" });
    assert_eq!(problem(make(&server, &forever).await).await.0, 422);
}

#[tokio::test]
async fn a_token_makes_none_that_may_do_more_or_holds_longer() {
    let server = Server::start().await;
    let scopes = ["tokens:write", "devices:read"];
    let token = token_of(make(&server, &wish("parent", &scopes, 20)).await).await;
    for (refused, why) in [
        (wish("child", &[], 1), "without scopes"),
        (wish("child", &["*:read"], 1), "more tags"),
        (wish("child", &["devices:write"], 1), "more rights"),
        (wish("child", &["devices:read"], 30), "longer"),
    ] {
        let answer = ask(&server, &token, Method::POST, "/tokens", refused).await;
        assert_eq!(problem(answer).await.0, 403, "{why}");
    }
    let within = wish("child", &["devices:read"], 1);
    let child = ask(&server, &token, Method::POST, "/tokens", within).await;
    let child = token_of(child).await;
    assert_eq!(get(&server, &child, "/devices").await, StatusCode::OK);
}

#[tokio::test]
async fn whoever_owns_the_state_makes_a_token_without_asking() {
    let server = Server::start().await;
    let create = |arguments: &[&str]| {
        let all = ["token", "create", "--name", "demo", "--role", "security"];
        server.command(&[&all, arguments].concat())
    };
    for wrong in [
        &["--hours", "0"][..],
        &["--hours", "8761"],
        &["--hours", "1", "--scope", "nothing:read"],
    ] {
        let output = create(wrong);
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{output:?}"
        );
    }
    let output = create(&["--hours", "1", "--scope", "devices:write"]);
    assert!(output.status.success(), "{output:?}");
    let token = String::from_utf8(output.stdout).expect("text");
    assert_eq!(get(&server, token.trim(), "/devices").await, StatusCode::OK);
    assert_eq!(
        get(&server, token.trim(), "/audit").await,
        StatusCode::FORBIDDEN
    );
    let again = create(&["--hours", "1"]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("there is a token `demo` already"), "{said}");
}
