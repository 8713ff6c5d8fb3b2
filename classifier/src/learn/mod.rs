//! What people say of devices, and what is learnt from it.
//!
//! Confirmations and corrections go to a [`Journal`]: chained, signed, reversible by a record of
//! its own. Windows of the devices they are about are kept in [`Samples`], but none while an alert
//! about the device is open. From both, [`update`] makes an [`Adaptation`] — where the middles of
//! roles lie here and how sure to be — and tries it on devices whose role is known before it may
//! be used. A [`Bundle`] takes what was said elsewhere for retraining, without addresses.

mod adapt;
mod base;
mod bundle;
mod digest;
mod journal;
mod key;
mod record;
mod sample;
mod update;
mod verify;

pub use adapt::{Adaptation, Middle};
pub use base::{Base, BaseError, Exemplar, Prototype};
pub use bundle::{Bundle, BundleError, Named};
pub use digest::Digest;
pub use journal::{AppendError, Journal, verify_directory};
pub use key::key_of_this_box;
pub use record::{Action, Head, Record, Standing, Statement, standing};
pub use sample::{BadWindow, FEATURES, SCORES, Samples, Unfit, Window};
pub use update::{Lesson, Outcome, Refusal, Report, Tallies, Tally, Trial, Update, update};
pub use verify::{Fault, Verified, VerifyError, verify};

#[cfg(test)]
mod journal_tests;
#[cfg(test)]
mod learn_tests;
