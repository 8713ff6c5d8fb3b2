//! What Prometheus reads.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;
use wardline_control::{SideCounters, Status};
use wardline_mgmt::auth::Role;
use wardline_mgmt::time::Time;
use wardline_policy::Reason;

use crate::played::device;
use crate::support::{Server, problem, python};

/// Asks for the metrics with a token.
async fn ask(server: &Server, token: Option<&str>) -> reqwest::Response {
    let request = server.client.get(format!("{}/metrics", server.base));
    let request = token.iter().fold(request, |r, token| r.bearer_auth(token));
    request.send().await.expect("an answer")
}

/// Every series and its value, as a viewer reads them.
pub async fn scrape(server: &Server) -> BTreeMap<String, f64> {
    let answer = ask(server, Some(server.token(Role::Viewer))).await;
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.expect("a body");
    assert!(text.ends_with("# EOF\n"), "{text}");
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let read = series.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        (name.to_owned(), value.parse().expect("a number"))
    });
    let series: Vec<_> = read.collect();
    let count = series.len();
    let series: BTreeMap<_, _> = series.into_iter().collect();
    assert_eq!(series.len(), count, "a series stands there twice: {text}");
    series
}

/// What a fast path says of itself that saw some traffic.
pub fn busy() -> Status {
    let ports = ["ward", "core"].map(|side| {
        json!({ "side": side, "driver": "af_xdp", "device": "eth\"0", "mtu": 1500, "queues": 1,
            "link": "up", "stats": { "rx_frames": 9, "rx_bytes": 900, "tx_frames": 8,
            "tx_bytes": 800, "rx_missed": 1, "rx_errors": 0, "rx_no_buffer": 0, "tx_errors": 0 } })
    });
    let mut status: Status = serde_json::from_value(json!({
        "software_version": "played", "pid": 1, "started_us": 1_790_000_000_000_000_u64,
        "uptime_s": 1, "startup_ms": 250,
        "memory": { "huge_pages": false, "note": "", "mib": 64 },
        "ports": ports,
        "workers": [{ "index": 0, "lcore": 1, "poll": "busy", "polls": 10, "empty_polls": 4,
            "parks": 0, "bursts": 6, "frames": 9, "busy_ns": 2_000_000_000_u64,
            "elapsed_ns": 4_000_000_000_u64, "longest_round_ns": 50_000, "unfetched": [1, 2],
            "handed_over": 0, "hand_over_drops": 0 }],
        "counters": { "ward": SideCounters::default(), "core": SideCounters::default(),
            "would_drop": { "no-rule": 2 }, "refusals_to_ward": 3, "refusals_to_core": 0,
            "flows_begun": 4 },
        "policy": { "id": "", "name": "", "applied_us": 0, "generation": 0,
            "next_boundary_s": null, "rollback_at_s": null, "origin": "none" },
        "devices": 1, "flows": 2, "events_dropped": 5,
        "classifier": { "stations": 40, "stations_forgotten": 6, "unobserved": 7 },
        "behaviour": { "devices": 30, "devices_full": 8, "devices_forgotten": 9,
            "services_full": 10, "held_back": 11, "alerts_full": 12, "events_lost": 13 },
    }))
    .expect("a status");
    status.counters.ward = SideCounters {
        received: 9,
        received_bytes: 900,
        forwarded: 6,
        dropped: 3,
        by_reason: [(Reason::Allowed, 6), (Reason::NoRule, 3)].into(),
    };
    status
}

#[tokio::test]
async fn every_counter_of_the_fast_path_is_told() {
    let mut server = Server::start().await;
    server.stage().devices.push(device(1));
    server.stage().status = Some(busy());
    server
        .read_until("/devices", |list| list["items"][0].is_object())
        .await;
    let series = scrape(&server).await;
    for (name, value) in [
        ("wardline_fastpath_up", 1.0),
        ("wardline_frames_received_total{side=\"ward\"}", 9.0),
        ("wardline_frames_received_bytes_total{side=\"ward\"}", 900.0),
        ("wardline_frames_dropped_total{side=\"ward\"}", 3.0),
        ("wardline_would_drop_total{reason=\"no-rule\"}", 2.0),
        ("wardline_refusals_total{to=\"ward\"}", 3.0),
        ("wardline_flows_begun_total", 4.0),
        ("wardline_fastpath_flows", 2.0),
        ("wardline_fastpath_events_dropped_total", 5.0),
        ("wardline_classifier_stations", 40.0),
        ("wardline_classifier_stations_forgotten_total", 6.0),
        ("wardline_classifier_unobserved_total", 7.0),
        ("wardline_behaviour_devices", 30.0),
        ("wardline_behaviour_devices_full_total", 8.0),
        ("wardline_behaviour_devices_forgotten_total", 9.0),
        ("wardline_behaviour_services_full_total", 10.0),
        ("wardline_behaviour_held_back_total", 11.0),
        ("wardline_behaviour_alerts_full_total", 12.0),
        ("wardline_behaviour_events_lost_total", 13.0),
        ("wardline_port_up{side=\"core\"}", 1.0),
        ("wardline_port_rx_missed_total{side=\"ward\"}", 1.0),
        ("wardline_worker_unfetched_total{worker=\"0\"}", 3.0),
        ("wardline_worker_busy_seconds_total{worker=\"0\"}", 2.0),
        ("wardline_devices", 1.0),
        ("wardline_alerts_open", 0.0),
        ("wardline_build_info{version=\"0.1.0\"}", 1.0),
        ("wardline_fastpath_info{version=\"played\"}", 1.0),
    ] {
        assert_eq!(series.get(name), Some(&value), "{name} in {series:#?}");
    }
    for side in ["ward", "core"] {
        for reason in Reason::ALL {
            let action = if reason.forwards() { "forward" } else { "drop" };
            let name = format!(
                "wardline_verdicts_total{{side=\"{side}\",reason=\"{}\",action=\"{action}\"}}",
                reason.name()
            );
            let expected = match (side, reason) {
                ("ward", Reason::Allowed) => 6.0,
                ("ward", Reason::NoRule) => 3.0,
                _ => 0.0,
            };
            assert_eq!(series.get(&name), Some(&expected), "{name}");
        }
    }
    assert!(series["wardline_store_bytes{database=\"main\"}"] > 0.0);
    server.fastpath_goes();
    server
        .read_until("/system", |system| system["fastpath_reachable"] == false)
        .await;
    let series = scrape(&server).await;
    assert_eq!(series["wardline_fastpath_up"], 0.0);
    assert!(!series.contains_key("wardline_flows_begun_total"));
}

