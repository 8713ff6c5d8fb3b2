//! The policy language of Wardline: documents, validation, MUD in and out, and the compiler
//! to an immutable [`PolicySnapshot`]. Pure: no I/O, no clock, no threads.
//!
//! The way of a policy: a [`document`] (TOML or JSON) is parsed with positions, checked, and
//! compiled for one instant into a [`PolicySnapshot`]; the engine asks the snapshot about a
//! new flow with a [`Query`] and gets a [`Decision`].

mod baseline;
pub mod check;
mod compile;
pub mod diagnostic;
pub mod diff;
pub mod document;
pub mod mud;
pub mod parse;
mod program;
mod read;
pub mod reason;
pub mod reference;
pub mod scalar;
pub mod schema;
mod sections;
pub mod snapshot;
mod stable;
mod tags;
mod tree;
pub mod types;

pub use compile::{compile, compile_text, content_id};
pub use diagnostic::{Diagnostic, Diagnostics, Warnings};
pub use document::Document;
pub use parse::{Format, parse};
pub use reason::Reason;
pub use snapshot::{
    AnswerWindow, Decision, DeviceEntry, EntryIdx, PeerTag, PolicySnapshot, Query, RuleId,
    StormGuard,
};
pub use types::{Care, Cast, DeviceKey, Initiator, MacAddr, Mode, Refusal, Side, VlanKey};
