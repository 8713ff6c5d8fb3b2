//! All workers as one: commands to each, answers put together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use wardline_control::{FlowFilter, Refused, RefusedKind};
use wardline_engine::{Counters, DeviceView, FlowView};
use wardline_policy::{DeviceKey, PolicySnapshot};

use crate::mailbox::{Command, FlowsFound, FlowsWanted, Mailbox, Report, Swapped};

/// A worker that has not looked into its mailbox for so long does not turn.
const ANSWER: Duration = Duration::from_secs(2);
/// Conversations a worker looks at between two bursts: some tens of microseconds.
const PIECE: usize = 256;
/// Pieces of the flow table in one call, so that a call ends however large the table is.
const PIECES: usize = 128;

/// The workers, by their mailboxes.
#[derive(Debug, Clone)]
pub struct Fleet {
    mailboxes: Arc<[Arc<Mailbox>]>,
}

impl Fleet {
    /// Of these workers.
    pub fn new(mailboxes: Vec<Arc<Mailbox>>) -> Self {
        Self {
            mailboxes: mailboxes.into(),
        }
    }

    /// Their mailboxes, by number.
    pub fn mailboxes(&self) -> &[Arc<Mailbox>] {
        &self.mailboxes
    }

    /// Puts a policy in force on every worker, each at a burst boundary, and returns the
    /// engines' number for it. If one of them does not answer, all keep the old one.
    ///
    /// # Errors
    /// A worker did not answer.
    pub async fn swap(&self, snapshot: &Arc<PolicySnapshot>) -> Result<u32, Refused> {
        let swaps = (0..self.mailboxes.len()).map(|worker| {
            self.ask(worker, |done| Command::SetPolicy {
                snapshot: Arc::clone(snapshot),
                done,
            })
        });
        let results = futures::future::join_all(swaps).await;
        let failed = results.iter().find_map(|r| r.as_ref().err().cloned());
        let Some(refused) = failed else {
            let swapped = results.into_iter().flatten();
            return Ok(swapped.map(|s: Swapped| s.generation).max().unwrap_or(0));
        };
        for (worker, result) in results.into_iter().enumerate() {
            if let Ok(swapped) = result {
                let back = self.ask(worker, |done| Command::SetPolicy {
                    snapshot: swapped.old,
                    done,
                });
                // This worker answered a moment ago; if it stopped since, nothing can be done.
                let _ = back.await;
            }
        }
        Err(refused)
    }

    /// Counters of each worker.
    ///
    /// # Errors
    /// A worker did not answer.
    pub async fn reports(&self) -> Result<Vec<Report>, Refused> {
        let asked = (0..self.mailboxes.len()).map(|worker| self.ask(worker, Command::Report));
        futures::future::try_join_all(asked).await
    }

    /// Every device, once, in the order they were first seen.
    ///
    /// # Errors
    /// A worker did not answer.
    pub async fn devices(&self) -> Result<Vec<DeviceView>, Refused> {
        let mut merged: BTreeMap<DeviceKey, DeviceView> = BTreeMap::new();
        for worker in 0..self.mailboxes.len() {
            let devices: Vec<DeviceView> = self.ask(worker, Command::Devices).await?;
            for device in devices {
                merge(&mut merged, device);
            }
        }
        let mut devices: Vec<_> = merged.into_values().collect();
        devices.sort_by_key(|d| (d.first_seen_ns, d.key));
        Ok(devices)
    }

    /// Conversations from `cursor` on, and the cursor to go on with.
    ///
    /// # Errors
    /// A worker did not answer.
    pub async fn flows(
        &self,
        filter: &FlowFilter,
        cursor: u64,
        limit: usize,
    ) -> Result<(Vec<FlowView>, Option<u64>), Refused> {
        let mut at = Place::from_cursor(cursor);
        let mut flows = Vec::new();
        for _ in 0..PIECES {
            if at.worker >= self.mailboxes.len() {
                return Ok((flows, None));
            }
            if flows.len() >= limit {
                break;
            }
            let wanted = FlowsWanted {
                filter: filter.clone(),
                first: at.slot,
                scan: PIECE,
                limit: limit - flows.len(),
            };
            let found: FlowsFound = self
                .ask(at.worker, |done| Command::Flows { wanted, done })
                .await?;
            flows.extend(found.flows);
            at = match found.next {
                Some(slot) => Place { slot, ..at },
                None => Place {
                    worker: at.worker + 1,
                    slot: 0,
                },
            };
        }
        let more = at.worker < self.mailboxes.len();
        Ok((flows, more.then(|| at.to_cursor())))
    }

    /// Asks every worker to forward what is there and return.
    pub fn finish(&self) {
        for mailbox in self.mailboxes.iter() {
            // A full box belongs to a worker that does not turn; waiting for it has its own limit.
            let _ = mailbox.post(Command::Finish);
        }
    }

    /// Events lost in the mailboxes.
    pub fn events_dropped(&self) -> u64 {
        self.mailboxes.iter().map(|m| m.events_dropped()).sum()
    }

