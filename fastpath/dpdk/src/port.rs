//! Ports: what a configuration may name, opened and started, as send and receive queues.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::sync::Mutex;

use crate::burst::{RxQueue, TxQueue};
use crate::eal::Eal;
use crate::error::{DpdkError, Error};
use crate::log;
use crate::mempool::{Mempool, frame_max};
use crate::netdev;
use crate::xdp;

/// Which device a port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortSpec {
    /// A kernel interface through AF_XDP. Without a process the kernel has the frames.
    AfXdp {
        /// Its name.
        interface: String,
        /// Frames handled in one busy poll of the kernel; 0 = no busy poll, none = DPDK's default.
        busy_budget: Option<u16>,
        /// Copy even where the NIC's driver offers zero copy.
        force_copy: bool,
    },
    /// A kernel interface through AF_PACKET: for interfaces AF_XDP cannot take, or frames too long
    /// for it. Not quite transparent, since DPDK's driver has the kernel reassemble IPv4 fragments
    /// (beyond the MTU they count as oversize) and gives every VLAN tag the type 0x8100.
    AfPacket {
        /// Its name.
        interface: String,
    },
    /// A PCI device bound to vfio-pci or of a bifurcated driver. [`crate::EalConfig::pci`] must name
    /// it too.
    Pci {
        /// Its address, `0000:03:00.0`.
        address: String,
    },
    /// Any other device DPDK knows, such as `net_pcap0,rx_pcap=in.pcap`.
    Devargs {
        /// The arguments, beginning with the device's name.
        devargs: String,
    },
}

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

/// The symmetric key for Toeplitz hashing: with a 16-bit period, swapping source and destination
/// gives the same hash (Woo and Park, 2012).
const SYMMETRIC_KEY: [u8; 2] = [0x6d, 0x5a];

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
        let mut queues = Vec::new();
        match &config.spec {
            PortSpec::AfXdp { interface, .. } => {
                check_af_xdp(config, pools)?;
                let queues_used = netdev::Use::AfXdp {
                    queues: pools.len(),
                };
                netdev::prepare(interface, config.mtu, queues_used)?;
                // One device per queue: with several queues in one, closing it after a failure
                // would touch freed memory (fixed after 22.11).
                for (queue, pool) in (0u16..).zip(pools) {
                    let devargs = config.spec.devargs(config, queue, 1);
                    let opened = port.add(config, &devargs, &[*pool]);
                    queues.extend(opened.map_err(|error| {
                        xdp::why_refused(interface, u32::from(queue)).unwrap_or(error)
                    })?);
                }
            }
            PortSpec::AfPacket { interface } => {
                netdev::prepare(interface, config.mtu, netdev::Use::AfPacket)?;
                tracing::warn!(
                    port = config.name,
                    "af_packet reassembles IPv4 fragments and turns 802.1ad tags into 802.1Q tags; \
                     af_xdp does neither"
                );
                queues = port.add(config, &config.spec.devargs(config, 0, pools.len()), pools)?;
            }
            PortSpec::Pci { .. } | PortSpec::Devargs { .. } => {
                queues = port.add(config, &config.spec.devargs(config, 0, pools.len()), pools)?;
            }
        }
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

    /// Probes one DPDK device, configures and starts it with one queue for each pool.
    fn add(
        &mut self,
        config: &PortConfig,
        devargs: &str,
        pools: &[Mempool],
    ) -> Result<Vec<Queue>, Error> {
        let device = Device::probe(config, devargs)?;
        let info = device.info()?;
        let symmetric = device.configure(&info, pools.len())?;
        device.set_up_queues(&info, pools)?;
        device.check_offloads()?;
        device.call("starting the port", |id| {
            // SAFETY: the device is configured and its queues are set up.
            unsafe { dpdk_sys::rte_eth_dev_start(id) }
        })?;
        device.receive_everything()?;
        self.symmetric |= symmetric;
        self.devices.push(device.id);
        Ok((0u16..)
            .zip(pools)
            .map(|(queue, pool)| Queue {
                rx: RxQueue::new(device.id, queue, frame_max(config.mtu)),
                tx: TxQueue::new(device.id, queue, *pool),
            })
            .collect())
    }
}

