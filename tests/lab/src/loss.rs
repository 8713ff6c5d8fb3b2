//! A stream of numbered datagrams over an allowed conversation, to see whether one gets lost.
//!
//! The sender plays the device, the echo its peer; a datagram counts as received when it has come
//! back, so it crossed the gateway in both directions.

use std::collections::HashSet;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::ops::AddAssign;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::netns::Namespace;

/// Datagrams each second.
const PER_SECOND: u64 = 200;
/// How long the last echoes are waited for.
const LINGER: Duration = Duration::from_secs(1);
/// The size of a voice packet, in bytes.
const PAYLOAD: usize = 166;

/// What became of the datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Sent by the device.
    pub sent: u64,
    /// Come back to the device.
    pub received: u64,
    /// Not come back.
    pub lost: u64,
}

impl AddAssign for Loss {
    fn add_assign(&mut self, more: Self) {
        self.sent += more.sent;
        self.received += more.received;
        self.lost += more.lost;
    }
}

/// Between whom the stream goes, and from which UDP port of each.
#[derive(Debug, Clone)]
pub struct Ends {
    /// Where the device is.
    pub device: Namespace,
    /// Where its peer is.
    pub peer: Namespace,
    /// The peer's address.
    pub peer_ip: Ipv4Addr,
    /// Port of both ends.
    pub port: u16,
}

/// A stream under way.
#[derive(Debug)]
pub struct Stream {
    sender: Child,
    // Ends with us: its program stops when its standard input closes.
    echo: Child,
}

impl Stream {
    /// Starts echo and sender, each as this very program in its namespace.
    ///
    /// # Errors
    /// When either cannot be started.
    pub fn begin(ends: &Ends, duration: Duration) -> Result<Self> {
        let program = std::env::current_exe().context("where this program lies")?;
        let port = ends.port.to_string();
        let mut echo = ends.peer.command(&program);
        echo.args(["probe", "echo", "--port", &port]);
        let mut echo = start(&mut echo)?;
        wait_for_word(&mut echo).context("the echo of the loss stream")?;
        let mut sender = ends.device.command(&program);
        sender.args([
            "probe",
            "send",
            "--port",
            &port,
            "--to",
            &ends.peer_ip.to_string(),
        ]);
        sender.args(["--milliseconds", &duration.as_millis().to_string()]);
        Ok(Self {
            sender: start(&mut sender)?,
            echo,
        })
    }

    /// Waits for the end of the stream.
    ///
    /// # Errors
    /// When one of the programs failed.
    pub fn end(mut self) -> Result<Loss> {
        drop(self.sender.stdin.take());
        let mut said = String::new();
        if let Some(stdout) = &mut self.sender.stdout {
            std::io::Read::read_to_string(stdout, &mut said).context("reading the sender")?;
        }
        let status = self.sender.wait().context("waiting for the sender")?;
        ensure!(
            status.success(),
            "the sender of the loss stream ended with {status}"
        );
        serde_json::from_str(&said).with_context(|| format!("the sender said `{said}`"))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        for child in [&mut self.sender, &mut self.echo] {
            // Either may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(command: &mut Command) -> Result<Child> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the loss stream")
}

fn wait_for_word(child: &mut Child) -> Result<()> {
    let stdout = child.stdout.as_mut().context("no output")?;
    let mut byte = [0; 1];
    std::io::Read::read_exact(stdout, &mut byte).context("it ended at once")
}

/// The peer: sends every datagram back to where it came from, until standard input closes.
///
/// # Errors
/// When the port cannot be bound.
pub fn echo(port: u16) -> Result<()> {
    let socket = bind(port)?;
    println!("ready");
    std::io::stdout()
        .flush()
        .context("telling that we are ready")?;
    // The parent holds the other end of our standard input; when it is gone, so are we.
    thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let mut buffer = [0; 2_048];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                socket
                    .send_to(&buffer[..length], from)
                    .context("answering")?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("waiting for datagrams"),
        }
    }
}

/// The device: sends numbered datagrams at an even pace and counts those that come back.
///
/// # Errors
/// When the port cannot be bound or the datagrams cannot be sent.
pub fn send(to: Ipv4Addr, port: u16, duration: Duration) -> Result<Loss> {
    let socket = bind(port)?;
    socket
        .connect(SocketAddrV4::new(to, port))
        .context("choosing the peer")?;
    let back = socket.try_clone().context("sharing the socket")?;
    let begin = Instant::now();
    let counter = thread::spawn(move || count(&back, begin + duration + LINGER));
    let total = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) * PER_SECOND / 1_000;
    let mut payload = [0; PAYLOAD];
    for number in 0..total {
        let due = begin + Duration::from_micros(number * 1_000_000 / PER_SECOND);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        payload[..8].copy_from_slice(&number.to_be_bytes());
        socket.send(&payload).context("sending a datagram")?;
    }
    let received = counter.join().ok().context("the counter panicked")??;
    Ok(Loss {
        sent: total,
        received,
        lost: total - received,
    })
}

/// Counts different numbers until the deadline.
fn count(socket: &UdpSocket, deadline: Instant) -> Result<u64> {
    let mut numbers = HashSet::new();
    let mut buffer = [0; 2_048];
    while Instant::now() < deadline {
        match socket.recv(&mut buffer) {
            Ok(length) if length == PAYLOAD => {
                numbers.insert(buffer[..8].to_vec());
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // An ICMP error for one datagram: it is lost, which the count will show.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error).context("waiting for echoes"),
        }
    }
    Ok(numbers.len() as u64)
}

fn bind(port: u16) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))
        .with_context(|| format!("UDP port {port} is taken"))?;
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .context("setting a time limit")?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_datagram_that_comes_back_is_counted_once() {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let device = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        device
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        device.connect(peer.local_addr().unwrap()).unwrap();
        for number in [0_u64, 1, 1, 5] {
            let mut payload = [0; PAYLOAD];
            payload[..8].copy_from_slice(&number.to_be_bytes());
            peer.send_to(&payload, device.local_addr().unwrap())
                .unwrap();
        }
        let deadline = Instant::now() + Duration::from_millis(200);
        assert_eq!(count(&device, deadline).unwrap(), 3);
    }
}
