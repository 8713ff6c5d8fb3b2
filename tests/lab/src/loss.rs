//! Loss on an allowed conversation: numbered datagrams from a device to the hospital and back,
//! counted at both ends.

use std::process::Child;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::ward::{Ward, address_of};

/// UDP port of the far end, on the host `infra`.
pub const PORT: u16 = 7007;
/// The device that sends.
pub const DEVICE: &str = "mon2";
/// The policy rule that allows it.
pub const RULE: &str = "loss-probe";
/// Datagrams a second.
const RATE: u32 = 200;

/// What came of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Datagrams the device sent.
    pub sent: u64,
    /// Datagrams that went all the way and came back.
    pub returned: u64,
    /// The slowest of them, there and back, in milliseconds.
    pub worst_round_trip_ms: f64,
}

impl Loss {
    /// How many were lost, in either direction.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.returned)
    }
}

/// A measurement under way.
#[derive(Debug)]
pub struct Measurement {
    child: Child,
}

/// Starts the stream for `seconds`.
///
/// # Errors
/// When the sender cannot be started.
pub fn start(ward: &Ward, seconds: u32) -> Result<Measurement> {
    let child = ward
        .actor(DEVICE, "udp_stream")
        .args(["send", &address_of("infra")?, &PORT.to_string()])
        .args([RATE.to_string(), seconds.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the loss measurement")?;
    Ok(Measurement { child })
}

impl Measurement {
    /// Waits for the stream's end.
    ///
    /// # Errors
    /// When the sender failed.
    pub fn finish(self) -> Result<Loss> {
        let output = self
            .child
            .wait_with_output()
            .context("the loss measurement did not end")?;
        ensure!(
            output.status.success(),
            "the loss measurement failed: {}",
            output.status
        );
        serde_json::from_slice(&output.stdout).context("the loss measurement said nothing sensible")
    }
}
