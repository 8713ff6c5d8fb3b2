//! One key performance indicator after the other, on a system that is up.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::attack::{Assault, Scene};
use super::dicom::{Archive, Images};
use super::dut::{Dut, System};
use super::http::{self, Load, Server};
use super::latency::{self, Pace};
use super::record::{Place, Record};
use super::{ATTACKER, CLIENT, KB, SERVER, dicom};
use crate::{Better, Options};

/// Connections of the load generator.
const CONNECTIONS: u32 = 32;
/// How often the image mix is sent in one measurement.
const REPEATS: u32 = 8;
/// How long transactions are timed at half load.
const TIMED: Duration = Duration::from_millis(1_500);
/// The corner of the images.
pub const IMAGES: &str = "DICOM C-STORE mix";

/// A load of HTTP transactions as fast as they go, and what else is measured with it.
#[derive(Debug, Clone, Copy)]
pub struct Kpi {
    /// The corner family it belongs to.
    pub family: &'static str,
    /// Its corner.
    pub corner: &'static str,
    /// What is counted.
    counted: Counted,
    /// Size of the objects, in bytes.
    size: u64,
    /// A new connection for each transaction.
    close: bool,
    /// How long, in seconds.
    seconds: u32,
    /// Whether latency is measured at half of it.
    pub timed: bool,
    /// Whether it is measured under attack, too.
    pub attacked: bool,
    /// Whether a quick run has it.
    pub quick: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Connections,
    Transactions,
    Bytes,
}

impl Counted {
    /// The metric and its unit.
    const fn metric(self) -> (&'static str, &'static str) {
        match self {
            Self::Connections => ("TCP connections", "1/s"),
            Self::Transactions => ("HTTP transactions", "1/s"),
            Self::Bytes => ("goodput", "Gbit/s"),
        }
    }
}

const fn objects(corner: &'static str, size: u64) -> Kpi {
    Kpi {
        family: "goodput",
        corner,
        counted: Counted::Bytes,
        size,
        close: false,
        seconds: 1,
        timed: false,
        attacked: false,
        quick: false,
    }
}

/// All of them, in the order of measurement.
pub const ALL: [Kpi; 7] = [
    Kpi {
        family: "connections",
        counted: Counted::Connections,
        close: true,
        seconds: 2,
        timed: true,
        attacked: true,
        quick: true,
        ..objects("HTTP 1 kB, a connection each", KB)
    },
    Kpi {
        family: "latency",
        counted: Counted::Connections,
        close: true,
        timed: true,
        ..objects("HTTP 64 kB, a connection each", 64 * KB)
    },
    Kpi {
        family: "transactions",
        counted: Counted::Transactions,
        ..objects("HTTP 1 kB, kept connections", KB)
    },
    objects("HTTP objects of 1 kB", KB),
    Kpi {
        attacked: true,
        quick: true,
        ..objects("HTTP objects of 16 kB", 16 * KB)
    },
    objects("HTTP objects of 64 kB", 64 * KB),
    objects("HTTP objects of 256 kB", 256 * KB),
];

/// The object sizes, for the server.
pub fn sizes() -> Vec<u64> {
    ALL.iter().map(|kpi| kpi.size).collect()
}

/// A system that is up, with the web server behind it.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The system.
    pub dut: &'a Dut,
    /// The web server.
    pub server: &'a Server,
    /// What the system is.
    pub system: System,
    /// The round.
    pub round: u32,
}

