//! What proving who one is needs: hashing, bounds on guessing, and the identity provider.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::oidc::Provider;
use super::password::Hasher;
use super::throttle::{Lockout, Pace, network};
use super::user;
use crate::Shared;
use crate::api::problem::{Code, Problem};
use crate::config::Config;
use crate::live::Topic;
use crate::store::{Store, StoreError};
use crate::time::Time;

/// Wrong passwords in a row that cost a user nothing, and the longest wait after more, in seconds.
const USER: (u32, i64) = (5, 300);
/// The same for an address, behind which there may be many users.
const ADDRESS: (u32, i64) = (20, 900);

/// Uses of sessions and tokens that are written down at a time.
const USES: usize = 16;

/// What proving who one is needs.
#[derive(Debug)]
pub struct Login {
    /// Makes and checks hashes of passwords.
    pub hasher: Hasher,
    /// How many requests each principal may send.
    pub pace: Pace,
    /// Who else vouches for users.
    pub provider: Option<Provider>,
    users: Lockout,
    addresses: Lockout,
    uses: Arc<Semaphore>,
}

/// An attempt to prove who one is. Dropped, it has failed.
#[derive(Debug)]
#[must_use]
pub struct Attempt<'a> {
    login: &'a Login,
    user: String,
    address: String,
}

impl Login {
    /// As configured, with the failures from before a restart.
    ///
    /// # Errors
    /// When the provider's files cannot be used, or the system gives no random numbers.
    pub async fn new(config: &Config, store: &Store) -> anyhow::Result<Self> {
        let users = Lockout::new(USER.0, USER.1);
        for (name, count, last) in user::failures(&store.main).await? {
            users.remember(&name, count, last);
        }
        Ok(Self {
            hasher: Hasher::new()?,
            pace: Pace::new(config.limits.requests_per_second),
            provider: config.oidc.as_ref().map(Provider::new).transpose()?,
            users,
            addresses: Lockout::new(ADDRESS.0, ADDRESS.1),
            uses: Arc::new(Semaphore::new(USES)),
        })
    }

    /// Writes down a use apart from the request that is one, which waits for no writer; unless
    /// there are too many already, when a later one is written.
    pub(super) fn write_apart(
        &self,
        write: impl Future<Output = Result<(), StoreError>> + Send + 'static,
    ) {
        let Ok(place) = Arc::clone(&self.uses).try_acquire_owned() else {
            return;
        };
        tokio::spawn(async move {
            if let Err(error) = write.await {
                tracing::warn!(%error, "a use is not written down");
            }
            drop(place);
        });
    }

    /// Begins an attempt for a user, known or not.
    ///
    /// # Errors
    /// When there were too many failures for the user or from the address.
    pub fn attempt<'a>(
        app: &'a Shared,
        user: &str,
        address: Option<IpAddr>,
    ) -> Result<Attempt<'a>, Problem> {
        let login = &app.login;
        let (now, from) = (Time::now(), network(address));
        login.addresses.attempt(&from, now).map_err(too_many)?;
        let count = login.users.attempt(user, now).map_err(too_many)?;
        if login.users.locks(count) {
            let (app, user) = (app.clone(), user.to_owned());
            // Apart from the answer, which must take as long for users that there are not.
            tokio::spawn(async move { remember(&app, &user, count, now).await });
        }
        Ok(Attempt {
            login,
            user: user.to_owned(),
            address: from,
        })
    }
}

impl Attempt<'_> {
    /// It succeeded: the failures of the user are forgotten, those from the address are not.
    pub fn succeeded(self) {
        self.login.users.forget(&self.user);
        self.login.addresses.take_back(&self.address);
    }
}

fn too_many(seconds: u32) -> Problem {
    let detail = format!("Too many failures; try again in {seconds} s.");
    Problem::new(Code::TooManyRequests, detail).retry_after_s(seconds)
}

/// The failures of a user who is locked outlast a restart.
async fn remember(app: &Shared, user: &str, count: u32, last: Time) {
    if let Err(error) = user::write_failures(&app.store.main, user, count, last).await {
        tracing::warn!(%error, "failed logins are not written down");
    }
    if count == USER.0 && is_user(app, user).await.unwrap_or(false) {
        tracing::warn!(user, "too many wrong passwords: the user has to wait");
        let detail = serde_json::json!({ "user": user });
        app.live.tell(Topic::System, "login-locked", None, detail);
    }
}

async fn is_user(app: &Shared, name: &str) -> Result<bool, StoreError> {
    let mut db = app.store.main.read().acquire().await?;
    Ok(user::find(&mut db, name).await?.is_some())
}
