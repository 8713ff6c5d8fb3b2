//! The model that names devices: which one is in use, and which may be.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wardline_control::{ModelOrigin, ModelStatus};

use super::problem::{Code, FieldError, Problem};
use super::request::{Body, Checked, said};
use crate::auth::Principal;
use crate::live::Topic;
use crate::models::{self, Model};
use crate::store::Record;
use crate::time::Time;
use crate::{App, Shared};

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_models))
        .routes(routes!(activate_model))
}

/// The model in use, and those that may be put in use.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Models {
    /// The one in use; absent while the fast path is away.
    pub in_use: Option<ModelInUse>,
    /// Those in the configured folder (`models.dir`); at most 32.
    pub available: Vec<AvailableModel>,
}

/// The model in use.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelInUse {
    /// What it is called.
    pub name: String,
    /// Its number: grows with every model.
    pub number: u64,
    /// The key that signed it: 16 hexadecimal digits of the SHA-256 of its public half.
    pub key_id: String,
    /// `built-in` or `folder`.
    pub origin: String,
    /// When it was put in use.
    pub activated: Time,
}

impl From<ModelStatus> for ModelInUse {
    fn from(status: ModelStatus) -> Self {
        let origin = match status.origin {
            ModelOrigin::BuiltIn => "built-in",
            ModelOrigin::Folder => "folder",
        };
        Self {
            name: status.name,
            number: status.number,
            key_id: status.key_id,
            origin: origin.to_owned(),
            activated: Time::from_contract(status.activated_us),
        }
    }
}

/// A model that may be put in use.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AvailableModel {
    /// Name of its folder.
    pub folder: String,
    /// What its manifest calls it.
    pub name: Option<String>,
    /// Its number; one that is smaller than that in use is refused.
    pub number: Option<u64>,
    /// The trusted key that signed it; absent: none did.
    pub key_id: Option<String>,
    /// Whether all checks hold.
    pub sound: bool,
    /// What was looked at; it ends at the first that does not hold.
    pub checks: Vec<ModelCheck>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelCheck {
    /// `signature`, `manifest` or `files`.
    pub check: String,
    /// What does not hold; absent: it holds.
    pub wrong: Option<String>,
}

impl From<Model> for AvailableModel {
    fn from(model: Model) -> Self {
        Self {
            folder: model.folder,
            name: model.name,
            number: model.number,
            key_id: model.key_id,
            sound: model.checks.iter().all(|check| check.wrong.is_none()),
            checks: model
                .checks
                .into_iter()
                .map(|check| ModelCheck {
                    check: check.check.to_owned(),
                    wrong: check.wrong,
                })
                .collect(),
        }
    }
}

/// The model in use and those that may be
#[utoipa::path(get, path = "/models", tag = "models",
    responses((status = 200, description = "The models", body = Models)))]
async fn list_models(State(app): State<Shared>) -> Result<Json<Models>, Problem> {
    let in_use = match app.fastpath.client() {
        Ok(client) => client.model_status().await.ok().map(ModelInUse::from),
        Err(_) => None,
    };
    let available = available(&app).await?;
    Ok(Json(Models { in_use, available }))
}

async fn available(app: &App) -> Result<Vec<AvailableModel>, Problem> {
    let settings = app.config.models.clone();
    let listed =
        tokio::task::spawn_blocking(move || models::list(&settings.dir, settings.key.as_deref()));
    let listed = listed
        .await
        .map_err(std::io::Error::other)
        .and_then(|listed| listed);
    let listed = listed.map_err(|error| {
        tracing::error!(%error, "the models cannot be listed");
        let detail = "The folder of models cannot be read; the log says more.";
        Problem::new(Code::Unavailable, detail)
    })?;
    Ok(listed.into_iter().map(AvailableModel::from).collect())
}

/// Which model is put in use.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateModel {
    /// Name of its folder; `null` or left out: the one the fast path was built with.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]*$"
    )]
    pub folder: Option<String>,
    /// Why, for the audit log.
    #[schema(min_length = 1, max_length = 1024)]
    pub reason: String,
}

impl Checked for ActivateModel {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self
            .folder
            .as_deref()
            .is_some_and(|name| !models::is_folder_name(name))
        {
            let message = "the name of a folder: letters, digits, `-`, `_` and `.`";
            errors.push(FieldError::new("folder", message));
        }
        said("reason", &self.reason, 1_024, &mut errors);
        errors
    }
}

/// Put a model in use
///
/// The fast path checks it in full. What is unsigned, changed or older than the one in use is
/// refused, and the one in use stays.
#[utoipa::path(post, path = "/models/activate", tag = "models", request_body = ActivateModel,
    responses((status = 200, description = "The one in use now", body = ModelInUse)))]
async fn activate_model(
    State(app): State<Shared>,
    principal: Principal,
    Body(wish): Body<ActivateModel>,
) -> Result<Json<ModelInUse>, Problem> {
    let folder = match &wish.folder {
        Some(name) => Some(place(&app, name)?),
        None => None,
    };
    let client = app.fastpath.client()?;
    // A client that hangs up does not keep the change from being written down.
    let done = tokio::spawn(async move {
        let before = client.model_status().await?;
        let now = client.model_activate(folder).await?;
        let named = |model: &ModelStatus| json!({ "name": model.name, "number": model.number, "key_id": model.key_id });
        let record = Record::new("activate_model", "model")
            .because(Some(wish.reason))
            .before(&named(&before))
            .after(&named(&now));
        app.store
            .change(principal.actor())
            .await?
            .commit(record)
            .await?;
        app.live
            .tell(Topic::System, "model-activated", None, named(&now));
        Ok(Json(ModelInUse::from(now)))
    });
    super::finished(done.await)
}

/// Where the model of a folder's name lies.
fn place(app: &App, name: &str) -> Result<String, Problem> {
    let unknown = |message: String| {
        Problem::new(Code::InvalidBody, "Some fields cannot be so; see `errors`.")
            .with(vec![FieldError::new("folder", message)])
    };
    let path = app.config.models.dir.join(name);
    let path = path
        .canonicalize()
        .map_err(|_| unknown(format!("there is no model `{name}` in `models.dir`")))?;
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| unknown("its path is no text".to_owned()))
}
