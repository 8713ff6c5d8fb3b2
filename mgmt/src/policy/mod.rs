//! The policy's way through management: versions, the one that is wanted in force, and keeping the
//! fast path in step with it.
//!
//! What is wanted is written down before the fast path hears of it. Whatever dies in between, the
//! two are compared afterwards ([`reconcile`]): the fast path gets what it lacks, and what somebody
//! put in force there without management becomes a version of its own. Changes come one after the
//! other ([`Keeper::turn`]), so that none is made from a version that another one has replaced.

mod document;
pub mod modes;
mod patch;
pub mod reconcile;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{MutexGuard as Turn, Notify, Semaphore};
use wardline_control::{
    Applied, ApplyOptions, Client, ClientError, PolicyFormat, PolicyText, RefusedKind,
};
use wardline_policy::diagnostic::Diagnostic;

use crate::App;
use crate::api::problem::{Code, Problem};
use crate::live::Topic;
use crate::store::policy::{self as kept, Desired, Source, VersionRow};
use crate::store::{Actor, Change, Record, StoreError};
use crate::time::Time;
use reconcile::{InForce, Settled};

pub use document::{DOCUMENT_BYTES, Document, decompress, field_error, field_errors};

/// Documents that are read at once: the largest take some hundred MiB of memory.
const READ_AT_ONCE: usize = 2;
/// How long a change waits for those before it.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the first document says when a device is the first thing that is ever said.
const EMPTY: &str = "version = 1\nname = \"Ward\"\n";

/// What is shared by all who change the policy.
#[derive(Debug)]
pub struct Keeper {
    applying: tokio::sync::Mutex<()>,
    desk: Semaphore,
    wake: Notify,
    memory: Mutex<reconcile::Memory>,
}

impl Keeper {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self {
            applying: tokio::sync::Mutex::default(),
            desk: Semaphore::new(READ_AT_ONCE),
            wake: Notify::new(),
            memory: Mutex::default(),
        }
    }

    /// Says that the fast path may have another policy than before.
    pub fn look(&self) {
        self.wake.notify_one();
    }

    /// Waits until no other change is under way.
    async fn turn(&self) -> Result<Turn<'_, ()>, Problem> {
        let turn = tokio::time::timeout(PATIENCE, self.applying.lock()).await;
        turn.map_err(|_| busy("Other changes of the policy are under way."))
    }

    fn memory(&self) -> MutexGuard<'_, reconcile::Memory> {
        // Replaced field by field; any state of it is one that occurs.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Keeper {
    fn default() -> Self {
        Self::new()
    }
}

fn busy(detail: &str) -> Problem {
    Problem::new(Code::Unavailable, detail).retry_after_s(5)
}

/// Does something with documents beside the threads that answer requests.
///
/// # Errors
/// When too many others do.
pub async fn aside<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let place = tokio::time::timeout(PATIENCE, app.policies.desk.acquire()).await;
    let Ok(Ok(_place)) = place else {
        return Err(busy("Other documents are being read."));
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "reading a document failed");
        Problem::new(Code::Internal, "The log of the appliance says more.")
    })
}

/// Reads and checks a document.
///
/// # Errors
/// When too many others are being read; inside, everything that is wrong with it.
pub async fn read(
    app: &App,
    text: String,
    format: PolicyFormat,
) -> Result<Result<Document, Vec<Diagnostic>>, Problem> {
    aside(app, move || Document::read(text, format)).await
}

/// The document of a version.
///
/// # Errors
/// When there is no such version, or the store fails.
pub async fn load(app: &App, number: i64) -> Result<(VersionRow, Document), Problem> {
    let version = find(app, number).await?;
    let text = text(app, number).await?;
    let document = read(app, text, version.format).await?;
    let document = document.map_err(|found| {
        tracing::error!(
            version = number,
            ?found,
            "a version cannot be read any more"
        );
        let detail = format!("Version {number} was made by another version of this program.");
        Problem::new(Code::Conflict, detail).with(field_errors(&found))
    })?;
    Ok((version, document))
}

