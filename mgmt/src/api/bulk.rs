//! One change of many devices, named one by one or by what they have in common.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_control::{Client, RoleStatement};

use super::devices::{Criticality, DeviceQuery, DeviceUpdate, given, updated, written};
use super::problem::{Code, FieldError, Problem};
use super::request::{Body, Checked, text};
use crate::Shared;
use crate::auth::Principal;
use crate::live::Topic;
use crate::store::Record;
use crate::store::device::{self, DeviceRow, DeviceSort, parse_key};

/// Devices that are changed at once.
const DEVICES: usize = 1_000;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(change_devices))
}

/// One change of many devices. Either `devices` or `filter` says which.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkChange {
    /// The devices, as in their paths.
    #[schema(max_items = 1000)]
    pub devices: Option<Vec<String>>,
    /// What they have in common.
    pub filter: Option<DeviceQuery>,
    /// How many devices the filter is expected to find; refused when it finds another number.
    pub expected: Option<u32>,
    /// What is to be written down.
    #[serde(default)]
    pub set: BulkSet,
    /// Confirm the roles that the devices are taken for.
    #[serde(default)]
    pub confirm_role: bool,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

/// What is to be written down. What is left out stays; `null` takes it away.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BulkSet {
    /// What their loss would mean.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Criticality>)]
    pub criticality: Option<Option<Criticality>>,
    /// Where they stand.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 256)]
    pub location: Option<Option<String>>,
    /// The ward they belong to.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 256)]
    pub ward: Option<Option<String>>,
    /// The person or department that answers for them.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 256)]
    pub owner: Option<Option<String>>,
    /// Anything else worth knowing.
    #[schema(max_length = 4096)]
    pub notes: Option<String>,
}

impl BulkSet {
    fn update(&self) -> DeviceUpdate {
        DeviceUpdate {
            criticality: self.criticality,
            location: self.location.clone(),
            ward: self.ward.clone(),
            owner: self.owner.clone(),
            notes: self.notes.clone(),
            ..DeviceUpdate::default()
        }
    }
}

impl Checked for BulkChange {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        for error in self.set.update().check() {
            let field = format!("set.{}", error.field);
            errors.push(FieldError { field, ..error });
        }
        let named = self.devices.as_ref().map(Vec::len);
        if self.filter.is_some() == named.is_some() {
            errors.push(FieldError::new("devices", "either `devices` or `filter`"));
        }
        if named.is_some_and(|named| !(1..=DEVICES).contains(&named)) {
            errors.push(FieldError::new("devices", format!("1 to {DEVICES}")));
        }
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// What came of a change of many devices.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BulkResult {
    /// Each device, in the order they were named or have in the list.
    pub items: Vec<DeviceResult>,
}

/// What came of it for one device.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeviceResult {
    /// Key of the device.
    pub device: String,
    /// In one word.
    pub result: Done,
    /// Why not, if it was not done.
    pub message: Option<String>,
}

/// What came of it for one device, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    /// It is as wanted now.
    Changed,
    /// It was so before.
    Same,
    /// There is no such device.
    NotFound,
    /// Its notes are changed if that was asked for, but its role is not confirmed.
    NotConfirmed,
}

/// Change what people know of many devices
///
/// Notes are changed for all devices that there are or, when the store fails, for none. Roles are
/// confirmed one after the other. Each device has its result and its audit record.
#[utoipa::path(post, path = "/devices/bulk", tag = "devices", request_body = BulkChange,
    responses((status = 200, description = "What came of it", body = BulkResult)))]
async fn change_devices(
    State(app): State<Shared>,
    principal: Principal,
    Body(wish): Body<BulkChange>,
) -> Result<Json<BulkResult>, Problem> {
    let keys = match (&wish.devices, &wish.filter) {
        (Some(devices), _) => devices.clone(),
        (None, filter) => found(&app, filter.clone().unwrap_or_default()).await?,
    };
    if keys.len() > DEVICES {
        let detail = format!("The filter finds more than {DEVICES} devices.");
        return Err(Problem::new(Code::Conflict, detail));
    }
    if let Some(expected) = wish.expected.filter(|e| *e as usize != keys.len()) {
        let detail = format!("{} devices are found, not {expected}.", keys.len());
        return Err(Problem::new(Code::Conflict, detail));
    }
    let client = match wish.confirm_role {
        true => Some(app.fastpath.client()?),
        false => None,
    };
    // A client that hangs up does not stop it half-way.
    let done = tokio::spawn(async move {
        let (mut items, rows) = write(&app, &principal, &keys, &wish).await?;
        if let Some(client) = client {
            confirm(&app, &principal, &client, &wish, &rows, &mut items).await?;
        }
        Ok(Json(BulkResult { items }))
    });
    super::finished(done.await)
}

