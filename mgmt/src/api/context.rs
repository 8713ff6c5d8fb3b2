//! What others know of devices: who uses one, how well kept it is, where it is. Each source speaks
//! for itself, and for a time.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_control::bounds::{
    CONTEXT_ENTRIES, CONTEXT_LIFETIME_S, CONTEXT_TEXT_BYTES, NAME_BYTES,
};

use super::problem::{Code, FieldError, Problem};
use super::request::{Body, Checked, Path, Query, said, text};
use crate::Shared;
use crate::auth::Principal;
use crate::live::Topic;
use crate::store::Record;
use crate::store::context::{self, ContextRow, Said};
use crate::store::device::parse_key;
use crate::time::Time;

/// Sources that speak of one device.
const SOURCES: usize = 16;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(read_context, put_context, delete_context))
}

/// What is said of a device.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Context {
    /// Key of the device.
    pub subject: String,
    /// What each source says; what has expired is not shown.
    pub items: Vec<Statement>,
}

/// What one source says of a device.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Statement {
    /// Who says so, such as `nac`.
    pub source: String,
    /// Who uses it.
    pub user: Option<String>,
    /// How well kept it is, such as `patched` or `infected`.
    pub health: Option<String>,
    /// Where it is.
    pub location: Option<String>,
    /// How confidential the data is that it handles.
    pub data_sensitivity: Option<String>,
    /// When it was so.
    pub observed: Time,
    /// From then on it does not count any more.
    pub expires: Time,
    /// Who brought it here, such as `token:nac`.
    pub brought_by: String,
}

impl From<ContextRow> for Statement {
    fn from(row: ContextRow) -> Self {
        Self {
            source: row.source,
            user: row.said.user,
            health: row.said.health,
            location: row.said.location,
            data_sensitivity: row.said.data_sensitivity,
            observed: row.observed,
            expires: row.expires,
            brought_by: row.who,
        }
    }
}

/// What a source says of a device. What is left out is not spoken of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextPut {
    /// Who says so, such as `nac`. What the same source said before is replaced.
    #[schema(min_length = 1, max_length = 256)]
    pub source: String,
    /// Who uses it.
    #[schema(max_length = 128)]
    pub user: Option<String>,
    /// How well kept it is, such as `patched` or `infected`.
    #[schema(max_length = 128)]
    pub health: Option<String>,
    /// Where it is.
    #[schema(max_length = 128)]
    pub location: Option<String>,
    /// How confidential the data is that it handles.
    #[schema(max_length = 128)]
    pub data_sensitivity: Option<String>,
    /// When it was so; left out: now.
    pub observed: Option<Time>,
    /// For how long it counts, in seconds from now.
    #[schema(minimum = 1, maximum = 604_800)]
    pub lifetime_s: u64,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl ContextPut {
    fn said(&self) -> Said {
        Said {
            user: self.user.clone(),
            health: self.health.clone(),
            location: self.location.clone(),
            data_sensitivity: self.data_sensitivity.clone(),
        }
    }
}

impl Checked for ContextPut {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        said("source", &self.source, NAME_BYTES, &mut errors);
        let texts = [
            ("user", &self.user),
            ("health", &self.health),
            ("location", &self.location),
            ("data_sensitivity", &self.data_sensitivity),
        ];
        for (field, value) in texts {
            text(field, value.as_deref(), CONTEXT_TEXT_BYTES, &mut errors);
        }
        if self.said() == Said::default() {
            let message = "something must be said: user, health, location or data_sensitivity";
            errors.push(FieldError::new("", message));
        }
        if !(1..=CONTEXT_LIFETIME_S).contains(&self.lifetime_s) {
            errors.push(FieldError::new(
                "lifetime_s",
                format!("1 to {CONTEXT_LIFETIME_S}"),
            ));
        }
        let epoch = Time::from_us(0);
        if self
            .observed
            .is_some_and(|at| at < epoch || at > Time::now().plus_s(300))
        {
            errors.push(FieldError::new("observed", "a time that has been"));
        }
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// What is said of a device
#[utoipa::path(get, path = "/context/{subject}", tag = "context",
    params(("subject" = String, Path, description = "MAC address and VLAN of the device")),
    responses((status = 200, description = "What each source says", body = Context)))]
async fn read_context(
    State(app): State<Shared>,
    Path(subject): Path<String>,
) -> Result<Json<Context>, Problem> {
    require_device(&subject)?;
    shown(&app, subject).await
}

