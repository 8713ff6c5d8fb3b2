//! `wardline-bench`: what `cargo xtask bench` starts.

fn main() {}
