//! The event log: bounded, numbered, read by as many clients as there are.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use wardline_control::{EventBatch, EventKind, EventRecord};
use wardline_policy::DeviceKey;

use crate::clock;

/// Events held for clients that are slow or come later.
const HELD: usize = 16_384;

/// The log.
#[derive(Debug)]
pub struct EventLog {
    inner: Mutex<Inner>,
    arrived: Notify,
}

#[derive(Debug)]
struct Inner {
    records: VecDeque<EventRecord>,
    /// Number of the next event.
    next_seq: u64,
}

/// An event without its number.
#[derive(Debug)]
pub struct NewEvent {
    /// When, in microseconds since the Unix epoch.
    pub time_us: u64,
    /// The device it is about.
    pub device: Option<DeviceKey>,
    /// Its name in the policy.
    pub device_name: String,
    /// What happened.
    pub kind: EventKind,
}

impl NewEvent {
    /// One that happens now, about a device or about the gateway itself.
    pub fn now(device: Option<DeviceKey>, kind: EventKind) -> Self {
        Self {
            time_us: clock::wall_us(),
            device,
            device_name: String::new(),
            kind,
        }
    }
}

impl EventLog {
    /// An empty log.
    pub fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                records: VecDeque::new(),
                next_seq: 1,
            }),
            arrived: Notify::new(),
        }
    }

    /// Adds an event about the gateway itself, now.
    pub fn tell(&self, kind: EventKind) {
        self.extend([NewEvent::now(None, kind)]);
    }

    /// Adds an event about a device, now.
    pub fn tell_of(&self, device: DeviceKey, kind: EventKind) {
        self.extend([NewEvent::now(Some(device), kind)]);
    }

    /// Adds events in order; the oldest ones make room.
    pub fn extend(&self, events: impl IntoIterator<Item = NewEvent>) {
        let mut inner = self.lock();
        let before = inner.next_seq;
        for event in events {
            if inner.records.len() == HELD {
                inner.records.pop_front();
            }
            let seq = inner.next_seq;
            inner.next_seq += 1;
            inner.records.push_back(EventRecord {
                seq,
                time_us: event.time_us,
                device: event.device,
                device_name: event.device_name,
                kind: event.kind,
            });
        }
        let news = inner.next_seq != before;
        drop(inner);
        if news {
            self.arrived.notify_waiters();
        }
    }

    /// Events from `from_seq` on, waiting at most so long for the first of them.
    pub async fn read(&self, from_seq: u64, limit: usize, wait: Duration) -> EventBatch {
        let wait = tokio::time::sleep(wait);
        tokio::pin!(wait);
        loop {
            // Registered before the look, so that nothing slips in between.
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let batch = self.since(from_seq, limit);
            if !batch.events.is_empty() {
                return batch;
            }
            tokio::select! {
                () = arrived => {}
                () = &mut wait => return batch,
            }
        }
    }

    /// Events from `from_seq` on that are there now.
    pub fn since(&self, from_seq: u64, limit: usize) -> EventBatch {
        let inner = self.lock();
        let oldest = inner.next_seq - inner.records.len() as u64;
        // A number from the future belongs to the process before this one.
        let fresh = from_seq == 0 || from_seq > inner.next_seq;
        let first = if fresh { oldest } else { from_seq.max(oldest) };
        let skip = usize::try_from(first - oldest).unwrap_or(usize::MAX);
        let events: Vec<_> = inner
            .records
            .iter()
            .skip(skip)
            .take(limit)
            .cloned()
            .collect();
        EventBatch {
            next_seq: first + events.len() as u64,
            lost: if fresh { 0 } else { first - from_seq },
            events,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while the log was locked cannot leave it half-changed in a way that matters.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(log: &EventLog, count: usize) {
        for _ in 0..count {
            log.tell(EventKind::DeviceSeen);
        }
    }

    fn seqs(batch: &EventBatch) -> Vec<u64> {
        batch.events.iter().map(|e| e.seq).collect()
    }

    #[test]
    fn pages_follow_one_another() {
        let log = EventLog::new();
        tell(&log, 5);
        let first = log.since(0, 3);
        assert_eq!((seqs(&first), first.lost), (vec![1, 2, 3], 0));
        let second = log.since(first.next_seq, 3);
        assert_eq!((seqs(&second), second.next_seq), (vec![4, 5], 6));
        assert_eq!(log.since(6, 3).next_seq, 6);
    }

    #[test]
    fn a_slow_reader_learns_how_many_it_missed() {
        let log = EventLog::new();
        tell(&log, HELD + 10);
        let batch = log.since(4, 1);
        assert_eq!((seqs(&batch), batch.lost), (vec![11], 7));
    }

    #[test]
    fn a_number_of_the_process_before_starts_afresh() {
        let log = EventLog::new();
        tell(&log, 2);
        assert_eq!(seqs(&log.since(900, 9)), [1, 2]);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let log = std::sync::Arc::new(EventLog::new());
        let reader = tokio::spawn({
            let log = std::sync::Arc::clone(&log);
            async move { log.read(1, 9, Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        tell(&log, 1);
        assert_eq!(seqs(&reader.await.expect("no panic")), [1]);
        let nothing = log.read(2, 9, Duration::from_millis(1)).await;
        assert_eq!((nothing.events.len(), nothing.next_seq), (0, 2));
    }
}
