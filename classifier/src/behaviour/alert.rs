//! What is said of a device that does not behave as it used to.

use core::fmt;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use wardline_policy::{DeviceKey, Initiator};

use super::words;

/// Most bytes kept of the name of a decoded protocol.
const NAME_MAX: usize = 32;
/// Most peers, and most services, among the causes of one alert.
const CAUSES: usize = 16;
/// Most new conversations an alert keeps, so that accepting it makes them usual.
const NEWS: usize = 16;
/// Addresses named in a sentence.
const NAMED: usize = 3;

/// What a conversation is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// A protocol as decoded, wherever it listens.
    Named(String),
    /// A protocol nothing recognised, by the responder's port.
    Port {
        /// IP protocol.
        protocol: u8,
        /// The responder's port.
        port: u16,
    },
    /// The high ports of a device that uses too many of them to tell apart.
    HighPorts {
        /// IP protocol.
        protocol: u8,
    },
}

impl Service {
    /// By its decoded name, or by its port.
    pub fn new(name: Option<&str>, protocol: u8, port: u16) -> Self {
        let port_of = Self::Port { protocol, port };
        name.map_or(port_of, |name| Self::Named(cut(name).to_owned()))
    }
}

/// The name as it is kept.
pub(crate) fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_MAX)]
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words::service(self))
    }
}

/// What is wrong, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A conversation with an address the device never talked to.
    NewPeer,
    /// A conversation about something it never did.
    NewService,
    /// Somebody calls it whom it used to call, or the other way round.
    NewDirection,
    /// It no longer looks like what it is.
    RoleDrift,
    /// It sends or receives far more than it ever did.
    Volume,
    /// It calls one address outside at regular intervals.
    Beacon,
    /// Many peers or many ports in a short time.
    Scan,
}

impl Kind {
    /// Its name, as in the alerts that are kept.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewPeer => "new-peer",
            Self::NewService => "new-service",
            Self::NewDirection => "new-direction",
            Self::RoleDrift => "role-drift",
            Self::Volume => "volume",
            Self::Beacon => "beacon",
            Self::Scan => "scan",
        }
    }
}

/// Why an alert exists. Observations that share a cause belong to one alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// This address.
    Peer(IpAddr),
    /// This service, called from this end.
    Service(Initiator, Service),
    /// Many targets, tried by the device or by one peer on the device.
    Scan(Initiator),
    /// Too much of this.
    Volume(Way),
    /// What it looks like.
    Role,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |initiator: &Initiator| match initiator {
            Initiator::Device => "out",
            Initiator::Peer => "in",
        };
        match self {
            Self::Peer(peer) => write!(f, "peer/{peer}"),
            Self::Service(initiator, service) => write!(f, "service/{}/{service}", end(initiator)),
            Self::Scan(initiator) => write!(f, "scan/{}", end(initiator)),
            Self::Volume(Way::Sent) => f.write_str("volume/sent"),
            Self::Volume(Way::Received) => f.write_str("volume/received"),
            Self::Role => f.write_str("role"),
        }
    }
}

/// Which way bytes go, as the device sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// From the device.
    Sent,
    /// To the device.
    Received,
}

impl Way {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Sent, Self::Received];
}

/// A conversation that was new when it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// Who began it.
    pub initiator: Initiator,
    /// The other end.
    pub peer: IpAddr,
    /// Its service.
    pub service: Service,
    /// IP protocol.
    pub protocol: u8,
    /// The responder's port.
    pub port: u16,
}

/// One observation that something is wrong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    /// 0 to 1.
    pub(crate) score: f32,
    pub(crate) sentence: String,
    /// What it is about.
    pub(crate) cause: Cause,
    /// What it is about as well. Sharing one of these ties it to an alert that is still young.
    pub(crate) also: Vec<Cause>,
    /// What it is not about and would explain it: ties it in the same way.
    pub(crate) ties: Vec<Cause>,
    /// How long it waits before it is told.
    pub(crate) settle_ns: u64,
    /// How long without it ends it.
    pub(crate) quiet_ns: u64,
    pub(crate) news: Option<News>,
}

/// One thing that is wrong with the device of an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// What.
    pub kind: Kind,
    /// How grave, 0 to 1.
    pub score: f32,
    /// A sentence for a person.
    pub sentence: String,
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Not told yet: it settles, or the rate of alerts holds it back.
    Pending {
        /// When it has settled.
        due_ns: u64,
        /// Whether the rate held it back.
        held: bool,
    },
    /// Told, and its cause is still there.
    Open,
    /// Over.
    Ended {
        /// Since when.
        at_ns: u64,
    },
}