impl PortSpec {
    /// The kernel interface behind it, if there is one.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::AfXdp { interface, .. } | Self::AfPacket { interface } => Some(interface),
            Self::Pci { .. } | Self::Devargs { .. } => None,
        }
    }

    /// DPDK's arguments for the device that holds `count` queues from `first` on.
    fn devargs(&self, config: &PortConfig, first: u16, count: usize) -> String {
        match self {
            Self::AfXdp {
                interface,
                busy_budget,
                force_copy,
            } => {
                let mut text = format!(
                    "net_af_xdp_{interface}_{first},iface={interface},start_queue={first},queue_count={count}"
                );
                if let Some(budget) = busy_budget {
                    text.push_str(&format!(",busy_budget={budget}"));
                }
                if *force_copy {
                    text.push_str(",force_copy=1");
                }
                text
            }
            Self::AfPacket { interface } => {
                let (frame, block) = af_packet_sizes(config.mtu);
                format!(
                    "net_af_packet_{interface},iface={interface},qpairs={count},\
                     framesz={frame},blocksz={block},framecnt={AF_PACKET_FRAMES}"
                )
            }
            Self::Pci { address } => address.clone(),
            Self::Devargs { devargs } => devargs.clone(),
        }
    }
}

/// One DPDK ethernet device while it is opened.
struct Device<'a> {
    id: u16,
    config: &'a PortConfig,
}

impl<'a> Device<'a> {
    fn probe(config: &'a PortConfig, devargs: &str) -> Result<Self, Error> {
        const NO_DRIVER: i32 = -libc::EFAULT;
        let bad = |_| Error::Config {
            what: format!("{}: device arguments hold a NUL byte", config.name),
        };
        let name = devargs.split(',').next().unwrap_or(devargs);
        let name = CString::new(name).map_err(bad)?;
        let devargs = CString::new(devargs).map_err(bad)?;
        if let Some(id) = find(&name) {
            return Self::claim(id, config);
        }
        log::forget();
        // SAFETY: DPDK is initialised and copies the string.
        let code = unsafe { dpdk_sys::rte_dev_probe(devargs.as_ptr()) };
        match (find(&name), code) {
            (Some(id), 0) => Self::claim(id, config),
            (None, NO_DRIVER) => Err(Error::Config {
                what: format!(
                    "{}: DPDK has no driver for \"{}\"; a device's name is that of its driver and a \
                     number, as in net_pcap0",
                    config.name,
                    name.to_string_lossy()
                ),
            }),
            _ => Err(Error::Port {
                port: config.name.clone(),
                doing: "opening the device",
                cause: match code {
                    0 => DpdkError(libc::ENODEV),
                    code => DpdkError::from_return(code),
                },
                said: log::recent(),
            }),
        }
    }

    /// A device serves one port: two would poll the same queues.
    fn claim(id: u16, config: &'a PortConfig) -> Result<Self, Error> {
        static CLAIMED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
        let is_new = CLAIMED.lock().is_ok_and(|mut claimed| claimed.insert(id));
        if !is_new {
            return Err(Error::Config {
                what: format!("{}: the device is another port already", config.name),
            });
        }
        Ok(Self { id, config })
    }

    fn info(&self) -> Result<dpdk_sys::rte_eth_dev_info, Error> {
        let mut info = MaybeUninit::zeroed();
        self.call("asking the driver for its limits", |id| {
            // SAFETY: the place is valid; the call fills it.
            unsafe { dpdk_sys::rte_eth_dev_info_get(id, info.as_mut_ptr()) }
        })?;
        // SAFETY: the struct is plain data of which all-zero is valid, and the call succeeded.
        let info: dpdk_sys::rte_eth_dev_info = unsafe { info.assume_init() };
        if info.max_mtu < self.config.mtu {
            // SAFETY: a driver's name is a string constant.
            let driver = unsafe { CStr::from_ptr(info.driver_name) };
            return Err(Error::Mtu {
                port: self.config.name.clone(),
                mtu: self.config.mtu,
                limit: format!(
                    "{} carries {} at most",
                    driver.to_string_lossy(),
                    info.max_mtu
                ),
            });
        }
        Ok(info)
    }

