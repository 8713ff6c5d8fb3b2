//! One DPDK ethernet device on its way from its arguments to started queues.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::sync::Mutex;

use crate::error::{DpdkError, Error};
use crate::log;
use crate::mempool::Mempool;
use crate::port::PortConfig;
use crate::spec::PortSpec;

/// The symmetric key for Toeplitz hashing: with a 16-bit period, swapping source and destination
/// gives the same hash (Woo and Park, 2012).
const SYMMETRIC_KEY: [u8; 2] = [0x6d, 0x5a];

const PCI_HINT: &str = "; is it bound to vfio-pci (`dpdk-devbind.py --status`)?";

/// A started device.
pub(crate) struct Device {
    /// Its number at DPDK.
    pub(crate) id: u16,
    /// Whether it brings both directions of a flow to the same queue.
    pub(crate) symmetric: bool,
}

impl Device {
    /// Finds or makes the device of these arguments and starts it with one queue for each pool.
    pub(crate) fn start(
        config: &PortConfig,
        devargs: &str,
        pools: &[Mempool],
    ) -> Result<Self, Error> {
        let device = Stopped::probe(config, devargs)?;
        let info = device.info()?;
        let symmetric = device.configure(&info, pools.len())?;
        device.set_up_queues(&info, pools)?;
        device.check_offloads()?;
        device.call("starting the port", |id| {
            // SAFETY: the device is configured and its queues are set up.
            unsafe { dpdk_sys::rte_eth_dev_start(id) }
        })?;
        device.receive_everything()?;
        Ok(Self {
            id: device.id,
            symmetric,
        })
    }
}

/// A device that is not started yet.
struct Stopped<'a> {
    id: u16,
    config: &'a PortConfig,
}

impl<'a> Stopped<'a> {
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
                said: match config.spec {
                    PortSpec::Pci { .. } => format!("{PCI_HINT}{}", log::recent()),
                    _ => log::recent(),
                },
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
        // What other drivers call so is not always a hash by this key.
        let symmetric = queues > 1 && hash != 0 && matches!(self.config.spec, PortSpec::Pci { .. });
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

    /// Frames must arrive with every tag they had. Nothing merges them, since no offload is asked
    /// for.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_same_in_both_directions() {
        let key = symmetric_key(40);
        let (client, server) = ([10, 77, 0, 1], [192, 168, 3, 200]);
        let (from, to) = (40_001u16.to_be_bytes(), 104u16.to_be_bytes());
        let there = [&client[..], &server, &from, &to].concat();
        let back = [&server[..], &client, &to, &from].concat();
        assert_eq!(toeplitz(&key, &there), toeplitz(&key, &back));
        let other = [&client[..], &server, &[0x9c, 0x42], &to].concat();
        assert_ne!(toeplitz(&key, &there), toeplitz(&key, &other));
    }

    /// As NICs compute it: for each bit of the input, the 32 bits of the key that begin there.
    fn toeplitz(key: &[u8], input: &[u8]) -> u32 {
        let key_bit = |bit: usize| u32::from(key[bit / 8] >> (7 - bit % 8) & 1);
        let window = |start| (0..32).fold(0, |value, bit| value << 1 | key_bit(start + bit));
        (0..input.len() * 8)
            .filter(|bit| input[bit / 8] >> (7 - bit % 8) & 1 == 1)
            .fold(0, |hash, bit| hash ^ window(bit))
    }
}
