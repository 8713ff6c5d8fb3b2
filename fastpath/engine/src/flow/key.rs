//! The symmetric key of a conversation.

use core::hash::{Hash, Hasher};

use wardline_policy::VlanKey;

use crate::meta::{Fragment, L3, L4, PacketMeta};

const ICMP: u8 = 1;
/// Set in the outer VLAN field, whose identifier has 12 bits, for IPv6.
const VERSION_6: u16 = 0x8000;

/// The same for both directions: the endpoints stand in canonical order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowKey {
    pub(crate) a: [u8; 16],
    pub(crate) b: [u8; 16],
    pub(crate) a_port: u16,
    pub(crate) b_port: u16,
    outer: u16,
    inner: u16,
    pub(crate) protocol: u8,
    /// Type of the request of an ICMP query; 0 otherwise.
    pub(crate) query: u8,
}

impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.a));
        state.write_u128(u128::from_ne_bytes(self.b));
        let ports = u64::from(self.a_port) << 16 | u64::from(self.b_port);
        let vlans = u64::from(self.outer) << 16 | u64::from(self.inner);
        state.write_u64(ports << 32 | vlans);
        state.write_u16(u16::from(self.protocol) << 8 | u16::from(self.query));
    }
}

impl FlowKey {
    pub(crate) const fn blank() -> Self {
        Self {
            a: [0; 16],
            b: [0; 16],
            a_port: 0,
            b_port: 0,
            outer: 0,
            inner: 0,
            protocol: 0,
            query: 0,
        }
    }

    pub(crate) const fn vlan(&self) -> VlanKey {
        VlanKey {
            outer: self.outer & !VERSION_6,
            inner: self.inner,
        }
    }
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
        let forward = (self.source, self.source_port) <= (self.destination, self.destination_port);
        let (a, a_port, b, b_port) = if forward {
            (
                self.source,
                self.source_port,
                self.destination,
                self.destination_port,
            )
        } else {
            (
                self.destination,
                self.destination_port,
                self.source,
                self.source_port,
            )
        };
        let version = if self.version == 6 { VERSION_6 } else { 0 };
        let key = FlowKey {
            a,
            b,
            a_port,
            b_port,
            outer: vlan.outer | version,
            inner: vlan.inner,
            protocol: self.protocol,
            query: self.query,
        };
        (key, forward)
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
