//! A client of the fast path that the harness has started.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::runtime::Runtime;
use wardline_control::{Client, ClientError};

use crate::interrupt;
use crate::process::Process;

/// How long a start may take: it compiles its policy first.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until it serves.
///
/// # Errors
/// It ends, or does not serve in time.
pub fn connect(runtime: &Runtime, socket: &Path, process: &mut Process) -> Result<Client> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        process.check()?;
        match runtime.block_on(Client::connect(socket, "wardline-bench")) {
            Ok(client) => return Ok(client),
            Err(ClientError::Connect { .. }) if Instant::now() < deadline => {}
            Err(error) => bail!("{error}"),
        }
        interrupt::sleep(Duration::from_millis(20))?;
    }
}
