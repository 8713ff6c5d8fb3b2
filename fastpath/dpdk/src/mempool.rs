//! Pools of packet buffers.

use std::ffi::CString;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::eal::Eal;
use crate::error::{DpdkError, Error};
use crate::spec::{PortSpec, af_packet_slot};

/// Bytes around the payload on the wire: Ethernet header and two VLAN tags.
pub const FRAME_OVERHEAD: u16 = 14 + 2 * 4;

/// What XDP keeps in front of a frame beside DPDK's headroom, in bytes.
const XDP_HEADROOM: u32 = 256;

/// A line of the processor's cache, in bytes.
const LINE: u32 = 64;

/// Buffers each lcore keeps to itself, so that most bursts touch no shared ring.
const CACHE: u32 = 256;

/// DPDK wants at least one and a half caches full.
const COUNT_MIN: u32 = 2 * CACHE;

/// Bytes in front of each buffer: the pool's and the buffer's own description.
const BOOKKEEPING: u32 = 64 + dpdk_sys::SHIM_MBUF_SIZE;

/// The longest frame of an MTU in bytes, header and two VLAN tags included.
pub(crate) const fn frame_max(mtu: u16) -> u32 {
    mtu as u32 + FRAME_OVERHEAD as u32
}

/// How the buffers of a pool lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Apart by an odd number of cache lines, so that the frames of a burst do not crowd into a few
    /// sets of the cache. For all drivers but AF_XDP.
    Spread,
    /// Side by side in pages, as AF_XDP needs them: DPDK lets no buffer cross a page and leaves a gap
    /// instead, but its driver tells the kernel of as much memory as the buffers take without gaps;
    /// what lies behind it the kernel refuses without a word, until the queue has no buffers left. A
    /// power of two leaves no gaps.
    Pages,
}

impl Layout {
    /// What the drivers of these ports need.
    pub fn of<'a>(ports: impl IntoIterator<Item = &'a PortSpec>) -> Self {
        let mut ports = ports.into_iter();
        if ports.any(|port| matches!(port, PortSpec::AfXdp { .. })) {
            Self::Pages
        } else {
            Self::Spread
        }
    }

    /// Bytes from one buffer to the next for such a frame, bookkeeping included.
    fn stride(self, frame_max: u32) -> u32 {
        const HALF_PAGE: u32 = 2048;
        let around = BOOKKEEPING + dpdk_sys::RTE_PKTMBUF_HEADROOM;
        match self {
            Self::Spread => ((around + af_packet_slot(frame_max)).div_ceil(LINE) | 1) * LINE,
            Self::Pages => {
                let needed = around + XDP_HEADROOM + frame_max;
                needed.next_power_of_two().max(HALF_PAGE)
            }
        }
    }

    /// Bytes of the buffer for such a frame.
    fn room(self, frame_max: u32) -> u32 {
        self.stride(frame_max) - BOOKKEEPING
    }

    /// Bytes of memory a buffer takes, with the gaps that pages leave.
    fn footprint(self, frame_max: u32) -> u32 {
        let (stride, page) = (self.stride(frame_max), page_size());
        if stride > page {
            return stride;
        }
        page / (page / stride)
    }
}

/// Packet buffers of one worker, shared by the queues of both its ports so that forwarding copies
/// nothing.
///
/// A pool lives until the process ends: ports and the kernel refer to its memory. Copies of the
/// handle refer to the same pool.
#[derive(Clone, Copy, Debug)]
pub struct Mempool {
    raw: NonNull<dpdk_sys::rte_mempool>,
    count: u32,
    frame_max: u32,
}

// SAFETY: a mempool is a lock-free multi-producer multi-consumer structure; every operation offered
// here may be called from any thread, and it is never freed.
unsafe impl Send for Mempool {}
// SAFETY: as above.
unsafe impl Sync for Mempool {}

impl Mempool {
    /// Buffers that never run out while a worker serves one queue each of `ports` ports: what the
    /// rings of an AF_XDP queue hold when all are full (2,048 each for filling, receiving and
    /// sending), and as much again for the worker itself.
    pub const fn count_for(ports: u32) -> u32 {
        // One less than a power of two wastes nothing in the ring behind the pool.
        ((3 * ports + 1) * 2048).next_power_of_two() - 1
    }

    /// Bytes of memory a pool takes, to size [`EalConfig::memory_mb`](crate::EalConfig::memory_mb).
    pub fn bytes_for(count: u32, mtu: u16, layout: Layout) -> u64 {
        const POINTER: u64 = 8;
        u64::from(count) * (u64::from(layout.footprint(frame_max(mtu))) + POINTER)
    }

    /// Makes a pool of `count` buffers, each for a frame of `mtu` bytes payload.
    ///
    /// # Errors
    /// When the memory does not suffice.
    pub fn new(_eal: &Eal, count: u32, mtu: u16, layout: Layout) -> Result<Self, Error> {
        if count < COUNT_MIN {
            return Err(Error::Config {
                what: format!("{count} packet buffers are too few: {COUNT_MIN} is the least"),
            });
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("packets{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let name = CString::new(name).map_err(|error| Error::Config {
            what: error.to_string(),
        })?;
        let frame_max = frame_max(mtu);
        let room = layout.room(frame_max);
        let data_room = u16::try_from(room).map_err(|_| Error::Config {
            what: format!("MTU {mtu} is too large for a packet buffer"),
        })?;
        // SAFETY: the name outlives the call, which copies it; DPDK is initialised since an Eal
        // exists.
        let raw = unsafe {
            dpdk_sys::shim_pktmbuf_pool_create(
                name.as_ptr(),
                count,
                CACHE,
                data_room,
                i32::from(layout == Layout::Pages),
                dpdk_sys::rte_socket_id().cast_signed(),
            )
        };
        let raw = NonNull::new(raw).ok_or_else(|| Error::Mempool {
            count,
            room,
            cause: DpdkError::last(),
        })?;
        Ok(Self {
            raw,
            count,
            frame_max,
        })
    }

    /// The longest frame a buffer holds, Ethernet header and VLAN tags included, in bytes.
    pub fn frame_max(&self) -> u32 {
        self.frame_max
    }

    /// Buffers not in use now. Walks the caches: for statistics, not for the packet path.
    pub fn available(&self) -> u32 {
        // SAFETY: the pool is valid for the life of the process.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.raw.as_ptr()) }
    }

    /// Bytes from one buffer to the next, bookkeeping included.
    pub(crate) fn stride(&self) -> u32 {
        // SAFETY: the pool is valid for the life of the process.
        unsafe { dpdk_sys::shim_mempool_stride(self.raw.as_ptr()) }
    }

    /// In how many pieces of memory the buffers lie.
    pub(crate) fn chunks(&self) -> u32 {
        // SAFETY: the pool is valid for the life of the process.
        unsafe { dpdk_sys::shim_mempool_chunks(self.raw.as_ptr()) }
    }

    /// Whether the buffers of a pool in one piece lie side by side, as the AF_XDP driver believes.
    pub(crate) fn is_gapless(&self) -> bool {
        // SAFETY: the pool is valid for the life of the process and has at least one chunk.
        let span = unsafe { dpdk_sys::shim_mempool_span(self.raw.as_ptr()) };
        span <= u64::from(self.count) * u64::from(self.stride())
    }

    pub(crate) fn as_ptr(&self) -> *mut dpdk_sys::rte_mempool {
        self.raw.as_ptr()
    }
}

/// Bytes of a page of memory.
pub(crate) fn page_size() -> u32 {
    // SAFETY: asks for a constant.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u32::try_from(size).unwrap_or(4096)
}
