//! Fixed limits, allocated at start.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every limit of one engine (one worker). Reaching one is counted under its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Devices known at once.
    pub devices: u32,
    /// Conversations at once, all devices together.
    pub flows: u32,
    /// Of these, the part kept for half-open ones, as a divisor: 8 means one eighth.
    pub half_open_divisor: u32,
    /// Conversations of one device.
    pub flows_per_device: u32,
    /// Half-open conversations of one device.
    pub half_open_per_device: u32,
    /// New conversations within one burst.
    pub new_flows_per_burst: u32,
    /// Fragmented datagrams at once.
    pub fragments: u32,
    /// Address bindings at once.
    pub bindings: u32,
    /// Open answer windows at once.
    pub answer_windows: u32,
    /// Names learnt from DNS answers at once (device, name, address).
    pub dns_answers: u32,
    /// Events waiting to be fetched; more are dropped and counted.
    pub events: u32,
    /// Feature windows waiting to be fetched; more are dropped and counted.
    pub windows: u32,
    /// Copies of frames in which devices say what they are, at once; more are dropped and counted.
    /// 0: no copies.
    pub samples: u32,
    /// Copies of frames of devices that somebody captures, at once; more are counted as lost.
    pub captured: u32,
    /// Dropped frames, of all devices together, whose beginnings are kept.
    pub dropped: u32,
    /// Span of a device's feature window, in seconds; 0: no windows.
    pub window_s: u32,
    /// Idle time after which a TCP conversation of an enforced device ends, in seconds.
    pub tcp_established_s: u32,
    /// The same for opening and closing ones (RFC 5382 REQ-5: at least 4 minutes).
    pub tcp_transitory_s: u32,
    /// UDP (RFC 4787 REQ-5: at least 2 minutes).
    pub udp_s: u32,
    /// ICMP queries (RFC 5508: at least 60 s).
    pub icmp_s: u32,
    /// Fragments of one datagram.
    pub fragment_s: u32,
    /// Grace period after start in which conversations are picked up midstream, in seconds.
    pub midstream_grace_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            devices: 16_384,
            flows: 262_144,
            half_open_divisor: 8,
            flows_per_device: 4_096,
            half_open_per_device: 256,
            new_flows_per_burst: 32,
            fragments: 1_024,
            bindings: 65_536,
            answer_windows: 4_096,
            dns_answers: 16_384,
            events: 65_536,
            windows: 1_024,
            samples: 1_024,
            captured: 1_024,
            dropped: 1_024,
            window_s: 60,
            tcp_established_s: 86_400,
            tcp_transitory_s: 240,
            udp_s: 120,
            icmp_s: 60,
            fragment_s: 30,
            midstream_grace_s: 300,
        }
    }
}
