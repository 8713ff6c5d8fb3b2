//! What is counted, for Prometheus: the fast path's own counters ([`fastpath`]), what this process
//! keeps and does ([`own`]), and the requests it answered.
//!
//! Every label takes its values from a closed list or from what an administrator set up, so that
//! the number of series is bounded; no device, person or address is one.

mod fastpath;
pub(crate) mod own;
mod series;

use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use wardline_control::Status;

use crate::Shared;
use crate::store::StoreError;

/// What every name begins with.
const PREFIX: &str = "wardline";
/// Upper bounds of the durations that are told apart, in seconds.
const DURATIONS_S: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
/// How long the fast path may take to answer: whoever asks has little patience.
const PATIENCE: Duration = Duration::from_secs(3);

/// An operation, and the status of its answers.
type Answered = [(&'static str, String); 2];

/// The requests that were answered.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    answers: Family<Answered, Counter>,
    durations: Family<[(&'static str, String); 1], Histogram>,
}

impl Metrics {
    /// Nothing was asked yet.
    pub fn new() -> Self {
        let answers = Family::default();
        let durations = Family::new_with_constructor((|| Histogram::new(DURATIONS_S)) as fn() -> _);
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register(
            "api_requests",
            "Requests that were answered, by operation and status",
            answers.clone(),
        );
        registry.register(
            "api_request_duration_seconds",
            "Time from a request to the head of its answer, by operation",
            durations.clone(),
        );
        Self {
            registry,
            answers,
            durations,
        }
    }

    fn answered(&self, operation: &str, status: u16, took: Duration) {
        let operation = [("operation", operation.to_owned())];
        let status = ("status", status.to_string());
        self.durations
            .get_or_create(&operation)
            .observe(took.as_secs_f64());
        let [operation] = operation;
        self.answers.get_or_create(&[operation, status]).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The middleware that counts. It stands before the one that refuses, so that refusals count too.
pub async fn measure(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let operation = app.gate.operation(request.method(), request.extensions());
    let operation = operation.map(|operation| operation.id.clone());
    let began = Instant::now();
    let response = next.run(request).await;
    if let Some(id) = operation {
        let status = response.status().as_u16();
        app.metrics.answered(&id, status, began.elapsed());
    }
    response
}

/// Everything, as OpenMetrics text.
///
/// # Errors
/// When the store cannot be read.
pub async fn render(app: &Shared) -> Result<String, StoreError> {
    let status = status(app).await;
    let own = own::Own::gather(app).await?;
    let mut now = Registry::with_prefix(PREFIX);
    now.register_collector(Box::new(fastpath::Fastpath(status)));
    now.register_collector(Box::new(own));
    let mut text = String::new();
    // A string takes everything that is written to it.
    let _ = text::encode_registry(&mut text, &now);
    let _ = text::encode_registry(&mut text, &app.metrics.registry);
    let _ = text::encode_eof(&mut text);
    Ok(text)
}

/// What the fast path says of itself, with the longest rounds since this was asked last.
async fn status(app: &Shared) -> Option<Status> {
    let client = app.fastpath.client().ok()?;
    let asked = tokio::time::timeout(PATIENCE, app.fastpath.status(&client));
    let mut status = asked.await.ok()?.ok()?;
    let longest = app.fastpath.take_longest();
    for worker in &mut status.workers {
        if let Some(ns) = longest.get(&worker.index) {
            worker.longest_round_ns = *ns;
        }
    }
    Some(status)
}
