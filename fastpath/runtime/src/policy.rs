//! The policy in force: checked, put in force, confirmed or rolled back, saved, and compiled
//! again when a limited permission begins or ends.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use wardline_control::view::Severity;
use wardline_control::{
    Applied, ApplyOptions, Diagnostic, EventKind, PolicyFormat, PolicyInForce, PolicyText, Refused,
    RefusedKind, bounds, view,
};
use wardline_policy::{Format, PolicySnapshot};

use crate::clock;
use crate::events::EventLog;
use crate::fleet::Fleet;
use crate::state::{Saved, StateDir};
use crate::translate::Translator;

/// How often the wall clock is compared with the times at which something ends. Far below the
/// second within which a change of context has to take effect.
const TICK: Duration = Duration::from_millis(200);

/// A compiled document.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The document; none before any was ever applied.
    pub text: Option<Arc<PolicyText>>,
    /// What the workers use.
    pub snapshot: Arc<PolicySnapshot>,
    /// Where it came from, in the words of [`view::PolicyStatus::origin`].
    pub origin: &'static str,
    /// When the document was applied, in microseconds since the Unix epoch.
    pub applied_us: u64,
}

impl Compiled {
    /// The policy before any document: observe everything.
    pub fn none() -> Self {
        Self {
            text: None,
            snapshot: Arc::new(PolicySnapshot::observe_all()),
            origin: "none",
            applied_us: clock::wall_us(),
        }
    }
}

/// Compiles a document for this moment; the remarks come with it.
///
/// # Errors
/// Everything that is wrong with the document.
pub fn compile(
    text: Arc<PolicyText>,
    origin: &'static str,
) -> Result<(Compiled, Vec<Diagnostic>), Vec<Diagnostic>> {
    let format = match text.format {
        PolicyFormat::Toml => Format::Toml,
        PolicyFormat::Json => Format::Json,
    };
    let views = |all: Vec<_>| all.into_iter().map(diagnostic).collect();
    let (snapshot, warnings) =
        wardline_policy::compile_text(&text.text, format, &text.name, clock::wall_s())
            .map_err(|e| views(e.0))?;
    let compiled = Compiled {
        text: Some(text),
        snapshot: Arc::new(snapshot),
        origin,
        applied_us: clock::wall_us(),
    };
    Ok((compiled, views(warnings)))
}

fn diagnostic(found: wardline_policy::Diagnostic) -> Diagnostic {
    Diagnostic {
        severity: match found.severity {
            wardline_policy::diagnostic::Severity::Error => Severity::Error,
            wardline_policy::diagnostic::Severity::Warning => Severity::Warning,
        },
        line: found.position.map_or(0, |p| p.line),
        column: found.position.map_or(0, |p| p.column),
        path: found.path,
        message: found.message,
        fix: found.fix,
    }
}

/// The policy in force and everything that may change it.
#[derive(Debug)]
pub struct PolicyKeeper {
    fleet: Fleet,
    events: Arc<EventLog>,
    translator: Arc<Translator>,
    state: StateDir,
    now: Mutex<InForce>,
    /// Held during a change: one after the other.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct InForce {
    compiled: Compiled,
    generation: u32,
    pending: Option<Pending>,
}

/// A policy that still has to be confirmed.
#[derive(Debug, Clone)]
struct Pending {
    /// What comes back otherwise.
    before: Compiled,
    rollback_at_s: u64,
}

impl PolicyKeeper {
    /// For workers that were started with `compiled` as policy number `generation`.
    pub fn new(
        fleet: Fleet,
        events: Arc<EventLog>,
        translator: Arc<Translator>,
        state: StateDir,
        compiled: Compiled,
        generation: u32,
    ) -> Self {
        Self {
            fleet,
            events,
            translator,
            state,
            now: Mutex::new(InForce {
                compiled,
                generation,
                pending: None,
            }),
            changing: tokio::sync::Mutex::new(()),
        }
    }

    /// The policy in force, at a glance.
    pub fn status(&self) -> view::PolicyStatus {
        let now = self.now();
        view::PolicyStatus {
            id: now.compiled.snapshot.id().to_owned(),
            name: now
                .compiled
                .text
                .as_ref()
                .map_or_else(String::new, |t| t.name.clone()),
            applied_us: now.compiled.applied_us,
            generation: now.generation,
            next_boundary_s: now.compiled.snapshot.valid_until_s(),
            rollback_at_s: now.pending.as_ref().map(|p| p.rollback_at_s),
            origin: now.compiled.origin.to_owned(),
        }
    }

