//! What DPDK's AF_XDP driver leaves on an interface: libxdp's default program and its map of
//! sockets, one for each receive queue.
//!
//! Where the map has no socket the program passes the frame on to the kernel, and so to the bridge
//! the interface is in. Emptying the map therefore hands the traffic to the kernel at once, without
//! the link flap that taking the program off costs on many NICs. A later start finds program and map
//! by themselves and uses them again.

use std::ffi::{CStr, CString, c_void};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::time::Duration;

use crate::error::Error;
use crate::netlink::{Link, system};

/// The name of libxdp's default program, by which a later start recognises it.
const DEFAULT_PROGRAM: &str = "xsk_def_prog";

/// The map of sockets of an interface, held open so that emptying it takes only as many system calls
/// as it has places. It stays the same over restarts of the process that owns the sockets.
#[derive(Debug)]
pub struct SocketMap {
    interface: String,
    map: OwnedFd,
    places: u32,
}

impl SocketMap {
    /// Finds the map of the default program on an interface; none when the program is not there.
    ///
    /// # Errors
    /// When there is no such interface, or the process may not read BPF objects.
    pub fn of(interface: &str) -> Result<Option<Self>, Error> {
        let Some(programs) = Programs::on(interface)? else {
            return Ok(None);
        };
        let Some(program) = programs.find(DEFAULT_PROGRAM) else {
            return Ok(None);
        };
        let map = socket_map(program).map_err(|cause| system(interface, READING, cause))?;
        Ok(map.map(|(map, places)| Self {
            interface: interface.into(),
            map,
            places,
        }))
    }

    /// Takes every socket out: from the next frame on the kernel has the traffic.
    ///
    /// # Errors
    /// When the process may not change BPF maps.
    pub fn empty(&self) -> Result<(), Error> {
        for queue in 0..self.places {
            // SAFETY: the descriptor is a map with keys of four bytes, which `queue` is.
            let code = unsafe {
                dpdk_sys::bpf_map_delete_elem(
                    self.map.as_raw_fd(),
                    (&raw const queue).cast::<c_void>(),
                )
            };
            let error = io::Error::from_raw_os_error(-code);
            if code != 0 && error.kind() != io::ErrorKind::NotFound {
                return Err(system(
                    &self.interface,
                    "handing the traffic to the kernel",
                    error,
                ));
            }
        }
        Ok(())
    }
}

/// Hands the traffic of an interface to the kernel; the program stays. Returns whether there was a
/// program.
///
/// # Errors
/// As [`SocketMap::of`] and [`SocketMap::empty`].
pub fn empty_socket_map(interface: &str) -> Result<bool, Error> {
    match SocketMap::of(interface)? {
        Some(map) => map.empty().map(|()| true),
        None => Ok(false),
    }
}

/// The names of the XDP programs on an interface.
///
/// # Errors
/// When there is no such interface, or the process may not read BPF objects.
pub fn attached(interface: &str) -> Result<Vec<String>, Error> {
    Ok(Programs::on(interface)?.map_or_else(Vec::new, |programs| programs.names()))
}

/// Gives an interface back: takes the default program off. Returns whether there was one. On many
/// NICs the link goes down for a moment.
///
/// # Errors
/// When there is no such interface or the process may not change its programs.
pub fn detach(interface: &str) -> Result<bool, Error> {
    match Programs::on(interface)? {
        Some(programs) => programs.detach(DEFAULT_PROGRAM, interface),
        None => Ok(false),
    }
}

/// DPDK puts its program on an interface only when no other is there.
pub(crate) fn check_program(interface: &str) -> Result<(), Error> {
    let others: Vec<String> = attached(interface)?
        .into_iter()
        .filter(|name| name != DEFAULT_PROGRAM)
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(Error::Interface {
        interface: interface.into(),
        what: format!(
            "another XDP program is on it ({}); take it off (`ip link set dev {interface} xdp off`)",
            others.join(", ")
        ),
    })
}

