//! The policy language of Wardline: documents, validation, MUD in and out, and the compiler
//! to an immutable [`PolicySnapshot`]. Pure: no I/O, no clock, no threads.
//!
//! The way of a policy: a [`document`] (TOML or JSON) is parsed with positions, checked, and
//! compiled for one instant into a [`PolicySnapshot`]; the engine asks the snapshot about a
//! new flow with a [`Query`] and gets a [`Decision`].

pub mod reason;
pub mod snapshot;
pub mod types;

pub use reason::Reason;
pub use snapshot::{
    AnswerWindow, Decision, DeviceEntry, EntryIdx, PeerTag, PolicySnapshot, Query, RuleId,
};
pub use types::{Care, Cast, DeviceKey, Initiator, MacAddr, Mode, Refusal, Side, VlanKey};