/// One alert for one cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its number, never used again.
    pub id: u64,
    /// The device.
    pub device: DeviceKey,
    /// Where it stands.
    pub state: State,
    /// First observation, in nanoseconds since the Unix epoch.
    pub began_ns: u64,
    /// Last one.
    pub last_ns: u64,
    /// Observations.
    pub observations: u64,
    /// The alert about another device that was told for the same peer.
    pub part_of: Option<u64>,
    /// What it is about, the first one first.
    pub causes: Vec<Cause>,
    /// What is wrong, at most one of a kind.
    reasons: Vec<Reason>,
    /// What accepting it makes usual.
    pub(crate) news: Vec<News>,
    pub(crate) quiet_ns: u64,
}

impl Alert {
    pub(crate) fn new(id: u64, device: DeviceKey, now_ns: u64, finding: Finding) -> Self {
        let due_ns = now_ns.saturating_add(finding.settle_ns);
        let mut alert = Self {
            id,
            device,
            state: State::Pending {
                due_ns,
                held: false,
            },
            began_ns: now_ns,
            last_ns: now_ns,
            observations: 0,
            part_of: None,
            causes: Vec::new(),
            reasons: Vec::new(),
            news: Vec::new(),
            quiet_ns: 0,
        };
        alert.add(now_ns, finding);
        alert
    }

    /// Takes one more observation in. Whether it says something a person has not been told.
    pub(crate) fn add(&mut self, now_ns: u64, finding: Finding) -> bool {
        let another = !self.says(finding.kind);
        let peers = self.peers().count();
        self.last_ns = self.last_ns.max(now_ns);
        self.observations += 1;
        self.quiet_ns = self.quiet_ns.max(finding.quiet_ns);
        for cause in core::iter::once(finding.cause).chain(finding.also) {
            let same_sort =
                |known: &&Cause| core::mem::discriminant(*known) == core::mem::discriminant(&cause);
            if self.causes.iter().filter(same_sort).count() < CAUSES {
                push_new(&mut self.causes, cause);
            }
        }
        if let Some(news) = finding.news.filter(|_| self.news.len() < NEWS) {
            push_new(&mut self.news, news);
        }
        let reason = Reason {
            kind: finding.kind,
            score: finding.score,
            sentence: finding.sentence,
        };
        match self.reasons.iter_mut().find(|r| r.kind == reason.kind) {
            Some(known) if reason.score >= known.score && !is_about_one(reason.kind) => {
                *known = reason;
            }
            Some(known) => known.score = known.score.max(reason.score),
            None => self.reasons.push(reason),
        }
        another || self.peers().count() > peers
    }

    /// Whether it is over.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    /// The gravest thing that is wrong.
    pub fn kind(&self) -> Option<Kind> {
        self.reasons.iter().map(|r| r.kind).max()
    }

    /// Whether this is among what is wrong.
    pub(crate) fn says(&self, kind: Kind) -> bool {
        self.reasons.iter().any(|reason| reason.kind == kind)
    }

    /// How grave it is, 0 to 1: independent reasons add up.
    pub fn score(&self) -> f32 {
        1.0 - self.reasons.iter().map(|r| 1.0 - r.score).product::<f32>()
    }

    /// What is wrong in words, the gravest first.
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<&Reason> = self.reasons.iter().collect();
        reasons.sort_by_key(|reason| core::cmp::Reverse(reason.kind));
        let mut sentences: Vec<String> = reasons.iter().map(|r| r.sentence.clone()).collect();
        let peers: Vec<String> = self.peers().map(|peer| peer.to_string()).collect();
        if peers.len() > 1 && self.kind().is_some_and(is_about_one) {
            sentences.push(format!(
                "{} peers are concerned: {}.",
                peers.len(),
                words::list(&peers, NAMED)
            ));
        }
        sentences
    }

    /// What it is about, the same for the same cause on the same device.
    pub fn key(&self) -> String {
        let cause = self.causes.first().map(ToString::to_string);
        format!("{}/{}", self.device.mac, cause.unwrap_or_default())
    }

    /// The peer that may do the same to other devices: a scanner, a server that moved.
    pub(crate) fn common_peer(&self) -> Option<IpAddr> {
        let from_outside = self.causes.contains(&Cause::Scan(Initiator::Peer));
        match (self.kind()?, self.causes.first()?) {
            (Kind::Scan, _) if from_outside => self.peers().next(),
            (Kind::Scan | Kind::Volume | Kind::RoleDrift, _) => None,
            (_, Cause::Peer(peer)) => Some(*peer),
            _ => None,
        }
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = IpAddr> {
        self.causes.iter().filter_map(|cause| match cause {
            Cause::Peer(peer) => Some(*peer),
            _ => None,
        })
    }
}

/// Whether sentences of this kind are about one conversation: the first one is kept.
fn is_about_one(kind: Kind) -> bool {
    kind <= Kind::NewDirection
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Notice<'a> {
    /// It is new.
    Raised(&'a Alert),
    /// It is new, and the same as one about another device ([`Alert::part_of`]).
    Joined(&'a Alert),
    /// Something else is wrong as well, or more peers are concerned.
    Changed(&'a Alert),
    /// Its cause came back soon after it had ended.
    Resumed(&'a Alert),
    /// Its cause is gone.
    Ended(&'a Alert),
}
