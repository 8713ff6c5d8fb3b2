//! Named sets of devices, and the networks of the hospital.

pub(super) mod networks;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::SqliteConnection;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::devices::Criticality;
use super::page::{self, Page};
use super::problem::{Code, FieldError, Problem};
use super::request::{Body, Checked, IfMatch, Path, Query, etag, said, text};
use crate::auth::Principal;
use crate::policy;
use crate::store::device::{parse_key, word};
use crate::store::group::{self, GroupFilter, GroupRow};
use crate::store::policy as kept;
use crate::store::{Record, StoreError};
use crate::time::Time;
use crate::{App, Shared};

/// Groups, and networks, of one appliance.
const MOST: i64 = 500;
/// Members of a group that are named one by one.
const MEMBERS: usize = 5_000;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_groups, create_group))
        .routes(routes!(read_group, replace_group, delete_group))
        .merge(networks::operations())
}

/// A named set of devices.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Group {
    /// Its number, never used again.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Keys of devices that belong to it whatever they are.
    pub members: Vec<String>,
    /// What other devices that belong to it have in common.
    pub filter: GroupCommon,
    /// Devices that were seen and belong to it; `GET /devices?group=` lists them.
    pub devices: i64,
    /// When it was made.
    pub created: Time,
}

/// What devices have in common. All that is said must hold; where nothing is said, none do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupCommon {
    /// Taken for this role.
    #[schema(max_length = 64)]
    pub role: Option<String>,
    /// Of this ward.
    #[schema(max_length = 256)]
    pub ward: Option<String>,
    /// At this location.
    #[schema(max_length = 256)]
    pub location: Option<String>,
    /// Of this criticality.
    pub criticality: Option<Criticality>,
}

impl From<GroupRow> for Group {
    fn from(row: GroupRow) -> Self {
        let criticality = row.filter.criticality;
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            members: row.members,
            filter: GroupCommon {
                role: row.filter.role,
                ward: row.filter.ward,
                location: row.filter.location,
                criticality: criticality.and_then(|text| serde_json::from_value(text.into()).ok()),
            },
            devices: row.devices,
            created: row.created,
        }
    }
}

/// A named set of devices to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupWrite {
    /// Unique name.
    #[schema(min_length = 1, max_length = 128)]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 1024)]
    pub description: String,
    /// Keys of devices that belong to it whatever they are; they need not have been seen.
    #[serde(default)]
    #[schema(max_items = 5000)]
    pub members: Vec<String>,
    /// What other devices that belong to it have in common.
    #[serde(default)]
    pub filter: GroupCommon,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for GroupWrite {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        said("name", &self.name, 128, &mut errors);
        text("description", Some(&self.description), 1_024, &mut errors);
        if self.members.len() > MEMBERS {
            errors.push(FieldError::new("members", format!("at most {MEMBERS}")));
        }
        let members = self.members.iter().enumerate();
        let wrong = members.filter(|(_, key)| parse_key(key).is_none()).take(20);
        errors.extend(wrong.map(|(index, _)| {
            let field = format!("members[{index}]");
            FieldError::new(field, "the key of a device, such as 00-09-fb-12-34-56.10")
        }));
        let filter = &self.filter;
        text("filter.role", filter.role.as_deref(), 64, &mut errors);
        text("filter.ward", filter.ward.as_deref(), 256, &mut errors);
        text(
            "filter.location",
            filter.location.as_deref(),
            256,
            &mut errors,
        );
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

impl GroupWrite {
    fn row(&self) -> GroupRow {
        GroupRow {
            name: self.name.clone(),
            description: self.description.clone(),
            members: self.members.clone(),
            filter: GroupFilter {
                role: self.filter.role.clone(),
                ward: self.filter.ward.clone(),
                location: self.filter.location.clone(),
                criticality: self.filter.criticality.as_ref().map(word),
            },
            ..GroupRow::default()
        }
    }
}

/// Which entries of a list by name.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NameQuery {
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before
    pub cursor: Option<String>,
}

/// The groups of devices, by name
#[utoipa::path(get, path = "/groups", tag = "groups", params(NameQuery),
    responses((status = 200, description = "A page of groups", body = Page<Group>)))]
async fn list_groups(
    State(app): State<Shared>,
    Query(query): Query<NameQuery>,
) -> Result<Json<Page<Group>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let mut db = app.store.main.read().acquire().await?;
    let found = group::list(&mut db, &after.unwrap_or_default(), limit + 1).await?;
    let page = Page::new(found, limit, |row| row.name.clone());
    Ok(Json(page.map(Group::from)))
}

/// Make a group of devices
#[utoipa::path(post, path = "/groups", tag = "groups", request_body = GroupWrite,
    responses((status = 201, description = "The group", body = Group,
        headers(("ETag" = String, description = "Its revision"),
            ("Location" = String, description = "Where it is found")))))]
