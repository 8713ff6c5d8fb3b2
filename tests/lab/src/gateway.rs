//! The gateway in the box, in front of the kernel bridge.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::{self, Tracked};
use crate::ward::Ward;
use crate::{mgmt, policy};

/// How long the gateway may take until its control socket answers.
const START_LIMIT: Duration = Duration::from_secs(30);
/// For so many seconds after its start the gateway picks up conversations it has not seen begin. A
/// link of the ward that is silent for longer breaks with a restart; an attacker has no longer.
const MIDSTREAM_GRACE_S: u32 = 10;
/// Host and service under which the gateway is recorded.
const PLACE: (&str, &str) = ("box", "gateway");

/// Starts the gateway's process in the box and waits for its control socket. `document` is the
/// policy it begins with; the ward's own when `None`.
///
/// # Errors
/// What did not come up, with the end of its log.
pub fn start(ward: &Ward, program: &Path, document: Option<&Path>) -> Result<Tracked> {
    let program = program
        .canonicalize()
        .with_context(|| format!("there is no gateway at {}", program.display()))?;
    let initial = match document {
        Some(path) => path
            .canonicalize()
            .with_context(|| format!("no {}", path.display()))?,
        None => own_policy(ward)?,
    };
    let config = write_config(ward, &initial)?;
    let socket = ward.control_socket();
    // A socket file of a killed predecessor would look like a start.
    if socket.exists() {
        fs::remove_file(&socket).with_context(|| format!("cannot remove {}", socket.display()))?;
    }
    let mut command = ward.ns(PLACE.0).command(program);
    command.arg("--config").arg(config);
    let gateway = ward.start(PLACE.0, PLACE.1, command)?;
    ward.wait_for(
        &gateway,
        "the gateway's control socket answers",
        START_LIMIT,
        || UnixStream::connect(&socket).is_ok(),
    )?;
    Ok(gateway)
}

/// The gateway that runs now, if any.
pub fn running(ward: &Ward) -> Option<Tracked> {
    let last =
        ward.programs().into_iter().rev().find(|(program, alive)| {
            *alive && program.host == PLACE.0 && program.service == PLACE.1
        });
    last.map(|(program, _)| program)
}

/// Kills the gateway as a crash would, without a chance to tidy up.
///
/// # Errors
/// When none runs.
pub fn kill(ward: &Ward) -> Result<()> {
    let gateway = running(ward);
    ensure!(
        gateway.is_some(),
        "no gateway runs in ward `{}`",
        ward.name()
    );
    process::kill(
        &gateway
            .map(|gateway| gateway.pid)
            .into_iter()
            .collect::<Vec<_>>(),
    );
    Ok(())
}

fn own_policy(ward: &Ward) -> Result<PathBuf> {
    let path = ward.dir().join("policy.toml");
    policy::write(&policy::load()?, &path)?;
    Ok(path)
}

fn write_config(ward: &Ward, initial: &Path) -> Result<PathBuf> {
    let dir = ward.dir().display();
    let config = format!(
        "[ports.ward]\ndriver = \"af_xdp\"\ninterface = \"ward0\"\n\n\
         [ports.core]\ndriver = \"af_xdp\"\ninterface = \"core0\"\n\n\
         [control]\nsocket = \"{socket}\"\nmode = 0o660\ngid = {management}\n\
         allow_uids = [{management}]\n\n\
         [state]\ndir = \"{dir}/state\"\nheartbeat = \"{dir}/heartbeat\"\n\n\
         [policy]\ninitial = \"{initial}\"\n\n\
         [limits]\nmidstream_grace_s = {MIDSTREAM_GRACE_S}\n",
        management = mgmt::user(),
        socket = ward.control_socket().display(),
        initial = initial.display(),
    );
    let state = ward.dir().join("state");
    fs::create_dir_all(&state).with_context(|| format!("cannot create {}", state.display()))?;
    let path = ward.dir().join("fastpath.toml");
    fs::write(&path, config).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
