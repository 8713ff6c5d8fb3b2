//! Network namespaces with a box in the middle, and raw frames at both ends.
#![allow(dead_code, reason = "each test program uses its part")]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Whether the tests of this program can run. Says so where the test harness does not swallow it.
pub fn can_run(test: &str) -> bool {
    // SAFETY: asks for a number.
    let root = unsafe { libc::geteuid() } == 0;
    let tools = Command::new("ip").arg("-V").output().is_ok();
    if root && tools {
        return true;
    }
    skipped(test, if root { "iproute2" } else { "root" });
    false
}

/// Says that a test, or a part of one, could not run.
pub fn skipped(test: &str, needs: &str) {
    let _ = writeln!(io::stderr(), "SKIPPED {test}: needs {needs}");
}

/// Two hosts and the box between them, each a network namespace; gone when dropped.
///
/// ```text
/// a: eth0 === left :x: right === eth0 :b
/// ```
pub struct Lab {
    prefix: String,
    mtu: u16,
    queues: u16,
    /// The box's interfaces: `prefix` + `l` and `r`.
    pub left: String,
    pub right: String,
}

impl Lab {
    /// Namespaces named `prefix` + `a`, `x`, `b`; what an earlier run left under these names goes.
    pub fn new(prefix: &str, mtu: u16) -> Self {
        Self::with_queues(prefix, mtu, 1)
    }

    /// As [`new`](Self::new), with so many queues on each interface.
    pub fn with_queues(prefix: &str, mtu: u16, queues: u16) -> Self {
        let lab = Self {
            prefix: prefix.into(),
            mtu,
            queues,
            left: format!("{prefix}l"),
            right: format!("{prefix}r"),
        };
        lab.remove();
        for part in ["a", "x", "b"] {
            run(&format!("ip netns add {}", lab.name(part)));
        }
        lab.connect("a", &lab.left);
        lab.connect("b", &lab.right);
        lab
    }

    /// The full name of the namespace `a`, `x` (the box) or `b`.
    pub fn name(&self, part: &str) -> String {
        format!("{}{part}", self.prefix)
    }

    /// Runs a command in a namespace; it must succeed.
    pub fn run(&self, part: &str, command: &str) -> String {
        run(&format!("ip netns exec {} {command}", self.name(part)))
    }

    /// Runs `work` with the calling thread in a namespace.
    pub fn within<T>(&self, part: &str, work: impl FnOnce() -> T) -> T {
        let home = File::open("/proc/thread-self/ns/net").unwrap();
        enter(&File::open(format!("/run/netns/{}", self.name(part))).unwrap());
        let result = work();
        enter(&home);
        result
    }

    /// Puts both ports into a kernel bridge, and gives the hosts addresses.
    pub fn bridge(&self) {
        self.run("x", "ip link add wldbr type bridge");
        self.run("x", "sysctl -qw net.ipv6.conf.wldbr.disable_ipv6=1");
        self.run("x", "ip link set wldbr up");
        for port in [&self.left, &self.right] {
            self.run("x", &format!("ip link set {port} master wldbr"));
        }
        self.run("a", "ip addr add 10.77.0.1/24 dev eth0");
        self.run("b", "ip addr add 10.77.0.2/24 dev eth0");
    }

    /// Sends `count` pings from a to b, 10 ms apart, and returns how many were answered.
    pub fn ping(&self, count: u32) -> u32 {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.name("a")])
            .args(["ping", "-q", "-i", "0.01", "-W", "1", "-c"])
            .args([&count.to_string(), "10.77.0.2"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let received = text
            .split(" received")
            .next()
            .and_then(|head| head.rsplit(' ').next());
        received
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("ping: {text}"))
    }

    fn connect(&self, host: &str, port: &str) {
        let (inside, outside, mtu) = (self.name("x"), self.name(host), self.mtu);
        let queues = format!("mtu {mtu} numrxqueues {0} numtxqueues {0}", self.queues);
        run(&format!(
            "ip link add {port} netns {inside} {queues} type veth \
             peer name eth0 netns {outside} {queues}"
        ));
        for (part, interface) in [("x", port), (host, "eth0")] {
            self.run(
                part,
                &format!("sysctl -qw net.ipv6.conf.{interface}.disable_ipv6=1"),
            );
            self.run(part, &format!("ip link set {interface} up"));
        }
        self.run(
            host,
            "ethtool -K eth0 tx off txvlan off tx-vlan-stag-hw-insert off gro off",
        );
    }

    fn remove(&self) {
        for part in ["a", "x", "b"] {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.name(part)])
                .output();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The example program `wire` as a process of its own, killed when dropped.
