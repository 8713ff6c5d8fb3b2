//! A witness at the target: counts the frames that arrived there and fit a filter.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::netns::Namespace;

/// After the last frame was sent, how long stragglers are waited for.
const SETTLING: Duration = Duration::from_millis(300);

/// A `tcpdump` at work; ended when dropped.
#[derive(Debug)]
pub struct Witness {
    child: Child,
    messages: BufReader<ChildStderr>,
    begin: Instant,
}

/// What the witness saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Frames that arrived and fitted the filter.
    pub frames: u64,
    /// How long it looked.
    pub during: Duration,
}

impl Witness {
    /// Begins to count the frames that arrive on `eth0` of the namespace and fit the `pcap-filter`.
    ///
    /// # Errors
    /// When tcpdump does not start, or refuses the filter.
    pub fn begin(namespace: &Namespace, filter: &str) -> Result<Self> {
        let mut command: Command = namespace.command("tcpdump");
        command.args([
            "-i",
            "eth0",
            "-n",
            "-Q",
            "in",
            "--immediate-mode",
            "-B",
            "65536",
        ]);
        command.args(["-Z", "root", "-s", "128", "-w", "/dev/null", filter]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("tcpdump does not start: install it")?;
        let messages = child
            .stderr
            .take()
            .context("tcpdump has no standard error")?;
        let mut witness = Self {
            child,
            messages: BufReader::new(messages),
            begin: Instant::now(),
        };
        witness.wait_until_listening(filter)?;
        Ok(witness)
    }

    fn wait_until_listening(&mut self, filter: &str) -> Result<()> {
        let mut said = String::new();
        while self
            .messages
            .read_line(&mut said)
            .context("reading from tcpdump")?
            > 0
        {
            if said.contains("listening on") {
                return Ok(());
            }
        }
        bail!(
            "tcpdump does not listen with the filter `{filter}`: {}",
            said.trim()
        );
    }

    /// Waits for stragglers and ends the count.
    ///
    /// # Errors
    /// When tcpdump does not tell its count, or lost frames itself.
    pub fn end(mut self) -> Result<Seen> {
        sleep(SETTLING);
        let during = self.begin.elapsed();
        self.signal(Signal::INT);
        let mut said = String::new();
        self.messages
            .read_to_string(&mut said)
            .context("reading from tcpdump")?;
        self.child.wait().context("waiting for tcpdump")?;
        let number = |what: &str| count_of(&said, what);
        let frames = number("captured").with_context(|| format!("tcpdump ended with: {said}"))?;
        // A frame that it could not take arrived all the same.
        let lost = number("dropped by kernel").unwrap_or(0);
        Ok(Seen {
            frames: frames + lost,
            during,
        })
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself, which `wait` will tell.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// The number in tcpdump's line `N packets captured` and its like.
fn count_of(said: &str, what: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.ends_with(what))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_read_from_the_last_words_of_tcpdump() {
        let said =
            "\n17 packets captured\n20 packets received by filter\n3 packets dropped by kernel\n";
        assert_eq!(count_of(said, "captured"), Some(17));
        assert_eq!(count_of(said, "dropped by kernel"), Some(3));
        assert_eq!(count_of("1 packet captured", "captured"), Some(1));
        assert_eq!(count_of("tcpdump: syntax error", "captured"), None);
    }
}
