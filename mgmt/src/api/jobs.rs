//! Jobs: what takes longer than a request.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{self, Page};
use super::problem::Problem;
use super::request::{Path, Query};
use crate::auth::Principal;
use crate::jobs::{self, Lane, NewJob};
use crate::store::Record;
use crate::store::job::{self, JobFilter, JobRow};
use crate::time::Time;
use crate::{Shared, backup};

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_jobs))
        .routes(routes!(read_job))
        .routes(routes!(cancel_job))
        .routes(routes!(list_backups, create_backup))
        .routes(routes!(check_system))
}

/// Something that takes longer than a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Job {
    /// Its number, never used again.
    pub id: i64,
    /// What is done: `apply-policy`, `backup`, `check`, `capture`.
    pub kind: String,
    /// What it is done to, such as `policy/12`.
    pub subject: String,
    /// Where it stands.
    pub state: JobState,
    /// How far it is, in percent.
    pub percent: u8,
    /// What it does now; of one that failed, why.
    pub message: String,
    /// What came out; of one that failed, the problem.
    #[schema(value_type = Option<Object>)]
    pub result: Option<serde_json::Value>,
    /// Who asked for it.
    pub created_by: String,
    /// When it was asked for.
    pub created: Time,
    /// When it began.
    pub started: Option<Time>,
    /// When it ended.
    pub finished: Option<Time>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It waits for its turn.
    Queued,
    /// It goes on.
    Running,
    /// It ended well.
    Done,
    /// It did not, or was cancelled.
    Failed,
}

impl JobState {
    const ALL: [Self; 4] = [Self::Queued, Self::Running, Self::Done, Self::Failed];

    const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        let state = JobState::ALL
            .into_iter()
            .find(|state| state.name() == row.state);
        Self {
            id: row.id,
            kind: row.kind,
            subject: row.subject,
            state: state.unwrap_or(JobState::Failed),
            percent: row.percent,
            message: row.message,
            result: row.result.and_then(|text| serde_json::from_str(&text).ok()),
            created_by: row.created_by,
            created: row.created,
            started: row.started,
            finished: row.finished,
        }
    }
}

/// The answer to a request that a job goes on with.
pub(super) fn accepted(job: Job) -> (StatusCode, HeaderMap, Json<Job>) {
    let place = super::located(&format!("/jobs/{}", job.id));
    (StatusCode::ACCEPTED, place, Json(job))
}

/// Which jobs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobQuery {
    /// In this state
    #[param(inline)]
    pub state: Option<JobState>,
    /// Of this kind, such as `backup`
    pub kind: Option<String>,
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same parameters
    pub cursor: Option<String>,
}

/// The jobs, newest first; a thousand are kept
#[utoipa::path(get, path = "/jobs", tag = "jobs", params(JobQuery),
    responses((status = 200, description = "A page of jobs", body = Page<Job>)))]
async fn list_jobs(
    State(app): State<Shared>,
    Query(query): Query<JobQuery>,
) -> Result<Json<Page<Job>>, Problem> {
    let limit = page::limit(query.limit)?;
    let before = page::decode(query.cursor.as_deref())?;
    let filter = JobFilter {
        state: query.state.map(JobState::name),
        kind: query.kind,
    };
    let rows = job::list(&app.store.main, &filter, before, limit + 1).await?;
    let page = Page::new(rows, limit, |row| row.id);
    Ok(Json(page.map(Job::from)))
}

/// One job
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs",
    params(("id" = i64, Path, description = "Number of the job")),
    responses((status = 200, description = "The job", body = Job)))]
async fn read_job(State(app): State<Shared>, Path(id): Path<i64>) -> Result<Json<Job>, Problem> {
    Ok(Json(find(&app, id).await?.into()))
}

async fn find(app: &Shared, id: i64) -> Result<JobRow, Problem> {
    let row = job::find(app.store.main.read(), id).await?;
    row.ok_or_else(|| Problem::not_found("job", &id.to_string()))
}

/// Cancel a job that waits, or one that can be stopped while it runs
///
/// A capture ends with what it has. What was cancelled before it began has failed.
#[utoipa::path(post, path = "/jobs/{id}/cancel", tag = "jobs",
    params(("id" = i64, Path, description = "Number of the job")),
    responses((status = 202, description = "It will end", body = Job)))]
async fn cancel_job(
    State(app): State<Shared>,
    principal: Principal,
    Path(id): Path<i64>,
) -> Result<(StatusCode, Json<Job>), Problem> {
    let row = find(&app, id).await?;
    let change = app.store.change(principal.actor()).await?;
    app.jobs.stop(id, &principal.who)?;
    let record = Record::new("cancel_job", format!("job/{id}"))
        .after(&serde_json::json!({ "kind": row.kind, "subject": row.subject }));
    change.commit(record).await?;
    Ok((StatusCode::ACCEPTED, Json(find(&app, id).await?.into())))
}

/// A checked copy of the database.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Backup {
    /// Its file name in `backups` of the state directory.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// When it was written.
    pub written: Time,
}

/// The copies of the database, newest first; the ten newest are kept
#[utoipa::path(get, path = "/system/backups", tag = "system",
    responses((status = 200, description = "All of them", body = Page<Backup>)))]
async fn list_backups(State(app): State<Shared>) -> Result<Json<Page<Backup>>, Problem> {
    let copies = tokio::task::spawn_blocking(move || backup::list(&app)).await;
    let copies = copies
        .map_err(std::io::Error::other)
        .and_then(|copies| copies);
    let copies = copies.map_err(|error| {
        tracing::error!(%error, "the backups cannot be listed");
        Problem::new(
            super::problem::Code::Internal,
            "The log of the appliance says more.",
        )
    })?;
    let items = copies.into_iter().map(|copy| Backup {
        name: copy.name,
        bytes: copy.bytes,
        written: copy.written,
    });
    Ok(Json(Page {
        items: items.collect(),
        next_cursor: None,
    }))
}

/// Write a checked copy of the database (without the flow history)
#[utoipa::path(post, path = "/system/backups", tag = "system",
    responses((status = 202, description = "The job that does it", body = Job,
        headers(("Location" = String, description = "Where the job is found")))))]
async fn create_backup(
    State(app): State<Shared>,
    principal: Principal,
) -> Result<(StatusCode, HeaderMap, Json<Job>), Problem> {
    let new = upkeep("backup", "create_backup");
    let job = jobs::start(&app, principal.actor(), new, backup::write).await?;
    Ok(accepted(job))
}

/// Check whether both databases are what they should be
#[utoipa::path(post, path = "/system/check", tag = "system",
    responses((status = 202, description = "The job that does it", body = Job,
        headers(("Location" = String, description = "Where the job is found")))))]
async fn check_system(
    State(app): State<Shared>,
    principal: Principal,
) -> Result<(StatusCode, HeaderMap, Json<Job>), Problem> {
    let new = upkeep("check", "check_system");
    let job = jobs::start(&app, principal.actor(), new, backup::check).await?;
    Ok(accepted(job))
}

fn upkeep(kind: &'static str, operation: &'static str) -> NewJob {
    NewJob {
        kind,
        subject: "system".to_owned(),
        lane: Lane::Short,
        stoppable: false,
        record: Record::new(operation, "system"),
    }
}
