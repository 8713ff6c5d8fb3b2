//! The side-by-side harness: Wardline next to its alternatives, in one run on one machine.

pub mod sample;

pub use sample::{Absent, Better, Findings, Sample, Suite};
