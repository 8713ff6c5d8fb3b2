//! Hashing: fast tables inside one process, and content hashes that stay equal over restarts.

use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::Xxh3;

/// Hasher of the compiled tables. Its seed is fixed: the keys come from the policy, and a peer
/// that chooses what it looks up cannot make a bucket longer.
pub(crate) type Fast = foldhash::fast::FixedState;

/// A hash table with that hasher.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, Fast>;
/// A set with that hasher.
pub(crate) type Set<T> = std::collections::HashSet<T, Fast>;

/// Bytes collected before the hash takes them in.
const BLOCK: usize = 1024;

/// Collects what a content hash is made of. Derived hashes come in pieces of a few bytes, which
/// are put together first: a document has tens of millions of them.
pub(crate) struct Content {
    hash: Xxh3,
    block: [u8; BLOCK],
    used: usize,
}

impl Content {
    pub(crate) fn new() -> Self {
        Self {
            hash: Xxh3::new(),
            block: [0; BLOCK],
            used: 0,
        }
    }

    fn whole(&self) -> Xxh3 {
        let mut hash = self.hash.clone();
        hash.update(&self.block[..self.used]);
        hash
    }
}

impl Hasher for Content {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        if self.used + bytes.len() > BLOCK {
            self.hash.update(&self.block[..self.used]);
            self.used = 0;
        }
        match self.block.get_mut(self.used..self.used + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            None => self.hash.update(bytes),
        }
    }

    fn finish(&self) -> u64 {
        self.whole().digest()
    }
}

/// Content hash of 64 bits.
pub(crate) fn hash64(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = Content::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Content hash of 128 bits, in hexadecimal.
pub(crate) fn hash128_hex(value: &(impl Hash + ?Sized)) -> String {
    let mut hasher = Content::new();
    value.hash(&mut hasher);
    format!("{:032x}", hasher.whole().digest128())
}
