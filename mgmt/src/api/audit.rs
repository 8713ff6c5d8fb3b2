//! Who changed what.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Row, Sqlite};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{self, Page};
use super::problem::Problem;
use super::request::Query;
use crate::Shared;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list_audit))
}

/// A record of the audit log with its proof.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditRecord {
    /// Its number, from 1 without a gap.
    pub seq: i64,
    /// What happened: time, who, from where, operation, subject, reason, before, after.
    #[schema(value_type = Object)]
    pub record: serde_json::Value,
    /// The text that was hashed.
    pub body: String,
    /// SHA-256 of the text, hexadecimal.
    pub hash: String,
    /// Ed25519 over number and hash, hexadecimal.
    pub signature: String,
}

/// Which records.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// By whom, such as `user:anna`
    pub who: Option<String>,
    /// Of this operation
    pub operation: Option<String>,
    /// About this, such as `device/00-09-fb-12-34-56`
    pub subject: Option<String>,
    /// Entries of a page
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before, with the same parameters
    pub cursor: Option<String>,
}

/// The audit log, newest first
#[utoipa::path(get, path = "/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "A page of records", body = Page<AuditRecord>)))]
async fn list_audit(
    State(app): State<Shared>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<AuditRecord>>, Problem> {
    let limit = page::limit(query.limit)?;
    let before: Option<i64> = page::decode(query.cursor.as_deref())?;
    let mut sql =
        QueryBuilder::<Sqlite>::new("SELECT seq, body, hash, signature FROM audit WHERE seq < ");
    sql.push_bind(before.unwrap_or(i64::MAX));
    let equal = [
        ("who", query.who),
        ("operation", query.operation),
        ("subject", query.subject),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            sql.push(" AND ").push(column).push(" = ").push_bind(value);
        }
    }
    sql.push(" ORDER BY seq DESC LIMIT ")
        .push_bind(i64::from(limit) + 1);
    let rows = sql.build().fetch_all(app.store.main.read()).await?;
    let records = rows.iter().map(|row| {
        let body: String = row.try_get("body")?;
        Ok(AuditRecord {
            seq: row.try_get("seq")?,
            record: serde_json::from_str(&body).unwrap_or_default(),
            body,
            hash: row.try_get("hash")?,
            signature: row.try_get("signature")?,
        })
    });
    let records = records.collect::<Result<Vec<_>, sqlx::Error>>()?;
    Ok(Json(Page::new(records, limit, |record| record.seq)))
}
