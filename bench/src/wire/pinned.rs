//! This thread, and the processes it starts: on one CPU core and ahead of others.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The nice value while measuring: other work on the machine should wait for the measurement, not
/// the other way round. All systems inherit it.
const URGENT: i32 = -20;
/// Where the kernel groups processes by session, a nice value counts only within the session, and
/// the session has one of its own here.
const SESSION: &str = "/proc/self/autogroup";

/// As long as it lives, this thread stays where it is. Children must be put elsewhere.
pub struct Pinned {
    cpus: CpuSet,
    nice: i32,
    session: Option<i32>,
}

impl Pinned {
    /// Moves this thread to a CPU core.
    ///
    /// # Errors
    /// The system refuses.
    pub fn to(cpu: usize) -> Result<Self> {
        let before = Self {
            cpus: sched_getaffinity(None).context("which CPU cores there are")?,
            nice: getpriority_process(None).context("how urgent this process is")?,
            session: fs::read_to_string(SESSION)
                .ok()
                .and_then(|text| nice(&text)),
        };
        setpriority_process(None, URGENT).context("going ahead of other processes")?;
        if before.session.is_some() {
            fs::write(SESSION, URGENT.to_string()).context(SESSION)?;
        }
        let mut one = CpuSet::new();
        one.set(cpu);
        sched_setaffinity(None, &one).context("staying on one CPU core")?;
        Ok(before)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let thread =
            sched_setaffinity(None, &self.cpus).and_then(|()| setpriority_process(None, self.nice));
        let session = self
            .session
            .map_or(Ok(()), |nice| fs::write(SESSION, nice.to_string()));
        if thread.is_err() || session.is_err() {
            eprintln!("warning: this process stays urgent or on one CPU core");
        }
    }
}

/// The nice value in the text of [`SESSION`].
fn nice(text: &str) -> Option<i32> {
    text.trim().rsplit_once("nice ")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nice_value_of_a_session_is_read() {
        assert_eq!(nice("/autogroup-6 nice -4\n"), Some(-4));
        assert_eq!(nice(""), None);
    }
}
