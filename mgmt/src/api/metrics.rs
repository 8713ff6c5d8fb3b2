//! What is counted, for Prometheus. It lies where Prometheus looks for it, outside `/api/v1`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use crate::{Shared, metrics};

/// OpenMetrics, as Prometheus asks for it.
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn operations() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(read_metrics))
}

/// What is counted, for Prometheus (OpenMetrics text)
///
/// Give Prometheus a token of the role `viewer` with the one scope `metrics:read`.
#[utoipa::path(get, path = "/metrics", tag = "metrics",
    responses((status = 200, description = "Everything that is counted", body = String,
        content_type = "application/openmetrics-text")))]
async fn read_metrics(State(app): State<Shared>) -> Result<Response, Problem> {
    let text = metrics::render(&app).await?;
    Ok(([(CONTENT_TYPE, FORMAT)], text).into_response())
}
