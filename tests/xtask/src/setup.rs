//! `cargo xtask setup`: Debian packages, the Python environment, and what the kernel must offer.
//!
//! Everything is looked at first, so a machine that has it all is left alone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::tools;

/// Lists of Debian packages: one name a line, `#` starts a comment.
const PACKAGE_LISTS: [&str; 3] = [
    "tests/xtask/packages.txt",
    "tests/lab/packages.txt",
    "tests/lab/attacks/packages.txt",
];
/// The systems Wardline is measured beside.
const BENCH_PACKAGES: &str = "bench/packages.txt";
/// What the fuzzer is built with.
const FUZZ_PACKAGES: &str = "classifier/fuzz/packages.txt";
/// Pinned Python packages of the laboratory, and of the tests of the management plane.
const REQUIREMENTS: [&str; 3] = [
    "tests/lab/requirements.txt",
    "tests/lab/attacks/requirements.txt",
    "mgmt/tests/requirements.txt",
];
/// Those that models are trained with.
const TRAINING_REQUIREMENTS: &str = "models/requirements.txt";
/// The program that makes up requests for the API.
const API_REQUIREMENTS: &str = "mgmt/tests/contract-requirements.txt";
/// In the Python environment: the requirements it was made from.
const MADE_FROM: &str = "made-from.txt";

/// Installs what is missing and checks the kernel.
///
/// # Errors
/// When not root, or a package, the environment or a kernel feature cannot be had.
pub fn run() -> Result<()> {
    tools::require_root()?;
    install_packages(&PACKAGE_LISTS)?;
    make_venv(&tools::venv()?, &requirement_files(&REQUIREMENTS)?)?;
    check_kernel()
}

/// What a measurement needs beyond [`run`].
///
/// # Errors
/// As [`run`].
pub fn run_for_bench() -> Result<()> {
    run()?;
    install_packages(&[BENCH_PACKAGES])
}

/// What training needs, and nothing else: the Python environment it gives back.
///
/// # Errors
/// When the environment cannot be made.
pub fn run_for_training() -> Result<PathBuf> {
    let venv = tools::scratch()?.join("training-venv");
    make_venv(&venv, &requirement_files(&[TRAINING_REQUIREMENTS])?)?;
    Ok(venv)
}

/// What the API is tried out with, and nothing else: the program that makes up requests.
///
/// # Errors
/// When the environment cannot be made.
pub fn run_for_api() -> Result<PathBuf> {
    let venv = tools::scratch()?.join("api-venv");
    make_venv(&venv, &requirement_files(&[API_REQUIREMENTS])?)?;
    Ok(venv.join("bin/schemathesis"))
}

/// What fuzzing needs, and nothing else.
///
/// # Errors
/// When a package is missing and cannot be had.
pub fn run_for_fuzz() -> Result<()> {
    install_packages(&[FUZZ_PACKAGES])
}

fn install_packages(lists: &[&str]) -> Result<()> {
    let missing = missing_packages(&wanted_packages(lists)?)?;
    if missing.is_empty() {
        return Ok(());
    }
    println!(
        "installing {}",
        missing.iter().cloned().collect::<Vec<_>>().join(" ")
    );
    let _quiet = NoServices::begin()?;
    tools::run(apt().arg("update"))?;
    tools::run(
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(missing),
    )
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    // Another package manager at work is waited for, not failed on.
    command.args([
        "-o",
        "DPkg::Lock::Timeout=300",
        "-o",
        "Dpkg::Use-Pty=0",
        "-qq",
    ]);
    command
}

fn wanted_packages(lists: &[&str]) -> Result<BTreeSet<String>> {
    let mut wanted = BTreeSet::new();
    for list in lists {
        wanted.extend(lines_without_comments(&tools::root()?.join(list))?);
    }
    Ok(wanted)
}

fn missing_packages(wanted: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let known = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"])
        .output()
        .context("dpkg-query does not start: Wardline's laboratory needs Debian 12 or later")?;
    let known = String::from_utf8_lossy(&known.stdout);
    let installed: BTreeSet<&str> = known
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    Ok(wanted
        .iter()
        .filter(|name| !installed.contains(name.as_str()))
        .cloned()
        .collect())
}

/// While it lives, packages being installed start no service: the laboratory runs its servers in
/// namespaces of its own, and none belongs on the host.
struct NoServices {
    ours: bool,
}

impl NoServices {
    const FILE: &str = "/usr/sbin/policy-rc.d";
    const TEXT: &str =
        "#!/bin/sh\n# Written by `cargo xtask setup` for the time of an installation.\nexit 101\n";

    fn begin() -> Result<Self> {
        // A file of the same text is one that an interrupted run left behind.
        let ours = match fs::read_to_string(Self::FILE) {
            Ok(text) => text == Self::TEXT,
            Err(_) => true,
        };
        if ours {
            fs::write(Self::FILE, Self::TEXT)
                .and_then(|()| fs::set_permissions(Self::FILE, PermissionsExt::from_mode(0o755)))
                .with_context(|| format!("writing {}", Self::FILE))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(Self::FILE)
        {
            eprintln!("warning: {} stays behind: {error}", Self::FILE);
        }
    }
}

/// A Python environment with these packages, unless it is there already.
fn make_venv(venv: &Path, files: &[PathBuf]) -> Result<()> {
    let mut wanted = String::new();
    for file in files {
        let lines = lines_without_comments(file)?;
        wanted.extend(lines.iter().flat_map(|line| [line.as_str(), "\n"]));
    }
    let made_from = venv.join(MADE_FROM);
    if fs::read_to_string(&made_from).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    println!("making the Python environment {}", venv.display());
    // Debian's own interpreter, so that bindings from Debian packages can be used beside it.
    tools::run(
        Command::new("/usr/bin/python3")
            .args(["-m", "venv", "--clear"])
            .arg(venv),
    )?;
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ]);
    for file in files {
        pip.arg("--requirement").arg(file);
    }
    tools::run(&mut pip)?;
    fs::write(&made_from, wanted).with_context(|| format!("writing {}", made_from.display()))
}

fn requirement_files(files: &[&str]) -> Result<Vec<PathBuf>> {
    let root = tools::root()?;
    Ok(files
        .iter()
        .map(|file| root.join(file))
        .filter(|file| file.exists())
        .collect())
}

fn check_kernel() -> Result<()> {
    if !works(
        "unshare",
        &[
            "--net", "ip", "link", "add", "wl0", "type", "veth", "peer", "name", "wl1",
        ],
    ) {
        bail!(
            "this kernel gives no network namespace with a veth pair: in a container, give it \
             CAP_NET_ADMIN and CAP_SYS_ADMIN (`--privileged`); otherwise load the module `veth`"
        );
    }
    // 44 is AF_XDP, which this Python does not know by name.
    let open_xdp = "import socket; socket.socket(44, socket.SOCK_RAW, 0)";
    if !works("/usr/bin/python3", &["-c", open_xdp]) {
        bail!(
            "this kernel opens no AF_XDP socket: it must be built with CONFIG_XDP_SOCKETS, and a \
             container must be allowed CAP_NET_RAW"
        );
    }
    Ok(())
}

fn works(program: &str, args: &[&str]) -> bool {
    tools::output(Command::new(program).args(args)).is_ok()
}

/// The meaningful lines of a list; a list that is not there is empty.
fn lines_without_comments(file: &Path) -> Result<Vec<String>> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.with_context(|| format!("reading {}", file.display()))?,
    };
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(line).trim());
    Ok(lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}
