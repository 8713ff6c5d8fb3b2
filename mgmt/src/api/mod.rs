//! What can be asked, under `/api/v1` (and `/metrics`). The description at `/api/v1/openapi.json` is made from the
//! handlers themselves; the committed copy, `docs/openapi.json`, fails a test when it is stale.
//!
//! How it behaves everywhere: answers that say no are [`problem`]s; lists come in [`page`]s; what
//! can change has an `ETag` and wants `If-Match`; what is asked twice is done once
//! ([`idempotency`]); bodies and parameters are read strictly
//! ([`request`]).

mod access;
pub(crate) mod alerts;
mod assets;
mod audit;
mod bulk;
mod captures;
mod context;
mod devices;
mod document;
mod drain;
mod events;
mod export;
pub mod flows;
mod groups;
pub mod idempotency;
pub(crate) mod jobs;
mod metrics;
mod models;
mod modes;
pub mod page;
mod policies;
pub mod problem;
mod receivers;
mod reconciliation;
pub mod request;
mod roles;
mod system;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::task::JoinError;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::Shared;
use crate::auth::Gate;
use crate::metrics::measure;
use crate::traces::follow;
use problem::{Code, Problem};

/// Where the API lies.
pub const BASE: &str = "/api/v1";
/// Where its interactive page lies.
const PAGE: &str = "/api/docs";

/// What the browser may do with our answers: nothing.
const CONTENT_POLICY: &str = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'";
/// What it may do with the interactive page: load from us, and nothing else from anywhere.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' \
    'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action \
    'self'; base-uri 'none'; frame-ancestors 'none'";

/// Everything that can be asked.
fn operations() -> OpenApiRouter<Shared> {
    let api = OpenApiRouter::new()
        .merge(access::operations())
        .merge(alerts::operations())
        .merge(assets::operations())
        .merge(audit::operations())
        .merge(bulk::operations())
        .merge(captures::operations())
        .merge(context::operations())
        .merge(devices::operations())
        .merge(events::operations())
        .merge(export::operations())
        .merge(flows::operations())
        .merge(groups::operations())
        .merge(jobs::operations())
        .merge(models::operations())
        .merge(modes::operations())
        .merge(policies::operations())
        .merge(receivers::operations())
        .merge(reconciliation::operations())
        .merge(roles::operations())
        .merge(system::operations())
        .routes(routes!(read_openapi));
    OpenApiRouter::with_openapi(document::frame())
        .nest(BASE, api)
        .merge(metrics::operations())
}

/// The description of the API.
pub fn document() -> OpenApi {
    let (_, api) = operations().split_for_parts();
    document::complete(api)
}

/// The whole service.
pub fn router(app: Shared) -> Router {
    let (router, _) = operations().split_for_parts();
    let page = SwaggerUi::new(PAGE).config(
        Config::from(format!("{BASE}/openapi.json"))
            .try_it_out_enabled(true)
            .validator_url("none"),
    );
    let guarded = router
        .method_not_allowed_fallback(wrong_method)
        .route_layer(middleware::from_fn_with_state(
            app.clone(),
            idempotency::once,
        ))
        .route_layer(middleware::from_fn_with_state(app.clone(), Gate::guard))
        .route_layer(middleware::from_fn_with_state(app.clone(), measure))
        .route_layer(middleware::from_fn_with_state(app.clone(), follow));
    guarded
        .with_state(app)
        .merge(Router::from(page).layer(middleware::map_response(page_headers)))
        .route(
            "/",
            get(|| async { Redirect::temporary(&format!("{PAGE}/")) }),
        )
        .fallback(nothing_there)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::map_response(headers))
        .layer(middleware::from_fn(drain::drain))
}

/// The description of this API (OpenAPI 3.1)
#[utoipa::path(get, path = "/openapi.json", tag = "system",
    responses((status = 200, description = "The description", body = serde_json::Value)))]
async fn read_openapi() -> Json<OpenApi> {
    Json(document())
}

async fn wrong_method() -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        "`Allow` names the methods there are.",
    )
}

async fn nothing_there() -> Problem {
    Problem::new(Code::NotFound, "There is nothing at this path.")
}

/// A fault of ours ends a request, never the process, and tells the client nothing.
fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Problem::new(Code::Internal, "The log of the appliance says more.").into_response()
}

/// Where something that was made is found, as a header.
fn located(path: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(place) = HeaderValue::from_str(&format!("{BASE}{path}")) {
        headers.insert(header::LOCATION, place);
    }
    headers
}

/// What came of work that goes on when the client hangs up.
fn finished<T>(result: Result<Result<T, Problem>, JoinError>) -> Result<T, Problem> {
    result.unwrap_or_else(|error| {
        tracing::error!(%error, "a request failed");
        Err(Problem::new(
            Code::Internal,
            "The log of the appliance says more.",
        ))
    })
}

/// The page has styles in its elements; [`headers`] leaves what is there.
async fn page_headers(mut response: Response) -> Response {
    let policy = HeaderValue::from_static(PAGE_POLICY);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Headers of every answer.
async fn headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let values = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in values {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_description_is_the_one_in_force() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let mut text = document().to_pretty_json().expect("JSON");
        text.push('\n');
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &text).expect("written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            text == committed,
            "docs/openapi.json is stale: run this test with UPDATE_SCHEMA=1"
        );
    }
}
