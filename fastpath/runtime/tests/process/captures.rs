//! In observe mode the gateway is a wire: what comes out is what went in, byte for byte and in
//! order, for every Ethernet capture there is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wardline_capture::Reader;

use crate::frames::{Sender, Sink};
use crate::gateway::{Gateway, GatewayOptions};
use crate::lab::{Wire, WireOptions, skip};

/// The largest MTU AF_XDP carries, and the frame it makes.
const MTU: u16 = 3_498;
const FRAME_BYTES: usize = MTU as usize + 14;
/// Frames on their way at once: fewer than any ring or socket buffer holds.
const WINDOW: usize = 64;
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn every_capture_passes_unchanged_in_observe_mode() {
    const TEST: &str = "every_capture_passes_unchanged_in_observe_mode";
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures/protocols");
    if !captures.is_dir() {
        return skip(TEST, "there is no ../shared/captures/protocols");
    }
    let options = WireOptions {
        mtu: MTU.into(),
        addresses: false,
        ..WireOptions::default()
    };
    let Some(wire) = Wire::new(TEST, options) else {
        return;
    };
    let gateway = Gateway::start(
        &wire,
        &GatewayOptions {
            mtu: Some(MTU),
            ..GatewayOptions::default()
        },
    );
    let mut ends = [&wire.device, &wire.hospital].map(|n| (Sender::of(n), Sink::of(n)));
    let (mut passed, mut files) = (0, 0);
    for path in files_below(&captures) {
        let frames = frames_of(&path);
        let [ward, core] = &mut ends;
        pass(&path, &frames, &mut ward.0, &core.1);
        pass(&path, &frames, &mut core.0, &ward.1);
        files += usize::from(!frames.is_empty());
        passed += 2 * frames.len() as u64;
    }
    let counters = gateway.status().counters;
    assert_eq!(counters.ward.forwarded + counters.core.forwarded, passed);
    assert_eq!(counters.ward.dropped + counters.core.dropped, 0);
    assert!(files > 100, "only {files} captures had Ethernet frames");
    println!("{passed} frames of {files} captures, each from both sides");
}

/// Sends frames in at one end and compares what comes out at the other.
fn pass(path: &Path, frames: &[Vec<u8>], sender: &mut Sender, sink: &Sink) {
    for (window, frames) in frames.chunks(WINDOW).enumerate() {
        for frame in frames {
            sender.send(frame);
        }
        for (number, frame) in frames.iter().enumerate() {
            let number = window * WINDOW + number;
            let got = sink.next(PATIENCE);
            assert!(
                got.as_ref() == Some(frame),
                "{}: frame {number} went in as\n{frame:02x?}\nand came out as\n{got:02x?}",
                path.display()
            );
        }
    }
}

/// The frames of a capture that the wire carries. Of a damaged capture, those before the damage;
/// of one that is not Ethernet, none.
fn frames_of(path: &Path) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let Ok(mut reader) = Reader::open(path) else {
        return frames;
    };
    while let Ok(Some(packet)) = reader.next_packet() {
        if is_carried(packet.data) {
            frames.push(packet.data.to_vec());
        }
    }
    frames
}

fn is_carried(frame: &[u8]) -> bool {
    // A frame without a payload cannot be sent from a packet socket.
    let sendable = frame.len() > 14 && frame.len() <= FRAME_BYTES;
    sendable && !is_flow_control(frame)
}

/// PAUSE and priority flow control never cross a bridge (IEEE 802.3 annex 31B).
fn is_flow_control(frame: &[u8]) -> bool {
    frame[..6] == [0x01, 0x80, 0xc2, 0, 0, 0x01] || frame[12..14] == [0x88, 0x08]
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
