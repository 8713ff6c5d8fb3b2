//! Those outside who are told what happens, played on this machine.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum_server::tls_rustls::RustlsConfig;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use reqwest::Method;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value as Json, json};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use wardline_control::EventKind;
use wardline_control::view::FlowFacts;
use wardline_mgmt::auth::Role;
use wardline_policy::{Reason, Side};

use crate::alerts::{alert, raise};
use crate::metrics::scrape;
use crate::played::device;
use crate::support::Server;

const KEY: &str = "a key that nobody may see";

/// A hospital's authority, and what it signs.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Hospital");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for this machine, and its key.
    fn sign(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// What a server needs that asks for certificates of this authority.
    fn server(&self) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM");
        roots.add(root).expect("an authority");
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let (chain, key) = self.sign();
        let chain = CertificateDer::from_pem_slice(chain.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(clients.build().expect("a verifier"))
            .with_single_cert(vec![chain], key);
        Arc::new(config.expect("they fit"))
    }
}

/// Reads frames with their lengths before them.
async fn frames(mut stream: impl AsyncRead + Unpin, heard: mpsc::Sender<String>) {
    loop {
        let mut length = String::new();
        while !length.ends_with(' ') {
            let Ok(byte) = stream.read_u8().await else {
                return;
            };
            length.push(byte.into());
        }
        let mut frame = vec![0; length.trim().parse().expect("a length")];
        if stream.read_exact(&mut frame).await.is_err() {
            return;
        }
        let text = String::from_utf8(frame).expect("UTF-8");
        if heard.send(text).await.is_err() {
            return;
        }
    }
}

/// Syslog over TCP.
async fn syslog() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (heard, ear) = mpsc::channel(1_024);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(frames(stream, heard.clone()));
        }
    });
    (port, ear)
}

/// The first frame that holds a text.
async fn hear(ear: &mut mpsc::Receiver<String>, wanted: &str) -> String {
    loop {
        let frame = ear.recv().await.expect("it goes on");
        if frame.contains(wanted) {
            return frame;
        }
    }
}

/// A webhook, which answers what it is told to.
#[derive(Clone)]
struct Hook {
    answer: Arc<Mutex<StatusCode>>,
    heard: watch::Sender<Vec<(HashMap<String, String>, String)>>,
}

impl Hook {
    async fn start(authority: &Authority) -> (Self, SocketAddr) {
        let hook = Self {
            answer: Arc::new(Mutex::new(StatusCode::NO_CONTENT)),
            heard: watch::Sender::default(),
        };
        let (chain, key) = authority.sign();
        let tls = RustlsConfig::from_pem(chain.into_bytes(), key.into_bytes());
        let tls = tls.await.expect("they fit");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("set");
        let address = listener.local_addr().expect("bound");
        let router = Router::new()
            .route("/hook", post(take))
            .with_state(hook.clone());
        let server = axum_server::from_tcp_rustls(listener, tls).expect("a server");
        tokio::spawn(server.serve(router.into_make_service()));
        (hook, address)
    }

    fn answer(&self, status: StatusCode) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// What was heard, when it is so much.
    async fn heard(&self, count: usize) -> Vec<(HashMap<String, String>, String)> {
        let mut heard = self.heard.subscribe();
        let enough = heard.wait_for(|heard| heard.len() >= count).await;
        enough.expect("it goes on").clone()
    }
}

async fn take(State(hook): State<Hook>, headers: HeaderMap, body: String) -> StatusCode {
    let headers = headers.iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()));
    let heard = (headers.collect(), body);
    hook.heard.send_modify(|all| all.push(heard));
    *hook.answer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a receiver.
async fn make(
    server: &Server,
    name: &str,
    subjects: &[&str],
    target: Json,
    secret: Option<&str>,
) -> Json {
    let body = json!({ "name": name, "subjects": subjects, "target": target, "secret": secret });
    let (status, made) = server
        .send(Role::Administrator, Method::POST, "/receivers", &body)
        .await;
    assert_eq!(status, 201, "{made:#}");
    made
}

fn tcp(port: u16, format: &str) -> Json {
    json!({ "syslog": { "host": "127.0.0.1", "port": port, "transport": "tcp", "format": format } })
}

/// A conversation is refused.
fn deny(server: &Server) {
    let flow = FlowFacts {
        from: Side::Ward,
        source: "192.168.1.52".parse().ok(),
        destination: "8.8.8.8".parse().ok(),
        protocol: 17,
        ethertype: 0x0800,
        source_port: 54_585,
        destination_port: 53,
        reason: Reason::NoRule,
        rule: String::new(),
        first_seen_us: None,
    };
    let told = EventKind::Denied {
        flow,
        dropped: true,
        repeated: 0,
    };
    let played = server.played.as_ref().expect("played");
    played.tell(Some(device(1).key), told);
}