pub struct Wire {
    process: Child,
    /// Held so that it can write to the end.
    output: BufReader<ChildStdout>,
}

impl Wire {
    /// Starts it in the box, forwarding between both interfaces through AF_XDP, and returns when it
    /// does.
    pub fn start(lab: &Lab) -> Self {
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        let path = path.with_file_name("examples").join("wire");
        let mut command = Command::new(&path);
        command
            .args([
                format!("af_xdp:{}", lab.left),
                format!("af_xdp:{}", lab.right),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let spawned = lab.within("x", || command.spawn());
        let mut process = spawned.unwrap_or_else(|error| {
            panic!(
                "{}: {error}; `cargo build --example wire` makes it",
                path.display()
            )
        });
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut wire = Self { process, output };
        let mut said = String::new();
        while wire.output.read_line(&mut said).unwrap() > 0 {
            if said.contains("forwarding") {
                return wire;
            }
        }
        panic!("wire ended: {said}");
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Halts it as a hang would.
    pub fn halt(&self) {
        run(&format!("kill -STOP {}", self.process.id()));
    }

    /// Lets it end by itself.
    pub fn stop(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends and receives whole frames on an interface, as they are on the wire.
pub struct RawSocket(OwnedFd);

impl RawSocket {
    /// On `eth0` of a host of the lab.
    pub fn of(lab: &Lab, host: &str) -> Self {
        lab.within(host, || Self::on("eth0"))
    }

    fn on(interface: &str) -> Self {
        let all = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: plain socket calls with structs that live through them; each result is checked.
        unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(all));
            assert!(fd >= 0, "AF_PACKET socket: {}", io::Error::last_os_error());
            let socket = Self(OwnedFd::from_raw_fd(fd));
            let name = std::ffi::CString::new(interface).unwrap();
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = all;
            address.sll_ifindex = libc::if_nametoindex(name.as_ptr()) as i32;
            let bound = libc::bind(
                fd,
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            );
            assert_eq!(bound, 0, "bind: {}", io::Error::last_os_error());
            socket.option(libc::SOL_PACKET, libc::PACKET_AUXDATA, 1);
            socket.option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 64 << 20);
            socket
        }
    }

    pub fn send(&self, frame: &[u8]) {
        // SAFETY: the bytes live through the call.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        let error = io::Error::last_os_error();
        assert_eq!(
            usize::try_from(sent),
            Ok(frame.len()),
            "{} bytes: {error}",
            frame.len()
        );
    }

    /// The next frame that came in, with the VLAN tag the kernel took off put back.
    pub fn receive(&self, patience: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + patience;
        loop {
            match self.try_receive() {
                Some((frame, true)) => return Some(frame),
                // One that this host sent.
                Some((_, false)) => {}
                None if Instant::now() > deadline => return None,
                None => std::thread::sleep(Duration::from_micros(200)),
            }
        }
    }

    fn try_receive(&self) -> Option<(Vec<u8>, bool)> {
        let mut frame = vec![0u8; 1 << 16];
        // SAFETY: every pointer in the message leads to memory of the stated size that lives through
        // the call; the control data is read only where the kernel said it wrote some.
        unsafe {
            let mut control = [0u64; 32];
            let mut from: libc::sockaddr_ll = std::mem::zeroed();
            let mut vector = libc::iovec {
                iov_base: frame.as_mut_ptr().cast(),
                iov_len: frame.len(),
            };
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_name = (&raw mut from).cast();
            message.msg_namelen = size_of::<libc::sockaddr_ll>() as u32;
            message.msg_iov = &raw mut vector;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = size_of_val(&control);
            let len = libc::recvmsg(self.0.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT);
            frame.truncate(usize::try_from(len).ok()?);
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            if !header.is_null() && (*header).cmsg_type == libc::PACKET_AUXDATA {
                let facts: libc::tpacket_auxdata = libc::CMSG_DATA(header)
                    .cast::<libc::tpacket_auxdata>()
                    .read_unaligned();
                if facts.tp_status & libc::TP_STATUS_VLAN_VALID != 0 {
                    let tag = [
                        facts.tp_vlan_tpid.to_be_bytes(),
                        facts.tp_vlan_tci.to_be_bytes(),
                    ];
                    frame.splice(12..12, tag.concat());
                }
            }
            Some((frame, from.sll_pkttype != libc::PACKET_OUTGOING))
        }
    }

    fn option(&self, level: i32, option: i32, value: i32) {
        // SAFETY: the value lives through the call and its size is given.
        let code = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                level,
                option,
                (&raw const value).cast(),
                size_of::<i32>() as u32,
            )
        };
        assert_eq!(code, 0, "setsockopt: {}", io::Error::last_os_error());
    }
}

