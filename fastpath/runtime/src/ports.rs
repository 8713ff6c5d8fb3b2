//! The two ports, from configuration to queues, and what they say of themselves.

use anyhow::{Context, Result};
use wardline_control::{LinkState, PortStatus, view};
use wardline_dpdk::{Eal, Mempool, Port, PortConfig, PortSpec, Queue};
use wardline_policy::Side;

use crate::config::{self, Config, Driver};

/// A port in use.
#[derive(Debug)]
pub struct OpenPort {
    side: Side,
    config: config::Port,
    port: Port,
    queues: u32,
}

/// Opens both ports with one queue for each pool; the queues come by worker, each by side.
///
/// # Errors
/// A port is missing, in use, not permitted or cannot carry the MTU.
pub fn open(
    eal: &Eal,
    config: &Config,
    pools: &[Mempool],
) -> Result<([OpenPort; 2], Vec<[Queue; 2]>)> {
    let (ward, ward_queues) = open_one(eal, Side::Ward, &config.ports.ward, pools)?;
    let (core, core_queues) = open_one(eal, Side::Core, &config.ports.core, pools)?;
    let queues = ward_queues.into_iter().zip(core_queues);
    Ok(([ward, core], queues.map(|(w, c)| [w, c]).collect()))
}

fn open_one(
    eal: &Eal,
    side: Side,
    config: &config::Port,
    pools: &[Mempool],
) -> Result<(OpenPort, Vec<Queue>)> {
    let name = side_name(side);
    let wanted = PortConfig {
        name: format!("{name} port"),
        spec: spec(config),
        mtu: config.mtu,
        descriptors: None,
    };
    let (port, queues) =
        Port::open(eal, &wanted, pools).with_context(|| format!("ports.{name} cannot be used"))?;
    let open = OpenPort {
        side,
        config: config.clone(),
        port,
        queues: u32::try_from(queues.len())?,
    };
    Ok((open, queues))
}

pub fn spec(config: &config::Port) -> PortSpec {
    let device = config.device().to_owned();
    match config.driver {
        Driver::AfXdp => PortSpec::AfXdp {
            interface: device,
            // Busy polling would cost a system call for each look at an empty queue.
            busy_budget: Some(0),
            force_copy: false,
        },
        Driver::AfPacket => PortSpec::AfPacket { interface: device },
        Driver::Pci => PortSpec::Pci { address: device },
        Driver::Devargs => PortSpec::Devargs { devargs: device },
    }
}

/// As in the configuration.
pub fn side_name(side: Side) -> &'static str {
    match side {
        Side::Ward => "ward",
        Side::Core => "core",
    }
}

impl OpenPort {
    /// Which side it faces.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Link state: the kernel's for a kernel interface, the driver's otherwise.
    pub fn link(&self) -> LinkState {
        match self.port.is_link_up() {
            Ok(true) => LinkState::Up,
            // An interface that is gone has no carrier either.
            Ok(false) | Err(_) => LinkState::Down,
        }
    }

    /// Everything at a glance.
    pub fn status(&self) -> PortStatus {
        let stats = self.port.stats();
        PortStatus {
            side: self.side,
            driver: self.config.driver.name().to_owned(),
            device: self.config.device().to_owned(),
            mtu: self.config.mtu.into(),
            queues: self.queues,
            link: self.link(),
            stats: view::PortStats {
                rx_frames: stats.rx_frames,
                rx_bytes: stats.rx_bytes,
                tx_frames: stats.tx_frames,
                tx_bytes: stats.tx_bytes,
                rx_missed: stats.rx_missed,
                rx_errors: stats.rx_errors,
                rx_no_buffer: stats.rx_no_buffer,
                tx_errors: stats.tx_errors,
            },
        }
    }
}