/// A version without its text.
///
/// # Errors
/// When there is no such version.
pub async fn find(app: &App, number: i64) -> Result<VersionRow, Problem> {
    let version = kept::find(app.store.main.read(), number).await?;
    version.ok_or_else(|| Problem::not_found("version", &number.to_string()))
}

/// The text of a version.
///
/// # Errors
/// When there is no such version, or what is kept is damaged.
pub async fn text(app: &App, number: i64) -> Result<String, Problem> {
    let gzip = kept::gzip(app.store.main.read(), number).await?;
    decompress(&gzip).map_err(|error| {
        StoreError::Damaged(format!("the text of version {number}: {error}")).into()
    })
}

/// Keeps a document as a new version, made from `parent` or else from the wanted one.
///
/// # Errors
/// When there is no such parent, or the store fails.
pub async fn create(
    app: &App,
    actor: Actor,
    document: &Document,
    parent: Option<i64>,
    reason: Option<String>,
) -> Result<VersionRow, Problem> {
    let db = app.store.main.read();
    let parent = match parent {
        Some(number) => Some(find(app, number).await?.number),
        None => match kept::desired(db).await? {
            Some(desired) => Some(desired.number),
            None => kept::newest(db).await?,
        },
    };
    let mut change = app.store.change(actor).await?;
    let who = change.actor().who.clone();
    let source = Source {
        origin: "api",
        parent,
        who: &who,
        reason: reason.as_deref(),
    };
    let version = kept::insert(change.db(), document, &source).await?;
    let record = Record::new("create_policy", subject(version.number))
        .because(reason)
        .after(&facts(&version));
    change.commit(record).await?;
    tell(app, "policy-created", &facts(&version));
    Ok(version)
}

/// What is to be put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which version.
    pub number: i64,
    /// Rolled back unless confirmed within so many seconds.
    pub confirm_within_s: Option<u32>,
    /// Only if this version is the wanted one now.
    pub expected: Option<i64>,
    /// Why.
    pub reason: String,
}

/// Puts a version in force.
///
/// # Errors
/// When the wanted version is not the expected one, or the fast path is away or refuses. If it is
/// lost on the way, the version stays wanted.
pub async fn apply(app: &App, actor: Actor, order: &Order) -> Result<Applied, Problem> {
    let (_, document) = load(app, order.number).await?;
    let _turn = app.policies.turn().await?;
    let client = app.fastpath.client()?;
    let settled = reconcile::settle(app, &client).await?;
    expect(order.expected, settled.desired.as_ref())?;
    let want = Desired {
        number: order.number,
        confirmed: order.confirm_within_s.is_none(),
        fallback: order.confirm_within_s.and(stays(settled.desired.as_ref())),
        since: Time::now(),
        who: actor.who.clone(),
    };
    let record = Record::new("apply_policy", subject(order.number))
        .because(Some(order.reason.clone()))
        .before(&settled.desired.as_ref().map(|desired| desired.number))
        .after(&json!({ "number": order.number, "confirm_within_s": order.confirm_within_s }));
    let change = app.store.change(actor).await?;
    let wanted = Wanted {
        created: None,
        want,
        document: &document,
        confirm_within_s: order.confirm_within_s,
    };
    put(app, &client, change, wanted, &settled, vec![record]).await
}

/// Whether the version that a caller believes is wanted is the wanted one.
///
/// # Errors
/// When it is another one.
pub fn expect(expected: Option<i64>, desired: Option<&Desired>) -> Result<(), Problem> {
    let Some(expected) = expected else {
        return Ok(());
    };
    match desired {
        Some(desired) if desired.number == expected => Ok(()),
        Some(desired) => Err(Problem::new(
            Code::Conflict,
            format!(
                "Version {} is the wanted one, not {expected}; look at it before replacing it.",
                desired.number
            ),
        )),
        None => Err(Problem::new(Code::Conflict, "No version is wanted yet.")),
    }
}

