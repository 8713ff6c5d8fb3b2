//! What control messages say in passing: addresses, names, facts for the inventory.
//!
//! Everything here reads one message into values of fixed size, without allocation and without
//! panic on any input. Whether to believe a message is decided by the caller.

pub mod arp;
pub mod dhcp;
pub mod dhcpv6;
pub mod dns;
pub mod nd;
