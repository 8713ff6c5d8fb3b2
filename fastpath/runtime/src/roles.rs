//! What people say of devices: a journal in the state directory, and what it comes to.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use wardline_classifier::learn::{
    Action, Adaptation, AppendError, Digest, Head, Journal, Lesson, Record, Refusal, Samples,
    Standing, Statement, Update, key_of_this_box, standing,
};
use wardline_classifier::{Role, features};
use wardline_control::{Identity, Refused, RefusedKind, RoleStatement, bounds};
use wardline_policy::DeviceKey;

use crate::clock;
use crate::state::{load_json, replace};

/// Directory of the journal and its key, in the state directory.
const DIRECTORY: &str = "roles";
const KEY: &str = "key";
const BUNDLE: &str = "bundle.json";
const LEARNT: &str = "learnt.json";
/// 256 devices with 24 windows of about a kilobyte take a tenth of it.
const LEARNT_BYTES_MAX: u64 = 64 << 20;

/// The journal of this box.
#[derive(Debug)]
pub struct Roles {
    /// Nothing, and why, when it cannot be used: traffic goes on without it.
    journal: Mutex<Result<Journal, String>>,
    directory: PathBuf,
    /// Rises with every word of a person.
    version: AtomicU64,
}

/// What was learnt, and the windows it was learnt from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    samples: Samples,
    learnt: Option<Adaptation>,
}

impl Kept {
    fn load(directory: &Path) -> io::Result<Option<Self>> {
        load_json(&directory.join(LEARNT), LEARNT_BYTES_MAX)
    }

    fn save(&self, directory: &Path) -> io::Result<()> {
        replace(&directory.join(LEARNT), |writer| {
            Ok(serde_json::to_writer(writer, self)?)
        })
    }
}

impl Roles {
    /// Opens the journal in the state directory, or begins it there. One that is damaged is left
    /// as it is: nobody's word counts then, and new ones are refused.
    pub fn open(state: &Path) -> Self {
        let journal = open(&state.join(DIRECTORY)).map_err(|error| format!("{error:#}"));
        if let Err(error) = &journal {
            tracing::error!(error, "what people said of devices is not used");
        }
        Self {
            journal: Mutex::new(journal),
            directory: state.join(DIRECTORY),
            version: AtomicU64::new(1),
        }
    }

    /// A number that is another one whenever [`Roles::standing`] may be.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What people's words come to.
    pub fn standing(&self) -> BTreeMap<DeviceKey, Standing> {
        let journal = self.journal();
        let records = journal.as_ref().map_or(&[][..], Journal::records);
        standing(records)
    }

    /// Writes a person's word down; `seen` is what the device was taken for. The number of the
    /// record, which survives a crash from now on.
    ///
    /// # Errors
    /// The word makes no sense, or it cannot be written down.
    pub fn state(&self, told: &RoleStatement, seen: Option<&Identity>) -> Result<u64, Refused> {
        check_words(&told.who, &told.reason)?;
        let role = told.role.as_deref().map(role).transpose()?;
        let mut journal = self.journal();
        let journal = journal.as_mut().map_err(|error| {
            Refused::new(
                RefusedKind::Unavailable,
                format!("what people say of devices cannot be kept: {error}"),
            )
        })?;
        let action = match role {
            Some(role) => word(told.device, role, seen),
            None => take_back(journal, told.device)?,
        };
        let statement = Statement {
            time_ns: clock::wall_ns(),
            who: told.who.clone(),
            action,
            reason: told.reason.clone(),
            evidence: seen.and_then(|identity| Digest::of_document(identity).ok()),
        };
        let record = journal.append(statement).map_err(not_written)?;
        let sequence = record.sequence;
        self.version.fetch_add(1, Ordering::Release);
        Ok(sequence)
    }

    /// The end of the journal, if it is in use.
    pub fn head(&self) -> Option<Head> {
        self.journal().as_ref().ok().map(Journal::head)
    }

    /// Keeps what was learnt, and writes down that it was, or was refused; not again and again that
    /// there is nothing to learn from.
    pub fn keep(&self, update: &Update, samples: &Samples, learnt: Option<&Adaptation>) {
        let document = Kept {
            samples: samples.clone(),
            learnt: learnt.cloned(),
        };
        if let Err(error) = document.save(&self.directory) {
            tracing::error!(%error, "what was learnt of devices cannot be kept");
        }
        if let Err(error) = self.note(update) {
            tracing::error!(%error, "what was learnt of devices cannot be written down");
        }
    }

