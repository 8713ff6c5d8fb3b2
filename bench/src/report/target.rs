//! The figures that are to be reached, as data, and what was measured of them.

use serde::{Serialize, Serializer};

use super::markdown::digits;
use super::stats::{Spread, quotient};
use crate::{Sample, Suite};

/// One figure to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// In words.
    pub figure: &'static str,
    /// The bound.
    pub bound: Bound,
    /// The number.
    pub above: Point,
    /// What it is divided by, sample by sample of one round; nothing: the number itself.
    pub below: Option<Point>,
}

/// A bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// The number must not be smaller.
    AtLeast(f64),
    /// The number must not be larger.
    AtMost(f64),
}

/// A place in the matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Suite.
    pub suite: Suite,
    /// System.
    pub system: &'static str,
    /// Metric.
    pub metric: &'static str,
    /// Corner.
    pub corner: &'static str,
}

/// A figure to reach, and whether it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The figure.
    #[serde(serialize_with = "in_words", rename = "figure")]
    pub target: Target,
    /// What was measured; nothing when one of its places was not.
    pub spread: Option<Spread>,
    /// Whether the median keeps the bound.
    pub reached: bool,
}

fn in_words<S: Serializer>(target: &Target, serializer: S) -> Result<S::Ok, S::Error> {
    let row = Row {
        target: *target,
        spread: None,
        reached: false,
    };
    serializer.serialize_str(&format!("{}: {}", target.figure, row.wanted()))
}

const fn raw(system: &'static str, corner: &'static str) -> Point {
    Point {
        suite: Suite::Raw,
        system,
        metric: "throughput",
        corner,
    }
}

const fn round_trip(system: &'static str) -> Point {
    Point {
        suite: Suite::Wire,
        system,
        metric: "latency p99",
        corner: "64 B round trips, idle",
    }
}

const fn swap(metric: &'static str) -> Point {
    Point {
        suite: Suite::Policy,
        system: "wardline",
        metric,
        corner: "10000 devices, 100 rules, JSON",
    }
}

const FLOWS_4K: &str = "64 B, 4096 flows, 1 rule, 10 devices, IPv4 UDP, allowed";
const FLOWS_64K: &str = "64 B, 65536 flows, 1 rule, 10 devices, IPv4 UDP, allowed";
const FLOWS_1M: &str = "64 B, 1048576 flows, 1 rule, 10 devices, IPv4 UDP, allowed";
const RULES_50: &str = "64 B, 65536 flows, 50 rules, 10 devices, IPv4 UDP, allowed";
const RULES_1000: &str = "64 B, 65536 flows, 1000 rules, 10 devices, IPv4 UDP, allowed";
const MISS_1: &str = "64 B, 65536 flows, 1 rule, 10 devices, IPv4 UDP, denied";
const MISS_1000: &str = "64 B, 65536 flows, 1000 rules, 10 devices, IPv4 UDP, denied";
const DEVICES_10K: &str = "64 B, 65536 flows, 1 rule, 10000 devices, IPv4 UDP, allowed";
const NEW_FLOWS: &str = "new flows beside established ones, \
                         64 B, 4096 flows, 50 rules, 10 devices, IPv4 UDP, allowed";