/// Frames of every kind that must pass as they are, numbered in their last bytes.
pub fn frames(mtu: u16) -> Vec<Vec<u8>> {
    let mtu = usize::from(mtu);
    let mut frames = Vec::new();
    for payload in (46..=mtu).step_by(97).chain([mtu - 1, mtu]) {
        frames.push(frame(&[], payload));
        frames.push(frame(&[[0x81, 0x00, 0x60, 0x2a]], payload));
        // The sending socket allows for one tag, so the second takes from the payload.
        frames.push(frame(
            &[[0x81, 0x00, 0x00, 0x07], [0x81, 0x00, 0x00, 0x2a]],
            payload - 4,
        ));
    }
    for (number, frame) in frames.iter_mut().enumerate() {
        let end = frame.len() - 4;
        frame[end..].copy_from_slice(&(number as u32).to_be_bytes());
    }
    frames
}

/// Frames a kernel may treat in its own way, each with what it is.
pub fn odd_frames() -> Vec<(&'static str, Vec<u8>)> {
    let link_local = |last: u8, rest: &[u8]| {
        let mut frame = vec![0x01, 0x80, 0xc2, 0x00, 0x00, last, 0x02, 0, 0, 0, 0, 1];
        frame.extend(rest);
        frame.resize(60, 0);
        frame
    };
    let mut trailed = fragment(0, 100);
    trailed.extend([0xee; 9]);
    vec![
        ("a runt", frame(&[], 1)),
        (
            "spanning tree in LLC",
            link_local(0x00, &[0, 38, 0x42, 0x42, 3]),
        ),
        ("PAUSE", link_local(0x01, &[0x88, 0x08, 0, 1, 0, 9])),
        ("LACP", link_local(0x02, &[0x88, 0x09, 1, 1])),
        ("EAPOL", link_local(0x03, &[0x88, 0x8e, 1, 1, 0, 0])),
        ("LLDP", link_local(0x0e, &[0x88, 0xcc, 2, 7, 4])),
        ("a priority tag", frame(&[[0x81, 0x00, 0xa0, 0x00]], 50)),
        ("a packet with a trailer", trailed),
    ]
}

/// Frames that AF_PACKET does not carry as they are: the driver asks the kernel to reassemble IPv4
/// fragments, and writes every VLAN tag with the type 0x8100.
pub fn frames_beyond_af_packet() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a first fragment", fragment(0x2000, 1000)),
        ("a last fragment", fragment(1000 / 8, 500)),
        (
            "a provider tag",
            frame(&[[0x88, 0xa8, 0, 7], [0x81, 0x00, 0, 0x2a]], 60),
        ),
    ]
}

/// A small UDP packet of the flow with this number.
pub fn flow(number: u8) -> Vec<u8> {
    let mut frame = fragment(0, 40);
    frame[34..38].copy_from_slice(&[0x10, number, 0x20, number]);
    frame
}

/// An IPv4 packet with this flags-and-offset word.
fn fragment(flags_and_offset: u16, payload: u16) -> Vec<u8> {
    let mut frame = vec![
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00,
    ];
    let mut header = vec![0x45, 0];
    header.extend((20 + payload).to_be_bytes());
    header.extend([0x12, 0x34]);
    header.extend(flags_and_offset.to_be_bytes());
    header.extend([64, 17, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2]);
    let sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(header);
    frame.extend((0..payload).map(|n| n as u8));
    frame
}

/// A frame with these VLAN tags and an experimental EtherType.
pub fn frame(tags: &[[u8; 4]], payload: usize) -> Vec<u8> {
    let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 1];
    frame.extend(tags.concat());
    frame.extend([0x88, 0xb5]);
    frame.extend((0..payload).map(|n| (n * 31 + payload) as u8));
    frame
}

/// Runs a command that must succeed and returns what it printed.
pub fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn enter(namespace: &File) {
    // SAFETY: the descriptor is a network namespace; only the calling thread moves.
    let code = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(code, 0, "setns: {}", io::Error::last_os_error());
}
