//! Why a frame was forwarded or dropped. One closed list: the same name stands in counters,
//! events, REST, metrics and pcapng comments.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $class:ident;)+) => {
        /// The reason of a verdict.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How many reasons there are: the length of a table indexed by [`Reason::index`].
            pub const COUNT: usize = Self::ALL.len();

            /// The name used everywhere outside this program.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The sentence a person reads.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }

            /// Whether a frame with this reason goes out again.
            #[inline]
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)+ }
            }
        }
    };
}

/// What a reason does to the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The frame is forwarded.
    Forward,
    /// Policy denies it: what `simulate` records as would-drop and `observe` ignores.
    Policy,
    /// The frame breaks a rule of its protocol or impersonates; policy modes that do not
    /// enforce still forward it.
    Protocol,
    /// A fixed limit was reached.
    Limit,
    /// The frame cannot be carried whatever the mode is (runt, PAUSE, egress full).
    Wire,
}

reasons! {
    // Forwarded.
    /// A rule of the device's allowlist permits this conversation.
    Allowed = "allowed", Forward;
    /// It belongs to a conversation that was allowed when it began.
    Established = "established", Forward;
    /// An ICMP error about an allowed conversation.
    RelatedIcmp = "related-icmp", Forward;
    /// A unicast answer to an allowed broadcast or multicast question, inside its window.
    Answer = "answer", Forward;
    /// A fragment of a datagram whose first fragment was allowed.
    FragmentFollows = "fragment-follows", Forward;
    /// The baseline policy permits it (ARP, ND, DHCP, EAPOL, LLDP and the like).
    Baseline = "baseline", Forward;
    /// A conversation older than this process, picked up under policy.
    MidstreamPickup = "midstream-pickup", Forward;
    /// The device is in observe mode: everything is forwarded.
    Observed = "observed", Forward;
    /// The device is in simulate mode and a rule would have allowed it as well.
    Simulated = "simulated", Forward;
    /// The device is released for a limited time (break-glass).
    BreakGlass = "break-glass", Forward;
    /// A vendor visit bound to a work order permits it.
    VendorVisit = "vendor-visit", Forward;
    /// A life-critical device without any template: open because nothing can decide.
    LifeCriticalOpen = "life-critical-open", Forward;
    /// The frame is not about a ward device (for instance flooded unknown unicast to the core).
    NotSubject = "not-subject", Forward;

    // Denied by policy.
    /// No rule of the device's allowlist permits this conversation.
    NoRule = "no-rule", Policy;
    /// A deny rule names this conversation.
    DeniedByRule = "denied-by-rule", Policy;
    /// The device is isolated; only its rescue rules are open.
    Isolated = "isolated", Policy;
    /// The ward is in island mode; only life-critical conversations stay open.
    Island = "island", Policy;
    /// The baseline policy does not permit this kind of frame.
    BaselineDenied = "baseline-denied", Policy;
    /// The permission this conversation rested on was taken back.
    Revoked = "revoked", Policy;
    /// A DHCP server message from the ward side.
    RogueDhcp = "rogue-dhcp", Policy;
    /// A router advertisement or redirect from the ward side.
    RogueRa = "rogue-ra", Policy;

    // Impersonation.
    /// A ward frame whose source MAC is not the one the conversation or binding belongs to.
    SpoofedMac = "spoofed-mac", Protocol;
    /// A ward frame with an IPv4 source that is bound to another device.
    SpoofedIpv4 = "spoofed-ipv4", Protocol;
    /// A ward frame with an IPv6 source that is bound to another device.
    SpoofedIpv6 = "spoofed-ipv6", Protocol;
    /// An ARP message that claims another station's address.
    SpoofedArp = "spoofed-arp", Protocol;
    /// A neighbour discovery message that claims another station's address.
    SpoofedNd = "spoofed-nd", Protocol;

    // Malformed or evasive.
    /// The frame ends before a header it announces.
    Truncated = "truncated", Protocol;
    /// A header field contradicts its protocol (version, header length, checksum of IPv4 header).
    BadHeader = "bad-header", Protocol;
    /// More VLAN tags than configured for this side, or more than two.
    VlanStack = "vlan-stack", Protocol;
    /// IPv4 source route or record route, or router alert outside IGMP.
    Ipv4Options = "ipv4-options", Protocol;
    /// An IPv6 extension header that is out of place, unknown, or too many of them.
    Ipv6ExtHeader = "ipv6-ext-header", Protocol;
    /// An IPv6 routing header of type 0.
    Ipv6Routing = "ipv6-routing", Protocol;
    /// A first fragment that does not hold the whole transport header.
    TinyFragment = "tiny-fragment", Protocol;
    /// A fragment whose first fragment was not seen.
    FragmentBeforeFirst = "fragment-before-first", Protocol;
    /// A fragment that overlaps another one of its datagram.
    FragmentOverlap = "fragment-overlap", Protocol;
    /// Impossible TCP flags (SYN+FIN, SYN+RST, none at all).
    TcpFlags = "tcp-flags", Protocol;
    /// A TCP segment or SCTP packet that opens no conversation and belongs to none.
    TcpNoHandshake = "tcp-no-handshake", Protocol;
    /// A TCP segment grossly outside the window.
    TcpWindow = "tcp-window", Protocol;
    /// An ICMP error that quotes no known conversation.
    IcmpUnrelated = "icmp-unrelated", Protocol;
    /// An ICMP redirect.
    IcmpRedirect = "icmp-redirect", Protocol;
    /// A packet-too-big message with an impossible MTU.
    IcmpMtu = "icmp-mtu", Protocol;
    /// A neighbour discovery message off its link (hop limit not 255, fragmented).
    NdOffLink = "nd-off-link", Protocol;

    // Limits.
    /// More packets per second towards this device than its storm guard lets pass.
    StormPackets = "storm-packets", Limit;
    /// More broadcasts and multicasts per second than the storm guard lets pass.
    StormBroadcast = "storm-broadcast", Limit;
    /// More new conversations per second towards this device than its storm guard lets pass.
    StormFlows = "storm-flows", Limit;
    /// More ARP replies and announcements per second from this device than a station needs.
    StormArp = "storm-arp", Limit;
    /// The device table is full.
    DeviceTableFull = "device-table-full", Limit;
    /// The flow table has no room left for this conversation.
    FlowTableFull = "flow-table-full", Limit;
    /// This device holds as many conversations as it may.
    DeviceFlowLimit = "device-flow-limit", Limit;
    /// This device holds as many half-open conversations as it may.
    HalfOpenLimit = "half-open-limit", Limit;
    /// More new conversations than the fixed budget of a burst.
    NewFlowBudget = "new-flow-budget", Limit;
    /// The fragment table is full.
    FragmentTableFull = "fragment-table-full", Limit;

    // The wire itself.
    /// Shorter than an Ethernet header.
    Runt = "runt", Wire;
    /// Longer than the egress port carries.
    Oversize = "oversize", Wire;
    /// PAUSE or priority flow control: never crosses a bridge (IEEE 802.3 annex 31B).
    PauseFrame = "pause-frame", Wire;
    /// The frame came in several buffers and could not be joined.
    NotLinear = "not-linear", Wire;
    /// The egress queue did not take the frame.
    EgressFull = "egress-full", Wire;
    /// The box's own heartbeat came back on the other side.
    OwnFrame = "own-frame", Wire;
}

impl Reason {
    /// Position in tables of [`Reason::COUNT`] entries.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether a frame with this reason goes out again.
    #[inline]
    pub const fn forwards(self) -> bool {
        matches!(self.class(), Class::Forward)
    }

    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        for (i, r) in Reason::ALL.iter().enumerate() {
            assert_eq!(r.index(), i);
            assert_eq!(Reason::from_name(r.name()), Some(*r));
            assert!(r.sentence().ends_with('.'));
        }
    }
}
