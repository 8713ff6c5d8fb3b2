//! The flow history's ledger: what the fast path tells of conversations, added up by five minutes
//! so that nothing counts twice.
//!
//! Short conversations are known by their end, which says what they carried; long ones are looked
//! at now and then, and what was already counted is subtracted. A conversation that was under way
//! before this process looked first counts from that look on.

use std::collections::HashMap;
use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wardline_control::view::FlowFacts;
use wardline_control::view::Traffic;
use wardline_control::{EventKind, EventRecord, FlowFilter, FlowView, bounds};
use wardline_policy::{DeviceKey, Initiator, Reason, Side};

use crate::Shared;
use crate::store::device::key_text;
use crate::store::flow::{self, Service, Subject, Sums, Verdict};
use crate::time::Time;

/// How often what was added up is written.
pub(super) const WRITE_EVERY: Duration = Duration::from_secs(10);
/// Conversations that are remembered; more are known by their end alone.
const OPEN: usize = 262_144;
/// Records waiting to be written; more are counted as lost.
const WAITING: usize = 65_536;

/// What is known and not yet written.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// When the conversations were looked at first.
    first_look_us: Option<u64>,
    open: HashMap<Conversation, Account>,
    /// By bucket, in seconds since the epoch.
    waiting: HashMap<i64, Waiting>,
    records: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    sums: HashMap<Subject, Sums>,
    lost: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Conversation {
    device: DeviceKey,
    ends: [Option<IpAddr>; 2],
    protocol: u8,
    ports: [u16; 2],
    first_seen_us: u64,
}

/// What was counted of a conversation: from its initiator, and back.
#[derive(Debug, Clone, Copy)]
struct Account {
    forth: Traffic,
    back: Traffic,
    verdict: Verdict,
    /// Number of the look that saw it last.
    look: u64,
}

impl Ledger {
    /// Takes an event; those that are not about conversations are none of its business.
    pub(super) fn take(&self, event: &EventRecord) {
        let Some(device) = event.device else { return };
        let bucket = flow::bucket(Time::from_contract(event.time_us).seconds());
        match &event.kind {
            EventKind::FlowEnded { flow, forth, back } => {
                self.inner().ended(bucket, device, flow, (*forth, *back));
            }
            EventKind::Denied {
                flow,
                dropped,
                repeated,
            } => {
                let action = if *dropped { "drop" } else { "would-drop" };
                let verdict = verdict(action, flow.reason);
                let sums = Sums {
                    conversations: 1 + u64::from(*repeated),
                    ..Sums::default()
                };
                self.inner()
                    .add(bucket, subject(device, flow, verdict), &sums);
            }
            _ => {}
        }
    }

    /// So many events were lost.
    pub(super) fn lost(&self, count: u64) {
        let bucket = flow::bucket(Time::now().seconds());
        self.inner().waiting.entry(bucket).or_default().lost += count;
    }

