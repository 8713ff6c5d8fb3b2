//! Alerts: what is not as usual, and that people accept it.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_control::{ClientError, RefusedKind, bounds};

use super::page::{self, Page, PageQuery};
use super::problem::{Code, FieldError, Problem};
use super::request::{Body, Checked, Path, Queries, said};
use crate::auth::Principal;
use crate::live::Topic;
use crate::out::keep_alert;
use crate::store::alert::{self, AlertFilter, AlertRow};
use crate::store::{Actor, Record, StoreError};
use crate::time::Time;
use crate::{App, Shared};

/// The event that somebody accepted an alert.
pub(crate) const ACCEPTED: &str = "alert-accepted";

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_alerts))
        .routes(routes!(read_alert))
        .routes(routes!(accept_alert))
}

/// A device that does not behave as it used to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KeptAlert {
    /// Its number, never used again.
    pub id: i64,
    /// The device, as in its path.
    pub device: String,
    /// Where it stands.
    pub state: AlertStand,
    /// The gravest of what is wrong, such as `new-peer` or `scan`.
    pub kind: String,
    /// How grave it is, in percent.
    pub score_percent: u8,
    /// What is wrong in sentences, the gravest first.
    pub reasons: Vec<String>,
    /// First observation.
    pub began: Time,
    /// Last one.
    pub last: Time,
    /// Observations.
    pub observations: i64,
    /// The alert about another device that was told for the same peer.
    pub part_of: Option<i64>,
    /// That somebody accepted it.
    pub accepted: Option<Acceptance>,
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AlertStand {
    /// Its cause is still there.
    Open,
    /// It is over.
    Ended,
}

impl AlertStand {
    const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ended => "ended",
        }
    }
}

/// That what an alert is about is usual from now on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Acceptance {
    /// When.
    pub time: Time,
    /// Who said it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl From<AlertRow> for KeptAlert {
    fn from(row: AlertRow) -> Self {
        Self {
            id: row.id,
            device: row.device,
            state: if row.state == "open" {
                AlertStand::Open
            } else {
                AlertStand::Ended
            },
            kind: row.kind,
            score_percent: row.score_percent,
            reasons: serde_json::from_str(&row.reasons).unwrap_or_default(),
            began: row.began,
            last: row.last,
            observations: row.observations,
            part_of: row.part_of,
            accepted: row.accepted.map(|time| Acceptance {
                time,
                by: row.accepted_by.unwrap_or_default(),
                reason: row.accepted_reason.unwrap_or_default(),
            }),
        }
    }
}

/// Which alerts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// In this state
    #[param(inline)]
    pub state: Option<AlertStand>,
    /// Of this kind, such as `new-peer`
    pub kind: Option<String>,
    /// About this device, as in its path
    pub device: Option<String>,
    /// Whether somebody accepted it
    pub accepted: Option<bool>,
    /// At least as grave
    #[param(minimum = 0, maximum = 100)]
    pub score_min: Option<u8>,
    /// Observed since
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// Begun before
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
}

/// The alerts, newest first
#[utoipa::path(get, path = "/alerts", tag = "alerts", params(AlertQuery, PageQuery),
    responses((status = 200, description = "A page of alerts", body = Page<KeptAlert>)))]
async fn list_alerts(
    State(app): State<Shared>,
    Queries(query, pages): Queries<AlertQuery, PageQuery>,
) -> Result<Json<Page<KeptAlert>>, Problem> {
    let limit = page::limit(pages.limit)?;
    let before = page::decode(pages.cursor.as_deref())?;
    let filter = AlertFilter {
        state: query.state.map(AlertStand::name),
        kind: query.kind,
        device: query.device,
        accepted: query.accepted,
        score_min: query.score_min,
        since: query.since,
        until: query.until,
    };
    let rows = alert::list(&app.store.main, &filter, before, limit + 1).await?;
    let page = Page::new(rows, limit, |row| row.id);
    Ok(Json(page.map(KeptAlert::from)))
}

