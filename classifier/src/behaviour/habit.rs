//! What a device usually does: which services, called from which end, with whom.
//!
//! Sets are small on purpose. A set that overflows while the device is learnt says that its
//! members do not matter: a printer is called by whoever prints, a workstation calls the whole
//! web. Then the network counts instead of the address, and after that nothing.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use wardline_policy::Initiator;
use wardline_policy::scalar::Prefix;

use super::alert::{News, Service, cut};
use super::input::Conversation;
use super::words;

/// Services of a device, both directions.
const SERVICES: usize = 48;
/// Addresses, and networks, of a service.
const PEERS: usize = 16;
/// Undecoded high ports of one direction and protocol; one more, and they count as one service.
const HIGH_PORTS: usize = 12;
/// The lowest port a program may choose for itself.
const HIGH: u16 = 1_024;
/// Length of the networks addresses are gathered in.
const NETWORK_BITS: (u8, u8) = (24, 64);

/// All services of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Habits {
    list: Vec<Habit>,
    /// More services were seen than are kept: a new one says nothing.
    is_full: bool,
}

/// One service of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Habit {
    initiator: Initiator,
    service: Service,
    protocol: u8,
    /// The port it had last.
    port: u16,
    peers: Vec<IpAddr>,
    networks: Vec<IpAddr>,
    scope: Scope,
    /// How long the device had been observed when the last peer came in.
    grew_at_ns: u64,
    /// Whether some peer outside is called at regular intervals.
    is_regular: bool,
}

/// What of a peer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Scope {
    Addresses,
    Networks,
    Nothing,
}

/// What is new about a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Novelty {
    /// A peer the device never had to do with.
    Peer {
        /// Nobody ever had this service with it, this way round.
        service: bool,
        /// Nobody ever talked with it this way round at all.
        direction: bool,
    },
    /// A known peer, called this way round, about something new.
    Service,
    /// A known peer that never talked with it this way round.
    Direction,
}

impl Habits {
    /// Takes a conversation in as usual. `false`: no room for one more service.
    pub(crate) fn learn(&mut self, news: &News, observed_ns: u64) -> bool {
        let at = match self.find(news.initiator, &news.service, news.protocol, news.port) {
            Some(at) => at,
            None => {
                self.gather_high_ports(news);
                if self.list.len() >= SERVICES {
                    self.is_full = true;
                    return false;
                }
                self.list.push(Habit::new(news));
                self.list.len() - 1
            }
        };
        if let Some(habit) = self.list.get_mut(at) {
            habit.port = news.port;
            habit.add(news.peer, observed_ns);
        }
        true
    }

    /// What is new about a conversation after learning. `settled_ns`: a service whose last new
    /// peer is younger than this, in time of observation, still learns.
    pub(crate) fn novelty(&self, news: &News) -> Option<Novelty> {
        let habit = self.find(news.initiator, &news.service, news.protocol, news.port);
        let habit = habit.and_then(|at| self.list.get(at));
        if habit.is_some_and(|habit| habit.has(news.peer)) {
            return None;
        }
        let knows = |initiator| {
            let mut same = self.list.iter().filter(|h| h.initiator == initiator);
            same.any(|h| h.peers.contains(&news.peer))
        };
        if knows(news.initiator) {
            return (!self.is_full).then_some(Novelty::Service);
        }
        if knows(other(news.initiator)) {
            return Some(Novelty::Direction);
        }
        Some(Novelty::Peer {
            service: habit.is_none() && !self.is_full,
            direction: !self.list.iter().any(|h| h.initiator == news.initiator),
        })
    }

    /// Whether a service still goes on learning peers: new ones came until lately.
    pub(crate) fn is_unsettled(&self, news: &News, observed_ns: u64, settled_ns: u64) -> bool {
        let at = self.find(news.initiator, &news.service, news.protocol, news.port);
        at.and_then(|at| self.list.get(at))
            .is_some_and(|habit| observed_ns.saturating_sub(habit.grew_at_ns) < settled_ns)
    }

    /// Whether the service calls somebody at regular intervals as a rule.
    pub(crate) fn is_regular(&self, news: &News) -> bool {
        let at = self.find(news.initiator, &news.service, news.protocol, news.port);
        at.and_then(|at| self.list.get(at))
            .is_some_and(|habit| habit.is_regular && habit.has(news.peer))
    }

