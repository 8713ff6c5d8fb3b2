//! The order of a start and of a stop.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use tokio::sync::watch;

use crate::auth::login::Login;
use crate::auth::{Gate, setup};
use crate::captures::{self, Shelf};
use crate::config::Config;
use crate::connections::{Door, bounded};
use crate::jobs::Jobs;
use crate::live::Hub;
use crate::metrics::Metrics;
use crate::out::{self, Out};
use crate::policy::{self, Keeper};
use crate::store::{Store, job};
use crate::time::Time;
use crate::{App, Shared, api, fastpath, tls};

/// How long requests under way may take when the process is stopped.
const GRACE: Duration = Duration::from_secs(5);

/// Runs until told to stop. `ready` is written when the service answers.
///
/// # Errors
/// What kept it from starting.
pub async fn run(config: Config, ready: Option<&Path>) -> Result<()> {
    let store = Store::open(&config.state.dir)
        .await
        .with_context(|| format!("state directory {}", config.state.dir.display()))?;
    let unfinished = job::fail_unfinished(&store.main).await?;
    if unfinished > 0 {
        tracing::warn!(
            unfinished,
            "jobs of the process before are marked as failed"
        );
    }
    let files = tls::Files::prepare(&config.listen, &config.state.dir)?;
    let serving = RustlsConfig::from_config(files.load()?);
    let address = config.listen.address;
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address} (`listen.address`)"))?;
    listener.set_nonblocking(true)?;
    say_setup_code(&store, &config.state.dir).await?;
    let app: Shared = Arc::new(App {
        fastpath: fastpath::Link::new(config.fastpath.socket.clone()),
        login: Login::new(&config, &store).await?,
        store,
        live: Hub::new(),
        role_map: watch::Sender::default(),
        jobs: Jobs::new(),
        policies: Keeper::new(),
        captures: Shelf::default(),
        alerted: tokio::sync::Notify::new(),
        metrics: Metrics::new(),
        out: Out::new(),
        context_changed: tokio::sync::Notify::new(),
        under_way: api::idempotency::UnderWay::default(),
        gate: Gate::new(&api::document()),
        started: Time::now(),
        config,
    });
    let handle = Handle::new();
    let tasks = background(&app, &files, &serving, &handle);
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    if let Some(file) = ready {
        write_ready(file, address, &files)?;
    }
    let server = axum_server::from_tcp_rustls(listener, serving)?
        .map(|acceptor| acceptor.acceptor(Door::default()));
    bounded(server)
        .handle(handle)
        .serve(api::router(app.clone()).into_make_service_with_connect_info::<SocketAddr>())
        .await?;
    for task in tasks {
        task.abort();
    }
    app.store.close().await;
    Ok(())
}

/// Where nobody is an administrator yet, the console says how to become the first. The log, which
/// may go elsewhere, does not.
async fn say_setup_code(store: &Store, dir: &Path) -> Result<()> {
    if let Some(code) = setup::prepare(store, dir).await? {
        // Nobody may be listening; the file is there all the same.
        let _ = writeln!(std::io::stdout(), "{}", setup::words(&code, dir));
    }
    Ok(())
}

/// What a program needs to come in. The socket listens already, so it may come at once.
fn write_ready(file: &Path, address: SocketAddr, files: &tls::Files) -> Result<()> {
    let ready = serde_json::json!({
        "address": format!("https://{address}"),
        "ca_certificate": files.authority(),
        "pid": std::process::id(),
    });
    let beside = file.with_extension("new");
    std::fs::write(&beside, format!("{ready:#}\n"))
        .and_then(|()| std::fs::rename(&beside, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

fn background(
    app: &Shared,
    files: &tls::Files,
    serving: &RustlsConfig,
    handle: &Handle<SocketAddr>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let keep = {
        let app = app.clone();
        async move { app.fastpath.keep(&app).await }
    };
    let forget = {
        let app = app.clone();
        async move { captures::forget(&app.captures).await }
    };
    let watch = {
        let (files, serving) = (files.clone(), serving.clone());
        async move { files.watch(serving).await }
    };
    let stop = {
        let handle = handle.clone();
        async move {
            told_to_stop().await;
            handle.graceful_shutdown(Some(GRACE));
        }
    };
    vec![
        tokio::spawn(keep),
        tokio::spawn(fastpath::collect(app.clone())),
        tokio::spawn(forget),
        tokio::spawn(out::keep_telling(app.clone())),
        tokio::spawn(policy::reconcile::keep_in_step(app.clone())),
        tokio::spawn(watch),
        tokio::spawn(stop),
    ]
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut signals = Vec::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        match signal(kind) {
            Ok(signal) => signals.push(signal),
            Err(error) => tracing::error!(%error, "a signal cannot be waited for"),
        }
    }
    let waits = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
    futures::future::select_all(waits).await;
}
