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

/// From an address to its tags: one exact probe for each length in use.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    networks: Map<NetworkKey, (u32, u32)>,
    tags: Vec<Tag>,
    lengths_v4: Vec<u8>,
    lengths_v6: Vec<u8>,
}

impl Classes {
    /// Builds the table from (network, tag) pairs; the order does not matter.
    pub(crate) fn new(mut pairs: Vec<(Prefix, Tag)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let mut classes = Self::default();
        for run in pairs.chunk_by(|a, b| a.0 == b.0) {
            let prefix = run[0].0;
            let start = classes.tags.len() as u32;
            classes.tags.extend(run.iter().map(|(_, tag)| tag));
            let end = classes.tags.len() as u32;
            classes
                .networks
                .insert(NetworkKey::new(prefix), (start, end));
            let lengths = if prefix.address.is_ipv4() {
                &mut classes.lengths_v4
            } else {
                &mut classes.lengths_v6
            };
            if !lengths.contains(&prefix.length) {
                lengths.push(prefix.length);
            }
        }
        classes
    }

    /// Calls `visit` for each tag of the address; the wildcard [`ANY`] is not among them.
    pub(crate) fn for_each(&self, address: IpAddr, mut visit: impl FnMut(Tag)) {
        let lengths = if address.is_ipv4() {
            &self.lengths_v4
        } else {
            &self.lengths_v6
        };
        for &length in lengths {
            let key = NetworkKey::new(Prefix::around(address, length));
            crate::program::count_probe();
            if let Some(&(start, end)) = self.networks.get(&key) {
                self.tags[start as usize..end as usize]
                    .iter()
                    .for_each(|tag| visit(*tag));
            }
        }
    }
}
