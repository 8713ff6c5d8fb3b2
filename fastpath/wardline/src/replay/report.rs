//! The summary for people.

use std::io::Write;

use wardline_policy::{Initiator, Reason};

use crate::failure::Failure;
use crate::replay::record::Outcome;
use crate::replay::side::Basis;
use crate::replay::summary::{ConversationSummary, DeviceSummary, Summary};
use crate::table::{Table, printable};
use crate::words;

/// Rows of one table; the rest is in the JSON.
const ROWS: usize = 40;

pub(crate) fn write(summary: &Summary, out: &mut dyn Write) -> Result<(), Failure> {
    head(summary, out)?;
    if summary.packets == 0 {
        return Ok(());
    }
    if summary.with_policy {
        verdicts(summary, out)?;
    }
    devices(&summary.devices, out)?;
    if summary.with_policy {
        let refused: Vec<_> = summary.conversations.iter().filter(|c| !clean(c)).collect();
        if refused.is_empty() {
            writeln!(out, "\nNo conversation was stopped or would have been.")?;
            return Ok(());
        }
        conversations("Stopped, or would have been:", &refused, out)
    } else {
        let all: Vec<_> = summary.conversations.iter().collect();
        conversations("Who talks to whom:", &all, out)?;
        protocols(summary, out)
    }
}

fn head(summary: &Summary, out: &mut dyn Write) -> Result<(), Failure> {
    let (packets, bytes) = (words::count(summary.packets), words::bytes(summary.bytes));
    match (&summary.from, &summary.to) {
        (Some(from), Some(to)) => writeln!(out, "{packets} packets, {bytes}, {from} to {to}.")?,
        _ => writeln!(out, "No packets.")?,
    }
    let basis = match summary.sides {
        Basis::Captures => "Sides are told by the capture.",
        Basis::WardMacs => "Sides are told by --ward-macs.",
        Basis::Policy => "Sides are told by the devices the policy lists.",
        Basis::Guess => "Sides are guessed by who speaks first; --ward-macs tells them for sure.",
    };
    writeln!(out, "{basis}")?;
    let notes = [
        (summary.crossings, "were seen on both sides and judged once"),
        (
            summary.cut_short,
            "were cut short by the capture; they are judged by what is there",
        ),
        (summary.backwards, "are earlier than the one before them"),
        (
            summary.untold_packets,
            "belong to more conversations than are told apart",
        ),
    ];
    for (packets, note) in notes {
        if packets > 0 {
            writeln!(out, "{} packets {note}.", words::count(packets))?;
        }
    }
    Ok(())
}

fn verdicts(summary: &Summary, out: &mut dyn Write) -> Result<(), Failure> {
    let of = |outcome| words::count(summary.verdicts.get(&outcome).copied().unwrap_or(0));
    writeln!(
        out,
        "\nLet through: {}. Would have been stopped: {}. Stopped: {}.\n",
        of(Outcome::Forward),
        of(Outcome::WouldDrop),
        of(Outcome::Drop)
    )?;
    let mut table = Table::new(&["REASON", ">PACKETS", "MEANING"]);
    for (reason, packets) in &summary.reasons {
        table.row([
            reason.name().to_owned(),
            words::count(*packets),
            reason.sentence().trim().to_owned(),
        ]);
    }
    Ok(table.write(out)?)
}

fn devices(devices: &[DeviceSummary], out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "\nDevices: {}", words::count(devices.len() as u64))?;
    let mut table = Table::new(&[
        "DEVICE",
        "MAC",
        "MAKER",
        "VLAN",
        "ROLE",
        "MODE",
        "ADDRESS",
        ">SENT",
        ">GOT",
        ">STOPPED",
        ">WOULD STOP",
    ]);
    for d in devices.iter().take(ROWS) {
        let claimed = d.dhcp.as_ref().map(|dhcp| dhcp.hostname.as_str());
        table.row([
            match claimed {
                _ if !d.name.is_empty() => d.name.clone(),
                Some(hostname) if !hostname.is_empty() => format!("({hostname})"),
                _ => "-".to_owned(),
            },
            d.key.mac.to_string(),
            words::maker(d.vendor),
            words::vlan(d.key.vlan),
            d.role.clone().unwrap_or_else(|| "-".to_owned()),
            words::word(d.mode),
            match d.addresses.as_slice() {
                [] => "-".to_owned(),
                [one] => one.to_string(),
                [first, rest @ ..] => format!("{first} +{}", rest.len()),
            },
            words::count(d.sent.frames),
            words::count(d.got.frames),
            words::count(d.dropped.values().sum()),
            words::count(d.would_drop.values().sum()),
        ]);
    }
    if !table.is_empty() {
        table.write(out)?;
    }
    rest(devices.len(), out)
}

/// Whether all of it was let through as allowed.
fn clean(conversation: &ConversationSummary) -> bool {
    let verdicts = &conversation.conversation.verdicts;
    verdicts.keys().all(|outcome| *outcome == Outcome::Forward)
}

fn conversations(
    title: &str,
    list: &[&ConversationSummary],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    writeln!(out, "\n{title}")?;
    let mut table = Table::new(&[
        "DEVICE",
        "",
        "PEER",
        "WHAT",
        ">PACKETS",
        ">BYTES",
        ">STOPPED",
        ">WOULD STOP",
        "REASON",
        "RULE",
    ]);
    for c in list.iter().take(ROWS) {
        let of = |outcome| c.conversation.verdicts.get(&outcome).copied().unwrap_or(0);
        table.row([
            match &c.key.device {
                Some(key) => words::device(key, &c.device_name),
                None => "(everyone)".to_owned(),
            },
            match c.key.initiator {
                Initiator::Device => "to",
                Initiator::Peer => "from",
            }
            .to_owned(),
            c.key.peer.to_string(),
            words::service(c.key.protocol, c.key.port),
            words::count(c.conversation.volume.packets),
            words::bytes(c.conversation.volume.bytes),
            words::count(of(Outcome::Drop)),
            words::count(of(Outcome::WouldDrop)),
            telling_reason(c).map_or("", Reason::name).to_owned(),
            c.rule.as_deref().map(printable).unwrap_or_default(),
        ]);
    }
    table.write(out)?;
    rest(list.len(), out)
}

/// The most frequent reason; of those it was stopped for, if it was.
fn telling_reason(conversation: &ConversationSummary) -> Option<Reason> {
    let reasons = conversation.conversation.reasons.iter();
    reasons
        .max_by_key(|(reason, packets)| (!reason.forwards(), **packets))
        .map(|(reason, _)| *reason)
}

fn protocols(summary: &Summary, out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "\nProtocols:")?;
    let mut table = Table::new(&["PROTOCOL", ">CONVERSATIONS", ">PACKETS", ">BYTES"]);
    for p in summary.protocols.iter().take(ROWS) {
        table.row([
            p.protocol.clone(),
            words::count(p.conversations),
            words::count(p.volume.packets),
            words::bytes(p.volume.bytes),
        ]);
    }
    table.write(out)?;
    rest(summary.protocols.len(), out)
}

fn rest(rows: usize, out: &mut dyn Write) -> Result<(), Failure> {
    if rows > ROWS {
        writeln!(
            out,
            "and {} more; --json tells all",
            words::count((rows - ROWS) as u64)
        )?;
    }
    Ok(())
}
