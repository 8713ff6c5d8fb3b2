//! Conversations by the addresses and ports of their ends, and a bounded table of them.

use core::hash::BuildHasher;
use core::net::{IpAddr, Ipv6Addr};

use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashTable;
use wardline_engine::{L3, L4, PacketMeta};
use wardline_policy::VlanKey;

use super::Conversation;
use crate::{About, Fact, Field};

/// Most facts of one conversation; further ones are not told.
const MAX_FACTS: usize = 128;

/// One end: address (IPv4 mapped) and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct End {
    address: [u8; 16],
    pub(super) port: u16,
}

impl End {
    /// Stands for whoever is in a group.
    const ANYBODY: Self = Self {
        address: [0; 16],
        port: 0,
    };

    fn ip(&self) -> IpAddr {
        Ipv6Addr::from(self.address).to_canonical()
    }

    fn is_multicast(&self) -> bool {
        self.ip().is_multicast()
    }
}

/// Both ends, the same whichever of them sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    protocol: u8,
    vlan: VlanKey,
    ends: [End; 2],
}

/// One packet's place in its conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) protocol: u8,
    pub(super) vlan: VlanKey,
    pub(super) source: End,
    pub(super) destination: End,
    /// Whether it goes to a group or to everybody.
    pub(super) to_group: bool,
}

impl Way {
    /// `None` without ports, and where both ends are the same: nobody could tell them apart.
    pub(super) fn new(meta: &PacketMeta) -> Option<Self> {
        let L3::Ip {
            source: from,
            destination: to,
            ..
        } = meta.l3
        else {
            return None;
        };
        let (L4::Tcp {
            source,
            destination,
            ..
        }
        | L4::Udp {
            source,
            destination,
        }) = meta.l4
        else {
            return None;
        };
        let end = |address, port| End { address, port };
        let (source, destination) = (end(from, source), end(to, destination));
        (source != destination).then(|| Self {
            protocol: meta.protocol,
            vlan: meta.vlan,
            source,
            destination,
            to_group: destination.is_multicast() || meta.destination_mac.is_group(),
        })
    }

    pub(super) fn key(&self) -> Key {
        let mut ends = [self.source, self.destination];
        ends.sort_unstable();
        Key {
            protocol: self.protocol,
            vlan: self.vlan,
            ends,
        }
    }

    /// The key under which is noted that `end` asked a group.
    pub(super) fn group_key(&self, end: End) -> Key {
        Key {
            protocol: self.protocol,
            vlan: self.vlan,
            ends: [End::ANYBODY, end],
        }
    }

    /// Whether the port of source and destination is one of these.
    pub(super) fn ports_of(&self, usual: &[u16]) -> [bool; 2] {
        [self.source, self.destination].map(|end| usual.contains(&end.port))
    }

    /// The conversation as told to the observer.
    pub(super) fn conversation(&self, by_client: bool, port: u16) -> Conversation {
        let (client, server) = if by_client {
            (self.source, self.destination)
        } else {
            (self.destination, self.source)
        };
        Conversation {
            client: about(by_client, true),
            protocol: self.protocol,
            port,
            client_address: client.ip(),
            server_address: server.ip(),
        }
    }
}

/// The station of a frame that is the client, or the server, when the client or the server sent it.
pub(super) fn about(by_client: bool, of_client: bool) -> About {
    if by_client == of_client {
        About::Sender
    } else {
        About::Receiver
    }
}

/// The facts of one conversation that have been told, as hashes: who makes two of them meet hides
/// one of its own.
#[derive(Debug, Default)]
pub(super) struct Told(Vec<u64>);

impl Told {
    /// Whether it was not told before and may be told.
    pub(super) fn is_new(&mut self, of_client: bool, fact: &Fact) -> bool {
        let hash = FixedState::default().hash_one((of_client, fact));
        let new = self.0.len() < MAX_FACTS && !self.0.contains(&hash);
        if new {
            self.0.push(hash);
        }
        new
    }
}

/// The fact that a protocol is spoken.
pub(super) fn speaks(of_client: bool, name: &str) -> Option<Fact> {
    let field = if of_client {
        Field::Client
    } else {
        Field::Server
    };
    Fact::new(field, name)
}

/// The fact that nobody knows what is spoken on this port.
pub(super) fn opaque(of_client: bool, transport: &str, port: u16) -> Option<Fact> {
    let field = if of_client {
        Field::OpaqueClient
    } else {
        Field::OpaqueServer
    };
    Fact::new(field, &format!("{transport}/{port}"))
}

/// Values by conversation, at most so many; the oldest makes room.
#[derive(Debug)]
pub(super) struct Table<V> {
    hasher: RandomState,
    index: HashTable<u32>,
    slots: Vec<(Key, V)>,
    capacity: usize,
    /// The oldest, once all slots are taken.
    oldest: usize,
}

impl<V> Table<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            hasher: RandomState::default(),
            index: HashTable::new(),
            slots: Vec::new(),
            capacity: capacity.clamp(1, u32::MAX as usize),
            oldest: 0,
        }
    }

    pub(super) fn find(&self, key: &Key) -> Option<usize> {
        let hash = self.hasher.hash_one(key);
        let same = |slot: &u32| self.slots[*slot as usize].0 == *key;
        self.index.find(hash, same).map(|&slot| slot as usize)
    }

    pub(super) fn at(&mut self, slot: usize) -> &mut V {
        &mut self.slots[slot].1
    }

    /// Puts in a conversation that is not there yet.
    pub(super) fn insert(&mut self, key: Key, value: V) -> usize {
        let slot = if self.slots.len() < self.capacity {
            self.slots.push((key, value));
            self.slots.len() - 1
        } else {
            let slot = self.oldest;
            self.oldest = (slot + 1) % self.capacity;
            self.forget(slot);
            self.slots[slot] = (key, value);
            slot
        };
        let (hasher, slots) = (&self.hasher, &self.slots);
        let hash = |slot: &u32| hasher.hash_one(slots[*slot as usize].0);
        self.index
            .insert_unique(hasher.hash_one(key), slot as u32, hash);
        slot
    }

    fn forget(&mut self, slot: usize) {
        let hash = self.hasher.hash_one(self.slots[slot].0);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other as usize == slot) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> Key {
        let end = |port| End {
            address: [1; 16],
            port,
        };
        Key {
            protocol: 6,
            vlan: VlanKey::default(),
            ends: [end(port), end(u16::MAX)],
        }
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut table = Table::new(3);
        for port in 0..10 {
            assert_eq!(table.find(&key(port)), None);
            let slot = table.insert(key(port), port);
            assert_eq!(*table.at(slot), port);
        }
        let there: Vec<u16> = (0..10).filter(|&p| table.find(&key(p)).is_some()).collect();
        assert_eq!(there, [7, 8, 9]);
        assert_eq!(table.slots.len(), 3);
    }

    #[test]
    fn facts_of_a_conversation_are_told_once_and_end() {
        let mut told = Told::default();
        let fact = Fact::new(Field::Banner, "x").unwrap();
        assert!(told.is_new(true, &fact));
        assert!(!told.is_new(true, &fact));
        assert!(told.is_new(false, &fact));
        let many = (0..1000).filter_map(|n| Fact::new(Field::Banner, &n.to_string()));
        let news = many.filter(|fact| told.is_new(true, fact)).count();
        assert_eq!(news, MAX_FACTS - 2);
    }
}
