//! What the engine tells the world, bounded: drops and counts rather than blocks.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use wardline_policy::{DeviceKey, Reason, Side};

use crate::Traffic;

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Engine time in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Number of the policy swap the rule ids below belong to.
    pub generation: u32,
    /// The device it is about, if any.
    pub device: Option<DeviceKey>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened. No payload, no names of persons: addresses, ports and reasons only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// A device spoke for the first time.
    DeviceSeen,
    /// An address was bound to the device.
    AddressBound {
        /// The address.
        address: IpAddr,
    },
    /// A frame with the device's MAC address as source came from the core side: a loop, a second
    /// path around the box, or the device moved. At most one event a second for each device.
    WrongSide,
    /// A conversation began.
    FlowBegun(FlowFacts),
    /// A conversation ended (closed, timed out or revoked).
    FlowEnded {
        /// The conversation.
        #[serde(flatten)]
        flow: FlowFacts,
        /// All that the initiator sent and that passed.
        forth: Traffic,
        /// All that came back.
        back: Traffic,
    },
    /// A conversation was refused, or would have been; repeated ones are counted, at most one
    /// event a second for each device and reason.
    Denied {
        /// The conversation.
        flow: FlowFacts,
        /// Whether the frame was dropped (false: it would have been).
        dropped: bool,
        /// How many more like it since the last event.
        repeated: u32,
    },
}

/// A conversation in words of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowFacts {
    /// Side of the first packet.
    pub from: Side,
    /// Source of the first packet.
    pub source: Option<IpAddr>,
    /// Destination of the first packet.
    pub destination: Option<IpAddr>,
    /// IP protocol; 0 if not IP.
    pub protocol: u8,
    /// EtherType.
    pub ethertype: u16,
    /// Source port, or the identifier of an ICMP query that passed, or 0.
    pub source_port: u16,
    /// Destination port, or `type << 8 | code` of ICMP, or 0.
    pub destination_port: u16,
    /// Why.
    pub reason: Reason,
    /// The deciding rule in the snapshot of `Event::generation`; 0 if none.
    pub rule: u32,
    /// First packet as in [`FlowView`](crate::FlowView); none if it was refused and never began.
    pub first_seen_ns: Option<u64>,
}
