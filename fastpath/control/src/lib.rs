//! The typed contract between `wardline fastpath` and its clients, and the client itself.
//!
//! The fast path listens on a Unix socket and nowhere else. It checks who is at the other end
//! (`SO_PEERCRED`) before it reads a byte. Requests and answers are JSON, one length-delimited
//! frame each, carried by tarpc. Every list comes in pages, every wait and every text is bounded
//! by a constant of [`bounds`], and no request can stop or slow the packet path: what a worker
//! has to contribute, it contributes between two bursts.
//!
//! [`Control`] is the service, [`view`] holds what it answers, [`Client`] speaks it.

pub mod bounds;
pub mod client;
mod service;
mod transport;
pub mod view;

pub use client::{Client, ClientError};
pub use service::{Control, ControlClient, ControlRequest, ControlResponse};
pub use transport::{ServerTransport, server_transport};
pub use view::{
    Alert, AlertChange, AlertState, AlertsPage, Applied, ApplyOptions, ContextEntry, ContextPage,
    Counters, DeviceView, DevicesPage, Diagnostic, EventBatch, EventKind, EventRecord, Evidence,
    FlowFilter, FlowView, FlowsPage, Hello, Identity, LinkState, ModelOrigin, ModelStatus,
    PolicyFormat, PolicyInForce, PolicyText, PortStatus, Refused, RefusedKind, RoleStatement,
    Severity, SideCounters, Status, Subject, WorkerStatus,
};

/// Number of the contract. Raised when a client of the old number could misunderstand an answer;
/// new optional fields do not raise it.
pub const PROTOCOL_VERSION: u32 = 3;

/// Where the fast path listens unless its configuration says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/wardline/fastpath.sock";
