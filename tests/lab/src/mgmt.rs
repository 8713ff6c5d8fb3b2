//! The management plane beside the ward: an unprivileged process on the host that reaches the
//! gateway through its control socket and nothing else.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::runtime::Builder;

use crate::ward::Ward;

/// How long it may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Debian's user without rights: `nobody`, `nogroup`.
const USER: u32 = 65_534;
/// Host and service under which it is recorded.
const PLACE: (&str, &str) = ("host", "management");
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
}

/// What it shows of the ward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Devices in its inventory.
    pub devices: usize,
}

impl Management {
    /// Asks it as a program would.
    ///
    /// # Errors
    /// When it does not answer, or not as described.
    pub fn shown(&self) -> Result<Shown> {
        let devices = self.read("/devices?limit=1000")?;
        let devices = devices["items"].as_array().map(Vec::len);
        Ok(Shown {
            devices: devices.context("the list of devices has no items")?,
        })
    }

    /// What stands at a path of its API.
    fn read(&self, path: &str) -> Result<Value> {
        let url = format!("{}/api/v1{path}", self.address);
        let pem = fs::read(&self.ca_certificate).context("the certificate to trust")?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let answer = runtime.block_on(async {
            let client = reqwest::Client::builder()
                .tls_certs_only([reqwest::Certificate::from_pem(&pem)?])
                .build()?;
            let request = client.get(&url).bearer_auth(&self.token);
            request.send().await?.error_for_status()?.json().await
        });
        answer.with_context(|| format!("asking {url}"))
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

/// Starts it and waits until it answers.
///
/// # Errors
/// What did not come up, with the end of its log.
pub fn start(ward: &Ward, program: &Path, address: SocketAddr) -> Result<Management> {
    let dir = ward.dir().join("management");
    let config = prepare(ward, &dir, address)?;
    let token = make_token(program, &config)?;
    let ready = dir.join("ready.json");
    let mut command = unprivileged(program);
    command
        .arg("--config")
        .arg(&config)
        .arg("--ready")
        .arg(&ready);
    let process = ward.start(PLACE.0, PLACE.1, command)?;
    ward.wait_for(
        &process,
        "the management plane answers",
        START_LIMIT,
        || ready.exists(),
    )?;
    let text = fs::read_to_string(&ready).context("what the management plane says of itself")?;
    let ready: Ready = serde_json::from_str(&text).context("what it says is no JSON")?;
    Ok(Management {
        address: ready.address,
        ca_certificate: ready.ca_certificate,
        token,
    })
}

/// Its directory and configuration, for its user alone.
fn prepare(ward: &Ward, dir: &Path, address: SocketAddr) -> Result<PathBuf> {
    let doing = || format!("cannot prepare {}", dir.display());
    fs::create_dir_all(dir).with_context(doing)?;
    let config = dir.join("mgmt.toml");
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
    Ok(config)
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
