//! The symmetric key of a conversation.

use core::hash::{Hash, Hasher};

use wardline_policy::VlanKey;

use crate::meta::{Fragment, L3, L4, PacketMeta};

const ICMP: u8 = 1;
/// Set in the outer VLAN field, whose identifier has 12 bits, for IPv6.
const VERSION_6: u16 = 0x8000;
/// Bytes of an IPv6 address beside the four that IPv4 has as well.
const WIDE_LEN: usize = 12;

/// The same for both directions: the endpoints stand in canonical order.
///
/// IPv4 takes the narrow part only, so that it fits into one cache line with what a hit needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowKey {
    pub(crate) narrow: Narrow,
    /// Zero for IPv4.
    pub(crate) wide: Wide,
}

/// The last four bytes of both addresses, ports, VLANs, version and protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Narrow {
    /// The addresses, `a` in the upper half.
    pub(crate) ends: u64,
    /// Port of `a`, port of `b`, outer VLAN with the version, inner VLAN.
    pub(crate) rest: u64,
    /// Protocol, and the type of the request of an ICMP query (0 otherwise).
    pub(crate) kind: u16,
}

/// The first twelve bytes of both IPv6 addresses.
pub(crate) type Wide = [[u8; WIDE_LEN]; 2];

/// The addresses and ports of an IPv6 packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) source: [u8; 16],
    pub(crate) destination: [u8; 16],
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
}

impl Ends {
    /// In canonical order, and whether the source comes first.
    #[inline]
    fn ordered(&self) -> ([u8; 16], [u8; 16], u16, u16, bool) {
        let source_first =
            (self.source, self.source_port) <= (self.destination, self.destination_port);
        if source_first {
            let (a, b) = (self.source, self.destination);
            (a, b, self.source_port, self.destination_port, true)
        } else {
            let (a, b) = (self.destination, self.source);
            (a, b, self.destination_port, self.source_port, false)
        }
    }
}

impl Hash for Narrow {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from(self.ends) << 64 | u128::from(self.rest));
        state.write_u16(self.kind);
    }
}

/// An IPv4 key has the hash of its narrow part.
impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.narrow.is_ipv6() {
            let [a, b] = self.wide;
            let mut bytes = [0; 2 * WIDE_LEN];
            bytes[..WIDE_LEN].copy_from_slice(&a);
            bytes[WIDE_LEN..].copy_from_slice(&b);
            state.write(&bytes);
        }
        self.narrow.hash(state);
    }
}

impl Narrow {
    /// No conversation has it: nobody talks to itself.
    pub(crate) const BLANK: Self = Self {
        ends: 0,
        rest: 0,
        kind: 0,
    };

    #[inline]
    fn ipv6(a: u32, b: u32, ports: [u16; 2], vlan: VlanKey, kind: u16) -> Self {
        let [a_port, b_port] = ports.map(u64::from);
        let (outer, inner) = (u64::from(vlan.outer | VERSION_6), u64::from(vlan.inner));
        Self {
            ends: u64::from(a) << 32 | u64::from(b),
            rest: a_port << 48 | b_port << 32 | outer << 16 | inner,
            kind,
        }
    }

    #[inline]
    pub(crate) const fn is_ipv6(&self) -> bool {
        (self.rest >> 16) as u16 & VERSION_6 != 0
    }

    /// Of an IPv4 packet, from its addresses and ports as they follow each other on the wire, and
    /// whether its source is endpoint `a`. The addresses differ.
    #[inline]
    pub(crate) fn ipv4(addresses: u64, ports: u32, vlan: VlanKey, kind: u16) -> (Self, bool) {
        let source_is_a = (addresses >> 32) as u32 <= addresses as u32;
        let (ends, ports) = if source_is_a {
            (addresses, ports)
        } else {
            (addresses.rotate_left(32), ports.rotate_left(16))
        };
        let vlans = u64::from(vlan.outer) << 16 | u64::from(vlan.inner);
        let rest = u64::from(ports) << 32 | vlans;
        (Self { ends, rest, kind }, source_is_a)
    }

