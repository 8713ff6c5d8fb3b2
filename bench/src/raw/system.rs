//! What the harness needs of a system on `net_pcap` ports.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::corner::Corner;
use super::traffic::Captures;
use crate::cpus::Cpus;
use crate::process::Process;

/// A kind of system, not running yet.
pub trait System: fmt::Debug {
    /// As in the samples.
    fn name(&self) -> &'static str;

    /// Memory for packets it needs at a corner, in MiB, to be had in huge pages.
    fn packet_memory_mib(&self, corner: &Corner) -> u64;

    /// Part of the frames it has to forward at a corner.
    fn forwards(&self, corner: &Corner) -> f64;

    /// Starts it on the frames of a corner.
    ///
    /// # Errors
    /// With what the system itself says.
    fn start(&self, bench: &Bench<'_>) -> Result<Box<dyn Running>>;
}

/// What a system is started on.
#[derive(Debug, Clone, Copy)]
pub struct Bench<'a> {
    /// The corner.
    pub corner: &'a Corner,
    /// Its frames.
    pub captures: &'a Captures,
    /// Directory for the system's own files.
    pub folder: &'a Path,
    /// Directory with Wardline's programs.
    pub programs: &'a Path,
    /// Where it may run.
    pub cpus: Cpus,
    /// Whether there are huge pages for everybody.
    pub huge_pages: bool,
}

impl Bench<'_> {
    /// The two ports as DPDK device arguments: frames come from memory in a loop, what is sent is
    /// freed by the driver.
    pub fn ports(&self) -> [String; 2] {
        let port = |index: u32, file: &Path| {
            format!("net_pcap{index},rx_pcap={},infinite_rx=1", file.display())
        };
        [port(0, &self.captures.ward), port(1, &self.captures.core)]
    }

    /// Packet buffers that both ports need: `net_pcap` keeps every frame of its file in one.
    pub fn buffers(corner: &Corner) -> u32 {
        const IN_FLIGHT: u32 = 16_384;
        2 * corner.flows + IN_FLIGHT
    }
}

/// A running system.
pub trait Running: fmt::Debug {
    /// The process that forwards.
    fn process(&mut self) -> &mut Process;

    /// Its counters now.
    ///
    /// # Errors
    /// It does not answer.
    fn read(&mut self) -> Result<Reading>;
}

/// Counters of both ports together at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The moment, on a clock of the system's own choice.
    pub at: Duration,
    /// Frames received.
    pub received: u64,
    /// Frames sent on.
    pub forwarded: u64,
    /// Counters that should stand still, by name.
    pub amiss: BTreeMap<String, u64>,
}

/// What happened between two readings.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Frames received in a second.
    pub frames_per_s: f64,
    /// Part of them that was sent on.
    pub forwarded: f64,
    /// Frames that went amiss, by why.
    pub amiss: BTreeMap<String, u64>,
}

impl Window {
    /// The difference of two readings.
    pub fn between(before: &Reading, after: &Reading) -> Self {
        let seconds = after.at.saturating_sub(before.at).as_secs_f64();
        let received = (after.received - before.received) as f64;
        let forwarded = (after.forwarded - before.forwarded) as f64;
        let risen = after.amiss.iter().filter_map(|(name, count)| {
            let more = count - before.amiss.get(name).copied().unwrap_or(0);
            (more > 0).then(|| (name.clone(), more))
        });
        Self {
            frames_per_s: received / seconds,
            forwarded: forwarded / received,
            amiss: risen.collect(),
        }
    }

    /// Fails when the system did another job than the one it is measured at.
    ///
    /// # Errors
    /// Nothing was received, something went amiss, or not as much was forwarded as has to be.
    pub fn check(&self, forwards: f64) -> Result<()> {
        /// Frames are under way when counters are read.
        const SLACK: f64 = 0.005;
        if !self.frames_per_s.is_finite() || self.frames_per_s <= 0.0 {
            bail!("it received no frames");
        }
        if !self.amiss.is_empty() {
            bail!("frames went amiss: {:?}", self.amiss);
        }
        if (self.forwarded - forwards).abs() > SLACK {
            bail!(
                "it forwarded {:.2} % of the frames where {:.2} % are right",
                100.0 * self.forwarded,
                100.0 * forwards
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(ms: u64, received: u64, forwarded: u64, lost: u64) -> Reading {
        Reading {
            at: Duration::from_millis(ms),
            received,
            forwarded,
            amiss: [("lost".to_owned(), lost)].into(),
        }
    }

    #[test]
    fn a_window_is_what_happened_between() {
        let window = Window::between(&reading(500, 100, 50, 7), &reading(1_000, 1_100, 550, 7));
        assert_eq!(window.frames_per_s, 2_000.0);
        assert_eq!(window.forwarded, 0.5);
        assert!(window.check(0.5).is_ok());
        assert!(window.check(1.0).is_err());
    }

    #[test]
    fn a_window_with_a_loss_or_without_frames_is_no_figure() {
        let lossy = Window::between(&reading(0, 0, 0, 7), &reading(1_000, 10, 10, 8));
        assert!(lossy.check(1.0).unwrap_err().to_string().contains("lost"));
        let still = Window::between(&reading(0, 5, 5, 0), &reading(1_000, 5, 5, 0));
        assert!(still.check(1.0).is_err());
    }
}
