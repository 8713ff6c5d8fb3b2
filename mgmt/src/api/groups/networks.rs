//! The networks of the hospital: which VLAN and which subnets are what.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::SqliteConnection;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_policy::scalar::Prefix;

use super::super::page::{self, Page};
use super::super::problem::{FieldError, Problem};
use super::super::request::{Body, Checked, IfMatch, Path, Query, etag, said, text};
use super::{MOST, NameQuery, made_at, require_room, require_unused, taken};
use crate::Shared;
use crate::auth::Principal;
use crate::store::network::{self, NetworkRow};
use crate::store::{Record, StoreError};
use crate::time::Time;

/// Subnets of one network.
const SUBNETS: usize = 64;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_networks, create_network))
        .routes(routes!(read_network, replace_network, delete_network))
}

/// A network of the hospital.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Network {
    /// Its number, never used again.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// VLAN tag; absent: any.
    pub vlan: Option<u16>,
    /// Its subnets; none: any.
    pub subnets: Vec<String>,
    /// What it is for.
    pub purpose: String,
    /// When it was written down.
    pub created: Time,
}

impl From<NetworkRow> for Network {
    fn from(row: NetworkRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            vlan: row.vlan,
            subnets: row.subnets,
            purpose: row.purpose,
            created: row.created,
        }
    }
}

/// A network to be written down. It has a VLAN or subnets, or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkWrite {
    /// Unique name.
    #[schema(min_length = 1, max_length = 128)]
    pub name: String,
    /// VLAN tag; left out: any.
    #[schema(minimum = 1, maximum = 4094)]
    pub vlan: Option<u16>,
    /// Its subnets, such as `10.1.2.0/24`; none: any.
    #[serde(default)]
    #[schema(max_items = 64)]
    pub subnets: Vec<String>,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 1024)]
    pub purpose: String,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for NetworkWrite {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        said("name", &self.name, 128, &mut errors);
        text("purpose", Some(&self.purpose), 1_024, &mut errors);
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        if self.vlan.is_some_and(|vlan| !(1..=4_094).contains(&vlan)) {
            errors.push(FieldError::new("vlan", "1 to 4094"));
        }
        if self.subnets.len() > SUBNETS {
            errors.push(FieldError::new("subnets", format!("at most {SUBNETS}")));
        }
        for (index, subnet) in self.subnets.iter().enumerate().take(SUBNETS) {
            if let Err(message) = subnet.parse::<Prefix>() {
                errors.push(FieldError::new(
                    format!("subnets[{index}]"),
                    message.to_string(),
                ));
            }
        }
        if self.vlan.is_none() && self.subnets.is_empty() {
            errors.push(FieldError::new("vlan", "a VLAN or subnets, or both"));
        }
        errors
    }
}

impl NetworkWrite {
    fn row(&self) -> NetworkRow {
        NetworkRow {
            name: self.name.clone(),
            vlan: self.vlan,
            subnets: self.subnets.clone(),
            purpose: self.purpose.clone(),
            ..NetworkRow::default()
        }
    }
}

/// The networks of the hospital, by name
#[utoipa::path(get, path = "/networks", tag = "networks", params(NameQuery),
    responses((status = 200, description = "A page of networks", body = Page<Network>)))]
async fn list_networks(
    State(app): State<Shared>,
    Query(query): Query<NameQuery>,
) -> Result<Json<Page<Network>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let mut db = app.store.main.read().acquire().await?;
    let found = network::list(&mut db, &after.unwrap_or_default(), limit + 1).await?;
    let page = Page::new(found, limit, |row| row.name.clone());
    Ok(Json(page.map(Network::from)))
}

/// Write down a network
#[utoipa::path(post, path = "/networks", tag = "networks", request_body = NetworkWrite,
    responses((status = 201, description = "The network", body = Network,
        headers(("ETag" = String, description = "Its revision"),
            ("Location" = String, description = "Where it is found")))))]
