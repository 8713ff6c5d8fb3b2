//! The settings of a kernel interface that a transparent port needs.

use std::fs;
use std::io;
use std::net::IpAddr;

use crate::error::Error;
use crate::ethtool::{Ethtool, Offload};
use crate::netlink::{Link, addresses, system};
use crate::xdp;

/// How the port will use the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Through AF_XDP with so many queues.
    AfXdp { queues: usize },
    /// Through AF_PACKET.
    AfPacket,
}

/// Makes sure that frames reach the port whole, as they were on the wire, and by no other way: sets
/// what can be set and refuses what cannot, saying what to do.
pub(crate) fn prepare(interface: &str, mtu: u16, how: Use) -> Result<(), Error> {
    check_name(interface)?;
    let link = Link::of(interface)?;
    check_mtu(interface, &link, mtu)?;
    check_addresses(interface, &link)?;
    match how {
        Use::AfXdp { queues } => {
            check_channels(interface, queues)?;
            xdp::check_program(interface)?;
        }
        Use::AfPacket => check_no_bridge(interface, &link)?,
    }
    switch_offloads_off(interface)?;
    silence(interface);
    ethtool(interface)?
        .bring_up()
        .map_err(|cause| system(interface, "switching it on", cause))
}

/// DPDK separates device arguments by commas and equals signs.
fn check_name(interface: &str) -> Result<(), Error> {
    if interface.contains([',', '=', '/']) || interface.contains(char::is_whitespace) {
        return Err(refuse(
            interface,
            "this is no name DPDK could use; rename the interface",
        ));
    }
    Ok(())
}

fn check_mtu(interface: &str, link: &Link, mtu: u16) -> Result<(), Error> {
    if link.mtu == u32::from(mtu) {
        return Ok(());
    }
    Err(refuse(
        interface,
        &format!(
            "the interface has MTU {}, the port is configured for {mtu}: make them equal \
             (`ip link set dev {interface} mtu {mtu}`), or frames would be lost in silence",
            link.mtu
        ),
    ))
}

/// An address means that somebody reaches this machine through the interface, and that it answers.
fn check_addresses(interface: &str, link: &Link) -> Result<(), Error> {
    let own = addresses(interface, link.index)?;
    match own.into_iter().find(|address| !is_automatic(address)) {
        Some(address) => Err(refuse(
            interface,
            &format!(
                "it has the address {address}, so it looks like the way to this machine; a \
                 transparent port has none (`ip addr flush dev {interface}`)"
            ),
        )),
        None => Ok(()),
    }
}

/// Link-local IPv6 addresses come by themselves and go with [`silence`].
fn is_automatic(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn check_channels(interface: &str, queues: usize) -> Result<(), Error> {
    let channels = ethtool(interface)?
        .receive_channels()
        .map_err(|cause| system(interface, "asking for its channels", cause))?;
    if usize::try_from(channels) == Ok(queues) {
        return Ok(());
    }
    Err(refuse(
        interface,
        &format!(
            "it receives on {channels} channels and {queues} workers are configured: frames of the \
             others would take a way around the engine; make them equal \
             (`ethtool -L {interface} combined {queues}`)"
        ),
    ))
}

fn check_no_bridge(interface: &str, link: &Link) -> Result<(), Error> {
    match link.controller {
        None => Ok(()),
        Some(_) => Err(refuse(
            interface,
            &format!(
                "it belongs to a bridge or bond, which would forward every frame a second time; \
                 take it out (`ip link set dev {interface} nomaster`) or use af_xdp"
            ),
        )),
    }
}

fn switch_offloads_off(interface: &str) -> Result<(), Error> {
    let ethtool = ethtool(interface)?;
    for offload in Offload::ALL {
        let ask = || {
            ethtool
                .is_on(offload)
                .map_err(|cause| system(interface, "asking for its offloads", cause))
        };
        if !ask()? {
            continue;
        }
        let outcome = ethtool.switch_off(offload);
        if let Err(cause) = outcome
            && cause.kind() == io::ErrorKind::PermissionDenied
        {
            return Err(system(interface, "switching offloads off", cause));
        }
        if ask()? {
            let name = offload.name();
            return Err(refuse(
                interface,
                &format!(
                    "its driver does not switch {name} off: frames would not pass as they came; \
                     try `ethtool -K {interface} {name} off` or use another NIC"
                ),
            ));
        }
        tracing::debug!(interface, offload = offload.name(), "switched off");
    }
    Ok(())
}

/// A transparent box says nothing of its own. Not fatal: the interface has no other address.
fn silence(interface: &str) {
    let path = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
    if let Err(error) = fs::write(&path, "1") {
        tracing::warn!(interface, %error, "IPv6 cannot be switched off on the interface");
    }
}

fn ethtool(interface: &str) -> Result<Ethtool, Error> {
    Ethtool::new(interface).map_err(|cause| system(interface, "asking for its settings", cause))
}

fn refuse(interface: &str, what: &str) -> Error {
    Error::Interface {
        interface: interface.into(),
        what: what.into(),
    }
}
