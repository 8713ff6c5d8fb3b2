//! Connections held at once (RFC 9411, section 7.5): how many the system under test carries, and
//! whether each still passes a segment when all are there.
//!
//! The two ends keep no state: they are raw sockets that send the segments of a handshake. So what
//! is held is held by the system alone, and a million of them need no million of sockets.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::frame::{Arrived, Kind, Segment, Station};
use super::packet::{Listener, Sender};
use crate::interrupt;

/// Segments under way at once: no queue on the way is shorter.
const BATCH: u32 = 256;
/// A segment that has not arrived after this time is sent again.
const PATIENCE: Duration = Duration::from_millis(60);
/// How often a segment is sent before its connection counts as lost.
const TRIES: u32 = 4;
/// First port of the devices.
const FIRST_PORT: u16 = 10_000;

/// The two ends of the connections.
#[derive(Debug)]
pub struct Ends {
    /// Sends on the devices' side, and listens there.
    pub ward: (Sender, Listener),
    /// The same on the hospital's side.
    pub core: (Sender, Listener),
}

/// Which connections: each of `devices` holds as many as are needed for `count`.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// How many connections.
    pub count: u32,
    /// How many devices share them evenly.
    pub devices: u32,
    /// The server they all go to.
    pub server: Station,
    /// Its port.
    pub port: u16,
}

/// What became of a crowd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Connections whose handshake was completed through the system.
    pub opened: u32,
    /// Of these, the ones on which a segment passed both ways when all were open.
    pub held: u32,
    /// Segments that had to be sent again.
    pub repeated: u64,
}

impl Crowd {
    /// A device by its number: 10.78.0.0/16, without the addresses that end in 0.
    pub fn device(number: u32) -> Station {
        let [_, _, high, low] = (number + 1 + number / 255).to_be_bytes();
        Station {
            mac: [0x02, 0x78, 0, 0, high, low],
            ip: Ipv4Addr::new(10, 78, high, low),
        }
    }

    /// Connections go around the devices, so that no batch is all of one device.
    fn device_end(&self, number: u32) -> Option<(Station, u16)> {
        let offset = u16::try_from(number / self.devices).ok()?;
        let port = FIRST_PORT.checked_add(offset)?;
        Some((Self::device(number % self.devices), port))
    }

    /// The number of the connection with this end on the devices' side.
    fn number(&self, end: SocketAddrV4) -> Option<u32> {
        let [_, _, high, low] = end.ip().octets();
        let place = u32::from(u16::from_be_bytes([high, low]));
        // The inverse of `device`: each 256 places hold 255 devices.
        let device = (place - place / 256).checked_sub(1)?;
        let offset = end.port().checked_sub(FIRST_PORT)?;
        let number = u32::from(offset) * self.devices + device;
        let same = self.device_end(number)?;
        ((same.0.ip, same.1) == (*end.ip(), end.port()) && number < self.count).then_some(number)
    }

    fn segment(&self, number: u32, way: Way, kind: Kind) -> Result<Segment> {
        let (device, port) = self
            .device_end(number)
            .context("more ports than there are")?;
        let there = Segment {
            from: device,
            from_port: port,
            to: self.server,
            to_port: self.port,
            kind,
        };
        Ok(match way {
            Way::ToCore => there,
            Way::ToWard => Segment {
                from: there.to,
                from_port: there.to_port,
                to: there.from,
                to_port: there.from_port,
                kind,
            },
        })
    }
}

/// Which way a segment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToCore,
    ToWard,
}

impl Ends {
    /// Opens every connection of the crowd.
    ///
    /// # Errors
    /// When an interface fails or the run was interrupted; so for [`Ends::verify`].
    pub fn open(&self, crowd: &Crowd) -> Result<Opened> {
        let mut opened = Opened {
            open: vec![false; crowd.count as usize],
            repeated: 0,
        };
        for first in (0..crowd.count).step_by(BATCH as usize) {
            let mut batch: Vec<u32> = (first..crowd.count.min(first + BATCH)).collect();
            let handshake = [
                (Way::ToCore, Kind::Syn),
                (Way::ToWard, Kind::SynAck),
                (Way::ToCore, Kind::Ack),
            ];
            for (way, kind) in handshake {
                batch = self.pass(crowd, &batch, way, kind, &mut opened.repeated)?;
            }
            for number in batch {
                opened.open[number as usize] = true;
            }
        }
        Ok(opened)
    }

