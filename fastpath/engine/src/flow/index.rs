//! Which slot a hash may stand for: buckets of one cache line, two for each hash.

use super::NONE;

const WAYS: usize = 8;
/// Ways taken of a bucket on average when every slot is in use: two choices then all but never
/// find both full.
const MEAN_LOAD: usize = 4;
/// From so few free ways on, the second bucket is looked at: a key in its first bucket is found
/// sooner.
const RESERVED_WAYS: u32 = 3;
const FREE: u16 = 0;

/// Tags and slots by bucket. A tag that agrees is a hint: whoever asks compares the key.
#[derive(Debug)]
pub(super) struct Index {
    buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Bucket {
    tags: [u16; WAYS],
    slots: [u32; WAYS],
}

impl Index {
    pub(super) fn new(slots: usize) -> Self {
        let bucket = Bucket {
            tags: [FREE; WAYS],
            slots: [NONE; WAYS],
        };
        let buckets = slots.div_ceil(MEAN_LOAD).max(2);
        Self {
            buckets: super::filled(bucket, buckets),
        }
    }

    /// Bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.buckets.as_slice())
    }

    /// Asks for the first bucket of a hash ahead of its use.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        wardline_hint::prefetch(&self.buckets, self.first(hash));
    }

    /// The first slot whose tag agrees, or `NONE`.
    #[inline]
    pub(super) fn candidate(&self, hash: u64) -> u32 {
        let slot = |bucket: usize| {
            let bucket = &self.buckets[bucket];
            bucket
                .first_way(tag(hash))
                .map(|way| bucket.slots[way % WAYS])
        };
        slot(self.first(hash))
            .or_else(|| slot(self.second(hash)))
            .unwrap_or(NONE)
    }

    /// The slot whose tag agrees and for which `is` holds.
    pub(super) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let both = [self.first(hash), self.second(hash)];
        both.iter().find_map(|bucket| {
            let bucket = &self.buckets[*bucket];
            let mut ways = bucket.ways(tag(hash));
            while ways != 0 {
                let slot = bucket.slots[ways.trailing_zeros() as usize % WAYS];
                if is(slot) {
                    return Some(slot);
                }
                ways &= ways - 1;
            }
            None
        })
    }

    /// Puts a slot into its first bucket, or into the emptier one where that is rather full.
    /// `false` if both are full.
    pub(super) fn insert(&mut self, hash: u64, slot: u32) -> bool {
        let (first, second) = (self.first(hash), self.second(hash));
        let (in_first, in_second) = (self.free_ways(first), self.free_ways(second));
        let rather_full = in_first.count_ones() <= RESERVED_WAYS;
        let (bucket, ways) = if rather_full && in_second.count_ones() > in_first.count_ones() {
            (second, in_second)
        } else {
            (first, in_first)
        };
        if ways == 0 {
            return false;
        }
        let way = ways.trailing_zeros() as usize % WAYS;
        self.buckets[bucket].tags[way] = tag(hash);
        self.buckets[bucket].slots[way] = slot;
        true
    }

    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        for bucket in [self.first(hash), self.second(hash)] {
            let bucket = &mut self.buckets[bucket];
            if let Some(way) = bucket.slots.iter().position(|s| *s == slot) {
                bucket.tags[way] = FREE;
                bucket.slots[way] = NONE;
                return;
            }
        }
    }

    fn free_ways(&self, bucket: usize) -> u32 {
        self.buckets[bucket].ways(FREE)
    }

    #[inline]
    fn first(&self, hash: u64) -> usize {
        self.scaled(hash as u32)
    }

    #[inline]
    fn second(&self, hash: u64) -> usize {
        self.scaled((hash >> 32) as u32)
    }

    /// Maps a number to a bucket by multiplication, so that their count may be any (Lemire,
    /// "Fast Random Integer Generation in an Interval", 2019).
    #[inline]
    fn scaled(&self, number: u32) -> usize {
        ((u64::from(number) * self.buckets.len() as u64) >> 32) as usize
    }
}

impl Bucket {
    /// The ways with this tag, bit `i` for way `i`.
    #[inline]
    fn ways(&self, tag: u16) -> u32 {
        let bit = |way: usize| u32::from(self.tags[way] == tag) << way;
        (0..WAYS).fold(0, |ways, way| ways | bit(way))
    }

    /// The first way with this tag. Four tags at a time: a lane of 16 bits is zero exactly if
    /// taking one from it borrows and it had no upper bit, and the lowest such lane is sure.
    #[inline]
    fn first_way(&self, tag: u16) -> Option<usize> {
        const ONES: u64 = 0x0001_0001_0001_0001;
        const UPPER: u64 = 0x8000_8000_8000_8000;
        let zeros = |half: usize| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|way| u64::from(self.tags[4 * half + way]));
            let lanes = (a | b << 16 | c << 32 | d << 48) ^ (ONES * u64::from(tag));
            lanes.wrapping_sub(ONES) & !lanes & UPPER
        };
        let (low, high) = (zeros(0), zeros(1));
        match (low, high) {
            (0, 0) => None,
            (0, _) => Some(4 + high.trailing_zeros() as usize / 16),
            _ => Some(low.trailing_zeros() as usize / 16),
        }
    }
}

/// Sixteen bits of the hash that say the least about its buckets; never `FREE`.
#[inline]
const fn tag(hash: u64) -> u16 {
    (hash >> 32) as u16 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_cache_line() {
        assert_eq!(size_of::<Bucket>(), 64);
    }

    #[test]
    fn the_first_way_is_the_lowest_of_the_ways() {
        for n in 0..10_000 {
            let random = u128::from(mixed(n)) << 64 | u128::from(mixed(n + 20_000));
            // Few different tags, so that they often agree and often almost do.
            let tags = [0, 1, 2, 3, 4, 5, 6, 7].map(|way| (random >> (way * 16)) as u16 & 0x8003);
            let slots = [NONE; WAYS];
            let bucket = Bucket { tags, slots };
            for tag in [0, 1, 2, 3, 0x8000, 0x8001, 0x8003] {
                let ways = bucket.ways(tag);
                let lowest = (ways != 0).then(|| ways.trailing_zeros() as usize);
                assert_eq!(bucket.first_way(tag), lowest, "{tags:x?} {tag:x}");
            }
        }
    }

    #[test]
    fn every_slot_finds_a_bucket_however_often_it_changes_hands() {
        const SLOTS: u32 = 65_536;
        let mut index = Index::new(SLOTS as usize);
        let mut hashes = vec![0; SLOTS as usize];
        for n in 0..40 * SLOTS {
            let slot = n % SLOTS;
            let before = std::mem::replace(&mut hashes[slot as usize], mixed(n));
            if n >= SLOTS {
                index.remove(before, slot);
            }
            assert!(index.insert(mixed(n), slot), "number {n} is refused");
        }
    }

    /// SplitMix64.
    fn mixed(n: u32) -> u64 {
        let z = u64::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}
