//! What the devices themselves serve.

use anyhow::Result;

use crate::ward::Ward;

pub(super) fn start(_ward: &Ward) -> Result<()> {
    Ok(())
}

/// Light extra devices for scale.
///
/// # Errors
/// When the program that plays them cannot be started.
pub fn start_swarm(ward: &Ward, devices: u16) -> Result<()> {
    let mut command = ward.actor("swarm", "swarm");
    command.args(["--devices", &devices.to_string()]);
    ward.start("swarm", "swarm", command).map(drop)
}
