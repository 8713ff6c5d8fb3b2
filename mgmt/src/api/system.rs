//! The appliance itself.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_control::Status;

use super::problem::{Code, Problem};
use crate::Shared;
use crate::time::Time;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(read_system))
        .routes(routes!(read_health))
        .routes(routes!(read_readiness))
}

/// The appliance at a glance.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct System {
    /// Version of the management plane.
    pub version: String,
    /// When it started.
    pub started: Time,
    /// Whether the fast path can be reached.
    pub fastpath_reachable: bool,
    /// What the fast path says of itself: ports, workers, counters, policy; absent while it is
    /// away.
    #[schema(value_type = Option<Object>)]
    pub fastpath: Option<Status>,
}

/// Whether something is well.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
}

/// The appliance at a glance
#[utoipa::path(get, path = "/system", tag = "system",
    responses((status = 200, description = "The appliance", body = System)))]
async fn read_system(State(app): State<Shared>) -> Json<System> {
    let fastpath = match app.fastpath.client() {
        Ok(client) => app.fastpath.status(&client).await.ok(),
        Err(_) => None,
    };
    Json(System {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: app.started,
        fastpath_reachable: fastpath.is_some(),
        fastpath,
    })
}

/// Whether this process runs
#[utoipa::path(get, path = "/healthz", tag = "system",
    responses((status = 200, description = "It does", body = Health)))]
async fn read_health() -> Json<Health> {
    Json(Health {
        status: "ok".to_owned(),
    })
}

/// Whether this process can do its work: its database answers and the fast path is there
#[utoipa::path(get, path = "/readyz", tag = "system",
    responses((status = 200, description = "It can", body = Health)))]
async fn read_readiness(State(app): State<Shared>) -> Result<Json<Health>, Problem> {
    sqlx::query("SELECT count(*) FROM setup")
        .fetch_one(app.store.main.read())
        .await?;
    if app.fastpath.client().is_err() {
        return Err(Problem::new(
            Code::FastpathAway,
            "The fast path cannot be reached.",
        ));
    }
    Ok(Json(Health {
        status: "ok".to_owned(),
    }))
}
