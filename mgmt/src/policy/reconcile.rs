//! Compares what is wanted with what is in force, and brings the two together.

use std::time::{Duration, Instant};

use serde_json::json;
use wardline_control::{Client, Hello};

use super::{Wanted, kept, load, read, subject, tell};
use crate::api::problem::{Code, Problem};
use crate::policy::document;
use crate::store::policy::{By, Desired, Source};
use crate::store::{Actor, Record};
use crate::time::Time;
use crate::{App, Shared};

/// How often the two are compared when nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long it waits after a version was refused; doubles each time.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest of these.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Steps until the two agree: a trial ends, another policy is taken in.
const STEPS: usize = 4;

/// The policy in force, as the fast path shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its content id. Changes with the limited permissions that are going on.
    pub id: String,
    /// `state`, `initial`, `control` or `none`.
    pub origin: String,
    /// When it was applied.
    pub applied: Time,
    /// When it is rolled back unless confirmed.
    pub rollback_at: Option<Time>,
    /// When a limited permission begins or ends next.
    pub next_boundary: Option<Time>,
    /// Digest of what it says; absent: no document was ever applied there.
    pub digest: Option<String>,
    /// The version that says the same; absent: management does not know it.
    pub number: Option<i64>,
}

/// Where the two stand after everything but handing over what is missing.
#[derive(Debug, Clone)]
pub struct Settled {
    /// What is wanted.
    pub desired: Option<Desired>,
    /// What is in force.
    pub now: InForce,
    /// Whether the fast path lacks what is wanted.
    pub behind: bool,
}

/// What need not be asked again.
#[derive(Debug, Default)]
pub struct Memory {
    seen: Option<Seen>,
    trouble: Option<Trouble>,
}

/// What the policy in force says, which need not be read again.
#[derive(Debug, Clone)]
struct Seen {
    /// The process, the number of the policy there, and its content id.
    key: (u32, u64, u32, String),
    digest: Option<String>,
}

#[derive(Debug)]
struct Trouble {
    /// The process and the version it is about.
    about: (u32, u64, i64),
    message: String,
    wait: Duration,
    again: Instant,
}

impl Memory {
    pub(super) fn forget_trouble(&mut self) {
        self.trouble = None;
    }
}

/// What keeps the fast path from being in step, in a sentence.
pub fn trouble(app: &App) -> Option<String> {
    let memory = app.policies.memory();
    memory
        .trouble
        .as_ref()
        .map(|trouble| trouble.message.clone())
}

