//! Alerts, kept beyond restarts.

use reqwest::Method;
use serde_json::{Value as Json, json};
use wardline_control::{Alert, AlertChange, AlertState, EventKind};
use wardline_mgmt::auth::Role;

use crate::played::device;
use crate::support::Server;

const BEGAN_US: u64 = 1_790_000_000_000_000;

pub fn alert(number: u64, of: u32, part_of: Option<u64>) -> Alert {
    Alert {
        id: number,
        device: device(of).key,
        state: AlertState::Open,
        kind: "new-peer".to_owned(),
        score_percent: 80,
        reasons: vec!["talks to 10.0.0.9 for the first time".to_owned()],
        began_us: BEGAN_US,
        last_us: BEGAN_US + 5,
        observations: 2,
        part_of,
    }
}

/// Raises alerts, as the fast path would tell them.
pub fn raise(server: &Server, alerts: Vec<Alert>) {
    let told = EventKind::Behaviour {
        alert: alerts[0].id,
        change: AlertChange::Raised,
        score_percent: 80,
        reasons: Vec::new(),
        part_of: None,
    };
    server.stage().alerts = alerts;
    server.played.as_ref().expect("played").tell(None, told);
}

fn count(wanted: usize) -> impl Fn(&Json) -> bool {
    move |list| list["items"].as_array().map(Vec::len) == Some(wanted)
}

#[tokio::test]
async fn alerts_are_listed_accepted_and_kept() {
    let mut server = Server::start().await;
    raise(&server, vec![alert(1, 1, None), alert(2, 2, Some(1))]);
    let list = server.read_until("/alerts", count(2)).await;
    let (newest, oldest) = (&list["items"][0], &list["items"][1]);
    assert_eq!(newest["part_of"], oldest["id"]);
    assert_eq!(oldest["device"], "00-09-fb-00-00-01.10");
    assert_eq!(oldest["reasons"][0], "talks to 10.0.0.9 for the first time");
    for (query, found) in [
        ("device=00-09-fb-00-00-02.10", 1),
        ("kind=scan", 0),
        ("state=open&limit=1", 1),
        ("since=2100-01-01T00:00:00Z", 0),
        ("until=2026-01-01T00:00:00Z", 0),
        ("accepted=false&score_min=80", 2),
        ("score_min=81", 0),
    ] {
        assert!(
            count(found)(&server.read(&format!("/alerts?{query}")).await),
            "{query}"
        );
    }
    let path = format!("/alerts/{}/accept", oldest["id"]);
    let body = json!({ "reason": "new archive" });
    assert_eq!(
        server
            .send(Role::Viewer, Method::POST, &path, &body)
            .await
            .0,
        403
    );
    let (status, accepted) = server.send(Role::Biomed, Method::POST, &path, &body).await;
    assert_eq!(status, 200, "{accepted:#}");
    assert_eq!(accepted["accepted"]["by"], "token:biomed");
    assert_eq!(accepted["state"], "ended");
    assert_eq!(
        server
            .send(Role::Biomed, Method::POST, &path, &body)
            .await
            .0,
        409
    );
    assert_eq!(server.stage().alerts.len(), 1);
    // The fast path tells of it as well: it is written down once.
    let again = EventKind::AlertAccepted {
        alert: 1,
        who: "token:biomed".to_owned(),
        reason: "new archive".to_owned(),
    };
    let told = EventKind::AlertAccepted {
        alert: 2,
        who: "cli:root".to_owned(),
        reason: "seen at the console".to_owned(),
    };
    let played = server.played.as_ref().expect("played");
    played.tell(None, again);
    played.tell(None, told);
    let audit = server
        .read_until("/audit?operation=accept_alert", count(2))
        .await;
    assert_eq!(audit["items"][1]["record"]["reason"], "new archive");
    assert_eq!(audit["items"][0]["record"]["who"], "cli:root");
    let since = format!(
        "/audit?since={}",
        audit["items"][0]["record"]["time"]
            .as_str()
            .expect("a time")
    );
    assert!(count(1)(&server.read(&since).await));
    assert!(count(0)(
        &server.read("/audit?until=2026-01-01T00:00:00Z").await
    ));
    server.crash().await;
    assert!(count(2)(&server.read("/alerts").await));
}

#[tokio::test]
async fn a_fast_path_that_counts_anew_does_not_overwrite() {
    let mut server = Server::start().await;
    raise(&server, vec![alert(1, 1, None)]);
    server.read_until("/alerts?state=open", count(1)).await;
    server.fastpath_goes();
    server.fastpath_comes();
    let later = Alert {
        began_us: BEGAN_US + 3_600_000_000,
        kind: "scan".to_owned(),
        ..alert(1, 1, None)
    };
    raise(&server, vec![later]);
    let list = server.read_until("/alerts", count(2)).await;
    assert_eq!(list["items"][0]["kind"], "scan");
    // The number is another's now: accepting the old one accepts nothing.
    let path = format!("/alerts/{}/accept", list["items"][1]["id"]);
    let body = json!({ "reason": "usual" });
    let (status, problem) = server.send(Role::Biomed, Method::POST, &path, &body).await;
    assert_eq!(status, 409, "{problem:#}");
    assert_eq!(server.stage().alerts.len(), 1);
    let ended = Alert {
        state: AlertState::Ended,
        ..server.stage().alerts[0].clone()
    };
    raise(&server, vec![ended]);
    server
        .read_until("/alerts?kind=scan&state=ended", count(1))
        .await;
    raise(&server, vec![alert(7, 3, None)]);
    // What the fast path knows no more is over.
    server.read_until("/alerts?state=ended", count(2)).await;
}

#[tokio::test]
async fn an_acceptance_at_the_fast_path_is_kept() {
    let server = Server::start().await;
    raise(&server, vec![alert(4, 1, None)]);
    server.read_until("/alerts", count(1)).await;
    let told = EventKind::AlertAccepted {
        alert: 4,
        who: "uid 0".to_owned(),
        reason: "known".to_owned(),
    };
    server.played.as_ref().expect("played").tell(None, told);
    let accepted = |list: &Json| list["items"][0]["accepted"]["by"] == "uid 0";
    server.read_until("/alerts", accepted).await;
}
