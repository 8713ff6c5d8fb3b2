//! Raw frames on an interface of a network namespace.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::libc::PACKET_OUTGOING;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, bind,
    recvfrom, send, setsockopt, socket, sockopt,
};

use crate::wire::space::Namespace;

/// Room in a listener's socket, in bytes: a whole batch of frames waits there.
const RECEIVE_ROOM: usize = 32 << 20;

/// Sends frames on an interface.
#[derive(Debug)]
pub struct Sender(OwnedFd);

impl Sender {
    /// Opens a socket on `interface` of the namespace.
    ///
    /// # Errors
    /// When there is no such interface, or no right to it; so for [`Listener::open`].
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        // No protocol: such a socket never gets a frame, and costs receivers nothing.
        open(namespace, interface, SockFlag::empty(), None).map(Self)
    }

    /// Sends one frame. One that finds no room on the way is lost, as on any wire.
    ///
    /// # Errors
    /// When the interface is down or gone.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        match send(self.0.as_raw_fd(), frame, MsgFlags::empty()) {
            Ok(_) | Err(Errno::ENOBUFS) => Ok(()),
            Err(error) => Err(error).context("sending a frame"),
        }
    }
}

/// Receives the frames that arrive on an interface.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Opens a socket on `interface` of the namespace.
    ///
    /// # Errors
    /// See [`Sender::open`].
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        let socket = open(
            namespace,
            interface,
            SockFlag::SOCK_NONBLOCK,
            Some(SockProtocol::EthAll),
        )?;
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_ROOM)
            .context("making room in a packet socket")?;
        Ok(Self(socket))
    }

    /// The beginning of the next frame that has arrived, and how much of `buffer` it fills. `None`
    /// when none is waiting.
    ///
    /// # Errors
    /// When the interface is down or gone.
    pub fn poll(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        loop {
            match recvfrom::<LinkAddr>(self.0.as_raw_fd(), buffer) {
                Ok((_, Some(from))) if from.pkttype() == PACKET_OUTGOING => {}
                Ok((length, _)) => return Ok(Some(length)),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("receiving a frame"),
            }
        }
    }
}

fn open(
    namespace: &Namespace,
    interface: &str,
    flags: SockFlag,
    protocol: Option<SockProtocol>,
) -> Result<OwnedFd> {
    namespace
        .within(|| {
            let address = link_address(interface)?;
            let flags = flags | SockFlag::SOCK_CLOEXEC;
            let socket = socket(AddressFamily::Packet, SockType::Raw, flags, protocol)
                .context("opening a packet socket")?;
            bind(socket.as_raw_fd(), &address)
                .with_context(|| format!("binding a packet socket to {interface}"))?;
            Ok(socket)
        })
        .with_context(|| format!("{interface} in {}", namespace.name()))
}

/// The address of an interface of this thread's namespace, as packet sockets want it.
fn link_address(interface: &str) -> Result<LinkAddr> {
    let known = getifaddrs().context("asking for the interfaces")?;
    known
        .filter(|known| known.interface_name == interface)
        .filter_map(|known| known.address)
        .filter(|address| address.family() == Some(AddressFamily::Packet))
        .find_map(|address| address.as_link_addr().copied())
        .context("there is no such interface")
}
