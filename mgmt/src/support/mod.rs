//! One file with what support needs to find a fault, and with nothing that names a patient, a
//! person, a device or a secret.
//!
//! What goes in is chosen, never what is left out: counts, sizes, versions and states. Texts stay
//! behind but for a list of those that are known to tell nothing ([`blank`]). What cannot be found
//! out is said in its place, so that a bundle can be made of a broken appliance.

mod blank;
mod log;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value as Json, json};
use sqlx::SqlitePool;
use wardline_control::Client;

use crate::audit::{self, Verifier};
use crate::config::Config;
use crate::store::{HISTORY_FILE, MAIN_FILE, StoreError, is_step, read_only, sql};
use crate::time::Time;
use blank::blank;

/// Lines of the log that go in, and as many that tell of trouble.
const LINES: usize = 1_000;
/// How long the fast path may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A database larger than this is not checked page by page, which would take minutes.
const CHECKED_BYTES: u64 = 1024 * 1024 * 1024;

/// Texts of the configuration that tell nothing of anybody.
const PLAIN_CONFIG: &[&str] = &[
    "listen.address",
    "state.dir",
    "fastpath.socket",
    "log.level",
];
/// The same of what the fast path says of itself.
const PLAIN_STATUS: &[&str] = &[
    "software_version",
    "ports.*.side",
    "ports.*.driver",
    "ports.*.link",
    "workers.*.poll",
    "policy.id",
    "policy.origin",
];

const CONTENTS: &str = "What support needs, made by `wardline support-bundle`.\n\n\
    system.json    versions, health, the disk, and which files are how large\n\
    config.json    the configuration; texts are replaced by their length\n\
    database.json  state and tables of both databases: counts of rows, never a row\n\
    fastpath.json  the fast path's counters\n\
    log.txt        last lines of the log, without names, addresses and values\n\
    trouble.txt    of them, warnings and errors\n\n\
    There are no tokens, passwords, keys, cookies or digests in here, no names of people or\n\
    devices, no notes, no addresses and no traffic. Look through it before you send it.\n";

/// Writes the bundle and says how many bytes it has.
///
/// # Errors
/// When the file cannot be written.
pub async fn bundle(config: &Config, log: Option<&Path>, to: &Path) -> Result<u64> {
    let mut files = vec![
        ("contents.txt", CONTENTS.to_owned()),
        ("system.json", pretty(&system(config))),
        ("config.json", pretty(&blanked(config, PLAIN_CONFIG))),
        ("database.json", pretty(&databases(config).await)),
        ("fastpath.json", pretty(&fastpath(config).await)),
    ];
    if let Some(path) = log {
        let lines = |wanted: fn(&str) -> bool| {
            log::tail(path, LINES, wanted)
                .unwrap_or_else(|error| format!("the log cannot be read: {}\n", error.kind()))
        };
        files.push(("log.txt", lines(|_| true)));
        files.push(("trouble.txt", lines(log::is_trouble)));
    }
    write(&files, to).with_context(|| format!("cannot write {}", to.display()))
}

fn write(files: &[(&str, String)], to: &Path) -> io::Result<u64> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(to)?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    let now = u64::try_from(Time::now().seconds()).unwrap_or(0);
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(now);
        archive.append_data(
            &mut header,
            format!("wardline-support/{name}"),
            text.as_bytes(),
        )?;
    }
    let file = archive.into_inner()?.finish()?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

fn system(config: &Config) -> Json {
    let kernel = rustix::system::uname();
    let word = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    json!({
        "time": Time::now(),
        "version": env!("CARGO_PKG_VERSION"),
        "kernel": word(kernel.release()),
        "machine": word(kernel.machine()),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": memory(),
        "disk": disk(&config.state.dir),
        "files": sizes(&config.state.dir),
    })
}

/// The first lines of `/proc/meminfo`, in kB.
fn memory() -> Json {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let wanted = ["MemTotal", "MemAvailable", "SwapFree"];
    let found = text.lines().filter_map(|line| {
        let (name, rest) = line.split_once(':')?;
        let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
        wanted
            .contains(&name)
            .then(|| (name.to_owned(), kib.into()))
    });
    Json::Object(found.collect())
}

fn disk(dir: &Path) -> Json {
    match rustix::fs::statvfs(dir) {
        Ok(facts) => json!({
            "bytes": facts.f_blocks * facts.f_frsize,
            "free_bytes": facts.f_bavail * facts.f_frsize,
            "free_inodes": facts.f_favail,
        }),
        Err(error) => json!({ "error": io::Error::from(error).kind().to_string() }),
    }
}

