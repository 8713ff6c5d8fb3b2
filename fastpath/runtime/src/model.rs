//! Which model names the devices: chosen at the start, exchanged while running, remembered in the
//! state directory.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use crossbeam::queue::ArrayQueue;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use wardline_classifier::model::{Bundle, Model, Refusal, Trust};
use wardline_control::{ModelOrigin, ModelStatus, Refused, RefusedKind, bounds};

use crate::clock;
use crate::config::{self, Config};
use crate::state::{load_json, replace};

/// In the state directory: the models that were put in use, and which of them counts.
const DIRECTORY: &str = "models";
const CHOICE: &str = "model.json";
const CHOICE_BYTES_MAX: u64 = 4 << 10;
/// How long the classifier may take until it looks for a new model.
const ANSWER: Duration = Duration::from_secs(10);

/// The model in use, and how it is exchanged.
#[derive(Debug)]
pub struct Models {
    enabled: bool,
    trust: Trust,
    state: PathBuf,
    in_use: Mutex<Option<InUse>>,
    /// Whether the classifier has begun.
    begun: AtomicBool,
    /// On its way to the classifier.
    offered: ArrayQueue<Offer>,
    /// One exchange at a time.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct InUse {
    model: Arc<Model>,
    origin: ModelOrigin,
    activated_us: u64,
}

/// A model that passed and waits to be used.
#[derive(Debug)]
pub struct Offer {
    /// The model.
    pub model: Arc<Model>,
    /// Whether it is used from now on.
    pub done: oneshot::Sender<Result<(), Refusal>>,
}

/// What the state directory remembers: the name of a directory beside it, or the built-in model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    directory: Option<String>,
    activated_us: u64,
}

impl Models {
    /// Reads the model that the configuration names, if it does. Whom to trust is fixed when the
    /// program is built.
    ///
    /// # Errors
    /// The model named by the configuration does not pass.
    pub fn open(config: &Config) -> Result<Self> {
        Self::trusting(Trust::project()?, &config.classifier, &config.state.dir)
    }

    /// The same with other keys to trust.
    pub(crate) fn trusting(
        trust: Trust,
        config: &config::Classifier,
        state: &Path,
    ) -> Result<Self> {
        let in_use = match config.model.as_ref().filter(|_| config.enabled) {
            Some(folder) => {
                let model = Model::load(folder, &trust)
                    .with_context(|| format!("classifier.model {} is refused", folder.display()))?;
                Some(InUse::now(Arc::new(model), ModelOrigin::Folder))
            }
            None => None,
        };
        Ok(Self {
            enabled: config.enabled,
            trust,
            state: state.to_owned(),
            in_use: Mutex::new(in_use),
            begun: AtomicBool::new(false),
            offered: ArrayQueue::new(1),
            turn: tokio::sync::Mutex::new(()),
        })
    }

    /// The model to begin with: the one remembered, unless it does not pass or the one of the
    /// configuration or of the program is newer. `None`: none passes, which is no reason to leave
    /// devices unnamed.
    pub fn begin(&self) -> Option<Arc<Model>> {
        let base = self.in_use().clone().or_else(built_in);
        let chosen = match self.remembered() {
            Some(kept) if kept.may_follow(base.as_ref()) => Some(kept),
            _ => base,
        };
        let model = chosen.as_ref().map(|chosen| Arc::clone(&chosen.model));
        *self.in_use() = chosen;
        self.begun.store(true, Ordering::Release);
        model
    }

    /// The classifier's look for a new model.
    pub fn next_offer(&self) -> Option<Offer> {
        self.offered.pop()
    }

    /// The model in use.
    ///
    /// # Errors
    /// There is none.
    pub fn status(&self) -> Result<ModelStatus, Refused> {
        self.check_running()?;
        let in_use = self.in_use();
        let in_use = in_use.as_ref().ok_or_else(|| {
            unavailable("no model is in use, evidence alone decides; the log says why")
        })?;
        Ok(in_use.status())
    }

