//! The inventory: every device that was seen, what it is taken for, and what people know of it.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_control::DeviceView;

use super::assets::AssetLink;
use super::context::{Statement, statements};
use super::groups::networks;
use super::modes::{Ladder, ladder_of};
use super::page::{self, Order, Page};
use super::problem::{Code, FieldError, Problem};
use super::request::{Body, Checked, IfMatch, Path, Queries, etag, text};
use crate::Shared;
use crate::auth::Principal;
use crate::live::Topic;
use crate::store::Record;
use crate::store::asset::{self, Of};
use crate::store::device::{self, DeviceFilter, DeviceRow, DeviceSort, Notes};
use crate::store::group;
use crate::time::Time;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_devices))
        .routes(routes!(read_device, update_device))
}

/// A device, in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeviceSummary {
    /// MAC address and VLAN, as in the path of the device.
    pub key: String,
    /// MAC address.
    pub mac: String,
    /// VLAN tags, outermost first; empty: untagged.
    pub vlan: Vec<u16>,
    /// Name in the policy; empty when the policy does not list it.
    pub name: String,
    /// Role in the policy.
    pub policy_role: Option<String>,
    /// What it is taken for; absent while unknown.
    pub role: Option<String>,
    /// How probable that is, in percent.
    pub probability_percent: u8,
    /// Whether a person confirmed the role.
    pub confirmed: bool,
    /// When role, maker and model were known last, if the fast path was started anew since and cannot
    /// say it again yet.
    pub recalled: Option<Time>,
    /// Step of the ladder.
    pub mode: String,
    /// Highest care class among its rules.
    pub care: String,
    /// Addresses bound to it.
    pub addresses: Vec<String>,
    /// Maker.
    pub vendor: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// What its loss would mean, as people wrote it down.
    pub criticality: Option<Criticality>,
    /// Where it stands.
    pub location: Option<String>,
    /// The ward it belongs to.
    pub ward: Option<String>,
    /// The bed it belongs to.
    pub bed: Option<String>,
    /// The person or department that answers for it.
    pub owner: Option<String>,
    /// First frame.
    pub first_seen: Time,
    /// Last frame.
    pub last_seen: Time,
}

/// A device with everything that is known of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Device {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: DeviceSummary,
    /// Anything else worth knowing, as people wrote it down.
    pub notes: String,
    /// Names of the groups it belongs to.
    pub groups: Vec<String>,
    /// Names of the networks it is in.
    pub networks: Vec<String>,
    /// The assets it belongs to and belonged to, newest first; at most 200.
    pub assets: Vec<AssetLink>,
    /// What others say of it now.
    pub context: Vec<Statement>,
    /// Its mode as the wanted policy has it, who answers for it, and since when.
    pub ladder: Option<Ladder>,
    /// What the fast path sees: traffic, verdicts, evidence, what would change the answer.
    #[schema(value_type = Object)]
    pub seen: DeviceView,
}

/// What the loss of a device would mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Criticality {
    /// Somebody may die.
    LifeCritical,
    /// Care is delayed or worse.
    High,
    /// Work is harder.
    Medium,
    /// Hardly anything.
    Low,
}

/// Which devices. Everything that is said must hold.
#[derive(Debug, Clone, Default, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct DeviceQuery {
    /// Words that all occur in name, addresses, maker, role, place, tags or notes, or in the tag of an
    /// asset that it belongs to
    pub q: Option<String>,
    /// Taken for this role; `unknown` for those without one
    pub role: Option<String>,
    /// Whether a person confirmed the role
    pub confirmed: Option<bool>,
    /// Of this role in the policy
    pub policy_role: Option<String>,
    /// In this mode
    pub mode: Option<String>,
    /// Of this care class
    pub care: Option<String>,
    /// Of this maker
    pub vendor: Option<String>,
    /// Of this model
    pub model: Option<String>,
    /// Of this criticality
    #[param(inline)]
    pub criticality: Option<Criticality>,
    /// At this location
    pub location: Option<String>,
    /// Of this ward
    pub ward: Option<String>,
    /// Of this bed
    pub bed: Option<String>,
    /// That this person or department answers for
    pub owner: Option<String>,
    /// Of the group with this name
    pub group: Option<String>,
    /// Seen since
    #[param(value_type = Option<String>, format = DateTime)]
    pub seen_since: Option<Time>,
    /// Seen last before
    #[param(value_type = Option<String>, format = DateTime)]
    pub seen_before: Option<Time>,
}

