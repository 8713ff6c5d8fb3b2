//! scratch
mod config;
fn main() {}
