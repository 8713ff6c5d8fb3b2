//! The side-by-side harness: Wardline next to its alternatives, in one run on one machine.

pub mod cost;
pub mod fixture;
pub mod sample;
pub mod traffic;

pub use sample::{Absent, Better, Findings, Sample, Suite};