async fn create_network(
    State(app): State<Shared>,
    principal: Principal,
    Body(new): Body<NetworkWrite>,
) -> Result<(StatusCode, HeaderMap, Json<Network>), Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    require_room(network::count(change.db()).await?)?;
    let made = network::insert(change.db(), &new.row()).await;
    let id = made.map_err(|error| taken("network", &new.name, error))?;
    let row = existing(change.db(), id).await?;
    let record = Record::new("create_network", format!("network/{id}")).because(new.reason);
    change.commit(record.after(&described(&row))).await?;
    let headers = made_at(&format!("/networks/{id}"), row.revision);
    Ok((StatusCode::CREATED, headers, Json(row.into())))
}

/// One network
#[utoipa::path(get, path = "/networks/{id}", tag = "networks",
    params(("id" = i64, Path, description = "Number of the network")),
    responses((status = 200, description = "The network", body = Network,
        headers(("ETag" = String, description = "Its revision")))))]
async fn read_network(
    State(app): State<Shared>,
    Path(id): Path<i64>,
) -> Result<(HeaderMap, Json<Network>), Problem> {
    let mut db = app.store.main.read().acquire().await?;
    let row = existing(&mut db, id).await?;
    Ok((etag(row.revision), Json(row.into())))
}

/// Replace everything that is written down of a network
#[utoipa::path(put, path = "/networks/{id}", tag = "networks", request_body = NetworkWrite,
    params(("id" = i64, Path, description = "Number of the network"), IfMatch),
    responses((status = 200, description = "As it is now", body = Network,
        headers(("ETag" = String, description = "Its revision")))))]
async fn replace_network(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(id): Path<i64>,
    Body(new): Body<NetworkWrite>,
) -> Result<(HeaderMap, Json<Network>), Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let before = existing(change.db(), id).await?;
    if_match.require(before.revision)?;
    if before.name != new.name {
        require_unused(&app, "network", &before.name).await?;
    }
    let written = network::write(change.db(), id, &new.row()).await;
    written.map_err(|error| taken("network", &new.name, error))?;
    let row = existing(change.db(), id).await?;
    let record = Record::new("replace_network", format!("network/{id}"))
        .because(new.reason)
        .before(&described(&before))
        .after(&described(&row));
    change.commit(record).await?;
    Ok((etag(row.revision), Json(row.into())))
}

/// Remove a network
///
/// Refused while the wanted policy has a group of its name.
#[utoipa::path(delete, path = "/networks/{id}", tag = "networks",
    params(("id" = i64, Path, description = "Number of the network"), IfMatch),
    responses((status = 204, description = "It is removed")))]
async fn delete_network(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let before = existing(change.db(), id).await?;
    if_match.require(before.revision)?;
    require_unused(&app, "network", &before.name).await?;
    network::delete(change.db(), id).await?;
    let record = Record::new("delete_network", format!("network/{id}"));
    change.commit(record.before(&described(&before))).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn existing(db: &mut SqliteConnection, id: i64) -> Result<NetworkRow, Problem> {
    let row = network::find(db, id).await?;
    row.ok_or_else(|| Problem::not_found("network", &id.to_string()))
}

fn described(row: &NetworkRow) -> serde_json::Value {
    json!({ "name": row.name, "vlan": row.vlan, "subnets": row.subnets, "purpose": row.purpose })
}

/// The names of the networks that a device is in.
pub(in crate::api) async fn of_device(
    db: &mut SqliteConnection,
    vlan: u16,
    addresses: &[IpAddr],
) -> Result<Vec<String>, StoreError> {
    let limit = u32::try_from(MOST).unwrap_or(u32::MAX);
    let networks = network::list(db, "", limit).await?;
    let holds = |network: &NetworkRow| {
        let subnets: Vec<Prefix> = network.subnets.iter().flat_map(|s| s.parse()).collect();
        let inside = |address: &IpAddr| subnets.iter().any(|subnet| subnet.contains(*address));
        network.vlan.is_none_or(|tag| tag == vlan)
            && (subnets.is_empty() || addresses.iter().any(inside))
    };
    let found = networks.into_iter().filter(holds);
    Ok(found.map(|network| network.name).collect())
}
