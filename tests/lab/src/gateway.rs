//! The gateway in the box, in front of the kernel bridge.

use std::path::Path;

use anyhow::{Result, bail};

use crate::ward::Ward;

/// Starts the gateway's process in the box and waits for its control socket.
///
/// # Errors
/// When it does not come up.
pub fn start(_ward: &Ward, program: &Path, _policy: Option<&Path>) -> Result<()> {
    bail!("{} cannot be started yet", program.display())
}
