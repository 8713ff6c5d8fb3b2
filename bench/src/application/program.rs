//! A program that runs while something is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use wardline_lab::process::{self, Register, Tracked};

/// How much of a log a message quotes, in lines.
const QUOTE: usize = 6;

/// A program in its own process group; ended when dropped.
#[derive(Debug)]
pub struct Program {
    tracked: Tracked,
    log: PathBuf,
}

impl Program {
    /// Starts `command` with its output in a log under `scratch`. `name` says what it does.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: Command, scratch: &Path) -> Result<Self> {
        let log = scratch.join(format!("{name}.log"));
        let register = Register::new(scratch.join("programs.jsonl"));
        let tracked = register.spawn("bench", name, command, &log)?;
        Ok(Self { tracked, log })
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.tracked.pid
    }

    /// Whether it still runs.
    pub fn alive(&self) -> bool {
        self.tracked.alive()
    }

    /// The end of its log, as a sentence for a message.
    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let end = &lines[lines.len().saturating_sub(QUOTE)..];
        format!("{} said: {}", self.tracked.service, end.join(" / "))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        process::end(std::slice::from_ref(&self.tracked));
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_program_ends_with_its_guard_and_leaves_its_words() {
        let scratch = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo ready; exec sleep 60"]);
        let program = Program::start("sleeper", command, scratch.path()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while !program.last_words().contains("ready") && Instant::now() < deadline {
            sleep(Duration::from_millis(5));
        }
        assert_eq!(program.last_words(), "sleeper said: ready");
        let tracked = program.tracked.clone();
        drop(program);
        assert!(!tracked.alive());
    }
}
