//! `wardline replay`: what a policy would have done to recorded traffic.
//!
//! One packet at a time goes from the [`input`] past [`side`] to the [`judge`], which is the
//! engine of the packet process on the capture's own time; [`tally`] adds up, [`report`] tells
//! people. Nothing grows with the length of a capture.

mod input;
mod judge;
mod mud;
mod output;
mod plan;
mod record;
mod report;
mod side;
mod summary;
mod tally;

use std::io::Write;

use wardline_engine::parse::parse;

use crate::cli::ReplayArgs;
use crate::failure::Failure;
use crate::words;
use input::{Captured, Input};
use judge::Judge;
use output::Outputs;
use plan::Plan;
use record::{DeviceRef, FlowKey, Outcome, PacketRecord, device_of, outcome};
use side::Sides;
use summary::Summary;
use tally::{Judged, Tally};

pub(crate) fn run(args: &ReplayArgs, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let Plan {
        document,
        mut sides,
    } = Plan::new(args)?;
    let with_policy = document.is_some();
    let mut outputs = Outputs::create(args)?;
    let mut input = match (&args.ward, &args.core) {
        (Some(ward), Some(core)) => Input::pair(ward, core),
        _ => Input::sequence(&args.captures),
    };
    let mut tally = Tally::default();
    let mut packet = Captured::default();
    // Made at the time of the first packet.
    let mut document = Some(document);
    let mut judge: Option<Judge> = None;
    while input.read(&mut packet) {
        let judge = match (&mut judge, document.take()) {
            (Some(judge), _) => judge,
            (none, document) => none.insert(Judge::new(document.flatten(), packet.time_ns)?),
        };
        step(
            judge,
            &mut sides,
            &packet,
            &mut tally,
            &mut outputs,
            json.then_some(&mut *out as &mut dyn Write),
        )?;
    }
    outputs.finish()?;
    let summary = Summary::new(&input, &sides, &tally, judge.as_ref(), with_policy);
    if json {
        serde_json::to_writer(&mut *out, &summary)?;
        writeln!(out)?;
    } else {
        report::write(&summary, out)?;
    }
    if input.troubled() {
        return Err(Failure::input(
            "not every capture could be read to its end; the result covers what could",
        ));
    }
    Ok(())
}

/// Judges one packet and tells everyone who wants to know.
fn step(
    judge: &mut Judge,
    sides: &mut Sides,
    packet: &Captured,
    tally: &mut Tally,
    outputs: &mut Outputs,
    json: Option<&mut dyn Write>,
) -> Result<(), Failure> {
    let meta = parse(&packet.data).map_or_else(|error| error.meta, Some);
    let from = packet.from.unwrap_or_else(|| sides.of(meta.as_ref()));
    let verdict = judge.judge(from, packet.time_ns, &packet.data)?;
    let (outcome, reason) = outcome(&verdict);
    tally.add(&Judged {
        from,
        meta: meta.as_ref(),
        outcome,
        reason,
        rule: verdict.rule,
        time_ns: packet.time_ns,
        original_bytes: packet.original_bytes,
        captured_bytes: packet.data.len(),
    });
    let snapshot = judge.snapshot();
    let rule = snapshot.rule_name(verdict.rule);
    let rule = (!rule.is_empty()).then_some(rule);
    outputs.write(packet, from, outcome, reason, rule)?;
    if let Some(out) = json {
        let device = meta.as_ref().and_then(|meta| device_of(from, meta));
        let record = PacketRecord {
            kind: "packet",
            index: tally.volume.packets,
            time: words::rfc3339_ns(packet.time_ns),
            side: from,
            device: device.map(|key| DeviceRef::new(key, snapshot)),
            flow: meta.as_ref().map(FlowKey::new),
            verdict: outcome,
            reason,
            rule,
        };
        serde_json::to_writer(&mut *out, &record)?;
        writeln!(out)?;
    }
    Ok(())
}

/// Whether the packet leaves the box.
fn leaves(outcome: Outcome) -> bool {
    outcome != Outcome::Drop
}
