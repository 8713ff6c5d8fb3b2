//! The management plane is killed again and again while it is given work. Traffic must not notice,
//! and nothing it acknowledged may be gone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ATTACK, LOAD_S, Link, renamed, require_undisturbed};
use crate::control::Control;
use crate::mgmt::{self, Api, Management};
use crate::ward::Ward;
use crate::{attacks, loss};

/// How often it is killed.
const KILLS: u32 = 12;
/// How long it lives at least and at most, in milliseconds.
const LIFE_MS: (u64, u64) = (100, 1_200);
/// How long what is wanted and what is in force may differ after the last start.
const IN_STEP_LIMIT: Duration = Duration::from_secs(30);

/// Kills the management plane while policies and notes are written, with traffic flowing.
///
/// # Errors
/// A datagram or report lost, an attack that arrived, an acknowledged change that is gone, an audit
/// log that does not hold, or a fast path that does not come into step.
pub fn kill_management(
    ward: &Ward,
    control: &Control,
    program: &Path,
    seed: u64,
) -> Result<String> {
    let whole = control.policy()?.text;
    let mut management = mgmt::start(ward, program, mgmt::free_address()?)?;
    let api = management.api()?;
    let device = first_device(&api)?;
    let link = Link::open(ward, LOAD_S)?;
    let stream = loss::start(ward, LOAD_S)?;
    let over = AtomicBool::new(false);
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(&over, &api, &device, &whole));
        let killed = kill_at_random(ward, program, &mut management, seed);
        over.store(true, Ordering::Relaxed);
        let written = writer.join().ok().context("the writer panicked")?;
        killed.and(written)
    })?;
    let (lost, reports) = (stream.finish()?, link.close()?);
    require_undisturbed(&lost, &reports)?;
    for outcome in attacks::perform(ward, &attacks::choose(&[ATTACK.to_owned()])?)? {
        ensure!(outcome.stopped(), "with management killed: {outcome}");
    }
    written.check(&api, &device)?;
    wait_until_in_step(&api)?;
    management.verify_audit(ward, program)?;
    control.apply("whole", whole)?;
    Ok(format!(
        "management killed {KILLS} times (seed {seed}): {} datagrams and {} reports, none lost; \
         {} policies, {} put in force and {} notes acknowledged, all there; {} requests cut off",
        lost.sent,
        reports.acknowledged,
        written.policies.len(),
        written.applied,
        written.notes,
        written.cut_off
    ))
}

fn kill_at_random(
    ward: &Ward,
    program: &Path,
    management: &mut Management,
    seed: u64,
) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    for number in 0..KILLS {
        sleep(Duration::from_millis(random.u64(LIFE_MS.0..=LIFE_MS.1)));
        let again = management
            .kill()
            .and_then(|()| management.start_again(ward, program));
        again.with_context(|| format!("kill number {number}, seed {seed}"))?;
    }
    Ok(())
}

/// What was acknowledged, and what may or may not have happened.
#[derive(Debug, Default)]
struct Written {
    /// Numbers of versions, and the reason given with each.
    policies: BTreeMap<i64, String>,
    /// How often the order to put one in force was taken.
    applied: u32,
    /// The last note that was acknowledged, and the last that was tried.
    note: (u32, u32),
    /// Notes acknowledged.
    notes: u32,
    /// Requests without an answer.
    cut_off: u32,
}

/// Writes versions of the policy, puts them in force, and writes notes, one after the other, until
/// told to stop. What gets no answer is counted and left.
fn write_until(over: &AtomicBool, api: &Api, device: &str, whole: &str) -> Result<Written> {
    let mut written = Written::default();
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let step = written
            .write_policy(api, number, renamed(whole, number)?)
            .and_then(|()| written.write_note(api, device, number));
        match step {
            Ok(()) => {}
            Err(Trouble::Unanswered) => {
                written.cut_off += 1;
                // It may be on its way up again.
                sleep(Duration::from_millis(20));
            }
            Err(Trouble::Refused(how)) => bail!("step {number}: {how}"),
        }
    }
    Ok(written)
}

