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

/// A table of networks. The families are kept apart: IPv4 needs a quarter of the room.
#[derive(Debug)]
struct Networks<V> {
    v4: Map<(u32, u8), V>,
    v6: Map<(u128, u8), V>,
    lengths: Lengths,
}

impl<V> Default for Networks<V> {
    fn default() -> Self {
        Self {
            v4: Map::default(),
            v6: Map::default(),
            lengths: Lengths::default(),
        }
    }
}

impl<V: Copy> Networks<V> {
    /// The value of a network; `new` if it has none yet.
    fn get_or_insert(&mut self, network: Prefix, new: V) -> V {
        self.lengths.note(network);
        let length = network.length;
        match network.address {
            IpAddr::V4(a) => *self.v4.entry((a.to_bits(), length)).or_insert(new),
            IpAddr::V6(a) => *self.v6.entry((a.to_bits(), length)).or_insert(new),
        }
    }

    /// The values of every network around an address: a probe for each length in use.
    fn around(&self, address: IpAddr) -> impl Iterator<Item = V> + '_ {
        let lengths = self.lengths.of(address).iter();
        lengths.filter_map(move |length| {
            crate::program::count_probe();
            match Prefix::around(address, *length).address {
                IpAddr::V4(a) => self.v4.get(&(a.to_bits(), *length)).copied(),
                IpAddr::V6(a) => self.v6.get(&(a.to_bits(), *length)).copied(),
            }
        })
    }
}

/// From an address to its tags: exact probes, one for each length in use.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    /// Addresses and networks that rules name themselves: one tag each.
    literals: Networks<Tag>,
    /// Addresses and networks of groups and devices: a range of `tags` each.
    members: Networks<(u32, u32)>,
    tags: Vec<Tag>,
}

impl Classes {
    /// Makes room for networks of IPv4, so that building a large policy does not rehash again
    /// and again.
    pub(crate) fn with_capacity(literals: usize) -> Self {
        let mut classes = Self::default();
        classes.literals.v4.reserve(literals);
        classes
    }

    /// The tag of a network that a rule names; `new` if it is the first to do so.
    pub(crate) fn literal(&mut self, network: Prefix, new: Tag) -> Tag {
        self.literals.get_or_insert(network, new)
    }

    /// Takes in what groups and devices consist of; called once, the order does not matter.
    pub(crate) fn add_members(&mut self, mut pairs: Vec<(Prefix, Tag)>) {
        pairs.sort_unstable();
        pairs.dedup();
        for run in pairs.chunk_by(|a, b| a.0 == b.0) {
            let start = self.tags.len() as u32;
            self.tags.extend(run.iter().map(|(_, tag)| tag));
            let range = (start, self.tags.len() as u32);
            self.members.get_or_insert(run[0].0, range);
        }
    }

    /// Calls `visit` for each tag of the address; the wildcard [`ANY`] is not among them.
    pub(crate) fn for_each(&self, address: IpAddr, mut visit: impl FnMut(Tag)) {
        self.literals.around(address).for_each(&mut visit);
        for (start, end) in self.members.around(address) {
            let tags = &self.tags[start as usize..end as usize];
            tags.iter().for_each(|tag| visit(*tag));
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
        let lengths = match network.address {
            IpAddr::V4(_) => &mut self.v4,
            IpAddr::V6(_) => &mut self.v6,
        };
        if !lengths.contains(&network.length) {
            lengths.push(network.length);
        }
    }

    fn of(&self, address: IpAddr) -> &[u8] {
        match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        }
    }
}
