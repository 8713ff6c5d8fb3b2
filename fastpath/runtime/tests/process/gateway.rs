//! A running `wardline-fastpath`, and a client that asks it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use wardline_control::{
    Applied, ApplyOptions, Client, ClientError, PolicyFormat, PolicyText, Status,
};

use crate::lab::Wire;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The process and its files; killed and removed when dropped.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

/// What differs from the plainest configuration.
#[derive(Debug, Default)]
pub struct GatewayOptions<'a> {
    pub mtu: Option<u16>,
    pub workers: Option<u16>,
    /// Initial policy.
    pub policy: Option<&'a str>,
    /// Further keys of `[control]`.
    pub control: &'a str,
    /// Further configuration, as TOML tables.
    pub extra: &'a str,
    pub detach: bool,
}

impl Gateway {
    /// Starts it on a wire and waits until it forwards.
    pub fn start(wire: &Wire, options: &GatewayOptions<'_>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        write_config(dir.path(), options);
        let child = spawn(wire, dir.path(), options.detach);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let mut gateway = Self {
            child,
            dir,
            runtime,
        };
        gateway.wait_until_it_serves();
        gateway
    }

    /// Starts another process with the same files, after this one has ended.
    pub fn restart(&mut self, wire: &Wire) {
        self.child = spawn(wire, self.dir.path(), false);
    }

    pub fn wait_until_it_serves(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.try_connect() {
                Ok(_) => return,
                Err(error) if Instant::now() > deadline => panic!("{error}\n{}", self.log()),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
            if let Some(status) = self.child.try_wait().expect("our child") {
                panic!("it ended with {status}\n{}", self.log());
            }
        }
    }

    fn try_connect(&self) -> Result<Client, ClientError> {
        self.runtime
            .block_on(Client::connect(self.dir.path().join("socket"), "test"))
    }

    /// Asks over a new connection.
    pub fn ask<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        call: impl FnOnce(Client) -> F,
    ) -> Result<T, ClientError> {
        let client = self.try_connect()?;
        self.runtime.block_on(call(client))
    }

    pub fn status(&self) -> Status {
        self.ask(|c| async move { c.status().await })
            .expect("a status")
    }

    /// Applies a TOML policy.
    pub fn apply(&self, text: &str) -> Result<Applied, ClientError> {
        self.apply_with(text, ApplyOptions::default())
    }

    pub fn apply_with(&self, text: &str, options: ApplyOptions) -> Result<Applied, ClientError> {
        let policy = policy_text(text);
        self.ask(|c| async move { c.policy_apply(policy, options).await })
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("our child");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end\n{}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the gateway's log:\n{}", self.log());
        }
    }
}

pub fn policy_text(text: &str) -> PolicyText {
    PolicyText {
        name: "test.toml".into(),
        format: PolicyFormat::Toml,
        text: text.into(),
    }
}

/// The files of a gateway, for a start that is expected to fail as well.
pub fn write_config(dir: &Path, options: &GatewayOptions<'_>) {
    let at = |name: &str| dir.join(name).display().to_string();
    let mtu = options.mtu.unwrap_or(1_500);
    let workers = options.workers.unwrap_or(1);
    let initial = options.policy.map_or_else(String::new, |text| {
        fs::write(dir.join("initial.toml"), text).expect("written");
        format!("[policy]\ninitial = {:?}\n", at("initial.toml"))
    });
    let config = format!(
        "[ports.ward]\ndriver = \"af_xdp\"\ninterface = \"ward\"\nmtu = {mtu}\n\
         [ports.core]\ndriver = \"af_xdp\"\ninterface = \"core\"\nmtu = {mtu}\n\
         [workers]\ncount = {workers}\n\
         [control]\nsocket = {:?}\n{}\
         [state]\ndir = {:?}\nheartbeat = {:?}\n\
         {initial}{}",
        at("socket"),
        options.control,
        at("state"),
        at("heartbeat"),
        options.extra
    );
    fs::write(dir.join("config.toml"), config).expect("written");
}

fn spawn(wire: &Wire, dir: &Path, detach: bool) -> Child {
    let log = fs::File::create(dir.join("log")).expect("a log file");
    let mut command = wire
        .gateway
        .command(env!("CARGO_BIN_EXE_wardline-fastpath"));
    command.arg("--config").arg(dir.join("config.toml"));
    if detach {
        command.arg("--detach");
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the process starts")
}
