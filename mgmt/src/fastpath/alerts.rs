//! Brings the alerts of the fast path into the store, and tells of them.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use wardline_control::bounds::PAGE;
use wardline_control::{Alert, Client};

use crate::api::alerts::{keep_acceptance, tell};
use crate::out::keep_alert;
use crate::store::alert::{self, News};
use crate::store::{Actor, device};
use crate::{App, Shared};

/// How often all alerts are looked at when none is told of.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Further alerts that come with the first are taken in one look.
const GATHER: Duration = Duration::from_millis(200);

/// Collects until the process ends; never returns.
pub(super) async fn collect(app: &Shared) {
    let mut known = HashMap::new();
    loop {
        let client = app.fastpath.connected().await;
        if let Err(error) = look(app, &client, &mut known).await {
            tracing::warn!(%error, "the alerts could not be brought up to date");
        }
        tokio::select! {
            () = app.alerted.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// What was written of each alert, as a digest, by number and device.
type Known = HashMap<(u64, String), u64>;

async fn look(app: &App, client: &Client, known: &mut Known) -> anyhow::Result<()> {
    let mut there = HashSet::new();
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        let page = client.alerts(at, PAGE).await?;
        cursor = page.next;
        let mut news = Vec::new();
        for shown in page.alerts {
            let name = (shown.id, device::key_text(&shown.device));
            there.insert(name.clone());
            let digest = digest(&shown);
            if known.insert(name, digest) != Some(digest) {
                news.push(shown);
            }
        }
        if let Err(error) = write(app, &news).await {
            // So that they are news again.
            known.clear();
            return Err(error);
        }
    }
    known.retain(|name, _| there.contains(name));
    end_others(app, &there).await
}

fn digest(shown: &Alert) -> u64 {
    let mut hasher = DefaultHasher::new();
    let gist = (shown.last_us, shown.score_percent, shown.observations);
    (
        gist,
        &shown.kind,
        &shown.reasons,
        device::word(&shown.state),
    )
        .hash(&mut hasher);
    hasher.finish()
}

async fn write(app: &App, shown: &[Alert]) -> anyhow::Result<()> {
    if shown.is_empty() {
        return Ok(());
    }
    let mut news = Vec::new();
    let mut transaction = app.store.main.begin().await?;
    for shown in shown {
        if let Some((id, what)) = alert::write(&mut transaction, shown).await? {
            keep_alert(&mut transaction, what.event(), id).await?;
            news.push((id, what));
        }
    }
    alert::prune(&mut transaction).await?;
    transaction.commit().await?;
    for (id, what) in news {
        tell(app, what.event(), id).await?;
    }
    Ok(())
}

/// What is open here and not known there any more is over.
async fn end_others(app: &App, there: &HashSet<(u64, String)>) -> anyhow::Result<()> {
    let open = alert::open(app.store.main.read()).await?;
    let gone = open.into_iter().filter(|(_, number, device)| {
        let number = u64::try_from(*number).unwrap_or_default();
        !there.contains(&(number, device.clone()))
    });
    for (id, _, _) in gone {
        let mut transaction = app.store.main.begin().await?;
        alert::end(&mut transaction, id).await?;
        keep_alert(&mut transaction, News::Ended.event(), id).await?;
        transaction.commit().await?;
        tell(app, News::Ended.event(), id).await?;
    }
    Ok(())
}

/// Somebody accepted an alert at the fast path.
pub(super) async fn accepted(app: &App, number: u64, who: &str, reason: &str) {
    let written = async {
        let found = alert::not_accepted(app.store.main.read(), number).await?;
        let mut db = app.store.main.read().acquire().await?;
        let row = match found {
            Some(id) => alert::find(&mut db, id).await?,
            None => None,
        };
        drop(db);
        if let Some(row) = row {
            let who = who.to_owned();
            let actor = Actor { who, address: None };
            keep_acceptance(app, actor, &row, reason).await?;
        }
        anyhow::Ok(())
    };
    if let Err(error) = written.await {
        tracing::warn!(%error, alert = number, "an acceptance was not kept");
    }
}
