//! What a collector of traces gets, played on this machine.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use reqwest::Method;
use serde_json::Value as Json;
use tokio::sync::watch;
use wardline_mgmt::auth::Role;

use crate::support::{Server, Setup};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

type Heard = Arc<watch::Sender<Vec<Span>>>;

/// A collector that decodes what it gets; where it is.
async fn collector() -> (Heard, String) {
    let heard = Heard::default();
    let router = Router::new().route("/v1/traces", post(take));
    let router = router.with_state(Arc::clone(&heard));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(axum::serve(listener, router).into_future());
    (heard, format!("http://{address}/v1/traces"))
}

async fn take(State(heard): State<Heard>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    if headers
        .get("authorization")
        .is_none_or(|v| v != "Bearer hush")
    {
        return StatusCode::UNAUTHORIZED;
    }
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let spans = request.resource_spans.into_iter();
    let spans = spans.flat_map(|of| of.scope_spans).flat_map(|of| of.spans);
    heard.send_modify(|all| all.extend(spans));
    StatusCode::OK
}

/// The text of an attribute.
fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|known| known.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[tokio::test]
async fn requests_are_traced_with_what_they_ask_of_others() {
    let (heard, endpoint) = collector().await;
    let setup = Setup::default();
    let secret = setup.dir.path().join("authorization");
    std::fs::write(&secret, "Bearer hush\n").expect("written");
    let config = format!(
        "[traces]\nendpoint = \"{endpoint}\"\nauthorization_file = \"{}\"\n\
         [log]\nlevel = \"debug\"\n",
        secret.display()
    );
    let server = Server::start_from(Setup { config, ..setup }).await;
    let there = |system: &Json| system["fastpath_reachable"] == true;
    server.read_until("/system", there).await;
    let ask = |path: &str| {
        let ask = server.request(Role::Viewer, Method::GET, path);
        ask.header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
    };
    for path in [
        "/system",
        "/devices?q=patient-smith",
        "/devices/patient-smith",
    ] {
        ask(path).send().await.expect("an answer");
    }
    let mut all = heard.subscribe();
    let ours = |spans: &[Span]| {
        let ours = spans.iter().filter(|span| hex(&span.trace_id) == TRACE);
        ours.cloned().collect::<Vec<_>>()
    };
    let requests = |spans: &[Span]| {
        let ours = ours(spans).into_iter();
        ours.filter(|span| hex(&span.parent_span_id) == PARENT)
            .collect::<Vec<_>>()
    };
    let there = all.wait_for(|all| requests(all).len() == 3).await;
    let spans = ours(&there.expect("it goes on"));
    let find = |name: &str| {
        let found = spans.iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
    };
    let system = find("GET /api/v1/system");
    let of = |name| attribute(system, name);
    assert_eq!(of("http.response.status_code").as_deref(), Some("200"));
    assert_eq!(of("http.request.method").as_deref(), Some("GET"));
    assert_eq!(of("wardline.operation").as_deref(), Some("read_system"));
    let missing = find("GET /api/v1/devices/{key}");
    let status = attribute(missing, "http.response.status_code");
    assert_eq!(status.as_deref(), Some("404"));
    // The fast path was asked in the first, the store in the second.
    let within = |parent: &Span, child: &Span| child.parent_span_id == parent.span_id;
    assert!(
        spans
            .iter()
            .any(|span| within(system, span) && span.name == "Control.status"),
        "{spans:#?}"
    );
    assert!(within(
        find("GET /api/v1/devices"),
        find("store list device")
    ));
    let text = format!("{spans:?}");
    assert!(!text.contains("patient-smith"), "{text}");
    let log = server.log();
    assert!(!log.contains("hush"), "{log}");
}
