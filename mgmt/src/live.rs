//! What happens, for those who listen: a ring of the newest events, read by each listener at its
//! own place. Nothing is buffered for anybody; whoever is too slow loses its place and is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::time::Time;

/// Events that are held.
const HELD: usize = 8_192;

/// What an event is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// A device was seen, named or changed.
    Device,
    /// Something is not as usual.
    Alert,
    /// A conversation was refused or would have been.
    Verdict,
    /// A job went on.
    Job,
    /// A policy was applied, or rolled back.
    Policy,
    /// The appliance itself: links, starts, the fast path gone and back.
    System,
}

impl Topic {
    /// As in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Alert => "alert",
            Self::Verdict => "verdict",
            Self::Job => "job",
            Self::Policy => "policy",
            Self::System => "system",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Event {
    /// Number, rising by one; starts again when this process does.
    pub seq: u64,
    /// When.
    pub time: Time,
    /// What it is about.
    pub topic: Topic,
    /// What happened, such as `device-seen` or `denied`.
    pub event: String,
    /// The device it is about, as in `/devices/{key}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Everything else.
    pub detail: Json,
}

/// The ring.
#[derive(Debug)]
pub struct Hub {
    /// Names this process among those before it, so that a number of an earlier one is known.
    epoch: String,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
    listeners: Arc<AtomicUsize>,
}

/// Counts as a listener until it is dropped.
#[derive(Debug)]
pub struct Listening(Arc<AtomicUsize>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    /// Number of the next event.
    next: u64,
}

/// What a listener gets.
#[derive(Debug)]
pub enum Heard {
    /// The next events, oldest first.
    Events(Vec<Arc<Event>>),
    /// The listener's place is no longer held: so many events are lost to it.
    Lost(u64),
}

impl Hub {
    /// An empty ring.
    pub fn new() -> Self {
        Self {
            epoch: format!("{:x}", Time::now().us()),
            ring: Mutex::default(),
            newest: watch::channel(0).0,
            listeners: Arc::default(),
        }
    }

    /// One more listens.
    pub fn listening(&self) -> Listening {
        self.listeners.fetch_add(1, Ordering::Relaxed);
        Listening(Arc::clone(&self.listeners))
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.listeners.load(Ordering::Relaxed)
    }

    /// Tells what happened.
    pub fn tell(&self, topic: Topic, event: &str, device: Option<String>, detail: Json) {
        self.tell_at(Time::now(), topic, event, device, detail);
    }

    /// As [`Hub::tell`], of something that happened before now.
    pub fn tell_at(
        &self,
        time: Time,
        topic: Topic,
        event: &str,
        device: Option<String>,
        detail: Json,
    ) {
        let mut ring = self.ring();
        if ring.events.len() == HELD {
            ring.events.pop_front();
        }
        let seq = ring.next;
        ring.next += 1;
        ring.events.push_back(Arc::new(Event {
            seq,
            time,
            topic,
            event: event.to_owned(),
            device,
            detail,
        }));
        drop(ring);
        self.newest.send_replace(seq + 1);
    }

    /// Number of the next event: where a new listener begins.
    pub fn next(&self) -> u64 {
        self.ring().next
    }

    /// The id of an event for `Last-Event-ID`.
    pub fn id(&self, seq: u64) -> String {
        format!("{}-{seq}", self.epoch)
    }

    /// Where a listener goes on that heard the event of this id last; none if it was another
    /// process that told it.
    pub fn after(&self, id: &str) -> Option<u64> {
        let (epoch, seq) = id.split_once('-')?;
        let seq: u64 = seq.parse().ok()?;
        (epoch == self.epoch && seq < self.next()).then_some(seq + 1)
    }

    /// At most `limit` events from `from` on; waits for the first.
    pub async fn listen(&self, from: u64, limit: usize) -> Heard {
        let mut newest = self.newest.subscribe();
        loop {
            // Marked as seen before the look, so that nothing slips in between.
            newest.borrow_and_update();
            {
                let ring = self.ring();
                let oldest = ring.next - ring.events.len() as u64;
                if from < oldest {
                    return Heard::Lost(oldest - from);
                }
                let skip = usize::try_from(from - oldest).unwrap_or(usize::MAX);
                let events: Vec<_> = ring.events.iter().skip(skip).take(limit).cloned().collect();
                if !events.is_empty() {
                    return Heard::Events(events);
                }
            }
            // The sender lives as long as `self`.
            let _ = newest.changed().await;
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // A panic while it was locked cannot leave it half-changed in a way that matters.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(hub: &Hub, count: usize) {
        for _ in 0..count {
            hub.tell(Topic::Device, "device-seen", None, Json::Null);
        }
    }

    #[tokio::test]
    async fn a_listener_goes_on_where_it_was() {
        let hub = Hub::new();
        tell(&hub, 3);
        let from = hub.after(&hub.id(0)).expect("ours");
        let Heard::Events(events) = hub.listen(from, 10).await else {
            panic!("nothing is lost")
        };
        assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(hub.after("another-1"), None);
        assert_eq!(hub.after(&hub.id(9)), None);
    }

    #[tokio::test]
    async fn whoever_is_too_slow_is_told() {
        let hub = Hub::new();
        tell(&hub, HELD + 5);
        assert!(matches!(hub.listen(2, 10).await, Heard::Lost(3)));
    }

    #[tokio::test]
    async fn a_waiting_listener_is_woken() {
        let hub = Arc::new(Hub::new());
        let listener = tokio::spawn({
            let hub = Arc::clone(&hub);
            async move { hub.listen(0, 10).await }
        });
        tokio::task::yield_now().await;
        tell(&hub, 1);
        assert!(matches!(listener.await, Ok(Heard::Events(events)) if events.len() == 1));
    }
}
