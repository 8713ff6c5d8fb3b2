//! TCP goodput: what applications get through, from the ward to the core.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use wardline_policy::Side;

use super::plan::{ALLOWED_PORT, host};
use super::space::Namespace;

/// How long a connection may take to be made, and stand still.
const PATIENCE: Duration = Duration::from_secs(5);
/// Written at once.
const PORTION: usize = 128 << 10;

/// Payload that arrives in `time` over so many connections, in Gbit/s.
///
/// # Errors
/// A connection cannot be made, or stands still.
pub fn goodput(spaces: [&Namespace; 2], connections: usize, time: Duration) -> Result<f64> {
    let [ward, core] = spaces;
    let address = SocketAddrV4::new(host(Side::Core).ip, ALLOWED_PORT);
    let listener = core.within(|| TcpListener::bind(address).context("listening"))?;
    thread::scope(|scope| {
        let mut pairs = Vec::new();
        for _ in 0..connections {
            let sender = ward.within(|| {
                TcpStream::connect_timeout(&address.into(), PATIENCE).context("connecting")
            })?;
            let (receiver, _) = listener.accept().context("accepting")?;
            sender.set_write_timeout(Some(PATIENCE))?;
            receiver.set_read_timeout(Some(PATIENCE))?;
            pairs.push((sender, receiver));
        }
        let begun = Instant::now();
        let mut receivers = Vec::new();
        let mut senders = Vec::new();
        for (sender, receiver) in pairs {
            receivers.push(scope.spawn(move || drain(receiver)));
            senders.push(scope.spawn(move || pour(sender, begun + time)));
        }
        for sender in senders {
            sender.join().map_err(|_| anyhow!("a sender panicked"))??;
        }
        let mut bytes = 0;
        for receiver in receivers {
            bytes += receiver
                .join()
                .map_err(|_| anyhow!("a receiver panicked"))??;
        }
        Ok(bytes as f64 * 8.0 / begun.elapsed().as_secs_f64() / 1e9)
    })
}

fn pour(mut stream: TcpStream, until: Instant) -> Result<()> {
    let portion = vec![0x5a; PORTION];
    while Instant::now() < until {
        stream.write_all(&portion).context("sending over TCP")?;
    }
    Ok(())
}

/// Reads to the end and counts.
fn drain(mut stream: TcpStream) -> Result<u64> {
    let mut buffer = vec![0; PORTION];
    let mut bytes = 0;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes += count as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("receiving over TCP"),
        }
    }
}