    /// Puts the model in a folder in use, or the program's own, and remembers it.
    ///
    /// # Errors
    /// It does not pass, is older, or cannot be kept; the model in use stays.
    pub async fn activate(self: Arc<Self>, folder: Option<String>) -> Result<ModelStatus, Refused> {
        self.check_running()?;
        let _turn = self.turn.lock().await;
        let models = Arc::clone(&self);
        let prepared = tokio::task::spawn_blocking(move || models.prepare(folder.as_deref()));
        let (next, before) = prepared.await.map_err(|error| {
            Refused::new(
                RefusedKind::Internal,
                format!("reading the model failed: {error}; the one in use stays"),
            )
        })??;
        if let Err(refused) = self.hand_over(&next.model).await {
            // What is remembered is what is in use.
            if let Err(error) = self.remember(before.as_ref()) {
                tracing::error!(%error, "a model is remembered that is not in use");
            }
            return Err(refused);
        }
        let status = next.status();
        *self.in_use() = Some(next);
        self.tidy();
        tracing::info!(model = status.name, number = status.number, key = status.key_id,
            origin = ?status.origin, "another model names the devices");
        Ok(status)
    }

    /// Reads, checks and keeps the next model. Returns what was remembered before as well.
    fn prepare(&self, folder: Option<&str>) -> Result<(InUse, Option<Choice>), Refused> {
        let (bundle, model) = match folder {
            Some(folder) => {
                let bundle = Bundle::read(folder_named(folder)?, &self.trust).map_err(refused)?;
                let model = Model::new(&bundle).map_err(refused)?;
                (Some(bundle), model)
            }
            None => (None, Model::built_in().map_err(refused)?),
        };
        if let Some(current) = self.in_use().as_ref() {
            model.may_replace(&current.model).map_err(refused)?;
        }
        let origin = match bundle {
            Some(_) => ModelOrigin::Folder,
            None => ModelOrigin::BuiltIn,
        };
        let next = InUse::now(Arc::new(model), origin);
        let not_kept = |error: io::Error| {
            Refused::new(
                RefusedKind::Internal,
                format!(
                    "the model cannot be kept in {}: {error}; the one in use stays",
                    self.state.display()
                ),
            )
        };
        let before = self.choice().map_err(not_kept)?;
        let choice = Choice {
            directory: bundle.as_ref().map(Bundle::id),
            activated_us: next.activated_us,
        };
        let kept = bundle.map_or(Ok(()), |bundle| self.keep(&bundle));
        kept.and_then(|()| self.remember(Some(&choice)))
            .map_err(not_kept)?;
        Ok((next, before))
    }

