//! Brings what the fast path sees into the store, and what happens to those who listen.

use std::collections::HashMap;
use std::time::Duration;

use wardline_control::bounds::{EVENT_WAIT_MS, PAGE};
use wardline_control::{Client, DeviceView, EventKind, EventRecord};

use super::flows::{Ledger, WRITE_EVERY};
use crate::Shared;
use crate::api::flows::make_role_map;
use crate::live::Topic;
use crate::store::{StoreError, device, flow};
use crate::time::Time;

/// A device whose only news is that it was seen again is written down this rarely, in seconds.
const SEEN_AGAIN_S: i64 = 60;
/// How often the history is looked at for what is too old or too much.
const FORGET_EVERY: Duration = Duration::from_secs(60);
/// Between two pieces of it, so that others get their turn.
const FORGET_PAUSE: Duration = Duration::from_millis(200);
/// How often the map by role is drawn.
const DRAW_EVERY: Duration = Duration::from_secs(60);

/// Collects until the process ends; never returns.
pub async fn collect(app: Shared) {
    let ledger = Ledger::default();
    tokio::join!(
        devices(&app),
        events(&app, &ledger),
        conversations(&app, &ledger),
        write_history(&app, &ledger),
        forget_history(&app),
        draw_map(&app),
        super::alerts::collect(&app),
        super::context::hand_over(&app),
    );
}

/// Looks at all devices again and again.
async fn devices(app: &Shared) {
    let every = Duration::from_secs(app.config.fastpath.devices_every_s);
    let mut known = HashMap::new();
    loop {
        let client = app.fastpath.connected().await;
        match look(app, &client, &mut known).await {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "the devices could not be brought up to date"),
        }
        tokio::time::sleep(every).await;
    }
}

/// What was written of a device: its last frame, and a digest of the rest.
type Written = (Time, u64);

async fn look(
    app: &Shared,
    client: &Client,
    known: &mut HashMap<String, Written>,
) -> anyhow::Result<()> {
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        let page = client.devices(at, PAGE).await?;
        cursor = page.next;
        let news: Vec<_> = page
            .devices
            .iter()
            .filter(|view| is_news(view, known))
            .collect();
        write(app, &news).await?;
        for view in news {
            known.insert(device::key_text(&view.key), written(view));
        }
    }
    Ok(())
}

fn is_news(view: &DeviceView, known: &HashMap<String, Written>) -> bool {
    let (last, digest) = written(view);
    known
        .get(&device::key_text(&view.key))
        .is_none_or(|(then, before)| *before != digest || last > then.plus_s(SEEN_AGAIN_S))
}

fn written(view: &DeviceView) -> Written {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    let quiet = (
        &view.name,
        &view.role,
        device::word(&view.mode),
        device::word(&view.care),
        &view.addresses,
    );
    quiet.hash(&mut hasher);
    // What it is taken for is news; how much it sent is not.
    serde_json::to_string(&view.identity)
        .unwrap_or_default()
        .hash(&mut hasher);
    (Time::from_contract(view.last_seen_us), hasher.finish())
}

async fn write(app: &Shared, views: &[&DeviceView]) -> Result<(), StoreError> {
    if views.is_empty() {
        return Ok(());
    }
    let mut transaction = app.store.main.begin().await?;
    for view in views {
        device::write_seen(&mut transaction, view).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Looks at all conversations again and again.
async fn conversations(app: &Shared, ledger: &Ledger) {
    let every = Duration::from_secs(app.config.fastpath.flows_every_s);
    loop {
        if let Err(error) = ledger.look(app).await {
            tracing::debug!(%error, "the conversations could not be looked at");
        }
        tokio::time::sleep(every).await;
    }
}

/// Writes the history again and again.
async fn write_history(app: &Shared, ledger: &Ledger) {
    loop {
        tokio::time::sleep(WRITE_EVERY).await;
        ledger.write(app).await;
    }
}

/// Lets go of what is too old or too much, five minutes of history at a time.
async fn forget_history(app: &Shared) {
    loop {
        match forget_some(app).await {
            Ok(true) => tokio::time::sleep(FORGET_PAUSE).await,
            Ok(false) => tokio::time::sleep(FORGET_EVERY).await,
            Err(error) => {
                tracing::warn!(%error, "the history cannot be shortened");
                tokio::time::sleep(FORGET_EVERY).await;
            }
        }
    }
}

async fn forget_some(app: &Shared) -> Result<bool, StoreError> {
    let (history, limits) = (&app.store.history, &app.config.history);
    let too_old = Time::now().seconds() - i64::from(limits.days) * 86_400;
    if flow::forget(history, flow::bucket(too_old)).await? {
        return Ok(true);
    }
    if flow::size(history).await? <= limits.mib * 1024 * 1024 {
        return Ok(false);
    }
    match flow::oldest(history).await? {
        Some(oldest) => flow::forget(history, oldest + 1).await,
        None => Ok(false),
    }
}

/// Draws the map by role again and again.
async fn draw_map(app: &Shared) {
    loop {
        match make_role_map(app).await {
            Ok(map) => drop(app.role_map.send_replace(map.into())),
            Err(error) => tracing::warn!(%error, "the map cannot be drawn"),
        }
        tokio::time::sleep(DRAW_EVERY).await;
    }
}

/// Passes on what happens.
async fn events(app: &Shared, ledger: &Ledger) {
    let (mut process, mut next) = (None, 0);
    loop {
        let client = app.fastpath.connected().await;
        let hello = client.hello();
        let now = (hello.pid, hello.started_us);
        // Numbers begin anew with each process.
        if process != Some(now) {
            (process, next) = (Some(now), 0);
        }
        match client.events(next, PAGE, EVENT_WAIT_MS).await {
            Ok(batch) => {
                if batch.lost > 0 {
                    ledger.lost(batch.lost);
                    let detail = serde_json::json!({ "lost": batch.lost });
                    app.live.tell(Topic::System, "events-lost", None, detail);
                }
                next = batch.next_seq;
                for event in batch.events {
                    ledger.take(&event);
                    app.out.denied(client.hello(), &event);
                    pass_on(app, event).await;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "no events");
                tokio::time::sleep(super::AGAIN).await;
            }
        }
    }
}

async fn pass_on(app: &Shared, event: EventRecord) {
    let topic = match &event.kind {
        EventKind::DeviceSeen
        | EventKind::Identified { .. }
        | EventKind::RoleStated { .. }
        | EventKind::AddressBound { .. }
        | EventKind::WrongSide => Topic::Device,
        // Told when they are kept, by their numbers here.
        EventKind::Behaviour { .. } => return app.alerted.notify_one(),
        EventKind::AlertAccepted { alert, who, reason } => {
            return super::alerts::accepted(app, *alert, who, reason).await;
        }
        EventKind::Denied { .. } => Topic::Verdict,
        EventKind::PolicyApplied { .. } => {
            app.policies.look();
            Topic::Policy
        }
        EventKind::Started { .. } | EventKind::Link { .. } => Topic::System,
        // Too many to tell; they are in the flow history.
        EventKind::FlowBegun(_) | EventKind::FlowEnded { .. } => return,
    };
    let key = event.device.as_ref().map(device::key_text);
    let time = Time::from_contract(event.time_us);
    let mut detail = serde_json::to_value(&event.kind).unwrap_or_default();
    let name = detail
        .as_object_mut()
        .and_then(|fields| fields.remove("event"))
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default();
    app.live.tell_at(time, topic, &name, key, detail);
}