    fn note(&self, update: &Update) -> Result<(), AppendError> {
        let mut journal = self.journal();
        let Ok(journal) = journal.as_mut() else {
            return Ok(());
        };
        let statement = Statement {
            time_ns: clock::wall_ns(),
            who: "wardline".to_owned(),
            action: Action::Learn {
                adaptation: update.digest()?,
                accepted: update.accepted().is_some(),
            },
            reason: update.words(),
            evidence: None,
        };
        let mut records = journal.records().iter().rev();
        let last = records.find(|record| matches!(record.action, Action::Learn { .. }));
        let is_known = last.is_some_and(|last| says_the_same(last, &statement));
        if is_known || update.refusals.contains(&Refusal::NothingToLearn) {
            return Ok(());
        }
        tracing::info!("{}", statement.reason);
        journal.append(statement)?;
        Ok(())
    }

    /// Writes down what is learnt from, for retraining elsewhere.
    pub fn bundle(&self, lesson: &Lesson<'_>) {
        let journal = self.journal();
        let Ok(journal) = journal.as_ref() else {
            return;
        };
        let (schema, made_ns) = (Digest(features::schema()), clock::wall_ns());
        let written = journal
            .bundle(lesson, schema, made_ns)
            .map_err(io::Error::from)
            .and_then(|bundle| replace(&self.directory.join(BUNDLE), |w| w.write_all(&bundle)));
        if let Err(error) = written {
            tracing::error!(%error, "the bundle for retraining cannot be written");
        }
    }

    /// The last bundle: a line of JSON, signed by this box.
    ///
    /// # Errors
    /// Nobody has said anything yet, or it cannot be read.
    pub fn export(&self) -> Result<String, Refused> {
        fs::read_to_string(self.directory.join(BUNDLE)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Refused::new(
                RefusedKind::Unavailable,
                "there is nothing to export: nobody said what a device is",
            ),
            _ => Refused::new(
                RefusedKind::Internal,
                format!("the bundle cannot be read: {error}"),
            ),
        })
    }

    /// What was kept, if the journal says that it was learnt on this box.
    pub fn kept(&self) -> Option<(Samples, Option<Adaptation>)> {
        let Kept { samples, learnt } = match Kept::load(&self.directory) {
            Ok(kept) => kept?,
            Err(error) => {
                tracing::error!(%error, "what was learnt of devices cannot be read");
                return None;
            }
        };
        let journal = self.journal();
        let records = journal.as_ref().map_or(&[][..], Journal::records);
        let is_ours = |learnt: &Adaptation| {
            let digest = learnt.digest().ok();
            records.iter().any(|record| {
                matches!(record.action, Action::Learn { adaptation, accepted: true }
                    if Some(adaptation) == digest)
            })
        };
        Some((samples, learnt.filter(is_ours)))
    }

    fn journal(&self) -> MutexGuard<'_, Result<Journal, String>> {
        // A record is whole or not there, whatever panicked.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a record says what came of learning already. What is refused is another thing every hour;
/// what counts of it is why.
fn says_the_same(record: &Record, fresh: &Statement) -> bool {
    let refused = |action| {
        matches!(
            action,
            Action::Learn {
                accepted: false,
                ..
            }
        )
    };
    record.action == fresh.action
        || refused(record.action) && refused(fresh.action) && record.reason == fresh.reason
}

fn open(directory: &Path) -> anyhow::Result<Journal> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join(KEY);
    let key = key_of_this_box(&path).with_context(|| format!("cannot use {}", path.display()))?;
    let (journal, torn) = Journal::open(directory, key)
        .with_context(|| format!("cannot use the journal in {}", directory.display()))?;
    if torn > 0 {
        tracing::warn!(bytes = torn, "half a record from a crash was cut off");
    }
    Ok(journal)
}

/// Who says something and why: both are needed, and bounded.
///
/// # Errors
/// One of them is empty or too long.
pub fn check_words(who: &str, reason: &str) -> Result<(), Refused> {
    let words = [
        ("who", who, bounds::NAME_BYTES),
        ("reason", reason, bounds::REASON_BYTES),
    ];
    for (name, text, most) in words {
        if text.trim().is_empty() {
            return Err(argument(format!(
                "{name} is empty; it goes into the record"
            )));
        }
        if text.len() > most {
            return Err(argument(format!(
                "{name} has {} bytes; at most {most} fit into the record",
                text.len()
            )));
        }
    }
    Ok(())
}

