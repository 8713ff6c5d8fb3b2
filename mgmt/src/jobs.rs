//! What takes longer than a request: it goes on beside, can be looked at, and says how it ended.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;
use tokio::sync::{Semaphore, watch};

use crate::Shared;
use crate::api::jobs::Job;
use crate::api::problem::{Code, Problem};
use crate::live::Topic;
use crate::store::job::{self, JobRow};
use crate::store::{Actor, Record};
use crate::time::Time;

/// Jobs that run at once in each lane.
const AT_ONCE: usize = 4;
/// Jobs that run or wait.
const UNFINISHED: usize = 64;

/// Which others a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Those that end by themselves soon.
    Short,
    /// Captures.
    Long,
}

/// The jobs of this process.
#[derive(Debug)]
pub struct Jobs {
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
    unfinished: Mutex<HashMap<i64, Unfinished>>,
}

#[derive(Debug)]
struct Unfinished {
    /// Who wants it to end.
    stop: watch::Sender<Option<String>>,
    /// Whether it can be stopped now.
    stoppable: bool,
}

/// A job to start.
#[derive(Debug)]
pub struct NewJob {
    /// What is done, such as `backup`.
    pub kind: &'static str,
    /// What it is done to, such as `policy/12`.
    pub subject: String,
    /// Which others it waits for.
    pub lane: Lane,
    /// Whether it can be stopped while it runs.
    pub stoppable: bool,
    /// What the audit log says of its start.
    pub record: Record,
}

/// A job, for the work itself.
#[derive(Debug)]
pub struct Handle {
    /// What all share.
    pub app: Shared,
    /// Who started it.
    pub actor: Actor,
    row: JobRow,
    stop: watch::Receiver<Option<String>>,
}

impl Handle {
    /// Its number.
    pub fn id(&self) -> i64 {
        self.row.id
    }

    /// Says how far it is.
    pub async fn progress(&mut self, percent: u8, message: &str) {
        self.row.percent = percent;
        message.clone_into(&mut self.row.message);
        keep(&self.app, &self.row).await;
    }

    /// Waits until somebody wants it to end.
    pub async fn stopped(&mut self) -> String {
        let who = self.stop.wait_for(Option::is_some).await;
        let who = who.ok().and_then(|who| who.clone());
        match who {
            Some(who) => who,
            // Nobody can any more.
            None => std::future::pending().await,
        }
    }
}

impl Jobs {
    /// None yet.
    pub fn new() -> Self {
        Self {
            short: Arc::new(Semaphore::new(AT_ONCE)),
            long: Arc::new(Semaphore::new(AT_ONCE)),
            unfinished: Mutex::default(),
        }
    }

    /// Asks a job to end.
    ///
    /// # Errors
    /// When it has ended, or cannot be stopped any more.
    pub fn stop(&self, id: i64, who: &str) -> Result<(), Problem> {
        let unfinished = self.unfinished();
        let Some(job) = unfinished.get(&id) else {
            return Err(Problem::new(Code::Conflict, "The job has ended already."));
        };
        if !job.stoppable {
            let detail = "The job is under way and cannot be stopped; wait for its end.";
            return Err(Problem::new(Code::Conflict, detail));
        }
        job.stop.send_replace(Some(who.to_owned()));
        Ok(())
    }

    fn lane(&self, lane: Lane) -> Arc<Semaphore> {
        Arc::clone(match lane {
            Lane::Short => &self.short,
            Lane::Long => &self.long,
        })
    }

    fn unfinished(&self) -> MutexGuard<'_, HashMap<i64, Unfinished>> {
        // Entries come and go whole.
        self.unfinished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes a job down and starts it when its turn comes.
///
/// # Errors
/// When too many wait, or it cannot be written down.
pub async fn start<W, F>(app: &Shared, actor: Actor, new: NewJob, work: W) -> Result<Job, Problem>
where
    W: FnOnce(Handle) -> F + Send + 'static,
    F: Future<Output = Result<Json, Problem>> + Send + 'static,
{
    if app.jobs.unfinished().len() >= UNFINISHED {
        let detail = "Too many jobs wait; look at them with `GET /jobs?state=queued`.";
        return Err(Problem::new(Code::Unavailable, detail).retry_after_s(10));
    }
    let mut change = app.store.change(actor.clone()).await?;
    let row = job::insert(change.db(), new.kind, &new.subject, &actor.who).await?;
    change.commit(new.record).await?;
    tell(app, &row);
    let (sender, stop) = watch::channel(None);
    let entry = Unfinished {
        stop: sender,
        stoppable: true,
    };
    app.jobs.unfinished().insert(row.id, entry);
    let told = Job::from(row.clone());
    let handle = Handle {
        app: Arc::clone(app),
        actor,
        row,
        stop,
    };
    tokio::spawn(run(handle, (new.lane, new.stoppable), work));
    Ok(told)
}

async fn run<W, F>(mut handle: Handle, (lane, stoppable): (Lane, bool), work: W)
where
    W: FnOnce(Handle) -> F + Send + 'static,
    F: Future<Output = Result<Json, Problem>> + Send + 'static,
{
    let (app, mut row) = (Arc::clone(&handle.app), handle.row.clone());
    let lane = app.jobs.lane(lane);
    let place = tokio::select! {
        place = lane.acquire_owned() => place.ok(),
        who = handle.stopped() => {
            finish(&app, row, Err(stopped_by(&who))).await;
            return;
        }
    };
    if let Some(who) = begin(&app, row.id, stoppable) {
        finish(&app, row, Err(stopped_by(&who))).await;
        return;
    }
    row.state = "running".to_owned();
    row.started = Some(Time::now());
    keep(&app, &row).await;
    handle.row = row.clone();
    // On a task of its own, so that a fault of ours ends the job and not the account of it.
    let result = tokio::spawn(work(handle)).await.unwrap_or_else(|error| {
        tracing::error!(%error, job = row.id, "a job failed");
        Err(Problem::new(
            Code::Internal,
            "The log of the appliance says more.",
        ))
    });
    finish(&app, row, result).await;
    drop(place);
}

/// From now on it can be stopped only if its work can. Who has stopped it until now.
fn begin(app: &Shared, id: i64, stoppable: bool) -> Option<String> {
    let mut unfinished = app.jobs.unfinished();
    let entry = unfinished.get_mut(&id)?;
    entry.stoppable = stoppable;
    entry.stop.borrow().clone()
}

fn stopped_by(who: &str) -> Problem {
    Problem::new(Code::Conflict, format!("Cancelled by {who}."))
}

async fn finish(app: &Shared, mut row: JobRow, result: Result<Json, Problem>) {
    row.finished = Some(Time::now());
    match result {
        Ok(result) => {
            row.state = "done".to_owned();
            row.percent = 100;
            row.message = String::new();
            row.result = Some(result.to_string());
        }
        Err(problem) => {
            row.state = "failed".to_owned();
            row.message.clone_from(&problem.detail);
            row.result = serde_json::to_string(&problem).ok();
        }
    }
    keep(app, &row).await;
    app.jobs.unfinished().remove(&row.id);
}

/// Writes down where a job stands, and tells it. A disk that refuses does not end the job.
async fn keep(app: &Shared, row: &JobRow) {
    if let Err(error) = job::update(&app.store.main, row).await {
        tracing::warn!(%error, job = row.id, "the state of a job was not kept");
    }
    tell(app, row);
}

fn tell(app: &Shared, row: &JobRow) {
    let job = serde_json::to_value(Job::from(row.clone())).unwrap_or_default();
    app.live.tell(Topic::Job, "job-changed", None, job);
}
