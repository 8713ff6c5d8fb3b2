//! The two ends of the wire: where frames are offered, and where arrivals are counted.
//!
//! Everything of the harness happens on one thread of one CPU core; the sockets live in the
//! namespaces. Arrivals are read from the counters of the receiving interface, so that receiving
//! takes no time from offering.

use std::fs::File;
use std::io::{IoSlice, Read, Seek};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, SockaddrLike, bind,
    sendmmsg, setsockopt, socket, sockopt,
};
use wardline_policy::Side;

use super::frame;
use super::plan::{ALLOWED_PORT, DENIED_PORT, SIDES, host, opposite};
use super::search::Trial;
use super::space::Namespace;
use crate::interrupt;

/// The interface of an end.
pub const INTERFACE: &str = "eth0";
/// Frames offered in one system call.
const BATCH: usize = 32;
/// Room for frames under way. A full send buffer would slow the generator instead of losing frames.
const BUFFER: usize = 256 << 20;
/// The rest of a trial counts as lost when nothing has arrived for so long.
const SILENCE: Duration = Duration::from_millis(20);
/// Pause between frames that begin conversations.
const GENTLY: Duration = Duration::from_micros(50);
/// Source port of the round trips.
pub const ECHO_PORT: u16 = 30_000;

/// Both ends.
#[derive(Debug)]
pub struct Ends {
    ports: [End; 2],
}

/// One end: a socket for frames, the interface's counters, and the host's UDP sockets.
#[derive(Debug)]
struct End {
    frames: OwnedFd,
    counters: File,
    allowed: UdpSocket,
    denied: UdpSocket,
}

impl Ends {
    /// Opens everything in the two namespaces, ward first.
    ///
    /// # Errors
    /// What cannot be opened.
    pub fn open(spaces: [&Namespace; 2]) -> Result<Self> {
        let [ward, core] = SIDES.map(|side| {
            let space = spaces[side as usize];
            space
                .within(|| End::open(side))
                .with_context(|| format!("the end in {}", space.name()))
        });
        Ok(Self {
            ports: [ward?, core?],
        })
    }

    /// The host's UDP socket on a side; not blocking, connected to the other one.
    pub fn socket(&self, side: Side) -> &UdpSocket {
        &self.ports[side as usize].allowed
    }

    /// The UDP socket of a conversation that nobody allowed.
    pub fn denied_socket(&self, side: Side) -> &UdpSocket {
        &self.ports[side as usize].denied
    }

    /// Frames that have arrived at both ends since the interfaces came up.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub fn arrived(&mut self) -> Result<u64> {
        let [ward, core] = &mut self.ports;
        Ok(ward.arrived()? + core.arrived()?)
    }

    /// Sends one frame after the other from a side, slowly enough for tables to be filled.
    ///
    /// # Errors
    /// A frame is not taken.
    pub fn send_gently(&self, side: Side, frames: &[Vec<u8>]) -> Result<()> {
        for frame in frames {
            self.send(side, std::slice::from_ref(frame))?;
            let end = Instant::now() + GENTLY;
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        }
        Ok(())
    }

    /// Makes the load's conversations known to whatever keeps state in between.
    ///
    /// # Errors
    /// A frame is not taken.
    pub fn open_flows(&self) -> Result<()> {
        for side in SIDES {
            self.send_gently(side, &frame::openers(side)?)?;
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Offers frames; all of them count as offered, also those for which the system in between has
    /// no room.
    pub fn send(&self, side: Side, frames: &[Vec<u8>]) -> Result<()> {
        let mut headers = MultiHeaders::<LinkAddr>::preallocate(BATCH, None);
        for batch in frames.chunks(BATCH) {
            self.ports[side as usize].send(&mut headers, batch)?;
        }
        Ok(())
    }

    /// Waits until all `offered` frames since the count was `before` have arrived, or no more come.
    /// Returns how many have.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub fn settle(&mut self, before: u64, offered: u64) -> Result<u64> {
        let mut arrived = self.arrived()? - before;
        let mut last = Instant::now();
        while arrived < offered && last.elapsed() < SILENCE {
            thread::sleep(Duration::from_micros(500));
            let now = self.arrived()? - before;
            if now != arrived {
                (arrived, last) = (now, Instant::now());
            }
        }
        Ok(arrived)
    }
}

impl End {
    fn open(side: Side) -> Result<Self> {
        let udp = |port: [u16; 2]| -> Result<UdpSocket> {
            let address = |side: Side| SocketAddrV4::new(host(side).ip, port[side as usize]);
            let socket = UdpSocket::bind(address(side))?;
            socket.connect(address(opposite(side)))?;
            socket.set_nonblocking(true)?;
            setsockopt(&socket, sockopt::RcvBufForce, &BUFFER)?;
            Ok(socket)
        };
        Ok(Self {
            frames: packet_socket().context("an AF_PACKET socket")?,
            counters: File::open("/proc/thread-self/net/dev").context("the counters")?,
            allowed: udp([ECHO_PORT, ALLOWED_PORT]).context("a UDP socket")?,
            denied: udp([ECHO_PORT + 1, DENIED_PORT]).context("a UDP socket")?,
        })
    }

