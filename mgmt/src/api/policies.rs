//! Policies: versions, what differs between them, which one is wanted, and which is in force.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_control::{PolicyFormat, bounds};
use wardline_policy::diff::{Change, ChangeKind, diff};

use super::jobs::{Job, accepted};
use super::page::{self, Page};
use super::problem::{Code, FieldError, Problem};
use super::request::{Body, Checked, Path, Query, said, text};
use crate::Shared;
use crate::auth::Principal;
use crate::jobs::{self, Lane, NewJob};
use crate::policy::{self, DOCUMENT_BYTES, Order, reconcile};
use crate::store::Record;
use crate::store::policy::{self as kept, StepRow, VersionRow};
use crate::time::Time;

/// Bytes of a body with a document: as JSON text a document may take twice its length.
const BODY_BYTES: usize = 2 * DOCUMENT_BYTES + 64 * 1024;
/// Changes between two versions that are told.
const CHANGES: usize = 5_000;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_policies, create_policy))
        .routes(routes!(check_policy))
        .routes(routes!(read_policy_state))
        .routes(routes!(list_policy_devices))
        .routes(routes!(read_policy))
        .routes(routes!(read_policy_document))
        .routes(routes!(diff_policies))
        .routes(routes!(apply_policy))
        .routes(routes!(confirm_policy))
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentFormat {
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

impl From<DocumentFormat> for PolicyFormat {
    fn from(format: DocumentFormat) -> Self {
        match format {
            DocumentFormat::Toml => Self::Toml,
            DocumentFormat::Json => Self::Json,
        }
    }
}

impl From<PolicyFormat> for DocumentFormat {
    fn from(format: PolicyFormat) -> Self {
        match format {
            PolicyFormat::Toml => Self::Toml,
            PolicyFormat::Json => Self::Json,
        }
    }
}

/// A version of the policy, without its text.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicyVersion {
    /// Its number, never used again.
    pub number: i64,
    /// Name in the document.
    pub name: String,
    /// How it is written.
    pub format: DocumentFormat,
    /// Content id as the fast path would have computed it when the version was made. It is another
    /// one while limited permissions of the document are going on.
    pub content_id: String,
    /// Where it comes from: `api`, `edit` (management changed the version before it, for instance
    /// the mode of a device) or `fastpath` (found in force there).
    pub origin: String,
    /// The version it was made from.
    pub parent: Option<i64>,
    /// Devices it lists.
    pub devices: i64,
    /// Bytes of the text.
    pub bytes: i64,
    /// When it was made.
    pub created: Time,
    /// By whom.
    pub created_by: String,
    /// Why.
    pub reason: Option<String>,
}

impl From<VersionRow> for PolicyVersion {
    fn from(row: VersionRow) -> Self {
        Self {
            number: row.number,
            name: row.name,
            format: row.format.into(),
            content_id: row.content_id,
            origin: row.origin,
            parent: row.parent,
            devices: row.devices,
            bytes: row.bytes,
            created: row.created,
            created_by: row.created_by,
            reason: row.reason,
        }
    }
}

/// A version that was just made, with what a person should look at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CreatedPolicy {
    /// The version.
    #[serde(flatten)]
    pub version: PolicyVersion,
    /// Remarks that do not keep it from being applied.
    pub warnings: Vec<FieldError>,
}

/// A whole document for a new version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPolicy {
    /// How it is written.
    pub format: DocumentFormat,
    /// The document.
    #[schema(max_length = 8_388_608)]
    pub text: String,
    /// The version it was made from; left out: the wanted one.
    #[serde(default)]
    pub parent: Option<i64>,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for NewPolicy {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = document_errors(&self.text);
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// A document to be looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyToCheck {
    /// How it is written.
    pub format: DocumentFormat,
    /// The document.
    #[schema(max_length = 8_388_608)]
    pub text: String,
}

impl Checked for PolicyToCheck {
    fn check(&self) -> Vec<FieldError> {
        document_errors(&self.text)
    }
}

fn document_errors(document: &str) -> Vec<FieldError> {
    if document.len() <= DOCUMENT_BYTES {
        return Vec::new();
    }
    let message = format!(
        "at most {DOCUMENT_BYTES} bytes; larger ones are applied with `wardline policy apply`"
    );
    vec![FieldError::new("text", message)]
}

