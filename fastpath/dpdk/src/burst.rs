//! Up to 64 received frames, and the queues that receive and send them.

use dpdk_sys::rte_mbuf;

use crate::mempool::Mempool;

/// The most frames handled at once.
pub const BURST: usize = 64;

/// Frames received together, owned until they are sent or freed.
///
/// A frame keeps its index for as long as it is here, so that a bit mask names a subset.
#[derive(Debug)]
pub struct Burst {
    mbufs: [*mut rte_mbuf; BURST],
    /// The bytes of each frame; empty for one that left. They live as long as the frame is held, so
    /// none is handed out but under a borrow of the burst, which keeps it from leaving.
    bytes: [&'static [u8]; BURST],
    len: usize,
    /// Bit `i` is set while frame `i` is still here.
    held: u64,
}

// SAFETY: the buffers are owned by the burst alone, and DPDK lets any thread use or free them.
unsafe impl Send for Burst {}

impl Default for Burst {
    fn default() -> Self {
        Self::new()
    }
}

impl Burst {
    /// An empty burst.
    pub const fn new() -> Self {
        Self {
            mbufs: [std::ptr::null_mut(); BURST],
            bytes: [&[]; BURST],
            len: 0,
            held: 0,
        }
    }

    /// Frames received, those sent or freed since included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was received.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The frames still here, bit `i` for frame `i`.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// The bytes of each frame, from the destination MAC on; empty for one that left already.
    pub fn frames(&self) -> &[&[u8]] {
        &self.bytes[..self.len]
    }

    /// Frees every frame still here.
    pub fn clear(&mut self) {
        if self.held != 0 {
            let mut rest = [std::ptr::null_mut(); BURST];
            let count = self.take(self.held, &mut rest);
            free(&mut rest[..count]);
        }
        self.len = 0;
    }

    /// Takes out the held frames that `mask` names, in order, each with the index it had. The others
    /// move up and keep their order, so no index is without a frame afterwards.
    pub fn split_off(&mut self, mask: u64, mut sink: impl FnMut(usize, Frame)) {
        let mask = mask & self.held;
        let mut out = [std::ptr::null_mut(); BURST];
        let mut rest = [std::ptr::null_mut(); BURST];
        self.take(mask, &mut out);
        let kept = self.take(self.held, &mut rest);
        (self.len, self.held) = (0, 0);
        rest.iter().take(kept).for_each(|mbuf| self.hold(*mbuf));
        let mut left = mask;
        for mbuf in out.into_iter().take(mask.count_ones() as usize) {
            sink(left.trailing_zeros() as usize, Frame(mbuf));
            left &= left - 1;
        }
    }

    /// Adds a frame at the end, or gives it back when there is no room.
    pub fn push(&mut self, frame: Frame) -> Result<(), Frame> {
        if self.len == BURST {
            return Err(frame);
        }
        self.hold(frame.into_raw());
        Ok(())
    }

    /// Adds a whole frame of one segment, which is the burst's from now on. There is room.
    fn hold(&mut self, mbuf: *mut rte_mbuf) {
        self.mbufs[self.len] = mbuf;
        // SAFETY: the frame is valid and of one segment, it is the burst's until `take`, which forgets
        // the slice as well.
        self.bytes[self.len] = unsafe { frame_bytes(mbuf) };
        self.held |= 1 << self.len;
        self.len += 1;
    }

    /// Moves the held frames named by `mask` to the front of `out`, in order.
    fn take(&mut self, mask: u64, out: &mut [*mut rte_mbuf; BURST]) -> usize {
        let mut left = mask & self.held;
        self.held &= !left;
        let mut count = 0;
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            out[count] = self.mbufs[index];
            self.bytes[index] = &[];
            count += 1;
            left &= left - 1;
        }
        count
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        self.clear();
    }
}

/// One frame on its way from the burst of one worker to that of another. Freed when dropped.
#[derive(Debug)]
pub struct Frame(*mut rte_mbuf);

// SAFETY: the buffer is owned by the frame alone, and DPDK lets any thread use or free it.
unsafe impl Send for Frame {}

impl Frame {
    /// Gives up ownership.
    fn into_raw(self) -> *mut rte_mbuf {
        std::mem::ManuallyDrop::new(self).0
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        free(&mut [self.0]);
    }
}

/// One receive queue. It belongs to one worker at a time.
#[derive(Debug)]
pub struct RxQueue {
    port: u16,
    queue: u16,
    frame_max: u32,
    stats: RxStats,
}

