//! Raw frames in and out of a namespace, by a few lines of Python, since packet sockets need
//! unsafe code in Rust.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::lab::Namespace;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/frames.py");

/// Sends frames out of `eth0` of a namespace.
#[derive(Debug)]
pub struct Sender {
    child: Child,
    input: ChildStdin,
}

impl Sender {
    pub fn of(namespace: &Namespace) -> Self {
        let mut child = start(namespace, "send");
        let input = child.stdin.take().expect("piped");
        Self { child, input }
    }

    pub fn send(&mut self, frame: &[u8]) {
        let length = u32::try_from(frame.len()).expect("a frame");
        self.input.write_all(&length.to_be_bytes()).expect("sent");
        self.input.write_all(frame).expect("sent");
        self.input.flush().expect("sent");
    }
}

/// Receives frames that arrive at `eth0` of a namespace.
#[derive(Debug)]
pub struct Sink {
    child: Child,
    frames: Receiver<Vec<u8>>,
}

impl Sink {
    /// Returns when it listens.
    pub fn of(namespace: &Namespace) -> Self {
        let mut child = start(namespace, "receive");
        let mut output = child.stdout.take().expect("piped");
        let (found, frames) = channel();
        std::thread::spawn(move || {
            while let Ok(frame) = read(&mut output) {
                if found.send(frame).is_err() {
                    break;
                }
            }
        });
        let sink = Self { child, frames };
        let ready = sink.next(Duration::from_secs(20));
        assert_eq!(ready.as_deref(), Some(&[][..]), "the receiver starts");
        sink
    }

    /// The next frame, waiting for it at most so long.
    pub fn next(&self, patience: Duration) -> Option<Vec<u8>> {
        self.frames.recv_timeout(patience).ok()
    }
}

fn read(output: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    output.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    output.read_exact(&mut frame)?;
    Ok(frame)
}

fn start(namespace: &Namespace, mode: &str) -> Child {
    namespace
        .command("python3")
        .args([SCRIPT, mode, "eth0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts")
}

impl Drop for Sender {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
