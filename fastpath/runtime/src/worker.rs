//! The worker loop: bursts from one port through the engine out of the other, run to completion.
//!
//! Nothing here allocates, locks or formats while frames flow. Whatever else there is to do
//! (commands, events, upkeep, heartbeat) happens between two rounds and in bounded portions.

mod pace;

use std::sync::Arc;

use tokio::sync::oneshot;
use wardline_control::FlowFilter;
use wardline_dpdk::{BURST, Burst, Queue};
use wardline_engine::{Action, Engine, FlowView, Verdict};
use wardline_policy::{PolicySnapshot, Reason, Side};

use crate::clock::Clock;
use crate::heartbeat::Heart;
use crate::mailbox::{Command, FlowsFound, FlowsWanted, Mailbox, Report, Swapped, Turns};
use crate::steer::Steering;

pub use pace::Pace;

/// Rounds with frames after which events are passed on without waiting for an idle one.
const ROUNDS_BETWEEN_EVENTS: u64 = 64;
/// Rounds without frames in a row after which the ports count as drained.
const DRAINED: u32 = 16;
/// Rounds after which draining ends even if frames still come.
const DRAIN_ROUNDS: u32 = 10_000;

const SIDES: [Side; 2] = [Side::Ward, Side::Core];

/// Everything one worker owns.
#[derive(Debug)]
pub struct Worker {
    /// Its engine.
    pub engine: Engine,
    /// Its queue of each port, by side.
    pub ports: [Queue; 2],
    /// How frames get to the worker they belong to.
    pub steering: Steering,
    /// Where commands come from and events go.
    pub mailbox: Arc<Mailbox>,
    /// The engine's time.
    pub clock: Clock,
    /// Its heartbeat.
    pub heart: Heart,
    /// What it does when there is nothing to do.
    pub pace: Pace,
}

impl Worker {
    /// Turns until [`Command::Finish`] comes.
    pub fn run(self) {
        Loop::new(self).run();
    }
}

/// A worker at work.
struct Loop {
    own: Worker,
    burst: Burst,
    verdicts: [Verdict; BURST],
    unsent: Unsent,
    turns: Turns,
    started_ns: u64,
    /// When the last round began, and whether it had frames.
    last_round: (u64, bool),
}

impl Loop {
    fn new(own: Worker) -> Self {
        let started_ns = own.clock.now_ns();
        Self {
            own,
            burst: Burst::new(),
            verdicts: [Verdict::default(); BURST],
            unsent: Unsent::default(),
            turns: Turns::default(),
            started_ns,
            last_round: (started_ns, false),
        }
    }

    fn run(mut self) {
        loop {
            let now_ns = self.begin_round();
            if self.obey() {
                break;
            }
            let frames = self.forward_all(now_ns);
            self.last_round.1 = frames > 0;
            if frames == 0 || self.turns.polls.is_multiple_of(ROUNDS_BETWEEN_EVENTS) {
                self.tell_events();
                self.hand_out();
            }
            if self.own.engine.captures() || frames == 0 {
                self.hand_captured();
            }
            if frames == 0 {
                self.own.engine.upkeep(now_ns);
                self.turns.empty_polls += 1;
                self.turns.parks += u64::from(self.own.pace.rest());
            } else {
                self.own.pace.reset();
            }
        }
        self.drain();
    }

    /// Keeps the books of the loop and returns the time of this round.
    fn begin_round(&mut self) -> u64 {
        let now_ns = self.own.clock.now_ns();
        let (last_ns, had_frames) = self.last_round;
        let round_ns = now_ns.saturating_sub(last_ns);
        self.turns.polls += 1;
        self.turns.longest_round_ns = self.turns.longest_round_ns.max(round_ns);
        if had_frames {
            self.turns.busy_ns += round_ns;
        }
        self.last_round = (now_ns, false);
        self.own.heart.beat(now_ns);
        now_ns
    }

    /// One burst from each source in turn, so that neither side starves the other.
    fn forward_all(&mut self, now_ns: u64) -> usize {
        let mut frames = 0;
        for from in SIDES {
            let Worker {
                ports, steering, ..
            } = &mut self.own;
            if ports[from as usize].rx.receive(&mut self.burst) > 0 {
                steering.hand_over(from, &mut self.burst, &mut self.turns);
                frames += self.forward(from, now_ns);
            }
            if self.own.steering.take_over(from, &mut self.burst) > 0 {
                frames += self.forward(from, now_ns);
            }
        }
        frames
    }

