//! Network namespaces: made for one run, gone with the value.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::output;

/// Every namespace of the harness is called so, then the process id, then what it is for.
const PREFIX: &str = "wardline-bench";
/// Where `ip netns` keeps them.
const FOLDER: &str = "/run/netns";

/// A network namespace. Dropping it removes it with the interfaces inside.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one that no other run has.
    ///
    /// # Errors
    /// What `ip` said.
    pub fn add(purpose: &str) -> Result<Self> {
        let name = format!("{PREFIX}-{}-{purpose}", std::process::id());
        output(Command::new("ip").args(["netns", "add", &name]))?;
        let space = Self { name };
        // Nobody speaks here unless the harness makes it.
        space.shell(
            "for which in all default; do \
             echo 1 > /proc/sys/net/ipv6/conf/$which/disable_ipv6; done; ip link set lo up",
        )?;
        Ok(space)
    }

    /// The name `ip netns` lists it under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The words before a command line that make it run inside.
    pub fn prefix(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    /// A command that will run inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a shell script inside.
    ///
    /// # Errors
    /// What it wrote to standard error, when it failed.
    pub fn shell(&self, script: &str) -> Result<String> {
        output(self.command("sh").args(["-ec", script]))
            .with_context(|| format!("`{}`", script.lines().next().unwrap_or_default()))
    }

    /// Does `work` inside, on a thread of its own. Sockets and files of `/proc/thread-self/net`
    /// that it opens stay inside.
    ///
    /// # Errors
    /// What `work` says, or that the namespace cannot be entered.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = Path::new(FOLDER).join(&self.name);
        let enter = move || {
            let space = File::open(&path).with_context(|| path.display().to_string())?;
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network))
                .with_context(|| format!("entering {}", path.display()))?;
            work()
        };
        thread::scope(|scope| scope.spawn(enter).join())
            .map_err(|_| anyhow!("a thread in namespace {} panicked", self.name))?
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        delete(&self.name);
    }
}

/// Removes the namespaces of runs that were killed before they could.
pub fn remove_leftovers() {
    let Ok(entries) = fs::read_dir(FOLDER) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if owner(&name).is_some_and(|pid| !PathBuf::from("/proc").join(pid).exists()) {
            delete(&name);
        }
    }
}

/// The process id in the name of one of ours.
fn owner(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix('-')?;
    rest.split('-').next()
}

fn delete(name: &str) {
    if let Err(error) = output(Command::new("ip").args(["netns", "del", name])) {
        eprintln!("warning: network namespace {name} stays behind: {error:#}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_names_its_owner() {
        assert_eq!(owner("wardline-bench-4711-3-box"), Some("4711"));
        assert_eq!(owner("wardline-lab-4711"), None);
    }
}