    /// Sends a segment each way on every open connection, and counts where both passed.
    ///
    /// # Errors
    /// See [`Ends::open`].
    pub fn verify(&self, crowd: &Crowd, opened: &Opened) -> Result<Outcome> {
        let open: Vec<u32> = (0..crowd.count)
            .filter(|&number| opened.open[number as usize])
            .collect();
        let mut held = 0;
        let mut repeated = opened.repeated;
        for batch in open.chunks(BATCH as usize) {
            let there = self.pass(crowd, batch, Way::ToCore, Kind::Data, &mut repeated)?;
            let back = self.pass(crowd, &there, Way::ToWard, Kind::Data, &mut repeated)?;
            held += u32::try_from(back.len()).context("a batch is small")?;
        }
        Ok(Outcome {
            opened: u32::try_from(open.len()).context("counted by u32")?,
            held,
            repeated,
        })
    }

    /// Sends one segment on each connection and returns those on which it arrived.
    fn pass(
        &self,
        crowd: &Crowd,
        batch: &[u32],
        way: Way,
        kind: Kind,
        repeated: &mut u64,
    ) -> Result<Vec<u32>> {
        interrupt::check()?;
        let (sender, listener) = match way {
            Way::ToCore => (&self.ward.0, &self.core.1),
            Way::ToWard => (&self.core.0, &self.ward.1),
        };
        let mut missing = batch.to_vec();
        let mut arrived = Vec::with_capacity(batch.len());
        for attempt in 0..TRIES {
            if attempt > 0 {
                *repeated += missing.len() as u64;
            }
            for &number in &missing {
                sender.send(&crowd.segment(number, way, kind)?.frame()?)?;
            }
            collect(crowd, listener, way, kind, &mut missing, &mut arrived)?;
            if missing.is_empty() {
                break;
            }
        }
        Ok(arrived)
    }
}

/// The connections that were opened.
#[derive(Debug)]
pub struct Opened {
    open: Vec<bool>,
    repeated: u64,
}

/// Takes arrivals until nothing is missing, or nothing has come for a while.
fn collect(
    crowd: &Crowd,
    listener: &Listener,
    way: Way,
    kind: Kind,
    missing: &mut Vec<u32>,
    arrived: &mut Vec<u32>,
) -> Result<()> {
    let mut buffer = [0; 128];
    let mut last = Instant::now();
    while !missing.is_empty() && last.elapsed() < PATIENCE {
        let Some(length) = listener.poll(&mut buffer)? else {
            // Both ends share a core; whoever forwards may need it.
            std::thread::yield_now();
            continue;
        };
        let Some(segment) = Arrived::read(&buffer[..length], kind) else {
            continue;
        };
        let end = match way {
            Way::ToCore => segment.from,
            Way::ToWard => segment.to,
        };
        let number = crowd.number(end);
        if let Some(at) = missing.iter().position(|&waiting| Some(waiting) == number) {
            arrived.push(missing.swap_remove(at));
            last = Instant::now();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const CROWD: Crowd = Crowd {
        count: 1_000_000,
        devices: 1_000,
        server: Station {
            mac: [2, 0, 0, 0, 0, 1],
            ip: Ipv4Addr::new(10, 77, 0, 1),
        },
        port: 80,
    };

    #[test]
    fn every_connection_is_found_again_by_its_end() {
        for number in (0..CROWD.count).step_by(997).chain([CROWD.count - 1]) {
            let (device, port) = CROWD.device_end(number).unwrap();
            let end = SocketAddrV4::new(device.ip, port);
            assert_eq!(CROWD.number(end), Some(number));
        }
        let nobody = SocketAddrV4::new(Ipv4Addr::new(10, 78, 0, 0), FIRST_PORT);
        assert_eq!(CROWD.number(nobody), None);
        let stranger = SocketAddrV4::new(Ipv4Addr::new(10, 78, 0, 1), 80);
        assert_eq!(CROWD.number(stranger), None);
    }

    #[test]
    fn devices_have_addresses_of_their_own() {
        let addresses: HashSet<_> = (0..1_000).map(|number| Crowd::device(number).ip).collect();
        assert_eq!(addresses.len(), 1_000);
        assert!(addresses.iter().all(|ip| ip.octets()[3] != 0));
    }

    #[test]
    fn an_answer_goes_the_way_back() {
        let there = CROWD.segment(5, Way::ToCore, Kind::Data).unwrap();
        let back = CROWD.segment(5, Way::ToWard, Kind::Data).unwrap();
        assert_eq!((there.from, there.from_port), (back.to, back.to_port));
        assert_eq!((there.to, there.to_port), (back.from, back.from_port));
    }
}
