//! What is known of one frame after parsing: fixed size, no reference into the frame.

use wardline_policy::{MacAddr, VlanKey};

use crate::feature::Protocol;

/// The network layer of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum L3 {
    /// IPv4 or IPv6; addresses of IPv4 are v4-mapped (`::ffff:a.b.c.d`).
    Ip {
        /// Source address, 16 bytes, network order.
        source: [u8; 16],
        /// Destination address, 16 bytes, network order.
        destination: [u8; 16],
        /// 4 or 6.
        version: u8,
    },
    /// ARP over Ethernet for IPv4.
    Arp,
    /// Anything else, by EtherType (802.3 LLC frames: the length field's value, at most 1500).
    Other,
}

/// Where a frame stands in a fragmented datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    /// Not a fragment (IPv6 atomic fragments are whole).
    Whole,
    /// Offset 0, more to come: transport header present.
    First {
        /// IPv4 identification or IPv6 fragment identification.
        id: u32,
        /// Bytes of fragment data in this frame.
        len: u16,
    },
    /// Offset above 0: no transport header.
    Later {
        /// As above.
        id: u32,
        /// Offset of the data in bytes.
        offset: u16,
        /// Bytes of fragment data in this frame.
        len: u16,
        /// Whether more follow.
        more: bool,
    },
}

/// The transport layer of a frame. Absent for later fragments and unknown protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum L4 {
    /// Transmission control.
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// The flag byte as on the wire: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32.
        flags: u8,
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
        /// Window field, unscaled.
        window: u16,
        /// Window scale option of a SYN: 0 to 14, 255 if absent.
        scale: u8,
    },
    /// User datagram.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// Stream control transmission.
    Sctp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// Verification tag; 0 exactly if the first chunk is an INIT.
        tag: u32,
        /// Type of the first chunk.
        chunk: u8,
        /// Flags of the first chunk.
        flags: u8,
        /// Initiate tag of an INIT or INIT ACK, never 0; 0 for other chunks.
        initiate: u32,
    },
    /// ICMP or ICMPv6 by the IP version.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// Identifier of echo and other query types; 0 otherwise.
        id: u16,
        /// The 32 bits after the checksum (MTU of packet-too-big and of fragmentation-needed).
        rest: u32,
    },
    /// A protocol without ports, decided by number only.
    Other,
    /// A later fragment.
    Absent,
}

impl L4 {
    /// Source and destination port, where the protocol has ports.
    pub const fn ports(&self) -> Option<(u16, u16)> {
        match *self {
            Self::Tcp {
                source,
                destination,
                ..
            }
            | Self::Udp {
                source,
                destination,
            }
            | Self::Sctp {
                source,
                destination,
                ..
            } => Some((source, destination)),
            Self::Icmp { .. } | Self::Other | Self::Absent => None,
        }
    }
}

impl PacketMeta {
    /// What it carries, as feature windows tell it apart.
    pub const fn carries(&self) -> Protocol {
        match (&self.l3, &self.l4) {
            (L3::Ip { .. }, L4::Tcp { .. }) => Protocol::Tcp,
            (L3::Ip { .. }, L4::Udp { .. }) => Protocol::Udp,
            (L3::Ip { .. }, L4::Icmp { .. }) => Protocol::Icmp,
            (L3::Ip { .. }, _) => Protocol::OtherIp,
            (L3::Arp, _) => Protocol::Arp,
            (L3::Other, _) => Protocol::Other,
        }
    }
}

/// One parsed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketMeta {
    /// Destination MAC address.
    pub destination_mac: MacAddr,
    /// Source MAC address.
    pub source_mac: MacAddr,
    /// VLAN identifiers; a priority tag counts as none.
    pub vlan: VlanKey,
    /// How many tags the frame carries (0 to 2), priority tags included.
    pub tags: u8,
    /// EtherType after the tags.
    pub ethertype: u16,
    /// Network layer.
    pub l3: L3,
    /// IP protocol number after extension headers; 0 if not IP.
    pub protocol: u8,
    /// TTL or hop limit; 0 if not IP.
    pub hop_limit: u8,
    /// Fragment state.
    pub fragment: Fragment,
    /// Transport layer.
    pub l4: L4,
    /// Offset of the network header in the frame.
    pub l3_offset: u16,
    /// Offset of the transport header (or of fragment data) in the frame; 0 if not IP.
    pub l4_offset: u16,
    /// Offset of the transport payload; equals the end when there is none.
    pub payload_offset: u16,
    /// End of the datagram in the frame by its own length field, trailers excluded.
    pub end: u16,
}
