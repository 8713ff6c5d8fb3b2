//! A change by somebody: made and written down in one transaction.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value as Json;
use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::StoreError;
use crate::audit::{self, Signer};

/// Who changes something, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Such as `user:anna`, `token:backup` or `system`.
    pub who: String,
    /// Where the request came from; absent for the system itself.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// This process by itself.
    pub fn system() -> Self {
        Self {
            who: "system".to_owned(),
            address: None,
        }
    }
}

/// What was changed, for the audit log. Secrets never belong here.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The operation of the API, such as `update_device`.
    pub operation: &'static str,
    /// What it was done to, such as `device/00-09-fb-12-34-56`.
    pub subject: String,
    /// Why, in the words of whoever did it.
    pub reason: Option<String>,
    /// How it was.
    pub before: Option<Json>,
    /// How it is.
    pub after: Option<Json>,
}

impl Record {
    /// Of an operation on something.
    pub fn new(operation: &'static str, subject: impl Into<String>) -> Self {
        Self {
            operation,
            subject: subject.into(),
            ..Self::default()
        }
    }

    /// With the reason that was given.
    #[must_use]
    pub fn because(mut self, reason: Option<impl Into<String>>) -> Self {
        self.reason = reason.map(Into::into);
        self
    }

    /// With how it was.
    #[must_use]
    pub fn before(mut self, before: &impl Serialize) -> Self {
        self.before = serde_json::to_value(before).ok();
        self
    }

    /// With how it is.
    #[must_use]
    pub fn after(mut self, after: &impl Serialize) -> Self {
        self.after = serde_json::to_value(after).ok();
        self
    }
}

/// A change under way; dropped before [`Change::commit`] it never happened.
#[derive(Debug)]
pub struct Change {
    transaction: Transaction<'static, Sqlite>,
    signer: Arc<Signer>,
    actor: Actor,
}

impl Change {
    pub(super) fn new(
        transaction: Transaction<'static, Sqlite>,
        signer: Arc<Signer>,
        actor: Actor,
    ) -> Self {
        Self {
            transaction,
            signer,
            actor,
        }
    }

    /// The connection that the statements of the change go to.
    pub fn db(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Who makes it.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Writes down what was changed and makes it hold. Afterwards it survives anything but the
    /// loss of the disk.
    ///
    /// # Errors
    /// When it could not be written; nothing has changed then.
    pub async fn commit(self, record: Record) -> Result<(), StoreError> {
        self.commit_all([record]).await
    }

    /// As [`Change::commit`], for a change of many things at once.
    ///
    /// # Errors
    /// As [`Change::commit`].
    #[tracing::instrument(name = "store commit", skip_all)]
    pub async fn commit_all(
        mut self,
        records: impl IntoIterator<Item = Record> + Send,
    ) -> Result<(), StoreError> {
        let mut head = None;
        for record in records.into_iter().collect::<Vec<_>>() {
            let appended =
                audit::append(&mut self.transaction, &self.signer, &self.actor, record).await?;
            head = Some(appended);
        }
        self.transaction.commit().await?;
        if let Some(head) = head {
            self.signer.remember(&head);
        }
        Ok(())
    }
}