/// The version that is not on trial.
fn stays(desired: Option<&Desired>) -> Option<i64> {
    let desired = desired?;
    if desired.confirmed {
        Some(desired.number)
    } else {
        desired.fallback
    }
}

/// Keeps the version that is on trial.
///
/// # Errors
/// When it is not on trial, or the fast path is away or refuses.
pub async fn confirm(
    app: &App,
    actor: Actor,
    number: i64,
    reason: Option<String>,
) -> Result<(), Problem> {
    find(app, number).await?;
    let _turn = app.policies.turn().await?;
    let client = app.fastpath.client()?;
    let settled = reconcile::settle(app, &client).await?;
    let on_trial = settled
        .desired
        .as_ref()
        .is_some_and(|desired| desired.number == number && !desired.confirmed);
    if !on_trial {
        let detail = format!("Version {number} is not on trial: nothing to confirm.");
        return Err(Problem::new(Code::Conflict, detail));
    }
    client.policy_confirm(settled.now.id.clone()).await?;
    let mut change = app.store.change(actor).await?;
    kept::confirm(change.db()).await?;
    let record = Record::new("confirm_policy", subject(number)).because(reason);
    change.commit(record).await?;
    tell(app, "policy-confirmed", &json!({ "number": number }));
    Ok(())
}

/// A change of the wanted document.
#[derive(Debug)]
pub struct Edit {
    /// What it says afterwards.
    pub document: wardline_policy::Document,
    /// One for each thing that is changed.
    pub records: Vec<Record>,
    /// Why.
    pub reason: String,
}

/// Changes the wanted document, as a new version, and puts that in force. `make` gets what it says
/// now; none from it: nothing is to be changed. Answers with the version that is wanted then.
///
/// # Errors
/// As [`apply`], when a version is on trial, and with what `make` says.
pub async fn edit(
    app: &App,
    actor: Actor,
    make: impl FnOnce(&wardline_policy::Document) -> Result<Option<Edit>, Problem>,
) -> Result<Option<i64>, Problem> {
    let _turn = app.policies.turn().await?;
    let client = app.fastpath.client()?;
    let settled = reconcile::settle(app, &client).await?;
    if let Some(trial) = settled
        .desired
        .as_ref()
        .filter(|desired| !desired.confirmed)
    {
        let number = trial.number;
        let detail = format!("Version {number} is on trial: confirm it, or wait for its end.");
        return Err(Problem::new(Code::Conflict, detail));
    }
    let parent = settled.desired.as_ref().map(|desired| desired.number);
    let base = match parent {
        Some(number) => load(app, number).await?.1,
        None => wrong(read(app, EMPTY.to_owned(), PolicyFormat::Toml).await?)?,
    };
    let Some(edit) = make(&base.parsed)? else {
        return Ok(parent);
    };
    let to = edit.document;
    let document = wrong(aside(app, move || base.edited(to)).await?)?;
    let mut change = app.store.change(actor).await?;
    let who = change.actor().who.clone();
    let source = Source {
        origin: "edit",
        parent,
        who: &who,
        reason: Some(&edit.reason),
    };
    let version = kept::insert(change.db(), &document, &source).await?;
    let wanted = Wanted {
        created: Some(facts(&version)),
        want: Desired {
            number: version.number,
            confirmed: true,
            fallback: None,
            since: Time::now(),
            who: who.clone(),
        },
        document: &document,
        confirm_within_s: None,
    };
    put(app, &client, change, wanted, &settled, edit.records).await?;
    Ok(Some(version.number))
}

fn wrong(read: Result<Document, Vec<Diagnostic>>) -> Result<Document, Problem> {
    read.map_err(|found| {
        let detail = "The policy would not hold with this change; see `errors`.";
        Problem::new(Code::Conflict, detail).with(field_errors(&found))
    })
}

