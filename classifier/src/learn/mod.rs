//! What people say of devices, and what is learnt from it.

mod digest;
mod journal;
mod record;
mod verify;

pub use digest::Digest;
pub use journal::{AppendError, Journal, verify_directory};
pub use record::{Action, Head, Record, Standing, Statement, standing};
pub use verify::{Fault, Verified, VerifyError, verify};

#[cfg(test)]
mod journal_tests;
