//! What is kept: two SQLite databases, one for what people decided and one for what was seen.
//!
//! They are apart so that the history, which is large and can be done without, never stands in
//! the way of the rest: when it is damaged it is set aside and begun anew. Each has one
//! connection that writes and some that read. A change by somebody is committed together with
//! its audit record or not at all ([`Change`]).

pub mod alert;
pub mod asset;
mod change;
pub mod context;
pub mod device;
pub mod flow;
pub mod group;
pub mod idempotency;
pub mod import;
pub mod job;
mod lock;
mod migrate;
pub mod network;
pub mod policy;
pub mod receiver;
pub mod reconciliation;
pub mod restore;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection as _, Sqlite, SqliteConnection, Transaction};

pub use change::{Actor, Change, Record};

use crate::audit::{self, Signer};

/// File of the main database in a state directory.
pub const MAIN_FILE: &str = "wardline.db";
/// File of the flow history.
pub const HISTORY_FILE: &str = "history.db";
/// A larger history is not gone through at the start, which would keep everybody waiting; whoever
/// wants that done asks for a check of the system.
const HISTORY_CHECKED_BYTES: u64 = 256 * 1024 * 1024;
/// Connections of each database that read.
const READERS: u32 = 4;
/// SQLite's code `SQLITE_INTERRUPT`.
const INTERRUPTED: u32 = 9;
/// SQLite's code `SQLITE_IOERR_SHMSIZE`.
const SHARED_MEMORY_SIZE: u32 = 4_874;
/// How long one waits for another connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Both databases, and the key that signs audit records.
#[derive(Debug)]
pub struct Store {
    /// People, policies, devices: what must not be lost.
    pub main: Database,
    /// Flow history.
    pub history: Database,
    signer: Arc<Signer>,
    /// Keeps a restore away.
    _lock: lock::Lock,
}

/// One database.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    write: SqlitePool,
    read: SqlitePool,
}

/// Why something could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk has no room.
    #[error("the disk is full: nothing was changed; make room in the state directory")]
    Full,
    /// The file is not what it was.
    #[error(
        "the database is damaged: {0}; stop, and restore a backup with `wardline-mgmt restore`"
    )]
    Damaged(String),
    /// A newer version wrote it.
    #[error("the database was written by a newer version (it knows `{0}`); start that one")]
    Newer(String),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It was cut off.
    #[error("that takes too long: ask for less time, a device or a peer")]
    TooLong,
    /// Somebody else has the name.
    #[error("it is taken: {0}")]
    Taken(String),
    /// Anything else.
    #[error("the database failed: {0}")]
    Other(sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            return Self::Other(error);
        };
        if database.is_unique_violation() {
            return Self::Taken(database.message().to_owned());
        }
        // SQLite's extended codes have the primary one in their low byte.
        let code = database.code().and_then(|code| code.parse::<u32>().ok());
        // The journal's index could not grow, which is how a full disk may show first.
        if code == Some(SHARED_MEMORY_SIZE) {
            return Self::Full;
        }
        match code.map(|code| code & 0xff) {
            Some(13) => Self::Full,
            Some(INTERRUPTED) => Self::TooLong,
            Some(11 | 26) => Self::Damaged(database.message().to_owned()),
            _ => Self::Other(error),
        }
    }
}

impl Store {
    /// Opens both databases in `dir`, makes them if they are not there, brings them up to this
    /// version and checks them.
    ///
    /// # Errors
    /// When the main one is damaged or newer, or the directory cannot be used. A damaged history
    /// is set aside instead.
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        let store = Self::open_files(dir).await?;
        // The head first: the log of a process beside this one only grows.
        let head = store.signer.head();
        if let Some(record) = audit::resumed(store.main.read(), head.as_ref()).await? {
            tracing::error!(
                operation = record.operation,
                "the audit log does not end where it ended: `wardline audit verify` says more"
            );
            store.change(Actor::system()).await?.commit(record).await?;
        }
        Ok(store)
    }

    /// As [`Store::open`], after a copy was put in the place of the main database, which the audit log
    /// says from now on.
    pub(crate) async fn open_restored(
        dir: &Path,
        reason: Option<String>,
    ) -> Result<Self, StoreError> {
        let store = Self::open_files(dir).await?;
        let record = audit::restored(store.signer.head().as_ref(), reason);
        store.change(Actor::system()).await?.commit(record).await?;
        Ok(store)
    }

    async fn open_files(dir: &Path) -> Result<Self, StoreError> {
        private_directory(dir)?;
        let lock = lock::Lock::shared(dir)?;
        let signer = Arc::new(Signer::open(dir)?);
        let main = Database::open(&dir.join(MAIN_FILE), migrate::MAIN, u64::MAX).await?;
        let path = dir.join(HISTORY_FILE);
        let history = match Database::open(&path, migrate::HISTORY, HISTORY_CHECKED_BYTES).await {
            Err(StoreError::Damaged(how)) => {
                let aside = set_aside(&path, "damaged")?;
                tracing::error!(%how, aside = %aside.display(), "the flow history is damaged; a new one is begun");
                Database::open(&path, migrate::HISTORY, HISTORY_CHECKED_BYTES).await?
            }
            history => history?,
        };
        Ok(Self {
            main,
            history,
            signer,
            _lock: lock,
        })
    }

    /// Begins a change by somebody.
    ///
    /// # Errors
    /// When the database does not let it.
    pub async fn change(&self, actor: Actor) -> Result<Change, StoreError> {
        let transaction = self.main.begin().await?;
        Ok(Change::new(transaction, Arc::clone(&self.signer), actor))
    }

    /// The key that signs audit records, and the head that is kept apart.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Closes both, so that their journals are folded in.
    pub async fn close(&self) {
        self.main.close().await;
        self.history.close().await;
    }
}