/// All figures to reach.
pub const TARGETS: &[Target] = &[
    Target {
        figure: "stateful allowlist, 64 B, 4 k flows: Wardline ÷ OVS-DPDK conntrack",
        bound: Bound::AtLeast(6.0),
        above: raw("wardline", FLOWS_4K),
        below: Some(raw("ovs-dpdk conntrack", FLOWS_4K)),
    },
    Target {
        figure: "the same at 64 k flows and 50 rules a device",
        bound: Bound::AtLeast(6.0),
        above: raw("wardline", RULES_50),
        below: Some(raw("ovs-dpdk conntrack", RULES_50)),
    },
    Target {
        figure: "1 M flows ÷ 4 k flows",
        bound: Bound::AtLeast(0.6),
        above: raw("wardline", FLOWS_1M),
        below: Some(raw("wardline", FLOWS_4K)),
    },
    Target {
        figure: "64 B, 4 k flows: Wardline ÷ testpmd io",
        bound: Bound::AtLeast(0.3),
        above: raw("wardline", FLOWS_4K),
        below: Some(raw("testpmd io", FLOWS_4K)),
    },
    Target {
        figure: "10,000 devices ÷ 10 devices",
        bound: Bound::AtLeast(0.8),
        above: raw("wardline", DEVICES_10K),
        below: Some(raw("wardline", FLOWS_64K)),
    },
    Target {
        figure: "1,000 rules a device ÷ 1 rule, flow hits",
        bound: Bound::AtLeast(0.95),
        above: raw("wardline", RULES_1000),
        below: Some(raw("wardline", FLOWS_64K)),
    },
    Target {
        figure: "1,000 rules a device ÷ 1 rule, misses",
        bound: Bound::AtLeast(0.5),
        above: raw("wardline", MISS_1000),
        below: Some(raw("wardline", MISS_1)),
    },
    Target {
        figure: "new flows a second in M, one CPU, while established flows lose nothing",
        bound: Bound::AtLeast(1.5),
        above: Point {
            metric: "new flows",
            ..raw("wardline engine", NEW_FLOWS)
        },
        below: None,
    },
    Target {
        figure: "classifier on ÷ off, 64 B, 4 k flows",
        bound: Bound::AtLeast(0.97),
        above: raw("wardline", FLOWS_4K),
        below: Some(raw("wardline without classifier", FLOWS_4K)),
    },
    Target {
        figure: "round trips over veth, p99: Wardline ÷ Linux bridge + nftables",
        bound: Bound::AtMost(1.0),
        above: round_trip("wardline af_xdp"),
        below: Some(round_trip("linux bridge + nftables")),
    },
    Target {
        figure: "policy of 10,000 devices × 100 rules, from apply to in force, in s",
        bound: Bound::AtMost(2.5),
        above: swap("apply to in force"),
        below: None,
    },
    Target {
        figure: "the same: longest stall of the data path, in µs",
        bound: Bound::AtMost(50.0),
        above: swap("data path stall"),
        below: None,
    },
    Target {
        figure: "bytes of an IPv4 conversation, features included",
        bound: Bound::AtMost(128.0),
        above: Point {
            suite: Suite::Policy,
            system: "wardline",
            metric: "bytes per IPv4 flow",
            corner: "memory",
        },
        below: None,
    },
];

/// What was measured of every target.
pub fn rows(samples: &[Sample]) -> Vec<Row> {
    TARGETS.iter().map(|target| row(samples, target)).collect()
}

fn row(samples: &[Sample], target: &Target) -> Row {
    let find = |point: &Point| {
        samples.iter().find(|s| {
            s.suite == point.suite
                && s.system == point.system
                && s.metric == point.metric
                && s.corner == point.corner
        })
    };
    let above = find(&target.above);
    let spread = match &target.below {
        Some(below) => above
            .zip(find(below))
            .and_then(|(above, below)| quotient(samples, above, below)),
        None => above.and_then(|above| {
            let like = |s: &&Sample| {
                (s.suite, &s.corner, &s.metric, &s.system)
                    == (above.suite, &above.corner, &above.metric, &above.system)
            };
            Spread::of(samples.iter().filter(like).map(|s| s.value))
        }),
    };
    let reached = spread.is_some_and(|spread| match target.bound {
        Bound::AtLeast(least) => spread.median >= least,
        Bound::AtMost(most) => spread.median <= most,
    });
    Row {
        target: *target,
        spread,
        reached,
    }
}

impl Row {
    /// The bound in words.
    pub fn wanted(&self) -> String {
        match self.target.bound {
            Bound::AtLeast(least) => format!("at least {}", digits(least)),
            Bound::AtMost(most) => format!("at most {}", digits(most)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stats::tests::sample;
    use super::*;
    use crate::raw;

    #[test]
    fn targets_of_the_raw_suite_name_corners_and_systems_there_are() {
        let corners = raw::corners();
        for target in TARGETS {
            for point in [Some(target.above), target.below].into_iter().flatten() {
                if point.suite == Suite::Raw {
                    assert!(
                        corners.iter().any(|c| c == point.corner),
                        "{}",
                        point.corner
                    );
                    assert!(raw::SYSTEMS.contains(&point.system), "{}", point.system);
                }
            }
        }
    }

    #[test]
    fn a_target_is_reached_by_its_median() {
        let mut samples = Vec::new();
        for (round, ratio) in [5.0, 7.0, 8.0].into_iter().enumerate() {
            samples.push(sample(FLOWS_4K, "wardline", round as u32, ratio));
            samples.push(sample(FLOWS_4K, "ovs-dpdk conntrack", round as u32, 1.0));
        }
        let rows = rows(&samples);
        assert!(rows[0].reached);
        assert_eq!(rows[0].spread.unwrap().median, 7.0);
        assert_eq!(rows[1].spread, None);
        assert!(!rows[1].reached);
    }
}
