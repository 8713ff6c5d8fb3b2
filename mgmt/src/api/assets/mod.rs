//! Assets: what the hospital owns, whichever devices it has. A dock has several, a bed changes its
//! monitor, and a thing that is in the list need not have been seen.

mod imports;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::SqliteConnection;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::devices::words;
use super::page::{self, Order, Page};
use super::problem::{Code, FieldError, Problem};
use super::request::{Body, Checked, IfMatch, Path, Queries, etag, text};
use crate::Shared;
use crate::auth::Principal;
use crate::inventory::{Column, Facts, Place};
use crate::live::Topic;
use crate::store::asset::{self, AssetFilter, AssetPlace, AssetRow, LinkRow, Of};
use crate::store::device::parse_key;
use crate::store::{Change, Record, StoreError};
use crate::time::Time;

/// Assets of one appliance.
pub(crate) const ASSETS: i64 = 100_000;
/// Devices that an asset has at once.
const DEVICES: usize = 64;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_assets, create_asset))
        .routes(routes!(read_asset, replace_asset, delete_asset))
        .routes(routes!(link_asset, unlink_asset))
        .merge(imports::operations())
}

/// An asset, in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AssetSummary {
    /// Its number, never used again.
    pub id: i64,
    /// What is written down of it.
    #[serde(flatten)]
    pub facts: Facts,
    /// Keys of the devices it has now.
    pub devices: Vec<String>,
    /// When it was written down first.
    pub created: Time,
}

/// An asset with the devices it has and had.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Asset {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: AssetSummary,
    /// The devices it has and had, newest first; at most 200.
    pub links: Vec<AssetLink>,
}

/// That an asset has a device, or had.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AssetLink {
    /// Number of the asset.
    pub asset: i64,
    /// Its tag.
    pub tag: String,
    /// Key of the device.
    pub device: String,
    /// Since when.
    pub since: Time,
    /// Until when; absent: still.
    pub until: Option<Time>,
}

impl From<LinkRow> for AssetLink {
    fn from(row: LinkRow) -> Self {
        Self {
            asset: row.asset,
            tag: row.tag,
            device: row.device,
            since: row.since,
            until: row.until,
        }
    }
}

impl From<AssetRow> for AssetSummary {
    fn from(row: AssetRow) -> Self {
        Self {
            id: row.id,
            facts: row.facts,
            devices: row.devices,
            created: row.created,
        }
    }
}

/// What is to be written down of an asset. What is left out is not known.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssetWrite {
    /// The number on its sticker; no two assets have the same.
    #[schema(min_length = 1, max_length = 128)]
    pub tag: String,
    /// Its number in the maintenance system (CMMS).
    #[schema(max_length = 128)]
    pub cmms_number: Option<String>,
    /// Serial number.
    #[schema(max_length = 128)]
    pub serial: Option<String>,
    /// Unique device identifier.
    #[schema(max_length = 256)]
    pub udi: Option<String>,
    /// Maker.
    #[schema(max_length = 128)]
    pub maker: Option<String>,
    /// Model.
    #[schema(max_length = 128)]
    pub model: Option<String>,
    /// The department that owns it.
    #[schema(max_length = 128)]
    pub department: Option<String>,
    /// Its name in DHCP.
    #[schema(max_length = 128)]
    pub hostname: Option<String>,
    /// Its MAC addresses.
    #[serde(default)]
    #[schema(max_items = 16)]
    pub macs: Vec<String>,
    /// Where it belongs.
    #[serde(default)]
    pub location: Place,
    /// Anything else worth knowing.
    #[schema(max_length = 4096)]
    pub notes: Option<String>,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl AssetWrite {
    fn facts(&self) -> Facts {
        let Self {
            tag,
            cmms_number,
            serial,
            udi,
            maker,
            model,
            department,
            hostname,
            macs,
            location,
            notes,
            reason: _,
        } = self;
        Facts {
            tag: tag.clone(),
            cmms_number: cmms_number.clone(),
            serial: serial.clone(),
            udi: udi.clone(),
            maker: maker.clone(),
            model: model.clone(),
            department: department.clone(),
            hostname: hostname.clone(),
            macs: macs.clone(),
            location: location.clone(),
            notes: notes.clone(),
        }
    }
}

impl Checked for AssetWrite {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = self.facts().check();
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// Why something is done.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for Reason {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// Which assets.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AssetQuery {
    /// Words that all occur in what is written down of it
    pub q: Option<String>,
    /// With this tag
    pub tag: Option<String>,
    /// Of this department
    pub department: Option<String>,
    /// Of this ward
    pub ward: Option<String>,
    /// By this maker
    pub maker: Option<String>,
    /// That have the device with this key now
    pub device: Option<String>,
    /// With a device now, or without
    pub linked: Option<bool>,
}

