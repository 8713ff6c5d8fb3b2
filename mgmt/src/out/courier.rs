//! Brings one receiver what it wants to be told, in order, until it has it or it is too late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

use super::message::{Message, Subject};
use super::{Denial, Failure, Outlet, Target, cut, host};
use crate::Shared;
use crate::audit::{self, Body};
use crate::store::receiver::{self, Health, Place, ReceiverRow};
use crate::store::{StoreError, device};
use crate::time::Time;

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Attempts after which a message is given up.
const ATTEMPTS: u32 = 1_000;
/// Attempts after which one is given up that the receiver refuses.
const REFUSED_ATTEMPTS: u32 = 5;
/// Seconds after which one is given up.
const OLDEST_S: i64 = 72 * 3_600;
/// How often it is written down how verdicts went.
const TALLY_EVERY: Duration = Duration::from_secs(2);
/// Bytes of an error that is kept.
const ERROR_BYTES: usize = 512;

/// Messages, and how far the receiver is when it has them.
struct Batch {
    messages: Vec<Message>,
    place: Place,
}

struct Courier {
    app: Shared,
    id: i64,
    outlet: Outlet,
    host: String,
    wants: Vec<Subject>,
    place: Place,
    alerts: watch::Receiver<u64>,
    audit: watch::Receiver<i64>,
    /// Absent where none are wanted.
    verdicts: Option<broadcast::Receiver<Arc<Denial>>>,
    /// Taken from the ring, and not sent yet.
    waiting: VecDeque<Arc<Denial>>,
    /// How it went since it was written down.
    since: Health,
    written: Instant,
}

/// Serves a receiver until it is changed or removed.
pub(super) async fn run(app: Shared, row: ReceiverRow) {
    let target: Option<Target> = serde_json::from_str(&row.target).ok();
    let outlet = target.map(|target| Outlet::new(&target, row.secret.as_ref()));
    let Some(Ok(outlet)) = outlet else {
        // It was checked before it was kept.
        tracing::error!(receiver = row.id, "a receiver cannot be used");
        return;
    };
    let wants: Vec<Subject> = serde_json::from_str(&row.subjects).unwrap_or_default();
    let verdicts = wants.contains(&Subject::Verdicts);
    let mut courier = Courier {
        alerts: app.out.alerts.subscribe(),
        audit: app.store.signer().newest(),
        verdicts: verdicts.then(|| app.out.verdicts.subscribe()),
        waiting: VecDeque::new(),
        id: row.id,
        host: host(),
        wants,
        place: row.place,
        since: Health::default(),
        written: Instant::now(),
        outlet,
        app,
    };
    loop {
        match courier.next().await {
            Ok(batch) => courier.deliver(batch).await,
            Err(error) => {
                tracing::warn!(%error, receiver = courier.id, "what to tell cannot be read");
                tokio::time::sleep(super::AGAIN).await;
            }
        }
    }
}

