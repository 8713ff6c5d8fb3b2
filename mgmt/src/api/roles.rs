//! What a person says a device is.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_control::RoleStatement;

use super::problem::{FieldError, Problem};
use super::request::{Body, Checked, Path, said};
use crate::Shared;
use crate::auth::Principal;
use crate::live::Topic;
use crate::store::Record;
use crate::store::device::{self, parse_key};

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(set_device_role))
}

/// What a device is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// Its role by name, such as `infusion-pump`; `null` takes back what was said before.
    #[schema(min_length = 1, max_length = 64)]
    pub role: Option<String>,
    /// Why, for the audit log.
    #[schema(min_length = 1, max_length = 1024)]
    pub reason: String,
}

impl Checked for SetRole {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Some(role) = &self.role {
            said("role", role, 64, &mut errors);
        }
        said("reason", &self.reason, 1_024, &mut errors);
        errors
    }
}

/// What was said of a device.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RoleStated {
    /// Key of the device.
    pub device: String,
    /// Its role; `null`: what was said before is taken back.
    pub role: Option<String>,
    /// Number of the fast path's record of it.
    pub record: u64,
}

/// Confirm or correct the role of a device
///
/// The fast path holds to it from now on; `role` and `confirmed` of the device follow when it is
/// looked at next.
#[utoipa::path(put, path = "/devices/{key}/role", tag = "devices", request_body = SetRole,
    params(("key" = String, Path, description = "MAC address and VLAN: `00-09-fb-12-34-56.10`")),
    responses((status = 200, description = "The fast path holds to it", body = RoleStated)))]
async fn set_device_role(
    State(app): State<Shared>,
    principal: Principal,
    Path(key): Path<String>,
    Body(wish): Body<SetRole>,
) -> Result<Json<RoleStated>, Problem> {
    let unknown = || Problem::not_found("device", &key);
    let device = parse_key(&key).ok_or_else(unknown)?;
    let mut db = app.store.main.read().acquire().await?;
    let before = device::find(&mut db, &key).await?.ok_or_else(unknown)?;
    drop(db);
    let client = app.fastpath.client()?;
    let statement = RoleStatement {
        device,
        role: wish.role.clone(),
        who: principal.who.clone(),
        reason: wish.reason.clone(),
    };
    // A client that hangs up does not keep the statement from being written down.
    let done = tokio::spawn(async move {
        let number = client.state_role(statement).await?;
        let after = json!({ "role": wish.role, "record": number });
        let record = Record::new("set_device_role", format!("device/{key}"))
            .because(Some(wish.reason))
            .before(&json!({ "role": before.role, "confirmed": before.confirmed }))
            .after(&after);
        let change = app.store.change(principal.actor()).await?;
        change.commit(record).await?;
        app.live
            .tell(Topic::Device, "role-stated", Some(key.clone()), after);
        Ok(Json(RoleStated {
            device: key,
            role: wish.role,
            record: number,
        }))
    });
    super::finished(done.await)
}