impl AssetQuery {
    /// What it asks of the store.
    ///
    /// # Errors
    /// When it searches for too much.
    pub(super) fn filter(self) -> Result<AssetFilter, Problem> {
        Ok(AssetFilter {
            tag: self.tag,
            department: self.department,
            ward: self.ward,
            maker: self.maker,
            device: self.device,
            linked: self.linked,
            words: words(self.q.as_deref())?,
        })
    }
}

/// In which order assets are listed, and which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AssetPages {
    /// What to sort by
    #[param(inline)]
    pub sort: Option<AssetSort>,
    /// Which way
    #[param(inline)]
    pub order: Option<Order>,
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same parameters
    pub cursor: Option<String>,
}

/// What assets can be sorted by.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AssetSort {
    /// Tag.
    #[default]
    Tag,
    /// Maker.
    Maker,
    /// Model.
    Model,
    /// Department.
    Department,
    /// Ward.
    Ward,
}

impl AssetSort {
    const fn column(self) -> Column {
        match self {
            Self::Tag => Column::Tag,
            Self::Maker => Column::Maker,
            Self::Model => Column::Model,
            Self::Department => Column::Department,
            Self::Ward => Column::Ward,
        }
    }
}

/// The assets of the hospital
#[utoipa::path(get, path = "/assets", tag = "assets", params(AssetQuery, AssetPages),
    responses((status = 200, description = "A page of assets", body = Page<AssetSummary>)))]
async fn list_assets(
    State(app): State<Shared>,
    Queries(query, pages): Queries<AssetQuery, AssetPages>,
) -> Result<Json<Page<AssetSummary>>, Problem> {
    let limit = page::limit(pages.limit)?;
    let after: Option<AssetPlace> = page::decode(pages.cursor.as_deref())?;
    let filter = query.filter()?;
    let column = pages.sort.unwrap_or_default().column();
    let descending = pages.order.unwrap_or_default() == Order::Descending;
    let sort = (column, descending);
    let found = asset::list(&app.store.main, &filter, sort, after.as_ref(), limit + 1).await?;
    let page = Page::new(found, limit, |row| (row.facts.get(column), row.id));
    Ok(Json(page.map(AssetSummary::from)))
}

/// Write down an asset
#[utoipa::path(post, path = "/assets", tag = "assets", request_body = AssetWrite,
    responses((status = 201, description = "The asset", body = Asset,
        headers(("ETag" = String, description = "Its revision"),
            ("Location" = String, description = "Where it is found")))))]
async fn create_asset(
    State(app): State<Shared>,
    principal: Principal,
    Body(new): Body<AssetWrite>,
) -> Result<(StatusCode, HeaderMap, Json<Asset>), Problem> {
    let facts = new.facts().tidy();
    let mut change = app.store.change(principal.actor()).await?;
    require_room(&mut change, 1).await?;
    let made = asset::insert(change.db(), &facts).await;
    let id = made.map_err(|error| taken(&facts, error))?;
    let (mut headers, asset) = shown(change.db(), id).await?;
    let record = Record::new("create_asset", subject(id)).because(new.reason);
    change.commit(record.after(&facts)).await?;
    tell(&app, "asset-created", id, &facts);
    if let Some(place) = super::located(&format!("/assets/{id}")).remove(header::LOCATION) {
        headers.insert(header::LOCATION, place);
    }
    Ok((StatusCode::CREATED, headers, asset))
}

/// One asset with the devices it has and had
#[utoipa::path(get, path = "/assets/{id}", tag = "assets",
    params(("id" = i64, Path, description = "Number of the asset")),
    responses((status = 200, description = "The asset", body = Asset,
        headers(("ETag" = String, description = "Its revision")))))]
async fn read_asset(
    State(app): State<Shared>,
    Path(id): Path<i64>,
) -> Result<(HeaderMap, Json<Asset>), Problem> {
    let mut db = app.store.main.read().begin().await?;
    shown(&mut db, id).await
}

/// Replace what is written down of an asset
#[utoipa::path(put, path = "/assets/{id}", tag = "assets", request_body = AssetWrite,
    params(("id" = i64, Path, description = "Number of the asset"), IfMatch),
    responses((status = 200, description = "As it is now", body = Asset,
        headers(("ETag" = String, description = "Its revision")))))]
async fn replace_asset(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(id): Path<i64>,
    Body(new): Body<AssetWrite>,
) -> Result<(HeaderMap, Json<Asset>), Problem> {
    let facts = new.facts().tidy();
    let mut change = app.store.change(principal.actor()).await?;
    let before = existing(change.db(), id).await?;
    if_match.require(before.revision)?;
    let written = asset::write(change.db(), id, &facts).await;
    written.map_err(|error| taken(&facts, error))?;
    let answer = shown(change.db(), id).await?;
    let record = Record::new("replace_asset", subject(id))
        .because(new.reason)
        .before(&before.facts)
        .after(&facts);
    change.commit(record).await?;
    tell(&app, "asset-changed", id, &facts);
    Ok(answer)
}

