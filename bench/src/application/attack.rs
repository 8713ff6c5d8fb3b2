//! An attack list that runs while something is measured (RFC 9411, section 7 with the attacks of
//! its appendix in mind): frames of a compromised device beside the one that is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use wardline_lab::attacks::Witness;
use wardline_lab::netns;

use super::frame::{Kind, Segment, Station};
use super::packet::Sender;
use crate::wire::space::Namespace;

/// Frames a second.
const RATE: f64 = 10_000.0;
/// Sleep between two portions of frames.
const PORTION: Duration = Duration::from_millis(1);
/// What the hardware addresses of attackers begin with.
const PREFIX: [u8; 2] = [0x02, 0xbb];

/// Whom the attacks are about.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// The server, in the hospital.
    pub server: Station,
    /// Its port that devices are allowed to use.
    pub port: u16,
    /// The device that is allowed to use it.
    pub device: Station,
    /// The compromised device, which is allowed nothing.
    pub attacker: Station,
}

/// One sort of attack: the segment it sends as its `number`th.
type Attack = fn(&Scene, u32) -> Segment;

/// The attacks, and how many of a hundred frames are theirs.
const ATTACKS: [(Attack, u32); 6] = [
    (port_scan, 30),
    (syn_flood, 30),
    (spoofed_flood, 20),
    (address_of_a_device, 18),
    (device_of_nobody, 1),
    (server_on_the_wrong_side, 1),
];

/// One port after the other.
fn port_scan(scene: &Scene, number: u32) -> Segment {
    Segment {
        to_port: port_of(number % 10_000),
        ..syn(scene, scene.attacker, number)
    }
}

/// Half-open connections to the port that others may use.
fn syn_flood(scene: &Scene, number: u32) -> Segment {
    syn(scene, scene.attacker, number)
}

/// The same from addresses that nobody has.
fn spoofed_flood(scene: &Scene, number: u32) -> Segment {
    let [_, _, high, low] = number.to_be_bytes();
    let from = Station {
        ip: [10, 77, 128 | high, low].into(),
        ..scene.attacker
    };
    syn(scene, from, number)
}

/// The address of the device that may use the port.
fn address_of_a_device(scene: &Scene, number: u32) -> Segment {
    let from = Station {
        ip: scene.device.ip,
        ..scene.attacker
    };
    syn(scene, from, number)
}

/// Ever new hardware addresses.
fn device_of_nobody(scene: &Scene, number: u32) -> Segment {
    let [a, b, c, d] = number.to_be_bytes();
    let from = Station {
        mac: [PREFIX[0], PREFIX[1], a | 0x80, b, c, d],
        ..scene.attacker
    };
    syn(scene, from, number)
}

/// The server's own hardware address, from the ward.
fn server_on_the_wrong_side(scene: &Scene, number: u32) -> Segment {
    let from = Station {
        mac: scene.server.mac,
        ..scene.attacker
    };
    syn(scene, from, number)
}

fn syn(scene: &Scene, from: Station, number: u32) -> Segment {
    Segment {
        from,
        from_port: 10_000 + port_of(number % 50_000),
        to: scene.server,
        to_port: scene.port,
        kind: Kind::Syn,
    }
}

/// A port from a number that was brought into range.
fn port_of(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The attack list, round about.
#[derive(Debug)]
struct Barrage {
    scene: Scene,
    number: u32,
}

impl Iterator for Barrage {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        // 37 and 100 have no common divisor: every share is spread over the hundred.
        let mut place = self.number.wrapping_mul(37) % 100;
        let (attack, _) = ATTACKS.iter().find(|(_, share)| {
            let here = place < *share;
            place = place.saturating_sub(*share);
            here
        })?;
        let segment = attack(&self.scene, self.number);
        self.number = self.number.wrapping_add(1);
        Some(segment)
    }
}

/// An attack under way; ended when dropped.
#[derive(Debug)]
pub struct Assault {
    stop: Arc<AtomicBool>,
    attacker: Option<JoinHandle<Result<u64>>>,
    witness: Option<Witness>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Frames sent.
    pub sent: u64,
    /// Of these, the ones a witness saw arrive on the server's side.
    pub arrived: u64,
}

