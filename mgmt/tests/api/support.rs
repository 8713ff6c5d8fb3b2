//! Starts the program, and asks it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::MutexGuard;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value as Json;
use tempfile::TempDir;
use wardline_mgmt::auth::Role;
use wardline_mgmt::auth::token::{self, NewToken};
use wardline_mgmt::store::{Actor, Record, Store};
use wardline_mgmt::time::Time;

use crate::played::{Played, Stage};

/// How long anything may take that happens by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running management plane with a played fast path; both end when it is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    dir: TempDir,
    pub played: Option<Played>,
    pub base: String,
    pub client: Client,
    tokens: Vec<(Role, String)>,
    env: Vec<(&'static str, String)>,
}

/// What a server starts from.
#[derive(Debug)]
pub struct Setup {
    /// Where everything of it lies; the state directory is `state` in it.
    pub dir: TempDir,
    /// More lines on where it listens.
    pub listen: String,
    /// More lines of configuration.
    pub config: String,
    /// Variables of its environment.
    pub env: Vec<(&'static str, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a folder"),
            listen: String::new(),
            config: String::new(),
            env: Vec::new(),
        }
    }
}

impl Server {
    /// Starts it with a fresh state directory and a token for each role.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// As [`Server::start`], with more lines of configuration.
    pub async fn start_with(more: &str) -> Self {
        Self::start_from(Setup {
            config: more.to_owned(),
            ..Setup::default()
        })
        .await
    }

    /// As [`Server::start_with`], with more lines on where it listens.
    pub async fn start_listening(listen: &str, more: &str) -> Self {
        Self::start_from(Setup {
            listen: listen.to_owned(),
            config: more.to_owned(),
            ..Setup::default()
        })
        .await
    }

    /// As [`Server::start`], from what a test prepared.
    pub async fn start_from(setup: Setup) -> Self {
        let Setup {
            dir,
            listen,
            config,
            env,
        } = setup;
        let played = Played::start(&dir.path().join("fastpath.sock"));
        let mut tokens = Vec::new();
        let store = Store::open(&dir.path().join("state"))
            .await
            .expect("a store");
        for role in Role::ALL {
            let mut change = store.change(Actor::system()).await.expect("a change");
            let new = NewToken {
                name: role.name(),
                role,
                scopes: &[],
                expires: Time::now().plus_s(3_600),
            };
            let secret = token::create(&mut change, &new).await.expect("a token");
            let record = Record::new("create_token", format!("token/{}", role.name()));
            change.commit(record).await.expect("kept");
            tokens.push((role, secret.reveal().to_owned()));
        }
        store.close().await;
        let config = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n{listen}[state]\ndir = \"{dir}/state\"\n\
             [fastpath]\nsocket = \"{dir}/fastpath.sock\"\ndevices_every_s = 1\n\
             flows_every_s = 1\n{config}",
            dir = dir.path().display()
        );
        fs::write(dir.path().join("mgmt.toml"), config).expect("written");
        let (process, base, client) = launch(dir.path(), &env).await;
        Self {
            process,
            dir,
            played: Some(played),
            base,
            client,
            tokens,
            env,
        }
    }

    /// A request with the token of a role.
    pub fn request(&self, role: Role, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.token(role))
    }

    /// The token of a role.
    pub fn token(&self, role: Role) -> &str {
        let mut tokens = self.tokens.iter();
        &tokens.find(|token| token.0 == role).expect("one each").1
    }

    /// A request without credentials.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}/api/v1{path}", self.base))
    }

    /// What an administrator reads at a path; must be there.
    pub async fn read(&self, path: &str) -> Json {
        let request = self.request(Role::Administrator, Method::GET, path);
        let response = request.send().await.expect("an answer");
        let status = response.status();
        let body = response.text().await.expect("a body");
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// Reads a path until it shows what is waited for.
    pub async fn read_until(&self, path: &str, shows: impl Fn(&Json) -> bool) -> Json {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let read = self.read(path).await;
            if shows(&read) {
                return read;
            }
            assert!(
                tokio::time::Instant::now() < end,
                "{path} shows only {read:#}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The folder that holds everything of this server.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Everything the process has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).expect("a log")
    }

    /// Everything it has said to whoever started it.
    pub fn console(&self) -> String {
        fs::read_to_string(self.dir.path().join("console")).expect("a console")
    }

    /// The certificate authority to trust.
    pub fn authority(&self) -> reqwest::Certificate {
        authority(&self.state().join("tls/ca.pem"))
    }

    /// Its database, beside the running process.
    pub async fn store(&self) -> Store {
        Store::open(&self.state()).await.expect("a store")
    }

    /// Id of the process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Kills the process as a crash would.
    pub fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("gone");
    }

    /// Starts the process again.
    pub async fn start_again(&mut self) {
        let launched = launch(self.dir.path(), &self.env).await;
        (self.process, self.base, self.client) = launched;
    }

    /// Kills the process as a crash would, and starts it again.
    pub async fn crash(&mut self) {
        self.kill();
        self.start_again().await;
    }

    /// Runs a command of the program, beside the one that serves, to its end.
    pub fn command(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardline-mgmt"));
        command.args(args).stdin(Stdio::null());
        command
            .arg("--config")
            .arg(self.dir.path().join("mgmt.toml"));
        command.output().expect("the program")
    }

    /// The fast path goes away.
    pub fn fastpath_goes(&mut self) {
        self.played = None;
    }

    /// It comes back with what it saved.
    pub fn fastpath_comes_with(&mut self, stage: Stage) {
        let socket = self.dir.path().join("fastpath.sock");
        self.played = Some(Played::start_with(&socket, stage));
    }

    /// What the played fast path knows.
    pub fn stage(&self) -> MutexGuard<'_, Stage> {
        self.played.as_ref().expect("played").stage()
    }

    /// What a role gets for a JSON body.
    pub async fn send(&self, role: Role, method: Method, path: &str, body: &Json) -> (u16, Json) {
        let request = self.request(role, method, path).json(body);
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        (
            status,
            serde_json::from_str(&text).unwrap_or(Json::String(text)),
        )
    }

    /// What a job ended with.
    pub async fn ended(&self, job: &Json) -> Json {
        let path = format!("/jobs/{}", job["id"]);
        let over = |job: &Json| job["state"] == "done" || job["state"] == "failed";
        self.read_until(&path, over).await
    }

    /// It comes back, knowing nothing.
    pub fn fastpath_comes(&mut self) {
        self.played = Some(Played::start(&self.dir.path().join("fastpath.sock")));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            eprintln!("--- log of the management plane\n{log}");
        }
    }
}

