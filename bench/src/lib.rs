//! The side-by-side harness: Wardline next to its alternatives, in one run on one machine.

pub mod application;
pub mod control;
pub mod cost;
pub mod cpus;
pub mod fixture;
pub mod hugepages;
pub mod interrupt;
pub mod machine;
pub mod management;
pub mod memory;
pub mod options;
pub mod policy_swap;
pub mod process;
pub mod raw;
pub mod report;
pub mod sample;
pub mod suites;
pub mod traffic;
pub mod wire;

pub use options::Options;
pub use sample::{Absent, Better, Findings, Sample, Suite};