    /// Type of the request of an ICMP query; 0 otherwise.
    pub(crate) const fn query(&self) -> u8 {
        self.kind.to_be_bytes()[1]
    }
}

impl FlowKey {
    /// The key of an IPv6 packet, and whether its source is endpoint `a`.
    #[inline]
    pub(crate) fn ipv6(ends: &Ends, vlan: VlanKey, kind: [u8; 2]) -> (Self, bool) {
        let (a, b, a_port, b_port, source_is_a) = ends.ordered();
        let ((a_wide, a), (b_wide, b)) = (parts(a), parts(b));
        let kind = u16::from_be_bytes(kind);
        let narrow = Narrow::ipv6(a, b, [a_port, b_port], vlan, kind);
        let wide = [a_wide, b_wide];
        (Self { narrow, wide }, source_is_a)
    }

    /// Address and port of `a` and of `b`, IPv4 mapped.
    pub(crate) fn endpoints(&self) -> [([u8; 16], u16); 2] {
        let Narrow { ends, rest, .. } = self.narrow;
        let a = self.address(0, (ends >> 32) as u32);
        let b = self.address(1, ends as u32);
        [(a, (rest >> 48) as u16), (b, (rest >> 32) as u16)]
    }

    pub(crate) const fn vlan(&self) -> VlanKey {
        VlanKey {
            outer: (self.narrow.rest >> 16) as u16 & !VERSION_6,
            inner: self.narrow.rest as u16,
        }
    }

    /// EtherType of the packets.
    pub(crate) const fn ethertype(&self) -> u16 {
        if self.narrow.is_ipv6() {
            0x86dd
        } else {
            0x0800
        }
    }

    pub(crate) const fn protocol(&self) -> u8 {
        self.narrow.kind.to_be_bytes()[0]
    }

    fn address(&self, end: usize, low: u32) -> [u8; 16] {
        let low = low.to_be_bytes();
        if !self.narrow.is_ipv6() {
            return core::net::Ipv4Addr::from(low).to_ipv6_mapped().octets();
        }
        let mut address = [0; 16];
        address[..WIDE_LEN].copy_from_slice(&self.wide[end]);
        address[WIDE_LEN..].copy_from_slice(&low);
        address
    }
}

/// The first twelve bytes of an address, and the number the last four are.
#[inline]
fn parts(address: [u8; 16]) -> ([u8; WIDE_LEN], u32) {
    let number = u128::from_be_bytes(address);
    let [wide @ .., _, _, _, _] = address;
    (wide, number as u32)
}

/// The parts of a packet that name its conversation, in the direction it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuple {
    pub(crate) source: [u8; 16],
    pub(crate) destination: [u8; 16],
    pub(crate) version: u8,
    pub(crate) protocol: u8,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) query: u8,
}

impl Tuple {
    /// The key, and whether the source is its endpoint `a`.
    pub(crate) fn key(&self, vlan: VlanKey) -> (FlowKey, bool) {
        let kind = [self.protocol, self.query];
        let ends = Ends {
            source: self.source,
            destination: self.destination,
            source_port: self.source_port,
            destination_port: self.destination_port,
        };
        if self.version == 6 {
            return FlowKey::ipv6(&ends, vlan, kind);
        }
        let [source, destination] = [ends.source, ends.destination].map(|a| parts(a).1);
        let addresses = u64::from(source) << 32 | u64::from(destination);
        let ports = u32::from(ends.source_port) << 16 | u32::from(ends.destination_port);
        let kind = u16::from_be_bytes(kind);
        let (narrow, source_is_a) = Narrow::ipv4(addresses, ports, vlan, kind);
        let wide = Wide::default();
        (FlowKey { narrow, wide }, source_is_a)
    }
}