    /// Takes in that it does.
    pub(crate) fn set_regular(&mut self, news: &News) {
        let at = self.find(news.initiator, &news.service, news.protocol, news.port);
        if let Some(habit) = at.and_then(|at| self.list.get_mut(at)) {
            habit.is_regular = true;
        }
    }

    /// The services with this peer, or with anybody where it is `None`, in words.
    pub(crate) fn services(&self, peer: Option<IpAddr>) -> Vec<String> {
        let with = |habit: &&Habit| peer.is_none_or(|peer| habit.peers.contains(&peer));
        let mut names: Vec<String> = self
            .list
            .iter()
            .filter(with)
            .map(|habit| habit.service.to_string())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Everything that is kept, as a number of addresses.
    pub(crate) fn size(&self) -> usize {
        let size = |habit: &Habit| 1 + habit.peers.len() + habit.networks.len();
        self.list.iter().map(size).sum()
    }

    /// The habit a conversation belongs to. One that was not decoded belongs to the decoded
    /// service of that port: not every conversation is seen from its beginning.
    fn find(
        &self,
        initiator: Initiator,
        service: &Service,
        protocol: u8,
        port: u16,
    ) -> Option<usize> {
        let find = |test: &dyn Fn(&Habit) -> bool| {
            let mut list = self.list.iter();
            list.position(|habit| habit.initiator == initiator && test(habit))
        };
        let exact = find(&|habit| habit.service == *service);
        if exact.is_some() || matches!(service, Service::Named(_)) {
            return exact;
        }
        find(&|habit| habit.protocol == protocol && habit.port == port).or_else(|| {
            let high = Service::HighPorts { protocol };
            let of_high = find(&|habit| habit.service == high);
            of_high.filter(|_| port >= HIGH)
        })
    }

    /// Makes one service of the undecoded high ports of this direction when they are too many.
    fn gather_high_ports(&mut self, news: &News) {
        let protocol = news.protocol;
        let is_high = |habit: &Habit| {
            let high = matches!(habit.service, Service::Port { port, .. } if port >= HIGH);
            high && habit.protocol == protocol && habit.initiator == news.initiator
        };
        let too_many = self.list.iter().filter(|h| is_high(h)).count() >= HIGH_PORTS;
        if !too_many || !words::has_ports(protocol) {
            return;
        }
        let (gathered, kept) = core::mem::take(&mut self.list)
            .into_iter()
            .partition::<Vec<_>, _>(is_high);
        self.list = kept;
        let mut one = Habit::new(&News {
            service: Service::HighPorts { protocol },
            ..news.clone()
        });
        for habit in gathered {
            one.join(&habit);
        }
        self.list.push(one);
    }
}

impl Habit {
    fn new(news: &News) -> Self {
        Self {
            initiator: news.initiator,
            service: news.service.clone(),
            protocol: news.protocol,
            port: news.port,
            peers: Vec::new(),
            networks: Vec::new(),
            scope: Scope::Addresses,
            grew_at_ns: 0,
            is_regular: false,
        }
    }

    fn has(&self, peer: IpAddr) -> bool {
        match self.scope {
            Scope::Addresses => self.peers.contains(&peer),
            Scope::Networks => self.networks.contains(&network(peer)),
            Scope::Nothing => true,
        }
    }

    fn add(&mut self, peer: IpAddr, observed_ns: u64) {
        if self.has(peer) {
            return;
        }
        self.grew_at_ns = self.grew_at_ns.max(observed_ns);
        if self.peers.len() < PEERS && !self.peers.contains(&peer) {
            self.peers.push(peer);
        } else if self.scope == Scope::Addresses {
            self.scope = Scope::Networks;
        }
        let network = network(peer);
        if self.networks.contains(&network) {
            return;
        }
        if self.networks.len() < PEERS {
            self.networks.push(network);
        } else if self.scope == Scope::Networks {
            self.scope = Scope::Nothing;
        }
    }