impl Courier {
    /// What comes next; waits for it.
    async fn next(&mut self) -> Result<Batch, StoreError> {
        loop {
            // Marked as seen before the look, so that nothing slips in between.
            self.alerts.borrow_and_update();
            self.audit.borrow_and_update();
            let batch = match self.alerts().await? {
                Some(batch) => Some(batch),
                None => self.audit().await?,
            };
            if let Some(batch) = batch.or_else(|| self.verdicts()) {
                return Ok(batch);
            }
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        let unwritten = self.since != Health::default();
        let due = (self.written + TALLY_EVERY).into();
        // The senders live as long as `app`.
        tokio::select! {
            _ = self.alerts.changed(), if self.wants.contains(&Subject::Alerts) => {}
            _ = self.audit.changed(), if self.wants.contains(&Subject::Audit) => {}
            heard = hear(self.verdicts.as_mut()) => match heard {
                Ok(denial) => self.waiting.push_back(denial),
                Err(RecvError::Lagged(lost)) => self.lost(lost),
                Err(RecvError::Closed) => {}
            },
            () = tokio::time::sleep_until(due), if unwritten => self.write().await,
        }
    }

    async fn alerts(&mut self) -> Result<Option<Batch>, StoreError> {
        if !self.wants.contains(&Subject::Alerts) {
            return Ok(None);
        }
        let app = Arc::clone(&self.app);
        let main = &app.store.main;
        let after = self.place.alerts;
        let events = receiver::alert_events(main, after, self.outlet.portion()).await?;
        let Some((first, last)) = events.first().zip(events.last()) else {
            return Ok(None);
        };
        let place = Place {
            alerts: last.id,
            ..self.place
        };
        // The numbers have no gap but where the oldest were let go.
        self.lost(u64::try_from(first.id - after - 1).unwrap_or(0));
        // Counted now; if the process ends before it is written they are counted again.
        self.place.alerts = first.id - 1;
        let mut messages = Vec::new();
        for event in events {
            let key = event.alert["device"].as_str().unwrap_or_default();
            let name = device::name(main, key).await?;
            messages.push(Message::alert(event, &name));
        }
        Ok(Some(Batch { messages, place }))
    }

    async fn audit(&mut self) -> Result<Option<Batch>, StoreError> {
        if !self.wants.contains(&Subject::Audit) {
            return Ok(None);
        }
        let after = self.place.audit;
        let until = after + i64::from(self.outlet.portion());
        let db = self.app.store.main.read().clone();
        let lines: Vec<_> = audit::log::lines(db, after, until).try_collect().await?;
        let bodies = lines.iter().filter_map(|line| {
            let body: Body = serde_json::from_str(&line.body).ok()?;
            Some((body, line))
        });
        let messages: Vec<_> = bodies
            .map(|(body, line)| Message::audit(body, &line.hash))
            .collect();
        let place = Place {
            audit: after + i64::try_from(lines.len()).unwrap_or(0),
            ..self.place
        };
        Ok((!lines.is_empty()).then_some(Batch { messages, place }))
    }

    /// What is in the ring.
    fn verdicts(&mut self) -> Option<Batch> {
        let most = self.outlet.portion() as usize;
        let verdicts = self.verdicts.as_mut()?;
        let mut lost = 0;
        while self.waiting.len() < most {
            match verdicts.try_recv() {
                Ok(denial) => self.waiting.push_back(denial),
                Err(TryRecvError::Lagged(count)) => lost += count,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        self.lost(lost);
        let messages: Vec<_> = self
            .waiting
            .drain(..self.waiting.len().min(most))
            .map(|denial| Message::verdict(&denial))
            .collect();
        (!messages.is_empty()).then_some(Batch {
            messages,
            place: self.place,
        })
    }

    /// Sends a batch until it is taken or too late.
    async fn deliver(&mut self, batch: Batch) {
        let count = i64::try_from(batch.messages.len()).unwrap_or(0);
        let oldest = batch.messages.iter().map(|message| message.time).min();
        for attempt in 1.. {
            let sent = self.outlet.send(&batch.messages, &self.host);
            let sent = tokio::time::timeout(PATIENCE, sent).await;
            let failure = match sent {
                Ok(Ok(())) => {
                    self.since.sent += count;
                    self.since.success = Some(Time::now());
                    break;
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure {
                    why: "it takes too long".to_owned(),
                    for_good: false,
                },
            };
            self.failed(&failure);
            if too_late(attempt, &failure, oldest) {
                self.since.dropped += count;
                break;
            }
            self.write().await;
            tokio::time::sleep(pause(attempt)).await;
        }
        let kept = batch.place != self.place;
        self.place = batch.place;
        // Verdicts are many, and their place is nowhere kept.
        if kept || self.written.elapsed() >= TALLY_EVERY {
            self.write().await;
        }
    }

    fn failed(&mut self, failure: &Failure) {
        tracing::debug!(
            receiver = self.id,
            why = failure.why,
            "a receiver is not reached"
        );
        let why = failure.why.replace(char::is_control, " ");
        self.since.failure = Some(Time::now());
        self.since.error = Some(cut(&why, ERROR_BYTES).to_owned());
    }

    fn lost(&mut self, count: u64) {
        self.since.dropped += i64::try_from(count).unwrap_or(i64::MAX);
    }

    /// Writes down how far it is and how it went.
    async fn write(&mut self) {
        self.written = Instant::now();
        let main = &self.app.store.main;
        match receiver::advance(main, self.id, self.place, &self.since).await {
            Ok(()) => self.since = Health::default(),
            // It is sent again after a crash, rather than lost.
            Err(error) => {
                tracing::warn!(%error, receiver = self.id, "how far a receiver is was not kept");
            }
        }
    }
}

/// The next verdict; never comes where none are wanted.
async fn hear(
    verdicts: Option<&mut broadcast::Receiver<Arc<Denial>>>,
) -> Result<Arc<Denial>, RecvError> {
    match verdicts {
        Some(verdicts) => verdicts.recv().await,
        None => std::future::pending().await,
    }
}

fn too_late(attempt: u32, failure: &Failure, oldest: Option<Time>) -> bool {
    let most = if failure.for_good {
        REFUSED_ATTEMPTS
    } else {
        ATTEMPTS
    };
    let limit = Time::now().plus_s(-OLDEST_S);
    attempt >= most || oldest.is_some_and(|oldest| oldest < limit)
}

/// Doubles with each failure; up to half of it is left to chance, so that appliances that lost the
/// same receiver do not come back all at once.
fn pause(attempt: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(10));
    let whole = doubled.min(LONGEST_PAUSE);
    whole.mul_f64(1.0 - fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        for (attempt, longest_s) in [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (999, 300)] {
            let longest = Duration::from_secs(longest_s);
            let pause = pause(attempt);
            assert!(
                pause <= longest && pause >= longest / 2,
                "{attempt}: {pause:?}"
            );
        }
    }

    #[test]
    fn what_is_refused_old_or_tried_often_is_given_up() {
        let failure = |for_good| Failure {
            why: String::new(),
            for_good,
        };
        let now = Some(Time::now());
        assert!(!too_late(4, &failure(true), now));
        assert!(too_late(5, &failure(true), now));
        assert!(!too_late(999, &failure(false), now));
        assert!(too_late(1_000, &failure(false), now));
        let old = Some(Time::now().plus_s(-OLDEST_S - 1));
        assert!(too_late(1, &failure(false), old));
    }
}