    /// The frames of the burst through the engine and out.
    fn forward(&mut self, from: Side, now_ns: u64) -> usize {
        let frames = self.burst.frames();
        let count = frames.len();
        if count == 0 {
            // All of them belong to other workers.
            return 0;
        }
        let verdicts = &mut self.verdicts[..count];
        self.own.engine.process(from, now_ns, frames, verdicts);
        let exits = exits(verdicts);
        for to in SIDES {
            let mask = exits[to as usize];
            if mask == 0 {
                continue;
            }
            let sent = self.own.ports[to as usize].tx.send(&mut self.burst, mask);
            if sent.dropped > 0 {
                self.unsent.count(from, mask, sent.dropped, &self.verdicts);
            }
        }
        self.burst.clear();
        self.send_refusals();
        self.turns.bursts += 1;
        self.turns.frames += count as u64;
        count
    }

    fn send_refusals(&mut self) {
        let Worker { engine, ports, .. } = &mut self.own;
        if engine.refusals().next().is_none() {
            return;
        }
        for to in SIDES {
            let frames = engine
                .refusals()
                .filter(|(side, _)| *side == to)
                .map(|(_, frame)| frame);
            ports[to as usize].tx.send_copies(frames);
        }
        engine.clear_refusals();
    }

    fn tell_events(&mut self) {
        let Worker {
            engine, mailbox, ..
        } = &mut self.own;
        engine.drain_events(|event| mailbox.tell(event));
    }

    /// Windows and samples for the classifier, whose time is its own: what it does not fetch is
    /// counted and gone.
    fn hand_out(&mut self) {
        let Worker {
            engine, mailbox, ..
        } = &mut self.own;
        let turns = &mut self.turns;
        engine.drain_windows(|window| {
            turns.feature_windows += 1;
            turns.unfetched[0] += u64::from(!mailbox.hand_window(window));
        });
        while let Some(sample) = engine.next_sample() {
            if let Err(sample) = mailbox.hand_sample(sample) {
                turns.unfetched[1] += 1;
                engine.give_back(sample);
            }
        }
        while let Some(sample) = mailbox.returned_sample() {
            engine.give_back(sample);
        }
    }

    /// What was captured, each round: a burst may fill a good part of the memory there is.
    fn hand_captured(&mut self) {
        let Worker {
            engine, mailbox, ..
        } = &mut self.own;
        while let Some(copy) = mailbox.returned_captured() {
            engine.give_captured_back(copy);
        }
        while let Some(copy) = engine.next_captured() {
            if let Err(copy) = mailbox.hand_captured(copy) {
                engine.give_captured_back(copy);
            }
        }
    }

    /// At most one command a round. Returns whether it was the last one.
    fn obey(&mut self) -> bool {
        let Some(command) = self.own.mailbox.next_command() else {
            return false;
        };
        // A caller that has given up gets no answer, and gave up on the effect as well: failing to
        // send is no error here.
        match command {
            Command::SetPolicy { snapshot, done } => self.set_policy(snapshot, done),
            Command::Report(done) => {
                let _ = done.send(self.report());
            }
            Command::Devices(done) => {
                let _ = done.send(self.own.engine.devices().collect());
            }
            Command::Flows { wanted, done } => {
                let _ = done.send(self.flows(&wanted));
            }
            Command::Capture { orders, done } => {
                let before = self.own.engine.set_captures(orders);
                let _ = done.send(before);
            }
            Command::Dropped {
                device,
                limit,
                done,
            } => {
                let dropped = self.own.engine.dropped(device).take(limit);
                let _ = done.send(dropped.copied().collect());
            }
            Command::Finish => return true,
        }
        false
    }

    fn set_policy(&mut self, snapshot: Arc<PolicySnapshot>, done: oneshot::Sender<Swapped>) {
        if done.is_closed() {
            return;
        }
        // Events name rules by number; those of the old policy go out before the new one counts.
        self.tell_events();
        let old = self.own.engine.set_snapshot(snapshot);
        let generation = self.own.engine.generation();
        if let Err(swapped) = done.send(Swapped { old, generation }) {
            self.own.engine.set_snapshot(swapped.old);
        }
    }

    fn report(&mut self) -> Report {
        let mut counters = self.own.engine.counters().clone();
        self.unsent.apply(&mut counters.by_reason);
        for side in SIDES {
            let lost = self.own.ports[side as usize].rx.stats();
            let by_reason = &mut counters.by_reason[side as usize];
            by_reason[Reason::Oversize.index()] += lost.oversize;
            // The driver took a tag off, which is checked at start and must not happen later.
            by_reason[Reason::VlanStack.index()] += lost.untagged;
            let not_handed_over = self.turns.hand_over_drops[side as usize];
            by_reason[Reason::EgressFull.index()] += not_handed_over;
            counters.received[side as usize] += lost.oversize + lost.untagged + not_handed_over;
        }
        let mut turns = self.turns;
        turns.elapsed_ns = self.last_round.0 - self.started_ns;
        let lost = self.own.engine.unfetched();
        turns.unfetched = [0, 1].map(|kind| turns.unfetched[kind] + lost[kind]);
        self.turns.longest_round_ns = 0;
        Report {
            counters,
            turns,
            devices: self.own.engine.device_count(),
        }
    }

