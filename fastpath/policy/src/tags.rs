//! What an address is: the tags it carries.
//!
//! Rules do not hold addresses. Every peer a rule can name (an address, a network, a group, a
//! role, a device, a DNS name) is one numbered tag; an address is turned into its tags once for
//! each new flow, and a rule is found by tag. Groups shared by ten thousand devices are so kept
//! once, and a look-up costs a probe for each tag, whatever the number of rules.

use std::net::IpAddr;

use crate::scalar::Prefix;
use crate::stable::Map;

/// Number of a tag.
pub(crate) type Tag = u32;

/// Everybody.
pub(crate) const ANY: Tag = 0;
/// The controller of the device that is asked about.
pub(crate) const MY_CONTROLLER: Tag = 1;
/// Devices of the maker of the device that is asked about.
pub(crate) const SAME_MANUFACTURER: Tag = 2;
/// Devices under the island that is in force.
pub(crate) const ISLAND: Tag = 3;
/// First tag given out by the compiler.
pub(crate) const FIRST_FREE: Tag = 4;
/// No tag at all.
pub(crate) const NONE: Tag = Tag::MAX;

/// A network as a table key: family, length and bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct NetworkKey {
    bits: u128,
    length: u8,
    v6: bool,
}

impl NetworkKey {
    fn new(prefix: Prefix) -> Self {
        match prefix.address {
            IpAddr::V4(a) => Self {
                bits: a.to_bits().into(),
                length: prefix.length,
                v6: false,
            },
            IpAddr::V6(a) => Self {
                bits: a.to_bits(),
                length: prefix.length,
                v6: true,
            },
        }
    }
}

/// From an address to its tags: exact probes, one for each length in use.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    /// Addresses and networks that rules name themselves: one tag each.
    literals: Map<NetworkKey, Tag>,
    literal_lengths: Lengths,
    /// Addresses and networks of groups and devices: a range of `tags` each.
    members: Map<NetworkKey, (u32, u32)>,
    member_lengths: Lengths,
    tags: Vec<Tag>,
}

impl Classes {
    /// Makes room, so that building a large policy does not rehash again and again.
    pub(crate) fn with_capacity(literals: usize) -> Self {
        let literals = Map::with_capacity_and_hasher(literals, Default::default());
        Self {
            literals,
            ..Self::default()
        }
    }

    /// The tag of a network that a rule names; `new` if it is the first to do so.
    pub(crate) fn literal(&mut self, network: Prefix, new: Tag) -> Tag {
        let tag = *self.literals.entry(NetworkKey::new(network)).or_insert(new);
        if tag == new {
            self.literal_lengths.note(network);
        }
        tag
    }

    /// Takes in what groups and devices consist of; called once, the order does not matter.
    pub(crate) fn add_members(&mut self, mut pairs: Vec<(Prefix, Tag)>) {
        pairs.sort_unstable();
        pairs.dedup();
        for run in pairs.chunk_by(|a, b| a.0 == b.0) {
            let start = self.tags.len() as u32;
            self.tags.extend(run.iter().map(|(_, tag)| tag));
            let end = self.tags.len() as u32;
            self.members.insert(NetworkKey::new(run[0].0), (start, end));
            self.member_lengths.note(run[0].0);
        }
    }

    /// Calls `visit` for each tag of the address; the wildcard [`ANY`] is not among them.
    pub(crate) fn for_each(&self, address: IpAddr, mut visit: impl FnMut(Tag)) {
        for key in self.literal_lengths.keys(address) {
            crate::program::count_probe();
            if let Some(&tag) = self.literals.get(&key) {
                visit(tag);
            }
        }
        for key in self.member_lengths.keys(address) {
            crate::program::count_probe();
            if let Some(&(start, end)) = self.members.get(&key) {
                self.tags[start as usize..end as usize]
                    .iter()
                    .for_each(|tag| visit(*tag));
            }
        }
    }
}

/// The lengths of networks in use, for each family.
#[derive(Debug, Default)]
struct Lengths {
    v4: Vec<u8>,
    v6: Vec<u8>,
}

impl Lengths {
    fn note(&mut self, network: Prefix) {
        let lengths = if network.address.is_ipv4() {
            &mut self.v4
        } else {
            &mut self.v6
        };
        if !lengths.contains(&network.length) {
            lengths.push(network.length);
        }
    }

    /// The networks around an address that may be in the table.
    fn keys(&self, address: IpAddr) -> impl Iterator<Item = NetworkKey> + '_ {
        let lengths = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        lengths
            .iter()
            .map(move |length| NetworkKey::new(Prefix::around(address, *length)))
    }
}