/// Strike an asset off the list
///
/// With it goes which devices it had; that stays in the audit log.
#[utoipa::path(delete, path = "/assets/{id}", tag = "assets",
    params(("id" = i64, Path, description = "Number of the asset"), IfMatch),
    responses((status = 204, description = "It is no longer in the list")))]
async fn delete_asset(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let before = existing(change.db(), id).await?;
    if_match.require(before.revision)?;
    asset::delete(change.db(), id).await?;
    let record = Record::new("delete_asset", subject(id));
    let gone = json!({ "facts": before.facts, "devices": before.devices });
    change.commit(record.before(&gone)).await?;
    tell(&app, "asset-deleted", id, &before.facts);
    Ok(StatusCode::NO_CONTENT)
}

/// Say that an asset has a device from now on
///
/// The device need not have been seen yet, and may belong to other assets as well.
#[utoipa::path(put, path = "/assets/{id}/devices/{key}", tag = "assets", request_body = Reason,
    params(("id" = i64, Path, description = "Number of the asset"),
        ("key" = String, Path, description = "MAC address and VLAN"), IfMatch),
    responses((status = 200, description = "As it is now", body = Asset,
        headers(("ETag" = String, description = "Its revision")))))]
async fn link_asset(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path((id, key)): Path<(i64, String)>,
    Body(why): Body<Reason>,
) -> Result<(HeaderMap, Json<Asset>), Problem> {
    parse_key(&key).ok_or_else(|| Problem::not_found("device", &key))?;
    let mut change = app.store.change(principal.actor()).await?;
    let before = existing(change.db(), id).await?;
    if_match.require(before.revision)?;
    let has = before.devices.contains(&key);
    if before.devices.len() >= DEVICES && !has {
        let detail = format!("An asset has at most {DEVICES} devices.");
        return Err(Problem::new(Code::Conflict, detail));
    }
    asset::link(change.db(), id, &key).await?;
    relinked(&app, change, "link_asset", before, why.reason).await
}

/// Say that an asset has a device no longer
#[utoipa::path(delete, path = "/assets/{id}/devices/{key}", tag = "assets",
    params(("id" = i64, Path, description = "Number of the asset"),
        ("key" = String, Path, description = "MAC address and VLAN"), IfMatch),
    responses((status = 200, description = "As it is now", body = Asset,
        headers(("ETag" = String, description = "Its revision")))))]
async fn unlink_asset(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path((id, key)): Path<(i64, String)>,
) -> Result<(HeaderMap, Json<Asset>), Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let before = existing(change.db(), id).await?;
    if_match.require(before.revision)?;
    if !asset::unlink(change.db(), id, &key).await? {
        return Err(Problem::not_found("device of this asset", &key));
    }
    relinked(&app, change, "unlink_asset", before, None).await
}

/// Commits that an asset has other devices than before.
async fn relinked(
    app: &Shared,
    mut change: Change,
    operation: &'static str,
    before: AssetRow,
    reason: Option<String>,
) -> Result<(HeaderMap, Json<Asset>), Problem> {
    let (headers, Json(asset)) = shown(change.db(), before.id).await?;
    if asset.summary.devices != before.devices {
        let record = Record::new(operation, subject(before.id))
            .because(reason)
            .before(&json!({ "devices": before.devices }))
            .after(&json!({ "devices": asset.summary.devices }));
        change.commit(record).await?;
        tell(app, "asset-changed", before.id, &before.facts);
    }
    Ok((headers, Json(asset)))
}

async fn existing(db: &mut SqliteConnection, id: i64) -> Result<AssetRow, Problem> {
    let row = asset::find(db, id).await?;
    row.ok_or_else(|| Problem::not_found("asset", &id.to_string()))
}

async fn shown(db: &mut SqliteConnection, id: i64) -> Result<(HeaderMap, Json<Asset>), Problem> {
    let row = existing(&mut *db, id).await?;
    let links = asset::links(db, Of::Asset(id)).await?;
    let headers = etag(row.revision);
    let links = links.into_iter().map(AssetLink::from).collect();
    let summary = row.into();
    Ok((headers, Json(Asset { summary, links })))
}

/// Whether so many more can be kept.
async fn require_room(change: &mut Change, more: usize) -> Result<(), Problem> {
    let count = asset::count(change.db()).await?;
    if count + i64::try_from(more).unwrap_or(i64::MAX) <= ASSETS {
        return Ok(());
    }
    let detail = format!("At most {ASSETS} assets are kept.");
    Err(Problem::new(Code::Conflict, detail))
}

fn taken(facts: &Facts, error: StoreError) -> Problem {
    match error {
        StoreError::Taken(_) => {
            let detail = format!("Another asset has the tag `{}`.", facts.tag);
            Problem::new(Code::Conflict, detail)
        }
        error => error.into(),
    }
}

/// An asset, as the audit log names it.
fn subject(id: i64) -> String {
    format!("asset/{id}")
}

fn tell(app: &Shared, event: &str, id: i64, facts: &Facts) {
    let detail = json!({ "asset": id, "tag": facts.tag });
    app.live.tell(Topic::Device, event, None, detail);
}