async fn launch(dir: &Path, env: &[(&str, String)]) -> (Child, String, Client) {
    let (ready, log) = (dir.join("ready.json"), dir.join("log"));
    let _ = fs::remove_file(&ready);
    let append = |path: PathBuf| {
        let mut options = fs::OpenOptions::new();
        options.create(true).append(true).open(path).expect("a log")
    };
    let mut process = Command::new(env!("CARGO_BIN_EXE_wardline-mgmt"))
        .arg("--config")
        .arg(dir.join("mgmt.toml"))
        .arg("--ready")
        .arg(&ready)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(append(dir.join("console")))
        .stderr(append(log))
        .spawn()
        .expect("the program");
    let end = tokio::time::Instant::now() + PATIENCE;
    let ready: Json = loop {
        if let Ok(text) = fs::read_to_string(&ready) {
            break serde_json::from_str(&text).expect("JSON");
        }
        let gone = process.try_wait().expect("its state");
        let late = tokio::time::Instant::now() >= end;
        if gone.is_some() || late {
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            panic!("it did not start ({gone:?}): {log}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let certificate = authority(Path::new(
        ready["ca_certificate"].as_str().expect("its own"),
    ));
    let client = Client::builder()
        .tls_certs_only([certificate])
        .build()
        .expect("a client");
    let base = ready["address"].as_str().expect("an address").to_owned();
    (process, base, client)
}

fn authority(path: &Path) -> reqwest::Certificate {
    reqwest::Certificate::from_pem(&fs::read(path).expect("read")).expect("a certificate")
}

/// A program of the laboratory's Python environment, which `cargo xtask setup` makes; says so
/// where it is not there.
pub fn python(test: &str) -> Option<PathBuf> {
    let made_by_setup = || {
        let target = Path::new(env!("CARGO_BIN_EXE_wardline-mgmt"))
            .ancestors()
            .nth(2);
        target.expect("cargo's folder").join("lab/venv")
    };
    let venv = std::env::var_os("WARDLINE_LAB_VENV").map_or_else(made_by_setup, PathBuf::from);
    let python = venv.join("bin/python");
    if python.exists() {
        return Some(python);
    }
    eprintln!(
        "SKIPPED: {test} needs {}: `cargo xtask setup` makes it",
        python.display()
    );
    None
}

/// The code of a problem, with its status.
pub async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let kind = response.headers()["content-type"]
        .to_str()
        .expect("text")
        .to_owned();
    assert_eq!(kind, "application/problem+json");
    let body: Json = serde_json::from_str(&response.text().await.expect("a body")).expect("JSON");
    assert_eq!(body["status"], status, "{body:#}");
    (status, body["code"].as_str().expect("a code").to_owned())
}