/// What is to be said of a document.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicyCheck {
    /// Whether it could be applied.
    pub valid: bool,
    /// Its content id now; absent when it is not valid.
    pub content_id: Option<String>,
    /// What is wrong, in the order of the document; at most 200.
    pub errors: Vec<FieldError>,
    /// What a person should look at.
    pub warnings: Vec<FieldError>,
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same parameters
    pub cursor: Option<String>,
}

/// The versions of the policy, newest first
#[utoipa::path(get, path = "/policies", tag = "policies", params(PageQuery),
    responses((status = 200, description = "A page of versions", body = Page<PolicyVersion>)))]
async fn list_policies(
    State(app): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<PolicyVersion>>, Problem> {
    let limit = page::limit(query.limit)?;
    let before = page::decode(query.cursor.as_deref())?;
    let rows = kept::list(&app.store.main, before, limit + 1).await?;
    let page = Page::new(rows, limit, |row| row.number);
    Ok(Json(page.map(PolicyVersion::from)))
}

/// Keep a document as a new version
///
/// It is checked first; errors name line, column, path and what to do. Nothing is put in force:
/// that is `POST /policies/{number}/apply`.
#[utoipa::path(post, path = "/policies", tag = "policies", request_body = NewPolicy,
    responses((status = 201, description = "The version", body = CreatedPolicy,
        headers(("Location" = String, description = "Where it is found")))))]
async fn create_policy(
    State(app): State<Shared>,
    principal: Principal,
    Body(new): Body<NewPolicy, BODY_BYTES>,
) -> Result<impl IntoResponse, Problem> {
    let document = policy::read(&app, new.text, new.format.into()).await?;
    let document = document.map_err(|found| {
        let detail = "The document has errors; see `errors`. Nothing was kept.";
        Problem::new(Code::InvalidBody, detail).with(policy::field_errors(&found))
    })?;
    let created = policy::create(&app, principal.actor(), &document, new.parent, new.reason);
    let version = PolicyVersion::from(created.await.map_err(parent_problem)?);
    let place = super::located(&format!("/policies/{}", version.number));
    let warnings = policy::field_errors(&document.warnings);
    Ok((
        StatusCode::CREATED,
        place,
        Json(CreatedPolicy { version, warnings }),
    ))
}

/// A parent that is not there is a fault of the body, not of the path.
fn parent_problem(problem: Problem) -> Problem {
    if problem.code != Code::NotFound {
        return problem;
    }
    Problem::new(Code::InvalidBody, "Some fields cannot be so; see `errors`.")
        .with(vec![FieldError::new("parent", problem.detail)])
}

/// Say what is wrong with a document; nothing is kept
#[utoipa::path(post, path = "/policies/check", tag = "policies", request_body = PolicyToCheck,
    responses((status = 200, description = "What is to be said of it", body = PolicyCheck)))]
async fn check_policy(
    State(app): State<Shared>,
    Body(new): Body<PolicyToCheck, BODY_BYTES>,
) -> Result<Json<PolicyCheck>, Problem> {
    let read = policy::read(&app, new.text, new.format.into()).await?;
    Ok(Json(match read {
        Ok(document) => PolicyCheck {
            valid: true,
            content_id: Some(document.content_id),
            errors: Vec::new(),
            warnings: policy::field_errors(&document.warnings),
        },
        Err(found) => {
            use wardline_policy::diagnostic::Severity;
            let (errors, warnings): (Vec<_>, Vec<_>) = found
                .into_iter()
                .partition(|one| one.severity == Severity::Error);
            PolicyCheck {
                valid: false,
                content_id: None,
                errors: policy::field_errors(&errors),
                warnings: policy::field_errors(&warnings),
            }
        }
    }))
}

/// One version, without its text
#[utoipa::path(get, path = "/policies/{number}", tag = "policies",
    params(("number" = i64, Path, description = "Number of the version")),
    responses((status = 200, description = "The version", body = PolicyVersion)))]
async fn read_policy(
    State(app): State<Shared>,
    Path(number): Path<i64>,
) -> Result<Json<PolicyVersion>, Problem> {
    Ok(Json(policy::find(&app, number).await?.into()))
}