/// What a receive queue counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxStats {
    /// Frames handed out.
    pub received: u64,
    /// Frames dropped because they were longer than the MTU allows: merged ones, and those that the
    /// driver may have cut short.
    pub oversize: u64,
    /// Frames dropped because the driver had taken a VLAN tag off.
    pub untagged: u64,
}

impl RxQueue {
    pub(crate) fn new(port: u16, queue: u16, frame_max: u32) -> Self {
        Self {
            port,
            queue,
            frame_max,
            stats: RxStats::default(),
        }
    }

    /// Receives what is there, at most [`BURST`] frames, after freeing what the burst still held.
    /// Returns their number. Never waits.
    pub fn receive(&mut self, burst: &mut Burst) -> usize {
        burst.clear();
        // SAFETY: the port is started and owns this queue, which nothing else polls since RxQueue is
        // neither Clone nor shared; the array has room for BURST pointers.
        let received = unsafe {
            dpdk_sys::shim_eth_rx_burst(
                self.port,
                self.queue,
                burst.mbufs.as_mut_ptr(),
                BURST as u16,
            )
        };
        let received = usize::from(received);
        if received == 0 {
            return 0;
        }
        for index in 0..received {
            // What was read here is not read again: frames are moved down, never up.
            self.keep_whole(burst, burst.mbufs[index]);
        }
        self.stats.received += burst.len as u64;
        burst.len
    }

    /// What was counted since the port was opened.
    pub fn stats(&self) -> RxStats {
        self.stats
    }

    /// Adds a frame that is here in one piece and with all its tags to the burst; frees any other.
    #[inline]
    fn keep_whole(&mut self, burst: &mut Burst, mbuf: *mut rte_mbuf) {
        // SAFETY: rx_burst wrote a valid mbuf, owned by the caller.
        let (segments, len, flags) = unsafe {
            (
                field::<u16>(mbuf, dpdk_sys::SHIM_MBUF_NB_SEGS).read(),
                field::<u32>(mbuf, dpdk_sys::SHIM_MBUF_PKT_LEN).read(),
                field::<u64>(mbuf, dpdk_sys::SHIM_MBUF_OL_FLAGS).read(),
            )
        };
        if segments != 1 || len > self.frame_max {
            self.stats.oversize += 1;
            free(&mut [mbuf]);
        } else if flags & dpdk_sys::SHIM_MBUF_VLAN_STRIPPED != 0 {
            self.stats.untagged += 1;
            free(&mut [mbuf]);
        } else {
            burst.hold(mbuf);
        }
    }
}

/// One send queue. It belongs to one worker at a time.
#[derive(Debug)]
pub struct TxQueue {
    port: u16,
    queue: u16,
    pool: Mempool,
    stats: TxStats,
}

/// What a send queue counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxStats {
    /// Frames the driver took.
    pub sent: u64,
    /// Frames dropped because the driver had no room for them, twice.
    pub full: u64,
    /// Own frames dropped because there was no buffer for them or they did not fit into one.
    pub no_buffer: u64,
}

/// What became of frames offered to a send queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Taken by the driver.
    pub sent: usize,
    /// Dropped here.
    pub dropped: usize,
}

impl TxQueue {
    pub(crate) fn new(port: u16, queue: u16, pool: Mempool) -> Self {
        Self {
            port,
            queue,
            pool,
            stats: TxStats::default(),
        }
    }

    /// Sends the frames of `burst` that `mask` names (bit `i` for frame `i`), in order. What the
    /// driver does not take at the second try is dropped and counted. The others stay in the burst.
    pub fn send(&mut self, burst: &mut Burst, mask: u64) -> Sent {
        let mut out = [std::ptr::null_mut(); BURST];
        let count = burst.take(mask, &mut out);
        self.transmit(&mut out[..count])
    }

