//! The ward's long-running programs, remembered on disk so that a later run can end exactly those.
//!
//! Each program leads a process group of its own. Its record holds the process id *and* the start
//! time the kernel gives: a process id that has been given to somebody else is never signalled.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::netns::describe;

/// How long a program may take to end when asked.
const GRACE: Duration = Duration::from_secs(1);

/// A program the ward started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    /// Host it runs on.
    pub host: String,
    /// What it does there.
    pub service: String,
    /// Process id, also the id of its process group.
    pub pid: i32,
    /// Start time in clock ticks since boot.
    pub start_ticks: u64,
}

impl Tracked {
    /// Whether this very process still runs.
    pub fn alive(&self) -> bool {
        start_ticks(self.pid) == Some(self.start_ticks)
    }
}

/// The file of records, one JSON object a line, only ever appended to.
#[derive(Debug, Clone)]
pub struct Register {
    path: PathBuf,
}

impl Register {
    /// Uses the register at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Every program recorded, in the order of start.
    pub fn read(&self) -> Vec<Tracked> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Starts `command` in its own process group with its output in `log`, and records it.
    ///
    /// # Errors
    /// When the program cannot be started, or has ended before it could be recorded.
    pub fn spawn(
        &self,
        host: &str,
        service: &str,
        mut command: Command,
        log: &Path,
    ) -> Result<Tracked> {
        use std::os::unix::process::CommandExt;

        let output =
            File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone().context("cannot share the log")?;
        let child: Child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot start {}", describe(&command)))?;
        let pid = i32::try_from(child.id()).context("process id out of range")?;
        let Some(start_ticks) = start_ticks(pid) else {
            bail!(
                "{} ended at once, see {}",
                describe(&command),
                log.display()
            );
        };
        let tracked = Tracked {
            host: host.to_owned(),
            service: service.to_owned(),
            pid,
            start_ticks,
        };
        self.append(&tracked)?;
        Ok(tracked)
    }

    fn append(&self, tracked: &Tracked) -> Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .with_context(|| format!("cannot open {}", self.path.display()))?;
        let line = serde_json::to_string(tracked).context("cannot encode a process record")?;
        writeln!(file, "{line}").with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Ends process groups: asks first, then insists after [`GRACE`].
pub fn end(programs: &[Tracked]) {
    let alive = || programs.iter().filter(|program| program.alive());
    for program in alive() {
        signal_group(program.pid, Signal::TERM);
    }
    let deadline = Instant::now() + GRACE;
    while alive().next().is_some() && Instant::now() < deadline {
        sleep(Duration::from_millis(20));
    }
    for program in alive() {
        signal_group(program.pid, Signal::KILL);
    }
}

/// Kills single processes, for instance children that left their group.
pub fn kill(pids: &[i32]) {
    for pid in pids.iter().filter_map(|&pid| Pid::from_raw(pid)) {
        // It may have ended by itself meanwhile, which is what we want.
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn signal_group(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // As above: a group that is already gone is no failure.
        let _ = kill_process_group(pid, signal);
    }
}

/// When the process started, or `None` if it is gone or a zombie.
fn start_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_program_is_found_again_and_ended() {
        let dir = std::env::temp_dir().join(format!("wardline-lab-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let register = Register::new(dir.join("processes.jsonl"));
        let mut command = Command::new("sleep");
        command.arg("60");
        let started = register
            .spawn("ct", "sleep", command, &dir.join("log"))
            .unwrap();
        assert_eq!(register.read().as_slice(), std::slice::from_ref(&started));
        assert!(started.alive());
        end(std::slice::from_ref(&started));
        let deadline = Instant::now() + Duration::from_secs(5);
        while started.alive() && Instant::now() < deadline {
            sleep(Duration::from_millis(10));
        }
        assert!(!started.alive());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_reused_process_id_is_not_ours() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let other = Tracked {
            host: "ct".into(),
            service: "x".into(),
            pid,
            start_ticks: 1,
        };
        assert!(!other.alive());
    }
}