/// The text of a version, as it was written
#[utoipa::path(get, path = "/policies/{number}/document", tag = "policies",
    params(("number" = i64, Path, description = "Number of the version")),
    responses((status = 200, description = "The document",
        content((String = "application/toml"), (Object = "application/json")))))]
async fn read_policy_document(
    State(app): State<Shared>,
    Path(number): Path<i64>,
) -> Result<(HeaderMap, String), Problem> {
    let version = policy::find(&app, number).await?;
    let text = policy::text(&app, number).await?;
    let (kind, ending) = match version.format {
        PolicyFormat::Toml => ("application/toml", "toml"),
        PolicyFormat::Json => ("application/json", "json"),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let name = format!("attachment; filename=\"policy-{number}.{ending}\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok((headers, text))
}

/// What to compare with.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// Number of the older version; left out: the one this one was made from
    pub from: Option<i64>,
}

/// What differs between two versions.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicyDiff {
    /// The older one.
    pub from: i64,
    /// The newer one.
    pub to: i64,
    /// What differs, in the order of the document.
    pub changes: Vec<PolicyChange>,
    /// Further changes that are left out here.
    pub more: usize,
}

/// One difference.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicyChange {
    /// `added`, `removed` or `changed`.
    pub kind: String,
    /// What it is about: `device ct-1`, `role pump / rule hl7-out`.
    pub subject: String,
    /// Which part of it, such as `mode`.
    pub field: Option<String>,
    /// What it was.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

impl From<Change> for PolicyChange {
    fn from(change: Change) -> Self {
        let kind = match change.kind {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Changed => "changed",
        };
        Self {
            kind: kind.to_owned(),
            subject: change.subject,
            field: change.field,
            before: change.before,
            after: change.after,
        }
    }
}

/// What differs between two versions
#[utoipa::path(get, path = "/policies/{number}/diff", tag = "policies",
    params(("number" = i64, Path, description = "Number of the newer version"), DiffQuery),
    responses((status = 200, description = "The differences", body = PolicyDiff),
        (status = 409, description = "A version was made by another version of this program",
            body = Problem, content_type = "application/problem+json")))]
async fn diff_policies(
    State(app): State<Shared>,
    Path(number): Path<i64>,
    Query(query): Query<DiffQuery>,
) -> Result<Json<PolicyDiff>, Problem> {
    let version = policy::find(&app, number).await?;
    let from = query.from.or(version.parent).ok_or_else(|| {
        Problem::query(
            "from",
            "the version was made from none: say which to compare with",
        )
    })?;
    let (_, old) = policy::load(&app, from).await?;
    let (_, new) = policy::load(&app, number).await?;
    let mut changes = policy::aside(&app, move || diff(&old.parsed, &new.parsed)).await?;
    let more = changes.len().saturating_sub(CHANGES);
    changes.truncate(CHANGES);
    Ok(Json(PolicyDiff {
        from,
        to: number,
        changes: changes.into_iter().map(PolicyChange::from).collect(),
        more,
    }))
}

/// How to put a version in force.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyPolicy {
    /// Roll back by itself unless it is confirmed within so many seconds.
    #[schema(minimum = 1, maximum = 86_400)]
    pub confirm_within_s: Option<u32>,
    /// Only if this version is the wanted one now.
    pub expected_number: Option<i64>,
    /// Why, for the audit log.
    #[schema(min_length = 1, max_length = 1024)]
    pub reason: String,
}

impl Checked for ApplyPolicy {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let most = bounds::CONFIRM_WITHIN_S;
        if self
            .confirm_within_s
            .is_some_and(|s| !(1..=most).contains(&s))
        {
            errors.push(FieldError::new("confirm_within_s", format!("1 to {most}")));
        }
        said("reason", &self.reason, bounds::REASON_BYTES, &mut errors);
        errors
    }
}

/// Put a version in force
///
/// A job does it. With `confirm_within_s` it is on trial: unless `POST
/// /policies/{number}/confirm` comes in time, what was in force before comes back by itself.
#[utoipa::path(post, path = "/policies/{number}/apply", tag = "policies",
    request_body = ApplyPolicy,
    params(("number" = i64, Path, description = "Number of the version")),
    responses((status = 202, description = "The job that does it", body = Job,
        headers(("Location" = String, description = "Where the job is found")))))]
