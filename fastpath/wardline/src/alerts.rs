//! `wardline alerts`.

use std::io::Write;

use wardline_control::{Alert, AlertState};

use crate::cli::{AcceptArgs, AlertsArgs, AlertsCommand, ControlArgs};
use crate::control::Link;
use crate::failure::Failure;
use crate::table::Table;
use crate::words;

pub(crate) fn run(
    control: &ControlArgs,
    args: &AlertsArgs,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let link = Link::open(&control.socket)?;
    if let Some(AlertsCommand::Accept(args)) = &args.command {
        return accept(&link, control, args, out);
    }
    let mut alerts = link.alerts()?;
    alerts.retain(|alert| args.all || alert.state == AlertState::Open);
    if control.json {
        serde_json::to_writer_pretty(&mut *out, &alerts)?;
        return Ok(writeln!(out)?);
    }
    if alerts.is_empty() {
        return Ok(writeln!(
            out,
            "No device behaves otherwise than it used to."
        )?);
    }
    Ok(table(&alerts).write(out)?)
}

fn accept(
    link: &Link,
    control: &ControlArgs,
    args: &AcceptArgs,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (who, reason) = (&args.words.who, &args.words.reason);
    link.call(|client| client.accept_alert(args.id, who.clone(), reason.clone()))?;
    if control.json {
        return Ok(writeln!(
            out,
            "{}",
            serde_json::json!({ "accepted": args.id })
        )?);
    }
    Ok(writeln!(
        out,
        "What alert {} is about is usual for its device from now on.",
        args.id
    )?)
}

fn table(alerts: &[Alert]) -> Table {
    let now_us = words::now_us();
    let mut table = Table::new(&[
        ">NO", "DEVICE", "WHAT", ">GRAVITY", ">SINCE", "STATE", "WHY",
    ]);
    for alert in alerts {
        table.row([
            alert.id.to_string(),
            words::device(&alert.device, ""),
            alert.kind.clone(),
            format!("{} %", alert.score_percent),
            words::ago(alert.began_us, now_us),
            words::word(alert.state),
            alert.reasons.join(" "),
        ]);
    }
    table
}