/// One alert
#[utoipa::path(get, path = "/alerts/{id}", tag = "alerts",
    params(("id" = i64, Path, description = "Number of the alert")),
    responses((status = 200, description = "The alert", body = KeptAlert)))]
async fn read_alert(
    State(app): State<Shared>,
    Path(id): Path<i64>,
) -> Result<Json<KeptAlert>, Problem> {
    Ok(Json(find(&app, id).await?.into()))
}

/// Why what an alert is about is usual.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptAlert {
    /// Why.
    #[schema(min_length = 1, max_length = 1024)]
    pub reason: String,
}

impl Checked for AcceptAlert {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        said("reason", &self.reason, bounds::REASON_BYTES, &mut errors);
        errors
    }
}

/// Say that what an alert is about is usual for its device from now on
#[utoipa::path(post, path = "/alerts/{id}/accept", tag = "alerts", request_body = AcceptAlert,
    params(("id" = i64, Path, description = "Number of the alert")),
    responses((status = 200, description = "As it is now", body = KeptAlert)))]
async fn accept_alert(
    State(app): State<Shared>,
    principal: Principal,
    Path(id): Path<i64>,
    Body(wish): Body<AcceptAlert>,
) -> Result<Json<KeptAlert>, Problem> {
    let row = find(&app, id).await?;
    if row.accepted.is_some() {
        let detail = "Somebody accepted it already.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    let number = u64::try_from(row.number).unwrap_or_default();
    let who = principal.who.clone();
    let client = app.fastpath.client()?;
    let shown = client.alerts(number, 1).await?.alerts;
    if !shown
        .first()
        .is_some_and(|shown| alert::is_shown(&row, shown))
    {
        let detail = "It is over: the fast path knows it no more.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    let answer = client.accept_alert(number, who.clone(), wish.reason.clone());
    answer.await.map_err(|error| match error {
        ClientError::Refused(refused) if refused.kind == RefusedKind::Argument => {
            Problem::new(Code::Conflict, format!("It is over: {}.", refused.message))
        }
        error => error.into(),
    })?;
    keep_acceptance(&app, principal.actor(), &row, &wish.reason).await?;
    Ok(Json(find(&app, id).await?.into()))
}

/// Keeps that an alert was accepted, and tells of it: once, whether the answer or the event of the fast
/// path comes here first.
///
/// # Errors
/// When the store fails.
pub(crate) async fn keep_acceptance(
    app: &App,
    actor: Actor,
    row: &AlertRow,
    reason: &str,
) -> Result<(), StoreError> {
    let who = actor.who.clone();
    let mut change = app.store.change(actor).await?;
    if !alert::accept(change.db(), row.id, &who, reason).await? {
        return Ok(());
    }
    keep_alert(change.db(), ACCEPTED, row.id).await?;
    let record = Record::new("accept_alert", format!("alert/{}", row.id))
        .because(Some(reason))
        .after(&serde_json::json!({ "device": row.device, "kind": row.kind }));
    change.commit(record).await?;
    tell(app, ACCEPTED, row.id).await
}

async fn find(app: &App, id: i64) -> Result<AlertRow, Problem> {
    let mut db = app.store.main.read().acquire().await?;
    let row = alert::find(&mut db, id).await?;
    row.ok_or_else(|| Problem::not_found("alert", &id.to_string()))
}

/// Tells what happened to an alert, with the alert as it is now. Receivers read what was kept.
///
/// # Errors
/// When the store fails.
pub(crate) async fn tell(app: &App, event: &str, id: i64) -> Result<(), StoreError> {
    app.out.alerted();
    let mut db = app.store.main.read().acquire().await?;
    if let Some(row) = alert::find(&mut db, id).await? {
        let device = row.device.clone();
        let detail = serde_json::to_value(KeptAlert::from(row)).unwrap_or_default();
        app.live.tell(Topic::Alert, event, Some(device), detail);
    }
    Ok(())
}
