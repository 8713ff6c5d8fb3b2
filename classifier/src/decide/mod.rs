//! From evidence and a model's opinion to an answer: a role, "A or B", or unknown.
//!
//! All that speaks for a role is added up as log-odds ([`fuse`]), made into probabilities by the
//! calibration of the training ([`Calibration`]), and answered with the roles that a
//! class-conditional conformal set leaves ([`decide`]). [`Holder`] keeps an answer steady from
//! look to look.

mod answer;
mod calibration;
mod change;
mod fuse;
mod hold;
mod opinion;

pub use answer::{
    Answer, Glance, Named, NamedBy, Reason, decide, decide_with, glance, log_chances,
};
pub use calibration::{Calibration, CalibrationError};
pub use fuse::{Chances, fuse};
pub use hold::{Holder, Steadiness};
pub use opinion::{Contribution, Opinion};