fn role(name: &str) -> Result<Role, Refused> {
    name.parse()
        .map_err(|error| argument(format!("{error}; `wardline model roles` lists all")))
}

fn word(device: DeviceKey, role: Role, seen: Option<&Identity>) -> Action {
    let from: Option<Role> = seen
        .and_then(|identity| identity.role.as_deref())
        .and_then(|role| role.parse().ok());
    if from == Some(role) {
        Action::Confirm { device, role }
    } else {
        let to = role;
        Action::Correct { device, from, to }
    }
}

fn take_back(journal: &Journal, device: DeviceKey) -> Result<Action, Refused> {
    let standing = standing(journal.records());
    let word = standing
        .get(&device)
        .ok_or_else(|| argument(format!("nobody said what {} is", device.mac)))?;
    let sequence = word.sequence;
    Ok(Action::Undo { sequence })
}

fn argument(message: String) -> Refused {
    Refused::new(RefusedKind::Argument, message)
}

fn not_written(error: AppendError) -> Refused {
    Refused::new(
        RefusedKind::Internal,
        format!("it was not written down: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use wardline_policy::MacAddr;

    use super::*;

    fn device() -> DeviceKey {
        DeviceKey {
            mac: MacAddr([2, 0, 0, 0, 0, 7]),
            ..DeviceKey::default()
        }
    }

    fn statement(role: Option<&str>) -> RoleStatement {
        RoleStatement {
            device: device(),
            role: role.map(str::to_owned),
            who: "ward technician".to_owned(),
            reason: "read the label".to_owned(),
        }
    }

    fn stands(roles: &Roles) -> Option<Role> {
        roles.standing().get(&device()).map(|word| word.role)
    }

    #[test]
    fn a_word_survives_a_restart_and_can_be_taken_back() {
        let temp = tempfile::tempdir().expect("a directory");
        let roles = Roles::open(temp.path());
        let before = roles.version();
        roles
            .state(&statement(Some("infusion-pump")), None)
            .expect("written");
        assert!(roles.version() > before);
        drop(roles);
        let roles = Roles::open(temp.path());
        assert_eq!(stands(&roles), "infusion-pump".parse().ok());
        roles.state(&statement(None), None).expect("taken back");
        assert_eq!(stands(&roles), None);
        let again = roles.state(&statement(None), None).expect_err("gone");
        assert!(again.message.contains("nobody said"), "{again}");
    }

    #[test]
    fn it_is_a_confirmation_only_of_what_was_seen() {
        let seen = Identity {
            role: Some("infusion-pump".to_owned()),
            ..Identity::default()
        };
        let said = |role: &str| word(device(), role.parse().expect("a role"), Some(&seen));
        assert!(matches!(said("infusion-pump"), Action::Confirm { .. }));
        assert!(matches!(
            said("ventilator"),
            Action::Correct { from: Some(_), .. }
        ));
    }

    #[test]
    fn words_that_make_no_sense_are_refused_with_the_reason() {
        let temp = tempfile::tempdir().expect("a directory");
        let roles = Roles::open(temp.path());
        let refused = |told: &RoleStatement| roles.state(told, None).expect_err("refused").message;
        assert!(refused(&statement(Some("toaster"))).contains("toaster"));
        let mut nobody = statement(Some("printer"));
        nobody.who = "  ".to_owned();
        assert!(refused(&nobody).contains("who is empty"));
        let mut wordy = statement(Some("printer"));
        wordy.reason = "x".repeat(bounds::REASON_BYTES + 1);
        assert!(refused(&wordy).contains("reason has 1025 bytes"));
        assert_eq!(stands(&roles), None);
    }

    #[test]
    fn a_damaged_journal_counts_for_nothing_and_is_not_written_over() {
        let temp = tempfile::tempdir().expect("a directory");
        Roles::open(temp.path())
            .state(&statement(Some("infusion-pump")), None)
            .expect("written");
        let key = temp.path().join(DIRECTORY).join(KEY);
        fs::write(&key, format!("{}\n", "0".repeat(64))).expect("another key");
        let roles = Roles::open(temp.path());
        assert_eq!(stands(&roles), None);
        let refused = roles
            .state(&statement(Some("printer")), None)
            .expect_err("refused");
        assert_eq!(refused.kind, RefusedKind::Unavailable);
    }
}