#[tokio::test]
async fn syslog_is_told_what_it_wants_to_know() {
    let server = Server::start().await;
    let (port, mut all) = syslog().await;
    make(
        &server,
        "siem",
        &["alerts", "verdicts", "audit"],
        tcp(port, "rfc5424"),
        None,
    )
    .await;
    let (port, mut json) = syslog().await;
    let made = make(
        &server,
        "elastic",
        &["verdicts"],
        tcp(port, "ecs-json"),
        None,
    )
    .await;
    // The record that the second was made is the first thing the first hears of.
    let frame = hear(&mut all, "create_receiver").await;
    assert!(frame.starts_with("<109>1 "), "{frame}");
    assert!(frame.contains(" user=\"token:administrator\""), "{frame}");
    // Not before both listen.
    let path = format!("/receivers/{}/test", made["id"]);
    let (status, test) = server
        .send(Role::Administrator, Method::POST, &path, &Json::Null)
        .await;
    assert_eq!(
        (status, &test["delivered"]),
        (200, &json!(true)),
        "{test:#}"
    );
    hear(&mut json, "This is a test of Wardline").await;
    raise(&server, vec![alert(1, 1, None)]);
    let frame = hear(&mut all, "alert-raised").await;
    assert!(
        frame.contains("talks to 10.0.0.9 for the first time"),
        "{frame}"
    );
    assert!(
        frame.contains(" device=\"00-09-fb-00-00-01.10\""),
        "{frame}"
    );
    deny(&server);
    let frame = hear(&mut all, "event=\"denied\"").await;
    let community = "1:d/FP5EW3wiY1vCndhwleRRKHowQ=";
    assert!(frame.contains(community), "{frame}");
    let frame = hear(&mut json, community).await;
    assert!(!frame.contains("alert"), "{frame}");
    let (_, body) = frame.split_once(" - ").expect("no structured data");
    let body: Json = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["event"]["reason"], "no-rule");
    let path = format!("/receivers/{}", made["id"]);
    let shown = server
        .read_until(&path, |shown| shown["health"]["sent"] == 1)
        .await;
    assert_eq!(shown["health"]["state"], "well", "{shown:#}");
    let series = scrape(&server).await;
    assert_eq!(
        series["wardline_receiver_sent_total{receiver=\"elastic\"}"],
        1.0
    );
    assert_eq!(series["wardline_receiver_up{receiver=\"elastic\"}"], 1.0);
}

#[tokio::test]
async fn syslog_over_tls_comes_with_a_certificate() {
    let server = Server::start().await;
    let authority = Authority::new();
    let acceptor = tokio_rustls::TlsAcceptor::from(authority.server());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (heard, mut ear) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(frames(stream, heard.clone()));
            }
        }
    });
    let (certificate, key) = authority.sign();
    let target = |ca: &str| {
        json!({ "syslog": { "host": "localhost", "port": port, "transport": "tls",
            "format": "cef", "ca_certificate": ca, "client_certificate": certificate } })
    };
    make(
        &server,
        "siem",
        &["alerts"],
        target(&authority.pem),
        Some(&key),
    )
    .await;
    raise(&server, vec![alert(1, 1, None)]);
    let frame = hear(&mut ear, "alert-raised").await;
    assert!(frame.contains("CEF:0|Wardline|"), "{frame}");
    // Another authority did not sign the receiver's certificate.
    let other = Authority::new();
    let made = make(
        &server,
        "other",
        &["alerts"],
        target(&other.pem),
        Some(&key),
    )
    .await;
    let path = format!("/receivers/{}/test", made["id"]);
    let (_, test) = server
        .send(Role::Administrator, Method::POST, &path, &Json::Null)
        .await;
    assert_eq!(test["delivered"], false);
    assert!(
        test["error"].as_str().expect("why").contains("no TLS"),
        "{test:#}"
    );
}

