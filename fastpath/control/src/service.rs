//! The calls.

#![allow(
    missing_docs,
    missing_debug_implementations,
    reason = "tarpc generates types and methods without either; the trait's own calls are documented"
)]

use crate::view::{
    AlertsPage, Applied, ApplyOptions, ContextEntry, ContextPage, DevicesPage, Diagnostic,
    EventBatch, FlowFilter, FlowsPage, Hello, ModelStatus, PolicyInForce, PolicyText, Refused,
    RoleStatement, Status,
};

/// What a client may ask of the fast path.
#[tarpc::service]
pub trait Control {
    /// Who is there. `client` is a name for the log, at most `NAME_BYTES`.
    async fn hello(client: String) -> Hello;

    /// Everything at a glance: ports, workers, counters, policy.
    async fn status() -> Result<Status, Refused>;

    /// One page of devices in the order they were first seen. `cursor` is 0 or the last page's `next`.
    async fn devices(cursor: u64, limit: u32) -> Result<DevicesPage, Refused>;

    /// One page of conversations. A page may be empty and yet have a `next`: the table is read
    /// in pieces while traffic goes on, so this is not a picture of one instant.
    async fn flows(filter: FlowFilter, cursor: u64, limit: u32) -> Result<FlowsPage, Refused>;

    /// Writes down what a person says of a device and holds to it: a confirmation, a correction,
    /// or that neither counts any more. Answers with the number of the record.
    async fn state_role(statement: RoleStatement) -> Result<u64, Refused>;

    /// What is learnt from devices that people named, without addresses, signed by the box: a line of
    /// JSON for retraining elsewhere.
    async fn export_lessons() -> Result<String, Refused>;

    /// The model that names the devices.
    async fn model_status() -> Result<ModelStatus, Refused>;

    /// Puts the model in a folder of this machine in use (an absolute path of at most `PATH_BYTES`),
    /// or the program's own without one, and remembers it over a restart. It is checked as at the
    /// start; on any defect, or when it is older, the one in use stays.
    async fn model_activate(folder: Option<String>) -> Result<ModelStatus, Refused>;

    /// One page of alerts, those that ended lately included. `cursor` is 0 or the last page's `next`.
    async fn alerts(cursor: u64, limit: u32) -> Result<AlertsPage, Refused>;

    /// What this alert is about is usual for its device from now on.
    async fn accept_alert(id: u64, who: String, reason: String) -> Result<(), Refused>;

    /// Replaces all that is known of devices, addresses and users from elsewhere, at most
    /// `CONTEXT_ENTRIES`. Held in memory only, and until it expires: hand it over again after each
    /// connection. How many entries are held then. Policy does not use it yet.
    async fn context_set(entries: Vec<ContextEntry>) -> Result<u32, Refused>;

    /// One page of what `context_set` brought and has not expired. `cursor` is 0 or the last page's
    /// `next`.
    async fn context(cursor: u64, limit: u32) -> Result<ContextPage, Refused>;

    /// The document in force, as it was given.
    async fn policy_show() -> Result<PolicyInForce, Refused>;

    /// What `policy_apply` would say, without applying. Empty: nothing to remark.
    async fn policy_check(policy: PolicyText) -> Result<Vec<Diagnostic>, Refused>;

    /// Puts a document in force on all workers at a burst boundary, then saves it. On any error
    /// the old one stays in force, as a whole.
    async fn policy_apply(policy: PolicyText, options: ApplyOptions) -> Result<Applied, Refused>;

    /// Keeps the policy that was applied with `confirm_within_s`. `id` must be the one in force.
    async fn policy_confirm(id: String) -> Result<Applied, Refused>;

    /// Events with `seq >= from_seq`, at most `limit`. If there are none, waits for the first
    /// for at most `wait_ms`. Use the answer's `next_seq` for the next call; 0 starts with the
    /// oldest event still held.
    async fn events(from_seq: u64, limit: u32, wait_ms: u32) -> Result<EventBatch, Refused>;

    /// A planned stop, answered before it happens. The interfaces stay attached for the next
    /// start (the kernel's bridge carries on meanwhile) unless `detach` gives them back.
    async fn stop(detach: bool) -> Result<(), Refused>;
}
