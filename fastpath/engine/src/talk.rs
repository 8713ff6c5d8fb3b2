//! A conversation as policy is asked about it.

use wardline_policy::{Cast, Initiator, MacAddr, VlanKey};

/// The first packet of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Talk {
    pub(crate) initiator: Initiator,
    pub(crate) cast: Cast,
    /// IPv4 mapped, as everywhere in the engine.
    pub(crate) source: [u8; 16],
    pub(crate) destination: [u8; 16],
    pub(crate) protocol: u8,
    pub(crate) source_port: u16,
    /// `type << 8 | code` for ICMP and ICMPv6.
    pub(crate) destination_port: u16,
    pub(crate) vlan: VlanKey,
}

impl Talk {
    /// The address that is not the device's.
    pub(crate) const fn peer(&self) -> [u8; 16] {
        match self.initiator {
            Initiator::Device => self.destination,
            Initiator::Peer => self.source,
        }
    }

    /// The same conversation as if the other end had begun it.
    pub(crate) const fn reversed(&self) -> Self {
        Self {
            initiator: match self.initiator {
                Initiator::Device => Initiator::Peer,
                Initiator::Peer => Initiator::Device,
            },
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            ..*self
        }
    }
}

/// How a packet is addressed: by its IP destination where that says it, else by its MAC address.
/// A packet for one station inside a broadcast frame is judged as what the station takes it for.
pub(crate) fn cast(mac: MacAddr, destination: [u8; 16], known_station: bool) -> Cast {
    if is_multicast(destination) {
        Cast::Multicast
    } else if is_limited_broadcast(destination) || (mac == MacAddr::BROADCAST && !known_station) {
        Cast::Broadcast
    } else {
        Cast::Unicast
    }
}

/// The first twelve bytes of a mapped IPv4 address.
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/// The last four bytes, of a mapped IPv4 address.
pub(crate) fn ipv4(address: [u8; 16]) -> Option<[u8; 4]> {
    let (head, tail) = address.split_at(12);
    (head == MAPPED).then(|| [tail[0], tail[1], tail[2], tail[3]])
}

/// The mapped form.
pub(crate) fn mapped(address: core::net::Ipv4Addr) -> [u8; 16] {
    address.to_ipv6_mapped().octets()
}

pub(crate) fn is_multicast(address: [u8; 16]) -> bool {
    match ipv4(address) {
        Some([first, ..]) => first & 0xf0 == 0xe0,
        None => address[0] == 0xff,
    }
}

pub(crate) fn is_limited_broadcast(address: [u8; 16]) -> bool {
    ipv4(address) == Some([0xff; 4])
}

pub(crate) fn is_unspecified(address: [u8; 16]) -> bool {
    ipv4(address) == Some([0; 4]) || address == [0; 16]
}

/// An address of a single station that can be bound to it.
pub(crate) fn is_station(address: [u8; 16]) -> bool {
    !(is_multicast(address) || is_limited_broadcast(address) || is_unspecified(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(a: u8, b: u8, c: u8, d: u8) -> [u8; 16] {
        mapped(core::net::Ipv4Addr::new(a, b, c, d))
    }

    #[test]
    fn the_ip_destination_counts_before_the_mac_address() {
        let unicast = MacAddr([2, 0, 0, 0, 0, 1]);
        let multicast = MacAddr([1, 0, 0x5e, 0, 0, 1]);
        assert_eq!(cast(unicast, v4(224, 0, 0, 1), false), Cast::Multicast);
        assert_eq!(
            cast(unicast, v4(255, 255, 255, 255), false),
            Cast::Broadcast
        );
        assert_eq!(
            cast(MacAddr::BROADCAST, v4(10, 0, 0, 255), false),
            Cast::Broadcast
        );
        assert_eq!(
            cast(MacAddr::BROADCAST, v4(10, 0, 0, 5), true),
            Cast::Unicast
        );
        assert_eq!(cast(multicast, v4(10, 0, 0, 5), false), Cast::Unicast);
        assert_eq!(cast(unicast, v4(10, 0, 0, 5), false), Cast::Unicast);
    }

    #[test]
    fn a_reversed_conversation_has_the_same_peer() {
        let talk = Talk {
            initiator: Initiator::Device,
            cast: Cast::Unicast,
            source: v4(10, 0, 0, 1),
            destination: v4(10, 0, 0, 2),
            protocol: 6,
            source_port: 40_000,
            destination_port: 104,
            vlan: VlanKey::default(),
        };
        assert_eq!(talk.reversed().peer(), talk.peer());
        assert_eq!(talk.reversed().reversed(), talk);
    }
}
