//! The management plane beside the ward: an unprivileged process on the host that reaches the
//! gateway through its control socket and nothing else.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use rustix::process::{Pid, WaitOptions, waitpid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::process::{self, Tracked};
use crate::ward::Ward;

/// How long it may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Debian's user without rights: `nobody`, `nogroup`.
const USER: u32 = 65_534;
/// Host and service under which it is recorded.
const PLACE: (&str, &str) = ("host", "management");
/// How long it may take to answer one request.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long the token of the demo holds, in hours.
const TOKEN_HOURS: &str = "24";

/// A management plane that answers.
#[derive(Debug, Clone)]
pub struct Management {
    /// Where, such as `https://127.0.0.1:8443`.
    pub address: String,
    /// The certificate to trust.
    pub ca_certificate: PathBuf,
    /// A token of an administrator.
    pub token: String,
    /// The process that answers.
    process: Tracked,
}

/// Asks a management plane as a program would.
#[derive(Debug)]
pub struct Api {
    base: String,
    token: String,
    client: reqwest::Client,
    runtime: Runtime,
}

/// What it answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status of HTTP.
    pub status: u16,
    /// Revision of what was read, as `If-Match` wants it.
    pub etag: Option<String>,
    /// The body; null where there is none.
    pub body: Value,
}

/// What it shows of the ward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Devices in its inventory.
    pub devices: usize,
}

impl Management {
    /// What it shows of the ward.
    ///
    /// # Errors
    /// When it does not answer, or not as described.
    pub fn shown(&self) -> Result<Shown> {
        let devices = self.api()?.read("/devices?limit=1000")?;
        let devices = devices["items"].as_array().map(Vec::len);
        Ok(Shown {
            devices: devices.context("the list of devices has no items")?,
        })
    }

    /// A connection to it.
    ///
    /// # Errors
    /// When its certificate cannot be read.
    pub fn api(&self) -> Result<Api> {
        let pem = fs::read(&self.ca_certificate).context("the certificate to trust")?;
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&pem)?])
            .timeout(ANSWER_LIMIT);
        Ok(Api {
            base: format!("{}/api/v1", self.address),
            token: self.token.clone(),
            client: client.build()?,
            runtime: Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// Ends it as a crash would, and waits until nothing of it is left.
    ///
    /// # Errors
    /// When it is not a child of this process.
    pub fn kill(&self) -> Result<()> {
        process::kill(&[self.process.pid]);
        waitpid(Pid::from_raw(self.process.pid), WaitOptions::empty())
            .context("waiting for the end of the management plane")?;
        Ok(())
    }

    /// Starts it again on what it kept.
    ///
    /// # Errors
    /// What did not come up, with the end of its log.
    pub fn start_again(&mut self, ward: &Ward, program: &Path) -> Result<()> {
        let (process, ready) = launch(ward, program, &directory(ward))?;
        self.process = process;
        self.address = ready.address;
        Ok(())
    }

    /// Whether no record of its audit log was altered or is missing, as its own verifier says.
    ///
    /// # Errors
    /// What the verifier found.
    pub fn verify_audit(&self, ward: &Ward, program: &Path) -> Result<()> {
        let mut command = unprivileged(program);
        command.arg("--config").arg(config_file(&directory(ward)));
        let output = command.args(["audit", "verify"]).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "the audit log: {}", said.trim());
        Ok(())
    }
}

impl Api {
    /// What stands at a path of it.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub fn read(&self, path: &str) -> Result<Value> {
        let answer = self.ask(Method::GET, path, None, None)?;
        ensure!(
            answer.status == 200,
            "GET {path}: {} {}",
            answer.status,
            answer.body
        );
        Ok(answer.body)
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// When there is none.
    pub fn ask(
        &self,
        method: Method,
        path: &str,
        if_match: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method, &url).bearer_auth(&self.token);
        if let Some(etag) = if_match {
            request = request.header("if-match", etag);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = self.runtime.block_on(async {
            let response = request.send().await?;
            let etag = response.headers().get("etag");
            let etag = etag.and_then(|etag| etag.to_str().ok()).map(str::to_owned);
            let (status, bytes) = (response.status().as_u16(), response.bytes().await?);
            anyhow::Ok((status, etag, bytes))
        });
        let (status, etag, bytes) = answer.with_context(|| format!("asking {url}"))?;
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes).context("the answer is no JSON")?,
        };
        Ok(Answer { status, etag, body })
    }
}

/// What it says when it is ready.
#[derive(Debug, Deserialize)]
struct Ready {
    address: String,
    ca_certificate: PathBuf,
}

/// The user of the process, who must be let in by the gateway.
pub const fn user() -> u32 {
    USER
}

/// An address of the loopback interface that nobody listens at.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?)
}

/// Starts it and waits until it answers.
///
/// # Errors
/// What did not come up, with the end of its log.
pub fn start(ward: &Ward, program: &Path, address: SocketAddr) -> Result<Management> {
    let dir = directory(ward);
    prepare(ward, &dir, address)?;
    let token = make_token(program, &config_file(&dir))?;
    let (process, ready) = launch(ward, program, &dir)?;
    Ok(Management {
        address: ready.address,
        ca_certificate: ready.ca_certificate,
        token,
        process,
    })
}

/// Where it keeps what it keeps.
pub(crate) fn directory(ward: &Ward) -> PathBuf {
    ward.dir().join("management")
}

fn config_file(dir: &Path) -> PathBuf {
    dir.join("mgmt.toml")
}

fn launch(ward: &Ward, program: &Path, dir: &Path) -> Result<(Tracked, Ready)> {
    let ready = dir.join("ready.json");
    // That of a killed predecessor would look like a start.
    if ready.exists() {
        fs::remove_file(&ready).with_context(|| format!("cannot remove {}", ready.display()))?;
    }
    let mut command = unprivileged(program);
    command.arg("--config").arg(config_file(dir));
    command.arg("--ready").arg(&ready);
    let process = ward.start(PLACE.0, PLACE.1, command)?;
    ward.wait_for(
        &process,
        "the management plane answers",
        START_LIMIT,
        || ready.exists(),
    )?;
    let text = fs::read_to_string(&ready).context("what the management plane says of itself")?;
    let ready = serde_json::from_str(&text).context("what it says is no JSON")?;
    Ok((process, ready))
}

/// Its directory and configuration, for its user alone.
fn prepare(ward: &Ward, dir: &Path, address: SocketAddr) -> Result<()> {
    let doing = || format!("cannot prepare {}", dir.display());
    fs::create_dir_all(dir).with_context(doing)?;
    let config = config_file(dir);
    let text = format!(
        "[listen]\naddress = \"{address}\"\n\n[state]\ndir = \"{dir}/state\"\n\n\
         [fastpath]\nsocket = \"{socket}\"\ndevices_every_s = 2\nflows_every_s = 5\n",
        dir = dir.display(),
        socket = ward.control_socket().display(),
    );
    fs::write(&config, text).with_context(doing)?;
    for path in [dir, &config] {
        chown(path, Some(USER), Some(USER)).with_context(doing)?;
    }
    fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).with_context(doing)?;
    Ok(())
}

fn make_token(program: &Path, config: &Path) -> Result<String> {
    let mut command = unprivileged(program);
    command.arg("--config").arg(config);
    command.args([
        "token",
        "create",
        "--name",
        "demo",
        "--role",
        "administrator",
    ]);
    command.args(["--hours", TOKEN_HOURS]);
    let output = command
        .output()
        .context("cannot start the management plane")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "no token for the demo: {}",
        said.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.uid(USER).gid(USER).env_clear();
    command
}
