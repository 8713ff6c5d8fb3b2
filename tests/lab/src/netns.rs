//! Network namespaces and what is done to them through `ip` and `ethtool`.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Where `ip netns` keeps the namespaces, by name.
pub const NAMES: &str = "/run/netns";
/// Where it looks for a namespace's own `/etc` files.
pub const ETC: &str = "/etc/netns";

/// A named network namespace, as `ip netns` knows it. The value is only the name: nothing is made
/// or removed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Names a namespace.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// The name `ip netns` lists it under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the namespace exists now.
    pub fn exists(&self) -> bool {
        Path::new(NAMES).join(&self.name).exists()
    }

    /// A command that will run inside the namespace. `ip netns exec` replaces itself with the
    /// program, so the child's process id is the program's. It is in a process group of its own:
    /// Ctrl-C is for us, who then end it in order.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.process_group(0);
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs several `ip` commands inside the namespace, in one process.
    ///
    /// # Errors
    /// What `ip` said, when one of them failed.
    pub fn ip(&self, lines: &str) -> Result<()> {
        batch(&["-n", &self.name], lines)
    }

    /// Runs a shell script inside the namespace.
    ///
    /// # Errors
    /// What the script wrote to standard error, when it failed.
    pub fn shell(&self, script: &str) -> Result<()> {
        run(self.command("sh").args(["-ec", script])).map(drop)
    }

    /// Process ids of everything that lives in the namespace.
    ///
    /// # Errors
    /// When `ip` cannot be run.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let text = run(Command::new("ip").args(["netns", "pids", &self.name]))?;
        Ok(text
            .lines()
            .filter_map(|line| line.trim().parse().ok())
            .collect())
    }

    /// Gives the programs in the namespace their own `/etc/FILE` (see `ip-netns(8)`).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_etc(&self, file: &str, content: &str) -> Result<()> {
        let dir = Path::new(ETC).join(&self.name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let path = dir.join(file);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes the namespace and its `/etc` files. Interfaces inside go with it.
    ///
    /// # Errors
    /// When the kernel or the file system refuses.
    pub fn remove(&self) -> Result<()> {
        let etc = Path::new(ETC).join(&self.name);
        if etc.exists() {
            fs::remove_dir_all(&etc).with_context(|| format!("cannot remove {}", etc.display()))?;
        }
        if self.exists() {
            run(Command::new("ip").args(["netns", "del", &self.name]))?;
        }
        Ok(())
    }
}

/// Runs several `ip` commands in the caller's namespace, in one process.
///
/// # Errors
/// What `ip` said, when one of them failed.
pub fn ip(lines: &str) -> Result<()> {
    batch(&[], lines)
}

fn batch(options: &[&str], lines: &str) -> Result<()> {
    let mut child = Command::new("ip")
        .args(options)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run `ip`: install iproute2")?;
    let mut stdin = child.stdin.take().context("no pipe to `ip`")?;
    stdin
        .write_all(lines.as_bytes())
        .context("`ip` closed its input")?;
    drop(stdin);
    let output = child.wait_with_output().context("`ip` did not end")?;
    ensure!(
        output.status.success(),
        "ip {}-batch: {}",
        options.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Runs a command to its end and returns its standard output.
///
/// # Errors
/// The command line and its standard error, when it failed or could not be started.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", describe(command)))?;
    if !output.status.success() {
        let said = [&output.stderr, &output.stdout]
            .map(|text| String::from_utf8_lossy(text).trim().to_owned())
            .join(" ");
        bail!(
            "{} failed ({}): {}",
            describe(command),
            output.status,
            said.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command line without the `ip netns exec` in front, for messages.
pub(crate) fn describe(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    match words.iter().position(|word| word == "netns") {
        Some(at)
            if words.get(at + 1).is_some_and(|word| word == "exec") && words.len() > at + 3 =>
        {
            format!("`{}` in {}", words[at + 3..].join(" "), words[at + 2])
        }
        _ => format!("`{}`", words.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_program_and_the_namespace() {
        let mut command = Namespace::new("wl-ct").command("storescu");
        command.arg("10.20.0.10");
        assert_eq!(describe(&command), "`storescu 10.20.0.10` in wl-ct");
        assert_eq!(
            describe(Command::new("openssl").arg("version")),
            "`openssl version`"
        );
    }

    #[test]
    fn a_failed_command_says_what_it_wrote() {
        let error =
            run(Command::new("sh").args(["-c", "echo no such bed >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("no such bed"), "{error}");
    }
}