/// Bytes of the files whose names are ours, and of all others together.
fn sizes(dir: &Path) -> Json {
    let ours = |name: &str| {
        let bases = [MAIN_FILE, HISTORY_FILE];
        let is = |base: &&str| {
            name.strip_prefix(*base)
                .is_some_and(|rest| ["", "-wal", "-shm"].contains(&rest))
        };
        bases.iter().any(is)
    };
    let mut sizes = serde_json::Map::new();
    let (mut others, mut bytes) = (0_u64, 0_u64);
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let size = entry.metadata().map_or(0, |facts| facts.len());
        match entry.file_name().into_string() {
            Ok(name) if ours(&name) => drop(sizes.insert(name, size.into())),
            _ => (others, bytes) = (others + 1, bytes + size),
        }
    }
    sizes.insert(
        "others".to_owned(),
        json!({ "count": others, "bytes": bytes }),
    );
    Json::Object(sizes)
}

async fn databases(config: &Config) -> Json {
    let dir = &config.state.dir;
    let mut found = serde_json::Map::new();
    for name in [MAIN_FILE, HISTORY_FILE] {
        let read = database(&dir.join(name)).await;
        let read = read.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        found.insert(name.to_owned(), read);
    }
    found.insert("audit".to_owned(), audit(dir).await);
    Json::Object(found)
}

async fn database(path: &Path) -> Result<Json, StoreError> {
    let db = read_only(path).await?;
    let steps: Vec<(String, i64)> =
        sqlx::query_as("SELECT name, applied_us FROM migration ORDER BY applied_us, name")
            .fetch_all(&db)
            .await?;
    let steps = steps.into_iter().map(|(name, us)| {
        let name = if is_step(&name) { &name } else { "unknown" };
        json!({ "name": name, "applied": Time::from_us(us) })
    });
    let steps: Vec<_> = steps.collect();
    let found = json!({
        "sqlite": text(&db, "SELECT sqlite_version()").await?,
        "check": checked(&db, path).await,
        "steps": steps,
        "rows": rows(&db).await?,
    });
    db.close().await;
    Ok(found)
}

async fn text(db: &SqlitePool, query: &'static str) -> Result<String, StoreError> {
    Ok(sqlx::query_scalar(query).fetch_one(db).await?)
}

async fn checked(db: &SqlitePool, path: &Path) -> String {
    if fs::metadata(path).is_ok_and(|facts| facts.len() > CHECKED_BYTES) {
        return "not done: it is too large".to_owned();
    }
    match text(db, "PRAGMA quick_check(1)").await {
        Ok(said) => said,
        Err(error) => error.to_string(),
    }
}

/// Rows of each table; the reason where they cannot be counted.
async fn rows(db: &SqlitePool) -> Result<Json, StoreError> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .fetch_all(db)
            .await?;
    let mut rows = serde_json::Map::new();
    for table in tables {
        let count = sql(format!(
            "SELECT count(*) FROM \"{}\"",
            table.replace('"', "\"\"")
        ));
        let count: Result<i64, _> = sqlx::query_scalar(count).fetch_one(db).await;
        let count = match count {
            Ok(count) => count.into(),
            Err(error) => StoreError::from(error).to_string().into(),
        };
        rows.insert(table, count);
    }
    Ok(Json::Object(rows))
}

async fn audit(dir: &Path) -> Json {
    let verifier = match Verifier::beside(dir) {
        Ok(verifier) => verifier,
        Err(_) => return json!({ "error": "there is no public key" }),
    };
    match read_only(&dir.join(MAIN_FILE)).await {
        Ok(db) => {
            let verdict = audit::log::verify(&db, verifier).await;
            db.close().await;
            json!(verdict)
        }
        Err(error) => json!({ "error": error.to_string() }),
    }
}

async fn fastpath(config: &Config) -> Json {
    let ask = async {
        let client = Client::connect(&config.fastpath.socket, "wardline-support").await?;
        client.status().await
    };
    match tokio::time::timeout(PATIENCE, ask).await {
        Ok(Ok(status)) => blanked(&status, PLAIN_STATUS),
        Ok(Err(error)) => json!({ "error": error.to_string() }),
        Err(_) => json!({ "error": "it does not answer" }),
    }
}

fn blanked(value: &impl serde::Serialize, plain: &[&str]) -> Json {
    blank(&serde_json::to_value(value).unwrap_or_default(), plain)
}

fn pretty(value: &Json) -> String {
    format!("{value:#}\n")
}
