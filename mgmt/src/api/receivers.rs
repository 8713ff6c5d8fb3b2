//! Receivers: who outside is told what happens.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{self, Page};
use super::problem::{Code, FieldError, Problem};
use super::request::{Body, Checked, IfMatch, Path, Query, etag, said, text};
use crate::auth::{Principal, unfit_name};
use crate::out::{self, Subject, Target};
use crate::secret::Secret;
use crate::store::receiver::{self, ReceiverRow, Wanted};
use crate::store::{Record, StoreError};
use crate::time::Time;
use crate::{App, Shared};

/// Bytes of a secret.
const SECRET_BYTES: usize = 16 * 1024;
/// Bytes of a certificate.
const PEM_BYTES: usize = 64 * 1024;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_receivers, create_receiver))
        .routes(routes!(read_receiver, update_receiver, delete_receiver))
        .routes(routes!(test_receiver))
}

/// Somebody outside who is told what happens.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Receiver {
    /// Its number, never used again.
    pub id: i64,
    /// How people call it.
    pub name: String,
    /// Whether it is told. One that is not keeps its place.
    pub enabled: bool,
    /// What it is told of.
    pub subjects: Vec<Subject>,
    /// Where and how.
    pub target: Target,
    /// Whether there is a secret; it is never shown.
    pub has_secret: bool,
    /// How it went.
    pub health: ReceiverHealth,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Time,
}

/// How it went with a receiver.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReceiverHealth {
    /// Where it stands.
    pub state: ReceiverState,
    /// When it took a message last.
    pub last_success: Option<Time>,
    /// When one failed last.
    pub last_failure: Option<Time>,
    /// Why it did.
    pub last_error: Option<String>,
    /// Messages it took.
    pub sent: i64,
    /// Messages that were lost to it: it was too slow, refused them, or was away for too long.
    pub dropped: i64,
    /// Alerts and audit records that wait for it.
    pub queued: i64,
}

/// Where a receiver stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiverState {
    /// Nobody wants it to be told.
    Disabled,
    /// Nothing was sent yet.
    Unused,
    /// It took what came last.
    Well,
    /// What came last failed.
    Failing,
}

/// What is wanted of a receiver.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiverWanted {
    /// How people call it.
    #[schema(pattern = "^[a-z0-9][a-z0-9._@-]{0,63}$")]
    pub name: String,
    /// Whether it is told; left out: yes.
    pub enabled: Option<bool>,
    /// What it is told of; each once.
    #[schema(min_items = 1, max_items = 3)]
    pub subjects: Vec<Subject>,
    /// Where and how.
    pub target: Target,
    /// What it takes to be believed there: for a webhook the key that signs (16 to 256 bytes), for
    /// syslog over TLS the key (PEM) of `client_certificate`. Left out of a change: as before.
    #[schema(value_type = Option<String>, write_only, max_length = 16384)]
    pub secret: Option<Secret>,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for ReceiverWanted {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        errors.extend(unfit_name(&self.name).map(|why| FieldError::new("name", why)));
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        let mut subjects = self.subjects.clone();
        subjects.sort_unstable();
        subjects.dedup();
        if subjects.is_empty() || subjects.len() != self.subjects.len() {
            errors.push(FieldError::new("subjects", "at least one, each once"));
        }
        let secret = self.secret.as_ref().map(Secret::reveal);
        if secret.is_some_and(|secret| secret.is_empty() || secret.len() > SECRET_BYTES) {
            let message = format!("1 to {SECRET_BYTES} bytes");
            errors.push(FieldError::new("secret", message));
        }
        let authority = match &self.target {
            Target::Syslog(to) => {
                said("target.syslog.host", &to.host, 253, &mut errors);
                if to.port == 0 {
                    errors.push(FieldError::new("target.syslog.port", "1 to 65535"));
                }
                let own = to.client_certificate.as_deref();
                text(
                    "target.syslog.client_certificate",
                    own,
                    PEM_BYTES,
                    &mut errors,
                );
                to.ca_certificate.as_deref()
            }
            Target::Webhook(to) => {
                said("target.webhook.url", &to.url, 2_048, &mut errors);
                to.ca_certificate.as_deref()
            }
        };
        text("target.ca_certificate", authority, PEM_BYTES, &mut errors);
        errors
    }
}

/// How a test went.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReceiverTest {
    /// Whether the receiver took it. Syslog does not answer: there it was written to it.
    pub delivered: bool,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Which receivers.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReceiverQuery {
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before
    pub cursor: Option<String>,
}

/// Who outside is told what happens
#[utoipa::path(get, path = "/receivers", tag = "receivers", params(ReceiverQuery),
    responses((status = 200, description = "A page of receivers", body = Page<Receiver>)))]