/// A version on its way.
struct Wanted<'a> {
    /// What is told of the version when it is kept, if it is not kept yet.
    created: Option<serde_json::Value>,
    want: Desired,
    document: &'a Document,
    confirm_within_s: Option<u32>,
}

/// Writes down what is wanted, then puts it in force. If the fast path refuses, what was wanted
/// before is wanted again.
async fn put(
    app: &App,
    client: &Client,
    mut change: Change,
    wanted: Wanted<'_>,
    settled: &Settled,
    records: Vec<Record>,
) -> Result<Applied, Problem> {
    let number = wanted.want.number;
    let actor = change.actor().clone();
    kept::want(change.db(), &wanted.want, wanted.document).await?;
    change.commit_all(records).await?;
    if let Some(created) = &wanted.created {
        tell(app, "policy-created", created);
    }
    let applied = hand_over(app, client, number, &wanted, &settled.now).await;
    match applied {
        Ok(applied) => {
            app.policies.memory().forget_trouble();
            let detail = json!({ "number": number, "content_id": applied.id,
                "rollback_at_s": applied.rollback_at_s, "by": actor.who });
            tell(app, "policy-in-force", &detail);
            Ok(applied)
        }
        Err(ClientError::Refused(refused)) => {
            let reason = format!("the fast path refused: {}", refused.message);
            take_back(app, actor, number, settled.desired.as_ref(), reason).await?;
            Err(ClientError::Refused(refused).into())
        }
        Err(error) => {
            tracing::warn!(%error, version = number, "the fast path was lost while it applied");
            let detail = format!(
                "The fast path was lost on the way. Version {number} stays wanted and is put in \
                 force as soon as it is back."
            );
            app.policies.look();
            Err(Problem::new(Code::FastpathAway, detail).retry_after_s(5))
        }
    }
}

async fn hand_over(
    app: &App,
    client: &Client,
    number: i64,
    wanted: &Wanted<'_>,
    now: &InForce,
) -> Result<Applied, ClientError> {
    let order = |expected: &str| {
        let text = PolicyText {
            name: format!("version {number}"),
            format: wanted.document.format,
            text: wanted.document.text.clone(),
        };
        let options = ApplyOptions {
            expected_id: Some(expected.to_owned()),
            confirm_within_s: wanted.confirm_within_s,
        };
        client.policy_apply(text, options)
    };
    let refused = match order(&now.id).await {
        Err(ClientError::Refused(refused)) if refused.kind == RefusedKind::Conflict => refused,
        answer => return answer,
    };
    // A limited permission that begins or ends changes the id of the same document.
    match reconcile::in_force(app, client).await {
        Ok(again) if again.digest == now.digest && again.id != now.id => order(&again.id).await,
        _ => Err(refused.into()),
    }
}

/// Makes wanted again what was wanted before.
async fn take_back(
    app: &App,
    actor: Actor,
    number: i64,
    before: Option<&Desired>,
    reason: String,
) -> Result<(), Problem> {
    let document = match before {
        Some(before) => Some(load(app, before.number).await?.1),
        None => None,
    };
    let mut change = app.store.change(actor).await?;
    match (before, &document) {
        (Some(before), Some(document)) => kept::want(change.db(), before, document).await?,
        _ => kept::want_none(change.db()).await?,
    }
    let record = Record::new("apply_policy", subject(number))
        .because(Some(reason.clone()))
        .before(&number)
        .after(&before.map(|desired| desired.number));
    change.commit(record).await?;
    tell(
        app,
        "policy-refused",
        &json!({ "number": number, "reason": reason }),
    );
    Ok(())
}

/// A version, as the audit log names it.
fn subject(number: i64) -> String {
    format!("policy/{number}")
}

fn facts(version: &VersionRow) -> serde_json::Value {
    json!({ "number": version.number, "name": version.name, "content_id": version.content_id,
        "origin": version.origin, "parent": version.parent })
}

fn tell(app: &App, event: &str, detail: &serde_json::Value) {
    app.live.tell(Topic::Policy, event, None, detail.clone());
}
