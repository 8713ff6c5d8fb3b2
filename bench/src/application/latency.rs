//! Time to the first and to the last byte of an object at a given rate (RFC 9411, sections 6.3 and
//! 7.4): from the start of a new connection, as a browser's user waits.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::timing::percentile;
use crate::interrupt;
use crate::wire::space::Namespace;

/// Clients at once: as many transactions can be under way.
const CLIENTS: u32 = 16;
/// A transaction that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// A load of transactions, each on a connection of its own.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The server.
    pub server: SocketAddr,
    /// Size of the object it is asked for, in bytes; also its name.
    pub size: u64,
    /// Transactions a second.
    pub rate: f64,
    /// How long they are begun.
    pub time: Duration,
}

/// How long the transactions took.
#[derive(Debug, Clone, Default)]
pub struct Times {
    /// Until the first byte of each answer.
    first: Vec<Duration>,
    /// Until the last byte.
    last: Vec<Duration>,
    /// Transactions that came to nothing.
    failed: u64,
    /// Transactions begun a second. Less than was asked for: the clients could not keep up.
    pub rate: f64,
}

impl Times {
    /// Time to the first byte that `percent` of the transactions did not exceed.
    ///
    /// # Errors
    /// When none succeeded; so for [`Times::last`].
    pub fn first(&mut self, percent: f64) -> Result<Duration> {
        percentile(&mut self.first, percent).context("no transaction succeeded")
    }

    /// Time to the last byte that `percent` of the transactions did not exceed.
    ///
    /// # Errors
    /// See [`Times::first`].
    pub fn last(&mut self, percent: f64) -> Result<Duration> {
        percentile(&mut self.last, percent).context("no transaction succeeded")
    }

    /// The part of the transactions that failed.
    pub fn failed_share(&self) -> f64 {
        let failed = self.failed as f64;
        failed / (failed + self.last.len() as f64).max(1.0)
    }

    fn add(&mut self, other: Self) {
        self.first.extend(other.first);
        self.last.extend(other.last);
        self.failed += other.failed;
    }
}

/// Begins transactions evenly over the time, from the namespace, and times each.
///
/// # Errors
/// When the namespace cannot be entered, or the run was interrupted.
pub fn measure(namespace: &Namespace, pace: &Pace) -> Result<Times> {
    ensure!(pace.rate > 0.0, "a rate of {} is no load", pace.rate);
    // The clients are threads of a thread that is inside, and so are inside too.
    namespace.within(|| act(pace))
}

fn act(pace: &Pace) -> Result<Times> {
    let begin = Instant::now() + Duration::from_millis(10);
    let mut times = Times::default();
    thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || act_as_client(client, begin, pace)))
            .collect();
        for client in clients {
            times.add(client.join().map_err(|_| anyhow!("a client panicked"))??);
        }
        Ok(())
    })?;
    let begun = times.last.len() as f64 + times.failed as f64;
    times.rate = begun / begin.elapsed().max(pace.time).as_secs_f64();
    Ok(times)
}

/// The transactions of one client: every [`CLIENTS`]th of all.
fn act_as_client(client: u32, begin: Instant, pace: &Pace) -> Result<Times> {
    let request = format!(
        "GET /{} HTTP/1.1\r\nHost: ward\r\nConnection: close\r\n\r\n",
        pace.size
    );
    let mut times = Times::default();
    let mut number = client;
    loop {
        let due = Duration::from_secs_f64(f64::from(number) / pace.rate);
        if due >= pace.time || begin.elapsed() >= pace.time + PATIENCE {
            return Ok(times);
        }
        interrupt::check()?;
        thread::sleep((begin + due).saturating_duration_since(Instant::now()));
        match fetch(pace.server, request.as_bytes(), pace.size) {
            Ok((first, last)) => {
                times.first.push(first);
                times.last.push(last);
            }
            Err(_) => times.failed += 1,
        }
        number += CLIENTS;
    }
}

/// One transaction: the times from the SYN to the first and to the last byte of the answer.
fn fetch(server: SocketAddr, request: &[u8], size: u64) -> io::Result<(Duration, Duration)> {
    let begin = Instant::now();
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut buffer = [0; 65_536];
    let mut received = stream.read(&mut buffer)?;
    let first = begin.elapsed();
    let good = buffer[..received].starts_with(b"HTTP/1.1 200 ");
    let mut last = first;
    let mut total = received as u64;
    while received > 0 {
        received = stream.read(&mut buffer)?;
        total += received as u64;
        if received > 0 {
            last = begin.elapsed();
        }
    }
    if good && total > size {
        Ok((first, last))
    } else {
        Err(io::Error::other("not the object that was asked for"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 512];
                let length = stream.read(&mut request).unwrap();
                assert!(request[..length].starts_with(b"GET /4 HTTP/1.1\r\n"));
                stream.write_all(answer).unwrap();
            }
        });
        address
    }

    fn pace(server: SocketAddr) -> Pace {
        Pace {
            server,
            size: 4,
            rate: 100.0,
            time: Duration::from_millis(100),
        }
    }

    #[test]
    fn each_client_takes_its_share_and_times_both_ends_of_the_answer() {
        let server = answering(b"HTTP/1.1 200 OK\r\n\r\nward");
        let mut times = act_as_client(3, Instant::now(), &pace(server)).unwrap();
        assert_eq!((times.first.len(), times.failed), (1, 0));
        assert!(times.first(50.0).unwrap() <= times.last(50.0).unwrap());
    }

    #[test]
    fn a_refusal_of_the_server_is_a_failure() {
        let server = answering(b"HTTP/1.1 404 Not Found\r\n\r\nwhat is that supposed to be?");
        let mut times = act_as_client(0, Instant::now(), &pace(server)).unwrap();
        assert_eq!((times.last.len(), times.failed), (0, 1));
        assert!(times.last(50.0).is_err());
    }
}