async fn apply_policy(
    State(app): State<Shared>,
    principal: Principal,
    Path(number): Path<i64>,
    Body(wish): Body<ApplyPolicy>,
) -> Result<impl IntoResponse, Problem> {
    policy::find(&app, number).await?;
    // Nobody is told that it will be done while it cannot be.
    app.fastpath.status(&app.fastpath.client()?).await?;
    let desired = kept::desired(app.store.main.read()).await?;
    policy::expect(wish.expected_number, desired.as_ref())?;
    let subject = format!("policy/{number}");
    let record = Record::new("apply_policy", subject.clone())
        .because(Some(wish.reason.clone()))
        .after(&json!({ "asked": true, "confirm_within_s": wish.confirm_within_s }));
    let new = NewJob {
        kind: "apply-policy",
        subject,
        lane: Lane::Short,
        stoppable: false,
        record,
    };
    let order = Order {
        number,
        confirm_within_s: wish.confirm_within_s,
        expected: wish.expected_number,
        reason: wish.reason,
    };
    let job = jobs::start(&app, principal.actor(), new, move |handle| async move {
        let applied = policy::apply(&handle.app, handle.actor.clone(), &order).await?;
        let rollback_at = applied
            .rollback_at_s
            .map(|at| Time::from_us(0).plus_s(i64::try_from(at).unwrap_or(i64::MAX)));
        Ok(json!({ "number": order.number, "content_id": applied.id,
            "previous_content_id": applied.previous_id, "rollback_at": rollback_at,
            "warnings": applied.warnings }))
    });
    Ok(accepted(job.await?))
}

/// Why a trial is confirmed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConfirmPolicy {
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for ConfirmPolicy {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// Keep the version that is on trial
#[utoipa::path(post, path = "/policies/{number}/confirm", tag = "policies",
    request_body = ConfirmPolicy,
    params(("number" = i64, Path, description = "Number of the version")),
    responses((status = 200, description = "Where wanted and applied stand", body = PolicyState)))]
async fn confirm_policy(
    State(app): State<Shared>,
    principal: Principal,
    Path(number): Path<i64>,
    Body(wish): Body<ConfirmPolicy>,
) -> Result<Json<PolicyState>, Problem> {
    policy::confirm(&app, principal.actor(), number, wish.reason).await?;
    Ok(Json(state(&app).await?))
}

/// What is wanted, what is in force, and whether that is the same.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicyState {
    /// How the two stand to each other.
    pub status: Standing,
    /// What management last asked for; absent before anything was asked for.
    pub desired: Option<DesiredPolicy>,
    /// What the fast path says is in force; absent while it is away.
    pub applied: Option<AppliedPolicy>,
    /// What keeps the fast path from being in step, in a sentence.
    pub trouble: Option<String>,
    /// Devices that the wanted version lists.
    pub devices_listed: i64,
    /// Devices whose mode or role is not the wanted one, as the fast path showed them last.
    pub devices_differing: i64,
}

/// How what is wanted and what is in force stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nothing is wanted, and no document is in force.
    None,
    /// They are the same.
    InStep,
    /// They are the same, and roll back unless somebody confirms.
    OnTrial,
    /// Another one is in force. Within seconds it becomes the wanted one if somebody put it in
    /// force there, or the wanted one is put in force.
    Differs,
    /// The fast path is away; it enforces what it had if it lives.
    Away,
}

/// The wanted version.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DesiredPolicy {
    /// Its number.
    pub number: i64,
    /// Name in the document.
    pub name: String,
    /// Content id when it was made.
    pub content_id: String,
    /// Whether it is to stay; otherwise it is on trial.
    pub confirmed: bool,
    /// The version that comes back when the trial is not confirmed.
    pub fallback: Option<i64>,
    /// Since when it is wanted.
    pub since: Time,
    /// Who wants it.
    pub by: String,
}

/// The policy in force.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AppliedPolicy {
    /// Content id. It changes when a limited permission begins or ends.
    pub content_id: String,
    /// The version that says the same; absent when management does not know it.
    pub number: Option<i64>,
    /// Where the fast path has it from: `state`, `initial`, `control` or `none`.
    pub origin: String,
    /// When it was applied there.
    pub applied: Time,
    /// When it is rolled back unless confirmed.
    pub rollback_at: Option<Time>,
    /// When a limited permission begins or ends next.
    pub next_boundary: Option<Time>,
}