    fn join(&mut self, other: &Self) {
        for peer in &other.peers {
            self.add(*peer, other.grew_at_ns);
        }
        self.is_regular |= other.is_regular;
    }
}

impl News {
    pub(crate) fn of(conversation: &Conversation<'_>) -> Self {
        let &Conversation {
            initiator,
            peer,
            protocol,
            port,
            service,
            ..
        } = conversation;
        Self {
            initiator,
            peer,
            service: Service::new(service.map(cut), protocol, port),
            protocol,
            port,
        }
    }
}

fn other(initiator: Initiator) -> Initiator {
    match initiator {
        Initiator::Device => Initiator::Peer,
        Initiator::Peer => Initiator::Device,
    }
}

fn network(address: IpAddr) -> IpAddr {
    let bits = match address {
        IpAddr::V4(_) => NETWORK_BITS.0,
        IpAddr::V6(_) => NETWORK_BITS.1,
    };
    Prefix::around(address, bits).address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(initiator: Initiator, peer: &str, service: Service) -> News {
        let (protocol, port) = match service {
            Service::Port { protocol, port } => (protocol, port),
            _ => (6, 2_575),
        };
        News {
            initiator,
            peer: peer.parse().unwrap(),
            service,
            protocol,
            port,
        }
    }

    fn tcp(port: u16) -> Service {
        Service::Port { protocol: 6, port }
    }

    fn hl7() -> Service {
        Service::Named("hl7".into())
    }

    #[test]
    fn what_is_new_is_told_apart() {
        let mut habits = Habits::default();
        habits.learn(&news(Initiator::Device, "10.0.0.5", hl7()), 0);
        let novelty = |i, peer, service| habits.novelty(&news(i, peer, service));
        assert_eq!(novelty(Initiator::Device, "10.0.0.5", hl7()), None);
        assert_eq!(
            novelty(Initiator::Device, "10.0.0.5", tcp(22)),
            Some(Novelty::Service)
        );
        assert_eq!(
            novelty(Initiator::Peer, "10.0.0.5", hl7()),
            Some(Novelty::Direction)
        );
        assert_eq!(
            novelty(Initiator::Device, "10.0.0.6", hl7()),
            Some(Novelty::Peer {
                service: false,
                direction: false
            })
        );
        assert_eq!(
            novelty(Initiator::Peer, "10.0.0.6", tcp(23)),
            Some(Novelty::Peer {
                service: true,
                direction: true
            })
        );
    }

    #[test]
    fn a_conversation_that_was_not_decoded_belongs_to_the_service_of_its_port() {
        let mut habits = Habits::default();
        habits.learn(&news(Initiator::Device, "10.0.0.5", hl7()), 0);
        let undecoded = news(Initiator::Device, "10.0.0.5", tcp(2_575));
        assert_eq!(habits.novelty(&undecoded), None);
        let other = news(Initiator::Device, "10.0.0.5", Service::Named("ssh".into()));
        assert_eq!(habits.novelty(&other), Some(Novelty::Service));
    }

    #[test]
    fn many_peers_make_the_network_count_and_many_networks_nothing() {
        let mut habits = Habits::default();
        for n in 0..=PEERS {
            let peer = format!("10.0.0.{n}");
            habits.learn(&news(Initiator::Peer, &peer, hl7()), 0);
        }
        let novelty = |h: &Habits, peer| h.novelty(&news(Initiator::Peer, peer, hl7()));
        assert_eq!(novelty(&habits, "10.0.0.99"), None);
        assert!(novelty(&habits, "10.0.1.99").is_some());
        for n in 0..=PEERS {
            let peer = format!("10.{n}.1.1");
            habits.learn(&news(Initiator::Peer, &peer, hl7()), 0);
        }
        assert_eq!(novelty(&habits, "192.0.2.1"), None);
    }

    #[test]
    fn too_many_high_ports_count_as_one_service() {
        let mut habits = Habits::default();
        for port in 40_000..40_100 {
            assert!(habits.learn(&news(Initiator::Device, "10.0.0.5", tcp(port)), 0));
        }
        let novelty = |service| habits.novelty(&news(Initiator::Device, "10.0.0.5", service));
        assert_eq!(novelty(tcp(50_000)), None);
        assert_eq!(novelty(tcp(445)), Some(Novelty::Service));
    }

    #[test]
    fn nothing_grows_without_end() {
        let mut habits = Habits::default();
        for n in 0..20_000u32 {
            let peer = core::net::Ipv4Addr::from_bits(0x0a00_0000 + n * 257).to_string();
            let service = Service::Named(format!("s{}", n % 100));
            habits.learn(&news(Initiator::Device, &peer, service), 0);
        }
        assert!(habits.size() <= SERVICES * (1 + 2 * PEERS));
        assert!(habits.is_full);
        let fresh = news(Initiator::Device, "10.0.0.0", Service::Named("x".into()));
        assert_eq!(habits.novelty(&fresh), None);
    }
}