    fn flows(&self, wanted: &FlowsWanted) -> FlowsFound {
        let mut flows = Vec::new();
        let rest = self.own.engine.flows_from(wanted.first);
        for (looked_at, (slot, flow)) in rest.enumerate() {
            if looked_at == wanted.scan || flows.len() == wanted.limit {
                let next = Some(slot);
                return FlowsFound { flows, next };
            }
            if is_wanted(&flow, &wanted.filter) {
                flows.push(flow);
            }
        }
        FlowsFound { flows, next: None }
    }

    /// Forwards what has already arrived.
    fn drain(&mut self) {
        let mut empty = 0;
        for _ in 0..DRAIN_ROUNDS {
            let now_ns = self.begin_round();
            empty = if self.forward_all(now_ns) == 0 {
                empty + 1
            } else {
                0
            };
            if empty == DRAINED {
                break;
            }
        }
        self.tell_events();
    }
}

/// For each side, the frames that leave to it: bit `i` for frame `i`.
fn exits(verdicts: &[Verdict]) -> [u64; 2] {
    let mut exits = [0; 2];
    for (bit, verdict) in verdicts.iter().enumerate() {
        if let Action::Forward(to) = verdict.action {
            exits[to as usize] |= 1 << bit;
        }
    }
    exits
}

fn is_wanted(flow: &FlowView, filter: &FlowFilter) -> bool {
    filter.mac.is_none_or(|mac| flow.device.mac == mac)
        && filter
            .address
            .is_none_or(|a| flow.source == a || flow.destination == a)
        && filter
            .port
            .is_none_or(|p| flow.source_port == p || flow.destination_port == p)
        && filter.protocol.is_none_or(|p| flow.protocol == p)
        && filter.reason.is_none_or(|r| flow.reason == r)
}

/// Frames that policy let pass and the egress did not take, by side of entry and by the reason
/// they had been counted under.
#[derive(Debug)]
struct Unsent([[u64; Reason::COUNT]; 2]);

impl Default for Unsent {
    fn default() -> Self {
        Self([[0; Reason::COUNT]; 2])
    }
}

impl Unsent {
    /// The last `dropped` frames of `mask` were not sent.
    fn count(&mut self, from: Side, mut mask: u64, dropped: usize, verdicts: &[Verdict]) {
        for _ in 0..dropped.min(mask.count_ones() as usize) {
            let last = 63 - mask.leading_zeros();
            mask &= !(1 << last);
            let reason = verdicts[last as usize].reason;
            self.0[from as usize][reason.index()] += 1;
        }
    }

    /// Moves them to `egress-full`, so that every frame stays counted exactly once.
    fn apply(&self, by_reason: &mut [Vec<u64>; 2]) {
        for (table, unsent) in by_reason.iter_mut().zip(&self.0) {
            for (reason, count) in unsent.iter().enumerate() {
                table[reason] -= count;
                table[Reason::EgressFull.index()] += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wardline_policy::RuleId;

    use super::*;

    fn verdict(action: Action, reason: Reason) -> Verdict {
        Verdict {
            action,
            reason,
            would_drop: None,
            rule: RuleId(0),
            device: 0,
        }
    }

    #[test]
    fn frames_leave_to_the_side_their_verdict_names() {
        let to_core = verdict(Action::Forward(Side::Core), Reason::Allowed);
        let to_ward = verdict(Action::Forward(Side::Ward), Reason::Allowed);
        let drop = verdict(Action::Drop, Reason::NoRule);
        assert_eq!(exits(&[to_core, drop, to_ward, to_core]), [0b0100, 0b1001]);
    }

    #[test]
    fn unsent_frames_move_to_egress_full_and_the_sum_stays() {
        let forwarded = |reason| verdict(Action::Forward(Side::Core), reason);
        let verdicts = [
            forwarded(Reason::Allowed),
            verdict(Action::Drop, Reason::NoRule),
            forwarded(Reason::Established),
            forwarded(Reason::Allowed),
        ];
        let mut by_reason = [vec![0; Reason::COUNT], vec![0; Reason::COUNT]];
        by_reason[0][Reason::Allowed.index()] = 2;
        by_reason[0][Reason::Established.index()] = 1;
        by_reason[0][Reason::NoRule.index()] = 1;
        let mut unsent = Unsent::default();
        unsent.count(Side::Ward, 0b1101, 2, &verdicts);
        unsent.apply(&mut by_reason);
        assert_eq!(by_reason[0][Reason::Allowed.index()], 1);
        assert_eq!(by_reason[0][Reason::Established.index()], 0);
        assert_eq!(by_reason[0][Reason::EgressFull.index()], 2);
        assert_eq!(by_reason[0].iter().sum::<u64>(), 4);
    }
}