async fn list_receivers(
    State(app): State<Shared>,
    Query(query): Query<ReceiverQuery>,
) -> Result<Json<Page<Receiver>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after: i64 = page::decode(query.cursor.as_deref())?.unwrap_or(0);
    let rows = receiver::list(&app.store.main, after, limit + 1).await?;
    let page = Page::new(rows, limit, |row| row.id);
    let mut items = Vec::new();
    for row in page.items {
        items.push(shown(&app, row).await?);
    }
    Ok(Json(Page {
        items,
        next_cursor: page.next_cursor,
    }))
}

/// Tell somebody outside what happens from now on
#[utoipa::path(post, path = "/receivers", tag = "receivers", request_body = ReceiverWanted,
    responses((status = 201, description = "The receiver", body = Receiver,
        headers(("ETag" = String, description = "Its revision"),
            ("Location" = String, description = "Where it is")))))]
async fn create_receiver(
    State(app): State<Shared>,
    principal: Principal,
    Body(wish): Body<ReceiverWanted>,
) -> Result<(StatusCode, HeaderMap, Json<Receiver>), Problem> {
    let (wanted, reason) = wanted(wish, None)?;
    let mut change = app.store.change(principal.actor()).await?;
    if receiver::count(change.db()).await? >= out::MOST {
        let detail = format!("There are {} receivers already.", out::MOST);
        return Err(Problem::new(Code::Conflict, detail));
    }
    let made = receiver::create(change.db(), &wanted, &principal.who).await;
    let id = made.map_err(|error| taken(&wanted.name, error))?;
    let record = Record::new("create_receiver", format!("receiver/{id}"));
    let record = record.because(reason).after(&described(&wanted)?);
    change.commit(record).await?;
    app.out.changed();
    let row = find(&app, id).await?;
    let mut headers = super::located(&format!("/receivers/{id}"));
    headers.extend(etag(row.revision));
    Ok((StatusCode::CREATED, headers, Json(shown(&app, row).await?)))
}

/// One receiver, and how it goes with it
#[utoipa::path(get, path = "/receivers/{id}", tag = "receivers",
    params(("id" = i64, Path, description = "Number of the receiver")),
    responses((status = 200, description = "The receiver", body = Receiver,
        headers(("ETag" = String, description = "Its revision")))))]
async fn read_receiver(
    State(app): State<Shared>,
    Path(id): Path<i64>,
) -> Result<(HeaderMap, Json<Receiver>), Problem> {
    let row = find(&app, id).await?;
    Ok((etag(row.revision), Json(shown(&app, row).await?)))
}

/// Change a receiver
#[utoipa::path(put, path = "/receivers/{id}", tag = "receivers", request_body = ReceiverWanted,
    params(("id" = i64, Path, description = "Number of the receiver"), IfMatch),
    responses((status = 200, description = "As it is now", body = Receiver,
        headers(("ETag" = String, description = "Its revision")))))]
async fn update_receiver(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(id): Path<i64>,
    Body(wish): Body<ReceiverWanted>,
) -> Result<(HeaderMap, Json<Receiver>), Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let before = receiver::find(change.db(), id).await?;
    let before = before.ok_or_else(|| missing(id))?;
    if_match.require(before.revision)?;
    let subjects = subjects(&before.subjects)?;
    let new = |subject| wish.subjects.contains(&subject) && !subjects.contains(&subject);
    let new = (new(Subject::Alerts), new(Subject::Audit));
    let (wanted, reason) = wanted(wish, Some(&before))?;
    let updated = receiver::update(change.db(), id, &wanted, new).await;
    updated.map_err(|error| taken(&wanted.name, error))?;
    let record = Record::new("update_receiver", format!("receiver/{id}"))
        .because(reason)
        .before(&described(&before.into())?)
        .after(&described(&wanted)?);
    change.commit(record).await?;
    app.out.changed();
    let row = find(&app, id).await?;
    Ok((etag(row.revision), Json(shown(&app, row).await?)))
}

/// Tell somebody nothing any more
#[utoipa::path(delete, path = "/receivers/{id}", tag = "receivers",
    params(("id" = i64, Path, description = "Number of the receiver"), IfMatch),
    responses((status = 204, description = "It is told nothing from now on")))]
async fn delete_receiver(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let before = receiver::find(change.db(), id).await?;
    let before = before.ok_or_else(|| missing(id))?;
    if_match.require(before.revision)?;
    receiver::delete(change.db(), id).await?;
    let record = Record::new("delete_receiver", format!("receiver/{id}"));
    let record = record.before(&described(&before.into())?);
    change.commit(record).await?;
    app.out.changed();
    Ok(StatusCode::NO_CONTENT)
}

