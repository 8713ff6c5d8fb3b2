//! `cargo xtask train`: the models, from labelled captures to a signed folder and a report.
//!
//! `wardline features` turns captures into rows, `models/training` (Python) trains and measures,
//! `wardline model sign` signs. The same captures and the same seed give the same files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{setup, tools};

/// Where captures of real devices lie, beside the repository.
const REAL: &str = "../shared/captures/devices";
/// Where the simulated ward leaves its own, in cargo's target folder.
const EMULATED: &str = "ward-captures";
/// What says which device is what, in each folder of captures.
const LABELS: [&str; 2] = ["devices.json", "labels.json"];
const MODEL: &str = "models/wardline";
const PUBLIC_KEY: &str = "models/project.pub";

/// What to train from, and who signs.
#[derive(Debug, clap::Args)]
pub struct TrainArgs {
    /// Captures of real devices with their labels [default: ../shared/captures/devices]
    #[arg(long, value_name = "DIR")]
    real: Option<PathBuf>,
    /// Captures of emulated devices [default: those of the simulated ward, if it was recorded]
    #[arg(long, value_name = "DIR")]
    emulated: Option<PathBuf>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Key that signs the model [default: one of this checkout, made when there is none]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Folder for model, report and card, in place of models/: the project's stay as they are
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Trains, measures, exports and signs.
///
/// # Errors
/// No captures, or one of the steps failed.
pub fn run(args: &TrainArgs) -> Result<()> {
    let venv = setup::run_for_training()?;
    tools::build()?;
    let sets = sets(args)?;
    let scratch = tools::scratch()?.join("training");
    fs::create_dir_all(&scratch)?;
    let mut rows = Vec::new();
    for set in &sets {
        rows.push(set.rows(&scratch)?);
    }
    let places = Places::new(args)?;
    let plan = scratch.join("plan.json");
    fs::write(
        &plan,
        plan_of(args, &sets, &rows, &places, &scratch)?.to_string(),
    )?;
    train(&venv, &plan)?;
    places.sign(args.key.as_deref(), &scratch)
}

/// Where the results go.
struct Places {
    model: PathBuf,
    folder: PathBuf,
    /// The public half of the key, when the model becomes the project's own.
    public_key: Option<PathBuf>,
}

impl Places {
    fn new(args: &TrainArgs) -> Result<Self> {
        let root = tools::root()?;
        let places = match &args.output {
            Some(folder) => Self {
                model: std::path::absolute(folder)?.join("wardline"),
                folder: std::path::absolute(folder)?,
                public_key: None,
            },
            None => Self {
                model: root.join(MODEL),
                folder: root.join("models"),
                public_key: Some(root.join(PUBLIC_KEY)),
            },
        };
        fs::create_dir_all(&places.model)?;
        Ok(places)
    }