async fn create_group(
    State(app): State<Shared>,
    principal: Principal,
    Body(new): Body<GroupWrite>,
) -> Result<(StatusCode, HeaderMap, Json<Group>), Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    require_room(group::count(change.db()).await?)?;
    let made = group::insert(change.db(), &new.row()).await;
    let id = made.map_err(|error| taken("group", &new.name, error))?;
    let row = existing(change.db(), id).await?;
    let record = Record::new("create_group", format!("group/{id}")).because(new.reason);
    change.commit(record.after(&described(&row))).await?;
    let headers = made_at(&format!("/groups/{id}"), row.revision);
    Ok((StatusCode::CREATED, headers, Json(row.into())))
}

/// One group of devices
#[utoipa::path(get, path = "/groups/{id}", tag = "groups",
    params(("id" = i64, Path, description = "Number of the group")),
    responses((status = 200, description = "The group", body = Group,
        headers(("ETag" = String, description = "Its revision")))))]
async fn read_group(
    State(app): State<Shared>,
    Path(id): Path<i64>,
) -> Result<(HeaderMap, Json<Group>), Problem> {
    let mut db = app.store.main.read().acquire().await?;
    let row = existing(&mut db, id).await?;
    Ok((etag(row.revision), Json(row.into())))
}

/// Replace everything that a group of devices is
#[utoipa::path(put, path = "/groups/{id}", tag = "groups", request_body = GroupWrite,
    params(("id" = i64, Path, description = "Number of the group"), IfMatch),
    responses((status = 200, description = "As it is now", body = Group,
        headers(("ETag" = String, description = "Its revision")))))]
async fn replace_group(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(id): Path<i64>,
    Body(new): Body<GroupWrite>,
) -> Result<(HeaderMap, Json<Group>), Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let before = existing(change.db(), id).await?;
    if_match.require(before.revision)?;
    if before.name != new.name {
        require_unused(&app, "group", &before.name).await?;
    }
    let written = group::write(change.db(), id, &new.row()).await;
    written.map_err(|error| taken("group", &new.name, error))?;
    let row = existing(change.db(), id).await?;
    let record = Record::new("replace_group", format!("group/{id}"))
        .because(new.reason)
        .before(&described(&before))
        .after(&described(&row));
    change.commit(record).await?;
    Ok((etag(row.revision), Json(row.into())))
}

/// Remove a group of devices
///
/// Refused while the wanted policy has a group of its name.
#[utoipa::path(delete, path = "/groups/{id}", tag = "groups",
    params(("id" = i64, Path, description = "Number of the group"), IfMatch),
    responses((status = 204, description = "It is removed")))]
async fn delete_group(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let before = existing(change.db(), id).await?;
    if_match.require(before.revision)?;
    require_unused(&app, "group", &before.name).await?;
    group::delete(change.db(), id).await?;
    let record = Record::new("delete_group", format!("group/{id}"));
    change.commit(record.before(&described(&before))).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn existing(db: &mut SqliteConnection, id: i64) -> Result<GroupRow, Problem> {
    let row = group::find(db, id).await?;
    row.ok_or_else(|| Problem::not_found("group", &id.to_string()))
}

fn described(row: &GroupRow) -> serde_json::Value {
    json!({ "name": row.name, "description": row.description, "members": row.members,
        "role": row.filter.role, "ward": row.filter.ward, "location": row.filter.location,
        "criticality": row.filter.criticality })
}

/// Where something new is found, and its revision.
fn made_at(path: &str, revision: i64) -> HeaderMap {
    let mut headers = etag(revision);
    if let Some(place) = super::located(path).remove(header::LOCATION) {
        headers.insert(header::LOCATION, place);
    }
    headers
}

fn require_room(count: i64) -> Result<(), Problem> {
    if count < MOST {
        return Ok(());
    }
    Err(Problem::new(
        Code::Conflict,
        format!("At most {MOST} are kept."),
    ))
}

fn taken(what: &str, name: &str, error: StoreError) -> Problem {
    match error {
        StoreError::Taken(_) => {
            let detail = format!("There is a {what} `{name}` already.");
            Problem::new(Code::Conflict, detail)
        }
        error => error.into(),
    }
}

/// Whoever reads the policy looks the name up here: while it is there, it stays.
async fn require_unused(app: &App, what: &str, name: &str) -> Result<(), Problem> {
    let Some(desired) = kept::desired(app.store.main.read()).await? else {
        return Ok(());
    };
    let (_, document) = policy::load(app, desired.number).await?;
    if !document.parsed.groups.contains_key(name) {
        return Ok(());
    }
    let detail = format!("The {what} `{name}` is used; see `errors`.");
    let place = format!("policies/{}/document: groups.{name}", desired.number);
    let error = FieldError::new(place, "the wanted policy has a group of this name");
    Err(Problem::new(Code::Conflict, detail).with(vec![error]))
}