impl DeviceQuery {
    /// What it asks of the store.
    ///
    /// # Errors
    /// When it searches for too much.
    pub(super) fn filter(self) -> Result<DeviceFilter, Problem> {
        let equal = [
            ("policy_role", self.policy_role),
            ("mode", self.mode),
            ("care", self.care),
            ("vendor", self.vendor),
            ("model", self.model),
            ("criticality", self.criticality.as_ref().map(device::word)),
            ("location", self.location),
            ("ward", self.ward),
            ("bed", self.bed),
            ("owner", self.owner),
        ];
        let given = |(column, value): (_, Option<String>)| Some((column, value?));
        Ok(DeviceFilter {
            role: self.role,
            equal: equal.into_iter().filter_map(given).collect(),
            confirmed: self.confirmed,
            group: self.group,
            seen_since: self.seen_since,
            seen_before: self.seen_before,
            words: words(self.q.as_deref())?,
        })
    }
}

/// In which order devices are listed, and which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DevicePages {
    /// What to sort by
    #[param(inline)]
    pub sort: Option<SortBy>,
    /// Which way
    #[param(inline)]
    pub order: Option<Order>,
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same parameters
    pub cursor: Option<String>,
}

/// What devices can be sorted by.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SortBy {
    /// MAC address and VLAN.
    #[default]
    Key,
    /// Name.
    Name,
    /// Role.
    Role,
    /// When it was seen last.
    LastSeen,
    /// When it was seen first.
    FirstSeen,
    /// Maker.
    Vendor,
    /// Mode.
    Mode,
    /// What its loss would mean.
    Criticality,
    /// Ward, then bed.
    Ward,
}

/// What people know of a device. What is left out stays; `null` takes it away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceUpdate {
    /// What its loss would mean.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Criticality>)]
    pub criticality: Option<Option<Criticality>>,
    /// Where it stands.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 256)]
    pub location: Option<Option<String>>,
    /// The ward it belongs to.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 256)]
    pub ward: Option<Option<String>>,
    /// The bed it belongs to.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 256)]
    pub bed: Option<Option<String>>,
    /// The person or department that answers for it.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 256)]
    pub owner: Option<Option<String>>,
    /// Anything else worth knowing.
    #[schema(max_length = 4096)]
    pub notes: Option<String>,
    /// Why it is changed, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

/// Tells a field that is `null` from one that is not there.
pub(super) fn given<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

impl Checked for DeviceUpdate {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let short = |value: &Option<Option<String>>| value.clone().flatten();
        text(
            "location",
            short(&self.location).as_deref(),
            256,
            &mut errors,
        );
        text("ward", short(&self.ward).as_deref(), 256, &mut errors);
        text("bed", short(&self.bed).as_deref(), 256, &mut errors);
        text("owner", short(&self.owner).as_deref(), 256, &mut errors);
        text("notes", self.notes.as_deref(), 4_096, &mut errors);
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// The devices that were seen
#[utoipa::path(get, path = "/devices", tag = "devices", params(DeviceQuery, DevicePages),
    responses((status = 200, description = "A page of devices", body = Page<DeviceSummary>)))]
async fn list_devices(
    State(app): State<Shared>,
    Queries(query, pages): Queries<DeviceQuery, DevicePages>,
) -> Result<Json<Page<DeviceSummary>>, Problem> {
    let limit = page::limit(pages.limit)?;
    let after = page::decode(pages.cursor.as_deref())?;
    let filter = query.filter()?;
    let sort = match pages.sort.unwrap_or_default() {
        SortBy::Key => DeviceSort::Key,
        SortBy::Name => DeviceSort::Name,
        SortBy::Role => DeviceSort::Role,
        SortBy::LastSeen => DeviceSort::LastSeen,
        SortBy::FirstSeen => DeviceSort::FirstSeen,
        SortBy::Vendor => DeviceSort::Vendor,
        SortBy::Mode => DeviceSort::Mode,
        SortBy::Criticality => DeviceSort::Criticality,
        SortBy::Ward => DeviceSort::Ward,
    };
    let descending = pages.order.unwrap_or_default() == Order::Descending;
    let sort = (sort, descending);
    let found = device::list(&app.store.main, &filter, sort, after.as_ref(), limit + 1).await?;
    let page = Page::new(found, limit, |(_, place)| place.clone());
    Ok(Json(page.map(|(row, _)| summary(row))))
}

/// One device with everything that is known of it
#[utoipa::path(get, path = "/devices/{key}", tag = "devices",
    params(("key" = String, Path, description = "MAC address and VLAN: `00-09-fb-12-34-56.10`")),
    responses((status = 200, description = "The device", body = Device,
        headers(("ETag" = String, description = "Its revision")))))]
async fn read_device(
    State(app): State<Shared>,
    Path(key): Path<String>,
) -> Result<(HeaderMap, Json<Device>), Problem> {
    shown(&app, &key).await
}

/// Write down what people know of a device
#[utoipa::path(patch, path = "/devices/{key}", tag = "devices", request_body = DeviceUpdate,
    params(("key" = String, Path, description = "MAC address and VLAN"), IfMatch),
    responses((status = 200, description = "As it is now", body = Device,
        headers(("ETag" = String, description = "Its revision")))))]
