//! The ladder: in which mode a device is.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_policy::{DeviceKey, Mode};

use super::problem::{FieldError, Problem};
use super::request::{Body, Checked, Path, said};
use crate::Shared;
use crate::auth::Principal;
use crate::policy;
use crate::policy::modes::ModeOrder;
use crate::store::Actor;
use crate::store::device::parse_key;
use crate::store::policy::{self as kept, StepRow};
use crate::time::Time;

/// Devices of one change.
const DEVICES: usize = 1_000;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(set_device_mode))
        .routes(routes!(set_device_modes))
}

/// A step of the ladder that devices are put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LadderMode {
    /// Everything is forwarded.
    Observe,
    /// Everything is forwarded, and what would be denied is recorded.
    Simulate,
    /// What the policy does not allow is denied.
    Enforce,
}

impl From<LadderMode> for Mode {
    fn from(mode: LadderMode) -> Self {
        match mode {
            LadderMode::Observe => Self::Observe,
            LadderMode::Simulate => Self::Simulate,
            LadderMode::Enforce => Self::Enforce,
        }
    }
}

/// Where a device stands on the ladder, as the wanted policy has it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Ladder {
    /// Its mode.
    pub mode: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Since when it is in this mode.
    pub since: Option<Time>,
    /// The same, in seconds until now.
    pub age_s: Option<i64>,
}

impl From<StepRow> for Ladder {
    fn from(row: StepRow) -> Self {
        let age = |since: Time| (Time::now().seconds() - since.seconds()).max(0);
        Self {
            mode: row.mode,
            owner: row.owner,
            since: row.since,
            age_s: row.since.map(age),
        }
    }
}

/// Where one device stands, for its page.
///
/// # Errors
/// When the store fails.
pub(super) async fn ladder_of(app: &Shared, key: &str) -> Result<Option<Ladder>, Problem> {
    let step = kept::step_of(app.store.main.read(), key).await?;
    Ok(step.map(Ladder::from))
}

/// The mode a device is to be in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMode {
    /// Which mode.
    pub mode: LadderMode,
    /// Who answers for it.
    #[schema(min_length = 1, max_length = 256)]
    pub owner: String,
    /// Why, for the audit log.
    #[schema(min_length = 1, max_length = 1024)]
    pub reason: String,
}

impl Checked for SetMode {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        said("owner", &self.owner, 256, &mut errors);
        said("reason", &self.reason, 1_024, &mut errors);
        errors
    }
}

/// The mode that many devices are to be in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetModes {
    /// The devices, as in their paths.
    #[schema(min_items = 1, max_items = 1000)]
    pub devices: Vec<String>,
    /// Which mode.
    pub mode: LadderMode,
    /// Who answers for it.
    #[schema(min_length = 1, max_length = 256)]
    pub owner: String,
    /// Why, for the audit log.
    #[schema(min_length = 1, max_length = 1024)]
    pub reason: String,
}

impl Checked for SetModes {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if !(1..=DEVICES).contains(&self.devices.len()) {
            errors.push(FieldError::new("devices", format!("1 to {DEVICES}")));
        }
        said("owner", &self.owner, 256, &mut errors);
        said("reason", &self.reason, 1_024, &mut errors);
        errors
    }
}

/// A change of modes that is in force.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModesInForce {
    /// The version of the policy that says so.
    pub version: i64,
    /// Their mode.
    pub mode: LadderMode,
    /// Who answers for it.
    pub owner: String,
    /// Devices in it now that were named.
    pub devices: usize,
}

/// Put a device in another mode
///
/// Makes a new version of the policy and puts it in force. A device that the policy does not list
/// is listed, with the role of those that are not. To be enforced it must be listed with a role, a
/// MUD file or rules before: what a device is taken for permits nothing.
#[utoipa::path(put, path = "/devices/{key}/mode", tag = "policies", request_body = SetMode,
    params(("key" = String, Path, description = "MAC address and VLAN: `00-09-fb-12-34-56.10`")),
    responses((status = 200, description = "It is in force", body = ModesInForce)))]
async fn set_device_mode(
    State(app): State<Shared>,
    principal: Principal,
    Path(key): Path<String>,
    Body(wish): Body<SetMode>,
) -> Result<Json<ModesInForce>, Problem> {
    let device = known(&app, &key).await?;
    let device = device.ok_or_else(|| Problem::not_found("device", &key))?;
    put(
        &app,
        principal.actor(),
        vec![device],
        wish.mode,
        (wish.owner, wish.reason),
    )
    .await
}

/// Put many devices in another mode, in one version of the policy
///
/// For each of them holds what holds for one.
#[utoipa::path(post, path = "/devices/mode", tag = "policies", request_body = SetModes,
    responses((status = 200, description = "It is in force", body = ModesInForce)))]
async fn set_device_modes(
    State(app): State<Shared>,
    principal: Principal,
    Body(wish): Body<SetModes>,
) -> Result<Json<ModesInForce>, Problem> {
    let (mut devices, mut errors) = (Vec::new(), Vec::new());
    for (index, key) in wish.devices.iter().enumerate() {
        match known(&app, key).await? {
            Some(device) if devices.contains(&device) => {}
            Some(device) => devices.push(device),
            None => errors.push(FieldError::new(
                format!("devices[{index}]"),
                "there is no such device",
            )),
        }
    }
    if !errors.is_empty() {
        errors.truncate(100);
        let code = super::problem::Code::InvalidBody;
        return Err(Problem::new(code, "Some devices are not known; see `errors`.").with(errors));
    }
    put(
        &app,
        principal.actor(),
        devices,
        wish.mode,
        (wish.owner, wish.reason),
    )
    .await
}

/// A device that was seen or is listed.
async fn known(app: &Shared, key: &str) -> Result<Option<DeviceKey>, Problem> {
    let Some(device) = parse_key(key) else {
        return Ok(None);
    };
    let step = kept::step_of(app.store.main.read(), key).await?;
    Ok(step.map(|_| device))
}

async fn put(
    app: &Shared,
    actor: Actor,
    devices: Vec<DeviceKey>,
    mode: LadderMode,
    (owner, reason): (String, String),
) -> Result<Json<ModesInForce>, Problem> {
    let count = devices.len();
    let order = ModeOrder {
        devices,
        mode: mode.into(),
        owner: owner.clone(),
        reason,
        now_s: u64::try_from(Time::now().seconds()).unwrap_or_default(),
    };
    // A client that hangs up does not stop a change half-way.
    let app = app.clone();
    let edited =
        tokio::spawn(
            async move { policy::edit(&app, actor, |document| order.edit(document)).await },
        );
    let version = super::finished(edited.await)?;
    // Devices were put in a mode: some version says so.
    Ok(Json(ModesInForce {
        version: version.unwrap_or_default(),
        mode,
        owner,
        devices: count,
    }))
}
