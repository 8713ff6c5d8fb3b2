//! What a configuration may name as a port, in DPDK's words.

use crate::mempool::{frame_max, page_size};

/// Which device a port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortSpec {
    /// A kernel interface through AF_XDP. Without a process the kernel has the frames.
    AfXdp {
        /// Its name.
        interface: String,
        /// Frames handled in one busy poll of the kernel, which costs a system call for each look at
        /// an empty queue; none = DPDK's default, 64. 0 = no busy poll: with zero copy a look at an
        /// empty queue may then wait for a frame up to a second, so force copying with it.
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

impl PortSpec {
    /// The kernel interface behind it, if there is one.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::AfXdp { interface, .. } | Self::AfPacket { interface } => Some(interface),
            Self::Pci { .. } | Self::Devargs { .. } => None,
        }
    }

    /// DPDK's arguments for the device that holds `count` queues from `first` on.
    pub(crate) fn devargs(&self, mtu: u16, first: u16, count: usize) -> String {
        match self {
            Self::AfXdp {
                interface,
                busy_budget,
                force_copy,
            } => {
                let mut text = format!(
                    "net_af_xdp_{interface}_{first},iface={interface},\
                     start_queue={first},queue_count={count}"
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
                let (frame, block) = af_packet_sizes(mtu);
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

/// Frames in each direction of an AF_PACKET queue.
const AF_PACKET_FRAMES: u32 = 1024;

const SLOTS_PER_BLOCK: u32 = 32;

/// Bytes of a slot and of a block in an AF_PACKET ring: slots fill a block without a gap, and a
/// block is whole pages, which a multiple of 1/32 page gives without waste.
fn af_packet_sizes(mtu: u16) -> (u32, u32) {
    let slot = af_packet_slot(frame_max(mtu));
    (slot, slot * SLOTS_PER_BLOCK)
}

/// Bytes of a slot in an AF_PACKET ring: a frame and what the kernel puts in front of it. The
/// driver refuses packet buffers that hold less, whatever the MTU.
pub(crate) fn af_packet_slot(frame_max: u32) -> u32 {
    const KERNEL_HEADER: u32 = 128;
    (frame_max + KERNEL_HEADER).next_multiple_of(page_size() / SLOTS_PER_BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn af_packet_slots_hold_the_frame_and_fill_their_block() {
        for mtu in [68, 1500, 3498, 9000] {
            let (slot, block) = af_packet_sizes(mtu);
            assert!(
                slot >= frame_max(mtu) + 80,
                "the kernel's header takes up to 80 bytes"
            );
            assert_eq!(block % page_size(), 0);
            assert_eq!(block % slot, 0);
            assert_eq!(slot % 16, 0, "the kernel's alignment");
        }
    }
}
