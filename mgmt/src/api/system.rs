//! The appliance itself.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_control::Status;

use super::problem::{Code, Problem};
use crate::config::Config;
use crate::metrics::own::size;
use crate::policy::reconcile;
use crate::store::{HISTORY_FILE, MAIN_FILE};
use crate::time::Time;
use crate::{App, Shared, backup};

/// Of the disk, one part in so many should be free.
const DISK_FREE_SHARE: u64 = 20;
/// Days after which the newest backup is too old.
const BACKUP_DAYS: i64 = 7;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(read_system))
        .routes(routes!(read_configuration))
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
    /// What is kept, and the room for it.
    pub storage: Storage,
    /// What somebody should look at, in sentences; empty when all is well.
    pub trouble: Vec<String>,
}

/// What is kept, and the room for it.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Storage {
    /// The state and the audit log, in bytes, journal included.
    pub main_bytes: u64,
    /// The flow history, in bytes, journal included.
    pub history_bytes: u64,
    /// The disk they are on, in bytes; absent if it cannot be told.
    pub disk_bytes: Option<u64>,
    /// What is free of it, in bytes.
    pub disk_free_bytes: Option<u64>,
    /// When the newest backup was written; absent: there is none.
    pub last_backup: Option<Time>,
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
    let storage = tokio::task::spawn_blocking({
        let app = app.clone();
        move || storage(&app)
    });
    let storage = storage.await.unwrap_or_default();
    Json(System {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: app.started,
        fastpath_reachable: fastpath.is_some(),
        trouble: trouble(&app, fastpath.is_some(), &storage),
        storage,
        fastpath,
    })
}

/// The configuration that this process was started with
///
/// Secrets are no part of it: it names the files that hold them.
#[utoipa::path(get, path = "/system/configuration", tag = "system",
    responses((status = 200, description = "The configuration", body = serde_json::Value)))]
async fn read_configuration(State(app): State<Shared>) -> Json<Config> {
    Json(app.config.clone())
}

fn storage(app: &App) -> Storage {
    let dir = &app.config.state.dir;
    let disk = rustix::fs::statvfs(dir).ok();
    let backups = backup::list(app).unwrap_or_default();
    Storage {
        main_bytes: size(&dir.join(MAIN_FILE)),
        history_bytes: size(&dir.join(HISTORY_FILE)),
        disk_bytes: disk.as_ref().map(|facts| facts.f_blocks * facts.f_frsize),
        disk_free_bytes: disk.as_ref().map(|facts| facts.f_bavail * facts.f_frsize),
        last_backup: backups.first().map(|copy| copy.written),
    }
}

fn trouble(app: &App, fastpath: bool, storage: &Storage) -> Vec<String> {
    let mut found = Vec::new();
    if !fastpath {
        found.push("The fast path cannot be reached; it goes on without management.".to_owned());
    }
    if let Some(trouble) = reconcile::trouble(app) {
        found.push(format!("The wanted policy is not in force: {trouble}."));
    }
    if let (Some(free), Some(all)) = (storage.disk_free_bytes, storage.disk_bytes)
        && free < all / DISK_FREE_SHARE
    {
        found.push(format!(
            "The disk is nearly full: {free} of {all} bytes are free."
        ));
    }
    let old = Time::now().plus_s(-BACKUP_DAYS * 86_400);
    match storage.last_backup {
        None => found.push("There is no backup.".to_owned()),
        Some(written) if written < old => {
            found.push(format!(
                "The newest backup is older than {BACKUP_DAYS} days."
            ));
        }
        Some(_) => {}
    }
    found
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