    /// Returns whether the NIC hashes both directions of a flow to the same queue.
    fn configure(&self, info: &dpdk_sys::rte_eth_dev_info, queues: usize) -> Result<bool, Error> {
        let queues = u16::try_from(queues).unwrap_or(u16::MAX);
        let most = info.max_rx_queues.min(info.max_tx_queues);
        if queues > most {
            return Err(Error::Config {
                what: format!(
                    "{}: the driver offers {most} queues, not {queues}",
                    self.config.name
                ),
            });
        }
        let mut key = symmetric_key(info.hash_key_size);
        let hash = info.flow_type_rss_offloads & dpdk_sys::SHIM_RSS_WANTED;
        let mut conf = dpdk_sys::rte_eth_conf::default();
        conf.rxmode.mtu = match self.config.spec {
            // The driver states the limit of an ordinary Ethernet frame here, whatever the size of
            // its ring's slots, and looks at nothing but these.
            PortSpec::AfPacket { .. } => u32::from(self.config.mtu.min(1500)),
            _ => u32::from(self.config.mtu),
        };
        let symmetric = queues > 1 && hash != 0;
        if symmetric {
            conf.rxmode.mq_mode = dpdk_sys::RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_key = key.as_mut_ptr();
            conf.rx_adv_conf.rss_conf.rss_key_len = key.len() as u8;
            conf.rx_adv_conf.rss_conf.rss_hf = hash;
        }
        self.call("configuring the port", |id| {
            // SAFETY: `conf` and the key it points to live through the call, which copies them.
            unsafe { dpdk_sys::rte_eth_dev_configure(id, queues, queues, &raw const conf) }
        })?;
        if matches!(self.config.spec, PortSpec::Pci { .. }) {
            self.call("setting the MTU", |id| {
                // SAFETY: the device is configured and stopped.
                unsafe { dpdk_sys::rte_eth_dev_set_mtu(id, self.config.mtu) }
            })?;
        }
        Ok(symmetric)
    }

    fn set_up_queues(
        &self,
        info: &dpdk_sys::rte_eth_dev_info,
        pools: &[Mempool],
    ) -> Result<(), Error> {
        let mut rx_descriptors = self
            .config
            .descriptors
            .unwrap_or(default_ring(info.default_rxportconf.ring_size));
        let mut tx_descriptors = self
            .config
            .descriptors
            .unwrap_or(default_ring(info.default_txportconf.ring_size));
        self.call("choosing the ring sizes", |id| {
            // SAFETY: both places are valid; the call rounds what they hold.
            unsafe {
                dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(
                    id,
                    &raw mut rx_descriptors,
                    &raw mut tx_descriptors,
                )
            }
        })?;
        // SAFETY: any device number may be asked.
        let socket = unsafe { dpdk_sys::rte_eth_dev_socket_id(self.id) }.cast_unsigned();
        for (queue, pool) in (0u16..).zip(pools) {
            self.call("setting up a receive queue", |id| {
                // SAFETY: the device is configured with this queue; a null configuration means the
                // driver's default; the pool lives as long as the process.
                unsafe {
                    dpdk_sys::rte_eth_rx_queue_setup(
                        id,
                        queue,
                        rx_descriptors,
                        socket,
                        std::ptr::null(),
                        pool.as_ptr(),
                    )
                }
            })?;
            self.call("setting up a send queue", |id| {
                // SAFETY: as for the receive queue.
                unsafe {
                    dpdk_sys::rte_eth_tx_queue_setup(
                        id,
                        queue,
                        tx_descriptors,
                        socket,
                        std::ptr::null(),
                    )
                }
            })?;
        }
        Ok(())
    }

