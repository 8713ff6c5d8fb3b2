//! The command as a person meets it: run as a process, judged by its output and its exit code.

mod cases;
mod classify;
mod corpus;
mod fake;
mod frames;
mod live;
mod usage;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A finished run.
struct Run {
    code: i32,
    out: String,
    err: String,
}

/// Runs `wardline` with these arguments.
fn wardline<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    let output = command().args(args).output();
    Run::from(output.expect("the command was built"))
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardline"));
    command.env_remove("WARDLINE_SOCKET");
    command
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("no signal ended it"),
            out: String::from_utf8(output.stdout).expect("output is UTF-8"),
            err: String::from_utf8(output.stderr).expect("messages are UTF-8"),
        }
    }
}

/// A folder that goes away with the test.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn write(path: &Path, content: impl AsRef<[u8]>) -> PathBuf {
    std::fs::write(path, content).expect("a writable folder");
    path.to_owned()
}

/// A path as an argument.
fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}