async fn update_device(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(key): Path<String>,
    Body(update): Body<DeviceUpdate>,
) -> Result<(HeaderMap, Json<Device>), Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let row = device::find(change.db(), &key).await?;
    let row = row.ok_or_else(|| Problem::not_found("device", &key))?;
    if_match.require(row.revision)?;
    let notes = updated(&row.notes, &update);
    device::write_notes(change.db(), &row, &notes).await?;
    let record = Record::new("update_device", format!("device/{key}"))
        .because(update.reason)
        .before(&written(&row.notes))
        .after(&written(&notes));
    change.commit(record).await?;
    let changed = written(&notes);
    app.live
        .tell(Topic::Device, "device-changed", Some(key.clone()), changed);
    shown(&app, &key).await
}

/// A device with everything that is known of it.
async fn shown(app: &Shared, key: &str) -> Result<(HeaderMap, Json<Device>), Problem> {
    let mut db = app.store.main.read().acquire().await?;
    let row = device::find(&mut db, key).await?;
    let row = row.ok_or_else(|| Problem::not_found("device", key))?;
    let assets = asset::links(&mut db, Of::Device(key)).await?;
    let groups = group::of_device(&mut db, key).await?;
    let seen: DeviceView = serde_json::from_str(&row.seen).map_err(|error| {
        tracing::error!(%error, device = row.key, "what is kept of a device cannot be read");
        Problem::new(Code::Internal, "The log of the appliance says more.")
    })?;
    let networks = networks::of_device(&mut db, seen.key.vlan.outer, &seen.addresses).await?;
    drop(db);
    let device = Device {
        groups,
        networks,
        notes: row.notes.notes.clone(),
        assets: assets.into_iter().map(AssetLink::from).collect(),
        context: statements(app, key).await?,
        ladder: ladder_of(app, key).await?,
        seen,
        summary: summary(row.clone()),
    };
    Ok((etag(row.revision), Json(device)))
}

/// The words of a search.
pub(super) fn words(text: Option<&str>) -> Result<Vec<String>, Problem> {
    let words: Vec<_> = text
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    if words.len() > 8 || words.iter().any(|word| word.len() > 128) {
        return Err(Problem::query("q", "at most 8 words of at most 128 bytes"));
    }
    Ok(words)
}

pub(super) fn updated(notes: &Notes, update: &DeviceUpdate) -> Notes {
    let choose = |update: &Option<Option<String>>, now: &Option<String>| {
        update.clone().unwrap_or_else(|| now.clone())
    };
    let criticality = update.criticality.map(|c| c.map(|c| device::word(&c)));
    Notes {
        criticality: choose(&criticality, &notes.criticality),
        location: choose(&update.location, &notes.location),
        ward: choose(&update.ward, &notes.ward),
        bed: choose(&update.bed, &notes.bed),
        owner: choose(&update.owner, &notes.owner),
        notes: update.notes.clone().unwrap_or_else(|| notes.notes.clone()),
    }
}

pub(super) fn written(notes: &Notes) -> serde_json::Value {
    serde_json::json!({
        "criticality": notes.criticality,
        "location": notes.location,
        "ward": notes.ward,
        "bed": notes.bed,
        "owner": notes.owner,
        "notes": notes.notes,
    })
}

pub(super) fn summary(row: DeviceRow) -> DeviceSummary {
    let key = device::parse_key(&row.key).unwrap_or_default();
    let vlan = [key.vlan.outer, key.vlan.inner];
    // Only what the list needs is read of what was seen.
    #[derive(Default, Deserialize)]
    struct Seen {
        addresses: Vec<String>,
        #[serde(default)]
        identity: Option<Recalled>,
    }
    #[derive(Deserialize)]
    struct Recalled {
        recalled_us: Option<u64>,
    }
    let seen = serde_json::from_str::<Seen>(&row.seen).unwrap_or_default();
    let recalled = seen.identity.and_then(|identity| identity.recalled_us);
    DeviceSummary {
        mac: key.mac.to_string(),
        vlan: vlan.into_iter().filter(|tag| *tag != 0).collect(),
        key: row.key,
        name: row.name,
        policy_role: row.policy_role,
        role: row.role,
        probability_percent: row.probability_percent,
        confirmed: row.confirmed,
        mode: row.mode,
        care: row.care,
        recalled: recalled.map(Time::from_contract),
        addresses: seen.addresses,
        vendor: row.vendor,
        model: row.model,
        criticality: row
            .notes
            .criticality
            .and_then(|text| serde_json::from_value(text.into()).ok()),
        location: row.notes.location,
        ward: row.notes.ward,
        bed: row.notes.bed,
        owner: row.notes.owner,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
    }
}