#[tokio::test]
async fn a_crash_loses_no_alert_that_a_webhook_has_not_got() {
    let mut server = Server::start().await;
    let authority = Authority::new();
    let (hook, address) = Hook::start(&authority).await;
    hook.answer(StatusCode::SERVICE_UNAVAILABLE);
    let target = json!({ "webhook": { "url": format!("https://{address}/hook?token=hidden"),
        "ca_certificate": authority.pem } });
    let made = make(&server, "chat", &["alerts"], target, Some(KEY)).await;
    raise(&server, vec![alert(1, 1, None)]);
    let refused = hook.heard(1).await;
    let path = format!("/receivers/{}", made["id"]);
    let failing = |shown: &Json| shown["health"]["last_error"] == "it answered 503";
    let shown = server.read_until(&path, failing).await;
    assert_eq!(shown["health"]["state"], "failing");
    assert_eq!(shown["health"]["queued"], 1);
    server.kill();
    hook.answer(StatusCode::NO_CONTENT);
    let before = hook.heard(1).await.len();
    server.start_again().await;
    let all = hook.heard(before + 1).await;
    let (headers, body) = &all[before];
    assert_eq!(headers["wardline-event"], "alert-raised");
    assert_eq!(
        headers["wardline-delivery"],
        refused[0].0["wardline-delivery"]
    );
    let (time, digest) = headers["wardline-signature"]
        .split_once(",v1=")
        .expect("both");
    let seconds = time.strip_prefix("t=").expect("a time");
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("a key");
    mac.update(format!("{seconds}.{body}").as_bytes());
    assert_eq!(digest, HEXLOWER.encode(&mac.finalize().into_bytes()));
    let body: Json = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["event"]["kind"], "alert");
    let shown = server
        .read_until(&path, |shown| shown["health"]["queued"] == 0)
        .await;
    assert_eq!(shown["health"]["dropped"], 0, "{shown:#}");
}

#[tokio::test]
async fn a_receiver_that_is_slow_delays_nobody() {
    let server = Server::start().await;
    // It accepts, and never reads or answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let url = format!("https://{address}/");
    let slow = json!({ "webhook": { "url": url } });
    make(
        &server,
        "slow",
        &["alerts", "verdicts", "audit"],
        slow,
        Some(KEY),
    )
    .await;
    let (port, mut ear) = syslog().await;
    make(&server, "quick", &["alerts"], tcp(port, "rfc5424"), None).await;
    raise(&server, vec![alert(1, 1, None)]);
    hear(&mut ear, "alert-raised").await;
    drop(listener);
}

#[tokio::test]
async fn whoever_is_away_loses_the_oldest_verdicts_and_is_told_how_many() {
    const TOLD: i64 = 5_000;
    let server = Server::start().await;
    let (port, mut ear) = syslog().await;
    tokio::spawn(async move { while ear.recv().await.is_some() {} });
    let quick = make(&server, "quick", &["verdicts"], tcp(port, "cef"), None).await;
    // Nobody listens there yet.
    let away = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = away.local_addr().expect("bound");
    drop(away);
    let target = tcp(address.port(), "cef");
    let away = make(&server, "away", &["verdicts"], target, None).await;
    let path = |made: &Json| format!("/receivers/{}", made["id"]);
    let test = format!("{}/test", path(&away));
    let (_, test) = server
        .send(Role::Administrator, Method::POST, &test, &Json::Null)
        .await;
    assert_eq!(test["delivered"], false, "{test:#}");
    deny(&server);
    let failing = |shown: &Json| shown["health"]["state"] == "failing";
    server.read_until(&path(&away), failing).await;
    for _ in 1..TOLD {
        deny(&server);
    }
    let all = |shown: &Json| {
        let count = |name: &str| shown["health"][name].as_i64().expect("a count");
        count("sent") + count("dropped") == TOLD
    };
    server.read_until(&path(&quick), all).await;
    let listener = TcpListener::bind(address).await.expect("the same port");
    let (heard, mut ear) = mpsc::channel(1_024);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(frames(stream, heard.clone()));
        }
    });
    tokio::spawn(async move { while ear.recv().await.is_some() {} });
    let shown = server.read_until(&path(&away), all).await;
    let dropped = shown["health"]["dropped"].as_i64().expect("a count");
    assert!(dropped > 0 && dropped < TOLD, "{shown:#}");
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_the_reason() {
    let server = Server::start().await;
    let hook = |url: &str| json!({ "webhook": { "url": url } });
    let host = |host: &str| json!({ "syslog": { "host": host, "port": 601, "transport": "tcp", "format": "cef" } });
    let tls = json!({ "syslog": { "host": "siem", "port": 6514, "transport": "tls",
        "format": "cef" } });
    for (target, secret, field, why) in [
        (
            hook("https://169.254.169.254/latest"),
            Some(KEY),
            "target.webhook.url",
            "link-local",
        ),
        (
            hook("https://[::ffff:a9fe:a9fe]/"),
            Some(KEY),
            "target.webhook.url",
            "link-local",
        ),
        (
            hook("https://0xa9fea9fe/"),
            Some(KEY),
            "target.webhook.url",
            "link-local",
        ),
        (
            hook("https://[fd00:ec2::254]/"),
            Some(KEY),
            "target.webhook.url",
            "cloud",
        ),
        (
            hook("http://chat/"),
            Some(KEY),
            "target.webhook.url",
            "https://",
        ),
        (
            hook("https://me:pass@chat/"),
            Some(KEY),
            "target.webhook.url",
            "no user",
        ),
        (hook("https://chat/"), Some("short"), "secret", "16 to 256"),
        (hook("https://chat/"), None, "target", "secret"),
        (
            host("169.254.169.254"),
            None,
            "target.syslog.host",
            "link-local",
        ),
        (host(""), None, "target.syslog.host", "empty"),
        (tls, None, "target", "ca_certificate"),
    ] {
        let body = json!({ "name": "x", "subjects": ["alerts"], "target": target,
            "secret": secret });
        let (status, problem) = server
            .send(Role::Administrator, Method::POST, "/receivers", &body)
            .await;
        assert_eq!(status, 422, "{problem:#}");
        let error = &problem["errors"][0];
        assert_eq!(error["field"], field, "{problem:#}");
        let message = error["message"].as_str().expect("why");
        assert!(message.contains(why), "{problem:#}");
    }
    let twice = json!({ "name": "x", "subjects": ["alerts", "alerts"], "target": host("siem") });
    let (status, _) = server
        .send(Role::Administrator, Method::POST, "/receivers", &twice)
        .await;
    assert_eq!(status, 422);
    for number in 0..16 {
        make(
            &server,
            &format!("r{number}"),
            &["audit"],
            host("127.0.0.1"),
            None,
        )
        .await;
    }
    let more = json!({ "name": "more", "subjects": ["alerts"], "target": host("127.0.0.1") });
    let (status, problem) = server
        .send(Role::Administrator, Method::POST, "/receivers", &more)
        .await;
    assert_eq!(status, 409, "{problem:#}");
}

