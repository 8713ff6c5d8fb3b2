//! Many peers, or many ports of one peer, in a short time.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wardline_policy::Initiator;

use super::alert::{Cause, Finding, Kind, News, Service};
use super::settings::{HOUR, MINUTE, SECOND, Settings};
use super::words;

/// Targets remembered of each direction: more than any limit asks for.
const TARGETS: usize = 128;
/// A scan that goes on is described anew this often at most.
const DESCRIBE_NS: u64 = SECOND;

/// What was tried lately from one end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Spread {
    targets: Vec<Target>,
    /// The most targets seen while the device was learnt.
    usual: Width,
    described_ns: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Target {
    peer: IpAddr,
    protocol: u8,
    port: u16,
    last_ns: u64,
    denied: bool,
}

/// How many targets within the two windows.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Width {
    minute: usize,
    hour: usize,
}

/// A scan as it looks now.
pub(crate) enum Scan {
    /// It goes on, and was described a moment ago.
    GoesOn,
    /// What to say of it.
    Seen(Finding),
}

impl Spread {
    /// While the device is learnt: what it does now is usual.
    pub(crate) fn learn(&mut self, news: &News, denied: bool, now_ns: u64) {
        self.touch(news, denied, now_ns);
        if self.targets.len() > self.usual.minute {
            let minute = self.widest(news, now_ns, MINUTE).len();
            self.usual.minute = self.usual.minute.max(minute);
        }
        if self.targets.len() > self.usual.hour {
            let hour = self.widest(news, now_ns, HOUR).len();
            self.usual.hour = self.usual.hour.max(hour);
        }
    }

    /// A person says that as many targets as now are usual.
    pub(crate) fn accept(&mut self, now_ns: u64) {
        let recent = |window| {
            let mut count = 0;
            for target in &self.targets {
                count += usize::from(now_ns.saturating_sub(target.last_ns) < window);
            }
            count
        };
        self.usual.minute = self.usual.minute.max(recent(MINUTE));
        self.usual.hour = self.usual.hour.max(recent(HOUR));
    }

    /// One more unfamiliar target was tried. Whether that makes a scan.
    pub(crate) fn tried(
        &mut self,
        news: &News,
        denied: bool,
        now_ns: u64,
        settings: &Settings,
    ) -> Option<Scan> {
        self.touch(news, denied, now_ns);
        if self.described_ns > 0 && now_ns.saturating_sub(self.described_ns) < DESCRIBE_NS {
            return Some(Scan::GoesOn);
        }
        let windows = [
            (MINUTE, settings.spread_per_minute, self.usual.minute),
            (HOUR, settings.spread_per_hour, self.usual.hour),
        ];
        for (window, limit, usual) in windows {
            let limit = limit.max(2 * usual);
            if self.targets.len() < limit {
                continue;
            }
            let targets = self.widest(news, now_ns, window);
            if targets.len() < limit {
                continue;
            }
            let finding = describe(news, &targets, limit, window, settings);
            self.described_ns = now_ns;
            return Some(Scan::Seen(finding));
        }
        None
    }

    pub(crate) fn size(&self) -> usize {
        self.targets.len()
    }

    fn touch(&mut self, news: &News, denied: bool, now_ns: u64) {
        let target = Target {
            peer: news.peer,
            protocol: news.protocol,
            port: news.port,
            last_ns: now_ns,
            denied,
        };
        let same = |t: &&mut Target| {
            (t.peer, t.protocol, t.port) == (target.peer, target.protocol, target.port)
        };
        if let Some(known) = self.targets.iter_mut().find(same) {
            *known = target;
            return;
        }
        if self.targets.len() >= TARGETS {
            self.targets
                .retain(|t| now_ns.saturating_sub(t.last_ns) < HOUR);
        }
        if self.targets.len() >= TARGETS {
            let oldest = (0..TARGETS).min_by_key(|at| self.targets[*at].last_ns);
            self.targets.swap_remove(oldest.unwrap_or(0));
        }
        self.targets.push(target);
    }

    /// The targets within the window, one for each peer or one for each port of the peer just
    /// tried, whichever are more. What others try on the device counts for each of them apart.
    fn widest(&self, news: &News, now_ns: u64, window_ns: u64) -> Vec<Target> {
        let recent = |t: &&Target| now_ns.saturating_sub(t.last_ns) < window_ns;
        let recent = || self.targets.iter().filter(recent);
        let ports: Vec<Target> = recent().filter(|t| t.peer == news.peer).copied().collect();
        if news.initiator == Initiator::Peer {
            return ports;
        }
        let peers: BTreeMap<IpAddr, Target> = recent().map(|t| (t.peer, *t)).collect();
        if ports.len() > peers.len() {
            ports
        } else {
            peers.into_values().collect()
        }
    }
}

fn describe(
    news: &News,
    targets: &[Target],
    limit: usize,
    window_ns: u64,
    settings: &Settings,
) -> Finding {
    let peers: BTreeSet<IpAddr> = targets.iter().map(|t| t.peer).collect();
    let at_least = if targets.len() >= TARGETS {
        "at least "
    } else {
        ""
    };
    let count = targets.len();
    let within = if window_ns == MINUTE {
        "a minute"
    } else {
        "an hour"
    };
    let what = match (news.initiator, peers.len()) {
        (Initiator::Peer, _) => format!("{} tried {at_least}{count} ports of it", news.peer),
        (Initiator::Device, 1) => format!("it tried {at_least}{count} ports of {}", news.peer),
        (Initiator::Device, _) => format!(
            "it tried {at_least}{count} addresses it has nothing to do with{}",
            mostly(targets)
        ),
    };
    let refused = match targets.iter().filter(|t| t.denied).count() {
        0 => String::new(),
        refused if refused == count => "; policy refused all".into(),
        refused => format!("; policy refused {refused}"),
    };
    let excess = limit as f32 / count as f32;
    Finding {
        kind: Kind::Scan,
        score: 0.95 - 0.2 * excess,
        sentence: format!("Within {within} {what}{refused}. That is how a network is searched."),
        cause: Cause::Scan(news.initiator),
        also: peers.into_iter().map(Cause::Peer).collect(),
        ties: Vec::new(),
        settle_ns: 0,
        quiet_ns: settings.quiet_s * SECOND,
        news: None,
    }
}

/// The service most targets were tried for, if most were tried for one.
fn mostly(targets: &[Target]) -> String {
    let mut counts: BTreeMap<(u8, u16), usize> = BTreeMap::new();
    for target in targets {
        *counts.entry((target.protocol, target.port)).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    match most {
        Some(((protocol, port), count)) if 2 * count > targets.len() => {
            let service = Service::Port { protocol, port };
            format!(", most for {}", words::service(&service))
        }
        _ => String::new(),
    }
}