    /// Frames must arrive as they were on the wire: none of them merged, no tag taken off.
    fn check_offloads(&self) -> Result<(), Error> {
        // SAFETY: the device is configured.
        let vlan = unsafe { dpdk_sys::rte_eth_dev_get_vlan_offload(self.id) };
        let stripping = i64::from(vlan)
            & (dpdk_sys::RTE_ETH_VLAN_STRIP_OFFLOAD as i64
                | dpdk_sys::RTE_ETH_QINQ_STRIP_OFFLOAD as i64);
        if vlan >= 0 && stripping != 0 {
            return Err(Error::Config {
                what: format!(
                    "{}: the driver takes VLAN tags off and cannot be told not to",
                    self.config.name
                ),
            });
        }
        Ok(())
    }

    /// A transparent box takes frames for anybody. Drivers without the notion take all anyway.
    fn receive_everything(&self) -> Result<(), Error> {
        for (doing, switch) in [
            (
                "switching promiscuous mode on",
                dpdk_sys::rte_eth_promiscuous_enable as unsafe extern "C" fn(u16) -> i32,
            ),
            (
                "switching reception of all multicast on",
                dpdk_sys::rte_eth_allmulticast_enable,
            ),
        ] {
            // SAFETY: the device is started.
            let code = unsafe { switch(self.id) };
            if code != 0 && code != -libc::ENOTSUP {
                return Err(self.error(doing, code));
            }
        }
        Ok(())
    }

    fn call(&self, doing: &'static str, call: impl FnOnce(u16) -> i32) -> Result<(), Error> {
        match call(self.id) {
            0 => Ok(()),
            code => Err(self.error(doing, code)),
        }
    }

    fn error(&self, doing: &'static str, code: i32) -> Error {
        Error::Port {
            port: self.config.name.clone(),
            doing,
            cause: DpdkError::from_return(code),
            said: log::recent(),
        }
    }
}

fn find(name: &CStr) -> Option<u16> {
    let mut id = 0;
    // SAFETY: the name is NUL-terminated and the place for the number valid.
    let code = unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut id) };
    (code == 0).then_some(id)
}

fn default_ring(wanted: u16) -> u16 {
    if wanted == 0 { 1024 } else { wanted }
}

fn symmetric_key(driver_len: u8) -> Vec<u8> {
    let len = if driver_len == 0 {
        40
    } else {
        usize::from(driver_len)
    };
    SYMMETRIC_KEY.iter().copied().cycle().take(len).collect()
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
fn check_af_xdp(config: &PortConfig, pools: &[Mempool]) -> Result<(), Error> {
    match pools.iter().find(|pool| pool.stride() > page_size()) {
        Some(_) => Err(Error::Mtu {
            port: config.name.clone(),
            mtu: config.mtu,
            limit: "AF_XDP carries frames of 3520 bytes at most, which is an MTU of 3498 with two \
                    VLAN tags, and less on some NICs; use af_packet or pci for more"
                .into(),
        }),
        None => Ok(()),
    }
}

/// Frames in each direction of an AF_PACKET queue.
const AF_PACKET_FRAMES: u32 = 1024;

/// Bytes of a slot and of a block in an AF_PACKET ring. A slot holds the frame and what the kernel
/// puts in front of it; slots fill a block without a gap, and a block is whole pages, which a
/// multiple of 1/32 page gives without waste.
fn af_packet_sizes(mtu: u16) -> (u32, u32) {
    const KERNEL_HEADER: u32 = 128;
    const SLOTS_PER_BLOCK: u32 = 32;
    let granule = page_size() / SLOTS_PER_BLOCK;
    let slot = (frame_max(mtu) + KERNEL_HEADER).next_multiple_of(granule);
    (slot, slot * SLOTS_PER_BLOCK)
}

fn page_size() -> u32 {
    // SAFETY: asks for a constant.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u32::try_from(size).unwrap_or(4096)
}
