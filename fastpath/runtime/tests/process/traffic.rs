//! Conversations between device and hospital, by ordinary sockets.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::lab::{HOSPITAL_IP, Namespace};

/// How often the threads here look whether they are to end.
const LOOK: Duration = Duration::from_millis(20);

fn hospital(port: u16) -> SocketAddr {
    SocketAddr::new(HOSPITAL_IP.parse().expect("an address"), port)
}

/// A thread that works until it is dropped or asked for its result.
#[derive(Debug)]
struct Task<T> {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> Task<T> {
    fn spawn(namespace: &Namespace, work: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        Self {
            stop,
            thread: Some(namespace.spawn(move || work(&stopped))),
        }
    }

    fn finish(mut self) -> T {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it ends once");
        thread.join().expect("no panic")
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A TCP server in the hospital that sends back what it gets, one client at a time.
#[derive(Debug)]
pub struct TcpEcho(#[expect(dead_code, reason = "it serves as long as it is held")] Task<()>);

impl TcpEcho {
    pub fn serve(namespace: &Namespace, port: u16) -> Self {
        let listener = namespace.within(move || TcpListener::bind(hospital(port)).expect("bound"));
        listener.set_nonblocking(true).expect("a socket");
        Self(Task::spawn(namespace, move |stop| {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => echo(stream, stop),
                    Err(_) => std::thread::sleep(LOOK),
                }
            }
        }))
    }
}

fn echo(mut stream: TcpStream, stop: &AtomicBool) {
    stream.set_nonblocking(false).expect("a socket");
    stream.set_read_timeout(Some(LOOK)).expect("a socket");
    stream.set_nodelay(true).expect("a socket");
    let mut buffer = vec![0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) if stream.write_all(&buffer[..length]).is_err() => return,
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// A TCP conversation of the device with [`TcpEcho`].
#[derive(Debug)]
pub struct Conversation(TcpStream);

impl Conversation {
    /// Connects, or not within `patience`.
    pub fn begin(namespace: &Namespace, port: u16, patience: Duration) -> Option<Self> {
        let stream =
            namespace.within(move || TcpStream::connect_timeout(&hospital(port), patience).ok())?;
        stream.set_nodelay(true).expect("a socket");
        Some(Self(stream))
    }

    /// Says something and hears it back within `patience`.
    pub fn speaks(&mut self, patience: Duration) -> bool {
        self.0.set_read_timeout(Some(patience)).expect("a socket");
        let mut answer = [0; 5];
        self.0.write_all(b"hello").is_ok()
            && self.0.read_exact(&mut answer).is_ok()
            && answer == *b"hello"
    }

    /// Sends `bytes` and hears them all back, in pieces that are on their way one at a time.
    pub fn transfer(&mut self, bytes: usize, patience: Duration) {
        self.0.set_read_timeout(Some(patience)).expect("a socket");
        let piece: Vec<u8> = (0..32_768u32).map(|i| (i % 251) as u8).collect();
        let mut answer = vec![0; piece.len()];
        for _ in 0..bytes.div_ceil(piece.len()) {
            self.0.write_all(&piece).expect("the connection lives");
            self.0.read_exact(&mut answer).expect("the answer comes");
            assert!(answer == piece, "the answer changed on its way");
        }
    }
}

/// Numbered datagrams from the device to the hospital, which notes those that arrive.
#[derive(Debug)]
pub struct Datagrams {
    sender: Task<u64>,
    receiver: Task<BTreeSet<u64>>,
}

/// What became of [`Datagrams`].
#[derive(Debug)]
pub struct Tally {
    pub sent: u64,
    pub arrived: BTreeSet<u64>,
}

impl Datagrams {
    pub fn start(device: &Namespace, other: &Namespace, port: u16, pause: Duration) -> Self {
        let socket = other.within(move || UdpSocket::bind(hospital(port)).expect("bound"));
        socket.set_read_timeout(Some(LOOK)).expect("a socket");
        let receiver = Task::spawn(other, move |stop| note(&socket, stop));
        let sender = Task::spawn(device, move |stop| {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("bound");
            let mut number: u64 = 0;
            while !stop.load(Ordering::Relaxed) {
                // A datagram the kernel does not take is not on its way, so it has no number.
                if socket
                    .send_to(&number.to_be_bytes(), hospital(port))
                    .is_ok()
                {
                    number += 1;
                }
                std::thread::sleep(pause);
            }
            number
        });
        Self { sender, receiver }
    }

    /// Ends after what is on its way had time to arrive.
    pub fn finish(self) -> Tally {
        let sent = self.sender.finish();
        std::thread::sleep(Duration::from_millis(500));
        Tally {
            sent,
            arrived: self.receiver.finish(),
        }
    }
}

fn note(socket: &UdpSocket, stop: &AtomicBool) -> BTreeSet<u64> {
    let mut arrived = BTreeSet::new();
    let mut buffer = [0; 8];
    while !stop.load(Ordering::Relaxed) {
        if let Ok(8) = socket.recv(&mut buffer) {
            arrived.insert(u64::from_be_bytes(buffer));
        }
    }
    arrived
}

impl Tally {
    pub fn lost(&self) -> u64 {
        self.sent - self.arrived.len() as u64
    }
}

/// Whether the device reaches the hospital, by `count` pings.
pub fn pings(device: &Namespace, count: u32) -> bool {
    device
        .command("ping")
        .args(["-q", "-i", "0.05", "-W", "1", "-c", &count.to_string()])
        .arg(HOSPITAL_IP)
        .output()
        .expect("ping starts")
        .status
        .success()
}
