//! A safe interface to DPDK for a poll-mode pipeline that forwards frames between ports.
//!
//! [`Eal::init`] starts DPDK, [`Mempool::new`] makes the packet buffers of a worker, [`Port::open`]
//! gives each worker its [`Queue`] of a port, and [`RxQueue::receive`] and [`TxQueue::send`] move
//! [`Burst`]s. C is entered once a burst.
//!
//! Pools and ports live until the process ends and are never closed: see [`Port`].

mod burst;
mod device;
mod eal;
mod error;
mod ethtool;
mod log;
mod mempool;
mod netdev;
mod netlink;
mod port;
mod spec;
pub mod xdp;

pub use burst::{BURST, Burst, Frame, RxQueue, RxStats, Sent, TxQueue, TxStats};
pub use eal::{Eal, EalConfig, HugePages, Memory, Worker};
pub use error::{DpdkError, Error};
pub use mempool::{FRAME_OVERHEAD, Layout, Mempool};
pub use netlink::{Link, LinkChange, LinkWatch};
pub use port::{Port, PortConfig, PortStats, Queue};
pub use spec::PortSpec;
