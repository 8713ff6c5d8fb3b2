//! What is told while it happens.

use reqwest::{Method, Response};
use wardline_control::EventKind;
use wardline_mgmt::auth::Role;

use crate::support::Server;

/// Reads until the stream has said `wanted`.
async fn read_until(stream: &mut Response, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        let chunk = stream.chunk().await.expect("a chunk").expect("it goes on");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    text
}

#[tokio::test]
async fn a_listener_hears_and_goes_on_where_it_was() {
    let mut server = Server::start().await;
    let listen = |server: &Server, last: Option<&str>| {
        let request = server.request(Role::Viewer, Method::GET, "/events?topics=device,system");
        let request = last
            .iter()
            .fold(request, |r, last| r.header("Last-Event-ID", *last));
        request.send()
    };
    let mut stream = listen(&server, None).await.expect("a stream");
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let played = server.played.as_ref().expect("played");
    played.tell(None, EventKind::DeviceSeen);
    let heard = read_until(&mut stream, "device-seen").await;
    let id = heard
        .lines()
        .find_map(|line| line.strip_prefix("id: "))
        .expect("an id");
    let id = id.to_owned();
    drop(stream);
    server.fastpath_goes();
    server.fastpath_comes();
    let mut stream = listen(&server, Some(&id)).await.expect("a stream");
    read_until(&mut stream, "fastpath-there").await;
    let mut stream = listen(&server, Some("gone-1")).await.expect("a stream");
    let lost = read_until(&mut stream, "event: lost").await;
    // A browser comes back with the id of the last event, and is not lost again.
    let id = lost.lines().find_map(|line| line.strip_prefix("id: "));
    let mut stream = listen(&server, id).await.expect("a stream");
    let played = server.played.as_ref().expect("played");
    played.tell(None, EventKind::DeviceSeen);
    let heard = read_until(&mut stream, "device-seen").await;
    assert!(!heard.contains("event: lost"), "{heard}");
}

#[tokio::test]
async fn whoever_heard_the_process_before_is_told_what_it_lost() {
    let mut server = Server::start().await;
    let stream = server.request(Role::Viewer, Method::GET, "/events").send();
    let mut stream = stream.await.expect("a stream");
    let played = server.played.as_ref().expect("played");
    played.tell(None, EventKind::DeviceSeen);
    let heard = read_until(&mut stream, "device-seen").await;
    let mut ids = heard.lines().filter_map(|line| line.strip_prefix("id: "));
    let id = ids.next_back().expect("an id").to_owned();
    server.crash().await;
    let request = server.request(Role::Viewer, Method::GET, "/events");
    let stream = request.header("Last-Event-ID", id).send().await;
    read_until(&mut stream.expect("a stream"), "event: lost").await;
}

#[tokio::test]
async fn the_log_holds_no_token() {
    let server = Server::start().await;
    server.read("/devices").await;
    assert!(server.state().join("wardline.db").exists());
    let log = server.log();
    assert!(log.contains("listening"), "{log}");
    let rest = log.replace("wardline_mgmt", "");
    assert!(!rest.contains("wardline_"), "a token is in the log: {log}");
}