/// Keeps the two in step until the process ends; never returns.
pub async fn keep_in_step(app: Shared) {
    loop {
        let client = app.fastpath.connected().await;
        if let Err(problem) = once(&app, &client).await {
            tracing::debug!(
                problem.detail,
                "wanted and applied policy could not be compared"
            );
        }
        tokio::select! {
            () = app.policies.wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn once(app: &App, client: &Client) -> Result<(), Problem> {
    let _turn = app.policies.turn().await?;
    let settled = settle(app, client).await?;
    let Some(desired) = settled.desired.as_ref().filter(|_| settled.behind) else {
        app.policies.memory().forget_trouble();
        return Ok(());
    };
    let hello = client.hello();
    let about = (hello.pid, hello.started_us, desired.number);
    if waits(app, about) {
        return Ok(());
    }
    let result = catch_up(app, client, desired, &settled.now).await;
    if let Err(problem) = &result {
        note_trouble(app, about, desired.number, problem);
    }
    result
}

/// Whether it was tried in vain a short while ago.
fn waits(app: &App, about: (u32, u64, i64)) -> bool {
    let memory = app.policies.memory();
    let trouble = memory
        .trouble
        .as_ref()
        .filter(|trouble| trouble.about == about);
    trouble.is_some_and(|trouble| Instant::now() < trouble.again)
}

fn note_trouble(app: &App, about: (u32, u64, i64), number: i64, problem: &Problem) {
    let mut memory = app.policies.memory();
    let before = memory
        .trouble
        .take()
        .filter(|trouble| trouble.about == about);
    let wait = before
        .as_ref()
        .map_or(FIRST_WAIT, |trouble| trouble.wait * 2);
    let wait = wait.min(LONGEST_WAIT);
    let message = format!(
        "version {number} cannot be put in force: {}",
        problem.detail
    );
    memory.trouble = Some(Trouble {
        about,
        message: message.clone(),
        wait,
        again: Instant::now() + wait,
    });
    drop(memory);
    if before.is_none() {
        tracing::error!(
            version = number,
            problem.detail,
            "the fast path stays behind"
        );
        let detail = json!({ "number": number, "reason": message });
        tell(app, "policy-refused", &detail);
    }
}

/// Hands over what the fast path lacks.
async fn catch_up(
    app: &App,
    client: &Client,
    desired: &Desired,
    now: &InForce,
) -> Result<(), Problem> {
    let (_, document) = load(app, desired.number).await?;
    let wanted = Wanted {
        created: None,
        want: desired.clone(),
        document: &document,
        confirm_within_s: None,
    };
    let applied = super::hand_over(app, client, desired.number, &wanted, now).await?;
    let record = Record::new("apply_policy", subject(desired.number))
        .because(Some("the fast path was behind"))
        .before(&json!({ "content_id": now.id, "number": now.number }))
        .after(&json!({ "content_id": applied.id, "number": desired.number }));
    app.store
        .change(Actor::system())
        .await?
        .commit(record)
        .await?;
    app.policies.memory().forget_trouble();
    let detail = json!({ "number": desired.number, "content_id": applied.id,
        "rollback_at_s": null, "by": "system" });
    tell(app, "policy-in-force", &detail);
    Ok(())
}

/// What the fast path shows.
///
/// # Errors
/// When it is away, or its policy cannot be read here.
pub async fn in_force(app: &App, client: &Client) -> Result<InForce, Problem> {
    let policy = app.fastpath.status(client).await?.policy;
    let Hello {
        pid, started_us, ..
    } = *client.hello();
    let key = (pid, started_us, policy.generation, policy.id.clone());
    let seen = app.policies.memory().seen.clone();
    let digest = match seen.filter(|seen| seen.key == key) {
        Some(seen) => seen.digest,
        None => {
            let digest = identify(app, client, &policy.id).await?;
            app.policies.memory().seen = Some(Seen {
                key,
                digest: digest.clone(),
            });
            digest
        }
    };
    let db = app.store.main.read();
    let number = match &digest {
        Some(digest) => kept::known(db, By::Document(digest)).await?,
        None => None,
    };
    let at = |seconds: u64| {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Time::from_us(0).plus_s(seconds)
    };
    Ok(InForce {
        id: policy.id,
        origin: policy.origin,
        applied: Time::from_contract(policy.applied_us),
        rollback_at: policy.rollback_at_s.map(at),
        next_boundary: policy.next_boundary_s.map(at),
        digest,
        number: number.map(|(number, _)| number),
    })
}

/// Digest of what the policy with this id says.
async fn identify(app: &App, client: &Client, id: &str) -> Result<Option<String>, Problem> {
    let shown = client.policy_show().await?;
    if shown.id != id {
        let detail = "The policy in force is just changing.";
        return Err(Problem::new(Code::Unavailable, detail).retry_after_s(1));
    }
    if shown.policy.text.is_empty() {
        return Ok(None);
    }
    let digest = document::digest(shown.policy.text.as_bytes());
    let known = kept::known(app.store.main.read(), By::Text(&digest)).await?;
    if let Some((_, digest)) = known {
        return Ok(Some(digest));
    }
    let document = read(app, shown.policy.text, shown.policy.format).await?;
    document.map(|d| Some(d.document_digest)).map_err(|found| {
        tracing::error!(?found, "the policy in force cannot be read here");
        Problem::new(
            Code::Conflict,
            "The policy in force cannot be read here: are both processes of one version?",
        )
    })
}

/// Takes in what happened in the fast path: a trial ended there, or somebody put another policy in
/// force.
///
/// # Errors
/// When the fast path is away, or the store fails.
pub async fn settle(app: &App, client: &Client) -> Result<Settled, Problem> {
    let mut now = in_force(app, client).await?;
    for _ in 0..STEPS {
        let db = app.store.main.read();
        let desired = kept::desired(db).await?;
        let digest = match &desired {
            Some(desired) => Some(super::find(app, desired.number).await?.document_digest),
            None => None,
        };
        let step = decide(desired.as_ref().zip(digest.as_deref()), &now);
        match (step, &desired) {
            (Step::Confirmed, Some(desired)) => confirmed(app, desired).await?,
            (Step::RolledBack, Some(desired)) => rolled_back(app, desired).await?,
            (Step::ConfirmThere, Some(_)) => {
                client.policy_confirm(now.id.clone()).await?;
                now.rollback_at = None;
            }
            (Step::Adopt, desired) => {
                now.number = Some(adopt(app, client, &now, desired.as_ref()).await?);
            }
            (step, _) => {
                let behind = step == Step::Apply;
                return Ok(Settled {
                    desired,
                    now,
                    behind,
                });
            }
        }
    }
    let detail = "The policy in force keeps changing.";
    Err(Problem::new(Code::Unavailable, detail).retry_after_s(1))
}

/// What brings the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// They agree.
    Nothing,
    /// What is wanted was on trial and was confirmed there.
    Confirmed,
    /// What is wanted to stay is on trial there.
    ConfirmThere,
    /// The trial is over.
    RolledBack,
    /// What is in force there becomes what is wanted.
    Adopt,
    /// What is wanted is put in force there.
    Apply,
}

fn decide(desired: Option<(&Desired, &str)>, now: &InForce) -> Step {
    let Some((desired, digest)) = desired else {
        return if now.digest.is_some() {
            Step::Adopt
        } else {
            Step::Nothing
        };
    };
    if now.digest.as_deref() == Some(digest) {
        return match (desired.confirmed, now.rollback_at) {
            (true, None) | (false, Some(_)) => Step::Nothing,
            (false, None) => Step::Confirmed,
            (true, Some(_)) => Step::ConfirmThere,
        };
    }
    if !desired.confirmed {
        return Step::RolledBack;
    }
    // It began without what it had accepted last.
    if now.digest.is_none() || now.origin == "initial" {
        return Step::Apply;
    }
    // An older version is in force because it was not reached since; a later decision, or a policy
    // nobody here knows, was made by somebody at the fast path.
    if now.number.is_none() || now.applied > desired.since {
        Step::Adopt
    } else {
        Step::Apply
    }
}

async fn confirmed(app: &App, desired: &Desired) -> Result<(), Problem> {
    let mut change = app.store.change(Actor::system()).await?;
    kept::confirm(change.db()).await?;
    let record = Record::new("confirm_policy", subject(desired.number))
        .because(Some("it was confirmed at the fast path"));
    change.commit(record).await?;
    tell(
        app,
        "policy-confirmed",
        &json!({ "number": desired.number }),
    );
    Ok(())
}

async fn rolled_back(app: &App, desired: &Desired) -> Result<(), Problem> {
    let document = match desired.fallback {
        Some(number) => Some((number, load(app, number).await?.1)),
        None => None,
    };
    let mut change = app.store.change(Actor::system()).await?;
    match &document {
        Some((number, document)) => {
            let back = Desired {
                number: *number,
                confirmed: true,
                fallback: None,
                since: Time::now(),
                who: "system".to_owned(),
            };
            kept::want(change.db(), &back, document).await?;
        }
        None => kept::want_none(change.db()).await?,
    }
    let record = Record::new("roll_back_policy", subject(desired.number))
        .because(Some(
            "nobody confirmed it in time, or the fast path was lost meanwhile",
        ))
        .before(&desired.number)
        .after(&desired.fallback);
    change.commit(record).await?;
    let detail = json!({ "number": desired.number, "now": desired.fallback });
    tell(app, "policy-rolled-back", &detail);
    Ok(())
}

/// Makes what is in force the wanted version; keeps it as one if nobody here knows it.
async fn adopt(
    app: &App,
    client: &Client,
    now: &InForce,
    before: Option<&Desired>,
) -> Result<i64, Problem> {
    let document = match now.number {
        Some(number) => load(app, number).await?.1,
        None => {
            let shown = client.policy_show().await?.policy;
            super::wrong(read(app, shown.text, shown.format).await?)?
        }
    };
    let changed = now.digest.as_deref() != Some(document.document_digest.as_str());
    if changed {
        let detail = "The policy in force is just changing.";
        return Err(Problem::new(Code::Unavailable, detail).retry_after_s(1));
    }
    let mut change = app.store.change(Actor::system()).await?;
    let number = match now.number {
        Some(number) => number,
        None => {
            let source = Source {
                origin: "fastpath",
                parent: before.map(|desired| desired.number),
                who: "fastpath",
                reason: Some("found in force"),
            };
            kept::insert(change.db(), &document, &source).await?.number
        }
    };
    let want = Desired {
        number,
        confirmed: now.rollback_at.is_none(),
        fallback: now.rollback_at.and(super::stays(before)),
        since: now.applied,
        who: "fastpath".to_owned(),
    };
    kept::want(change.db(), &want, &document).await?;
    let record = Record::new("adopt_policy", subject(number))
        .because(Some("it was put in force at the fast path"))
        .before(&before.map(|desired| desired.number))
        .after(&json!({ "number": number, "content_id": now.id, "on_trial": !want.confirmed }));
    change.commit(record).await?;
    tell(
        app,
        "policy-adopted",
        &json!({ "number": number, "content_id": now.id }),
    );
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired(confirmed: bool) -> Desired {
        Desired {
            number: 7,
            confirmed,
            fallback: Some(6),
            since: Time::from_us(1_000),
            who: "user:anna".to_owned(),
        }
    }

    fn in_force(digest: Option<&str>, number: Option<i64>, applied_us: i64) -> InForce {
        InForce {
            id: "id".to_owned(),
            origin: "control".to_owned(),
            applied: Time::from_us(applied_us),
            rollback_at: None,
            next_boundary: None,
            digest: digest.map(str::to_owned),
            number,
        }
    }

    fn step(confirmed: bool, now: &InForce) -> Step {
        decide(Some((&desired(confirmed), "seven")), now)
    }

    #[test]
    fn nothing_is_done_when_they_agree() {
        let mut now = in_force(Some("seven"), Some(7), 2_000);
        assert_eq!(step(true, &now), Step::Nothing);
        assert_eq!(step(false, &now), Step::Confirmed);
        now.rollback_at = Some(Time::from_us(9_000));
        assert_eq!(step(false, &now), Step::Nothing);
        assert_eq!(step(true, &now), Step::ConfirmThere);
        assert_eq!(decide(None, &in_force(None, None, 0)), Step::Nothing);
    }

    #[test]
    fn a_fast_path_that_is_behind_gets_what_it_lacks() {
        assert_eq!(
            step(true, &in_force(Some("six"), Some(6), 500)),
            Step::Apply
        );
        assert_eq!(step(true, &in_force(None, None, 2_000)), Step::Apply);
        let mut fresh = in_force(Some("first"), None, 2_000);
        fresh.origin = "initial".to_owned();
        assert_eq!(step(true, &fresh), Step::Apply);
        assert_eq!(decide(None, &fresh), Step::Adopt);
    }

    #[test]
    fn what_others_put_in_force_is_taken_in() {
        assert_eq!(
            step(true, &in_force(Some("eight"), None, 2_000)),
            Step::Adopt
        );
        assert_eq!(
            step(true, &in_force(Some("six"), Some(6), 2_000)),
            Step::Adopt
        );
    }

    #[test]
    fn a_trial_that_is_not_in_force_is_over() {
        assert_eq!(
            step(false, &in_force(Some("six"), Some(6), 500)),
            Step::RolledBack
        );
        assert_eq!(step(false, &in_force(None, None, 500)), Step::RolledBack);
    }
}
