//! People.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value as Json, json};
use wardline_mgmt::auth::Role;

use super::{Browser, PASSWORD, cookie, log_in, make_user};
use crate::support::{Server, problem};

async fn change(server: &Server, name: &str, tag: &str, change: Json) -> Response {
    let path = format!("/users/{name}");
    let request = server.request(Role::Administrator, Method::PATCH, &path);
    let request = request.header("If-Match", tag).json(&change);
    request.send().await.expect("an answer")
}

async fn remove(server: &Server, name: &str, tag: &str) -> Response {
    let path = format!("/users/{name}");
    let request = server.request(Role::Administrator, Method::DELETE, &path);
    request
        .header("If-Match", tag)
        .send()
        .await
        .expect("an answer")
}

#[tokio::test]
async fn users_are_made_changed_and_removed_by_administrators() {
    let server = Server::start().await;
    make_user(&server, "anna", Role::Administrator).await;
    make_user(&server, "bert", Role::Viewer).await;
    let body = json!({ "name": "bert", "role": "viewer", "password": PASSWORD });
    let again = server
        .request(Role::Administrator, Method::POST, "/users")
        .json(&body);
    let again = again.send().await.expect("an answer");
    assert_eq!(problem(again).await, (409, "conflict".to_owned()));
    let list = server.read("/users?limit=1").await;
    assert_eq!(list["items"][0]["name"], "anna");
    let cursor = list["next_cursor"].as_str().expect("more");
    let list = server
        .read(&format!("/users?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(list["items"][0]["name"], "bert");
    assert!(!list.to_string().contains("argon2"), "a hash is shown");

    let changed = change(&server, "bert", "\"1\"", json!({ "role": "biomed" })).await;
    assert_eq!(
        (changed.status(), &changed.headers()["etag"]),
        (StatusCode::OK, &"\"2\"".parse().expect("a tag"))
    );
    let stale = change(&server, "bert", "\"1\"", json!({ "role": "viewer" })).await;
    assert_eq!(problem(stale).await.0, 412);
    let unknown = change(&server, "bert", "\"2\"", json!({ "rolle": "viewer" })).await;
    assert_eq!(problem(unknown).await.0, 422);
    assert_eq!(server.read("/users/bert").await["role"], "biomed");
    assert_eq!(
        remove(&server, "bert", "\"2\"").await.status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        remove(&server, "bert", "\"2\"").await.status(),
        StatusCode::NOT_FOUND
    );
    let audit = server.read("/audit?subject=user/bert").await.to_string();
    for operation in ["create_user", "update_user", "delete_user"] {
        assert!(audit.contains(operation), "{operation} is not in {audit}");
    }
}

#[tokio::test]
async fn passwords_that_are_easily_guessed_are_refused() {
    let server = Server::start().await;
    for password in [
        "short",
        "passwordpassword",
        "anna.from.icu",
        &"x".repeat(129),
    ] {
        let body = json!({ "name": "anna.from.icu", "role": "viewer", "password": password });
        let request = server.request(Role::Administrator, Method::POST, "/users");
        let answer = request.json(&body).send().await.expect("an answer");
        let body = answer.text().await.expect("a body");
        let answer: Json = serde_json::from_str(&body).expect("JSON");
        assert_eq!(
            answer["errors"][0]["field"], "password",
            "{password}: {body}"
        );
    }
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let server = Server::start().await;
    make_user(&server, "anna", Role::Administrator).await;
    for wish in [json!({ "disabled": true }), json!({ "role": "viewer" })] {
        let answer = change(&server, "anna", "\"1\"", wish).await;
        assert_eq!(problem(answer).await, (409, "conflict".to_owned()));
    }
    assert_eq!(problem(remove(&server, "anna", "\"1\"").await).await.0, 409);
    make_user(&server, "bert", Role::Administrator).await;
    let answer = change(&server, "anna", "\"1\"", json!({ "disabled": true })).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(problem(remove(&server, "bert", "\"1\"").await).await.0, 409);
}

#[tokio::test]
async fn whoever_is_kept_out_or_gets_another_password_loses_all_sessions() {
    let server = Server::start().await;
    make_user(&server, "anna", Role::Viewer).await;
    let browser = Browser::log_in(&server, "anna").await;
    let answer = change(&server, "anna", "\"1\"", json!({ "disabled": true })).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        browser.status(Method::GET, "/me").await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        log_in(&server, "anna", PASSWORD).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let answer = change(&server, "anna", "\"2\"", json!({ "disabled": false })).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        browser.status(Method::GET, "/me").await,
        StatusCode::UNAUTHORIZED
    );

    let browser = Browser::log_in(&server, "anna").await;
    let path = "/users/anna/password";
    let body = json!({ "password": "another horse battery" });
    let request = server
        .request(Role::Administrator, Method::PUT, path)
        .json(&body);
    assert_eq!(
        request.send().await.expect("an answer").status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        browser.status(Method::GET, "/me").await,
        StatusCode::UNAUTHORIZED
    );
    let answer = log_in(&server, "anna", "another horse battery").await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn everybody_changes_their_own_password_and_stays_logged_in() {
    let server = Server::start().await;
    make_user(&server, "anna", Role::Viewer).await;
    let browser = Browser::log_in(&server, "anna").await;
    let elsewhere = Browser::log_in(&server, "anna").await;
    let put = |current: &str, password: &str| {
        let body = json!({ "current": current, "password": password });
        browser
            .request(Method::PUT, "/me/password")
            .json(&body)
            .send()
    };
    let wrong = put("a wrong password", "another horse battery")
        .await
        .expect("an answer");
    assert_eq!(problem(wrong).await.0, 422);
    let answer = put(PASSWORD, "another horse battery")
        .await
        .expect("an answer");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let again = Browser::with_cookie(&server, cookie(&answer)).await;
    assert_eq!(again.read("/me").await["who"], "user:anna");
    for ended in [&browser, &elsewhere] {
        assert_eq!(
            ended.status(Method::GET, "/me").await,
            StatusCode::UNAUTHORIZED
        );
    }
    let program = server.request(Role::Viewer, Method::PUT, "/me/password");
    let body = json!({ "current": PASSWORD, "password": "another horse battery" });
    let answer = program.json(&body).send().await.expect("an answer");
    assert_eq!(problem(answer).await, (409, "conflict".to_owned()));
}
