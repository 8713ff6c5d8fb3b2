//! Ports: opened and started devices, as send and receive queues for the workers.

use crate::burst::{RxQueue, TxQueue};
use crate::device::Device;
use crate::eal::Eal;
use crate::error::{DpdkError, Error};
use crate::mempool::{Mempool, frame_max, page_size};
use crate::netdev;
use crate::netlink::Link;
use crate::spec::PortSpec;
use crate::xdp;

/// How to open a port.
#[derive(Clone, Debug)]
pub struct PortConfig {
    /// What people call it; used in messages.
    pub name: String,
    /// The device.
    pub spec: PortSpec,
    /// Largest payload of a frame in bytes. A kernel interface must be set to the same.
    pub mtu: u16,
    /// Descriptors of each ring; none = the driver's default.
    pub descriptors: Option<u16>,
}

/// One queue pair of a port, for one worker.
#[derive(Debug)]
pub struct Queue {
    /// The receiving half.
    pub rx: RxQueue,
    /// The sending half.
    pub tx: TxQueue,
}

/// Sums over all queues of a port, as its driver counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Frames received.
    pub rx_frames: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames lost because nobody fetched them in time.
    pub rx_missed: u64,
    /// Broken frames received.
    pub rx_errors: u64,
    /// Frames that could not be received for want of a buffer.
    pub rx_no_buffer: u64,
    /// Frames the driver failed to send.
    pub tx_errors: u64,
}

/// An open and started port.
///
/// Dropping it does nothing: closing an AF_XDP port would take the XDP program off its interface,
/// which a planned exit must not do. The kernel cleans up when the process ends.
#[derive(Debug)]
pub struct Port {
    name: String,
    spec: PortSpec,
    devices: Vec<u16>,
    symmetric: bool,
}

