//! Driver settings of a kernel interface, through the ethtool and flag ioctls.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Settings that merge, split or change frames before a program sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offload {
    GenericReceive,
    LargeReceive,
    VlanStripping,
    VlanInsertion,
    TcpSegmentation,
    GenericSegmentation,
}

impl Offload {
    pub(crate) const ALL: [Self; 6] = [
        Self::GenericReceive,
        Self::LargeReceive,
        Self::VlanStripping,
        Self::VlanInsertion,
        Self::TcpSegmentation,
        Self::GenericSegmentation,
    ];

    /// The name `ethtool -K` knows it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GenericReceive => "gro",
            Self::LargeReceive => "lro",
            Self::VlanStripping => "rxvlan",
            Self::VlanInsertion => "txvlan",
            Self::TcpSegmentation => "tso",
            Self::GenericSegmentation => "gso",
        }
    }

    /// Commands to get and set it, and its bit in what they carry.
    fn access(self) -> Access {
        let (get, set, bit) = match self {
            Self::GenericReceive => (0x2b, 0x2c, 1),
            Self::LargeReceive => (GET_FLAGS, SET_FLAGS, 1 << 15),
            Self::VlanStripping => (GET_FLAGS, SET_FLAGS, 1 << 8),
            Self::VlanInsertion => (GET_FLAGS, SET_FLAGS, 1 << 7),
            Self::TcpSegmentation => (0x1e, 0x1f, 1),
            Self::GenericSegmentation => (0x23, 0x24, 1),
        };
        Access { get, set, bit }
    }
}

struct Access {
    get: u32,
    set: u32,
    bit: u32,
}

const GET_FLAGS: u32 = 0x25;
const SET_FLAGS: u32 = 0x26;
const GET_CHANNELS: u32 = 0x3c;

/// An interface to ask and to set.
pub(crate) struct Ethtool {
    socket: OwnedFd,
    name: [libc::c_char; libc::IFNAMSIZ],
}

/// `struct ethtool_value` of linux/ethtool.h.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// `struct ethtool_channels` of linux/ethtool.h.
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    max_rx: u32,
    max_tx: u32,
    max_other: u32,
    max_combined: u32,
    rx: u32,
    tx: u32,
    other: u32,
    combined: u32,
}

impl Ethtool {
    /// # Errors
    /// When the name is too long or no socket can be had.
    pub(crate) fn new(interface: &str) -> io::Result<Self> {
        if interface.is_empty() || interface.len() >= libc::IFNAMSIZ {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut name = [0; libc::IFNAMSIZ];
        for (to, from) in name.iter_mut().zip(interface.bytes()) {
            *to = from.cast_signed();
        }
        // SAFETY: no memory is involved; the result is checked.
        let socket =
            unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nothing else owns.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        Ok(Self { socket, name })
    }

    /// Whether an offload is on. A driver that does not know it has it off.
    pub(crate) fn is_on(&self, offload: Offload) -> io::Result<bool> {
        let access = offload.access();
        Ok(self.value(access.get)? & access.bit != 0)
    }

    /// Switches an offload off.
    pub(crate) fn switch_off(&self, offload: Offload) -> io::Result<()> {
        let access = offload.access();
        let mut value = Value {
            command: access.set,
            data: self.value(access.get)? & !access.bit,
        };
        self.call(&raw mut value)
    }

    /// Receive queues in use: channels that receive, alone or combined with sending.
    pub(crate) fn receive_channels(&self) -> io::Result<u32> {
        let mut channels = Channels {
            command: GET_CHANNELS,
            ..Channels::default()
        };
        match self.call(&raw mut channels) {
            Ok(()) => Ok(channels.rx + channels.combined),
            // A driver without the notion has one queue.
            Err(error) if unknown(&error) => Ok(1),
            Err(error) => Err(error),
        }
    }

    /// Switches the interface on.
    pub(crate) fn bring_up(&self) -> io::Result<()> {
        let mut request = self.request();
        self.ioctl(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: the kernel has just filled in the flags.
        unsafe { request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short };
        self.ioctl(libc::SIOCSIFFLAGS, &mut request)
    }

    fn value(&self, command: u32) -> io::Result<u32> {
        let mut value = Value { command, data: 0 };
        match self.call(&raw mut value) {
            Ok(()) => Ok(value.data),
            Err(error) if unknown(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn call<T>(&self, argument: *mut T) -> io::Result<()> {
        let mut request = self.request();
        request.ifr_ifru.ifru_data = argument.cast();
        self.ioctl(libc::SIOCETHTOOL, &mut request)
    }

    fn request(&self) -> libc::ifreq {
        // SAFETY: the struct is plain data of which all-zero is valid.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name = self.name;
        request
    }

    fn ioctl(&self, command: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
        // SAFETY: the request names an interface; where it points to data, that is one of the
        // structs above, whose first field tells the kernel its kind and so its size.
        let code = unsafe { libc::ioctl(self.socket.as_raw_fd(), command as _, &raw mut *request) };
        match code {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn unknown(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP))
}
