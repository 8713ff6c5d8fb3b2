//! The other process: a connection that comes back by itself, and what is collected through it.

mod alerts;
mod collect;
mod context;
mod flows;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use wardline_control::{Client, ClientError};

use crate::Shared;
use crate::api::problem::{Code, Problem};
use crate::live::Topic;

pub use collect::collect;

/// How long after a failed attempt the next one comes.
const AGAIN: Duration = Duration::from_millis(500);
/// How often a quiet connection is tried.
const TRIED_EVERY: Duration = Duration::from_secs(2);

/// The connection, as the rest of the process sees it.
#[derive(Debug)]
pub struct Link {
    socket: PathBuf,
    client: watch::Sender<Option<Client>>,
    /// Times it was reached anew.
    connections: AtomicU64,
}

impl Link {
    /// To the socket; not connected yet.
    pub fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            client: watch::channel(None).0,
            connections: AtomicU64::new(0),
        }
    }

    /// The connection.
    ///
    /// # Errors
    /// While the fast path is away.
    pub fn client(&self) -> Result<Client, Problem> {
        self.client.borrow().clone().ok_or_else(|| {
            Problem::new(
                Code::FastpathAway,
                "The fast path cannot be reached; it is tried again every half second.",
            )
            .retry_after_s(2)
        })
    }

    /// Times it was reached anew.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Waits until there is a connection.
    pub async fn connected(&self) -> Client {
        let mut client = self.client.subscribe();
        // The sender lives as long as `self`.
        let found = client.wait_for(Option::is_some).await;
        match found.ok().and_then(|found| found.clone()) {
            Some(client) => client,
            None => std::future::pending().await,
        }
    }

    /// Waits until the connection is lost.
    pub async fn gone(&self) {
        // The sender lives as long as `self`.
        let _ = self.client.subscribe().wait_for(Option::is_none).await;
    }

    /// Connects, and connects again whenever the fast path was gone. Never returns.
    pub async fn keep(&self, app: &Shared) {
        let mut told = false;
        loop {
            match Client::connect(&self.socket, "wardline-mgmt").await {
                Ok(client) => {
                    told = false;
                    let hello = client.hello().clone();
                    tracing::info!(
                        version = hello.software_version,
                        pid = hello.pid,
                        "the fast path is there"
                    );
                    let detail = serde_json::json!({ "version": hello.software_version });
                    app.live.tell(Topic::System, "fastpath-there", None, detail);
                    self.connections.fetch_add(1, Ordering::Relaxed);
                    self.client.send_replace(Some(client.clone()));
                    lost(&client).await;
                    self.client.send_replace(None);
                    tracing::warn!("the fast path is gone; it enforces on if it lives");
                    app.live.tell(
                        Topic::System,
                        "fastpath-gone",
                        None,
                        serde_json::Value::Null,
                    );
                }
                Err(error) if !told => {
                    told = true;
                    tracing::warn!(%error, "waiting for the fast path");
                }
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Returns when the connection is of no use any more.
async fn lost(client: &Client) {
    loop {
        tokio::time::sleep(TRIED_EVERY).await;
        if let Err(ClientError::Rpc(_)) = client.status().await {
            return;
        }
    }
}