impl Port {
    /// Opens and starts a port with one queue for each pool, and returns the queues in that order.
    ///
    /// # Errors
    /// When the device is missing, in use or not permitted, when it cannot carry the MTU, or when
    /// the interface's settings would lead frames around or change them.
    pub fn open(
        _eal: &Eal,
        config: &PortConfig,
        pools: &[Mempool],
    ) -> Result<(Self, Vec<Queue>), Error> {
        check_pools(config, pools)?;
        let mut port = Self {
            name: config.name.clone(),
            spec: config.spec.clone(),
            devices: Vec::new(),
            symmetric: pools.len() == 1,
        };
        let queues = match &config.spec {
            PortSpec::AfXdp { interface, .. } => port.open_af_xdp(config, interface, pools)?,
            PortSpec::AfPacket { interface } => port.open_af_packet(config, interface, pools)?,
            PortSpec::Pci { .. } | PortSpec::Devargs { .. } => port.add(config, 0, pools)?,
        };
        Ok((port, queues))
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device it is.
    pub fn spec(&self) -> &PortSpec {
        &self.spec
    }

    /// Whether both directions of a flow arrive at queues of the same number on two such ports;
    /// otherwise the workers have to pass frames to each other.
    pub fn is_symmetric(&self) -> bool {
        self.symmetric
    }

    /// Whether there is a signal at the other end. Of a kernel interface the kernel says so, in the
    /// network namespace of the calling thread, since DPDK's drivers for these always say "up".
    ///
    /// # Errors
    /// When the interface is gone, or kernel or driver do not answer.
    pub fn is_link_up(&self) -> Result<bool, Error> {
        if let Some(interface) = self.spec.interface() {
            return Link::of(interface).map(|link| link.up && link.carrier);
        }
        for &device in &self.devices {
            let mut speed_mbps = 0;
            // SAFETY: the device is open and the place for the speed valid.
            match unsafe { dpdk_sys::shim_eth_link(device, &raw mut speed_mbps) } {
                1 => {}
                0 => return Ok(false),
                code => {
                    return Err(Error::Port {
                        port: self.name.clone(),
                        doing: "asking for the link state",
                        cause: DpdkError::from_return(code),
                        said: String::new(),
                    });
                }
            }
        }
        Ok(true)
    }

    /// The driver's counters, summed over the queues.
    pub fn stats(&self) -> PortStats {
        let mut sum = PortStats::default();
        for &device in &self.devices {
            let mut stats = dpdk_sys::rte_eth_stats::default();
            // SAFETY: the device is open and `stats` is a valid place for its counters.
            if unsafe { dpdk_sys::rte_eth_stats_get(device, &raw mut stats) } != 0 {
                continue;
            }
            sum.rx_frames += stats.ipackets;
            sum.rx_bytes += stats.ibytes;
            sum.tx_frames += stats.opackets;
            sum.tx_bytes += stats.obytes;
            sum.rx_missed += stats.imissed;
            sum.rx_errors += stats.ierrors;
            sum.rx_no_buffer += stats.rx_nombuf;
            sum.tx_errors += stats.oerrors;
        }
        sum
    }

    /// Hands the traffic to the kernel, for a planned exit: from the next frame on it goes to the
    /// bridge the interface is in, and the XDP program stays for the next start. Workers should run
    /// on for a moment to forward what is in the rings. Ports that are not AF_XDP have no such way.
    ///
    /// # Errors
    /// When the process may not change BPF maps.
    pub fn hand_to_kernel(&self) -> Result<(), Error> {
        match &self.spec {
            PortSpec::AfXdp { interface, .. } => xdp::empty_socket_map(interface).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn open_af_xdp(
        &mut self,
        config: &PortConfig,
        interface: &str,
        pools: &[Mempool],
    ) -> Result<Vec<Queue>, Error> {
        check_af_xdp(config, pools)?;
        let how = netdev::Use::AfXdp {
            queues: pools.len(),
        };
        netdev::prepare(interface, config.mtu, how)?;
        let mut queues = Vec::new();
        // One device per queue: with several queues in one, closing it after a failure would touch
        // freed memory (fixed after 22.11).
        for (queue, pool) in (0u16..).zip(pools) {
            let opened = self.add(config, queue, &[*pool]);
            queues.extend(
                opened.map_err(|error| {
                    xdp::why_refused(interface, u32::from(queue)).unwrap_or(error)
                })?,
            );
        }
        if Link::of(interface)?.xdp_generic {
            tracing::warn!(
                port = config.name,
                "the driver of {interface} has no XDP of its own: the kernel's general way is slower"
            );
        }
        Ok(queues)
    }

    fn open_af_packet(
        &mut self,
        config: &PortConfig,
        interface: &str,
        pools: &[Mempool],
    ) -> Result<Vec<Queue>, Error> {
        netdev::prepare(interface, config.mtu, netdev::Use::AfPacket)?;
        tracing::warn!(
            port = config.name,
            "af_packet reassembles IPv4 fragments and turns 802.1ad tags into 802.1Q tags; af_xdp \
             does neither"
        );
        self.add(config, 0, pools)
    }

    /// Opens one DPDK device with one queue for each pool, of which the first has number `first`
    /// on the interface.
    fn add(
        &mut self,
        config: &PortConfig,
        first: u16,
        pools: &[Mempool],
    ) -> Result<Vec<Queue>, Error> {
        let devargs = config.spec.devargs(config.mtu, first, pools.len());
        let device = Device::start(config, &devargs, pools)?;
        self.symmetric |= device.symmetric;
        self.devices.push(device.id);
        let queue = |(queue, pool): (u16, &Mempool)| Queue {
            rx: RxQueue::new(device.id, queue, frame_max(config.mtu)),
            tx: TxQueue::new(device.id, queue, *pool),
        };
        Ok((0..).zip(pools).map(queue).collect())
    }
}

fn check_pools(config: &PortConfig, pools: &[Mempool]) -> Result<(), Error> {
    let needed = frame_max(config.mtu);
    if pools.is_empty() {
        return Err(Error::Config {
            what: format!("{}: a port needs at least one queue", config.name),
        });
    }
    match pools.iter().find(|pool| pool.frame_max() < needed) {
        Some(pool) => Err(Error::Config {
            what: format!(
                "{}: frames of {needed} bytes do not fit into buffers for {}",
                config.name,
                pool.frame_max()
            ),
        }),
        None => Ok(()),
    }
}

/// The kernel takes packet memory in pieces of a page at most, and a frame has to fit into one.
///
/// The AF_XDP driver tells the kernel of a pool's first piece of memory only.
fn check_af_xdp(config: &PortConfig, pools: &[Mempool]) -> Result<(), Error> {
    if let Some(chunks) = pools
        .iter()
        .map(Mempool::chunks)
        .find(|chunks| *chunks != 1)
    {
        return Err(Error::MempoolChunks { chunks });
    }
    match pools.iter().find(|pool| pool.stride() > page_size()) {
        Some(_) => Err(Error::Mtu {
            port: config.name.clone(),
            mtu: config.mtu,
            limit: "AF_XDP carries frames of 3520 bytes at most, which is an MTU of 3498 with two \
                    VLAN tags, and less on some NICs; use af_packet or pci for more"
                .into(),
        }),
        None if pools.iter().all(Mempool::is_gapless) => Ok(()),
        None => Err(Error::MempoolGaps),
    }
}