    /// The document in force.
    pub fn show(&self) -> PolicyInForce {
        let now = self.now();
        PolicyInForce {
            id: now.compiled.snapshot.id().to_owned(),
            policy: now
                .compiled
                .text
                .as_deref()
                .cloned()
                .unwrap_or_else(|| PolicyText {
                    name: String::new(),
                    format: PolicyFormat::Toml,
                    text: String::new(),
                }),
            applied_us: now.compiled.applied_us,
        }
    }

    /// Every remark on a document, errors included, without applying it.
    ///
    /// # Errors
    /// The document is larger than the bounds allow.
    pub async fn check(&self, text: PolicyText) -> Result<Vec<Diagnostic>, Refused> {
        check_bounds(&text)?;
        match compile_aside(text.into(), "control").await? {
            Ok((_, warnings)) => Ok(first(warnings)),
            Err(diagnostics) => Ok(first(diagnostics)),
        }
    }

    /// Puts a document in force on every worker, or leaves everything as it was.
    ///
    /// # Errors
    /// The document or the options are wrong, or a worker does not answer.
    pub async fn apply(&self, text: PolicyText, options: ApplyOptions) -> Result<Applied, Refused> {
        check_bounds(&text)?;
        check_confirmation(options.confirm_within_s)?;
        let _changing = self.changing.lock().await;
        self.check_expected(options.expected_id.as_deref())?;
        let (compiled, mut warnings) = match compile_aside(text.into(), "control").await? {
            Ok(compiled) => compiled,
            Err(diagnostics) => return Err(refused_policy(diagnostics)),
        };
        let before = self.now().clone();
        let pending = options.confirm_within_s.map(|seconds| Pending {
            before: before
                .pending
                .map_or_else(|| before.compiled.clone(), |earlier| earlier.before),
            rollback_at_s: clock::wall_s() + u64::from(seconds),
        });
        let rollback_at_s = pending.as_ref().map(|p| p.rollback_at_s);
        let previous_id = before.compiled.snapshot.id().to_owned();
        let id = compiled.snapshot.id().to_owned();
        self.put_in_force(compiled, pending, "control").await?;
        // What may be rolled back must not come back after a crash.
        if rollback_at_s.is_none() {
            warnings.extend(self.save().await.err());
        }
        Ok(Applied {
            id,
            previous_id,
            warnings: first(warnings),
            rollback_at_s,
        })
    }

    /// Keeps a policy that was applied on trial.
    ///
    /// # Errors
    /// Another policy is in force, or none is on trial.
    pub async fn confirm(&self, id: &str) -> Result<Applied, Refused> {
        let _changing = self.changing.lock().await;
        self.check_expected(Some(id))?;
        let pending = self.now().pending.take().ok_or_else(|| {
            Refused::new(
                RefusedKind::Conflict,
                format!("policy {id} is in force for good already; nothing to confirm"),
            )
        })?;
        tracing::info!(policy = id, "policy confirmed");
        Ok(Applied {
            id: id.to_owned(),
            previous_id: pending.before.snapshot.id().to_owned(),
            warnings: self.save().await.err().into_iter().collect(),
            rollback_at_s: None,
        })
    }

