//! Traces for an OpenTelemetry collector, when one is configured: a span for each request, and in
//! it those of the store and of calls of the fast path.
//!
//! Spans say which operation it was and how it ended. They hold no query, no body, no name of a
//! device or a person, and nothing of what the store was asked.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use tokio::runtime::Handle;
use tracing::field::Empty;
use tracing::{Instrument as _, Level, Metadata, Span};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::Shared;
use crate::config;

/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often spans are sent.
const SEND_EVERY: Duration = Duration::from_secs(2);
/// Spans that wait to be sent; further ones are let go.
const WAITING: usize = 4_096;

/// Gathers spans and sends them.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// To the collector that is configured, over connections of this runtime.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn start(config: &config::Traces, runtime: Handle) -> Result<Self> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender::new(config, runtime)?)
            .with_endpoint(&config.endpoint)
            .with_timeout(PATIENCE)
            .build()
            .context("no exporter for `traces`")?;
        let batch = BatchConfigBuilder::default()
            .with_scheduled_delay(SEND_EVERY)
            .with_max_queue_size(WAITING)
            .build();
        let batch = BatchSpanProcessor::builder(exporter).with_batch_config(batch);
        let share = f64::from(config.sample_percent) / 100.0;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share)));
        let about = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", "wardline-mgmt"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ]);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(batch.build())
            .with_sampler(sampler)
            .with_resource(about.build());
        Ok(Self(provider.build()))
    }

    /// What makes traces of spans.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let layer: OpenTelemetryLayer<S, SdkTracer> =
            tracing_opentelemetry::layer().with_tracer(self.0.tracer("wardline-mgmt"));
        layer
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_ours))
    }

    /// Sends what waits. Needs the runtime, and blocks.
    pub fn end(&self) {
        // A collector that is away has been told of.
        let _ = self.0.shutdown_with_timeout(PATIENCE);
    }
}

/// Spans of this program and of its calls of the fast path; never those of the sending itself.
fn is_ours(about: &Metadata<'_>) -> bool {
    let target = about.target();
    about.is_span()
        && *about.level() <= Level::INFO
        && (target.starts_with("wardline_mgmt") || target.starts_with("tarpc::client"))
}

/// Sends over the HTTPS client that is there already. What is sent comes from a thread without a
/// runtime.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    authorization: Option<HeaderValue>,
    runtime: Handle,
    failing: AtomicBool,
}

impl Sender {
    fn new(config: &config::Traces, runtime: Handle) -> Result<Self> {
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE);
        if let Some(path) = &config.ca_certificate {
            let roots = reqwest::Certificate::from_pem_bundle(&read(path)?);
            client = client.tls_certs_only(roots.with_context(|| at(path))?);
        }
        let authorization = config.authorization_file.as_deref().map(|path| {
            let bytes = read(path)?;
            let mut value = HeaderValue::from_bytes(bytes.trim_ascii())
                .ok()
                .with_context(|| at(path))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        Ok(Self {
            client: client.build().context("no HTTPS client for `traces`")?,
            authorization: authorization.transpose()?,
            runtime,
            failing: AtomicBool::new(false),
        })
    }

    /// Tells of a collector that is away, once.
    fn tell(&self, failure: Option<&reqwest::Error>) {
        let before = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(error) if !before => tracing::warn!(%error, "traces do not reach the collector"),
            None if before => tracing::info!("traces reach the collector again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(
        &self,
        mut request: opentelemetry_http::Request<Bytes>,
    ) -> Result<opentelemetry_http::Response<Bytes>, HttpError> {
        if let Some(value) = &self.authorization {
            let headers = request.headers_mut();
            headers.insert(axum::http::header::AUTHORIZATION, value.clone());
        }
        let (client, request) = (self.client.clone(), request.try_into()?);
        // A request wants a runtime from its first moment on.
        let sending = async move { client.execute(request).await };
        let sent = self.runtime.spawn(sending).await?;
        let sent = sent.and_then(reqwest::Response::error_for_status);
        let answer = sent.map_err(reqwest::Error::without_url);
        self.tell(answer.as_ref().err());
        let answer = opentelemetry_http::Response::builder().status(answer?.status());
        // What it says of spans it did not like is of no use here.
        Ok(answer.body(Bytes::new())?)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| at(path))
}

fn at(path: &Path) -> String {
    format!("cannot use {}", path.display())
}

/// The middleware that begins a span for each request, within the trace that its `traceparent`
/// names.
pub async fn follow(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let span = begin(&app, &request);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

fn begin(app: &Shared, request: &Request) -> Span {
    let extensions = request.extensions();
    let Some(operation) = app.gate.operation(request.method(), extensions) else {
        return Span::none();
    };
    let route = extensions
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = request.method().as_str(),
        http.route = route,
        http.response.status_code = Empty,
        wardline.operation = operation.id,
    );
    if !span.is_disabled() {
        let from = HeaderExtractor(request.headers());
        // Without one the trace begins here.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&from));
    }
    span
}