/// The tuple of a frame that can belong to a conversation; `None` for what is judged one by one
/// (later fragments, ICMP beyond queries, a station talking to itself).
pub(crate) fn tuple(meta: &PacketMeta) -> Option<Tuple> {
    let L3::Ip {
        source,
        destination,
        version,
    } = meta.l3
    else {
        return None;
    };
    if source == destination || matches!(meta.fragment, Fragment::Later { .. }) {
        return None;
    }
    let (source_port, destination_port, query) = match (meta.l4.ports(), meta.l4) {
        (Some((source, destination)), _) => (source, destination, 0),
        (None, L4::Icmp { kind, id, .. }) => (id, id, query_type(meta.protocol, kind)?.0),
        (None, L4::Absent) => return None,
        (None, _) => (0, 0, 0),
    };
    let protocol = meta.protocol;
    Some(Tuple {
        source,
        destination,
        version,
        protocol,
        source_port,
        destination_port,
        query,
    })
}

/// The type of the request of an ICMP or ICMPv6 query, and whether this is the request.
pub(crate) const fn query_type(protocol: u8, kind: u8) -> Option<(u8, bool)> {
    match (protocol, kind) {
        (ICMP, 8 | 13 | 15 | 17 | 42) => Some((kind, true)),
        (ICMP, 0) => Some((8, false)),
        (ICMP, 14 | 16 | 18 | 43) => Some((kind - 1, false)),
        (ICMP, _) => None,
        (_, 128 | 160) => Some((kind, true)),
        (_, 129 | 161) => Some((kind - 1, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(source: u8, destination: u8, ports: (u16, u16)) -> Tuple {
        Tuple {
            source: [source; 16],
            destination: [destination; 16],
            version: 4,
            protocol: 6,
            source_port: ports.0,
            destination_port: ports.1,
            query: 0,
        }
    }

    #[test]
    fn both_directions_have_one_key_and_opposite_direction_bits() {
        let vlan = VlanKey {
            outer: 10,
            inner: 0,
        };
        let (forth, a) = tuple(1, 2, (40_000, 104)).key(vlan);
        let (back, b) = tuple(2, 1, (104, 40_000)).key(vlan);
        assert_eq!(forth, back);
        assert_ne!(a, b);
    }

    #[test]
    fn vlans_versions_and_protocols_part_keys() {
        let base = tuple(1, 2, (1, 2));
        let key = |t: &Tuple, outer, inner| t.key(VlanKey { outer, inner }).0;
        assert_ne!(key(&base, 1, 0), key(&base, 2, 0));
        assert_ne!(key(&base, 1, 0), key(&base, 1, 2));
        assert_ne!(key(&base, 1, 0), key(&Tuple { version: 6, ..base }, 1, 0));
        assert_ne!(
            key(&base, 1, 0),
            key(
                &Tuple {
                    protocol: 17,
                    ..base
                },
                1,
                0
            )
        );
        assert_eq!(
            key(&Tuple { version: 6, ..base }, 7, 0).vlan(),
            VlanKey { outer: 7, inner: 0 }
        );
    }

    #[test]
    fn a_key_gives_back_what_it_was_made_from() {
        let vlan = VlanKey {
            outer: 4094,
            inner: 9,
        };
        let mapped = |n: u8| {
            core::net::Ipv4Addr::new(10, 0, 0, n)
                .to_ipv6_mapped()
                .octets()
        };
        for (version, [source, destination]) in
            [(4, [mapped(7), mapped(3)]), (6, [[0xfd; 16], [0x20; 16]])]
        {
            let tuple = Tuple {
                source,
                destination,
                version,
                ..tuple(0, 0, (40_000, 104))
            };
            let (key, source_is_a) = tuple.key(vlan);
            assert!(!source_is_a);
            assert_eq!(key.endpoints(), [(destination, 104), (source, 40_000)]);
            assert_eq!(
                (key.vlan(), key.protocol(), key.narrow.query()),
                (vlan, 6, 0)
            );
        }
    }

    #[test]
    fn answers_have_the_type_of_their_request() {
        assert_eq!(query_type(1, 8), Some((8, true)));
        assert_eq!(query_type(1, 0), Some((8, false)));
        assert_eq!(query_type(1, 14), Some((13, false)));
        assert_eq!(query_type(58, 129), Some((128, false)));
        assert_eq!(query_type(58, 8), None);
        assert_eq!(query_type(1, 3), None);
        assert_eq!(query_type(1, 128), None);
    }
}
