//! A system with its own wire: namespaces, cables, both ends, and whatever forwards in between.

use std::fmt::Debug;
use std::path::Path;

use anyhow::{Context, Result};

use super::bridge::Bridge;
use super::ends::{Ends, INTERFACE};
use super::plan::{SIDES, host, mac_text, name, openflow, opposite};
use super::space::Namespace;
use super::vswitch::OpenVswitch;
use super::wardline::{Port, Settings, Wardline};
use crate::Options;

/// The systems, in the order of their turns. The first is no system: what veth itself costs.
pub const SYSTEMS: &[&str] = &[
    DIRECT,
    "linux bridge",
    "linux bridge + nftables",
    INLINE,
    "open vswitch",
    "wardline af_xdp",
    "wardline af_xdp adaptive",
    "wardline af_packet",
];
/// One veth pair between the two hosts.
pub const DIRECT: &str = "direct";
/// As `linux bridge + nftables`, but in the context of whoever sends: no core of its own, no
/// hand-over between cores. No NIC gives a bridge that; it is the floor of what can be reached.
pub const INLINE: &str = "linux bridge + nftables (sender's core)";

/// Ways to take a system away and bring it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// Ended in order and started again.
    Planned,
    /// Killed and started again.
    Killed,
    /// The bridge goes down and up again: its ports stop forwarding, the cables stay.
    Bridge,
}

impl Reset {
    /// As in the name of a metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned restart",
            Self::Killed => "killed and restarted",
            Self::Bridge => "bridge down and up",
        }
    }
}

/// What forwards between the two ends.
pub trait System: Debug {
    /// Leaves the CPU to others.
    ///
    /// # Errors
    /// Its processes cannot be stopped.
    fn pause(&mut self) -> Result<()> {
        Ok(())
    }

    /// Runs on.
    ///
    /// # Errors
    /// Its processes are gone.
    fn resume(&mut self) -> Result<()> {
        Ok(())
    }

    /// Frames it let pass as part of a known conversation. None: it has no allowlist.
    ///
    /// # Errors
    /// It does not say.
    fn established(&mut self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Ways it can be reset; the first ones matter most.
    fn resets(&self) -> &'static [Reset] {
        &[]
    }

    /// Takes it away and brings it back.
    ///
    /// # Errors
    /// It does not come back.
    fn reset(&mut self, _how: Reset, _space: &Namespace) -> Result<()> {
        Ok(())
    }
}

/// Nothing in between.
#[derive(Debug)]
struct Direct;

impl System for Direct {}

/// A system with its wire. Dropping it ends the system and removes the wire.
#[derive(Debug)]
pub struct Lane {
    /// Its name.
    pub name: &'static str,
    /// Where frames are offered and counted.
    pub ends: Ends,
    /// What forwards.
    pub system: Box<dyn System>,
    /// Where it lives.
    pub middle: Namespace,
    /// Where the hosts live, ward first.
    pub hosts: [Namespace; 2],
}

impl Lane {
    /// Lays the cables and starts the system, which is left paused. `number` tells lanes
    /// apart; `cpu` is the core for the system.
    ///
    /// # Errors
    /// What cannot be made: the system is absent.
    pub fn set_up(
        name: &'static str,
        number: usize,
        cpu: usize,
        options: &Options,
    ) -> Result<Self> {
        let space = |role: &str| Namespace::add(&format!("{number}-{role}"));
        let hosts = [space("ward")?, space("core")?];
        let middle = space("box")?;
        let folder = options.scratch.join(format!("wire-{number}"));
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        if name == DIRECT {
            connect(&hosts[0], INTERFACE, &hosts[1], INTERFACE)?;
        } else {
            for side in SIDES {
                connect(&hosts[side as usize], INTERFACE, &middle, port(side))?;
            }
        }
        for side in SIDES {
            address(&hosts[side as usize], side)?;
        }
        let mut system = start(name, &middle, cpu, &options.programs, &folder)?;
        let ends = Ends::open([&hosts[0], &hosts[1]])?;
        system.pause()?;
        Ok(Self {
            name,
            ends,
            system,
            middle,
            hosts,
        })
    }

    /// Both hosts' namespaces, ward first.
    pub fn spaces(&self) -> [&Namespace; 2] {
        [&self.hosts[0], &self.hosts[1]]
    }
}

fn start(
    name: &'static str,
    middle: &Namespace,
    cpu: usize,
    programs: &Path,
    folder: &Path,
) -> Result<Box<dyn System>> {
    let program = programs.join("wardline-fastpath");
    let wardline = |port, poll| {
        let settings = Settings { port, poll, cpu };
        Wardline::start(middle, &program, folder, settings)
    };
    Ok(match name {
        "linux bridge" => Box::new(Bridge::plain(middle, cpu)?),
        "linux bridge + nftables" => Box::new(Bridge::filtering(middle, cpu)?),
        INLINE => Box::new(Bridge::filtering_inline(middle)?),
        "open vswitch" => Box::new(OpenVswitch::start(middle, folder, cpu, &openflow())?),
        "wardline af_xdp" => Box::new(wardline(Port::AfXdp, "busy")?),
        "wardline af_xdp adaptive" => Box::new(wardline(Port::AfXdp, "adaptive")?),
        "wardline af_packet" => Box::new(wardline(Port::AfPacket, "busy")?),
        _ => Box::new(Direct),
    })
}

/// The system's interface on a side.
pub fn port(side: wardline_policy::Side) -> &'static str {
    match side {
        wardline_policy::Side::Ward => "ward0",
        wardline_policy::Side::Core => "core0",
    }
}

/// A cable whose ends do nothing to frames: no offload, no tag taken off.
fn connect(a: &Namespace, a_end: &str, b: &Namespace, b_end: &str) -> Result<()> {
    a.shell(&format!(
        "ip link add {a_end} mtu 1500 type veth peer name {b_end} mtu 1500 netns {}",
        b.name()
    ))?;
    for (space, end) in [(a, a_end), (b, b_end)] {
        space.shell(&format!(
            "ethtool -K {end} tx off gso off tso off gro off rxvlan off txvlan off \
             tx-vlan-stag-hw-insert off\n\
             ip link set {end} addrgenmode none up"
        ))?;
    }
    Ok(())
}

/// Addresses of a host, and its neighbour's, so that nobody has to ask.
fn address(space: &Namespace, side: wardline_policy::Side) -> Result<()> {
    let (own, peer) = (host(side), host(opposite(side)));
    space
        .shell(&format!(
            "ip link set {INTERFACE} address {}\n\
             ip address add {}/24 dev {INTERFACE}\n\
             ip neighbour add {} lladdr {} nud permanent dev {INTERFACE}",
            mac_text(own.mac),
            own.ip,
            peer.ip,
            mac_text(peer.mac)
        ))
        .map(drop)
        .with_context(|| format!("the host on the {} side", name(side)))
}