    async fn ask<T>(
        &self,
        worker: usize,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Refused> {
        let (done, answer) = oneshot::channel();
        let busy = |what: &str| {
            Refused::new(
                RefusedKind::Unavailable,
                format!("worker {worker} {what}; nothing was changed, see the log"),
            )
        };
        self.mailboxes[worker]
            .post(command(done))
            .map_err(|_| busy("has too many requests waiting"))?;
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(busy("has stopped")),
            Err(_) => Err(busy("does not answer")),
        }
    }
}

/// Position in the flow tables of all workers, packed into a cursor.
struct Place {
    worker: usize,
    slot: u32,
}

impl Place {
    const SLOT_BITS: u32 = 32;

    fn from_cursor(cursor: u64) -> Self {
        let slot = cursor & u64::from(u32::MAX);
        Self {
            worker: usize::try_from(cursor >> Self::SLOT_BITS).unwrap_or(usize::MAX),
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
        }
    }

    fn to_cursor(&self) -> u64 {
        ((self.worker as u64) << Self::SLOT_BITS) | u64::from(self.slot)
    }
}

/// Adds one worker's knowledge of a device to that of the others.
fn merge(devices: &mut BTreeMap<DeviceKey, DeviceView>, new: DeviceView) {
    let Some(known) = devices.get_mut(&new.key) else {
        devices.insert(new.key, new);
        return;
    };
    for address in new.addresses {
        if !known.addresses.contains(&address) {
            known.addresses.push(address);
        }
    }
    known.first_seen_ns = known.first_seen_ns.min(new.first_seen_ns);
    known.last_seen_ns = known.last_seen_ns.max(new.last_seen_ns);
    known.dhcp = known.dhcp.take().or(new.dhcp);
    for (sum, traffic) in [(&mut known.sent, new.sent), (&mut known.got, new.got)] {
        sum.frames += traffic.frames;
        sum.bytes += traffic.bytes;
    }
    add(&mut known.by_reason, &new.by_reason);
    add(&mut known.would_drop, &new.would_drop);
    known.flows += new.flows;
    known.wrong_side += new.wrong_side;
}

/// The counters of all workers together.
pub fn total<'a>(reports: impl IntoIterator<Item = &'a Counters>) -> Counters {
    let mut sum = Counters::zero();
    for counters in reports {
        for side in 0..2 {
            sum.received[side] += counters.received[side];
            sum.received_bytes[side] += counters.received_bytes[side];
            sum.refusals_sent[side] += counters.refusals_sent[side];
            add(&mut sum.by_reason[side], &counters.by_reason[side]);
        }
        add(&mut sum.would_drop, &counters.would_drop);
        sum.flows += counters.flows;
        sum.flows_begun += counters.flows_begun;
        sum.events_dropped += counters.events_dropped;
    }
    sum
}

fn add(sum: &mut [u64], more: &[u64]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::Room;

    #[test]
    fn cursors_name_worker_and_place() {
        for (worker, slot) in [(0, 0), (0, 262_144), (63, 16_777_216)] {
            let place = Place::from_cursor(Place { worker, slot }.to_cursor());
            assert_eq!((place.worker, place.slot), (worker, slot));
        }
    }

    #[tokio::test]
    async fn a_swap_that_one_worker_misses_is_taken_back_everywhere() {
        let (old, new) = (
            Arc::new(PolicySnapshot::observe_all()),
            Arc::new(PolicySnapshot::observe_all()),
        );
        let room = Room {
            events: 1,
            windows: 1,
            samples: 1,
        };
        let turning = Arc::new(Mailbox::new(room));
        let stopped = Arc::new(Mailbox::new(room));
        let fleet = Fleet::new(vec![Arc::clone(&turning), Arc::clone(&stopped)]);
        let worker = tokio::spawn({
            let mut snapshot = Arc::clone(&old);
            async move {
                for generation in 0..2 {
                    let command = loop {
                        match turning.next_command() {
                            Some(command) => break command,
                            None => tokio::time::sleep(Duration::from_millis(1)).await,
                        }
                    };
                    let Command::SetPolicy {
                        snapshot: next,
                        done,
                    } = command
                    else {
                        panic!("{command:?}");
                    };
                    let old = std::mem::replace(&mut snapshot, next);
                    done.send(Swapped { old, generation })
                        .expect("someone waits");
                }
                snapshot
            }
        });
        let refused = fleet.swap(&new).await.expect_err("one does not answer");
        assert_eq!(refused.kind, RefusedKind::Unavailable);
        assert!(refused.message.starts_with("worker 1 does not answer"));
        assert!(Arc::ptr_eq(&worker.await.expect("no panic"), &old));
        // The command still lies in the stopped worker's box, but nobody waits for it.
        let Some(Command::SetPolicy { done, .. }) = stopped.next_command() else {
            panic!("no command");
        };
        assert!(done.is_closed());
    }
}