/// The devices of a filter, and one too many if they are too many.
async fn found(app: &Shared, filter: DeviceQuery) -> Result<Vec<String>, Problem> {
    let filter = filter.filter().map_err(|_| {
        let error = FieldError::new("filter.q", "at most 8 words of at most 128 bytes");
        Problem::new(Code::InvalidBody, "See `errors`.").with(vec![error])
    })?;
    let limit = u32::try_from(DEVICES).unwrap_or(u32::MAX) + 1;
    let sort = (DeviceSort::Key, false);
    let found = device::list(&app.store.main, &filter, sort, None, limit).await?;
    Ok(found.into_iter().map(|(row, _)| row.key).collect())
}

/// Writes down what people know, for all devices in one transaction.
async fn write(
    app: &Shared,
    principal: &Principal,
    keys: &[String],
    wish: &BulkChange,
) -> Result<(Vec<DeviceResult>, Vec<Option<DeviceRow>>), Problem> {
    let update = wish.set.update();
    let mut change = app.store.change(principal.actor()).await?;
    let (mut items, mut rows, mut records) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        let row = device::find(change.db(), key).await?;
        let result = match &row {
            None => Done::NotFound,
            Some(row) => {
                let notes = updated(&row.notes, &update);
                if notes == row.notes {
                    Done::Same
                } else {
                    device::write_notes(change.db(), row, &notes).await?;
                    let record = Record::new("change_devices", format!("device/{key}"));
                    let record = record.because(wish.reason.clone());
                    records.push(record.before(&written(&row.notes)).after(&written(&notes)));
                    Done::Changed
                }
            }
        };
        items.push(DeviceResult {
            device: key.clone(),
            result,
            message: None,
        });
        rows.push(row);
    }
    change.commit_all(records).await?;
    for item in items.iter().filter(|item| item.result == Done::Changed) {
        let key = Some(item.device.clone());
        let detail = serde_json::json!({ "by": "bulk" });
        app.live.tell(Topic::Device, "device-changed", key, detail);
    }
    Ok((items, rows))
}

/// Confirms the roles that devices are taken for.
async fn confirm(
    app: &Shared,
    principal: &Principal,
    client: &Client,
    wish: &BulkChange,
    rows: &[Option<DeviceRow>],
    items: &mut [DeviceResult],
) -> Result<(), Problem> {
    let mut records = Vec::new();
    for (item, row) in items.iter_mut().zip(rows) {
        let Some(row) = row else { continue };
        if row.confirmed {
            continue;
        }
        match state(client, principal, row, wish.reason.clone()).await {
            Ok(number) => {
                item.result = Done::Changed;
                let after = serde_json::json!({ "role": row.role, "record": number });
                let record = Record::new("change_devices", format!("device/{}", row.key))
                    .because(wish.reason.clone())
                    .before(&serde_json::json!({ "role": row.role, "confirmed": false }));
                records.push(record.after(&after));
            }
            Err(message) => {
                item.result = Done::NotConfirmed;
                item.message = Some(message);
            }
        }
    }
    let change = app.store.change(principal.actor()).await?;
    Ok(change.commit_all(records).await?)
}

async fn state(
    client: &Client,
    principal: &Principal,
    row: &DeviceRow,
    reason: Option<String>,
) -> Result<u64, String> {
    let role = row.role.clone().ok_or("its role is not known yet")?;
    let device = parse_key(&row.key).ok_or("its key cannot be read")?;
    let statement = RoleStatement {
        device,
        role: Some(role),
        who: principal.who.clone(),
        reason: reason.unwrap_or_else(|| "confirmed".to_owned()),
    };
    let stated = client.state_role(statement).await;
    stated.map_err(|error| Problem::from(error).detail)
}