    /// Rolls back what nobody confirmed and compiles again what a time limit changes, for ever.
    pub async fn keep_time(&self) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            let now_s = clock::wall_s();
            let (rollback, boundary) = {
                let now = self.now();
                (
                    now.pending
                        .as_ref()
                        .is_some_and(|p| p.rollback_at_s <= now_s),
                    now.compiled
                        .snapshot
                        .valid_until_s()
                        .is_some_and(|until| until <= now_s),
                )
            };
            let changed = if rollback {
                self.roll_back().await
            } else if boundary {
                self.compile_again().await
            } else {
                continue;
            };
            if let Err(refused) = changed {
                tracing::error!(%refused, "a policy change that was due failed; trying again");
            }
        }
    }

    async fn roll_back(&self) -> Result<(), Refused> {
        let _changing = self.changing.lock().await;
        let Some(pending) = self.now().pending.clone() else {
            return Ok(());
        };
        // Time has passed: what was limited in the old policy may have ended.
        let before = recompile(pending.before).await?;
        self.put_in_force(before, None, "rollback").await
    }

    async fn compile_again(&self) -> Result<(), Refused> {
        let _changing = self.changing.lock().await;
        let now = self.now().clone();
        let again = recompile(now.compiled).await?;
        self.put_in_force(again, now.pending, "boundary").await
    }

    async fn put_in_force(
        &self,
        compiled: Compiled,
        pending: Option<Pending>,
        cause: &str,
    ) -> Result<(), Refused> {
        self.translator.begin_change();
        let generation = match self.fleet.swap(&compiled.snapshot).await {
            Ok(generation) => generation,
            Err(refused) => {
                self.translator.cancel_change();
                return Err(refused);
            }
        };
        self.translator
            .end_change(&self.fleet, &self.events, generation, &compiled.snapshot);
        let policy = compiled.snapshot.id().to_owned();
        let old = {
            let mut now = self.now();
            let next = InForce {
                compiled,
                generation,
                pending,
            };
            std::mem::replace(&mut *now, next)
        };
        let previous = old.compiled.snapshot.id().to_owned();
        tracing::info!(policy, previous, cause, "policy in force");
        self.events.tell(EventKind::PolicyApplied {
            policy,
            previous,
            cause: cause.to_owned(),
        });
        // Freeing a large policy takes a while: not here, where others wait for an answer.
        tokio::task::spawn_blocking(move || drop(old));
        Ok(())
    }

    /// Saves the policy in force. A disk that refuses must not keep a policy from the workers, so
    /// the failure is a remark, not an error.
    async fn save(&self) -> Result<(), Diagnostic> {
        let (now, state) = (self.now().compiled.clone(), self.state.clone());
        let Some(text) = now.text else {
            return Ok(());
        };
        let result = tokio::task::spawn_blocking(move || {
            let id = now.snapshot.id().to_owned();
            state.save(&Saved::new(id, now.applied_us, &*text))
        });
        let result = result.await;
        let problem = match result {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(e)) => e.to_string(),
            Err(e) => e.to_string(),
        };
        tracing::error!(problem, "the policy in force could not be saved");
        Err(Diagnostic {
            severity: Severity::Warning,
            line: 0,
            column: 0,
            path: String::new(),
            message: format!(
                "in force, but not saved: {problem}; after a restart the policy before it would \
                 come back"
            ),
            fix: Some("make room in `state.dir` and apply it again".into()),
        })
    }

    fn check_expected(&self, expected: Option<&str>) -> Result<(), Refused> {
        let in_force = self.now().compiled.snapshot.id().to_owned();
        match expected {
            Some(expected) if expected != in_force => Err(Refused::new(
                RefusedKind::Conflict,
                format!(
                    "policy {in_force} is in force, not {expected}; look at it before replacing it"
                ),
            )),
            _ => Ok(()),
        }
    }

    fn now(&self) -> MutexGuard<'_, InForce> {
        // Replaced as a whole, so never half-changed by a panic.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads, checks and compiles the document to start with: the last accepted one, the one before
/// it, the configured one, or none.
///
/// # Errors
/// There are documents, but none of them can be used.
pub fn at_start(state: &StateDir, initial: Option<&Path>) -> Result<Compiled> {
    let mut unusable = Vec::new();
    for (path, saved) in state.load() {
        let compiled = saved.map_err(|e| e.to_string()).and_then(|saved| {
            let (compiled, _) = compile(saved.policy.into(), "state").map_err(|d| sentences(&d))?;
            Ok(Compiled {
                applied_us: saved.applied_us,
                ..compiled
            })
        });
        match compiled {
            Ok(compiled) => return Ok(compiled),
            Err(problem) => {
                tracing::error!(path = %path.display(), problem, "a saved policy cannot be used");
                unusable.push(format!("{}: {problem}", path.display()));
            }
        }
    }
    anyhow::ensure!(
        unusable.is_empty(),
        "no saved policy can be used, and enforcing none is not for this program to decide; \
         remove the files to start with `policy.initial`:\n{}",
        unusable.join("\n")
    );
    match initial {
        Some(path) => Ok(from_file(path)?),
        None => Ok(Compiled::none()),
    }
}