    async fn hand_over(&self, model: &Arc<Model>) -> Result<(), Refused> {
        let (done, answer) = oneshot::channel();
        let offer = Offer {
            model: Arc::clone(model),
            done,
        };
        // One that nobody waits for any more makes room.
        self.offered.force_push(offer);
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(used)) => used.map_err(refused),
            Ok(Err(_)) | Err(_) => Err(unavailable(
                "the classifier does not answer; the model in use stays, and the log may say more",
            )),
        }
    }

    /// What is remembered, if it can be used.
    fn remembered(&self) -> Option<InUse> {
        let choice = match self.choice() {
            Ok(choice) => choice?,
            Err(error) => {
                tracing::error!(%error, "it is not known which model was in use");
                return None;
            }
        };
        let activated_us = choice.activated_us;
        let Some(directory) = &choice.directory else {
            return built_in().map(|built_in| InUse {
                activated_us,
                ..built_in
            });
        };
        match Model::load(&self.state.join(DIRECTORY).join(directory), &self.trust) {
            Ok(model) => Some(InUse {
                model: Arc::new(model),
                origin: ModelOrigin::Folder,
                activated_us,
            }),
            Err(refusal) => {
                tracing::error!(%refusal, directory, "the model that was in use is refused");
                None
            }
        }
    }

    fn choice(&self) -> io::Result<Option<Choice>> {
        load_json(&self.state.join(CHOICE), CHOICE_BYTES_MAX)
    }

    fn remember(&self, choice: Option<&Choice>) -> io::Result<()> {
        let path = self.state.join(CHOICE);
        match choice {
            Some(choice) => replace(&path, |file| Ok(serde_json::to_writer(file, choice)?)),
            None => fs::remove_file(path),
        }
    }

    /// Writes a model into the state directory, whole or not at all.
    fn keep(&self, bundle: &Bundle) -> io::Result<()> {
        let directory = self.state.join(DIRECTORY);
        let (path, fresh) = (
            directory.join(bundle.id()),
            directory.join(format!("{}.new", bundle.id())),
        );
        for old in [&fresh, &path] {
            match fs::remove_dir_all(old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::create_dir_all(&fresh)?;
        for (name, bytes) in bundle.files() {
            let mut file = File::create(fresh.join(name))?;
            file.write_all(bytes)?;
            file.sync_all()?;
        }
        File::open(&fresh)?.sync_all()?;
        fs::rename(&fresh, &path)?;
        File::open(&directory)?.sync_all()
    }

    /// Removes the models that are not remembered.
    fn tidy(&self) {
        let kept = self.choice().ok().flatten().and_then(|c| c.directory);
        let Ok(entries) = fs::read_dir(self.state.join(DIRECTORY)) else {
            return;
        };
        for entry in entries.flatten() {
            if Some(entry.file_name().as_os_str()) != kept.as_ref().map(AsRef::as_ref) {
                // What cannot be removed takes some room, nothing worse.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    fn check_running(&self) -> Result<(), Refused> {
        match (self.enabled, self.begun.load(Ordering::Acquire)) {
            (true, true) => Ok(()),
            (true, false) => Err(unavailable("the classifier is starting; ask again")),
            (false, _) => Err(unavailable(
                "devices are not named: classifier.enabled is false in the configuration",
            )),
        }
    }

    fn in_use(&self) -> MutexGuard<'_, Option<InUse>> {
        // Replaced as a whole, so never half-changed by a panic.
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InUse {
    fn now(model: Arc<Model>, origin: ModelOrigin) -> Self {
        Self {
            model,
            origin,
            activated_us: clock::wall_us(),
        }
    }

    fn may_follow(&self, base: Option<&Self>) -> bool {
        let Some(base) = base else { return true };
        let refusal = self.model.may_replace(&base.model).err();
        if let Some(refusal) = &refusal {
            tracing::warn!(%refusal, "the model that was in use gives way to a newer one");
        }
        refusal.is_none()
    }

    fn status(&self) -> ModelStatus {
        let manifest = self.model.manifest();
        ModelStatus {
            name: manifest.name.clone(),
            number: manifest.version,
            key_id: self.model.key_id().to_owned(),
            origin: self.origin,
            activated_us: self.activated_us,
        }
    }
}

fn built_in() -> Option<InUse> {
    let model = Model::built_in();
    let model = model.inspect_err(|refusal| {
        tracing::error!(%refusal, "the program's own model is refused");
    });
    Some(InUse::now(Arc::new(model.ok()?), ModelOrigin::BuiltIn))
}

fn folder_named(folder: &str) -> Result<&Path, Refused> {
    let path = Path::new(folder);
    if folder.len() > bounds::PATH_BYTES || !path.is_absolute() {
        return Err(Refused::new(
            RefusedKind::Argument,
            format!(
                "the folder of a model is an absolute path of at most {} bytes on this machine",
                bounds::PATH_BYTES
            ),
        ));
    }
    Ok(path)
}

fn refused(refusal: Refusal) -> Refused {
    Refused::new(
        RefusedKind::Argument,
        format!("{refusal}; the model in use stays"),
    )
}

fn unavailable(message: &str) -> Refused {
    Refused::new(RefusedKind::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use wardline_classifier::model::{Manifest, Signer};

    use super::*;

    /// Above the version of any model that the program was built with.
    const NEW: u64 = 1_000_000;

    fn signer() -> Signer {
        Signer::new(&[7; 32])
    }

    /// The project's model, signed by the tests' own key under another version.
    fn copy(folder: &Path, number: u64) -> PathBuf {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/wardline");
        let folder = folder.join(number.to_string());
        fs::create_dir(&folder).expect("a new folder");
        for entry in fs::read_dir(&project).expect("the project's model") {
            let path = entry.expect("a file").path();
            let name = path.file_name().expect("a name");
            fs::copy(&path, folder.join(name)).expect("copied");
        }
        let manifest = fs::read(folder.join("manifest.json")).expect("readable");
        let manifest: Manifest = serde_json::from_slice(&manifest).expect("a manifest");
        let sealed = signer().seal(&folder, number, manifest.heads);
        sealed.expect("signed");
        folder
    }

    /// As after a start with this state directory.
    fn begun(state: &Path) -> Arc<Models> {
        let trust = Trust::keys([signer().public_half().as_str()]).expect("a key");
        let models = Models::trusting(trust, &config::Classifier::default(), state);
        let models = Arc::new(models.expect("nothing is named"));
        models.begin().expect("there is a model");
        models
    }

    /// Asks for a model; the classifier says of it whether it runs.
    async fn activate(
        models: &Arc<Models>,
        folder: Option<&Path>,
        runs: bool,
    ) -> Result<ModelStatus, Refused> {
        let folder = folder.map(|folder| folder.display().to_string());
        let asked = tokio::spawn(Arc::clone(models).activate(folder));
        while !asked.is_finished() {
            if let Some(offer) = models.next_offer() {
                let answer = runs.then_some(()).ok_or(Refusal::Schema);
                offer.done.send(answer).expect("somebody waits");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        asked.await.expect("no panic")
    }

    #[tokio::test]
    async fn a_newer_model_is_remembered_and_an_older_one_refused() {
        let temp = tempfile::tempdir().expect("a directory");
        let [older, newer] = [NEW, NEW + 1].map(|number| copy(temp.path(), number));
        let state = temp.path().join("state");
        fs::create_dir(&state).expect("a directory");
        let models = begun(&state);
        let built_in = models.status().expect("one is in use");
        assert_eq!(built_in.origin, ModelOrigin::BuiltIn);

        let taken = activate(&models, Some(&newer), true).await.expect("taken");
        assert_eq!((taken.number, taken.origin), (NEW + 1, ModelOrigin::Folder));
        assert_ne!(taken.key_id, built_in.key_id);
        for folder in [Some(older.as_path()), None] {
            let refused = activate(&models, folder, true).await.expect_err("older");
            assert!(refused.message.contains("do not go back"), "{refused}");
        }
        assert_eq!(models.status(), Ok(taken.clone()));
        fs::remove_dir_all(&newer).expect("removed");
        assert_eq!(begun(&state).status(), Ok(taken));
    }

    #[tokio::test]
    async fn what_the_classifier_cannot_run_is_not_remembered() {
        let temp = tempfile::tempdir().expect("a directory");
        let [first, second] = [NEW, NEW + 1].map(|number| copy(temp.path(), number));
        let models = begun(temp.path());
        let good = activate(&models, Some(&first), true).await.expect("taken");
        let refused = activate(&models, Some(&second), false).await;
        refused.expect_err("it does not run");
        assert_eq!(models.status(), Ok(good.clone()));
        assert_eq!(begun(temp.path()).status(), Ok(good));
    }

    #[test]
    fn what_is_remembered_gives_way_to_a_newer_program_and_to_a_damaged_file() {
        let temp = tempfile::tempdir().expect("a directory");
        let models = begun(temp.path());
        let built_in = models.status().expect("in use");
        let old = Bundle::read(&copy(temp.path(), 0), &models.trust).expect("it passes");
        models.keep(&old).expect("kept");
        let choice = Choice {
            directory: Some(old.id()),
            activated_us: 1,
        };
        models.remember(Some(&choice)).expect("remembered");
        let is_built_in = || {
            let status = begun(temp.path()).status().expect("in use");
            (status.origin, status.number) == (ModelOrigin::BuiltIn, built_in.number)
        };
        assert!(is_built_in(), "the program's is newer");
        fs::write(temp.path().join(CHOICE), "{").expect("written");
        assert!(is_built_in(), "nobody knows what was in use");
    }
}
