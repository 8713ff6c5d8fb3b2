//! What the watch is told.

use core::net::IpAddr;

use wardline_policy::{DeviceKey, Initiator};

use crate::Role;

/// A conversation of a device, told at its beginning, again while it lasts if it lasts long, and
/// at its end. What was told before is recognised by the time it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversation<'a> {
    /// Now, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// When it began.
    pub began_ns: u64,
    /// Whose it is.
    pub device: DeviceKey,
    /// Who began it.
    pub initiator: Initiator,
    /// The other end.
    pub peer: IpAddr,
    /// IP protocol.
    pub protocol: u8,
    /// The responder's port; `type << 8 | code` of ICMP; 0 where there are no ports.
    pub port: u16,
    /// The protocol as decoded: `dicom`.
    pub service: Option<&'a str>,
    /// Bytes the device sent since the conversation was told last.
    pub sent: u64,
    /// Bytes it received since then.
    pub received: u64,
    /// Whether policy lets it pass.
    pub outcome: Outcome,
}

/// What policy made of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Allowed,
    /// It was refused, or would have been.
    Denied,
}

/// What a device sent and received in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute {
    /// The end of the minute, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Whose it is.
    pub device: DeviceKey,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

/// What a device looks like at the moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Looks<'a> {
    /// Now, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Which device.
    pub device: DeviceKey,
    /// The role a person confirmed.
    pub confirmed: Option<Role>,
    /// The roles its latest window may belong to, the likeliest first; empty: unknown.
    pub roles: &'a [Role],
}
