//! The engine from outside: one named test for each rule about conversations, devices, modes and
//! limits. What a single frame says is tested beside the parser.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod addresses;
mod answers;
mod fragments;
mod frames;
mod icmp;
mod limits;
mod link;
mod modes;
mod policy_changes;
mod properties;
mod tcp;
mod timeouts;
mod ward;