/// Why DPDK could not have a socket on a queue, which it does not say. To be called after a failure
/// only: the kernel gives the queue back a moment after the socket of this trial is closed.
pub(crate) fn why_refused(interface: &str, queue: u32) -> Option<Error> {
    // The socket of the attempt that failed goes as late.
    std::thread::sleep(Duration::from_millis(100));
    let error = try_bind(interface, queue).err()?;
    let what = match error.raw_os_error() {
        Some(libc::EBUSY) => format!(
            "another program uses queue {queue} through AF_XDP; stop it first \
             (`bpftool net show dev {interface}` shows its program)"
        ),
        _ => format!("the kernel refuses an AF_XDP socket on queue {queue}: {error}"),
    };
    Some(Error::Interface {
        interface: interface.into(),
        what,
    })
}

/// Binds a socket to a queue, without a program, and closes it.
fn try_bind(interface: &str, queue: u32) -> io::Result<()> {
    const FRAMES: usize = 2;
    #[repr(C, align(4096))]
    struct Frames([u8; FRAMES * 4096]);

    let name = CString::new(interface)?;
    let mut frames = Box::new(Frames([0; FRAMES * 4096]));
    let mut fill = dpdk_sys::xsk_ring_prod::default();
    let mut completion = dpdk_sys::xsk_ring_cons::default();
    let mut receive = dpdk_sys::xsk_ring_cons::default();
    let config = dpdk_sys::xsk_socket_config {
        rx_size: 64,
        tx_size: 0,
        __bindgen_anon_1: dpdk_sys::xsk_socket_config__bindgen_ty_1 {
            libbpf_flags: dpdk_sys::XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD,
        },
        xdp_flags: 0,
        bind_flags: 0,
    };
    // SAFETY: memory, rings and configuration outlive the socket and the memory region, which are
    // deleted before the end; nothing is ever put into the rings, so the kernel writes no frame.
    let code = unsafe {
        let mut region = std::ptr::null_mut();
        let code = dpdk_sys::xsk_umem__create(
            &raw mut region,
            frames.0.as_mut_ptr().cast(),
            frames.0.len() as u64,
            &raw mut fill,
            &raw mut completion,
            std::ptr::null(),
        );
        if code != 0 {
            return Err(io::Error::from_raw_os_error(code.saturating_neg()));
        }
        let mut socket = std::ptr::null_mut();
        let code = dpdk_sys::xsk_socket__create(
            &raw mut socket,
            name.as_ptr(),
            queue,
            region,
            &raw mut receive,
            std::ptr::null_mut(),
            &raw const config,
        );
        if code == 0 {
            dpdk_sys::xsk_socket__delete(socket);
        }
        dpdk_sys::xsk_umem__delete(region);
        code
    };
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
    }
}

const READING: &str = "reading the XDP program on it";

/// The XDP programs of an interface, as libxdp loaded their description.
struct Programs(NonNull<dpdk_sys::xdp_multiprog>);

impl Programs {
    fn on(interface: &str) -> Result<Option<Self>, Error> {
        let link = Link::of(interface)?;
        if link.xdp_program.is_none() {
            return Ok(None);
        }
        // SAFETY: any interface number may be given.
        let raw = unsafe { dpdk_sys::xdp_multiprog__get_from_ifindex(link.index.cast_signed()) };
        // SAFETY: decodes a pointer as libxdp encodes errors, without following it.
        let code = unsafe { dpdk_sys::libxdp_get_error(raw.cast()) };
        match NonNull::new(raw) {
            Some(raw) if code == 0 => Ok(Some(Self(raw))),
            _ => {
                let code = i32::try_from(-code).unwrap_or(libc::EIO);
                match io::Error::from_raw_os_error(code) {
                    // It went between the two questions.
                    error if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    error => Err(system(interface, READING, error)),
                }
            }
        }
    }

    fn as_ptr(&self) -> *mut dpdk_sys::xdp_multiprog {
        self.0.as_ptr()
    }

    fn is_legacy(&self) -> bool {
        // SAFETY: the pointer is valid until drop.
        unsafe { dpdk_sys::xdp_multiprog__is_legacy(self.as_ptr()) }
    }