#[tokio::test]
async fn the_longest_round_is_kept_until_it_was_read() {
    let server = Server::start().await;
    server.stage().status = Some(busy());
    let told = |system: &serde_json::Value| system["fastpath"]["workers"][0].is_object();
    server.read_until("/system", told).await;
    let mut quick = busy();
    quick.workers[0].longest_round_ns = 1_000;
    server.stage().status = Some(quick);
    let name = "wardline_worker_longest_round_seconds{worker=\"0\"}";
    assert_eq!(scrape(&server).await[name], 0.000_05);
    assert_eq!(scrape(&server).await[name], 0.000_001);
}

#[tokio::test]
async fn requests_are_counted_by_operation_and_status() {
    let server = Server::start().await;
    for role in [Role::Administrator, Role::Viewer] {
        let request = server.request(role, Method::GET, "/users");
        request.send().await.expect("an answer");
    }
    let stream = server.request(Role::Viewer, Method::GET, "/events");
    let stream = stream.send().await.expect("a stream");
    let series = scrape(&server).await;
    let count = |status| {
        let name =
            format!("wardline_api_requests_total{{operation=\"list_users\",status=\"{status}\"}}");
        series.get(&name).copied()
    };
    assert_eq!((count(200), count(403)), (Some(1.0), Some(1.0)));
    let timed = "wardline_api_request_duration_seconds_count{operation=\"list_users\"}";
    assert_eq!(series[timed], 2.0);
    assert_eq!(series["wardline_live_listeners"], 1.0);
    drop(stream);
}

#[tokio::test]
async fn it_takes_a_token_with_the_scope() {
    let server = Server::start().await;
    assert_eq!(problem(ask(&server, None).await).await.0, 401);
    let token = |scope: &'static str| {
        let body = json!({ "name": scope.replace(':', "-"), "role": "viewer", "scopes": [scope],
            "expires": Time::now().plus_s(60) });
        let server = &server;
        async move {
            let made = server.send(Role::Administrator, Method::POST, "/tokens", &body);
            let (status, made) = made.await;
            assert_eq!(status, 201, "{made:#}");
            made["token"].as_str().expect("a token").to_owned()
        }
    };
    let answer = ask(&server, Some(&token("metrics:read").await)).await;
    assert_eq!(answer.status(), 200);
    let kind = &answer.headers()["content-type"];
    assert_eq!(
        kind,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let other = ask(&server, Some(&token("devices:read").await)).await;
    assert_eq!(problem(other).await.0, 403);
}

/// Where the example dashboard lies.
const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grafana/wardline.json");

/// Every name of ours in an expression.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("wardline_"))
}

#[tokio::test]
async fn the_example_dashboard_asks_for_what_there_is() {
    let server = Server::start().await;
    server.stage().status = Some(busy());
    let receiver = json!({ "name": "siem", "subjects": ["alerts"], "target": { "syslog": {
        "host": "127.0.0.1", "port": 9, "transport": "tcp", "format": "cef" } } });
    let (status, made) = server
        .send(Role::Administrator, Method::POST, "/receivers", &receiver)
        .await;
    assert_eq!(status, 201, "{made:#}");
    let series = scrape(&server).await;
    let there: Vec<_> = series
        .keys()
        .map(|name| name.split('{').next().expect("a name"))
        .collect();
    let text = std::fs::read_to_string(DASHBOARD).expect("a dashboard");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut asked = 0;
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array());
    for target in targets.flatten() {
        for name in names(target["expr"].as_str().expect("an expression")) {
            assert!(there.contains(&name), "there is no {name}");
            asked += 1;
        }
    }
    assert!(asked > 20, "only {asked} were found");
}

#[test]
fn the_example_dashboard_is_as_grafana_has_it() {
    let Some(python) = python("the example dashboard") else {
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grafana_dashboard.py");
    let done = std::process::Command::new(python)
        .args([script, DASHBOARD])
        .output()
        .expect("it starts");
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}
