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

/// Collects what a content hash is made of.
pub(crate) type Content = Xxh3;

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
    format!("{:032x}", hasher.digest128())
}
