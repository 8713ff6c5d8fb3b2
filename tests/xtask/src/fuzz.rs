//! `cargo xtask fuzz`: every parser of the classifier against libFuzzer.
//!
//! The fuzzer lies outside the workspace (`classifier/fuzz`) and needs no other compiler than the
//! rest: what it asks of `rustc` is stable. Each target begins with what it recognises in the
//! captures beside the repository, in `classifier/fuzz/seeds` and of what was found before
//! (`classifier/fuzz/crashes`), and goes on with what it tried in earlier runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, bail};

use crate::{setup, tools};

/// Coverage as libFuzzer counts it: branches in counters, and what comparisons compare.
const RUST_FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
const FUZZER: &str = "wardline-fuzz";
/// Longest input: what the reader keeps of both directions of a conversation is not much longer.
const INPUT_MAX: usize = 16_384;
/// An input that takes longer is a find, in seconds.
const INPUT_SECONDS: u32 = 5;
/// So is one that takes more memory, in megabytes: a parser takes little, the fuzzer some hundreds.
const MEMORY_MB: u32 = 2_048;

/// What to fuzz and how.
#[derive(Debug, clap::Args)]
pub struct FuzzArgs {
    /// How long each target is fuzzed
    #[arg(long, value_name = "N", default_value_t = 600)]
    seconds: u32,
    /// How many targets are fuzzed at a time [default: one for each CPU]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Capture files to begin with [default: ../shared/captures where it is]
    #[arg(long, value_name = "DIR")]
    captures: Option<PathBuf>,
    /// Targets, such as `talk-tls`; all when none is named. A wrong name lists those there are
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// Fuzzes the targets and says of each what came out; true when nothing was found.
///
/// # Errors
/// When the fuzzer cannot be built or started, or a target does not exist.
pub fn run(args: &FuzzArgs) -> Result<bool> {
    setup::run_for_fuzz()?;
    let fuzzer = Fuzzer::build()?;
    let all = fuzzer.seed(args.captures.as_deref())?;
    let targets = choose(&all, &args.targets)?;
    let jobs = match args.jobs {
        Some(jobs) => jobs,
        None => thread::available_parallelism()?.get(),
    };
    let (next, finds) = (Mutex::new(targets.iter()), Mutex::new(0));
    // Apart, so that the lock is let go before the target is fuzzed.
    let take = || lock(&next).next();
    thread::scope(|scope| {
        let work = || {
            while let Some(target) = take() {
                match fuzzer.fuzz(target, args.seconds) {
                    Ok(inputs) => println!("{target}: clean, {inputs} inputs"),
                    Err(error) => {
                        *lock(&finds) += 1;
                        println!("{target}: FOUND: {error:#}");
                    }
                }
            }
        };
        for _ in 0..jobs.max(1) {
            scope.spawn(work);
        }
    });
    let finds = *lock(&finds);
    println!("targets: {} fuzzed, {finds} with finds", targets.len());
    Ok(finds == 0)
}

/// Nothing that is locked here is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn choose(all: &[String], wanted: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        bail!(
            "there is no target `{unknown}`; there are {}",
            all.join(", ")
        );
    }
    let chosen = all
        .iter()
        .filter(|name| wanted.is_empty() || wanted.contains(name));
    Ok(chosen.cloned().collect())
}

/// The program, and where things lie.
struct Fuzzer {
    program: PathBuf,
    /// `classifier/fuzz`.
    source: PathBuf,
    /// What is made and found.
    folder: PathBuf,
}

impl Fuzzer {
    /// Builds with the versions of everything that are shipped, and for a named machine, so that
    /// build scripts and macros are left as they are.
    fn build() -> Result<Self> {
        let source = tools::root()?.join("classifier/fuzz");
        let folder = tools::target()?.join("fuzz");
        let (shipped, lock) = (tools::root()?.join("Cargo.lock"), source.join("Cargo.lock"));
        fs::copy(shipped, &lock).with_context(|| format!("writing {}", lock.display()))?;
        let machine = machine()?;
        let mut command = tools::cargo()?;
        command
            .current_dir(&source)
            .args(["build", "--release", "--target", &machine])
            .env("CARGO_TARGET_DIR", &folder)
            .env("RUSTFLAGS", RUST_FLAGS);
        tools::run(&mut command)?;
        let program = folder.join(machine).join("release").join(FUZZER);
        Ok(Self {
            program,
            source,
            folder,
        })
    }

    fn corpus(&self) -> PathBuf {
        self.folder.join("corpus")
    }

    /// Fills the corpus and gives the names of all targets.
    fn seed(&self, captures: Option<&Path>) -> Result<Vec<String>> {
        let beside = tools::root()?.join("../shared/captures");
        let captures = match captures {
            Some(captures) => Some(captures.to_path_buf()),
            None => Some(beside).filter(|folder| folder.is_dir()),
        };
        let mut command = Command::new(&self.program);
        command.env("WARDLINE_SEEDS", self.corpus());
        match captures {
            Some(captures) => {
                command.env("WARDLINE_CAPTURES", captures);
            }
            None => println!("no captures at ../shared/captures: beginning with the kept seeds"),
        }
        let names = tools::output(&mut command)?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Where inputs are kept, the folder for new ones first.
    fn corpora(&self, target: &str) -> Vec<PathBuf> {
        let kept = ["seeds", "crashes"].map(|kind| self.source.join(kind).join(target));
        let kept = kept.into_iter().filter(|folder| folder.is_dir());
        std::iter::once(self.corpus().join(target))
            .chain(kept)
            .collect()
    }

    /// How many inputs were tried; an error that names the file when one was found.
    fn fuzz(&self, target: &str, seconds: u32) -> Result<String> {
        let make = |name: &str| -> Result<PathBuf> {
            let folder = self.folder.join(name);
            fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
            Ok(folder)
        };
        let finds = make("finds")?.join(format!("{target}-"));
        let log = make("log")?.join(target);
        let file = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
        let status = Command::new(&self.program)
            .env("WARDLINE_FUZZ", target)
            .args(self.corpora(target))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={INPUT_MAX}"))
            .arg(format!("-timeout={INPUT_SECONDS}"))
            .arg(format!("-rss_limit_mb={MEMORY_MB}"))
            .arg(format!("-artifact_prefix={}", finds.display()))
            .arg("-print_final_stats=1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .status()
            .with_context(|| format!("starting {}", self.program.display()))?;
        let said = fs::read_to_string(&log).unwrap_or_default();
        let after = |mark: &str| said.lines().find_map(|line| line.split_once(mark));
        if status.success() {
            let inputs = after("stat::number_of_executed_units:");
            let (_, inputs) = inputs.context("the fuzzer said nothing of what it tried")?;
            return Ok(inputs.trim().to_owned());
        }
        match after("Test unit written to ") {
            Some((_, path)) => bail!("{path}, told in {}", log.display()),
            None => bail!("the fuzzer ended with {status}, told in {}", log.display()),
        }
    }
}

/// What `rustc` calls the machine it runs on.
fn machine() -> Result<String> {
    let version = tools::output(Command::new("rustc").arg("-vV"))?;
    let mut lines = version.lines();
    let host = lines.find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not say which machine it is on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_does_not_exist_lists_those_that_do() {
        let all = ["talk-tls".to_owned(), "reader".to_owned()];
        assert_eq!(choose(&all, &[]).unwrap(), all);
        assert_eq!(choose(&all, &all[1..]).unwrap(), all[1..]);
        let error = choose(&all, &["tls".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no target `tls`; there are talk-tls, reader"
        );
    }
}
