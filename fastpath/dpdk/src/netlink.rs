//! What the kernel says about interfaces over netlink.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, LinkXdp, XdpAttached};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use crate::error::Error;

/// A kernel interface as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number, unique within the network namespace.
    pub index: u32,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether there is a signal at the other end.
    pub carrier: bool,
    /// Whether it takes frames for anybody.
    pub promiscuous: bool,
    /// Largest payload of a frame in bytes.
    pub mtu: u32,
    /// The number of the bridge or bond it belongs to.
    pub controller: Option<u32>,
    /// The number of the XDP program on it.
    pub xdp_program: Option<u32>,
    /// Whether that runs in the kernel's generic way, for drivers without XDP of their own.
    pub xdp_generic: bool,
}

impl Link {
    /// Asks for the interface of this name in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When there is none or the kernel does not answer.
    pub fn of(interface: &str) -> Result<Self, Error> {
        links()
            .map_err(|cause| system(interface, "asking for its state", cause))?
            .remove(interface)
            .ok_or_else(|| Error::NoInterface {
                interface: interface.into(),
            })
    }

    fn from_message(message: &LinkMessage) -> Option<(String, Self)> {
        let flags = message.header.flags;
        let mut name = None;
        let mut link = Self {
            index: message.header.index,
            up: flags.contains(LinkFlags::Up),
            carrier: flags.contains(LinkFlags::LowerUp),
            promiscuous: flags.contains(LinkFlags::Promisc),
            mtu: 0,
            controller: None,
            xdp_program: None,
            xdp_generic: false,
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(text) => name = Some(text.clone()),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::Controller(index) => link.controller = Some(*index),
                LinkAttribute::Xdp(facts) => {
                    link.xdp_generic =
                        facts.contains(&LinkXdp::Attached(XdpAttached::SocketBuffer));
                    link.xdp_program = facts.iter().find_map(|fact| match fact {
                        LinkXdp::ProgId(id) if *id != 0 => Some(*id),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        Some((name?, link))
    }
}

/// A change of a watched interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// Its name.
    pub interface: String,
    /// As it is now; none when it is gone.
    pub link: Option<Link>,
}

/// Reports changes of interfaces, their link state above all: DPDK's drivers for kernel interfaces
/// always say "up".
pub struct LinkWatch {
    socket: Socket,
    known: BTreeMap<String, Option<Link>>,
}

impl std::fmt::Debug for LinkWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkWatch")
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

impl LinkWatch {
    /// Watches `interfaces` in the network namespace of the calling thread. The first
    /// [`changes`](Self::changes) reports the present state of each.
    ///
    /// # Errors
    /// When the kernel refuses the subscription.
    pub fn new<'a>(interfaces: impl IntoIterator<Item = &'a str>) -> io::Result<Self> {
        const RTMGRP_LINK: u32 = 1;
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, RTMGRP_LINK))?;
        socket.set_non_blocking(true)?;
        Ok(Self {
            socket,
            known: interfaces
                .into_iter()
                .map(|name| (name.to_owned(), None))
                .collect(),
        })
    }

    /// What changed since the last call. Never waits; the descriptor becomes readable when there may
    /// be something.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn changes(&mut self) -> io::Result<Vec<LinkChange>> {
        self.drain()?;
        let mut now = links()?;
        let mut changes = Vec::new();
        for (name, known) in &mut self.known {
            let link = now.remove(name);
            if *known != link {
                known.clone_from(&link);
                changes.push(LinkChange {
                    interface: name.clone(),
                    link,
                });
            }
        }
        Ok(changes)
    }

    /// Events only say that it is time to look: what they hold may be stale, or lost to an overrun.
    fn drain(&self) -> io::Result<()> {
        loop {
            match self.socket.recv_from_full() {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is the socket's, which lives as long as the borrow of self.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }
}

/// The addresses of an interface.
pub(crate) fn addresses(interface: &str, index: u32) -> Result<Vec<IpAddr>, Error> {
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let answers =
        dump(request).map_err(|cause| system(interface, "asking for addresses", cause))?;
    let of_interface = answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewAddress(message) if message.header.index == index => Some(message),
        _ => None,
    });
    Ok(of_interface
        .flat_map(|message| message.attributes)
        .filter_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(address),
            _ => None,
        })
        .collect())
}

fn links() -> io::Result<BTreeMap<String, Link>> {
    let mut request = LinkMessage::default();
    request.header.interface_family = AddressFamily::Unspec;
    let answers = dump(RouteNetlinkMessage::GetLink(request))?;
    Ok(answers
        .iter()
        .filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(message) => Link::from_message(message),
            _ => None,
        })
        .collect())
}

/// Sends a dump request and collects every answer.
fn dump(request: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    header.sequence_number = 1;
    let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(request));
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);

    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let mut answers = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            let len = (message.header.length as usize).next_multiple_of(4);
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(answers),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                _ => {}
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }
}

pub(crate) fn system(interface: &str, doing: &'static str, cause: io::Error) -> Error {
    Error::System {
        interface: interface.into(),
        doing,
        cause,
    }
}
