//! Taking in the hospital's list: first what it would change, then that and nothing else.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::page::{self, Page};
use super::super::problem::{Code, FieldError, Problem};
use super::super::request::{Body, Checked, Path, Query, text};
use super::{require_room, subject};
use crate::Shared;
use crate::auth::Principal;
use crate::inventory::list::{self, ListRow, ReadColumn};
use crate::inventory::plan::{self, Outcome, Status};
use crate::inventory::{Column, Facts};
use crate::live::Topic;
use crate::policy;
use crate::store::import::{self, ImportRow};
use crate::store::{Change, Record, asset, device};
use crate::time::Time;

/// Bytes of a list.
const LIST_BYTES: usize = 8 * 1024 * 1024;
/// Headings that can be told apart by hand.
const WISHES: usize = 64;
/// Lines that are named in a refusal.
const LINES: usize = 20;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_imports, create_import))
        .routes(routes!(read_import))
        .routes(routes!(list_import_rows))
        .routes(routes!(apply_import))
}

/// A list of assets.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportCreate {
    /// CSV with a line of headings; commas, semicolons or tabs between the cells.
    #[schema(min_length = 1, max_length = 8_388_608)]
    pub text: String,
    /// Which heading holds which fact, where the headings do not say so themselves.
    #[serde(default)]
    pub columns: BTreeMap<String, Column>,
}

impl Checked for ImportCreate {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.columns.len() > WISHES {
            errors.push(FieldError::new("columns", format!("at most {WISHES}")));
        }
        errors
    }
}

/// A list that was uploaded, and what it would change.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Import {
    /// Its number, never used again.
    pub id: i64,
    /// Who uploaded it.
    pub created_by: String,
    /// When.
    pub created: Time,
    /// When it was applied; absent: not yet.
    pub applied: Option<Time>,
    /// Who applied it.
    pub applied_by: Option<String>,
    /// What was read.
    #[serde(flatten)]
    pub summary: Summary,
}

/// What was read of a list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// Columns that were read.
    pub columns: Vec<ReadColumn>,
    /// Headings of columns that were not.
    pub ignored_columns: Vec<String>,
    /// Rows.
    pub rows: usize,
    /// Rows that make an asset.
    pub new: usize,
    /// Rows that change one.
    pub changed: usize,
    /// Rows of which everything is known.
    pub same: usize,
    /// Rows that do not fit.
    pub conflict: usize,
}

impl Summary {
    fn of(list: &list::List, outcomes: &[Outcome]) -> Self {
        let count = |status| outcomes.iter().filter(|o| o.status == status).count();
        Self {
            columns: list.columns.clone(),
            ignored_columns: list.ignored.clone(),
            rows: outcomes.len(),
            new: count(Status::New),
            changed: count(Status::Changed),
            same: count(Status::Same),
            conflict: count(Status::Conflict),
        }
    }
}

impl From<ImportRow> for Import {
    fn from(row: ImportRow) -> Self {
        let (applied, applied_by) = row.applied.unzip();
        Self {
            id: row.id,
            created_by: row.created_by,
            created: row.created,
            applied,
            applied_by,
            summary: serde_json::from_str(&row.summary).unwrap_or_default(),
        }
    }
}

/// The lists that were uploaded.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Imports {
    /// The newest first; at most 10 are kept.
    pub items: Vec<Import>,
}

/// The lists that were uploaded, newest first
#[utoipa::path(get, path = "/assets/imports", tag = "assets",
    responses((status = 200, description = "The lists", body = Imports)))]
async fn list_imports(State(app): State<Shared>) -> Result<Json<Imports>, Problem> {
    let found = import::list(&app.store.main).await?;
    let items = found.into_iter().map(Import::from).collect();
    Ok(Json(Imports { items }))
}

/// Upload a list, to see what it would change
///
/// Nothing is changed yet. Assets are told apart by their tag; an empty cell leaves what is known.
/// Devices are found by MAC address and serial number; those that have the name or the asset tag
/// are named as candidates.
#[utoipa::path(post, path = "/assets/imports", tag = "assets", request_body = ImportCreate,
    responses((status = 201, description = "What it would change", body = Import,
        headers(("Location" = String, description = "Where it is found")))))]
