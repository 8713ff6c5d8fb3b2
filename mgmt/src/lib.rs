//! `wardline mgmt`: the unprivileged process that people and programs talk to.
//!
//! It keeps what people decided and what was seen, checks who may do what, and passes on to the
//! fast path what was decided. It may crash, be upgraded or be attacked without one packet being
//! lost or wrongly passed: nothing here is on the packet's way.
//!
//! [`run`] is the order of a start and of a stop. [`api`] is what can be asked, [`auth`] who may
//! ask it, [`store`] what is kept, [`inventory`] what the hospital owns, [`audit`] who changed
//! what, [`fastpath`] the other process, [`live`] what is told while it happens, [`metrics`] what is
//! counted, [`out`] who outside is told, [`command`] what is done on the machine itself.

pub mod api;
pub mod audit;
pub mod auth;
pub mod backup;
pub mod captures;
pub mod config;
mod connections;
pub mod fastpath;
pub mod inventory;
pub mod jobs;
pub mod live;
pub mod metrics;
pub mod models;
pub mod out;
pub mod policy;
pub mod run;
pub mod secret;
pub mod store;
pub mod support;
pub mod time;
pub mod tls;
pub mod traces;

use std::sync::Arc;

use tokio::sync::watch;

/// What every part of the process shares.
#[derive(Debug)]
pub struct App {
    /// The configuration as it was read at start.
    pub config: config::Config,
    /// What is kept.
    pub store: store::Store,
    /// The connection to the fast path.
    pub fastpath: fastpath::Link,
    /// What happens, for those who listen.
    pub live: live::Hub,
    /// Who talks to whom, by role; made anew now and then.
    pub role_map: watch::Sender<Arc<api::flows::RoleMap>>,
    /// What takes longer than a request.
    pub jobs: jobs::Jobs,
    /// What is wanted of the policy in force.
    pub policies: policy::Keeper,
    /// Captures that can be downloaded.
    pub captures: captures::Shelf,
    /// Says that alerts came or went.
    pub alerted: tokio::sync::Notify,
    /// What was asked, counted.
    pub metrics: metrics::Metrics,
    /// What receivers outside wait for.
    pub out: out::Out,
    /// Says that others say something else of devices.
    pub context_changed: tokio::sync::Notify,
    /// Requests with an `Idempotency-Key` that are under way.
    pub under_way: api::idempotency::UnderWay,
    /// Who may do what, by operation.
    pub gate: auth::Gate,
    /// What proving who one is needs.
    pub login: auth::login::Login,
    /// When this process started.
    pub started: time::Time,
}

/// The same for all handlers.
pub type Shared = Arc<App>;