#[tokio::test]
async fn redirects_are_not_followed_and_refusals_are_given_up() {
    let server = Server::start().await;
    let authority = Authority::new();
    let (hook, address) = Hook::start(&authority).await;
    hook.answer(StatusCode::TEMPORARY_REDIRECT);
    let target = json!({ "webhook": { "url": format!("https://{address}/hook"),
        "ca_certificate": authority.pem } });
    let made = make(&server, "chat", &["alerts"], target, Some(KEY)).await;
    let path = format!("/receivers/{}/test", made["id"]);
    let (_, test) = server
        .send(Role::Administrator, Method::POST, &path, &Json::Null)
        .await;
    let error = test["error"].as_str().expect("why");
    assert!(error.contains("redirects are not followed"), "{test:#}");
    assert_eq!(hook.heard(1).await.len(), 1);
}

#[tokio::test]
async fn a_receiver_is_changed_and_its_secret_is_never_seen() {
    let server = Server::start_with("[log]\nlevel = \"debug\"\n").await;
    let authority = Authority::new();
    let (hook, address) = Hook::start(&authority).await;
    let target = |path: &str| {
        json!({ "webhook": { "url": format!("https://{address}/{path}"),
            "ca_certificate": authority.pem } })
    };
    let made = make(
        &server,
        "chat",
        &["audit"],
        target("wrong/a-token-in-the-path"),
        Some(KEY),
    )
    .await;
    assert_eq!(made["has_secret"], true);
    let path = format!("/receivers/{}", made["id"]);
    let change = json!({ "name": "chat", "subjects": ["alerts"], "target": target("hook") });
    let put = |if_match: &'static str| {
        let put = server.request(Role::Administrator, Method::PUT, &path);
        put.header("If-Match", if_match).json(&change).send()
    };
    assert_eq!(put("\"7\"").await.expect("an answer").status(), 412);
    let changed = put("\"1\"").await.expect("an answer");
    assert_eq!(changed.headers()["etag"], "\"2\"");
    let changed = changed.text().await.expect("a body");
    // The key is still the same.
    raise(&server, vec![alert(1, 1, None)]);
    let heard = hook.heard(1).await;
    assert_eq!(heard[0].0["wardline-event"], "alert-raised");
    let (status, twin) = server
        .send(
            Role::Administrator,
            Method::POST,
            "/receivers",
            &json!({ "name": "chat", "subjects": ["alerts"], "target": target("hook"),
                "secret": KEY }),
        )
        .await;
    assert_eq!(status, 409, "{twin:#}");
    let list = server.read("/receivers").await.to_string();
    let audit = server.read("/audit").await.to_string();
    assert!(audit.contains("update_receiver"), "{audit}");
    let metrics = format!("{:?}", scrape(&server).await);
    let log = server.log();
    for text in [&made.to_string(), &changed, &list, &audit, &metrics, &log] {
        assert!(!text.contains(KEY), "{text}");
    }
    for text in [&audit, &metrics, &log] {
        assert!(!text.contains("a-token-in-the-path"), "{text}");
    }
    let delete = server.request(Role::Administrator, Method::DELETE, &path);
    let delete = delete.header("If-Match", "\"2\"").send().await;
    assert_eq!(delete.expect("an answer").status(), 204);
    let read = server.request(Role::Administrator, Method::GET, &path);
    assert_eq!(read.send().await.expect("an answer").status(), 404);
}
