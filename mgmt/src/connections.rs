//! Connections: how many there are, and how long one that takes nothing is kept.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use axum_server::{Address, Server};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Connections at a time; each takes a file descriptor, of which a process has 1,024 as a rule.
const MOST: usize = 512;
/// Connections of one address: event streams, programs and browsers of one machine.
const MOST_OF_ONE: usize = 256;
/// How long a request may take to be asked, from the first byte to the end of its headers.
const ASKED_WITHIN: Duration = Duration::from_secs(30);
/// How long somebody may take nothing of what is sent.
const TAKEN_WITHIN: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });
/// How often a connection with many requests at a time is asked whether it is there.
const THERE_EVERY: Duration = Duration::from_secs(20);
/// Requests under way in one connection.
const STREAMS: u32 = 100;

/// A server that waits for nobody without end.
pub fn bounded<A: Address, Acc>(mut server: Server<A, Acc>) -> Server<A, Acc> {
    let http = server.http_builder();
    http.http1().header_read_timeout(ASKED_WITHIN);
    http.http2()
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(THERE_EVERY)
        .keep_alive_timeout(THERE_EVERY);
    server.first_request_timeout(ASKED_WITHIN)
}

/// Lets in as many as there is room for.
#[derive(Debug, Clone, Default)]
pub struct Door {
    inside: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Door {
    fn inside(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place inside, unless there are too many.
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut inside = self.inside();
        let all: usize = inside.values().sum();
        let ours = inside.get(&address).copied().unwrap_or(0);
        if all >= MOST || ours >= MOST_OF_ONE {
            return None;
        }
        inside.insert(address, ours + 1);
        drop(inside);
        let door = self.clone();
        Some(Place { door, address })
    }

    fn let_in(&self, stream: TcpStream) -> io::Result<Guest> {
        // Small answers do not wait for the other side to acknowledge the ones before.
        stream.set_nodelay(true)?;
        let address = stream.peer_addr()?.ip();
        let place = self.enter(address).ok_or_else(|| {
            tracing::debug!(%address, "too many connections: one is closed");
            io::Error::other("too many connections")
        })?;
        Ok(Guest {
            stream,
            stuck: None,
            _place: place,
        })
    }
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = Guest;
    type Service = S;
    type Future = Ready<io::Result<(Guest, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(self.let_in(stream).map(|guest| (guest, service)))
    }
}

/// A place inside, free again when it is dropped.
#[derive(Debug)]
struct Place {
    door: Door,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.door.inside();
        if let Some(count) = inside.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.address);
            }
        }
    }
}

/// A connection that ends when nothing is taken of what is sent.
#[derive(Debug)]
pub struct Guest {
    stream: TcpStream,
    /// Runs while something waits to be taken.
    stuck: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl Guest {
    /// What came of sending, or that it took too long.
    fn taken<T>(
        &mut self,
        context: &mut Context<'_>,
        sent: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            self.stuck = None;
            return sent;
        }
        let stuck = self
            .stuck
            .get_or_insert_with(|| Box::pin(sleep(TAKEN_WITHIN)));
        stuck
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.taken(context, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.taken(context, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_again_when_some_leave() {
        let door = Door::default();
        let address = |last| IpAddr::from(Ipv4Addr::new(10, 0, 0, last));
        let crowd: Vec<_> = (0..MOST_OF_ONE).map(|_| door.enter(address(1))).collect();
        assert!(crowd.iter().all(Option::is_some));
        assert!(door.enter(address(1)).is_none(), "one address takes all");
        let others: Vec<_> = (MOST_OF_ONE..MOST)
            .map(|_| door.enter(address(2)))
            .collect();
        assert!(others.iter().all(Option::is_some));
        assert!(door.enter(address(3)).is_none(), "there is no room");
        drop(crowd);
        assert!(door.enter(address(3)).is_some());
        drop(others);
        assert!(door.inside().is_empty());
    }

    #[tokio::test]
    async fn whoever_takes_nothing_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        // Reads nothing, and stays.
        let _slow = TcpStream::connect(address).await.expect("connected");
        let (stream, _) = listener.accept().await.expect("accepted");
        let door = Door::default();
        let mut guest = door.let_in(stream).expect("room");
        let begin = Instant::now();
        let error = loop {
            if let Err(error) = guest.write_all(&[0; 65_536]).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begin.elapsed() >= TAKEN_WITHIN);
    }
}