/// Reads and compiles the document the configuration names.
///
/// # Errors
/// It cannot be read or used.
pub fn from_file(path: &Path) -> Result<Compiled, BadInitial> {
    let bad = |problem: String| BadInitial {
        path: path.to_owned(),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|e| bad(format!("cannot be read: {e}")))?;
    let format = match path.extension().and_then(|e| e.to_str()) {
        Some("json") => PolicyFormat::Json,
        _ => PolicyFormat::Toml,
    };
    let text = PolicyText {
        name: path.display().to_string(),
        format,
        text,
    };
    check_bounds(&text).map_err(|refused| bad(refused.message))?;
    let (compiled, warnings) = compile(text.into(), "initial")
        .map_err(|diagnostics| bad(format!("has errors:\n{}", sentences(&diagnostics))))?;
    for warning in warnings {
        tracing::warn!(line = warning.line, "{}", warning.message);
    }
    Ok(compiled)
}

/// The initial policy cannot be used: a mistake in the configuration.
#[derive(Debug)]
pub struct BadInitial {
    path: PathBuf,
    problem: String,
}

impl std::fmt::Display for BadInitial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "policy.initial {} {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for BadInitial {}

fn sentences(diagnostics: &[Diagnostic]) -> String {
    let lines = diagnostics.iter().map(|d| match &d.fix {
        Some(fix) => format!("line {}, column {}: {}; {fix}", d.line, d.column, d.message),
        None => format!("line {}, column {}: {}", d.line, d.column, d.message),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The same document compiled for this moment.
async fn recompile(compiled: Compiled) -> Result<Compiled, Refused> {
    let Some(text) = compiled.text else {
        return Ok(compiled);
    };
    let applied_us = compiled.applied_us;
    match compile_aside(text, compiled.origin).await? {
        Ok((again, _)) => Ok(Compiled {
            applied_us,
            ..again
        }),
        Err(diagnostics) => Err(refused_policy(diagnostics)),
    }
}

type CompileResult = Result<(Compiled, Vec<Diagnostic>), Vec<Diagnostic>>;

/// Compiles on a thread of its own, since a large policy takes seconds.
async fn compile_aside(
    text: Arc<PolicyText>,
    origin: &'static str,
) -> Result<CompileResult, Refused> {
    tokio::task::spawn_blocking(move || compile(text, origin))
        .await
        .map_err(|e| {
            Refused::new(
                RefusedKind::Internal,
                format!("the policy compiler failed: {e}; nothing was changed"),
            )
        })
}

fn check_bounds(text: &PolicyText) -> Result<(), Refused> {
    let argument = |message: String| Refused::new(RefusedKind::Argument, message);
    if text.text.len() > bounds::POLICY_BYTES {
        return Err(argument(format!(
            "the document has {} bytes, at most {} are taken",
            text.text.len(),
            bounds::POLICY_BYTES
        )));
    }
    if text.name.len() > bounds::NAME_BYTES {
        return Err(argument(format!(
            "the name has {} bytes, at most {} are taken",
            text.name.len(),
            bounds::NAME_BYTES
        )));
    }
    Ok(())
}

fn check_confirmation(confirm_within_s: Option<u32>) -> Result<(), Refused> {
    match confirm_within_s {
        Some(seconds) if !(1..=bounds::CONFIRM_WITHIN_S).contains(&seconds) => Err(Refused::new(
            RefusedKind::Argument,
            format!(
                "confirm_within_s is {seconds}; between 1 and {} are possible",
                bounds::CONFIRM_WITHIN_S
            ),
        )),
        _ => Ok(()),
    }
}

fn refused_policy(diagnostics: Vec<Diagnostic>) -> Refused {
    let errors = diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    Refused {
        kind: RefusedKind::Policy,
        message: format!(
            "the policy has {errors} error{}; the one in force stays",
            if errors == 1 { "" } else { "s" }
        ),
        diagnostics: first(diagnostics),
    }
}

/// The first so many diagnostics, and a word about the others.
fn first(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let all = diagnostics.len();
    if all > bounds::DIAGNOSTICS {
        diagnostics.truncate(bounds::DIAGNOSTICS);
        diagnostics.push(Diagnostic {
            severity: Severity::Warning,
            line: 0,
            column: 0,
            path: String::new(),
            message: format!("and {} more", all - bounds::DIAGNOSTICS),
            fix: None,
        });
    }
    diagnostics
}