async fn create_import(
    State(app): State<Shared>,
    principal: Principal,
    Body(new): Body<ImportCreate, LIST_BYTES>,
) -> Result<(StatusCode, HeaderMap, Json<Import>), Problem> {
    // Few at once: a long list takes some ten MiB.
    let read = policy::aside(&app, move || list::read(&new.text, &new.columns)).await?;
    let list = read.map_err(|faults| {
        Problem::new(Code::InvalidBody, "The list cannot be read; see `errors`.").with(faults)
    })?;
    let mut change = app.store.change(principal.actor()).await?;
    let (outcomes, list) = planned(&mut change, list.rows.clone())
        .await
        .map(|(outcomes, _)| (outcomes, list))?;
    let summary = Summary::of(&list, &outcomes);
    let text = json_of(&summary)?;
    let who = principal.who.clone();
    let id = import::insert(change.db(), &who, &text, &json_of(&list.rows)?, &outcomes).await?;
    let row = existing(&mut change, id).await?;
    let record = Record::new("create_import", name(id)).after(&counts(&summary));
    change.commit(record).await?;
    let headers = super::super::located(&format!("/assets/imports/{id}"));
    Ok((StatusCode::CREATED, headers, Json(row.into())))
}

/// One list, and what it would change
#[utoipa::path(get, path = "/assets/imports/{id}", tag = "assets",
    params(("id" = i64, Path, description = "Number of the list")),
    responses((status = 200, description = "What it would change", body = Import)))]
async fn read_import(
    State(app): State<Shared>,
    Path(id): Path<i64>,
) -> Result<Json<Import>, Problem> {
    let mut db = app.store.main.read().acquire().await?;
    let row = import::find(&mut db, id).await?;
    Ok(Json(row.ok_or_else(|| unknown(id))?.into()))
}

/// Which rows.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RowQuery {
    /// That would do this
    #[param(inline)]
    pub status: Option<Status>,
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same parameters
    pub cursor: Option<String>,
}

/// What each row of a list would do
#[utoipa::path(get, path = "/assets/imports/{id}/rows", tag = "assets",
    params(("id" = i64, Path, description = "Number of the list"), RowQuery),
    responses((status = 200, description = "A page of rows", body = Page<Outcome>)))]
async fn list_import_rows(
    State(app): State<Shared>,
    Path(id): Path<i64>,
    Query(query): Query<RowQuery>,
) -> Result<Json<Page<Outcome>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after: u32 = page::decode(query.cursor.as_deref())?.unwrap_or_default();
    let mut db = app.store.main.read().acquire().await?;
    import::find(&mut db, id)
        .await?
        .ok_or_else(|| unknown(id))?;
    let status = query.status.map(Status::name);
    let found = import::outcomes(&mut db, id, status, after, limit + 1).await?;
    let rows: Vec<Outcome> = found
        .iter()
        .filter_map(|text| serde_json::from_str(text).ok())
        .collect();
    Ok(Json(Page::new(rows, limit, |row| row.line)))
}

/// How to apply a list.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImportApply {
    /// Leave out the rows that do not fit. Otherwise one of them keeps the list from being applied.
    pub skip_conflicts: bool,
    /// Believe the list where only the location of a device differs.
    pub believe_locations: bool,
    /// Give assets their candidates as devices, too.
    pub link_candidates: bool,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for ImportApply {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// Apply a list as its preview said
///
/// All of it or nothing. Refused when the inventory has changed since in anything that the list
/// touches.
#[utoipa::path(post, path = "/assets/imports/{id}/apply", tag = "assets",
    request_body = ImportApply,
    params(("id" = i64, Path, description = "Number of the list")),
    responses((status = 200, description = "It is applied", body = Import)))]
async fn apply_import(
    State(app): State<Shared>,
    principal: Principal,
    Path(id): Path<i64>,
    Body(wish): Body<ImportApply>,
) -> Result<Json<Import>, Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let row = existing(&mut change, id).await?;
    if row.applied.is_some() {
        let detail = "It was applied already; upload the list again.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    let rows = import::rows(change.db(), id).await?;
    let rows: Vec<ListRow> = serde_json::from_str(&rows).map_err(unreadable)?;
    let (outcomes, rows) = planned(&mut change, rows).await?;
    require_same(&mut change, id, &outcomes).await?;
    let mut records = write(&mut change, &outcomes, &rows, &wish).await?;
    import::applied(change.db(), id, &principal.who).await?;
    let now = existing(&mut change, id).await?;
    let done = json!({ "assets": records.len(), "skip_conflicts": wish.skip_conflicts,
        "believe_locations": wish.believe_locations, "link_candidates": wish.link_candidates });
    let record = Record::new("apply_import", name(id)).because(wish.reason);
    records.push(record.after(&done));
    change.commit_all(records).await?;
    app.live.tell(
        Topic::Device,
        "assets-imported",
        None,
        json!({ "import": id }),
    );
    Ok(Json(now.into()))
}

