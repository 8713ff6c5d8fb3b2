//! Login through an identity provider: a real one, that insists on client secret, nonce and PKCE.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rcgen::generate_simple_self_signed;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use wardline_mgmt::auth::Role;

use super::{Browser, make_user};
use crate::support::{Server, problem, python};

const CALLBACK: &str = "https://wardline.example/api/v1/login/oidc/callback";

/// A running provider; gone when dropped.
struct Provider {
    process: Child,
    dir: TempDir,
    base: String,
    client: Client,
    client_id: String,
    client_secret: String,
}

impl Provider {
    async fn start(python: PathBuf) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        let made = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]);
        let made = made.expect("a certificate");
        fs::write(at("id.pem"), made.cert.pem()).expect("written");
        fs::write(at("id.key"), made.signing_key.serialize_pem()).expect("written");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oidc_provider.py");
        let log = fs::File::create(at("log")).expect("a log");
        let mut process = Command::new(python)
            .arg(script)
            .args([at("id.pem"), at("id.key"), at("port")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("the provider");
        let port = loop {
            if let Ok(port) = fs::read_to_string(at("port")) {
                break port;
            }
            if let Some(status) = process.try_wait().expect("its state") {
                let log = fs::read_to_string(at("log")).unwrap_or_default();
                panic!("the provider ended with {status}: {log}");
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        let certificate = reqwest::Certificate::from_pem(made.cert.pem().as_bytes());
        let client = Client::builder().tls_certs_only([certificate.expect("a certificate")]);
        let mut provider = Self {
            process,
            base: format!("https://127.0.0.1:{port}"),
            client: client.redirect(Policy::none()).build().expect("a client"),
            client_id: String::new(),
            client_secret: String::new(),
            dir,
        };
        let body = json!({ "redirect_uris": [CALLBACK] });
        let url = format!("{}/oauth2/clients", provider.base);
        let answer = provider
            .client
            .post(url)
            .json(&body)
            .send()
            .await
            .expect("an answer");
        let ours: Json = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        let text = |name: &str| ours[name].as_str().expect("a text").to_owned();
        (provider.client_id, provider.client_secret) = (text("client_id"), text("client_secret"));
        provider
    }

    /// The configuration that leads to it, with this secret.
    fn config(&self, secret: &str) -> String {
        let secret_file = self.dir.path().join("secret");
        fs::write(&secret_file, secret).expect("written");
        format!(
            "[log]\nlevel = \"debug\"\n[oidc]\nissuer = \"{}\"\nclient_id = \"{}\"\n\
             client_secret_file = \"{}\"\nredirect_url = \"{CALLBACK}\"\n\
             ca_certificate = \"{}/id.pem\"\nrole_claim = \"groups\"\n\
             [oidc.roles]\nnurses = \"viewer\"\nit-security = \"security\"\n",
            self.base,
            self.client_id,
            secret_file.display(),
            self.dir.path().display()
        )
    }

    /// What the provider knows of somebody.
    async fn know(&self, subject: &str, claims: &Json) {
        let url = format!("{}/users/{subject}", self.base);
        let answer = self
            .client
            .put(url)
            .json(claims)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A browser that follows the redirects one by one.
struct Way<'a> {
    server: &'a Server,
    provider: &'a Provider,
    client: Client,
}

impl<'a> Way<'a> {
    fn new(server: &'a Server, provider: &'a Provider) -> Self {
        let client = Client::builder().tls_certs_only([server.authority()]);
        let client = client.redirect(Policy::none()).build().expect("a client");
        Self {
            server,
            provider,
            client,
        }
    }

    fn get(&self, path_and_query: &str) -> RequestBuilder {
        self.client
            .get(format!("{}{path_and_query}", self.server.base))
    }

    /// Leaves for the provider and logs in there: where it sends the browser, and the cookie that
    /// the browser has.
    async fn there(&self, form: &str) -> (String, String) {
        let leave = self
            .get("/api/v1/login/oidc")
            .send()
            .await
            .expect("an answer");
        assert_eq!(leave.status(), StatusCode::SEE_OTHER);
        let cookie = super::cookie(&leave);
        let to = leave.headers()["location"]
            .to_str()
            .expect("text")
            .to_owned();
        assert!(
            to.starts_with(&self.provider.base) && to.contains("S256"),
            "{to}"
        );
        let answer = self.provider.client.post(to).body(form.to_owned());
        let answer = answer.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = answer.send().await.expect("an answer");
        assert_eq!(
            answer.status(),
            StatusCode::FOUND,
            "{:?}",
            answer.text().await
        );
        let back = answer.headers()["location"].to_str().expect("text");
        let back = back.strip_prefix("https://wardline.example").expect("ours");
        (back.to_owned(), cookie)
    }

    async fn back(&self, path_and_query: &str, cookie: &str) -> Response {
        let request = self.get(path_and_query).header("Cookie", cookie);
        request.send().await.expect("an answer")
    }

    async fn log_in(&self, subject: &str) -> Response {
        let (back, cookie) = self.there(&format!("sub={subject}")).await;
        self.back(&back, &cookie).await
    }

    async fn browser(&self, subject: &str) -> Browser {
        let answer = self.log_in(subject).await;
        assert_eq!(
            answer.status(),
            StatusCode::SEE_OTHER,
            "{:?}",
            answer.text().await
        );
        assert_eq!(answer.headers()["location"], "/");
        Browser::with_cookie(self.server, super::cookie(&answer)).await
    }
}

#[tokio::test]
async fn whoever_the_provider_vouches_for_gets_the_role_of_their_claims() {
    let Some(python) = python("login through an identity provider") else {
        return;
    };
    let provider = Provider::start(python).await;
    let server = Server::start_with(&provider.config(&provider.client_secret)).await;
    assert_eq!(server.read("/login").await["oidc"], true);
    let way = Way::new(&server, &provider);
    let anna = json!({ "preferred_username": "Anna", "name": "Anna B." });
    let claims = |groups: &[&str]| {
        let mut claims = anna.clone();
        claims["groups"] = json!(groups);
        claims
    };
    provider.know("17", &claims(&["nurses", "cooks"])).await;
    let browser = way.browser("17").await;
    let me = browser.read("/me").await;
    assert_eq!(
        (&me["who"], &me["role"]),
        (&json!("user:anna"), &json!("viewer"))
    );
    assert_eq!(me["display_name"], "Anna B.");
    assert_eq!(
        server.read("/users/anna").await["source"],
        "identity-provider"
    );

    provider
        .know("17", &claims(&["nurses", "it-security"]))
        .await;
    way.browser("17").await;
    assert_eq!(browser.read("/me").await["role"], "security");
    assert_eq!(
        server.read("/setup").await["open"],
        true,
        "there is no local administrator"
    );
    let change = |body: Json| {
        let request = server.request(Role::Administrator, Method::PATCH, "/users/anna");
        request.header("If-Match", "\"2\"").json(&body).send()
    };
    let role = change(json!({ "role": "administrator" }))
        .await
        .expect("an answer");
    assert_eq!(problem(role).await.0, 409);
    let password = server.request(Role::Administrator, Method::PUT, "/users/anna/password");
    let password = password.json(&json!({ "password": "another horse battery" }));
    assert_eq!(
        problem(password.send().await.expect("an answer")).await.0,
        409
    );
    let disable = change(json!({ "disabled": true }))
        .await
        .expect("an answer");
    assert_eq!(disable.status(), StatusCode::OK);
    assert_eq!(problem(way.log_in("17").await).await.0, 403);
    let log = server.log();
    assert!(!log.contains(&provider.client_secret), "{log}");
}

/// Nobody is let in by it.
async fn refused(answer: Response, why: &str) {
    assert!(!answer.headers().contains_key("set-cookie"), "{why}");
    assert_eq!(
        problem(answer).await,
        (403, "forbidden".to_owned()),
        "{why}"
    );
}

#[tokio::test]
async fn whoever_has_no_role_or_the_name_of_another_is_refused() {
    let Some(python) = python("refusals after the claims of an identity provider") else {
        return;
    };
    let provider = Provider::start(python).await;
    let server = Server::start_with(&provider.config(&provider.client_secret)).await;
    let way = Way::new(&server, &provider);
    let somebody =
        |name: &str, group: &str| json!({ "preferred_username": name, "groups": [group] });
    provider.know("1", &somebody("cook", "cooks")).await;
    refused(way.log_in("1").await, "no group with a role").await;
    let (denied, cookie) = way.there("action=deny").await;
    refused(way.back(&denied, &cookie).await, "denied at the provider").await;
    provider
        .know("2", &somebody("no name here", "nurses"))
        .await;
    refused(way.log_in("2").await, "a name that cannot be one").await;
    make_user(&server, "carl", Role::Viewer).await;
    provider.know("3", &somebody("carl", "nurses")).await;
    let taken = way.log_in("3").await;
    assert_eq!(problem(taken).await, (409, "conflict".to_owned()));
}

#[tokio::test]
async fn whoever_did_not_leave_from_here_is_refused() {
    let Some(python) = python("refusals of browsers that an identity provider did not get") else {
        return;
    };
    let provider = Provider::start(python).await;
    let server = Server::start_with(&provider.config(&provider.client_secret)).await;
    let way = Way::new(&server, &provider);
    let bert = json!({ "preferred_username": "bert", "groups": ["nurses"] });
    provider.know("2", &bert).await;
    let (back, cookie) = way.there("sub=2").await;
    let (_, another) = way.there("sub=2").await;
    let other_state = back.replace("state=", "state=x");
    let other_issuer = format!("{back}&iss=https://elsewhere.example");
    for (path, cookie, why) in [
        (&back, &String::from("x=y"), "without the cookie"),
        (&back, &another, "with the cookie of another login"),
        (&other_state, &cookie, "another state"),
        (&other_issuer, &cookie, "another issuer"),
    ] {
        refused(way.back(path, cookie).await, why).await;
    }
    let first = way.back(&back, &cookie).await;
    assert_eq!(first.status(), StatusCode::SEE_OTHER);
    refused(way.back(&back, &cookie).await, "the same code once more").await;
    let code = back
        .split("code=")
        .nth(1)
        .and_then(|rest| rest.split('&').next());
    let log = server.log();
    assert!(!log.contains(code.expect("a code")), "a code is in {log}");
}

#[tokio::test]
async fn a_wrong_client_secret_lets_nobody_in_and_is_not_told() {
    let Some(python) = python("a wrong client secret") else {
        return;
    };
    let provider = Provider::start(python).await;
    let server = Server::start_with(&provider.config("a wrong client secret")).await;
    let way = Way::new(&server, &provider);
    provider
        .know(
            "2",
            &json!({ "preferred_username": "bert", "groups": ["nurses"] }),
        )
        .await;
    let answer = way.log_in("2").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let body = answer.text().await.expect("a body");
    for (place, text) in [("the answer", body), ("the log", server.log())] {
        assert!(!text.contains("a wrong client secret"), "{place}: {text}");
    }
}

#[tokio::test]
async fn a_provider_that_is_away_is_said_to_be_away() {
    let config = "[oidc]\nissuer = \"https://127.0.0.1:1\"\nclient_id = \"w\"\n\
                  redirect_url = \"https://w/api/v1/login/oidc/callback\"\n\
                  role_claim = \"groups\"\nroles = { nurses = \"viewer\" }\n";
    let server = Server::start_with(config).await;
    let answer = server.anonymous(Method::GET, "/login/oidc").send().await;
    assert_eq!(
        problem(answer.expect("an answer")).await,
        (503, "unavailable".to_owned())
    );
}
