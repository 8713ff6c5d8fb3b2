//! What can go wrong, each with what to do about it.

use std::ffi::CStr;
use std::io;

/// Why DPDK, a port or an interface cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// [`Eal::init`](crate::Eal::init) was called a second time in this process.
    #[error("DPDK was initialised before in this process; it can be initialised once only")]
    AlreadyInitialised,

    /// Huge pages were required and the machine has none free.
    #[error(
        "huge pages are required but there are none free: reserve some \
         (`sysctl vm.nr_hugepages={wanted_2mb}`) or set huge pages to \"auto\" or \"never\""
    )]
    NoHugePages {
        /// Pages of 2 MiB that would hold the configured memory.
        wanted_2mb: u32,
    },

    /// The environment abstraction layer refused to start.
    #[error("DPDK does not start: {cause}{}{said}", hint(.cause))]
    Eal {
        /// The reason.
        cause: DpdkError,
        /// Its latest warnings.
        said: String,
    },

    /// A value in the configuration cannot work.
    #[error("{what}")]
    Config {
        /// The value, why it cannot work and what would.
        what: String,
    },

    /// A packet buffer pool could not be made.
    #[error("no memory for {count} packet buffers of {room} bytes: {cause}; raise the memory size")]
    Mempool {
        /// Buffers asked for.
        count: u32,
        /// Bytes of each buffer.
        room: u32,
        /// What DPDK said.
        cause: DpdkError,
    },

    /// The pool lies in several pieces, of which the AF_XDP driver would use the first only.
    #[error(
        "the packet buffer pool lies in {chunks} pieces of memory and AF_XDP needs one; \
         raise the memory size, or use huge pages of 1 GiB or none"
    )]
    MempoolChunks {
        /// Pieces the pool came in.
        chunks: u32,
    },

    /// DPDK left gaps between the buffers of a pool, of which the AF_XDP driver does not know.
    #[error(
        "the packet buffers do not lie side by side, so AF_XDP would lose some of them; \
         use huge pages of 1 GiB or none"
    )]
    MempoolGaps,

    /// A frame of the wanted MTU does not fit into what the driver can carry.
    #[error("{port}: MTU {mtu} is too large: {limit}")]
    Mtu {
        /// The port.
        port: String,
        /// The MTU asked for, bytes.
        mtu: u16,
        /// Why, and what is possible.
        limit: String,
    },

    /// A network interface is not there.
    #[error("there is no interface {interface}; `ip link` lists those there are")]
    NoInterface {
        /// The name looked for.
        interface: String,
    },

    /// A network interface is there and cannot be used as it is.
    #[error("{interface}: {what}")]
    Interface {
        /// Its name.
        interface: String,
        /// What is wrong and what to do.
        what: String,
    },

    /// A system call about an interface failed.
    #[error("{interface}: {doing}: {cause}{}", permission_hint(.cause))]
    System {
        /// Its name.
        interface: String,
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        cause: io::Error,
    },

    /// A DPDK call about a port failed.
    #[error("{port}: {doing}: {cause}{}{said}", hint(.cause))]
    Port {
        /// The port.
        port: String,
        /// What was tried.
        doing: &'static str,
        /// The reason.
        cause: DpdkError,
        /// The latest warnings of DPDK and of the libraries it uses.
        said: String,
    },

    /// A worker could not be started or ended badly.
    #[error("worker on lcore {lcore}: {what}")]
    Worker {
        /// The lcore.
        lcore: u32,
        /// What happened.
        what: String,
    },
}

/// An error number of DPDK (positive errno value) in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DpdkError(pub i32);

impl DpdkError {
    /// From a return value that is a negative errno.
    pub(crate) fn from_return(value: i32) -> Self {
        Self(value.saturating_neg())
    }

    /// From the thread's `rte_errno`.
    pub(crate) fn last() -> Self {
        // SAFETY: reads a thread-local integer.
        Self(unsafe { dpdk_sys::shim_errno() })
    }
}

impl std::fmt::Display for DpdkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // SAFETY: rte_strerror returns a string that is valid until this thread's next call of it.
        let text = unsafe { CStr::from_ptr(dpdk_sys::rte_strerror(self.0)) };
        write!(f, "{} (errno {})", text.to_string_lossy(), self.0)
    }
}

fn hint(cause: &DpdkError) -> &'static str {
    match cause.0 {
        libc::EACCES | libc::EPERM => "; run as root or with the capabilities of the service unit",
        libc::EBUSY | libc::EEXIST => "; another program holds it",
        libc::ENOMEM => "; raise the memory size",
        _ => "",
    }
}

fn permission_hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => {
            "; run as root or with the capabilities of the service unit"
        }
        _ => "",
    }
}