    /// Sends copies of `frames`, which are not those of a burst: refusals for instance.
    pub fn send_copies<'a>(&mut self, frames: impl IntoIterator<Item = &'a [u8]>) -> Sent {
        let mut total = Sent::default();
        let mut out = [std::ptr::null_mut(); BURST];
        let mut count = 0;
        for frame in frames {
            let Some(mbuf) = copy_in(&self.pool, frame) else {
                self.stats.no_buffer += 1;
                total.dropped += 1;
                continue;
            };
            out[count] = mbuf;
            count += 1;
            if count == BURST {
                total += self.transmit(&mut out);
                count = 0;
            }
        }
        total += self.transmit(&mut out[..count]);
        total
    }

    /// What was counted since the port was opened.
    pub fn stats(&self) -> TxStats {
        self.stats
    }

    fn transmit(&mut self, mbufs: &mut [*mut rte_mbuf]) -> Sent {
        let mut sent = 0;
        for _attempt in 0..2 {
            if sent < mbufs.len() {
                sent += self.offer(&mut mbufs[sent..]);
            }
        }
        let dropped = mbufs.len() - sent;
        free(&mut mbufs[sent..]);
        self.stats.sent += sent as u64;
        self.stats.full += dropped as u64;
        Sent { sent, dropped }
    }

    /// Gives `mbufs` to the driver, which takes ownership of the first so many.
    fn offer(&mut self, mbufs: &mut [*mut rte_mbuf]) -> usize {
        // SAFETY: the port is started and owns this queue, which nothing else uses since TxQueue is
        // neither Clone nor shared; the slice holds valid mbufs owned by the caller, at most BURST.
        let taken = unsafe {
            dpdk_sys::shim_eth_tx_burst(
                self.port,
                self.queue,
                mbufs.as_mut_ptr(),
                mbufs.len() as u16,
            )
        };
        usize::from(taken)
    }
}

impl std::ops::AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.dropped += other.dropped;
    }
}

fn free(mbufs: &mut [*mut rte_mbuf]) {
    if mbufs.is_empty() {
        return;
    }
    // SAFETY: every caller passes valid mbufs it owns and forgets them afterwards; there are at most
    // BURST of them.
    unsafe { dpdk_sys::rte_pktmbuf_free_bulk(mbufs.as_mut_ptr(), mbufs.len() as u32) }
}

/// A new buffer holding a copy of `frame`, or nothing when it does not fit or none is free.
fn copy_in(pool: &Mempool, frame: &[u8]) -> Option<*mut rte_mbuf> {
    let len = u16::try_from(frame.len()).ok()?;
    if u32::from(len) > pool.frame_max() {
        return None;
    }
    let mut mbuf = std::ptr::null_mut();
    // SAFETY: the pool is valid and there is room for the one pointer asked for.
    if unsafe { dpdk_sys::shim_pktmbuf_alloc_bulk(pool.as_ptr(), &raw mut mbuf, 1) } != 0 {
        return None;
    }
    // SAFETY: a new mbuf is empty, of one segment and ours; its room after the headroom is at least
    // the pool's longest frame, so the copy and the lengths stay within it.
    unsafe {
        std::ptr::copy_nonoverlapping(frame.as_ptr(), data(mbuf), frame.len());
        field::<u16>(mbuf, dpdk_sys::SHIM_MBUF_DATA_LEN).write(len);
        field::<u32>(mbuf, dpdk_sys::SHIM_MBUF_PKT_LEN).write(u32::from(len));
    }
    Some(mbuf)
}

/// # Safety
/// `mbuf` is valid, of one segment, and neither changed nor freed while the slice lives.
unsafe fn frame_bytes<'a>(mbuf: *mut rte_mbuf) -> &'a [u8] {
    // SAFETY: as the caller promises; data and length of a segment lie within its buffer.
    unsafe {
        let len = field::<u16>(mbuf, dpdk_sys::SHIM_MBUF_DATA_LEN).read();
        std::slice::from_raw_parts(data(mbuf), usize::from(len))
    }
}

/// # Safety
/// `mbuf` is valid.
unsafe fn data(mbuf: *mut rte_mbuf) -> *mut u8 {
    // SAFETY: as the caller promises; the data offset lies within the buffer.
    unsafe {
        let buffer = field::<*mut u8>(mbuf, dpdk_sys::SHIM_MBUF_BUF_ADDR).read();
        let offset = field::<u16>(mbuf, dpdk_sys::SHIM_MBUF_DATA_OFF).read();
        buffer.add(usize::from(offset))
    }
}

/// A field of an mbuf by its offset, which the C compiler gave for this release of DPDK.
///
/// # Safety
/// `mbuf` is valid and a `T` lies at `offset`.
unsafe fn field<T>(mbuf: *mut rte_mbuf, offset: u32) -> *mut T {
    // SAFETY: the offset lies within the mbuf, as the caller promises.
    unsafe { mbuf.byte_add(offset as usize).cast() }
}