    fn sign(&self, key: Option<&Path>, scratch: &Path) -> Result<()> {
        let (key, made) = match key {
            Some(key) => (key.to_path_buf(), None),
            None => own_key()?,
        };
        let before = fs::read(self.model.join("manifest.json")).ok();
        let before = before.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let version = before.and_then(|manifest| manifest["version"].as_u64());
        let number = version.unwrap_or(0) + 1;
        tools::run(
            Command::new(tools::program("wardline")?)
                .args(["model", "sign"])
                .arg(&self.model)
                .arg("--key")
                .arg(&key)
                .arg("--heads")
                .arg(scratch.join("heads.json"))
                .args(["--number", &number.to_string()]),
        )?;
        if let (Some(public_key), Some(made)) = (&self.public_key, made) {
            fs::write(public_key, made)?;
            println!(
                "signed with a new key, {}: programs accept the model once they are built again",
                key.display()
            );
        }
        println!("model {number} is in {}", self.model.display());
        Ok(())
    }
}

/// The key of this checkout; with its public half when it was made just now.
fn own_key() -> Result<(PathBuf, Option<String>)> {
    let file = tools::scratch()?.join("model.key");
    if file.exists() {
        return Ok((file, None));
    }
    let public = tools::output(
        Command::new(tools::program("wardline")?)
            .args(["model", "key"])
            .arg(&file),
    )?;
    Ok((file, Some(public)))
}

/// Captures of one sort.
struct Set {
    name: &'static str,
    origin: &'static str,
    real: bool,
    labels: PathBuf,
    captures: Vec<PathBuf>,
}

fn sets(args: &TrainArgs) -> Result<Vec<Set>> {
    let real = match &args.real {
        Some(folder) => folder.clone(),
        None => tools::root()?.join(REAL),
    };
    let emulated = match &args.emulated {
        Some(folder) => folder.clone(),
        None => tools::target()?.join(EMULATED),
    };
    let mut sets = Vec::new();
    for (folder, name, real, origin) in [
        (
            real,
            "IoT Sentinel, in part",
            true,
            "Aalto University, Miettinen et al., ICDCS 2017; andypitcher/IoT_Sentinel at 0743dc6",
        ),
        (
            emulated,
            "ward",
            false,
            "the simulated ward of this repository (`cargo xtask ward`)",
        ),
    ] {
        match Set::find(&folder, name, real, origin)? {
            Some(set) => sets.push(set),
            None => println!("no labelled captures in {}", folder.display()),
        }
    }
    if sets.is_empty() {
        bail!("there is nothing to train from: name captures with --real or --emulated");
    }
    Ok(sets)
}

impl Set {
    fn find(
        folder: &Path,
        name: &'static str,
        real: bool,
        origin: &'static str,
    ) -> Result<Option<Self>> {
        let labels = LABELS.iter().map(|file| folder.join(file));
        let Some(labels) = labels.into_iter().find(|file| file.exists()) else {
            return Ok(None);
        };
        let mut captures = Vec::new();
        collect(folder, &mut captures)?;
        captures.sort();
        Ok((!captures.is_empty()).then_some(Self {
            name,
            origin,
            real,
            labels,
            captures,
        }))
    }

    /// What a model sees of the set, in a file.
    fn rows(&self, scratch: &Path) -> Result<PathBuf> {
        let file = scratch.join(if self.real { "real" } else { "emulated" });
        let file = file.with_extension("parquet");
        println!("reading {} captures: {}", self.captures.len(), self.name);
        tools::run(
            Command::new(tools::program("wardline")?)
                .arg("features")
                .args(&self.captures)
                .args(["--format", "parquet", "--labels"])
                .arg(&self.labels)
                .arg("--output")
                .arg(&file),
        )?;
        Ok(file)
    }
}

fn collect(folder: &Path, captures: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let kind = path.extension().and_then(|ending| ending.to_str());
        if path.is_dir() {
            collect(&path, captures)?;
        } else if matches!(kind, Some("pcap" | "pcapng")) {
            captures.push(path);
        }
    }
    Ok(())
}

fn plan_of(
    args: &TrainArgs,
    sets: &[Set],
    rows: &[PathBuf],
    places: &Places,
    scratch: &Path,
) -> Result<Value> {
    let sets = sets.iter().zip(rows).map(|(set, rows)| {
        json!({
            "name": set.name,
            "origin": set.origin,
            "real": set.real,
            "rows": rows,
            "labels": set.labels,
            "files": set.captures,
        })
    });
    let roles = tools::output(Command::new(tools::program("wardline")?).args(["model", "roles"]))?;
    Ok(json!({
        "seed": args.seed,
        "roles": roles.lines().collect::<Vec<_>>(),
        "sets": sets.collect::<Vec<_>>(),
        "bundle": places.model,
        "vectors": places.folder.join("parity.f32"),
        "report": places.folder.join("REPORT.md"),
        "card": places.folder.join("card.cdx.json"),
        "heads": scratch.join("heads.json"),
    }))
}

/// Tries the report on invented figures first: an hour later is late to find a mistake in it.
fn train(venv: &Path, plan: &Path) -> Result<()> {
    tools::run(python(venv)?.args(["-m", "unittest", "training.tests"]))?;
    tools::run(python(venv)?.args(["-m", "training"]).arg(plan))
}

/// One thread of arithmetic: sums come in the same order on every machine.
fn python(venv: &Path) -> Result<Command> {
    let mut command = Command::new(venv.join("bin/python"));
    command
        .arg("-B")
        .env("PYTHONPATH", tools::root()?.join("models"));
    for threads in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"] {
        command.env(threads, "1");
    }
    Ok(command)
}