/// What is wanted in force, and what is
#[utoipa::path(get, path = "/policies/state", tag = "policies",
    responses((status = 200, description = "Where the two stand", body = PolicyState)))]
async fn read_policy_state(State(app): State<Shared>) -> Result<Json<PolicyState>, Problem> {
    Ok(Json(state(&app).await?))
}

async fn state(app: &Shared) -> Result<PolicyState, Problem> {
    let db = app.store.main.read();
    let now = match app.fastpath.client() {
        Ok(client) => reconcile::in_force(app, &client).await,
        Err(away) => Err(away),
    };
    let (now, unread) = match now {
        Ok(now) => (Some(now), None),
        Err(problem) => (None, Some(problem.detail)),
    };
    let wanted = match kept::desired(db).await? {
        Some(desired) => Some((policy::find(app, desired.number).await?, desired)),
        None => None,
    };
    let status = match (&wanted, &now) {
        (_, None) => Standing::Away,
        (None, Some(now)) if now.digest.is_none() => Standing::None,
        (Some((version, _)), Some(now))
            if now.digest.as_ref() == Some(&version.document_digest) =>
        {
            if now.rollback_at.is_some() {
                Standing::OnTrial
            } else {
                Standing::InStep
            }
        }
        _ => Standing::Differs,
    };
    let (devices_listed, devices_differing) = kept::counts(db).await?;
    Ok(PolicyState {
        status,
        desired: wanted.map(|(version, desired)| DesiredPolicy {
            number: desired.number,
            name: version.name,
            content_id: version.content_id,
            confirmed: desired.confirmed,
            fallback: desired.fallback,
            since: desired.since,
            by: desired.who,
        }),
        applied: now.map(|now| AppliedPolicy {
            content_id: now.id,
            number: now.number,
            origin: now.origin,
            applied: now.applied,
            rollback_at: now.rollback_at,
            next_boundary: now.next_boundary,
        }),
        trouble: reconcile::trouble(app).or(unread),
        devices_listed,
        devices_differing,
    })
}

/// Which devices.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PolicyDeviceQuery {
    /// Only those that are not as wanted (`true`), or only the others
    pub differs: Option<bool>,
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same parameters
    pub cursor: Option<String>,
}

/// What the wanted version says of a device, beside what the fast path shows.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PolicyDevice {
    /// MAC address and VLAN, as in the path of the device.
    pub key: String,
    /// Name in the policy; absent when it is not listed.
    pub name: Option<String>,
    /// Wanted mode.
    pub desired_mode: String,
    /// Wanted role.
    pub desired_role: Option<String>,
    /// Mode that the fast path showed last; absent when it never saw the device.
    pub applied_mode: Option<String>,
    /// Role that it showed.
    pub applied_role: Option<String>,
    /// Who answers for the mode.
    pub owner: Option<String>,
    /// Since when it is in its mode.
    pub since: Option<Time>,
    /// Whether the two differ. A release (break-glass) is no difference.
    pub differs: bool,
}

impl From<StepRow> for PolicyDevice {
    fn from(row: StepRow) -> Self {
        Self {
            key: row.key,
            name: row.name,
            desired_mode: row.mode,
            desired_role: row.role,
            applied_mode: row.shown_mode,
            applied_role: row.shown_role,
            owner: row.owner,
            since: row.since,
            differs: row.differs,
        }
    }
}

/// For each device, the wanted mode and role beside those the fast path shows
#[utoipa::path(get, path = "/policies/state/devices", tag = "policies",
    params(PolicyDeviceQuery),
    responses((status = 200, description = "A page of devices", body = Page<PolicyDevice>)))]
async fn list_policy_devices(
    State(app): State<Shared>,
    Query(query): Query<PolicyDeviceQuery>,
) -> Result<Json<Page<PolicyDevice>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let db = app.store.main.read();
    let rows = kept::steps(db, after.as_deref(), query.differs, limit + 1).await?;
    let page = Page::new(rows, limit, |row| row.key.clone());
    Ok(Json(page.map(PolicyDevice::from)))
}
