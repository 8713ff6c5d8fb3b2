//! The first start.

use std::fs;

use reqwest::{Method, Response};
use serde_json::json;

use super::{PASSWORD, log_in};
use crate::support::{Server, problem};

async fn set_up(server: &Server, code: &str, password: &str) -> Response {
    let body = json!({ "code": code, "name": "anna", "password": password });
    let request = server.anonymous(Method::POST, "/setup").json(&body);
    request.send().await.expect("an answer")
}

fn code(server: &Server) -> String {
    let text = fs::read_to_string(server.state().join("setup-code")).expect("a code");
    text.trim().to_owned()
}

#[tokio::test]
async fn whoever_reads_the_console_makes_the_first_administrator() {
    let server = Server::start().await;
    assert_eq!(server.read("/setup").await["open"], true);
    let code = code(&server);
    assert!(server.console().contains(&code), "{}", server.console());
    assert!(!server.log().contains(&code), "the code is in the log");
    let wrong = set_up(&server, "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA", PASSWORD).await;
    assert_eq!(problem(wrong).await, (403, "forbidden".to_owned()));
    let weak = set_up(&server, &code, "password1234").await;
    assert_eq!(problem(weak).await, (422, "invalid-body".to_owned()));
    let right = set_up(&server, &code.to_lowercase(), PASSWORD).await;
    assert_eq!(right.status(), 201);
    assert_eq!(server.read("/setup").await["open"], false);
    assert!(!server.state().join("setup-code").exists());
    let again = set_up(&server, &code, PASSWORD).await;
    assert_eq!(problem(again).await, (409, "conflict".to_owned()));
    assert_eq!(log_in(&server, "anna", PASSWORD).await.status(), 204);
    let fresh = server.command(&["setup-code"]);
    assert!(!fresh.status.success() && fresh.stdout.is_empty());
}

#[tokio::test]
async fn wrong_codes_make_the_next_one_wait() {
    let server = Server::start().await;
    let wrong = "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA";
    let mut answers = Vec::new();
    for _ in 0..8 {
        let answer = set_up(&server, wrong, PASSWORD).await;
        let wait = answer.headers().contains_key("retry-after");
        answers.push((answer.status().as_u16(), wait));
    }
    assert_eq!(answers[0], (403, false));
    assert!(answers.contains(&(429, true)), "{answers:?}");
}

#[tokio::test]
async fn a_fresh_code_takes_the_place_of_the_one_before() {
    let mut server = Server::start().await;
    let before = code(&server);
    server.crash().await;
    assert_eq!(code(&server), before, "a restart keeps it");
    let fresh = server.command(&["setup-code"]);
    assert!(fresh.status.success(), "{fresh:?}");
    let fresh = String::from_utf8(fresh.stdout).expect("text");
    assert_eq!(fresh.trim(), code(&server));
    assert_eq!(set_up(&server, &before, PASSWORD).await.status(), 403);
    assert_eq!(set_up(&server, fresh.trim(), PASSWORD).await.status(), 201);
}