/// Why a step did not go through.
enum Trouble {
    /// Nobody answered, or the answer was cut off.
    Unanswered,
    /// The answer was none that it may give.
    Refused(String),
}

fn ask(
    api: &Api,
    method: Method,
    path: &str,
    if_match: Option<&str>,
    body: Option<&Value>,
    right: &[u16],
) -> Result<mgmt::Answer, Trouble> {
    let what = format!("{method} {path}");
    let answer = api
        .ask(method, path, if_match, body)
        .map_err(|_| Trouble::Unanswered)?;
    match right.contains(&answer.status) {
        true => Ok(answer),
        false => Err(Trouble::Refused(format!(
            "{what}: {} {}",
            answer.status, answer.body
        ))),
    }
}

impl Written {
    fn write_policy(&mut self, api: &Api, number: u32, text: String) -> Result<(), Trouble> {
        let reason = format!("write {number}");
        let new = json!({ "format": "toml", "text": text, "reason": reason });
        let answer = ask(api, Method::POST, "/policies", None, Some(&new), &[201])?;
        let version = answer.body["number"].as_i64();
        let version = version.ok_or_else(|| Trouble::Refused("a version without number".into()))?;
        self.policies.insert(version, reason);
        let path = format!("/policies/{version}/apply");
        let wish = json!({ "reason": format!("apply {number}") });
        // Just started, it may not have found the fast path yet: that is an answer, too.
        let answer = ask(api, Method::POST, &path, None, Some(&wish), &[202, 503])?;
        self.applied += u32::from(answer.status == 202);
        Ok(())
    }

    fn write_note(&mut self, api: &Api, device: &str, number: u32) -> Result<(), Trouble> {
        let path = format!("/devices/{device}");
        let now = ask(api, Method::GET, &path, None, None, &[200])?;
        self.note.1 = number;
        let update = json!({ "notes": format!("note {number}") });
        let etag = now.etag.as_deref();
        ask(api, Method::PATCH, &path, etag, Some(&update), &[200])?;
        self.note.0 = number;
        self.notes += 1;
        Ok(())
    }

    /// Whether everything that was acknowledged is there.
    fn check(&self, api: &Api, device: &str) -> Result<()> {
        ensure!(
            self.applied > 0 && self.notes > 0,
            "nothing was acknowledged at all"
        );
        ensure!(self.cut_off > 0, "no request met a killed process");
        for (version, reason) in &self.policies {
            let kept = api.read(&format!("/policies/{version}"))?;
            ensure!(
                kept["reason"] == json!(reason),
                "version {version} is another one than was acknowledged: {kept}"
            );
        }
        let note = api.read(&format!("/devices/{device}"))?["notes"].clone();
        let note = note.as_str().and_then(|note| note.strip_prefix("note "));
        let note: u32 = note.context("the note is gone")?.parse()?;
        let (acknowledged, tried) = self.note;
        ensure!(
            (acknowledged..=tried).contains(&note),
            "note {note} is there, {acknowledged} was acknowledged and {tried} tried last"
        );
        Ok(())
    }
}

fn first_device(api: &Api) -> Result<String> {
    let deadline = Instant::now() + IN_STEP_LIMIT;
    loop {
        let page = api.read("/devices?limit=1")?;
        if let Some(key) = page["items"][0]["key"].as_str() {
            return Ok(key.to_owned());
        }
        ensure!(Instant::now() < deadline, "no device comes to be known");
        sleep(Duration::from_millis(200));
    }
}

/// Waits until the fast path enforces what management wants.
fn wait_until_in_step(api: &Api) -> Result<()> {
    let deadline = Instant::now() + IN_STEP_LIMIT;
    loop {
        let state = api.read("/policies/state")?;
        if state["status"] == json!("in-step") {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "management and fast path do not come into step: {state}"
        );
        sleep(Duration::from_millis(200));
    }
}
