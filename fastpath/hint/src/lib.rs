//! Hints to the processor and to the kernel. They change how fast a program runs, never what it
//! computes, which is why they are safe to call.

/// Asks the processor to bring the cache line of `data[index]` near. Does nothing when the index
/// is out of bounds, or on a processor this crate knows no instruction for.
#[inline(always)]
pub fn prefetch<T>(data: &[T], index: usize) {
    if index >= data.len() {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the index is within the slice, so the address is valid; and a prefetch has no
        // effect that a program could see, whatever the address.
        unsafe { _mm_prefetch(data.as_ptr().add(index).cast::<i8>(), _MM_HINT_T0) };
    }
}

/// Asks the kernel to put the memory of a vector on huge pages, as far as whole ones fit in it.
/// To be called before the memory is first written. Returns whether the kernel agreed to try; it
/// does not where transparent huge pages are switched off.
pub fn huge_pages<T>(memory: &mut Vec<T>) -> bool {
    /// The least size for which a huge page may come of it.
    const WORTHWHILE_BYTES: usize = 4 << 20;
    let bytes = memory.capacity() * size_of::<T>();
    if bytes < WORTHWHILE_BYTES {
        return false;
    }
    // SAFETY: takes no arguments that could be wrong.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let Ok(page) = usize::try_from(page) else {
        return false;
    };
    let start = memory.as_mut_ptr().cast::<u8>();
    let skip = start.align_offset(page.max(1));
    let len = bytes.saturating_sub(skip) / page.max(1) * page.max(1);
    if len == 0 {
        return false;
    }
    // SAFETY: the range is page-aligned and within the vector's own allocation, and the advice
    // changes the size of pages, not what is in them.
    unsafe { libc::madvise(start.add(skip).cast(), len, libc::MADV_HUGEPAGE) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_changes_nothing() {
        let mut memory: Vec<u64> = Vec::with_capacity(2 << 20);
        huge_pages(&mut memory);
        memory.resize(2 << 20, 7);
        prefetch(&memory, 0);
        prefetch(&memory, usize::MAX);
        assert!(memory.iter().all(|n| *n == 7));
        assert!(!huge_pages(&mut Vec::<u8>::new()));
    }
}
