//! The live view: what goes on, drawn anew every few seconds.

use std::fmt::Write;

use wardline_control::{DeviceView, Status};

use super::Score;
use crate::control::Control;
use crate::mgmt::Management;

/// Clears the terminal and puts the cursor into its corner.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Draws the view once.
pub fn draw(control: &Control, management: &Management, score: &Score) {
    let mut page = String::from(CLEAR);
    // Writing into a string cannot fail.
    let _ = match (control.status(), control.devices()) {
        (Ok(status), Ok(devices)) => write_gateway(&mut page, &status, &devices),
        (Err(error), _) | (_, Err(error)) => writeln!(page, "the gateway is silent: {error:#}"),
    };
    let _ = write_score(&mut page, score);
    let _ = writeln!(
        page,
        "\n  Management: {}  (trust {})\n  Token: {}",
        management.address,
        management.ca_certificate.display(),
        management.token
    );
    print!("{page}");
}

fn write_gateway(
    page: &mut String,
    status: &Status,
    devices: &[DeviceView],
) -> Result<(), std::fmt::Error> {
    writeln!(
        page,
        "Wardline {}: up for {} s",
        status.software_version, status.uptime_s
    )?;
    for port in &status.ports {
        let (frames, device) = (port.stats.rx_frames, &port.device);
        writeln!(
            page,
            "  {:?} {} {device}: {frames} frames in",
            port.side, port.driver
        )?;
    }
    writeln!(
        page,
        "\n  DEVICE        ROLE                  MODE      FORWARDED  NOT"
    )?;
    for device in devices {
        let name = if device.name.is_empty() {
            "(not listed)"
        } else {
            &device.name
        };
        let role = device.role.as_deref().unwrap_or("-");
        let forwarded = device.sent.frames + device.got.frames;
        let all: u64 = device.by_reason.values().sum();
        let not = all.saturating_sub(forwarded);
        let mode = format!("{:?}", device.mode).to_lowercase();
        writeln!(
            page,
            "  {name:<13} {role:<21} {mode:<9} {forwarded:>9}  {not}"
        )?;
    }
    writeln!(page, "\n  VERDICT                  FROM WARD  FROM CORE")?;
    let (ward, core) = (
        &status.counters.ward.by_reason,
        &status.counters.core.by_reason,
    );
    for reason in wardline_policy::Reason::ALL {
        let count =
            |side: &wardline_control::view::ByReason| side.get(reason).copied().unwrap_or(0);
        if count(ward) + count(core) > 0 {
            writeln!(
                page,
                "  {:<24} {:>9}  {:>9}",
                reason.name(),
                count(ward),
                count(core)
            )?;
        }
    }
    Ok(())
}

fn write_score(page: &mut String, score: &Score) -> Result<(), std::fmt::Error> {
    let good = score
        .allowed
        .iter()
        .filter(|allowed| allowed.success)
        .count();
    writeln!(
        page,
        "\n  exchanges: {good} of {} succeed",
        score.allowed.len()
    )?;
    for allowed in score.allowed.iter().filter(|allowed| !allowed.success) {
        writeln!(page, "    FAILED {}: {}", allowed.name, allowed.detail)?;
    }
    let stopped = score
        .attacks
        .iter()
        .filter(|attack| attack.stopped())
        .count();
    writeln!(
        page,
        "  attacks: {stopped} of {} stopped",
        score.attacks.len()
    )?;
    if let Some(last) = score.attacks.last() {
        writeln!(page, "    last: {last}")?;
    }
    writeln!(
        page,
        "  allowed stream: {} sent, {} lost",
        score.loss.sent, score.loss.lost
    )?;
    writeln!(page, "\n  Ctrl-C ends it and removes everything.")
}