    /// Every program: the only one, or those behind libxdp's dispatcher.
    fn each(&self) -> Vec<NonNull<dpdk_sys::xdp_program>> {
        if self.is_legacy() {
            // SAFETY: the pointer is valid until drop, and so is what it returns.
            let only = unsafe { dpdk_sys::xdp_multiprog__main_prog(self.as_ptr()) };
            return NonNull::new(only).into_iter().collect();
        }
        let next = |after: *const dpdk_sys::xdp_program| {
            // SAFETY: the pointer is valid until drop; `after` is null or one it returned.
            NonNull::new(unsafe { dpdk_sys::xdp_multiprog__next_prog(after, self.as_ptr()) })
        };
        std::iter::successors(next(std::ptr::null()), |last| next(last.as_ptr())).collect()
    }

    fn names(&self) -> Vec<String> {
        self.each().into_iter().map(name).collect()
    }

    fn find(&self, wanted: &str) -> Option<NonNull<dpdk_sys::xdp_program>> {
        self.each()
            .into_iter()
            .find(|&program| name(program) == wanted)
    }

    fn detach(&self, wanted: &str, interface: &str) -> Result<bool, Error> {
        let Some(program) = self.find(wanted) else {
            return Ok(false);
        };
        let code = if self.is_legacy() {
            // SAFETY: the pointer is valid until drop.
            unsafe { dpdk_sys::xdp_multiprog__detach(self.as_ptr()) }
        } else {
            let index = Link::of(interface)?.index;
            // SAFETY: the program belongs to this description and both are valid until drop.
            unsafe {
                let mode = dpdk_sys::xdp_multiprog__attach_mode(self.as_ptr());
                dpdk_sys::xdp_program__detach(program.as_ptr(), index.cast_signed(), mode, 0)
            }
        };
        match code {
            0 => Ok(true),
            code => {
                let error = io::Error::from_raw_os_error(code.saturating_neg());
                Err(system(interface, "taking the XDP program off", error))
            }
        }
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        // SAFETY: the pointer came from libxdp and is used no more.
        unsafe { dpdk_sys::xdp_multiprog__close(self.as_ptr()) }
    }
}

/// The callers hold the `Programs` that `program` is of.
fn name(program: NonNull<dpdk_sys::xdp_program>) -> String {
    // SAFETY: the program is valid, and its name is a string or null.
    unsafe {
        let name = dpdk_sys::xdp_program__name(program.as_ptr());
        if name.is_null() {
            return String::new();
        }
        CStr::from_ptr(name).to_string_lossy().into_owned()
    }
}

/// The map of sockets a program uses, and how many places it has.
fn socket_map(program: NonNull<dpdk_sys::xdp_program>) -> io::Result<Option<(OwnedFd, u32)>> {
    // SAFETY: the program is valid; libxdp keeps the descriptor.
    let program = unsafe { dpdk_sys::xdp_program__fd(program.as_ptr()) };
    let mut maps = [0u32; 16];
    let mut info = dpdk_sys::bpf_prog_info {
        nr_map_ids: maps.len() as u32,
        map_ids: maps.as_mut_ptr().expose_provenance() as u64,
        ..Default::default()
    };
    describe(program, &mut info)?;
    for &id in maps.iter().take(info.nr_map_ids as usize) {
        // SAFETY: any number may be asked for.
        let map = unsafe { dpdk_sys::bpf_map_get_fd_by_id(id) };
        if map < 0 {
            return Err(io::Error::from_raw_os_error(map.saturating_neg()));
        }
        // SAFETY: a new descriptor that nothing else owns.
        let map = unsafe { OwnedFd::from_raw_fd(map) };
        let mut info = dpdk_sys::bpf_map_info::default();
        describe(map.as_raw_fd(), &mut info)?;
        if info.type_ == dpdk_sys::BPF_MAP_TYPE_XSKMAP {
            return Ok(Some((map, info.max_entries)));
        }
    }
    Ok(None)
}

/// Lets the kernel fill in the description of a program or map.
fn describe<T>(object: i32, info: &mut T) -> io::Result<()> {
    let mut len = size_of::<T>() as u32;
    // SAFETY: the kernel writes `len` bytes at most, which is the size of the struct; pointers in it
    // are null or lead to arrays whose lengths it also holds.
    let code =
        unsafe { dpdk_sys::bpf_obj_get_info_by_fd(object, (&raw mut *info).cast(), &raw mut len) };
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
    }
}