/// Say something of a device, for a time
///
/// What a source said before is replaced. The device need not have been seen. The fast path is told
/// as well, again after each connection.
#[utoipa::path(put, path = "/context/{subject}", tag = "context", request_body = ContextPut,
    params(("subject" = String, Path, description = "MAC address and VLAN of the device")),
    responses((status = 200, description = "What each source says now", body = Context)))]
async fn put_context(
    State(app): State<Shared>,
    principal: Principal,
    Path(subject): Path<String>,
    Body(put): Body<ContextPut>,
) -> Result<Json<Context>, Problem> {
    require_device(&subject)?;
    let now = Time::now();
    let row = ContextRow {
        device: subject.clone(),
        source: put.source.clone(),
        said: put.said(),
        observed: put.observed.unwrap_or(now),
        expires: now.plus_s(i64::try_from(put.lifetime_s).unwrap_or(i64::MAX)),
        who: principal.who.clone(),
    };
    let mut change = app.store.change(principal.actor()).await?;
    let others = context::list(change.db(), Some(&subject)).await?;
    let before = others.iter().find(|other| other.source == put.source);
    if before.is_none() {
        require_room(others.len(), context::count(change.db()).await?)?;
    }
    context::write(change.db(), &row).await?;
    // A feed that says the same again prolongs it; that is no change to write down.
    let news = before.is_none_or(|before| before.said != row.said);
    let record = Record::new("put_context", format!("device/{subject}"))
        .because(put.reason)
        .after(&described(&row));
    let record = before.map_or(record.clone(), |before| record.before(&described(before)));
    change.commit_all(news.then_some(record)).await?;
    told(&app, &subject, news);
    shown(&app, subject).await
}

/// Whose word is taken back.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ContextQuery {
    /// What this source said; left out: what all of them did
    pub source: Option<String>,
}

/// Take back what was said of a device
#[utoipa::path(delete, path = "/context/{subject}", tag = "context",
    params(("subject" = String, Path, description = "MAC address and VLAN of the device"),
        ContextQuery),
    responses((status = 204, description = "It does not count any more")))]
async fn delete_context(
    State(app): State<Shared>,
    principal: Principal,
    Path(subject): Path<String>,
    Query(query): Query<ContextQuery>,
) -> Result<StatusCode, Problem> {
    require_device(&subject)?;
    let mut change = app.store.change(principal.actor()).await?;
    let mut gone = context::list(change.db(), Some(&subject)).await?;
    gone.retain(|row| {
        query
            .source
            .as_ref()
            .is_none_or(|source| *source == row.source)
    });
    if gone.is_empty() {
        return Err(Problem::not_found("context", &subject));
    }
    context::delete(change.db(), &subject, query.source.as_deref()).await?;
    let before: Vec<_> = gone.iter().map(described).collect();
    let record = Record::new("delete_context", format!("device/{subject}"));
    change.commit(record.before(&before)).await?;
    told(&app, &subject, true);
    Ok(StatusCode::NO_CONTENT)
}

/// What each source says of a device now.
///
/// # Errors
/// When the store fails.
pub(super) async fn statements(app: &Shared, device: &str) -> Result<Vec<Statement>, Problem> {
    let mut db = app.store.main.read().acquire().await?;
    let rows = context::list(&mut db, Some(device)).await?;
    Ok(rows.into_iter().map(Statement::from).collect())
}

async fn shown(app: &Shared, subject: String) -> Result<Json<Context>, Problem> {
    let items = statements(app, &subject).await?;
    Ok(Json(Context { subject, items }))
}

fn require_device(subject: &str) -> Result<(), Problem> {
    let device = parse_key(subject).map(|_| ());
    device.ok_or_else(|| Problem::not_found("device", subject))
}

fn require_room(sources: usize, all: i64) -> Result<(), Problem> {
    if sources >= SOURCES {
        let detail = format!("At most {SOURCES} sources speak of one device.");
        return Err(Problem::new(Code::Conflict, detail));
    }
    if usize::try_from(all).unwrap_or(usize::MAX) >= CONTEXT_ENTRIES {
        let detail = format!("At most {CONTEXT_ENTRIES} statements are kept at once.");
        return Err(Problem::new(Code::Conflict, detail));
    }
    Ok(())
}

fn described(row: &ContextRow) -> serde_json::Value {
    json!({ "source": row.source, "user": row.said.user, "health": row.said.health,
        "location": row.said.location, "data_sensitivity": row.said.data_sensitivity,
        "observed": row.observed, "expires": row.expires })
}

fn told(app: &Shared, subject: &str, news: bool) {
    app.context_changed.notify_one();
    if news {
        let key = Some(subject.to_owned());
        app.live
            .tell(Topic::Device, "context-changed", key, json!({}));
    }
}
