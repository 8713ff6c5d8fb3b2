//! Hands the fast path what others say of devices: after each connection, and whenever it changes.

use std::time::Duration;

use wardline_control::bounds::CONTEXT_ENTRIES;
use wardline_control::{Client, ContextEntry, Subject};

use crate::store::context::{self, ContextRow};
use crate::store::device::parse_key;
use crate::{App, Shared};

/// How often what has expired is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// Further changes that come with the first are handed over together.
const GATHER: Duration = Duration::from_millis(200);

/// Hands over until the process ends; never returns.
pub(super) async fn hand_over(app: &Shared) {
    loop {
        let client = app.fastpath.connected().await;
        let wait = match hand(app, &client).await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(%error, "the fast path did not take the context");
                AGAIN
            }
        };
        tokio::select! {
            () = app.context_changed.notified() => tokio::time::sleep(GATHER).await,
            () = app.fastpath.gone() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn hand(app: &App, client: &Client) -> anyhow::Result<()> {
    let mut transaction = app.store.main.begin().await?;
    context::forget(&mut transaction).await?;
    let rows = context::list(&mut transaction, None).await?;
    transaction.commit().await?;
    let entries = rows.into_iter().filter_map(entry).take(CONTEXT_ENTRIES);
    client.context_set(entries.collect()).await?;
    Ok(())
}

fn entry(row: ContextRow) -> Option<ContextEntry> {
    Some(ContextEntry {
        subject: Subject::Device(parse_key(&row.device)?),
        user: row.said.user,
        health: row.said.health,
        location: row.said.location,
        data_sensitivity: row.said.data_sensitivity,
        source: row.source,
        observed_us: u64::try_from(row.observed.us()).unwrap_or_default(),
        expires_us: u64::try_from(row.expires.us()).unwrap_or_default(),
    })
}