    /// As [`Ends::send`], with at most [`BATCH`] frames.
    fn send(&self, headers: &mut MultiHeaders<LinkAddr>, frames: &[Vec<u8>]) -> Result<()> {
        let slices: Vec<_> = frames.iter().map(|frame| [IoSlice::new(frame)]).collect();
        let mut left = &slices[..];
        while !left.is_empty() {
            let sent = sendmmsg(
                self.frames.as_raw_fd(),
                headers,
                left,
                [None::<LinkAddr>; BATCH],
                [],
                MsgFlags::empty(),
            )
            .map(Iterator::count);
            left = match sent {
                Ok(sent) => &left[sent..],
                // The first frame was dropped on its way: offered and lost.
                Err(Errno::ENOBUFS) => &left[1..],
                Err(Errno::EINTR) => left,
                Err(error) => bail!("cannot offer frames: {error}"),
            };
        }
        Ok(())
    }

    fn arrived(&mut self) -> Result<u64> {
        let mut text = String::new();
        self.counters.rewind()?;
        self.counters.read_to_string(&mut text)?;
        received(&text).with_context(|| format!("no {INTERFACE} in /proc/net/dev"))
    }
}

/// Frames received by [`INTERFACE`], from the text of `/proc/net/dev`.
fn received(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.trim_start().strip_prefix(INTERFACE)?.strip_prefix(':'))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A socket that sends frames out of [`INTERFACE`] and receives none.
fn packet_socket() -> Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let address = getifaddrs()?
        .filter(|interface| interface.interface_name == INTERFACE)
        .filter_map(|interface| interface.address)
        .find(|address| address.family() == Some(AddressFamily::Packet))
        .with_context(|| format!("no interface {INTERFACE}"))?;
    let address = address.as_link_addr().context("no link address")?;
    bind(socket.as_raw_fd(), address)?;
    setsockopt(&socket, sockopt::SndBufForce, &BUFFER)?;
    Ok(socket)
}

/// Load at a steady rate, in both directions by turns, offered in small portions by calling
/// [`Load::step`] all the time.
#[derive(Debug)]
pub struct Load {
    frames: [Vec<Vec<u8>>; 2],
    next: [usize; 2],
    turn: Side,
    rate: f64,
    begun: Instant,
    due: u64,
    offered: u64,
    headers: Headers,
}

/// `MultiHeaders` cannot be shown.
struct Headers(MultiHeaders<LinkAddr>);

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Headers")
    }
}

impl Load {
    /// `rate` in frames a second, both directions together; infinity is as much as goes.
    ///
    /// # Errors
    /// The mix has a size no frame can have.
    pub fn new(mix: frame::Mix, rate: f64) -> Result<Self> {
        Ok(Self {
            frames: [frame::load(Side::Ward, mix)?, frame::load(Side::Core, mix)?],
            next: [0; 2],
            turn: Side::Ward,
            rate,
            begun: Instant::now(),
            due: 0,
            offered: 0,
            headers: Headers(MultiHeaders::preallocate(BATCH, None)),
        })
    }

    /// Begins to count time.
    pub fn begin(&mut self) {
        (self.begun, self.due, self.offered) = (Instant::now(), 0, 0);
    }

    /// Offers what is due. What the generator missed while it was kept from running is not made
    /// up: a burst at full speed would be another load than the one asked for.
    ///
    /// # Errors
    /// A frame is not taken.
    pub fn step(&mut self, ends: &Ends) -> Result<()> {
        let due = (self.begun.elapsed().as_secs_f64() * self.rate) as u64;
        let behind = if self.rate.is_finite() {
            usize::try_from(due - self.due)?.min(BATCH)
        } else {
            BATCH
        };
        if behind == 0 {
            return Ok(());
        }
        let side = self.turn as usize;
        let first = self.next[side];
        let last = (first + behind).min(self.frames[side].len());
        self.due = due.saturating_sub((first + behind - last) as u64);
        let Headers(headers) = &mut self.headers;
        ends.ports[side].send(headers, &self.frames[side][first..last])?;
        self.next[side] = last % self.frames[side].len();
        self.turn = opposite(self.turn);
        self.offered += (last - first) as u64;
        Ok(())
    }

    /// Frames offered since the beginning.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// Offers for a time and returns the frames a second that were really offered.
    ///
    /// # Errors
    /// A frame is not taken.
    pub fn run(&mut self, ends: &Ends, time: Duration) -> Result<f64> {
        self.begin();
        while self.begun.elapsed() < time {
            self.step(ends)?;
        }
        Ok(self.offered as f64 / self.begun.elapsed().as_secs_f64())
    }
}

/// One trial: load for a time, then a look at what arrived.
///
/// # Errors
/// A frame is not taken, the counters cannot be read, or the run was interrupted.
pub fn trial(ends: &mut Ends, load: &mut Load, time: Duration) -> Result<Trial> {
    interrupt::check()?;
    ends.open_flows()?;
    let before = ends.arrived()?;
    let rate = load.run(ends, time)?;
    let offered = load.offered();
    let arrived = ends.settle(before, offered)?;
    Ok(Trial {
        rate,
        loss: loss(offered, arrived),
    })
}

/// The part of the offered frames that did not arrive. A stray frame of a neighbour makes no loss
/// negative.
pub fn loss(offered: u64, arrived: u64) -> f64 {
    offered.saturating_sub(arrived) as f64 / offered.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_the_second_number_of_the_interface() {
        let text = "Inter-|   Receive\n face |bytes    packets errs\n    lo:  0 0 0\n  \
                    eth0: 9000 15 0 0\neth01: 1 2 3\n";
        assert_eq!(received(text), Some(15));
        assert_eq!(received("    lo: 0 0 0\n"), None);
    }
}
