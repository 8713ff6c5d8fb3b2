//! Who changed what.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use sqlx::{QueryBuilder, Row, Sqlite};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::page::{self, Page};
use super::problem::Problem;
use super::request::Query;
use crate::Shared;
use crate::audit::log;
use crate::audit::report::{Format, Period, Report};
use crate::time::Time;

/// Days that a report is about, unless the caller says since when.
const REPORTED_DAYS: i64 = 30;

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(list_audit))
        .routes(routes!(export_audit))
        .routes(routes!(report_audit))
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
    /// Not before
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// Before
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
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
    if let Some(since) = query.since {
        sql.push(" AND time_us >= ").push_bind(since.us());
    }
    if let Some(until) = query.until {
        sql.push(" AND time_us < ").push_bind(until.us());
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

/// Which records to export.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// Only records behind this number, to go on where an earlier export ended
    #[param(minimum = 0)]
    pub after: Option<u64>,
}

/// Every record with its proof, oldest first, as JSON lines
///
/// Each line has `body` (the text that was hashed), `hash` and `signature`. Verify the file with
/// `wardline audit verify --file FILE --key audit.pub`.
#[utoipa::path(get, path = "/audit/export", tag = "audit", params(ExportQuery),
    responses((status = 200, description = "The records up to now", body = String,
        content_type = "application/jsonl")))]
async fn export_audit(
    State(app): State<Shared>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let db = app.store.main.read().clone();
    let after = i64::try_from(query.after.unwrap_or(0)).unwrap_or(i64::MAX);
    let newest = log::newest(&db).await?;
    let lines = log::lines(db, after, newest).map(|line| {
        let mut text = serde_json::to_vec(&line?).map_err(std::io::Error::other)?;
        text.push(b'\n');
        Ok::<_, anyhow::Error>(text)
    });
    let headers = [
        (CONTENT_TYPE, "application/jsonl"),
        (CONTENT_DISPOSITION, "attachment; filename=\"audit.jsonl\""),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// What a report is about.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// Its beginning; left out: 30 days before its end
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// Its end; left out: now
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
    /// How it is written
    #[param(inline)]
    pub format: Option<Format>,
}

/// A report for an auditor: policies in force, changes by person, and why
#[utoipa::path(get, path = "/audit/report", tag = "audit", params(ReportQuery),
    responses((status = 200, description = "The report",
        content((String = "text/markdown"), (String = "text/html")))))]
async fn report_audit(
    State(app): State<Shared>,
    Query(query): Query<ReportQuery>,
) -> Result<Response, Problem> {
    let until = query.until.unwrap_or_else(Time::now);
    let since = query
        .since
        .unwrap_or_else(|| until.plus_s(-REPORTED_DAYS * 86_400));
    if since >= until {
        return Err(Problem::query("since", "a time before `until`"));
    }
    let period = Period { since, until };
    let public_key = app.store.signer().public();
    let report = Report::read(app.store.main.read(), period, public_key, None).await?;
    let format = query.format.unwrap_or_default();
    let kind = match format {
        Format::Markdown => "text/markdown; charset=utf-8",
        Format::Html => "text/html; charset=utf-8",
    };
    Ok(([(CONTENT_TYPE, kind)], report.write(format)).into_response())
}
