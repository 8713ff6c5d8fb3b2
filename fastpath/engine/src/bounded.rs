//! A map of fixed capacity whose entries expire. Allocated once; a full map says so.

use core::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::clock::{NEVER, Tick};

/// Slots looked at for an expired entry when the map is full.
const RECLAIM_BUDGET: usize = 8;

/// Keys to values in numbered slots; a slot keeps its number while its entry lives.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    hasher: FixedState,
    index: HashTable<u32>,
    slots: Vec<Option<Entry<K, V>>>,
    free: Vec<u32>,
    /// Next slot the sweep looks at.
    hand: usize,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    expires: Tick,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    pub(crate) fn new(capacity: u32, seed: u64) -> Self {
        let slots = capacity as usize;
        Self {
            hasher: FixedState::with_seed(seed),
            // hashbrown clears its tombstones in place, without allocating, only while at most
            // half of the capacity is in use.
            index: HashTable::with_capacity(2 * slots),
            slots: (0..slots).map(|_| None).collect(),
            free: (0..capacity).rev().collect(),
            hand: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of the slots.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.slots.as_slice())
    }

    /// The slot of a key whose entry has not expired.
    pub(crate) fn find(&self, key: &K, now: Tick) -> Option<u32> {
        let slot = self.locate(key)?;
        (self.slots[slot as usize].as_ref()?.expires > now).then_some(slot)
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&V> {
        Some(&self.slots.get(slot as usize)?.as_ref()?.value)
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut V> {
        Some(&mut self.slots.get_mut(slot as usize)?.as_mut()?.value)
    }

    pub(crate) fn key(&self, slot: u32) -> Option<&K> {
        Some(&self.slots.get(slot as usize)?.as_ref()?.key)
    }

    pub(crate) fn value(&self, key: &K, now: Tick) -> Option<&V> {
        self.get(self.find(key, now)?)
    }

    pub(crate) fn value_mut(&mut self, key: &K, now: Tick) -> Option<&mut V> {
        let slot = self.find(key, now)?;
        self.get_mut(slot)
    }

    pub(crate) fn set_expires(&mut self, slot: u32, expires: Tick) {
        if let Some(Some(entry)) = self.slots.get_mut(slot as usize) {
            entry.expires = expires;
        }
    }

    /// Puts the entry in, replacing one with the same key. `None` if the map is full.
    pub(crate) fn insert(&mut self, key: K, value: V, expires: Tick, now: Tick) -> Option<u32> {
        let entry = Entry {
            key,
            value,
            expires,
        };
        if let Some(slot) = self.locate(&key) {
            self.slots[slot as usize] = Some(entry);
            return Some(slot);
        }
        if self.free.is_empty() {
            self.sweep(now, RECLAIM_BUDGET);
        }
        let slot = self.free.pop()?;
        self.slots[slot as usize] = Some(entry);
        let (hasher, slots) = (&self.hasher, &self.slots);
        let hash_of = |slot: &u32| {
            slots[*slot as usize]
                .as_ref()
                .map_or(0, |e| hasher.hash_one(e.key))
        };
        self.index
            .insert_unique(hasher.hash_one(key), slot, hash_of);
        Some(slot)
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<V> {
        let entry = self.slots.get_mut(slot as usize)?.take()?;
        let hash = self.hasher.hash_one(entry.key);
        if let Ok(found) = self.index.find_entry(hash, |s| *s == slot) {
            found.remove();
        }
        self.free.push(slot);
        Some(entry.value)
    }

    /// Removes expired entries among the next `budget` slots.
    pub(crate) fn sweep(&mut self, now: Tick, budget: usize) {
        for _ in 0..budget.min(self.slots.len()) {
            let slot = self.hand;
            self.hand = (slot + 1) % self.slots.len();
            if self.slots[slot]
                .as_ref()
                .is_some_and(|e| e.expires <= now && e.expires != NEVER)
            {
                self.remove(slot as u32);
            }
        }
    }

    /// Every entry, the expired ones not yet swept included.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &K, &V)> {
        let numbered = self.slots.iter().zip(0u32..);
        numbered.filter_map(|(entry, slot)| entry.as_ref().map(|e| (slot, &e.key, &e.value)))
    }

    fn locate(&self, key: &K) -> Option<u32> {
        let same = |slot: &u32| {
            self.slots[*slot as usize]
                .as_ref()
                .is_some_and(|e| e.key == *key)
        };
        self.index.find(self.hasher.hash_one(key), same).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_is_said_and_expired_entries_make_room() {
        let mut map = Bounded::new(2, 1);
        assert!(map.insert(1u32, 'a', 10, 0).is_some());
        assert!(map.insert(2, 'b', 20, 0).is_some());
        assert_eq!(map.insert(3, 'c', 30, 5), None);
        assert!(map.insert(3, 'c', 30, 10).is_some());
        assert_eq!(map.value(&1, 10), None);
        assert_eq!(map.value(&2, 10), Some(&'b'));
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn an_entry_is_gone_at_its_deadline() {
        let mut map = Bounded::new(4, 1);
        let slot = map.insert(7u32, (), 10, 0).expect("there is room");
        assert_eq!(map.find(&7, 9), Some(slot));
        assert_eq!(map.find(&7, 10), None);
        map.sweep(10, 4);
        assert_eq!(map.len(), 0);
    }

    #[test]
    fn churn_never_grows_the_index() {
        let mut map = Bounded::new(100, 1);
        let capacity = map.index.capacity();
        for key in 0u32..100_000 {
            let slot = map
                .insert(key, (), NEVER, 0)
                .expect("one is always removed");
            if map.len() == 100 {
                map.remove(slot);
                map.remove(
                    map.slots
                        .iter()
                        .position(Option::is_some)
                        .expect("not empty") as u32,
                );
            }
        }
        assert_eq!(map.index.capacity(), capacity);
    }
}
