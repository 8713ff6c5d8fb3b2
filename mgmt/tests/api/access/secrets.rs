//! No secret is seen anywhere but where it is handed out.

use std::fs;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value as Json, json};
use wardline_mgmt::auth::Role;
use wardline_mgmt::time::Time;

use super::{PASSWORD, cookie};
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
        let body = answer.text().await.expect("a body");
        self.answers.push(head + &body);
        body
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

#[tokio::test]
async fn no_secret_is_in_the_log_or_in_another_answer() {
    let server = Server::start_with("[log]\nlevel = \"debug\"\n").await;
    let mut watch = Watch::default();
    let code = fs::read_to_string(server.state().join("setup-code")).expect("a code");
    let code = code.trim().to_owned();
    let first = json!({ "code": code, "name": "anna", "password": PASSWORD });
    watch.keep("the setup code", code);
    watch.keep("a password", PASSWORD);
    watch.keep("a wrong password", "a wrong password");
    watch
        .ask(server.anonymous(Method::POST, "/setup").json(&first))
        .await;
    watch
        .ask(server.anonymous(Method::POST, "/setup").json(&first))
        .await;

    let wrong = json!({ "name": "anna", "password": "a wrong password" });
    watch
        .ask(server.anonymous(Method::POST, "/session").json(&wrong))
        .await;
    let right = json!({ "name": "anna", "password": PASSWORD });
    let login = server.anonymous(Method::POST, "/session").json(&right);
    let login = cookie(&login.send().await.expect("an answer"));
    watch.keep("a cookie", login.split_once('=').expect("a pair").1);
    let with_cookie = |path| server.anonymous(Method::GET, path).header("Cookie", &login);
    watch.ask(with_cookie("/session")).await;
    watch.ask(with_cookie("/sessions")).await;
    watch.ask(with_cookie("/me")).await;

    let new = json!({ "name": "backup", "role": "viewer", "expires": Time::now().plus_s(60) });
    let create = server
        .request(Role::Administrator, Method::POST, "/tokens")
        .json(&new);
    let made = create
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body");
    let made: Json = serde_json::from_str(&made).expect("JSON");
    let token = made["token"].as_str().expect("a token").to_owned();
    watch.keep("a token", token.clone());
    watch
        .ask(
            server
                .anonymous(Method::GET, "/devices")
                .bearer_auth(&token),
        )
        .await;
    let longer = format!("{token}x");
    watch
        .ask(
            server
                .anonymous(Method::GET, "/devices")
                .bearer_auth(longer),
        )
        .await;

    let strange = json!({ "name": "anna", "password": [PASSWORD] });
    watch
        .ask(server.anonymous(Method::POST, "/session").json(&strange))
        .await;
    let short = json!({ "current": PASSWORD, "password": "a wrong password" });
    watch
        .ask(
            server
                .request(Role::Viewer, Method::PUT, "/me/password")
                .json(&short),
        )
        .await;
    for path in [
        "/audit",
        "/users",
        "/users/anna",
        "/tokens",
        "/sessions",
        "/system",
    ] {
        watch
            .ask(server.request(Role::Administrator, Method::GET, path))
            .await;
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