    /// Looks at all conversations in progress.
    pub(super) async fn look(&self, app: &Shared) -> anyhow::Result<()> {
        let client = app.fastpath.connected().await;
        let number = u64::try_from(Time::now().us()).unwrap_or(0);
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let page = client
                .flows(FlowFilter::default(), at, bounds::PAGE)
                .await?;
            cursor = page.next;
            let mut inner = self.inner();
            for seen in &page.flows {
                inner.seen(seen, number);
            }
        }
        let mut inner = self.inner();
        inner.first_look_us.get_or_insert(number);
        // Those whose end was lost on the way to us.
        inner.open.retain(|_, account| account.look == number);
        Ok(())
    }

    /// Writes what was added up; what cannot be written waits on.
    pub(super) async fn write(&self, app: &Shared) {
        let waiting = {
            let mut inner = self.inner();
            inner.records = 0;
            mem::take(&mut inner.waiting)
        };
        for (bucket, waiting) in waiting {
            let written = flow::add(&app.store.history, bucket, &waiting.sums, waiting.lost).await;
            if let Err(error) = written {
                tracing::warn!(%error, "the flow history is not written; it is tried again");
                self.inner().put_back(bucket, waiting);
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic while it was locked cannot leave it half-changed in a way that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn seen(&mut self, seen: &FlowView, look: u64) {
        let conversation = Conversation {
            device: seen.device,
            ends: [Some(seen.source), Some(seen.destination)],
            protocol: seen.protocol,
            ports: [seen.source_port, seen.destination_port],
            first_seen_us: seen.first_seen_us,
        };
        let verdict = match seen.would_drop {
            Some(reason) => verdict("would-drop", reason),
            None => verdict("forward", seen.reason),
        };
        let now = Account {
            forth: seen.forth,
            back: seen.back,
            verdict,
            look,
        };
        let room = self.open.len() < OPEN;
        let before = match self.open.get_mut(&conversation) {
            Some(account) => Some(mem::replace(account, now)),
            None if room => {
                self.open.insert(conversation, now);
                None
            }
            None => return,
        };
        let by_device = seen.initiator == Initiator::Device;
        let fresh = before.is_none();
        // Nobody knows what of it was counted by the process before this one.
        if fresh && self.is_older_than_us(seen.first_seen_us) {
            return;
        }
        let counted = before.map_or_else(Default::default, |b| (b.forth, b.back));
        let mut sums = since(by_device, (seen.forth, seen.back), counted);
        sums.conversations = u64::from(fresh);
        let peer = if by_device {
            seen.destination
        } else {
            seen.source
        };
        let subject = Subject {
            device: key_text(&seen.device),
            peer: peer.to_canonical().to_string(),
            service: Service {
                by_device,
                protocol: seen.protocol,
                port: seen.destination_port,
            },
            verdict,
        };
        let bucket = flow::bucket(Time::from_contract(seen.last_seen_us).seconds());
        self.add(bucket, subject, &sums);
    }

    fn ended(
        &mut self,
        bucket: i64,
        device: DeviceKey,
        flow: &FlowFacts,
        carried: (Traffic, Traffic),
    ) {
        let first_seen_us = flow.first_seen_us.unwrap_or(0);
        let account = self.open.remove(&Conversation {
            device,
            ends: [flow.source, flow.destination],
            protocol: flow.protocol,
            ports: [flow.source_port, flow.destination_port],
            first_seen_us,
        });
        if account.is_none() && self.is_older_than_us(first_seen_us) {
            return;
        }
        let by_device = flow.from == Side::Ward;
        let counted = account.map_or_else(Default::default, |a| (a.forth, a.back));
        let mut sums = since(by_device, carried, counted);
        sums.conversations = u64::from(account.is_none());
        let verdict = account.map_or_else(|| verdict("forward", flow.reason), |a| a.verdict);
        self.add(bucket, subject(device, flow, verdict), &sums);
    }

    /// Whether a conversation began before the first look.
    fn is_older_than_us(&self, first_seen_us: u64) -> bool {
        self.first_look_us.is_none_or(|look| first_seen_us < look)
    }

    fn add(&mut self, bucket: i64, subject: Subject, sums: &Sums) {
        if *sums == Sums::default() {
            return;
        }
        let waiting = self.waiting.entry(bucket).or_default();
        match waiting.sums.get_mut(&subject) {
            Some(known) => known.add(sums),
            None if self.records < WAITING => {
                self.records += 1;
                waiting.sums.insert(subject, *sums);
            }
            None => waiting.lost += 1,
        }
    }

    fn put_back(&mut self, bucket: i64, waiting: Waiting) {
        for (subject, sums) in waiting.sums {
            self.add(bucket, subject, &sums);
        }
        self.waiting.entry(bucket).or_default().lost += waiting.lost;
    }
}

fn subject(device: DeviceKey, flow: &FlowFacts, verdict: Verdict) -> Subject {
    let by_device = flow.from == Side::Ward;
    let peer = if by_device {
        flow.destination
    } else {
        flow.source
    };
    let port = if flow.protocol == 0 && flow.source.is_none() {
        flow.ethertype
    } else {
        flow.destination_port
    };
    Subject {
        device: key_text(&device),
        peer: peer
            .map(|peer| peer.to_canonical().to_string())
            .unwrap_or_default(),
        service: Service {
            by_device,
            protocol: flow.protocol,
            port,
        },
        verdict,
    }
}

fn verdict(action: &'static str, reason: Reason) -> Verdict {
    Verdict {
        action,
        reason: reason.name(),
    }
}

/// What was carried beyond what was counted, from the device's point of view.
fn since(by_device: bool, now: (Traffic, Traffic), counted: (Traffic, Traffic)) -> Sums {
    let less = |now: Traffic, counted: Traffic| Traffic {
        frames: now.frames.saturating_sub(counted.frames),
        bytes: now.bytes.saturating_sub(counted.bytes),
    };
    let (forth, back) = (less(now.0, counted.0), less(now.1, counted.1));
    let (sent, got) = if by_device {
        (forth, back)
    } else {
        (back, forth)
    };
    Sums {
        conversations: 0,
        frames_sent: sent.frames,
        bytes_sent: sent.bytes,
        frames_got: got.frames,
        bytes_got: got.bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(first_seen_us: u64) -> FlowFacts {
        serde_json::from_value(serde_json::json!({
            "from": "ward", "source": "10.0.0.1", "destination": "10.0.0.2", "protocol": 6,
            "ethertype": 2048, "source_port": 40_000, "destination_port": 104,
            "reason": "allowed", "rule": "", "first_seen_us": first_seen_us,
        }))
        .expect("a flow")
    }

    fn view(bytes: u64) -> FlowView {
        serde_json::from_value(serde_json::json!({
            "device": DeviceKey::default(), "device_name": "", "initiator": Initiator::Device,
            "source": "10.0.0.1", "destination": "10.0.0.2", "protocol": 6,
            "source_port": 40_000, "destination_port": 104, "state": "established",
            "reason": "allowed", "would_drop": null, "rule": "",
            "forth": { "frames": 1, "bytes": bytes }, "back": { "frames": 1, "bytes": 10 },
            "first_seen_us": 50, "last_seen_us": 60,
        }))
        .expect("a flow")
    }

    fn total(inner: &Inner) -> (u64, u64) {
        let all = inner
            .waiting
            .values()
            .flat_map(|waiting| waiting.sums.values());
        all.fold((0, 0), |(n, b), s| (n + s.conversations, b + s.bytes_sent))
    }

    fn carried(bytes: u64) -> (Traffic, Traffic) {
        let traffic = |bytes| Traffic { frames: 1, bytes };
        (traffic(bytes), traffic(10))
    }

    #[test]
    fn a_conversation_counts_once_however_often_it_is_looked_at() {
        let mut inner = Inner {
            first_look_us: Some(1),
            ..Inner::default()
        };
        inner.seen(&view(100), 2);
        inner.seen(&view(150), 3);
        inner.ended(0, DeviceKey::default(), &flow(50), carried(170));
        assert_eq!(total(&inner), (1, 170));
        assert!(inner.open.is_empty());
    }

    #[test]
    fn one_that_was_never_looked_at_counts_by_its_end() {
        let mut inner = Inner {
            first_look_us: Some(1),
            ..Inner::default()
        };
        inner.ended(0, DeviceKey::default(), &flow(50), carried(170));
        assert_eq!(total(&inner), (1, 170));
    }

    #[test]
    fn what_an_earlier_process_may_have_counted_does_not_count_again() {
        let mut inner = Inner::default();
        inner.seen(&view(100), 2);
        inner.first_look_us = Some(55);
        inner.seen(&view(150), 3);
        assert_eq!(total(&inner), (0, 50));
        inner.ended(0, DeviceKey::default(), &flow(20), carried(170));
        assert_eq!(total(&inner), (0, 50));
    }
}