/// What rows would do now.
async fn planned(
    change: &mut Change,
    rows: Vec<ListRow>,
) -> Result<(Vec<Outcome>, Vec<ListRow>), Problem> {
    let assets = asset::all(change.db()).await?;
    let devices = device::traits(change.db()).await?;
    aside(move || (plan::plan(&rows, &assets, &devices), rows)).await
}

/// What was shown is what is done.
async fn require_same(change: &mut Change, id: i64, now: &[Outcome]) -> Result<(), Problem> {
    let shown = import::outcomes(change.db(), id, None, 0, u32::MAX).await?;
    let differs = |(now, shown): (&Outcome, &String)| {
        let shown: Option<Outcome> = serde_json::from_str(shown).ok();
        (shown.as_ref() != Some(now)).then_some(now.line)
    };
    let lines: Vec<_> = now.iter().zip(&shown).filter_map(differs).collect();
    if lines.is_empty() && now.len() == shown.len() {
        return Ok(());
    }
    let detail = "The inventory has changed since the preview; upload the list again.";
    Err(Problem::new(Code::Conflict, detail).with(places(&lines, "changed since the preview")))
}

fn places(lines: &[u32], message: &str) -> Vec<FieldError> {
    let place = |line: &u32| FieldError {
        line: Some(*line),
        ..FieldError::new("text", message)
    };
    lines.iter().take(LINES).map(place).collect()
}

/// Does what was shown, and says what was done.
async fn write(
    change: &mut Change,
    outcomes: &[Outcome],
    rows: &[ListRow],
    wish: &ImportApply,
) -> Result<Vec<Record>, Problem> {
    let status = |outcome: &Outcome| match wish.believe_locations {
        true => outcome.with_location_believed(),
        false => outcome.status,
    };
    let unfit = outcomes.iter().filter(|o| status(o) == Status::Conflict);
    let unfit: Vec<_> = unfit.map(|outcome| outcome.line).collect();
    if !unfit.is_empty() && !wish.skip_conflicts {
        let detail = format!(
            "{} rows do not fit. Mend the list, or leave them out (`skip_conflicts`).",
            unfit.len()
        );
        return Err(Problem::new(Code::Conflict, detail).with(places(&unfit, "does not fit")));
    }
    let new = outcomes.iter().filter(|o| status(o) == Status::New).count();
    require_room(change, new).await?;
    let mut records = Vec::new();
    for (outcome, row) in outcomes.iter().zip(rows) {
        let more = wish.link_candidates && !outcome.candidates.is_empty();
        match status(outcome) {
            Status::Conflict => {}
            Status::Same if !more => {}
            _ => records.push(write_row(change, outcome, row, wish.link_candidates).await?),
        }
    }
    Ok(records)
}

async fn write_row(
    change: &mut Change,
    outcome: &Outcome,
    row: &ListRow,
    link_candidates: bool,
) -> Result<Record, Problem> {
    let before = match outcome.asset {
        Some(id) => asset::find(change.db(), id).await?,
        None => None,
    };
    let facts = plan::merged(before.as_ref().map(|asset| &asset.facts), row);
    let id = match &before {
        Some(asset) if asset.facts == facts => asset.id,
        Some(asset) => {
            asset::write(change.db(), asset.id, &facts).await?;
            asset.id
        }
        None => asset::insert(change.db(), &facts).await?,
    };
    let candidates = outcome.candidates.iter().filter(|_| link_candidates);
    let mut linked = Vec::new();
    for found in outcome.links.iter().chain(candidates) {
        if asset::link(change.db(), id, &found.device).await? {
            linked.push(found.device.clone());
        }
    }
    let told = |facts: &Facts, linked: &[String]| json!({ "facts": facts, "linked": linked });
    let record = Record::new("apply_import", subject(id)).after(&told(&facts, &linked));
    Ok(match &before {
        Some(asset) => record.before(&told(&asset.facts, &[])),
        None => record,
    })
}

async fn existing(change: &mut Change, id: i64) -> Result<ImportRow, Problem> {
    let row = import::find(change.db(), id).await?;
    row.ok_or_else(|| unknown(id))
}

fn unknown(id: i64) -> Problem {
    Problem::not_found("import", &id.to_string())
}

/// Work on a long list, beside the threads that answer requests.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    super::super::finished(tokio::task::spawn_blocking(move || Ok(work())).await)
}

fn json_of(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Problem {
    tracing::error!(%error, "a list of assets cannot be kept or read");
    Problem::new(Code::Internal, "The log of the appliance says more.")
}

fn counts(summary: &Summary) -> serde_json::Value {
    json!({ "rows": summary.rows, "new": summary.new, "changed": summary.changed,
        "same": summary.same, "conflict": summary.conflict })
}

/// An import, as the audit log names it.
fn name(id: i64) -> String {
    format!("import/{id}")
}