impl Database {
    async fn open(
        path: &Path,
        steps: &[migrate::Step],
        checked_bytes: u64,
    ) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was acknowledged survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .pragma("cache_size", "-8192")
            .pragma("journal_size_limit", "67108864")
            .pragma("temp_store", "memory");
        let pool = |count| {
            SqlitePoolOptions::new()
                .max_connections(count)
                .acquire_timeout(PATIENCE)
                .after_release(|connection, _| Box::pin(is_clean(connection)))
        };
        let write = pool(1).connect_with(options.clone()).await?;
        if std::fs::metadata(path).is_ok_and(|facts| facts.len() <= checked_bytes) {
            check(&write).await?;
        }
        migrate::run(&write, steps).await?;
        let read = pool(READERS)
            .connect_with(options.create_if_missing(false).read_only(true))
            .await?;
        Ok(Self {
            path: path.to_owned(),
            write,
            read,
        })
    }

    /// A transaction that writes; one at a time.
    ///
    /// # Errors
    /// When the database does not let it.
    #[tracing::instrument(name = "store begin", skip_all)]
    pub async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.write.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// For reading.
    pub fn read(&self) -> &SqlitePool {
        &self.read
    }

    /// Whether the file is what it should be; takes time in proportion to its size.
    ///
    /// # Errors
    /// What is damaged.
    pub async fn check(&self) -> Result<(), StoreError> {
        check(&self.read).await
    }

    /// Writes a whole copy while everything goes on. `to` must not exist.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn back_up(&self, to: &Path) -> Result<(), StoreError> {
        sqlx::query("VACUUM INTO ?1")
            .bind(to.to_string_lossy().into_owned())
            .execute(&self.write)
            .await?;
        Ok(())
    }

    /// Whether a copy that was written is what it should be, and can be read.
    ///
    /// # Errors
    /// What is damaged.
    pub async fn check_copy(path: &Path) -> Result<(), StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .immutable(true);
        let pool = SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect_with(options).await?;
        let checked = check(&pool).await;
        pool.close().await;
        checked
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Whether a connection has nothing left over from whoever had it. A full disk makes SQLite roll
/// back by itself; the connection then believes for ever that it is in a transaction.
async fn is_clean(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Answered once the rollback of a dropped transaction is done.
    connection.ping().await?;
    // Of somebody who was in a hurry and went away: it would cut off whoever comes next.
    connection.lock_handle().await?.remove_progress_handler();
    Ok(!connection.is_in_transaction())
}

/// Opens a database to read it and nothing else, be it in use, a copy, or damaged.
///
/// # Errors
/// When nothing of it can be read.
pub async fn read_only(path: &Path) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(PATIENCE);
    match try_read(options.clone()).await {
        // The journal's index cannot be made beside it. Without a journal there is no need to.
        Err(StoreError::Other(_)) if !has_journal(path) => try_read(options.immutable(true)).await,
        result => result,
    }
}

async fn try_read(options: SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(options).await?;
    sqlx::query("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&pool)
        .await?;
    Ok(pool)
}

fn has_journal(path: &Path) -> bool {
    std::fs::metadata(format!("{}-wal", path.display())).is_ok_and(|journal| journal.len() > 0)
}

async fn check(pool: &SqlitePool) -> Result<(), StoreError> {
    let said: Vec<(String,)> = sqlx::query_as("PRAGMA quick_check(5)")
        .fetch_all(pool)
        .await?;
    match said.first() {
        Some((first,)) if first != "ok" => Err(StoreError::Damaged(first.clone())),
        _ => Ok(()),
    }
}

/// Whether a step of this name is known; anything else in its place is not ours to tell.
pub(crate) fn is_step(name: &str) -> bool {
    let mut steps = migrate::MAIN.iter().chain(migrate::HISTORY);
    steps.any(|step| step.0 == name)
}

/// A statement put together from our own pieces; what comes from outside is bound, never pasted.
pub(crate) fn sql(text: String) -> AssertSqlSafe<String> {
    AssertSqlSafe(text)
}

fn private_directory(dir: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt};
    let failed = |source| StoreError::File {
        path: dir.to_owned(),
        source,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed)?;
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).map_err(failed)
}

/// Moves a database and its journals out of the way, to a name that says why.
fn set_aside(path: &Path, why: &str) -> Result<PathBuf, StoreError> {
    let aside = path.with_extension(format!("{why}-{}", crate::time::Time::now().seconds()));
    for (suffix, needed) in [("", true), ("-wal", false), ("-shm", false)] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        match std::fs::rename(with(path), with(&aside)) {
            Err(source) if needed => {
                return Err(StoreError::File {
                    path: path.to_owned(),
                    source,
                });
            }
            _ => {}
        }
    }
    Ok(aside)
}
