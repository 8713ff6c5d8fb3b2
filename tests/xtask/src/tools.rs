//! Starting other programs, and where things lie in the repository.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Error, Result, anyhow, bail};

use crate::stages;

/// The laboratory's program.
pub const LAB: &str = "wardline-lab";
/// The harness's program.
pub const BENCH: &str = "wardline-bench";

/// The repository's root folder.
pub fn root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .context("the task runner no longer lies two folders below the repository's root")
}

/// A folder for what is worth keeping between runs but not in the repository.
pub fn scratch() -> Result<PathBuf> {
    let folder = target()?.join("lab");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

/// Cargo's target folder.
pub fn target() -> Result<PathBuf> {
    let programs = program_folder()?;
    let target = programs.parent().map(Path::to_path_buf);
    target.context("cargo's target folder has no name")
}

/// The laboratory's Python environment, made by `setup`.
pub fn venv() -> Result<PathBuf> {
    Ok(scratch()?.join("venv"))
}

/// The cargo that runs us, started in the repository's root and with nothing to read.
pub fn cargo() -> Result<Command> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root()?).stdin(Stdio::null());
    Ok(command)
}

/// Builds all programs in one go.
pub fn build() -> Result<()> {
    build_as_the_tests_do(&["--bins"])
}

/// Builds these programs together with the tests of every package: another choice would ask for
/// other features of their dependencies, and those would compile twice.
pub fn build_as_the_tests_do(programs: &[&str]) -> Result<()> {
    let mut command = cargo()?;
    command.args(["build", "--tests"]).args(programs);
    run(command.args(stages::scope()))
}

/// Builds what a measurement needs as it is shipped, and says where the harness is.
pub fn build_bench() -> Result<PathBuf> {
    let mut command = cargo()?;
    command.args(["build", "--release"]);
    for package in ["wardline", "wardline-fastpath", BENCH] {
        command.args(["--package", package]);
    }
    run(&mut command)?;
    let folder = program_folder()?.with_file_name("release");
    Ok(folder.join(BENCH))
}

/// Where cargo puts our programs: beside this one.
pub fn program(name: &str) -> Result<PathBuf> {
    Ok(program_folder()?.join(name))
}

fn program_folder() -> Result<PathBuf> {
    let own = env::current_exe().context("where this program lies")?;
    own.parent()
        .map(Path::to_path_buf)
        .context("this program lies in no folder")
}

/// The laboratory's program, told where its Python environment is.
pub fn lab_command() -> Result<Command> {
    let mut command = Command::new(program(LAB)?);
    command.env("WARDLINE_LAB_VENV", venv()?);
    Ok(command)
}

/// Runs to the end and fails if the program does.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("starting {}", line(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line(command));
    }
    Ok(())
}

/// Runs to the end quietly and gives back what the program printed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", line(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` ended with {}: {}",
            line(command),
            output.status,
            said.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Becomes the other program, so that signals and the exit code are its own. Returns only on
/// failure.
pub fn replace_process(mut command: Command) -> Error {
    let error = command.exec();
    anyhow!(error).context(format!("starting {}", line(&command)))
}

/// Whether this process may make namespaces and install packages.
pub fn is_root() -> bool {
    // The effective user is the second number of the line.
    fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        uids.and_then(|uids| uids.split_whitespace().nth(1)) == Some("0")
    })
}

/// Fails with what to do when this process is not root.
pub fn require_root() -> Result<()> {
    if !is_root() {
        bail!("this task needs root: run it again as root, for instance with `sudo -E`");
    }
    Ok(())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
