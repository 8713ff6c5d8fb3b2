//! Who changed what: a chain of records, each signed, of which nothing can be altered, removed or
//! put elsewhere without being found out.
//!
//! A record's hash covers its text, which names the hash before it; the signature covers number
//! and hash. The newest of them, the *head*, is also kept in a file beside the database (and goes
//! to whoever receives the events), so that cutting off the end is found out as well: at each start
//! the two are compared, and where they differ a record says so for good ([`resume`]).

pub mod log;
pub mod report;
mod resume;
mod signer;
mod verify;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use sqlx::SqliteConnection;

pub(crate) use resume::{restored, resumed};
pub use signer::{Head, Signer};
pub use verify::{Finding, Line, Verdict, Verifier};

use crate::store::{Actor, Record, StoreError};
use crate::time::Time;

/// What stands before the first record.
pub const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A record as it is hashed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// Its number, from 1 without a gap.
    pub seq: i64,
    /// When.
    pub time: Time,
    /// Who.
    pub who: String,
    /// From where.
    pub address: Option<String>,
    /// The operation of the API.
    pub operation: String,
    /// What it was done to.
    pub subject: String,
    /// Why, in the words of whoever did it.
    pub reason: Option<String>,
    /// How it was.
    pub before: Option<Json>,
    /// How it is.
    pub after: Option<Json>,
    /// Hash of the record before.
    pub previous: String,
}

/// Adds a record to the chain, in the transaction of the change.
pub(crate) async fn append(
    db: &mut SqliteConnection,
    signer: &Signer,
    actor: &Actor,
    record: Record,
) -> Result<Head, StoreError> {
    let last: Option<(i64, String)> =
        sqlx::query_as("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
            .fetch_optional(&mut *db)
            .await?;
    let (last_seq, previous) = last.unwrap_or_else(|| (0, BEGINNING.to_owned()));
    let body = Body {
        seq: last_seq + 1,
        time: Time::now(),
        who: actor.who.clone(),
        address: actor.address.map(|address| address.to_string()),
        operation: record.operation.to_owned(),
        subject: record.subject,
        reason: record.reason,
        before: record.before,
        after: record.after,
        previous,
    };
    let text = serde_json::to_string(&body)
        .map_err(|e| StoreError::Other(sqlx::Error::Encode(Box::new(e))))?;
    let head = signer.sign(body.seq, hash(&text));
    sqlx::query(
        "INSERT INTO audit (seq, time_us, who, operation, subject, body, hash, signature) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(body.seq)
    .bind(body.time.us())
    .bind(body.who)
    .bind(body.operation)
    .bind(body.subject)
    .bind(text)
    .bind(&head.hash)
    .bind(&head.signature)
    .execute(db)
    .await?;
    Ok(head)
}

/// SHA-256 of a record's text, hexadecimal.
fn hash(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}