/// Send a test to a receiver, over a connection of its own
#[utoipa::path(post, path = "/receivers/{id}/test", tag = "receivers",
    params(("id" = i64, Path, description = "Number of the receiver")),
    responses((status = 200, description = "How it went", body = ReceiverTest)))]
async fn test_receiver(
    State(app): State<Shared>,
    principal: Principal,
    Path(id): Path<i64>,
) -> Result<Json<ReceiverTest>, Problem> {
    let row = find(&app, id).await?;
    let began = Instant::now();
    let Some(done) = out::try_out(&app, &row, &principal.who).await else {
        let detail = "Other receivers are being tested.";
        return Err(Problem::new(Code::Unavailable, detail).retry_after_s(5));
    };
    Ok(Json(ReceiverTest {
        delivered: done.is_ok(),
        error: done.err(),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }))
}

/// What is to be kept, if it can be used.
fn wanted(
    wish: ReceiverWanted,
    before: Option<&ReceiverRow>,
) -> Result<(Wanted, Option<String>), Problem> {
    let secret = match (wish.secret, before) {
        (Some(secret), _) => Some(secret),
        (None, Some(before)) if kept(before, &wish.target) => before.secret.clone(),
        (None, _) => None,
    };
    if let Some((field, message)) = wish.target.unfit(secret.as_ref()) {
        let errors = vec![FieldError::new(field, message)];
        let detail = "It cannot be used; see `errors`.";
        return Err(Problem::new(Code::InvalidBody, detail).with(errors));
    }
    let wanted = Wanted {
        name: wish.name,
        enabled: wish.enabled.unwrap_or(true),
        subjects: json(&wish.subjects)?,
        target: json(&wish.target)?,
        secret,
    };
    Ok((wanted, wish.reason))
}

/// Whether the secret until now is still meant: not that of another kind of receiver.
fn kept(before: &ReceiverRow, target: &Target) -> bool {
    let known: Result<Target, _> = serde_json::from_str(&before.target);
    known.is_ok_and(|known| known.kind() == target.kind())
}

async fn find(app: &App, id: i64) -> Result<ReceiverRow, Problem> {
    let mut db = app.store.main.read().acquire().await?;
    let row = receiver::find(&mut db, id).await?;
    row.ok_or_else(|| missing(id))
}

fn missing(id: i64) -> Problem {
    Problem::not_found("receiver", &id.to_string())
}

fn taken(name: &str, error: StoreError) -> Problem {
    match error {
        StoreError::Taken(_) => Problem::new(
            Code::Conflict,
            format!("There is a receiver `{name}` already."),
        ),
        error => error.into(),
    }
}

async fn shown(app: &App, row: ReceiverRow) -> Result<Receiver, Problem> {
    let subjects = subjects(&row.subjects)?;
    let behind = receiver::behind(&app.store.main, row.place).await?;
    let of = |subject, count| {
        if subjects.contains(&subject) {
            count
        } else {
            0
        }
    };
    let queued = of(Subject::Alerts, behind.alerts) + of(Subject::Audit, behind.audit);
    let health = row.health;
    let state = match (row.enabled, health.success, health.failure) {
        (false, ..) => ReceiverState::Disabled,
        (_, None, None) => ReceiverState::Unused,
        (_, success, failure) if success >= failure => ReceiverState::Well,
        _ => ReceiverState::Failing,
    };
    Ok(Receiver {
        id: row.id,
        name: row.name,
        enabled: row.enabled,
        subjects,
        target: serde_json::from_str(&row.target).map_err(unreadable)?,
        has_secret: row.secret.is_some(),
        health: ReceiverHealth {
            state,
            last_success: health.success,
            last_failure: health.failure,
            last_error: health.error,
            sent: health.sent,
            dropped: health.dropped,
            queued,
        },
        created_by: row.created_by,
        created: row.created,
    })
}

/// A receiver as the audit log has it.
fn described(wanted: &Wanted) -> Result<serde_json::Value, Problem> {
    let target: Target = serde_json::from_str(&wanted.target).map_err(unreadable)?;
    Ok(serde_json::json!({
        "name": wanted.name,
        "enabled": wanted.enabled,
        "subjects": subjects(&wanted.subjects)?,
        "target": target.described(),
        "has_secret": wanted.secret.is_some(),
    }))
}

impl From<ReceiverRow> for Wanted {
    fn from(row: ReceiverRow) -> Self {
        Self {
            name: row.name,
            enabled: row.enabled,
            subjects: row.subjects,
            target: row.target,
            secret: row.secret,
        }
    }
}

fn subjects(text: &str) -> Result<Vec<Subject>, Problem> {
    serde_json::from_str(text).map_err(unreadable)
}

fn json(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Problem {
    tracing::error!(%error, "a receiver cannot be read");
    Problem::new(Code::Internal, "The log of the appliance says more.")
}
