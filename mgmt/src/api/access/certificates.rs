//! Programs that come with a client certificate.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::taken;
use crate::Shared;
use crate::api::page::{self, Page};
use crate::api::problem::{FieldError, Problem};
use crate::api::request::{Body, Checked, IfMatch, Path, Query, etag, text};
use crate::auth::certificate::{self as certificates, CertificateRow, unfit_name};
use crate::auth::{Principal, Role};
use crate::store::Record;
use crate::time::Time;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_certificates, create_certificate))
        .routes(routes!(
            read_certificate,
            update_certificate,
            delete_certificate
        ))
}

/// A program that may come with a client certificate.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Certificate {
    /// Common name of its certificate's subject.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Who listed it.
    pub created_by: String,
    /// When.
    pub created: Time,
}

/// A program to be let in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateCreate {
    /// Common name of its certificate's subject.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9 ._@:-]{0,63}$")]
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for CertificateCreate {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        errors.extend(unfit_name(&self.name).map(|why| FieldError::new("name", why)));
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// What changes of a program.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateUpdate {
    /// What it may do.
    pub role: Role,
    /// Why, for the audit log.
    #[schema(max_length = 1024)]
    pub reason: Option<String>,
}

impl Checked for CertificateUpdate {
    fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        text("reason", self.reason.as_deref(), 1_024, &mut errors);
        errors
    }
}

/// Which programs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CertificateQuery {
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before
    pub cursor: Option<String>,
}

/// The programs that may come with a client certificate, by name
#[utoipa::path(get, path = "/certificates", tag = "certificates", params(CertificateQuery),
    responses((status = 200, description = "A page of programs", body = Page<Certificate>)))]
async fn list_certificates(
    State(app): State<Shared>,
    Query(query): Query<CertificateQuery>,
) -> Result<Json<Page<Certificate>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after: Option<String> = page::decode(query.cursor.as_deref())?;
    let after = after.unwrap_or_default();
    let found = certificates::list(&app.store.main, &after, limit + 1).await?;
    let page = Page::new(found, limit, |row| row.name.clone());
    Ok(Json(page.map(shown)))
}

/// Let a program in by its client certificate
///
/// One that an authority of `listen.client_ca` signed.
#[utoipa::path(post, path = "/certificates", tag = "certificates",
    request_body = CertificateCreate,
    responses((status = 201, description = "The program", body = Certificate,
        headers(("ETag" = String, description = "Its revision")))))]
async fn create_certificate(
    State(app): State<Shared>,
    principal: Principal,
    Body(new): Body<CertificateCreate>,
) -> Result<(StatusCode, HeaderMap, Json<Certificate>), Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let made = certificates::create(change.db(), &new.name, new.role, &principal.who).await;
    let row = made.map_err(|error| taken("certificate", &new.name, error))?;
    let record = Record::new("create_certificate", format!("certificate/{}", new.name))
        .because(new.reason)
        .after(&described(row.role));
    change.commit(record).await?;
    Ok((StatusCode::CREATED, etag(row.revision), Json(shown(row))))
}

/// One program
#[utoipa::path(get, path = "/certificates/{name}", tag = "certificates",
    params(("name" = String, Path, description = "Common name")),
    responses((status = 200, description = "The program", body = Certificate,
        headers(("ETag" = String, description = "Its revision")))))]
async fn read_certificate(
    State(app): State<Shared>,
    Path(name): Path<String>,
) -> Result<(HeaderMap, Json<Certificate>), Problem> {
    let mut db = app.store.main.read().acquire().await?;
    let row = certificates::find_row(&mut db, &name).await?;
    let row = row.ok_or_else(|| Problem::not_found("certificate", &name))?;
    Ok((etag(row.revision), Json(shown(row))))
}

/// Change what a program may do
#[utoipa::path(patch, path = "/certificates/{name}", tag = "certificates",
    request_body = CertificateUpdate,
    params(("name" = String, Path, description = "Common name"), IfMatch),
    responses((status = 200, description = "As it is now", body = Certificate,
        headers(("ETag" = String, description = "Its revision")))))]
async fn update_certificate(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(name): Path<String>,
    Body(update): Body<CertificateUpdate>,
) -> Result<(HeaderMap, Json<Certificate>), Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let row = certificates::find_row(change.db(), &name).await?;
    let mut row = row.ok_or_else(|| Problem::not_found("certificate", &name))?;
    if_match.require(row.revision)?;
    certificates::write_role(change.db(), &name, update.role).await?;
    let record = Record::new("update_certificate", format!("certificate/{name}"))
        .because(update.reason)
        .before(&described(row.role))
        .after(&described(update.role));
    change.commit(record).await?;
    row.role = update.role;
    row.revision += 1;
    Ok((etag(row.revision), Json(shown(row))))
}

/// Keep a program out
#[utoipa::path(delete, path = "/certificates/{name}", tag = "certificates",
    params(("name" = String, Path, description = "Common name"), IfMatch),
    responses((status = 204, description = "It is refused from now on")))]
async fn delete_certificate(
    State(app): State<Shared>,
    principal: Principal,
    if_match: IfMatch,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let mut change = app.store.change(principal.actor()).await?;
    let row = certificates::find_row(change.db(), &name).await?;
    let row = row.ok_or_else(|| Problem::not_found("certificate", &name))?;
    if_match.require(row.revision)?;
    certificates::delete(change.db(), &name).await?;
    let record = Record::new("delete_certificate", format!("certificate/{name}"));
    change.commit(record.before(&described(row.role))).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(row: CertificateRow) -> Certificate {
    Certificate {
        name: row.name,
        role: row.role,
        created_by: row.created_by,
        created: row.created,
    }
}

/// A program as the audit log has it.
fn described(role: Role) -> serde_json::Value {
    serde_json::json!({ "role": role })
}