impl Assault {
    /// Begins to attack from `eth0` of the ward, with a witness at `eth0` of the core.
    ///
    /// # Errors
    /// When a socket or the witness does not open.
    pub fn begin(ward: &Namespace, core: &Namespace, scene: Scene) -> Result<Self> {
        let witness = Witness::begin(&netns::Namespace::new(core.name()), &marks(&scene))?;
        let sender = Sender::open(ward, "eth0")?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let attacker = thread::spawn(move || strike(&sender, scene, &told));
        Ok(Self {
            stop,
            attacker: Some(attacker),
            witness: Some(witness),
        })
    }

    /// Ends it.
    ///
    /// # Errors
    /// When a frame could not be sent, or the witness lost count.
    pub fn end(mut self) -> Result<Outcome> {
        let sent = self.halt()?;
        let witness = self.witness.take();
        let seen = witness
            .ok_or_else(|| anyhow!("the witness has left"))?
            .end()?;
        Ok(Outcome {
            sent,
            arrived: seen.frames,
        })
    }

    fn halt(&mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.attacker.take().map_or(Ok(0), |attacker| {
            attacker
                .join()
                .unwrap_or_else(|_| Err(anyhow!("the attacker panicked")))
        })
    }
}

impl Drop for Assault {
    fn drop(&mut self) {
        // Whoever drops it without `end` has another failure to report.
        let _ = self.halt();
    }
}

/// How a witness knows frames of the attack, in `pcap-filter` words.
fn marks(scene: &Scene) -> String {
    let hex = |octets: &[u8]| {
        let words: Vec<_> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        words.join(":")
    };
    let [first, second] = PREFIX;
    format!(
        "ether[6:2] = 0x{first:02x}{second:02x} or ether src {}",
        hex(&scene.server.mac)
    )
}

/// Sends frames evenly until told to stop, and returns how many.
fn strike(sender: &Sender, scene: Scene, stop: &AtomicBool) -> Result<u64> {
    let mut barrage = Barrage { scene, number: 0 };
    let begin = Instant::now();
    let mut sent = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        while (sent as f64) < begin.elapsed().as_secs_f64() * RATE {
            let Some(segment) = barrage.next() else { break };
            sender.send(&segment.frame()?)?;
            sent += 1;
        }
        sleep(PORTION);
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn scene() -> Scene {
        let station = |mac: [u8; 2], last| Station {
            mac: [mac[0], mac[1], 0, 0, 0, last],
            ip: Ipv4Addr::new(10, 77, 0, last),
        };
        Scene {
            server: station([2, 0x77], 1),
            port: 80,
            device: station([2, 0x77], 16),
            attacker: station(PREFIX, 66),
        }
    }

    #[test]
    fn a_hundred_frames_hold_every_attack_in_its_share() {
        assert_eq!(ATTACKS.iter().map(|(_, share)| share).sum::<u32>(), 100);
        let frames: Vec<_> = Barrage {
            scene: scene(),
            number: 0,
        }
        .take(100)
        .collect();
        let count = |fits: &dyn Fn(&Segment) -> bool| frames.iter().filter(|f| fits(f)).count();
        let scene = scene();
        assert_eq!(count(&|f| f.from.mac == scene.server.mac), 1);
        assert_eq!(count(&|f| f.from.ip == scene.device.ip), 18);
        assert_eq!(count(&|f| f.from.ip.octets()[2] >= 128), 20);
        assert_eq!(count(&|f| f.from.mac[2] >= 0x80), 1);
        assert_eq!(count(&|f| f.to_port != 80), 30);
    }

    #[test]
    fn a_witness_knows_every_frame_and_none_of_the_device() {
        let scene = scene();
        let marked = |mac: [u8; 6]| mac[..2] == PREFIX || mac == scene.server.mac;
        assert!(!marked(scene.device.mac));
        let mut barrage = Barrage { scene, number: 0 };
        assert!(barrage.by_ref().take(1_000).all(|f| marked(f.from.mac)));
        assert_eq!(
            marks(&scene),
            "ether[6:2] = 0x02bb or ether src 02:77:00:00:00:01"
        );
    }
}
