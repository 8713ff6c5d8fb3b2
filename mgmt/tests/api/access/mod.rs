//! Who comes in, and what they may do.

mod authorization;
mod certificates;
mod grade;
mod oidc;
mod secrets;
mod sessions;
mod setup;
mod tokens;
mod users;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value as Json, json};
use wardline_mgmt::auth::Role;

use crate::support::Server;

/// The password of everybody here, unless a test says otherwise.
const PASSWORD: &str = "correct horse battery";

/// Somebody in front of a browser, with a session.
#[derive(Debug, Clone)]
struct Browser {
    base: String,
    client: Client,
    /// `__Host-wardline=…`
    cookie: String,
    csrf: String,
}

impl Browser {
    async fn log_in(server: &Server, name: &str) -> Self {
        let answer = log_in(server, name, PASSWORD).await;
        assert_eq!(
            answer.status(),
            StatusCode::NO_CONTENT,
            "{name} is not let in"
        );
        Self::with_cookie(server, cookie(&answer)).await
    }

    async fn with_cookie(server: &Server, cookie: String) -> Self {
        let mut browser = Self {
            base: server.base.clone(),
            client: server.client.clone(),
            cookie,
            csrf: String::new(),
        };
        let session = browser.read("/session").await;
        browser.csrf = session["csrf"].as_str().expect("a value").to_owned();
        browser
    }

    /// As a page of the console would ask.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/api/v1{path}", self.base);
        let request = self
            .client
            .request(method, url)
            .header("Cookie", &self.cookie);
        request
            .header("Sec-Fetch-Site", "same-origin")
            .header("X-Wardline-CSRF", &self.csrf)
    }

    async fn status(&self, method: Method, path: &str) -> StatusCode {
        let answer = self.request(method, path).send().await;
        answer.expect("an answer").status()
    }

    async fn read(&self, path: &str) -> Json {
        let answer = self
            .request(Method::GET, path)
            .send()
            .await
            .expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
    }
}

async fn log_in(server: &Server, name: &str, password: &str) -> Response {
    let body = json!({ "name": name, "password": password });
    let request = server.anonymous(Method::POST, "/session").json(&body);
    request.send().await.expect("an answer")
}

/// The cookie that an answer sets, as it is sent back.
fn cookie(answer: &Response) -> String {
    let set = answer.headers()["set-cookie"].to_str().expect("text");
    set.split(';').next().expect("a pair").to_owned()
}

async fn make_user(server: &Server, name: &str, role: Role) {
    let body = json!({ "name": name, "role": role, "password": PASSWORD });
    let request = server.request(Role::Administrator, Method::POST, "/users");
    let answer = request.json(&body).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::CREATED, "{name} is not made");
}