impl Turn<'_> {
    fn place(&self, corner: impl Into<String>) -> Place {
        Place {
            system: self.system,
            round: self.round,
            corner: corner.into(),
        }
    }

    /// Offers the load of the KPI, and adds what it brought and what failed of it.
    fn offer(&self, kpi: &Kpi, place: &Place, record: &mut Record) -> Result<http::Got> {
        let load = Load {
            url: &self.server.url(kpi.size),
            connections: CONNECTIONS,
            close: kpi.close,
            seconds: kpi.seconds,
        };
        let got = http::offer(self.dut.ward(), &load)?;
        let (metric, unit) = kpi.counted.metric();
        record.add(place, metric, unit, kpi.value(&got), Better::Higher);
        let failed = got.failed as f64 / (got.transactions + got.failed) as f64;
        record.add(place, "failed transactions", "1", failed, Better::Lower);
        Ok(got)
    }

    /// Measures the KPI, and with it what `timed` and `attacked` ask for.
    ///
    /// # Errors
    /// When the system carries nothing, or a tool fails.
    pub fn measure(
        &self,
        kpi: &Kpi,
        timed: bool,
        attacked: bool,
        record: &mut Record,
    ) -> Result<()> {
        let got = self.offer(kpi, &self.place(kpi.corner), record)?;
        if timed {
            self.time(kpi, got.per_second / 2.0, record)?;
        }
        if attacked {
            self.attack(kpi, &got, record)?;
        }
        Ok(())
    }

    /// Times transactions, each on a connection of its own, at a rate.
    fn time(&self, kpi: &Kpi, rate: f64, record: &mut Record) -> Result<()> {
        let pace = Pace {
            server: SocketAddr::from((SERVER.ip, http::PORT)),
            size: kpi.size,
            rate,
            time: TIMED,
        };
        let mut times = latency::measure(self.dut.ward(), &pace)?;
        let place = self.place(format!("{}, half load", kpi.corner));
        for percent in [50.0, 99.0] {
            let both = [
                ("first", times.first(percent)?),
                ("last", times.last(percent)?),
            ];
            for (byte, time) in both {
                let metric = format!("time to {byte} byte p{percent}");
                record.add(
                    &place,
                    &metric,
                    "us",
                    time.as_secs_f64() * 1e6,
                    Better::Lower,
                );
            }
        }
        record.add(
            &place,
            "transactions begun",
            "1/s",
            times.rate,
            Better::Higher,
        );
        record.add(
            &place,
            "failed transactions",
            "1",
            times.failed_share(),
            Better::Lower,
        );
        Ok(())
    }

    /// Offers the same load again while the attacks go on.
    fn attack(&self, kpi: &Kpi, calm: &http::Got, record: &mut Record) -> Result<()> {
        let scene = Scene {
            server: SERVER,
            port: http::PORT,
            device: CLIENT,
            attacker: ATTACKER,
        };
        let place = self.place(format!("{}, under attack", kpi.corner));
        let assault = Assault::begin(self.dut.ward(), self.dut.core(), scene)?;
        let got = self.offer(kpi, &place, record);
        let seen = assault.end()?;
        let degradation = got?.per_second / calm.per_second;
        ensure!(seen.sent > 0, "not one frame of the attacks was sent");
        for (what, frames) in [("sent", seen.sent), ("arrived", seen.arrived)] {
            let metric = format!("attack frames {what}");
            record.add(&place, &metric, "1", frames as f64, Better::Lower);
        }
        ensure!(
            seen.arrived == 0 || !self.system.enforces(),
            "{} of {} attack frames passed a system that should stop them all",
            seen.arrived,
            seen.sent
        );
        record.add(&place, "degradation", "1", degradation, Better::Higher);
        Ok(())
    }

    /// Stores the images in an archive on the core side.
    ///
    /// # Errors
    /// When one was not stored.
    pub fn store(&self, images: &Images, options: &Options, record: &mut Record) -> Result<()> {
        let address = SocketAddr::from((SERVER.ip, dicom::PORT));
        let archive = Archive::start(self.dut.core(), address, &options.scratch)?;
        let goodput = archive.store(self.dut.ward(), images, REPEATS)?;
        record.add(
            &self.place(IMAGES),
            "goodput",
            "Gbit/s",
            goodput,
            Better::Higher,
        );
        Ok(())
    }
}

impl Kpi {
    /// What was counted, in the unit of its metric.
    fn value(&self, got: &http::Got) -> f64 {
        match self.counted {
            Counted::Connections | Counted::Transactions => got.per_second,
            // The objects alone: no header of any layer is payload.
            Counted::Bytes => got.per_second * self.size as f64 * 8.0 / 1e9,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_corner_is_measured_once() {
        let corners: HashSet<_> = ALL.iter().map(|kpi| kpi.corner).collect();
        assert_eq!(corners.len(), ALL.len());
    }

    #[test]
    fn goodput_is_payload_in_gigabits() {
        let got = http::Got {
            transactions: 10_000,
            failed: 0,
            per_second: 10_000.0,
        };
        let value = |corner| {
            let kpi = ALL.iter().find(|kpi| kpi.corner == corner).unwrap();
            kpi.value(&got)
        };
        assert!((value("HTTP objects of 16 kB") - 1.28).abs() < 1e-9);
        assert!((value("HTTP 1 kB, a connection each") - 10_000.0).abs() < 1e-9);
    }
}
