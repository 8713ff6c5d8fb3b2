//! Where the hospital's list and what is seen do not agree.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{self, Page};
use super::problem::Problem;
use super::request::Query;
use crate::Shared;
use crate::store::reconciliation::{self, Disagreement, FindingRow};
use crate::time::Time;

/// Days after which an asset is missed unless the caller says otherwise.
const DAYS: u32 = 30;
/// The longest that can be asked for.
const DAYS_MAX: u32 = 3_650;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list_reconciliation))
}

/// Something that does not agree.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Key of the device.
    pub device: Option<String>,
    /// The asset.
    pub asset: Option<AssetName>,
    /// When the device, or the last of the asset's devices, was seen last; absent: never.
    pub last_seen: Option<Time>,
    /// The tag that several devices state.
    pub tag: Option<String>,
    /// The devices that state it.
    pub devices: Vec<String>,
    /// What differs.
    pub differs: Vec<Difference>,
}

/// What does not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A device was seen that belongs to no asset.
    SeenNotListed,
    /// An asset is in the list, and no device of it was seen for so many days.
    ListedNotSeen,
    /// Several devices state one asset tag.
    TagTwice,
    /// The device of an asset is of another ward or bed, as people wrote it down.
    LocationDiffers,
}

impl FindingKind {
    /// All, in the order of the list.
    const ALL: [Self; 4] = [
        Self::SeenNotListed,
        Self::ListedNotSeen,
        Self::TagTwice,
        Self::LocationDiffers,
    ];

    const fn stored(self) -> Disagreement {
        match self {
            Self::SeenNotListed => Disagreement::NotListed,
            Self::ListedNotSeen => Disagreement::NotSeen,
            Self::TagTwice => Disagreement::TagTwice,
            Self::LocationDiffers => Disagreement::LocationDiffers,
        }
    }
}

/// An asset, by name.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AssetName {
    /// Its number.
    pub id: i64,
    /// Its tag.
    pub tag: String,
}

/// Something that differs between a device and its asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Difference {
    /// `ward` or `bed`.
    pub field: String,
    /// As people wrote it down for the device.
    pub device: String,
    /// As the list has it.
    pub asset: String,
}

fn finding(kind: FindingKind, row: FindingRow) -> Finding {
    let pairs = [
        ("ward", row.there.0, row.here.0),
        ("bed", row.there.1, row.here.1),
    ];
    let differs = pairs.into_iter().filter_map(|(field, there, here)| {
        let (device, asset) = (there?, here?);
        let told = !device.is_empty() && !asset.is_empty();
        let differs = told && device.to_lowercase() != asset.to_lowercase();
        differs.then(|| Difference {
            field: field.to_owned(),
            device,
            asset,
        })
    });
    let (tag, devices) = row.tag.unzip();
    Finding {
        kind,
        device: row.device,
        asset: row.asset.map(|(id, tag)| AssetName { id, tag }),
        last_seen: row.last_seen,
        tag,
        devices: devices.unwrap_or_default(),
        differs: differs.collect(),
    }
}

/// Which findings.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReconciliationQuery {
    /// Of this kind
    #[param(inline)]
    pub kind: Option<FindingKind>,
    /// Days without a device of an asset after which it counts as not seen; 30 unless said
    #[param(minimum = 1, maximum = 3650)]
    pub days: Option<u32>,
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same parameters
    pub cursor: Option<String>,
}

/// Where the list of assets and what is seen do not agree
#[utoipa::path(get, path = "/reconciliation", tag = "assets", params(ReconciliationQuery),
    responses((status = 200, description = "A page of findings", body = Page<Finding>)))]
async fn list_reconciliation(
    State(app): State<Shared>,
    Query(query): Query<ReconciliationQuery>,
) -> Result<Json<Page<Finding>>, Problem> {
    let limit = page::limit(query.limit)?;
    let days = query.days.unwrap_or(DAYS);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Problem::query("days", format!("1 to {DAYS_MAX}")));
    }
    let since = Time::now().plus_s(-i64::from(days) * 86_400);
    let after: Option<(FindingKind, String)> = page::decode(query.cursor.as_deref())?;
    let (first, mut place) = after.map_or((None, String::new()), |(kind, at)| (Some(kind), at));
    let kinds = FindingKind::ALL.into_iter();
    let kinds = kinds.skip_while(|kind| first.is_some_and(|first| first != *kind));
    let mut db = app.store.main.read().begin().await?;
    let mut found = Vec::new();
    for kind in kinds.filter(|kind| query.kind.is_none_or(|wanted| wanted == *kind)) {
        let missing = limit + 1 - u32::try_from(found.len()).unwrap_or(limit);
        let what = kind.stored();
        let rows = reconciliation::list(&mut db, what, since, &place, missing).await?;
        found.extend(rows.into_iter().map(|row| (kind, row)));
        if found.len() > limit as usize {
            break;
        }
        place.clear();
    }
    let page = Page::new(found, limit, |(kind, row)| (*kind, row.place.clone()));
    Ok(Json(page.map(|(kind, row)| finding(kind, row))))
}
