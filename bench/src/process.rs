//! Programs the harness starts: they end with it, and can be paused while others are measured.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take to end when asked.
const GRACE: Duration = Duration::from_secs(3);
/// Lines of a log that are quoted when its program failed.
const QUOTED: usize = 6;

/// A running program. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// A command that runs on these CPUs and does not outlive the thread that starts it, whatever
/// happens to that.
pub fn bound_to(cpus: &[usize], program: impl AsRef<Path>) -> Command {
    let list: Vec<String> = cpus.iter().map(ToString::to_string).collect();
    let mut command = Command::new("taskset");
    command
        .args(["--cpu-list", &list.join(",")])
        .args(["setpriv", "--pdeathsig", "KILL"])
        .arg(program.as_ref())
        .stdin(Stdio::null());
    command
}

impl Process {
    /// Starts a program with its output in `log`; what the command does with standard input and
    /// standard output before counts.
    ///
    /// # Errors
    /// When it cannot be started or its log not be written.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("writing {}", log.display()))?;
        let errors = output.try_clone().context("sharing a log")?;
        let child = command
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// The program's standard input, if the command piped it.
    pub fn input(&mut self) -> Option<&mut std::process::ChildStdin> {
        self.child.stdin.as_mut()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Fails with the end of its log when it no longer runs.
    ///
    /// # Errors
    /// It has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended with {status}: {}", self.name, self.last_words());
        }
        Ok(())
    }

    /// Its exit status, if it has ended well.
    ///
    /// # Errors
    /// It failed: then with the end of its log.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        match self.child.try_wait()? {
            Some(status) if !status.success() => {
                bail!("{} ended with {status}: {}", self.name, self.last_words())
            }
            ended => Ok(ended),
        }
    }

    /// Waits for it to end well.
    ///
    /// # Errors
    /// It fails, or takes longer than `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while self.ended()?.is_none() {
            if Instant::now() > deadline {
                bail!("{} takes longer than {} s", self.name, patience.as_secs());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// The end of its log, in one line.
    pub fn last_words(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        lines[lines.len().saturating_sub(QUOTED)..].join(" | ")
    }

    /// Stops it in its tracks, to leave the CPU to another.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it run on.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.context("a process without a number")?;
        kill_process(pid, signal).with_context(|| format!("signalling {}", self.name))
    }

    /// Memory it holds: resident pages and huge pages, in MiB.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory_mib(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        memory_kib(&status)
            .map(|kib| kib as f64 / 1024.0)
            .with_context(|| format!("{path} says nothing about memory"))
    }

    /// The most memory that was resident since its start, in MiB.
    ///
    /// # Errors
    /// It has ended.
    pub fn most_memory_mib(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
        let kib: f64 = kib
            .with_context(|| format!("{path} says nothing"))?
            .trim()
            .parse()?;
        Ok(kib / 1024.0)
    }

    /// How long a thread of it was ready to run while something else had its CPU, since its start.
    ///
    /// # Errors
    /// It has ended, or no thread is called so.
    pub fn waited(&self, thread: &str) -> Result<Duration> {
        let folder = PathBuf::from(format!("/proc/{}/task", self.child.id()));
        let threads =
            fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        let named = threads
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| fs::read_to_string(path.join("comm")).is_ok_and(|n| n.trim() == thread))
            .with_context(|| format!("{} has no thread {thread}", self.name))?;
        let path = named.join("schedstat");
        let said =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        // Time on the CPU, time in the queue, turns (Documentation/scheduler/sched-stats.rst).
        let queue_ns = said
            .split_whitespace()
            .nth(1)
            .and_then(|ns| ns.parse().ok());
        queue_ns
            .map(Duration::from_nanos)
            .with_context(|| format!("{} says something else: {said}", path.display()))
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        // One that is gone already is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn end(&mut self) {
        // A paused program hears nothing. One that is gone already is what we want.
        let _ = self.signal(Signal::CONT);
        let _ = self.signal(Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// The kernel does not count huge pages as resident.
fn memory_kib(status: &str) -> Option<u64> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(field("VmRSS:")? + field("HugetlbPages:").unwrap_or(0))
}

/// Runs a command to its end and gives back what it printed.
///
/// # Errors
/// It cannot be started, or fails: then with what it said.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name} ended with {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_count_as_memory() {
        let status = "Name:\tx\nVmRSS:\t    1024 kB\nHugetlbPages:\t    2048 kB\n";
        assert_eq!(memory_kib(status), Some(3072));
        assert_eq!(memory_kib("VmRSS:\t 7 kB\n"), Some(7));
        assert_eq!(memory_kib("Name:\tkthread\n"), None);
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = bound_to(&[0], "sh");
        command.args(["-c", "echo no such port >&2; exit 3"]);
        let mut process =
            Process::start("switch", &mut command, &folder.path().join("log")).unwrap();
        process.child.wait().unwrap();
        let error = process.check().unwrap_err().to_string();
        assert_eq!(error, "switch ended with exit status: 3: no such port");
    }

    #[test]
    fn a_paused_program_is_ended_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = bound_to(&[0], "sleep");
        command.arg("60");
        let mut process =
            Process::start("sleep", &mut command, &folder.path().join("log")).unwrap();
        process.pause().unwrap();
        process.check().unwrap();
        let stat = format!("/proc/{}", process.child.id());
        drop(process);
        assert!(!Path::new(&stat).exists());
    }
}
