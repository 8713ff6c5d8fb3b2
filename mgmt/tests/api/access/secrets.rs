//! No secret is seen anywhere but where it is handed out.

use std::fs;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value as Json, json};
use wardline_mgmt::auth::Role;
use wardline_mgmt::time::Time;

use super::{PASSWORD, cookie, log_in};
use crate::support::Server;

/// Everything that was answered, and what must not be in it.
#[derive(Default)]
struct Watch {
    answers: Vec<String>,
    secrets: Vec<(&'static str, String)>,
}

impl Watch {
    /// Sends a request and keeps the answer, headers included.
    async fn ask(&mut self, request: RequestBuilder) -> String {
        let answer = request.send().await.expect("an answer");
        let head = format!("{} {:?}\n", answer.status(), answer.headers());
        let all = head + &answer.text().await.expect("a body");
        self.answers.push(all.clone());
        all
    }

    fn keep(&mut self, what: &'static str, secret: impl Into<String>) {
        self.secrets.push((what, secret.into()));
    }

    fn none_in(&self, place: &str, text: &str) {
        for (what, secret) in &self.secrets {
            assert!(
                !text.contains(secret.as_str()),
                "{what} is in {place}: {text}"
            );
        }
    }
}

/// The first administrator is made, and logs in rightly and wrongly; their cookie.
async fn people_come_in(server: &Server, watch: &mut Watch) -> String {
    let code = fs::read_to_string(server.state().join("setup-code")).expect("a code");
    let first = json!({ "code": code.trim(), "name": "anna", "password": PASSWORD });
    watch.keep("the setup code", code.trim());
    watch.keep("a password", PASSWORD);
    watch.keep("a wrong password", "a wrong password");
    for _ in 0..2 {
        let set_up = server.anonymous(Method::POST, "/setup").json(&first);
        watch.ask(set_up).await;
    }
    for password in [
        json!("a wrong password"),
        json!([PASSWORD]),
        json!("x".repeat(200)),
    ] {
        let wrong = json!({ "name": "anna", "password": password });
        let log_in = server.anonymous(Method::POST, "/session").json(&wrong);
        watch.ask(log_in).await;
    }
    let cookie = cookie(&log_in(server, "anna", PASSWORD).await);
    watch.keep("a cookie", cookie.split_once('=').expect("a pair").1);
    cookie
}

/// A token is made; it is used rightly and wrongly.
async fn programs_come_in(server: &Server, watch: &mut Watch) {
    let new = json!({ "name": "backup", "role": "viewer", "expires": Time::now().plus_s(60) });
    let create = server.request(Role::Administrator, Method::POST, "/tokens");
    let made = create.json(&new).send().await.expect("an answer");
    let made: Json = serde_json::from_str(&made.text().await.expect("a body")).expect("JSON");
    let token = made["token"].as_str().expect("a token").to_owned();
    watch.keep("a token", token.clone());
    for token in [format!("{token}x"), token] {
        let list = server.anonymous(Method::GET, "/devices").bearer_auth(token);
        watch.ask(list).await;
    }
    let change = json!({ "current": PASSWORD, "password": "a wrong password" });
    let change = server
        .request(Role::Viewer, Method::PUT, "/me/password")
        .json(&change);
    watch.ask(change).await;
}

#[tokio::test]
async fn no_secret_is_in_the_log_or_in_another_answer() {
    let server = Server::start_with("[log]\nlevel = \"debug\"\n").await;
    let mut watch = Watch::default();
    let cookie = people_come_in(&server, &mut watch).await;
    programs_come_in(&server, &mut watch).await;
    for path in [
        "/session",
        "/sessions",
        "/me",
        "/users",
        "/tokens",
        "/audit",
    ] {
        let read = server
            .anonymous(Method::GET, path)
            .header("Cookie", &cookie);
        let answer = watch.ask(read).await;
        assert!(answer.starts_with("200"), "{path}: {answer}");
    }
    for answer in &watch.answers {
        watch.none_in("an answer", answer);
    }
    let log = server.log();
    assert!(log.contains("listening"), "{log}");
    watch.none_in("the log", &log);
    watch.secrets.retain(|(what, _)| *what != "the setup code");
    watch.none_in("what the console says", &server.console());
}
