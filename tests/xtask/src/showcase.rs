//! The demo as a stranger meets it: killed, run again, read, interrupted, and gone without a trace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::tools;

/// How long a ward may take to come up on a slow machine.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// How long an interrupted demo may take to put everything away.
const END_LIMIT: Duration = Duration::from_secs(30);
/// How long the demo plays in the test, in seconds.
const SECONDS: &str = "20";

/// Kills a demo, runs another over its remains, and reads what it reports.
///
/// # Errors
/// When the demo fails, reports what it must not, or leaves something behind.
pub fn run() -> Result<()> {
    tools::build()?;
    let files = Files::new()?;
    let killed = Demo::start(&files)?;
    killed.signal("KILL")?;
    killed.wait()?;
    ensure!(
        !remains()?.is_empty(),
        "a killed demo left nothing, so nothing was up"
    );

    files.clear()?;
    let mut command = tools::lab_command()?;
    command.args(["demo", "--headless", "--seconds", SECONDS]);
    command
        .arg("--json")
        .arg(&files.json)
        .arg("--ready")
        .arg(&files.ready);
    tools::run(command.stdin(Stdio::null()))?;
    check_nothing_remains()?;
    check_ready(&read(&files.ready)?)?;
    check_report(&read(&files.json)?)
}

/// Interrupts a demo as Ctrl-C does.
///
/// # Errors
/// When it does not end in time, or leaves something behind.
pub fn interrupt() -> Result<()> {
    tools::build()?;
    let files = Files::new()?;
    let demo = Demo::start(&files)?;
    demo.signal("INT")?;
    let status = demo.wait()?;
    ensure!(
        !status.success(),
        "an interrupted demo must not pass for a complete one"
    );
    check_nothing_remains()
}

/// A demo without a person that plays far longer than the test takes.
struct Demo(Child);

impl Demo {
    /// Starts it and waits until it says that everything is up.
    fn start(files: &Files) -> Result<Self> {
        files.clear()?;
        let mut command = tools::lab_command()?;
        command
            .args(["demo", "--headless", "--seconds", "3600"])
            .arg("--ready")
            .arg(&files.ready);
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .context("starting the demo")?;
        let mut demo = Self(child);
        let deadline = Instant::now() + READY_LIMIT;
        while !files.ready.exists() {
            if let Some(status) = demo.0.try_wait()? {
                bail!("the demo ended with {status} before everything was up");
            }
            ensure!(
                Instant::now() < deadline,
                "the demo is not up after {READY_LIMIT:?}"
            );
            sleep(Duration::from_millis(100));
        }
        Ok(demo)
    }

    fn signal(&self, name: &str) -> Result<()> {
        tools::run(Command::new("kill").args(["-s", name, &self.0.id().to_string()]))
    }

    fn wait(mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + END_LIMIT;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "the demo still runs {END_LIMIT:?} after the signal"
            );
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // What it leaves then, the next ward of the same name removes.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Where the demo writes, in cargo's target folder.
struct Files {
    json: PathBuf,
    ready: PathBuf,
}

impl Files {
    fn new() -> Result<Self> {
        let folder = tools::scratch()?;
        Ok(Self {
            json: folder.join("demo.json"),
            ready: folder.join("ready.json"),
        })
    }

    fn clear(&self) -> Result<()> {
        for file in [&self.json, &self.ready] {
            if file.exists() {
                fs::remove_file(file).with_context(|| format!("removing {}", file.display()))?;
            }
        }
        Ok(())
    }
}

fn read(file: &Path) -> Result<Value> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

fn check_ready(ready: &Value) -> Result<()> {
    let hosts = ready["hosts"].as_array().map_or(0, Vec::len);
    ensure!(hosts > 0, "the ready file names no host");
    ensure!(
        ready["control_socket"].is_string(),
        "the ready file names no control socket"
    );
    for part in ["address", "ca_certificate", "token"] {
        ensure!(
            ready["management"][part].is_string(),
            "the ready file names no {part} of the management plane"
        );
    }
    Ok(())
}

fn check_report(report: &Value) -> Result<()> {
    let list = |name: &str| {
        let list = report[name].as_array().filter(|list| !list.is_empty());
        list.with_context(|| format!("the report's `{name}` is empty"))
    };
    for port in list("ports")? {
        ensure!(
            port["driver"] == "af_xdp",
            "a port is not driven by AF_XDP: {port}"
        );
    }
    for allowed in list("allowed")? {
        ensure!(allowed["success"] == true, "an exchange failed: {allowed}");
    }
    for attack in list("attacks")? {
        ensure!(attack["reached"] == 0, "an attack arrived: {attack}");
    }
    list("devices")?;
    list("flows")?;
    ensure!(
        report["emulated"] == true,
        "the report does not say that its devices are emulated"
    );
    list("naming")?;
    let privacy = &report["privacy"];
    ensure!(
        privacy["marks"].as_u64() > Some(0) && privacy["found"] == serde_json::json!([]),
        "patients are named, or none came by: {privacy}"
    );
    let loss = &report["loss"];
    let received = loss["received"].as_u64().unwrap_or(0);
    ensure!(
        received > 0 && loss["lost"] == 0,
        "allowed traffic was lost: {loss}"
    );
    let denied = report["verdicts"]["no-rule"].as_u64().unwrap_or(0);
    ensure!(
        denied > 0,
        "nothing was denied for want of a rule, so nothing was enforced"
    );
    ensure!(
        report["startup_ms"].is_u64(),
        "the report has no start-up time"
    );
    Ok(())
}

fn check_nothing_remains() -> Result<()> {
    let remains = remains()?;
    ensure!(
        remains.is_empty(),
        "the demo left behind: {}",
        remains.join(", ")
    );
    Ok(())
}

/// What a ward leaves in the system: namespaces, their files, its own folder.
fn remains() -> Result<Vec<String>> {
    let mut remains = Vec::new();
    for folder in ["/run/netns", "/etc/netns"] {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("reading {folder}"))?;
            if entry.file_name().to_string_lossy().starts_with("wl-") {
                remains.push(entry.path().display().to_string());
            }
        }
    }
    let folder = Path::new("/run/wardline-lab/wl");
    if folder.exists() {
        remains.push(folder.display().to_string());
    }
    Ok(remains)
}
