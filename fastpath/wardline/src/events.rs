//! `wardline events`.

use std::io::Write;

use wardline_control::bounds::{EVENT_WAIT_MS, PAGE};
use wardline_control::view::FlowFacts;
use wardline_control::{EventKind, EventRecord};

use crate::cli::{ControlArgs, EventsArgs};
use crate::control::Link;
use crate::failure::Failure;
use crate::table::printable;
use crate::words;

pub(crate) fn run(
    control: &ControlArgs,
    args: &EventsArgs,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let link = Link::open(&control.socket)?;
    let wait_ms = if args.follow { EVENT_WAIT_MS } else { 0 };
    let mut from = 0;
    loop {
        let batch = link.call(|client| client.events(from, PAGE, wait_ms))?;
        // Before the first fetch nothing was ours to lose.
        if batch.lost > 0 && from > 0 {
            eprintln!(
                "wardline: {} events were lost: this reader was too slow",
                words::count(batch.lost)
            );
        }
        let (got, done) = (batch.events.len(), batch.events.is_empty());
        for event in batch.events {
            if !args.denied || matches!(event.kind, EventKind::Denied { .. }) {
                print(&event, control.json, out)?;
            }
        }
        if got > 0 {
            out.flush()?;
        }
        if done && !args.follow {
            return Ok(());
        }
        from = batch.next_seq;
    }
}

fn print(event: &EventRecord, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        serde_json::to_writer(&mut *out, event)?;
        return Ok(writeln!(out)?);
    }
    let device = event
        .device
        .map(|key| words::device(&key, &event.device_name));
    let subject = device.unwrap_or_else(|| "Wardline".to_owned());
    let line = format!(
        "{}  {subject}  {}",
        words::clock(event.time_us),
        sentence(&event.kind)
    );
    Ok(writeln!(out, "{}", printable(&line))?)
}

fn sentence(kind: &EventKind) -> String {
    match kind {
        EventKind::Started { policy } => format!("began to forward with policy {policy}"),
        EventKind::PolicyApplied {
            policy,
            previous,
            cause,
        } => {
            format!("put policy {policy} in force in place of {previous} ({cause})")
        }
        EventKind::Link { side, link } => {
            format!(
                "link of the {} side is {}",
                words::word(side),
                words::word(link)
            )
        }
        EventKind::WrongSide => {
            "was heard from the core side: a loop, a second path around the box, or it moved"
                .to_owned()
        }
        EventKind::DeviceSeen => "was seen for the first time".to_owned(),
        EventKind::Identified {
            role,
            previous,
            because,
        } => {
            let name = |role: &Option<String>| role.clone().unwrap_or_else(|| "unknown".to_owned());
            let because = if because.is_empty() {
                String::new()
            } else {
                format!(": {because}")
            };
            format!("is {} now, was {}{because}", name(role), name(previous))
        }
        EventKind::RoleStated { role, who } => match role {
            Some(role) => format!("is {role}, said {who}"),
            None => format!("is no longer what was said of it, said {who}"),
        },
        EventKind::Behaviour {
            alert,
            change,
            reasons,
            ..
        } => {
            format!(
                "alert {alert} {}: {}",
                words::word(change),
                reasons.join(" ")
            )
        }
        EventKind::AlertAccepted { alert, who, reason } => {
            format!("alert {alert} is about what is usual, said {who}: {reason}")
        }
        EventKind::AddressBound { address } => format!("uses {address}"),
        EventKind::FlowBegun(flow) => {
            format!(
                "began: {} ({}{})",
                conversation(flow),
                flow.reason.name(),
                rule(flow)
            )
        }
        EventKind::FlowEnded { flow, forth, back } => {
            let (what, why) = (conversation(flow), flow.reason.name());
            let [forth, back] = [forth, back].map(|way| words::bytes(way.bytes));
            format!("ended: {what} ({why}), {forth} forth and {back} back")
        }
        EventKind::Denied {
            flow,
            dropped,
            repeated,
        } => {
            let verb = if *dropped {
                "was stopped"
            } else {
                "would have been stopped"
            };
            let more = match repeated {
                0 => String::new(),
                n => format!(", and {} more like it", words::count(u64::from(*n))),
            };
            let (what, why) = (conversation(flow), flow.reason.name());
            format!("{verb}: {what} ({why}{}){more}", rule(flow))
        }
    }
}

fn conversation(flow: &FlowFacts) -> String {
    match (flow.source, flow.destination) {
        (Some(from), Some(to)) => format!(
            "{} to {}, {}",
            words::endpoint(from, flow.protocol, flow.source_port),
            words::endpoint(to, flow.protocol, flow.destination_port),
            words::service(flow.protocol, flow.destination_port),
        ),
        _ => format!(
            "{} from the {} side",
            words::ethertype(flow.ethertype),
            words::word(flow.from)
        ),
    }
}

fn rule(flow: &FlowFacts) -> String {
    match flow.rule.as_str() {
        "" => String::new(),
        rule => format!(", rule {rule}"),
    }
}
